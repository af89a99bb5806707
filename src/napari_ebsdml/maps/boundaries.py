"""Grain boundaries by kind: low angle, high angle, CSL sigma 3 (twins), phase boundary."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, over_rows
from napari_ebsdml._quaternion_kernels import product
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps._checks import check_angle
from napari_ebsdml.maps.disorientation import half_angle
from napari_ebsdml.maps.settings import MapSettings
from napari_ebsdml.maps.symmetry import phase_table

if TYPE_CHECKING:
    from napari_ebsdml.maps.symmetry import PhaseTable
    from napari_ebsdml.scan import Scan

BRANDON_SIGMA3 = 15.0 / math.sqrt(3.0)
"""Largest deviation from the ideal twin in degrees, 15 / sqrt(sigma)."""


class BoundaryKind(enum.IntEnum):
    """Kind of a boundary; where several meet in a pixel, the highest number is shown."""

    NONE = 0
    LOW_ANGLE = 1
    HIGH_ANGLE = 2
    SIGMA3 = 3
    PHASE = 4


@dataclass(frozen=True, eq=False)
class BoundarySegments:
    """Boundaries as line segments between pixels.

    Attributes
    ----------
    lines : (n, 2, 2) float64
        Ends of each segment as (y, x) in um; (0, 0) is the centre of the first pixel.
    kind : (n,) uint8
        A `BoundaryKind`.
    angle : (n,) float64
        Disorientation in degrees; NaN at phase boundaries.
    """

    lines: NDArray[np.float64]
    kind: NDArray[np.uint8]
    angle: NDArray[np.float64]

    def length(self, kind: BoundaryKind) -> float:
        """Sum of the lengths of one kind in um, along pixel sides (stairs are not smoothed)."""
        lines = self.lines[self.kind == kind]
        return float(np.linalg.norm(lines[:, 1] - lines[:, 0], axis=-1).sum())

    def runs(self) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Straight lines of one kind, joined from segments that continue each other.

        Returns
        -------
        lines : (m, 2, 2) float64
            Ends as (y, x) in um; m is at most the number of segments.
        kind : (m,) uint8
        """
        lines, kinds = [], []
        upright = self.lines[:, 0, 1] == self.lines[:, 1, 1]
        for along, these in ((0, upright), (1, ~upright)):
            part, kind = self.lines[these], self.kind[these]
            if not len(part):
                continue
            order = np.lexsort((part[:, 0, along], part[:, 0, 1 - along], kind))
            part, kind = part[order], kind[order]
            length = part[0, 1, along] - part[0, 0, along]
            continues = (
                (kind[1:] == kind[:-1])
                & (part[1:, 0, 1 - along] == part[:-1, 0, 1 - along])
                & (np.abs(part[1:, 0, along] - part[:-1, 1, along]) < 1e-3 * length)
            )
            first = np.flatnonzero(np.r_[True, ~continues])
            last = np.r_[first[1:] - 1, len(part) - 1]
            lines.append(np.stack((part[first, 0], part[last, 1]), axis=1))
            kinds.append(kind[first])
        if not lines:
            return self.lines, self.kind
        return np.concatenate(lines), np.concatenate(kinds)


def boundary_map(
    scan: Scan,
    low: float = MapSettings.boundary_low,
    high: float = MapSettings.boundary_high,
    sigma3: bool = MapSettings.boundary_sigma3,
    progress: Progress = None,
) -> NDArray[np.uint8]:
    """Boundaries as a map of kinds, one pixel wide.

    Each pixel shows the boundary that it shares with its right and its lower neighbour, the
    higher number of `BoundaryKind` first.

    Parameters
    ----------
    scan
        Map with orientations.
    low, high
        Degrees: boundaries from `low` count as low angle, from `high` on as high angle.
    sigma3
        Tell coherent and other twins of cubic phases from high-angle boundaries: within
        15/sqrt(3) = 8.66 degrees (Brandon's criterion) of 60 degrees about <111>.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    (rows, columns) uint8
        `BoundaryKind`; 0 inside grains and next to pixels that are not indexed.

    Raises
    ------
    InputError
        When not ``0 < low <= high <= 180``.
    MissingDataError
        When the scan has no orientations or a phase has no point group.

    Notes
    -----
    Brandon, Acta Metall. 14 (1966) 1479, doi:10.1016/0001-6160(66)90168-4.
    """
    kinds, _ = _classify(scan, low, high, sigma3, progress)
    return np.asarray(np.maximum(kinds[0], kinds[1]))


