"""The linear discriminant, and what held-out grains say of answers."""

from __future__ import annotations

import dataclasses
import random

import numpy as np
import pytest
import torch
from scipy.special import softmax

from napari_ebsdml.errors import InputError
from napari_ebsdml.maps import segment_grains
from napari_ebsdml.segmentation import Segmenter, TrainingSettings, evaluate
from napari_ebsdml.segmentation.labels.data import Classes
from napari_ebsdml.segmentation.labels.prepare import prepare
from napari_ebsdml.segmentation.models.linear import Discriminant
from napari_ebsdml.segmentation.results.judging import (
    USUAL,
    USUAL_DOUBT,
    Judged,
    doubted,
    is_better,
)
from tests.segmentation.segmentation_data import stroke_labels


def normal(rng, number, means, covariance):
    target = rng.integers(0, len(means), number)
    noise = rng.multivariate_normal(np.zeros(len(covariance)), covariance, number)
    return np.array(means)[target] + noise, target


def test_finds_the_best_possible_border_of_normal_classes():
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 4.0]])
    means = [[0.0, 0.0, 0.0], [1.0, -0.5, 1.0]]
    x, y = normal(rng, 200_000, means, covariance)
    found = Discriminant.fit(x, y, 2, balance=0.0)
    want = np.linalg.solve(covariance, np.subtract(*means[::-1]))
    got = found.weight[1] - found.weight[0]
    np.testing.assert_allclose(got, want, rtol=0.03, atol=0.03)
    chance = softmax(found.at(x), axis=1)
    sure = chance.max(1)
    right = chance.argmax(1) == y
    for low, high in ((0.5, 0.6), (0.7, 0.8), (0.9, 0.99)):
        here = (sure > low) & (sure < high)
        assert right[here].mean() == pytest.approx(sure[here].mean(), abs=0.02)


def test_agrees_with_scikit_learn_where_nothing_needs_shrinking():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rng = np.random.default_rng(1)
    x, y = normal(rng, 50_000, [[0, 0], [2, 0], [0, 3]], np.array([[1.0, 0.3], [0.3, 1.0]]))
    other = LinearDiscriminantAnalysis(solver="lsqr").fit(x, y)
    found = Discriminant.fit(x, y, 3, balance=0.0)
    assert (found.at(x).argmax(1) == other.predict(x)).mean() > 0.999


def test_pixels_of_few_grains_are_trusted_less():
    rng = np.random.default_rng(2)
    grains = np.repeat(np.arange(8), 200)
    y = grains % 2
    x = rng.normal(size=(8, 20))[grains] + 0.1 * rng.normal(size=(len(grains), 20))
    plain, by_grain = Discriminant.fit(x, y, 2), Discriminant.fit(x, y, 2, grains)
    assert by_grain.shrinkage > 3 * plain.shrinkage
    fresh = rng.normal(size=(500, 20))
    assert np.abs(np.diff(by_grain.at(fresh))).mean() < np.abs(np.diff(plain.at(fresh))).mean()


def test_odd_pixels():
    x = np.zeros((4, 3))
    found = Discriminant.fit(x, np.array([0, 0, 2, 2]), 4)
    assert np.isfinite(found.at(x)).all()
    # A class that nobody painted is never the answer.
    assert set(found.at(np.random.default_rng(0).normal(size=(99, 3))).argmax(1)) <= {0, 2}
    with pytest.raises(InputError, match="at least one"):
        Discriminant.fit(x[:0], np.empty(0, int), 2)
    image = np.random.default_rng(1).normal(size=(3, 5, 7)).astype(np.float32)
    np.testing.assert_allclose(
        found.logits(image), np.moveaxis(found.at(np.moveaxis(image, 0, -1)), -1, 0), atol=1e-5
    )


def judged(right, classes=2, units=40, sure=2.0, seed=0):
    """Logits that are right in a part of the units, and equally sure in all."""
    rng = np.random.default_rng(seed)
    unit = np.repeat(np.arange(units), 10).astype(np.int32)
    target = (unit % classes).astype(np.int8)
    said = np.where((rng.permutation(units) < right * units)[unit], target, (target + 1) % classes)
    logits = sure * np.eye(classes, dtype=np.float32)[said]
    return Judged(logits, target, unit, (unit % 5).astype(np.int8))


