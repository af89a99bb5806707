"""What the worker thread does: train, show previews, predict. No Qt widgets here."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Signal

from napari_ebsdml._napari.segmenter.prediction_layers import agreement
from napari_ebsdml._parallel import nth_of, part_of
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation.settings import PredictSettings

if TYPE_CHECKING:
    from napari_ebsdml.segmentation import (
        PhaseFraction,
        SegmentationEvent,
        SegmentationResult,
        Segmenter,
        Training,
    )

_TRAINING_SHARE = 0.9


@dataclass(frozen=True, eq=False)
class Target:
    """A scan to predict: as it is in the viewer, and with the properties to predict it from."""

    scan: Scan
    prepared: Scan
    strokes: NDArray[np.integer] | None = None


@dataclass(frozen=True, eq=False)
class Request:
    """All that a training needs, copied, so that the user may go on painting.

    Attributes
    ----------
    pairs
        Prepared scans and their strokes.
    targets
        Scans to predict at the end; the first one is previewed.
    names, colours
        Of the classes, by value.
    channels
        Empty: default.
    settings, network
        Changes to the default settings, and keyword arguments of `UNetSettings`.
    model
        Model to train on; None: a new one.
    """

    pairs: Sequence[tuple[Scan, NDArray[np.integer]]]
    targets: Sequence[Target]
    names: dict[int, str]
    colors: dict[int, str]
    channels: tuple[str, ...] = ()
    settings: dict[str, Any] = field(default_factory=dict)
    network: dict[str, Any] = field(default_factory=dict)
    options: PredictSettings = field(default_factory=PredictSettings)
    model: Segmenter | None = None
    preview_every: int = 2


@dataclass(frozen=True)
class Curve:
    """A point of the learning curve: its event without preview, and the agreement with strokes."""

    event: SegmentationEvent
    on_strokes: float = float("nan")


@dataclass(frozen=True, eq=False)
class Predicted:
    """A prediction: what is shown, what it was before the grain vote, its phase fractions."""

    scan: Scan
    shown: SegmentationResult
    raw: SegmentationResult
    fractions: list[PhaseFraction]
    final: bool = True


@dataclass(frozen=True, eq=False)
class Trained:
    """The model of a training that came to its end, and why it ended."""

    model: Segmenter
    reason: str


class Keeper(QObject):
    """Brings the best model of a cancelled training from its thread.

    Signals
    -------
    kept : Segmenter or None, Exception or None
        The model; None when no epoch was complete.

    Attributes
    ----------
    began : bool
        Whether the training has begun in its thread: only then it will give a model.
    """

    kept = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self.began = False


def predict(
    model: Segmenter,
    scan: Scan,
    prepared: Scan,
    options: PredictSettings,
    progress: Callable[[float], None] | None = None,
) -> Predicted:
    """Predict one scan, for a worker thread.

    Parameters
    ----------
    model
    scan, prepared
        See `Target`.
    options
    progress
        Called with the fraction done; may raise to cancel.

    Raises
    ------
    ModelError
        When the scan lacks a channel.
    """
    raw = model.predict(
        prepared, not_indexed=options.not_indexed, standardise=options.standardise,
        turns=options.turns, progress=progress, warn=False,
    )  # fmt: skip
    return vote(scan, raw, options)


def vote(scan: Scan, raw: SegmentationResult, options: PredictSettings) -> Predicted:
    """Apply the grain vote where it is wished for, and count phases; for a worker thread."""
    can = options.grain_vote and bool(scan.quaternions.any())
    shown = raw.grain_vote(scan, threshold=options.grain_threshold) if can else raw
    return Predicted(scan, shown, raw, shown.fractions())


def named(model: Segmenter, names: dict[int, str], colors: dict[int, str]) -> Segmenter:
    """The model with present names and colours of its classes."""
    classes = model.classes
    new = dataclasses.replace(
        classes,
        names=tuple(names.get(v, n) for v, n in zip(classes.values, classes.names, strict=True)),
        colors=tuple(colors.get(v, c) for v, c in zip(classes.values, classes.colors, strict=True)),
    )
    return dataclasses.replace(model, classes=new)


def train(
    request: Request, keeper: Keeper, progress: Callable[[float], None]
) -> Generator[Any, None, Trained]:
    """Train, then predict; for a worker thread.

    Yields
    ------
    str, Curve, Predicted, Trained
        Status texts, points of the curve, previews and results, the model.
    """
    keeper.began = True
    first = request.targets[0]
    training: Training[Segmenter] | None = None
    reason, over = "", False
    try:
        yield "Loading torch"
        from napari_ebsdml.segmentation import Segmenter, UNetSettings

        yield "Preparing channels"
        common: dict[str, Any] = {
            "preview": first.prepared,
            "preview_every": request.preview_every,
            **request.settings,
        }
        if request.model is not None:
            start = named(request.model, request.names, request.colors)
            training = start.more_training(request.pairs, **common)
        else:
            training = Segmenter.training(
                request.pairs, request.channels or None, classes=request.names,
                colors=request.colors,
                network=UNetSettings(**request.network) if request.network else None, **common,
            )  # fmt: skip
        for event in training:
            progress(_TRAINING_SHARE * event.fraction)
            yield _status(event)
            on_strokes = float("nan")
            if event.preview is not None:
                if first.strokes is not None:
                    on_strokes = agreement(event.preview.labels, first.strokes)
                preview = vote(first.scan, event.preview, request.options)
                yield dataclasses.replace(preview, final=False)
            yield Curve(dataclasses.replace(event, preview=None), on_strokes)
            reason = event.reason or reason
        over = True
    finally:
        # Also when the user cancels: the best weights so far become a model.
        if training is not None:
            training.close()
        if not over:
            _keep(training, keeper)
    yield "Checking on the held-out grains"
    model = training.segmenter
    assert model is not None
    trained = Trained(model, reason)
    yield trained
    segmenting = part_of(progress, _TRAINING_SHARE)
    for number, target in enumerate(request.targets):
        yield f"Segmenting {target.scan.name}"
        part = nth_of(segmenting, number, len(request.targets))
        yield predict(model, target.scan, target.prepared, request.options, part)
    return trained


def _keep(training: Training[Segmenter] | None, keeper: Keeper) -> None:
    model: Segmenter | None = None
    problem: Exception | None = None
    try:
        model = training.segmenter if training is not None else None
    except Exception as error:  # shown to the user by the dock
        problem = error
    try:
        keeper.kept.emit(model, problem)
    except RuntimeError:
        # Qt has torn the dock down: nobody is left to keep it.
        return


def _status(event: SegmentationEvent) -> str:
    if event.kind == "start":
        return f"Epoch 1 of {event.epochs}"
    epoch = min(event.epoch + (event.kind == "step"), event.epochs)
    text = f"Epoch {epoch} of {event.epochs}"
    if 0 < event.fraction < 1 and event.epoch >= 1:
        left = event.seconds * (1 - event.fraction) / event.fraction
        text += f", at most {_span(left)} left"
    return text


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"
