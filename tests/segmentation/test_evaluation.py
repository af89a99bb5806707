from __future__ import annotations

import csv
import dataclasses

import numpy as np
import pytest

from napari_ebsdml.errors import InputError, WriteError
from napari_ebsdml.maps import segment_grains
from napari_ebsdml.segmentation import (
    Classes,
    ForestSegmenter,
    GrainThresholdSegmenter,
    SegmentationResult,
    evaluate,
)
from tests.segmentation.segmentation_data import stroke_labels


def test_figures_agree_with_scikit_learn(tmp_path):
    from sklearn import metrics

    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, (30, 40))
    predicted = np.where(rng.random(truth.shape) < 0.7, truth, rng.integers(0, 4, truth.shape))
    result = evaluate(predicted, truth, {1: "a", 2: "b", 3: "c"})
    use = (truth > 0) & (predicted > 0)
    t, p = truth[use], predicted[use]
    np.testing.assert_array_equal(result.confusion, metrics.confusion_matrix(t, p))
    assert result.accuracy == pytest.approx(metrics.accuracy_score(t, p))
    np.testing.assert_allclose(result.precision, metrics.precision_score(t, p, average=None))
    np.testing.assert_allclose(result.recall, metrics.recall_score(t, p, average=None))
    np.testing.assert_allclose(result.f1, metrics.f1_score(t, p, average=None))
    np.testing.assert_allclose(result.iou, metrics.jaccard_score(t, p, average=None))
    np.testing.assert_allclose(
        result.fraction_error, [np.mean(p == c) - np.mean(t == c) for c in (1, 2, 3)]
    )
    assert (result.correct[~use] == -1).all()
    assert result.correct[use].mean() == pytest.approx(result.accuracy)
    assert "accuracy" in result.table()
    result.to_csv(tmp_path / "e.csv")
    with (tmp_path / "e.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["class"] for row in rows] == ["a", "b", "c"]
    assert float(rows[1]["recall"]) == pytest.approx(result.recall[1])
    with pytest.raises(WriteError):
        result.to_csv(tmp_path / "none" / "e.csv")


def test_evaluation_refuses_what_does_not_fit():
    with pytest.raises(InputError, match="one shape"):
        evaluate(np.ones((2, 2), int), np.ones((3, 2), int))
    with pytest.raises(InputError, match="no pixel"):
        evaluate(np.ones((2, 2), int), np.zeros((2, 2), int))


def two_classes():
    return Classes.of((1, 2), ("a", "b"))


def test_fractions_cover_the_truth_about_as_often_as_they_say():
    # Maps of independent patches of a material with a known fraction.
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        patches = rng.random((12, 12)) < 0.3
        labels = np.where(np.kron(patches, np.ones((5, 5))), 1, 2).astype(np.uint8)
        probability = np.stack((labels == 1, labels == 2), -1).astype(np.float32)
        first = SegmentationResult(labels, probability, two_classes()).fractions()[0]
        assert first.fraction == pytest.approx(patches.mean())
        assert first.low <= first.fraction <= first.high
        hits += first.low <= 0.3 <= first.high
    assert 0.88 < hits / 200 < 0.99


def test_fraction_interval_grows_with_doubt():
    labels = np.where(np.arange(3600).reshape(60, 60) % 2, 1, 2).astype(np.uint8)
    sure = np.stack((labels == 1, labels == 2), -1).astype(np.float32)
    doubtful = np.where(sure > 0, 0.6, 0.4).astype(np.float32)
    doubtful[labels == 2] = (0.3, 0.7)
    a = SegmentationResult(labels, sure, two_classes()).fractions()[0]
    b = SegmentationResult(labels, doubtful, two_classes()).fractions()[0]
    assert a.high - a.low < 0.04
    assert b.expected == pytest.approx(0.45)
    assert b.low < 0.4501 < 0.4999 < b.high


def test_grain_vote_takes_the_mean_probability(steel):
    grains = segment_grains(steel.scan, 3.0)
    rng = np.random.default_rng(0)
    p = rng.random(steel.scan.shape).astype(np.float32)
    probability = np.stack((p, 1 - p), -1)
    labels = np.where(p > 0.5, 1, 2).astype(np.uint8)
    voted = SegmentationResult(labels, probability, two_classes()).grain_vote(steel.scan)
    for grain in np.unique(grains[grains > 0])[:60]:
        here = grains == grain
        assert (voted.labels[here] == (1 if p[here].mean() > 0.5 else 2)).all()
        np.testing.assert_allclose(voted.probability[here][:, 0], p[here].mean(), atol=1e-5)
    np.testing.assert_array_equal(voted.labels[grains == 0], labels[grains == 0])


def test_forest(steel, other_steel):
    forest = ForestSegmenter.train(
        [(steel.scan, stroke_labels(steel.truth))], ("BS", "KAM"), trees=30, scales=(0.5, 4.0)
    )
    result = forest.predict(other_steel.scan)
    assert evaluate(result.labels, other_steel.truth).accuracy > 0.8
    np.testing.assert_allclose(result.probability.sum(-1), 1, atol=1e-5)
    left = forest.predict(other_steel.scan, not_indexed="leave_out", grain_vote=True)
    assert not left.labels[~other_steel.scan.is_indexed].any()


def test_grain_threshold_finds_the_best_threshold(steel):
    model = GrainThresholdSegmenter.train([(steel.scan, steel.truth)], ("BS",))
    got = evaluate(model.predict(steel.scan).labels, steel.truth).accuracy
    grains = segment_grains(steel.scan, 3.0)
    bs = steel.scan.get("BS").astype(float)
    mean = np.bincount(grains.ravel(), bs.ravel()) / np.maximum(np.bincount(grains.ravel()), 1)
    value = np.where(grains > 0, mean[grains], bs)
    best = max(np.mean(np.where(value > t, 1, 2) == steel.truth) for t in np.unique(value.round(3)))
    assert got == pytest.approx(best, abs=2e-3)


def test_grain_threshold_with_three_classes_and_bad_input(steel):
    level = np.digitize(np.arange(steel.scan.shape[1]), (40, 80))
    bs = np.broadcast_to(level * 50.0, steel.scan.shape)
    bare = dataclasses.replace(
        steel.scan, prop={"BS": bs}, quaternions=np.zeros_like(steel.scan.quaternions),
        phase_id=np.full_like(steel.scan.phase_id, -1),
    )  # fmt: skip
    labels = np.broadcast_to(np.array([3, 1, 2])[level], bare.shape)
    model = GrainThresholdSegmenter.train([(bare, labels)])
    np.testing.assert_array_equal(model.predict(bare).labels, labels)
    np.testing.assert_allclose(model.thresholds, (25, 75))
    with pytest.raises(InputError, match="one channel"):
        GrainThresholdSegmenter.train([(bare, labels)], ("BS", "BC"))
