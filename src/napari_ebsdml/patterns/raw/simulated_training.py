"""Raw-pattern networks trained on an endless stream of simulated patterns.

``ebsdml dev train-raw OUT --work FOLDER`` makes the shipped model ("raw")
from the shipped library of master patterns and the strangers' master patterns that
``ebsdml dev library`` left in the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.loop import Schedule
from napari_ebsdml.learning.model_card import ModelCard
from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
from napari_ebsdml.patterns.crystal_frame.training import hold_out, joint_classes
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.frame.resize import resize_matrix
from napari_ebsdml.patterns.kinds import RAW
from napari_ebsdml.patterns.raw.classifier import RawClassifier
from napari_ebsdml.patterns.raw.data import LabelledPatterns
from napari_ebsdml.patterns.raw.member import Member, RawRecipe, to_tensor
from napari_ebsdml.patterns.raw.model import RawModel, background_set
from napari_ebsdml.patterns.raw.model_io import LEVELS
from napari_ebsdml.patterns.raw.prepare import prepare
from napari_ebsdml.patterns.raw.training import RawTraining, fit_members, starting_network
from napari_ebsdml.patterns.simulated.screen import circle
from napari_ebsdml.patterns.simulated.synthetic import (
    Reality,
    project_bands,
    random_geometry,
    random_quaternions,
    spoil,
)

REALITY = Reality(sizes=(48, 60, 64, 80), noise=(0.05, 1.5), circular=0.25)
"""Detectors of the stream; orientation and geometry errors do not matter to raw patterns."""
TRAINED_STRANGERS = ("Zr", "Co", "rutile", "TiB2")
_STRANGER_SIDE = 72
_TOGETHER = 128  # patterns that share a camera


@dataclass(frozen=True)
class StreamRecipe:
    """How to train on a stream.

    Attributes
    ----------
    patterns
        Simulated patterns in all.
    repeats
        How often each is seen, turned by quarters and mirrored at random: all are patterns that
        the crystal gives in other orientations, since it has inversion.
    epochs
        Parts of the stream, each of new patterns, after which the network is validated.
    batch, learning_rate, weight_decay
        AdamW; the rate rises and falls along a cosine.
    other
        Part of the patterns that belong to no class: crystals outside m-3m, and noise.
    size
        Side of the network's input in pixels.
    validation
        Part of the crystals (invented ones) held out.
    seed
    bfloat16
    reality
    """

    patterns: int = 80_000
    repeats: int = 4
    epochs: int = 20
    batch: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    other: float = 0.08
    size: int = 64
    validation: float = 0.1
    seed: int = 0
    bfloat16: bool = True
    reality: Reality = field(default_factory=lambda: REALITY)

    def __post_init__(self) -> None:
        if self.patterns < self.batch * self.epochs:
            raise InputError(f"{self.patterns} patterns are fewer than a batch in every epoch.")


def clean_strangers(spheres: NDArray[np.floating], number: int, seed: int) -> NDArray[np.float32]:
    """Noise-free patterns of crystals outside m-3m, (number, side, side).

    Parameters
    ----------
    spheres : (m, 2, n, n) array
    """
    rng = np.random.default_rng([seed, 21])
    geometry, _ = random_geometry(rng, number, _STRANGER_SIDE)
    which = rng.integers(0, len(spheres), number)
    return project_bands(spheres, which, random_quaternions(rng, number), geometry)


def simulate(
    masters: NDArray[np.floating], which: NDArray[np.intp], seed: int | list[int],
    reality: Reality = REALITY, strange: NDArray[np.float32] | None = None,
    shadows: float = 0.3,
) -> tuple[NDArray[np.unsignedinteger[Any]], NDArray[np.bool_]]:  # fmt: skip
    """Raw patterns of random orientations and cameras, and the mask of the screen.

    Parameters
    ----------
    masters : (m, nodes) array
        Folded master patterns.
    which : (n,) int array
        Master pattern of each; -1: one of `strange` or no bands at all.
    seed
        The same seed gives the same patterns.
    reality
    strange : (k, side, side) array, optional
        Noise-free patterns for the entries -1; without them these are noise.
    shadows
        Chance that the edge of the screen or of a holder throws a shadow.

    Returns
    -------
    patterns : (n, size, size) array
    mask : (size, size) bool array
        All true for half of the round screens, whose corners are grey instead.
    """
    rng = np.random.default_rng(seed)
    size = int(rng.choice(reality.sizes))
    n = len(which)
    geometry, _ = random_geometry(rng, n, size)
    images = project_bands(masters, np.maximum(which, 0), random_quaternions(rng, n), geometry)
    for k in np.flatnonzero(which < 0):
        if strange is not None and rng.random() < 0.7:
            resize = resize_matrix(strange.shape[1], size)
            image = resize @ strange[rng.integers(len(strange))] @ resize.T
            images[k] = np.rot90(image, int(rng.integers(4)))
        else:
            side = size // int(rng.choice((1, 1, 2, 4)))
            resize = resize_matrix(side, size)
            images[k] = resize @ rng.standard_normal((side, side), np.float32) @ resize.T
    patterns = spoil(images, rng, reality)
    valid = np.ones((size, size), bool)
    if rng.random() < shadows:
        patterns = (patterns * _shadow(rng, size)).astype(patterns.dtype)
    if rng.random() < reality.circular:
        inside = circle((size, size))
        if rng.random() < 0.5:
            patterns[:, ~inside] = 0
            valid = inside
        else:
            # Files often fill the corners with some grey that no mask search can tell from signal.
            grey = np.quantile(patterns.reshape(n, -1), rng.uniform(0.05, 0.6), axis=1)
            patterns[:, ~inside] = grey[:, None].astype(patterns.dtype)
    return patterns, valid


def _shadow(rng: np.random.Generator, size: int) -> NDArray[np.float64]:
    """Factors that darken what lies outside a large circle off the middle."""
    y, x = np.meshgrid(np.linspace(-1, 1, size), np.linspace(-1, 1, size), indexing="ij")
    cy, cx = rng.uniform(-0.3, 0.3, 2)
    outside = np.hypot(y - cy, x - cx) - rng.uniform(0.8, 1.2)
    return 1 - rng.uniform(0.05, 0.5) / (1 + np.exp(-outside / rng.uniform(0.01, 0.08)))


def fresh(
    library: Library, recipe: StreamRecipe, strange: NDArray[np.float32] | None, epoch: int,
    number: int,
) -> tuple[NDArray[np.int8], NDArray[np.intp]]:  # fmt: skip
    """New prepared patterns in 8 bits, and their classes; "other" is the number of classes."""
    classes = joint_classes(library)
    place = {pair: k for k, pair in enumerate(classes)}
    pairs = zip(library.families, library.space_groups.tolist(), strict=True)
    target = np.array([place[pair] for pair in pairs])
    counts = np.bincount(target, minlength=len(classes))[target]
    chance = counts**-0.5 / (counts**-0.5).sum()
    x = np.empty((number, recipe.size, recipe.size), np.int8)
    y = np.empty(number, np.intp)
    for start in range(0, number, _TOGETHER):
        part = slice(start, min(start + _TOGETHER, number))
        rng = np.random.default_rng([recipe.seed, 0, epoch, start])
        which = rng.choice(len(library), part.stop - start, p=chance)
        which[rng.random(len(which)) < recipe.other] = -1
        patterns, valid = simulate(
            library.masters, which, [recipe.seed, 1, epoch, start], recipe.reality, strange
        )
        x[part] = np.rint(prepare(patterns, recipe.size, valid) * LEVELS)
        y[part] = np.where(which < 0, len(classes), target[which])
    return x, y


def stream(
    library: Library, recipe: StreamRecipe, strange: NDArray[np.float32] | None, epoch: int,
    steps: int,
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.intp]]]:  # fmt: skip
    """Batches of an epoch: new patterns, each in several turned and mirrored copies."""
    x, y = fresh(library, recipe, strange, epoch, -(-steps * recipe.batch // recipe.repeats))
    rng = np.random.default_rng([recipe.seed, 2, epoch])
    order = np.concatenate([rng.permutation(len(x)) for _ in range(recipe.repeats)])
    for k in range(steps):
        index = order[k * recipe.batch : (k + 1) * recipe.batch]
        yield turned(x[index], rng).astype(np.float32) / LEVELS, y[index]


def turned(x: NDArray[np.int8], rng: np.random.Generator) -> NDArray[np.int8]:
    """Each image in one of its eight turned and mirrored copies."""
    out = x.copy()
    for axis in (1, 2):
        flip = rng.random(len(x)) < 0.5
        out[flip] = np.flip(out[flip], axis)
    swap = rng.random(len(x)) < 0.5
    out[swap] = out[swap].transpose(0, 2, 1)
    return out


def stream_training(
    library: Library, strangers: NDArray[np.floating] | None = None,
    recipe: StreamRecipe | None = None, start: SpaceGroupClassifier | None = None,
    n_threads: int | None = None, checkpoint: Path | None = None,
) -> RawTraining[RawClassifier]:  # fmt: skip
    """Train a small network on simulated patterns of a library's crystals.

    Parameters
    ----------
    library
    strangers : (m, 2, side, side) array, optional
        Master patterns of crystals outside m-3m, as examples of what is unknown.
    recipe
    start
        Model whose weights to go on from.
    n_threads
        Threads of torch.
    checkpoint
        File that is rewritten after each epoch, and gone on from where it exists.

    Raises
    ------
    InputError
        When the library is too small to hold crystals out, or the model to start from is one of
        the crystal frame.
    """
    recipe = recipe or StreamRecipe()
    first = None if start is None else RawClassifier.required(start, "stream_training").model
    held = hold_out(library, recipe.validation, recipe.seed)
    classes = joint_classes(library)
    if held.sum() < 2 or len(joint_classes(library.take(~held))) < len(classes):
        raise InputError(f"{len(library)} crystals are too few to hold some out.")
    known, other = library.take(~held), library.take(held)
    strange = None if strangers is None else clean_strangers(strangers, 3000, recipe.seed)
    x_held, y_held = held_patterns(other, classes, recipe, strange)
    steps = recipe.patterns * recipe.repeats // (recipe.batch * recipe.epochs)
    raw = RawRecipe(
        "small", recipe.size, epochs=recipe.epochs, learning_rate=recipe.learning_rate,
        weight_decay=0.0, seed=recipe.seed, bfloat16=recipe.bfloat16,
    )  # fmt: skip

    def feed(member: int, channels: int) -> Callable[[int], Iterator[tuple[Tensor, Tensor]]]:
        def give(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
            for x, y in stream(known, recipe, strange, epoch, steps):
                yield to_tensor(x, channels), torch.from_numpy(y)

        return give

    outputs = len(classes) + 1
    schedule = Schedule(
        recipe.epochs, steps, recipe.learning_rate, 0.05, recipe.weight_decay, average=0.998,
        clip=1.0, monitor="validation", bfloat16=recipe.bfloat16,
    )  # fmt: skip
    members: list[Member] = []
    events = fit_members(
        members, starting_network(first, raw, outputs, classes), raw, outputs, feed, steps,
        lambda index: x_held[index], y_held, True, schedule, checkpoint,
    )  # fmt: skip

    def finish(done: tuple[Member, ...]) -> RawClassifier:
        which = np.repeat(np.arange(len(library)), 3)
        sample, _ = simulate(library.masters, which, [recipe.seed, 3], recipe.reality)
        seen = LabelledPatterns.of(sample, library.space_groups[which])
        figures = _figures(done[0], x_held, y_held, classes)
        card = ModelCard(
            RAW, "small",
            training={
                "crystals": len(known), "patterns": recipe.patterns, "seed": recipe.seed,
                "screens": list(recipe.reality.sizes), "noise": list(recipe.reality.noise),
            },
            metrics=figures,
        )  # fmt: skip
        background = background_set(seen, recipe.size, recipe.seed)
        model = RawModel(
            classes=classes, card=card, members=done, background=background, unknown=raw.unknown
        )
        return RawClassifier(model)

    return RawTraining(events, members, finish, n_threads)


def held_patterns(
    library: Library, classes: tuple[tuple[str, int], ...], recipe: StreamRecipe,
    strange: NDArray[np.float32] | None, each: int = 40,
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:  # fmt: skip
    """Prepared validation patterns of crystals that are not trained on, and of strangers."""
    pairs = list(zip(library.families, library.space_groups.tolist(), strict=True))
    target = np.array([classes.index(pair) for pair in pairs])
    which = np.tile(np.append(np.arange(len(library)), [-1, -1]), each)
    x, y = [], []
    for number, start in enumerate(range(0, len(which), 128)):
        part = which[start : start + 128]
        patterns, mask = simulate(
            library.masters, part, [recipe.seed, 99, number], recipe.reality, strange
        )
        x.append(prepare(patterns, recipe.size, mask))
        y.append(np.where(part < 0, len(classes), target[part]))
    return np.concatenate(x), np.concatenate(y)


def _figures(
    member: Member, x: NDArray[np.float32], y: NDArray[np.intp],
    classes: tuple[tuple[str, int], ...],
) -> dict[str, float]:  # fmt: skip
    mine = y < len(classes)
    best = member.logits(x[mine])[:, :-1].argmax(axis=1)
    group = np.array([g for _, g in classes])
    family = np.array([f for f, _ in classes])
    return {
        "held_out_crystals_space_group_accuracy": float((group[best] == group[y[mine]]).mean()),
        "held_out_crystals_family_accuracy": float((family[best] == family[y[mine]]).mean()),
        "held_out_patterns": int(mine.sum()),
    }
