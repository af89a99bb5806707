"""Fine-tune the crystal-frame networks on measured patterns whose phases are known."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.calibration import fit_temperature
from napari_ebsdml.learning.loop import Schedule, TrainingEvent, train
from napari_ebsdml.patterns.crystal_frame.measured import MeasuredPhase, fold_scan
from napari_ebsdml.patterns.crystal_frame.network import FoldedNetwork
from napari_ebsdml.patterns.crystal_frame.selection import teaching
from napari_ebsdml.patterns.crystal_frame.training import ensemble_logits, simulate_features
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.frame.folded import features
from napari_ebsdml.patterns.search.templates import Templates
from napari_ebsdml.patterns.simulated.synthetic import Reality

if TYPE_CHECKING:
    from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
    from napari_ebsdml.scan import Scan

_COVERED = 0.9


@dataclass(frozen=True)
class FineTuneRecipe:
    """How to fine-tune.

    Attributes
    ----------
    patterns
        Measured patterns of each phase to train on, at most.
    validation
        Part of the grains of each phase (of the pixels where there is one grain) that is held
        out.
    epochs
        For each network of the ensemble.
    batch
    learning_rate
    replay
        Simulated patterns of each crystal of the library that are mixed in, so that what the
        model knew is not forgotten.
    seed
    """

    patterns: int = 400
    validation: float = 0.2
    epochs: int = 12
    batch: int = 128
    learning_rate: float = 3e-4
    replay: int = 4
    seed: int = 0


class FineTuning:
    """Fine-tuning of a crystal-frame model; the model itself is left as it is.

    Parameters
    ----------
    classifier
    scans
        With known phases; or pairs of a scan and its detector.
    recipe
    library
        Master patterns of what the model knows.

    Attributes
    ----------
    classifier : SpaceGroupClassifier or None
        The best one so far; None before the first epoch has ended.
    """

    def __init__(
        self,
        classifier: SpaceGroupClassifier,
        scans: Sequence[Scan | tuple[Scan, Any]],
        recipe: FineTuneRecipe | None = None,
        library: Library | None = None,
    ) -> None:
        if not scans:
            raise InputError("Fine-tuning needs at least one scan with patterns and known phases.")
        self._start = classifier
        self._scans = [pair if isinstance(pair, tuple) else (pair, None) for pair in scans]
        self._recipe = recipe or FineTuneRecipe()
        self._library = library
        self._networks: list[FoldedNetwork] = []
        self._validated = False
        self._finish: Callable[[], SpaceGroupClassifier] | None = None
        self._done: SpaceGroupClassifier | None = None

    @property
    def classifier(self) -> SpaceGroupClassifier | None:
        """The best model so far."""
        if self._done is None and self._finish is not None and self._validated:
            self._done = self._finish()
        return self._done

    def events(self) -> Generator[TrainingEvent | str, None, SpaceGroupClassifier]:
        """Fine-tune; yields texts on what takes long, and events. Closing it cancels.

        Epochs are counted over all networks of the ensemble.

        Raises
        ------
        MissingDataError
            When a scan lacks patterns, geometry or phases with a space group.
        InputError
            When a phase has a space group that the model has no class for.
        """
        start, recipe = self._start, self._recipe
        phases: list[MeasuredPhase] = []
        for scan, detector in self._scans:
            yield f"Folding patterns of {scan.name}"
            phases += fold_scan(scan, recipe.patterns, recipe.validation, recipe.seed, detector)
        x, y, held = _own(start, phases)
        yield "Simulating patterns of what the model knows"
        library = self._library or Library.load()
        old_x, old_y, old_held = _replayed(start, library, recipe)
        networks = [copy.deepcopy(network).requires_grad_(True) for network in start.networks]
        self._networks = networks
        validate = _validation(x[held], y[held], old_x[old_held], old_y[old_held], start)

        def finish() -> SpaceGroupClassifier:
            return _finished(start, networks, phases, x, y, held, old_x, old_y, old_held, recipe)

        self._finish = finish
        total = len(networks)
        for member, network in enumerate(networks):
            yield f"Training network {member + 1} of {total}"
            torch.manual_seed(recipe.seed * 100 + member)
            steps = max(1, int((~held).sum()) * 2 // recipe.batch)
            feed = _feed((x[~held], y[~held]), (old_x[~old_held], old_y[~old_held]), recipe, member)
            schedule = Schedule(
                recipe.epochs, steps, recipe.learning_rate, weight_decay=0.01, monitor="validation",
                clip=1.0, average=0.98,
            )  # fmt: skip
            loop = train(network, feed, _loss, schedule, validate)
            try:
                for event in loop:
                    self._validated |= event.kind == "epoch"
                    if event.kind == "end" and member < total - 1:
                        continue
                    yield dataclasses.replace(
                        event, epoch=event.epoch + member * recipe.epochs,
                        epochs=total * recipe.epochs, fraction=(member + event.fraction) / total,
                        best_epoch=event.best_epoch and event.best_epoch + member * recipe.epochs,
                    )  # fmt: skip
            finally:
                loop.close()
        made = self.classifier
        assert made is not None
        return made


def _own(
    start: SpaceGroupClassifier, phases: list[MeasuredPhase]
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.bool_]]:
    """Features of measured patterns, their joint classes, and which are held out."""
    x = [features(phase.folded) for phase in phases]
    y = []
    for phase, rows in zip(phases, x, strict=True):
        mine = [k for k, (_, group) in enumerate(start.classes) if group == phase.space_group]
        if not mine:
            known = ", ".join(str(group) for group in start.space_groups)
            raise InputError(
                f"Phase {phase.name} has space group {phase.space_group}, which this model has no "
                f"class for (it has {known}). Train a raw-pattern network instead."
            )
        # A phase says its space group only; the lattice family is the one that fits it best.
        logits = ensemble_logits(start.networks, rows)[:, mine]
        best = mine[int(logits.mean(axis=0).argmax())]
        y.append(np.full(len(rows), best, np.intp))
    return np.concatenate(x), np.concatenate(y), np.concatenate([phase.held for phase in phases])


def _replayed(
    start: SpaceGroupClassifier, library: Library, recipe: FineTuneRecipe
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.bool_]]:
    pairs = list(zip(library.families, library.space_groups.tolist(), strict=True))
    use = teaching(library, library.alike) & [pair in start.classes for pair in pairs]
    library = library.take(use)
    target = np.array([start.classes.index(pairs[k]) for k in np.flatnonzero(use)])
    x, crystals = simulate_features(library, recipe.replay, Reality(), 1000 + recipe.seed)
    rng = np.random.default_rng([recipe.seed, 22])
    return x, target[crystals], rng.random(len(x)) < recipe.validation


Set = tuple[NDArray[np.float32], NDArray[np.intp]]


def _feed(
    own: Set, old: Set, recipe: FineTuneRecipe, member: int
) -> Callable[[int], Iterator[tuple[Tensor, Tensor]]]:
    """Batches of which one half is measured, as many of each class, and one half simulated."""
    counts = np.bincount(own[1])
    share = 1 / counts[own[1]]
    share = share / share.sum()

    def give(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        rng = np.random.default_rng([recipe.seed, 23, member, epoch])
        half = max(1, recipe.batch // 2)
        for _ in range(max(1, len(own[0]) * 2 // recipe.batch)):
            mine = rng.choice(len(own[0]), half, p=share)
            other = rng.integers(0, len(old[0]), half)
            x = np.concatenate([own[0][mine], old[0][other]])
            noise = 0.15 * rng.random((len(x), 1), np.float32)
            x = x + noise * rng.standard_normal(x.shape, np.float32) * (x != 0)
            yield (
                torch.from_numpy(x),
                torch.from_numpy(np.concatenate([own[1][mine], old[1][other]])),
            )

    return give


def _loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
    value = nn.functional.cross_entropy(network(batch[0]), batch[1], label_smoothing=0.03)
    return {"cross entropy": value}


def _validation(
    x: NDArray[np.float32], y: NDArray[np.intp], old_x: NDArray[np.float32],
    old_y: NDArray[np.intp], start: SpaceGroupClassifier,
) -> Callable[[nn.Module], dict[str, float]]:  # fmt: skip
    group_of = torch.from_numpy(start._group_of)
    # Without held-out grains the simulated ones alone decide.
    sets = {"simulated": (torch.from_numpy(old_x), torch.from_numpy(old_y))}
    if len(x):
        sets["measured"] = (torch.from_numpy(x), torch.from_numpy(y))

    def validate(network: nn.Module) -> dict[str, float]:
        found = {}
        losses = []
        for name, (rows, target) in sets.items():
            logits = network(rows)
            losses.append(float(nn.functional.cross_entropy(logits, target)))
            right = group_of[logits.argmax(dim=1)] == group_of[target]
            found[f"accuracy {name}"] = float(right.float().mean())
        return {"validation": float(np.mean(losses)), **found}

    return validate


def _finished(
    start: SpaceGroupClassifier, networks: list[FoldedNetwork], phases: list[MeasuredPhase],
    x: NDArray[np.float32], y: NDArray[np.intp], held: NDArray[np.bool_],
    old_x: NDArray[np.float32], old_y: NDArray[np.intp], old_held: NDArray[np.bool_],
    recipe: FineTuneRecipe,
) -> SpaceGroupClassifier:  # fmt: skip
    from napari_ebsdml.learning.model_file import ModelCard
    from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
    from napari_ebsdml.patterns.crystal_frame.model_io import KIND

    made = [copy.deepcopy(network).eval().requires_grad_(False) for network in networks]
    away = np.concatenate([x[held], old_x[old_held]])
    true = np.concatenate([y[held], old_y[old_held]])
    logits = ensemble_logits(made, away)
    right = start._group_of[logits.argmax(axis=1)] == start._group_of[true]
    n = int(held.sum())
    figures = {"simulated_held_out_accuracy": float(right[n:].mean())}
    if n:
        figures["measured_held_out_accuracy"] = float(right[:n].mean())
        before = ensemble_logits(start.networks, x[held]).argmax(axis=1)
        same = start._group_of[before] == start._group_of[y[held]]
        figures["measured_held_out_accuracy_before"] = float(same.mean())
    first = start.card
    card = ModelCard(
        KIND, "FoldedNetwork",
        training={
            **(dict(first.training) if first else {}),
            "fine_tuned_on": {
                "phases": [f"{phase.name} ({phase.space_group})" for phase in phases],
                "patterns": [len(phase.folded) for phase in phases], **dataclasses.asdict(recipe),
            },
        },
        metrics={**(dict(first.metrics) if first else {}), **figures},
    )  # fmt: skip
    templates = _with_own(start.templates, phases, start, y)
    temperature = fit_temperature(logits, true)
    return SpaceGroupClassifier(made, start.classes, temperature, templates, start.known, card)


def _with_own(
    templates: Templates, phases: list[MeasuredPhase], start: SpaceGroupClassifier,
    y: NDArray[np.intp],
) -> Templates:  # fmt: skip
    """Templates with the mean of each measured phase, so that its patterns count as known."""
    names, families = list(templates.names), list(templates.families)
    groups, values = list(templates.space_groups), [templates.values]
    at = 0
    for phase in phases:
        family, group = start.classes[int(y[at])]
        at += len(phase.folded)
        keep = ~phase.held
        one = phase.folded.take(keep).total()
        if float((one.count > 0.3).mean()) < _COVERED:
            continue
        # "#" marks templates that do not count as materials whose likeness makes two space
        # groups inseparable: a measured mean is too noisy for that.
        names.append(f"{phase.name} # measured")
        families.append(family)
        groups.append(group)
        values.append(features(one))
    return Templates(
        tuple(names), tuple(families), np.array(groups, np.int64), np.concatenate(values)
    )
