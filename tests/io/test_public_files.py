"""Real files of public repositories, beside what an independent parser found in them."""

from __future__ import annotations

import re
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


CPR = {  # names of phases in order, space groups, columns besides the usual ones
    "EDXLMDTi64": (["Ti (BETA)", "Ti (alpha)"], [229, 194]),
    "Zr4": (["Zirc-alloy4"], [None]),
    "Zr4H_a_clean2": (["Zirc-alloy4", "Zr H2", "AllanH_Laves_1Zr-1Fe-"], [None, 225, 194]),
    "bti1023": (["BetaTi_r", "AlphaTi_r"], [229, 194]),
    "cu2160": (["Copper"], [225]),
    "martensite": (["Iron bcc (old)", "Iron fcc"], [229, 225]),
    "optical": (["Titanium cubic", "Ti-Hex"], [229, None]),
    "polyg": (["Iron bcc (old)"], [229]),
    "zrh_b": (["Zirc-alloy4", "Zr H2", "Zr H"], [None, 225, 86]),
}
# Bytes of a record by the field's number; EDX windows come from 101 on.
SIZES = dict.fromkeys((3, 4, 5, 6, 12), "<f4") | dict.fromkeys((7, 8, 10, 11), "u1")


@pytest.mark.parametrize("name", CPR)
def test_real_headers_of_channel5_with_made_up_records(
    shared: Path, tmp_path: Path, name: str
) -> None:
    text = path_of(shared, f"real_cpr_headers/{name}.cpr").read_bytes().decode("latin-1")
    step = float(re.search(r"GridDistX=(\S+)", text)[1])
    for key, value in (("xCells", 4), ("yCells", 3), ("NoOfPoints", 12)):
        text = re.sub(rf"(?m)^{key}=\d+", f"{key}={value}", text)
    (tmp_path / "a.cpr").write_bytes(text.encode("latin-1"))
    fields = [int(n) for n in re.findall(r"(?m)^Field\d+=(\d+)", text)]
    kind = np.dtype([("phase", "u1"), *((f"f{n}", SIZES.get(n, "<f4")) for n in fields)])
    made = np.zeros(12, kind)
    rng = np.random.default_rng(0)
    made["phase"] = [1, 1, 0, 1] * 3
    for k in (3, 4, 5):
        made[f"f{k}"] = rng.uniform(0, 3, 12)
    made["f7"] = np.arange(12) + 100
    for k in range(101, 105):
        if k in fields:
            made[f"f{k}"] = np.arange(12) * k
    (tmp_path / "a.crc").write_bytes(made.tobytes())
    scan = ebsdml.read(tmp_path / "a.cpr")
    assert scan.shape == (3, 4)
    np.testing.assert_allclose(scan.step, step)
    np.testing.assert_array_equal(scan.prop["BC"].ravel(), made["f7"])
    np.testing.assert_array_equal(scan.is_indexed.ravel(), made["phase"] > 0)
    if name == "bti1023":
        numbers = {101: "Titanium K", 102: "Vanadium K", 103: "Aluminum K", 104: "Iron K"}
        for number, window in numbers.items():
            key = next(key for key in scan.prop if window in key)
            np.testing.assert_array_equal(scan.prop[key].ravel(), made[f"f{number}"])
    phases = [phase for number, phase in scan.phases if number > 0]
    names, groups = CPR[name]
    assert [phase.name for phase in phases][: len(names)] == names
    found = [p.space_group.number if p.space_group is not None else None for p in phases]
    assert found[: len(groups)] == groups


def test_titanium_of_stabix(shared: Path) -> None:
    path = path_of(shared, "stabix_b12_scan01.ang")
    rows = np.loadtxt(path, comments="#", encoding="latin-1")
    scan = ebsdml.read(path)
    points = scan.source.hexagonal
    if points is None:
        assert scan.phase_id.size == len(rows)
        values = scan.prop["IQ"].ravel()
    else:
        assert len(points.x) == len(rows)
        np.testing.assert_allclose(points.x, rows[:, 3])
        np.testing.assert_allclose(points.y, rows[:, 4])
        values = points.prop["IQ"]
    np.testing.assert_allclose(values, rows[:, 5], rtol=1e-6)
    (phase,) = (phase for number, phase in scan.phases if number >= 0)
    assert phase.name == "Titanium (Alpha)"
    assert scan.is_indexed.mean() > 0.9
