"""Compiled kernels: background removal, folding, projection. All release the interpreter lock."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[Any]


def _atan_coefficients(terms: int = 11) -> tuple[float, ...]:
    # Interpolation at Chebyshev's nodes in s = t * t of atan(t) / t.
    nodes = (1 + np.cos((2 * np.arange(terms) + 1) * np.pi / (2 * terms))) / 2
    power = np.vander(nodes, increasing=True)
    return tuple(float(c) for c in np.linalg.solve(power, np.arctan(np.sqrt(nodes)) / nodes**0.5))


_ATAN = _atan_coefficients()


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
def noise_power(patterns: Array, valid: Array, out: Array) -> None:
    """Sum over each pattern's valid pixels of the noise's variance, (n,).

    From the differences of neighbouring pixels' second differences, to which smooth bands add
    little (Immerkaer, doi:10.1006/cviu.1996.0060).
    """
    n, rows, columns = patterns.shape
    inside = np.zeros((rows, columns), np.float32)
    pixels = 0
    for r in range(rows):
        for c in range(columns):
            if valid[r, c]:
                pixels += 1
    for r in range(1, rows - 1):
        for c in range(1, columns - 1):
            if valid[r - 1 : r + 2, c - 1 : c + 2].all():
                inside[r, c] = 1
    used = max(inside.sum(), 1.0)
    for k in range(n):
        total = np.float32(0.0)
        for r in range(1, rows - 1):
            for c in range(1, columns - 1):
                corners = (
                    patterns[k, r - 1, c - 1] + patterns[k, r - 1, c + 1]
                    + patterns[k, r + 1, c - 1] + patterns[k, r + 1, c + 1]
                )  # fmt: skip
                sides = (
                    patterns[k, r - 1, c] + patterns[k, r + 1, c]
                    + patterns[k, r, c - 1] + patterns[k, r, c + 1]
                )  # fmt: skip
                value = corners - np.float32(2) * sides + np.float32(4) * patterns[k, r, c]
                total += inside[r, c] * value * value
        # The filter's squared weights add up to 36.
        out[k] = total / 36 / used * pixels


@njit(nogil=True, fastmath=True, inline="always")
def _angle(t: float) -> float:
    # atan on 0..1 as a polynomial, wrong by less than 1e-9, which is far quicker.
    s = t * t
    value = _ATAN[10]
    value = value * s + _ATAN[9]
    value = value * s + _ATAN[8]
    value = value * s + _ATAN[7]
    value = value * s + _ATAN[6]
    value = value * s + _ATAN[5]
    value = value * s + _ATAN[4]
    value = value * s + _ATAN[3]
    value = value * s + _ATAN[2]
    value = value * s + _ATAN[1]
    value = value * s + _ATAN[0]
    return value * t


@njit(cache=True, nogil=True, fastmath=True)
def fold(
    patterns: Array, valid: Array, turns: Array, bounds: Array, steps: int, cells: int,
    sums: Array, weights: Array, parts: Array, counts: Array,
) -> None:  # fmt: skip
    """Add every pixel to the triangle's nodes around its direction, by bilinear weights.

    `turns` (n, 3, 3) take the detector's frame into the crystal. `sums` and `weights` are
    (n, nodes). `parts` and `counts` (n, 6, cells (cells + 1) / 2) hold the same pixels on coarse
    cells, apart for the six permutations of the axes, between which a crystal of another Laue
    group differs: part 2 c + 1 if a > b else 2 c for a direction whose smallest, middle and
    largest component lie along the axes a, b and c.
    """
    n, rows, columns = patterns.shape
    scale = steps * 4 / math.pi
    coarse = cells / steps
    for k in range(n):
        at = k if len(bounds) > 1 else 0
        x0 = bounds[at, 0]
        dx = (bounds[at, 1] - x0) / columns
        y1 = bounds[at, 3]
        dy = (y1 - bounds[at, 2]) / rows
        for r in range(rows):
            gy = y1 - (r + 0.5) * dy
            for col in range(columns):
                if not valid[r, col]:
                    continue
                gx = x0 + (col + 0.5) * dx
                x = abs(turns[k, 0, 0] * gx + turns[k, 0, 1] * gy + turns[k, 0, 2])
                y = abs(turns[k, 1, 0] * gx + turns[k, 1, 1] * gy + turns[k, 1, 2])
                z = abs(turns[k, 2, 0] * gx + turns[k, 2, 1] * gy + turns[k, 2, 2])
                a, b, c = 0, 1, 2
                if x > y:
                    x, y = y, x
                    a, b = b, a
                if y > z:
                    y, z = z, y
                    b, c = c, b
                if x > y:
                    x, y = y, x
                    a, b = b, a
                part = 2 * c + (1 if a > b else 0)
                v = _angle(y / z) * scale
                u = _angle(x / z) * scale
                i = min(int(v), steps - 1)
                j = min(int(u), i)
                fv = v - i
                fu = u - j
                value = patterns[k, r, col]
                low = i * (i + 1) // 2 + j
                high = low + i + 1
                w = (1 - fv) * (1 - fu)
                sums[k, low] += w * value
                weights[k, low] += w
                w = fv * (1 - fu)
                sums[k, high] += w * value
                weights[k, high] += w
                w = fv * fu
                sums[k, high + 1] += w * value
                weights[k, high + 1] += w
                # Above the diagonal lies the mirror image of the node below it.
                side = low + 1 if j < i else high
                w = (1 - fv) * fu
                sums[k, side] += w * value
                weights[k, side] += w
                i = min(int(v * coarse), cells - 1)
                cell = i * (i + 1) // 2 + min(int(u * coarse), i)
                parts[k, part, cell] += value
                counts[k, part, cell] += 1


@njit(cache=True, nogil=True, fastmath=True)
def compare_copies(
    parts: Array, counts: Array, into: Array, labels: Array,
    apart: Array, free: Array, shared: Array, seen: Array,
) -> None:  # fmt: skip
    """How far groups of the triangle's copies differ from their common mean.

    `into` (cells,) joins cells to wider ones; `labels` (groupings, 6) put the copies into groups.
    For each grouping (n, groupings): `apart`, the sum of squares of the groups' differences from
    the mean of all, and `free`, its degrees of freedom. `shared` and `seen` (n,): the sum of
    squares of that mean over the cells, and the number of cells seen.
    """
    n, six, cells = parts.shape
    wide = into.max() + 1
    total = np.zeros((six, wide))
    number = np.zeros((six, wide))
    of_group = np.zeros(six)
    weight = np.zeros(six)
    for k in range(n):
        total[:] = 0
        number[:] = 0
        every = 0.0
        pixels = 0.0
        for p in range(six):
            for c in range(cells):
                total[p, into[c]] += parts[k, p, c]
                number[p, into[c]] += counts[k, p, c]
                every += parts[k, p, c]
                pixels += counts[k, p, c]
        centre = every / max(pixels, 1.0)
        for c in range(wide):
            whole = number[:, c].sum()
            if whole <= 0:
                continue
            common = total[:, c].sum() / whole
            shared[k] += whole * (common - centre) ** 2
            seen[k] += 1
            for g in range(len(labels)):
                of_group[:] = 0
                weight[:] = 0
                for p in range(six):
                    of_group[labels[g, p]] += total[p, c]
                    weight[labels[g, p]] += number[p, c]
                groups = 0
                for label in range(six):
                    if weight[label] > 0:
                        difference = of_group[label] / weight[label] - common
                        apart[k, g] += weight[label] * difference * difference
                        groups += 1
                free[k, g] += groups - 1


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
