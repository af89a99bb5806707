"""Kernel average misorientation (KAM) and misorientation to the next pixel."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, over_rows
from napari_ebsdml._quaternion_kernels import product
from napari_ebsdml.maps._checks import check_angle, check_count
from napari_ebsdml.maps.disorientation import half_angle
from napari_ebsdml.maps.settings import MapSettings
from napari_ebsdml.maps.symmetry import phase_table

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan


def kam(
    scan: Scan,
    order: int = MapSettings.kam_order,
    threshold: float = MapSettings.kam_threshold,
    progress: Progress = None,
) -> NDArray[np.float64]:
    """Kernel average misorientation.

    The mean disorientation of a pixel to all other pixels of a square around it. Left out of the
    mean are pixels outside the map, not indexed, of another phase, or disoriented by more than
    the threshold.

    Parameters
    ----------
    scan
        Map with orientations.
    order
        The square has ``2 * order + 1`` pixels a side: 1 for 3 x 3, as in the paper.
    threshold
        Degrees.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    (rows, columns) float64
        Degrees; 0 where not indexed (as in the paper) and where no pixel of the square is left.

    Raises
    ------
    InputError
        When an argument is out of range.
    MissingDataError
        When the scan has no orientations or a phase has no point group.

    Notes
    -----
    As in T. Martinez Ostormujof et al., "Deep Learning for automated phase segmentation in EBSD
    maps" (2021), https://hal.univ-lorraine.fr/hal-03450484, section 3.2: 3 x 3 pixels, 3 degrees,
    0 where not indexed.

    Examples
    --------
    >>> import napari_ebsdml as ebsdml
    >>> scan = ebsdml.samples.dual_phase_steel((40, 50), seed=0).scan
    >>> ebsdml.kam(scan, order=1, threshold=3.0).shape
    (40, 50)
    """
    order = check_count("order", order, 1)
    half = math.radians(check_angle("threshold", threshold)) / 2
    # Rounding must not decide about an angle that equals the threshold.
    limit = min(1.0, math.sin(half) ** 2 * (1 + 1e-9))
    table = phase_table(scan)
    out = np.zeros(scan.shape)

    def work(first: int, end: int) -> None:
        _kam(table.quaternions, table.index, first, end, order, limit, *table.symmetry, out)

    over_rows(work, scan.shape, progress)
    return out


@njit(cache=True, nogil=True)
def _kam(
    q: Any, index: Any, first: int, end: int, order: int, limit: float, operators: Any,
    count: Any, safe: Any, out: Any,
) -> None:  # fmt: skip
    rows, columns = index.shape
    for i in range(first, end):
        top, bottom = max(0, i - order), min(rows, i + order + 1)
        for j in range(columns):
            p = index[i, j]
            if p < 0:
                continue
            aw, ax, ay, az = q[i, j, 0], -q[i, j, 1], -q[i, j, 2], -q[i, j, 3]
            total, n = 0.0, 0
            for k in range(top, bottom):
                for m in range(max(0, j - order), min(columns, j + order + 1)):
                    if index[k, m] != p or (k == i and m == j):
                        continue
                    w, x, y, z = product(
                        q[k, m, 0], q[k, m, 1], q[k, m, 2], q[k, m, 3], aw, ax, ay, az
                    )
                    s2, c = half_angle(w, x, y, z, operators[p], count[p], safe[p])
                    if s2 <= limit:
                        total += math.atan2(math.sqrt(s2), c)
                        n += 1
            if n:
                out[i, j] = math.degrees(2 * total / n)


def misorientation_map(scan: Scan, progress: Progress = None) -> NDArray[np.float64]:
    """Disorientation of each pixel to its right and to its lower neighbour.

    Parameters
    ----------
    scan
        Map with orientations.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    (2, rows, columns) float64
        Degrees: ``[0]`` to the right neighbour, ``[1]`` to the lower one; NaN where there is no
        neighbour, one of the two is not indexed or they are of different phases.

    Raises
    ------
    MissingDataError
        When the scan has no orientations or a phase has no point group.
    """
    table = phase_table(scan)
    out = np.full((2, *scan.shape), np.nan)

    def work(first: int, end: int) -> None:
        _neighbours(table.quaternions, table.index, first, end, *table.symmetry, out)

    over_rows(work, scan.shape, progress)
    return out


@njit(cache=True, nogil=True)
def _neighbours(
    q: Any, index: Any, first: int, end: int, operators: Any, count: Any, safe: Any, out: Any
) -> None:
    rows, columns = index.shape
    for i in range(first, end):
        for j in range(columns):
            p = index[i, j]
            if p < 0:
                continue
            aw, ax, ay, az = q[i, j, 0], -q[i, j, 1], -q[i, j, 2], -q[i, j, 3]
            for side in range(2):
                k, m = i + side, j + 1 - side
                if k == rows or m == columns or index[k, m] != p:
                    continue
                w, x, y, z = product(q[k, m, 0], q[k, m, 1], q[k, m, 2], q[k, m, 3], aw, ax, ay, az)
                s2, c = half_angle(w, x, y, z, operators[p], count[p], safe[p])
                out[side, i, j] = math.degrees(2 * math.atan2(math.sqrt(s2), c))
