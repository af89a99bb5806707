"""Calibration: known answers."""

from __future__ import annotations

import numpy as np
import pytest

from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.calibration import coverage, fit_temperature, reliability


def sample(n=40_000, seed=0):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.normal(size=(n, 4))
    gumbel = rng.gumbel(size=logits.shape)
    return logits, (logits + gumbel).argmax(axis=1)  # an exact draw from softmax(logits)


def softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("wrong", [0.4, 1.0, 3.0])
def test_temperature_is_found(wrong):
    logits, target = sample()
    assert fit_temperature(logits * wrong, target) == pytest.approx(wrong, rel=0.03)


def test_reliability_of_true_and_of_overconfident_probabilities():
    logits, target = sample()
    good = reliability(softmax(logits), target)
    bad = reliability(softmax(3 * logits), target)
    assert good.error < 0.015
    assert bad.error > 0.1
    full = good.number > 500
    np.testing.assert_allclose(good.confidence[full], good.accuracy[full], atol=0.05)
    assert good.number.sum() == len(target)


def test_coverage():
    assert coverage([0, 0, 0, 0], [1, 1, 1, 1], [0.5, 1, 2, -1]) == 0.5
    with pytest.raises(InputError):
        coverage([0], [1, 2], [1, 2])


@pytest.mark.parametrize(
    ("scores", "target"),
    [
        (np.zeros((3, 2)), np.zeros(2, int)), (np.zeros(3), np.zeros(3, int)),
        (np.zeros((1, 2)), np.array([5])), (np.full((1, 2), np.nan), np.array([0])),
        (np.zeros((1, 2)), np.array([0.5])), (np.zeros((0, 2)), np.zeros(0, int)),
    ],
)  # fmt: skip
def test_bad_input(scores, target):
    for function in (reliability, fit_temperature):
        with pytest.raises(InputError):
            function(scores, target)
