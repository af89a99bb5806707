"""Structures between the named classes: how lines cluster, pair and take their sign is drawn.

Classes differ in the size of loops, in where lines are, and in which of them cancel. Here each of
these is a continuous parameter, so that what lies between two classes is learned from, too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from napari_ebsdml.dislocations.structures.lines import Lines, closed, straight
from napari_ebsdml.dislocations.structures.loops import SMALLEST
from napari_ebsdml.dislocations.structures.slip import Slip
from napari_ebsdml.dislocations.structures.straight_lines import nearest_period

CELLS = 32
"""Voxels along each edge of the coarse fields that places and signs are drawn from."""

FINEST = 0.4
"""Least radius of a loop, or distance in a dipole, over the mean spacing of lines."""


def _least(random: np.random.Generator, density: float, size: int) -> float:
    """Natural logarithm of a least radius in voxels: half of the structures have small loops."""
    part = float(np.exp(random.uniform(np.log(FINEST), 0))) if random.random() < 0.5 else 1.0
    return float(np.log(min(max(SMALLEST / 2, part / np.sqrt(density)), size / 4)))


def varied(random: np.random.Generator, slip: Slip, density: float, size: int) -> Lines:
    """Loops and straight lines that cluster, pair and take their signs in drawn ways."""
    share = float(random.choice([0.0, 1.0, random.random()], p=[0.3, 0.35, 0.35]))
    crowd = _crowding(random, size)
    sign = _sign_field(random)
    parts = []
    if share < 1:
        parts.append(_loops(random, slip, (1 - share) * density, size, crowd, sign))
    if share > 0:
        parts.append(_straight(random, slip, share * density, size, crowd, sign))
    return Lines.join(parts)


def _gaussian_field(random: np.random.Generator) -> NDArray[np.float64]:
    """Periodic normal random field of unit variance, of any roughness and scale."""
    white = fft.rfftn(random.standard_normal((CELLS,) * 3))
    k = fft.fftfreq(CELLS, 1 / CELLS)
    wave = np.sqrt(k[:, None, None] ** 2 + k[:, None] ** 2 + k[: CELLS // 2 + 1] ** 2)
    start = float(np.exp(random.uniform(0, np.log(6))))
    fall = random.uniform(1.5, 5)
    field = fft.irfftn(white * (1 + (wave / start) ** 2) ** (-fall / 2), s=(CELLS,) * 3)
    field -= field.mean()
    return np.asarray(field / field.std())


def _crowding(random: np.random.Generator, size: int) -> NDArray[np.float64]:
    """How likely lines are at the places of a coarse grid; the most likely place has 1."""
    kind = random.choice(4, p=[0.3, 0.3, 0.25, 0.15])
    if kind == 0:
        return np.ones((CELLS,) * 3)
    if kind == 1:
        field = np.exp(random.uniform(0.3, 2.0) * _gaussian_field(random))
    else:
        axes = np.stack(np.meshgrid(*[np.arange(CELLS) / CELLS] * 3, indexing="ij"), -1)
        if kind == 2:  # walls between cells
            seeds = random.random((int(random.integers(2, 30)), 3))
            near, which = cKDTree(seeds, boxsize=1).query(axes.reshape(-1, 3), k=2)
            apart = seeds[which[:, 0]] - seeds[which[:, 1]]
            apart -= np.round(apart)
            gap = np.square(near) @ [-0.5, 0.5] / (np.linalg.norm(apart, axis=1) + 1e-9)
            distance = gap.reshape((CELLS,) * 3)
            width = random.uniform(0.03, 0.15) / len(seeds) ** (1 / 3) * 2
        else:  # bands
            wave = random.integers(-3, 4, 3)
            distance = np.abs((axes @ wave + random.random()) % 1 - 0.5)
            width = random.uniform(0.03, 0.3)
        field = np.exp(-((distance / width) ** 2) / 2) + random.uniform(0, 0.2)
    return np.asarray(np.maximum(field / field.max(), 1e-3))


def _sign_field(random: np.random.Generator) -> NDArray[np.float64]:
    """Expected sign of lines at the places of a coarse grid: 0 where they are mixed."""
    if random.random() < 0.5:
        return np.zeros((CELLS,) * 3)
    field = np.tanh(random.uniform(0.5, 4) * _gaussian_field(random))
    return np.asarray(random.uniform(0, 1) * field)


def _at(field: NDArray[np.float64], points: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    where = points.T * (CELLS / size)
    return np.asarray(map_coordinates(field, where, order=1, mode="grid-wrap"))


def _places(
    random: np.random.Generator, number: int, size: int, crowd: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Points drawn with the probability that `crowd` gives."""
    chance = np.cumsum(crowd.ravel())
    cell = np.searchsorted(chance, random.random(number) * chance[-1], side="right")
    corner = np.stack(np.unravel_index(np.minimum(cell, crowd.size - 1), crowd.shape), -1)
    return np.asarray((corner + random.random((number, 3)) - 0.5) * (size / CELLS))


