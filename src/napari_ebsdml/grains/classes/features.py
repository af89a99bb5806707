"""What a grain looks like, in numbers that a classifier can use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.errors import MissingDataError
from napari_ebsdml.grains.adjacency import neighbours, widened
from napari_ebsdml.maps.disorientation import disorientation_angle
from napari_ebsdml.maps.grain_properties import grain_table
from napari_ebsdml.maps.grains import check_labels
from napari_ebsdml.maps.misorientation import kam

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

Floats = NDArray[np.float64]

_QUALITY = ("BC", "BS", "IQ", "CI", "MAD", "fit")
_BRIDGE = 3.0
_HIGH = 15.0


@dataclass(frozen=True, eq=False)
class GrainFeatures:
    """Features of the grains of a map.

    Attributes
    ----------
    names
        One a column.
    values : (labels + 1, features) float64
        Row i belongs to grain i; NaN where a grain has none (label 0, labels that do not occur).
    pixels : (labels + 1,) int64
    labels : (rows, columns) int32
        The grains.
    """

    names: tuple[str, ...]
    values: Floats
    pixels: NDArray[np.int64]
    labels: NDArray[np.int32]

    @property
    def exists(self) -> NDArray[np.bool_]:
        """Which labels occur, (labels + 1,)."""
        return np.asarray((self.pixels > 0) & (np.arange(len(self.pixels)) > 0))


def grain_features(scan: Scan, labels: ArrayLike, progress: Progress = None) -> GrainFeatures:
    """Measure what may tell one kind of grain from another.

    Size (logarithm of the equivalent diameter in um), aspect ratio, roundness (4 pi area /
    perimeter^2), GOS and mean KAM in degrees; mean and spread of each quality figure (BC, BS, IQ,
    CI, MAD, fit) that the map has; phase (one column each, where there are several); mean
    disorientation of the boundary and how much of it is below 15 degrees or to another phase;
    and the neighbours' mean of size, GOS, KAM and quality, by shared boundary.

    Parameters
    ----------
    scan
        Map with orientations.
    labels : (rows, columns) int
        Grains, as from `segment_grains`; 0 for no grain.
    progress
        Called with the fraction done; may raise to cancel.

    Raises
    ------
    InputError, MissingDataError
        As `grain_table`; MissingDataError when there is no grain.
    """
    grains = check_labels(scan, labels)
    if not grains.any():
        raise MissingDataError(f"{scan.name} has no grain: segment_grains finds them.")
    present = {name.casefold() for name in scan.prop}
    quality = [name for name in _QUALITY if name.casefold() in present]
    table = grain_table(scan, grains, quality, part_of(progress, 0.0, 0.6))
    ids, n = table["id"], int(grains.max()) + 1
    pixels = np.bincount(grains.ravel(), minlength=n)
    columns: dict[str, Floats] = {
        "log diameter": np.log(table["equivalent_diameter"]),
        "aspect ratio": np.minimum(table["aspect_ratio"], 50.0),
        "roundness": 4 * np.pi * table["area"] / np.maximum(table["perimeter"], 1e-12) ** 2,
        "GOS": table["gos"],
        "KAM": _mean(np.asarray(kam(scan)), grains, n)[ids],
    }
    for name in quality:
        columns[name] = table[f"mean_{name}"]
        values = np.asarray(scan.get(name), dtype=np.float64)
        square = _mean(values**2, grains, n)[ids] - _mean(values, grains, n)[ids] ** 2
        columns[f"{name} spread"] = np.sqrt(np.maximum(square, 0.0))
    if progress is not None:
        progress(0.8)
    phases = np.unique(table["phase"])
    if len(phases) > 1:
        for number in phases:
            columns[f"phase {number}"] = (table["phase"] == number).astype(np.float64)
    own = np.full((n, len(columns)), np.nan)
    own[ids] = np.stack(list(columns.values()), axis=1)
    phase = np.full(n, -1)
    phase[ids] = table["phase"]
    means = np.zeros((n, 4))
    means[ids] = np.stack([table[f"mean_{c}"] for c in "wxyz"], axis=1)
    around, titles = _surroundings(scan, grains, own, list(columns), quality, phase, means)
    values = np.concatenate([own, around], axis=1)
    if progress is not None:
        progress(1.0)
    return GrainFeatures((*columns, *titles), values, pixels, grains)


def _mean(values: Floats, labels: NDArray[np.int32], n: int) -> Floats:
    use = (labels > 0) & np.isfinite(values)
    hits = np.bincount(labels[use], minlength=n)
    return np.asarray(np.bincount(labels[use], values[use], n) / np.maximum(hits, 1))


def _surroundings(
    scan: Scan,
    labels: NDArray[np.int32],
    own: Floats,
    names: list[str],
    quality: list[str],
    phase: NDArray[np.int64],
    means: Floats,
) -> tuple[Floats, list[str]]:
    """Boundary and neighbours of each grain."""
    n = len(own)
    pairs, length = neighbours(widened(labels, _BRIDGE), n)
    a, b = pairs[:, 0], pairs[:, 1]
    angle = np.full(len(a), np.nan)
    for number in np.unique(phase[phase >= 0]):
        same = (phase[a] == number) & (phase[b] == number)
        angle[same] = disorientation_angle(means[a[same]], means[b[same]], scan.phases[int(number)])
    ends, other = np.concatenate([a, b]), np.concatenate([b, a])
    weight, angles = np.tile(length, 2), np.tile(angle, 2)
    total = np.maximum(np.bincount(ends, weight, n), 1e-12)
    inner = np.isfinite(angles)
    held = np.maximum(np.bincount(ends[inner], weight[inner], n), 1e-12)
    low = inner & (angles < _HIGH)
    found = [
        np.bincount(ends[inner], (weight * np.nan_to_num(angles))[inner], n) / held,
        np.bincount(ends[low], weight[low], n) / total,
    ]
    titles = ["boundary angle", "low-angle boundary"]
    if len(np.unique(phase[phase >= 0])) > 1:
        found.append(np.bincount(ends[~inner], weight[~inner], n) / total)
        titles.append("boundary to other phases")
    for name in ("log diameter", "GOS", "KAM", *quality):
        value = own[other, names.index(name)]
        known = np.isfinite(value)
        share = np.bincount(ends[known], (weight * np.nan_to_num(value))[known], n)
        around = share / np.maximum(np.bincount(ends[known], weight[known], n), 1e-12)
        # A grain without neighbours is its own surroundings.
        lonely = np.bincount(ends, minlength=n) == 0
        found.append(np.where(lonely, own[:, names.index(name)], around))
        titles.append(f"neighbours' {name}")
    return np.stack(found, axis=1), titles
