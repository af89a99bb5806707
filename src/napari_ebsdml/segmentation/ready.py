"""Training of models that need no stroke, on a stream of maps with known truth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.calibration import reliability
from napari_ebsdml.segmentation.inputs.channels import (
    channel_names,
    compute_channels,
    laue_classes,
)
from napari_ebsdml.segmentation.inputs.domain import Ranges
from napari_ebsdml.segmentation.inputs.familiar import Familiar, Pixels
from napari_ebsdml.segmentation.inputs.normalise import Normaliser
from napari_ebsdml.segmentation.inputs.planes import ChannelStack
from napari_ebsdml.segmentation.labels.data import Classes
from napari_ebsdml.segmentation.models.boosted import BoostedTrees
from napari_ebsdml.segmentation.results.evaluation import metrics_of
from napari_ebsdml.segmentation.segmenter import Segmenter

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

READY_CHANNELS = (
    "Quality", "Quality@grain", "Quality@near", "KAM", "KAM@grain", "KAM@near", "Local",
    "Local@grain", "GROD", "GOS", "RelativeSize", "GrainAspect", "Relations", "TwinPartner",
)  # fmt: skip
"""Planes that do not depend on the detector's settings: quality within its map, and orientations in
a form that no symmetry changes."""

WIDE_CHANNELS = (
    *READY_CHANNELS, "Quality@far", "KAM@far", "Local@far", "RelativeSize@far", "Relations@far",
    "GrainAspect@far",
)  # fmt: skip
"""And what lies around: sheaves of bainite and islands of martensite are wider than their blocks,
and a single block says little of its class."""

CHANNELS_OF: dict[str, tuple[str, ...]] = {"martensite": WIDE_CHANNELS}
"""Family -> channels, where they are not `READY_CHANNELS`. Recrystallised grains and twins are
classes of single grains: there means over a wide neighbourhood took 0.5 points (24 maps)."""


_PARTS, _LEAST = (35, 120), 50
"""Sides of the parts of maps, and pixels of them, that tell what small maps look like."""


@dataclass(frozen=True)
class ReadyRecipe:
    """How a ready model is trained.

    Parameters
    ----------
    pixels
        Taken from each map at random.
    rounds, leaves
        Boosting rounds, and leaves of each tree.
    balance
        0: classes weigh as they come; 1: every class alike.
    seed
    """

    pixels: int = 2000
    rounds: int = 80
    leaves: int = 31
    balance: float = 0.5
    seed: int = 0


def train_ready(
    maps: Iterable[tuple[Scan, NDArray[np.integer]]],
    held_out: Iterable[tuple[Scan, NDArray[np.integer]]],
    names: tuple[str, ...],
    recipe: ReadyRecipe | None = None,
    channels: tuple[str, ...] = READY_CHANNELS,
    record: Mapping[str, Any] | None = None,
    on_map: Callable[[int], None] | None = None,
) -> Segmenter:
    """Train boosted trees on maps that pass by one at a time.

    Parameters
    ----------
    maps
        Pairs of scan and truth, values from 1.
    held_out
        Others, for the temperature and the figures on the card; half of them tell the temperature
        that the other half is judged with.
    names
        Of the classes, in the order of the values.
    recipe
    channels
    record
        Goes onto the card, for example how the maps are made.
    on_map
        Called with the number of maps seen.

    Raises
    ------
    InputError
        When there are no maps, or a class occurs in none of them.
    """
    given, names_of_channels = recipe or ReadyRecipe(), channel_names(channels)
    seen = 0

    def counted(items: Iterable[tuple[Scan, NDArray[np.integer]]]) -> Any:
        nonlocal seen
        for item in items:
            yield item
            seen += 1
            if on_map is not None:
                on_map(seen)

    train = _sampled(counted(maps), names_of_channels, given)
    judge = _sampled(counted(held_out), names_of_channels, given)
    if not train.stacks or not judge.stacks:
        raise InputError("A ready model needs maps to train on, and others to judge it by.")
    normaliser = Normaliser.fit(train.stacks)
    x, y = _joined(normaliser, train)
    counts = np.bincount(y, minlength=len(names))
    if len(counts) > len(names) or (counts == 0).any():
        raise InputError(f"The truth of the maps must hold the values 1 to {len(names)}.")
    weight = np.maximum(counts / counts.sum(), 1e-6) ** -given.balance
    trees = BoostedTrees.fit(
        x, y, len(names), rounds=given.rounds, leaves=given.leaves, weight=weight[y],
        seed=given.seed,
    )  # fmt: skip
    temperature, metrics = _judged(trees, normaliser, judge, len(names))

    def looked_at(stack: ChannelStack) -> Pixels:
        x = normaliser(stack)[:, :, 0].T
        chance = softmax(trees.at(x).astype(np.float64) / temperature, axis=1)
        return Pixels(x, chance.argmax(axis=1), chance.max(axis=1))

    familiar = Familiar.fit(
        normaliser,
        len(names),
        [looked_at(s) for s in train.wholes],
        [looked_at(s) for s in judge.wholes],
    )
    return Segmenter(
        network=None, linear=trees, channels=names_of_channels, normaliser=normaliser,
        classes=Classes.of(range(1, len(names) + 1), names), temperature=temperature,
        step=(min(train.steps), max(train.steps)), phases=tuple(sorted(train.phases)),
        record={
            "maps": len(train.stacks), "settings": asdict(given), **(record or {}),
            "answer": "The ready model answers, without a stroke.",
            "fraction_errors": metrics.pop("fraction_errors"),
        },
        metrics=metrics, ranges=Ranges({}), familiar=familiar,
    )  # fmt: skip


@dataclass
class _Sample:
    stacks: list[ChannelStack]
    targets: list[NDArray[np.int64]]
    steps: list[float]
    phases: set[str]
    wholes: list[ChannelStack]
    """Pixels with an orientation, of each map and of a part of it: small maps differ more."""


def _sampled(
    maps: Iterable[tuple[Scan, NDArray[np.integer]]], channels: tuple[str, ...],
    recipe: ReadyRecipe,
) -> _Sample:  # fmt: skip
    rng, cut = np.random.default_rng(recipe.seed), np.random.default_rng([recipe.seed, 1])
    out = _Sample([], [], [], set(), [])
    for scan, truth in maps:
        stack = compute_channels(scan, channels)
        rows, columns = (
            slice(start := int(cut.integers(max(n - size, 0) + 1)), start + size)
            for n, size in zip(scan.shape, cut.integers(*_PARTS, 2, endpoint=True), strict=True)
        )
        part = scan.crop(rows, columns)
        for one, planes in ((scan, stack), (part, compute_channels(part, channels))):
            there = np.flatnonzero(one.is_indexed)
            if len(there) > _LEAST:
                there = cut.choice(there, min(recipe.pixels, len(there)), replace=False)
                flat = planes.values.reshape(len(planes.planes), -1)[:, there, None]
                out.wholes.append(ChannelStack(np.ascontiguousarray(flat), planes.planes))
        at = rng.choice(truth.size, min(recipe.pixels, truth.size), replace=False)
        values = stack.values.reshape(len(stack.planes), -1)[:, at, None]
        out.stacks.append(ChannelStack(np.ascontiguousarray(values), stack.planes))
        out.targets.append(truth.ravel()[at].astype(np.int64) - 1)
        out.steps.append(float(np.sqrt(scan.step[0] * scan.step[1])))
        out.phases |= set(laue_classes(scan))
    return out


def _joined(
    normaliser: Normaliser, sample: _Sample
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    values = [normaliser(stack)[:, :, 0].T for stack in sample.stacks]
    return np.concatenate(values), np.concatenate(sample.targets)


def _temperature(logits: NDArray[np.floating], target: NDArray[np.integer]) -> float:
    rows = np.arange(len(target))

    def loss(log_t: float) -> float:
        return -float(log_softmax(logits / np.exp(log_t), axis=1)[rows, target].mean())

    found = minimize_scalar(loss, bounds=(np.log(0.3), np.log(10.0)), method="bounded")
    return float(np.exp(found.x))


def _judged(
    trees: BoostedTrees, normaliser: Normaliser, sample: _Sample, classes: int
) -> tuple[float, dict[str, Any]]:
    """Temperature, and figures on maps that were held out."""
    logits = [trees.at(normaliser(s)[:, :, 0].T).astype(np.float64) for s in sample.stacks]
    half = np.arange(len(logits)) % 2
    every, target = np.concatenate(logits), np.concatenate(sample.targets)
    which = np.repeat(half, [len(t) for t in sample.targets])
    chance = np.empty_like(every)
    for h in range(2):
        other = which != h if (which != h).any() else slice(None)
        t = _temperature(every[other], target[other])
        chance[which == h] = np.exp(log_softmax(every[which == h] / t, axis=1))
    best = chance.argmax(axis=1)
    ends = np.cumsum([0, *(len(t) for t in sample.targets)])
    right, told, off = [], [], []
    for a, b in pairwise(ends):
        right.append((best[a:b] == target[a:b]).mean())
        told.append(chance[a:b].max(axis=1).mean())
        parts = [np.bincount(v, minlength=classes) / (b - a) for v in (best[a:b], target[a:b])]
        off.append(parts[0] - parts[1])
    surplus = np.array(off)
    return _temperature(every, target), {
        "pixels": len(target), "maps": len(logits), **metrics_of(target, best, classes),
        "calibration_error": reliability(chance, target).error,
        "told_less_true": float(np.mean(told) - np.mean(right)),
        "worst_map": float(min(right)),
        "fraction_error": float(np.abs(surplus).max(axis=1).mean()),
        "fraction_errors": [float(np.sqrt((surplus[:, c] ** 2).mean())) for c in range(classes)],
    }  # fmt: skip
