"""Gradients on the points of a hexagonal grid, as measured.

A `Scan` shows such a map on square pixels, each with the nearest point. Differences between those
pixels have the wrong distance and leave out every seventh row or so; here they are taken between
the points themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, over_rows
from napari_ebsdml.dislocations.gnd.curvature import rotation_vector
from napari_ebsdml.dislocations.gnd.grid import Grid
from napari_ebsdml.maps.disorientation import disorientation_angle
from napari_ebsdml.maps.symmetry import safe_cosine

if TYPE_CHECKING:
    from napari_ebsdml.scan import HexagonalPoints, Scan

CHANGED = (
    "The orientations are no longer those of the hexagonal points in scan.source: gradients are "
    "taken between the square pixels that show the nearest points, and have row stripes."
)
_IRREGULAR = (
    "The hexagonal points do not lie on a regular grid: gradients are taken between the square "
    "pixels that show the nearest points, and have row stripes."
)


def hexagonal_grid(scan: Scan) -> tuple[Grid | None, str]:
    """Grid of the points that a scan was resampled from; None, and why, where that cannot be.

    Both are empty for a map that was measured on a square grid.
    """
    points = scan.source.hexagonal
    if points is None:
        return None, ""
    if not _same_orientations(scan, points):
        return None, CHANGED
    dy, dx = points.step
    rows_staggered = dy < dx
    cell = (dy, dx / 2) if rows_staggered else (dy / 2, dx)
    row = np.rint((points.y - points.y.min()) / cell[0]).astype(np.intp)
    column = np.rint((points.x - points.x.min()) / cell[1]).astype(np.intp)
    odd = (row + column) % 2
    if min(odd.mean(), 1 - odd.mean()) > 0.01:
        return None, _IRREGULAR
    index = np.full((row.max() + 1, column.max() + 1), -1, dtype=np.intp)
    keep = odd == (odd.mean() > 0.5)
    index[row[keep], column[keep]] = np.flatnonzero(keep)
    return Grid(index, cell, "rows" if rows_staggered else "columns", points.nearest), ""


def _same_orientations(scan: Scan, points: HexagonalPoints) -> bool:
    """Whether the scan's pixels still show the points (or are no longer counted as indexed)."""
    if points.nearest.shape != scan.shape:
        return False
    shown = scan.is_indexed & (points.nearest >= 0)
    dots = (scan.quaternions[shown] * points.quaternions[points.nearest[shown]]).sum(axis=1)
    return bool((np.abs(dots) > 1 - 1e-9).all())


def point_orientations(scan: Scan) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """Quaternions (n, 4), specimen -> crystal, and phase of the points; 0 and -1: not indexed.

    What the scan no longer counts as indexed is not, either.
    """
    points = scan.source.hexagonal
    assert points is not None
    q, phase = points.quaternions.copy(), points.phase_id.copy()
    shown = points.nearest >= 0
    phase[points.nearest[shown]] = scan.phase_id[shown]
    q[phase < 0] = 0
    return q, phase


def point_labels(scan: Scan, labels: NDArray[Any], threshold: float) -> NDArray[np.int64]:
    """Grain of each point, from the grains of the pixels.

    A point that no pixel shows belongs to the grain of the pixel, among the four round it, whose
    orientation is nearest to its own, unless they differ by more than `threshold` degrees.
    """
    points = scan.source.hexagonal
    assert points is not None
    q, phase = point_orientations(scan)
    grains = np.zeros(len(q), dtype=np.int64)
    shown = points.nearest >= 0
    grains[points.nearest[shown]] = labels[shown]
    hidden = np.ones(len(q), dtype=bool)
    hidden[points.nearest[shown]] = False
    hidden &= phase >= 0
    at = np.stack(
        ((points.y - points.y.min()) / scan.step[0], (points.x - points.x.min()) / scan.step[1])
    )
    least = np.full(len(q), threshold)
    for number in np.unique(phase[hidden]):
        mine = np.flatnonzero(hidden & (phase == number))
        for down in (0, 1):
            for right in (0, 1):
                row = np.clip(np.floor(at[0, mine]).astype(int) + down, 0, scan.shape[0] - 1)
                column = np.clip(np.floor(at[1, mine]).astype(int) + right, 0, scan.shape[1] - 1)
                same = (scan.phase_id[row, column] == number) & (labels[row, column] > 0)
                some, r, c = mine[same], row[same], column[same]
                angle = disorientation_angle(
                    q[some], scan.quaternions[r, c], scan.phases[int(number)]
                )
                closer = angle < least[some]
                least[some[closer]] = angle[closer]
                grains[some[closer]] = labels[r[closer], c[closer]]
    return grains


