"""Child grains and their neighbours: what a reconstruction of parent grains begins with."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, over_rows, part_of
from napari_ebsdml.grains.adjacency import facing, neighbours, widened
from napari_ebsdml.maps.disorientation import (
    disorientation_angle,
    nearest_operator,
    rotate_to_variant,
)
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.maps.mean_orientation import variants_and_means
from napari_ebsdml.maps.symmetry import phase_table

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

_SMALL_ANGLE = 10.0
"""Degrees; noise is read off neighbours that differ by less."""
_PAIRS = 200_000
_MEDIAN_OF_MAXWELL = 1.538
_NOISY = 0.5
"""Degrees about each axis; maps with more noise are smoothed before grains are sought."""
_REACH = 3.4
"""Standard deviations; 99 % of the differences between two noisy neighbours lie within it."""
BRIDGE = 3.0
"""Pixels; grains this close, with no grain between, are neighbours."""


class Children(NamedTuple):
    """Child grains, and grains of the parent phase where some is retained, of one map."""

    scan: Scan
    """The two phases alone, smoothed where noise asks for it."""
    labels: Ints
    """(rows, columns) grain of each pixel; 0 for none."""
    wide: Ints
    """The same with seams up to `BRIDGE` pixels filled by the nearest grain."""
    means: Floats
    """(n, 4) mean orientation; row i is that of label i, row 0 is empty."""
    area: NDArray[np.float64]
    """(n,) pixels."""
    is_parent: NDArray[np.bool_]
    """(n,) of the parent phase."""
    pairs: Ints
    """(m, 2) labels of neighbours, the smaller first."""
    length: NDArray[np.float64]
    """(m,) pixel edges that they share."""
    facing: Floats
    """(m, 2) mean normals, x and y, of these boundaries, of unit length."""
    noise: float
    """Standard deviation of the orientation about each axis in degrees, as estimated."""


def find_children(
    scan: Scan,
    child: int,
    parent: int | None,
    threshold: float,
    min_pixels: int,
    progress: Progress = None,
) -> Children:
    """Segment the grains of two phases, and tell which of them touch."""
    kept = (scan.phase_id == child) | (scan.phase_id == (child if parent is None else parent))
    only = scan if kept.all() else scan.without(~kept)
    noise = orientation_noise(only, child)
    if noise > _NOISY:
        only = smoothed(only, noise, part_of(progress, 0.0, 0.5))
    labels = segment_grains(only, threshold, min_pixels, part_of(progress, 0.5, 0.7))
    table = phase_table(only)
    _, means, phase = variants_and_means(only, labels, table, part_of(progress, 0.7, 0.9))
    is_parent = np.zeros(len(means), dtype=bool)
    if parent is not None and (table.ids == parent).any():
        is_parent = phase == int(np.flatnonzero(table.ids == parent)[0])
    area = np.bincount(labels.ravel(), minlength=len(means)).astype(np.float64)
    wide = widened(labels, BRIDGE)
    pairs, length = neighbours(wide, len(means))
    if progress is not None:
        progress(1.0)
    normals = facing(wide, pairs, len(means), scan.step)
    return Children(only, labels, wide, means, area, is_parent, pairs, length, normals, noise)


def orientation_noise(scan: Scan, phase: int) -> float:
    """Scatter of the orientation about each axis in degrees, from neighbours in rows.

    Median of the disorientations below 10 degrees; for independent normal errors it is 1.538
    times the standard deviation of the difference of two of them.
    """
    same = (scan.phase_id[:, 1:] == phase) & (scan.phase_id[:, :-1] == phase)
    at = np.flatnonzero(same)
    if not len(at):
        return 0.0
    at = at[:: max(1, len(at) // _PAIRS)]
    row, column = np.divmod(at, scan.shape[1] - 1)
    angles = disorientation_angle(
        scan.quaternions[row, column], scan.quaternions[row, column + 1], scan.phases[phase]
    )
    small = angles[angles < _SMALL_ANGLE]
    if not len(small):
        return 0.0
    return float(np.median(small)) / _MEDIAN_OF_MAXWELL / math.sqrt(2)


def smoothed(scan: Scan, noise: float, progress: Progress = None) -> Scan:
    """Average each pixel with those of its eight neighbours that noise alone can tell from it.

    Twice; what is left of the noise after the first time sets the limit of the second. A lone
    wrong solution has no such neighbour and stays what it is.
    """
    table = phase_table(scan)
    before = table.quaternions
    for number, left in enumerate((noise, noise / 2.5)):
        limit = max(_REACH * left * math.sqrt(2), 2.0)
        closest = math.cos(math.radians(min(limit, 15.0)) / 2)
        after = np.zeros_like(before)

        def work(
            first: int, end: int, before: Any = before, closest: Any = closest, after: Any = after
        ) -> None:
            _smooth(before, table.index, *table.symmetry[:2], closest, first, end, after)

        over_rows(work, scan.shape, part_of(progress, number / 2, (number + 1) / 2))
        before = after
    return dataclasses.replace(scan, quaternions=before)


@njit(cache=True, nogil=True)
def _smooth(
    q: Any, index: Any, operators: Any, count: Any, closest: float, first: int, end: int, out: Any
) -> None:
    rows, columns = index.shape
    turned = np.empty(4)
    total = np.empty(4)
    for i in range(first, end):
        for j in range(columns):
            p = index[i, j]
            if p < 0:
                continue
            here = q[i, j]
            total[:] = here
            for k in range(max(0, i - 1), min(rows, i + 2)):
                for m in range(max(0, j - 1), min(columns, j + 2)):
                    if (k == i and m == j) or index[k, m] != p:
                        continue
                    near = q[k, m]
                    c = (
                        near[0] * here[0] + near[1] * here[1]
                        + near[2] * here[2] + near[3] * here[3]
                    )  # fmt: skip
                    if abs(c) > closest:
                        sign = 1.0 if c > 0 else -1.0
                        for a in range(4):
                            total[a] += sign * near[a]
                        continue
                    at, sign = nearest_operator(near, here, operators[p], count[p])
                    rotate_to_variant(near, operators[p], at, sign, turned)
                    c = (
                        turned[0] * here[0] + turned[1] * here[1]
                        + turned[2] * here[2] + turned[3] * here[3]
                    )  # fmt: skip
                    if c > closest:
                        total += turned
            norm = math.sqrt(total[0] ** 2 + total[1] ** 2 + total[2] ** 2 + total[3] ** 2)
            for a in range(4):
                out[i, j, a] = total[a] / norm
