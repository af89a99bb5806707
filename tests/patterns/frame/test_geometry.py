from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.frame.geometry import (
    Geometry,
    from_kikuchipy,
    to_kikuchipy,
)
from napari_ebsdml.patterns.simulated.synthetic import random_quaternions


@pytest.fixture(scope="module")
def detector():
    from kikuchipy.detectors import EBSDDetector

    def make(**changes):
        given = {"shape": (30, 40), "pc": (0.4, 0.3, 0.6), "sample_tilt": 68, "tilt": 3}
        return EBSDDetector(**{**given, **changes})

    return make


@pytest.mark.parametrize("azimuthal", [0, 7])
def test_directions_equal_kikuchipys(detector, azimuthal):
    from kikuchipy.signals.util._master_pattern import _get_direction_cosines_from_detector

    camera = detector(azimuthal=azimuthal)
    ours = Geometry.of(camera).directions()[0].reshape(-1, 3)
    np.testing.assert_allclose(ours, _get_direction_cosines_from_detector(camera), atol=1e-12)


def test_angles_equal_the_detectors(detector):
    made = Geometry.from_angles((0.4, 0.3, 0.6), (30, 40), 68, 3)
    np.testing.assert_allclose(made.directions(), Geometry.of(detector()).directions(), atol=1e-12)


def test_tilting_and_moving_equal_a_detector_made_so(detector):
    here = Geometry.of(detector())
    tilted = Geometry.of(detector(tilt=5.0))
    np.testing.assert_allclose(here.tilted(2).directions(), tilted.directions(), atol=1e-12)
    moved = Geometry.of(detector(pc=(0.41, 0.32, 0.57)))
    ours = here.moved(0.01 * 40 / 30, 0.02, -0.03)
    np.testing.assert_allclose(ours.directions(), moved.directions(), atol=1e-12)


def test_rotations_are_orix_rotations():
    from orix.quaternion import Rotation

    q = random_quaternions(np.random.default_rng(0), 5)
    np.testing.assert_allclose(to_matrix(q), Rotation(q).to_matrix(), atol=1e-12)
    np.testing.assert_allclose(from_kikuchipy(to_kikuchipy(q)), q, atol=1e-12)


def test_a_specimen_axis_goes_the_same_way_in_both_frames():
    # EDAX A1 points up in the map, that is along -y.
    q = random_quaternions(np.random.default_rng(1), 1)
    along_map = to_matrix(q)[0] @ (0, -1, 0)
    along_edax = to_matrix(to_kikuchipy(q))[0] @ (1, 0, 0)
    np.testing.assert_allclose(along_map, along_edax, atol=1e-12)


def test_bad_detectors_are_refused(detector):
    with pytest.raises(InputError, match="must be a Camera or a kikuchipy EBSDDetector, not str"):
        Geometry.of("camera")
    with pytest.raises(InputError, match="ratio of the sides"):
        Geometry.of(detector(), (60, 60))
    assert Geometry.of(detector(), (15, 20)).shape == (15, 20)
