"""The fundamental triangle of m-3m as a grid.

A direction (x, y, z) folded by the 48 operations of m-3m is its components' sizes, sorted:
0 <= x <= y <= z. It lies in the triangle [001], [011], [111]. Its coordinates here are the angles
u = atan(x / z) and v = atan(y / z), both 0..45 degrees with u <= v: the cells of that grid differ
little in solid angle. Node (i, j), i >= j, stands at v = i and u = j steps, and is number
i (i + 1) / 2 + j of a flat array.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FINE = 72
"""Steps of the grid that master patterns are stored on: 0.625 degrees."""
COARSE = 45
"""Steps of the grid that patterns are folded on: 1 degree."""


def n_nodes(steps: int) -> int:
    """Number of nodes of a triangle with `steps` steps a side."""
    return (steps + 1) * (steps + 2) // 2


def node_indices(steps: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Indices i (along v) and j (along u) of all nodes, in the order of the flat array."""
    i, j = np.tril_indices(steps + 1)
    return i, j


def node_directions(steps: int) -> NDArray[np.float64]:
    """Unit vectors (nodes, 3) of all nodes, sorted x <= y <= z."""
    i, j = node_indices(steps)
    angle = np.pi / 4 / steps
    vectors = np.stack([np.tan(j * angle), np.tan(i * angle), np.ones(len(i))], axis=1)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def solid_angles(steps: int) -> NDArray[np.float64]:
    """Relative solid angle that each node stands for, (nodes,), mean 1."""
    i, j = node_indices(steps)
    angle = np.pi / 4 / steps
    tu, tv = np.tan(j * angle), np.tan(i * angle)
    density = (1 + tu**2) * (1 + tv**2) / (1 + tu**2 + tv**2) ** 1.5
    # Nodes on an edge own half a cell; those in corners less.
    part = np.ones(len(i))
    part[(j == 0) | (i == steps)] *= 0.5
    part[i == j] *= 0.5
    weight = density * part
    return weight / weight.mean()


def to_square(values: NDArray[np.floating], steps: int) -> NDArray[np.floating]:
    """Flat values (..., nodes) as square images (..., steps + 1, steps + 1), mirrored."""
    i, j = node_indices(steps)
    image = np.empty((*values.shape[:-1], steps + 1, steps + 1), values.dtype)
    image[..., i, j] = values
    image[..., j, i] = values
    return image
