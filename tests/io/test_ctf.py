"""Channel text files (.ctf) of all writers: read right, written back, or refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from orix.quaternion import Rotation
from orix.quaternion.symmetry import D6, O
from scipy.spatial import cKDTree

from napari_ebsdml.errors import (
    EbsdmlError,
    FileFormatError,
    GridError,
    UnsupportedFormatError,
    WriteError,
)
from napari_ebsdml.io import ctf as ctf_format
from napari_ebsdml.io import read, write
from napari_ebsdml.io.frames import FRAMES, crystal_turn, multiply
from tests.io.damage import read_or_error, same_rotation
from tests.io.writers_text import CTF_TITLES, ctf, make_points

CONJUGATE = np.array([1.0, -1, -1, -1])


def store(folder: Path, text: str, name: str = "map.ctf") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def expected(points) -> np.ndarray:
    """Orientations by orix and the definition of Oxford's frame (phase 2 is hexagonal)."""
    frame = FRAMES["oxford"]
    degrees = np.round(np.degrees(points.euler), 4)
    q = multiply(Rotation.from_euler(degrees, degrees=True).data, np.array(frame.specimen_turn))
    turned = multiply(crystal_turn(frame), q)
    q = np.where(points.phase[:, None] == 2, turned, q)
    return np.where(points.phase[:, None] > 0, q, 0)


@pytest.mark.parametrize("writer", ["oxford", "bruker", "emsoft", "astar", "mtex"])
@pytest.mark.parametrize("comma", [False, True])
def test_writers(tmp_path, writer, comma):
    points = make_points(n_phases=2)
    path = store(tmp_path, ctf(points, writer, comma=comma))
    assert ctf_format.sniff(path, path.read_bytes()[:4096])
    scan = read(path)
    assert scan.shape == (4, 6)
    assert scan.step == pytest.approx((0.5, 0.25))
    np.testing.assert_array_equal(scan.phase_id.ravel(), np.where(points.phase, points.phase, -1))
    assert same_rotation(scan.quaternions, expected(points))
    assert scan.phases.names == ["Ferrite", "Titanium"]
    assert [p.laue.name for p in scan.phases.point_groups] == ["m-3m", "6/mmm"]
    groups = [None if g is None else g.number for g in scan.phases.space_groups]
    assert groups == ([None, None] if writer == "mtex" else [229, 194])
    if writer == "emsoft":
        assert list(scan.prop) == ["pattern_index", "Error", "DP", "OSM", "IQ"]
        assert scan.get("pattern_index").max() > 255
    else:
        assert list(scan.prop) == ["Bands", "Error", "MAD", "BC", "BS"]
        assert scan.get("BC").dtype == np.uint8
        np.testing.assert_array_equal(scan.get("BC").ravel(), points.quality["BC"])
    assert scan.source.header["KV"] == 20.5


def test_columns_go_by_their_names(tmp_path):
    points = make_points()
    titles = ["X", "Y", "Phase", "Euler3", "Euler2", "Euler1", "Grain Index", "BC"]
    scan = read(store(tmp_path, ctf(points, titles=titles, end="\n")))
    assert same_rotation(scan.quaternions, expected(points))
    assert list(scan.prop) == ["Grain Index", "BC"]
    assert np.all(scan.get("grain index") == 7)


@pytest.mark.parametrize("missing", ["Phase", "X", "Euler2"])
def test_a_missing_column_is_named(tmp_path, missing):
    titles = [title for title in CTF_TITLES if title != missing]
    with pytest.raises(FileFormatError, match=missing):
        read(store(tmp_path, ctf(make_points(), titles=titles)))


def test_rounded_coordinates(tmp_path):
    """ASTAR writes 0.0019 for a step of 0.00192: the last of 60 columns is 0.6 steps off."""
    points = make_points((3, 60), (0.00192, 0.00192))
    rounded = make_points((3, 60), (0.0019, 0.0019))
    text = ctf(rounded, "astar", step_text="0.00191999995708466")
    scan = read(store(tmp_path, text))
    assert scan.shape == (3, 60)
    text = ctf(points, "astar", decimals=4, step_text="0.00191999995708466")
    scan = read(store(tmp_path, text))
    assert scan.shape == (3, 60)
    assert scan.step == pytest.approx((0.00192, 0.00192), rel=1e-6)
    assert same_rotation(scan.quaternions, expected(points))


def test_acquisition_angles_warn(tmp_path):
    scan = read(store(tmp_path, ctf(make_points(), acquisition=(-90, 0, 0))))
    assert scan.source.header["AcqE1"] == -90
    assert any("-90" in warning for warning in scan.source.warnings)


