"""EDAX .ang files and their relatives: every variant read right, written back, or refused."""

from __future__ import annotations

import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from orix.quaternion import Rotation

from napari_ebsdml.errors import EbsdmlError, FileFormatError, WriteError
from napari_ebsdml.io import ang, read, write
from napari_ebsdml.io.frames import FRAMES, multiply
from tests.io.damage import read_or_error, same_rotation
from tests.io.writers_text import (
    ANG_TOP,
    ang_astar,
    ang_edax,
    ang_emsoft,
    ang_grid,
    ang_phases,
    make_points,
)

MALFORMED = ["GridMissing.ang", "MissingHeader_1.ang"]


def store(folder: Path, text: str, name: str = "map.ang") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


def expected(points) -> np.ndarray:
    """Orientations by orix and the definition of EDAX's frame."""
    file = Rotation.from_euler(points.euler).data
    turned = multiply(file, np.array(FRAMES["edax"].specimen_turn))
    return np.where(points.phase[:, None] > 0, turned, 0)


@pytest.mark.parametrize("variant", ["old", "new", "cropped"])
@pytest.mark.parametrize("n_phases", [1, 2])
def test_edax(tmp_path, variant, n_phases):
    points = make_points(n_phases=n_phases)
    path = store(tmp_path, ang_edax(points, variant))
    assert ang.sniff(path, path.read_bytes()[:4096])
    scan = read(path)
    assert scan.shape == (4, 6)
    assert scan.step == pytest.approx((0.5, 0.25))
    assert scan.source.warnings == ()
    np.testing.assert_array_equal(scan.phase_id.ravel(), np.where(points.phase, points.phase, -1))
    assert same_rotation(scan.quaternions, expected(points))
    assert scan.phases.names == ["Ferrite", "Titanium"][:n_phases]
    assert [p.laue.name for p in scan.phases.point_groups] == ["m-3m", "6/mmm"][:n_phases]
    for name in ("IQ", "SEM"):
        np.testing.assert_allclose(scan.get(name).ravel(), points.quality[name], rtol=1e-7)
    np.testing.assert_allclose(
        scan.get("fit")[scan.is_indexed], points.quality["fit"][points.phase > 0], rtol=1e-6
    )
    if variant == "new":
        assert np.all(scan.get("PRIAS Center Square") == 20.5)
    header = scan.source.header
    assert (header["x-star"], header["z-star"], header["WorkingDistance"]) == (0.5216, 0.69, 14)


def test_emsoft(tmp_path):
    points = make_points(n_phases=2, not_indexed=0)
    scan = read(store(tmp_path, ang_emsoft(points)))
    assert list(scan.prop) == ["IQ", "DP"]
    assert scan.source.header["writer"] == "emsoft"
    np.testing.assert_array_equal(scan.phase_id.ravel(), points.phase)
    assert same_rotation(scan.quaternions, expected(points))


def test_astar_lengths_are_nanometres(tmp_path):
    points = make_points(not_indexed=0)
    scan = read(store(tmp_path, ang_astar(points)))
    assert scan.step == pytest.approx((0.5, 0.25))
    assert list(scan.prop) == ["ind", "rel", "relx100"]
    assert scan.phases.names == ["Nickel"]
    assert scan.is_indexed.all()


def test_unnamed_columns_byte_order_mark_and_latin1(tmp_path):
    points = make_points(not_indexed=0)
    text = ang_edax(points).replace("Ferrite", "Weißblech").replace(" \n", " 0.5 1.5 \n")
    path = tmp_path / "latin.ang"
    path.write_bytes(text.encode("latin-1"))
    scan = read(path)
    assert scan.phases.names == ["Weißblech"]
    assert list(scan.prop)[-2:] == ["unknown1", "unknown2"]
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read(path).phases.names == ["Weißblech"]


def test_not_indexed_by_any_of_the_marks(tmp_path):
    points = make_points(not_indexed=0)
    lines = ang_edax(points).splitlines()
    row = len(lines) - 24
    marks = [(6, "-1.000"), (9, "180.000"), (7, "-1")]
    for k, (column, value) in enumerate(marks):
        values = lines[row + k].split()
        values[column] = value
        lines[row + k] = " ".join(values)
    values = lines[row + 3].split()
    lines[row + 3] = " ".join(["12.56637"] * 3 + values[3:])
    scan = read(store(tmp_path, "\n".join(lines) + "\n"))
    np.testing.assert_array_equal(np.flatnonzero(~scan.is_indexed.ravel()), [0, 1, 2, 3])


def test_header_without_grid_is_enough(tmp_path):
    points = make_points()
    scan = read(store(tmp_path, ang_edax(points).replace(ang_grid(points), "")))
    assert scan.shape == (4, 6)
    assert scan.step == pytest.approx((0.5, 0.25))


