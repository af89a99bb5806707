"""Streams of simulated maps that the dense network is trained on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_ebsdml.dislocations.lines import SimulatedMaps, simulate_maps
from napari_ebsdml.dislocations.lines_presets import LineRules, line_rules
from napari_ebsdml.errors import InputError

WINDOW = 21
"""Side of the maps that a batch is made of, in pixels."""


@dataclass(frozen=True, eq=False)
class MapBatch:
    """A batch of maps; tensors of shape (n, 2, 21, 21), (n, 21, 21) and (n,).

    `weight` balances the numbers of lines; `scale` is the index into `network.SCALES`.
    """

    gnd: Tensor
    count: Tensor
    total: Tensor
    weight: Tensor
    scale: Tensor


def random_rules(rng: np.random.Generator, lines: tuple[int, int] = (1, 24)) -> LineRules:
    """Rules of one group of maps: pixel size, roughness, line density and noise all vary."""
    pixels = int(rng.choice([21, 21, 24, 27, 31]))
    rules = line_rules("exact" if rng.random() < 0.7 else "paper").replace(
        pixels=pixels,
        smoothing=int(rng.choice([5, 5, 5, 5, 8, 12, 20, 40])),
        samples=(40, 200 + 10 * pixels),
    )
    if rng.random() < 0.25:
        # A finer walk on the same pixels is the same as coarser pixels on the same walk.
        rules = rules.replace(nodes=22, walk_length=(70, 120), samples=(40, 600))
    few = int(rng.integers(lines[0], lines[1]))
    rules = rules.replace(lines=(few, int(few * 1.5) + 2))
    if rng.random() < 0.5:
        rules = rules.replace(noise=float(np.exp(rng.uniform(np.log(0.01), np.log(0.25)))))
    return rules


def paper_weight(count: NDArray[np.int32], radius: int, classes: int = 5) -> NDArray[np.float32]:
    """Pixel weights that give exactly the article's balanced choice of crops.

    Each N = 1..`classes` of a map has the weight of its rarest; maps that lack one have none.
    """
    weight = np.zeros(count.shape, np.float32)
    inner = (slice(radius, -radius),) * 2
    for one, out in zip(count, weight, strict=True):
        numbers = np.bincount(one[inner].ravel().clip(0, classes + 1), minlength=classes + 2)
        fewest = numbers[1 : classes + 1].min()
        if fewest:
            table = np.zeros(classes + 2)
            table[1 : classes + 1] = fewest / numbers[1 : classes + 1]
            out[:] = table[one.clip(0, classes + 1)]
    return weight


@cache
def uniform_table(classes: int) -> tuple[float, ...]:
    """Weight of each N that makes all equally heavy over `random_rules`; measured once.

    At most 4: the rare large N would else drown the others in their noise.
    """
    rng = np.random.default_rng(20190408)
    numbers = np.zeros(classes)
    for group in range(96):
        count = simulate_maps(16, random_rules(rng), seed=977, first=16 * group).count
        numbers += np.bincount(count.ravel().clip(0, classes - 1), minlength=classes)
    weight = numbers.sum() / (classes * np.maximum(numbers, 1))
    return tuple(float(value) for value in np.minimum(weight, 4.0))


_Parts = tuple[list[NDArray[Any]], list[NDArray[Any]], list[NDArray[Any]], list[NDArray[Any]]]


def _window(maps: SimulatedMaps, rng: np.random.Generator) -> SimulatedMaps:
    """A random window of the size that all maps of a batch share."""
    spare = maps.total.shape[1] - WINDOW
    i, j = rng.integers(0, spare + 1, 2)
    at = (slice(None), slice(i, i + WINDOW), slice(j, j + WINDOW))
    return SimulatedMaps(maps.gnd[at], maps.total[at], maps.count[at])


def _paper_maps(
    batch: int, rules: LineRules, seed: int, number: int, radius: int, rng: np.random.Generator
) -> _Parts:
    """Maps on which every N = 1..5 occurs; the others would have no weight, but cost time."""
    parts: _Parts = ([], [], [], [])
    found, first, tries = 0, number * batch * 64, 0
    while found < batch:
        if tries == 32:
            raise InputError("These line rules hardly ever give maps with every N = 1..5.")
        maps = _window(simulate_maps(2 * batch, rules, seed, first), rng)
        weight = paper_weight(maps.count, radius)
        keep = np.flatnonzero(weight.any(axis=(1, 2)))[: batch - found]
        for part, field in zip(parts, (maps.gnd, maps.count, maps.total, weight), strict=True):
            part.append(field[keep])
        found += len(keep)
        first += 2 * batch
        tries += 1
    return parts


def _varied_maps(
    batch: int, rules: LineRules, seed: int, number: int, classes: int, rng: np.random.Generator
) -> _Parts:
    """Half of the maps by `rules`, the others by eight draws of `random_rules`."""
    size = batch // 16
    groups = [(batch - 8 * size, rules)]
    groups += [(size, random_rules(rng)) for _ in range(8)]
    table = np.asarray(uniform_table(classes), np.float32)
    parts: _Parts = ([], [], [], [])
    first = number * batch
    for amount, one in groups:
        maps = _window(simulate_maps(amount, one, seed, first), rng)
        weight = table[maps.count.clip(0, classes - 1)]
        for part, field in zip(parts, (maps.gnd, maps.count, maps.total, weight), strict=True):
            part.append(field)
        first += amount
    return parts


def map_batches(
    epoch: int,
    steps: int,
    seed: int,
    data: str = "varied",
    radius: int = 3,
    classes: int = 9,
    batch: int = 64,
    rules: str | LineRules = "paper",
    wrong_scale: float = 0.2,
) -> Iterator[MapBatch]:
    """Batches of one epoch; the same for the same arguments, however the training got there.

    Parameters
    ----------
    epoch, steps
        Which epoch, and how many batches it has.
    seed
        Seed of the training.
    data
        ``"paper"``: maps of `rules`, weighted to the article's balanced N = 1..5.
        ``"varied"``: half of the maps by `rules`, the others by `random_rules`, weighted
        to uniform N (see `uniform_table`).
    radius, classes
        Of the network.
    batch
        Maps in a batch.
    rules
        Rules of the maps that do not vary.
    wrong_scale
        Part of the maps that is multiplied by a wrong factor to teach the check of scale.

    Raises
    ------
    InputError
        When `data` is unknown.
    """
    if data not in ("paper", "varied"):
        raise InputError(f"data must be 'paper' or 'varied', not {data!r}.")
    fixed = line_rules(rules)
    for step in range(steps):
        rng = np.random.default_rng([seed, epoch, step])
        number = epoch * steps + step
        if data == "paper":
            parts = _paper_maps(batch, fixed, seed, number, radius, rng)
        else:
            parts = _varied_maps(batch, fixed, seed, number, classes, rng)
        gnd, count, total, weight = parts
        fields = np.concatenate(gnd)
        n = len(fields)
        scale = np.ones(n, np.int64)
        wrong = rng.random(n) < wrong_scale
        factor = np.exp(rng.uniform(np.log(1.4), np.log(8), n))
        small = rng.random(n) < 0.5
        scale[wrong] = np.where(small[wrong], 0, 2)
        fields[wrong] *= np.where(small, 1 / factor, factor)[wrong, None, None, None].astype(
            np.float32
        )
        yield MapBatch(
            torch.from_numpy(np.ascontiguousarray(np.moveaxis(fields, -1, 1))),
            torch.from_numpy(np.concatenate(count)),
            torch.from_numpy(np.concatenate(total)),
            torch.from_numpy(np.concatenate(weight)),
            torch.from_numpy(scale),
        )
