"""EDAX .oh5 and .h5 files: a real one, kikuchipy's, and written ones."""

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
from napari_ebsdml.io.edax_h5 import FORMAT
from napari_ebsdml.io.frames import FRAMES
from tests.io.damage import check_map_or_error, edit, hurt_hdf5
from tests.io.writers_hdf5 import write_edax


def read(path: Path, scan: str | None = None, frame: str | None = None):
    return scan_from_raw(FORMAT.read(path, scan), frame)


@pytest.mark.parametrize("order", ["<", ">"])
def test_read_as_written_in_either_byte_order(tmp_path: Path, order: str) -> None:
    path = tmp_path / "map.h5"
    truth = write_edax(path, order=order)
    assert FORMAT.sniff(path, path.read_bytes()[:4096])
    scan = read(path, frame="map")
    assert scan.shape == (5, 6)
    assert scan.step == (1.5, 1.5)
    assert scan.is_indexed.all()
    expected = Rotation.from_euler(truth["euler"].astype(float)).data
    dot = np.abs(np.sum(scan.quaternions.reshape(-1, 4) * expected, axis=1))
    assert np.degrees(2 * np.arccos(dot.clip(0, 1))).max() < 1e-4
    for name in ("IQ", "CI", "Fit"):
        np.testing.assert_array_equal(scan.prop[name].ravel(), truth[name])
        assert scan.prop[name].dtype.isnative
    phase = scan.phases[1]
    assert phase.point_group.name == "m-3m"
    assert phase.structure.lattice.a == pytest.approx(3.56, rel=1e-12)
    np.testing.assert_array_equal(scan.patterns[4, 2].compute(), truth["patterns"][26])


