"""Which grains judge, and that none judges what it taught."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_cdt

from napari_ebsdml.segmentation.labels.folds import deal
from napari_ebsdml.segmentation.labels.spread import LARGEST_SPREAD, spread_labels


def scattered(shape, classes, share=0.3, seed=0):
    rng = np.random.default_rng(seed)
    marked = rng.random(shape) < share
    return np.where(marked, rng.integers(0, classes, shape), -1).astype(np.int8)


def test_no_training_pixel_is_near_one_that_judges():
    target = scattered((120, 90), 3)
    folds = deal([target], [target], [None], 3, 5, 4)
    judged = np.zeros(target.shape, int)
    for fold in range(5):
        held = folds.held_out(fold)[0] >= 0
        train = folds.without(fold)[0] >= 0
        judged += held
        distance = distance_transform_cdt(~held, metric="chessboard")
        assert distance[train].min() > 4
        assert train.any()
        for c in range(3):
            assert 0.1 < (held & (target == c)).sum() / (target == c).sum() < 0.3
    # Every painted pixel judges once.
    np.testing.assert_array_equal(judged, target >= 0)


def test_grains_judge_as_a_whole():
    target = scattered((96, 96), 2)
    # Grains of 4 x 24 pixels reach over the borders of blocks of 12.
    i, j = np.indices(target.shape)
    grains = (1 + (i // 4) * 4 + j // 24).astype(np.int32)
    folds = deal([target], [target], [grains], 2, 5, 0)
    for grain in np.unique(grains):
        assert len(np.unique(folds.fold[0][grains == grain])) == 1
        assert len(np.unique(folds.unit[0][grains == grain])) == 1
    held = np.unique(grains[folds.held_out(2)[0] >= 0])
    assert (folds.without(2)[0][np.isin(grains, held)] == -1).all()


def test_a_grain_with_most_of_a_class_is_cut():
    target = scattered((64, 64), 2)
    grains = np.ones((64, 64), np.int32)
    folds = deal([target], [target], [grains], 2, 5, 0)
    assert len(np.unique(folds.unit[0])) > 20
    assert {int(f) for f in np.unique(folds.fold[0])} == {0, 1, 2, 3, 4}


def test_a_class_in_one_place_trains_always_and_is_told():
    target = np.full((64, 64), -1, np.int8)
    target[2:60, 2:30] = 0
    target[33:35, 57:60] = 1
    folds = deal([target], [target], [None], 2, 5, 2)
    for fold in range(5):
        assert (folds.without(fold)[0] == 1).sum() == 6
        assert not (folds.held_out(fold)[0] == 1).any()
    assert folds.alone == (1,)


def test_more_paint_does_not_change_who_judges():
    target = scattered((80, 80), 2, 0.05)
    more = np.where(target < 0, scattered((80, 80), 2, 0.05, seed=1), target)
    few, many = (deal([t], [t], [None], 2, 5, 0) for t in (target, more))
    np.testing.assert_array_equal(few.fold[0], many.fold[0])


def test_nothing_is_held_out_of_one_fold():
    target = scattered((30, 30), 2)
    folds = deal([target], [target], [None], 2, 0, 3)
    assert folds.number == 0
    assert (folds.fold[0] == -1).all()


def test_one_row_and_one_pixel():
    for shape in ((1, 1), (1, 40), (7, 1)):
        target = np.zeros(shape, np.int8)
        assert deal([target], [target], [None], 2, 5, 3).units() >= 1


def test_spread_labels_do_not_judge():
    painted = np.full((40, 40), -1, np.int8)
    painted[10, 5:9] = 0
    painted[30, 30:34] = 1
    spread = painted.copy()
    spread[8:13, 3:12] = 0
    folds = deal([painted], [spread], [None], 2, 5, 0)
    judged = sum((folds.held_out(f)[0] >= 0).astype(int) for f in range(5))
    assert not judged[painted < 0].any()


def test_labels_spread_within_their_grain_only():
    grains = np.ones((20, 40), np.int32)
    grains[:, 20:] = 2
    grains[:4] = 0
    target = np.full(grains.shape, -1, np.int8)
    target[10, 18] = 0
    target[10, 30] = 1
    grown = spread_labels(target, grains, 5).target
    assert (grown[grains == 0] == -1).all()
    # The left grain is class 0 up to five pixels away, and class 0 does not cross the border.
    assert grown[10, 19] == 0
    assert grown[10, 13] == 0
    assert grown[10, 12] == -1
    assert grown[10, 21] == -1
    assert (grown[10, 25:36] == 1).all()
    # Two classes in a grain: nobody knows where one ends.
    target[12, 22] = 0
    found = spread_labels(target, grains, 5)
    np.testing.assert_array_equal(found.target[:, 20:], target[:, 20:])
    assert (found.shared, found.graded) == (1, 0)
    # Nor where the orientation changes throughout the grain.
    steep = spread_labels(target, grains, 5, np.array([0.0, LARGEST_SPREAD + 1, 0.0]))
    np.testing.assert_array_equal(steep.target, target)
    assert (steep.shared, steep.graded) == (1, 1)
