"""Training of the estimator of the total density, with classes left out to calibrate it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_ebsdml._atomic import write_atomic
from napari_ebsdml.dislocations.structures.generate import BETWEEN, KINDS
from napari_ebsdml.dislocations.structures.store import simulate
from napari_ebsdml.dislocations.total.examples import CLASSES, Examples, make_examples
from napari_ebsdml.dislocations.total.left_out import LeftOut, calibrate, scores
from napari_ebsdml.dislocations.total.model import (
    CLIP,
    COMPONENTS,
    POLARISED_LEVELS,
    SPREADS,
    Calibration,
    TotalDensityModel,
)
from napari_ebsdml.learning.checkpoint import load_checkpoint, save_checkpoint
from napari_ebsdml.learning.device import threads
from napari_ebsdml.learning.plain_layers import layers_of

Report = Callable[[str, float], object] | None
"""Called with what is being done and the part of it that is done; may raise to stop."""


@dataclass(frozen=True)
class Recipe:
    """How the estimator is trained.

    Parameters
    ----------
    structures
        Number of structures of each box size, {voxels: number}.
    between
        Further structures of `generate.BETWEEN` alone, in the last of the sizes.
    maps
        Maps of each structure, of which each gives `examples.PER_MAP` windows.
    copies
        Further maps of each structure beside shifted copies of itself: see `structures.copies`.
    visits
        Windows shown to each network.
    networks
        Networks in the ensemble.
    width
        Of the hidden layers.
    blur
        Standard deviation of the noise on the standardised inputs. Windows are many, structures
        few: without it the network learns structures by heart.
    dropout
        Part of the hidden units that is left out at random, for the same reason.
    seed
    """

    structures: tuple[tuple[int, int], ...] = ((96, 1600),)
    between: int = 400
    maps: int = 12
    copies: int = 0
    visits: int = 2_500_000
    networks: int = 4
    width: int = 96
    blur: float = 0.1
    dropout: float = 0.1
    seed: int = 1


class WindowNetwork(nn.Module):
    """Three hidden layers from a window's numbers to the posterior's parameters."""

    def __init__(
        self,
        mean: NDArray[Any],
        scale: NDArray[Any],
        width: int,
        blur: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.blur = blur
        self.register_buffer("mean", torch.as_tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.as_tensor(scale, dtype=torch.float32))
        outputs = 3 * COMPONENTS + len(POLARISED_LEVELS)
        self.layers = nn.Sequential(
            nn.Linear(len(mean), width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(width, width // 2),
            nn.SiLU(),
            nn.Dropout(dropout),
            nn.Linear(width // 2, outputs),
        )
        with torch.no_grad():
            last = self.layers[-1]
            assert isinstance(last, nn.Linear)
            last.bias[COMPONENTS : 2 * COMPONENTS] = torch.linspace(-1, 2, COMPONENTS)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs) -> (n, outputs)."""
        mean, scale = self.get_buffer("mean"), self.get_buffer("scale")
        value = ((x - mean) / scale).clamp(-CLIP, CLIP)
        if self.training and self.blur:
            value = value + self.blur * torch.randn_like(value)
        out: Tensor = self.layers(value)
        return out


def loss(out: Tensor, lines: Tensor, polarised: Tensor) -> Tensor:
    """Mean negative log-likelihood of log10 N, and pinball loss of the polarised part."""
    k = COMPONENTS
    spread = out[:, 2 * k : 3 * k].clamp(*SPREADS)
    distance = (lines[:, None] - out[:, k : 2 * k]) * torch.exp(-spread)
    chance = torch.log_softmax(out[:, :k], 1) - distance**2 / 2 - spread
    steps = out[:, 3 * k :]
    rising = torch.cumsum(nn.functional.softplus(steps[:, 1:]), 1)
    part = torch.sigmoid(torch.cat((steps[:, :1], steps[:, :1] + rising), 1))
    error = polarised[:, None] - part
    levels = torch.tensor(POLARISED_LEVELS)
    pinball = torch.maximum(levels * error, (levels - 1) * error).sum(1)
    return -torch.logsumexp(chance, 1).mean() + pinball.mean()


