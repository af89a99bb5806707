from __future__ import annotations

import numpy as np
import pytest
from orix.crystal_map import Phase
from orix.quaternion import Misorientation, Orientation
from orix.quaternion import symmetry as orix_symmetry
from orix.vector import Vector3d

from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.maps import (
    LAUE_CLASSES,
    disorientation_angle,
    disorientation_vector,
    laue_class,
    laue_operators,
)

ORDERS = dict(zip(LAUE_CLASSES, (1, 2, 4, 4, 8, 3, 6, 6, 12, 12, 24), strict=True))
POINT_GROUPS = (
    "1", "-1", "2", "m", "2/m", "222", "mm2", "mmm", "4", "-4", "4/m",
    "422", "4mm", "-42m", "4/mmm", "3", "-3", "32", "3m", "-3m", "6", "-6",
    "6/m", "622", "6mm", "-6m2", "6/mmm", "23", "m-3", "432", "-43m", "m-3m",
)  # fmt: skip


@pytest.mark.parametrize("name", POINT_GROUPS)
def test_operators_are_the_proper_rotations_of_the_laue_class(name, times):
    operators = laue_operators(name)
    assert len(operators) == ORDERS[laue_class(name)]
    np.testing.assert_allclose(np.linalg.norm(operators, axis=1), 1, atol=1e-14)
    np.testing.assert_array_equal(operators[0], (1, 0, 0, 0))
    # A group: each product is an operator, up to the sign of the quaternion.
    products = times(operators[:, None], operators[None]).reshape(-1, 4)
    np.testing.assert_allclose(np.abs(products @ operators.T).max(axis=1), 1, atol=1e-12)


def test_operators_take_phases_groups_names_and_space_groups():
    expected = laue_operators("m-3m")
    for given in (225, orix_symmetry.O, Phase(space_group=229), Phase(point_group="-43m")):
        np.testing.assert_allclose(laue_operators(given), expected, atol=1e-12)
    assert not expected.flags.writeable


def test_twofold_axes_follow_lattice_and_space_group():
    from diffpy.structure import Lattice, Structure

    beta = Phase(
        space_group=14, structure=Structure(lattice=Lattice(5.15, 5.21, 5.32, 90, 99.2, 90))
    )
    np.testing.assert_allclose(np.abs(laue_operators(beta)[1]), (0, 0, 1, 0), atol=1e-12)
    np.testing.assert_allclose(np.abs(laue_operators("2/m")[1]), (0, 0, 0, 1), atol=1e-12)
    # Quartz (152, 321) has a twofold axis along a, P-31m (162) across it.
    along_a = np.array([0.0, 1, 0, 0])
    assert np.abs(laue_operators(152) @ along_a).max() == pytest.approx(1)
    assert np.abs(laue_operators(162) @ along_a).max() < 0.9


@pytest.mark.parametrize("name", LAUE_CLASSES)
def test_angle_agrees_with_orix(name, rng, random_quaternions):
    first, second = random_quaternions(rng, 2, 1000)
    second[:300] = first[:300] + 0.02 * rng.normal(size=(300, 4))
    second /= np.linalg.norm(second, axis=1, keepdims=True)
    group = Phase(point_group=name).point_group
    expected = Orientation(first, symmetry=group).angle_with(
        Orientation(second, symmetry=group), degrees=True
    )
    np.testing.assert_allclose(disorientation_angle(first, second, name), expected, atol=1e-4)
    reduced = Misorientation(
        (Orientation(second) * ~Orientation(first)).data, symmetry=(group, group)
    ).reduce()
    np.testing.assert_allclose(
        disorientation_angle(first, second, name), np.rad2deg(reduced.angle), atol=1e-4
    )


@pytest.mark.parametrize("name", LAUE_CLASSES)
def test_closed_forms_and_shortcuts_agree_with_all_operators(name, rng, random_quaternions, times):
    first, second = random_quaternions(rng, 2, 500)
    second[:250] = times(first[:250], random_quaternions(rng, 250) * 0.1 + (1, 0, 0, 0))
    second /= np.linalg.norm(second, axis=1, keepdims=True)
    every = times(laue_operators(name)[:, None], second[None])
    dots = np.abs(np.einsum("knc,nc->kn", every, first)).max(axis=0)
    expected = 2 * np.rad2deg(np.arccos(np.clip(dots, 0, 1)))
    np.testing.assert_allclose(disorientation_angle(first, second, name), expected, atol=1e-5)


def test_tiny_angles_keep_their_digits(turn, times, rng, random_quaternions, scramble):
    base = random_quaternions(rng, 50)
    for degrees in (1e-7, 1e-4, 0.01):
        other = scramble(rng, times(base, turn((1, 2, 3), np.full(50, degrees))), "m-3m")
        angles = disorientation_angle(base, other, "m-3m")
        np.testing.assert_allclose(angles, degrees, rtol=1e-6 if degrees > 1e-5 else 1e-2)


def test_vector_frames(turn, times, rng, random_quaternions, scramble):
    # Specimen frame: the lattice of the second is that of the first, turned in the specimen.
    first = random_quaternions(rng, 200)
    axis = np.array((0.2, -0.5, 0.8)) / np.linalg.norm((0.2, -0.5, 0.8))
    lattice_turn = turn(axis, np.full(200, 4.0))
    second = times(first, lattice_turn * (1, -1, -1, -1))
    second = scramble(rng, second, "6/mmm")
    specimen = disorientation_vector(first, second, "6/mmm")
    np.testing.assert_allclose(specimen, np.tile(4 * axis, (200, 1)), atol=1e-9)
    crystal = disorientation_vector(first, second, "6/mmm", frame="crystal")
    expected = (Orientation(first) * Vector3d(4 * axis)).data
    np.testing.assert_allclose(crystal, expected, atol=1e-9)


def test_not_indexed_is_nan_and_bad_input_is_named():
    q = np.array([[1.0, 0, 0, 0], [0, 0, 0, 0]])
    angles = disorientation_angle(q, q, "m-3m")
    assert angles[0] == 0
    assert np.isnan(angles[1])
    assert np.isnan(disorientation_vector(q, q, "m-3m")[1]).all()
    with pytest.raises(InputError, match="last axis of 4"):
        disorientation_angle(np.ones(3), np.ones(3), "m-3m")
    with pytest.raises(InputError, match="do not fit"):
        disorientation_angle(np.ones((2, 4)), np.ones((3, 4)), "m-3m")
    with pytest.raises(InputError, match="unit length"):
        disorientation_angle(2 * q[:1], q[:1], "m-3m")
    with pytest.raises(InputError, match="specimen"):
        disorientation_vector(q, q, "m-3m", frame="lab")  # type: ignore[arg-type]
    for wrong in ("m3x", 231, 0, True, None):
        with pytest.raises(InputError, match="crystal symmetry"):
            laue_operators(wrong)  # type: ignore[arg-type]
    with pytest.raises(MissingDataError, match="'x' has no point group"):
        laue_operators(Phase(name="x"))
