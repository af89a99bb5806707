"""Training of the dense network, as a function and as a command.

``ebsdml dev train-density OUTPUT`` trains, shows its progress, keeps a
checkpoint beside the output and goes on from it when it is started again.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from napari_ebsdml.dislocations.article.calibrate import calibrate
from napari_ebsdml.dislocations.article.lines import simulate_crops
from napari_ebsdml.dislocations.article.lines_presets import LineRules, line_rules
from napari_ebsdml.dislocations.article.losses import line_loss, mape
from napari_ebsdml.dislocations.article.mixture import Estimates, summarise
from napari_ebsdml.dislocations.article.model import KIND
from napari_ebsdml.dislocations.article.network import LineNetwork, LineOutput, symmetric_output
from napari_ebsdml.dislocations.article.training_data import MapBatch, map_batches
from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.checkpoint import load_checkpoint
from napari_ebsdml.learning.device import pick_device, seed_all
from napari_ebsdml.learning.loop import Schedule, TrainingEvent, train
from napari_ebsdml.learning.model_card import ModelCard
from napari_ebsdml.learning.model_file import load_model, put_weights, save_model
from napari_ebsdml.learning.prefetch import prefetch
from napari_ebsdml.learning.under_way import UnderWay

_VALIDATION_SEED = 20_260_000
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how a network comes out.

    Parameters
    ----------
    data
        ``"varied"`` for use on measurements, ``"paper"`` for the article's distribution.
    rules
        Preset of line rules for the maps that do not vary.
    radius, width, classes
        See `LineNetwork`.
    epochs, steps, batch
        Number of epochs, of batches in each, of maps in each batch.
    learning_rate
    seed
    wrong_scale, noisy, repeats
        Part of the maps shown at a wrong scale and with noise; showings of each map. See
        `training_data.map_batches`.
    start
        Model file whose weights the training starts from; empty: random ones.
    """

    data: str = "varied"
    rules: str = "paper"
    radius: int = 3
    width: int = 64
    classes: int = 9
    epochs: int = 50
    steps: int = 750
    batch: int = 16
    learning_rate: float = 4e-3
    seed: int = 0
    wrong_scale: float = 0.1
    noisy: float = 0.4
    repeats: int = 4
    start: str = ""

    @property
    def schedule(self) -> Schedule:
        """Schedule of the training loop."""
        return Schedule(
            self.epochs, self.steps, self.learning_rate, warm_up=0.03, weight_decay=1e-4,
            average=0.999, clip=1.0, monitor="mape", bfloat16=True, optimizer="muon",
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class CropTest:
    """Fixed crops to judge networks by, balanced over N = 1..5.

    `gnd` is (n, 2, side, side); networks of a smaller window see the middle. `noise` is that
    of its components.
    """

    gnd: torch.Tensor
    count: NDArray[np.int32]
    total: NDArray[np.float32]
    noise: float = 0.0


def crop_test(n: int, rules: str | LineRules = "paper", seed: int = _VALIDATION_SEED) -> CropTest:
    """Make `n` crops of 11 x 11 pixels; the seed is far from those of trainings."""
    crops = simulate_crops(n, rules, seed, side=11)
    noise = line_rules(rules).noise
    gnd = torch.from_numpy(np.ascontiguousarray(np.moveaxis(crops.gnd, -1, 1)))
    return CropTest(gnd, crops.count, crops.total, noise)


def outputs(
    network: LineNetwork, test: CropTest, symmetric: bool = False
) -> Iterator[tuple[slice, LineOutput]]:
    """Network outputs of a test set, batch by batch."""
    cut = test.gnd.shape[-1] // 2 - network.radius
    device = next(network.parameters()).device
    with torch.no_grad():
        for start in range(0, len(test.gnd), 2048):
            part = slice(start, min(start + 2048, len(test.gnd)))
            gnd = test.gnd[part].to(device)
            if cut:
                gnd = gnd[..., cut:-cut, cut:-cut]
            noise = gnd.new_full((len(gnd), 1, 1), test.noise)
            run = partial(symmetric_output, network) if symmetric else network
            yield part, run(gnd, noise)


def judge(
    network: LineNetwork,
    test: CropTest,
    symmetric: bool = False,
    allowed: tuple[int, int] | None = (1, 5),
    **calibration: Any,
) -> dict[str, float]:
    """Figures of a network on a test set.

    Parameters
    ----------
    network, test
    symmetric
        Average over the 16 equivalent maps.
    allowed, **calibration
        See `mixture.summarise`.

    Returns
    -------
    dict
        ``"mape"`` of the median estimate, ``"accuracy"`` of N, ``"bias"`` (mean of the mean
        estimate over the true mean), ``"cover90"`` (part within the 90 % interval).
    """
    parts: list[Estimates] = [
        summarise(out, 0.9, allowed, **calibration) for _, out in outputs(network, test, symmetric)
    ]

    def join(name: str) -> NDArray[np.float32]:
        return np.concatenate([getattr(part, name).ravel() for part in parts])

    # A single line's density is |GND| itself, to rounding.
    above = join("low") * (1 - 1e-5) <= test.total
    within = above & (test.total <= join("high") * (1 + 1e-5))
    return {
        "mape": mape(join("median"), test.total),
        "accuracy": float(np.mean(join("n_lines") == test.count)),
        "bias": float(join("mean").mean() / test.total.mean()),
        "cover90": float(within.mean()),
    }


class LineTraining(UnderWay[TrainingEvent, LineNetwork]):
    """A training under way: iterate over its events; ``close()`` cancels.

    Attributes
    ----------
    events
        All events so far but those of kind ``"step"``.
    """

    def __init__(
        self, recipe: Recipe, output: Path | None, device: str, n_threads: int | None,
        validation: int, resume: bool,
    ) -> None:  # fmt: skip
        super().__init__(n_threads)
        self._steps = self._train(recipe, output, device, validation, resume)
        self._network: LineNetwork | None = None

    @property
    def network(self) -> LineNetwork | None:
        """Best network, in evaluation mode, once the training has ended or was closed; None
        before, and when it was closed before its first epoch ended.
        """
        return self.model

    def _model(self) -> LineNetwork | None:
        return self._network

    def _train(
        self, recipe: Recipe, output: Path | None, device: str, validation: int, resume: bool
    ) -> Generator[TrainingEvent, None, None]:
        where = pick_device(device)
        seed_all(recipe.seed)
        network = LineNetwork(recipe.radius, recipe.width, recipe.classes).to(where)
        if recipe.start:
            put_weights(network, load_model(Path(recipe.start), KIND)[0], Path(recipe.start))
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        test = crop_test(validation)
        checkpoint = None if output is None else output.with_suffix(".checkpoint")
        started = time.monotonic()
        worth_keeping = finished = False
        events = train(
            network, partial(_batches, recipe), partial(_loss, where), recipe.schedule,
            partial(_validate, test), checkpoint, resume, dataclasses.asdict(recipe),
        )  # fmt: skip
        try:
            for event in events:
                worth_keeping = worth_keeping or event.kind != "step"
                if event.kind == "epoch":
                    _log.info("epoch %d: %s", event.epoch, json.dumps(event.metrics))
                    if event.is_best and output is not None and checkpoint is not None:
                        parts, _ = load_checkpoint(checkpoint)
                        save_model(output, parts["best"], card_of(network, recipe, event.metrics))
                finished = event.kind == "end"
                yield event
        finally:
            # Closing puts the best weights into the network, also when this is cancelled.
            events.close()
            if worth_keeping:
                self._network = network
            # Refused, or cancelled within its first epoch, it must leave an earlier model alone.
            if output is not None and worth_keeping:
                card = card_of(network, recipe, judge(network, test), finished)
                card.training["seconds of the last run"] = round(time.monotonic() - started)  # type: ignore[index]
                save_model(output, network.state_dict(), card)


def train_lines(
    recipe: Recipe,
    output: Path | None = None,
    device: str = "cpu",
    n_threads: int | None = 1,
    validation: int = 10_000,
    resume: bool = True,
) -> LineTraining:
    """Train a dense network on simulated lines.

    Parameters
    ----------
    recipe
    output
        Model file to write after each epoch that was the best so far; a checkpoint
        ``NAME.checkpoint`` lies beside it. None: keep nothing.
    device
        See `learning.device.pick_device`.
    n_threads
        Threads of torch.
    validation
        Crops that each epoch is judged by.
    resume
        Go on from the checkpoint.

    Returns
    -------
    LineTraining
        Iterate over it; ``network`` is the best one at the end.

    Raises
    ------
    InputError
        When the recipe is out of range.
    ModelError
        While iterating: see `learning.loop.train`.
    """
    if recipe.batch < 16:
        raise InputError(f"A batch needs at least 16 maps, not {recipe.batch}.")
    return LineTraining(recipe, output, device, n_threads, validation, resume)


def _batches(recipe: Recipe, epoch: int) -> Iterator[MapBatch]:
    made = map_batches(
        epoch, recipe.steps, recipe.seed, recipe.data, recipe.radius, recipe.classes, recipe.batch,
        recipe.rules, recipe.wrong_scale, recipe.noisy, recipe.repeats,
    )  # fmt: skip
    return prefetch(made)


def _loss(where: torch.device, network: nn.Module, batch: MapBatch) -> dict[str, torch.Tensor]:
    assert isinstance(network, LineNetwork)
    inner = slice(network.radius, -network.radius)
    gnd = batch.gnd.to(where, memory_format=torch.channels_last)
    count, total, weight = (
        field[:, inner, inner].to(where) for field in (batch.count, batch.total, batch.weight)
    )
    out = network(gnd, batch.noise.to(where))
    return line_loss(out, count, total, weight, batch.scale.to(where))


def _validate(test: CropTest, network: nn.Module) -> dict[str, float]:
    assert isinstance(network, LineNetwork)
    return judge(network, test)


def _named(recipe: Recipe) -> dict[str, Any]:
    """Recipe for the card: a start's name, without the folders of this machine."""
    return dataclasses.asdict(recipe) | {"start": Path(recipe.start).name}


def card_of(
    network: LineNetwork, recipe: Recipe, metrics: dict[str, float], calibrated: bool = False
) -> ModelCard:
    """Model card of a trained network; `calibrated` also fits its calibration, in seconds."""
    side = 2 * network.radius + 1
    names = [str(n) for n in range(network.classes - 1)] + [f"{network.classes - 1}+"]
    unit = "1/(step * plane_thickness)"
    figures = {f"validation {name}": value for name, value in metrics.items()}
    # The loss counts maps of a wrong scale four times.
    wrong = 2 * max(recipe.wrong_scale, 1e-3)
    parts = np.array([wrong, max(1 - recipe.wrong_scale, 1e-3), wrong])
    extra: dict[str, object] = {"scale_prior": (parts / parts.sum()).tolist()}
    if calibrated:
        found = calibrate(network, recipe.data, recipe.seed, recipe.noisy)
        extra |= {
            "temperature": found.temperature,
            "spread": found.spread,
            "excess": found.excess,
            "excess_balanced": found.excess_balanced,
            "largest_gnd": found.largest_gnd,
        }
        figures["held-out cover90"] = found.cover_after
        figures["held-out cover90 before calibration"] = found.cover_before
    return ModelCard(
        kind=KIND,
        network="LineNetwork",
        settings=network.settings,
        inputs={
            "gnd_x": {"unit": unit, "meaning": "GND component along map columns"},
            "gnd_y": {"unit": unit, "meaning": "GND component along map rows"},
            "window": {"pixels": side},
        },
        classes=tuple(names),
        training={"recipe": _named(recipe), "data": "simulated lines"},
        metrics=figures,
        extra=extra,
    )
