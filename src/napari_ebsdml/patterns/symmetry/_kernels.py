"""Compiled kernels of the symmetry search: a pattern compared with its own rotated self.

All release the interpreter lock. A screen is an image and its gnomonic bounds; rays are unit
vectors in the detector's frame (x right, y up, z to the screen). Pixels without signal hold
`HOLE`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]

HOLE = np.float32(1e9)
_LIMIT = np.float32(1e8)


@njit(cache=True, nogil=True)
def set_turn(x: float, y: float, z: float, angle: float, out: Array) -> None:
    """Rotation matrix about the unit vector (x, y, z)."""
    c, s = math.cos(angle), math.sin(angle)
    k = 1 - c
    out[0, 0] = c + k * x * x
    out[0, 1] = k * x * y - s * z
    out[0, 2] = k * x * z + s * y
    out[1, 0] = k * x * y + s * z
    out[1, 1] = c + k * y * y
    out[1, 2] = k * y * z - s * x
    out[2, 0] = k * x * z - s * y
    out[2, 1] = k * y * z + s * x
    out[2, 2] = c + k * z * z


@njit(cache=True, nogil=True, fastmath=True)
def overlap_nearest(
    rays: Array, values: Array, image: Array, bounds: Array, m: Array, still: float, step: int,
    sums: Array,
) -> int:  # fmt: skip
    """Sums over the rays that a rotation carries from screen to screen: ab, aa, bb; their number.

    Rays that move by less than an angle of cosine `still` do not count.
    """
    rows, columns = image.shape
    kx = np.float32(columns / (bounds[1] - bounds[0]))
    ky = np.float32(rows / (bounds[3] - bounds[2]))
    x0, y1 = np.float32(bounds[0]), np.float32(bounds[3])
    a, b, c = np.float32(m[0, 0]), np.float32(m[0, 1]), np.float32(m[0, 2])
    d, e, f = np.float32(m[1, 0]), np.float32(m[1, 1]), np.float32(m[1, 2])
    g, h, k = np.float32(m[2, 0]), np.float32(m[2, 1]), np.float32(m[2, 2])
    limit = np.float32(still)
    ab = np.float32(0)
    aa = np.float32(0)
    bb = np.float32(0)
    number = 0
    for i in range(0, len(rays), step):
        u, v, w = rays[i, 0], rays[i, 1], rays[i, 2]
        z = g * u + h * v + k * w
        if abs(z) < np.float32(0.05):
            continue
        x = a * u + b * v + c * w
        y = d * u + e * v + f * w
        over = np.float32(1) / z
        column = (x * over - x0) * kx
        row = (y1 - y * over) * ky
        if column < 0 or row < 0 or column >= columns or row >= rows:
            continue
        if abs(x * u + y * v + z * w) > limit:
            continue
        other = image[int(row), int(column)]
        if other > _LIMIT:
            continue
        own = values[i]
        ab += own * other
        aa += own * own
        bb += other * other
        number += 1
    sums[0] = ab
    sums[1] = aa
    sums[2] = bb
    return number


@njit(cache=True, nogil=True, fastmath=True)
def overlap_linear(
    rays: Array, values: Array, image: Array, bounds: Array, m: Array, still: float, step: int,
    sums: Array,
) -> int:  # fmt: skip
    """As `overlap_nearest`, with bilinear values."""
    rows, columns = image.shape
    kx = np.float32(columns / (bounds[1] - bounds[0]))
    ky = np.float32(rows / (bounds[3] - bounds[2]))
    x0, y1 = np.float32(bounds[0]), np.float32(bounds[3])
    a, b, c = np.float32(m[0, 0]), np.float32(m[0, 1]), np.float32(m[0, 2])
    d, e, f = np.float32(m[1, 0]), np.float32(m[1, 1]), np.float32(m[1, 2])
    g, h, k = np.float32(m[2, 0]), np.float32(m[2, 1]), np.float32(m[2, 2])
    limit = np.float32(still)
    half = np.float32(0.5)
    ab = np.float32(0)
    aa = np.float32(0)
    bb = np.float32(0)
    number = 0
    for i in range(0, len(rays), step):
        u, v, w = rays[i, 0], rays[i, 1], rays[i, 2]
        z = g * u + h * v + k * w
        if abs(z) < np.float32(0.05):
            continue
        x = a * u + b * v + c * w
        y = d * u + e * v + f * w
        over = np.float32(1) / z
        column = (x * over - x0) * kx - half
        row = (y1 - y * over) * ky - half
        if column < 0 or row < 0 or column > columns - 1.001 or row > rows - 1.001:
            continue
        if abs(x * u + y * v + z * w) > limit:
            continue
        r, q = int(row), int(column)
        fr, fc = row - r, column - q
        p00, p01 = image[r, q], image[r, q + 1]
        p10, p11 = image[r + 1, q], image[r + 1, q + 1]
        if p00 > _LIMIT or p01 > _LIMIT or p10 > _LIMIT or p11 > _LIMIT:
            continue
        upper = p00 + (p01 - p00) * fc
        other = upper + (p10 + (p11 - p10) * fc - upper) * fr
        own = values[i]
        ab += own * other
        aa += own * own
        bb += other * other
        number += 1
    sums[0] = ab
    sums[1] = aa
    sums[2] = bb
    return number


@njit(cache=True, nogil=True)
def scan_axes(
    axes: Array, angles: Array, rays: Array, values: Array, image: Array, bounds: Array,
    still: float, least: float, correlation: Array, part: Array,
) -> None:  # fmt: skip
    """Correlation (axes, angles) and the part of the rays that tells it, 0 below `least`."""
    m = np.empty((3, 3))
    sums = np.empty(3)
    n = len(rays)
    for i in range(len(axes)):
        for k in range(len(angles)):
            correlation[i, k] = 0.0
            part[i, k] = 0.0
            set_turn(axes[i, 0], axes[i, 1], axes[i, 2], angles[k], m)
            probe = overlap_nearest(rays, values, image, bounds, m, still, 16, sums)
            if probe * 16 < 0.6 * least * n:
                continue
            number = overlap_nearest(rays, values, image, bounds, m, still, 1, sums)
            if number < least * n:
                continue
            correlation[i, k] = sums[0] / math.sqrt(sums[1] * sums[2] + 1e-12)
            part[i, k] = number / n


@njit(cache=True, nogil=True, fastmath=True)
def face_index(x: float, y: float, z: float, side: int) -> int:
    """Place of a direction (or its opposite) on the three faces of the half cube."""
    ax, ay, az = abs(x), abs(y), abs(z)
    if az >= ax and az >= ay:
        face, u, v = 0, x / z, y / z
    elif ax >= ay:
        face, u, v = 1, y / x, z / x
    else:
        face, u, v = 2, z / y, x / y
    # Arc tangents to 0.2 degrees, as parts of a quarter turn.
    u *= 1 + 0.3476 * (1 - abs(u))
    v *= 1 + 0.3476 * (1 - abs(v))
    i = min(side - 1, max(0, int((u + 1) * 0.5 * side)))
    j = min(side - 1, max(0, int((v + 1) * 0.5 * side)))
    return (face * side + i) * side + j


@njit(cache=True, nogil=True, fastmath=True)
def search_frames(
    principals: Array, op_axes: Array, op_turns: Array, period: float, step: float,
    table_s: Array, table_n: Array, side: int, score: Array, angle: Array,
) -> None:  # fmt: skip
    """For each direction of the main axis the best turn about it: score and angle.

    `table_s` and `table_n` hold, for each direction of the half cube and each turn, weight times
    correlation, and weight. The score of a frame is S |S| / 2N over its operations: the logarithm
    of the likelihood of one common correlation S / N against none.
    """
    n_ops = len(op_turns)
    steps = max(1, math.ceil(period / step))
    e1 = np.empty(3)
    e2 = np.empty(3)
    for i in range(len(principals)):
        p = principals[i]
        score[i] = -1e9
        angle[i] = 0.0
        here = face_index(p[0], p[1], p[2], side)
        refuted = False
        for k in range(n_ops):
            if op_axes[k, 2] > 0.999:
                # A main axis that is tested and does not correlate at all is none.
                refuted = refuted or table_s[here, op_turns[k]] < 0.0
        if refuted:
            continue
        if abs(p[2]) < 0.8:
            length = math.sqrt(p[0] * p[0] + p[1] * p[1])
            e1[0], e1[1], e1[2] = -p[1] / length, p[0] / length, 0.0
        else:
            length = math.sqrt(p[2] * p[2] + p[1] * p[1])
            e1[0], e1[1], e1[2] = 0.0, -p[2] / length, p[1] / length
        e2[0] = p[1] * e1[2] - p[2] * e1[1]
        e2[1] = p[2] * e1[0] - p[0] * e1[2]
        e2[2] = p[0] * e1[1] - p[1] * e1[0]
        best = -1e9
        best_angle = 0.0
        for t in range(steps):
            phi = t * period / steps
            c, s = math.cos(phi), math.sin(phi)
            total_s = 0.0
            total_n = 0.0
            for k in range(n_ops):
                u = op_axes[k, 0] * c - op_axes[k, 1] * s
                v = op_axes[k, 0] * s + op_axes[k, 1] * c
                w = op_axes[k, 2]
                at = face_index(
                    u * e1[0] + v * e2[0] + w * p[0],
                    u * e1[1] + v * e2[1] + w * p[1],
                    u * e1[2] + v * e2[2] + w * p[2],
                    side,
                )
                total_s += table_s[at, op_turns[k]]
                total_n += table_n[at, op_turns[k]]
            if total_n > 0:
                value = total_s * abs(total_s) / (2 * total_n)
                if value > best:
                    best = value
                    best_angle = phi
        score[i] = best
        angle[i] = best_angle


@njit(cache=True, nogil=True)
def measure(
    frame: Array, op_axes: Array, op_turns: Array, angles: Array, weights: Array, rays: Array,
    values: Array, image: Array, bounds: Array, still: float, least: float, step: int,
    correlation: Array, part: Array,
) -> float:  # fmt: skip
    """Correlation and part of the rays for each operation of a group in a frame; the score."""
    m = np.empty((3, 3))
    sums = np.empty(3)
    n = len(rays) // step
    total_s = 0.0
    total_n = 0.0
    for k in range(len(op_turns)):
        a = op_axes[k]
        x = frame[0, 0] * a[0] + frame[0, 1] * a[1] + frame[0, 2] * a[2]
        y = frame[1, 0] * a[0] + frame[1, 1] * a[1] + frame[1, 2] * a[2]
        z = frame[2, 0] * a[0] + frame[2, 1] * a[1] + frame[2, 2] * a[2]
        set_turn(x, y, z, angles[op_turns[k]], m)
        correlation[k] = 0.0
        part[k] = 0.0
        number = overlap_linear(rays, values, image, bounds, m, still, step, sums)
        if number >= least * n:
            correlation[k] = sums[0] / math.sqrt(sums[1] * sums[2] + 1e-12)
            part[k] = number / n
            total_s += weights[op_turns[k]] * part[k] * correlation[k]
            total_n += weights[op_turns[k]] * part[k]
    if total_n <= 0:
        return -1e9
    return total_s * abs(total_s) / (2 * total_n)


@njit(cache=True, nogil=True)
def refine(
    frame: Array, op_axes: Array, op_turns: Array, angles: Array, weights: Array, rays: Array,
    values: Array, image: Array, bounds: Array, still: float, least: float, step: int,
    first: float, last: float, correlation: Array, part: Array,
) -> float:  # fmt: skip
    """Turn a frame, in place, by shrinking steps in radians to where its score is highest."""
    best = measure(
        frame,
        op_axes,
        op_turns,
        angles,
        weights,
        rays,
        values,
        image,
        bounds,
        still,
        least,
        step,
        correlation,
        part,
    )
    trial = np.empty((3, 3))
    m = np.empty((3, 3))
    unit = np.empty(3)
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
                            frame[r, 0] * m[0, c] + frame[r, 1] * m[1, c] + frame[r, 2] * m[2, c]
                        )
                value = measure(
                    trial,
                    op_axes,
                    op_turns,
                    angles,
                    weights,
                    rays,
                    values,
                    image,
                    bounds,
                    still,
                    least,
                    step,
                    correlation,
                    part,
                )
                if value > best + 1e-7:
                    best = value
                    frame[:, :] = trial
                    moved = True
                    break
        if not moved:
            size /= 2
    measure(
        frame,
        op_axes,
        op_turns,
        angles,
        weights,
        rays,
        values,
        image,
        bounds,
        still,
        least,
        step,
        correlation,
        part,
    )
    return best
