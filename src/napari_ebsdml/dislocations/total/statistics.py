"""Numbers that tell a window's dislocations: structure functions, lengths, and directions.

Means of squares grow with the lines and with how far they go together; the distribution of lengths
has a tail that single lines make, whatever their arrangement (Groma, doi:10.1103/PhysRevB.57.7535).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.dislocations.total.sums import (
    APART,
    BENDS,
    CLASSES,
    CORNER,
    FIRST,
    LAGS,
    LENGTHS,
    NEAR,
    PLANE,
    SAME,
    SECOND,
    SHARES,
    SHORTEST,
    SPREADS,
)

_FEWEST = 12
_TINY = 1e-12
LEVELS = (0.1, 0.25, 0.5, 0.75, 0.9, 0.97)
"""Quantiles of lengths."""
_SPREAD_NAMES = (*(f"first {lag}" for lag in (1, 2, 4, 8)), *(f"second {lag}" for lag in (1, 2, 4)))

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
    *(
        f"{100 * level:g} % of {name}" if level != 0.5 else f"log median of {name}"
        for name in _SPREAD_NAMES
        for level in LEVELS
    ),
    "log GND",
    "twist product",
    "tilt product",
    *(f"{what}({lag})" for lag in (1, 4) for what in ("second axis", "third axis", "rows")),
    *(f"lengths go together({lag})" for lag in APART),
    "log slope",
    "slope / noise",
    "log residual",
    "log noise",
    "noise measured",
    "free surface",
    "log pixels",
    "log longest lag",
    "identical neighbours",
)
"""Names of the columns of `features`."""
NOISE_COLUMN = NAMES.index("log noise")
"""Column that holds log10 of the noise in b / s."""
_SQUARES = ("log D(", "log (D(", "log second(", "log (second(", "log slope", "log residual")
_LENGTHS = ("log median of", "log GND", "log noise")
_POWERS = np.array([2.0 * n.startswith(_SQUARES) + n.startswith(_LENGTHS) for n in NAMES])
"""Power of the rotations that each column grows with; all others are ratios."""


def features(
    sums: NDArray[Any], noise: NDArray[Any], measured: NDArray[Any], surface: NDArray[Any]
) -> NDArray[np.float64]:
    """Numbers that the estimator reads, one row a segment.

    Parameters
    ----------
    sums : (n, SUMS) array
        From `sums.window_sums`.
    noise : (n,) array
        Orientation noise about each axis in b / s.
    measured : (n,) array
        1 where the noise was measured on the same map, 0 where it is known.
    surface : (n,) array
        1 where the map is of a free surface, 0 where it is of a plane inside a body.

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
        block = sums[:, FIRST + 5 * n : FIRST + 5 * n + 5]
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
        block = sums[:, BENDS + 3 * n : BENDS + 3 * n + 3]
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
    columns += _quantiles(sums)
    block = sums[:, CORNER : CORNER + 4]
    safe = np.maximum(block[:, 0], 1)
    columns.append(np.log10(block[:, 3] / safe + _TINY))
    columns += [block[:, k] / safe / np.maximum(square[0], _TINY) for k in (1, 2)]
    columns += _axes(sums) + _together(sums)
    slope, slope_noise, residual = _plane(sums[:, PLANE : PLANE + 16], noise)
    columns += [np.log10(slope + _TINY), _excess(slope, slope_noise), np.log10(residual + _TINY)]
    pixels = np.maximum(sums[:, PLANE], 1)
    longest = np.ones(len(sums))
    for lag, number in zip(LAGS, count, strict=True):
        longest = np.where(number >= _FEWEST, lag, longest)
    columns += [
        np.log10(noise),
        np.broadcast_to(np.asarray(measured, dtype=np.float64), noise.shape),
        np.broadcast_to(np.asarray(surface, dtype=np.float64), noise.shape),
        np.log10(pixels),
        np.log10(longest),
        sums[:, SAME] / np.maximum(sums[:, SAME] + count[0], 1),
    ]
    return np.stack(columns, axis=1)