def _loops(
    random: np.random.Generator,
    slip: Slip,
    density: float,
    size: int,
    crowd: NDArray[np.float64],
    sign: NDArray[np.float64],
) -> Lines:
    """Wavy loops of a range of sizes, single or as dipoles a distance apart."""
    low = _least(random, density, size)
    first, last = np.sort(random.uniform(low, np.log(0.6 * size), 2)).tolist()
    if random.random() < 0.4:  # as in a net: hardly any line goes farther than a few spacings
        first, last = low, low + random.uniform(0, 1.2)
    sizes = int(random.integers(1, 6))
    radii = np.exp(random.uniform(first, last, sizes))
    paired = random.random() if random.random() < 0.35 else 0.0
    gap = float(np.exp(random.uniform(low, np.log(size / 4))))
    rough = random.uniform(0, 0.35) * (random.random() < 0.6)
    out = random.uniform(0, 0.3) * (random.random() < 0.5)
    parts = []
    for radius, share in zip(radii, random.dirichlet(np.full(sizes, 1.5)), strict=True):
        wanted = share * density * size**3 / (2 * np.pi * radius * (1 + paired))
        number = max(1, int(wanted + random.random()))
        which = slip.choose(random, number)
        along, across = slip.planes(which)
        corners = int(np.clip(2 * np.pi * radius / 1.5, 8, 24))
        angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
        order = np.arange(2, 5)[:, None]
        waves = np.concatenate((np.cos(order * angle), np.sin(order * angle)))
        r = radius * (1 + rough * random.standard_normal((number, 6)) / 2 @ waves)
        z = radius * out * random.standard_normal((number, 6)) / 2 @ waves
        points = (
            (r * np.cos(angle))[..., None] * along[:, None]
            + (r * np.sin(angle))[..., None] * across[:, None]
            + z[..., None] * slip.normals[which][:, None]
        )
        centres = _places(random, number, size, crowd)
        positive = random.random(number) < (1 + _at(sign, centres, size)) / 2
        points = points + centres[:, None]
        burgers = slip.burgers[which] * np.where(positive, 1.0, -1.0)[:, None]
        parts.append(closed(points, burgers, size))
        twin = random.random(number) < paired
        if twin.any():
            away = slip.normals[which] + random.uniform(-1, 1, (number, 1)) * along
            parts.append(closed((points + gap * away[:, None])[twin], -burgers[twin], size))
    return Lines.join(parts)


def _straight(
    random: np.random.Generator,
    slip: Slip,
    density: float,
    size: int,
    crowd: NDArray[np.float64],
    sign: NDArray[np.float64],
) -> Lines:
    """Straight lines, single or as dipoles a distance apart."""
    low = _least(random, density, size)
    paired = random.random() if random.random() < 0.5 else 0.0
    excess = random.uniform(-1, 1) if random.random() < 0.3 else 0.0
    systems = int(np.exp(random.uniform(0, np.log(13))))
    parts = []
    for share in random.dirichlet(np.full(systems, 2.0)):
        which = slip.choose(random, 1)
        period = nearest_period(slip.directions(which, random)[0])
        length = float(np.linalg.norm(period))
        number = max(1, int(share * density * size**2 / length / (1 + paired) + random.random()))
        points = _places(random, number, size, crowd)
        local = np.clip(_at(sign, points, size) + excess, -1, 1)
        positive = random.random(number) < (1 + local) / 2
        burgers = slip.burgers[which] * np.where(positive, 1.0, -1.0)[:, None]
        periods = np.repeat(period[None], number, axis=0)
        parts.append(straight(points, periods, burgers, size))
        twin = random.random(number) < paired
        if twin.any():
            gap = np.exp(random.uniform(low, np.log(size / 4)))
            away = random.standard_normal((number, 3))
            away *= gap / np.linalg.norm(away, axis=1, keepdims=True)
            parts.append(straight((points + away)[twin], periods[twin], -burgers[twin], size))
    return Lines.join(parts)
