"""Phase fractions with what is misjudged, and with how well maps stand for a material."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from napari_ebsdml.errors import InputError

if TYPE_CHECKING:
    from napari_ebsdml.segmentation.results.result import SegmentationResult

_FIELDS = (3, 4, 6)
_TWO_SIDED = 0.975
_NORMAL = 1.96


@dataclass(frozen=True)
class PhaseFraction:
    """Area fraction of a class in one map, or in the material that several maps stand for.

    Attributes
    ----------
    name, value
        Name and label value of the class.
    fraction
        Part of the classified pixels with this label; of several maps the mean.
    expected
        Mean of the class's probability: the fraction if probabilities are right.
    low, high
        95 % interval; see `interval.phase_fractions`.
    sampling, classifier
        Half widths, 95 %, of its two parts: how far fields or maps differ, and what the classifier
        misjudges.
    """

    name: str
    value: int
    fraction: float
    expected: float
    low: float
    high: float
    sampling: float = float("nan")
    classifier: float = float("nan")

    @property
    def may_be_none(self) -> bool:
        """Whether pixels got the class, but the interval holds 0: it need not be there at all."""
        return self.fraction > 0 and self.low <= 0


def phase_fractions(results: Sequence[SegmentationResult]) -> list[PhaseFraction]:
    """Fraction of each class in the material, with 95 % intervals.

    The interval has two parts, added as squares. *Sampling*: with several maps their spread, each
    map being one sample (ASTM E562, with Student's t); of one map the spread of fields of it, the
    largest of those by 3 x 3, 4 x 4 and 6 x 6 fields, since neighbouring small fields share
    grains. *Classifier*: the error of the fraction on held-out grains of the training, which is the
    same in all maps and does not average out; where the training could not tell, half of the mean
    chance that a label is wrong. The interval also spans the fraction of the labels and the mean
    probability. Of a map that is not like those that the model knows nothing is told: NaN, from 0
    to 1.

    Parameters
    ----------
    results
        Segmentations of one map, or of several maps of one material, by one model.

    Returns
    -------
    list of PhaseFraction
        One for each class, in the order of their values.

    Raises
    ------
    InputError
        When there is none, or they have different classes.

    Notes
    -----
    ASTM E562, doi:10.1520/E0562-19E01: volume fraction by systematic manual point count.
    """
    if not results:
        raise InputError("Phase fractions need at least one segmentation.")
    classes = results[0].classes
    if any(one.classes.values != classes.values for one in results):
        raise InputError("The segmentations have different classes.")
    used = [one for one in results if (one.labels > 0).any()]
    foreign = any(one.foreign for one in used)
    out = []
    for i, (value, name) in enumerate(zip(classes.values, classes.names, strict=True)):
        if not used:
            out.append(PhaseFraction(name, value, *(float("nan"),) * 4))
            continue
        if foreign:
            out.append(PhaseFraction(name, value, float("nan"), float("nan"), 0.0, 1.0))
            continue
        each = np.array([float((r.labels[r.labels > 0] == value).mean()) for r in used])
        chance = [float(r.probability[..., i][r.labels > 0].mean(dtype=np.float64)) for r in used]
        fraction, expected = float(each.mean()), float(np.mean(chance))
        sampling = _of_maps(each) if len(used) > 1 else _of_fields(used[0].labels, value)
        errors = [_of_classifier(one, i) for one in used]
        classifier = _NORMAL * float(np.mean(errors))
        half = float(np.hypot(sampling, classifier))
        low, high = min(fraction, expected) - half, max(fraction, expected) + half
        out.append(
            PhaseFraction(
                name, value, fraction, expected, max(low, 0.0), min(high, 1.0), sampling, classifier
            )
        )
    return out


def _of_maps(each: NDArray[np.float64]) -> float:
    number = len(each)
    return float(student.ppf(_TWO_SIDED, number - 1) * each.std(ddof=1) / np.sqrt(number))


def _of_fields(labels: NDArray[np.integer], value: int) -> float:
    """Half width by the spread of fields of one map."""
    there = labels > 0
    rows, columns = labels.shape
    half = 0.0
    for side in _FIELDS:
        down, across = min(side, rows), min(side, columns)
        field = (np.arange(rows) * down // rows)[:, None] * across + (
            np.arange(columns) * across // columns
        )
        number = np.bincount(field[there], minlength=down * across)
        each = np.bincount(field[there], labels[there] == value, down * across)
        used = number > 0
        n = int(used.sum())
        if n < 2:
            continue
        part, weight = each[used] / number[used], number[used] / number.sum()
        mean = float((weight * part).sum())
        # Error of a weighted mean, with Bessel's correction.
        error = np.sqrt((weight**2 * (part - mean) ** 2).sum() * n / (n - 1))
        half = max(half, float(student.ppf(_TWO_SIDED, n - 1) * error))
    return half


def _of_classifier(result: SegmentationResult, number: int) -> float:
    """Standard error of a fraction by what is misjudged."""
    if len(result.fraction_errors) == len(result.classes):
        return result.fraction_errors[number]
    uncertainty = result.uncertainty
    known = uncertainty[np.isfinite(uncertainty)]
    return 0.5 * float(known.mean(dtype=np.float64)) if known.size else 0.0
