"""Trainings for worker threads; no Qt here."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from napari_ebsdml._napari.crystals.space_groups.cameras import CameraChoice, camera_of
from napari_ebsdml._napari.crystals.space_groups.models import ModelEntry
from napari_ebsdml.errors import InputError
from napari_ebsdml.options import Option
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml.patterns.classifier import SpaceGroupClassifier

FINE_TUNE, SMALL, XCEPTION, IMAGENET = "fine-tune", "small", "xception", "imagenet"


@dataclass(frozen=True)
class PatternTraining:
    """How a model is trained on the patterns of maps.

    Attributes
    ----------
    kind
        `FINE_TUNE` the given model, or a new raw-pattern network: `SMALL`, `XCEPTION`, or
        Xception from `IMAGENET` weights.
    patterns, validation
        Patterns of each class to train on and to watch the training with, at most.
    epochs, seed
    """

    kind: Annotated[
        str,
        Option(
            "Train",
            "The chosen model keeps what it knows and learns your phases besides. New networks "
            "read raw patterns; Xception starts at random or with ImageNet's weights, and is slow "
            "without a GPU",
            choices={
                FINE_TUNE: "the chosen model", SMALL: "a new small network",
                XCEPTION: "a new Xception", IMAGENET: "Xception, ImageNet …",
            },
        ),
    ] = FINE_TUNE  # fmt: skip
    patterns: Annotated[
        int, Option("Patterns per class", "To train on, at most", "", 4, 100_000, 100)
    ] = 400
    validation: Annotated[
        int,
        Option("Held out per class",
               "To watch the training with, at most; whole grains where the crystal frame is used",
               "", 1, 100_000, 50),
    ] = 100  # fmt: skip
    epochs: Annotated[int, Option("Epochs, at most", "", "", 1, 1000, 5)] = 20
    seed: Annotated[int, Option("Seed", "The same seed gives the same model", "", 0, 999_999)] = 0


@dataclass(frozen=True)
class TrainingPlan:
    """What to train, and on what.

    Attributes
    ----------
    how
    scans
        Maps whose phases are known, with the geometry of each.
    entry
        Model to fine-tune.
    weights
        File with ImageNet weights.
    """

    how: PatternTraining
    scans: tuple[tuple[Scan, CameraChoice], ...]
    entry: ModelEntry | None = None
    weights: Path | None = None


class Trainee:
    """Holds the model that a training leaves behind, also when it is cancelled."""

    def __init__(self) -> None:
        self.classifier: SpaceGroupClassifier | None = None


def run_training(plan: TrainingPlan, left: Trainee) -> Generator[Any, None, Any]:
    """Train; yields texts and events, returns the classifier.

    Closing it cancels; `left` then has the best model so far, or None.
    """
    if not plan.scans:
        raise InputError("Choose at least one map whose phases are known.")
    if plan.how.kind == FINE_TUNE:
        assert plan.entry is not None
        yield f"Loading {plan.entry.name}"
        model = plan.entry.load()
        if model.needs_orientations:
            return (yield from _fine_tune_crystal(plan, model, left))
        return (yield from _raw(plan, left, model))
    return (yield from _raw(plan, left, None))


def _fine_tune_crystal(
    plan: TrainingPlan, model: SpaceGroupClassifier, left: Trainee
) -> Generator[Any, None, Any]:
    from napari_ebsdml.patterns.crystal_frame.fine_tune import FineTuneRecipe, FineTuning

    recipe = FineTuneRecipe(
        patterns=plan.how.patterns, epochs=plan.how.epochs, seed=plan.how.seed,
        validation=plan.how.validation / (plan.how.patterns + plan.how.validation),
    )  # fmt: skip
    pairs = [(scan, camera_of(scan, camera)) for scan, camera in plan.scans]
    tuning = FineTuning(model, pairs, recipe)
    try:
        for event in tuning:
            yield event.reason if event.kind == "note" else event
    finally:
        tuning.close()
        left.classifier = tuning.classifier
    return left.classifier


def _raw(
    plan: TrainingPlan, left: Trainee, model: SpaceGroupClassifier | None
) -> Generator[Any, None, Any]:
    from napari_ebsdml.patterns.raw import RawClassifier, RawRecipe, from_scans

    yield "Reading labelled patterns"
    scans: Sequence[Scan] = [scan for scan, _ in plan.scans]
    data = from_scans(scans, plan.how.patterns + plan.how.validation, plan.how.seed)
    split = data.split(plan.how.patterns, plan.how.validation, plan.how.seed)
    start: RawClassifier | Path | None = plan.weights if plan.how.kind == IMAGENET else None
    network: Any = XCEPTION if plan.how.kind == IMAGENET else plan.how.kind
    if model is not None:
        start = RawClassifier.required(model, "Training on raw patterns")
        network = start.members[0].name
    recipe = RawRecipe(
        network=network,
        epochs=plan.how.epochs,
        seed=plan.how.seed,
    )
    yield "Training"
    training = RawClassifier.training(split.train, split.validation, recipe, start)
    try:
        yield from training
    finally:
        training.close()
        left.classifier = training.classifier
    return left.classifier
