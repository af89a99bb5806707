"""Annealing twins of a cubic parent: how they lie, and where their boundaries run.

A twin and its parent meet on the {111} plane that they share, whose trace in the section is
straight; across it a lamella ends seldom. That says where a twin ends where orientations do not: a
packet on that plane has the same variants in both.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply, to_matrix
from napari_ebsdml.maps.disorientation import disorientation_angle
from napari_ebsdml.maps.relationships import CUBIC

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

_AXES = np.array(((1, 1, 1), (1, -1, 1), (-1, 1, 1), (1, 1, -1))) / math.sqrt(3)
TWINS: Floats = np.concatenate(
    [np.full((4, 1), math.cos(math.pi / 6)), math.sin(math.pi / 6) * _AXES], axis=1
)
"""Turns of 60 degrees about <111>: parent -> its annealing twins, (4, 4)."""

BRANDON = 5.0
"""Degrees from a twin's orientation up to which two parents are twins."""
_SAVED = 0.9
"""What of a boundary's price is saved where it follows the trace. Its energy is some twentieth of
that of any other one; a facet of a few pixels shows its direction badly."""
_SHARPNESS = 8
"""Power of the cosine between facet and trace: half is saved at 24 degrees."""
_STEEP = 0.2
"""Sine between plane and section below which its trace is no line to speak of."""


def traces(first: Floats, second: Floats) -> Floats:
    """Normals (n, 2) in the section, x and y, to the trace of the plane that two twins share.

    Of unit length, less for planes near the section; 0 for orientations that are no twins.
    """
    out = np.zeros((len(first), 2))
    closest = np.full(len(first), BRANDON)
    for axis, twin in zip(_AXES, TWINS, strict=True):
        angle = disorientation_angle(multiply(twin, first), second, CUBIC)
        better = np.nan_to_num(angle, nan=180.0) < closest
        closest[better] = angle[better]
        out[better] = trace(first[better], axis)
    return out


def trace(orientation: Floats, axis: Floats) -> Floats:
    """Normal (n, 2) to the trace of a plane, given in the parent's axes."""
    normal = np.einsum("nji,j->ni", to_matrix(orientation), axis)[:, :2]
    return np.asarray(normal / np.maximum(np.linalg.norm(normal, axis=1), _STEEP)[:, None])


def trace_of(orientation: Floats, number: int) -> Floats:
    """Normal (2,) to the trace of the boundary with one of the `TWINS` of an orientation."""
    return np.asarray(trace(orientation[None], _AXES[number])[0])


def saved(facing: Floats, normals: Floats) -> Floats:
    """Part of the price of boundaries that is saved, for their mean normals and the traces'."""
    cosine = np.abs(np.sum(facing * normals, axis=-1))
    return np.asarray(_SAVED * np.minimum(cosine, 1.0) ** _SHARPNESS)


def twin_pairs(labels: Ints, pairs: Ints, orientation: Floats) -> tuple[NDArray[np.int64], Floats]:
    """Parents that touch and are twins: sorted keys, and the normals to their traces.

    The key of parents c < d of n is ``c * n + d``.
    """
    count = len(orientation)
    ends = labels[pairs].astype(np.int64)
    touch = (ends[:, 0] != ends[:, 1]) & (ends > 0).all(axis=1)
    keys = np.unique(ends[touch].min(axis=1) * count + ends[touch].max(axis=1))
    normals = traces(orientation[keys // count], orientation[keys % count])
    twins = normals.any(axis=1)
    return keys[twins], np.ascontiguousarray(normals[twins])


@njit(cache=True, nogil=True)
def saved_between(
    c: int, d: int, count: int, keys: Any, normals: Any, facing_x: float, facing_y: float
) -> float:
    """As `saved`, for the parents c and d and what `twin_pairs` gives."""
    key = min(c, d) * count + max(c, d)
    at = np.searchsorted(keys, key)
    if at == len(keys) or keys[at] != key:
        return 0.0
    cosine = abs(facing_x * normals[at, 0] + facing_y * normals[at, 1])
    return float(_SAVED * min(cosine, 1.0) ** _SHARPNESS)
