"""A map that follows the brush: planes are computed once, strokes fitted in milliseconds.

Loads no torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.segmentation.inputs.channels import (
    channel_names,
    compute_channels,
    default_channels,
)
from napari_ebsdml.segmentation.inputs.normalise import Normaliser
from napari_ebsdml.segmentation.labels.data import Classes, check_label_image
from napari_ebsdml.segmentation.labels.folds import block_size
from napari_ebsdml.segmentation.models.linear import Discriminant
from napari_ebsdml.segmentation.results.judging import USUAL, USUAL_DOUBT
from napari_ebsdml.segmentation.results.result import SegmentationResult, labels_of

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan


@dataclass(frozen=True, eq=False)
class LiveMap:
    """A scan that is ready to answer strokes at once. Made by `prepare`.

    Attributes
    ----------
    scan
    channels
    image : (planes, rows, columns) float32
        Standardised planes.
    unit : (rows, columns) int32
        Grain, or block where there is none, whose pixels are taken as alike.
    """

    scan: Scan
    channels: tuple[str, ...]
    image: NDArray[np.float32]
    unit: NDArray[np.int32]

    @classmethod
    def prepare(
        cls, scan: Scan, channels: Sequence[str] | None = None, progress: Progress = None
    ) -> LiveMap:
        """Compute the planes; a second or so for a million pixels.

        Raises
        ------
        InputError, MissingDataError
            As `compute_channels`.
        """
        names = channel_names(channels if channels is not None else default_channels(scan))
        stack = compute_channels(scan, names, part_of(progress, 0.0, 0.8))
        image = Normaliser.fit([stack])(stack)
        size = block_size(scan.shape)
        i, j = (np.arange(n, dtype=np.int32) // size for n in scan.shape)
        unit = i[:, None] * (j[-1] + 1) + j
        if scan.quaternions.any():
            grains = segment_grains(scan, 2.0)
            unit = np.where(grains > 0, grains + int(unit.max()) + 1, unit)
        if progress is not None:
            progress(1.0)
        return cls(scan, names, image, unit.astype(np.int32))

    def fit(self, labels: NDArray[np.integer], classes: Classes) -> Discriminant:
        """Discriminant of what is painted: the same that a training without epochs makes.

        Raises
        ------
        InputError
            When the labels do not fit the scan, or hold a value that is no class.
        """
        target = classes.index(check_label_image(self.scan, labels))
        i, j = np.nonzero(target >= 0)
        return Discriminant.fit(
            self.image[:, i, j].T, target[i, j].astype(np.int64), len(classes), self.unit[i, j]
        )

    def answer(
        self, discriminant: Discriminant, classes: Classes,
        window: tuple[slice, slice] = (slice(None), slice(None)),
    ) -> SegmentationResult:  # fmt: skip
        """Labels and probabilities of the map or of a window of it.

        Probabilities are as sure as strokes usually allow; a training looks at held-out grains.
        """
        logits = discriminant.logits(self.image[(slice(None), *window)]) / np.float32(USUAL)
        logits -= logits.max(axis=0)
        np.exp(logits, out=logits)
        logits *= np.float32(1 - USUAL_DOUBT) / logits.sum(axis=0)
        logits += np.float32(USUAL_DOUBT / len(logits))
        probability = np.ascontiguousarray(np.moveaxis(logits, 0, -1))
        return SegmentationResult(labels_of(probability, classes), probability, classes)
