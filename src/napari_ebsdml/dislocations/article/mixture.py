"""From the network's mixture of log-normals to point estimates and intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from napari_ebsdml.dislocations.article.network import LineOutput

_ROOT_HALF = math.sqrt(0.5)
_BELL = 1 / math.sqrt(2 * math.pi)
_RARE = 1e-4
"""Probability below which a number of lines does not count for quantiles."""
_NEAR = 1e-4
"""Precision of a quantile's share."""
_CLOSE = 1e-3
"""Precision of quantiles, relative to the density."""


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
def _below(t, weight, location, sigma, used):  # type: ignore[no-untyped-def]
    """Weight of a mixture of normals below `t`, and its density there.

    Component 0 is a point at its location. The complementary error function is Abramowitz and
    Stegun's 7.1.26, good to 1.5e-7, because it comes with the exponential that the density needs.
    """
    part = weight[0] if t >= location[0] else 0.0
    slope = 0.0
    for k in range(1, used):
        z = (t - location[k]) / sigma[k]
        x = abs(z) * _ROOT_HALF
        if x > 4.0:
            part += weight[k] if z > 0 else 0.0
            continue
        bell = math.exp(-x * x)
        u = 1.0 / (1.0 + 0.3275911 * x)
        tail = u * (
            0.254829592
            + u * (-0.284496736 + u * (1.421413741 + u * (-1.453152027 + u * 1.061405429)))
        )
        tail *= 0.5 * bell
        part += weight[k] * (1.0 - tail if z > 0 else tail)
        slope += weight[k] * bell / sigma[k]
    return part, slope * _BELL


@njit(cache=True, nogil=True)
def _quantile(share, start, weight, location, sigma, used):  # type: ignore[no-untyped-def]
    """Where the mixture's weight reaches `share` of its total: Newton within a bracket."""
    low, high, total = location[0], location[0], weight[0]
    if weight[0] == 0.0:
        low, high = math.inf, -math.inf
    for k in range(1, used):
        total += weight[k]
        low = min(low, location[k] - 5.0 * sigma[k])
        high = max(high, location[k] + 5.0 * sigma[k])
    target = share * total
    t = min(max(start, low), high)
    before = last = high - low
    for _ in range(60):
        value, slope = _below(t, weight, location, sigma, used)
        miss = value - target
        if abs(miss) < _NEAR:
            break
        if miss < 0:
            low = t
        else:
            high = t
        # By halves where Newton would leave the bracket or hardly gains on the step before.
        if abs(2.0 * miss) > abs(before * slope) or not low < t - miss / slope < high:
            step = 0.5 * (low + high) - t
        else:
            step = -miss / slope
        before, last = last, step
        t += step
        if abs(step) < _CLOSE:
            break
    return t


