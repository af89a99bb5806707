"""Compiled kernels of measured spheres: rays put on the half cube, patterns compared with it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml.patterns.symmetry._kernels import face_index, set_turn

Array = NDArray[Any]


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


@njit(cache=True, nogil=True, fastmath=True)
def _fit(turn: Array, rays: Array, values: Array, cells: Array, side: int) -> float:
    ab = np.float32(0)
    aa = np.float32(0)
    bb = np.float32(0)
    a = np.float32(0)
    b = np.float32(0)
    number = 0
    for i in range(len(rays)):
        x, y, z = rays[i, 0], rays[i, 1], rays[i, 2]
        other = cells[
            face_index(
                turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] * z,
                turn[1, 0] * x + turn[1, 1] * y + turn[1, 2] * z,
                turn[2, 0] * x + turn[2, 1] * y + turn[2, 2] * z,
                side,
            )
        ]
        if other > 1e8:
            continue
        own = values[i]
        ab += own * other
        aa += own * own
        bb += other * other
        a += own
        b += other
        number += 1
    if number < 0.4 * len(rays) or number < 30:
        return -1.0
    ab -= a * b / number
    aa -= a * a / number
    bb -= b * b / number
    return float(ab / math.sqrt(aa * bb + 1e-9))


@njit(cache=True, nogil=True)
def refine_turns(
    turns: Array, rays: Array, values: Array, cells: Array, side: int, first: float, last: float,
    fits: Array,
) -> None:  # fmt: skip
    """Climb with each turn (detector -> crystal, in place) of one pattern; its fits.

    `cells` hold the sphere, 1e9 where nothing is known.
    """
    m = np.empty((3, 3))
    unit = np.empty(3)
    trial = np.empty((3, 3))
    for k in range(len(turns)):
        best = _fit(turns[k], rays, values, cells, side)
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
                                turns[k, r, 0] * m[0, c]
                                + turns[k, r, 1] * m[1, c]
                                + turns[k, r, 2] * m[2, c]
                            )
                    value = _fit(trial, rays, values, cells, side)
                    if value > best + 1e-6:
                        best = value
                        turns[k] = trial
                        moved = True
                        break
            if not moved:
                size /= 2
        fits[k] = best