def hexagonal_curvature(
    grid: Grid,
    quaternions: NDArray[np.float64],
    labels: NDArray[np.int64],
    stencil: str,
    operators: NDArray[np.float64],
    progress: Progress = None,
    reach: int = 1,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Curvature (n, 3, 3) and gain (n,) of the points, as `curvature_and_gain` has them.

    The plane through a point's own orientation that fits its up to six neighbours in the grain
    best; ``"one-sided"`` takes the next one in the line and the two in the line below.
    """
    curvature = np.full((len(quaternions), 3, 3), np.nan)
    gain = np.full(len(quaternions), np.nan)
    half = np.array(grid.directions, dtype=np.int64) * reach
    offsets = half if stencil == "one-sided" else np.concatenate((half, -half))
    operators = np.array(operators, dtype=np.float64)
    index, limit = np.ascontiguousarray(grid.index, dtype=np.int64), safe_cosine(operators)
    q = np.ascontiguousarray(quaternions, dtype=np.float64)
    norm = (q * q).sum(axis=1)
    grains = np.where((norm > 0.5) & (norm < 2.0), labels, 0).astype(np.int64)
    dy, dx = grid.cell

    def work(first: int, end: int) -> None:
        _fit(q, grains, index, offsets, operators, limit, dy, dx, first, end, curvature, gain)

    over_rows(work, index.shape, progress)
    return curvature, gain


@njit(cache=True, nogil=True)
def _fit(  # type: ignore[no-untyped-def]
    q, grains, index, offsets, operators, limit, dy, dx, first, end, curvature, gain
):
    rows, columns = index.shape
    v = np.empty(3)
    along_x = np.empty(3)
    along_y = np.empty(3)
    for r in range(first, end):
        for c in range(columns):
            p = index[r, c]
            if p < 0 or grains[p] <= 0:
                continue
            sxx = syy = sxy = sx = sy = 0.0
            along_x[:] = 0.0
            along_y[:] = 0.0
            for k in range(offsets.shape[0]):
                j, i = r + offsets[k, 0], c + offsets[k, 1]
                if j < 0 or i < 0 or j >= rows or i >= columns or index[j, i] < 0:
                    continue
                n = index[j, i]
                if grains[n] != grains[p]:
                    continue
                rotation_vector(q[p], q[n], operators, limit, v)
                x, y = offsets[k, 1] * dx, offsets[k, 0] * dy
                sxx += x * x
                syy += y * y
                sxy += x * y
                sx += x
                sy += y
                for m in range(3):
                    along_x[m] += x * v[m]
                    along_y[m] += y * v[m]
            determinant = sxx * syy - sxy * sxy
            if determinant <= 1e-6 * sxx * syy:
                continue
            for m in range(3):
                curvature[p, m, 0] = (syy * along_x[m] - sxy * along_y[m]) / determinant
                curvature[p, m, 1] = (sxx * along_y[m] - sxy * along_x[m]) / determinant
            # The neighbours' errors are independent, the point's own is in every difference.
            own_x = (syy * sx - sxy * sy) / determinant
            own_y = (sxx * sy - sxy * sx) / determinant
            variance_x = syy / determinant + own_x * own_x
            variance_y = sxx / determinant + own_y * own_y
            gain[p] = np.sqrt((variance_x + variance_y) / 2)
