"""Training of a segmenter, step by step."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Generic

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from napari_ebsdml.learning.device import has_bfloat16
from napari_ebsdml.learning.loop import Schedule, TrainingEvent, train
from napari_ebsdml.learning.together import agreed
from napari_ebsdml.learning.under_way import UnderWay
from napari_ebsdml.segmentation.learning.event import SegmentationEvent
from napari_ebsdml.segmentation.learning.run import Model, Plan, Run, prepare_run

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan
    from napari_ebsdml.segmentation.results.result import SegmentationResult


class Training(UnderWay[SegmentationEvent, Model], Generic[Model]):
    """A training under way: iterate over its events; ``close()`` cancels.

    Attributes
    ----------
    events
        All events so far but those of kind ``"step"``, without their previews.
    started
        `time.monotonic` when it began.
    """

    def __init__(
        self, plan: Plan, kind: type[Model], n_threads: int | None, preview: Scan | None,
        preview_every: int,
    ) -> None:  # fmt: skip
        super().__init__(n_threads, plan.settings.seed)
        self.started = time.monotonic()
        self._kind = kind
        self._steps = self._train(plan, preview, preview_every)
        self._run: Run | None = None
        self._done: Model | None = None

    @property
    def segmenter(self) -> Model | None:
        """Best model once the training has ended or was closed, None before; None, too, when it
        was closed before its first epoch ended.
        """
        return self.model

    def _train(
        self, plan: Plan, preview: Scan | None, preview_every: int
    ) -> Generator[SegmentationEvent, None, None]:
        run = prepare_run(plan)
        picture = None if preview is None else run.preview(preview)
        yield SegmentationEvent(
            "start", 0, plan.settings.epochs, 0.0, time.monotonic() - self.started,
            preview=None if picture is None else picture(False),
        )  # fmt: skip
        if run.network is None:
            self._run = run
            yield SegmentationEvent(
                "end", 0, 0, 1.0, time.monotonic() - self.started, reason="finished"
            )
            return
        steps = training_steps(run, self.started, picture, preview_every)
        is_trained = False
        try:
            for event in steps:
                is_trained = is_trained or event.kind == "epoch"
                yield event
        finally:
            # Closing puts the best weights back, so it comes before the model is made of them.
            steps.close()
            if is_trained:
                self._run = run

    def _keep(self, event: SegmentationEvent) -> None:
        self.events.append(dataclasses.replace(event, preview=None))

    def _model(self) -> Model | None:
        if self._done is None and self._run is not None:
            self._done = self._run.model(self.events, self._kind)
        return self._done


def class_weights(counts: NDArray[np.integer], balance: float) -> NDArray[np.float32]:
    """Weights of the loss, mean 1 over the labelled pixels; 0 for a class without any."""
    share = counts / max(counts.sum(), 1)
    weights = np.where(counts > 0, np.maximum(share, 1e-6) ** -balance, 0.0)
    return (weights / max((weights * share).sum(), 1e-12)).astype(np.float32)


def training_steps(
    run: Run, started: float, preview: Callable[[bool], SegmentationResult] | None,
    preview_every: int,
) -> Generator[SegmentationEvent, None, None]:  # fmt: skip
    """Train the network of `run` in place; closing the generator leaves the best weights in it."""
    settings, device, held_out = run.plan.settings, run.plan.device, run.held_out
    network = run.network
    assert network is not None
    crops = run.crops()
    # Crops are drawn class by class, so what the loss sees is counted, not what is painted.
    classes = len(run.plan.classes)
    seen = np.zeros(classes, dtype=np.int64)
    for _, target in itertools.islice(crops(1 << 20), 4):
        seen += np.bincount(target[target >= 0].numpy(), minlength=classes)
    for c in set().union(*crops.used):
        seen[c] = max(seen[c], 1)
    weights = torch.from_numpy(class_weights(seen, settings.balance)).to(device)

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for image, target in crops(epoch):
            yield image.to(device, memory_format=torch.channels_last), target.to(device)

    def loss(net: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        image, target = batch
        return {
            "loss": functional.cross_entropy(
                net(image).float(), target, weight=weights, ignore_index=-1
            )
        }

    def validate(_: nn.Module) -> dict[str, float]:
        assert held_out is not None
        return held_out.metrics(network)

    # A handful of held-out grains says too little to choose an epoch by.
    judge = held_out if held_out is not None and held_out.is_telling else None
    schedule = Schedule(
        settings.epochs, settings.steps, settings.learning_rate, 0.1, settings.weight_decay,
        settings.average, 1.0, settings.patience if judge else 0,
        "held_out_loss" if judge else "loss", report_every=5,
        bfloat16=has_bfloat16(device),
    )  # fmt: skip
    loop = train(network, batches, loss, schedule, validate if held_out else None)
    last: TrainingEvent | None = None
    try:
        for event in loop:
            seconds = time.monotonic() - started
            late = bool(settings.seconds) and agreed(seconds > settings.seconds)
            picture = None
            if event.kind == "epoch":
                last = event
                due = event.epoch == 1 or event.epoch % max(preview_every, 1) == 0
                if preview is not None and preview_every and due and not late:
                    picture = preview(True)
            yield SegmentationEvent(
                event.kind, event.epoch, event.epochs, event.fraction,
                time.monotonic() - started, event.losses, event.metrics, event.is_best,
                event.best_epoch, event.reason, picture,
            )  # fmt: skip
            if late and last is not None and event.kind != "end":
                loop.close()
                yield SegmentationEvent(
                    "end", last.epoch, last.epochs, 1.0, time.monotonic() - started, last.losses,
                    last.metrics, False, last.best_epoch, "time",
                )  # fmt: skip
                return
    finally:
        loop.close()
