"""Patterns laid beside each other, and the Laue groups that they tell together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from napari_ebsdml.camera import Camera
from napari_ebsdml.patterns.simulated.kinematic import Crystal
from napari_ebsdml.patterns.symmetry.groups import GROUPS
from napari_ebsdml.patterns.symmetry.joint import judged
from napari_ebsdml.patterns.symmetry.laue import Trial, joint_of, kept_of, told
from napari_ebsdml.patterns.symmetry.mosaic import laid, orientations_of
from napari_ebsdml.patterns.symmetry.view import bounds_of, flat_images, views_of
from tests.patterns.symmetry.crystals import CENTRE, NICKEL, TRIGONAL, patterns

TRICLINIC = Crystal(
    "triclinic", 2, (3.9, 4.6, 5.3, 77, 84, 80), ((26, (0.1, 0.2, 0.3)), (13, (0.4, 0.1, 0.8)))
)


def views(images):
    flat, valid = flat_images(images)
    return views_of(flat, valid, bounds_of(CENTRE, images.shape[1:], len(images)))


@pytest.fixture(scope="module")
def triclinic():
    images, axes = patterns(TRICLINIC, 8, seed=3)
    return images, axes, laid(views(images))


def test_patterns_without_symmetry_find_their_places(triclinic):
    _, axes, mosaic = triclinic
    # The columns of axes are the crystal's in the detector's frame: detector -> crystal.
    frames = np.swapaxes(axes, 1, 2) @ np.swapaxes(mosaic.turns, 1, 2)
    reference = frames[int(mosaic.fits.argmax())]
    angles = np.rad2deg(
        np.arccos(np.clip((np.einsum("ij,kij->k", reference, frames) - 1) / 2, -1, 1))
    )
    assert (angles < 1.5).sum() >= 7
    assert mosaic.holds[angles < 1.5].all()
    assert mosaic.is_one


def test_a_triclinic_crystal_is_told_and_not_only_left(triclinic):
    joint = judged(triclinic[2])
    assert joint.best == "-1"
    assert all(joint.weakest(name) < 0.7 for name in GROUPS if name != "-1")
    chances = dict(zip(GROUPS, joint.probabilities(), strict=True))
    assert kept_of(chances, joint) == ["-1"]
    assert joint.is_tested("m-3m", "-1")


def test_the_answer_says_what_holds_together(triclinic):
    _, _, mosaic = triclinic
    joint = replace(judged(mosaic), members=tuple(range(8)))
    result = told([Trial([], Camera(shape=(60, 60), pc=CENTRE), joint, mosaic.views)], False)
    assert result.best == "-1"
    assert result.system == "triclinic"
    assert result.group == {"-1"}
    assert result.state["-1"] == "supported"
    assert result.state["m-3m"] == "contradicted"
    assert result.axes == ()
    assert "hold together" in result.sentence


def test_a_group_is_told_from_its_holohedry():
    # The bands of both lie at the same places; only their strengths differ.
    joint = joint_of(views(patterns(TRIGONAL, 8)[0]))
    assert joint is not None
    assert joint.best == "-3"
    assert joint.weakest("-3") > 0.8 > joint.weakest("-3m")
    ratio = joint.coset_ratio("-3m", "-3")
    assert ratio is not None
    assert ratio < 0.85


def test_what_patterns_tell_one_by_one_counts_more_of_few(triclinic):
    joint = judged(triclinic[2])
    assert joint.number >= 7
    told_m3m = np.full(len(GROUPS), 0.01)
    told_m3m[list(GROUPS).index("m-3m")] = 0.9
    # No symmetry one by one is no opinion: little is tested there.
    told_none = np.full(len(GROUPS), 0.01)
    told_none[0] = 0.9
    many, few = (
        replace(joint, number=number, alone=told_m3m).probabilities() for number in (11, 3)
    )
    at = list(GROUPS).index("m-3m")
    assert many[0] > 0.99
    assert few[at] > 100 * many[at]
    assert few[at] > 5 * replace(joint, number=3).probabilities()[at]
    none = replace(joint, alone=told_none).probabilities()
    flat = replace(joint, alone=np.full(len(GROUPS), 1 / len(GROUPS))).probabilities()
    np.testing.assert_allclose(none, flat)
    # Few patterns leave more open than many that say the same.
    assert replace(joint, number=4).probabilities().max() < joint.probabilities().max()


def test_four_patterns_are_told_together():
    joint = joint_of(views(patterns(NICKEL, 4, seed=2)[0]))
    assert joint is not None
    assert joint.number == 4
    assert joint.alone is not None
    assert joint.best == "m-3m"
    assert joint_of(views(patterns(NICKEL, 3, seed=2)[0])) is None


def test_patterns_of_one_orientation_count_once():
    images, _ = patterns(NICKEL, 2, noise=0.0)
    rng = np.random.default_rng(0)
    copies = np.concatenate([images, images, images])
    copies = copies + 0.5 * rng.normal(size=copies.shape)
    seen = views(copies)
    assert len(set(orientations_of(seen))) == 2
    of = orientations_of(seen)
    assert (of == of[[3, 4, 5, 0, 1, 2]][[3, 4, 5, 0, 1, 2]]).all()
    assert of[0] == of[2] == of[4]
    assert joint_of(seen) is None


def test_noise_does_not_hold_together():
    rng = np.random.default_rng(0)
    white = rng.normal(size=(8, 60, 60))
    assert joint_of(views(white)) is None
    assert joint_of(views(gaussian_filter(white, (0, 1, 1)))) is None
