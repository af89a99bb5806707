"""How far a network's probabilities can be trusted, and how to mend them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from napari_ebsdml.errors import InputError


@dataclass(frozen=True, eq=False)
class Reliability:
    """Reliability diagram of a classifier.

    Attributes
    ----------
    confidence, accuracy : (bins,) arrays
        Mean probability of the predicted class and part that is right; NaN in empty bins.
    number : (bins,) int array
        Samples in each bin.
    error
        Expected calibration error: mean |accuracy - confidence| over all samples.
    """

    confidence: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    number: NDArray[np.int64]
    error: float


def _checked(scores: ArrayLike, target: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    table = np.asarray(scores, dtype=np.float64)
    true = np.asarray(target)
    if table.ndim != 2 or true.shape != table.shape[:1] or not len(true):
        raise InputError(
            f"Need scores (samples, classes) and one class per sample, not {table.shape} and "
            f"{true.shape}."
        )
    if not np.isfinite(table).all():
        raise InputError("Scores must be finite.")
    if true.dtype.kind not in "iu" or true.min() < 0 or true.max() >= table.shape[1]:
        raise InputError(f"Classes must be whole numbers in 0..{table.shape[1] - 1}.")
    return table, true.astype(np.intp)


def reliability(probability: ArrayLike, target: ArrayLike, bins: int = 15) -> Reliability:
    """Reliability diagram and expected calibration error.

    Parameters
    ----------
    probability : (samples, classes) array
    target : (samples,) int array
        True classes.
    bins
        Equal bins of the predicted class's probability.

    Raises
    ------
    InputError
        When shapes or classes do not fit.

    Notes
    -----
    Guo et al., "On calibration of modern neural networks", arXiv:1706.04599.
    """
    table, true = _checked(probability, target)
    if bins < 1:
        raise InputError(f"bins must be at least 1, not {bins}.")
    top = table.max(axis=1)
    right = table.argmax(axis=1) == true
    which = np.clip((top * bins).astype(int), 0, bins - 1)
    number = np.bincount(which, minlength=bins)
    with np.errstate(invalid="ignore"):
        confidence = np.bincount(which, top, bins) / number
        accuracy = np.bincount(which, right, bins) / number
    gap = np.abs(accuracy - confidence)
    error = float(np.nansum(gap * number) / number.sum())
    return Reliability(confidence, accuracy, number, error)


def fit_temperature(logits: ArrayLike, target: ArrayLike) -> float:
    """Temperature that makes ``softmax(logits / temperature)`` most likely.

    Parameters
    ----------
    logits : (samples, classes) array
    target : (samples,) int array
        True classes of samples that the network was not trained on.

    Raises
    ------
    InputError
        When shapes or classes do not fit.

    Notes
    -----
    Guo et al., arXiv:1706.04599. The predicted class does not change.
    """
    table, true = _checked(logits, target)

    def loss(log_t: float) -> float:
        chance = log_softmax(table / np.exp(log_t), axis=1)
        return -float(chance[np.arange(len(true)), true].mean())

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(found.x))


def coverage(low: ArrayLike, high: ArrayLike, true: ArrayLike) -> float:
    """Part of true values within their intervals, ends included.

    Raises
    ------
    InputError
        When the shapes differ or there is no value.
    """
    a, b, t = (np.asarray(values, dtype=np.float64) for values in (low, high, true))
    if not a.shape == b.shape == t.shape or not t.size:
        raise InputError(f"low, high and true need one shape, not {a.shape}, {b.shape}, {t.shape}.")
    return float(np.mean((a <= t) & (t <= b)))
