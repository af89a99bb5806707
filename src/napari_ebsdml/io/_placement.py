"""Where the points of a file go on the map: by their coordinates, or by the header's grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# A point may lie this far from its node, in steps, and still count as in raster order.
_OFF_GRID = 0.3


@dataclass
class Placement:
    """Where the points of a file go, as `RawMap` wants it.

    Attributes
    ----------
    x, y : (n,) arrays or None
        Coordinates in um; None when the points fill `shape` in raster order.
    shape : (rows, columns) or None
    step : (dy, dx) in um or None
    """

    x: NDArray[Any] | None
    y: NDArray[Any] | None
    shape: tuple[int, int] | None
    step: tuple[float, float] | None


def place_points(
    n: int,
    shape: tuple[int, int] | None,
    step: tuple[float, float] | None,
    x: NDArray[Any] | None,
    y: NDArray[Any] | None,
    measured: NDArray[np.bool_] | None,
    warnings: list[str],
) -> Placement:
    """Decide between the coordinates of the points and the grid of the header.

    Points outside the scanned area have no coordinates. When the others stand in raster order
    on the header's grid, that order tells where all of them belong.
    """
    if x is None or y is None:
        return Placement(None, None, shape, step)
    if shape is None or n != shape[0] * shape[1]:
        return Placement(x, y, shape, step)
    use = np.isfinite(x) & np.isfinite(y)
    if measured is not None:
        use &= measured
    found = _raster_step(shape, step, x, y, use)
    if found is not None:
        if use.all():
            return Placement(x, y, shape, step)
        if step is not None and np.any(np.abs(np.subtract(found, step)) > 0.01 * np.array(found)):
            warnings.append(
                f"The header says a step of {step[0]:g} x {step[1]:g} um; the coordinates say "
                f"{found[0]:g} x {found[1]:g} um, which is used."
            )
        return Placement(None, None, shape, found)
    if _collide(x[use], y[use]):
        warnings.append(
            "Several points have the same coordinates, so these cannot be right; the points are "
            f"laid row by row on the header's {shape[0]} x {shape[1]} cells instead."
        )
        return Placement(None, None, shape, step)
    return Placement(x, y, shape, step)


def _raster_step(
    shape: tuple[int, int],
    step: tuple[float, float] | None,
    x: NDArray[Any],
    y: NDArray[Any],
    use: NDArray[np.bool_],
) -> tuple[float, float] | None:
    """Step (dy, dx) when the points in `use` stand in raster order on `shape`, else None."""
    if not use.any():
        return None
    xs = np.where(use, x, np.nan).astype(np.float64).reshape(shape)
    ys = np.where(use, y, np.nan).astype(np.float64).reshape(shape)
    steps = []
    for values, axis in ((ys, 0), (xs, 1)):
        gaps = np.diff(values, axis=axis)
        gaps = gaps[np.isfinite(gaps)]
        if gaps.size:
            steps.append(float(np.median(gaps)))
        elif step is not None:
            steps.append(step[axis])
        else:
            return None
    dy, dx = steps
    if not (dy > 0 and dx > 0):
        return None
    off_x = xs - dx * np.arange(shape[1])
    off_y = ys - dy * np.arange(shape[0])[:, None]
    if np.nanmax(off_x) - np.nanmin(off_x) > _OFF_GRID * dx:
        return None
    if np.nanmax(off_y) - np.nanmin(off_y) > _OFF_GRID * dy:
        return None
    if step is not None and abs(dy - step[0]) < 1e-3 * dy and abs(dx - step[1]) < 1e-3 * dx:
        # The header has more digits than differences of single-precision coordinates.
        return step
    return dy, dx


def _collide(x: NDArray[Any], y: NDArray[Any]) -> bool:
    pairs = np.unique(np.column_stack((x, y)), axis=0)
    return len(pairs) < x.size


def step_of(dy: float | None, dx: float | None) -> tuple[float, float] | None:
    """Header step as (dy, dx) in um, or None; a line scan has no dy."""
    if dx is None or not (np.isfinite(dx) and dx > 0):
        return None
    if dy is None or not (np.isfinite(dy) and dy > 0):
        return dx, dx
    return dy, dx


def has_repeats(cells: NDArray[np.intp], n_cells: int) -> bool:
    """Whether a cell index, below `n_cells`, occurs more than once."""
    taken = np.zeros(n_cells, dtype=bool)
    taken[cells] = True
    return int(np.count_nonzero(taken)) < cells.size