def test_no_header_at_all(tmp_path):
    rows = [line for line in ang_edax(make_points()).splitlines(True) if not line.startswith("#")]
    scan = read(store(tmp_path, "".join(rows)))
    assert scan.shape == (4, 6)
    assert any("no phase" in warning for warning in scan.source.warnings)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("2.870 2.870 2.870 90", "2.870 2.870 90", "line 12: LatticeConstants needs six numbers"),
        ("      0.25000      0.00000", "      0.25000", "line 25: 9 values where 10"),
        ("      0.25000      0.00000", "      0.25000      0.0o0", "line 25: '0.0o0' in column 5"),
    ],
)
def test_damage_is_named(tmp_path, old, new, match):
    text = ang_edax(make_points(not_indexed=0))
    assert old in text
    with pytest.raises(FileFormatError, match=match):
        read(store(tmp_path, text.replace(old, new, 1)))


def test_degrees_are_refused(tmp_path):
    points = make_points(not_indexed=0)
    points = dataclasses.replace(points, euler=np.degrees(points.euler))
    with pytest.raises(FileFormatError, match="radians"):
        read(store(tmp_path, ang_edax(points)))


@pytest.mark.parametrize("n_phases", [1, 2])
def test_round_trip_is_exact_to_the_digits(tmp_path, n_phases):
    points = make_points((5, 7), (0.03, 0.00192), n_phases, seed=3)
    first = read(store(tmp_path, ang_edax(points, "new")))
    write(tmp_path / "again.ang", first)
    second = read(tmp_path / "again.ang")
    np.testing.assert_array_equal(second.phase_id, first.phase_id)
    assert same_rotation(second.quaternions, first.quaternions, 1e-12)
    assert list(second.prop) == list(first.prop)
    for name in first.prop:
        np.testing.assert_array_equal(second.prop[name], first.prop[name])
    assert second.step == pytest.approx(first.step)
    assert second.phases.names == first.phases.names
    # A second round changes no byte.
    write(tmp_path / "third.ang", second)
    assert (tmp_path / "third.ang").read_bytes() == (tmp_path / "again.ang").read_bytes()


def test_orix_reads_what_is_written(tmp_path):
    import orix.io

    points = make_points((5, 7), n_phases=2, seed=4)
    path = store(tmp_path, ang_edax(points))
    write(tmp_path / "again.ang", read(path))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        old = orix.io.load(path, autogen_names=False)
        new = orix.io.load(tmp_path / "again.ang", autogen_names=False)
    assert old.shape == new.shape
    assert old.phases.names == new.phases.names
    np.testing.assert_array_equal(old.phase_id, new.phase_id)
    indexed = old.is_indexed
    assert same_rotation(old.rotations.data[indexed], new.rotations.data[indexed], 1e-9)
    for name in old.prop:
        np.testing.assert_allclose(old.prop[name], new.prop[name], atol=1e-9)


