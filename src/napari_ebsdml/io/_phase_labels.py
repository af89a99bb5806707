"""A segmentation as the phases of a scan, so that any EBSD software shows it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.scan import NOT_INDEXED, Scan

if TYPE_CHECKING:
    from orix.crystal_map import Phase


def with_phase_labels(
    scan: Scan, labels: NDArray[np.integer], names: Mapping[int, str] | None = None
) -> Scan:
    """`scan` with the classes of a segmentation in place of its phases.

    Parameters
    ----------
    scan
    labels : (rows, columns) int
        Class of each pixel, 0 where it has none.
    names
        Class -> name; "class 1" and so on where missing.

    Returns
    -------
    Scan
        Class k is phase k, with the symmetry and lattice of the phase that most of its pixels
        were indexed as. Indexed pixels without a class keep their phase, renumbered to follow
        the classes. Pixels that are not indexed stay so: they have no orientation to write.

    Raises
    ------
    InputError
        When `labels` does not fit the map or holds negative numbers.
    """
    from orix.crystal_map import PhaseList

    from napari_ebsdml.io._phases import COLORS

    labels = np.asarray(labels)
    if labels.shape != scan.shape:
        raise InputError(f"The labels have shape {labels.shape}, the map has {scan.shape}.")
    if labels.dtype.kind not in "iub" or labels.min() < 0:
        raise InputError("Labels must be whole numbers, 0 (no class) or more.")
    labels = labels.astype(np.int32)
    names = names or {}
    phases: dict[int, Phase] = {}
    phase_id = np.full(scan.shape, NOT_INDEXED, dtype=np.int32)
    classes = [int(k) for k in np.unique(labels) if k]
    for k in classes:
        inside = (labels == k) & scan.is_indexed
        ids, counts = np.unique(scan.phase_id[inside], return_counts=True)
        # A class without a single indexed pixel takes after the map's first phase.
        model = int(ids[counts.argmax()]) if ids.size else next(iter(scan.phases.ids), None)
        if model is None:
            raise InputError("The map has no phase, so a segmentation cannot be written as phases.")
        phase = scan.phases[model].deepcopy()
        phase.name = names.get(k, f"class {k}")
        phase.color = COLORS[(len(phases)) % len(COLORS)]
        phases[k] = phase
        phase_id[inside] = k
    left = scan.is_indexed & (labels == 0)
    next_id = max(classes, default=0) + 1
    for old in np.unique(scan.phase_id[left]):
        phase = scan.phases[int(old)].deepcopy()
        phase.color = COLORS[(len(phases)) % len(COLORS)]
        phases[next_id] = phase
        phase_id[left & (scan.phase_id == old)] = next_id
        next_id += 1
    return dataclasses.replace(scan, phase_id=phase_id, phases=PhaseList(phases))
