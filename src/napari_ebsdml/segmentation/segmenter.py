"""`Segmenter`: a U-Net that learns phases from strokes and then labels whole maps."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from napari_ebsdml._parallel import Progress
from napari_ebsdml.errors import InputError, ModelError
from napari_ebsdml.learning.device import pick_device, threads
from napari_ebsdml.learning.model_card import Entries, ModelCard
from napari_ebsdml.learning.model_file import build, load_model, save_model
from napari_ebsdml.learning.under_way import run
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation.channels import channel_names, laue_classes
from napari_ebsdml.segmentation.data import Classes
from napari_ebsdml.segmentation.event import SegmentationEvent
from napari_ebsdml.segmentation.model import TrainedModel
from napari_ebsdml.segmentation.network import UNet
from napari_ebsdml.segmentation.normalise import Normaliser
from napari_ebsdml.segmentation.predict import TILE, predict_probability
from napari_ebsdml.segmentation.result import SegmentationResult, check_not_indexed, result_of
from napari_ebsdml.segmentation.run import Plan
from napari_ebsdml.segmentation.settings import (
    PredictSettings,
    TrainingSettings,
    UNetSettings,
    settings_from,
)
from napari_ebsdml.segmentation.training import Training

KIND = "segmentation"
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
    channels
        Names of the input channels.
    normaliser
    classes
    temperature
        Logits are divided by it; fitted on held-out blocks.
    step
        Smallest and largest step in um that it was trained for.
    phases
        Laue classes of the training data.
    record
        Training data, settings and learning curve, as on the model card.
    metrics
        Figures on held-out blocks; empty when nothing was held out.
    """

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
        preview
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

        Channels, normalisation and classes stay as they are.

        Parameters
        ----------
        items
            Pairs (scan, labels), as for `train`. Give the earlier ones again, too, if the model
            shall not forget them.
        device, n_threads, on_event, **changes
            See `train`. Defaults differ: 4 epochs of 8 steps at a quarter of the learning rate.

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
        start = TrainingSettings(
            network=self.network.settings, epochs=4, steps=8, learning_rate=1e-3, coarser=False
        )
        plan = Plan.more(self, items, settings_from(start, changes), pick_device(device))
        return Training(plan, type(self), n_threads, preview, preview_every)

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
            When step or phases differ from the training data; see `check`.
        """
        check_not_indexed(not_indexed)
        if not 1 <= turns <= 8:
            raise InputError(f"turns must be 1 to 8, not {turns}.")
        notes = self.check(scan)
        for note in notes if warn else ():
            warnings.warn(f"{scan.name}: {note}", ModelWarning, stacklevel=2)
        with threads(n_threads):
            probability = predict_probability(
                self, scan, turns, tile, pick_device(device), progress
            )
        return result_of(
            probability, scan, self.classes, not_indexed, grain_vote, grain_threshold, notes
        )

    def save(self, path: str | os.PathLike[str]) -> ModelCard:
        """Write ``NAME.safetensors`` and the model card ``NAME.json``.

        Raises
        ------
        ModelError
            When the files cannot be written.
        """
        card = ModelCard(
            kind=KIND,
            network="UNet",
            settings=self.network.settings.as_dict(),
            inputs=self.normaliser.as_inputs(),
            classes=self.classes.names,
            step=self.step,
            training=self.record,
            metrics=self.metrics,
            extra={
                "channels": list(self.channels), "values": list(self.classes.values),
                "colours": list(self.classes.colors), "temperature": self.temperature,
                "phases": list(self.phases),
            },
        )  # fmt: skip
        return save_model(path, self.network.state_dict(), card)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a model.

        Raises
        ------
        ModelError
            When a file is missing or damaged, or is no segmentation model.
        """
        weights, card = load_model(path, KIND)
        extra = Entries(path, card.extra)
        normaliser = Normaliser.from_inputs(Entries(path, card.inputs))
        classes = Classes(
            extra.wholes("values", 1, 1 << 31), card.classes, extra.names("colours")
        )  # fmt: skip
        if not 2 <= len(classes.values) == len(classes.names) == len(classes.colors):
            raise ModelError(f"{path}: classes, values and colours differ in number.")
        if any(a >= b for a, b in pairwise(classes.values)):
            raise extra.error("values", "ascending numbers")
        temperature, phases = extra.positive("temperature"), extra.names("phases")
        try:
            channels = channel_names(extra.names("channels"))
            settings = UNetSettings.of_card(Entries(path, card.settings))
        except InputError as error:
            raise ModelError(f"{path}: the model card is wrong: {error}") from None
        network = build(
            lambda: UNet(len(normaliser.planes), len(classes), settings), weights, path
        )  # fmt: skip
        network.eval()
        step = card.step or (0.0, float("inf"))
        return cls(
            network, channels, normaliser, classes, temperature, step, phases, card.training,
            card.metrics,
        )  # fmt: skip
