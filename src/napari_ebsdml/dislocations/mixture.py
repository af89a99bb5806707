"""From the network's mixture of log-normals to point estimates and intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from napari_ebsdml.dislocations.network import LineOutput

_ROOT2 = math.sqrt(2.0)


@dataclass(frozen=True, eq=False)
class Estimates:
    """Estimates per pixel, in the unit of the network (one line across a pixel).

    Attributes
    ----------
    mean
        Expected density: right on average, so use it for map averages.
    std
        Standard deviation of the density.
    median
        Density with the smallest expected relative error; it lies below the mean.
    low, high
        Ends of the central interval.
    n_lines
        Most probable number of lines.
    """

    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    median: NDArray[np.float32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    n_lines: NDArray[np.int32]


@njit(cache=True, nogil=True)
def _below(t, weight, location, sigma):  # type: ignore[no-untyped-def]
    """Weight of a mixture of normals below `t`; component 0 is a point at its location."""
    part = weight[0] if t >= location[0] else 0.0
    for k in range(1, weight.size):
        if weight[k] > 1e-5:
            part += weight[k] * 0.5 * math.erfc((location[k] - t) / (sigma[k] * _ROOT2))
    return part


@njit(cache=True, nogil=True)
def _quantile(share, weight, location, sigma):  # type: ignore[no-untyped-def]
    """Where the mixture's weight reaches `share` of its total, by bisection."""
    low, high, total = math.inf, -math.inf, 0.0
    for k in range(weight.size):
        total += weight[k]
        if weight[k] > 1e-5:
            reach = 5.0 * sigma[k]
            low = min(low, location[k] - reach)
            high = max(high, location[k] + reach)
    target = share * total
    at_low, at_high = 0.0, total
    for turn in range(20):
        # Bisection, helped by a straight line every other time.
        middle = 0.5 * (low + high)
        if turn % 2 and at_high > at_low:
            line = low + (high - low) * (target - at_low) / (at_high - at_low)
            middle = min(max(line, low + 0.02 * (high - low)), high - 0.02 * (high - low))
        value = _below(middle, weight, location, sigma)
        if value < target:
            low, at_low = middle, value
        else:
            high, at_high = middle, value
        if high - low < 1e-4:
            break
    return 0.5 * (low + high)


@njit(cache=True, nogil=True)
def _summarise(  # type: ignore[no-untyped-def]
    chance, location, sigma, magnitude, nothing, tail, mean, std, median, low, high, n_lines
):
    classes, n = chance.shape
    for p in range(n):
        if magnitude[p] < nothing:
            mean[p] = std[p] = median[p] = low[p] = high[p] = 0.0
            n_lines[p] = 0
            continue
        weight = np.empty(classes)
        place = np.empty(classes)
        width = np.empty(classes)
        bound = magnitude[p]
        best = 0
        # No line at all leaves no density but the measured one.
        place[0] = math.log(max(bound, 1e-9))
        width[0] = 0.0
        weight[0] = chance[0, p]
        expected = chance[0, p] * bound
        square = chance[0, p] * bound * bound
        for k in range(1, classes):
            weight[k] = chance[k, p]
            place[k] = location[k - 1, p]
            width[k] = sigma[k - 1, p]
            one = math.exp(place[k] + 0.5 * width[k] ** 2)
            expected += weight[k] * one
            square += weight[k] * one * one * math.exp(width[k] ** 2)
            if weight[k] > weight[best]:
                best = k
        n_lines[p] = best
        mean[p] = max(expected, bound)
        std[p] = math.sqrt(max(square - expected * expected, 0.0))
        low[p] = max(math.exp(_quantile(tail, weight, place, width)), bound)
        high[p] = max(math.exp(_quantile(1.0 - tail, weight, place, width)), bound)
        # E|r - c| / r is smallest at the median of the distribution weighted by 1/r; that of
        # a log-normal is a log-normal again, moved by minus its variance.
        top = -math.inf
        for k in range(classes):
            if weight[k] > 1e-12:
                top = max(top, math.log(weight[k]) - place[k] + 0.5 * width[k] ** 2)
        for k in range(classes):
            if weight[k] > 1e-12:
                weight[k] = math.exp(math.log(weight[k]) - place[k] + 0.5 * width[k] ** 2 - top)
            else:
                weight[k] = 0.0
            place[k] -= width[k] ** 2
        median[p] = max(math.exp(_quantile(0.5, weight, place, width)), bound)


def summarise(
    out: LineOutput,
    level: float = 0.9,
    allowed: tuple[int, int] | None = None,
    temperature: float = 1.0,
    spread: float = 1.0,
    nothing: float = 0.0,
    prior: Sequence[float] | None = None,
) -> Estimates:
    """Point estimates and central interval of each pixel's mixture.

    Parameters
    ----------
    out
        What the network gives.
    level
        Probability within the interval.
    allowed
        Fewest and most lines that can occur; None: any.
    prior
        Share of each N in the training. Where `allowed` is given, too, it is exchanged for
        equal shares of the allowed N.
    temperature
        Divides the logits (calibration of N).
    spread
        Multiplies every sigma (calibration of the interval).
    nothing
        |GND| below which a pixel is empty: all its estimates are zero.
    """
    logits = out.logits.float() / temperature
    if allowed is not None:
        logits = logits.clone()
        if prior is not None:
            logits -= torch.log(logits.new_tensor(prior))[:, None, None]
        logits[:, : allowed[0]] = -1e9
        logits[:, allowed[1] + 1 :] = -1e9
    n, classes, rows, columns = logits.shape

    def flat(tensor: Tensor, channels: int) -> NDArray[np.float64]:
        array = tensor.detach().float().cpu().numpy()
        return np.ascontiguousarray(np.moveaxis(array, 1, 0).reshape(channels, -1), np.float64)

    chance = flat(logits.softmax(1), classes)
    size = n * rows * columns
    found = [np.empty(size, np.float32) for _ in range(5)]
    n_lines = np.empty(size, np.int32)
    _summarise(
        chance,
        flat(out.location, classes - 1),
        flat(out.sigma, classes - 1) * spread,
        out.magnitude.detach().cpu().numpy().reshape(-1).astype(np.float64),
        nothing,
        0.5 * (1.0 - level),
        *found,
        n_lines,
    )
    shape = (n, rows, columns)
    mean, std, median, low, high = (array.reshape(shape) for array in found)
    return Estimates(mean, std, median, low, high, n_lines.reshape(shape))
