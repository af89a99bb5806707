"""Compiled: one pattern turned onto another, and the average of turned patterns."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

Array = Any

FEWEST = 0.35
"""Part of the screen that two patterns must share."""
_FAR = 4.0
"""Residuals of more standard deviations do not count: dust, cosmic rays, pixels hot for once."""


_POLE = math.sqrt(3.0) - 2.0


@njit(nogil=True, fastmath=True, inline="always")
def _weights(t, w):  # type: ignore[no-untyped-def]
    w[0] = (1 - t) ** 3 / 6
    w[1] = (3 * t - 6) * t * t / 6 + 2 / 3
    w[2] = ((-3 * t + 3) * t + 3) * t / 6 + 1 / 6
    w[3] = t**3 / 6


@njit(nogil=True, fastmath=True, inline="always")
def _slopes(t, w):  # type: ignore[no-untyped-def]
    w[0] = -0.5 * (1 - t) ** 2
    w[1] = (1.5 * t - 2) * t
    w[2] = (-1.5 * t + 1) * t + 0.5
    w[3] = 0.5 * t * t


@njit(cache=True, nogil=True, fastmath=True)
def _line(v):  # type: ignore[no-untyped-def]
    n = len(v)
    # Mirrored at the ends; what is farther than some pixels does not count.
    total, power = 0.0, 1.0
    for k in range(min(n, 16)):
        total += power * v[k]
        power *= _POLE
    v[0] = 6 * total
    for k in range(1, n):
        v[k] = 6 * v[k] + _POLE * v[k - 1]
    v[n - 1] = _POLE / (_POLE * _POLE - 1) * (v[n - 1] + _POLE * v[n - 2])
    for k in range(n - 2, -1, -1):
        v[k] = _POLE * (v[k + 1] - v[k])


@njit(cache=True, nogil=True, fastmath=True)
def spline(image):  # type: ignore[no-untyped-def]
    """Coefficients of the cubic B-spline through an image, in its place.

    Unser, doi:10.1109/79.799930. Shorter kernels read small shifts 3 % too large.
    """
    rows, columns = image.shape
    for r in range(rows):
        _line(image[r])
    for c in range(columns):
        _line(image[:, c])


@njit(cache=True, nogil=True, fastmath=True)
def turned(image, usable, bounds, own, turn, out, inside):  # type: ignore[no-untyped-def]
    """A pattern as it looks on the screen `bounds` after a rotation.

    Parameters
    ----------
    image : (rows, columns)
        Coefficients of `spline`.
    usable : (rows, columns) bool
        Pixels that may be read.
    bounds, own : (4,)
        Gnomonic bounds of the screen that is filled, and of the image's own.
    turn : (3, 3)
        Takes rays of the former to rays of the latter, in the detector's frame.
    out, inside : (rows, columns)
        Values, and 1 where there is one, else 0.
    """
    rows, columns = image.shape
    wx, wy = np.empty(4), np.empty(4)
    sx = (bounds[1] - bounds[0]) / columns
    sy = (bounds[3] - bounds[2]) / rows
    for r in range(rows):
        y = bounds[3] - sy * (r + 0.5)
        for c in range(columns):
            x = bounds[0] + sx * (c + 0.5)
            out[r, c] = 0.0
            inside[r, c] = 0.0
            z = turn[2, 0] * x + turn[2, 1] * y + turn[2, 2]
            if z < 0.1:
                continue
            u = (turn[0, 0] * x + turn[0, 1] * y + turn[0, 2]) / z
            v = (turn[1, 0] * x + turn[1, 1] * y + turn[1, 2]) / z
            px = (u - own[0]) / (own[1] - own[0]) * columns - 0.5
            py = (own[3] - v) / (own[3] - own[2]) * rows - 0.5
            if not (1.0 <= px < columns - 2.0 and 1.0 <= py < rows - 2.0):
                continue
            j, i = int(px), int(py)
            if not (
                usable[i, j] and usable[i, j + 1] and usable[i + 1, j] and usable[i + 1, j + 1]
            ):
                continue
            _weights(px - j, wx)
            _weights(py - i, wy)
            value = 0.0
            for a in range(4):
                line = 0.0
                for b in range(4):
                    line += wx[b] * image[i - 1 + a, j - 1 + b]
                value += wy[a] * line
            out[r, c] = value
            inside[r, c] = 1.0


@njit(cache=True, nogil=True, fastmath=True)
def gather(images, usable, owners, zone_bounds, bounds, turns, total, count):  # type: ignore[no-untyped-def]
    """Add turned patterns to the sums of their zones.

    Parameters
    ----------
    images : (n, rows, columns) float32
    owners : (n,) int
        Zone of each, -1 for none.
    zone_bounds : (zones, 4)
    bounds : (n, 4)
    turns : (n, 3, 3)
        See `turned`.
    total, count : (zones, rows, columns)
    """
    n, rows, columns = images.shape
    value = np.empty((rows, columns))
    inside = np.empty((rows, columns))
    smooth = np.empty((rows, columns))
    for k in range(n):
        zone = owners[k]
        if zone < 0:
            continue
        smooth[:] = images[k]
        spline(smooth)
        turned(smooth, usable, zone_bounds[zone], bounds[k], turns[k], value, inside)
        for r in range(rows):
            for c in range(columns):
                total[zone, r, c] += value[r, c]
                count[zone, r, c] += inside[r, c]


@njit(nogil=True, fastmath=True)
def _solved(normal, right):  # type: ignore[no-untyped-def]
    """Solution of a small system in place of `right`; False where it has none."""
    n = len(right)
    for k in range(n):
        if not normal[k, k] > 1e-12:
            return False
        for i in range(k + 1, n):
            f = normal[i, k] / normal[k, k]
            for j in range(k, n):
                normal[i, j] -= f * normal[k, j]
            right[i] -= f * right[k]
    for k in range(n - 1, -1, -1):
        for j in range(k + 1, n):
            right[k] -= normal[k, j] * right[j]
        right[k] /= normal[k, k]
    return True


@njit(nogil=True, fastmath=True)
def _turn_back(turn, delta):  # type: ignore[no-untyped-def]
    """Multiply `turn` by exp(-delta) from the right, by Rodrigues' formula."""
    angle = math.sqrt(delta[0] ** 2 + delta[1] ** 2 + delta[2] ** 2)
    if angle < 1e-15:
        return
    s, c = math.sin(angle) / angle, (1 - math.cos(angle)) / angle**2
    a, b, d = -delta[0], -delta[1], -delta[2]
    k = np.array([[0.0, -d, b], [d, 0.0, -a], [-b, a, 0.0]])
    turn[:] = turn @ (np.eye(3) + s * k + c * (k @ k))


