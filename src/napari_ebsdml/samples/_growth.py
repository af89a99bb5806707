"""Grains that grow from nuclei until they meet: anisotropic Johnson-Mehl tessellation."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import over_rows

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

_TILE = 16


class Nuclei(NamedTuple):
    """Points from which grains grow, as ellipsoids of constant shape.

    A grain reaches the point r at the time ``delay + |A (r - position)|``, with
    ``metric = A^T A`` in 1/um^2 (inverse squares of the growth rates).
    """

    position: Floats
    """(n, 3) in um; the map is the plane z = 0."""
    metric: Floats
    """(n, 3, 3) symmetric, positive definite."""
    delay: Floats
    """(n,) time of nucleation."""
    domain: Ints
    """(n,) the domain that a grain cannot leave; -1 never wins."""


def grow(x: Floats, y: Floats, domain: Ints, nuclei: Nuclei) -> tuple[Ints, NDArray[np.float32]]:
    """Find the grain that reaches each pixel first.

    Parameters
    ----------
    x, y : (rows, columns)
        Position of each pixel in um. A position need not be the pixel's own: a smooth
        distortion of both bends the boundaries.
    domain : (rows, columns) int32
        A pixel takes only nuclei of its own domain; negative: none.
    nuclei
        See `Nuclei`.

    Returns
    -------
    owner : (rows, columns) int32
        Index of the nucleus, -1 where no nucleus may grow.
    time : (rows, columns) float32
        Time of arrival, infinite where there is no owner.
    """
    if len(nuclei.domain) == 0:
        return np.full(x.shape, -1, dtype=np.int32), np.full(x.shape, np.inf, dtype=np.float32)
    order, starts, packed = _by_domain(nuclei, int(domain.max(initial=-1)))
    # Arrival times at two points of the map differ by at most this slowness times their distance.
    slowness = np.sqrt(np.linalg.eigvalsh(nuclei.metric[order, :2, :2])[:, -1])
    given = (
        np.ascontiguousarray(x, dtype=np.float64),
        np.ascontiguousarray(y, dtype=np.float64),
        np.ascontiguousarray(domain, dtype=np.int32),
        nuclei.position[order],
        packed,
        nuclei.delay[order],
        slowness,
        starts,
    )
    owner = np.full(x.shape, -1, dtype=np.int32)
    time = np.full(x.shape, np.inf, dtype=np.float32)
    # Bands of tile rows: each of a tile's pixels is written by one thread only.
    tile_columns = -(-x.shape[1] // _TILE)
    over_rows(
        lambda first, end: _grow(*given, first * tile_columns, end * tile_columns, owner, time),
        (-(-x.shape[0] // _TILE), x.shape[1] * _TILE),
    )
    return np.where(owner >= 0, order.astype(np.int32)[owner], np.int32(-1)), time


def first_to_reach(points: Floats, domain: Ints, nuclei: Nuclei) -> Ints:
    """Index of the nucleus that reaches each of the points (n, 3) first; -1 for none."""
    order, starts, packed = _by_domain(nuclei, int(domain.max(initial=-1)))
    owner = _first(points, domain, nuclei.position[order], packed, nuclei.delay[order], starts)
    return np.where(owner >= 0, order.astype(np.int32)[owner], np.int32(-1))


def _by_domain(nuclei: Nuclei, last: int) -> tuple[NDArray[np.intp], NDArray[np.int64], Floats]:
    """Order by domain, where each domain starts in it, and the six numbers of each metric."""
    order = np.argsort(nuclei.domain, kind="stable")
    count = max(last, int(nuclei.domain.max())) + 1
    starts = np.searchsorted(nuclei.domain[order], np.arange(count + 1)).astype(np.int64)
    places = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
    return order, starts, np.stack([nuclei.metric[order, i, j] for i, j in places], axis=1)


@nb.njit(cache=True, nogil=True, inline="always")
def _arrival(dx: float, dy: float, dz: float, m: Floats, delay: float) -> float:
    square = dx * dx * m[0] + dy * dy * m[1] + dz * dz * m[2]
    square += 2.0 * (dx * dy * m[3] + dx * dz * m[4] + dy * dz * m[5])
    return delay + np.sqrt(max(square, 0.0))


@nb.njit(cache=True, nogil=True)
def _grow(
    x: Floats,
    y: Floats,
    domain: Ints,
    position: Floats,
    metric: Floats,
    delay: Floats,
    slowness: Floats,
    starts: NDArray[np.int64],
    first_tile: int,
    end_tile: int,
    owner: Ints,
    time: NDArray[np.float32],
) -> None:
    rows, columns = x.shape
    tile_columns = (columns + _TILE - 1) // _TILE
    for tile in range(first_tile, end_tile):
        r0, c0 = (tile // tile_columns) * _TILE, (tile % tile_columns) * _TILE
        r1, c1 = min(r0 + _TILE, rows), min(c0 + _TILE, columns)
        # Circle round the tile's (distorted) points.
        x0, x1, y0, y1 = np.inf, -np.inf, np.inf, -np.inf
        for r in range(r0, r1):
            for c in range(c0, c1):
                x0, x1 = min(x0, x[r, c]), max(x1, x[r, c])
                y0, y1 = min(y0, y[r, c]), max(y1, y[r, c])
        xc, yc = (x0 + x1) / 2, (y0 + y1) / 2
        radius = np.hypot(x1 - x0, y1 - y0) / 2
        done = np.zeros((r1 - r0, c1 - c0), dtype=np.bool_)
        for first in range((r1 - r0) * (c1 - c0)):
            fr, fc = first // (c1 - c0), first % (c1 - c0)
            d = domain[r0 + fr, c0 + fc]
            if done[fr, fc] or d < 0:
                continue
            begin, end = starts[d], starts[d + 1]
            # Only nuclei that can win somewhere in the circle are compared pixel by pixel.
            at_centre = np.empty(end - begin)
            latest = np.inf
            for k in range(begin, end):
                p = position[k]
                t = _arrival(xc - p[0], yc - p[1], -p[2], metric[k], delay[k])
                at_centre[k - begin] = t
                latest = min(latest, t + slowness[k] * radius)
            near = np.empty(end - begin, dtype=np.int64)
            n = 0
            for k in range(begin, end):
                if at_centre[k - begin] - slowness[k] * radius <= latest:
                    near[n] = k
                    n += 1
            for r in range(r0, r1):
                for c in range(c0, c1):
                    if domain[r, c] != d:
                        continue
                    done[r - r0, c - c0] = True
                    best, at = np.inf, -1
                    for i in range(n):
                        k = near[i]
                        p = position[k]
                        t = _arrival(x[r, c] - p[0], y[r, c] - p[1], -p[2], metric[k], delay[k])
                        if t < best:
                            best, at = t, k
                    owner[r, c] = at
                    time[r, c] = best


@nb.njit(cache=True, nogil=True)
def _first(
    points: Floats,
    domain: Ints,
    position: Floats,
    metric: Floats,
    delay: Floats,
    starts: NDArray[np.int64],
) -> Ints:
    owner = np.full(len(points), -1, dtype=np.int32)
    for i in range(len(points)):
        d = domain[i]
        best, at = np.inf, -1
        if d >= 0:
            for k in range(starts[d], starts[d + 1]):
                v = points[i] - position[k]
                t = _arrival(v[0], v[1], v[2], metric[k], delay[k])
                if t < best:
                    best, at = t, k
        owner[i] = at
    return owner


def ellipsoids(normal: Floats, thickness: Floats, width: Floats) -> Floats:
    """Metrics (n, 3, 3) of discs: growth rate `thickness` along `normal`, `width` across it.

    Parameters
    ----------
    normal : (n, 3)
        Unit vectors.
    thickness, width : (n,)
        Growth rates in um per unit time.
    """
    across = 1 / width**2
    along = 1 / thickness**2 - across
    outer = normal[:, :, None] * normal[:, None, :]
    return across[:, None, None] * np.eye(3) + along[:, None, None] * outer