def boundary_segments(
    scan: Scan,
    low: float = MapSettings.boundary_low,
    high: float = MapSettings.boundary_high,
    sigma3: bool = MapSettings.boundary_sigma3,
    progress: Progress = None,
) -> BoundarySegments:
    """Boundaries as line segments between pixels; see `boundary_map` for the arguments."""
    kinds, angles = _classify(scan, low, high, sigma3, progress)
    dy, dx = scan.step
    lines = []
    for side in range(2):
        i, j = np.nonzero(kinds[side])
        # To the right neighbour the segment runs down the right side, else along the bottom.
        start = np.stack((i + (0.5 if side else -0.5), j + (-0.5 if side else 0.5)), axis=-1)
        end = np.stack((i + 0.5, j + 0.5), axis=-1)
        lines.append(np.stack((start, end), axis=1) * (dy, dx))
    there = kinds > 0
    return BoundarySegments(np.concatenate(lines), kinds[there], angles[there])


def _classify(
    scan: Scan, low: float, high: float, sigma3: bool, progress: Progress
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    low, high = check_angle("low", low), check_angle("high", high)
    if not 0 < low <= high:
        raise InputError(f"low must be above 0 and at most high; got low {low:g}, high {high:g}.")
    table = phase_table(scan)
    twins, n_twins = _packed_twins(table, sigma3)
    cosine = math.cos(math.radians(BRANDON_SIGMA3) / 2)
    kinds = np.zeros((2, *scan.shape), dtype=np.uint8)
    angles = np.full((2, *scan.shape), np.nan)

    def work(first: int, end: int) -> None:
        _kinds(
            table.quaternions, table.index, first, end, low, high, cosine, twins, n_twins,
            *table.symmetry, kinds, angles,
        )  # fmt: skip

    over_rows(work, scan.shape, progress)
    return kinds, angles


def _packed_twins(table: PhaseTable, sigma3: bool) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Per phase, all misorientations equivalent to the twin; none unless cubic."""
    counts = np.zeros(len(table.operators), dtype=np.int64)
    variants = []
    for p, (operators, count) in enumerate(zip(table.operators, table.count, strict=False)):
        # Only m-3m has 24 rotations; m-3 and 6/mmm have 12, of m-3 none by less than 120 degrees.
        real = operators[:count]
        cubic = count == 24 or (count == 12 and np.abs(real[1:, 0]).max() < 0.6)
        if sigma3 and cubic:
            variants.append(_twin_variants(np.ascontiguousarray(real).tobytes()))
            counts[p] = len(variants[-1])
        else:
            variants.append(np.zeros((0, 4)))
    packed = np.zeros((len(counts), max([len(v) for v in variants], default=0) or 1, 4))
    for p, v in enumerate(variants):
        packed[p, : len(v)] = v
    return packed, counts


@lru_cache(maxsize=4)
def _twin_variants(operators: bytes) -> NDArray[np.float64]:
    rotations = np.frombuffer(operators).reshape(-1, 4)
    half = math.radians(30.0)
    twin = np.array([math.cos(half), *(math.sin(half) / math.sqrt(3.0),) * 3])
    left = np.stack(product.py_func(*rotations.T, *twin), axis=-1)
    every = np.stack(
        product.py_func(*np.moveaxis(left[:, None], -1, 0), *np.moveaxis(rotations[None], -1, 0)),
        axis=-1,
    ).reshape(-1, 4)
    kept: list[NDArray[np.float64]] = []
    for q in every:
        if all(abs(float(q @ other)) < 1 - 1e-9 for other in kept):
            kept.append(q)
    return np.array(kept)


@njit(cache=True, nogil=True)
def _kinds(
    q: Any, index: Any, first: int, end: int, low: float, high: float, twin_cosine: float,
    twins: Any, n_twins: Any, operators: Any, count: Any, safe: Any, kinds: Any, angles: Any,
) -> None:  # fmt: skip
    rows, columns = index.shape
    for i in range(first, end):
        for j in range(columns):
            p = index[i, j]
            if p < 0:
                continue
            aw, ax, ay, az = q[i, j, 0], -q[i, j, 1], -q[i, j, 2], -q[i, j, 3]
            for side in range(2):
                k, m = i + side, j + 1 - side
                if k == rows or m == columns or index[k, m] < 0:
                    continue
                if index[k, m] != p:
                    kinds[side, i, j] = 4
                    continue
                w, x, y, z = product(q[k, m, 0], q[k, m, 1], q[k, m, 2], q[k, m, 3], aw, ax, ay, az)
                s2, c = half_angle(w, x, y, z, operators[p], count[p], safe[p])
                angle = math.degrees(2 * math.atan2(math.sqrt(s2), c))
                if angle < low:
                    continue
                angles[side, i, j] = angle
                kinds[side, i, j] = 1 if angle < high else 2
                if angle < high:
                    continue
                for t in range(n_twins[p]):
                    g = twins[p, t]
                    if abs(w * g[0] + x * g[1] + y * g[2] + z * g[3]) >= twin_cosine:
                        kinds[side, i, j] = 3
                        break
