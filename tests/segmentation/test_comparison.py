"""The baselines beside the U-Net, on the same labels and held-out blocks."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation import ForestSegmenter, TrainingSettings, evaluate
from napari_ebsdml.segmentation.comparison import (
    FOREST,
    LINEAR,
    THRESHOLD,
    UNET,
    Compared,
    best_threshold,
    compare,
)
from napari_ebsdml.segmentation.labels.prepare import prepare
from tests.segmentation.segmentation_data import stroke_labels


@pytest.fixture(scope="module")
def labels(steel):
    return stroke_labels(steel.truth, 0.1)


@pytest.fixture(scope="module")
def compared(steel, model, labels):
    events = list(compare([(steel.scan, labels)], steel.scan, model=model, truth=steel.truth))
    return {e.method: e for e in events if isinstance(e, Compared)}


def first_fold(steel, labels, model):
    members = model.network.settings.members
    return prepare([(steel.scan, labels)], model.classes, TrainingSettings(), members).folds


@pytest.mark.long
def test_the_unet_was_scored_on_the_very_same_pixels(steel, model, labels, compared):
    held = first_fold(steel, labels, model).held_out(0)[0]
    confusion = np.array(model.metrics["first_fold"])
    np.testing.assert_array_equal(confusion.sum(1), np.bincount(held[held >= 0], minlength=2))
    want = np.trace(confusion) / confusion.sum()
    assert compared[UNET].held_out_accuracy == pytest.approx(want)
    assert compared[UNET].held_out_pixels == (held >= 0).sum()
    assert compared[UNET].note == ""


def test_methods_are_judged_by_truth_and_by_agreement(steel, compared):
    assert list(compared) == [UNET, LINEAR, THRESHOLD, FOREST]
    for row in compared.values():
        want = float((row.result.labels == steel.truth).mean())
        assert row.truth_accuracy == pytest.approx(want)
        assert row.truth_accuracy > 0.7
        assert row.agreement == pytest.approx(
            float((row.result.labels == compared[UNET].result.labels).mean())
        )
        assert 0.5 < row.balanced_accuracy <= 1
    assert compared[THRESHOLD].detail.endswith("@grain")


def test_held_out_pixels_did_not_train_the_forest(steel, model, labels, compared):
    folds = first_fold(steel, labels, model)
    train, held = folds.without(0)[0], folds.held_out(0)[0]
    values = np.array(model.classes.values)
    forest = ForestSegmenter.train(
        [(steel.scan, np.where(train >= 0, values[train], 0))], ("BS", "KAM"), n_jobs=1
    )
    got = forest.predict(steel.scan).labels
    want = float((got == values[held])[held >= 0].mean())
    assert compared[FOREST].held_out_accuracy == pytest.approx(want)
    assert not ((train >= 0) & (held >= 0)).any()
    # A forest that was shown the held-out pixels knows them by heart: the figure is not that.
    cheat = ForestSegmenter.train(
        [(steel.scan, np.where(held >= 0, values[held], 0))], ("BS", "KAM"), n_jobs=1
    )
    known = (cheat.predict(steel.scan).labels == values[held])[held >= 0].mean()
    assert known > want


def test_other_strokes_give_the_unet_no_figure(steel, model):
    other = stroke_labels(steel.truth, 0.1, seed=5)
    events = compare([(steel.scan, other)], steel.scan, model=model)
    row = next(e for e in events if isinstance(e, Compared))
    assert np.isnan(row.held_out_accuracy)
    assert "other strokes" in row.note
    assert np.isnan(row.truth_accuracy)


def test_without_a_model_and_with_a_vote(steel, labels):
    events = compare([(steel.scan, labels)], steel.scan, ("BS",), grain_vote=True,
                     truth=steel.truth)  # fmt: skip
    rows = [e for e in events if isinstance(e, Compared)]
    assert [r.method for r in rows] == [LINEAR, THRESHOLD, FOREST]
    assert all(np.isnan(r.agreement) for r in rows)
    assert rows[-1].fraction == 1


def test_the_best_channel_makes_the_threshold(steel, labels):
    items = [(steel.scan, labels)]
    best = best_threshold(items, ("MAD", "BS", "KAM", "IPF", "Local"))
    scores = {}
    for name in ("MAD", "BS", "KAM"):
        got = best_threshold(items, (name,)).predict(steel.scan).labels
        scores[name] = evaluate(got, labels).accuracy
    assert best.channel == f"{max(scores, key=scores.get)}@grain"
    assert best_threshold(items, ("IPF", "Quaternions")) is None


def test_a_truth_that_does_not_fit(steel, labels):
    with pytest.raises(InputError, match="truth has shape"):
        list(compare([(steel.scan, labels)], steel.scan, ("BS",), truth=steel.truth[1:]))
