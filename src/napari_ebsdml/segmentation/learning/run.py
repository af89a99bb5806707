"""What lies round a training: channels, split and network before it, the model after it."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation.inputs.channels import (
    channel_names,
    compute_channels,
    default_channels,
    laue_classes,
)
from napari_ebsdml.segmentation.inputs.crops import Crops, TrainingMap
from napari_ebsdml.segmentation.inputs.domain import Ranges
from napari_ebsdml.segmentation.inputs.familiar import Familiar, pixels_of
from napari_ebsdml.segmentation.inputs.normalise import Normaliser
from napari_ebsdml.segmentation.inputs.planes import ChannelStack
from napari_ebsdml.segmentation.labels.data import Classes, check_items, data_hash
from napari_ebsdml.segmentation.labels.folds import Folds
from napari_ebsdml.segmentation.labels.prepare import Pairs, Prepared, is_dense, prepare
from napari_ebsdml.segmentation.learning.adapting import adapt
from napari_ebsdml.segmentation.learning.event import SegmentationEvent
from napari_ebsdml.segmentation.learning.held_out import HeldOut
from napari_ebsdml.segmentation.learning.look import (
    LINEAR_ALONE,
    Look,
    adapted_to,
    ensemble_temperature,
    labels_judged,
    verdict,
)
from napari_ebsdml.segmentation.models.boosted import BoostedTrees
from napari_ebsdml.segmentation.models.linear import Discriminant, labelled
from napari_ebsdml.segmentation.models.model import TrainedModel
from napari_ebsdml.segmentation.models.network import UNet
from napari_ebsdml.segmentation.models.predict import predict_logits, softmax
from napari_ebsdml.segmentation.results.judging import USUAL, Judged, is_better
from napari_ebsdml.segmentation.results.result import SegmentationResult, result_of
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
    prepared
        Labels that train and that judge.
    maps
        Standardised planes with the labels that train: of each scan, then of coarser copies.
    linear
        Discriminant of all painted pixels, or a ready model that they have corrected.
    linear_judged
        What discriminants of the other folds say of each fold's painted pixels.
    held_out
        What the network is judged by; None when nothing is held out.
    network
        Trained in place, on the plan's device; None: the discriminant alone.
    normaliser
    step
        Smallest and largest step in um.
    phases
        Laue classes.
    record
        Data and settings, for the model card.
    ranges
        What the pixels of the training maps look like.
    familiar
        What the maps of a ready model's training look like; None when these are not like them.
    """

    plan: Plan
    prepared: Prepared
    maps: Sequence[TrainingMap]
    linear: Discriminant | BoostedTrees
    linear_judged: Judged
    held_out: HeldOut | None
    network: UNet | None
    normaliser: Normaliser
    step: tuple[float, float]
    phases: tuple[str, ...]
    record: Mapping[str, Any]
    ranges: Ranges
    familiar: Familiar | None = None

    def crops(self) -> Crops:
        """Batches to train on."""
        plan, network = self.plan, self.network
        members = network.settings.members if network is not None else 1
        return Crops(self.maps, self.normaliser, plan.settings, len(plan.classes), members)

    def preview(self, scan: Scan) -> Callable[[bool], SegmentationResult]:
        """Function that predicts a scan.

        Its argument says whether the network, as it is when called, or the discriminant answers.
        """
        plan = self.plan
        same = next((n for n, (mine, _) in enumerate(plan.pairs) if mine is scan), None)
        # Channels are computed once, or taken from the training.
        image = (
            self.maps[same].values if same is not None
            else self.normaliser(compute_channels(scan, plan.channels))
        )  # fmt: skip

        def predict(by_network: bool) -> SegmentationResult:
            if by_network and self.network is not None:
                logits = predict_logits(self.network, image, plan.device)
            else:
                dense = self.prepared.dense
                logits = self.linear.logits(image) / self.linear_judged.temperature(dense)
            probability = np.ascontiguousarray(np.moveaxis(softmax(logits, axis=0), 0, -1))
            return result_of(probability, scan, plan.classes, "classify", False, GRAIN_THRESHOLD)

        return predict

    def model(self, events: Sequence[SegmentationEvent], kind: type[Model]) -> Model:
        """Make the model, of the class `kind`, of the network as it is now.

        `events` hold the learning curve.
        """
        plan, dense = self.plan, self.prepared.dense
        judged, kept, better, sentence = self.linear_judged, False, False, LINEAR_ALONE
        usual, network = USUAL, copy.deepcopy(self.network)
        offsets = np.zeros(len(plan.classes), dtype=np.float32)
        if isinstance(self.linear, BoostedTrees) and plan.start is not None:
            foreign = self.familiar is None and plan.start.familiar is not None
            sentence = adapted_to(self.prepared.regions, foreign)
            usual = plan.start.temperature
        if network is not None:
            network.eval()
            network_judged = Judged.empty(len(plan.classes))
            linear_judged = network_judged
            if dense:
                # Strokes are painted where one likes: they do not say how likely the classes are.
                folds = self.prepared.folds
                offsets = labels_judged(network, self.maps, folds, plan.device).offsets()
                network.shift(offsets)
            if self.held_out is not None:
                network_judged = self.held_out.judge(network)
                linear_judged = self.held_out.judge_linear()
            asked = plan.settings.keep == "network" or network.every()[0].base is None
            better = is_better(network_judged, linear_judged, dense)
            kept = asked or better
            sentence = verdict(network_judged, linear_judged, kept, asked, dense)
            judged = network_judged if kept else judged
        # The weights of what answers for an adapted ready model are calibrated by themselves.
        adapted = isinstance(self.linear, BoostedTrees)
        temperature, doubt = (usual, 0.0) if adapted else judged.calibration(dense, usual)
        if kept and not judged.is_telling and plan.start is not None:
            temperature, doubt = plan.start.temperature, plan.start.doubt
        single = float(temperature)
        if kept and network is not None:
            temperature = ensemble_temperature(network, self.maps, single, plan.device)
        metrics = judged.figures(dense)
        curve = [
            {"epoch": e.epoch, "seconds": round(e.seconds, 2), **e.losses, **e.metrics}
            for e in events if e.kind == "epoch"
        ]  # fmt: skip
        record = {
            **self.record, "curve": curve, "answer": sentence, "better": better,
            "single_temperature": single, "doubt": doubt, "offsets": offsets.tolist(),
        }  # fmt: skip
        model = kind(
            network=network if kept else None, linear=self.linear,
            channels=plan.channels, normaliser=self.normaliser, classes=plan.classes,
            temperature=float(temperature), step=self.step, phases=self.phases, record=record,
            metrics=metrics, ranges=self.ranges, familiar=self.familiar,
        )  # fmt: skip
        look = Look(model, self.maps, self.prepared.folds.painted, plan.device)
        notes = (*self.prepared.notes, *look.vanished())
        if metrics:
            expected = look.expected()
            if np.isfinite(expected):
                metrics["expected_accuracy"] = expected
        return dataclasses.replace(
            model, metrics=metrics, record={
                **record, "notes": list(notes), "fraction_errors": list(judged.fraction_errors())
            },
        )  # fmt: skip


