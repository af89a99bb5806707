"""Whether two measured spheres show one crystal: how well they agree once one is turned."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.symmetry import _sphere_kernels as kernels
from napari_ebsdml.patterns.symmetry.groups import GROUPS
from napari_ebsdml.patterns.symmetry.operators import half_cube
from napari_ebsdml.patterns.symmetry.sphere import (
    SIDE,
    MeasuredSphere,
    climbed,
    rotation_grid,
    split,
)

Floats = NDArray[np.float64]

_FINE, _COARSE = 40, 600
_STEP = 4.0
_REFINED = 8


def agreement(one: MeasuredSphere, other: MeasuredSphere) -> tuple[float, Floats]:
    """Correlation of two spheres in the rotation that suits them best.

    Parameters
    ----------
    one, other
        The rotation is searched for among those that the group of `one` tells apart.

    Returns
    -------
    correlation
        1 for spheres that are equal but for a rotation, 0 for unrelated ones.
    turn : (3, 3) array
        From the frame of `other` to that of `one`.
    """
    directions = half_cube(_FINE)
    values = other.at(directions)
    known = np.isfinite(values)
    rays = np.ascontiguousarray(directions[known])
    shown = np.ascontiguousarray(values[known])
    few = np.random.default_rng(0).permutation(len(rays))[:_COARSE]
    turns = rotation_grid(one.group, _STEP if GROUPS[one.group].order > 2 else 1.5 * _STEP)
    seen = np.empty((len(turns), len(few)), np.float32)
    kernels.project(np.ascontiguousarray(rays[few]), turns, one.cells, SIDE, seen)
    there = seen < 1e8
    seen[~there] = 0
    score = seen @ shown[few].astype(np.float32)
    score /= np.sqrt(np.maximum((seen**2).sum(axis=1), 1e-9))
    score[there.mean(axis=1) < 0.4] = -1
    trial = np.ascontiguousarray(turns[np.argsort(-score)[:_REFINED]])
    split_rays, own = split(rays), shown.astype(np.float32)
    fits = np.array([climbed(turn, split_rays, own, one.cells, 2.0, 0.1) for turn in trial])
    best = int(fits.argmax())
    return float(fits[best]), trial[best]