def of_parts(inputs: NDArray[Any], parts: float) -> NDArray[np.float64]:
    """`features` of windows with rotations and noise over sqrt(parts).

    So each of some independent structures looks, on average, whose fields add up to the window's.
    """
    return np.asarray(inputs - _POWERS * np.log10(parts) / 2)


def _excess(value: NDArray[Any], noise: NDArray[Any]) -> NDArray[np.float64]:
    return np.asarray(np.arcsinh(5 * (value / np.maximum(noise, _TINY) - 1)))


def _quantiles(sums: NDArray[Any]) -> list[NDArray[np.float64]]:
    """log10 of the median length of each kind of difference, the other quantiles next to it."""
    columns: list[NDArray[np.float64]] = []
    edges = (SHORTEST + np.arange(CLASSES + 1) / 2) * np.log10(2)
    middle = LEVELS.index(0.5)
    before: list[NDArray[np.float64]] | None = None
    for n in range(SPREADS):
        if n == 4:
            before = None  # second differences do not stand in for first ones
        numbers = sums[:, LENGTHS + n * CLASSES : LENGTHS + (n + 1) * CLASSES]
        below = np.concatenate((np.zeros((len(sums), 1)), np.cumsum(numbers, axis=1)), axis=1)
        total = below[:, -1]
        found = []
        for level in LEVELS:
            wanted = level * total
            upper = np.clip((below < wanted[:, None]).sum(axis=1), 1, CLASSES)
            rows = np.arange(len(sums))
            start, stop = below[rows, upper - 1], below[rows, upper]
            part = (wanted - start) / np.maximum(stop - start, _TINY)
            found.append(edges[upper - 1] + np.clip(part, 0, 1) * (edges[1] - edges[0]))
        own = [q if k == middle else q - found[middle] for k, q in enumerate(found)]
        if before is not None:
            few = total < _FEWEST
            own = [np.where(few, old, new) for old, new in zip(before, own, strict=True)]
        before = own
        columns += own
    return columns


def _axes(sums: NDArray[Any]) -> list[NDArray[np.float64]]:
    """How unlike the axes are that the lattice turns about, and rows and columns."""
    columns: list[NDArray[np.float64]] = []
    before: list[NDArray[np.float64]] | None = None
    for n, lag in enumerate((1, 4)):
        both = sums[:, SHARES + 12 * n : SHARES + 12 * n + 12].reshape(-1, 2, 6)
        xx, yy, zz, yz, xz, xy = both.sum(axis=1).T
        tensor = np.stack((xx, xy, xz, xy, yy, yz, xz, yz, zz), axis=-1).reshape(-1, 3, 3)
        values = np.maximum(np.linalg.eigvalsh(tensor), 0)
        total = np.maximum(values.sum(axis=1), _TINY)
        rows = both[:, 1, :3].sum(axis=1) / np.maximum(both[:, :, :3].sum(axis=(1, 2)), _TINY)
        own = [values[:, 1] / total, values[:, 0] / total, np.abs(rows - 0.5)]
        few = sums[:, FIRST + 5 * int(np.flatnonzero(lag == LAGS)[0])] < _FEWEST
        if before is not None:
            own = [np.where(few, old, new) for old, new in zip(before, own, strict=True)]
        before = own
        columns += own
    return columns


def _together(sums: NDArray[Any]) -> list[NDArray[np.float64]]:
    """Correlation of the lengths of differences some pixels apart: walls and bands raise it."""
    columns: list[NDArray[np.float64]] = []
    for n in range(len(APART)):
        count, product, length, square = sums[:, NEAR + 4 * n : NEAR + 4 * n + 4].T
        safe = np.maximum(count, 1)
        mean = length / safe
        spread = np.maximum(square / safe - mean**2, _TINY + 1e-6 * mean**2)
        value = np.clip((product / safe - mean**2) / spread, -1, 1)
        few = count < _FEWEST
        columns.append(np.where(few, columns[-1] if columns else 0.0, value))
    return columns


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
