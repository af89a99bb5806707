"""Smooth random fields and random points: the raw material of a synthetic microstructure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float64]


def smooth_field(
    rng: np.random.Generator, shape: tuple[int, int], step: float, length: float
) -> NDArray[np.float32]:
    """Gaussian random field of mean 0, variance 1 and Gaussian correlation.

    Parameters
    ----------
    rng
        Source of random numbers.
    shape
        Rows and columns of the map.
    step
        Distance of pixels in um.
    length
        Correlation length in um: the correlation falls to 1/e at this distance.
    """
    # Filtering white noise of sigma s gives a correlation exp(-d^2 / 4 s^2): 1/e at 2 s. The noise
    # is made on a grid just fine enough, with a margin so that no edge is folded back.
    sigma = max(length / 2 / step, 1e-3)
    coarse = max(1.0, sigma / 2.5)
    sigma /= coarse
    margin = int(np.ceil(4 * sigma)) + 2
    size = [int(np.ceil((n - 1) / coarse)) + 1 + 2 * margin for n in shape]
    noise = rng.standard_normal(size, dtype=np.float32)
    field: NDArray[np.float32] = ndimage.gaussian_filter(noise, sigma, mode="constant", truncate=4)
    # Variance of a filtered white noise, from the weights themselves: also right for small sigma.
    half = np.arange(-int(4 * sigma + 0.5), int(4 * sigma + 0.5) + 1)
    weights = np.exp(-0.5 * (half / sigma) ** 2)
    weights /= weights.sum()
    field /= float((weights**2).sum())
    if coarse == 1.0:
        return field[margin : margin + shape[0], margin : margin + shape[1]]
    rows = margin + np.arange(shape[0], dtype=np.float64) / coarse
    columns = margin + np.arange(shape[1], dtype=np.float64) / coarse
    return _cubic_resample(field, rows, columns)


def _cubic_resample(
    field: NDArray[np.float32], rows: Floats, columns: Floats
) -> NDArray[np.float32]:
    # Separable cubic B-spline without prefilter: smooth everywhere, and much quicker than
    # ndimage.zoom on a large map. It blurs the coarse field a little, which does no harm here.
    for axis, at in enumerate((rows, columns)):
        base = np.floor(at).astype(np.intp)
        t = (at - base).astype(np.float32)
        weights = (
            (1 - t) ** 3 / 6,
            (3 * t**3 - 6 * t**2 + 4) / 6,
            (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
            t**3 / 6,
        )
        spread = (slice(None), None) if axis == 0 else (None, slice(None))
        resampled: NDArray[np.float32] = weights[0][spread] * np.take(field, base - 1, axis=axis)
        for k in (1, 2, 3):
            resampled += weights[k][spread] * np.take(field, base + k - 1, axis=axis)
        field = resampled
    return field


def scattered_points(
    rng: np.random.Generator, low: Floats, high: Floats, spacing: float, regularity: float = 0.6
) -> Floats:
    """Random points (n, dimensions) in a box, no two much closer than they are on average.

    About one point per ``spacing ** dimensions``. A point closer to an earlier one than
    `regularity` times `spacing` is moved elsewhere, up to eight times.
    """
    from scipy.spatial import cKDTree

    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    n = max(1, round(float(np.prod((high - low) / spacing))))
    points = rng.uniform(low, high, size=(n, len(low)))
    for _ in range(8):
        pairs = cKDTree(points).query_pairs(regularity * spacing, output_type="ndarray")
        if len(pairs) == 0:
            break
        crowded = np.unique(pairs.max(axis=1))
        points[crowded] = rng.uniform(low, high, size=(len(crowded), len(low)))
    return points
