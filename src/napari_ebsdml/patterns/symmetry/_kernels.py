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


@njit(cache=True, nogil=True)
def turn_by(start: Array, axis: int, angle: float, out: Array) -> None:
    """A rotation after a turn about its own x, y or z (`axis` 0, 1 or 2)."""
    c, s = math.cos(angle), math.sin(angle)
    one, two = (axis + 1) % 3, (axis + 2) % 3
    for row in range(3):
        a, b = start[row, one], start[row, two]
        out[row, axis] = start[row, axis]
        out[row, one] = a * c + b * s
        out[row, two] = b * c - a * s


# Without error_model="numpy" each division asks for zero, and nothing of the loop is vectorised.
@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def carry(
    x_rays: Array, y_rays: Array, z_rays: Array, shape: tuple[int, int], bounds: Array, m: Array,
    still: float, margin: float, out_row: Array, out_column: Array,
) -> None:  # fmt: skip
    """Pixel coordinates (from the first pixel's outer corner) to which a rotation carries rays.

    The row is -1 where a ray leaves the screen less `margin` pixels, or moves by less than an
    angle of cosine `still`.
    """
    kx = np.float32(shape[1] / (bounds[1] - bounds[0]))
    ky = np.float32(shape[0] / (bounds[3] - bounds[2]))
    cx, cy = np.float32(-bounds[0]) * kx, np.float32(bounds[3]) * ky
    a, b, c = np.float32(m[0, 0]), np.float32(m[0, 1]), np.float32(m[0, 2])
    d, e, f = np.float32(m[1, 0]), np.float32(m[1, 1]), np.float32(m[1, 2])
    g, h, k = np.float32(m[2, 0]), np.float32(m[2, 1]), np.float32(m[2, 2])
    limit = np.float32(still)
    first = np.float32(margin)
    last_column, last_row = np.float32(shape[1]) - first, np.float32(shape[0]) - first
    for i in range(len(x_rays)):
        u, v, w = x_rays[i], y_rays[i], z_rays[i]
        x = a * u + b * v + c * w
        y = d * u + e * v + f * w
        z = g * u + h * v + k * w
        over = np.float32(1) / z
        column = x * over * kx + cx
        row = cy - y * over * ky
        inside = (
            (column > first) & (row > first) & (column < last_column) & (row < last_row)
            & (abs(x * u + y * v + z * w) <= limit)
        )  # fmt: skip
        out_column[i] = column if inside else np.float32(0)
        out_row[i] = row if inside else np.float32(-1)


@njit(cache=True, nogil=True)
def scan_axes(
    axes: Array, angles: Array, rays: Array, values: Array, image: Array, bounds: Array,
    still: float, least: float, correlation: Array, part: Array,
) -> None:  # fmt: skip
    """Correlation (axes, angles) and the part of the rays that tells it, 0 below `least`."""
    m = np.empty((3, 3))
    n = len(rays)
    x, y, z = rays[:, 0].copy(), rays[:, 1].copy(), rays[:, 2].copy()
    rows, columns = np.empty(n, np.float32), np.empty(n, np.float32)
    for i in range(len(axes)):
        for k in range(len(angles)):
            correlation[i, k] = 0.0
            part[i, k] = 0.0
            set_turn(axes[i, 0], axes[i, 1], axes[i, 2], angles[k], m)
            carry(x, y, z, image.shape, bounds, m, still, 0.0, rows, columns)
            number, value = _nearest(rows, columns, values, image)
            if number >= least * n:
                correlation[i, k] = value
                part[i, k] = number / n


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _nearest(rows: Array, columns: Array, values: Array, image: Array) -> tuple[int, float]:
    """Number of rays on the screen, and their correlation with the pixels that they hit."""
    ab = np.float32(0)
    aa = np.float32(0)
    bb = np.float32(0)
    number = 0
    for i in range(len(rows)):
        if rows[i] < 0:
            continue
        other = image[int(rows[i]), int(columns[i])]
        if other > _LIMIT:
            continue
        own = values[i]
        ab += own * other
        aa += own * own
        bb += other * other
        number += 1
    return number, float(ab / math.sqrt(aa * bb + 1e-12))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _linear(rows: Array, columns: Array, values: Array, image: Array) -> tuple[int, float]:
    """As `_nearest`, with bilinear values."""
    half = np.float32(0.5)
    ab = np.float32(0)
    aa = np.float32(0)
    bb = np.float32(0)
    number = 0
    for i in range(len(rows)):
        if rows[i] < 0:
            continue
        row, column = rows[i] - half, columns[i] - half
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
    return number, float(ab / math.sqrt(aa * bb + 1e-12))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
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


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def search_frames(
    principals: Array, op_axes: Array, op_turns: Array, period: float, step: float,
    table_s: Array, table_n: Array, side: int, least: float, score: Array, angle: Array,
) -> None:  # fmt: skip
    """For each direction of the main axis the best turn about it: score and angle.

    `table_s` and `table_n` hold, for each direction of the half cube and each turn, weight times
    correlation, and weight. The score of a frame is S |S| / 2N over its operations: the logarithm
    of the likelihood of one common correlation S / N against none. A main axis that is tested and
    correlates by less than `least` is none.
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
        main_s = 0.0
        main_n = 0.0
        for k in range(n_ops):
            if op_axes[k, 2] > 0.999:
                s = table_s[here, op_turns[k]]
                n = table_n[here, op_turns[k]]
                refuted = refuted or s < least * n
                main_s += s
                main_n += n
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
            total_s = main_s
            total_n = main_n
            for k in range(n_ops):
                if op_axes[k, 2] > 0.999:
                    continue
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
    frame: Array, op_axes: Array, op_turns: Array, angles: Array, weights: Array,
    rays: tuple[Array, Array, Array], values: Array, image: Array, bounds: Array, still: float,
    least: float, room: tuple[Array, Array], correlation: Array, part: Array,
) -> float:  # fmt: skip
    """Correlation and part of the rays for each operation of a group in a frame; the score.

    `rays` are their x, y and z; `room` two float32 arrays as long.
    """
    m = np.empty((3, 3))
    n = len(values)
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
        carry(rays[0], rays[1], rays[2], image.shape, bounds, m, still, 0.51, room[0], room[1])
        number, value = _linear(room[0], room[1], values, image)
        if number >= least * n:
            correlation[k] = value
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
    """Turn a frame, in place, by shrinking steps in radians to where its score is highest.

    Every `step`-th ray takes part.
    """
    some = values[::step].copy()
    xyz = rays[::step, 0].copy(), rays[::step, 1].copy(), rays[::step, 2].copy()
    room = np.empty(len(some), np.float32), np.empty(len(some), np.float32)
    own, own_part = np.empty(len(op_turns)), np.empty(len(op_turns))
    trial = np.empty((3, 3))
    best = measure(
        frame, op_axes, op_turns, angles, weights, xyz, some, image, bounds, still, least,
        room, correlation, part,
    )  # fmt: skip
    size = first
    while size > last:
        moved = False
        for axis in range(3):
            for sign in (1.0, -1.0):
                turn_by(frame, axis, sign * size, trial)
                value = measure(
                    trial, op_axes, op_turns, angles, weights, xyz, some, image, bounds, still,
                    least, room, own, own_part,
                )  # fmt: skip
                if value > best + 1e-7:
                    best = value
                    frame[:, :] = trial
                    correlation[:] = own
                    part[:] = own_part
                    moved = True
                    break
        if not moved:
            size /= 2
    return best