@njit(cache=True, nogil=True)
def _summarise(  # type: ignore[no-untyped-def]
    logits, locations, sigmas, temperature, spread, excess, magnitude, bounds, noise, nothing,
    tail, level_z, mean, std, median, low, high, n_lines,
):  # fmt: skip
    n, classes = logits.shape
    weight = np.empty(classes)
    place = np.empty(classes)
    width = np.empty(classes)
    chance = np.empty(classes)
    wide = np.empty(classes)
    for p in range(n):
        if magnitude[p] < nothing:
            mean[p] = std[p] = median[p] = low[p] = high[p] = 0.0
            n_lines[p] = 0
            continue
        best = 0
        for k in range(1, classes):
            if logits[p, k] > logits[p, best]:
                best = k
        n_lines[p] = best
        total = 0.0
        total_wide = 0.0
        for k in range(classes):
            chance[k] = math.exp(logits[p, k] - logits[p, best])
            wide[k] = math.exp((logits[p, k] - logits[p, best]) / temperature)
            total += chance[k]
            total_wide += wide[k]
        bound = bounds[p]
        # Without a line all that is measured is noise.
        place[0] = math.log(max(bound, noise[p], 1e-9))
        width[0] = 0.0
        weight[0] = wide[0] / total_wide
        if weight[0] < _RARE:
            weight[0] = 0.0
        share = chance[0] / total
        chance[0] = share
        expected = share * bound
        square = share * bound * bound
        middle = weight[0] * place[0]
        spot = weight[0] * place[0] * place[0]
        used = 1
        for k in range(1, classes):
            share = chance[k] / total
            place[used] = locations[p, k - 1]
            width[used] = sigmas[p, k - 1]
            weight[used] = wide[k] / total_wide
            variance = width[used] * width[used]
            one = math.exp(place[used] + 0.5 * variance)
            expected += share * one
            square += share * one * one * math.exp(variance)
            if share < _RARE and weight[used] < _RARE:
                continue
            chance[used] = share
            middle += weight[used] * place[used]
            spot += weight[used] * (place[used] * place[used] + variance)
            used += 1
        mean[p] = bound + excess * max(expected - bound, 0.0)
        std[p] = math.sqrt(max(square - expected * expected, 0.0))
        reach = level_z * math.sqrt(max(spot - middle * middle, 0.0))
        for k in range(1, used):
            width[k] *= spread
        if noise[p] > 0 and weight[0] > tail:
            low[p] = bound
        else:
            found = _quantile(tail, middle - reach, weight, place, width, used)
            low[p] = max(math.exp(found), bound)
        found = _quantile(1.0 - tail, middle + reach, weight, place, width, used)
        high[p] = max(math.exp(found), bound)
        # E|r - c| / r is smallest at the median of the distribution weighted by 1/r; that of
        # a log-normal is a log-normal again, moved by minus its variance.
        total = 0.0
        middle = 0.0
        for k in range(used):
            width[k] /= spread
            variance = width[k] * width[k]
            weight[k] = chance[k] * math.exp(0.5 * variance - place[k])
            place[k] -= variance
            total += weight[k]
            middle += weight[k] * place[k]
        found = _quantile(0.5, middle / total, weight, place, width, used)
        median[p] = max(math.exp(found), bound)


def summarise(
    out: LineOutput,
    level: float = 0.9,
    allowed: tuple[int, int] | None = None,
    temperature: float = 1.0,
    spread: float = 1.0,
    excess: float = 1.0,
    nothing: float = 0.0,
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
    temperature
        Divides the logits for the interval only, as with `spread`: what keeps an interval
        honest on rough lines would make the estimates on smooth ones worse.
    spread
        Multiplies every sigma for the interval only (its calibration).
    excess
        Multiplies what the mean has beyond the bound (calibration of the mean).
    nothing
        |GND| below which a pixel is empty: all its estimates are zero.
    """
    logits = out.logits.float()
    if allowed is not None:
        logits = logits.clone()
        logits[:, : allowed[0]] = -1e9
        logits[:, allowed[1] + 1 :] = -1e9
    n, _, rows, columns = logits.shape

    def flat(tensor: Tensor) -> NDArray[np.float32]:
        """Tensor (n, channels, rows, columns) as (pixels, channels)."""
        last = tensor.detach().float().movedim(1, -1).contiguous().cpu()
        return last.numpy().reshape(-1, tensor.shape[1])

    size = n * rows * columns
    found = [np.empty(size, np.float32) for _ in range(5)]
    n_lines = np.empty(size, np.int32)
    scalars = (out.magnitude, out.bound, out.noise.expand_as(out.bound))
    tail = 0.5 * (1.0 - level)
    _summarise(
        flat(logits),
        flat(out.location),
        flat(out.sigma),
        temperature,
        spread,
        excess,
        *(field.detach().float().cpu().contiguous().numpy().reshape(-1) for field in scalars),
        nothing,
        tail,
        NormalDist().inv_cdf(1.0 - tail),
        *found,
        n_lines,
    )
    shape = (n, rows, columns)
    mean, std, median, low, high = (array.reshape(shape) for array in found)
    return Estimates(mean, std, median, low, high, n_lines.reshape(shape))
