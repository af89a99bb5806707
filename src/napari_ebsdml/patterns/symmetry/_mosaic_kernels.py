"""Compiled kernels of the mosaic: patterns laid on a sphere, and the sphere on its own turned self.

All release the interpreter lock. `cells` are those of a half cube, 1e9 where nothing is known.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml.patterns.symmetry._kernels import face_index, set_turn

Array = NDArray[Any]
Rays = tuple[Array, Array, Array]
_LIMIT = np.float32(1e8)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def shared(
    turn: Array, rays: Rays, values: Array, cells: Array, side: int, still: float
) -> tuple[int, float]:
    """Number of turned rays of which the sphere knows something, and their correlation with it.

    `rays` are their x, y and z. Those that move by less than an angle of cosine `still` do not
    count; above 1, all do.
    """
    ab = np.float32(0)
    aa = np.float32(0)
    bb = np.float32(0)
    a = np.float32(0)
    b = np.float32(0)
    number = 0
    limit = np.float32(still)
    m00, m01, m02 = turn[0, 0], turn[0, 1], turn[0, 2]
    m10, m11, m12 = turn[1, 0], turn[1, 1], turn[1, 2]
    m20, m21, m22 = turn[2, 0], turn[2, 1], turn[2, 2]
    all_x, all_y, all_z = rays
    for i in range(len(values)):
        x, y, z = all_x[i], all_y[i], all_z[i]
        u = m00 * x + m01 * y + m02 * z
        v = m10 * x + m11 * y + m12 * z
        w = m20 * x + m21 * y + m22 * z
        other = cells[face_index(u, v, w, side)]
        # One question for both: a second branch would take twice the time.
        if (other > _LIMIT) | (abs(u * x + v * y + w * z) > limit):
            continue
        own = values[i]
        ab += own * other
        aa += own * own
        bb += other * other
        a += own
        b += other
        number += 1
    if number < 10:
        return number, 0.0
    ab -= a * b / number
    aa -= a * a / number
    bb -= b * b / number
    return number, float(ab / math.sqrt(aa * bb + 1e-9))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def search_turns(
    turns: Array, rays: Rays, values: Array, cells: Array, side: int, least: float, out: Array
) -> None:
    """Correlation times the root of the number of rays, for each turn; -1 below `least` of them."""
    for k in range(len(turns)):
        number, value = shared(turns[k], rays, values, cells, side, 2.0)
        out[k] = value * math.sqrt(number) if number >= least * len(values) else -1.0


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def climb(
    turn: Array, rays: Rays, values: Array, cells: Array, side: int, first: float, last: float,
    least: float,
) -> tuple[int, float]:  # fmt: skip
    """Turn, in place, by shrinking steps in radians to where `search_turns` counts most.

    Returns the number of rays on the sphere, and their correlation.
    """
    m = np.empty((3, 3))
    unit = np.empty(3)
    trial = np.empty((3, 3))
    single = np.empty((3, 3), np.float32)
    single[:, :] = turn
    number, value = shared(single, rays, values, cells, side, 2.0)
    best = value * math.sqrt(number) if number >= least * len(values) else -1.0
    size = first
    while size > last:
        moved = False
        for axis in range(3):
            for sign in (1.0, -1.0):
                unit[:] = 0.0
                unit[axis] = 1.0
                set_turn(unit[0], unit[1], unit[2], sign * size, m)
                for r in range(3):
                    for c in range(3):
                        trial[r, c] = (
                            turn[r, 0] * m[0, c] + turn[r, 1] * m[1, c] + turn[r, 2] * m[2, c]
                        )
                single[:, :] = trial
                n, v = shared(single, rays, values, cells, side, 2.0)
                if n >= least * len(values) and v * math.sqrt(n) > best + 1e-6:
                    best = v * math.sqrt(n)
                    number, value = n, v
                    turn[:, :] = trial
                    moved = True
                    break
        if not moved:
            size /= 2
    return number, value


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
