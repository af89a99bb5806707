"""Crystals of known curvature, against curvature measured from their orientations with orix."""

from __future__ import annotations

import numpy as np
import pytest
from orix.crystal_map import Phase
from orix.quaternion import Orientation, Rotation
from orix.vector import Vector3d

from napari_ebsdml.errors import InputError
from napari_ebsdml.samples import bent_crystal, curved_crystal, twisted_crystal


def measured_curvature(scan) -> np.ndarray:
    """Rotation from the pixel before to the pixel after, in the specimen frame, over 2 steps."""
    to_specimen = ~Rotation(scan.quaternions)
    kappa = np.full((*scan.shape, 3, 2), np.nan)
    across = to_specimen[:, 2:] * ~to_specimen[:, :-2]
    down = to_specimen[2:] * ~to_specimen[:-2]
    for j, (turn, at) in enumerate(((across, np.s_[:, 1:-1]), (down, np.s_[1:-1, :]))):
        vector = turn.axis.data * turn.angle[..., None]
        kappa[at][..., j] = vector / (2 * scan.step[1 - j])
    return kappa


@pytest.mark.parametrize("phase", ["bcc", "fcc", "hcp"])
@pytest.mark.parametrize(("axis", "i", "j", "sign"), [("y", 1, 0, 1), ("x", 0, 1, -1)])
def test_bending_about_an_axis_in_the_plane(phase, axis, i, j, sign):
    scan, curvature = bent_crystal(
        (9, 12), 0.8, axis=axis, orientation=(30.0, 50.0, 70.0), phase=phase, step=0.2
    )
    expected = np.zeros((3, 3))
    expected[i, j] = sign * np.deg2rad(0.8)
    np.testing.assert_allclose(curvature, np.broadcast_to(expected, curvature.shape), atol=1e-12)
    inner = measured_curvature(scan)[1:-1, 1:-1]
    np.testing.assert_allclose(inner, curvature[1:-1, 1:-1, :, :2], atol=1e-9)


def test_a_crystal_bent_about_y_turns_its_axes_the_right_way():
    """Right-hand turn about +y takes z towards x: seen without any quaternion formula."""
    scan, _ = bent_crystal((2, 11), 10.0, axis="y", step=0.1)
    c_axis = ~Rotation(scan.quaternions[0, 10]) * Vector3d([0, 0, 1])
    angle = np.deg2rad(10.0)  # 10 degrees per um over 1 um
    np.testing.assert_allclose(c_axis.data.ravel(), [np.sin(angle), 0, np.cos(angle)], atol=1e-12)


def test_twist_about_the_normal():
    scan, curvature = twisted_crystal((9, 9), 2.0, along=(1.0, 1.0), orientation=(10, 20, 30))
    expected = np.deg2rad(2.0) * np.array([[0, 0, 0], [0, 0, 0], [0.5**0.5, 0.5**0.5, 0]])
    np.testing.assert_allclose(curvature[4, 4], expected, atol=1e-12)
    inner = measured_curvature(scan)[1:-1, 1:-1]
    np.testing.assert_allclose(inner, curvature[1:-1, 1:-1, :, :2], atol=1e-9)


def test_curvature_of_the_general_case_is_that_of_its_orientations():
    gradient = np.array([[20.0, -35.0], [30.0, 10.0], [-15.0, 25.0]])
    scan, curvature = curved_crystal(gradient, (40, 41), step=0.02, orientation=(5, 80, 120))
    # Far from the first pixel the rotations are large and do not commute.
    assert np.abs(curvature[-1, -1, :, :2] - np.deg2rad(gradient)).max() > 0.05
    inner = measured_curvature(scan)[1:-1, 1:-1]
    np.testing.assert_allclose(inner, curvature[1:-1, 1:-1, :, :2], atol=2e-4)


def test_first_pixel_has_the_orientation_asked_for():
    euler = (40.0, 60.0, 20.0)
    rotation = Rotation.from_euler(euler, degrees=True)
    for form in (euler, rotation, rotation.data.ravel(), Orientation(rotation)):
        scan = bent_crystal((4, 4), orientation=form).scan
        dot = abs(scan.quaternions[0, 0] @ rotation.data.ravel())
        assert dot == pytest.approx(1, abs=1e-12)


def test_noise_has_the_size_asked_for():
    clean = bent_crystal((80, 80), orientation=(1, 2, 3)).scan.quaternions
    noisy = bent_crystal((80, 80), orientation=(1, 2, 3), noise=0.2).scan.quaternions
    turn = Rotation(noisy) * ~Rotation(clean)
    vector = np.rad2deg(turn.axis.data * turn.angle[..., None])
    np.testing.assert_allclose(vector.std(axis=(0, 1)), 0.2, rtol=0.05)
    again = bent_crystal((80, 80), orientation=(1, 2, 3), noise=0.2).scan.quaternions
    other = bent_crystal((80, 80), orientation=(1, 2, 3), noise=0.2, seed=1).scan.quaternions
    np.testing.assert_array_equal(noisy, again)
    assert (noisy != other).any()


def test_phases():
    groups = {"bcc": 229, "fcc": 225, "hcp": 194}
    for name, group in groups.items():
        assert bent_crystal((3, 3), phase=name).scan.phases[0].space_group.number == group
    own = Phase("mine", space_group=227)
    assert bent_crystal((3, 3), phase=own).scan.phases[0].name == "mine"


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ({"shape": (1, 4)}, "shape"),
        ({"curvature": "much"}, "curvature"),
        ({"curvature": float("inf")}, "curvature"),
        ({"axis": "w"}, "axis"),
        ({"axis": (0, 0, 0)}, "axis"),
        ({"axis": (1, 0)}, "axis"),
        ({"along": "z"}, "along"),
        ({"orientation": (1, 2)}, "orientation"),
        ({"orientation": (0, 0, 0, 0)}, "orientation"),
        ({"orientation": "cube"}, "orientation"),
        ({"orientation": Rotation.identity((2,))}, "orientation"),
        ({"phase": "sc"}, "phase"),
        ({"phase": 225}, "phase"),
        ({"noise": -1}, "noise"),
        ({"step": 0}, "step"),
        ({"seed": "x"}, "seed"),
    ],
)
def test_bad_arguments_are_named(arguments, word):
    with pytest.raises(InputError, match=word):
        bent_crystal(**{"shape": (4, 4), **arguments})


def test_bad_gradient_is_named():
    with pytest.raises(InputError, match="gradient"):
        curved_crystal(np.zeros((3, 3)))
