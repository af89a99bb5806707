"""How a training begins and ends: channels, split, network; then the model and its record."""

from __future__ import annotations

import copy
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from napari_ebsdml.learning.device import seed_all
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation.channels import (
    ChannelStack,
    channel_names,
    compute_channels,
    default_channels,
    laue_classes,
)
from napari_ebsdml.segmentation.data import Classes, Crops, TrainingMap, check_items, data_hash
from napari_ebsdml.segmentation.network import UNet, UNetSettings
from napari_ebsdml.segmentation.normalise import Normaliser
from napari_ebsdml.segmentation.predict import predict_logits, softmax
from napari_ebsdml.segmentation.prepare import Pairs, prepare
from napari_ebsdml.segmentation.result import result_of
from napari_ebsdml.segmentation.segmenter import Segmenter
from napari_ebsdml.segmentation.settings import TrainingSettings, depth_for, members_for
from napari_ebsdml.segmentation.training import HeldOut, SegmentationEvent, training_steps
from napari_ebsdml.segmentation.under_way import Steps, Training

_SMALLEST_COARSE = 32


def new_training(
    items: Any,
    channels: Sequence[str] | None,
    names: Mapping[int, str] | Sequence[str] | None,
    colours: Mapping[int, str] | Sequence[str] | None,
    settings: TrainingSettings,
    device: torch.device,
    n_threads: int | None,
    preview: Scan | None,
    preview_every: int,
) -> Training:
    """Training of a new model; see `Segmenter.training`."""
    pairs = check_items(items)
    present = set[int]().union(*(np.unique(labels[labels > 0]).tolist() for _, labels in pairs))
    classes = Classes.of(sorted(present), names, colours)
    wanted = channel_names(channels if channels is not None else default_channels(pairs[0][0]))

    def make(training: Training) -> Steps:
        return _events(
            training, pairs, wanted, classes, None, settings, device, preview, preview_every
        )

    return Training(make, n_threads)


def continued_training(
    model: Segmenter,
    items: Any,
    settings: TrainingSettings,
    device: torch.device,
    n_threads: int | None,
    preview: Scan | None,
    preview_every: int,
) -> Training:
    """Training that goes on with a model; see `Segmenter.more_training`."""
    pairs = check_items(items)
    for _, labels in pairs:
        model.classes.index(labels)

    def make(training: Training) -> Steps:
        return _events(
            training, pairs, model.channels, model.classes, model, settings, device, preview,
            preview_every,
        )  # fmt: skip

    return Training(make, n_threads)


def _events(
    training: Training,
    pairs: Pairs,
    channels: tuple[str, ...],
    classes: Classes,
    model: Segmenter | None,
    settings: TrainingSettings,
    device: torch.device,
    preview: Scan | None,
    preview_every: int,
) -> Steps:
    seed_all(settings.seed)
    prepared = prepare(pairs, classes, settings)
    split = prepared.split
    scans = [scan for scan, _ in pairs]
    train_targets = list(split.training)
    if settings.coarser:
        for scan, target in zip(list(scans), split.training, strict=True):
            small = target[::2, ::2]
            if min(small.shape) >= _SMALLEST_COARSE and (small >= 0).any():
                scans.append(scan.crop(slice(None, None, 2), slice(None, None, 2)))
                train_targets.append(small)
    stacks: list[ChannelStack] = []
    for scan in scans:
        stacks.append(compute_channels(scan, channels, turns=settings.turns))
    normaliser = model.normaliser if model is not None else Normaliser.fit(stacks)
    maps = [
        TrainingMap(normaliser(stack), target, stack)
        for stack, target in zip(stacks, train_targets, strict=True)
    ]
    if model is None:
        sizes = settings.network or UNetSettings(
            depth=depth_for(prepared.regions),
            members=members_for(sum(labels.size for _, labels in pairs)),
        )
        network = UNet(len(normaliser.planes), len(classes), sizes)
    else:
        network = copy.deepcopy(model.network)
    network = network.to(device)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    held_out: HeldOut | None = HeldOut(maps, split, network, device)
    assert held_out is not None
    if not len(held_out.target):
        held_out = None
    step = _steps([*scans])
    if model is not None:
        step = min(step[0], model.step[0]), max(step[1], model.step[1])
    record = {
        "data": [
            {"name": scan.name, "shape": list(scan.shape), "step": list(scan.step),
             "labelled": {str(v): int((labels == v).sum()) for v in classes.values}}
            for scan, labels in pairs
        ],
        "data_sha256": data_hash(pairs),
        "settings": settings.as_dict(),
        "before": None if model is None else dict(model.record),
    }  # fmt: skip
    phases = set() if model is None else set(model.phases)
    for scan in scans:
        phases |= set(laue_classes(scan))

    def finish() -> Segmenter:
        network.eval()
        temperature = 1.0 if model is None else model.temperature
        metrics: dict[str, Any] = {}
        if held_out is not None:
            temperature, metrics = held_out.report(network, len(classes))
        curve = [
            {"epoch": e.epoch, "seconds": round(e.seconds, 2), **e.losses, **e.metrics}
            for e in training.events if e.kind == "epoch"
        ]  # fmt: skip
        return Segmenter(
            copy.deepcopy(network), channels, normaliser, classes, float(temperature), step,
            tuple(sorted(phases)), {**record, "curve": curve}, metrics,
        )  # fmt: skip

    picture = None
    if preview is not None:
        # Channels of the preview are computed once, or taken from the training.
        same = next((n for n, (scan, _) in enumerate(pairs) if scan is preview), None)
        image = (
            maps[same].values if same is not None
            else normaliser(compute_channels(preview, channels))
        )  # fmt: skip

        def picture() -> Any:
            logits = predict_logits(network, image, device)
            probability = np.ascontiguousarray(np.moveaxis(softmax(logits, axis=0), 0, -1))
            return result_of(probability, preview, classes, "classify", False, 3.0)

    yield SegmentationEvent("start", 0, settings.epochs, 0.0, time.monotonic() - training.started)
    crops = Crops(maps, normaliser, settings, len(classes), network.settings.members)
    steps = training_steps(
        network, crops, held_out, len(classes), settings, device, training.started, picture,
        preview_every,
    )  # fmt: skip
    first = True
    try:
        for event in steps:
            if event.kind == "epoch" and first:
                first = False
            yield event
    finally:
        # Closing puts the best weights back, so it comes before the model is made of them.
        steps.close()
        if not first:
            training.finish_with(finish)


def _steps(scans: Sequence[Scan]) -> tuple[float, float]:
    every = [float(np.sqrt(scan.step[0] * scan.step[1])) for scan in scans]
    return min(every), max(every)
