"""Structures of straight lines: Taylor lattices, polarised slip, low-angle boundaries."""

from __future__ import annotations

import itertools
from math import gcd

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.dislocations.structures.lines import Lines, straight
from napari_ebsdml.dislocations.structures.slip import Slip

PERIODS = np.array(
    [
        p
        for p in itertools.product(range(-2, 3), repeat=3)
        if any(p) and gcd(gcd(abs(p[0]), abs(p[1])), abs(p[2])) == 1
    ]
)
"""Directions, in edges of the box, in which an infinite line meets itself soon."""
FINEST_LATTICE = 0.5
"""Largest density of a Taylor lattice in lines per voxel area."""
_UNIT = PERIODS / np.linalg.norm(PERIODS, axis=1, keepdims=True)


def nearest_period(direction: NDArray[np.float64]) -> NDArray[np.int64]:
    """The period of the box closest to a direction (within 19 degrees)."""
    return np.asarray(PERIODS[np.argmax(_UNIT @ direction)])


def _sets(random: np.random.Generator, slip: Slip, most: int = 3) -> list[tuple[int, float]]:
    """A few slip systems, and the part of the density that each has."""
    which = np.unique(slip.choose(random, int(random.integers(1, most + 1))))
    return list(zip(which.tolist(), random.dirichlet(np.full(len(which), 2.0)), strict=True))


def _on_face(
    random: np.random.Generator, period: NDArray[np.int64], number: int, size: int, jitter: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Points on a face that the lines cross, on a jittered lattice, and their checkerboard."""
    normal = int(np.argmax(np.abs(period)))
    side = max(1, round(np.sqrt(number)))
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1).reshape(-1, 2)
    flat = (grid + 0.5 + jitter * random.uniform(-0.5, 0.5, grid.shape)) * size / side
    points = np.zeros((len(grid), 3))
    points[:, [a for a in range(3) if a != normal]] = flat
    points += random.uniform(0, size, 3)
    return points, grid.sum(axis=1) % 2


def taylor_lattice(random: np.random.Generator, slip: Slip, density: float, size: int) -> Lines:
    """Parallel lines of alternating sign on a more or less regular lattice.

    Their spacing is at least about that of the voxels: of a finer lattice nothing is seen.
    """
    parts = []
    jitter = random.uniform(0.2, 1)
    density = min(density, FINEST_LATTICE)
    for system, share in _sets(random, slip):
        period = nearest_period(slip.directions(np.array([system]), random)[0])
        number = max(1, round(share * density * size**2 / float(np.linalg.norm(period))))
        points, odd = _on_face(random, period, number, size, jitter)
        sign = np.where(odd == 1, 1.0, -1.0)[:, None]
        periods = np.repeat(period[None], len(points), axis=0)
        parts.append(straight(points, periods, sign * slip.burgers[system], size))
    return Lines.join(parts)


def polarised_slip(random: np.random.Generator, slip: Slip, density: float, size: int) -> Lines:
    """Lines with more of one sign than of the other: uniform or wavy bending, 0 to 100 % GND."""
    parts = []
    excess = 1.0 if random.random() < 0.3 else random.random()
    wavy = random.random() < 0.4
    wave = random.integers(-2, 3, 3)
    for system, share in _sets(random, slip):
        period = nearest_period(slip.directions(np.array([system]), random)[0])
        number = max(1, round(share * density * size**2 / float(np.linalg.norm(period))))
        points = random.uniform(0, size, (number, 3))
        # Along the line the wave must not change: its part across the line counts.
        across = np.cross(period, wave)
        phase = 2 * np.pi * (points @ across) / size + random.uniform(0, 2 * np.pi)
        local = excess * (np.sign(np.sin(phase)) if wavy and across.any() else 1.0)
        sign = np.where(random.random(number) < (1 + local) / 2, 1.0, -1.0)[:, None]
        periods = np.repeat(period[None], number, axis=0)
        parts.append(straight(points, periods, sign * slip.burgers[system], size))
    return Lines.join(parts)


def low_angle_boundaries(
    random: np.random.Generator, slip: Slip, density: float, size: int
) -> Lines:
    """Flat tilt and twist boundaries of more or less evenly spaced lines, free of far stress.

    A tilt boundary has edge lines with Burgers vectors along its normal, a twist boundary two
    perpendicular sets of screws. Lines must close in the box, so these directions come from the
    box; the length of their Burgers vectors is that of `slip`.
    """
    parts = []
    walls = int(random.integers(1, 7))
    balanced = random.random() < 0.6
    jitter = random.uniform(0, 0.6)
    for wall in range(walls):
        length = float(np.linalg.norm(slip.burgers[slip.choose(random, 1)[0]]))
        sign = (-1.0) ** wall if balanced else random.integers(0, 2) * 2.0 - 1.0
        first = PERIODS[random.integers(len(PERIODS))]
        origin = random.uniform(0, size, 3)
        if random.random() < 0.6:
            across = [p for p in PERIODS if np.cross(first, p).any()]
            second = across[random.integers(len(across))]
            burgers = np.cross(first, second) / np.linalg.norm(np.cross(first, second))
            sets = [(first, second, burgers)]
        else:
            across = [p for p in PERIODS if not p @ first]
            second = across[random.integers(len(across))]
            sets = [(a, b, a / np.linalg.norm(a)) for a, b in ((first, second), (second, first))]
        for line, other, burgers in sets:
            # Lines of a set are apart by the other vector's part across them, over their number.
            share = density * size**2 / walls / len(sets)
            number = max(1, round(share / float(np.linalg.norm(line))))
            place = np.arange(number) + jitter * random.uniform(-0.5, 0.5, number)
            points = origin + place[:, None] / number * other * size
            each = np.repeat(sign * length * burgers[None], number, axis=0)
            parts.append(straight(points, np.repeat(line[None], number, axis=0), each, size))
    return Lines.join(parts)
