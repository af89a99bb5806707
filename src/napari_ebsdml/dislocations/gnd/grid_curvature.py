"""Curvature of the points of a grid, square or hexagonal."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.dislocations.gnd.curvature import curvature_and_gain
from napari_ebsdml.dislocations.gnd.grid import Grid
from napari_ebsdml.dislocations.gnd.hexagonal import hexagonal_curvature


def grid_curvature(
    grid: Grid,
    quaternions: NDArray[np.float64],
    labels: NDArray[np.int64],
    stencil: str,
    operators: NDArray[np.float64],
    progress: Progress = None,
    reach: int = 1,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Curvature (n, 3, 3) and gain (n,) of the points of a grid; see `curvature_and_gain`."""
    if grid.staggered is not None:
        return hexagonal_curvature(grid, quaternions, labels, stencil, operators, progress, reach)
    shape = grid.index.shape
    kappa, gain = curvature_and_gain(
        quaternions.reshape(*shape, 4), labels.reshape(shape), grid.cell, stencil, operators,
        progress, reach,
    )  # fmt: skip
    return kappa.reshape(-1, 3, 3), gain.ravel()
