"""What every explanation of an answer has."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Plane = tuple[int, int, int]


@dataclass(frozen=True, eq=False, kw_only=True)
class Explanation:
    """Which parts of a pattern speak for and against each space group: Shapley values.

    Attributes
    ----------
    space_groups : tuple of int
        Order of the first axis of the images.
    images : (space groups, rows, columns) array
        On the detector: positive where the pattern speaks for a space group, negative where
        against it.
    probability : dict of space group -> float
    bands : dict of space group -> list of ((h, k, l), value)
        Sum of the values along each band of low indices, the most decisive first. Bands cross, so
        that the sums overlap. Empty where the model knows no bands.
    """

    space_groups: tuple[int, ...]
    images: NDArray[np.float32]
    probability: dict[int, float]
    bands: dict[int, list[tuple[Plane, float]]] = field(default_factory=dict)
