"""What is added up over a window of a map, pixel by pixel; `statistics` makes numbers of it.

Rotations are in b / s, so that nothing depends on material or step.
"""

from __future__ import annotations

import numpy as np
from numba import njit

LAGS = np.array([1, 2, 3, 4, 6, 8, 12, 16])
"""Distances in pixels of first differences."""
SECOND = np.array([1, 2, 4, 8])
"""Distances in pixels of second differences."""
REACH = 16
"""Rows above and below a pixel that its sums need."""
CLASSES = 36
"""Classes of length of differences, half an octave each."""
SHORTEST = -9.0
"""log2 of where the first class begins, in b / s."""
FIRST_SPREAD = np.array([0, 1, -1, 2, -1, 3, -1, -1])
"""Which distribution of lengths the first differences over each of `LAGS` go to; -1: none."""
SECOND_SPREAD = np.array([4, 5, 6, -1])
"""The same for second differences."""
SPREADS = 7
APART = np.array([1, 2, 5])
"""Distances in pixels of nearest-neighbour differences whose lengths are compared."""

FIRST = 0
"""Where each block of the sums begins: count, along, across, normal, length for each of `LAGS`."""
BENDS = FIRST + 5 * len(LAGS)
"""Count, square, length for each of `SECOND`."""
CORNER = BENDS + 3 * len(SECOND)
"""Count, two products, length of the gradient."""
PLANE = CORNER + 4
"""Count, moments of place, rotation times place, square."""
SHARES = PLANE + 16
"""Products xx, yy, zz, yz, xz, xy of the components, over one and four pixels; both directions."""
NEAR = SHARES + 24
"""Count, product, lengths, squares for each of `APART`."""
SAME = NEAR + 4 * len(APART)
"""Neighbours with one orientation."""
LENGTHS = SAME + 1
"""Numbers of differences by length."""
SUMS = LENGTHS + SPREADS * CLASSES


@njit(cache=True, nogil=True)
def _class(square):  # type: ignore[no-untyped-def]
    place = int(np.floor(np.log2(square) - 2 * SHORTEST))
    return min(max(place, 0), CLASSES - 1)


@njit(cache=True, nogil=True)
def window_sums(rotation, segments, place, first, end, sums, above=0):  # type: ignore[no-untyped-def]
    """Add up what `statistics.features` needs, for every segment of some rows of a map.

    rotation : (rows, columns, 3); segments : (rows, columns) int, -1 for none; place : (segments,)
    row of each in sums; sums : (n, SUMS), added to; above : rows of the map before these arrays
    begin. Differences are taken within a segment only,
    and where two orientations are identical (clean-up: one measurement, not two) they do not count.
    """
    rows, columns = segments.shape
    d = np.empty(3)
    e = np.empty(3)
    for r in range(first, end):
        for c in range(columns):
            s = segments[r, c]
            if s < 0:
                continue
            out = sums[place[s]]
            for vertical in range(2):
                near = 0.0
                for n in range(LAGS.shape[0]):
                    lag = LAGS[n]
                    j, i = (r + lag, c) if vertical else (r, c + lag)
                    if j >= rows or i >= columns or segments[j, i] != s:
                        continue
                    for k in range(3):
                        d[k] = rotation[j, i, k] - rotation[r, c, k]
                    along, across, normal = d[0] * d[0], d[1] * d[1], d[2] * d[2]
                    if vertical:
                        along, across = across, along
                    square = along + across + normal
                    if square == 0.0:
                        if lag == 1:
                            out[SAME] += 1
                        continue
                    at = FIRST + 5 * n
                    length = np.sqrt(square)
                    out[at] += 1
                    out[at + 1] += along
                    out[at + 2] += across
                    out[at + 3] += normal
                    out[at + 4] += length
                    if FIRST_SPREAD[n] >= 0:
                        out[LENGTHS + CLASSES * FIRST_SPREAD[n] + _class(square)] += 1
                    if lag == 1 or lag == 4:
                        at = SHARES + (12 if lag == 4 else 0) + 6 * vertical
                        out[at] += d[0] * d[0]
                        out[at + 1] += d[1] * d[1]
                        out[at + 2] += d[2] * d[2]
                        out[at + 3] += d[1] * d[2]
                        out[at + 4] += d[0] * d[2]
                        out[at + 5] += d[0] * d[1]
                    if lag == 1:
                        near = length
                if near > 0.0:
                    for n in range(APART.shape[0]):
                        lag = APART[n]
                        j, i = (r + lag, c) if vertical else (r, c + lag)
                        q, p = (j + 1, i) if vertical else (j, i + 1)
                        if q >= rows or p >= columns:
                            break
                        if segments[j, i] != s or segments[q, p] != s:
                            continue
                        square = 0.0
                        for k in range(3):
                            square += (rotation[q, p, k] - rotation[j, i, k]) ** 2
                        if square == 0.0:
                            continue
                        length = np.sqrt(square)
                        at = NEAR + 4 * n
                        out[at] += 1
                        out[at + 1] += near * length
                        out[at + 2] += (near + length) / 2
                        out[at + 3] += (near * near + square) / 2
                for n in range(SECOND.shape[0]):
                    lag = SECOND[n]
                    dr, dc = (lag, 0) if vertical else (0, lag)
                    if r < dr or c < dc or r + dr >= rows or c + dc >= columns:
                        continue
                    if segments[r + dr, c + dc] != s or segments[r - dr, c - dc] != s:
                        continue
                    square = 0.0
                    left = right = 0.0
                    for k in range(3):
                        a = rotation[r + dr, c + dc, k] - rotation[r, c, k]
                        b = rotation[r - dr, c - dc, k] - rotation[r, c, k]
                        square += (a + b) ** 2
                        left += abs(b)
                        right += abs(a)
                    if left == 0.0 or right == 0.0:
                        continue
                    at = BENDS + 3 * n
                    out[at] += 1
                    out[at + 1] += square
                    out[at + 2] += np.sqrt(square)
                    if SECOND_SPREAD[n] >= 0 and square > 0.0:
                        out[LENGTHS + CLASSES * SECOND_SPREAD[n] + _class(square)] += 1
            inner = r + 1 < rows and c + 1 < columns
            if inner and segments[r + 1, c] == s and segments[r, c + 1] == s:
                square = 0.0
                for k in range(3):
                    d[k] = rotation[r, c + 1, k] - rotation[r, c, k]
                    e[k] = rotation[r + 1, c, k] - rotation[r, c, k]
                    square += d[k] * d[k] + e[k] * e[k]
                out[CORNER] += 1
                out[CORNER + 1] += d[0] * e[1]
                out[CORNER + 2] += d[1] * e[0]
                out[CORNER + 3] += np.sqrt(square)
            row = r + above
            out[PLANE] += 1
            out[PLANE + 1] += c
            out[PLANE + 2] += row
            out[PLANE + 3] += c * c
            out[PLANE + 4] += c * row
            out[PLANE + 5] += row * row
            for k in range(3):
                v = rotation[r, c, k]
                out[PLANE + 6 + k] += v
                out[PLANE + 9 + k] += c * v
                out[PLANE + 12 + k] += row * v
                out[PLANE + 15] += v * v
