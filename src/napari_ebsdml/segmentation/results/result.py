"""What a segmentation gives: labels, probabilities, uncertainty, phase fractions."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.grains import check_labels, segment_grains
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.segmentation.results.interval import PhaseFraction, phase_fractions

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan
    from napari_ebsdml.segmentation.labels.data import Classes


@dataclass(frozen=True, eq=False)
class SegmentationResult:
    """Segmentation of one scan.

    Attributes
    ----------
    labels : (rows, columns) uint8
        Value of the most likely class; 0 where left out.
    probability : (rows, columns, classes) float32
        Calibrated on held-out grains where there were any; NaN where left out.
    classes
        Values, names and colors, in the order of `probability`.
    warnings
        Sentences on how the scan differs from the training data.
    fraction_errors
        Standard error of each class's fraction by the classifier; empty when nothing tells.
    foreign
        Whether the map is not like those that a ready model was trained on: its labels are not to
        be trusted, and `fractions` tells none.
    """

    labels: NDArray[np.uint8]
    probability: NDArray[np.float32]
    classes: Classes
    warnings: tuple[str, ...] = ()
    fraction_errors: tuple[float, ...] = ()
    foreign: bool = False

    @property
    def uncertainty(self) -> NDArray[np.float32]:
        """Chance that the label is wrong: one less the probability of its class; NaN left out."""
        return np.asarray(1 - self.probability.max(axis=-1), dtype=np.float32)

    def fractions(self) -> list[PhaseFraction]:
        """Phase fractions with 95 % intervals, see `interval.phase_fractions`."""
        return phase_fractions([self])

    def grain_vote(
        self,
        scan: Scan,
        grains: NDArray[np.integer] | None = None,
        threshold: float = GRAIN_THRESHOLD,
    ) -> SegmentationResult:
        """One class per grain: that of the highest mean probability over the grain.

        Parameters
        ----------
        scan
            The scan that was segmented.
        grains : (rows, columns) int, optional
            Grain labels; pixels of grain 0 keep theirs. Default: `segment_grains`.
        threshold
            Degrees, for the default grains.

        Raises
        ------
        InputError
            When the scan or the grains have another shape.
        MissingDataError
            When the scan has no orientations.
        """
        if scan.shape != self.labels.shape:
            raise InputError(f"The scan has shape {scan.shape}, the result {self.labels.shape}.")
        ids = segment_grains(scan, threshold) if grains is None else check_labels(scan, grains)
        use = (ids > 0) & (self.labels > 0)
        length = int(ids.max()) + 1
        count = np.maximum(np.bincount(ids[use], minlength=length), 1)
        probability = self.probability.copy()
        for i in range(len(self.classes)):
            plane = probability[..., i]
            mean = np.bincount(ids[use], weights=plane[use], minlength=length) / count
            plane[use] = mean[ids[use]]
        return dataclasses.replace(
            self, labels=labels_of(probability, self.classes), probability=probability
        )


def labels_of(probability: NDArray[np.float32], classes: Classes) -> NDArray[np.uint8]:
    """Values of the most likely classes; 0 where probabilities are NaN."""
    values = np.array(classes.values, dtype=np.uint8 if max(classes.values) < 256 else np.int32)
    best = np.nan_to_num(probability, nan=-1.0).argmax(axis=-1)
    return np.where(np.isnan(probability[..., 0]), 0, values[best]).astype(values.dtype)


def result_of(
    probability: NDArray[np.float32],
    scan: Scan,
    classes: Classes,
    not_indexed: str,
    grain_vote: bool,
    grain_threshold: float,
    warnings: tuple[str, ...] = (),
    fraction_errors: tuple[float, ...] = (),
    foreign: bool = False,
) -> SegmentationResult:
    """Result of probabilities (rows, columns, classes), with the wishes of `predict` applied."""
    if not_indexed == "leave_out":
        probability[~scan.is_indexed] = np.nan
    result = SegmentationResult(
        labels_of(probability, classes), probability, classes, warnings, fraction_errors, foreign
    )
    return result.grain_vote(scan, threshold=grain_threshold) if grain_vote else result


def check_not_indexed(not_indexed: str) -> None:
    """Check the argument that says what becomes of pixels that are not indexed."""
    if not_indexed not in ("classify", "leave_out"):
        raise InputError(f"not_indexed must be 'classify' or 'leave_out', not {not_indexed!r}.")


def vote_in_volume(
    results: Sequence[SegmentationResult], grains: NDArray[np.integer]
) -> list[SegmentationResult]:
    """One class per grain of a volume: that of the highest mean probability over all sections.

    Parameters
    ----------
    results
        Of the sections, in their places, by one model.
    grains : (sections, rows, columns) int
        As from `maps.connect_grains`; voxels of grain 0 keep their class.

    Returns
    -------
    list of SegmentationResult
        One for each section, with the probabilities of its grains.

    Raises
    ------
    InputError
        When shapes or classes do not fit.
    """
    ids = np.asarray(grains)
    if not results or ids.shape != (len(results), *results[0].labels.shape):
        raise InputError(f"The grains have shape {ids.shape}; one section a result is needed.")
    classes = results[0].classes
    if any(one.classes.values != classes.values or one.labels.shape != ids.shape[1:]
           for one in results):  # fmt: skip
        raise InputError("The segmentations have different classes or shapes.")
    length = int(ids.max(initial=0)) + 1
    count, total = np.zeros(length), np.zeros((length, len(classes)))
    used = [(labels > 0) & (one.labels > 0) for labels, one in zip(ids, results, strict=True)]
    for labels, one, use in zip(ids, results, used, strict=True):
        count += np.bincount(labels[use], minlength=length)
        for i in range(len(classes)):
            plane = one.probability[..., i]
            total[:, i] += np.bincount(labels[use], plane[use], length)
    mean = total / np.maximum(count, 1)[:, None]
    found = []
    for labels, one, use in zip(ids, results, used, strict=True):
        probability = np.array(one.probability)
        probability[use] = mean[labels[use]]
        found.append(
            dataclasses.replace(
                one, labels=labels_of(probability, classes), probability=probability
            )
        )
    return found