def train_network(
    examples: Examples, recipe: Recipe, seed: int, report: Report = None, label: str = "training"
) -> WindowNetwork:
    """One network, trained with AdamW and a rising, then falling learning rate."""
    torch.manual_seed(seed)
    random = torch.Generator().manual_seed(seed)
    inputs = torch.from_numpy(examples.inputs)
    lines = torch.from_numpy(examples.lines)
    polarised = torch.from_numpy(examples.polarised)
    scale = examples.inputs.std(axis=0) + 1e-3
    network = WindowNetwork(
        examples.inputs.mean(axis=0), scale, recipe.width, recipe.blur, recipe.dropout
    )
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=0.1)
    batch = min(512, len(inputs))
    steps = max(2, recipe.visits // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps)
    for step in range(steps):
        rows = torch.randint(len(inputs), (batch,), generator=random)
        value = loss(network(inputs[rows]), lines[rows], polarised[rows])
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if report is not None and step % 100 == 0:
            report(label, step / steps)
    return network.eval()


def as_model(
    networks: Sequence[WindowNetwork], examples: Examples, calibration: Calibration | None = None
) -> TotalDensityModel:
    """An ensemble of trained networks, ready to use."""
    layers = tuple(layers_of(network.layers) for network in networks)
    low, high = np.quantile(examples.inputs, (2e-4, 1 - 2e-4), axis=0).astype(np.float32)
    first = networks[0]
    return TotalDensityModel(
        layers,
        first.get_buffer("mean").numpy(),
        first.get_buffer("scale").numpy(),
        low,
        high,
        calibration or Calibration.none(),
    )


@dataclass(frozen=True)
class Kept:
    """Networks of a training that is not finished, in files of one folder.

    Attributes
    ----------
    folder
    tag
        Of the files: what else they depend on.
    width
        Of the networks.
    """

    folder: Path
    tag: str
    width: int

    def _path(self, name: str) -> Path:
        return self.folder / f"network-{name}-{self.tag}.ckpt"

    def get(self, name: str) -> WindowNetwork | None:
        """A network that was put before, or None."""
        if not self._path(name).exists():
            return None
        state = load_checkpoint(self._path(name))[0]["model"]
        network = WindowNetwork(state["mean"].numpy(), state["scale"].numpy(), self.width)
        network.load_state_dict(state)
        return network.eval()

    def put(self, name: str, network: WindowNetwork) -> None:
        """Keep a network."""
        save_checkpoint(self._path(name), {"model": network.state_dict()}, {"name": name})


def leave_out(
    examples: Examples,
    recipe: Recipe,
    report: Report = None,
    kept: Kept | None = None,
) -> dict[str, LeftOut]:
    """For every class: train without it, in mixtures neither, and answer for it.

    Parameters
    ----------
    examples, recipe
    report
    kept
        Where networks are looked for, and put.
    """
    found = {}
    for number, kind in enumerate(CLASSES):
        test = examples.of(kind)
        if not test.any():
            continue
        network = kept.get(kind) if kept is not None else None
        if network is None:
            seed = recipe.seed + 1000 + number
            train = examples.select(examples.without(kind))
            network = train_network(train, recipe, seed, report, f"without {kind}")
            if kept is not None:
                kept.put(kind, network)
        own = examples.select(test)
        posterior, _ = as_model([network], own).predict(own.inputs)
        found[kind] = LeftOut(own, posterior)
    return found


def train(
    output: Path,
    recipe: Recipe | None = None,
    folder: Path | None = None,
    report: Report = None,
    budget: float | None = None,
) -> TotalDensityModel:
    """Simulate structures, train, calibrate on classes left out, and write a model.

    Everything that is done is kept in `folder`; started again, it goes on from there.

    Parameters
    ----------
    output
        Model file.
    recipe
    folder
        For structures, examples and networks; None: beside the output.
    report
    budget
        Seconds for simulating structures; what there is then is used. At least one file of
        each size is made.
    """
    recipe = recipe or Recipe()
    folder = folder or output.parent / f"{output.stem}-work"
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "recipe.json", json.dumps(recipe.__dict__, indent=1).encode())
    files = _structures(folder / "structures", recipe, report, budget)

    def told(what: str) -> Callable[[float], object] | None:
        return None if report is None else lambda done: report(what, done)

    examples = make_examples(
        files, recipe.maps, recipe.seed, told("measuring windows"), folder / "examples",
        recipe.copies,
    )  # fmt: skip
    kept = Kept(folder, f"{len(examples)}-{recipe.visits}", recipe.width)
    with threads(None):
        left_out = leave_out(examples, recipe, report, kept)
        networks = []
        for number in range(recipe.networks):
            network = kept.get(f"all-{number}")
            if network is None:
                label = f"network {number + 1} of {recipe.networks}"
                network = train_network(examples, recipe, recipe.seed + number, report, label)
                kept.put(f"all-{number}", network)
            networks.append(network)
    # Each class is scored with factors of the others: those of a user's structure, unlike them.
    metrics = {}
    for kind, one in left_out.items():
        others = {name: rest for name, rest in left_out.items() if name != kind}
        metrics[kind] = scores(one, calibrate(others or left_out))
    model = as_model(networks, examples, calibrate(left_out))
    model.save(
        output,
        {
            "training": {
                "recipe": {**recipe.__dict__},
                "structures": len(np.unique(examples.structure)),
                "windows": len(examples),
                "classes": list(KINDS),
            },
            "metrics": {"classes left out": metrics},
        },
    )
    return model


def _structures(folder: Path, recipe: Recipe, report: Report, budget: float | None) -> list[Path]:
    files: list[Path] = []
    sets: list[tuple[int, int, tuple[str, ...] | None]] = [(*s, None) for s in recipe.structures]
    if recipe.between:
        sets.append((recipe.structures[-1][0], recipe.between, (BETWEEN,)))
    for place, (size, number, kinds) in enumerate(sets):
        end = monotonic() + (budget or np.inf) / len(sets)

        def on_file(done: int, total: int, size: int = size, end: float = end) -> None:
            if report is not None:
                report(f"simulating structures of {size} voxels", done / total)
            if monotonic() > end:
                raise _OutOfTime

        seed = recipe.seed + place
        with suppress(_OutOfTime):
            simulate(folder, number, size, seed, on_file, kinds)
        files += sorted(folder.glob(f"structures-{size}-{seed}-????.npz"))
    return files


class _OutOfTime(Exception):
    pass
