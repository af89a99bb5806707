"""Zones of one grain brought into one frame, and the whole to where indexing says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.relative import _kernels
from napari_ebsdml.patterns.relative.engine import first_turns, turned_orientations

_BACK = np.array([1.0, -1.0, -1.0, -1.0])


def link_zones(
    geometry: Geometry,
    grain: NDArray[np.int64],
    middle: NDArray[np.float64],
    size: NDArray[np.int64],
    total: NDArray[np.float32],
    count: NDArray[np.float32],
    bounds: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Turn the averages of a grain's zones onto each other.

    Parameters
    ----------
    geometry
    grain : (zones,) array
    middle : (zones, 4) array
        Orientations of the zones; those that are linked are corrected in place.
    size : (zones,) array
        Pixels.
    total, count, bounds
        Of `engine.align_zones`.

    Returns
    -------
    (zones,) array
        Zone at whose frame each one is: its own number for the first of a linked group.
    """
    root = np.arange(len(grain))
    names, number = np.unique(grain, return_counts=True)
    for name in names[number > 1]:
        zones = np.flatnonzero(grain == name)
        zones = zones[np.argsort(-size[zones], kind="stable")]
        done, left = [zones[0]], list(zones[1:])
        while left:
            near = np.abs(middle[left] @ middle[done].T)
            i, j = np.unravel_index(int(near.argmax()), near.shape)
            new, old = left.pop(int(i)), done[int(j)]
            turn = _link(geometry, middle, total, count, bounds, new, old)
            if turn is not None:
                middle[new] = turned_orientations(geometry, turn[None], middle[old][None])[0]
                root[new] = root[old]
            done.append(new)
    return root


def _link(
    geometry: Geometry, middle: NDArray[np.float64], total: NDArray[np.float32],
    count: NDArray[np.float32], bounds: NDArray[np.float64], new: int, old: int,
) -> NDArray[np.float64] | None:  # fmt: skip
    seen = count[new] >= 0.5 * max(float(count[new].max()), 1.0)
    image = np.where(seen, total[new] / np.maximum(count[new], 1), 0).astype(np.float32)[None]
    turns = first_turns(geometry, middle[new][None], np.zeros(1, np.int64), middle[old][None])
    fit, error = np.zeros(1), np.zeros((1, 3, 3))
    _kernels.align(
        image, seen, seen, np.zeros(1, np.int64), bounds[old : old + 1], bounds[new : new + 1],
        total[old : old + 1], count[old : old + 1], np.zeros((1, 3, 3)), 20, 1e-6, turns, fit,
        error,
    )  # fmt: skip
    return turns[0] if np.isfinite(fit[0]) and fit[0] > 0.2 else None


def to_indexed(
    found: NDArray[np.float64],
    indexed: NDArray[np.float64],
    group: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Turn each group of orientations to where indexing says that it is, on the whole.

    Parameters
    ----------
    found, indexed : (n, 4) arrays
        Specimen -> crystal, in the same symmetry variant.
    group : (n,) int array

    Returns
    -------
    (n, 4) array

    Notes
    -----
    The average of many patterns has a crystal orientation that indexing tells of each of them:
    the median of the small rotations in the crystal's frame is not moved by wrong ones.
    """
    away = multiply(indexed, found * _BACK)
    away = away * np.where(away[:, :1] < 0, -1.0, 1.0)
    vectors = 2 * away[:, 1:]
    names, compact = np.unique(group, return_inverse=True)
    compact = compact.reshape(-1)
    order = np.argsort(compact, kind="stable")
    ends = np.searchsorted(compact[order], np.arange(len(names) + 1))
    turn = np.zeros((len(names), 4))
    for k in range(len(names)):
        turn[k, 1:] = np.median(vectors[order[ends[k] : ends[k + 1]]], axis=0) / 2
    turn[:, 0] = np.sqrt(np.maximum(1 - (turn[:, 1:] ** 2).sum(axis=1), 0))
    return multiply(turn[compact], found)
