"""Crystal axes of Oxford's three formats: z along c, x at right angles to b and c."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from diffpy.structure import Lattice, Structure
from orix.crystal_map import Phase
from orix.quaternion import Rotation
from orix.vector import Miller, Vector3d

from napari_ebsdml.io import read, write
from napari_ebsdml.io.frames import FRAMES, ReferenceFrame, crystal_turn
from napari_ebsdml.maps import laue_operators
from tests.io.writers_channel5 import Project, grains
from tests.io.writers_hdf5 import write_h5oina
from tests.io.writers_text import ctf, make_points

CELLS = {
    "diopside": ((9.746, 8.99, 5.251, 90, 105.63, 90), 2, 15),
    "anorthite": ((8.173, 12.869, 14.165, 93.11, 115.91, 91.26), 1, 2),
    "c-unique": ((5.1, 6.2, 7.3, 90, 90, 98.4), 2, 13),
    "quartz": ((4.91, 4.91, 5.4, 90, 90, 120), 7, 152),
    "forsterite": ((4.76, 10.2, 5.98, 90, 90, 90), 3, 62),
}


def made(folder: Path, kind: str, cell: tuple[float, ...], laue: int, group: int) -> Path:
    """A map whose crystals all have Euler angles of 0."""
    path = folder / f"map.{kind}"
    if kind == "ctf":
        points = make_points(not_indexed=0)
        points.euler[:] = 0
        lengths, angles = (";".join(f"{v:g}" for v in part) for part in (cell[:3], cell[3:]))
        text = ctf(points).replace("2.87;2.87;2.87\t90;90;90", f"{lengths}\t{angles}")
        path.write_text(text.replace("\t11\t229\t", f"\t{laue}\t{group}\t"), newline="")
        return path
    if kind == "cpr":
        values = grains(4, 6)
        values |= {"Phase": np.ones(24, int), **dict.fromkeys(("phi1", "Phi", "phi2"), 0)}
        Project((4, 6), values).write(folder)
        text = path.read_text("latin-1").replace("LaueGroup=11", f"LaueGroup={laue}")
        text = text.replace("SpaceGroup=225", f"SpaceGroup={group}")
        for key, value in zip(("a", "b", "c", "alpha", "beta", "gamma"), cell, strict=True):
            old = "90.00" if len(key) > 1 else "3.5240"
            text = text.replace(f"\n{key}={old}", f"\n{key}={value}")
        path.write_text(text, "latin-1")
        return path
    write_h5oina(path, patterns=())
    with h5py.File(path, "r+") as file:
        file["1/EBSD/Data/Euler"][...] = 0
        for phase in file["1/EBSD/Header/Phases"].values():
            phase["Lattice Dimensions"][...] = np.array(cell[:3]).reshape(1, 3)
            phase["Lattice Angles"][...] = np.radians(cell[3:]).reshape(1, 3)
            phase["Space Group"][...] = group
            phase["Laue Group"][...] = laue
            phase["Laue Group"].attrs.clear()
    return path


@pytest.mark.parametrize("kind", ["ctf", "cpr", "h5oina"])
@pytest.mark.parametrize("name", CELLS)
def test_c_stands_on_the_map_and_a_star_lies_along_x(tmp_path, kind, name):
    cell, laue, group = CELLS[name]
    scan = read(made(tmp_path, kind, cell, laue, group))
    crystal = Phase(point_group="1", structure=Structure(lattice=Lattice(*cell)))
    c = Miller(uvw=[0, 0, 1], phase=crystal).unit.data.ravel()
    a_star = Miller(hkl=[1, 0, 0], phase=crystal).unit.data.ravel()
    turns = Rotation(scan.quaternions[scan.is_indexed])
    # Out of the screen is -z of the map.
    np.testing.assert_allclose((turns * Vector3d((0, 0, -1))).data, np.tile(c, (turns.size, 1)),
                               atol=1e-6)  # fmt: skip
    np.testing.assert_allclose((turns * Vector3d((1, 0, 0))).data, np.tile(a_star, (turns.size, 1)),
                               atol=1e-6)  # fmt: skip
    assert not any("axes" in warning for warning in scan.source.warnings)


def test_a_lattice_that_spans_no_cell_turns_nothing(tmp_path):
    scan = read(made(tmp_path, "ctf", (5, 5, 5, 20, 90, 150), 1, 2))
    assert scan.is_indexed.all()
    assert any("no lattice" in warning for warning in scan.source.warnings)


def test_orthogonal_cells_and_axes_as_in_orix_need_no_turn():
    identity = [1, 0, 0, 0]
    own = ReferenceFrame("own", (1, 0, 0, 0), "a", "axes of orix")
    np.testing.assert_allclose(
        crystal_turn(FRAMES["oxford"], CELLS["forsterite"][0]), identity, atol=1e-15
    )
    np.testing.assert_array_equal(crystal_turn(own, CELLS["anorthite"][0]), identity)


@pytest.mark.parametrize("writer", ["emsoft", "astar"])
def test_writers_whose_axes_are_uncertain_are_told(tmp_path, writer):
    text = ctf(make_points(), writer).replace("\t11\t229\t", "\t2\t15\t")
    path = tmp_path / "map.ctf"
    path.write_text(text, newline="")
    assert any("Ferrite" in warning for warning in read(path).source.warnings)


@pytest.mark.parametrize("group", [6, 7, 8, 9])
def test_crystals_of_point_group_m_are_monoclinic(tmp_path, group):
    """orix has no name for their Laue class, and the twofold axis is b."""
    scan = read(made(tmp_path, "ctf", CELLS["diopside"][0], 2, group))
    assert scan.source.warnings == ()
    np.testing.assert_allclose(laue_operators(scan.phases[1]), [[1, 0, 0, 0], [0, 0, 1, 0]])
    write(tmp_path / "again.ctf", scan)
    again = read(tmp_path / "again.ctf")
    assert again.source.warnings == ()
    assert np.abs((again.quaternions * scan.quaternions).sum(-1)).min() > 1 - 1e-9
