"""`Segmenter`: a U-Net that learns phases from strokes and then labels whole maps."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from napari_ebsdml._parallel import Progress
from napari_ebsdml.errors import InputError, ModelError
from napari_ebsdml.learning.device import pick_device, threads
from napari_ebsdml.learning.model_card import ModelCard
from napari_ebsdml.learning.under_way import run
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation.explanation import Explanation, explain
from napari_ebsdml.segmentation.inputs.channels import laue_classes
from napari_ebsdml.segmentation.inputs.familiar import Pixels, hard_to_tell, pixels_of
from napari_ebsdml.segmentation.learning.event import SegmentationEvent
from napari_ebsdml.segmentation.learning.run import Plan
from napari_ebsdml.segmentation.learning.training import Training
from napari_ebsdml.segmentation.models.boosted import BoostedTrees
from napari_ebsdml.segmentation.models.model import TrainedModel
from napari_ebsdml.segmentation.models.model_files import load_segmenter, save_segmenter
from napari_ebsdml.segmentation.models.predict import TILE, predict_probability, stack_of
from napari_ebsdml.segmentation.models.ready_names import ready_path
from napari_ebsdml.segmentation.results.result import (
    SegmentationResult,
    check_not_indexed,
    result_of,
)
from napari_ebsdml.segmentation.settings import (
    PredictSettings,
    TrainingSettings,
    settings_from,
)

Items = Sequence[tuple[Scan, ArrayLike]]


class ModelWarning(UserWarning):
    """A model is applied to a scan unlike those that it was trained on."""


@dataclass(frozen=True, eq=False)
class Segmenter(TrainedModel):
    """A trained segmentation model.

    Made by `train`, `training` or `load`; never changes: `train_more` gives a new one.

    Attributes
    ----------
    network
        U-Net; None where the linear discriminant answers.
    linear
        What answers without a network: linear discriminant of the input planes, or the boosted
        trees of a ready model; None in models of earlier versions.
    channels
        Names of the input channels.
    normaliser
    classes
    temperature
        Logits are divided by it; fitted on held-out grains.
    step
        Smallest and largest step in um that it was trained for.
    phases
        Laue classes of the training data.
    record
        Training data, settings and learning curve, as on the model card.
    ranges
        What the pixels of the training maps look like; None in models of earlier versions.
    familiar
        What the training maps of a ready model look like as wholes; None in other models, and
        once strokes on a map that is not like them have corrected it.
    metrics
        Figures on held-out grains and blocks, and ``"expected_accuracy"``, the mean chance that a
        label is right on what was not painted; empty when too little was held out to tell.
    """

    @property
    def answer(self) -> str:
        """Sentence on whether the U-Net or the linear discriminant answers, and why."""
        return str(self.record.get("answer", ""))

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what the training found and left undone."""
        return tuple(map(str, self.record.get("notes", ())))

    @classmethod
    def train(
        cls,
        items: Items,
        channels: Sequence[str] | None = None,
        *,
        classes: Mapping[int, str] | Sequence[str] | None = None,
        colors: Mapping[int, str] | Sequence[str] | None = None,
        settings: TrainingSettings | None = None,
        device: str = "auto",
        n_threads: int | None = None,
        on_event: Callable[[SegmentationEvent], None] | None = None,
        **changes: Any,
    ) -> Self:
        """Train on maps with labels or strokes.

        Parameters
        ----------
        items
            Pairs (scan, labels); labels (rows, columns) int, 0 where unlabelled.
        channels
            Names of input channels, see `compute_channels`. Default: `default_channels` of the
            first scan.
        classes, colors
            Name and ``"#rrggbb"`` of each label value.
        settings
            Default: `TrainingSettings`.
        device
            ``"auto"``, ``"cpu"``, ``"cuda"`` ...
        n_threads
            Threads of torch; default: as they are, but no more than there are cores to use.
        on_event
            Called with each `SegmentationEvent`; an exception from it cancels.
        **changes
            Single settings, for example ``epochs=10, seed=1``.

        Returns
        -------
        Segmenter

        Raises
        ------
        InputError
            When labels do not fit their scan, hold fewer than two classes, or a setting is out
            of range.
        MissingDataError
            When a scan lacks a channel.
        """
        training = cls.training(
            items, channels, classes=classes, colors=colors, settings=settings, device=device,
            n_threads=n_threads, **changes,
        )  # fmt: skip
        return run(training, on_event)

    @classmethod
    def training(
        cls,
        items: Items,
        channels: Sequence[str] | None = None,
        *,
        classes: Mapping[int, str] | Sequence[str] | None = None,
        colors: Mapping[int, str] | Sequence[str] | None = None,
        settings: TrainingSettings | None = None,
        device: str = "auto",
        n_threads: int | None = None,
        preview: Scan | None = None,
        preview_every: int = 4,
        **changes: Any,
    ) -> Training[Self]:
        """Train step by step: an iterator of events with the model so far.

        Parameters
        ----------
        preview, preview_every
            Scan to predict after the first and every `preview_every`-th epoch; the result is
            the event's ``preview``.
        items, channels, classes, colors, settings, device, n_threads, **changes
            See `train`.

        Returns
        -------
        Training
            Iterate over it; ``close()`` cancels; ``segmenter`` holds the best model so far.

        Raises
        ------
        InputError, MissingDataError
            See `train`; the labels are checked at once, channels when the iteration begins.
        """
        if "colours" in changes:
            warnings.warn("colours is spelled colors now.", DeprecationWarning, stacklevel=2)
            colors = changes.pop("colours")
        plan = Plan.new(
            items, channels, classes, colors, settings_from(settings, changes), pick_device(device)
        )
        return Training(plan, cls, n_threads, preview, preview_every)

    def train_more(
        self,
        items: Items,
        *,
        device: str = "auto",
        n_threads: int | None = None,
        on_event: Callable[[SegmentationEvent], None] | None = None,
        **changes: Any,
    ) -> Self:
        """Go on with more strokes, on these or other maps; takes seconds.

        Channels, normalisation and classes stay as they are. A ready model is corrected by the
        strokes, as far as they can tell; no network is trained then.

        Parameters
        ----------
        items
            Pairs (scan, labels), as for `train`. Give the earlier ones again, too, if the model
            shall not forget them.
        device, n_threads, on_event, **changes
            See `train`. For a U-Net defaults differ: 4 epochs of 8 steps at a quarter of the
            learning rate.

        Raises
        ------
        InputError
            When labels do not fit, or hold a class that the model does not know.
        MissingDataError
            When a scan lacks a channel.
        """
        training = self.more_training(items, device=device, n_threads=n_threads, **changes)
        return run(training, on_event)

    fine_tune = train_more

    def more_training(
        self,
        items: Items,
        *,
        device: str = "auto",
        n_threads: int | None = None,
        preview: Scan | None = None,
        preview_every: int = 2,
        **changes: Any,
    ) -> Training[Self]:
        """`train_more` step by step; see `training`."""
        if "network" in changes:
            raise InputError("The network of a trained model cannot be changed.")
        start = TrainingSettings()
        if isinstance(self.linear, BoostedTrees):
            # Strokes correct what thousands of grains have taught; they do not train a network.
            start, changes = TrainingSettings(epochs=0, held_out=0.34), {**changes, "epochs": 0}
        if self.network is not None:
            start = TrainingSettings(
                network=self.network.settings, epochs=4, steps=8, learning_rate=1e-3,
                coarser=False,
            )  # fmt: skip
        plan = Plan.more(self, items, settings_from(start, changes), pick_device(device))
        return Training(plan, type(self), n_threads, preview, preview_every)

    def told_of(self, pixels: Pixels) -> tuple[str, str]:
        """Sentences on a map as a whole, by pixels of it.

        That it is not like the training maps of a ready model; and, if it is, what that model
        finds badly as long as no stroke has corrected it. Empty where there is nothing to say.
        """
        names = self.classes.names
        foreign = "" if self.familiar is None else self.familiar.said(
            pixels, self.normaliser, names
        )  # fmt: skip
        as_shipped = isinstance(self.linear, BoostedTrees) and not self.linear.weight.any()
        return foreign, hard_to_tell(self.metrics, names) if as_shipped and not foreign else ""

    def check(self, scan: Scan) -> tuple[str, ...]:
        """Sentences on how a scan differs from the training data; empty when it fits."""
        notes = []
        low, high = self.step
        step = float(np.sqrt(scan.step[0] * scan.step[1]))
        if not low / 1.5 <= step <= high * 1.5:
            span = f"{low:g}" if low == high else f"{low:g} to {high:g}"
            notes.append(
                f"The step is {step:g} um; the model was trained for {span} um. Shapes look "
                "larger or smaller than those it knows: check the result, or train with a "
                "labelled part of this scan."
            )
        other = set(laue_classes(scan)) - set(self.phases)
        if other and self.phases:
            notes.append(
                f"The scan has phases of Laue class {', '.join(sorted(other))}; the model was "
                f"trained on {', '.join(self.phases)}."
            )
        return tuple(notes)

    def predict(
        self,
        scan: Scan,
        *,
        grain_vote: bool = PredictSettings.grain_vote,
        grain_threshold: float = PredictSettings.grain_threshold,
        not_indexed: str = PredictSettings.not_indexed,
        standardise: str = PredictSettings.standardise,
        turns: int = PredictSettings.turns,
        tile: int = TILE,
        device: str = "auto",
        n_threads: int | None = None,
        progress: Progress = None,
        warn: bool = True,
    ) -> SegmentationResult:
        """Segment a scan.

        Parameters
        ----------
        scan
        grain_vote
            Give each grain one class, see `SegmentationResult.grain_vote`.
        grain_threshold
            Degrees, for the vote.
        not_indexed
            ``"classify"`` pixels that are not indexed, too, or ``"leave_out"``: label 0.
        standardise
            ``"as_trained"`` takes pattern quality as it is; ``"this_map"`` scales and shifts it so
            that its distribution is that of the training maps, for a detector that was set
            otherwise. It presumes that the phase fractions are not too different.
        turns
            Mean over so many turns of the map, 1 to 8: slower, and a little better.
        tile
            Side of a tile in pixels; memory grows with its square.
        device, n_threads
            See `train`.
        progress
            Called with the fraction done; may raise to cancel.
        warn
            Whether to warn, besides keeping what there is to say in the result's `warnings`.

        Raises
        ------
        ModelError
            When the scan lacks a channel of the model.
        InputError
            When an argument is out of range.

        Warns
        -----
        ModelWarning
            When step or phases differ from the training data, see `check`, or a good part of the
            pixels lies outside the range of values that the model has seen; and when a ready model
            is given a map that is not like those of its training, see `familiar`.
        """
        check_not_indexed(not_indexed)
        if not 1 <= turns <= 8:
            raise InputError(f"turns must be 1 to 8, not {turns}.")
        if standardise not in ("as_trained", "this_map"):
            raise InputError(
                f"standardise must be 'as_trained' or 'this_map', not {standardise!r}."
            )
        if standardise == "this_map" and self.ranges is None:
            raise ModelError(
                "The model is of an earlier version and does not know what its training maps "
                "looked like: train it anew to standardise to this map."
            )
        seen = scan
        if standardise == "this_map" and self.ranges is not None:
            seen = self.ranges.matched(scan)
        stack = stack_of(self, seen, turns, progress)
        with threads(n_threads):
            probability = predict_probability(
                self, stack, turns, tile, pick_device(device), progress
            )
        foreign = hard = ""
        if self.familiar is not None:
            pixels = pixels_of(stack, self.normaliser, probability, scan.is_indexed)
            foreign, hard = self.told_of(pixels)
        notes = (
            *filter(None, (foreign, hard)),
            *self.check(scan),
            *(() if self.ranges is None else self.ranges.notes(seen, stack)),
        )
        for note in notes if warn else ():
            warnings.warn(f"{scan.name}: {note}", ModelWarning, stacklevel=2)
        return result_of(
            probability,
            scan,
            self.classes,
            not_indexed,
            grain_vote,
            grain_threshold,
            notes,
            tuple(self.record.get("fraction_errors", ())),
            bool(foreign),
        )

    def explain(
        self,
        scan: Scan,
        where: tuple[int, int] | ArrayLike | None = None,
        truth: ArrayLike | None = None,
        *,
        device: str = "auto",
        progress: Progress = None,
    ) -> Explanation:
        """Where it looks: what becomes of the answer when something is hidden from it.

        Parameters, result and errors are those of `napari_ebsdml.segmentation.explain`.
        """
        return explain(self, scan, where, truth, device=device, progress=progress)

    def save(self, path: str | os.PathLike[str]) -> ModelCard:
        """Write ``NAME.safetensors`` and the model card ``NAME.json``.

        Raises
        ------
        ModelError
            When the files cannot be written.
        """
        return save_segmenter(self, path)

    @classmethod
    def ready(cls, name: str) -> Self:
        """A model that needs no stroke; `train_more` adapts it to a map with a few.

        Parameters
        ----------
        name
            ``"martensite"`` (ferrite, martensite, bainite), ``"recrystallised"``
            (recrystallised, recovered, deformed) or ``"twins"`` (matrix, twin). They were trained
            on synthetic maps of random physics; the card tells how well they do on others.

        Raises
        ------
        InputError
            When there is no such model.
        """
        return cls.load(ready_path(name))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model.

        Raises
        ------
        ModelError
            When a file is missing or damaged, or is no segmentation model.
        """
        found = load_segmenter(path)
        return cls(**{f.name: getattr(found, f.name) for f in fields(found)})
