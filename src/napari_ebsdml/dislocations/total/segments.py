"""Cutting the grains of a map into windows, and measuring what each window shows."""

from __future__ import annotations

from threading import Lock

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, over_rows, part_of
from napari_ebsdml.dislocations.gnd.curvature import rotation_vector
from napari_ebsdml.dislocations.total.sums import SUMS, window_sums
from napari_ebsdml.maps.symmetry import safe_cosine

FEWEST_PIXELS = 60
"""Pixels that a window needs."""


def cut_grains(
    grains: NDArray[np.int64], window: int
) -> tuple[NDArray[np.int32], NDArray[np.int64], NDArray[np.int64]]:
    """Cut every grain into pieces of about `window` x `window` pixels.

    Grains of up to one and a half windows a side stay whole, larger ones are cut evenly.
    Pieces of fewer than `FEWEST_PIXELS` pixels are left out.

    Parameters
    ----------
    grains : (rows, columns) int array
        0 for none.
    window
        In pixels.

    Returns
    -------
    segments : (rows, columns) int32
        Number of the piece, -1 for none.
    owner : (n,) int64
        Grain of each piece.
    pixels : (n,) int64
        Pixels of each piece.
    """
    labels, index = np.unique(grains, return_inverse=True)
    index = index.reshape(grains.shape)
    number = len(labels)
    rows, columns = (np.arange(n, dtype=np.int64) for n in grains.shape)
    low = np.full((2, number), np.iinfo(np.int64).max)
    high = np.full((2, number), -1, dtype=np.int64)
    for axis, place in enumerate((rows[:, None], columns[None, :])):
        flat = np.broadcast_to(place, grains.shape).ravel()
        np.minimum.at(low[axis], index.ravel(), flat)
        np.maximum.at(high[axis], index.ravel(), flat)
    extent = high - low + 1
    pieces = np.maximum(1, np.rint(extent / window)).astype(np.int64)
    first = np.concatenate(([0], np.cumsum(pieces[0] * pieces[1])[:-1]))
    at = [
        ((place - low[axis][index]) * pieces[axis][index]) // extent[axis][index]
        for axis, place in enumerate((rows[:, None], columns[None, :]))
    ]
    ids = first[index] + at[0] * pieces[1][index] + at[1]
    ids[grains <= 0] = -1
    counts = np.bincount(ids[ids >= 0].ravel(), minlength=int((pieces[0] * pieces[1]).sum()))
    kept = np.flatnonzero(counts >= FEWEST_PIXELS)
    renumber = np.full(len(counts) + 1, -1, dtype=np.int32)
    renumber[kept] = np.arange(len(kept), dtype=np.int32)
    owner = np.repeat(labels, pieces[0] * pieces[1])[kept]
    return renumber[ids], owner.astype(np.int64), counts[kept].astype(np.int64)


def measure(
    quaternions: NDArray[np.float64],
    segments: NDArray[np.int32],
    number: int,
    operators: NDArray[np.float64],
    unit: float,
    progress: Progress = None,
) -> NDArray[np.float64]:
    """Sums of `sums.window_sums` for every piece of a map.

    Parameters
    ----------
    quaternions : (rows, columns, 4) array
        Crystal -> specimen.
    segments : (rows, columns) int array
        From `cut_grains`; all its pixels have an orientation.
    number
        Of pieces.
    operators
        Of `laue_operators`.
    unit
        b / s in radians.
    progress
        Called with the fraction done; what it raises ends the work.
    """
    turns = np.ascontiguousarray(quaternions, dtype=np.float64)
    symmetry = np.array(operators, dtype=np.float64)
    reference = np.full(number, -1, dtype=np.int64)
    rotation = np.zeros((*segments.shape, 3))
    _references(turns, segments, reference)
    limit = safe_cosine(symmetry)

    def turn(first: int, end: int) -> None:
        _rotations(turns, segments, reference, symmetry, limit, 1 / unit, first, end, rotation)

    over_rows(turn, segments.shape, part_of(progress, 0.0, 0.5))
    total = np.zeros((number, SUMS))
    lock = Lock()

    def add(first: int, end: int) -> None:
        # Pieces of a few rows only: all of them would be much memory for a map of small grains.
        used = np.unique(segments[first:end])
        used = used[used >= 0]
        place = np.full(number, -1, dtype=np.int64)
        place[used] = np.arange(len(used))
        part = np.zeros((len(used), SUMS))
        window_sums(rotation, segments, place, first, end, part)
        with lock:
            total[used] += part

    over_rows(add, segments.shape, part_of(progress, 0.5, 1.0))
    return total


@njit(cache=True, nogil=True)
def _references(q, segments, reference):  # type: ignore[no-untyped-def]
    """Flat index of a pixel of each piece that its rotations are taken from."""
    rows, columns = segments.shape
    for r in range(rows):
        for c in range(columns):
            s = segments[r, c]
            if s >= 0 and reference[s] < 0:
                reference[s] = r * columns + c


@njit(cache=True, nogil=True)
def _rotations(q, segments, reference, operators, limit, scale, first, end, rotation):  # type: ignore[no-untyped-def]
    columns = segments.shape[1]
    v = np.empty(3)
    for r in range(first, end):
        for c in range(columns):
            s = segments[r, c]
            if s < 0:
                continue
            at = reference[s]
            rotation_vector(q[at // columns, at % columns], q[r, c], operators, limit, v)
            for k in range(3):
                rotation[r, c, k] = scale * v[k]
