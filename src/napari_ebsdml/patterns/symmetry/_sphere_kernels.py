"""Compiled kernels of measured spheres: rays put on the half cube, patterns compared with it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml.patterns.symmetry._kernels import face_index, turn_by

Array = NDArray[Any]
Rays = tuple[Array, Array, Array]
_LIMIT = np.float32(1e8)


@njit(cache=True, nogil=True)
def gather(
    rays: Array, values: Array, turns: Array, weight: float, side: int, total: Array, count: Array
) -> None:
    """Add rays, turned by each of `turns` (k, 3, 3), to the cells of a half cube."""
    for k in range(len(turns)):
        m = turns[k]
        for i in range(len(rays)):
            x, y, z = rays[i, 0], rays[i, 1], rays[i, 2]
            at = face_index(
                m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
                m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
                m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
                side,
            )
            total[at] += weight * values[i]
            count[at] += weight


@njit(cache=True, nogil=True)
def project(rays: Array, turns: Array, cells: Array, side: int, out: Array) -> None:
    """Values of the sphere along rays turned by each of `turns`; NaN cells give NaN."""
    for k in range(len(turns)):
        m = turns[k]
        for i in range(len(rays)):
            x, y, z = rays[i, 0], rays[i, 1], rays[i, 2]
            out[k, i] = cells[
                face_index(
                    m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
                    m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
                    m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
                    side,
                )
            ]


@njit(cache=True, nogil=True)
def templates(rays: Array, turns: Array, cells: Array, side: int, least: float, out: Array) -> None:
    """`project`, each row of what is known brought to mean 0 and mean square 1, the rest to 0.

    A row of which no more than the part `least` is known becomes 0 as a whole.
    """
    project(rays, turns, cells, side, out)
    for k in range(len(turns)):
        number, total, squares = 0, 0.0, 0.0
        for i in range(len(rays)):
            if out[k, i] < 1e8:
                number += 1
                total += out[k, i]
        if number <= least * len(rays):
            out[k] = 0.0
            continue
        mean = total / number
        for i in range(len(rays)):
            if out[k, i] < 1e8:
                out[k, i] -= mean
                squares += out[k, i] ** 2
            else:
                out[k, i] = 0.0
        spread = max(math.sqrt(squares / len(rays)), 1e-6)
        for i in range(len(rays)):
            out[k, i] /= spread


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
def climb(
    turn: Array, rays: Rays, values: Array, cells: Array, side: int, first: float, last: float,
    least: float,
) -> tuple[int, float]:  # fmt: skip
    """Turn, in place, by shrinking steps in radians to the best place nearby.

    The best has the highest correlation times root of the number of rays. Returns that number of
    rays on the sphere, and their correlation.
    """
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
                turn_by(turn, axis, sign * size, trial)
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
