"""Real files of public repositories, beside what an independent parser found in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml import EbsdmlError

# Shape, step (dy, dx) in um, points that are not indexed.
RIGHT = {
    "emm_scan3.ang": ((123, 125), (10, 10), 0),
    "pyebsd_bcc_sqrgrid.ang": ((101, 51), (1, 1), None),
    "pymicro_Ti64-200x200.ang": ((200, 200), (0.4999, 0.4999), None),
    "schulz_ebsd_3-1_Fig1.ctf": ((200, 200), (0.1, 0.1), 9395),
    "kanapy_ebsd_316L_500x500.ang": ((169, 169), (2.961, 2.961), 2151),
    "vbluemer_x0.ctf": ((250, 250), (0.5, 0.5), None),
    "atindama_Synthetic_noisy.ctf": ((100, 100), None, None),
    "ngrilli_slice.ctf": ((3, 3), (0.1, 0.1), 0),
    "mtex_ACOM.ang": ((15, 15), (0.002, 0.002), None),
    "mtex_testdata_sqr.ctf": ((30, 30), None, None),
    "kba_Pink100.ang": ((11, 11), (0.1, 0.1), 11),
    "kikuchipy_patterns.h5oina": ((3, 3), (1.5, 1.5), None),
    "kikuchipy_bruker_roi.h5": ((3, 2), None, None),
    "kikuchipy_EBSD_TEST_Ni.h5": ((1, 1), None, None),
}
REFUSED = {
    "kanapy_XY_slice_top_voxels.ang": r"line 2[67]",
    "zackmci_BK3_Pl_ppg.ctf": "list of 1427 single points",
    "eddidoune_Model.ctf": "no rows",
}


def path_of(shared: Path, name: str) -> Path:
    path = shared / "public" / name
    if not path.exists():
        pytest.skip(f"{name} is not among the real files here")
    return path


@pytest.mark.parametrize("name", RIGHT)
def test_size_step_and_what_is_indexed(shared: Path, name: str) -> None:
    shape, step, missing = RIGHT[name]
    scan = ebsdml.read(path_of(shared, name))
    assert scan.shape == shape
    if step is not None:
        np.testing.assert_allclose(scan.step, step, rtol=2e-4)
    if missing is not None:
        assert np.count_nonzero(~scan.is_indexed) == missing


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_map_is_refused_with_the_cause(shared: Path, name: str) -> None:
    with pytest.raises(EbsdmlError, match=REFUSED[name]):
        ebsdml.read(path_of(shared, name))


def test_phases_by_number(shared: Path) -> None:
    scan = ebsdml.read(path_of(shared, "schulz_ebsd_3-1_Fig1.ctf"))
    counts = [int(np.count_nonzero(scan.phase_id == k)) for k in (1, 2, 3)]
    # The README rounds the first to whole thousands.
    assert counts[1:] == [6563, 42]
    assert sum(counts) == 40_000 - 9395
    hexagonal = ebsdml.read(path_of(shared, "pyebsd_ADI_bcc_fcc_cropped.ang"))
    points = hexagonal.source.hexagonal
    assert points is not None
    assert points.x.size == 32_128
    assert np.count_nonzero(points.phase_id < 0) == 182
    other = ebsdml.read(path_of(shared, "emm_scan3.ang")).source.hexagonal
    assert other is not None
    assert other.x.size == 17_804


def test_grains_without_the_points_of_zeros(shared: Path) -> None:
    scan = ebsdml.read(path_of(shared, "kanapy_ebsd_316L_500x500.ang"))
    assert ebsdml.segment_grains(scan, threshold=5.0).max() == 291
    made = ebsdml.read(path_of(shared, "vbluemer_x0.ctf"))
    assert ebsdml.segment_grains(made, threshold=5.0).max() == 21


def test_an_orientation_along_the_normal_survives_hdf5(shared: Path, tmp_path: Path) -> None:
    scan = ebsdml.read(path_of(shared, "ngrilli_slice.ctf"))
    ebsdml.write(tmp_path / "slice.h5", scan)
    again = ebsdml.read(tmp_path / "slice.h5")
    np.testing.assert_allclose(np.abs((again.quaternions * scan.quaternions).sum(-1)), 1)
