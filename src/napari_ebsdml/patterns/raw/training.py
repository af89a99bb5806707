"""Training of raw-pattern networks: a few labelled patterns of each class, or a stream of them."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.loop import Schedule, TrainingEvent, train
from napari_ebsdml.learning.model_card import ModelCard
from napari_ebsdml.learning.under_way import UnderWay
from napari_ebsdml.patterns.answers.classes import Classes
from napari_ebsdml.patterns.frame.checks import check_patterns
from napari_ebsdml.patterns.frame.masks import find_mask
from napari_ebsdml.patterns.kinds import RAW
from napari_ebsdml.patterns.raw.data import LabelledPatterns
from napari_ebsdml.patterns.raw.member import (
    Member,
    Network,
    RawRecipe,
    build,
    decayed,
    to_tensor,
)
from napari_ebsdml.patterns.raw.model import RawModel, background_set
from napari_ebsdml.patterns.raw.prediction import predict
from napari_ebsdml.patterns.raw.prepare import prepare
from napari_ebsdml.patterns.raw.scores import class_table

Images = Callable[[NDArray[np.intp]], NDArray[np.float32]]
Start: TypeAlias = RawModel | str | Path | None
"""What a training starts from: another model, ImageNet weights, or nothing."""
_CACHED = 1 << 26  # pixels
_STEPS_PER_REPORT = 10


Made = TypeVar("Made")


class RawTraining(UnderWay[TrainingEvent, Made]):
    """A training under way: iterate over its events; ``close()`` cancels.

    Parameters
    ----------
    steps
    members
        Networks that are trained, filled by `steps`.
    finish
        Makes what is wanted, such as a `RawClassifier`, of them.
    n_threads
        Threads of torch.

    Attributes
    ----------
    events
        All events so far but those of kind ``"step"``.
    histories
        The events of kind ``"epoch"`` of each network of the ensemble.
    """

    def __init__(
        self, steps: Generator[TrainingEvent, None, None], members: list[Member],
        finish: Callable[[tuple[Member, ...]], Made], n_threads: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(n_threads)
        self.histories: list[list[TrainingEvent]] = []
        self._steps = steps
        self._members = members
        self._finish = finish
        self._done: Made | None = None
        self._made_of = 0

    @property
    def classifier(self) -> Made | None:
        """The model so far: of the networks with at least one whole epoch; None before.

        Complete once the training has ended or was closed.
        """
        return self.model

    def _keep(self, event: TrainingEvent) -> None:
        super()._keep(event)
        if event.kind == "epoch":
            if event.epoch == 1 or not self.histories:
                self.histories.append([])
            self.histories[-1].append(event)

    def _model(self) -> Made | None:
        if len(self._members) > self._made_of:
            self._done = self._finish(tuple(self._members))
            self._made_of = len(self._members)
        return self._done


def few_shot(
    data: LabelledPatterns, validation: LabelledPatterns | None, recipe: RawRecipe,
    start: Start, made: Callable[[RawModel], Made], n_threads: int | None,
) -> RawTraining[Made]:  # fmt: skip
    """See `RawClassifier.training`; `made` makes what is wanted of a trained model."""
    check_patterns(data.patterns)
    if isinstance(start, RawModel) and recipe.size is None:
        old = start.members[0]
        if old.name == recipe.network:
            recipe = dataclasses.replace(recipe, size=old.size)
    if validation is None:
        data, validation = hold_out(data, 0.2, recipe.seed)
    classes = data.classes
    if len(classes) < 2:
        raise InputError("Patterns of at least two space groups are needed to tell them apart.")
    strange = set(validation.classes) - set(classes)
    if strange:
        raise InputError(
            f"The validation patterns have {sorted(strange)}, of which none is trained on."
        )
    first = starting_network(start, recipe, len(classes), classes)
    images, held = _images(data, recipe), _images(validation, recipe)
    target, held_target = _targets(data, classes), _targets(validation, classes)

    def feed(member: int, channels: int) -> Callable[[int], Iterator[tuple[Tensor, Tensor]]]:
        def give(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
            rng = np.random.default_rng([recipe.seed, member, epoch])
            order = rng.permutation(len(data))
            for at in range(0, len(order), recipe.batch):
                index = order[at : at + recipe.batch]
                if len(index) < 2:
                    continue  # one pattern has no batch statistics
                x = images(index)
                if recipe.augment:
                    x = mirrored(x, rng)
                yield to_tensor(x, channels), torch.from_numpy(target[index])

        return give

    steps = max(1, (len(data) + recipe.batch - 2) // recipe.batch)
    members: list[Member] = []
    events = fit_members(
        members, first, recipe, len(classes), feed, steps, held, held_target, False
    )

    def finish(done: tuple[Member, ...]) -> Made:
        return made(_described(done, classes, recipe, data, validation, start is not None))

    return RawTraining(events, members, finish, n_threads)


def _described(
    members: tuple[Member, ...], classes: Classes, recipe: RawRecipe, data: LabelledPatterns,
    validation: LabelledPatterns, transferred: bool,
) -> RawModel:  # fmt: skip
    """A model of trained members, with its card and figures on validation patterns."""
    background = background_set(data, members[0].size, recipe.seed)
    model = RawModel(
        classes=classes, members=members, background=background, unknown=recipe.unknown
    )
    answer = predict(model, validation.patterns, None, None, "mean", None)
    table = class_table(validation.space_groups, answer.space_group)
    digest = hashlib.sha256(np.ascontiguousarray(data.patterns).tobytes()).hexdigest()
    card = ModelCard(
        RAW, recipe.network,
        training={
            "patterns": data.counts(), "sha256": digest, "epochs": recipe.epochs,
            "learning_rate": recipe.learning_rate, "weight_decay": recipe.weight_decay,
            "batch": recipe.batch, "patience": recipe.patience, "seed": recipe.seed,
            "min_delta": recipe.min_delta, "augment": recipe.augment,
            "start": "other weights" if transferred else "random",
        },
        metrics={
            "validation_patterns": len(validation),
            **{f"validation_{row.name}_f1": round(row.f1, 4) for row in table},
        },
    )  # fmt: skip
    return dataclasses.replace(model, card=card)


def fit_members(
    members: list[Member], first: Callable[[int], Network], recipe: RawRecipe, outputs: int,
    feed: Callable[[int, int], Callable[[int], Iterator[tuple[Tensor, Tensor]]]], steps: int,
    held: Images, held_target: NDArray[np.intp], has_other: bool,
    schedule: Schedule | None = None, checkpoint: Path | None = None,
) -> Generator[TrainingEvent, None, None]:  # fmt: skip
    """Train networks one after the other; each is put into `members` once it has an epoch.

    A `checkpoint` is for one network only.
    Targets equal to the number of classes stand for "other"; they are not calibrated on.
    """
    schedule = schedule or Schedule(
        recipe.epochs, steps, recipe.learning_rate, warm_up=None, patience=recipe.patience,
        min_delta=recipe.min_delta, monitor="validation", bfloat16=recipe.bfloat16,
        report_every=1 if recipe.network == "xception" else _STEPS_PER_REPORT,
    )  # fmt: skip
    for number in range(recipe.members):
        network = first(number).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        member = Member(network, recipe.network, recipe.side, has_other=has_other)
        under_way = train(
            network, feed(number, network.channels), _loss(recipe.weight_decay), schedule,
            _validation(held, held_target, network.channels), checkpoint=checkpoint,
        )  # fmt: skip
        began = False
        try:
            for event in under_way:
                began = began or event.kind != "step"
                whole = (number + event.fraction) / recipe.members
                if event.kind == "end" and number + 1 < recipe.members:
                    continue
                yield dataclasses.replace(event, fraction=whole)
        finally:
            under_way.close()
            if began:
                known = held_target < outputs - has_other
                at = np.flatnonzero(known)
                logits = np.concatenate([member.logits(held(part)) for part in _chunks(at)])
                member.calibrate(logits, held_target[at])
                members.append(member)


def starting_network(
    start: Start, recipe: RawRecipe, outputs: int, classes: Classes
) -> Callable[[int], Network]:
    """How to make each member's network: random, or with weights taken over.

    Raises
    ------
    InputError
        When the weights belong to another kind of network.
    ModelError
        When a weights file does not fit.
    """
    photographs = isinstance(start, str | Path)
    rgb = photographs if recipe.pseudo_rgb is None else recipe.pseudo_rgb
    weights: dict[str, Tensor] | None = None
    if isinstance(start, str | Path):
        if not rgb:
            raise InputError("ImageNet weights need pseudo-RGB.")
        weights = _photographs(recipe.network, start)

    def make(number: int) -> Network:
        torch.manual_seed(recipe.seed * 1000 + number)
        if start is None or isinstance(start, str | Path):
            network = build(recipe.network, outputs, 3 if rgb else 1)
            if weights is not None:
                network.load_state_dict(weights, strict=False)
            return network
        old = start.members[number % len(start.members)]
        if old.name != recipe.network:
            raise InputError(
                f"The model to start from is a {old.name!r} network, the recipe's "
                f"{recipe.network!r}."
            )
        network = build(old.name, outputs, old.network.channels)
        state = {n: t.clone() for n, t in old.network.state_dict().items()}
        head_fits = start.classes == classes and old.network.head.out_features == outputs
        if not head_fits:
            state = {n: t for n, t in state.items() if not n.startswith("head.")}
        network.load_state_dict(state, strict=False)
        return network

    return make


def _photographs(network: str, start: str | Path) -> dict[str, Tensor]:
    """ImageNet weights of a network, or of a file."""
    if network == "efficientnet":
        from napari_ebsdml.patterns.raw.imagenet_lite import lite0_weights

        if str(start) != "imagenet":
            raise InputError("EfficientNet starts from 'imagenet' or a model, not from a file.")
        return lite0_weights()
    if network != "xception":
        raise InputError(
            f"ImageNet weights are for network='efficientnet' and 'xception', not for {network!r}."
        )
    from napari_ebsdml.patterns.raw.imagenet import imagenet_weights

    return imagenet_weights(start)


def hold_out(
    data: LabelledPatterns, part: float, seed: int
) -> tuple[LabelledPatterns, LabelledPatterns]:
    """Patterns to train on and to validate with: a part of each material of each class."""
    rng = np.random.default_rng([seed, 11])
    held = np.zeros(len(data), dtype=bool)
    keys = [f"{g} {m}" for g, m in zip(data.space_groups, data.materials, strict=True)]
    for key in sorted(set(keys)):
        mine = np.flatnonzero(np.array(keys) == key)
        if len(mine) < 2:
            raise InputError(f"{key}: one pattern is too few to train and to validate.")
        held[rng.permutation(mine)[: max(1, round(part * len(mine)))]] = True
    return data.take(~held), data.take(held)


def mirrored(x: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Each image mirrored left to right, upside down, both or not at all."""
    out = x.copy()
    for axis in (1, 2):
        flip = rng.random(len(x)) < 0.5
        out[flip] = np.flip(out[flip], axis)
    return out


