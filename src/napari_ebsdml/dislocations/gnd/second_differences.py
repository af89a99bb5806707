"""Second differences of orientations over one and several steps, inside grains.

``theta(x - h) - 2 theta(x) + theta(x + h)``: a uniform bend of the lattice drops out of it, noise
and structure finer than h stay. How its mean square grows with h tells the two apart
(`structure_function`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml.dislocations.gnd.curvature import rotation_vector
from napari_ebsdml.maps.symmetry import laue_operators, safe_cosine

SAME = 1e-6
"""Rotations below this many radians are rounding: the orientations are equal."""
LAGS = (1, 2, 3, 4, 6, 8)
"""Distances in steps along the directions of the grid."""
TILE = 8
"""Side in steps of the squares that count as independent of each other."""
MOST = 1 << 14
"""Larger maps are sampled: whole tiles, up to this many points."""
SQUARE = ((0, 1), (1, 0)), ((1, 1), (1, -1))
"""Nearest and second-nearest neighbours on a square grid: (rows, columns)."""


@dataclass(frozen=True, eq=False)
class SecondDifferences:
    """Second differences at the points of one phase.

    Attributes
    ----------
    points : (m,) int array
        Centres: flat indices into the points.
    tiles : (m,) int array
        Tile of a grain that each centre lies in, 0, 1, ...
    squares : (m, k) float32 array
        Squared length / 18 in rad^2, NaN where a neighbour is missing: of independent errors of
        standard deviation sigma about each of three axes the mean is sigma^2.
    copied : (m, k) bool array
        Where two of the three orientations are the same.
    lags : (k,) array
        Distance of the neighbours of each column, in steps.
    identical : float
        Part of all pairs of neighbours with the same orientation; NaN without pairs.
    is_copy : (n,) bool array
        Points that have the same orientation as a neighbour.
    """

    points: NDArray[np.intp]
    tiles: NDArray[np.intp]
    squares: NDArray[np.float32]
    copied: NDArray[np.bool_]
    lags: NDArray[np.float64]
    identical: float
    is_copy: NDArray[np.bool_]


def second_differences(
    quaternions: NDArray[Any],
    labels: NDArray[Any],
    index: NDArray[np.intp],
    neighbours: tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]] = SQUARE,
    point_group: Any = "m-3m",
    seed: int = 0,
) -> SecondDifferences:
    """Second differences at the points of a grid.

    Parameters
    ----------
    quaternions : (n, 4) array
        Crystal -> specimen.
    labels : (n,) int array
        Grain of each point, 0 for none.
    index : (rows, columns) int array
        Which point stands at each node of the grid, -1 for none.
    neighbours
        (rows, columns) from a node to its nearest neighbours, and to its second-nearest ones: the
        shortest distance but one, where errors that go together differ most from the lattice.
    point_group
        What `laue_operators` takes.
    seed
        Of the choice of tiles of a large map.
    """
    operators = np.array(laue_operators(point_group), dtype=np.float64)
    q = np.ascontiguousarray(quaternions, dtype=np.float64)
    norm = (q * q).sum(axis=1)
    grains = np.where((norm > 0.5) & (norm < 2.0), labels, 0).astype(np.int64)
    grid = np.ascontiguousarray(index, dtype=np.int64)
    limit = safe_cosine(operators)
    nearest, second = (np.array(part, dtype=np.int64) for part in neighbours)
    is_copy = np.zeros(len(q), dtype=bool)
    pairs, same = _identical(q, grains, grid, nearest, operators, limit, is_copy)
    node, tiles = _tiles(grains, grid, nearest, seed)
    spans = np.concatenate([lag * nearest for lag in LAGS] + [second])
    # Second neighbours: the diagonals of squares, or of pairs of equilateral triangles.
    lags = np.repeat([*LAGS, np.sqrt(len(nearest))], len(nearest))
    squares = np.full((len(node), len(spans)), np.nan, dtype=np.float32)
    copied = np.zeros(squares.shape, dtype=bool)
    _differences(q, grains, grid, node, spans, operators, limit, squares, copied)
    identical = same / pairs if pairs else float("nan")
    points = grid[node[:, 0], node[:, 1]].astype(np.intp)
    return SecondDifferences(points, tiles, squares, copied, lags, identical, is_copy)


def _tiles(
    grains: NDArray[np.int64], grid: NDArray[np.int64], along: NDArray[np.int64], seed: int
) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Nodes (m, 2) to take differences at, and the tile of each."""
    inside = grid >= 0
    inside[inside] = grains[grid[inside]] > 0
    node = np.argwhere(inside)
    # A step takes one node along the axes of a square grid, two along those of a hexagonal one.
    side = TILE * np.abs(along).max(axis=0)
    # As much of a cut tile on one side of the map as on the other.
    row, column = ((node + (-np.array(grid.shape) % side) // 2) // side).T
    tile = row * (grid.shape[1] // side[1] + 2) + column
    if len(node) > MOST:
        number = np.unique(tile)
        keep = np.random.default_rng(seed).permutation(number)
        keep = keep[: max(1, len(number) * MOST // len(node))]
        chosen = np.isin(tile, keep)
        node, tile = node[chosen], tile[chosen]
    label = grains[grid[node[:, 0], node[:, 1]]]
    key = tile * (int(label.max(initial=0)) + 1) + label
    return node, np.unique(key, return_inverse=True)[1].ravel()


@njit(cache=True, nogil=True)
def _identical(q, grains, grid, along, operators, limit, is_copy):  # type: ignore[no-untyped-def]
    rows, columns = grid.shape
    vector = np.empty(3)
    pairs = same = 0
    for r in range(rows):
        for c in range(columns):
            p = grid[r, c]
            if p < 0 or grains[p] <= 0:
                continue
            for d in range(along.shape[0]):
                j, i = r + along[d, 0], c + along[d, 1]
                if j < 0 or i < 0 or j >= rows or i >= columns or grid[j, i] < 0:
                    continue
                n = grid[j, i]
                if grains[n] != grains[p]:
                    continue
                pairs += 1
                rotation_vector(q[p], q[n], operators, limit, vector)
                if vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2 < SAME * SAME:
                    same += 1
                    is_copy[p] = is_copy[n] = True
    return pairs, same


@njit(cache=True, nogil=True)
def _differences(  # type: ignore[no-untyped-def]
    q, grains, grid, node, spans, operators, limit, squares, copied
):
    rows, columns = grid.shape
    before = np.empty(3)
    after = np.empty(3)
    for m in range(node.shape[0]):
        r, c = node[m, 0], node[m, 1]
        p = grid[r, c]
        for k in range(spans.shape[0]):
            dr, dc = spans[k, 0], spans[k, 1]
            if min(r - dr, r + dr) < 0 or max(r - dr, r + dr) >= rows:
                continue
            if min(c - dc, c + dc) < 0 or max(c - dc, c + dc) >= columns:
                continue
            a, b = grid[r - dr, c - dc], grid[r + dr, c + dc]
            if a < 0 or b < 0 or grains[a] != grains[p] or grains[b] != grains[p]:
                continue
            rotation_vector(q[p], q[a], operators, limit, before)
            rotation_vector(q[p], q[b], operators, limit, after)
            first = second = both = 0.0
            for i in range(3):
                first += before[i] ** 2
                second += after[i] ** 2
                both += (before[i] + after[i]) ** 2
            squares[m, k] = both / 18
            copied[m, k] = min(first, second) < SAME * SAME
