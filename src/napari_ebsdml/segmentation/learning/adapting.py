"""What strokes make of a ready model: never much worse than it, or than strokes alone.

A ready model knows thousands of grains, some strokes know a dozen. Where the map is as it expects,
strokes are to change little; where it is not, they are to decide. So three answers are weighed: the
ready model, the ready model with a correction held near zero, and the discriminant that knows the
strokes alone. How much each counts is told by grains that were held out.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from napari_ebsdml.segmentation.models.boosted import BoostedTrees
from napari_ebsdml.segmentation.models.linear import Discriminant

_FOLDS, _FEWEST_UNITS = 5, 4
_FIRMNESS = 18.0
"""How firmly the three answers are held at a third each. Chosen, with `_SURE`, on random maps of
seeds 20100-20111 of all three families."""

_SURE = 2.6
"""The discriminant's logits are divided by it. With 1.7, which strokes alone ask for, answers were
a point too sure."""

_NOT_PAINTED = -5.0
"""Logit by the discriminant of a class without a stroke."""


def adapt(
    model: BoostedTrees,
    values: NDArray[np.floating],
    target: NDArray[np.integer],
    units: NDArray[np.integer],
    temperature: float = 1.0,
) -> BoostedTrees:
    """Adapt a ready model to strokes.

    Parameters
    ----------
    model
    values, target, units
        See `BoostedTrees.adapted`.
    temperature
        The ready model's: what is returned is to be divided by it, too.

    Raises
    ------
    InputError
        When there is no pixel.

    Notes
    -----
    The logarithm of the answer is a weighted sum of the logarithms of the three (L. Breiman,
    Stacked regressions, Mach. Learn. 24 (1996) 49, doi:10.1007/BF00117832), the weights being those
    that are best for grains that the corrections did not learn.
    """
    parts = _answers(model, values, target, units, temperature)
    number = np.unique(units, return_inverse=True)[1]
    weight = np.full(len(parts), 1 / len(parts))
    if number.max(initial=0) + 1 >= _FEWEST_UNITS:
        weight = _weights(model, values, target, number, temperature, weight)
    w, b, scale = np.zeros(model.weight.shape), np.zeros(model.bias.shape), 0.0
    for share, one in zip(weight, parts, strict=True):
        w, b, scale = w + share * one.weight, b + share * one.bias, scale + share * one.scale
    return dataclasses.replace(
        model, weight=w.astype(np.float32), bias=b.astype(np.float32), scale=max(scale, 1e-6)
    )


def _answers(
    model: BoostedTrees, values: NDArray[np.floating], target: NDArray[np.integer],
    units: NDArray[np.integer], temperature: float,
) -> tuple[BoostedTrees, ...]:  # fmt: skip
    """The three answers in one form; the discriminant has no trees."""
    found = Discriminant.fit(values, target, len(model.bias), units)
    painted = np.bincount(target, minlength=len(model.bias)) > 0
    bias = np.where(painted, found.bias, _NOT_PAINTED)
    strokes = dataclasses.replace(
        model, weight=found.weight * np.float32(temperature / _SURE),
        bias=(bias * (temperature / _SURE)).astype(np.float32), scale=0.0,
    )  # fmt: skip
    return model, model.adapted(values, target, units), strokes


def _weights(
    model: BoostedTrees, values: NDArray[np.floating], target: NDArray[np.integer],
    number: NDArray[np.integer], temperature: float, start: NDArray[np.float64],
) -> NDArray[np.float64]:  # fmt: skip
    """Weights of the three answers, by grains that were held out of each."""
    fold = (np.random.default_rng(0).permutation(number.max() + 1) % _FOLDS)[number]
    chances = np.zeros((len(start), len(target), len(model.bias)))
    judged = np.zeros(len(target), dtype=bool)
    trees = model.trees(values)
    for k in range(_FOLDS):
        here = fold == k
        if not here.any() or here.all():
            continue
        parts = _answers(model, values[~here], target[~here], number[~here], temperature)
        for n, one in enumerate(parts):
            logits = one.scale * trees[here] + one.bias + values[here] @ one.weight.T
            chances[n, here] = log_softmax(logits / temperature, axis=1)
        judged |= here
    share = (1 / np.bincount(number))[number][judged]
    logs, y = np.maximum(chances[:, judged], -20.0), target[judged]
    rows = np.arange(len(y))

    def loss(weight: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        log_chance = log_softmax(np.tensordot(weight, logs, 1), axis=1)
        gap = np.exp(log_chance)
        gap[rows, y] -= 1
        value = -float((share * log_chance[rows, y]).sum())
        value += _FIRMNESS * float(((weight - start) ** 2).sum())
        slope = (logs * (gap * share[:, None])).sum(axis=(1, 2)) + 2 * _FIRMNESS * (weight - start)
        return value, slope

    bounds = [(0.0, 2.0)] * len(start)
    return np.asarray(minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x)
