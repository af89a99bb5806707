"""Bands of a measured sphere: normals, strengths and half widths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.lattices import _kernels as kernels
from napari_ebsdml.patterns.symmetry.groups import GROUPS
from napari_ebsdml.patterns.symmetry.operators import half_cube
from napari_ebsdml.patterns.symmetry.sphere import SIDE, MeasuredSphere

Floats = NDArray[np.float64]

NORMALS = 60
"""Cells along an edge of a face of the half cube of normals: 1.5 degrees."""
STEP = 0.004
_BINS = 50
_MOST = 14
_APART = float(np.cos(np.deg2rad(5.0)))


@dataclass(frozen=True, eq=False)
class Bands:
    """Bands of a sphere.

    Attributes
    ----------
    contrast : (cells, widths) array
        Mean inside a band minus mean beside it, for each normal of ``half_cube(NORMALS)`` and
        each half width, (k + 1/2) `STEP` as a sine.
    normals : (n, 3) array
        Of the strong bands, one of each that are equivalent, the strongest first.
    strength, half_width : (n,) arrays
        Contrast, and half width as a sine.
    """

    contrast: Floats
    normals: Floats
    strength: Floats
    half_width: Floats


def cell_areas(side: int) -> Floats:
    """Solid angles, up to a factor, of the cells of a half cube."""
    axes = np.abs(half_cube(side))
    top = axes.max(axis=1, keepdims=True)
    flat = axes / top
    return np.asarray(top[:, 0] ** 3 * np.prod(1 + flat**2, axis=1) / 2)


def bands_of(sphere: MeasuredSphere) -> Bands:
    """Find the bands of a measured sphere."""
    known = sphere.known
    directions, area = half_cube(SIDE)[known], cell_areas(SIDE)[known]
    values = sphere.cells[known].astype(np.float64)
    values = values - np.average(values, weights=area)
    normals = half_cube(NORMALS)
    sums, weights = np.zeros((2, len(normals), _BINS))
    kernels.band_sums(normals, directions, values, area, STEP, sums, weights)
    inner, inner_area = sums.cumsum(axis=1), weights.cumsum(axis=1)
    contrast = np.full((len(normals), _BINS // 2), -1.0)
    for k in range(1, len(contrast[0])):
        # Beside the edge, as far out again as the band is wide, and 1.5 degrees at least.
        first, stop = k + 2, min(_BINS - 1, k + 2 + max(6, k))
        inside = inner[:, k] / np.maximum(inner_area[:, k], 1e-9)
        ring = inner_area[:, stop] - inner_area[:, first - 1]
        beside = (inner[:, stop] - inner[:, first - 1]) / np.maximum(ring, 1e-9)
        contrast[:, k] = inside - beside
    # Wide bands average over more noise: the evidence grows with the root of the width.
    widths = np.arange(contrast.shape[1]) + 0.5
    evidence = contrast * np.sqrt(widths / widths[4])
    best = evidence[:, 2:].argmax(axis=1) + 2
    strength = evidence[np.arange(len(normals)), best]
    rotations = GROUPS[sphere.group].rotations
    chosen: list[int] = []
    stars = np.zeros((0, 3))
    for k in np.argsort(-strength)[:4000]:
        if len(stars) and np.abs(stars @ normals[k]).max() > _APART:
            continue
        if strength[k] < 0.25 * strength.max() or len(chosen) == _MOST:
            break
        chosen.append(int(k))
        stars = np.concatenate([stars, rotations @ normals[k]])
    at = np.array(chosen, dtype=np.intp)
    return Bands(contrast, normals[at], strength[at], (best[at] + 0.5) * STEP)
