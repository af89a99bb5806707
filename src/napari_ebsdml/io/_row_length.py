"""Row length of a map whose points have no coordinates, found from the points themselves.

Neighbouring rows look alike, so a map read as one long line repeats itself after one row: its
autocorrelation has a peak at the row length. A header that is wrong can be overruled that way,
and a map that gives no clear answer is refused instead of being sheared into nonsense.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import GridError

# More points than these make the answer no surer, only slower.
_MOST_POINTS = 1 << 21
# Shorter rows cannot be told from the correlation of neighbours within a row.
SHORTEST_ROW = 5
# The peak must stand at least this far above its surroundings ...
LEAST_PROMINENCE = 0.03
# ... and above any other row length, in shares of its own prominence.
LARGEST_RIVAL = 0.7


@dataclass(frozen=True)
class RowLength:
    """Answer of `find_row_length`.

    Attributes
    ----------
    columns
        Lag of the highest peak.
    prominence
        How far the peak stands above the autocorrelation to its left and right (1 would be a
        map whose rows are all the same and otherwise random).
    rival
        Prominence of the highest peak elsewhere, multiples of `columns` left out.
    """

    columns: int
    prominence: float
    rival: float

    @property
    def is_clear(self) -> bool:
        """Whether the peak is high and without rival."""
        return self.prominence >= LEAST_PROMINENCE and self.rival <= LARGEST_RIVAL * self.prominence


def find_row_length(channels: list[NDArray[np.float64]]) -> RowLength | None:
    """Row length of points in raster order.

    Parameters
    ----------
    channels : list of (n,) arrays
        What is alike in neighbouring rows: quality figures, entries of the orientation matrix.

    Returns
    -------
    RowLength or None
        None when the points are too few or no lag stands out at all.
    """
    correlation = _autocorrelation(channels)
    if correlation is None:
        return None
    peaks = _peaks(correlation)
    if not peaks:
        return None
    columns, prominence = max(peaks, key=lambda peak: peak[1])
    rival = max(
        (
            height
            for lag, height in peaks
            if abs(lag - columns * max(round(lag / columns), 1)) > 0.02 * lag + 1
        ),
        default=0.0,
    )
    return RowLength(columns, prominence, rival)


def euler_channels(
    phi1: NDArray[Any], phi: NDArray[Any], phi2: NDArray[Any]
) -> list[NDArray[np.float64]]:
    """Entries of the orientation matrix of Bunge angles in radians: free of the angles' jumps."""
    a, b, c = (np.asarray(angle, dtype=np.float64) for angle in (phi1, phi, phi2))
    sine, cosine = np.sin(b), np.cos(b)
    return [
        cosine,
        sine * np.sin(a),
        sine * np.cos(a),
        sine * np.sin(c),
        sine * np.cos(c),
        np.cos(a) * np.cos(c) - np.sin(a) * np.sin(c) * cosine,
        np.sin(a) * np.cos(c) + np.cos(a) * np.sin(c) * cosine,
    ]


def quaternion_channels(quaternions: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    """Products of the components of quaternions (n, 4): free of their sign."""
    return [quaternions[:, i] * quaternions[:, j] for i in range(4) for j in range(i, 4)]


def _autocorrelation(channels: list[NDArray[np.float64]]) -> NDArray[np.float64] | None:
    """Mean autocorrelation of the channels for lags 0 to half their length, or None."""
    from scipy.fft import irfft, next_fast_len, rfft

    n = min(len(channels[0]), _MOST_POINTS) if channels else 0
    if n < 3 * SHORTEST_ROW:
        return None
    total = np.zeros(n // 2 + 1)
    used = 0
    size = next_fast_len(n + n // 2 + 1, real=True)
    # Each lag has its own number of pairs.
    pairs = n - np.arange(n // 2 + 1)
    for channel in channels:
        values = np.asarray(channel[:n], dtype=np.float64)
        values = values - values.mean()
        variance = float(np.mean(values**2))
        if not np.isfinite(variance) or variance < 1e-12:
            continue
        spectrum = rfft(values, size)
        lags = irfft(np.abs(spectrum) ** 2, size)[: n // 2 + 1]
        total += lags / pairs / variance
        used += 1
    return total / used if used else None


def _peaks(correlation: NDArray[np.float64]) -> list[tuple[int, float]]:
    """Local maxima as (lag, prominence), the first decay left out."""
    from scipy.signal import find_peaks

    lags, found = find_peaks(correlation, prominence=LEAST_PROMINENCE / 2)
    return [
        (int(lag), float(height))
        for lag, height in zip(lags, found["prominences"], strict=True)
        if lag >= SHORTEST_ROW
    ]


def repaired(
    path: Path,
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    channels: list[NDArray[np.float64]],
    warnings: list[str],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates of a full map, mended where both run fastest.

    EMsoft up to 4.3 writes such a y, and maps made from its files keep it: x repeats after each
    row as it should, but y repeats too instead of staying the same along a row, so that many
    points seem to lie on top of each other.

    Raises
    ------
    GridError
        When it cannot be told whether rows or columns were written one after the other.
    """
    n = x.size
    if n < 4 or x[1] == x[0] or y[1] == y[0]:
        return x, y
    x_levels, y_levels = np.unique(x), np.unique(y)
    columns, rows = x_levels.size, y_levels.size
    if rows * columns != n or min(rows, columns) < 2:
        return x, y
    by_row = np.array_equal(x, np.tile(x_levels, rows))
    by_column = np.array_equal(y, np.tile(y_levels, columns))
    if not (by_row and by_column):
        return x, y
    found = find_row_length(channels)
    if found is not None and found.is_clear and found.columns in {rows, columns}:
        length = found.columns
    elif rows == columns:
        length = columns
    else:
        raise GridError(
            path,
            f"x and y both change from each point to the next; the points do not tell whether the "
            f"{rows} x {columns} map was written by rows or by columns",
        )
    if length == columns:
        warnings.append(
            f"y runs as fast as x in the file; the {rows} rows of {columns} were told from the "
            "points themselves."
        )
        return x, np.repeat(y_levels, columns)
    warnings.append(
        f"x runs as fast as y in the file; the {columns} columns of {rows} were told from the "
        "points themselves."
    )
    return np.repeat(x_levels, rows), y
