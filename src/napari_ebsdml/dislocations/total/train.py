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
from napari_ebsdml.dislocations.structures.generate import KINDS
from napari_ebsdml.dislocations.structures.store import simulate
from napari_ebsdml.dislocations.total.examples import Examples, make_examples
from napari_ebsdml.dislocations.total.model import (
    CLIP,
    COMPONENTS,
    POLARISED_LEVELS,
    SPREADS,
    Calibration,
    TotalDensityModel,
)
from napari_ebsdml.dislocations.total.posterior import Posterior
from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.checkpoint import load_checkpoint, save_checkpoint
from napari_ebsdml.learning.device import threads

STRENGTH_EDGES = np.array([-0.5, 0.5, 1.3, 2.0, 3.0])
"""Ends of the bins of strength, log10 rho (b / sigma)^2, that are calibrated apart."""
LINES_EDGES = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0])
"""Ends of the bins of log10 of the lines per pixel that are calibrated apart."""
FEWEST = 100
"""Windows that a bin needs to have factors of its own."""
MEASURABLE = 1.3
"""log10 of rho (b / sigma)^2 from which a map tells its density."""
Report = Callable[[str, float], object] | None
"""Called with what is being done and the part of it that is done; may raise to stop."""


@dataclass(frozen=True)
class Recipe:
    """How the estimator is trained.

    Parameters
    ----------
    structures
        Number of structures of each box size, {voxels: number}.
    windows
        Windows of each structure.
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

    structures: tuple[tuple[int, int], ...] = ((64, 3000), (96, 600))
    windows: int = 60
    visits: int = 1_500_000
    networks: int = 4
    width: int = 64
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
    layers = tuple(
        tuple(
            (part.weight.detach().numpy().copy(), part.bias.detach().numpy().copy())
            for part in network.layers
            if isinstance(part, nn.Linear)
        )
        for network in networks
    )
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


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Answers for windows of classes that the answering network was not trained on."""

    examples: Examples
    posterior: Posterior


def leave_out(
    examples: Examples,
    recipe: Recipe,
    report: Report = None,
    keep: Callable[[str, WindowNetwork | None], WindowNetwork | None] | None = None,
) -> dict[str, LeftOut]:
    """For every class: train without it, in mixtures neither, and answer for it.

    Parameters
    ----------
    examples, recipe
    report
    keep
        Called with the class and None to ask for a network from before, and with the class
        and a new network to keep it.
    """
    found = {}
    for number, kind in enumerate(KINDS):
        test = examples.of(kind)
        if not test.any():
            continue
        train = examples.select(examples.without(kind))
        network = keep(kind, None) if keep is not None else None
        if network is None:
            seed = recipe.seed + 1000 + number
            network = train_network(train, recipe, seed, report, f"without {kind}")
            if keep is not None:
                keep(kind, network)
        posterior, _ = as_model([network], train).predict(examples.inputs[test])
        found[kind] = LeftOut(examples.select(test), posterior)
    return found


def calibrate(left_out: dict[str, LeftOut], level: float = 0.9) -> Calibration:
    """Factors that make the interval hold `level` of the windows of classes left out.

    Split conformal on the two sides apart; every class counts the same. (Romano et al.,
    "Conformalized quantile regression", arXiv:1905.03222.)
    """
    pieces = []
    for one in left_out.values():
        low, median, high = (one.posterior.quantile(a) for a in (0.05, 0.5, 0.95))
        true = one.examples.lines.astype(np.float64)
        noise = one.examples.inputs[:, NOISE_COLUMN].astype(np.float64)
        below = (median - true) / np.maximum(median - low, 1e-6)
        above = (true - median) / np.maximum(high - median, 1e-6)
        weight = np.full(len(true), 1 / len(true))
        pieces.append(np.stack((median - 2 * noise, median, below, above, weight)))
    if not pieces:
        raise InputError("No class was left out, so nothing can be calibrated.")
    strength, lines, below, above, weight = np.concatenate(pieces, axis=1)
    row, column = np.digitize(strength, STRENGTH_EDGES), np.digitize(lines, LINES_EDGES)
    side = 1 - (1 - level) / 2
    down, up = (np.ones((len(STRENGTH_EDGES) + 1, len(LINES_EDGES) + 1)) for _ in range(2))
    for i in range(down.shape[0]):
        for j in range(down.shape[1]):
            inside = (row == i) & (column == j)
            if inside.sum() < FEWEST:  # all that is as strong, then
                inside = row == i
            if inside.sum() < FEWEST:
                inside[:] = True
            for table, values in ((down, below), (up, above)):
                table[i, j] = max(0.3, _weighted_quantile(values[inside], weight[inside], side))
    return Calibration(_middles(STRENGTH_EDGES), _middles(LINES_EDGES), down, up, _shared(left_out))


