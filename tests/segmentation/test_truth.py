"""Tools that make a ground truth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from napari_ebsdml.errors import InputError
from napari_ebsdml.maps import segment_grains
from napari_ebsdml.samples import MARTENSITE, bent_crystal
from napari_ebsdml.segmentation.truth import (
    TruthSettings,
    closed_grains,
    dilate_class,
    erode_class,
    erode_dilate,
    fill_not_indexed,
    flip_grain,
    label_by_threshold,
    make_truth,
    refined_truth,
    remove_small,
    vote_per_grain,
)

GRAINS = np.repeat([[1, 1, 1, 2, 2, 0]], 4, axis=0)


def test_vote_takes_the_majority_and_leaves_the_rest() -> None:
    labels = np.array([[1, 1, 2, 2, 2, 2]] * 3 + [[1, 1, 2, 0, 1, 0]], np.uint8)
    voted = vote_per_grain(labels, GRAINS)
    assert (voted[:, :3] == 1).all()
    assert (voted[:, 3:5] == 2).all()
    np.testing.assert_array_equal(voted[:, 5], labels[:, 5])
    # Two thirds are no nine tenths; a tie goes to the smaller label.
    np.testing.assert_array_equal(vote_per_grain(labels, GRAINS, 0.9)[:, :3], labels[:, :3])
    tie = np.array([[2, 1], [1, 2]])
    assert (vote_per_grain(tie, np.ones((2, 2), int)) == 1).all()
    assert not vote_per_grain(np.zeros((2, 2), int), np.ones((2, 2), int)).any()


def test_small_regions_join_what_lies_round_them() -> None:
    labels = np.ones((9, 9), np.uint8)
    labels[4, 4] = 2
    labels[0:3, 0:3] = 3
    cleaned = remove_small(labels, 5)
    assert cleaned[4, 4] == 1
    assert (cleaned[:3, :3] == 3).all()
    assert (remove_small(labels, 5, value=3) == labels).all()
    labels[8] = 0
    assert (remove_small(labels, 5)[8] == 0).all()
    assert (remove_small(np.eye(2, dtype=int), 9) == np.eye(2)).all()


def test_erode_and_dilate() -> None:
    labels = np.ones((11, 11), np.uint8)
    labels[2:9, 2:9] = 2
    smaller = erode_class(labels, 2, 1)
    assert (smaller == 2).sum() == 25
    assert set(np.unique(smaller)) == {1, 2}
    assert (dilate_class(labels, 2, 1) == 2).sum() == 49 + 4 * 7
    # A seam of one pixel goes, the block stays as it was but for its corners.
    labels[5, :] = 2
    opened = erode_dilate(labels, 2, 1)
    assert opened[5, 0] == opened[5, 10] == 1
    assert (opened[3:8, 3:8] == 2).all()
    only = np.zeros(labels.shape, bool)
    only[:, 0] = True
    assert (erode_dilate(labels, 2, 1, only) != labels).sum() == 1
    # The edge of the map is no edge of a class.
    assert (erode_class(np.full((4, 4), 2), 2) == 2).all()


def test_flip_a_grain() -> None:
    labels = np.repeat([[1, 1, 1, 2, 2, 1]], 4, axis=0)
    flipped = flip_grain(labels, GRAINS, (0, 0))
    assert (flipped[:, :3] == 2).all()
    np.testing.assert_array_equal(flip_grain(flipped, GRAINS, (2, 1)), labels)
    assert (flip_grain(labels, GRAINS, (3, 4), 7)[:, 3:5] == 7).all()
    with pytest.raises(InputError, match="no grain"):
        flip_grain(labels, GRAINS, (0, 5))
    with pytest.raises(InputError, match="no pixel"):
        flip_grain(labels, GRAINS, (0, 6))
    with pytest.raises(InputError, match="no other label"):
        flip_grain(np.ones((4, 6), int), GRAINS, (0, 0))


def test_pixels_not_indexed(steel) -> None:
    gone = ~steel.scan.is_indexed
    labels = np.where(gone, 0, steel.truth).astype(np.uint8)
    filled = fill_not_indexed(labels, steel.scan)
    assert (filled > 0).all()
    assert (filled[gone] == steel.truth[gone]).mean() > 0.8
    assert (fill_not_indexed(labels, steel.scan, MARTENSITE)[gone] == MARTENSITE).all()
    with pytest.raises(InputError, match="No labelled pixel"):
        fill_not_indexed(np.zeros_like(labels), steel.scan)
    with pytest.raises(InputError, match="no label"):
        fill_not_indexed(labels, steel.scan, 300)


def test_open_boundaries_are_closed() -> None:
    """A wall of 2.5 degrees with a hole, through which it is 1.2 degrees, cuts; noise does not."""
    scan = bent_crystal((40, 60), 0.0, noise=0.1, step=1.0, seed=1).scan
    half = np.zeros((40, 60))
    half[:, 30:] = 3.0
    half[18:22, 28:30] = 1.5
    half[18:22, 30:32] = 2.2
    angle = np.deg2rad(half) / 2
    turn = np.stack([np.cos(angle), 0 * angle, 0 * angle, np.sin(angle)], axis=-1)
    from napari_ebsdml._quaternions import multiply

    open_wall = dataclasses.replace(scan, quaternions=multiply(turn, scan.quaternions))
    assert segment_grains(open_wall, 2.0).max() == 1
    closed = closed_grains(open_wall, 2.0, 0.6, 5)
    sizes = np.sort(np.bincount(closed.ravel())[1:])[::-1]
    assert len(sizes) == 2
    assert abs(int(sizes[0]) - 1200) < 40
    assert closed[10, 5] != closed[10, 55]
    assert closed_grains(scan, 2.0, 0.6, 5).max() == 1
    np.testing.assert_array_equal(closed_grains(open_wall, gap=0), segment_grains(open_wall, 2.0))


def test_the_recipe_mends_a_threshold(steel) -> None:
    """The article's way: pre-label by BS, vote, pixels not indexed are martensite, opened."""
    first = label_by_threshold(steel.scan, "BS", 150, below=2, above=1)
    how = TruthSettings(not_indexed=MARTENSITE)
    made = refined_truth(steel.scan, first, how)
    before, after = ((x == steel.truth).mean() for x in (first, made))
    assert after > before + 0.02
    assert after > 0.91
    np.testing.assert_array_equal(made, refined_truth(steel.scan, first, how))
    plain = TruthSettings(vote=False, smallest=0, open=0)
    indexed = steel.scan.is_indexed
    np.testing.assert_array_equal(refined_truth(steel.scan, first, plain)[indexed], first[indexed])


def test_from_a_model(steel, model) -> None:
    labels = model.predict(steel.scan).labels
    made = make_truth(steel.scan, model, TruthSettings(not_indexed=MARTENSITE))
    assert made.shape == steel.scan.shape
    assert (made == steel.truth).mean() > (labels == steel.truth).mean() - 0.02


def test_wrong_arguments(steel) -> None:
    with pytest.raises(InputError, match="several planes"):
        label_by_threshold(steel.scan, "Local", 1.0)
    with pytest.raises(InputError, match="shape"):
        vote_per_grain(np.ones((2, 3), int), np.ones((3, 2), int))
    with pytest.raises(InputError, match="whole numbers"):
        remove_small(np.ones((2, 2)), 3)
    with pytest.raises(InputError, match="negative"):
        erode_class(np.full((2, 2), -1), 1)
    with pytest.raises(InputError, match="pixels"):
        dilate_class(np.ones((2, 2), int), 1, -1)
    with pytest.raises(InputError, match="down_to"):
        closed_grains(steel.scan, 2.0, 3.0)
    with pytest.raises(InputError, match="close"):
        TruthSettings(close=1000)
