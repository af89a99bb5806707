"""Orientations in every form that users have."""

from __future__ import annotations

import numpy as np
import pytest
from orix.crystal_map import CrystalMap, Phase, PhaseList, create_coordinate_arrays
from orix.quaternion import Misorientation, Orientation, Rotation, symmetry

from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.frame.geometry import from_kikuchipy
from napari_ebsdml.patterns.frame.orientations import scan_quaternions

SHAPE = (2, 3)


@pytest.fixture
def rotations() -> Rotation:
    return Rotation.random((6,))


def crystal_map(rotations: Rotation, **settings) -> CrystalMap:
    places, _ = create_coordinate_arrays(SHAPE)
    phases = PhaseList(Phase("a", point_group="m-3m"))
    return CrystalMap(rotations=rotations, phase_list=phases, **places, **settings)


def test_an_array_is_in_the_maps_frame_unless_another_is_named(rotations):
    q = rotations.data.reshape(*SHAPE, 4)
    plain, frame = scan_quaternions(q, SHAPE)
    np.testing.assert_array_equal(plain, q.reshape(-1, 4))
    assert frame == "map"
    turned, frame = scan_quaternions(q.tolist(), SHAPE, "kikuchipy")
    np.testing.assert_allclose(turned, from_kikuchipy(q.reshape(-1, 4)))
    assert frame == "kikuchipy"


def test_objects_of_orix_are_in_kikuchipys_frame_unless_another_is_named(rotations):
    want = from_kikuchipy(rotations.data)
    square = rotations.reshape(*SHAPE)
    for given in (
        rotations, square, Orientation(square, symmetry=symmetry.Oh), crystal_map(rotations),
    ):  # fmt: skip
        found, frame = scan_quaternions(given, SHAPE)
        np.testing.assert_allclose(found, want, atol=1e-12)
        assert frame == "kikuchipy"
    found, _ = scan_quaternions(crystal_map(rotations), SHAPE, "map")
    np.testing.assert_allclose(found, rotations.data)


def test_points_without_a_phase_or_outside_the_map_have_no_orientation(rotations):
    inside = np.array([True, True, False, True, True, True])
    bare = np.array([0, -1, 0, 0, 0, 0])
    masked = crystal_map(rotations, phase_id=bare, is_in_data=inside)
    found, _ = scan_quaternions(masked, SHAPE)
    good = inside & (bare == 0)
    np.testing.assert_allclose(found[good], from_kikuchipy(rotations.data)[good], atol=1e-12)
    assert not found[~good].any()
    best = crystal_map(Rotation(np.stack([rotations.data, rotations.data[::-1]], axis=1)))
    found, _ = scan_quaternions(best, SHAPE, "map")
    np.testing.assert_allclose(found, rotations.data)


def test_what_does_not_fit_is_said(rotations):
    with pytest.raises(InputError, match="needs orientations"):
        scan_quaternions(None, SHAPE)
    with pytest.raises(InputError, match=r"No frame 'lab'; there are kikuchipy, map, edax"):
        scan_quaternions(rotations, SHAPE, "lab")
    with pytest.raises(InputError, match="rotations have shape"):
        scan_quaternions(rotations[:5], SHAPE)
    with pytest.raises(InputError, match="crystal map has"):
        scan_quaternions(crystal_map(rotations), (3, 3))
    with pytest.raises(InputError, match="quaternions have shape"):
        scan_quaternions(np.zeros((6, 4)), SHAPE)
    with pytest.raises(InputError, match="not Misorientation"):
        scan_quaternions(Misorientation(rotations.data), SHAPE)
    with pytest.raises(InputError, match="not PhaseList"):
        scan_quaternions(PhaseList(Phase("a")), SHAPE)
    with pytest.raises(InputError, match="not object"):
        scan_quaternions(object(), SHAPE)
