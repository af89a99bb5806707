"""What each window of a map tells, and the maps that are made of it."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

MEASURABLE = 20.0
"""rho (b / sigma)^2 from which a map tells its density."""
WIDEST = 30.0
"""Ratio of the ends of an interval beyond which a density is no answer."""


@dataclass(frozen=True, eq=False)
class Windows:
    """What each window of a map tells; arrays of one entry a window.

    Attributes
    ----------
    phase, grain
        Ids.
    pixels
        In the window; where means of squares were read all pixels of its squares.
    median, low, high
        log10 of the density in 1/m^2: median and ends of the 90 % interval.
    polarised : (n, 5)
        Quantiles (5, 25, 50, 75, 95 %) of the part of lines that do not cancel over the window.
    limit
        Density in 1/m^2 from which the window can tell.
    known
        Whether the window looks like those that the estimator learned from.
    per_line
        log10 of one line per pixel in 1/m^2.
    """

    phase: NDArray[np.int64]
    grain: NDArray[np.int64]
    pixels: NDArray[np.int64]
    median: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    polarised: NDArray[np.float64]
    limit: NDArray[np.float64]
    known: NDArray[np.bool_]
    per_line: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.phase)

    def select(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Windows:
        """Some of the windows."""
        return Windows(*(getattr(self, f.name)[rows] for f in fields(self)))

    @property
    def measurable(self) -> NDArray[np.bool_]:
        """Where a window tells its density within the factor `WIDEST`."""
        clear = self.median > np.log10(self.limit)
        narrow = self.high - self.low < np.log10(WIDEST)
        return np.asarray(clear & narrow & self.known)


def joined(parts: list[Windows]) -> Windows:
    """Windows of several phases."""
    if len(parts) == 1:
        return parts[0]
    empty, whole = np.zeros(0), np.zeros(0, dtype=np.int64)
    none = Windows(
        whole, whole, whole, empty, empty, empty, np.zeros((0, 5)), empty,
        np.zeros(0, dtype=bool), empty,
    )  # fmt: skip
    names = none.__dataclass_fields__
    return Windows(*(np.concatenate([getattr(p, n) for p in [none, *parts]]) for n in names))


def maps_of(
    windows: Windows, segments: NDArray[np.int32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
    """Maps of density, interval and measurable of the windows' pixels."""
    clear = windows.measurable
    # The last entry is that of pixels without a window, number -1.
    value = np.append(np.where(clear, 10.0**windows.median, np.nan), np.nan)
    low = np.where(~clear & (windows.high - windows.low > 2), 0.0, 10.0**windows.low)
    low = np.append(np.where(windows.known, low, 0.0), np.nan)
    high = np.append(np.where(windows.known, 10.0**windows.high, np.nan), np.nan)
    interval = np.stack((low[segments], high[segments]), axis=-1)
    return (
        value[segments].astype(np.float32),
        interval.astype(np.float32),
        np.append(clear, False)[segments],
    )