def test_detector_in_edax_convention(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    write_edax(path)
    detector = read(path).detector
    # EDAX counts y from the bottom and z in the shorter side (6 of 6 x 8).
    np.testing.assert_allclose(detector.pc.ravel(), (0.5, 1 - 0.7, 0.6), atol=1e-6)
    assert (detector.sample_tilt, detector.tilt, detector.azimuthal) == (70, 5, 1)


def test_real_map(shared: Path) -> None:
    path = shared / "maps" / "edax_ni.h5"
    scan = read(path)
    assert (scan.shape, scan.step) == ((151, 186), (1.5, 1.5))
    assert FORMAT.scans(path) == ["Scan_1"]
    assert scan.source.reference_frame == "edax"
    with h5py.File(path) as file:
        data = file["Scan_1/EBSD/Data"]
        np.testing.assert_array_equal(scan.prop["IQ"].ravel(), data["IQ"][()])
        unsolved = data["Fit"][()] >= 180
    np.testing.assert_array_equal(~scan.is_indexed.ravel(), unsolved)
    assert list(scan.phases.names) == ["Nickel"]
    # A recrystallised nickel: pixels next to each other in a grain agree within a degree or so.
    from orix.quaternion import Misorientation, symmetry

    q = scan.quaternions
    left, right = Rotation(q[20:60, 20:60]), Rotation(q[20:60, 21:61])
    both = Misorientation((right * ~left), symmetry=(symmetry.Oh, symmetry.Oh))
    angle = np.rad2deg(both.reduce().angle)
    assert np.median(angle) < 2


def test_file_of_kikuchipy() -> None:
    kikuchipy = pytest.importorskip("kikuchipy")
    path = Path(kikuchipy.__file__).parent / "data" / "edax_h5ebsd" / "patterns.h5"
    scan = read(path)
    assert scan.shape == (3, 3)
    assert any("same coordinates" in text for text in scan.source.warnings)
    theirs = kikuchipy.load(path, lazy=True)
    np.testing.assert_array_equal(scan.patterns.compute(), theirs.data.compute())
    assert scan.camera is not None
    assert scan.camera.sample_tilt == theirs.detector.sample_tilt
    # The file's pattern centre is (0, 0, 0).
    assert not scan.camera.tells_centre
    assert any("placeholder" in text for text in scan.source.warnings)


def test_points_outside_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    outside = (0, 5, 6, 24, 29)
    truth = write_edax(path, outside=outside)
    scan = read(path)
    assert scan.shape == (5, 6)
    np.testing.assert_array_equal(np.flatnonzero(~scan.is_measured), outside)
    assert not scan.is_indexed[~scan.is_measured].any()
    inside = np.setdiff1d(np.arange(30), outside)
    np.testing.assert_array_equal(scan.prop["IQ"].ravel()[inside], truth["IQ"][inside])
    np.testing.assert_array_equal(
        scan.patterns.compute().reshape(30, 6, 8)[inside], truth["patterns"][inside]
    )


def test_a_whole_row_outside_keeps_the_size_of_the_header(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    write_edax(path, outside=tuple(range(6)))
    scan = read(path)
    assert scan.shape == (5, 6)
    assert not scan.is_measured[0].any()
    assert scan.is_measured[1:].all()


@pytest.mark.parametrize(
    ("name", "value"),
    [("CI", -1.0), ("Fit", 180.0), ("Valid", 1), ("Phi", 4 * np.pi), ("Phase", -1)],
)
def test_points_without_a_solution(tmp_path: Path, name: str, value: float) -> None:
    path = tmp_path / "map.h5"
    write_edax(path)
    with h5py.File(path, "a") as file:
        for each in ("Phi1", "Phi", "Phi2") if name == "Phi" else (name,):
            file[f"Scan_1/EBSD/Data/{each}"][8] = value
    scan = read(path)
    np.testing.assert_array_equal(np.flatnonzero(~scan.is_indexed), [8])
    assert scan.is_measured is None


def test_several_phases_and_zero_for_none(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    write_edax(path, phases=2)
    with h5py.File(path, "a") as file:
        file["Scan_1/EBSD/Data/Phase"][4] = 0
    scan = read(path)
    expected = 1 + np.arange(30) % 2
    expected[4] = -1
    np.testing.assert_array_equal(scan.phase_id.ravel(), expected)
    assert scan.phases[2].point_group.name == "6/mmm"


def test_numbering_of_newer_versions(tmp_path: Path) -> None:
    # OIM 8 numbers a single phase 1, so that 0 means not indexed, and names codes differently.
    path = tmp_path / "map.oh5"
    write_edax(path)
    with h5py.File(path, "a") as file:
        phase = file["Scan_1/EBSD/Data/Phase"]
        phase[...] = 1
        phase[3] = 0
        header = file["Scan_1/EBSD/Header/Phase/1"]
        del header["Symmetry"], header["Point Group"]
        header["LGsymID"], header["SpaceGroupNumber"] = np.int32([43]), np.int32([225])
    scan = read(path)
    np.testing.assert_array_equal(np.flatnonzero(~scan.is_indexed), [3])
    assert scan.phases[1].space_group.number == 225


def test_hexagonal_grid(tmp_path: Path) -> None:
    path = tmp_path / "map.h5"
    truth = write_edax(path, rows=12, columns=10, hexagonal=True)
    scan = read(path)
    points = scan.source.hexagonal
    assert points is not None
    assert points.x.size == 12 * 10 - 6
    assert scan.step == (1.5, 1.5)
    np.testing.assert_array_equal(scan.prop["IQ"], truth["IQ"][points.nearest])
    np.testing.assert_array_equal(scan.patterns.compute(), truth["patterns"][points.nearest])


# A1 and A2 on the map as the schematics in EDAX files draw them; y of a Scan runs down.
@pytest.mark.parametrize(
    ("system", "a1", "a2"),
    [(1, (0, 1), (1, 0)), (2, (0, -1), (-1, 0)), (3, (-1, 0), (0, 1)), (4, (1, 0), (0, -1))],
)
def test_coordinate_system_chooses_the_frame(
    tmp_path: Path, system: int, a1: tuple[int, int], a2: tuple[int, int]
) -> None:
    path = tmp_path / "map.h5"
    write_edax(path, system=system)
    frame = FRAMES[FORMAT.read(path, None).frame]
    w, *v = frame.specimen_turn
    matrix = 2 * np.outer(v, v) - np.eye(3)  # a half turn about v
    assert w == 0
    np.testing.assert_allclose(matrix[0], (*a1, 0), atol=1e-12)
    np.testing.assert_allclose(matrix[1], (*a2, 0), atol=1e-12)
    np.testing.assert_allclose(matrix[2], (0, 0, -1), atol=1e-12)


@pytest.mark.parametrize("system", [None, -1])
def test_unknown_coordinate_system(tmp_path: Path, system: int | None) -> None:
    path = tmp_path / "map.h5"
    write_edax(path, system=system)
    raw = FORMAT.read(path, None)
    assert raw.frame == "edax"
    assert bool(raw.warnings) == (system is not None)


def test_nested_scans(tmp_path: Path) -> None:
    path = tmp_path / "map.oh5"
    names = ("Project/Sample/Area 1/OIM Map 1", "Project/Sample/Area 2/OIM Map 1")
    write_edax(path, scans=names)
    assert FORMAT.scans(path) == list(names)
    assert read(path, names[1]).shape == (5, 6)
    with pytest.raises(InputError, match="Area 1"):
        FORMAT.read(path, "Area 3")


def test_project_files_are_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "project.edaxh5"
    with h5py.File(path, "w") as file:
        file["Project/Sample/Area 1/OIM Map 1/EBSD/ANG/DATA/DATA"] = np.zeros(4)
    assert FORMAT.sniff(path, path.read_bytes()[:4096])
    for action in (FORMAT.scans, lambda p: FORMAT.read(p, None)):
        with pytest.raises(UnsupportedFormatError, match=r"export the map as \.ang"):
            action(path)


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("Data/Phi", None, "missing"),
        ("Data/Phase", None, "missing"),
        ("Header", None, "missing"),
        ("Header/nRows", None, "missing"),
        ("Header/nRows", np.int32([4]), "30 points"),
        ("Header/nColumns", np.int32([-6]), "at least 1"),
        ("Data/Phi", np.zeros(29, "f4"), "29 points"),
        ("Data/Phi2", np.full(30, np.nan, "f4"), "numbers"),
        ("Data/Phi2", np.full(30, 300, "f4"), "radians"),
        ("Data/CI", np.zeros(31, "f4"), "31 points"),
        ("Data/Phase", np.full(30, 7, "i1"), "phase 7; the header lists 1"),
        ("Data/Phase", np.full(30, 0.5, "f4"), "not whole"),
        ("Data/Valid", np.full(30, 2, "i1"), "no map"),
        ("Data/Pattern", np.zeros((30, 48), "u1"), "height, width"),
        ("Header/Grid Type", np.array([b"Penrose"]), "Penrose"),
    ],
)
def test_damage_is_named(tmp_path: Path, name: str, values: object, reason: str) -> None:
    path = tmp_path / "map.h5"
    write_edax(path)
    edit(path, f"Scan_1/EBSD/{name}", values)
    with pytest.raises(FileFormatError, match=reason) as caught:
        FORMAT.read(path, None)
    assert str(path) in str(caught.value)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "map.h5"
    write_edax(path, outside=(3,))
    return path.read_bytes()


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_damage_gives_a_map_or_one_clear_error(sound: bytes, tmp_path: Path, data) -> None:
    path = tmp_path / "hurt.h5"
    hurt_hdf5(path, sound, data, 30)
    check_map_or_error(FORMAT, path)
