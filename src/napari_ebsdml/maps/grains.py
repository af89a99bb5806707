"""Grains: connected pixels of one phase with small disorientation between neighbours."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._parallel import Progress, over_rows, part_of
from napari_ebsdml._quaternion_kernels import product
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps._checks import check_angle, check_count
from napari_ebsdml.maps.disorientation import half_angle
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD, MapSettings
from napari_ebsdml.maps.symmetry import phase_table
from napari_ebsdml.scan import Scan, checked_scan

_RIGHT, _DOWN = 1, 2


def segment_grains(
    scan: Scan,
    threshold: float = GRAIN_THRESHOLD,
    min_pixels: int = MapSettings.grain_min_pixels,
    progress: Progress = None,
) -> NDArray[np.int32]:
    """Label the grains of a map.

    Two neighbours (4-connected) belong together when they are of one phase and their
    disorientation is below the threshold; a grain is a connected set of such pixels. A slow
    gradient may therefore sum up to more than the threshold within a grain.

    Parameters
    ----------
    scan
        Map with orientations.
    threshold
        Degrees.
    min_pixels
        Smaller grains get label 0: a few stray pixels are mostly wrongly indexed, and joined to
        a neighbour they would falsify its mean orientation.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    (rows, columns) int32
        1, 2, ... in the order of each grain's first pixel, row by row; 0 where not indexed and
        in grains below `min_pixels`.

    Raises
    ------
    InputError
        When an argument is out of range.
    MissingDataError
        When the scan has no orientations or a phase has no point group.

    Examples
    --------
    >>> import napari_ebsdml as ebsdml
    >>> scan = ebsdml.samples.dual_phase_steel((40, 50), seed=0).scan
    >>> grains = ebsdml.segment_grains(scan, threshold=5.0, min_pixels=5)
    >>> bool((grains[~scan.is_indexed] == 0).all())
    True
    """
    limit = math.sin(math.radians(check_angle("threshold", threshold)) / 2) ** 2
    min_pixels = check_count("min_pixels", min_pixels, 1)
    table = phase_table(scan)
    links = np.empty(scan.shape, dtype=np.uint8)

    def work(first: int, end: int) -> None:
        _link(table.quaternions, table.index, first, end, limit, *table.symmetry, links)

    over_rows(work, scan.shape, part_of(progress, 0.0, 0.7))
    labels = np.empty(scan.shape, dtype=np.int32)
    _label(links, table.index, min_pixels, labels)
    if progress is not None:
        progress(1.0)
    return labels


@njit(cache=True, nogil=True)
def _link(
    q: Any, index: Any, first: int, end: int, limit: float, operators: Any, count: Any,
    safe: Any, links: Any,
) -> None:  # fmt: skip
    rows, columns = index.shape
    for i in range(first, end):
        for j in range(columns):
            p = index[i, j]
            bits = 0
            if p >= 0:
                aw, ax, ay, az = q[i, j, 0], -q[i, j, 1], -q[i, j, 2], -q[i, j, 3]
                for side in (_RIGHT, _DOWN):
                    k = i + 1 if side == _DOWN else i
                    m = j + 1 if side == _RIGHT else j
                    if k == rows or m == columns or index[k, m] != p:
                        continue
                    w, x, y, z = product(
                        q[k, m, 0], q[k, m, 1], q[k, m, 2], q[k, m, 3], aw, ax, ay, az
                    )
                    s2, _ = half_angle(w, x, y, z, operators[p], count[p], safe[p])
                    if s2 < limit:
                        bits |= side
            links[i, j] = bits


@njit(cache=True, nogil=True)
def _root(parent: Any, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def _label(links: Any, index: Any, min_pixels: int, labels: Any) -> None:
    rows, columns = links.shape
    parent = np.arange(rows * columns, dtype=np.int32)
    for i in range(rows):
        for j in range(columns):
            here = i * columns + j
            for side, step in ((_RIGHT, 1), (_DOWN, columns)):
                if links[i, j] & side:
                    a, b = _root(parent, here), _root(parent, here + step)
                    # The earlier pixel becomes the root: labels follow the order of first pixels.
                    if a < b:
                        parent[b] = a
                    elif b < a:
                        parent[a] = b
    size = np.zeros(rows * columns, dtype=np.int32)
    for here in range(rows * columns):
        root = _root(parent, here)
        parent[here] = root
        size[root] += 1
    last = 0
    for here in range(rows * columns):
        i, j = here // columns, here % columns
        root = parent[here]
        if index[i, j] < 0 or size[root] < min_pixels:
            labels[i, j] = 0
        elif root == here:
            last += 1
            labels[i, j] = last
        else:
            labels[i, j] = labels[root // columns, root % columns]


def check_labels(scan: Scan, labels: ArrayLike) -> NDArray[np.int32]:
    """Return `labels` as int32, checked against the scan.

    Raises
    ------
    InputError
        When they are not whole numbers >= 0 of the map's shape, or larger than the number of
        pixels.
    """
    checked_scan(scan)
    array = np.asarray(labels)
    if array.shape != scan.shape:
        raise InputError(f"labels have shape {array.shape}; {scan.name} has {scan.shape}.")
    if array.dtype.kind not in "iu":
        raise InputError(f"labels must be whole numbers, not {array.dtype}.")
    lowest, highest = int(array.min()), int(array.max())
    if lowest < 0 or highest > array.size:
        raise InputError(
            f"labels run from {lowest} to {highest}; they must be 0 (no grain) to the number of "
            f"pixels ({array.size}). skimage.segmentation.relabel_sequential renumbers them."
        )
    return np.ascontiguousarray(array, dtype=np.int32)