def _middles(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Middles of bins; the open ones at both ends count as one decade wide."""
    return np.concatenate(([edges[0] - 0.5], (edges[1:] + edges[:-1]) / 2, [edges[-1] + 0.5]))


NOISE_COLUMN = -5
"""Column of the inputs that holds log10 of the noise."""


def _weighted_quantile(values: NDArray[Any], weight: NDArray[Any], level: float) -> float:
    order = np.argsort(values)
    total = np.cumsum(weight[order]) / weight.sum()
    return float(values[order[min(int(np.searchsorted(total, level)), len(values) - 1)]])


def _shared(left_out: dict[str, LeftOut]) -> float:
    """Part of the error's variance that windows of one structure share, where maps tell."""
    within, between = [], []
    for one in left_out.values():
        clear = one.examples.strength > MEASURABLE
        error = (one.posterior.quantile(0.5) - one.examples.lines)[clear]
        structure = one.examples.structure[clear]
        for number in np.unique(structure):
            values = error[structure == number]
            if len(values) >= 4:
                # Mean of the products of different windows' errors, and of their squares.
                n = len(values)
                between.append((values.sum() ** 2 - np.square(values).sum()) / (n * (n - 1)))
                within.append(float(np.square(values).mean()))
    if not within:
        return 1.0
    return float(np.clip(np.mean(between) / np.mean(within), 0.05, 1.0))


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

    examples = make_examples(files, recipe.windows, recipe.seed, told("measuring windows"))

    def keep(name: str, network: WindowNetwork | None) -> WindowNetwork | None:
        path = folder / f"network-{name}-{len(examples)}-{recipe.visits}.ckpt"
        if network is not None:
            save_checkpoint(path, {"model": network.state_dict()}, {"name": name})
            return network
        if not path.exists():
            return None
        state = load_checkpoint(path)[0]["model"]
        network = WindowNetwork(state["mean"].numpy(), state["scale"].numpy(), recipe.width)
        network.load_state_dict(state)
        return network.eval()

    with threads(None):
        left_out = leave_out(examples, recipe, report, keep)
        calibration = calibrate(left_out)
        networks = []
        for number in range(recipe.networks):
            network = keep(f"all-{number}", None)
            if network is None:
                label = f"network {number + 1} of {recipe.networks}"
                network = train_network(examples, recipe, recipe.seed + number, report, label)
                keep(f"all-{number}", network)
            networks.append(network)
    model = as_model(networks, examples, calibration)
    metrics = {kind: scores(one, calibration) for kind, one in left_out.items()}
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


def scores(one: LeftOut, calibration: Calibration) -> dict[str, Any]:
    """RMS error in decades, share within a factor 2 and coverage, by strength."""
    noise = 10.0 ** one.examples.inputs[:, NOISE_COLUMN].astype(np.float64)
    median, low, high = calibration.interval(one.posterior, noise)
    true = one.examples.lines.astype(np.float64)
    out: dict[str, Any] = {}
    for name, first, end in (("20 to 100", MEASURABLE, 2.0), ("above 100", 2.0, np.inf)):
        rows = (one.examples.strength >= first) & (one.examples.strength < end)
        if rows.sum() < 10:
            continue
        error = (median - true)[rows]
        out[name] = {
            "windows": int(rows.sum()),
            "rms": round(float(np.sqrt(np.mean(error**2))), 3),
            "bias": round(float(error.mean()), 3),
            "within factor 2": round(float(np.mean(np.abs(error) < np.log10(2))), 3),
            "coverage": round(float(((low <= true) & (true <= high))[rows].mean()), 3),
            "width": round(float(10 ** np.median((high - low)[rows])), 2),
        }
    return out


def _structures(folder: Path, recipe: Recipe, report: Report, budget: float | None) -> list[Path]:
    files: list[Path] = []
    for place, (size, number) in enumerate(recipe.structures):
        end = monotonic() + (budget or np.inf) / len(recipe.structures)

        def on_file(done: int, total: int, size: int = size, end: float = end) -> None:
            if report is not None:
                report(f"simulating structures of {size} voxels", done / total)
            if monotonic() > end:
                raise _OutOfTime

        seed = recipe.seed + place
        with suppress(_OutOfTime):
            simulate(folder, number, size, seed, on_file)
        files += sorted(folder.glob(f"structures-{size}-{seed}-????.npz"))
    return files


class _OutOfTime(Exception):
    pass
