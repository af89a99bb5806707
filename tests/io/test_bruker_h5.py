"""Bruker .h5 files: real layout, kikuchipy's, and written ones."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from orix.quaternion import Rotation

from napari_ebsdml.errors import FileFormatError, InputError, UnsupportedFormatError
from napari_ebsdml.io._assemble import scan_from_raw
from napari_ebsdml.io.bruker_h5 import FORMAT
from tests.io.damage import check_map_or_error, edit, hurt_hdf5
from tests.io.writers_hdf5 import write_bruker

ROI = np.array(
    [
        [0, 0, 1, 1, 0, 0],
        [0, 1, 1, 1, 1, 0],
        [0, 1, 1, 0, 1, 0],
        [0, 0, 1, 1, 1, 0],
        [0, 0, 0, 1, 0, 0],
    ],
    dtype=bool,
)


def read(path: Path, scan: str | None = None, frame: str | None = None):
    return scan_from_raw(FORMAT.read(path, scan), frame)


def test_read_as_written(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    truth = write_bruker(path)
    assert FORMAT.sniff(path, path.read_bytes()[:4096])
    assert FORMAT.scans(path) == ["Scan 0"]
    scan = read(path, frame="map")
    assert (scan.shape, scan.step) == ((5, 6), (0.5, 0.5))
    indexed = truth["phase"] > 0
    np.testing.assert_array_equal(scan.is_indexed.ravel(), indexed)
    expected = Rotation.from_euler(truth["euler"].astype(float)).data
    dot = np.abs(np.sum(scan.quaternions.reshape(-1, 4) * expected, axis=1))[indexed]
    assert np.degrees(2 * np.arccos(dot.clip(0, 1))).max() < 1e-3
    np.testing.assert_array_equal(scan.prop["MAD"].ravel(), truth["MAD"])
    assert {"RadonQuality", "NIndexedBands"} <= set(scan.prop)
    nickel = scan.phases[1]
    assert nickel.space_group.number == 225
    assert nickel.structure.lattice.a == pytest.approx(3.56, rel=1e-12)
    assert [atom.element for atom in nickel.structure] == ["Ni"]
    np.testing.assert_array_equal(scan.patterns[3, 4].compute(), truth["patterns"][22])


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("index_in", ["EBSD/SEM", "SEM", "EBSD/Data", None])
def test_region_of_any_outline(tmp_path: Path, index_in: str | None, shuffle: bool) -> None:
    path = tmp_path / "map.h5"
    truth = write_bruker(path, region=ROI, index_in=index_in or "EBSD/SEM", shuffle=shuffle)
    if index_in is None:
        # Without indices the beam positions tell the same.
        with h5py.File(path, "a") as file:
            del file["Scan 0/EBSD/SEM"]
    scan = read(path)
    inner = ROI[:, 1:5]
    assert scan.shape == inner.shape
    np.testing.assert_array_equal(scan.is_measured, inner)
    row, column = truth["at"][:, 0], truth["at"][:, 1] - 1
    np.testing.assert_array_equal(scan.prop["MAD"][row, column], truth["MAD"])
    np.testing.assert_array_equal(scan.is_indexed[row, column], truth["phase"] > 0)
    assert not scan.is_indexed[~inner].any()
    patterns = scan.patterns.compute()
    np.testing.assert_array_equal(patterns[row, column], truth["patterns"])
    assert not patterns[~inner].any()
    np.testing.assert_allclose(scan.detector.pc[row, column], truth["pc"], atol=1e-6)


def test_points_out_of_order_without_a_region(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    truth = write_bruker(path, shuffle=True)
    scan = read(path)
    assert scan.shape == (5, 6)
    row, column = truth["at"].T
    np.testing.assert_array_equal(scan.prop["MAD"][row, column], truth["MAD"])
    np.testing.assert_array_equal(scan.patterns.compute()[row, column], truth["patterns"])


def test_detector(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    truth = write_bruker(path)
    detector = read(path).detector
    np.testing.assert_allclose(detector.pc, truth["pc"].reshape(5, 6, 3), atol=1e-6)
    assert (detector.sample_tilt, detector.tilt, detector.px_size) == (70, 3, 4000)


def test_frame_follows_the_schematic_in_the_files(tmp_path: Path) -> None:
    # X SAMPLE left, Y SAMPLE down, Z out of the screen; a Scan has right, down and into it.
    path = tmp_path / "map.h5"
    truth = write_bruker(path)
    raw = FORMAT.read(path, None)
    assert (raw.frame, raw.warnings) == ("bruker", [])
    scan = scan_from_raw(raw)
    point = int(np.flatnonzero(truth["phase"])[4])
    ours = Rotation(scan.quaternions.reshape(-1, 4)[point])
    theirs = Rotation.from_euler(truth["euler"][point].astype(float))
    sample_axes_on_map = np.array([[-1, 0, 0], [0, 1, 0], [0, 0, -1]], float)
    for axis in range(3):
        in_sample_frame = np.eye(3)[axis]
        on_map = in_sample_frame @ sample_axes_on_map
        np.testing.assert_allclose(
            (ours * _vector(on_map)).data, (theirs * _vector(in_sample_frame)).data, atol=1e-6
        )
    write_bruker(path, system=3)
    assert any("coordinate system 3" in text for text in FORMAT.read(path, None).warnings)


def _vector(xyz: np.ndarray):
    from orix.vector import Vector3d

    return Vector3d(xyz)


def test_lattice_in_nanometres(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    write_bruker(path, scale=0.1)
    scan = read(path)
    assert scan.phases[1].structure.lattice.a == pytest.approx(3.56, rel=1e-6)
    assert any("nanometres" in text for text in scan.source.warnings)


def test_real_layout(shared: Path) -> None:
    path = shared / "patterns" / "bruker_layout_ni.h5"
    kikuchipy = pytest.importorskip("kikuchipy")
    scan = read(path)
    assert scan.shape == (3, 3)
    np.testing.assert_array_equal(scan.patterns.compute(), kikuchipy.data.nickel_ebsd_small().data)


def test_two_scans(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    write_bruker(path, scans=("Scan 0", "Scan 1"))
    assert FORMAT.scans(path) == ["Scan 0", "Scan 1"]
    assert read(path, "Scan 1").source.scan_name == "Scan 1"
    with pytest.raises(InputError, match="Scan 1"):
        FORMAT.read(path, "Scan 2")


def test_other_grids_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    write_bruker(path)
    edit(path, "Scan 0/EBSD/Header/Grid Type", np.array([b"hexagonal"]))
    with pytest.raises(UnsupportedFormatError, match="hexagonal"):
        FORMAT.read(path, None)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("Data/PHI", None, "missing"),
        ("Data/Phase", None, "missing"),
        ("Data", None, "missing"),
        ("Header/NROWS", None, "missing"),
        ("Data/PHI", np.zeros(29, "f4"), "29 points"),
        ("Data/phi2", np.full(30, np.nan, "f4"), "numbers"),
        ("Data/phi2", np.full(30, 1000, "f4"), "degrees"),
        ("Data/PCX", np.zeros(4, "f4"), "4 points"),
        ("Data/Phase", np.full(30, 3, "i4"), "phase 3; the header lists 1"),
        ("Data/RawPatterns", np.zeros((9, 6, 8), "u1"), "9 patterns"),
        ("Header/Phases/1/LatticeConstants", np.zeros(3, "f4"), "not 6"),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, values: object, reason: str) -> None:
    path = tmp_path / "map.h5"
    write_bruker(path)
    edit(path, f"Scan 0/EBSD/{name}", values)
    with pytest.raises(FileFormatError, match=reason) as caught:
        FORMAT.read(path, None)
    assert str(path) in str(caught.value)


def test_points_that_belong_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    write_bruker(path, beam=False)
    edit(path, "Scan 0/EBSD/Header/NCOLS", np.int32(7))
    with pytest.raises(FileFormatError, match="30 points for 5 rows x 7 columns"):
        FORMAT.read(path, None)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "map.h5"
    write_bruker(path, region=ROI)
    return path.read_bytes()


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_damage_gives_a_map_or_one_clear_error(sound: bytes, tmp_path: Path, data) -> None:
    path = tmp_path / "hurt.h5"
    hurt_hdf5(path, sound, data, int(ROI.sum()), "Scan 0/EBSD")
    check_map_or_error(FORMAT, path)


def test_pattern_centres_of_a_region_lie_at_their_pixels(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    region = np.ones((5, 6), bool)
    region[0, :3] = region[4, 5] = False
    truth = write_bruker(path, region=region, shuffle=True)
    camera = read(path).camera
    assert camera is not None
    assert camera.pc is not None
    row, column = truth["at"].T
    np.testing.assert_allclose(camera.pc[row, column], truth["pc"], atol=1e-6)
    np.testing.assert_allclose(camera.pc[0, 0], truth["pc"].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize("value", [0, 1, np.nan])
def test_an_odd_pattern_centre_is_not_told(tmp_path: Path, value: float) -> None:
    path = tmp_path / "map.h5"
    write_bruker(path)
    with h5py.File(path, "r+") as file:
        for name in ("PCX", "PCY", "DD"):
            file[f"Scan 0/EBSD/Data/{name}"][...] = value
    scan = read(path)
    assert scan.camera is not None
    assert not scan.camera.tells_centre
    assert scan.camera.tilt == 3
    assert len([w for w in scan.source.warnings if "geometry" in w]) == 1
