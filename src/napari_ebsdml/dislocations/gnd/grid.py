"""Points of a map and their neighbours, on square and on hexagonal grids.

A square grid has a point at every node of an array. A hexagonal one has points at every second
node, staggered from row to row: the six neighbours of a point are two nodes to the sides, and one
row and one node up and down (the other way round where columns are staggered).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the points of a map stand.

    Attributes
    ----------
    index : (rows, columns) int array
        Point at each node, -1 for none.
    cell : (dy, dx)
        Distance of the nodes in um.
    staggered : "rows", "columns" or None
        Of a hexagonal grid; None for a square one.
    nearest : (map rows, map columns) int array or None
        Point that each pixel of the map shows, -1 for none; None where they are the same.
    """

    index: NDArray[np.intp]
    cell: tuple[float, float]
    staggered: str | None = None
    nearest: NDArray[np.intp] | None = None

    @property
    def directions(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) in nodes from a point to its nearest neighbours, each line once."""
        if self.staggered is None:
            return ((0, 1), (1, 0))
        return ((0, 2), (1, 1), (1, -1)) if self.staggered == "rows" else ((2, 0), (1, 1), (1, -1))

    @property
    def diagonals(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) in nodes from a point to its second-nearest neighbours."""
        if self.staggered is None:
            return ((1, 1), (1, -1))
        return ((2, 0), (1, 3), (1, -3)) if self.staggered == "rows" else ((0, 2), (3, 1), (3, -1))

    @property
    def strides(self) -> tuple[int, int]:
        """(rows, columns) in nodes that make a step."""
        return {None: (1, 1), "rows": (1, 2), "columns": (2, 1)}[self.staggered]

    @property
    def step(self) -> float:
        """Distance of neighbouring points in um (the larger of the two on a square grid)."""
        return max(n * size for n, size in zip(self.strides, self.cell, strict=True))

    def window(self, radius: int) -> NDArray[np.int64]:
        """Nodes (k, 2) round a point and itself: a square, or a hexagon of a hexagonal grid."""
        reach = tuple(n * radius for n in self.strides)
        j, i = (
            (axis - n).ravel()
            for axis, n in zip(np.indices([2 * n + 1 for n in reach]), reach, strict=True)
        )
        if self.staggered is not None:
            lines, across = (j, i) if self.staggered == "rows" else (i, j)
            # Each line away takes half a step along; the rest goes in whole steps.
            steps = np.maximum(np.abs(lines), (np.abs(lines) + np.abs(across)) / 2)
            keep = ((j + i) % 2 == 0) & (steps <= radius)
            j, i = j[keep], i[keep]
        return np.stack((j, i), axis=1).astype(np.int64)

    def middle(self, side: int) -> tuple[Grid, NDArray[np.intp]]:
        """The middle of a large grid, with its points numbered anew, and their old numbers."""
        half = tuple(n * (side // 2) for n in self.strides)
        part = self.index[
            tuple(
                slice(max(0, n // 2 - h), n // 2 + h)
                for n, h in zip(self.index.shape, half, strict=True)
            )
        ]
        inside = part >= 0
        index = np.full(part.shape, -1, dtype=np.intp)
        index[inside] = np.arange(inside.sum())
        return Grid(index, self.cell, self.staggered), part[inside]

    def on_map(self, values: NDArray[np.generic], shape: tuple[int, int]) -> NDArray[np.generic]:
        """Values (n, ...) of the points on the map's pixels; NaN (or 0) where none is shown."""
        if self.nearest is None:
            return values.reshape(*shape, *values.shape[1:])
        shown = values[self.nearest]
        shown[self.nearest < 0] = np.nan if values.dtype.kind == "f" else 0
        return shown


def square_grid(shape: tuple[int, int], step: tuple[float, float]) -> Grid:
    """Grid with a point at every pixel."""
    return Grid(np.arange(shape[0] * shape[1], dtype=np.intp).reshape(shape), step)
