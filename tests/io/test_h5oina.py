"""Oxford .h5oina files, written after the specification."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from orix.quaternion import Rotation

from napari_ebsdml.errors import FileFormatError, InputError
from napari_ebsdml.io import _hdf5, _hdf5_patterns, _lazy_patterns
from napari_ebsdml.io._assemble import scan_from_raw
from napari_ebsdml.io.frames import FRAMES
from napari_ebsdml.io.h5oina import FORMAT
from tests.io.damage import check_map_or_error, edit, hurt_hdf5
from tests.io.writers_hdf5 import write_h5oina


def read(path: Path, scan: str | None = None):
    return scan_from_raw(FORMAT.read(path, scan))


# Oxford's X, Y and Z on the map: to the right, up, and out of the screen.
OXFORD_ON_MAP = np.diag([1.0, -1.0, -1.0])


def misorientation(quaternions: np.ndarray, euler: np.ndarray) -> float:
    """Largest angle in degrees between quaternions of a map and a file's Bunge angles.

    Both as matrices that take specimen to crystal, without any symmetry.
    """
    file = Rotation.from_euler(euler.astype(float)).to_matrix()
    between = Rotation(quaternions).to_matrix() @ np.swapaxes(file @ OXFORD_ON_MAP, 1, 2)
    # The sine is exact where the cosine is not.
    skew = between - np.swapaxes(between, 1, 2)
    sine = np.linalg.norm(skew, axis=(1, 2)) / np.sqrt(8)
    cosine = (np.trace(between, axis1=1, axis2=2) - 1) / 2
    return float(np.rad2deg(np.arctan2(sine, cosine)).max())


@pytest.mark.parametrize("layout", ["table", "flat"])
@pytest.mark.parametrize("version", ["1.0", "2.0", "5.0", "7.0", "8.0"])
def test_every_version_is_read_as_written(tmp_path: Path, version: str, layout: str) -> None:
    path = tmp_path / "map.h5oina"
    truth = write_h5oina(path, version, layout=layout)
    assert FORMAT.sniff(path, path.read_bytes()[:4096])
    assert FORMAT.scans(path) == ["1"]
    scan = read(path)
    assert scan.shape == (4, 5)
    assert scan.step == truth["step"]
    phase = truth["phase"].astype(int)
    np.testing.assert_array_equal(scan.phase_id.ravel(), np.where(phase == 0, -1, phase))
    for name in ("BC", "BS"):
        np.testing.assert_array_equal(scan.get(name).ravel(), truth[name])
    np.testing.assert_allclose(scan.get("MAD").ravel(), np.degrees(truth["MAD"]), rtol=1e-6)
    cubic = phase == 1
    raw = FORMAT.read(path, None)
    np.testing.assert_array_equal(raw.euler, truth["euler"])
    assert misorientation(scan.quaternions.reshape(-1, 4)[cubic], truth["euler"][cubic]) < 1e-4
    titanium = scan.phases[2]
    assert titanium.space_group.number == 194
    assert titanium.point_group.laue.name == "6/mmm"
    cell = titanium.structure.lattice
    assert (cell.a, cell.c, cell.gamma) == pytest.approx((2.9506, 4.6788, 120.0), rel=1e-12)
    assert scan.source.header["Project Label"] == "Größe"
    assert (scan.patterns is None) == (float(version) < 5)


def test_patterns_are_read_only_when_asked_for(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "map.h5oina"
    truth = write_h5oina(path, "7.0")
    reads = []
    inner = _hdf5_patterns.H5Patterns.load

    def counted(self, points):
        reads.append(points)
        return inner(self, points)

    monkeypatch.setattr(_hdf5_patterns.H5Patterns, "load", counted)
    scan = read(path)
    assert scan.patterns.shape == (4, 5, 6, 8)
    assert scan.patterns.dtype == np.uint8
    assert reads == []
    np.testing.assert_array_equal(scan.patterns[2, 3].compute(), truth["patterns"][13])
    assert reads
    everything = scan.patterns.compute(scheduler="threads")
    np.testing.assert_array_equal(everything.reshape(-1, 6, 8), truth["patterns"])


def test_a_scan_with_patterns_can_be_pickled(tmp_path: Path) -> None:
    path = tmp_path / "map.h5oina"
    truth = write_h5oina(path)
    raw = pickle.loads(pickle.dumps(FORMAT.read(path, None)))
    np.testing.assert_array_equal(raw.patterns.compute(), truth["patterns"])
    assert raw.camera.shape == (6, 8)


def test_large_patterns_are_chunked_within_a_row(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "map.h5oina"
    write_h5oina(path, rows=2, columns=6)
    # A row has 6 patterns of 48 bytes.
    monkeypatch.setattr(_lazy_patterns, "BIG_ROW", 6 * 48)
    for fit, lengths in ((6, (6, 6)), (4, (3, 3) * 2), (5, (3, 3) * 2), (1, (1,) * 12)):
        monkeypatch.setattr(_lazy_patterns, "_BLOCK_BYTES", fit * 48)
        assert FORMAT.read(path, None).patterns.chunks[0] == lengths
    monkeypatch.setattr(_lazy_patterns, "BIG_ROW", 6 * 48 + 1)
    assert FORMAT.read(path, None).patterns.chunks[0] == (6, 6)
    monkeypatch.setattr(_lazy_patterns, "_BLOCK_BYTES", 12 * 48)
    assert FORMAT.read(path, None).patterns.chunks[0] == (12,)


def test_blocks_follow_the_chunks_of_the_file(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "patterns.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("p", data=np.zeros((20, 6, 8), "u1"), chunks=(3, 6, 8))
    with _hdf5.open_h5(path) as root:
        monkeypatch.setattr(_lazy_patterns, "_BLOCK_BYTES", 8 * 48)
        assert _hdf5_patterns.h5_patterns(root, "p", 20).chunks[0] == (6, 6, 6, 2)
        # Each stored chunk costs a look-up.
        monkeypatch.setattr(_hdf5_patterns, "_STORED_CHUNKS", 1)
        assert _hdf5_patterns.h5_patterns(root, "p", 20).chunks[0] == (3,) * 6 + (2,)


@pytest.mark.parametrize("change", ["gone", "longer", "other numbers"])
def test_a_file_changed_after_opening_is_refused_when_patterns_are_read(
    tmp_path: Path, change: str
) -> None:
    path = tmp_path / "map.h5oina"
    write_h5oina(path)
    scan = read(path)
    if change == "gone":
        path.unlink()
    else:
        shape, dtype = ((20, 6, 8), "u2") if change == "other numbers" else ((21, 6, 8), "u1")
        edit(path, "1/EBSD/Data/Processed Patterns", np.zeros(shape, dtype))
    with pytest.raises(FileFormatError, match="Processed Patterns") as caught:
        scan.patterns[0, 0].compute()
    reason = "could not be read" if change == "gone" else "the file was changed after"
    assert reason in str(caught.value)
    assert change != "gone" or "No such file" in str(caught.value)


def test_unprocessed_patterns_serve_when_there_are_no_others(tmp_path: Path) -> None:
    path = tmp_path / "map.h5oina"
    truth = write_h5oina(path, patterns=("Unprocessed Patterns",))
    patterns = read(path).patterns
    assert patterns.dtype == np.int16
    np.testing.assert_array_equal(patterns[1, 1].compute(), truth["raw_patterns"][6])


def test_pattern_centres_of_every_pixel(tmp_path: Path) -> None:
    path = tmp_path / "map.h5oina"
    truth = write_h5oina(path)
    detector = read(path).detector
    # Oxford gives fractions of the width (8) from the lower left; Bruker, which kikuchipy keeps,
    # width and height (6) from the upper left.
    expected = truth["pc"].astype(float).copy()
    expected[:, 1] = 1 - expected[:, 1] * 8 / 6
    expected[:, 2] *= 8 / 6
    np.testing.assert_allclose(detector.pc, expected.reshape(4, 5, 3), atol=1e-6)
    assert detector.sample_tilt == pytest.approx(69.9, abs=1e-4)
    assert detector.tilt == pytest.approx(1.5, abs=1e-4)
    assert detector.binning == 8


def test_patterns_and_detector_as_kikuchipy_reads_them(tmp_path: Path) -> None:
    kikuchipy = pytest.importorskip("kikuchipy")
    path = tmp_path / "map.h5oina"
    write_h5oina(path, "7.0", layout="flat")
    theirs = kikuchipy.load(path, lazy=True)
    scan = read(path)
    np.testing.assert_array_equal(scan.patterns.compute(), theirs.data.compute())
    for name in ("pc", "tilt", "sample_tilt", "binning", "shape"):
        np.testing.assert_allclose(
            getattr(scan.detector, name), getattr(theirs.detector, name), atol=1e-4
        )


def test_two_slices_and_their_cleaned_versions(tmp_path: Path) -> None:
    path = tmp_path / "map.h5oina"
    truth = write_h5oina(path, slices=("1", "2"), processed=True)
    names = ["1", "1 Data Processing", "2", "2 Data Processing"]
    assert FORMAT.scans(path) == names
    assert FORMAT.read(path, None).scan_name == "1"
    clean = read(path, "2 Data Processing")
    assert (clean.phase_id == 1).all()
    assert misorientation(clean.quaternions.reshape(-1, 4), truth["clean_euler"]) < 1e-4
    # What cleaning leaves alone comes from the measurement, what it sets does not.
    np.testing.assert_array_equal(clean.get("BC").ravel(), truth["BC"])
    assert (clean.get("Error") == 7).all()
    assert clean.patterns.shape == (4, 5, 6, 8)
    assert any("Data Processing" in text for text in read(path).source.warnings)
    with pytest.raises(InputError, match="1 Data Processing"):
        FORMAT.read(path, "3")


@pytest.mark.parametrize(
    "missing",
    [
        "X",
        "Band Contrast",
        "Mean Angular Deviation",
        "Error",
        "Pattern Center X",
        "Tilt Angle",
        "Scanning Rotation Angle",
        "Format Version",
        "Pattern Width",
    ],
)
def test_optional_entries_may_be_absent(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "map.h5oina"
    truth = write_h5oina(path, omit=(missing,))
    scan = read(path)
    assert scan.shape == (4, 5)
    assert scan.step == (0.25, 0.25)
    assert (scan.is_indexed.ravel() == (truth["phase"] > 0)).all()
    assert (scan.detector is None) == (missing == "Pattern Center X")


def test_points_outside_the_acquisition_area_were_not_measured(tmp_path: Path) -> None:
    path = tmp_path / "map.h5oina"
    outside = (0, 1, 4, 10, 19)
    truth = write_h5oina(path, outside=outside)
    scan = read(path)
    assert scan.shape == (4, 5)
    np.testing.assert_array_equal(np.flatnonzero(~scan.is_measured.ravel()), outside)
    inside = np.setdiff1d(np.arange(20), outside)
    np.testing.assert_array_equal(scan.get("BC").ravel()[inside], truth["BC"][inside])
    patterns = scan.patterns.compute().reshape(20, 6, 8)
    np.testing.assert_array_equal(patterns[inside], truth["patterns"][inside])
    # Without coordinates the blank orientation and contrast tell the same.
    write_h5oina(path, outside=outside, omit=("X", "Y"))
    np.testing.assert_array_equal(np.flatnonzero(~read(path).is_measured.ravel()), outside)


def test_a_line_scan_is_one_row(tmp_path: Path) -> None:
    path = tmp_path / "line.h5oina"
    write_h5oina(path, rows=1, columns=12)
    with h5py.File(path, "a") as file:
        # The line runs obliquely over the specimen.
        file["1/EBSD/Data/Y"][...] = file["1/EBSD/Data/X"][...] * 0.5
    scan = read(path)
    assert scan.shape == (1, 12)
    assert scan.step == (0.25, 0.25)
    assert any("line scan" in text for text in scan.source.warnings)


def test_element_maps_come_along(tmp_path: Path) -> None:
    path = tmp_path / "map.h5oina"
    truth = write_h5oina(path, eds=True)
    np.testing.assert_array_equal(read(path).get("Window Integral Fe Ka1").ravel(), truth["Fe"])


# Oxford's X on the map: with the map's x, or against it after a scanning rotation of 180 degrees.
@pytest.mark.parametrize(("angle", "x"), [(0.0, 1), (np.nan, 1), (np.pi, -1), (-np.pi, -1)])
def test_scanning_rotation_chooses_the_frame(tmp_path: Path, angle: float, x: int) -> None:
    path = tmp_path / "map.h5oina"
    write_h5oina(path, rotation=angle)
    raw = FORMAT.read(path, None)
    assert raw.frame == ("oxford" if x > 0 else "oxford-180")
    w, *v = FRAMES[raw.frame].specimen_turn
    assert w == 0
    half_turn = 2 * np.outer(v, v) - np.eye(3)
    np.testing.assert_allclose(half_turn, np.diag([x, -x, -1]), atol=1e-12)
    assert not any("Scanning Rotation" in text for text in raw.warnings)


def test_another_rotation_is_said(tmp_path: Path) -> None:
    path = tmp_path / "map.h5oina"
    write_h5oina(path, rotation=np.deg2rad(30))
    assert any("30.0 degrees" in text for text in FORMAT.read(path, None).warnings)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("1/EBSD/Data/Euler", None, "missing"),
        ("1/EBSD/Data/Phase", None, "missing"),
        ("1/EBSD/Data", None, "missing"),
        ("1/EBSD/Header", None, "missing"),
        ("1/EBSD/Header/X Cells", None, "missing"),
        ("1/EBSD/Header/X Cells", np.int32([0]), "at least 1"),
        ("1/EBSD/Header/Y Cells", np.int32([7]), "points; the map has 35"),
        ("1/EBSD/Data/Euler", np.zeros((20, 2), "f4"), "shape"),
        ("1/EBSD/Data/Euler", np.full((20, 3), np.nan, "f4"), "numbers"),
        ("1/EBSD/Data/Euler", np.full((20, 3), 270, "f4"), "radians"),
        ("1/EBSD/Data/Euler", np.array([b"text"] * 20), "not numbers"),
        ("1/EBSD/Data/Phase", np.full(20, 9, "u1"), "phase 9; the header lists 1, 2"),
        ("1/EBSD/Data/Band Contrast", np.zeros((19, 1), "u1"), "19 points"),
        ("1/EBSD/Data/Bands", np.zeros(21, "u1"), "21 points"),
        ("1/EBSD/Data/Processed Patterns", np.zeros((20, 48), "u1"), "height, width"),
        ("1/EBSD/Data/Processed Patterns", np.zeros((3, 6, 8), "u1"), "3 patterns"),
        ("1/EBSD/Header/Phases/2/Lattice Angles", np.zeros((1, 2), "f4"), "three angles"),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, values: object, reason: str) -> None:
    path = tmp_path / "map.h5oina"
    write_h5oina(path)
    edit(path, name, values)
    with pytest.raises(FileFormatError, match=reason) as caught:
        FORMAT.read(path, None)
    assert str(path) in str(caught.value)


def test_a_file_without_ebsd_says_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "eds.h5oina"
    write_h5oina(path, eds=True)
    edit(path, "1/EBSD", None)
    for action in (FORMAT.scans, lambda p: FORMAT.read(p, None)):
        with pytest.raises(FileFormatError, match="no EBSD map, but EDS"):
            action(path)


def test_not_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "map.h5oina"
    path.write_bytes(b"not HDF5")
    assert not FORMAT.sniff(path, path.read_bytes())
    with pytest.raises(FileFormatError, match="cannot be opened as HDF5"):
        FORMAT.read(path, None)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "map.h5oina"
    write_h5oina(path, processed=True, eds=True)
    return path.read_bytes()


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_damage_gives_a_map_or_one_clear_error(sound: bytes, tmp_path: Path, data) -> None:
    path = tmp_path / "hurt.h5oina"
    hurt_hdf5(path, sound, data, 20)
    check_map_or_error(FORMAT, path)


@pytest.mark.parametrize("value", [0, 1, np.nan, -5, 1e9])
def test_an_odd_pattern_centre_is_not_told(tmp_path: Path, value: float) -> None:
    path = tmp_path / "map.h5oina"
    write_h5oina(path)
    with h5py.File(path, "r+") as file:
        data = file["1/EBSD/Data"]
        for name in ("Pattern Center X", "Pattern Center Y", "Detector Distance"):
            data[name][...] = value
    scan = read(path)
    assert scan.camera is not None
    assert not scan.camera.tells_centre
    assert scan.camera.sample_tilt == pytest.approx(69.9, abs=1e-4)
    assert scan.detector is None
    assert len([w for w in scan.source.warnings if "geometry" in w]) == 1


def test_a_pixel_without_a_pattern_centre_gets_the_mean(tmp_path: Path) -> None:
    path = tmp_path / "map.h5oina"
    truth = write_h5oina(path)
    with h5py.File(path, "r+") as file:
        file["1/EBSD/Data/Detector Distance"][7] = np.nan
    camera = read(path).camera
    assert camera is not None
    assert camera.pc is not None
    others = np.delete(truth["pc"].astype(float), 7, axis=0)
    np.testing.assert_allclose(camera.pc[1, 2], others.mean(axis=0), atol=1e-6)
