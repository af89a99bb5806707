"""What is measured per grain: size, shape, orientation, orientation spread."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._parallel import Progress, over_rows
from napari_ebsdml._quaternion_kernels import product
from napari_ebsdml.maps.disorientation import half_angle
from napari_ebsdml.maps.grains import check_labels
from napari_ebsdml.maps.mean_orientation import variants_and_means
from napari_ebsdml.maps.symmetry import PhaseTable, phase_table

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

_QUALITY = ("BC", "BS", "MAD", "IQ", "CI", "fit")


def grod(scan: Scan, labels: ArrayLike, progress: Progress = None) -> NDArray[np.float64]:
    """Grain reference orientation deviation: disorientation to the grain's mean orientation.

    Parameters
    ----------
    scan
        Map with orientations.
    labels : (rows, columns) int
        Grains, as from `segment_grains`; 0 for no grain.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    (rows, columns) float64
        Degrees; 0 where not indexed or in no grain.

    Raises
    ------
    InputError
        When the labels do not fit the scan, or a grain covers two phases.
    MissingDataError
        When the scan has no orientations or a phase has no point group.
    """
    grains = check_labels(scan, labels)
    table = phase_table(scan)
    _, means, _ = variants_and_means(scan, grains, table)
    return _deviation(scan, grains, table, means, progress)


def gos(scan: Scan, labels: ArrayLike) -> NDArray[np.float64]:
    """Grain orientation spread: mean of the `grod` of a grain's pixels.

    Parameters
    ----------
    scan
        Map with orientations.
    labels : (rows, columns) int
        Grains, as from `segment_grains`; 0 for no grain.

    Returns
    -------
    (labels.max() + 1,) float64
        Degrees; entry i belongs to label i, so that ``gos(scan, labels)[labels]`` is a map. 0 for
        label 0 and for labels without an indexed pixel.

    Raises
    ------
    InputError, MissingDataError
        As `grod`.
    """
    grains = check_labels(scan, labels)
    table = phase_table(scan)
    _, means, _ = variants_and_means(scan, grains, table)
    return _mean_per_label(_deviation(scan, grains, table, means), grains, table.index >= 0, 0.0)


def grain_table(
    scan: Scan,
    labels: ArrayLike,
    properties: Sequence[str] | None = None,
    progress: Progress = None,
) -> dict[str, NDArray[Any]]:
    """Measure every grain.

    Parameters
    ----------
    scan
        Map with orientations.
    labels : (rows, columns) int
        Grains, as from `segment_grains`; 0 for no grain.
    properties
        Names in `Scan.prop` to average over each grain. Default: those present of BC, BS, MAD,
        IQ, CI and fit.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    dict of name -> (grains,) array
        One row per label that occurs, in ascending order; ``pandas.DataFrame(table)`` works.

        - ``id``: label; ``phase``: `Scan.phase_id`, -1 without an indexed pixel; ``pixels``
        - ``area`` um^2; ``equivalent_diameter`` um, of the circle of the same area
        - ``centroid_y``, ``centroid_x`` um, from the centre of the first pixel
        - ``major_axis``, ``minor_axis`` um, full axes of the ellipse with the same second
          moments; ``aspect_ratio`` >= 1; ``ellipse_angle`` degrees in [0, 180) of the major axis,
          from x (right) towards y (down)
        - ``perimeter`` um, by Crofton's formula in four directions; the map's edge counts
        - ``touches_edge``: cut by the edge of the map, so that size and shape are too small
        - ``mean_w`` ... ``mean_z``: mean orientation in the fundamental zone
        - ``gos``: grain orientation spread in degrees
        - ``mean_<name>`` for each property, not-finite values left out

    Raises
    ------
    InputError
        When the labels do not fit the scan, or a grain covers two phases.
    MissingDataError
        When the scan has no orientations, lacks a property, or a phase has no point group.
    """
    grains = check_labels(scan, labels)
    if properties is None:
        present = {name.casefold() for name in scan.prop}
        properties = [name for name in _QUALITY if name.casefold() in present]
    averaged = {name: scan.get(name) for name in properties}
    table = phase_table(scan)
    _, means, phase = variants_and_means(scan, grains, table)
    if progress is not None:
        progress(0.4)
    deviation = _deviation(scan, grains, table, means)
    spread = _mean_per_label(deviation, grains, table.index >= 0, 0.0)
    if progress is not None:
        progress(0.6)

    sums, crossings, edge = _counted(grains, len(means))
    ids = np.flatnonzero(sums[:, 0])
    ids = ids[ids > 0]
    pixels, sy, sx, syy, sxx, sxy = sums[ids].T
    dy, dx = scan.step
    y, x = sy / pixels, sx / pixels
    # Each pixel is a rectangle, not a point: it adds step^2 / 12 to the moments.
    vyy = (np.maximum(syy / pixels - y * y, 0) + 1 / 12) * dy * dy
    vxx = (np.maximum(sxx / pixels - x * x, 0) + 1 / 12) * dx * dx
    vxy = (sxy / pixels - x * y) * dx * dy
    root = np.hypot((vxx - vyy) / 2, vxy)
    large, small = (vxx + vyy) / 2 + root, (vxx + vyy) / 2 - root
    area = pixels * dy * dx
    row_of_id = np.append(table.ids, -1)
    result: dict[str, NDArray[Any]] = {
        "id": ids.astype(np.int32),
        "phase": row_of_id[phase[ids]].astype(np.int32),
        "pixels": pixels.astype(np.int64),
        "area": area,
        "equivalent_diameter": np.sqrt(4 * area / np.pi),
        "centroid_y": y * dy,
        "centroid_x": x * dx,
        "major_axis": 4 * np.sqrt(large),
        "minor_axis": 4 * np.sqrt(small),
        "aspect_ratio": np.sqrt(large / small),
        "ellipse_angle": np.mod(np.degrees(0.5 * np.arctan2(2 * vxy, vxx - vyy)), 180.0),
        "perimeter": crossings[ids] @ _crofton_weights(dy, dx),
        "touches_edge": edge[ids],
    }
    for n, letter in enumerate("wxyz"):
        result[f"mean_{letter}"] = means[ids, n]
    result["gos"] = spread[ids]
    for name, values in averaged.items():
        finite = np.isfinite(values)
        result[f"mean_{name}"] = _mean_per_label(values, grains, finite, np.nan, len(means))[ids]
    if progress is not None:
        progress(1.0)
    return result


def grain_sizes(
    labels: NDArray[np.int32], step: tuple[float, float]
) -> tuple[NDArray[np.intp], NDArray[np.float64], NDArray[np.float64]]:
    """Labels that occur, and the area in um^2 and perimeter in um of each, as in `grain_table`."""
    sums, crossings, _ = _counted(labels, int(labels.max(initial=0)) + 1)
    ids = np.flatnonzero(sums[:, 0])
    ids = ids[ids > 0]
    dy, dx = step
    return ids, sums[ids, 0] * dy * dx, crossings[ids] @ _crofton_weights(dy, dx)


def _counted(
    labels: NDArray[np.int32], length: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Sums over the pixels of each label, its crossings by lines, and whether it is cut."""
    sums = np.zeros((length, 6))
    crossings = np.zeros((length, 4), dtype=np.int64)
    edge = np.zeros(length, dtype=np.bool_)
    _measure(labels, sums, crossings, edge)
    return sums, crossings, edge


