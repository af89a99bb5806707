"""Lattices that are nearly those of a higher group."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.camera import Camera
from napari_ebsdml.patterns.simulated.kinematic import Crystal
from napari_ebsdml.patterns.simulated.synthetic import random_quaternions
from napari_ebsdml.patterns.symmetry.distortion import Distortion, distortion_of, families
from napari_ebsdml.patterns.symmetry.groups import GROUPS
from napari_ebsdml.patterns.symmetry.laue import MOST_CUBIC, Trial, joint_of, place_all, told
from napari_ebsdml.patterns.symmetry.laue_words import words_together
from napari_ebsdml.patterns.symmetry.view import bounds_of, flat_images, views_of
from tests.patterns.symmetry.crystals import CENTRE, IRON, patterns

LONG = Crystal("Fe", 139, (2.87, 2.87, 2.87 * 1.025, 90, 90, 90), ((26, (0, 0, 0)),))


def views(images, centre=CENTRE):
    flat, valid = flat_images(images)
    return views_of(flat, valid, bounds_of(centre, images.shape[1:], len(images)))


@pytest.mark.parametrize("group", ["m-3m", "4/mmm", "6/mmm", "mmm"])
def test_a_distortion_leaves_the_operations_of_its_subgroup(group):
    assert families(group)
    for one in families(group):
        left = one.frame @ GROUPS[one.smaller].rotations @ one.frame.T
        kept = [np.abs(r @ one.strain @ r.T - one.strain).max() < 1e-6 for r in left]
        assert all(kept)
        others = GROUPS[group].rotations
        changed = sum(np.abs(r @ one.strain @ r.T - one.strain).max() > 1e-6 for r in others)
        assert changed == GROUPS[group].order - GROUPS[one.smaller].order
        back = one.turns @ one.images @ np.swapaxes(one.turns, 1, 2)
        np.testing.assert_allclose(back, np.broadcast_to(one.strain, back.shape), atol=1e-9)
        assert len(one.images) == GROUPS[group].order // GROUPS[one.smaller].order


def test_groups_of_no_known_distortion_have_none():
    assert families("2/m") == ()
    assert distortion_of([], np.zeros((0, 3, 3)), "2/m") is None


def test_c_over_a_is_measured_however_patterns_lie():
    rng = np.random.default_rng(5)
    images, axes = patterns(LONG, 10, noise=0.4, seed=2)
    # Crystal's axes in the detector's frame; each pattern on one of its images in the cube.
    chosen = rng.integers(0, 24, 10)
    turns = GROUPS["m-3m"].rotations[chosen] @ np.swapaxes(axes, 1, 2)
    # The pattern centre is wrong by half a per cent.
    wrong = (CENTRE[0] + 0.005, CENTRE[1] - 0.003, CENTRE[2] + 0.003)
    found = distortion_of(views(images, wrong), turns, "m-3m")
    assert found is not None
    assert found.family.smaller == "4/mmm"
    assert found.chance > 0.95
    assert found.axial == pytest.approx(0.025, rel=0.3)
    # The image of the strain that each pattern has is that of its own c axis.
    c = np.abs(GROUPS["m-3m"].rotations[chosen] @ [0, 0, 1.0]).argmax(axis=1)
    strained = np.abs(np.diagonal(found.family.images, axis1=1, axis2=2)).argmax(axis=1)
    assert (strained[found.images] == c).sum() >= 9


def test_a_cube_has_no_distortion():
    images, axes = patterns(IRON, 10, noise=0.4, seed=2)
    found = distortion_of(views(images), np.swapaxes(axes, 1, 2).copy(), "m-3m")
    assert found is not None
    assert found.chance < 0.1
    assert found.axial < 0.01


@pytest.fixture(scope="module")
def joint():
    found = joint_of(views(patterns(LONG, 9, noise=0.4, seed=4)[0]))
    assert found is not None
    return found


def test_a_nearly_cubic_crystal_is_told_tetragonal(joint):
    # Its operations alone do not tell.
    assert replace(joint, distortions=()).best == "m-3m"
    chances = dict(zip(GROUPS, map(float, joint.probabilities()), strict=True))
    assert joint.best == "4/mmm"
    assert chances["m-3m"] < 0.05
    assert sum(chances.values()) == pytest.approx(1)
    assert "distorted by 2" in words_together(joint, ["4/mmm"], chances)


def test_four_patterns_together_tell_a_nearly_cubic_crystal():
    for crystal, group in ((LONG, "4/mmm"), (IRON, "m-3m")):
        found = joint_of(views(patterns(crystal, 4, noise=0.3, seed=1)[0]))
        assert found is not None
        assert found.number == 4
        assert len(found.distortions) >= 1
        assert found.best == group


def test_what_is_uncertain_is_shared_between_group_and_subgroup(joint):
    family = next(one for one in families("m-3m") if one.smaller == "4/mmm")
    even = Distortion(family, 0.01, 0.001, 1.8, 1.0, np.zeros(9, np.intp))
    chances = dict(zip(GROUPS, replace(joint, distortions=(even,)).probabilities(), strict=True))
    assert chances["m-3m"] == pytest.approx(chances["4/mmm"], rel=0.1)
    small = replace(even, gain=0.5)
    chances = dict(zip(GROUPS, replace(joint, distortions=(small,)).probabilities(), strict=True))
    assert chances["m-3m"] > 0.95
    told = words_together(replace(joint, distortions=(small,)), ["m-3m"], chances)
    assert "a cube to within 1." in told


def test_few_patterns_tell_no_distortion():
    turns = random_quaternions(np.random.default_rng(0), 3)
    images, _ = patterns(IRON, 3)
    assert distortion_of(views(images), to_matrix(turns), "m-3m") is None


def test_patterns_by_themselves_tell_a_distortion_and_never_are_sure_of_a_cube():
    told_of = {}
    for crystal, name in ((LONG, "long"), (IRON, "iron")):
        images, axes = patterns(crystal, 4, noise=0.2, seed=4)
        seen = views(images)
        placed = place_all(seen)
        for one, frame in zip(placed, axes, strict=True):
            one["m-3m"] = replace(one["m-3m"], frame=frame)
        trial = Trial(placed, Camera(shape=(60, 60), pc=CENTRE), None, seen)
        found = distortion_of(seen, np.swapaxes(axes, 1, 2), "m-3m", is_alone=True)
        assert found is not None
        assert found.is_alone
        assert found.ratio < found.gain / found.left
        told_of[name] = found, told([trial], False), told([trial], True)
    distorted, answer, searched = told_of["long"]
    assert distorted.chance > 0.5
    assert distorted.axial == pytest.approx(0.025, rel=0.3)
    assert answer.best == "4/mmm"
    assert "distorted by 2." in answer.sentence
    # A camera that was searched for may hide the distortion, or make one.
    assert searched.best == "m-3m"
    assert searched.probability <= MOST_CUBIC
    assert "4/mmm" in searched.group
    cube, answer, _ = told_of["iron"]
    assert cube.chance < 0.1
    assert answer.best == "m-3m"
    assert answer.probability <= MOST_CUBIC
    assert answer.group >= {"m-3m", "4/mmm"}
    assert "a cube to within 2.0 %" in answer.sentence
