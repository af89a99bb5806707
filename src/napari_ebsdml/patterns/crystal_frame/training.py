"""Train the crystal-frame networks on simulated patterns.

``ebsdml dev train-spacegroups OUT --work FOLDER`` makes the shipped model from the
master patterns that ``ebsdml dev library`` left in the folder.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.calibration import fit_temperature
from napari_ebsdml.learning.loop import Schedule, TrainingEvent, train
from napari_ebsdml.learning.model_card import ModelCard
from napari_ebsdml.patterns.crystal_frame.known import fit_known
from napari_ebsdml.patterns.crystal_frame.model import CrystalModel
from napari_ebsdml.patterns.crystal_frame.network import FoldedNetwork, ensemble_logits
from napari_ebsdml.patterns.crystal_frame.selection import covering, teaching
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.frame.folded import features
from napari_ebsdml.patterns.kinds import CRYSTAL_FRAME
from napari_ebsdml.patterns.search.templates import Templates
from napari_ebsdml.patterns.simulated.synthetic import Reality, batches, folded_batch

Trained = tuple[tuple[FoldedNetwork, ...], float, dict[str, float]]
"""Networks, temperature, figures."""

Strangers = Sequence[NDArray[np.floating]] | NDArray[np.floating] | None
"""Master patterns (2, side, side) of crystals outside m-3m, if any."""

FITTED_STRANGERS = (
    "Zr", "Co", "rutile", "TiB2", "PbO", "MoSi2", "anatase", "CuAl2", "CoSb3", "MnS2", "PtAs2",
)  # fmt: skip
"""Crystals of `table.STRANGERS` that the shipped model's score of the unknown is fitted on."""


@dataclass(frozen=True)
class Recipe:
    """How to train a model of the crystal frame.

    Attributes
    ----------
    patterns
        Simulated patterns of each crystal.
    members
        Networks in the ensemble, with different starts and order of data.
    epochs
    batch
    learning_rate
    validation
        Part of the crystals that is held out to choose the best epoch and the temperature.
    seed
    reality
    """

    trains: ClassVar[str] = CRYSTAL_FRAME

    patterns: int = 80
    members: int = 3
    epochs: int = 5
    batch: int = 256
    learning_rate: float = 2e-3
    validation: float = 0.12
    seed: int = 0
    reality: Reality = field(default_factory=Reality)


def joint_classes(library: Library) -> tuple[tuple[str, int], ...]:
    """All pairs of lattice family and space group in a library, sorted."""
    pairs = zip(library.families, library.space_groups.tolist(), strict=True)
    return tuple(sorted(set(pairs), key=lambda pair: (pair[1], pair[0])))