def test_temperature_follows_how_often_grains_are_wrong():
    sure = 6.0
    many = judged(0.75, units=4000, sure=sure)
    # log odds of 3 in place of 6.
    assert many.temperature(True) == pytest.approx(sure / np.log(3), rel=0.05)
    # Always right: colder only where labels are dense.
    assert judged(1.0, units=4000, sure=1.0).temperature(True) < 0.5
    assert judged(1.0, units=4000, sure=1.0).temperature(False) == 1.0


def test_grains_that_are_wrong_whatever_the_logits_say_make_a_doubt():
    # 10 % of the grains are wrong and as sure as the others: no temperature is honest for both.
    many = judged(0.9, units=2000, sure=12.0)
    temperature, doubt = many.calibration(False)
    assert doubt == pytest.approx(0.2, abs=0.02)
    assert temperature < 2.5
    chance = doubted(softmax(many.logits / temperature, axis=1), doubt, 1)
    assert chance.sum(axis=1) == pytest.approx(1, abs=1e-6)
    assert chance.max(axis=1).mean() == pytest.approx(0.9, abs=0.01)
    # The grains are cut in two where figures are told.
    assert many.figures(False)["calibration_error"] < 0.02
    assert many.calibration(True) == (many.temperature(True), 0.0)
    # A few right ones do not do away with it.
    assert judged(1.0, units=12).calibration(False)[1] > 0.02
    assert judged(0.75, units=9).calibration(False) == (USUAL, USUAL_DOUBT)


def test_offsets_bring_the_classes_to_their_shares():
    rng = np.random.default_rng(5)
    target = np.repeat(rng.choice(3, 3000, p=(0.2, 0.1, 0.7)), 4)
    x = 1.5 * np.eye(3)[target] + rng.normal(size=(len(target), 3))
    true = 1.5 * x + np.log([0.2, 0.1, 0.7])
    unit = np.arange(len(target), dtype=np.int32) // 4
    wrong = np.array([1.0, 0.5, -1.5])
    # A fourth class is known to the model and does not occur.
    logits = np.column_stack((2 * (true + wrong), np.full(len(target), -7.0))).astype(np.float32)
    many = Judged(logits, target.astype(np.int8), unit, (unit % 5).astype(np.int8))
    offsets = many.offsets()
    assert offsets[:3] / 2 == pytest.approx(-wrong, abs=0.1)
    assert offsets[3] == 0
    shares = np.bincount(target, minlength=4) / len(target)
    shifted = dataclasses.replace(many, logits=logits + offsets)
    chance = softmax(shifted.logits / shifted.temperature(True), axis=1)
    assert chance.mean(axis=0) == pytest.approx(shares, abs=0.01)
    assert softmax(logits / 2, axis=1).mean(axis=0)[2] < 0.6
    # A dozen grains move them less, fewer do not at all.
    few = dataclasses.replace(many, logits=logits[:80], target=many.target[:80], unit=unit[:80])
    assert np.abs(few.offsets()).max() < np.abs(offsets).max()
    assert not judged(0.75, units=9).offsets().any()


def test_too_little_to_tell():
    few = judged(0.75, units=9)
    assert few.temperature(False) == USUAL
    assert few.figures(False) == {}
    one = dataclasses.replace(judged(1.0), target=np.zeros(400, np.int8))
    assert one.temperature(True) == USUAL
    assert one.figures(True) == {}
    assert Judged.empty(2).temperature(False) == 1.0


def test_the_network_stays_only_where_grains_say_so():
    good, bad = judged(0.95), judged(0.7)
    assert is_better(good, bad, False)
    assert not is_better(bad, good, False)
    # A draw speaks for what starts from the discriminant.
    assert is_better(good, good, False)
    assert not is_better(judged(0.95, units=8), judged(0.7, units=8), False)
    assert is_better(bad, good, True)


