"""Compiled kernels: background removal, folding, projection. All release the interpreter lock."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


@njit(cache=True, nogil=True, fastmath=True)
def _running_mean(source: Array, target: Array, radius: int) -> None:
    # Running sums along the first axis, all columns side by side.
    rows, columns = source.shape
    total = np.zeros(columns, np.float32)
    for r in range(min(radius, rows)):
        for c in range(columns):
            total[c] += source[r, c]
    for r in range(rows):
        if r + radius < rows:
            for c in range(columns):
                total[c] += source[r + radius, c]
        if r - radius - 1 >= 0:
            for c in range(columns):
                total[c] -= source[r - radius - 1, c]
        for c in range(columns):
            target[r, c] = total[c]


@njit(cache=True, nogil=True, fastmath=True)
def blur(image: Array, radius: int, spare: Array, turned: Array) -> None:
    """Two running sums along each axis, in place: a smooth bump without normalisation."""
    rows, columns = image.shape
    _running_mean(image, spare, radius)
    _running_mean(spare, image, radius)
    for r in range(rows):
        for c in range(columns):
            turned[c, r] = image[r, c]
    other = turned.copy()
    _running_mean(turned, other, radius)
    _running_mean(other, turned, radius)
    for r in range(rows):
        for c in range(columns):
            image[r, c] = turned[c, r]


@njit(cache=True, nogil=True, fastmath=True)
def flatten(patterns: Array, valid: Array, norm: Array, radius: int, out: Array) -> None:
    """Subtract each pattern's slowly varying background and divide by its local contrast.

    `norm` is the blurred mask of valid pixels. Pixels that are not valid become 0.
    """
    n, rows, columns = patterns.shape
    image = np.empty((rows, columns), np.float32)
    back = np.empty((rows, columns), np.float32)
    spare = np.empty((rows, columns), np.float32)
    turned = np.empty((columns, rows), np.float32)
    for k in range(n):
        # The mean goes first: running sums of large offsets lose digits.
        mean = 0.0
        count = 0
        for r in range(rows):
            for c in range(columns):
                if valid[r, c]:
                    mean += patterns[k, r, c]
                    count += 1
        mean /= max(count, 1)
        for r in range(rows):
            for c in range(columns):
                image[r, c] = patterns[k, r, c] - mean if valid[r, c] else 0.0
                back[r, c] = image[r, c]
        blur(back, radius, spare, turned)
        whole = 0.0
        for r in range(rows):
            for c in range(columns):
                if valid[r, c]:
                    image[r, c] -= back[r, c] / norm[r, c]
                back[r, c] = image[r, c] * image[r, c]
                whole += back[r, c]
        blur(back, radius, spare, turned)
        floor = 0.05 * whole / max(count, 1) + 1e-12
        for r in range(rows):
            for c in range(columns):
                if valid[r, c]:
                    value = image[r, c] / math.sqrt(max(back[r, c] / norm[r, c], floor))
                    out[k, r, c] = min(max(value, -3.5), 3.5)
                else:
                    out[k, r, c] = 0.0


@njit(cache=True, nogil=True, fastmath=True)
def fold(
    patterns: Array, valid: Array, turns: Array, bounds: Array, steps: int,
    sums: Array, weights: Array,
) -> None:  # fmt: skip
    """Add every pixel to the triangle's nodes around its direction, by bilinear weights.

    `turns` (n, 3, 3) take the detector's frame into the crystal. `sums` and `weights` are
    (n, 2, nodes): the two parts are the even and the odd permutations of the axes, between
    which a crystal of another Laue group differs.
    """
    n, rows, columns = patterns.shape
    scale = steps * 4 / math.pi
    for k in range(n):
        b = k if len(bounds) > 1 else 0
        x0 = bounds[b, 0]
        dx = (bounds[b, 1] - x0) / columns
        y1 = bounds[b, 3]
        dy = (y1 - bounds[b, 2]) / rows
        for r in range(rows):
            gy = y1 - (r + 0.5) * dy
            for c in range(columns):
                if not valid[r, c]:
                    continue
                gx = x0 + (c + 0.5) * dx
                x = abs(turns[k, 0, 0] * gx + turns[k, 0, 1] * gy + turns[k, 0, 2])
                y = abs(turns[k, 1, 0] * gx + turns[k, 1, 1] * gy + turns[k, 1, 2])
                z = abs(turns[k, 2, 0] * gx + turns[k, 2, 1] * gy + turns[k, 2, 2])
                part = 0
                if x > y:
                    x, y = y, x
                    part = 1 - part
                if y > z:
                    y, z = z, y
                    part = 1 - part
                if x > y:
                    x, y = y, x
                    part = 1 - part
                v = math.atan(y / z) * scale
                u = math.atan(x / z) * scale
                i = min(int(v), steps - 1)
                j = min(int(u), i)
                fv = v - i
                fu = u - j
                value = patterns[k, r, c]
                low = i * (i + 1) // 2 + j
                high = low + i + 1
                w = (1 - fv) * (1 - fu)
                sums[k, part, low] += w * value
                weights[k, part, low] += w
                w = fv * (1 - fu)
                sums[k, part, high] += w * value
                weights[k, part, high] += w
                w = fv * fu
                sums[k, part, high + 1] += w * value
                weights[k, part, high + 1] += w
                # Above the diagonal lies the mirror image of the node below it.
                side = low + 1 if j < i else high
                w = (1 - fv) * fu
                sums[k, part, side] += w * value
                weights[k, part, side] += w


@njit(cache=True, nogil=True, fastmath=True)
def project(
    masters: Array, which: Array, turns: Array, bounds: Array, steps: int, out: Array
) -> None:
    """Intensity of detector pixels from folded masters: the reverse of `fold`."""
    n, rows, columns = out.shape
    scale = steps * 4 / math.pi
    for k in range(n):
        master = masters[which[k]]
        b = k if len(bounds) > 1 else 0
        x0 = bounds[b, 0]
        dx = (bounds[b, 1] - x0) / columns
        y1 = bounds[b, 3]
        dy = (y1 - bounds[b, 2]) / rows
        for r in range(rows):
            gy = y1 - (r + 0.5) * dy
            for c in range(columns):
                gx = x0 + (c + 0.5) * dx
                x = abs(turns[k, 0, 0] * gx + turns[k, 0, 1] * gy + turns[k, 0, 2])
                y = abs(turns[k, 1, 0] * gx + turns[k, 1, 1] * gy + turns[k, 1, 2])
                z = abs(turns[k, 2, 0] * gx + turns[k, 2, 1] * gy + turns[k, 2, 2])
                if x > y:
                    x, y = y, x
                if y > z:
                    y, z = z, y
                if x > y:
                    x, y = y, x
                v = math.atan(y / z) * scale
                u = math.atan(x / z) * scale
                i = min(int(v), steps - 1)
                j = min(int(u), i)
                fv = v - i
                fu = u - j
                low = i * (i + 1) // 2 + j
                high = low + i + 1
                side = low + 1 if j < i else high
                out[k, r, c] = (1 - fv) * ((1 - fu) * master[low] + fu * master[side]) + fv * (
                    (1 - fu) * master[high] + fu * master[high + 1]
                )
