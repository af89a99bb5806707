"""From painted labels to those that train and those that are held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.segmentation.data import Classes
from napari_ebsdml.segmentation.settings import TrainingSettings
from napari_ebsdml.segmentation.split import Split, grow_labels, split_blocks

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

Pairs = Sequence[tuple["Scan", NDArray[np.integer]]]
_DENSE = 0.2
# Degrees; tighter than for the channels: Widmanstaetten plates and martensite differ by little.
_GROW_THRESHOLD = 2.0


@dataclass(frozen=True, eq=False)
class Prepared:
    """Labels ready for a training.

    Attributes
    ----------
    split
        Those that train, spread through their grains, and those held out.
    regions
        Number of grains that were labelled; of separate labelled areas on maps without
        orientations.
    """

    split: Split
    regions: int


def prepare(pairs: Pairs, classes: Classes, settings: TrainingSettings) -> Prepared:
    """Spread strokes through their grains and hold a part of them out.

    Every method that is trained or judged on strokes starts here, so that all have the same
    pixels.

    Parameters
    ----------
    pairs
        Scans and their label images.
    classes
    settings
        `grow`, `held_out`, `gap` and `seed` count.
    """
    targets = [classes.index(labels) for _, labels in pairs]
    grains = [
        segment_grains(scan, _GROW_THRESHOLD) if scan.quaternions.any() else None
        for scan, _ in pairs
    ]
    regions = sum(_regions(t, g) for t, g in zip(targets, grains, strict=True))
    if settings.grow:
        targets = [
            t if g is None or (t >= 0).mean() > _DENSE else grow_labels(t, g, settings.grow)
            for t, g in zip(targets, grains, strict=True)
        ]
    split = split_blocks(
        targets, len(classes), settings.held_out, settings.gap, settings.seed, grains
    )
    return Prepared(split, regions)


def _regions(target: NDArray[np.int8], grains: NDArray[np.int32] | None) -> int:
    """Number of grains that are labelled; of separate labelled areas where there are none."""
    labelled = target >= 0
    if grains is not None:
        return len(np.unique(grains[labelled & (grains > 0)]))
    return int(sum(ndimage.label(target == c)[1] for c in np.unique(target[labelled])))