def _deviation(
    scan: Scan,
    labels: NDArray[np.int32],
    table: PhaseTable,
    means: NDArray[np.float64],
    progress: Progress = None,
) -> NDArray[np.float64]:
    out = np.zeros(scan.shape)

    def work(first: int, end: int) -> None:
        _grod(table.quaternions, table.index, labels, means, first, end, *table.symmetry, out)

    over_rows(work, scan.shape, progress)
    return out


def _mean_per_label(
    values: NDArray[Any],
    labels: NDArray[np.int32],
    use: NDArray[np.bool_],
    empty: float,
    length: int | None = None,
) -> NDArray[np.float64]:
    length = length or int(labels.max()) + 1
    use = use & (labels > 0)
    counts = np.bincount(labels[use], minlength=length)
    sums = np.bincount(labels[use], weights=values[use].astype(np.float64), minlength=length)
    return np.asarray(np.divide(sums, counts, out=np.full(length, empty), where=counts > 0))


def _crofton_weights(dy: float, dx: float) -> NDArray[np.float64]:
    """Length per crossing of grid lines along x, along y and along the two diagonals.

    Crofton's formula L = 1/2 int dtheta int dp N(theta, p) with four directions; each stands for
    the angles closest to it, and its lines lie `spacing` apart.
    """
    diagonal = math.atan2(dy, dx)
    spread = np.array([diagonal, np.pi / 2 - diagonal, np.pi / 4, np.pi / 4])
    spacing = np.array([dy, dx, dy * dx / math.hypot(dy, dx), dy * dx / math.hypot(dy, dx)])
    return np.asarray(0.5 * spread * spacing)


@njit(cache=True, nogil=True)
def _grod(
    q: Any, index: Any, labels: Any, means: Any, first: int, end: int, operators: Any,
    count: Any, safe: Any, out: Any,
) -> None:  # fmt: skip
    for i in range(first, end):
        for j in range(index.shape[1]):
            p, label = index[i, j], labels[i, j]
            if p < 0 or label <= 0:
                continue
            m = means[label]
            w, x, y, z = product(
                q[i, j, 0], q[i, j, 1], q[i, j, 2], q[i, j, 3], m[0], -m[1], -m[2], -m[3]
            )
            s2, c = half_angle(w, x, y, z, operators[p], count[p], safe[p])
            out[i, j] = math.degrees(2 * math.atan2(math.sqrt(s2), c))


@njit(cache=True, nogil=True)
def _measure(labels: Any, sums: Any, crossings: Any, edge: Any) -> None:
    rows, columns = labels.shape
    for i in range(rows):
        for j in range(columns):
            label = labels[i, j]
            if label <= 0:
                continue
            row = sums[label]
            row[0] += 1
            row[1] += i
            row[2] += j
            row[3] += i * i
            row[4] += j * j
            row[5] += i * j
            if i == 0 or j == 0 or i == rows - 1 or j == columns - 1:
                edge[label] = True
            # Along each of four lines the grain is left, or entered, where the label changes.
            for line in range(4):
                di, dj = int(line != 0), (1, 0, 1, -1)[line]
                for way in (1, -1):
                    k, m = i + way * di, j + way * dj
                    out = k < 0 or m < 0 or k == rows or m == columns
                    if out or labels[k, m] != label:
                        crossings[label, line] += 1
