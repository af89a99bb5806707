"""Which grains touch, and along how much boundary."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Ints = NDArray[np.int32]


def widened(labels: Ints, reach: float) -> Ints:
    """Labels, with pixels of none given to the nearest one within `reach` pixels."""
    holes = labels == 0
    if not holes.any() or holes.all():
        return labels
    distance, nearest = ndimage.distance_transform_edt(holes, return_indices=True)
    found = labels[nearest[0], nearest[1]]
    return np.where(distance <= reach, found, 0).astype(np.int32)


def neighbours(labels: Ints, count: int) -> tuple[Ints, NDArray[np.float64]]:
    """Pairs of labels that touch (n, 2), and the number of pixel edges that they share."""
    keys = []
    for a, b in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        differ = (a != b) & (a > 0) & (b > 0)
        first, second = a[differ].astype(np.int64), b[differ].astype(np.int64)
        keys.append(np.minimum(first, second) * count + np.maximum(first, second))
    found, length = np.unique(np.concatenate(keys), return_counts=True)
    pairs = np.stack([found // count, found % count], axis=1).astype(np.int32)
    return pairs, length.astype(np.float64)


def facing(labels: Ints, pairs: Ints, count: int, step: tuple[float, float]) -> NDArray[np.float64]:
    """Mean normals (n, 2) of the boundaries of `neighbours`, x and y, of unit length.

    Across a boundary of short steps they are those of the line that it follows.
    """
    dy, dx = step
    out = np.zeros((len(pairs), 2))
    known = pairs[:, 0].astype(np.int64) * count + pairs[:, 1]
    sides = (labels[:, :-1], labels[:, 1:], dy), (labels[:-1], labels[1:], dx)
    for axis, (a, b, edge) in enumerate(sides):
        differ = (a != b) & (a > 0) & (b > 0)
        first, second = a[differ].astype(np.int64), b[differ].astype(np.int64)
        at = np.searchsorted(known, np.minimum(first, second) * count + np.maximum(first, second))
        signed = np.where(first < second, edge, -edge)
        out[:, axis] = np.bincount(at, weights=signed, minlength=len(pairs))
    return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12))
