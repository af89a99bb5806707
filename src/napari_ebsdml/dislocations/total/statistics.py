"""Structure functions of orientations: what a window of a map tells of its dislocations.

Rotations are in b / s, so that the numbers depend on neither material nor step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

LAGS = np.array([1, 2, 3, 4, 6, 8, 12])
"""Distances in pixels of first differences."""
SECOND = np.array([1, 2, 4])
"""Distances in pixels of second differences."""
SUMS = 5 * len(LAGS) + 3 * len(SECOND) + 4 + 16 + 1
_FIRST_END = 5 * len(LAGS)
_SECOND_END = _FIRST_END + 3 * len(SECOND)
_FEWEST = 12
_TINY = 1e-12

NAMES: tuple[str, ...] = (
    *(f"log D({lag})" for lag in LAGS),
    *(f"log (D({lag}) - noise)" for lag in LAGS),
    *(f"D({lag}) / noise" for lag in LAGS),
    *(f"along({lag})" for lag in LAGS),
    *(f"normal({lag})" for lag in LAGS),
    *(f"peakedness({lag})" for lag in LAGS),
    *(f"log second({lag})" for lag in SECOND),
    *(f"log (second({lag}) - noise)" for lag in SECOND),
    *(f"second({lag}) / noise" for lag in SECOND),
    *(f"second peakedness({lag})" for lag in SECOND),
    "log GND",
    "twist product",
    "tilt product",
    "log slope",
    "slope / noise",
    "log residual",
    "log noise",
    "noise measured",
    "log pixels",
    "log longest lag",
    "identical neighbours",
)
"""Names of the columns of `features`."""


@njit(cache=True, nogil=True)
def window_sums(rotation, segments, first, end, sums):  # type: ignore[no-untyped-def]
    """Add up what `features` needs, for every segment of some rows of a map.

    rotation : (rows, columns, 3); segments : (rows, columns) int, -1 for none; sums :
    (segments, SUMS), added to. Differences are taken within a segment only, and where two
    orientations are identical (clean-up: one measurement, not two) they do not count.
    """
    rows, columns = segments.shape
    d = np.empty(3)
    e = np.empty(3)
    for r in range(first, end):
        for c in range(columns):
            s = segments[r, c]
            if s < 0:
                continue
            out = sums[s]
            for vertical in range(2):
                for n in range(LAGS.shape[0]):
                    lag = LAGS[n]
                    j, i = (r + lag, c) if vertical else (r, c + lag)
                    if j >= rows or i >= columns or segments[j, i] != s:
                        continue
                    for k in range(3):
                        d[k] = rotation[j, i, k] - rotation[r, c, k]
                    along, across, normal = d[0] * d[0], d[1] * d[1], d[2] * d[2]
                    if vertical:
                        along, across = across, along
                    square = along + across + normal
                    if square == 0.0:
                        if lag == 1:
                            out[SUMS - 1] += 1
                        continue
                    out[5 * n] += 1
                    out[5 * n + 1] += along
                    out[5 * n + 2] += across
                    out[5 * n + 3] += normal
                    out[5 * n + 4] += np.sqrt(square)
                for n in range(SECOND.shape[0]):
                    lag = SECOND[n]
                    dr, dc = (lag, 0) if vertical else (0, lag)
                    if r < dr or c < dc or r + dr >= rows or c + dc >= columns:
                        continue
                    if segments[r + dr, c + dc] != s or segments[r - dr, c - dc] != s:
                        continue
                    square = 0.0
                    left = right = 0.0
                    for k in range(3):
                        a = rotation[r + dr, c + dc, k] - rotation[r, c, k]
                        b = rotation[r - dr, c - dc, k] - rotation[r, c, k]
                        square += (a + b) ** 2
                        left += abs(b)
                        right += abs(a)
                    if left == 0.0 or right == 0.0:
                        continue
                    at = 5 * LAGS.shape[0] + 3 * n
                    out[at] += 1
                    out[at + 1] += square
                    out[at + 2] += np.sqrt(square)
            at = 5 * LAGS.shape[0] + 3 * SECOND.shape[0]
            inner = r + 1 < rows and c + 1 < columns
            if inner and segments[r + 1, c] == s and segments[r, c + 1] == s:
                square = 0.0
                for k in range(3):
                    d[k] = rotation[r, c + 1, k] - rotation[r, c, k]
                    e[k] = rotation[r + 1, c, k] - rotation[r, c, k]
                    square += d[k] * d[k] + e[k] * e[k]
                out[at] += 1
                out[at + 1] += d[0] * e[1]
                out[at + 2] += d[1] * e[0]
                out[at + 3] += np.sqrt(square)
            at += 4
            out[at] += 1
            out[at + 1] += c
            out[at + 2] += r
            out[at + 3] += c * c
            out[at + 4] += c * r
            out[at + 5] += r * r
            for k in range(3):
                v = rotation[r, c, k]
                out[at + 6 + k] += v
                out[at + 9 + k] += c * v
                out[at + 12 + k] += r * v
                out[at + 15] += v * v


def features(
    sums: NDArray[Any], noise: NDArray[Any], measured: NDArray[Any]
) -> NDArray[np.float64]:
    """Numbers that the network reads, one row a segment.

    Parameters
    ----------
    sums : (n, SUMS) array
        From `window_sums`.
    noise : (n,) array
        Orientation noise about each axis in b / s.
    measured : (n,) array
        1 where the noise was measured on the same map, 0 where it is known.

    Returns
    -------
    (n, len(NAMES)) float64 array
        Finite everywhere.
    """
    noise = np.maximum(np.asarray(noise, dtype=np.float64), 1e-4)
    columns: list[NDArray[np.float64]] = []
    floor = 6 * noise**2  # first difference: 2 sigma^2 about each of three axes
    square: list[NDArray[np.float64]] = []
    along: list[NDArray[np.float64]] = []
    normal: list[NDArray[np.float64]] = []
    peak: list[NDArray[np.float64]] = []
    count: list[NDArray[np.float64]] = []
    for n in range(len(LAGS)):
        block = sums[:, 5 * n : 5 * n + 5]
        few = block[:, 0] < _FEWEST
        safe = np.maximum(block[:, 0], 1)
        total = block[:, 1:4].sum(axis=1) / safe
        parts = (
            total,
            block[:, 1] / np.maximum(block[:, 1:4].sum(axis=1), _TINY),
            block[:, 3] / np.maximum(block[:, 1:4].sum(axis=1), _TINY),
            np.log10(np.maximum(total, _TINY) / np.maximum((block[:, 4] / safe) ** 2, _TINY)),
        )
        for series, value in zip((square, along, normal, peak), parts, strict=True):
            # Where a window is too small for a lag the next shorter one stands in.
            series.append(np.where(few, series[-1], value) if series else value)
        count.append(block[:, 0])
    columns += [np.log10(d + _TINY) for d in square]
    columns += [np.log10(np.maximum(d - floor, 0.03 * floor)) for d in square]
    columns += [_excess(d, floor) for d in square]
    columns += along + normal + peak
    second: list[NDArray[np.float64]] = []
    bend: list[NDArray[np.float64]] = []
    for n in range(len(SECOND)):
        block = sums[:, _FIRST_END + 3 * n : _FIRST_END + 3 * n + 3]
        few = block[:, 0] < _FEWEST
        safe = np.maximum(block[:, 0], 1)
        value = block[:, 1] / safe
        shape = np.log10(np.maximum(value, _TINY) / np.maximum((block[:, 2] / safe) ** 2, _TINY))
        second.append(np.where(few, second[-1], value) if second else value)
        bend.append(np.where(few, bend[-1], shape) if bend else shape)
    columns += [np.log10(d + _TINY) for d in second]
    columns += [np.log10(np.maximum(d - 3 * floor, 0.03 * floor)) for d in second]
    columns += [_excess(d, 3 * floor) for d in second]
    columns += bend
    block = sums[:, _SECOND_END : _SECOND_END + 4]
    safe = np.maximum(block[:, 0], 1)
    columns.append(np.log10(block[:, 3] / safe + _TINY))
    columns += [block[:, k] / safe / np.maximum(square[0], _TINY) for k in (1, 2)]
    slope, slope_noise, residual = _plane(sums[:, _SECOND_END + 4 :], noise)
    columns += [np.log10(slope + _TINY), _excess(slope, slope_noise), np.log10(residual + _TINY)]
    pixels = np.maximum(sums[:, _SECOND_END + 4], 1)
    longest = np.ones(len(sums))
    for lag, number in zip(LAGS, count, strict=True):
        longest = np.where(number >= _FEWEST, lag, longest)
    columns += [
        np.log10(noise),
        np.broadcast_to(np.asarray(measured, dtype=np.float64), noise.shape),
        np.log10(pixels),
        np.log10(longest),
        sums[:, SUMS - 1] / np.maximum(sums[:, SUMS - 1] + count[0], 1),
    ]
    return np.stack(columns, axis=1)


def _excess(value: NDArray[Any], noise: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(np.arcsinh(5 * (value / np.maximum(noise, _TINY) - 1)))


def _plane(
    block: NDArray[Any], noise: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Square of the slope of the best plane, what noise adds to it, and the residual's square."""
    n, x, y, xx, xy, yy = (block[:, k] for k in range(6))
    n = np.maximum(n, 1)
    theta, tx, ty = block[:, 6:9], block[:, 9:12], block[:, 12:15]
    mxx, mxy, myy = xx / n - (x / n) ** 2, xy / n - x * y / n**2, yy / n - (y / n) ** 2
    determinant = np.maximum(mxx * myy - mxy**2, 1e-3)
    mean = theta / n[:, None]
    cx = tx / n[:, None] - mean * (x / n)[:, None]
    cy = ty / n[:, None] - mean * (y / n)[:, None]
    sx = (myy[:, None] * cx - mxy[:, None] * cy) / determinant[:, None]
    sy = (mxx[:, None] * cy - mxy[:, None] * cx) / determinant[:, None]
    slope = (sx**2 + sy**2).sum(axis=1)
    added = 3 * noise**2 * (mxx + myy) / determinant / n
    spread = block[:, 15] / n - (mean**2).sum(axis=1)
    residual = np.maximum(spread - (sx * cx + sy * cy).sum(axis=1), 0)
    return slope, added, residual