def _images(data: LabelledPatterns, recipe: RawRecipe) -> Images:
    """Function that gives prepared patterns: made at once where they fit into memory."""
    mask = find_mask(data.patterns)
    if len(data) * recipe.side**2 <= _CACHED:
        whole = prepare(data.patterns, recipe.side, mask)
        return lambda index: whole[index]
    return lambda index: prepare(data.patterns[index], recipe.side, mask)


def _targets(data: LabelledPatterns, classes: Classes) -> NDArray[np.intp]:
    place = {pair: k for k, pair in enumerate(classes)}
    pairs = zip(data.families.tolist(), data.space_groups.tolist(), strict=True)
    return np.array([place[pair] for pair in pairs], dtype=np.intp)


def _chunks(index: NDArray[np.intp], size: int = 256) -> list[NDArray[np.intp]]:
    return [index[start : start + size] for start in range(0, len(index), size)]


def _loss(decay: float) -> Callable[[nn.Module, tuple[Tensor, Tensor]], dict[str, Tensor]]:
    def loss(network: nn.Module, batch: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        parts = {"cross entropy": nn.functional.cross_entropy(network(batch[0]), batch[1])}
        if decay:
            squares = torch.stack([(w * w).sum() for w in decayed(network)])
            parts["weight decay"] = decay * squares.sum()
        return parts

    return loss


def _validation(
    held: Images, target: NDArray[np.intp], channels: int, chunk: int = 64
) -> Callable[[nn.Module], dict[str, float]]:
    def validate(network: nn.Module) -> dict[str, float]:
        loss, right = 0.0, 0
        for start in range(0, len(target), chunk):
            index = np.arange(start, min(start + chunk, len(target)))
            y = torch.from_numpy(target[index])
            logits = network(to_tensor(held(index), channels))
            loss += float(nn.functional.cross_entropy(logits, y, reduction="sum"))
            right += int((logits.argmax(dim=1) == y).sum())
        return {"validation": loss / len(target), "accuracy": right / len(target)}

    return validate
