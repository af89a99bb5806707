"""Training of a segmenter, step by step."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from napari_ebsdml.learning.calibration import fit_temperature, reliability
from napari_ebsdml.learning.device import has_bfloat16
from napari_ebsdml.learning.loop import Schedule, TrainingEvent, train
from napari_ebsdml.segmentation.data import Crops, TrainingMap
from napari_ebsdml.segmentation.evaluation import metrics_of
from napari_ebsdml.segmentation.predict import network_logits, softmax
from napari_ebsdml.segmentation.split import Split

if TYPE_CHECKING:
    from napari_ebsdml.segmentation.network import UNet
    from napari_ebsdml.segmentation.result import SegmentationResult
    from napari_ebsdml.segmentation.settings import TrainingSettings

_MOST_PIXELS = 800_000


@dataclass(frozen=True)
class SegmentationEvent:
    """What happened in a training.

    Attributes
    ----------
    kind
        ``"start"`` once the channels are there, ``"step"`` within an epoch, ``"epoch"`` after
        each, ``"end"`` once at the end.
    epoch, epochs
        Epochs finished, and planned in all.
    fraction
        Part of the training that is done, 0..1.
    seconds
        Time since the training began.
    losses
        ``"loss"``: mean training loss since the epoch began.
    metrics
        On held-out blocks: ``"held_out_loss"``, ``"accuracy"``, ``"balanced_accuracy"``; empty
        when nothing is held out, and for ``"step"``.
    is_best, best_epoch
        Whether this epoch is the best so far, and which one is.
    reason
        For ``"end"``: ``"finished"``, ``"early stop"`` or ``"time"``.
    preview
        Prediction of the scan that was asked for, or None.
    """

    kind: str
    epoch: int
    epochs: int
    fraction: float
    seconds: float
    losses: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    is_best: bool = False
    best_epoch: int = 0
    reason: str = ""
    preview: SegmentationResult | None = None


class HeldOut:
    """Network outputs at held-out pixels, from whole windows around their blocks."""

    def __init__(
        self, maps: Sequence[TrainingMap], split: Split, network: UNet, device: torch.device
    ) -> None:
        self.device = device
        self.windows: list[tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int8]]] = []
        self.target = np.empty(0, np.int8)
        self.blocks = np.empty(0, np.int32)
        rng = np.random.default_rng(0)
        area, blocks = 0, []
        places = [
            (n, int(b)) for n, (h, k) in enumerate(zip(split.held_out, split.blocks, strict=True))
            for b in np.unique(k[h >= 0])
        ]  # fmt: skip
        whole = {
            n for n, m in enumerate(maps[: len(split.held_out)])
            if m.target.size <= _MOST_PIXELS // 8
        }  # fmt: skip
        for at in rng.permutation(len(places)):
            n, number = places[at]
            if n in whole:
                continue
            here = (split.blocks[n] == number) & (split.held_out[n] >= 0)
            window = _window(here, network.halo, network.align)
            size = here[window].size
            if area + size > _MOST_PIXELS and area:
                break
            area += size
            self._add(maps[n], split, n, here, window)
            blocks.append(np.full(int(here.sum()), number))
        for n in sorted(whole):
            here = split.held_out[n] >= 0
            if here.any():
                self._add(maps[n], split, n, here, (slice(None), slice(None)))
                blocks.append(split.blocks[n][here])
        if self.windows:
            self.target = np.concatenate([t[h] for _, h, t in self.windows])
            self.blocks = np.concatenate(blocks)

    def _add(
        self, source: TrainingMap, split: Split, number: int, here: NDArray[np.bool_],
        window: tuple[slice, slice],
    ) -> None:  # fmt: skip
        self.windows.append(
            (source.values[(slice(None), *window)], here[window], split.held_out[number][window])
        )

    @property
    def is_telling(self) -> bool:
        """Whether there is enough to choose the best epoch by."""
        return len(self.target) >= 500 and len(np.unique(self.blocks)) >= 8

    def logits(self, network: nn.Module) -> NDArray[np.float32]:
        """(pixels, classes) outputs in the order of `target`."""
        return np.concatenate(
            [
                network_logits(network, image, self.device)[:, here].T
                for image, here, _ in self.windows
            ]
        )

    def metrics(self, network: nn.Module) -> dict[str, float]:
        """Loss (every class alike), accuracy and balanced accuracy."""
        logits = torch.from_numpy(self.logits(network))
        target = torch.from_numpy(self.target.astype(np.int64))
        each = functional.cross_entropy(logits, target, reduction="none")
        right = (logits.argmax(1) == target).double()
        present = torch.unique(target)
        return {
            "held_out_loss": float(torch.stack([each[target == c].mean() for c in present]).mean()),
            "accuracy": float(right.mean()),
            "balanced_accuracy": float(
                torch.stack([right[target == c].mean() for c in present]).mean()
            ),
        }

    def report(self, network: nn.Module, classes: int) -> tuple[float, dict[str, Any]]:
        """Temperature, and figures on the held-out pixels.

        The reliability is cross-fitted: blocks are dealt to two halves, and each half is judged
        with the temperature of the other one. The returned temperature is fitted to all.
        """
        logits, target = self.logits(network), self.target.astype(np.int64)
        temperature = fit_temperature(logits, target)
        number = np.unique(self.blocks, return_inverse=True)[1]
        half = number % 2
        figures: dict[str, Any] = {"pixels": len(target), "blocks": int(number.max()) + 1}
        if half.any():
            probability = np.empty_like(logits, dtype=np.float64)
            for h in range(2):
                other = fit_temperature(logits[half != h], target[half != h])
                probability[half == h] = softmax(logits[half == h] / other)
            figures["calibration_error"] = reliability(probability, target).error
            figures["calibration_error_before"] = reliability(softmax(logits), target).error
        figures |= metrics_of(target, logits.argmax(1), classes)
        return temperature, figures


def _window(here: NDArray[np.bool_], halo: int, align: int) -> tuple[slice, slice]:
    """Smallest window in which the network sees all that it would see on the whole map."""
    ends = [np.flatnonzero(here.any(axis=axis))[[0, -1]] for axis in (1, 0)]
    rows, columns = (
        slice(
            max(int(first) - halo, 0) // align * align,
            -(-(int(last) + 1 + halo) // align) * align,
        )
        for first, last in ends
    )
    return rows, columns


def class_weights(counts: NDArray[np.integer], balance: float) -> NDArray[np.float32]:
    """Weights of the loss, mean 1 over the labelled pixels; 0 for a class without any."""
    share = counts / max(counts.sum(), 1)
    weights = np.where(counts > 0, np.maximum(share, 1e-6) ** -balance, 0.0)
    return (weights / max((weights * share).sum(), 1e-12)).astype(np.float32)


def training_steps(
    network: nn.Module,
    crops: Crops,
    held_out: HeldOut | None,
    classes: int,
    settings: TrainingSettings,
    device: torch.device,
    started: float,
    preview: Callable[[], SegmentationResult] | None,
    preview_every: int,
) -> Generator[SegmentationEvent, None, None]:
    """Train `network` in place; closing the generator leaves the best weights in it."""
    # Crops are drawn class by class, so what the loss sees is counted, not what is painted.
    seen = np.zeros(classes, dtype=np.int64)
    for number, (_, target) in zip(range(4), crops(1 << 20), strict=False):
        del number
        seen += np.bincount(target[target >= 0].numpy(), minlength=classes)
    for c in crops.used:
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

    # A handful of held-out strokes says too little to choose an epoch by.
    judge = held_out if held_out is not None and held_out.is_telling else None
    schedule = Schedule(
        settings.epochs, settings.steps, settings.learning_rate, 0.1, settings.weight_decay,
        settings.average, 1.0, settings.patience if judge else 0,
        "held_out_loss" if judge else "loss", report_every=5,
        bfloat16=has_bfloat16(device),
    )  # fmt: skip
    loop = train(network, batches, loss, schedule, held_out.metrics if held_out else None)
    last: TrainingEvent | None = None
    try:
        for event in loop:
            seconds = time.monotonic() - started
            late = bool(settings.seconds) and seconds > settings.seconds
            picture = None
            if event.kind == "epoch":
                last = event
                due = event.epoch == 1 or event.epoch % max(preview_every, 1) == 0
                if preview is not None and preview_every and due and not late:
                    picture = preview()
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
