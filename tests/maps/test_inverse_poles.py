"""Inverse pole figures, and their pixels."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList
from orix.quaternion import Rotation
from orix.quaternion.symmetry import get_point_group
from orix.vector import Vector3d

from napari_ebsdml import InputError, Scan
from napari_ebsdml.maps import inverse_pole_density, inverse_poles, ipf_colors, pixels_along

GROUPS = {"cubic": 225, "hexagonal": 194, "trigonal": 166, "monoclinic": 14}


def random_scan(space_group: int, shape: tuple[int, int] = (60, 70)) -> Scan:
    q = np.random.default_rng(space_group).normal(size=(*shape, 4))
    q /= np.linalg.norm(q, axis=-1, keepdims=True)
    phases = PhaseList({0: Phase("a", space_group=space_group)})
    return Scan(quaternions=q, phase_id=np.zeros(shape, int), phases=phases, step=(1, 1), prop={})


def directions(points: np.ndarray) -> np.ndarray:
    r2 = (points**2).sum(axis=-1, keepdims=True)
    return np.concatenate((2 * points, 1 - r2), axis=-1) / (1 + r2)


@pytest.mark.parametrize("name", ["cubic", "hexagonal"])
def test_points_are_those_of_orix(name: str) -> None:
    scan = random_scan(GROUPS[name], (6, 7))
    points, pixels = inverse_poles(scan, 0, (1, 2, 3))
    np.testing.assert_array_equal(pixels, np.arange(42))
    laue = get_point_group(GROUPS[name], proper=False).laue
    want = Rotation(scan.quaternions.reshape(-1, 4)) * Vector3d((1, 2, 3)).unit
    want = want.in_fundamental_sector(laue).data
    np.testing.assert_allclose(directions(points), want.reshape(-1, 3), atol=1e-6)


@pytest.mark.parametrize("name", GROUPS)
def test_a_random_texture_is_one_everywhere(name: str) -> None:
    scan = random_scan(GROUPS[name], (300, 300))
    points, _ = inverse_poles(scan, 0, most=None)
    density, _ = inverse_pole_density(points, scan.phases[0])
    assert np.nanmean(density) == pytest.approx(1, abs=0.03)
    low, high = np.nanpercentile(density, (5, 95))
    assert low > 0.85
    assert high < 1.15


@pytest.mark.parametrize("name", GROUPS)
def test_pixels_near_a_point_are_those_whose_points_are_near(name: str) -> None:
    scan = random_scan(GROUPS[name])
    points, _ = inverse_poles(scan, 0, most=None)
    found = pixels_along(scan, 0, tuple(points[11]), degrees=6).ravel()
    assert found[11]
    near = directions(points) @ directions(points[11]) > np.cos(np.radians(6))
    # At the rim of the sector the equivalents beyond it count as well.
    assert found[near].all()
    colors = ipf_colors(scan).reshape(-1, 3)
    assert np.abs(colors[found] - colors[11]).max() < 0.45


def test_a_cube_texture_and_a_mask() -> None:
    scan = random_scan(225, (4, 5))
    cube = dataclasses.replace(scan, quaternions=np.tile([1.0, 0, 0, 0], (4, 5, 1)))
    mask = np.zeros((4, 5), bool)
    mask[1, 2] = True
    points, pixels = inverse_poles(cube, 0, (0, 0, 1), mask)
    assert pixels.tolist() == [7]
    np.testing.assert_allclose(points, [[0, 0]], atol=1e-12)
    assert pixels_along(cube, 0, (0.0, 0.0)).all()
    assert not pixels_along(cube, 0, (0.4142, 0.0)).any()


def test_bad_input() -> None:
    scan = random_scan(225, (4, 5))
    with pytest.raises(InputError, match="no phase 3"):
        inverse_poles(scan, 3)
    with pytest.raises(InputError, match="three components"):
        inverse_poles(scan, 0, (0, 0, 0))
    with pytest.raises(InputError, match="bool of shape"):
        inverse_poles(scan, 0, mask=np.ones((2, 2), bool))