def test_writing_to_a_bad_place(tmp_path):
    scan = read(store(tmp_path, ang_edax(make_points())))
    with pytest.raises(WriteError, match="no folder"):
        write(tmp_path / "absent" / "map.ang", scan)
    (tmp_path / "folder.ang").mkdir()
    with pytest.raises(WriteError, match="could not be written"):
        write(tmp_path / "folder.ang", scan)
    assert not list(tmp_path.glob(".*.part"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("ang")


@settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_mangled_files_give_the_right_map_or_one_clear_error(folder, data):
    points = make_points((3, 5), seed=data.draw(st.integers(0, 5)), not_indexed=0.1)
    text = ang_edax(points, data.draw(st.sampled_from(["old", "new", "cropped"])))
    head = text.rindex("#")
    head = text.index("\n", head) + 1
    lines = text[head:].splitlines(True)
    how = data.draw(
        st.sampled_from(["cut", "insert", "shuffle", "twice", "column", "nan", "remark"])
    )
    row = data.draw(st.integers(1, len(lines) - 1))
    if how == "cut":
        raw = text.encode()[: data.draw(st.integers(0, len(text) - 1))]
    else:
        if how == "insert":
            lines.insert(row, data.draw(st.sampled_from(["junk\n", "1 2 3\n", "\0\n"])))
        elif how == "remark":
            lines.insert(row, data.draw(st.sampled_from(["# remark\n", "#\n", "  # 1 2 3\n"])))
        elif how == "shuffle":
            lines = data.draw(st.permutations(lines))
        elif how == "twice":
            lines.insert(row, lines[row])
        elif how == "column":
            lines[row] = " ".join(lines[row].split()[1:]) + "\n"
        else:
            values = lines[row].split()
            values[data.draw(st.integers(0, len(values) - 1))] = "nan"
            lines[row] = " ".join(values) + "\n"
        raw = (text[:head] + "".join(lines)).encode()
    path = folder / "mangled.ang"
    path.write_bytes(raw)
    scan = read_or_error(path)
    if isinstance(scan, EbsdmlError):
        assert str(path) in str(scan)
        assert how != "shuffle"
        return
    assert how in ("cut", "shuffle", "twice", "nan", "remark")
    if how in ("shuffle", "twice", "remark"):
        assert scan.shape == (3, 5)
        assert same_rotation(scan.quaternions, expected(points))
    elif how == "cut":
        assert scan.source.warnings
        whole = scan.is_indexed.ravel()
        wanted = expected(points)[: whole.size]
        assert same_rotation(scan.quaternions.reshape(-1, 4)[whole], wanted[whole])


def test_real_files(shared):
    reference = np.load(shared / "reference" / "dc06_gnd_reference.npz")["q_raw"]
    scan = read(shared / "maps" / "DC06_2uniax.ang")
    assert scan.shape == (101, 51)
    # The reference takes crystal to specimen directions.
    inverse = scan.quaternions * np.array([1, -1, -1, -1])
    known = np.isfinite(reference).all(axis=-1)
    assert known.mean() > 0.95
    assert same_rotation(inverse[known], reference[known], 1e-6)
    assert scan.get("unknown2")[0, 0] == pytest.approx(4.1398519991067528e29, rel=1e-15)

    duplex = read(shared / "maps" / "duplex_steel_left.ang")
    assert duplex.shape == (100, 58)
    assert set(np.unique(duplex.phase_id)) == {1, 2}

    copper = read(shared / "maps" / "cu_hexgrid.ang")
    assert copper.source.hexagonal is not None
    assert np.count_nonzero(copper.source.hexagonal.phase_id < 0) == 2945

    for path in sorted((shared / "maps" / "iron_serial_sections").glob("*.ANG")):
        scan = read(path)
        assert (scan.shape, scan.step) == ((40, 35), pytest.approx((0.4, 0.4)))


@pytest.mark.parametrize("name", MALFORMED)
def test_headers_that_lack_the_grid(shared, name):
    scan = read(shared / "malformed" / name)
    assert (scan.shape, scan.step) == ((4, 40), (0.25, 0.25))


def test_a_file_that_ends_early(shared):
    scan = read(shared / "malformed" / "ShortFile.ang")
    assert any("88" in warning and "160" in warning for warning in scan.source.warnings)
    assert scan.is_measured is not None
    assert int(scan.is_measured.sum()) == 88


def mtex(points, symmetry: str, extra: str = "", signal: str = "1") -> str:
    """As MTEX exports a map: 10 columns, zeros where it has no data (phase 0 of `points`)."""
    head = ANG_TOP + ang_phases([1]).replace("# Phase 1", "# Phase 0").replace(
        "Symmetry              43", f"Symmetry              {symmetry}{extra}"
    )
    rows = []
    for i, phase in enumerate(points.phase):
        q = points.quality
        none = phase == 0
        row = "".join(f"{0 if none else angle:9.5f} " for angle in points.euler[i])
        row += f"{points.x[i]:12.5f} {points.y[i]:12.5f} "
        row += f"{0 if none else q['IQ'][i]:6.1f} {0 if none else q['CI'][i] + 0.1:6.3f}  0 "
        rows.append(row + f"{signal if signal == '1' else int(not none):>6} {0:6.3f} ")
    return head + ang_grid(points) + "\n".join(rows) + "\n"


@pytest.mark.parametrize("signal", ["1", "1 where measured"])
def test_points_that_are_all_zeros_are_not_indexed(tmp_path, signal):
    points = make_points((6, 8), not_indexed=0.15)
    missing = points.phase == 0
    # A real crystal may have angles of 0, and a real point an image quality of 0.
    at = np.flatnonzero(~missing)
    points.euler[at[0]] = 0
    points.quality["IQ"][at[1]] = 0
    scan = read(store(tmp_path, mtex(points, "m-3m", signal=signal)))
    np.testing.assert_array_equal(scan.phase_id.ravel(), np.where(missing, -1, 0))
    assert [w for w in scan.source.warnings if f"{missing.sum()} points have 0 in every" in w]
    # What is written is marked, so a point of zeros is a point.
    from napari_ebsdml.scan import Scan

    bare = Scan(
        quaternions=scan.quaternions,
        phase_id=scan.phase_id,
        phases=scan.phases,
        step=scan.step,
        prop={"IQ": np.where(np.arange(48).reshape(6, 8) == at[0], 0, scan.get("IQ"))},
    )
    write(tmp_path / "own.ang", bare)
    np.testing.assert_array_equal(read(tmp_path / "own.ang").is_indexed, scan.is_indexed)


def test_a_made_up_map_of_zeros_is_indexed(tmp_path):
    """One crystal with angles of 0 and no quality at all, as a simulation writes it."""
    points = make_points(not_indexed=0)
    points.euler[:12] = 0
    for name in ("IQ", "CI", "SEM", "fit"):
        points.quality[name][:] = 0
    scan = read(store(tmp_path, ang_edax(points)))
    assert scan.is_indexed.all()
    assert scan.source.warnings == ()


@pytest.mark.parametrize(
    ("symmetry", "extra", "laue", "group"),
    [
        ("131", "", "m-3m", "m-3m"),
        ("129", "", "m-3m", "432"),
        ("126", "", "6/mmm", "6/mmm"),
        ("117", "", "-3m", "-3m"),
        ("104", "", "2/m", "2/m"),
        ("137", "", "2/m", "2/m"),
        ("100", "", "-1", "-1"),
        ("12/m1", "", "2/m", "121"),
        ("-31m", "", "-3m", "312"),
        ("-62m", "", "6/mmm", "6/mmm"),
        ("43", "\n# PointGroupID          130", "m-3m", "-43m"),
        ("62", "\n# PointGroupID          126", "6/mmm", "6/mmm"),
    ],
)
def test_point_groups_by_number_and_by_symbol(tmp_path, symmetry, extra, laue, group):
    scan = read(store(tmp_path, mtex(make_points(not_indexed=0), symmetry, extra)))
    found = scan.phases[0].point_group
    assert (found.laue.name, found.name) == (laue, group)
    assert scan.source.warnings == ()


def test_every_point_group_number_has_its_laue_class():
    """In the order of the International Tables, as the space groups count them."""
    from orix.crystal_map import Phase

    from napari_ebsdml.io._phase_text import edax_symmetry
    from napari_ebsdml.io._phases import laue_of

    first = [1, 2, 3, 6, 10, 16, 25, 47, 75, 81, 83, 89, 99, 111, 123, 143, 147, 149, 156, 162, 168,
             174, 175, 177, 183, 187, 191, 195, 200, 207, 215, 221]  # fmt: skip
    for number, space_group in enumerate(first, 100):
        group, laue, problem = edax_symmetry(str(number))
        assert not problem
        expected = laue_of(Phase(space_group=space_group))
        assert laue == expected
        assert group is None or Phase(point_group=group).point_group.laue.name == expected
        assert edax_symmetry(None, number)[:2] == (group, laue)


def test_point_groups_that_cannot_be_are_told(tmp_path):
    text = mtex(make_points(), "43", "\n# PointGroupID          126")
    scan = read(store(tmp_path, text))
    assert scan.phases[0].point_group.name == "m-3m"
    assert any("Symmetry 43 is m-3m" in warning for warning in scan.source.warnings)
    unknown = read(store(tmp_path, mtex(make_points(), "138"))).source.warnings
    assert any("no point group '138' exists" in warning for warning in unknown)


def test_phases_by_name(tmp_path):
    """MTEX takes the name of a phase in the place of its number."""
    points = make_points((5, 7), n_phases=2, not_indexed=0.2)
    first = read(store(tmp_path, ang_edax(points)))
    text = ang_edax(points).replace("Ferrite", "Iron bcc (old)")
    lines = []
    for line in text.splitlines():
        words = line.split()
        if not line.startswith("#"):
            words[7] = {"1": "Iron bcc (old)", "2": "Titanium", "0": "notIndexed"}[words[7]]
            line = " ".join(words)
        lines.append(line)
    scan = read(store(tmp_path, "\n".join(lines) + "\n", "named.ang"))
    np.testing.assert_array_equal(scan.phase_id, first.phase_id)
    assert same_rotation(scan.quaternions, first.quaternions)
    with pytest.raises(FileFormatError, match=r"'Copper' in column 8 is not a number"):
        read(store(tmp_path, "\n".join(lines).replace(" Titanium ", " Copper ") + "\n"))


def test_decimal_commas(tmp_path):
    points = make_points((5, 7))
    first = read(store(tmp_path, ang_edax(points)))
    head, _, table = ang_edax(points).partition("# NROWS")
    head = head.replace("XSTEP: 0.25", "XSTEP: 0,25").replace("2.870", "2,870")
    text = f"{head}# NROWS{table.replace('.', ',')}"
    scan = read(store(tmp_path, text, "comma.ang"))
    np.testing.assert_array_equal(scan.quaternions, first.quaternions)
    assert scan.step == first.step
    assert scan.source.warnings == ()
    assert scan.phases[1].structure.lattice.a == 2.87
