"""Streams of simulated maps that the dense network is trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_ebsdml.dislocations.article.lines import SimulatedMaps, simulate_maps
from napari_ebsdml.dislocations.article.lines_presets import LineRules, line_rules
from napari_ebsdml.errors import InputError

WINDOW = 21
"""Side of the maps that a batch is made of, in pixels."""
_CHUNK = 64
"""Maps that are simulated at a time."""
_NOISE = (math.log(0.01), math.log(0.25))
"""Range of the logarithm of the noise, in units of one line across a pixel."""


@dataclass(frozen=True, eq=False)
class MapBatch:
    """A batch of maps; tensors of shape (n, 2, 21, 21), (n, 21, 21), (n,) and (n, 1, 1).

    `weight` balances the numbers of lines; `scale` is the index into `network.SCALES`;
    `noise` is what the network is told of the noise.
    """

    gnd: Tensor
    count: Tensor
    total: Tensor
    weight: Tensor
    scale: Tensor
    noise: Tensor


def random_rules(rng: np.random.Generator, lines: tuple[int, int] = (1, 24)) -> LineRules:
    """Rules of one group of maps: pixel size, roughness and line density vary."""
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
    return rules.replace(lines=(few, int(few * 1.5) + 2))


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


@dataclass(frozen=True, eq=False)
class _Pool:
    """Maps of an epoch: GND (n, 21, 21, 2); number, total and weight (n, 21, 21)."""

    gnd: NDArray[np.float32]
    count: NDArray[np.int32]
    total: NDArray[np.float32]
    weight: NDArray[np.float32]

    @classmethod
    def joined(cls, parts: Sequence[_Pool]) -> _Pool:
        names = (field.name for field in fields(cls))
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def _window(maps: SimulatedMaps, rng: np.random.Generator) -> SimulatedMaps:
    """A random window of the size that all maps of a batch share."""
    spare = maps.total.shape[1] - WINDOW
    i, j = rng.integers(0, spare + 1, 2)
    at = (slice(None), slice(i, i + WINDOW), slice(j, j + WINDOW))
    return SimulatedMaps(maps.gnd[at], maps.total[at], maps.count[at])


def _paper_maps(
    amount: int, rules: LineRules, seed: int, first: int, radius: int, rng: np.random.Generator
) -> _Pool:
    """Maps on which every N = 1..5 occurs; the others would have no weight, but cost time."""
    parts: list[_Pool] = []
    found, tries = 0, 0
    while found < amount:
        if tries == 32:
            raise InputError("These line rules hardly ever give maps with every N = 1..5.")
        maps = _window(simulate_maps(2 * amount, rules, seed, first), rng)
        weight = paper_weight(maps.count, radius)
        keep = np.flatnonzero(weight.any(axis=(1, 2)))[: amount - found]
        parts.append(_Pool(maps.gnd[keep], maps.count[keep], maps.total[keep], weight[keep]))
        found += len(keep)
        first += 2 * amount
        tries += 1
    return _Pool.joined(parts)


def _other_maps(
    amount: int, seed: int, first: int, classes: int, rng: np.random.Generator
) -> _Pool:
    """Maps by eight draws of `random_rules`."""
    table = np.asarray(uniform_table(classes), np.float32)
    parts: list[_Pool] = []
    for _ in range(8):
        maps = _window(simulate_maps(amount // 8, random_rules(rng), seed, first), rng)
        weight = table[maps.count.clip(0, classes - 1)]
        parts.append(_Pool(maps.gnd, maps.count, maps.total, weight))
        first += amount // 8
    return _Pool.joined(parts)


def _pool(
    n: int, epoch: int, seed: int, data: str, rules: LineRules, radius: int, classes: int
) -> _Pool:
    """At least `n` maps that no other epoch sees."""
    chunks = -(-n // _CHUNK)
    parts: list[_Pool] = []
    for chunk in range(chunks):
        rng = np.random.default_rng([seed, epoch, chunk])
        # Twice the chunk's share of maps is tried at most 32 times: their numbers never meet.
        first = (epoch * chunks + chunk) * _CHUNK * 128
        if data == "paper":
            parts.append(_paper_maps(_CHUNK, rules, seed, first, radius, rng))
        else:
            half = _CHUNK // 2
            halves = (
                _paper_maps(half, rules, seed, first, radius, rng),
                _other_maps(half, seed, first + 64 * _CHUNK, classes, rng),
            )
            for part in halves:
                part.weight[:] /= part.weight.mean()
            parts.extend(halves)
    return _Pool.joined(parts)


def map_batches(
    epoch: int,
    steps: int,
    seed: int,
    data: str = "varied",
    radius: int = 3,
    classes: int = 9,
    batch: int = 16,
    rules: str | LineRules = "paper",
    wrong_scale: float = 0.2,
    noisy: float = 0.0,
    repeats: int = 4,
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
        ``"varied"``: half of the maps so, the others by `random_rules`, weighted towards
        uniform N (see `uniform_table`).
    radius, classes
        Of the network.
    batch
        Maps in a batch.
    rules
        Rules of the maps that do not vary.
    wrong_scale
        Part of the maps that is multiplied by a wrong factor to teach the check of scale.
    noisy
        Part of the maps with noise on their GND, of 1 to 25 % of one line across a pixel; half
        of them without being told.
    repeats
        How often an epoch shows each map, each time turned or mirrored another way, with other
        noise: simulating is a large part of the work.

    Raises
    ------
    InputError
        When `data` is unknown or `repeats` is not positive.
    """
    if data not in ("paper", "varied"):
        raise InputError(f"data must be 'paper' or 'varied', not {data!r}.")
    if repeats < 1:
        raise InputError(f"repeats must be at least 1, not {repeats}.")
    pool = _pool(
        -(-steps * batch // repeats), epoch, seed, data, line_rules(rules), radius, classes
    )
    rng = np.random.default_rng([seed, epoch])
    rounds = -(-steps * batch // len(pool.gnd))
    order = np.concatenate([rng.permutation(len(pool.gnd)) for _ in range(rounds)])
    for step in range(steps):
        at = order[step * batch : (step + 1) * batch]
        gnd, others = _turned(pool, at, rng)
        level = np.where(rng.random(batch) < noisy, np.exp(rng.uniform(*_NOISE, batch)), 0)
        gnd += (level[:, None, None, None] * rng.standard_normal(gnd.shape)).astype(np.float32)
        # Nobody knows the noise of a measurement exactly, and many do not know it at all.
        told = level * np.exp(rng.normal(0, 0.2, batch)) * (rng.random(batch) < 0.5)
        scale = np.ones(batch, np.int64)
        wrong = rng.random(batch) < wrong_scale
        factor = np.exp(rng.uniform(np.log(1.4), np.log(8), batch))
        small = rng.random(batch) < 0.5
        scale[wrong] = np.where(small[wrong], 0, 2)
        factor = np.where(wrong, np.where(small, 1 / factor, factor), 1)
        gnd *= factor[:, None, None, None].astype(np.float32)
        count, total, weight = (torch.from_numpy(field) for field in others)
        yield MapBatch(
            torch.from_numpy(gnd),
            count,
            total,
            weight,
            torch.from_numpy(scale),
            torch.from_numpy((told * factor).astype(np.float32))[:, None, None],
        )


def _turned(
    pool: _Pool, at: NDArray[np.intp], rng: np.random.Generator
) -> tuple[NDArray[np.float32], list[NDArray[Any]]]:
    """Chosen maps in one of the 16 equivalent ways: GND (n, 2, 21, 21), and the other fields."""
    turns, mirrored, reversed_sense = rng.integers((4, 2, 2))
    x, y = pool.gnd[at, ..., 0], pool.gnd[at, ..., 1]
    if mirrored:
        x, y = -x[..., ::-1], y[..., ::-1]
    if reversed_sense:
        x, y = -x, -y
    x, y = (np.rot90(field, turns, (-2, -1)) for field in (x, y))
    for _ in range(turns):
        # rot90 turns columns to -rows: a vector (x, y) becomes (y, -x).
        x, y = y, -x
    others = []
    for field in (pool.count, pool.total, pool.weight):
        part = field[at]
        part = part[..., ::-1] if mirrored else part
        others.append(np.ascontiguousarray(np.rot90(part, turns, (-2, -1))))
    return np.ascontiguousarray(np.stack([x, y], axis=1)), others
