"""Spheres of one crystal agree in whatever frame; those of different crystals do not."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.phases.agreement import agreement
from napari_ebsdml.patterns.phases.clusters import SAME
from napari_ebsdml.patterns.simulated.synthetic import random_quaternions
from napari_ebsdml.patterns.symmetry.groups import GROUPS
from napari_ebsdml.patterns.symmetry.sphere import MeasuredSphere
from napari_ebsdml.patterns.symmetry.view import flat_images, views_of
from tests.patterns.symmetry.crystals import CENTRE, IRON, NICKEL, patterns


def sphere_of(crystal, group, seed, turn=None, number=12):
    """Of a crystal, in its own frame or in one that is turned."""
    images, frames = patterns(crystal, number, 0.3, seed=seed)
    flat, valid = flat_images(images)
    bounds = Geometry.from_angles(CENTRE, (60, 60)).bounds
    turn = np.eye(3) if turn is None else turn
    return MeasuredSphere.merged(views_of(flat, valid, bounds), frames @ turn.T, group)


@pytest.fixture(scope="module")
def nickel():
    return sphere_of(NICKEL, "m-3m", 0)


def test_one_crystal_in_another_frame_and_group(nickel):
    turn = to_matrix(random_quaternions(np.random.default_rng(2), 1))[0]
    other = sphere_of(NICKEL, "-1", 1, turn, 40)
    found, back = agreement(nickel, other)
    # Nothing is averaged over symmetry in the other, whose cells are noisier and coarser.
    assert found > 0.92
    cosine = max(np.trace(rotation @ back @ turn) for rotation in GROUPS["m-3m"].rotations)
    assert np.rad2deg(np.arccos(np.clip((cosine - 1) / 2, -1, 1))) < 1.0


def test_two_crystals_of_one_group(nickel):
    assert agreement(nickel, sphere_of(NICKEL, "m-3m", 1))[0] > SAME
    assert agreement(nickel, sphere_of(IRON, "m-3m", 1))[0] < 0.7
