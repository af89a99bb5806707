"""Orientation of a pixel's surroundings in numbers that no symmetry or rotation changes.

Raw quaternions tell a network about grains only after it has learned what a misorientation is
under 24 symmetry operations. Disorientation angles between pixels say it at once, whatever the
orientation of the specimen and whichever symmetry variant the file holds.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, nth_of, over_rows
from napari_ebsdml._quaternion_kernels import product
from napari_ebsdml.maps.disorientation import half_angle
from napari_ebsdml.maps.symmetry import phase_table

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

DISTANCES = (1, 2, 4)
"""Distances of the neighbours that are compared, in pixels."""

SMALL = 5.0
"""Degrees; disorientations below count as orientation spread, from here on as boundaries."""

VARIANT_BAND = (47.0, 63.0)
"""Degrees; Kurdjumov-Sachs variants, and twins of cubic crystals, differ by so much."""

LOCAL_NAMES = tuple(
    f"{name} at {distance} px"
    for distance in DISTANCES
    for name in ("orientation spread", "boundaries", "variant boundaries")
)


def local_misorientation(scan: Scan, progress: Progress = None) -> NDArray[np.float32]:
    """Compare each pixel with its eight neighbours at several distances.

    Parameters
    ----------
    scan
        Map with orientations.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    (9, rows, columns) float32
        For each of `DISTANCES`: mean disorientation in degrees of the neighbours that are
        disoriented by less than `SMALL` (0 where there is none); part of the neighbours beyond
        `SMALL`; part of them within `VARIANT_BAND`. 0 where not indexed. Neighbours that are
        not indexed are left out, those of another phase count as boundaries.

    Raises
    ------
    MissingDataError
        When the scan has no orientations or a phase has no point group.
    """
    table = phase_table(scan)
    out = np.zeros((len(LOCAL_NAMES), *scan.shape), dtype=np.float32)
    for number, distance in enumerate(DISTANCES):
        part = out[3 * number : 3 * number + 3]

        def work(first: int, end: int, part: Any = part, distance: int = distance) -> None:
            _compare(
                table.quaternions, table.index, first, end, distance, SMALL, *VARIANT_BAND,
                *table.symmetry, part,
            )  # fmt: skip

        over_rows(work, scan.shape, nth_of(progress, number, len(DISTANCES)))
    return out


@njit(cache=True, nogil=True)
def _compare(
    q: Any, index: Any, first: int, end: int, distance: int, small: float, low: float,
    high: float, operators: Any, count: Any, safe: Any, out: Any,
) -> None:  # fmt: skip
    rows, columns = index.shape
    for i in range(first, end):
        for j in range(columns):
            p = index[i, j]
            if p < 0:
                continue
            aw, ax, ay, az = q[i, j, 0], -q[i, j, 1], -q[i, j, 2], -q[i, j, 3]
            total, n_small, n_large, n_variant = 0.0, 0, 0, 0
            for di in range(-1, 2):
                for dj in range(-1, 2):
                    k, m = i + di * distance, j + dj * distance
                    if (di == 0 and dj == 0) or k < 0 or m < 0 or k >= rows or m >= columns:
                        continue
                    if index[k, m] < 0:
                        continue
                    if index[k, m] != p:
                        n_large += 1
                        continue
                    w, x, y, z = product(
                        q[k, m, 0], q[k, m, 1], q[k, m, 2], q[k, m, 3], aw, ax, ay, az
                    )
                    s2, c = half_angle(w, x, y, z, operators[p], count[p], safe[p])
                    angle = math.degrees(2 * math.atan2(math.sqrt(s2), c))
                    if angle < small:
                        total += angle
                        n_small += 1
                    else:
                        n_large += 1
                        if low <= angle <= high:
                            n_variant += 1
            n = n_small + n_large
            if n_small:
                out[0, i, j] = total / n_small
            if n:
                out[1, i, j] = n_large / n
                out[2, i, j] = n_variant / n