def simulate_features(
    library: Library, patterns: int, reality: Reality, seed: int
) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Features of simulated patterns and the crystal of each: (n, nodes), (n,).

    A sixth of them are averages over two to six orientations of a crystal, as maps give.
    """
    found, crystals = [], []
    # A camera and its errors for each batch: small ones show the network many.
    for number, which in batches(len(library), patterns, 128, seed):
        rng = np.random.default_rng([seed, 1, number])
        if number % 6 == 5:
            which = np.sort(which)
            groups = np.unique(which, return_inverse=True)[1] * 2 + rng.integers(0, 2, len(which))
            labels = np.unique(groups, return_inverse=True)[1]
            folded = folded_batch(library.masters, which, [seed, 2, number], reality)
            folded = folded.grouped(labels, int(labels.max()) + 1)
            which = which[np.unique(labels, return_index=True)[1]]
        else:
            folded = folded_batch(library.masters, which, [seed, 2, number], reality)
        found.append(features(folded))
        crystals.append(which)
    return np.concatenate(found), np.concatenate(crystals)


def hold_out(library: Library, part: float, seed: int) -> NDArray[np.bool_]:
    """Crystals for validation: some of the invented ones of every joint class."""
    rng = np.random.default_rng([seed, 3])
    held = np.zeros(len(library), dtype=bool)
    for family, group in joint_classes(library):
        mine = np.array([f == family for f in library.families]) & (library.space_groups == group)
        mine &= ~library.is_real
        places = np.flatnonzero(mine)
        held[rng.permutation(places)[: round(part * len(places))]] = True
    return held


def train_model(
    library: Library, recipe: Recipe, strangers: Strangers = None
) -> Generator[TrainingEvent, None, CrystalModel]:
    """Train a model; yields events, returns the model.

    Raises
    ------
    InputError
        When the library is too small to hold crystals out.
    """
    networks, temperature, figures = yield from train_networks(library, recipe)
    templates = Templates.of(library)
    templates = templates.take(covering(templates))
    card = ModelCard(
        CRYSTAL_FRAME, "FoldedNetwork",
        training={"crystals": len(library), "patterns": recipe.patterns,
                  "epochs": recipe.epochs, "seed": recipe.seed},
        metrics=figures,
    )  # fmt: skip
    return CrystalModel(
        classes=joint_classes(library), card=card, networks=networks, temperature=temperature,
        templates=templates, known=fit_known(templates, library, strangers, recipe.seed),
    )  # fmt: skip


def train_networks(
    library: Library, recipe: Recipe, shuffle_noise: float = 0.15
) -> Generator[TrainingEvent, None, Trained]:
    """Train an ensemble; yields events, returns the networks, the temperature and figures.

    Raises
    ------
    InputError
        When the library is too small to hold crystals out.
    """
    classes = joint_classes(library)
    teaches = teaching(library, Templates.of(library).alike)
    held = hold_out(library, recipe.validation, recipe.seed) & teaches
    if held.sum() < 2 or len(classes) < 2:
        raise InputError(
            f"{len(library)} crystals of {len(classes)} classes are too few to train on and hold "
            "some out; simulate more (ebsdml dev library)."
        )
    target = np.array(
        [
            classes.index((family, int(group)))
            for family, group in zip(library.families, library.space_groups, strict=True)
        ]
    )
    rest = teaches & ~held
    known, target_of = library.take(rest), target[rest]
    other, other_target = library.take(held), target[held]
    x_held, c_held = simulate_features(other, max(20, recipe.patterns // 4), recipe.reality, 99)
    x, crystals = simulate_features(known, recipe.patterns, recipe.reality, recipe.seed)
    return (
        yield from fit_networks(
            x, target_of[crystals], x_held, other_target[c_held], np.bincount(target_of),
            len(classes), recipe, shuffle_noise,
        )
    )  # fmt: skip


def fit_networks(
    x: NDArray[np.float32], y: NDArray[np.intp], x_held: NDArray[np.float32],
    y_held: NDArray[np.intp], counts: NDArray[np.intp], classes: int, recipe: Recipe,
    shuffle_noise: float = 0.15,
) -> Generator[TrainingEvent, None, Trained]:  # fmt: skip
    """Train an ensemble on features: those to learn from, and those held out.

    Parameters
    ----------
    x, x_held : (n, nodes) arrays
        See `simulate_features`.
    y, y_held : (n,) int arrays
        Joint classes.
    counts : (up to classes,) int array
        Crystals of each joint class, to weigh rare classes by.
    classes
        Number of joint classes.
    recipe
    shuffle_noise
        Largest standard deviation of the noise added to features.
    """
    number = np.zeros(classes)
    number[: len(counts)] = counts
    number = np.maximum(number, 1)
    # Rare classes weigh more, but not so much that likely ones are taken for them.
    weight = torch.from_numpy((number**-0.25 / (number**-0.25).mean()).astype(np.float32))
    x_held_t, y_held_t = torch.from_numpy(x_held), torch.from_numpy(y_held)
    networks: list[FoldedNetwork] = []
    for member in range(recipe.members):
        torch.manual_seed(recipe.seed * 100 + member)
        network = FoldedNetwork(classes)
        network.start_from(x[::3])
        yield from train(
            network, _feed(x, y, recipe, member, shuffle_noise), _loss(weight),
            Schedule(
                recipe.epochs, max(1, len(x) // recipe.batch), recipe.learning_rate,
                weight_decay=0.05, average=0.995, monitor="accuracy", largest=True,
                clip=1.0,
            ),
            _validation(x_held_t, y_held_t),
        )  # fmt: skip
        networks.append(network)
    logits = ensemble_logits(networks, x_held)
    temperature = fit_temperature(logits, y_held)
    right = logits.argmax(axis=1) == y_held
    return tuple(networks), temperature, {"held_out_joint_accuracy": float(right.mean())}


def _feed(
    x: NDArray[np.float32], y: NDArray[np.intp], recipe: Recipe, member: int, noise: float
) -> Callable[[int], Iterator[tuple[Tensor, Tensor]]]:
    def give(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng([recipe.seed, member, epoch])
        order = rng.permutation(len(x))
        for start in range(0, len(x) - 1, recipe.batch):
            index = order[start : start + recipe.batch]
            piece = x[index]
            grain = rng.standard_normal(piece.shape, np.float32)
            size = noise * rng.random((len(piece), 1), np.float32)
            yield torch.from_numpy(piece + size * grain * (piece != 0)), torch.from_numpy(y[index])

    return give


def _loss(weight: Tensor) -> Callable[[nn.Module, tuple[Tensor, Tensor]], dict[str, Tensor]]:
    def loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        value = nn.functional.cross_entropy(
            network(batch[0]), batch[1], weight, label_smoothing=0.03
        )
        return {"cross entropy": value}

    return loss


def _validation(x: Tensor, y: Tensor) -> Callable[[nn.Module], dict[str, float]]:
    def validate(network: nn.Module) -> dict[str, float]:
        logits = network(x)
        right = (logits.argmax(dim=1) == y).float().mean()
        return {
            "validation": float(nn.functional.cross_entropy(logits, y)),
            "accuracy": float(right),
        }

    return validate
