"""Compiled kernels of the mosaic: places of patterns on it, and the mosaic on its own turned self.

All release the interpreter lock. `cells` are those of a half cube, 1e9 where nothing is known.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml.patterns.symmetry._kernels import set_turn
from napari_ebsdml.patterns.symmetry._sphere_kernels import Rays, shared

Array = NDArray[Any]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def search_turns(
    turns: Array, rays: Rays, values: Array, cells: Array, side: int, least: float, out: Array
) -> None:
    """Correlation times the root of the number of rays, for each turn; -1 below `least` of them."""
    for k in range(len(turns)):
        number, value = shared(turns[k], rays, values, cells, side, 2.0)
        out[k] = value * math.sqrt(number) if number >= least * len(values) else -1.0


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def scan_sphere(
    axes: Array, turns: Array, angles: Array, rays: Rays, values: Array, cells: Array, side: int,
    still: float, least: float, correlation: Array, part: Array,
) -> None:  # fmt: skip
    """Correlation (n,) of a sphere with itself turned about each axis by its one of `angles`.

    `part` (n,) is the part of the rays that tells it; both are 0 below `least`.
    """
    m = np.empty((3, 3))
    single = np.empty((3, 3), np.float32)
    for i in range(len(axes)):
        correlation[i] = 0.0
        part[i] = 0.0
        set_turn(axes[i, 0], axes[i, 1], axes[i, 2], angles[turns[i]], m)
        single[:, :] = m
        number, value = shared(single, rays, values, cells, side, still)
        if number >= least * len(values) and number >= 20:
            correlation[i] = value
            part[i] = number / len(values)
