"""The model and simpler methods side by side: same strokes, same channels, same held-out grains."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation.inputs.channels import GRAIN_MEAN, channel_names, default_channels
from napari_ebsdml.segmentation.labels.data import Classes, check_items, data_hash
from napari_ebsdml.segmentation.labels.prepare import prepare
from napari_ebsdml.segmentation.models.baselines import ForestSegmenter, GrainThresholdSegmenter
from napari_ebsdml.segmentation.results.evaluation import evaluate
from napari_ebsdml.segmentation.settings import TrainingSettings

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan
    from napari_ebsdml.segmentation.results.result import SegmentationResult
    from napari_ebsdml.segmentation.segmenter import Segmenter

FOREST = "random forest"
THRESHOLD = "grain threshold"
UNET = "U-Net"
LINEAR = "linear discriminant"

_NOT_SINGLE = {"IPF", "Boundary", "Quaternions", "Local", "Indexed"}


@dataclass(frozen=True, eq=False)
class Compared:
    """How one method fares.

    Attributes
    ----------
    method
        `UNET`, `LINEAR`, `FOREST` or `THRESHOLD`.
    detail
        Channels that it uses.
    held_out_accuracy, balanced_accuracy
        On the painted pixels of the grains that the first fold holds out (mean of the classes'
        recall); NaN when nothing could be held out.
    held_out_pixels
    truth_accuracy
        On the whole map against the truth; NaN when there is none.
    agreement
        Part of the map that has the model's label; NaN without a model.
    seconds
        Time to train and to predict the map.
    note
        What to be careful about, or "".
    result
        Prediction of the map.
    fraction
        Part of the comparison that is done, 0..1.
    """

    method: str
    detail: str
    held_out_accuracy: float
    balanced_accuracy: float
    held_out_pixels: int
    truth_accuracy: float
    agreement: float
    seconds: float
    note: str
    result: SegmentationResult
    fraction: float


def compare(
    items: Any,
    scan: Scan,
    channels: Sequence[str] | None = None,
    *,
    classes: Mapping[int, str] | Sequence[str] | None = None,
    colors: Mapping[int, str] | Sequence[str] | None = None,
    settings: TrainingSettings | None = None,
    model: Segmenter | None = None,
    prediction: SegmentationResult | None = None,
    truth: ArrayLike | None = None,
    grain_vote: bool = False,
    n_jobs: int = 1,
) -> Generator[str | Compared, None, list[Compared]]:
    """Train the baselines on the strokes of a model and judge all of them alike.

    Parameters
    ----------
    items
        Pairs (scan, labels), as for `Segmenter.train`.
    scan
        Map to predict.
    channels
        Default: those of `model`, without a model `default_channels`. The grain threshold takes
        the one of them that is right most often on the training pixels.
    classes, colors, settings
        As for `Segmenter.train`; a model's own settings count where there is one.
    model
        Model to compare with.
    prediction
        What it says about `scan`, if that is known already.
    truth : (rows, columns) int, optional
        True labels of `scan`, 0 where unknown.
    grain_vote
        Let every method vote inside grains.
    n_jobs
        Threads of the forest.

    Yields
    ------
    str or Compared
        What is being done, and each method when it is ready.

    Raises
    ------
    InputError, MissingDataError
        As `Segmenter.train`; also when `truth` does not fit the map.
    ModelError
        When the scan lacks a channel of the model.
    """
    pairs = check_items(items)
    found = Classes.marked(pairs, classes, colors) if model is None else model.classes
    chosen = _settings(settings, model)
    wanted = model.channels if model is not None else channel_names(
        channels if channels is not None else default_channels(pairs[0][0])
    )  # fmt: skip
    answer = None if truth is None else _truth(truth, scan)
    yield "Holding out grains"
    members = 1
    if model is not None and model.network is not None:
        members = model.network.settings.members
    folds = prepare(pairs, found, chosen, members).folds
    held = folds.held_out(0) if folds.number else [np.full_like(t, -1) for t in folds.painted]
    rest = folds.without(0) if folds.number else folds.training
    values = np.array(found.values)
    training = [
        (one, np.where(target >= 0, values[target], 0))
        for (one, _), target in zip(pairs, rest, strict=True)
    ]
    rows: list[Compared] = []
    base = prediction
    own = UNET if model is not None and model.network is not None else LINEAR
    if model is not None:
        yield f"{own}: predicting"
        start = time.perf_counter()
        if base is None:
            base = model.predict(scan, grain_vote=grain_vote, warn=False)
        elif grain_vote:
            base = base.grain_vote(scan)
        accuracy, balanced, note = _recorded(model, pairs)
        row = Compared(
            own, _list(wanted), accuracy, balanced, _held(held), _against(base, answer), 1.0,
            time.perf_counter() - start, note, base, 0.1,
        )  # fmt: skip
        rows.append(row)
        yield row

    names = dict(zip(found.values, found.names, strict=True))
    for method, fraction in ((LINEAR, 0.2), (THRESHOLD, 0.4), (FOREST, 1.0)):
        if method == LINEAR and model is not None and own == LINEAR:
            continue
        yield f"{method}: training"
        start = time.perf_counter()
        baseline: Any
        if method == FOREST:
            baseline = ForestSegmenter.train(
                training, wanted, classes=names, seed=chosen.seed, n_jobs=n_jobs
            )
            detail = _list(wanted)
        elif method == LINEAR:
            baseline = _linear(training, wanted, names, chosen)
            detail = _list(wanted)
        else:
            baseline = best_threshold(training, wanted, names)
            if baseline is None:
                continue
            detail = baseline.channel
        yield f"{method}: predicting"
        result = baseline.predict(scan, grain_vote=grain_vote)
        seconds = time.perf_counter() - start
        yield f"{method}: scoring on held-out grains"
        accuracy, balanced = _score(baseline, scan, result, pairs, held, found, grain_vote)
        agreement = float("nan")
        if base is not None:
            both = (base.labels > 0) & (result.labels > 0)
            if both.any():
                agreement = float((base.labels == result.labels)[both].mean())
        row = Compared(
            method, detail, accuracy, balanced, _held(held), _against(result, answer), agreement,
            seconds, "", result, fraction,
        )  # fmt: skip
        rows.append(row)
        yield row
    return rows


def best_threshold(
    items: Any, channels: Sequence[str], classes: Mapping[int, str] | None = None
) -> GrainThresholdSegmenter | None:
    """Grain threshold on the channel that is right most often on the labelled pixels.

    None when no channel has a single plane with a mean over grains.
    """
    single = [c.removesuffix(GRAIN_MEAN) for c in channels]
    best: tuple[float, GrainThresholdSegmenter] | None = None
    for name in dict.fromkeys(c for c in single if c not in _NOT_SINGLE):
        candidate = GrainThresholdSegmenter.train(items, (name,), classes=classes)
        right = total = 0
        for scan, labels in items:
            got = candidate.predict(scan).labels
            right += int((got == labels)[labels > 0].sum())
            total += int((labels > 0).sum())
        if best is None or right / total > best[0]:
            best = right / total, candidate
    return None if best is None else best[1]


def _settings(settings: TrainingSettings | None, model: Segmenter | None) -> TrainingSettings:
    """The settings that the split hangs on: those that the model was trained with."""
    start = settings or TrainingSettings()
    recorded = dict(model.record.get("settings", {})) if model is not None else {}
    names = ("held_out", "gap", "grow", "seed")
    return replace(start, **{n: recorded[n] for n in names if n in recorded})


def _linear(
    items: Any, channels: Sequence[str], names: Mapping[int, str], settings: TrainingSettings
) -> Segmenter:
    from napari_ebsdml.segmentation.segmenter import Segmenter

    return Segmenter.train(items, channels, classes=names, settings=replace(settings, epochs=0))


def _recorded(
    model: Segmenter, pairs: Sequence[tuple[Scan, NDArray[np.integer]]]
) -> tuple[float, float, str]:
    """Accuracy and balanced accuracy that the model had on the first fold when trained."""
    nothing = float("nan"), float("nan")
    if model.record.get("data_sha256") != data_hash(pairs):
        return (*nothing, "trained on other strokes: train anew for a figure on these grains")
    confusion = np.array(model.metrics.get("first_fold", ()))
    if not confusion.sum():
        return (*nothing, "too little was held out of its training")
    total = confusion.sum(axis=1)
    right = np.diag(confusion)
    note = ""
    if model.record.get("before"):
        note = "trained on: an earlier training may have seen held-out pixels"
    balanced = float((right[total > 0] / total[total > 0]).mean())
    return float(right.sum() / total.sum()), balanced, note


def _score(
    baseline: Any,
    scan: Scan,
    result: SegmentationResult,
    pairs: Sequence[tuple[Scan, NDArray[np.integer]]],
    held: Sequence[NDArray[np.int8]],
    classes: Classes,
    grain_vote: bool,
) -> tuple[float, float]:
    """Accuracy and balanced accuracy on the held-out pixels, never with a vote.

    A vote would let pixels of held-out blocks have the class of their grain's training pixels.
    """
    if not _held(held):
        return float("nan"), float("nan")
    values = np.array(classes.values)
    right = np.zeros(len(classes))
    total = np.zeros(len(classes))
    for (one, _), target in zip(pairs, held, strict=True):
        here = target >= 0
        if not here.any():
            continue
        known = result if one is scan and not grain_vote else baseline.predict(one)
        got, true = known.labels[here], target[here]
        total += np.bincount(true, minlength=len(classes))
        right += np.bincount(true[got == values[true]], minlength=len(classes))
    return float(right.sum() / total.sum()), float((right[total > 0] / total[total > 0]).mean())


def _held(held: Sequence[NDArray[np.int8]]) -> int:
    return sum(int((target >= 0).sum()) for target in held)


def _against(result: SegmentationResult, truth: NDArray[np.integer] | None) -> float:
    return float("nan") if truth is None else evaluate(result.labels, truth).accuracy


def _truth(truth: ArrayLike, scan: Scan) -> NDArray[np.integer]:
    array = np.asarray(truth)
    if array.shape != scan.shape or array.dtype.kind not in "bui":
        raise InputError(
            f"The truth has shape {array.shape} and type {array.dtype}; {scan.name} needs whole "
            f"numbers of shape {scan.shape}."
        )
    return array


def _list(channels: Sequence[str]) -> str:
    return ", ".join(c for c in channels if c != "Indexed")
