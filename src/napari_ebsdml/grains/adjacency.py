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