def prepare_run(plan: Plan) -> Run:
    """Compute the channels, deal the labels out, fit the discriminants, make the network.

    Raises
    ------
    MissingDataError
        When a scan lacks a channel.
    """
    settings, before = plan.settings, plan.start
    pixels = sum(labels.size for _, labels in plan.pairs)
    start = before.network if before is not None else None
    sizes = settings.network if start is None else start.settings
    ready = before is not None and isinstance(before.linear, BoostedTrees)
    members = (
        0 if not settings.epochs or ready
        else members_for(pixels, is_dense(plan.pairs)) if sizes is None
        else sizes.members
    )  # fmt: skip
    prepared = prepare(plan.pairs, plan.classes, settings, max(members, 1), plan.channels)
    folds = prepared.folds
    scans = [scan for scan, _ in plan.pairs]
    targets = [
        tuple(each)
        for each in zip(
            *(folds.without(m) if m < folds.number else folds.training
              for m in range(max(members, 1))), strict=True
        )
    ]  # fmt: skip
    if settings.coarser and members:
        for scan, target in _coarser(scans, targets):
            scans.append(scan)
            targets.append(target)
    stacks = [compute_channels(scan, plan.channels, turns=settings.turns) for scan in scans]
    normaliser = before.normaliser if before is not None else Normaliser.fit(stacks)
    own = len(plan.pairs)
    familiar = _still_familiar(before, scans[:own], stacks[:own])
    # Strokes on a map of another kind make a model of that kind.
    foreign = before is not None and before.familiar is not None and familiar is None
    ranges = (
        before.ranges if before is not None and before.ranges is not None and not foreign
        else Ranges.of(scans[:own], stacks[:own])
    )  # fmt: skip
    maps = [
        TrainingMap(normaliser(stack), target, stack)
        for stack, target in zip(stacks, targets, strict=True)
    ]
    linear, every, judged = _discriminants(plan, maps, folds)
    network, held_out = None, None
    if members:
        if start is None:
            sizes = sizes or UNetSettings(depth=depth_for(prepared.regions), members=members)
            network = UNet(len(normaliser.planes), len(plan.classes), sizes)
            if sizes.linear:
                bases = [every[m] if m < len(every) else linear for m in range(members)]
                network.start_from(bases, judged.temperature(prepared.dense))
        else:
            network = copy.deepcopy(start)
        network = network.to(plan.device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if folds.number:
            found = HeldOut(maps[: len(plan.pairs)], folds, network, every, plan.device)
            held_out = found if len(found.target) else None
    step, phases = _steps(scans), set[str]().union(*map(laue_classes, scans))
    if before is not None:
        step = min(step[0], before.step[0]), max(step[1], before.step[1])
        phases |= set(before.phases)
    return Run(
        plan, prepared, maps, linear, judged, held_out, network, normaliser, step,
        tuple(sorted(phases)), _record(plan), ranges, familiar,
    )  # fmt: skip


def _still_familiar(
    before: TrainedModel | None, scans: Sequence[Scan], stacks: Sequence[ChannelStack]
) -> Familiar | None:
    """What a ready model knows of its maps; None when a map is not like them."""
    if before is None or before.familiar is None or before.linear is None:
        return None
    for scan, stack in zip(scans, stacks, strict=True):
        logits = before.linear.logits(before.normaliser(stack)) / before.temperature
        chance = np.moveaxis(softmax(logits, axis=0), 0, -1)
        pixels = pixels_of(stack, before.normaliser, chance, scan.is_indexed)
        if before.familiar.said(pixels, before.normaliser, before.classes.names):
            return None
    return before.familiar


def _discriminants(
    plan: Plan, maps: Sequence[TrainingMap], folds: Folds
) -> tuple[Any, list[Any], Judged]:
    """Discriminant of all painted pixels, those without each fold, what they say of their fold.

    Of a ready model its corrections, in place of discriminants.
    """
    classes, balance = len(plan.classes), plan.settings.balance
    images = [m.values for m in maps[: len(plan.pairs)]]
    values, target, unit = labelled(images, folds.painted, folds.unit)
    before = plan.start.linear if plan.start is not None else None
    # Strokes that lack a class would make a model forget it.
    same = before is not None and len(np.unique(target)) < classes

    def fitted(x: Any, y: Any, units: Any) -> Any:
        if isinstance(before, BoostedTrees) and plan.start is not None:
            return adapt(before, x, y, units, plan.start.temperature)
        return before if same else Discriminant.fit(x, y, classes, units, balance)

    linear = fitted(values, target, unit)
    every, parts = [], []
    for fold in range(folds.number):
        rest = labelled(images, folds.without(fold, painted=True), folds.unit)
        if not len(rest[1]):
            continue
        one = fitted(*rest)
        every.append(one)
        held = labelled(images, folds.held_out(fold), folds.unit)
        number = np.full(len(held[1]), fold, np.int8)
        parts.append((one.at(held[0]), held[1].astype(np.int8), held[2], number))
    if not parts:
        return linear, every, Judged.empty(classes)
    judged = Judged(*(np.concatenate(each) for each in zip(*parts, strict=True)))
    return linear, every, judged


def _coarser(
    scans: Sequence[Scan], targets: Sequence[tuple[NDArray[np.int8], ...]]
) -> list[tuple[Scan, tuple[NDArray[np.int8], ...]]]:
    """Every other pixel of the scans that are large enough, as if measured at twice the step."""
    every_other = slice(None, None, 2)
    return [
        (scan.crop(every_other, every_other), small)
        for scan, every in zip(scans, targets, strict=True)
        if min((small := tuple(t[::2, ::2] for t in every))[0].shape) >= _SMALLEST_COARSE
        and any((t >= 0).any() for t in small)
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
