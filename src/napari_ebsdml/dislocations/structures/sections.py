"""Plane sections of a structure's field: what an orientation map of it would show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from napari_ebsdml.dislocations.structures.elasticity import ElasticField
from napari_ebsdml.errors import InputError

SLAB = 5
"""Thickness in voxels of the layer whose density counts as that of a section."""
BLOCK = 8
"""Side in voxels of the squares that Nye's tensor of a section is averaged over."""


@dataclass(frozen=True, eq=False)
class Section:
    """A periodic square section in its own frame: x right, y down, z into the map.

    Attributes
    ----------
    rotation : (n, n, 3) float32
        Lattice rotation in b / h, rows along y; without `slope`.
    slope : (3, 2) array
        d(rotation)/dx and d(rotation)/dy in b / h^2 of the structure's mean curvature.
    density : (n, n) float32
        Density in lines per voxel area of a layer around the section.
    nye : (3, 3, n / 8, n / 8) float32
        Nye's tensor in b / h^2 of that layer, averaged over squares.
    """

    rotation: NDArray[np.float32]
    slope: NDArray[np.float64]
    density: NDArray[np.float32]
    nye: NDArray[np.float32]


def section(field: ElasticField, normal: int, at: int) -> Section:
    """Section normal to an axis of the box.

    Parameters
    ----------
    field
    normal
        0, 1 or 2: the axis that goes into the map.
    at
        Grid plane.
    """
    if normal not in (0, 1, 2):
        raise InputError(f"The normal of a section is axis 0, 1 or 2 of the box, not {normal}.")
    n = field.density.shape[0]
    x, y = (normal + 1) % 3, (normal + 2) % 3
    frame = [x, y, normal]
    layer = (at + np.arange(SLAB) - SLAB // 2) % n

    def flat(values: NDArray[Any]) -> NDArray[np.float32]:
        """Mean over the layer of a scalar on the grid, rows along y."""
        mean = np.take(values, layer, axis=normal).mean(axis=normal)
        # What is left are the other two axes in the box's order.
        return np.ascontiguousarray(mean if y < x else mean.T, dtype=np.float32)

    plane = np.take(field.rotation, at % n, axis=normal)[..., frame]
    rotation = np.ascontiguousarray(plane if y < x else plane.transpose(1, 0, 2))
    side = n // BLOCK
    nye = np.empty((3, 3, side, side), dtype=np.float32)
    for i in range(3):
        for j in range(3):
            whole = flat(field.nye[frame[i], frame[j]])[: side * BLOCK, : side * BLOCK]
            nye[i, j] = whole.reshape(side, BLOCK, side, BLOCK).mean(axis=(1, 3))
    slope = field.curvature[np.ix_(frame, [x, y])]
    return Section(rotation, slope, flat(field.density), nye)


def oblique_map(
    field: ElasticField,
    axes: NDArray[Any],
    origin: Sequence[float],
    shape: tuple[int, int],
    step: float = 1.0,
) -> NDArray[np.float64]:
    """Rotations on a plane in any direction through the periodic box, trilinear between voxels.

    Parameters
    ----------
    field
    axes : (3, 3) array
        Unit vectors x, y, z of the map as rows, in the frame of the box.
    origin
        First pixel in voxels.
    shape
        Rows and columns.
    step
        In voxels.

    Returns
    -------
    (rows, columns, 3) array
        Rotation vectors in b / h, components along the map's axes.
    """  # fmt: skip
    frame = np.asarray(axes, dtype=np.float64)
    if frame.shape != (3, 3) or not np.allclose(frame @ frame.T, np.eye(3), atol=1e-6):
        raise InputError("axes must be three perpendicular unit vectors, one a row.")
    rows, columns = np.meshgrid(np.arange(shape[0]), np.arange(shape[1]), indexing="ij")
    points = np.asarray(origin, dtype=np.float64) + step * (
        columns[..., None] * frame[0] + rows[..., None] * frame[1]
    )
    where = np.moveaxis(points, -1, 0)
    box = np.stack(
        [
            map_coordinates(field.rotation[..., k], where, order=1, mode="grid-wrap")
            for k in range(3)
        ],
        axis=-1,
    ).astype(np.float64)
    box += points @ field.curvature.T
    return np.asarray(box @ frame.T)