def test_no_epochs_give_the_discriminant_at_once(steel, other_steel, tmp_path):
    labels = stroke_labels(steel.truth, 0.05)
    model = Segmenter.train([(steel.scan, labels)], ("BS", "KAM"), epochs=0)
    assert model.network is None
    assert "linear discriminant answers" in model.answer
    result = model.predict(other_steel.scan)
    assert evaluate(result.labels, other_steel.truth).accuracy > 0.85
    card = model.save(tmp_path / "light")
    assert card.network == "Linear"
    assert (tmp_path / "light.safetensors").stat().st_size < 2000
    loaded = Segmenter.load(tmp_path / "light")
    np.testing.assert_array_equal(loaded.predict(other_steel.scan).probability, result.probability)
    assert loaded.answer == model.answer
    # And a network can learn what it leaves over.
    more = loaded.train_more(
        [(steel.scan, labels)], epochs=1, steps=2, batch=2, crop=32, keep="network", n_threads=1
    )
    assert more.network is not None


def test_training_leaves_the_global_generators_alone(steel, quick):
    labels = stroke_labels(steel.truth, 0.1)
    np.random.seed(7)  # noqa: NPY002 - the generator that is to be left alone
    random.seed(7)
    torch.manual_seed(7)
    before = np.random.get_state()[1].copy(), random.getstate(), torch.get_rng_state()  # noqa: NPY002
    training = Segmenter.training([(steel.scan, labels)], ("BS",), **quick)
    for _ in training:
        np.testing.assert_array_equal(torch.get_rng_state(), before[2])
    assert training.segmenter is not None
    np.testing.assert_array_equal(torch.get_rng_state(), before[2])
    assert random.getstate() == before[1]
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002


def test_what_cannot_be_told_is_said(steel):
    labels = np.zeros_like(steel.truth)
    for c in (1, 2):
        place = np.argwhere(steel.truth == c)[200]
        labels[tuple(place)] = c
    model = Segmenter.train([(steel.scan, labels)], ("BS", "KAM"), epochs=0)
    assert model.metrics == {}
    assert any("single place" in note for note in model.notes)
    assert any(note.startswith("2 strokes lie in 2 grains; from 10") for note in model.notes)


def test_strokes_are_counted_as_painted(steel):
    """A disc over several grains is one stroke, which judges with each of them."""
    rows, columns = np.indices(steel.truth.shape)
    labels = np.zeros_like(steel.truth)
    for value, (row, column) in enumerate(((20, 20), (60, 80)), start=1):
        labels[(rows - row) ** 2 + (columns - column) ** 2 <= 4] = value
    grains = segment_grains(steel.scan, 2.0)
    met = len(np.unique(grains[(labels > 0) & (grains > 0)]))
    assert 2 < met < 10
    classes = Classes.marked([(steel.scan, labels)], None, None)
    found = prepare([(steel.scan, labels)], classes, TrainingSettings())
    assert found.regions == met
    assert f"2 strokes lie in {found.folds.units()} grains; from 10" in " ".join(found.notes)


def test_a_class_that_vanishes_is_told(steel):
    # The third class is painted at random: nothing in the channels shows it.
    rng = np.random.default_rng(0)
    labels = stroke_labels(steel.truth, 0.2)
    labels[(labels > 0) & (rng.random(labels.shape) < 0.02)] = 3
    model = Segmenter.train([(steel.scan, labels)], ("BS", "KAM"), epochs=0, balance=0.0)
    result = model.predict(steel.scan)
    assert not (result.labels == 3).any()
    assert any("class 3 vanishes" in note for note in model.notes)


def test_what_is_told_is_near_the_truth(steel):
    labels = stroke_labels(steel.truth, 0.02)
    model = Segmenter.train([(steel.scan, labels)], ("BS", "KAM"), epochs=0)
    right = (model.predict(steel.scan).labels == steel.truth)[labels == 0].mean()
    assert model.metrics["expected_accuracy"] == pytest.approx(right, abs=0.05)
