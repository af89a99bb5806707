"""Lay measured points on a rectangular grid: the step is measured, not taken on trust.

Coordinates in files are rounded, out of order, sparse or on a hexagonal grid, and headers are
wrong. Points are placed by ``round((x - x0) / step)``, never by their distinct values, and a
set of points that fits no regular grid is refused.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import GridError

FLOATS = NDArray[np.float64]

# A point may lie this far from its grid node, in steps, and still count as on the grid.
_OFF_GRID = 0.3
# A kilometre, in um.
_FARTHEST = 1e9
# A grid that is emptier than this holds no map that anybody could look at.
_SPARSEST = 0.02


@dataclass(frozen=True, eq=False)
class Grid:
    """Where each point of a file goes.

    Attributes
    ----------
    shape : (rows, columns)
    step : (dy, dx) in um
    point_of_pixel : (rows, columns) int array or None
        Index of the point that each pixel shows, -1 where there is none; None when the points
        are all there in raster order.
    hexagonal_step
        Distances (dy, dx) of the hexagonal grid that was resampled, or None: of rows and of points
        within a row, or, where columns are staggered, of points within a column and of columns.
    warnings
        What was found to differ from the header.
    """

    shape: tuple[int, int]
    step: tuple[float, float]
    point_of_pixel: NDArray[np.intp] | None = None
    hexagonal_step: tuple[float, float] | None = None
    warnings: list[str] = field(default_factory=list)


def raster_grid(
    path: Path, n_points: int, shape: tuple[int, int] | None, step: tuple[float, float] | None
) -> Grid:
    """Grid of points without coordinates, in raster order (x fastest)."""
    if shape is None or min(shape) <= 0:
        raise GridError(path, f"the header gives no map size for {n_points} points")
    rows, columns = shape
    warnings = []
    if n_points > rows * columns:
        raise GridError(
            path, f"{n_points} points do not fit the {rows} x {columns} cells of the header"
        )
    if step is None or not (np.isfinite(step).all() and min(step) > 0):
        warnings.append("The file gives no step size; 1 um is assumed.")
        step = (1.0, 1.0)
    point_of_pixel: NDArray[np.intp] | None = None
    if n_points < rows * columns:
        warnings.append(
            f"The header declares {rows} x {columns} cells, the file holds only {n_points} points; "
            "the scan stopped early."
        )
        # A first row that was not finished is as long as it is.
        columns = min(columns, n_points)
        rows = -(-n_points // columns)
        point_of_pixel = np.full((rows, columns), -1, dtype=np.intp)
        point_of_pixel.flat[:n_points] = np.arange(n_points)
    return Grid((rows, columns), step, point_of_pixel, warnings=warnings)


def grid_from_coordinates(
    path: Path,
    x: FLOATS,
    y: FLOATS,
    shape: tuple[int, int] | None = None,
    step: tuple[float, float] | None = None,
    hexagonal: bool | None = None,
) -> Grid:
    """Grid of points with coordinates.

    Parameters
    ----------
    path
        File, for messages.
    x, y : (n,) arrays
        Coordinates in um.
    shape, step, hexagonal
        What the header says; used as hints, and compared.

    Raises
    ------
    GridError
        When coordinates are not finite, lie on no regular grid, fill it too sparsely, or put
        two different points into one cell.
    """
    if x.size == 0:
        raise GridError(path, "the file holds no measured point")
    # Written so that NaN counts as bad.
    n_bad = int(np.count_nonzero(~((np.abs(x) < _FARTHEST) & (np.abs(y) < _FARTHEST))))
    if n_bad:
        raise GridError(
            path, f"{n_bad} of {x.size} points have coordinates that are no place on a specimen"
        )
    grid = _complete_raster(x, y)
    if grid is None:
        step_hint = step if step and np.isfinite(step).all() and min(step) > 0 else None
        found = turned = None
        if hexagonal is not False:
            found = _hexagonal_steps(x, y)
            # A map turned by 90 degrees is staggered by columns.
            turned = _hexagonal_steps(y, x) if found is None else None
        if found is not None:
            grid = _resample_hexagonal(path, x, y, *found)
        elif turned is not None:
            grid = _transposed(_resample_hexagonal(path, y, x, *turned))
            if step_hint and abs(step_hint[0] - turned[0]) < 0.01 * turned[0]:
                # The header is that of the map before it was turned.
                step = step_hint[::-1]
        else:
            grid = _place(path, x, y, step_hint)
    if step and min(step) > 0 and 1 in grid.shape and grid.hexagonal_step is None:
        # One row or one column cannot tell the step across it.
        dy, dx = (s if n == 1 else g for s, n, g in zip(step, grid.shape, grid.step, strict=True))
        grid = dataclasses.replace(grid, step=(dy, dx))
    _compare_with_header(grid, shape, step)
    return grid


def refuse_point_list(path: Path, x: FLOATS, y: FLOATS, mode: str) -> None:
    """Refuse single points, such as one for each grain; `mode` is how the header calls them.

    Raises
    ------
    GridError
        When the points do not fill at least half of a regular grid.
    """
    try:
        rows, columns = grid_from_coordinates(path, x, y).shape
    except GridError:
        rows = columns = 0
    if 2 * x.size < rows * columns or not rows:
        raise GridError(
            path,
            f"the file is a list of {x.size} single points ({mode}) and not a map; export a map, "
            "which has a grid of points",
        )


def _complete_raster(x: FLOATS, y: FLOATS) -> Grid | None:
    """Grid of points that fill it in raster order: no sorting needed, so it is fast."""
    n = x.size
    # The first row ends where x jumps back.
    back = np.flatnonzero(np.diff(x[: min(n, 1 << 20)]) < 0)
    columns = int(back[0]) + 1 if back.size else n
    if n % columns:
        return None
    rows = n // columns
    xs, ys = x.reshape(rows, columns), y.reshape(rows, columns)
    dx = float(xs[0, -1] - xs[0, 0]) / (columns - 1) if columns > 1 else 0.0
    dy = float(ys[-1, 0] - ys[0, 0]) / (rows - 1) if rows > 1 else 0.0
    if columns == 1 and rows == 1:
        dx = dy = 1.0
    dx, dy = dx or dy, dy or dx
    if dx <= 0 or dy <= 0:
        return None
    ideal_x = xs[0, 0] + dx * np.arange(columns)
    ideal_y = ys[0, 0] + dy * np.arange(rows)
    # Strips keep the temporaries small on maps of many millions of points.
    height = max(1, (1 << 18) // columns)
    for top in range(0, rows, height):
        strip = slice(top, top + height)
        if (
            np.abs(xs[strip] - ideal_x).max() > _OFF_GRID * dx
            or np.abs(ys[strip] - ideal_y[strip, None]).max() > _OFF_GRID * dy
        ):
            return None
    return Grid((rows, columns), (_tidy(dy), _tidy(dx)))


def _tidy(step: float) -> float:
    """Step without the last digits that averaging rounded coordinates leaves."""
    for digits in range(2, 8):
        rounded = float(f"{step:.{digits}g}")
        if abs(rounded - step) <= 2e-6 * step:
            return rounded
    return step


def _place(path: Path, x: FLOATS, y: FLOATS, step: tuple[float, float] | None) -> Grid:
    """Place points in any order, with holes."""
    dx = _spacing(path, "x", x, _row_gaps(x, y), step[1] if step else None)
    dy = _spacing(path, "y", y, np.diff(_levels(y)[0]), step[0] if step else None)
    dx, dy = dx or dy or 1.0, dy or dx or 1.0
    column = np.rint((x - x.min()) / dx).astype(np.int64)
    row = np.rint((y - y.min()) / dy).astype(np.int64)
    rows, columns = int(row.max()) + 1, int(column.max()) + 1
    _refuse_sparse(path, x.size, rows, columns)
    warnings = []
    cell = row * columns + column
    point_of_pixel = np.full(rows * columns, -1, dtype=np.intp)
    # Written backwards, so that the first of several points in a cell stays.
    point_of_pixel[cell[::-1]] = np.arange(x.size - 1, -1, -1)
    kept = point_of_pixel[cell]
    n_double = int(np.count_nonzero(kept != np.arange(x.size)))
    if n_double:
        far = (np.abs(x - x[kept]) > 0.1 * dx) | (np.abs(y - y[kept]) > 0.1 * dy)
        if far.any():
            raise GridError(
                path,
                f"{int(far.sum())} points fall into cells that other points already fill; "
                "the coordinates are on no regular grid",
            )
        warnings.append(f"{n_double} points repeat the coordinates of others; the first ones stay.")
    n_empty = int(np.count_nonzero(point_of_pixel < 0))
    if n_empty:
        warnings.append(
            f"{n_empty} of {rows * columns} cells hold no measured point; they are not indexed."
        )
    return Grid((rows, columns), (dy, dx), point_of_pixel.reshape(rows, columns), None, warnings)


def _refuse_sparse(path: Path, n_points: int, rows: int, columns: int) -> None:
    if n_points < _SPARSEST * rows * columns:
        raise GridError(
            path,
            f"{n_points} points would fill only {100 * n_points / (rows * columns):.2g} % of "
            f"{rows} x {columns} cells; they are no map",
        )


def _common_gap(gaps: FLOATS) -> float:
    """Length-weighted median: half of the extent is covered by gaps of at least this length.

    Rounding splits one value into several; the tiny gaps between those weigh nothing here.
    """
    ordered = np.sort(gaps)
    covered = np.cumsum(ordered)
    return float(ordered[np.searchsorted(covered, 0.5 * covered[-1])])


def _levels(values: FLOATS) -> tuple[FLOATS, NDArray[np.intp]]:
    """Distinct values, those that differ by rounding taken as one, and the level of each."""
    distinct, level = np.unique(values, return_inverse=True)
    gaps = np.diff(distinct)
    if not gaps.size or distinct[-1] - distinct[0] <= 1e-9 * max(1.0, abs(distinct[-1])):
        return distinct[:1], np.zeros(values.size, dtype=np.intp)
    is_new = np.concatenate(([True], gaps > 0.2 * _common_gap(gaps)))
    return distinct[is_new], (np.cumsum(is_new) - 1)[level]


def _row_gaps(x: FLOATS, y: FLOATS) -> FLOATS:
    """Distances of neighbouring points within rows."""
    _, row = _levels(y)
    order = np.lexsort((x, row))
    gaps = np.diff(x[order])[np.diff(row[order]) == 0]
    return gaps[gaps > 0]


def _spacing(path: Path, axis: str, values: FLOATS, gaps: FLOATS, hint: float | None) -> float:
    """Step along one axis that puts all values on nodes; 0 when there is only one value."""
    if _levels(values)[0].size == 1:
        return 0.0
    if not gaps.size:
        gaps = np.diff(_levels(values)[0])
    common = _common_gap(gaps)
    coarse = gaps[gaps > 0.2 * common]
    trials = [common, float(np.median(coarse)), float(coarse.min()), common / 2, common / 3]
    if hint:
        trials.append(hint)
    fits = [fitted for trial in trials if (fitted := _fit_step(values, trial)) is not None]
    if not fits:
        raise GridError(
            path, f"the {axis} coordinates lie on no regular grid (common distance {common:g} um)"
        )
    return _tidy(max(fits))


def _fit_step(values: FLOATS, trial: float) -> float | None:
    """`trial` refined by least squares over all nodes, or None when values are off the nodes."""
    origin = float(values.min())
    index = np.rint((values - origin) / trial)
    # Beyond 2^31 nodes the trial is no step but noise, and the cast below would overflow.
    if not 1 <= index.max() < 2**31:
        return None
    for _ in range(3):
        step = float(np.dot(index, values - origin) / np.dot(index, index))
        if step <= 0:
            return None
        index = np.rint((values - origin) / step)
    if np.abs(values - origin - index * step).max() > _OFF_GRID * step:
        return None
    common_factor = int(np.gcd.reduce(np.unique(index).astype(np.int64)))
    return step * max(common_factor, 1)


def _hexagonal_steps(x: FLOATS, y: FLOATS) -> tuple[float, float] | None:
    """Row and point distance (dy, dx) of a hexagonal grid with rows along x, or None."""
    levels, row = _levels(y)
    row_gaps = _row_gaps(x, y)
    if levels.size < 3 or not row_gaps.size:
        return None
    gaps = np.diff(levels)
    dy, dx = _common_gap(gaps), _common_gap(row_gaps)
    if np.abs(gaps / dy - np.rint(gaps / dy)).max() > _OFF_GRID:
        return None
    if abs(dy / dx - np.sqrt(0.75)) > 0.03:
        return None
    # Odd rows stand half a step aside of even rows.
    phase = (x - x.min()) / dx - 0.5 * (np.rint((levels - levels[0]) / dy).astype(int) % 2)[row]
    # A circular mean tells where the nodes are, whichever rows are the shifted ones.
    angle = 2 * np.pi * phase
    if np.hypot(np.cos(angle).mean(), np.sin(angle).mean()) < 0.9:
        return None
    return dy, dx


def _resample_hexagonal(path: Path, x: FLOATS, y: FLOATS, dy: float, dx: float) -> Grid:
    """Square grid of the hexagonal grid's point distance.

    Each pixel takes the nearest point of the nearest row. Pixels are farther apart than rows,
    so no point is shown twice: a repeated point would be a false zero in every gradient.
    """
    dx, dy = _tidy(dx), _tidy(dy)
    columns = int(np.floor((x.max() - x.min()) / dx + 0.01)) + 1
    rows = int(np.floor((y.max() - y.min()) / dx + 0.01)) + 1
    _refuse_sparse(path, x.size, rows, columns)
    levels, level = _levels(y)
    order = np.lexsort((x, level))
    start = np.searchsorted(level[order], np.arange(levels.size + 1))
    # In shifted rows a pixel lies midway between two points: a nudge makes all pixels of a row
    # take the same side.
    at_x = x.min() + dx * (np.arange(columns) + 1e-3)
    point_of_pixel = np.full((rows, columns), -1, dtype=np.intp)
    for i in range(rows):
        at_y = y.min() + dx * i
        nearest = int(np.abs(levels - at_y).argmin())
        if abs(levels[nearest] - at_y) > 0.6 * dy:
            continue
        row = order[start[nearest] : start[nearest + 1]]
        right = np.searchsorted(x[row], at_x).clip(0, row.size - 1)
        left = (right - 1).clip(0)
        point = np.where(at_x - x[row[left]] < x[row[right]] - at_x, row[left], row[right])
        point_of_pixel[i] = np.where(np.abs(x[point] - at_x) < 0.6 * dx, point, -1)
    warnings = [
        f"The hexagonal grid (step {dx:g} um, rows {dy:g} um apart) was resampled to square "
        f"pixels of {dx:g} um, each showing the nearest point of the nearest "
        "row; source.hexagonal keeps the points."
    ]
    return Grid((rows, columns), (dx, dx), point_of_pixel, (dy, dx), warnings)


def _transposed(grid: Grid) -> Grid:
    """A grid with rows for columns, resampled from points in staggered columns."""
    assert grid.point_of_pixel is not None
    assert grid.hexagonal_step is not None
    return Grid(
        grid.shape[::-1],
        grid.step[::-1],
        np.ascontiguousarray(grid.point_of_pixel.T),
        grid.hexagonal_step[::-1],
        [warning.replace("row", "column") for warning in grid.warnings],
    )


def _compare_with_header(
    grid: Grid, shape: tuple[int, int] | None, step: tuple[float, float] | None
) -> None:
    measured = grid.hexagonal_step or grid.step
    if step and min(step) > 0:
        for axis, said, is_so in (("y", step[0], measured[0]), ("x", step[1], measured[1])):
            if abs(said - is_so) > 0.01 * is_so:
                grid.warnings.append(
                    f"The header says a {axis} step of {said:g} um; the coordinates say "
                    f"{is_so:g} um, which is used."
                )
    if shape and min(shape) > 0 and shape != grid.shape and grid.hexagonal_step is None:
        grid.warnings.append(
            f"The header declares {shape[0]} rows x {shape[1]} columns; the points fill "
            f"{grid.shape[0]} x {grid.shape[1]}."
        )
