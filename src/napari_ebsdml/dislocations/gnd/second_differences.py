"""Second differences of orientations over one and several steps, inside grains.

``theta(x - h) - 2 theta(x) + theta(x + h)``: a uniform bend of the lattice drops out of it, noise
and structure finer than h stay. How its mean square grows with h tells the two apart
(`structure_function`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

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
    found = _Found(quaternions, labels, index, neighbours, point_group)
    pairs, same, is_copy = found.identical((0, len(found.grid)))
    node, tile = found.nodes((0, len(found.grid)), 0, found.grid.shape)
    chosen = chosen_tiles(np.unique(tile), len(node), seed)
    if chosen is not None:
        inside = np.isin(tile, chosen)
        node, tile = node[inside], tile[inside]
    label, squares, copied, points = found.differences(node)
    return SecondDifferences(
        points, _tile_numbers(tile, label), squares, copied, found.lags,
        same / pairs if pairs else float("nan"), is_copy,
    )  # fmt: skip


Rows = tuple[int, int]
"""First row, and that after the last one."""


BAND_HALO = max(LAGS)
"""Rows beside a band that differences in it need."""


class BandCount(NamedTuple):
    """What a band of a map holds; see `count_band`."""

    nodes: int
    """Points of grains."""
    pairs: int
    """Of neighbours."""
    same: int
    """Of them those of the same orientation."""
    tiles: NDArray[np.int64]


BandDifferences = tuple[NDArray[Any], ...]
"""Points, tiles, labels, squares, whether copied; of a band."""


def count_band(
    quaternions: NDArray[Any], labels: NDArray[Any], first: int, keep: slice,
    shape: tuple[int, int], point_group: Any,
) -> BandCount:  # fmt: skip
    """See a band of the square grid of a map, as `band_differences` takes it."""
    found = _Found.of_map(quaternions, labels, point_group)
    kept = (keep.start, keep.stop)
    pairs, same, _ = found.identical(kept)
    _, tile = found.nodes(kept, first, shape)
    return BandCount(len(tile), pairs, same, np.unique(tile))


def tiles_of_bands(counts: Sequence[BandCount], seed: int = 0) -> NDArray[np.int64] | None:
    """Tiles that stand for the map, chosen as `second_differences` chooses them; None: all."""
    every = np.unique(np.concatenate([np.zeros(0, np.int64), *(one.tiles for one in counts)]))
    return chosen_tiles(every, sum(one.nodes for one in counts), seed)


def band_differences(
    quaternions: NDArray[Any], labels: NDArray[Any], first: int, keep: slice,
    shape: tuple[int, int], point_group: Any, chosen: NDArray[np.int64] | None,
) -> BandDifferences:  # fmt: skip
    """Second differences of a band of the square grid of a map.

    Parameters
    ----------
    quaternions, labels
        Rows (rows, columns, 4) and (rows, columns) of the map from `first` on.
    first
    keep
        Those of them that are wanted; the others are a halo of `BAND_HALO` rows.
    shape
        Of the map.
    point_group
        What `laue_operators` takes.
    chosen
        Of `tiles_of_bands`.
    """
    found = _Found.of_map(quaternions, labels, point_group)
    node, tile = found.nodes((keep.start, keep.stop), first, shape)
    if chosen is not None:
        inside = np.isin(tile, chosen)
        node, tile = node[inside], tile[inside]
    label, squares, copied, _ = found.differences(node)
    points = (node[:, 0] + first) * shape[1] + node[:, 1]
    return points.astype(np.intp), tile, label, squares, copied


def joined_bands(
    counts: Sequence[BandCount], parts: Sequence[BandDifferences]
) -> SecondDifferences:
    """As `second_differences` of the map, from its bands; without `is_copy`, which is empty."""
    points, tile, label, squares, copied = (
        np.concatenate(part) for part in zip(*parts, strict=True)
    )
    pairs, same = sum(one.pairs for one in counts), sum(one.same for one in counts)
    return SecondDifferences(
        points, _tile_numbers(tile, label), squares, copied, _lags(len(SQUARE[0])),
        same / pairs if pairs else float("nan"), np.zeros(0, bool),
    )  # fmt: skip


class _Found:
    """Points of a grid, ready for the kernels."""

    def __init__(
        self, quaternions: NDArray[Any], labels: NDArray[Any], index: NDArray[Any],
        neighbours: tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]],
        point_group: Any,
    ) -> None:  # fmt: skip
        self.operators = np.array(laue_operators(point_group), dtype=np.float64)
        self.q = np.ascontiguousarray(quaternions, dtype=np.float64)
        norm = (self.q * self.q).sum(axis=1)
        self.grains = np.where((norm > 0.5) & (norm < 2.0), labels, 0).astype(np.int64)
        self.grid = np.ascontiguousarray(index, dtype=np.int64)
        self.limit = safe_cosine(self.operators)
        self.nearest, self.second = (np.array(part, dtype=np.int64) for part in neighbours)
        self.lags = _lags(len(self.nearest))

    @classmethod
    def of_map(cls, quaternions: NDArray[Any], labels: NDArray[Any], point_group: Any) -> _Found:
        """Of a square grid."""
        index = np.arange(labels.size).reshape(labels.shape)
        return cls(quaternions.reshape(-1, 4), labels.ravel(), index, SQUARE, point_group)

    def identical(self, rows: Rows) -> tuple[int, int, NDArray[np.bool_]]:
        """Pairs that begin in some rows, those of the same orientation, and points of them."""
        is_copy = np.zeros(len(self.q), dtype=bool)
        pairs, same = _identical(
            self.q, self.grains, self.grid, self.nearest, self.operators, self.limit, *rows, is_copy
        )
        return pairs, same, is_copy

    def nodes(
        self, rows: Rows, first: int, shape: tuple[int, int]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Nodes (m, 2) of some rows to take differences at, and the tile of each.

        The grid begins at row `first` of one of this shape.
        """
        part = self.grid[slice(*rows)]
        inside = part >= 0
        inside[inside] = self.grains[part[inside]] > 0
        node = np.argwhere(inside) + np.array([[rows[0], 0]])
        # A step takes one node along the axes of a square grid, two along those of a hexagonal one.
        side = TILE * np.abs(self.nearest).max(axis=0)
        # As much of a cut tile on one side of the map as on the other.
        offset = np.array([[first, 0]]) + (-np.array(shape) % side) // 2
        row, column = ((node + offset) // side).T
        return node, row * (shape[1] // side[1] + 2) + column

    def differences(self, node: NDArray[np.int64]) -> tuple[Any, ...]:
        """Label, squares, whether copied, and point of each of the nodes."""
        spans = np.concatenate([lag * self.nearest for lag in LAGS] + [self.second])
        squares = np.full((len(node), len(spans)), np.nan, dtype=np.float32)
        copied = np.zeros(squares.shape, dtype=bool)
        _differences(
            self.q, self.grains, self.grid, node, spans, self.operators, self.limit, squares, copied
        )
        points = self.grid[node[:, 0], node[:, 1]].astype(np.intp)
        return self.grains[points], squares, copied, points


def _lags(nearest: int) -> NDArray[np.float64]:
    # Second neighbours: the diagonals of squares, or of pairs of equilateral triangles.
    return np.repeat([*LAGS, np.sqrt(nearest)], nearest)


def chosen_tiles(tiles: NDArray[np.int64], nodes: int, seed: int) -> NDArray[np.int64] | None:
    """Tiles of a large map that stand for all; None: all of them."""
    if nodes <= MOST:
        return None
    keep = np.random.default_rng(seed).permutation(tiles)
    return keep[: max(1, len(tiles) * MOST // nodes)]


def _tile_numbers(tile: NDArray[np.int64], label: NDArray[np.int64]) -> NDArray[np.intp]:
    """Number, from 0, of the part of a grain in a tile that each node lies in."""
    key = tile * (int(label.max(initial=0)) + 1) + label
    return np.unique(key, return_inverse=True)[1].ravel()


@njit(cache=True, nogil=True)
def _identical(  # type: ignore[no-untyped-def]
    q, grains, grid, along, operators, limit, begin, end, is_copy
):
    rows, columns = grid.shape
    vector = np.empty(3)
    pairs = same = 0
    for r in range(begin, end):
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