def test_angles_in_radians_warn(tmp_path):
    points = make_points((20, 20))
    points.euler = np.radians(points.euler)
    scan = read(store(tmp_path, ctf(points)))
    assert any("radians" in warning for warning in scan.source.warnings)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("Phases\t1", "Phases\tone", "line 13: Phases must be followed by a whole number"),
        ("Phases\t1", "Phases\t9", "line 13: 9 phases"),
        ("90;90;90", "90;90", "line 14: a phase needs"),
        ("XCells\t6", "XCells\tmany", "line 5: XCells must be a number"),
        ("Phase\tX", "Phase\tU", "lacks X"),
        ("\tEuler1\t", "\tEulerA\t", "no line names the columns"),
        ("\t0.2500\t0.0000\t", "\t0.2500\t", "line 17: 10 values where 11"),
        ("\t0.2500\t0.0000\t", "\tx\t0.0000\t", "line 17: 'x' in column 2"),
        ("\t0.2500\t0.0000\t", "\tnan\t0.0000\t", "coordinates"),
    ],
)
def test_damage_is_named(tmp_path, old, new, match):
    text = ctf(make_points(not_indexed=0))
    assert old in text
    with pytest.raises((FileFormatError, GridError), match=match):
        read(store(tmp_path, text.replace(old, new, 1)))


def test_volumes_are_refused(tmp_path):
    text = ctf(make_points()).replace("XStep", "ZCells\t3\r\nXStep")
    with pytest.raises(UnsupportedFormatError, match="3 slices"):
        read(store(tmp_path, text))


@pytest.mark.parametrize("n_phases", [1, 2])
def test_round_trip_is_exact_to_the_digits(tmp_path, n_phases):
    points = make_points((5, 7), n_phases=n_phases, seed=3)
    path = store(tmp_path, ctf(points))
    first = read(path)
    write(tmp_path / "again.ctf", first)
    skip = 14 + n_phases
    old = np.loadtxt(path, skiprows=skip)
    new = np.loadtxt(tmp_path / "again.ctf", skiprows=skip)
    np.testing.assert_array_equal(old, new)
    second = read(tmp_path / "again.ctf")
    assert same_rotation(second.quaternions, first.quaternions, 1e-12)
    assert second.phases.names == first.phases.names
    assert second.source.header["KV"] == 20.5
    write(tmp_path / "third.ctf", second)
    assert (tmp_path / "third.ctf").read_bytes() == (tmp_path / "again.ctf").read_bytes()


def test_ang_and_ctf_agree_on_the_orientation(tmp_path):
    """Through the other vendor's frame and back; hexagonal crystals change their x axis."""
    points = make_points((5, 7), n_phases=2, seed=5)
    first = read(store(tmp_path, ctf(points)))
    write(tmp_path / "map.ang", first)
    second = read(tmp_path / "map.ang")
    np.testing.assert_array_equal(second.phase_id, first.phase_id)
    assert same_rotation(second.quaternions, first.quaternions, 1e-5)
    for name in first.prop:
        np.testing.assert_array_equal(second.get(name), first.get(name))
    write(tmp_path / "back.ctf", second)
    third = read(tmp_path / "back.ctf")
    assert same_rotation(third.quaternions, first.quaternions, 1e-5)
    np.testing.assert_array_equal(third.get("Error") == 3, ~first.is_indexed)


