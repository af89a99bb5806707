"""Compiled kernels of `distortion`: a sphere that is smooth enough to be differentiated.

Faces of the half cube have borders of `PAD` cells, and rays are shared between the four cells about
them. All release the interpreter lock.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

PAD = 4


@njit(cache=True, nogil=True)
def on_face(x: float, y: float, z: float, side: int) -> tuple[int, float, float]:
    """Face of the half cube, and place on it in cells from the middle of its first one."""
    ax, ay, az = abs(x), abs(y), abs(z)
    if az >= ax and az >= ay:
        face, u, v = 0, x / z, y / z
    elif ax >= ay:
        face, u, v = 1, y / x, z / x
    else:
        face, u, v = 2, z / y, x / y
    scale = 2 * side / math.pi
    return face, math.atan(u) * scale + (side - 1) / 2, math.atan(v) * scale + (side - 1) / 2


@njit(cache=True, nogil=True)
def spread(rays: Array, values: Array, turns: Array, side: int, total: Array, count: Array) -> None:
    """Add rays (n, 3), turned by each of `turns` (k, 3, 3), to cells (3, side, side)."""
    for k in range(len(turns)):
        m = turns[k]
        for i in range(len(rays)):
            x, y, z = rays[i, 0], rays[i, 1], rays[i, 2]
            face, u, v = on_face(
                m[0, 0] * x + m[0, 1] * y + m[0, 2] * z,
                m[1, 0] * x + m[1, 1] * y + m[1, 2] * z,
                m[2, 0] * x + m[2, 1] * y + m[2, 2] * z,
                side,
            )
            first, second = math.floor(u), math.floor(v)
            for a in range(2):
                for b in range(2):
                    weight = abs(1 - a - u + first) * abs(1 - b - v + second)
                    p = min(max(first + a, 0), side - 1)
                    q = min(max(second + b, 0), side - 1)
                    total[face, p, q] += weight * values[i]
                    count[face, p, q] += weight


@njit(cache=True, nogil=True)
def value_at(x: float, y: float, z: float, side: int, faces: Array) -> float:
    """Value of padded faces (3, side + 2 PAD, side + 2 PAD) in a direction, linear in cells."""
    face, u, v = on_face(x, y, z, side)
    u += PAD
    v += PAD
    p, q = math.floor(u), math.floor(v)
    a, b = u - p, v - q
    f = faces[face]
    low = f[p, q] * (1 - b) + f[p, q + 1] * b
    high = f[p + 1, q] * (1 - b) + f[p + 1, q + 1] * b
    return float(low * (1 - a) + high * a)


@njit(cache=True, nogil=True)
def slopes(
    rays: Array, step: float, side: int, faces: Array, values: Array, gradient: Array
) -> None:
    """Values (n,) of padded faces along unit rays (n, 3), and gradients (n, 3) there."""
    near = np.empty(3)
    for i in range(len(rays)):
        values[i] = value_at(rays[i, 0], rays[i, 1], rays[i, 2], side, faces)
        for axis in range(3):
            rise = 0.0
            for sign in (1.0, -1.0):
                near[:] = rays[i]
                near[axis] += sign * step
                rise += sign * value_at(near[0], near[1], near[2], side, faces)
            gradient[i, axis] = rise / (2 * step)
