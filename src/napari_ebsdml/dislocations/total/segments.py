"""Cutting the grains of a map into windows, and measuring what each window shows.

A map is seen as pieces of its rows from the top to the bottom, or as one piece: nothing here knows
where it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import Lock

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, over_rows, part_of
from napari_ebsdml.dislocations.gnd.curvature import rotation_vector
from napari_ebsdml.dislocations.total.sums import SUMS, window_sums
from napari_ebsdml.maps.symmetry import safe_cosine

WINDOW = 32
"""Side of the local windows in pixels."""
FEWEST_PIXELS = 60
"""Pixels that a window needs."""

Rows = Callable[[], Iterable[tuple[int, NDArray[np.int64]]]]
"""Gives a map of grain labels, 0 for none, in pieces: first row and labels of each."""


@dataclass(frozen=True, eq=False)
class Cut:
    """How the grains of a map are cut into windows; see `cut_grains`.

    Attributes
    ----------
    labels : (k,) int array
        Of the grains, rising; 0 may be among them.
    low, extent, pieces : (2, k) int arrays
        First row and column of each grain, its rows and columns, and in how many parts each of the
        two is cut.
    numbers : (pieces,) int32
        Number of the window that each piece of a grain is, -1 for pieces that are too small.
    owner : (n,) int64
        Grain of each window.
    pixels : (n,) int64
        Pixels of each window.
    """

    labels: NDArray[np.int64]
    low: NDArray[np.int64]
    extent: NDArray[np.int64]
    pieces: NDArray[np.int64]
    numbers: NDArray[np.int32]
    owner: NDArray[np.int64]
    pixels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.owner)

    def segments(self, grains: NDArray[np.int64], first: int = 0) -> NDArray[np.int32]:
        """Number of the window of each pixel of some rows, -1 for none.

        Parameters
        ----------
        grains : (rows, columns) int array
        first
            Row of the map at which they begin.
        """
        return self.numbers[self._piece(grains, first)]

    def _piece(self, grains: NDArray[np.int64], first: int) -> NDArray[np.int64]:
        """Piece of each pixel; -1, where `numbers` has a -1 too, outside of grains."""
        index = np.searchsorted(self.labels, grains)
        starts = np.concatenate(([0], np.cumsum(self.pieces[0] * self.pieces[1])[:-1]))
        rows = first + np.arange(grains.shape[0])[:, None]
        columns = np.arange(grains.shape[1])[None, :]
        at = [
            ((place - self.low[axis][index]) * self.pieces[axis][index]) // self.extent[axis][index]
            for axis, place in enumerate((rows, columns))
        ]
        found: NDArray[np.int64] = starts[index] + at[0] * self.pieces[1][index] + at[1]
        found[grains <= 0] = -1
        return found


def cut_grains(grains: Rows | NDArray[np.int64], window: int) -> Cut:
    """Cut every grain into pieces of about `window` x `window` pixels.

    Grains of up to one and a half windows a side stay whole, larger ones are cut evenly.
    Pieces of fewer than `FEWEST_PIXELS` pixels are left out.

    Parameters
    ----------
    grains
        Labels (rows, columns), 0 for none, or what gives them in pieces; it is called twice.
    window
        In pixels.
    """
    rows: Rows = grains if callable(grains) else lambda: [(0, grains)]
    labels, low, high = _extents(rows)
    extent = high - low + 1
    pieces = np.maximum(1, np.rint(extent / window)).astype(np.int64)
    total = int((pieces[0] * pieces[1]).sum())
    none = np.zeros(0, dtype=np.int64)
    whole = Cut(labels, low, extent, pieces, np.full(total + 1, -1, dtype=np.int32), none, none)
    counts = np.zeros(total, dtype=np.int64)
    for first, part in rows():
        ids = whole._piece(part, first)
        counts += np.bincount(ids[ids >= 0], minlength=total)
    kept = np.flatnonzero(counts >= FEWEST_PIXELS)
    whole.numbers[kept] = np.arange(len(kept), dtype=np.int32)
    owner = np.repeat(labels, pieces[0] * pieces[1])[kept]
    return Cut(labels, low, extent, pieces, whole.numbers, owner, counts[kept])


def _extents(
    rows: Rows,
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Labels (k,), and the first and last row and column (2, k) of each."""
    found = []
    for first, part in rows():
        labels, index = np.unique(part, return_inverse=True)
        index = index.ravel()
        low = np.full((2, len(labels)), np.iinfo(np.int64).max)
        high = np.full((2, len(labels)), -1, dtype=np.int64)
        here = np.indices(part.shape, sparse=True)
        for axis in range(2):
            place: NDArray[np.int64] = np.broadcast_to(here[axis], part.shape).ravel()
            place = place + (first if axis == 0 else 0)
            np.minimum.at(low[axis], index, place)
            np.maximum.at(high[axis], index, place)
        found.append((labels.astype(np.int64), low, high))
    if len(found) == 1:
        return found[0]
    labels, index = np.unique(np.concatenate([one[0] for one in found]), return_inverse=True)
    low = np.full((2, len(labels)), np.iinfo(np.int64).max)
    high = np.full((2, len(labels)), -1, dtype=np.int64)
    for axis in range(2):
        np.minimum.at(low[axis], index, np.concatenate([one[1][axis] for one in found]))
        np.maximum.at(high[axis], index, np.concatenate([one[2][axis] for one in found]))
    return labels, low, high


