"""The training loop: a generator of plain event objects.

The command line turns events into a progress bar, a widget into a live plot. Closing the
generator cancels the training; the network then holds the best weights so far.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from napari_ebsdml.errors import InputError, ModelError
from napari_ebsdml.learning import together
from napari_ebsdml.learning.checkpoint import (
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from napari_ebsdml.learning.muon import Muon

Batch = Any
Losses = Mapping[str, Tensor]


@dataclass(frozen=True)
class TrainingEvent:
    """What happened in a training, as plain numbers.

    Attributes
    ----------
    kind
        ``"step"`` within an epoch, ``"epoch"`` after each, ``"end"`` once at the end; ``"note"``
        where something else takes long.
    epoch, epochs
        Epochs finished, and planned in all.
    fraction
        Part of the training that is done, 0..1.
    losses
        Mean of each loss since the epoch began; ``"loss"`` is the sum that is minimised.
    metrics
        Figures of `validate` (empty for ``"step"``).
    learning_rate
    is_best
        Whether this epoch's metrics are the best so far.
    best_epoch
        Epoch of the best metrics; 0 before the first.
    reason
        For ``"end"``: ``"finished"`` or ``"early stop"``; for ``"note"``: what is under way.
    """

    kind: Literal["note", "step", "epoch", "end"]
    epoch: int
    epochs: int
    fraction: float
    losses: dict[str, float] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    learning_rate: float = 0.0
    is_best: bool = False
    best_epoch: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train.

    Parameters
    ----------
    epochs, steps
        Number of epochs, and of batches in each.
    learning_rate
        Highest learning rate: it rises linearly over `warm_up` (a part of the training) and
        falls to zero along a cosine. ``warm_up=None`` keeps it constant.
    weight_decay
        Decoupled weight decay (AdamW, arXiv:1711.05101).
    average
        Decay per step of the moving average of the weights, which is what is validated and
        kept; 0: none.
    clip
        Largest norm of the gradient; 0: any.
    patience
        Stop after so many epochs without improvement; 0: never.
    min_delta
        What the monitored metric must gain at least to count as an improvement.
    monitor
        Metric that decides what is best; the smallest is best unless `largest`.
    report_every
        Steps between two ``"step"`` events.
    bfloat16
        Compute in bfloat16 where torch deems it safe.
    optimizer
        ``"adamw"``, or ``"muon"`` for kernels and matrices with AdamW for the rest.
    """

    epochs: int
    steps: int
    learning_rate: float = 1e-3
    warm_up: float | None = 0.05
    weight_decay: float = 0.0
    average: float = 0.0
    clip: float = 0.0
    patience: int = 0
    monitor: str = "loss"
    largest: bool = False
    report_every: int = 20
    bfloat16: bool = False
    min_delta: float = 0.0
    optimizer: Literal["adamw", "muon"] = "adamw"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.steps < 1 or self.report_every < 1:
            raise InputError("A schedule needs at least one epoch, one step, and report_every 1.")
        if not (self.learning_rate > 0 and math.isfinite(self.learning_rate)):
            raise InputError(f"learning_rate must be positive, not {self.learning_rate}.")
        if self.optimizer not in ("adamw", "muon"):
            raise InputError(f"optimizer must be 'adamw' or 'muon', not {self.optimizer!r}.")
        if not 0 <= self.average < 1:
            raise InputError(f"average must lie in 0..1, not {self.average}.")
        if self.warm_up is not None and not 0 <= self.warm_up < 1:
            raise InputError(f"warm_up must lie in 0..1, not {self.warm_up}.")

    def rate(self, step: int) -> float:
        """Learning rate of step `step`, counted over all epochs."""
        if self.warm_up is None:
            return self.learning_rate
        total = self.epochs * self.steps
        warm = self.warm_up * total
        if step < warm:
            return self.learning_rate * (step + 1) / (warm + 1)
        done = (step - warm) / max(total - warm, 1)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


def _copy(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in network.state_dict().items()}


def _blend(average: dict[str, Tensor], network: nn.Module, decay: float) -> None:
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            average[name].lerp_(tensor, 1 - decay)
        else:
            average[name].copy_(tensor)


