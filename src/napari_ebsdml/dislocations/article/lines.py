"""Simulated dislocation lines on a slip plane: GND vector, total density, number of lines.

Densities are in units of one line straight across a pixel, 1 / (s h) for pixel side s and
plane thickness h (`unit_density`), so that one simulation serves every pixel size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.dislocations.article import _line_kernels as kernels
from napari_ebsdml.dislocations.article.lines_presets import LineRules, line_rules
from napari_ebsdml.errors import InputError


@dataclass(frozen=True, eq=False)
class SimulatedMaps:
    """Maps of random dislocation lines.

    Attributes
    ----------
    gnd : (maps, pixels, pixels, 2) float32
        GND vector of each pixel: x (along columns) and y (along rows), the sum of the lines'
        net vectors, plus noise where the rules ask for some.
    total : (maps, pixels, pixels) float32
        Total dislocation density, the sum of the lines' lengths.
    count : (maps, pixels, pixels) int32
        Number of distinct lines in the pixel.
    """

    gnd: NDArray[np.float32]
    total: NDArray[np.float32]
    count: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Crops:
    """Square pieces of GND maps with the density and number of lines at their centre.

    Attributes
    ----------
    gnd : (n, side, side, 2) float32
    total : (n,) float32
    count : (n,) int32
    """

    gnd: NDArray[np.float32]
    total: NDArray[np.float32]
    count: NDArray[np.int32]


def unit_density(step: float, plane_thickness: float) -> float:
    """Density of one line straight across a pixel, 1 / (s h), in 1/m^2.

    Parameters
    ----------
    step
        Pixel side s in um.
    plane_thickness
        Thickness h in um of the layer whose lines are seen: the article takes the Burgers
        vector, 3e-4 um.

    Raises
    ------
    InputError
        When a length is not positive and finite.
    """
    for name, value in (("step", step), ("plane_thickness", plane_thickness)):
        if not (np.isfinite(value) and value > 0):
            raise InputError(f"{name} must be a positive length in um, not {value}.")
    return 1e12 / (step * plane_thickness)


def simulate_maps(
    n: int, rules: str | LineRules = "exact", seed: int = 0, first: int = 0
) -> SimulatedMaps:
    """Simulate maps of random dislocation lines.

    Parameters
    ----------
    n
        Number of maps.
    rules
        A preset's name or a `LineRules`.
    seed
        Same seed, same maps, on every machine and whatever the number of maps in a call.
    first
        Index of the first map: maps `first` .. `first + n - 1` of this seed are made.

    Returns
    -------
    SimulatedMaps

    Raises
    ------
    InputError
        When the rules are unknown or a number is negative.
    """
    rules = line_rules(rules)
    if n < 0 or seed < 0 or first < 0:
        raise InputError(f"n, seed and first must not be negative, not {n}, {seed}, {first}.")
    size = rules.pixels
    gnd = np.empty((n, size, size, 2), np.float32)
    total = np.empty((n, size, size), np.float32)
    count = np.empty((n, size, size), np.int32)
    kernels.fill_maps(
        seed, first, *rules.lines, rules.lattice == "edges", rules.nodes, *rules.walk_length,
        rules.smoothing, *rules.samples, rules.binning == "exact", rules.shift,
        rules.length == "arc", rules.shortest, rules.noise, gnd, total, count,
    )  # fmt: skip
    return SimulatedMaps(gnd, total, count)


def draw_lines(
    rules: str | LineRules = "exact", seed: int = 0, index: int = 0
) -> list[NDArray[np.float64]]:
    """Lines of one map as points: (points, 2) arrays of x, y in pixel sides.

    They are the lines behind map `index` of `simulate_maps` with the same rules and seed: for
    plots, and for tests that sum the density up from the lines themselves.
    """
    rules = line_rules(rules)
    state = kernels.start_state(seed, index)
    long, most = rules.walk_length[1], max(rules.samples[1], rules.walk_length[1])
    visited = np.zeros(rules.nodes**2, np.bool_)
    wx, wy, x, y = (np.empty(size) for size in (long, long, most, most))
    few, many = rules.lines
    lines = []
    for _ in range(few + kernels.below(state, many - few + 1)):
        m = kernels.draw_line(
            state, rules.lattice == "edges", rules.nodes, *rules.walk_length, rules.smoothing,
            *rules.samples, visited, wx, wy, x, y,
        )  # fmt: skip
        lines.append(np.stack([x[:m], y[:m]], axis=1) * rules.pixels)
    return lines


def stream_crops(
    rules: str | LineRules = "paper",
    seed: int = 0,
    side: int = 7,
    classes: int = 5,
    scrambled: bool = False,
    maps_per_batch: int = 512,
) -> Iterator[Crops]:
    """Endless stream of crops, balanced over N = 1..`classes` as in the article.

    Only maps on which every N occurs are used, and 80 to 100 % of the rarest N's crops are
    taken from each N. Crops keep their map's order: shuffle before training.

    Parameters
    ----------
    rules, seed
        See `simulate_maps`.
    side
        Odd side of a crop in pixels.
    classes
        Largest N.
    scrambled
        Mix the densities among the crops of one map and one N. This is wrong on purpose; it
        measures what such a fault in training data does.
    maps_per_batch
        Maps simulated for one item of the stream.

    Raises
    ------
    InputError
        When the crop does not fit on the map.
    """
    rules = line_rules(rules)
    if side % 2 == 0 or not 1 <= side <= rules.pixels:
        raise InputError(f"side must be odd and at most {rules.pixels}, not {side}.")
    if classes < 1 or maps_per_batch < 1:
        raise InputError("classes and maps_per_batch must be at least 1.")
    first = 0
    room = maps_per_batch * rules.pixels**2
    while True:
        maps = simulate_maps(maps_per_batch, rules, seed, first)
        gnd = np.empty((min(room, 200 * maps_per_batch), side, side, 2), np.float32)
        total = np.empty(len(gnd), np.float32)
        count = np.empty(len(gnd), np.int32)
        n = kernels.pick_crops(
            seed, first, maps.gnd, maps.total, maps.count, side // 2, classes, scrambled,
            gnd, total, count,
        )  # fmt: skip
        first += maps_per_batch
        yield Crops(gnd[:n].copy(), total[:n].copy(), count[:n].copy())


def simulate_crops(
    n: int, rules: str | LineRules = "paper", seed: int = 0, **options: Any
) -> Crops:
    """First `n` balanced crops of `stream_crops`, in random order.

    Raises
    ------
    InputError
        See `stream_crops`; also when 100 batches of maps in a row give no crop.
    """
    parts: list[Crops] = []
    have = empty = 0
    for part in stream_crops(rules, seed, **options):
        parts.append(part)
        have += len(part.total)
        empty = 0 if len(part.total) else empty + 1
        if have >= n:
            break
        if empty == 100:
            raise InputError("These line rules hardly ever give maps with every number of lines.")
    gnd, total, count = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("gnd", "total", "count")
    )
    # A cut before the shuffle would favour small N of the last map; the effect is one map's.
    order = np.random.default_rng([seed, 1]).permutation(len(total))[:n]
    return Crops(gnd[order], total[order], count[order])