def reference_turns(
    pieces: Iterable[tuple[NDArray[np.float64], NDArray[np.int32]]], number: int
) -> NDArray[np.float64]:
    """Orientation (number, 4) of the first pixel of each window, which its rotations start from.

    Parameters
    ----------
    pieces
        Quaternions (rows, columns, 4) and segments (rows, columns) from the top to the bottom.
    number
        Of windows.
    """
    found = np.zeros((number, 4))
    seen = np.zeros(number, dtype=np.bool_)
    for turns, segments in pieces:
        _references(turns, segments, found, seen)
    return found


def measure(
    quaternions: NDArray[np.float64],
    segments: NDArray[np.int32],
    references: NDArray[np.float64],
    operators: NDArray[np.float64],
    unit: float,
    progress: Progress = None,
    above: int = 0,
    keep: slice | None = None,
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Sums of `sums.window_sums` for the windows of some rows of a map.

    Parameters
    ----------
    quaternions : (rows, columns, 4) array
        Crystal -> specimen.
    segments : (rows, columns) int array
        From `Cut.segments`; all its pixels have an orientation.
    references : (n, 4) array
        From `reference_turns`.
    operators
        Of `laue_operators`.
    unit
        b / s in radians.
    progress
        Called with the fraction done; what it raises ends the work.
    above
        Rows of the map above these.
    keep
        Rows that count; the others, `sums.REACH` on each side, are there for differences. None:
        all.

    Returns
    -------
    windows : (k,) int array
        Those in the rows.
    sums : (k, SUMS) array
    """
    turns = np.ascontiguousarray(quaternions, dtype=np.float64)
    symmetry = np.array(operators, dtype=np.float64)
    rows = keep or slice(0, len(segments))
    rotation = np.zeros((*segments.shape, 3))
    limit = safe_cosine(symmetry)

    def turn(first: int, end: int) -> None:
        _rotations(turns, segments, references, symmetry, limit, 1 / unit, first, end, rotation)

    over_rows(turn, segments.shape, part_of(progress, 0.0, 0.5))
    windows = np.unique(segments[rows])
    windows = windows[windows >= 0]
    total = np.zeros((len(windows), SUMS))
    lock = Lock()

    def add(first: int, end: int) -> None:
        first, end = first + rows.start, end + rows.start
        # Windows of a few rows only: all of them would be much memory for a map of small grains.
        used = np.unique(segments[first:end])
        used = used[used >= 0]
        place = np.full(len(references), -1, dtype=np.int64)
        place[used] = np.arange(len(used))
        part = np.zeros((len(used), SUMS))
        window_sums(rotation, segments, place, first, end, part, above)
        with lock:
            total[np.searchsorted(windows, used)] += part

    over_rows(add, (rows.stop - rows.start, segments.shape[1]), part_of(progress, 0.5, 1.0))
    return windows.astype(np.intp), total


@njit(cache=True, nogil=True)
def _references(q, segments, found, seen):  # type: ignore[no-untyped-def]
    rows, columns = segments.shape
    for r in range(rows):
        for c in range(columns):
            s = segments[r, c]
            if s >= 0 and not seen[s]:
                seen[s] = True
                for k in range(4):
                    found[s, k] = q[r, c, k]


@njit(cache=True, nogil=True)
def _rotations(q, segments, references, operators, limit, scale, first, end, rotation):  # type: ignore[no-untyped-def]
    columns = segments.shape[1]
    v = np.empty(3)
    for r in range(first, end):
        for c in range(columns):
            s = segments[r, c]
            if s < 0:
                continue
            rotation_vector(references[s], q[r, c], operators, limit, v)
            for k in range(3):
                rotation[r, c, k] = scale * v[k]
