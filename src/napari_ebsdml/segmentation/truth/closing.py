"""Grains whose open boundaries are closed: a 2 degree boundary goes on where it weakens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_ebsdml._parallel import Progress
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.disorientation import disorientation_angle
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.segmentation.settings import TRUTH_GRAIN_THRESHOLD

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

_SMALLEST = 4


def closed_grains(
    scan: Scan,
    threshold: float = TRUTH_GRAIN_THRESHOLD,
    down_to: float = 0.6,
    gap: int = 4,
    progress: Progress = None,
) -> NDArray[np.int32]:
    """Grains of `segment_grains`, cut where a boundary is open.

    Two grains that differ by more than the threshold along most of their boundary, and by less
    along a part of it, are one grain for `segment_grains`. Here a grain is cut at necks narrower
    than `gap` between stretches of its own inner boundary, along the ridge of the local
    disorientation, where that is above `down_to` in the mean.

    Parameters
    ----------
    scan
        Map with orientations.
    threshold
        Degrees, of a boundary.
    down_to
        Degrees, mean disorientation across a cut at the least. Noise lies below some 0.5 degrees.
    gap
        Widest neck that is closed, in pixels.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    (rows, columns) int32
        From 1; 0 where not indexed.

    Raises
    ------
    InputError
        When a number is out of range.
    MissingDataError
        When the scan has no orientations or a phase has no point group.

    Notes
    -----
    The article's grains were "detected at 2 degrees closing boundaries down to 0 degrees"
    (hal-03450484, section 2.3, by N. Gey's AlGrID, whose source is not public); this is another
    way to the same end.
    """
    if not 0 <= down_to <= threshold <= 180:
        raise InputError(
            f"Give 0 <= down_to <= threshold <= 180 degrees, not {down_to} and {threshold}."
        )
    if not 0 <= gap <= 100:
        raise InputError(f"gap must be 0 to 100 pixels, not {gap}.")
    from skimage.segmentation import watershed

    grains = segment_grains(scan, threshold)
    if progress is not None:
        progress(0.3)
    if not gap or not grains.any():
        return grains
    down, right = _steps_between(scan, grains)
    # Strength of a pixel: the largest disorientation to its neighbours within the grain.
    strength = np.zeros(scan.shape)
    for angle, axis in ((down, 0), (right, 1)):
        first = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
        second = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        strength = np.maximum(strength, angle)
        strength[second] = np.maximum(strength[second], angle[first])
    # Inner boundaries: pixels of one grain that differ by more than the threshold.
    inner = strength > threshold
    if progress is not None:
        progress(0.6)
    if not inner.any():
        return grains
    out, most = grains.astype(np.int64), int(grains.max())
    boxes = ndimage.find_objects(grains)
    for grain in np.unique(grains[inner & (grains > 0)]):
        box = boxes[int(grain) - 1]
        own = grains[box] == grain
        # The grain's outline counts as little as the map's edge: only its inner boundary cuts.
        away = ndimage.distance_transform_edt(~(inner[box] & own))
        cores, number = ndimage.label(own & (away > gap / 2))
        size = np.bincount(cores.ravel(), minlength=number + 1)
        cores = np.where(size[cores] >= _SMALLEST, cores, 0)
        if len(np.unique(cores[cores > 0])) < 2:
            continue
        pieces = watershed(np.where(inner[box], 180.0, strength[box]), cores, mask=own)
        pieces = _merged(pieces.astype(np.int64), down[box][:-1], right[box][:, :-1], down_to)
        out[box] = np.where(own & (pieces > 0), most + pieces, out[box])
        most += int(pieces.max())
    values, index = np.unique(out, return_inverse=True)
    if progress is not None:
        progress(1.0)
    return (index.reshape(out.shape) + int(values[0] != 0)).astype(np.int32)


def _steps_between(scan: Scan, grains: NDArray[np.int32]) -> tuple[Any, Any]:
    """Disorientation (degrees) to the pixel below and to the right within a grain, else 0."""
    q = scan.quaternions
    out = [np.zeros(scan.shape), np.zeros(scan.shape)]
    for full, a, b in (
        (out[0], (slice(None, -1), slice(None)), (slice(1, None), slice(None))),
        (out[1], (slice(None), slice(None, -1)), (slice(None), slice(1, None))),
    ):
        same = (grains[a] == grains[b]) & (grains[a] > 0)
        angle = np.zeros(same.shape)
        phase = scan.phase_id[a]
        for number in np.unique(phase[same]):
            here = same & (phase == number)
            angle[here] = disorientation_angle(q[a][here], q[b][here], scan.phases[int(number)])
        full[a] = np.nan_to_num(angle)
    return out[0], out[1]


def _merged(pieces: NDArray[np.int64], down: Any, right: Any, down_to: float) -> NDArray[np.int64]:
    """Join pieces whose common border is below `down_to` in the mean."""
    keys, angles = [], []
    number = int(pieces.max()) + 1
    for angle, a, b in ((down, pieces[:-1], pieces[1:]), (right, pieces[:, :-1], pieces[:, 1:])):
        border = (a != b) & (a > 0) & (b > 0)
        keys.append(np.minimum(a, b)[border] * number + np.maximum(a, b)[border])
        angles.append(angle[border])
    parent = np.arange(number)

    def root(n: int) -> int:
        while parent[n] != n:
            parent[n] = parent[parent[n]]
            n = int(parent[n])
        return n

    pairs, index = np.unique(np.concatenate(keys), return_inverse=True)
    mean = np.bincount(index, np.concatenate(angles)) / np.maximum(np.bincount(index), 1)
    for n in np.argsort(mean, kind="stable"):
        if mean[n] >= down_to:
            break
        one, other = root(int(pairs[n]) // number), root(int(pairs[n]) % number)
        parent[max(one, other)] = min(one, other)
    return np.array([root(n) for n in range(number)])[pieces]
