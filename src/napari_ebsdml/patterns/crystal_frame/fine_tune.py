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
from napari_ebsdml.learning.model_card import ModelCard
from napari_ebsdml.learning.under_way import UnderWay
from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
from napari_ebsdml.patterns.crystal_frame.classifier import CrystalFrameClassifier
from napari_ebsdml.patterns.crystal_frame.measured import MeasuredPhase, fold_scan
from napari_ebsdml.patterns.crystal_frame.model import CrystalModel
from napari_ebsdml.patterns.crystal_frame.network import FoldedNetwork, ensemble_logits
from napari_ebsdml.patterns.crystal_frame.selection import teaching
from napari_ebsdml.patterns.crystal_frame.training import simulate_features
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.structure import marked
from napari_ebsdml.patterns.frame.folded import features
from napari_ebsdml.patterns.kinds import CRYSTAL_FRAME
from napari_ebsdml.patterns.search.templates import Templates
from napari_ebsdml.patterns.simulated.synthetic import Reality

if TYPE_CHECKING:
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


class FineTuning(UnderWay[TrainingEvent, CrystalFrameClassifier]):
    """Fine-tuning of a crystal-frame model: iterate over its events; ``close()`` cancels.

    The model itself is left as it is. Epochs are counted over all networks of the ensemble. Events
    of kind ``"note"`` say in `TrainingEvent.reason` what is under way that takes long.

    Parameters
    ----------
    classifier
    scans
        With known phases; or pairs of a scan and its detector.
    recipe
    library
        Master patterns of what the model knows.
    n_threads
        Threads of torch. Default: as they are.

    Raises
    ------
    InputError
        When the classifier is one of raw patterns, or there is no scan.
    """

    def __init__(
        self,
        classifier: SpaceGroupClassifier,
        scans: Sequence[Scan | tuple[Scan, Any]],
        recipe: FineTuneRecipe | None = None,
        library: Library | None = None,
        n_threads: int | None = None,
    ) -> None:
        super().__init__(n_threads)
        start = CrystalFrameClassifier.required(classifier, "Fine-tuning").model
        if not scans:
            raise InputError("Fine-tuning needs at least one scan with patterns and known phases.")
        pairs = [pair if isinstance(pair, tuple) else (pair, None) for pair in scans]
        self._finish: Callable[[], CrystalModel] | None = None
        self._done: CrystalFrameClassifier | None = None
        self._steps = self._run(start, pairs, recipe or FineTuneRecipe(), library)

    @property
    def classifier(self) -> CrystalFrameClassifier | None:
        """The best model once the training has ended or was closed.

        None when it was closed before its first epoch had ended.
        """
        return self.model

    def _model(self) -> CrystalFrameClassifier | None:
        if self._done is None and self._finish is not None:
            self._done = CrystalFrameClassifier(self._finish())
        return self._done

    def _run(
        self, start: CrystalModel, scans: list[tuple[Scan, Any]], recipe: FineTuneRecipe,
        library: Library | None,
    ) -> Generator[TrainingEvent, None, None]:  # fmt: skip
        """Fine-tune.

        Raises
        ------
        MissingDataError
            When a scan lacks patterns, geometry or phases with a space group.
        InputError
            When a phase has a space group that the model has no class for.
        """
        total = len(start.networks)
        epochs = total * recipe.epochs

        def note(text: str, member: int = 0) -> TrainingEvent:
            done = member * recipe.epochs
            return TrainingEvent("note", done, epochs, member / total, reason=text)

        phases: list[MeasuredPhase] = []
        for scan, detector in scans:
            yield note(f"Folding patterns of {scan.name}")
            phases += fold_scan(scan, recipe.patterns, recipe.validation, recipe.seed, detector)
        measured = _measured(start, phases)
        yield note("Simulating patterns of what the model knows")
        simulated = _replayed(start, library or Library.load(), recipe)
        networks = [copy.deepcopy(network).requires_grad_(True) for network in start.networks]
        validate = _validation(start, measured, simulated)
        for member, network in enumerate(networks):
            yield note(f"Training network {member + 1} of {total}", member)
            torch.manual_seed(recipe.seed * 100 + member)
            steps = max(1, int((~measured.held).sum()) * 2 // recipe.batch)
            feed = _feed(measured.taught, simulated.taught, recipe, member)
            schedule = Schedule(
                recipe.epochs, steps, recipe.learning_rate, weight_decay=0.01, monitor="validation",
                clip=1.0, average=0.98,
            )  # fmt: skip
            loop = train(network, feed, _loss, schedule, validate)
            try:
                for event in loop:
                    if event.kind == "epoch":
                        self._finish = lambda: _finished(
                            start, networks, phases, measured, simulated, recipe
                        )
                    if event.kind == "end" and member < total - 1:
                        continue
                    yield dataclasses.replace(
                        event, epoch=event.epoch + member * recipe.epochs, epochs=epochs,
                        fraction=(member + event.fraction) / total,
                        best_epoch=event.best_epoch and event.best_epoch + member * recipe.epochs,
                    )  # fmt: skip
            finally:
                loop.close()


Set = tuple[NDArray[np.float32], NDArray[np.intp]]


@dataclass(frozen=True, eq=False)
class _Examples:
    """Features (n, nodes), joint classes (n,), and which are held out."""

    x: NDArray[np.float32]
    y: NDArray[np.intp]
    held: NDArray[np.bool_]

    @property
    def taught(self) -> Set:
        return self.x[~self.held], self.y[~self.held]

    @property
    def away(self) -> Set:
        return self.x[self.held], self.y[self.held]


def _measured(start: CrystalModel, phases: list[MeasuredPhase]) -> _Examples:
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
    held = np.concatenate([phase.held for phase in phases])
    return _Examples(np.concatenate(x), np.concatenate(y), held)


def _replayed(start: CrystalModel, library: Library, recipe: FineTuneRecipe) -> _Examples:
    pairs = list(zip(library.families, library.space_groups.tolist(), strict=True))
    use = teaching(library, library.alike) & [pair in start.classes for pair in pairs]
    library = library.take(use)
    target = np.array([start.classes.index(pairs[k]) for k in np.flatnonzero(use)])
    x, crystals = simulate_features(library, recipe.replay, Reality(), 1000 + recipe.seed)
    rng = np.random.default_rng([recipe.seed, 22])
    return _Examples(x, target[crystals], rng.random(len(x)) < recipe.validation)


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
    start: CrystalModel, measured: _Examples, simulated: _Examples
) -> Callable[[nn.Module], dict[str, float]]:
    group_of = torch.from_numpy(start.group_of)
    # Without held-out grains the simulated ones alone decide.
    examples = {"simulated": simulated} | ({"measured": measured} if measured.held.any() else {})
    sets = {name: [torch.from_numpy(part) for part in one.away] for name, one in examples.items()}

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
    start: CrystalModel, networks: list[FoldedNetwork], phases: list[MeasuredPhase],
    measured: _Examples, simulated: _Examples, recipe: FineTuneRecipe,
) -> CrystalModel:  # fmt: skip
    made = tuple(copy.deepcopy(network).eval().requires_grad_(False) for network in networks)
    (x, y), (old_x, old_y) = measured.away, simulated.away
    true = np.concatenate([y, old_y])
    logits = ensemble_logits(made, np.concatenate([x, old_x]))
    right = start.group_of[logits.argmax(axis=1)] == start.group_of[true]
    n = len(y)
    figures = {"simulated_held_out_accuracy": float(right[n:].mean())}
    if n:
        figures["measured_held_out_accuracy"] = float(right[:n].mean())
        before = ensemble_logits(start.networks, x).argmax(axis=1)
        same = start.group_of[before] == start.group_of[y]
        figures["measured_held_out_accuracy_before"] = float(same.mean())
    first = start.card
    card = ModelCard(
        CRYSTAL_FRAME, "FoldedNetwork",
        training={
            **(dict(first.training) if first else {}),
            "fine_tuned_on": {
                "phases": [f"{phase.name} ({phase.space_group})" for phase in phases],
                "patterns": [len(phase.folded) for phase in phases], **dataclasses.asdict(recipe),
            },
        },
        metrics={**(dict(first.metrics) if first else {}), **figures},
    )  # fmt: skip
    return dataclasses.replace(
        start, card=card, networks=made, temperature=fit_temperature(logits, true),
        templates=_with_own(start, phases, measured.y),
    )  # fmt: skip


def _with_own(start: CrystalModel, phases: list[MeasuredPhase], y: NDArray[np.intp]) -> Templates:
    """Templates with the mean of each measured phase, so that its patterns count as known."""
    old = start.templates
    names, families = list(old.names), list(old.families)
    groups, values = list(old.space_groups), [old.values]
    at = 0
    for phase in phases:
        family, group = start.classes[int(y[at])]
        at += len(phase.folded)
        one = phase.folded.take(~phase.held).total()
        if float(one.seen.mean()) < _COVERED:
            continue
        # They do not count as materials whose likeness makes two space groups inseparable: a
        # measured mean is too noisy for that.
        names.append(marked(phase.name, " measured"))
        families.append(family)
        groups.append(group)
        values.append(features(one))
    return Templates(
        tuple(names), tuple(families), np.array(groups, np.int64), np.concatenate(values)
    )