def train(
    network: nn.Module,
    batches: Callable[[int], Iterable[Batch]],
    loss: Callable[[nn.Module, Batch], Losses],
    schedule: Schedule,
    validate: Callable[[nn.Module], Mapping[str, float]] | None = None,
    checkpoint: Path | None = None,
    resume: bool = True,
    recipe: Any = None,
) -> Generator[TrainingEvent, None, None]:
    """Train a network; yield an event now and then.

    Parameters
    ----------
    network
        Trained in place; at the end, also when the generator is closed early, it holds the
        best weights and is in evaluation mode. Closed before its first epoch ends it holds
        the weights that it came with.
    batches
        Called with the epoch's number (from 0) and gives at least `schedule.steps` batches.
        Make them depend on that number and a seed alone, so that a resumed training sees
        the same data.
    loss
        Named losses of one batch; their sum is minimised.
    schedule
    validate
        Metrics of the network, called after each epoch in evaluation mode without gradients.
        Default: none; the mean training loss is monitored.
    checkpoint
        File that is rewritten after each epoch.
    resume
        Go on from `checkpoint` where it exists.
    recipe
        JSON-able description of the training; a checkpoint of another recipe is refused.

    Yields
    ------
    TrainingEvent

    Raises
    ------
    ModelError
        When the loss is no longer finite, or the checkpoint is damaged or of another training.
    InputError
        When the monitored metric is missing or an epoch has no batch.
    EbsdmlError
        When torchrun has started several processes that cannot reach each other.

    Notes
    -----
    Under ``torchrun`` all processes train the same network: see `together`.
    """
    if together.join():
        together.same_start(network)
    state = _State(network, schedule)
    identity = {"recipe": recipe, "schedule": dataclasses.asdict(schedule)}
    if checkpoint is not None and resume and checkpoint.exists():
        state.restore(checkpoint, identity)
    start = state.epoch
    last: TrainingEvent | None = None
    try:
        while state.epoch < schedule.epochs and not state.is_stale:
            losses = yield from _epoch(state, batches(state.epoch), loss)
            is_best, metrics = state.judge(losses, validate)
            if checkpoint is not None and together.rank() == 0:
                state.save(checkpoint, identity, metrics)
            last = state.event("epoch", losses, metrics, is_best)
            yield last
        reason = "early stop" if state.is_stale else "finished"
    finally:
        network.load_state_dict(state.best)
        network.eval()
    yield TrainingEvent(
        "end", last.epoch if last else start, schedule.epochs, 1.0,
        last.losses if last else {}, last.metrics if last else {}, 0.0, False, state.best_epoch,
        reason,
    )  # fmt: skip