@njit(cache=True, nogil=True, fastmath=True)
def align(  # type: ignore[no-untyped-def]
    images,
    chosen,
    usable,
    owners,
    zone_bounds,
    bounds,
    total,
    count,
    before,
    most,
    tolerance,
    turns,
    fit,
    error,
):
    """Turn the averages of zones onto patterns, by least squares over the patterns' own pixels.

    Parameters
    ----------
    images, usable, owners, zone_bounds, bounds, total, count
        As for `gather`.
    chosen : (rows, columns) bool
        Pixels that count.
    before : (n, 3, 3)
        Turn that each pattern entered its average with; its part is taken out again. 0: none.
    most
        Iterations.
    tolerance
        Radians; steps below end the iteration.
    turns : (n, 3, 3)
        First guess; becomes the answer.
    fit : (n,)
        Correlation with the average; NaN where there is no answer.
    error : (n, 3, 3)
        Covariance of the rotation, squared radians, for a residual that is white.

    Notes
    -----
    Gauss-Newton (Lucas and Kanade; see Baker and Matthews, doi:10.1023/B:VISI.0000011205.11775.fd)
    with gain and offset of the pattern free. The measured pattern is never interpolated: its pixels
    have independent noise, so that this is the best estimate under white noise, and any part of
    them gives an estimate of its own. All pixels share one rotation of the rays: large turns need
    no remapping.
    """
    n, rows, columns = images.shape
    value = np.empty((rows, columns))
    inside = np.empty((rows, columns))
    average = np.empty((rows, columns))
    known = np.empty((rows, columns), dtype=np.bool_)
    normal = np.empty((5, 5))
    kept = np.empty((5, 5))
    right = np.empty(5)
    g = np.empty(5)
    wx, wy, ux, uy = np.empty(4), np.empty(4), np.empty(4), np.empty(4)
    wanted = 0
    for r in range(rows):
        for c in range(columns):
            wanted += chosen[r, c]
    for k in range(n):
        zone = owners[k]
        fit[k] = np.nan
        if zone < 0:
            continue
        b, o, turn = zone_bounds[zone], bounds[k], turns[k]
        sx, sy = (b[1] - b[0]) / columns, (b[3] - b[2]) / rows
        tx, ty = (o[1] - o[0]) / columns, (o[3] - o[2]) / rows
        average[:] = images[k]
        spline(average)
        turned(average, usable, b, o, before[k], value, inside)
        highest = 0.0
        for r in range(rows):
            for c in range(columns):
                highest = max(highest, count[zone, r, c] - inside[r, c])
        for r in range(rows):
            for c in range(columns):
                left = count[zone, r, c] - inside[r, c]
                known[r, c] = left > 0.5 and left >= 0.5 * highest
                average[r, c] = (total[zone, r, c] - value[r, c]) / max(left, 1.0)
        spline(average)
        gain, offset, spread = 0.0, 0.0, 1e30
        for step in range(most):
            normal[:] = 0.0
            right[:] = 0.0
            number, seen, spp = 0, 0, 0.0
            for r in range(rows):
                y = o[3] - ty * (r + 0.5)
                for c in range(columns):
                    if not chosen[r, c]:
                        continue
                    x = o[0] + tx * (c + 0.5)
                    w = turn[0, 2] * x + turn[1, 2] * y + turn[2, 2]
                    if w < 0.1:
                        continue
                    u = (turn[0, 0] * x + turn[1, 0] * y + turn[2, 0]) / w
                    v = (turn[0, 1] * x + turn[1, 1] * y + turn[2, 1]) / w
                    px = (u - b[0]) / sx - 0.5
                    py = (b[3] - v) / sy - 0.5
                    if not (1.0 <= px < columns - 2.0 and 1.0 <= py < rows - 2.0):
                        continue
                    j, i = int(px), int(py)
                    if not (known[i, j] and known[i, j + 1] and known[i + 1, j]
                            and known[i + 1, j + 1]):  # fmt: skip
                        continue
                    seen += 1
                    _weights(px - j, wx)
                    _weights(py - i, wy)
                    _slopes(px - j, ux)
                    _slopes(py - i, uy)
                    t, dx, dy = 0.0, 0.0, 0.0
                    for e in range(4):
                        line, rise = 0.0, 0.0
                        for f in range(4):
                            pixel = average[i - 1 + e, j - 1 + f]
                            line += wx[f] * pixel
                            rise += ux[f] * pixel
                        t += wy[e] * line
                        dx += wy[e] * rise
                        dy += uy[e] * line
                    p = images[k, r, c]
                    if step > 0 and abs(p - gain * t - offset) > _FAR * spread:
                        continue
                    # Slopes in gnomonic coordinates, y upwards, times what a small turn moves:
                    # delta x (u, v, 1), less its part along the ray.
                    dx /= sx
                    dy /= -sy
                    radial = dx * u + dy * v
                    g[0] = -dy - radial * v
                    g[1] = dx + radial * u
                    g[2] = dy * u - dx * v
                    g[3] = t
                    g[4] = 1.0
                    for e in range(5):
                        right[e] += g[e] * p
                        for f in range(e, 5):
                            normal[e, f] += g[e] * g[f]
                    number += 1
                    spp += p * p
            if number < 12 or seen < FEWEST * wanted or number < 0.7 * seen:
                fit[k] = np.nan
                break
            for e in range(5):
                for f in range(e):
                    normal[e, f] = normal[f, e]
            kept[:] = normal
            st, stt, sp, stp = normal[3, 4], normal[3, 3], right[4], right[3]
            if not _solved(normal, right) or not right[3] > 0:
                fit[k] = np.nan
                break
            gain, offset = right[3], right[4]
            both = (stt - st * st / number) * (spp - sp * sp / number)
            fit[k] = (stp - st * sp / number) / math.sqrt(max(both, 1e-30))
            # The residual here with the new gain; what the step still mends is small at the end.
            spread = math.sqrt(
                max(spp + gain * gain * stt + number * offset * offset
                    - 2 * gain * stp - 2 * offset * sp + 2 * gain * offset * st, 1e-30) / number
            )  # fmt: skip
            delta = right[:3] / gain
            length = math.sqrt(delta[0] ** 2 + delta[1] ** 2 + delta[2] ** 2)
            if length > 0.1:
                delta *= 0.1 / length
            _turn_back(turn, delta)
            if length < tolerance or step == most - 1:
                if length > 1e-3:
                    fit[k] = np.nan
                    break
                # Gain and offset are free: their part is taken out of the matrix.
                inverse = np.linalg.inv(kept)
                for e in range(3):
                    for f in range(3):
                        error[k, e, f] = inverse[e, f] * (spread / gain) ** 2
                break
