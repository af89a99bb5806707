"""Maps written in every format and read again: orientations of all crystals are the same."""

from __future__ import annotations

import dataclasses

import h5py
import numpy as np
import orix.io
import pytest
from diffpy.structure import Atom, Lattice, Structure
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from orix.crystal_map import Phase, PhaseList
from orix.quaternion import Rotation

from napari_ebsdml.io import read, write
from napari_ebsdml.io._orient import euler_from_quaternions
from napari_ebsdml.io.frames import FRAMES, multiply
from napari_ebsdml.scan import Scan

# One crystal of each Laue class, and two more settings of the monoclinic one.
CRYSTALS = (
    ("anorthite", 2, (8.173, 12.869, 14.165, 93.11, 115.91, 91.26)),
    ("diopside", 15, (9.746, 8.99, 5.251, 90, 105.63, 90)),
    ("gypsum", 15, (6.28, 15.2, 6.52, 90, 127.4, 90)),
    ("forsterite", 62, (4.76, 10.2, 5.98, 90, 90, 90)),
    ("scheelite", 88, (5.24, 5.24, 11.38, 90, 90, 90)),
    ("zircon", 141, (6.6, 6.6, 5.98, 90, 90, 90)),
    ("dolomite", 148, (4.81, 4.81, 16.0, 90, 90, 120)),
    ("quartz", 152, (4.91, 4.91, 5.4, 90, 90, 120)),
    ("apatite", 176, (9.4, 9.4, 6.88, 90, 90, 120)),
    ("titanium", 194, (2.95, 2.95, 4.68, 90, 90, 120)),
    ("pyrite", 205, (5.42, 5.42, 5.42, 90, 90, 90)),
    ("nickel", 225, (3.52, 3.52, 3.52, 90, 90, 90)),
)
# Degrees that half a unit of the last digit of each of three angles may cost.
ROUNDING = {".ang": 3 * np.degrees(0.5e-5), ".ctf": 3 * 0.5e-4, ".h5": 1e-9}

SPECIAL = [0.0, 1e-9, np.pi / 2, np.pi - 1e-9, np.pi]
angle = st.sampled_from([*SPECIAL, 2 * np.pi - 1e-9]) | st.floats(0, 2 * np.pi)
euler = st.tuples(angle, st.sampled_from(SPECIAL) | st.floats(0, np.pi), angle)


def scan_of(euler: np.ndarray, frame: str) -> Scan:
    """A row of each crystal, with these Bunge angles in the axes of `frame`."""
    phases = PhaseList(
        {
            k: Phase(name=name, space_group=group, structure=Structure(lattice=Lattice(*cell)))
            for k, (name, group, cell) in enumerate(CRYSTALS, 1)
        }
    )
    q = multiply(Rotation.from_euler(euler).data, np.array(FRAMES[frame].specimen_turn))
    q *= np.where(q[:, :1] < 0, -1, 1)
    shape = (len(CRYSTALS), len(euler))
    phase_id = np.repeat(np.arange(1, shape[0] + 1), shape[1]).reshape(shape)
    return Scan(
        quaternions=np.tile(q, (shape[0], 1, 1)), phase_id=phase_id, phases=phases, step=(1, 1)
    )


def turns(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Angles in degrees between quaternions, exact for tiny ones too."""
    between = multiply(a, b * np.array([1, -1, -1, -1]))
    return 2 * np.degrees(np.arcsin(np.linalg.norm(between[..., 1:], axis=-1).clip(0, 1)))


@pytest.mark.parametrize("suffix", sorted(ROUNDING))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(angles=st.lists(euler, min_size=1, max_size=8), frame=st.sampled_from(["map", "oxford"]))
def test_orientations_survive(tmp_path_factory, suffix, angles, frame):
    scan = scan_of(np.array(angles), frame)
    path = tmp_path_factory.mktemp("map") / f"map{suffix}"
    write(path, scan)
    again = read(path)
    np.testing.assert_array_equal(again.phase_id, scan.phase_id)
    assert turns(again.quaternions, scan.quaternions).max() < ROUNDING[suffix]


@settings(max_examples=50, deadline=None)
@given(angles=st.lists(euler, min_size=1, max_size=8))
def test_angles_give_their_quaternion_back(angles):
    q = Rotation.from_euler(np.array(angles)).data
    ours = euler_from_quaternions(q)
    assert ((ours >= 0) & (ours < [2 * np.pi, np.pi + 1e-12, 2 * np.pi])).all()
    assert turns(Rotation.from_euler(ours).data, q).max() < 1e-9


def test_the_sign_of_a_turn_about_the_normal_stays(tmp_path):
    """Phi = 0 in an Oxford file is Phi = 180 degrees in the map's axes, where orix errs."""
    phi1 = np.radians(np.arange(9) * 10)
    scan = scan_of(np.stack((phi1, 0 * phi1, 0 * phi1), axis=-1), "oxford")
    write(tmp_path / "map.h5", scan)
    with h5py.File(tmp_path / "map.h5") as file:
        data = file["crystal_map/data"]
        angles = np.degrees([data[name][:9] for name in ("phi1", "Phi", "phi2")])
    turned = (angles[0] - angles[2] + 10 * np.arange(9) + 180) % 360 - 180
    np.testing.assert_allclose(turned, 0, atol=1e-9)
    np.testing.assert_allclose(angles[1], 180)


def test_orix_reads_all_of_it(tmp_path):
    """Phases without symmetry or with atoms, and names that are not ASCII."""
    scan = scan_of(np.array([[0.1, 0.2, 0.3], [1, 2, 3]]), "map")
    scan.phases[1].name, scan.phases[2].name = "γ′-Ni₃Al", "α"
    scan.phases[2].space_group, scan.phases[2].point_group = None, "121"
    scan.phases[3].space_group = None
    atom = Atom("Fe", [0.5, 0, 0.25], occupancy=0.5)
    scan.phases[4].structure = Structure([atom], lattice=Lattice(3, 4, 5, 90, 90, 90))
    scan = scan.without(np.arange(scan.phase_id.size).reshape(scan.shape) == 3)
    write(tmp_path / "map.h5", scan)
    xmap = orix.io.load(str(tmp_path / "map.h5"))
    np.testing.assert_array_equal(xmap.phase_id.reshape(scan.shape), scan.phase_id)
    np.testing.assert_allclose(
        turns(xmap.rotations.data.reshape(*scan.shape, 4), scan.quaternions)[scan.is_indexed],
        0,
        atol=1e-9,
    )
    assert xmap.phases[4].structure[0].occupancy == 0.5
    assert xmap.phases[-1].name == "not_indexed"
    again = read(tmp_path / "map.h5")
    assert again.phases.names[:2] == ["γ′-Ni₃Al", "α"]
    assert again.phases[2].point_group.name == "121"
    assert again.phases[3].point_group is None
    np.testing.assert_array_equal(again.phase_id, scan.phase_id)


@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (4, 1)])
def test_lines_keep_both_steps(tmp_path, shape):
    full = scan_of(np.array([[1, 1, 1]] * 12), "map").crop(slice(0, shape[0]), slice(0, shape[1]))
    line = dataclasses.replace(full, step=(0.5, 0.25))
    for suffix in ROUNDING:
        write(tmp_path / f"map{suffix}", line)
        assert read(tmp_path / f"map{suffix}").step == (0.5, 0.25)