def test_orix_reads_what_is_written(tmp_path):
    import orix.io

    path = store(tmp_path, ctf(make_points((5, 7), n_phases=2, seed=4)))
    write(tmp_path / "again.ctf", read(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old, new = orix.io.load(path), orix.io.load(tmp_path / "again.ctf")
    assert old.shape == new.shape
    assert old.phases.names == new.phases.names
    np.testing.assert_array_equal(old.phase_id, new.phase_id)
    indexed = old.is_indexed
    assert same_rotation(old.rotations.data[indexed], new.rotations.data[indexed], 1e-9)
    for name in old.prop:
        np.testing.assert_allclose(old.prop[name], new.prop[name], atol=1e-9)


def test_writing_to_a_bad_place(tmp_path):
    scan = read(store(tmp_path, ctf(make_points())))
    with pytest.raises(WriteError, match="no folder"):
        write(tmp_path / "absent" / "map.ctf", scan)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("ctf")


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_mangled_files_give_the_right_map_or_one_clear_error(folder, data):
    points = make_points((3, 5), seed=data.draw(st.integers(0, 5)), not_indexed=0.1)
    writer = data.draw(st.sampled_from(["oxford", "bruker", "emsoft", "astar", "mtex"]))
    text = ctf(points, writer, comma=data.draw(st.booleans()))
    *head, body = text.partition("BS\r\n")
    lines = body.splitlines(True)
    how = data.draw(st.sampled_from(["cut", "insert", "shuffle", "twice", "column", "huge"]))
    row = data.draw(st.integers(1, len(lines) - 1))
    if how == "cut":
        text = text[: data.draw(st.integers(0, len(text) - 1))]
    else:
        values = lines[row].split("\t")
        if how == "insert":
            lines.insert(row, data.draw(st.sampled_from(["junk\r\n", "1\t2\r\n", "\0\r\n", "#\n"])))
        elif how == "shuffle":
            lines = data.draw(st.permutations(lines))
        elif how == "twice":
            lines.insert(row, lines[row])
        elif how == "column":
            lines[row] = "\t".join(values[1:])
        else:
            values[data.draw(st.integers(0, 2))] = "1e300"
            lines[row] = "\t".join(values)
        text = "".join(head) + "".join(lines)
    path = store(folder, text, "mangled.ctf")
    scan = read_or_error(path)
    if isinstance(scan, EbsdmlError):
        assert str(path) in str(scan)
        assert how != "shuffle"
        return
    assert how in ("cut", "shuffle", "twice")
    if how == "cut":
        # A line end of which only the second byte is lost changes nothing.
        assert scan.source.warnings
        found = scan.is_indexed.ravel().copy()
        # A first line cut within its last angle is a whole line of a file without qualities.
        if found.size == 1 and any("may be cut off" in w for w in scan.source.warnings):
            found[:] = False
        assert same_rotation(
            scan.quaternions.reshape(-1, 4)[found], expected(points)[: found.size][found]
        )
    else:
        assert scan.shape == (3, 5)
        assert same_rotation(scan.quaternions, expected(points))


def test_malformed_files(shared):
    american = read(shared / "malformed" / "Test_US_1.ctf")
    european = read(shared / "malformed" / "Test_European_1.ctf")
    np.testing.assert_array_equal(american.quaternions, european.quaternions)
    assert american.step == european.step == (0.5, 0.5)
    assert european.phases[1].structure.lattice.a == 3.231
    for name in american.prop:
        np.testing.assert_array_equal(american.prop[name], european.prop[name])
    short = read(shared / "malformed" / "ShortFile.ctf")
    assert any("500" in warning for warning in short.source.warnings)
    assert read(shared / "malformed" / "ZeroXYCells.ctf").shape == (1, 2)


def neighbours(scan) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Orientations on both sides of each edge between indexed pixels, and the edge's x, y."""
    q, known = scan.quaternions, scan.is_indexed
    first, second, at = [], [], []
    for here, there, shift in (
        (np.s_[:, :-1], np.s_[:, 1:], (0.5, 0)),
        (np.s_[:-1], np.s_[1:], (0, 0.5)),
    ):
        both = known[here] & known[there]
        first.append(q[here][both])
        second.append(q[there][both])
        at.append(np.argwhere(both)[:, ::-1] + shift)
    return np.concatenate(first), np.concatenate(second), np.concatenate(at)


def disorientation(a: np.ndarray, b: np.ndarray, symmetry: np.ndarray):
    """Angle in degrees and axis in crystal coordinates of the smallest equivalent rotation."""
    between = multiply(b, a * CONJUGATE)
    angle, axis = np.full(len(a), 360.0), np.zeros((len(a), 3))
    # An operation on the other side gives the same angles, about symmetrically equivalent axes.
    for operation in symmetry:
        turn = multiply(operation, between)
        size = np.linalg.norm(turn[:, 1:], axis=1)
        new = 2 * np.degrees(np.arctan2(size, np.abs(turn[:, 0])))
        better = new < angle
        angle[better] = new[better]
        axis[better] = turn[better, 1:] / np.maximum(size[better, None], 1e-12)
    return angle, axis


@pytest.mark.parametrize(("frame", "azimuth"), [(None, 0), ("map", 30)])
def test_tensile_twins_of_magnesium_turn_about_an_a_axis(shared, frame, azimuth):
    """{10-12} twins: 86.3 degrees about <11-20>; as the file stands, that is not along x."""
    scan = read(shared / "maps" / "mg_twins.ctf", ref_frame=frame)
    a, b, _ = neighbours(scan)
    angle, axis = disorientation(a, b, D6.data)
    twin = (np.abs(angle - 86.3) < 3) & (np.abs(axis[:, 2]) < np.sin(np.radians(10)))
    assert twin.sum() > 1500
    # Along an a axis, the azimuth from x is a multiple of 60 degrees.
    found = np.degrees(np.arctan2(axis[twin, 1], axis[twin, 0]))
    off = np.abs((found - azimuth + 30) % 60 - 30)
    assert np.mean(off < 5) > 0.95
    assert np.median(off) < 0.5


def turn_to_specimen(q: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Crystal directions (k, 3) in the frame of the map, (n, k, 3)."""
    four = np.concatenate((np.zeros((len(v), 1)), v), axis=1)
    back = (q * CONJUGATE)[:, None]
    return multiply(multiply(back, four[None]), q[:, None])[..., 1:]


def trace_deviation(scan, symmetry, angle, tolerance, normals) -> np.ndarray:
    """Angles in degrees between straight twin boundaries and the traces of their twin planes."""
    a, b, at = neighbours(scan)
    twin = np.abs(disorientation(a, b, symmetry)[0] - angle) < tolerance
    a, b, at = a[twin], b[twin], at[twin]
    planes = turn_to_specimen(a, normals)
    shared_by = np.abs(np.einsum("nik,njk->nij", planes, turn_to_specimen(b, normals)))
    shared_by = shared_by.max(axis=2)
    best = shared_by.argmax(axis=1)
    normal = planes[np.arange(len(a)), best]
    usable = (shared_by.max(axis=1) > np.cos(np.radians(4))) & (np.abs(normal[:, 2]) < 0.9)
    tree = cKDTree(at)
    out = []
    for i in np.flatnonzero(usable):
        near = at[tree.query_ball_point(at[i], 5)]
        _, size, direction = np.linalg.svd(near - near.mean(axis=0), full_matrices=False)
        if len(near) < 8 or size[1] > 0.2 * size[0]:
            continue
        trace = np.array([-normal[i, 1], normal[i, 0]]) / np.hypot(*normal[i, :2])
        out.append(np.degrees(np.arccos(min(1.0, abs(trace @ direction[0])))))
    return np.array(out)


def test_twin_planes_of_magnesium_lie_along_their_boundaries(shared):
    """Ties Oxford's specimen axes to the map's, but for a half turn about the map's normal."""
    scan = read(shared / "maps" / "mg_twins.ctf")
    lattice = scan.phases[1].structure.lattice
    azimuth = np.radians(30 + 60 * np.arange(6))
    normals = np.stack(
        (np.cos(azimuth) * 2 / np.sqrt(3), np.sin(azimuth) * 2 / np.sqrt(3),
         np.full(6, 2 * lattice.a / lattice.c)), axis=-1,
    )  # fmt: skip
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    deviation = trace_deviation(scan, D6.data, 86.3, 3, normals)
    assert deviation.size > 300
    assert np.median(deviation) < 10


@pytest.mark.parametrize("name", ["ni_superalloy.cpr", "edax_ni.h5"])
def test_twin_planes_of_nickel_lie_along_their_boundaries(shared, name):
    """The same from Sigma 3 boundaries, which follow {111}, for Oxford's and EDAX's frames."""
    scan = read(shared / "maps" / name).crop(slice(0, 120))
    normals = np.array([(1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1)]) / np.sqrt(3)
    deviation = trace_deviation(scan, O.data, 60, 2, normals)
    assert deviation.size > 100
    assert np.median(deviation) < 6


def test_a_list_of_points_is_no_map(tmp_path):
    rng = np.random.default_rng(2)
    points = make_points((6, 10), (20, 20), not_indexed=0)
    text = ctf(points)
    head, _, rows = text.partition("Phase\tX")
    titles, *table = rows.splitlines()
    places = rng.permutation(40_000)[:60]
    for i, place in enumerate(places):
        words = table[i].split("\t")
        words[1:3] = f"{place // 200 * 20}", f"{place % 200 * 20}"
        table[i] = "\t".join(words)
    head = head.replace("JobMode\tGrid", "JobMode\tInteractive\r\nNoMeas\t60")
    head = "\r\n".join(
        line for line in head.splitlines() if line[:2] not in ("XC", "YC", "XS", "YS")
    )
    path = store(tmp_path, f"{head}\r\nPhase\tX{titles}\r\n" + "\r\n".join(table) + "\r\n")
    with pytest.raises(GridError, match=r"list of 60 single points \(JobMode Interactive\)"):
        read(path)


def test_a_last_column_that_is_named_but_absent(tmp_path):
    points = make_points()
    lines = ctf(points).splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("Phase\tX"))
    lines[at + 1 :] = [line.rpartition("\t")[0] for line in lines[at + 1 :]]
    scan = read(store(tmp_path, "\r\n".join(lines) + "\r\n"))
    assert list(scan.prop) == ["Bands", "Error", "MAD", "BC"]
    assert any("BS is taken to be left out" in warning for warning in scan.source.warnings)


def test_utf16_is_named(tmp_path):
    path = tmp_path / "map.ctf"
    path.write_bytes(ctf(make_points()).encode("utf-16"))
    with pytest.raises(FileFormatError, match="UTF-16"):
        read(path)