class _State:
    """How far a training is: everything that a checkpoint holds."""

    def __init__(self, network: nn.Module, schedule: Schedule) -> None:
        self.network, self.schedule = network, schedule
        self.optimizer: torch.optim.Optimizer
        if schedule.optimizer == "muon":
            self.optimizer = Muon.of(network, schedule.learning_rate, schedule.weight_decay)
        else:
            self.optimizer = torch.optim.AdamW(
                network.parameters(), lr=schedule.learning_rate,
                weight_decay=schedule.weight_decay,
            )  # fmt: skip
        self.best = _copy(network)
        self.average = _copy(network) if schedule.average else None
        self.best_value, self.best_epoch, self.stale = math.inf, 0, 0
        # Finished epochs, and steps of all epochs.
        self.epoch, self.step = 0, 0

    @property
    def is_stale(self) -> bool:
        """Whether there was no improvement for too long."""
        return bool(self.schedule.patience) and self.stale >= self.schedule.patience

    def event(
        self, kind: Literal["step", "epoch"], losses: dict[str, float],
        metrics: dict[str, float], is_best: bool,
    ) -> TrainingEvent:  # fmt: skip
        """What is so far, for those who watch."""
        schedule = self.schedule
        return TrainingEvent(
            kind, self.epoch, schedule.epochs, self.step / (schedule.epochs * schedule.steps),
            losses, metrics, schedule.rate(self.step), is_best, self.best_epoch,
        )  # fmt: skip

    def learn(self, batch: Batch, loss: Callable[[nn.Module, Batch], Losses]) -> dict[str, float]:
        """Take one step; ``"loss"``, the sum that is minimised, and the named losses."""
        schedule, network = self.schedule, self.network
        for group in self.optimizer.param_groups:
            group["lr"] = schedule.rate(self.step)
        device = next(network.parameters()).device
        several = together.size() > 1
        with torch.autocast(device.type, torch.bfloat16, enabled=schedule.bfloat16):
            losses = loss(network, together.share(batch) if several else batch)
        whole = torch.stack([value.float() for value in losses.values()]).sum()
        if several:
            losses = together.mean(losses)
        value = sum(part.detach().float().item() for part in losses.values())
        if not math.isfinite(value):
            number = self.step - self.epoch * schedule.steps + 1
            raise ModelError(
                f"The loss became {value} in epoch {self.epoch + 1}, step {number}. "
                "Lower the learning rate or look for bad values in the training data."
            )
        self.optimizer.zero_grad(set_to_none=True)
        whole.backward()  # type: ignore[no-untyped-call]
        if several:
            together.average_gradients(network)
        if schedule.clip:
            nn.utils.clip_grad_norm_(network.parameters(), schedule.clip)
        self.optimizer.step()
        if self.average is not None:
            # A long memory would keep the random start for too long.
            decay = min(schedule.average, (1 + self.step) / (10 + self.step))
            _blend(self.average, network, decay)
        self.step += 1
        parts = {name: part.item() for name, part in losses.items() if name != "loss"}
        return {"loss": value} | parts

    def judge(
        self,
        losses: dict[str, float],
        validate: Callable[[nn.Module], Mapping[str, float]] | None,
    ) -> tuple[bool, dict[str, float]]:
        """End an epoch: whether it is the best so far, and its metrics."""
        network, schedule = self.network, self.schedule
        trained = _copy(network)
        if self.average is not None:
            network.load_state_dict(self.average)
        network.eval()
        with torch.no_grad():
            metrics = dict(validate(network)) if validate is not None else {}
        # Rounding must not let one process stop and the others wait for it.
        metrics = together.agreed(metrics)
        figures = {**losses, **metrics}
        if schedule.monitor not in figures:
            raise InputError(
                f"No metric {schedule.monitor!r} to monitor; there are {', '.join(figures)}."
            )
        self.epoch += 1
        self.step = self.epoch * schedule.steps
        value = figures[schedule.monitor] * (-1.0 if schedule.largest else 1.0)
        is_best = value < self.best_value - schedule.min_delta
        if is_best:
            self.best_value, self.best_epoch, self.stale = value, self.epoch, 0
            self.best = _copy(network)
        else:
            self.stale += 1
        network.load_state_dict(trained)
        return is_best, metrics

    def save(self, path: Path, identity: Any, metrics: dict[str, float]) -> None:
        """Write a checkpoint."""
        parts = {
            "network": _copy(self.network), "best": self.best, "average": self.average or {},
            "optimizer": optimizer_tensors(self.optimizer),
        }  # fmt: skip
        info = {
            "identity": identity, "epoch": self.epoch, "stale": self.stale,
            "best_value": self.best_value if math.isfinite(self.best_value) else None,
            "best_epoch": self.best_epoch, "metrics": metrics,
        }  # fmt: skip
        save_checkpoint(path, parts, info)

    def restore(self, path: Path, identity: Any) -> None:
        """Go on from a checkpoint."""
        parts, info = load_checkpoint(path)
        if info.get("identity") != identity:
            raise ModelError(
                f"{path}: the checkpoint belongs to a training with another recipe. "
                "Use its recipe, another file, or start anew."
            )
        try:
            self.network.load_state_dict(parts["network"])
        except (KeyError, RuntimeError):
            raise ModelError(f"{path}: the checkpoint is of another network.") from None
        restore_optimizer(self.optimizer, parts["optimizer"])
        device = next(self.network.parameters()).device
        self.best = {name: tensor.to(device) for name, tensor in parts["best"].items()}
        if self.average is not None:
            self.average = {n: tensor.to(device) for n, tensor in parts["average"].items()}
        self.best_value = math.inf if info["best_value"] is None else info["best_value"]
        self.best_epoch, self.epoch, self.stale = info["best_epoch"], info["epoch"], info["stale"]
        self.step = self.epoch * self.schedule.steps


def _epoch(
    state: _State, batches: Iterable[Batch], loss: Callable[[nn.Module, Batch], Losses]
) -> Generator[TrainingEvent, None, dict[str, float]]:
    """Train for one epoch; its mean losses."""
    schedule = state.schedule
    state.network.train()
    sums: dict[str, float] = {}
    done = 0
    for batch in batches:
        for name, value in state.learn(batch, loss).items():
            sums[name] = sums.get(name, 0.0) + value
        done += 1
        if done == schedule.steps:
            break
        if done % schedule.report_every == 0:
            means = {name: part / done for name, part in sums.items()}
            yield state.event("step", means, {}, False)
    if not done:
        raise InputError("An epoch had no batch: there is no training data.")
    return {name: part / done for name, part in sums.items()}
