"""Compiled kernels of the orientation search; all release the interpreter lock.

A template lies here on a square table over (x / z, y / z) in 0..1: a cube's face around [001], into
which the largest component of a direction brings it. That needs one division and no arc tangent.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True, fastmath=True)
def project_all(tables: Array, rays: Array, turns: Array, out: Array, scale: Array) -> None:
    """Values of every table along every ray, in each of many orientations.

    Parameters
    ----------
    tables : (m, side, side) float32 array
    rays : (p, 3) array
        Directions in the detector's frame.
    turns : (n, 3, 3) array
        Detector's frame -> crystal.
    out : (m, n, p) float32 array
    scale : (m, n) float32 array
        1 / (standard deviation of each image * root of p).
    """
    m, side = tables.shape[0], tables.shape[1]
    top = side - 1
    for k in range(turns.shape[0]):
        for p in range(rays.shape[0]):
            gx, gy, gz = rays[p, 0], rays[p, 1], rays[p, 2]
            x = abs(turns[k, 0, 0] * gx + turns[k, 0, 1] * gy + turns[k, 0, 2] * gz)
            y = abs(turns[k, 1, 0] * gx + turns[k, 1, 1] * gy + turns[k, 1, 2] * gz)
            z = abs(turns[k, 2, 0] * gx + turns[k, 2, 1] * gy + turns[k, 2, 2] * gz)
            # Mirror planes let any order of the two smaller ones do.
            if x > z:
                x, z = z, x
            if y > z:
                y, z = z, y
            u = x / z * top
            v = y / z * top
            i = min(int(u), top - 1)
            j = min(int(v), top - 1)
            fu = u - i
            fv = v - j
            for t in range(m):
                low = (1 - fv) * tables[t, i, j] + fv * tables[t, i, j + 1]
                high = (1 - fv) * tables[t, i + 1, j] + fv * tables[t, i + 1, j + 1]
                out[t, k, p] = (1 - fu) * low + fu * high
        for t in range(m):
            mean = np.float32(0)
            power = np.float32(0)
            for p in range(rays.shape[0]):
                mean += out[t, k, p]
                power += out[t, k, p] * out[t, k, p]
            power -= mean * mean / rays.shape[0]
            scale[t, k] = 1 / math.sqrt(max(power, 1e-6))


@njit(cache=True, nogil=True, fastmath=True)
def moments(
    patterns: Array, owner: Array, places: Array, bounds: Array, turns: Array, tables: Array,
    which: Array, columns: int, out: Array,
) -> None:  # fmt: skip
    """Sums of products of a pattern, its fit and the fit's derivatives.

    Parameters
    ----------
    patterns : (patterns, p) float32 array
    owner : (n,) int array
        Pattern of each of n fits.
    places : (p, 2) array
        Place of each pixel on the screen: 0..1 from the left and from the top.
    bounds : (1 or patterns, 4) array
        See `Geometry`.
    turns : (n, 3, 3) array
        Detector's frame -> crystal of each fit.
    tables, which
        Templates, and that of each fit.
    columns
        6 for the orientation alone, 9 with the pattern centre.
    out : (n, 9, 9) array
        Products of: pattern, 1, fit, its derivatives by a turn about the crystal's x, y, z
        (radians), and by the centre's dx, dy, dz (parts of the screen's height).
    """
    side = tables.shape[1]
    top = side - 1
    for k in range(turns.shape[0]):
        line = patterns[owner[k]]
        table = tables[which[k]]
        r = turns[k]
        b = owner[k] if len(bounds) > 1 else 0
        x0 = bounds[b, 0]
        width = bounds[b, 1] - x0
        y1 = bounds[b, 3]
        height = y1 - bounds[b, 2]
        total = np.zeros((9, 9))
        row = np.zeros(9)
        row[1] = 1.0
        for p in range(places.shape[0]):
            gx = x0 + width * places[p, 0]
            gy = y1 - height * places[p, 1]
            vx = r[0, 0] * gx + r[0, 1] * gy + r[0, 2]
            vy = r[1, 0] * gx + r[1, 1] * gy + r[1, 2]
            vz = r[2, 0] * gx + r[2, 1] * gy + r[2, 2]
            ax, ay, az = abs(vx), abs(vy), abs(vz)
            # main: the largest component; first, second: the others.
            if az >= ax and az >= ay:
                main, first, second, order = az, ax, ay, 2
            elif ay >= ax:
                main, first, second, order = ay, ax, az, 1
            else:
                main, first, second, order = ax, ay, az, 0
            u = first / main
            v = second / main
            su = u * top
            sv = v * top
            i = min(int(su), top - 1)
            j = min(int(sv), top - 1)
            fu = su - i
            fv = sv - j
            t00, t01 = table[i, j], table[i, j + 1]
            t10, t11 = table[i + 1, j], table[i + 1, j + 1]
            low = t00 + fv * (t01 - t00)
            high = t10 + fv * (t11 - t10)
            by_u = (high - low) * top / main
            by_v = ((1 - fu) * (t01 - t00) + fu * (t11 - t10)) * top / main
            by_main = -(by_u * u + by_v * v)
            if order == 2:
                dx, dy, dz = by_u, by_v, by_main
            elif order == 1:
                dx, dy, dz = by_u, by_main, by_v
            else:
                dx, dy, dz = by_main, by_u, by_v
            dx = math.copysign(dx, dx * vx)
            dy = math.copysign(dy, dy * vy)
            dz = math.copysign(dz, dz * vz)
            row[0] = line[p]
            row[2] = low + fu * (high - low)
            row[3] = vy * dz - vz * dy
            row[4] = vz * dx - vx * dz
            row[5] = vx * dy - vy * dx
            if columns == 9:
                # A centre moved right, down or away: see Geometry.moved.
                by_x = dx * r[0, 0] + dy * r[1, 0] + dz * r[2, 0]
                by_y = dx * r[0, 1] + dy * r[1, 1] + dz * r[2, 1]
                row[6] = -height * by_x
                row[7] = height * by_y
                row[8] = -height * (gx * by_x + gy * by_y)
            for c in range(columns):
                for d in range(c + 1):
                    total[c, d] += row[c] * row[d]
        for c in range(columns):
            for d in range(c + 1):
                out[k, c, d] = total[c, d]
                out[k, d, c] = total[c, d]
