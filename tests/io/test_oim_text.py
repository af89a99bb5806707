"""Points that OIM exports as text: grain files of type 1."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import napari_ebsdml as ebsdml
from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.io import sniff
from tests.io.writers_text import (
    OIM_NAMES,
    OIM_TYPE_1,
    Points,
    ang_edax,
    ctf,
    make_points,
    oim_grains,
    oim_rows,
)

PARTITION = """\
# Column 1-3: phi1, PHI, phi2 (orientation of point in radians)
# Column 4-5: x, y (coordinates of point in microns)
# Column 6:   IQ (image quality)
# Column 7:   CI (confidence index)
# Column 8:   Fit (degrees)
# Column 9:   phase (index identifying phase)
# Column 10:  sem (detector signal value)
"""
TYPE_2 = """\
# Column 1: Integer identifying grain
# Column 2-4: Average orientation (phi1, PHI, phi2) in degrees
# Column 5-6: Average Position (x, y) in microns
1 10.0 20.0 30.0 1.5 2.5
"""
BOUNDARIES = """\
# Column 1-3:    right hand average orientation (phi1, PHI, phi2 in radians)
# Column 4-6:    left hand average orientation (phi1, PHI, phi2 in radians)
0.1 0.2 0.3 0.1 0.2 0.3
"""


@pytest.fixture(scope="module")
def points() -> Points:
    return make_points((5, 7), (0.5, 0.5), n_phases=2, not_indexed=0.2)


def type_1(points: Points, path: Path, degrees: bool = False) -> Path:
    path.write_bytes(oim_grains(points, degrees).encode())
    return path


def test_grain_file_of_type_1(points, tmp_path):
    path = type_1(points, tmp_path / "plate.txt")
    assert sniff(path).name == "oim"
    scan = ebsdml.read(path)
    assert scan.shape == (5, 7)
    assert scan.step == (0.5, 0.5)
    np.testing.assert_array_equal(scan.is_indexed, (points.phase > 0).reshape(5, 7))
    np.testing.assert_array_equal(scan.prop["grain ID"].ravel(), np.arange(1, 36))
    np.testing.assert_array_equal(scan.prop["edge"].ravel(), np.arange(35) % 2)
    np.testing.assert_allclose(scan.prop["IQ"].ravel(), points.quality["IQ"], rtol=1e-6)
    assert sorted(scan.prop) == ["CI", "IQ", "edge", "fit", "grain ID"]
    assert scan.units["fit"] == "\N{DEGREE SIGN}"
    named = {phase.name: phase for _, phase in scan.phases}
    assert named["Iron - Alpha"].space_group.number == 229
    assert named["Titanium (Alpha)"].space_group.number == 194
    assert named["Titanium (Alpha)"].structure.lattice.c == pytest.approx(4.684)
    found = np.array([scan.phases[int(p)].name for p in scan.phase_id[scan.is_indexed]])
    assert (found == np.array([OIM_NAMES[p] for p in points.phase if p])).all()
    assert sum("by its name it is taken for" in w for w in scan.source.warnings) == 2
    assert np.isfinite(ebsdml.kam(scan)).any()


def test_orientations_are_those_of_an_ang_file(points, tmp_path):
    """The same angles, columns and frame: EDAX's own format says what they mean."""
    scan = ebsdml.read(type_1(points, tmp_path / "plate.txt"))
    (tmp_path / "plate.ang").write_text(ang_edax(points))
    want = ebsdml.read(tmp_path / "plate.ang")
    on = scan.is_indexed & (want.phase_id == scan.phase_id)
    # Titanium's axes need the lattice, which both have.
    assert on.sum() > 10
    same = np.abs((scan.quaternions * want.quaternions).sum(-1))[scan.is_indexed & want.is_indexed]
    np.testing.assert_allclose(same, 1, atol=1e-8)


def test_points_with_a_number_for_the_phase(points, tmp_path):
    lines = oim_rows(points, lambda k: f"{max(points.phase[k], 1)}  {points.quality['SEM'][k]}")
    (tmp_path / "part.txt").write_text(PARTITION + "\n".join(lines) + "\n")
    scan = ebsdml.read(tmp_path / "part.txt")
    np.testing.assert_array_equal(scan.prop["SEM"].ravel(), points.quality["SEM"])
    names = [phase.name for number, phase in scan.phases if number >= 0]
    assert names == ["phase 1", "phase 2"]


def test_angles_in_degrees_are_turned_into_radians(points, tmp_path):
    want = ebsdml.read(type_1(points, tmp_path / "a.txt"))
    scan = ebsdml.read(type_1(points, tmp_path / "b.txt", degrees=True))
    on = want.is_indexed
    np.testing.assert_array_equal(scan.is_indexed, on)
    same = np.abs((scan.quaternions[on] * want.quaternions[on]).sum(-1))
    np.testing.assert_allclose(same, 1, atol=1e-9)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TYPE_2, "a list of grains"), (BOUNDARIES, "reconstructed boundaries"),
        (OIM_TYPE_1, "no rows of data"), (OIM_TYPE_1 + "0.1 0.2 0.3\n", "describes 11 columns"),
        (OIM_TYPE_1.replace("4-5: x, y", "4: x") + "1 2 3\n", "out of order"),
        (OIM_TYPE_1.replace("Column 4-5", "Column 5-6") + "1 2 3\n", "out of order"),
        (PARTITION.replace("4-5: x, y", "4-5: u, v") + "1 2 3 4 5 6 7 8 9 10\n", "no column x, y"),
    ],
)  # fmt: skip
def test_what_is_no_map_is_refused_with_the_cause(text, told, tmp_path):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(FileFormatError, match=told):
        ebsdml.read(tmp_path / "a.txt")


def test_a_damaged_row_is_named(points, tmp_path):
    path = type_1(points, tmp_path / "a.txt")
    lines = path.read_bytes().split(b"\r\n")
    lines[20] = lines[20].replace(b".", b"x", 1)
    path.write_bytes(b"\r\n".join(lines))
    with pytest.raises(FileFormatError, match="line 21"):
        ebsdml.read(path)


def test_other_texts_are_left_to_others(tmp_path):
    for text in ("hello\n", "# a comment\n1 2 3\n", "# Column 1: x\n1\n", ""):
        (tmp_path / "a.txt").write_text(text)
        assert sniff(tmp_path / "a.txt") is None


@pytest.mark.parametrize(
    ("name", "a", "slip"), [("Iron fcc", 3.7, 225), ("Iron bcc (old)", 2.9, 229)]
)
def test_iron_of_mtexs_ctf_has_the_slip_systems_of_its_name(points, tmp_path, name, a, slip):
    """MTEX's export_ctf writes space group 0 and a rounded lattice."""
    text = ctf(make_points((4, 6), n_phases=1, not_indexed=0))
    line = next(line for line in text.splitlines() if "\t11\t229" in line)
    made = f"{a:.3f};{a:.3f};{a:.3f}\t90.000;90.000;90.000\t{name}\t11\t0\t\t\tCreated from mtex"
    (tmp_path / "a.ctf").write_text(text.replace(line, made))
    scan = ebsdml.read(tmp_path / "a.ctf")
    gnd = ebsdml.gnd_density(scan)
    want = ebsdml.gnd_density(scan, slip_systems="fcc" if slip == 225 else "bcc")
    np.testing.assert_array_equal(gnd.total, want.total)
    told = [w for w in scan.source.warnings if "as its name says" in w]
    assert len(told) == (name == "Iron fcc")
