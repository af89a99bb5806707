"""What lies round a training: channels, split and network before it, the model after it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from napari_ebsdml.learning.device import seed_all
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation.channels import (
    channel_names,
    compute_channels,
    default_channels,
    laue_classes,
)
from napari_ebsdml.segmentation.data import Classes, Crops, TrainingMap, check_items, data_hash
from napari_ebsdml.segmentation.event import SegmentationEvent
from napari_ebsdml.segmentation.held_out import HeldOut
from napari_ebsdml.segmentation.model import TrainedModel
from napari_ebsdml.segmentation.network import UNet
from napari_ebsdml.segmentation.normalise import Normaliser
from napari_ebsdml.segmentation.predict import predict_logits, softmax
from napari_ebsdml.segmentation.prepare import Pairs, prepare
from napari_ebsdml.segmentation.result import SegmentationResult, result_of
from napari_ebsdml.segmentation.settings import (
    TrainingSettings,
    UNetSettings,
    depth_for,
    members_for,
)

_SMALLEST_COARSE = 32

Model = TypeVar("Model", bound=TrainedModel)


@dataclass(frozen=True, eq=False)
class Plan:
    """What is to be trained, checked; nothing is computed yet.

    Attributes
    ----------
    pairs
        Scans and their label images.
    channels
    classes
    settings
    device
    start
        Model that the training goes on with; None: a new one.
    """

    pairs: Pairs
    channels: tuple[str, ...]
    classes: Classes
    settings: TrainingSettings
    device: torch.device
    start: TrainedModel | None = None

    @classmethod
    def new(
        cls,
        items: Any,
        channels: Sequence[str] | None,
        names: Mapping[int, str] | Sequence[str] | None,
        colors: Mapping[int, str] | Sequence[str] | None,
        settings: TrainingSettings,
        device: torch.device,
    ) -> Plan:
        """Plan of a new model; see `Segmenter.training`."""
        pairs = check_items(items)
        classes = Classes.marked(pairs, names, colors)
        wanted = channel_names(channels if channels is not None else default_channels(pairs[0][0]))
        return cls(pairs, wanted, classes, settings, device)

    @classmethod
    def more(
        cls, model: TrainedModel, items: Any, settings: TrainingSettings, device: torch.device
    ) -> Plan:
        """Plan that goes on with a model; see `Segmenter.more_training`."""
        pairs = check_items(items)
        for _, labels in pairs:
            model.classes.index(labels)
        return cls(pairs, model.channels, model.classes, settings, device, model)


@dataclass(frozen=True, eq=False)
class Run:
    """A training that is ready to begin.

    Attributes
    ----------
    plan
    maps
        Standardised planes with the labels that train: of each scan, then of coarser copies.
    held_out
        What the network is judged by; None when nothing is held out.
    network
        Trained in place, on the plan's device.
    normaliser
    step
        Smallest and largest step in um.
    phases
        Laue classes.
    record
        Data and settings, for the model card.
    """

    plan: Plan
    maps: Sequence[TrainingMap]
    held_out: HeldOut | None
    network: UNet
    normaliser: Normaliser
    step: tuple[float, float]
    phases: tuple[str, ...]
    record: Mapping[str, Any]

    def crops(self) -> Crops:
        """Batches to train on."""
        plan, members = self.plan, self.network.settings.members
        return Crops(self.maps, self.normaliser, plan.settings, len(plan.classes), members)

    def preview(self, scan: Scan) -> Callable[[], SegmentationResult]:
        """Function that predicts a scan with the network as it is when called."""
        plan = self.plan
        same = next((n for n, (mine, _) in enumerate(plan.pairs) if mine is scan), None)
        # Channels are computed once, or taken from the training.
        image = (
            self.maps[same].values if same is not None
            else self.normaliser(compute_channels(scan, plan.channels))
        )  # fmt: skip

        def predict() -> SegmentationResult:
            logits = predict_logits(self.network, image, plan.device)
            probability = np.ascontiguousarray(np.moveaxis(softmax(logits, axis=0), 0, -1))
            return result_of(probability, scan, plan.classes, "classify", False, GRAIN_THRESHOLD)

        return predict

    def model(self, events: Sequence[SegmentationEvent], kind: type[Model]) -> Model:
        """Make the model, of the class `kind`, of the network as it is now.

        `events` hold the learning curve.
        """
        plan = self.plan
        self.network.eval()
        temperature = 1.0 if plan.start is None else plan.start.temperature
        metrics: dict[str, Any] = {}
        if self.held_out is not None:
            temperature, metrics = self.held_out.report(self.network, len(plan.classes))
        curve = [
            {"epoch": e.epoch, "seconds": round(e.seconds, 2), **e.losses, **e.metrics}
            for e in events if e.kind == "epoch"
        ]  # fmt: skip
        return kind(
            copy.deepcopy(self.network), plan.channels, self.normaliser, plan.classes,
            float(temperature), self.step, self.phases, {**self.record, "curve": curve}, metrics,
        )  # fmt: skip


def prepare_run(plan: Plan) -> Run:
    """Compute the channels, hold blocks out, make the network.

    Raises
    ------
    MissingDataError
        When a scan lacks a channel.
    """
    settings, before = plan.settings, plan.start
    seed_all(settings.seed)
    prepared = prepare(plan.pairs, plan.classes, settings)
    split = prepared.split
    scans = [scan for scan, _ in plan.pairs]
    targets = list(split.training)
    if settings.coarser:
        for scan, target in _coarser(scans, targets):
            scans.append(scan)
            targets.append(target)
    stacks = [compute_channels(scan, plan.channels, turns=settings.turns) for scan in scans]
    normaliser = before.normaliser if before is not None else Normaliser.fit(stacks)
    maps = [
        TrainingMap(normaliser(stack), target, stack)
        for stack, target in zip(stacks, targets, strict=True)
    ]
    if before is None:
        sizes = settings.network or UNetSettings(
            depth=depth_for(prepared.regions),
            members=members_for(sum(labels.size for _, labels in plan.pairs)),
        )
        network = UNet(len(normaliser.planes), len(plan.classes), sizes)
    else:
        network = copy.deepcopy(before.network)
    network = network.to(plan.device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    held_out = HeldOut(maps, split, network, plan.device)
    step, phases = _steps(scans), set[str]().union(*map(laue_classes, scans))
    if before is not None:
        step = min(step[0], before.step[0]), max(step[1], before.step[1])
        phases |= set(before.phases)
    return Run(
        plan, maps, held_out if len(held_out.target) else None, network, normaliser, step,
        tuple(sorted(phases)), _record(plan),
    )  # fmt: skip


def _coarser(
    scans: Sequence[Scan], targets: Sequence[NDArray[np.int8]]
) -> list[tuple[Scan, NDArray[np.int8]]]:
    """Every other pixel of the scans that are large enough, as if measured at twice the step."""
    every_other = slice(None, None, 2)
    return [
        (scan.crop(every_other, every_other), small)
        for scan, target in zip(scans, targets, strict=True)
        if min((small := target[::2, ::2]).shape) >= _SMALLEST_COARSE and (small >= 0).any()
    ]


def _steps(scans: Sequence[Scan]) -> tuple[float, float]:
    every = [float(np.sqrt(scan.step[0] * scan.step[1])) for scan in scans]
    return min(every), max(every)


def _record(plan: Plan) -> dict[str, Any]:
    return {
        "data": [
            {"name": scan.name, "shape": list(scan.shape), "step": list(scan.step),
             "labelled": {str(v): int((labels == v).sum()) for v in plan.classes.values}}
            for scan, labels in plan.pairs
        ],
        "data_sha256": data_hash(plan.pairs),
        "settings": plan.settings.as_dict(),
        "before": None if plan.start is None else dict(plan.start.record),
    }  # fmt: skip
