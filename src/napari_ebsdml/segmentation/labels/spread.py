"""Labels spread from strokes through the grains that they lie in, where that is safe."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

LARGEST_SPREAD = 2.5
"""Degrees; in a grain whose orientations deviate more in the mean, one end may be of another
class than the other."""


@dataclass(frozen=True)
class Spread:
    """Labels after spreading, and in how many grains it was not done.

    Attributes
    ----------
    target : (rows, columns) int8
        Class index, -1 where unlabelled.
    shared
        Grains that hold strokes of two classes.
    graded
        Grains whose orientation changes too much.
    """

    target: NDArray[np.int8]
    shared: int = 0
    graded: int = 0


def spread_labels(
    target: NDArray[np.int8],
    grains: NDArray[np.int32],
    reach: int,
    orientation_spread: NDArray[np.floating] | None = None,
) -> Spread:
    """Spread labels through the grains that they lie in.

    A grain is of one phase, with few exceptions, so a stroke says more than its own pixels.

    Parameters
    ----------
    target
        Class index, -1 where unlabelled.
    grains
        Grain labels, 0 for none.
    reach
        Largest distance in pixels from a labelled pixel of the grain.
    orientation_spread : (labels,), optional
        Of each grain, in degrees: above `LARGEST_SPREAD` its labels stay as they are.
    """
    labelled = target >= 0
    if not labelled.any() or reach < 1:
        return Spread(target)
    length = int(grains.max()) + 1
    lowest, highest = np.full(length, 127, np.int8), np.full(length, -1, np.int8)
    np.minimum.at(lowest, grains[labelled], target[labelled])
    np.maximum.at(highest, grains[labelled], target[labelled])
    painted = (highest >= 0) & (np.arange(length) > 0)
    single = painted & (lowest == highest)
    graded = np.zeros(length, dtype=bool)
    if orientation_spread is not None:
        graded = single & (np.asarray(orientation_spread) > LARGEST_SPREAD)
    use = single & ~graded
    distance, (i, j) = ndimage.distance_transform_edt(~labelled, return_indices=True)
    take = ~labelled & (distance <= reach) & use[grains] & (grains[i, j] == grains)
    return Spread(
        np.where(take, target[i, j], target).astype(np.int8),
        int((painted & ~single).sum()), int(graded.sum()),
    )  # fmt: skip
