"""Pole figures and misorientation profiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList
from orix.quaternion import Orientation, Rotation
from orix.vector import Miller

from napari_ebsdml import InputError, Scan, Source
from napari_ebsdml.maps import (
    crystal_directions,
    misorientation_profile,
    pole_density,
    poles,
)
from napari_ebsdml.maps.poles import project, unproject

NICKEL = Phase(name="Ni", space_group=225)
TITANIUM = Phase(name="Ti", space_group=194)
TITANIUM.structure.lattice.setLatPar(2.95, 2.95, 4.68, 90, 90, 120)


def _scan(quaternions: np.ndarray, phase: Phase = NICKEL, step: float = 1.0) -> Scan:
    return Scan(
        quaternions=quaternions, phase_id=np.zeros(quaternions.shape[:2], int),
        phases=PhaseList({0: phase}), step=(step, step), prop={},
        source=Source(path=Path("map.ang")),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("phase", "plane", "number"),
    [(NICKEL, (1, 0, 0), 3), (NICKEL, (1, 1, 1), 4), (NICKEL, (3, 2, 1), 24),
     (NICKEL, (1, 1, 0), 6),
     (TITANIUM, (0, 0, 1), 1), (TITANIUM, (0, 0, 0, 1), 1), (TITANIUM, (1, 0, -1, 0), 3),
     (TITANIUM, (1, 0, -1, 2), 6)],
)  # fmt: skip
def test_equivalent_planes_are_those_of_orix(phase: Phase, plane: tuple, number: int) -> None:
    found = crystal_directions(phase, plane)
    assert len(found) == number
    hkl = plane if len(plane) == 3 else (plane[0], plane[1], plane[3])
    orix = Miller(hkl=hkl, phase=phase).symmetrise(unique=True).unit.data
    cosines = np.abs(found @ orix.T)
    assert np.allclose(cosines.max(axis=0), 1)
    assert np.allclose(cosines.max(axis=1), 1)


def test_poles_are_those_of_orix() -> None:
    q = Orientation.random((4, 5), symmetry=NICKEL.point_group).data
    directions, pixels = poles(_scan(q), 0, (1, 1, 1))
    assert directions.shape == (20, 4, 3)
    assert (directions[..., 2] <= 0).all()
    np.testing.assert_array_equal(pixels, np.arange(20))
    expected = ~Rotation(q.reshape(-1, 4)[7]) * Miller(hkl=(1, 1, 1), phase=NICKEL).symmetrise()
    cosines = directions[7] @ expected.unit.data.T
    np.testing.assert_allclose(cosines.max(axis=1), 1, atol=1e-12)


def test_density_is_in_multiples_of_random() -> None:
    random = Orientation.random((100, 100), symmetry=NICKEL.point_group).data
    density = pole_density(poles(_scan(random), 0, (1, 1, 1))[0])
    seen = np.isfinite(density)
    assert seen.mean() == pytest.approx(np.pi / 4, abs=0.02)
    assert np.nanmin(density) > 0.8
    assert np.nanmax(density) < 1.2
    # One orientation: the kernel itself, whose height is (kappa + 1) / 2 for each of three poles.
    single = np.zeros((1, 1, 4))
    single[..., 0] = 1
    cube = pole_density(poles(_scan(single), 0, (1, 0, 0))[0])
    kappa = 0.5 * np.log(0.5) / np.log(np.cos(np.radians(7.5) / 2))
    assert cube[45, 45] == pytest.approx((kappa + 1) / 2 / 3, rel=2e-3)
    # x to the right, y down; between the poles there is nothing.
    assert cube[45, -1] > 20
    assert cube[-1, 45] > 20
    assert cube[20, 20] < 1e-3


def test_a_sheet_of_steel_bends_its_poles_where_it_should() -> None:
    """Turned by 30 degrees about x, the c axis of titanium goes towards y."""
    half = np.radians(30) / 2
    q = np.array([[[np.cos(half), np.sin(half), 0, 0]]])
    directions, _ = poles(_scan(q, TITANIUM), 0, (0, 0, 1))
    np.testing.assert_allclose(np.abs(directions[0, 0] @ (0, 0.5, np.sqrt(0.75))), 1, atol=1e-12)


def test_projection_and_back() -> None:
    rng = np.random.default_rng(0)
    v = rng.normal(size=(50, 3))
    v /= np.linalg.norm(v, axis=-1, keepdims=True)
    v[v[:, 2] > 0] *= -1
    np.testing.assert_allclose(unproject(project(v)), v, atol=1e-12)


def test_odd_input() -> None:
    scan = _scan(Orientation.random((3, 3), symmetry=NICKEL.point_group).data)
    with pytest.raises(InputError, match="no phase 4"):
        poles(scan, 4, (1, 0, 0))
    with pytest.raises(InputError, match="three indices"):
        poles(scan, 0, (0, 0, 0))
    with pytest.raises(InputError, match="is no plane"):
        crystal_directions(TITANIUM, (1, 0, 0, 1))
    with pytest.raises(InputError, match="half width"):
        pole_density(np.zeros((0, 3)), 0)
    with pytest.raises(InputError, match="mask"):
        poles(scan, 0, (1, 0, 0), mask=np.ones((2, 2), bool))
    nothing, _ = poles(scan, 0, (1, 0, 0), mask=np.zeros((3, 3), bool))
    assert nothing.shape == (0, 3, 3)
    assert np.isnan(pole_density(nothing)).all()


def test_profile_of_a_bent_crystal_with_a_hole() -> None:
    angle = np.radians(0.5) * np.arange(8)
    q = np.zeros((2, 8, 4))
    q[..., 0], q[..., 3] = np.cos(angle / 2), np.sin(angle / 2)
    scan = _scan(q, step=2.0)
    profile = misorientation_profile(scan, (0, 0), (0, 7))
    np.testing.assert_allclose(profile.distance, 2.0 * np.arange(8))
    np.testing.assert_allclose(profile.to_first, 0.5 * np.arange(8), atol=1e-9)
    np.testing.assert_allclose(profile.to_previous[1:], 0.5, atol=1e-9)
    assert np.isnan(profile.to_previous[0])
    hole = scan.without(np.arange(16).reshape(2, 8) == 3)
    profile = misorientation_profile(hole, (0, 0), (0, 7))
    assert np.isnan(profile.to_previous[3:5]).all()
    assert np.isnan(profile.to_first[3])
    assert profile.to_first[7] == pytest.approx(3.5)
    assert len(misorientation_profile(scan, (1, 1), (1, 1)).distance) == 1
    with pytest.raises(InputError, match="outside the map"):
        misorientation_profile(scan, (0, 0), (2, 0))
