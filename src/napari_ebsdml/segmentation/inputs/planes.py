"""What the input planes of the networks are, apart from how they are computed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Plane:
    """One input plane.

    Attributes
    ----------
    name
    unit
    role
        What augmentation and normalisation do with it: ``"measured"`` (brightness of the
        detector: standardised, brightness and contrast vary), ``"derived"`` (of orientations:
        standardised), ``"quaternion"`` and ``"flag"`` (taken as they are).
    """

    name: str
    unit: str
    role: str


@dataclass(frozen=True, eq=False)
class ChannelStack:
    """All input planes of one scan.

    Attributes
    ----------
    values : (planes, rows, columns) float32
        Not standardised; 0 where there is no value.
    planes
        What each plane is.
    grains : (rows, columns) int32
        Grains that the planes refer to, 0 where not indexed; None when none refers to grains.
    variants : (8, grains + 1, 4) float32 or None
        Symmetry operation that brings each grain back to the fundamental zone after each of
        the eight turns of the map (see `augment`); None without quaternions.
    groups
        Channels in the order of their planes, and how many planes each has.
    """

    values: NDArray[np.float32]
    planes: tuple[Plane, ...]
    grains: NDArray[np.int32] | None = None
    variants: NDArray[np.float32] | None = None
    groups: tuple[tuple[str, int], ...] = ()
