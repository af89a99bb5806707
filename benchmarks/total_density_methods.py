"""Which estimator of the total density wins: a trial on the same windows, classes left out.

python benchmarks/total_density_methods.py WORK [--maps 10] [--classes walls ...] [--network]

WORK/structures holds what `ebsdml dev train-total-density` simulates. Windows are at most 32 x 32
pixels, so that the convolutional network sees what the others see. For every class: trained on
windows of structures without any line of it, scored on windows of it alone.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from time import process_time

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from torch import nn

from napari_ebsdml.dislocations.structures.generate import KINDS
from napari_ebsdml.dislocations.structures.measurement import random_map
from napari_ebsdml.dislocations.structures.store import read_stored
from napari_ebsdml.dislocations.total.examples import (
    CLASSES,
    PER_MAP,
    Examples,
    MeasuredWindow,
    examples_of_windows,
    windows_of_maps,
)
from napari_ebsdml.dislocations.total.statistics import NAMES
from napari_ebsdml.dislocations.total.train import Recipe, as_model, train_network

SIDE = 32
RICH = list(range(len(NAMES)))
_NEW = ("% of", "median of", "axis", "rows(", "lengths go", "(16)", "second(8)",
        "second peakedness(8)")  # fmt: skip
PLAIN = [n for n, name in enumerate(NAMES) if not any(word in name for word in _NEW)]
"""What the estimator read before: structure functions, second differences, mean slope."""


def data(files: list[Path], maps: int, seed: int, pictures: bool):
    parts, images = [], []
    names = list(KINDS)
    for index, path in enumerate(files):
        for place, stored in enumerate(read_stored(path)):
            random = np.random.default_rng([seed, index, place])
            drawn = [random_map(stored, random) for _ in range(maps)]
            shape = None if random.random() < 0.3 else (SIDE, SIDE)
            windows = windows_of_maps(drawn, random, PER_MAP, shape=shape)
            windows = [w for w in windows if max(w.window.inside.shape) <= SIDE]
            if not windows:
                continue
            kinds = np.array([name in stored.kinds for name in names])
            parts.append(examples_of_windows(windows, kinds, index * 100 + place))
            if pictures:
                images += [picture(w) for w in windows]
    return Examples.join(parts), np.array(images, dtype=np.float16) if pictures else None


def picture(one: MeasuredWindow) -> np.ndarray:
    """Rotations over the root mean square neighbour difference, and the mask, (4, SIDE, SIDE)."""
    inside = one.window.inside
    turn = one.window.rotation - one.window.rotation[inside].mean(axis=0)
    steps = np.concatenate([np.diff(turn, axis=a).reshape(-1, 3) for a in (0, 1)])
    out = np.zeros((4, SIDE, SIDE), dtype=np.float32)
    rows, columns = inside.shape
    unit = np.sqrt(np.square(steps).sum(axis=1).mean()) + 1e-9
    out[:3, :rows, :columns] = np.where(inside, np.moveaxis(turn / unit, -1, 0), 0).clip(-100, 100)
    out[3, :rows, :columns] = inside
    return out


class Conv(nn.Module):
    """Masked convolutions, pooled over the window, with the scale and the noise beside them."""

    def __init__(self, mean: np.ndarray, scale: np.ndarray) -> None:
        super().__init__()
        self.mean, self.scale = torch.as_tensor(mean), torch.as_tensor(scale)
        widths = (4, 24, 48, 64)
        self.steps = nn.ModuleList(
            nn.Conv2d(a, b, 3, stride=1 if a == 4 else 2, padding=1) for a, b in pairwise(widths)
        )
        self.head = nn.Sequential(
            nn.Linear(2 * sum(widths[1:]) + len(mean), 96), nn.SiLU(), nn.Linear(96, 2)
        )

    def forward(self, x: torch.Tensor, told: torch.Tensor) -> torch.Tensor:
        """(n, 4, rows, columns) and (n, numbers) -> centre and log of the spread, (n, 2)."""
        mask = x[:, 3:]
        pooled = []
        for step in self.steps:
            x = nn.functional.silu(step(x))
            if step.stride[0] == 2:
                mask = nn.functional.max_pool2d(mask, 2)
            x = x * mask
            size = mask.sum((2, 3)).clamp(min=1)
            pooled += [x.sum((2, 3)) / size, (x**2).sum((2, 3)) / size]
        pooled = [torch.asinh(p) for p in pooled]
        return self.head(torch.cat((*pooled, (told - self.mean) / self.scale), 1))


TOLD = [NAMES.index(n) for n in ("log D(1)", "log noise", "noise measured", "free surface",
                                 "log pixels")]  # fmt: skip


def train_conv(images, examples: Examples, visits: int, seed: int) -> Conv:
    torch.manual_seed(seed)
    told = torch.from_numpy(examples.inputs[:, TOLD])
    network = Conv(told.mean(0).numpy(), told.std(0).numpy() + 1e-3)
    lines = torch.from_numpy(examples.lines)
    pictures = torch.from_numpy(images)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02)
    steps = visits // 128
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)
    for _ in range(steps):
        rows = torch.randint(len(lines), (128,))
        out = network(pictures[rows].float(), told[rows])
        spread = out[:, 1].clamp(-3, 2)
        loss = (((lines[rows] - out[:, 0]) * torch.exp(-spread)) ** 2 / 2 + spread).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return network.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--maps", type=int, default=10)
    parser.add_argument("--classes", nargs="+", default=list(CLASSES))
    parser.add_argument("--visits", type=int, default=400_000)
    parser.add_argument("--network", action="store_true", help="the convolutional one, too")
    parser.add_argument("--pattern", default="structures-*.npz")
    given = parser.parse_args()
    torch.set_num_threads(1)
    files = sorted((given.work / "structures").glob(given.pattern))
    examples, images = data(files, given.maps, 5, given.network)
    print(f"{len(np.unique(examples.structure))} structures, {len(examples)} windows")
    print("RMS error (decades) for rho (b / sigma)^2 > 100: all, N < 1, 1 to 10, 10 to 100; CPU s")
    for kind in given.classes:
        test, rest = examples.of(kind), examples.without(kind)
        train, own = examples.select(rest), examples.select(test)
        recipe = Recipe(visits=given.visits)
        answers = {}
        start = process_time()
        for name, columns in (
            ("network, plain", PLAIN),
            ("network, rich", RICH),
        ):
            part = Examples(**{**train.__dict__, "inputs": train.inputs[:, columns]})
            model = as_model([train_network(part, recipe, 1)], part)
            answers[name] = (
                model.predict(own.inputs[:, columns])[0].quantile(0.5),
                process_time() - start,
            )
            start = process_time()
        for name, columns in (("trees, plain", PLAIN), ("trees, rich", RICH)):
            trees = HistGradientBoostingRegressor(
                loss="absolute_error", max_iter=300, learning_rate=0.06, max_leaf_nodes=24,
                min_samples_leaf=60, l2_regularization=1.0, max_features=0.3, random_state=0,
            )  # fmt: skip
            trees.fit(train.inputs[:, columns], train.lines)
            answers[name] = trees.predict(own.inputs[:, columns]), process_time() - start
            start = process_time()
        answers["network + trees, rich"] = (
            (answers["network, rich"][0] + answers["trees, rich"][0]) / 2,
            0.0,
        )
        if given.network:
            conv = train_conv(images[rest], train, given.visits // 2, 1)
            with torch.inference_mode():
                told = torch.from_numpy(own.inputs[:, TOLD])
                out = [conv(torch.from_numpy(images[test][i : i + 500]).float(), told[i : i + 500])
                       for i in range(0, len(own), 500)]  # fmt: skip
            answers["convolutional"] = torch.cat(out)[:, 0].numpy(), process_time() - start
        for name, (answer, seconds) in answers.items():
            clear = own.strength > 2
            parts = [clear] + [clear & (own.lines >= a) & (own.lines < b)
                               for a, b in ((-9, 0), (0, 1), (1, 2))]  # fmt: skip
            rms = [np.sqrt(np.mean((answer - own.lines)[p] ** 2)) for p in parts]
            told = " | ".join(f"{v:.2f}" for v in rms)
            bias = np.mean((answer - own.lines)[clear])
            print(f"| {kind} | {name} | {clear.sum()} | {told} | {bias:+.2f} | {seconds:.0f} |")


if __name__ == "__main__":
    main()
