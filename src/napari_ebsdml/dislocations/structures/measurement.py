"""Maps as they are measured: sections with noise and gaps, and windows of ragged outlines.

Everything is in units of the map: lengths in steps s, rotations in b / s (what one line turns
across a pixel), densities in lines per pixel, rho s^2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.dislocations.structures.sections import BLOCK, Section
from napari_ebsdml.dislocations.structures.store import Stored

NOISE_RANGE = (3e-3, 30.0)
"""Orientation noise about each axis in b / s."""
MOST_STRIDE = 6
"""Longest step in voxels: what a point averages over is 0.08 to 0.9 steps wide."""
MOST_LINES = 1e4
"""Lines per pixel beyond which no window is made."""
MANY_LINES = 10.0
"""Lines per pixel from which a field is scaled up as the sum of many independent ones would be."""
DENSEST = 40.0
"""Lines per voxel area up to which sections are added up to denser ones."""
CROWDED = 0.3
"""Part of the maps that are such sums."""
FINEST_LATTICE = 4.0
"""Lines per pixel beyond which a Taylor lattice is not shown: its lines cancel within a pixel."""
FEWEST_PIXELS = 60


@dataclass(frozen=True)
class Errors:
    """What a measurement adds to orientations; nothing by default.

    Attributes
    ----------
    sigma
        Standard deviation about each axis in b / s.
    correlation
        Weight of each of the four neighbours in the errors, next to 1 of the pixel itself.
    drift
        Step of a random walk from row to row, as a part of `sigma`.
    cleaned
        Part of the pixels that got the orientation of their left neighbour.
    missing
        Part of the pixels that are not indexed.
    """

    sigma: float = 0.0
    correlation: float = 0.0
    drift: float = 0.0
    cleaned: float = 0.0
    missing: float = 0.0


@dataclass(frozen=True, eq=False)
class Window:
    """One measured window and what is true of it.

    Attributes
    ----------
    rotation : (rows, columns, 3) float64
        In b / s.
    inside : (rows, columns) bool
        Pixels that are indexed and in the grain.
    lines
        True density in lines per pixel, of a layer around the section.
    polarised
        True part of the lines that do not cancel over the window: size of the mean Nye tensor
        over the density.
    errors
        What was added.
    surface
        Whether the section is a free surface.
    """

    rotation: NDArray[np.float64]
    inside: NDArray[np.bool_]
    lines: float
    polarised: float
    errors: Errors
    surface: bool = False


@dataclass(frozen=True, eq=False)
class SimulatedMap:
    """A measured map of a section, that windows are cut from.

    Attributes
    ----------
    rotation : (rows, columns, 3) float64
        In b / s, with errors.
    indexed : (rows, columns) bool
    density : (rows * stride, columns * stride) array
        Lines per pixel.
    nye : (3, 3, rows, columns) array
        Nye's tensor of each pixel's surroundings over the lines of one pixel.
    errors, surface
        As in `Window`.
    """

    rotation: NDArray[np.float64]
    indexed: NDArray[np.bool_]
    density: NDArray[np.float64]
    nye: NDArray[np.float64]
    errors: Errors
    surface: bool

    def window(
        self, random: np.random.Generator, shape: tuple[int, int] | None = None, ragged: bool = True
    ) -> Window:
        """One window anywhere in the map.

        Parameters
        ----------
        random
        shape
            Rows and columns, as many as there are; None: 12 or more each.
        ragged
            Whether it may hold a part of a grain only.
        """
        whole = self.indexed.shape
        if shape is None:
            low = np.log(min(12, *whole))
            side = np.exp(random.uniform(low, np.log(np.array(whole) + 0.99))).astype(int)
            shape = (int(side[0]), int(side[1]))
        rows, columns = (min(a, b) for a, b in zip(shape, whole, strict=True))
        r, c = (
            int(random.integers(0, b - a + 1)) for a, b in zip((rows, columns), whole, strict=True)
        )
        part = (slice(r, r + rows), slice(c, c + columns))
        inside = self.indexed[part]
        if ragged:
            inside = inside & random_outline(random, (rows, columns))
        if inside.sum() < FEWEST_PIXELS:
            inside = np.ones((rows, columns), dtype=bool)
        lines = float(self.density[part][inside].mean())
        mean = self.nye[:, :, part[0], part[1]].mean(axis=(2, 3))
        polarised = min(float(np.linalg.norm(mean)) / max(lines, 1e-9), 1.0)
        return Window(self.rotation[part], inside, lines, polarised, self.errors, self.surface)


def random_errors(random: np.random.Generator, sigma: float | None = None) -> Errors:
    """Errors of any kind; six in ten are white noise and nothing else."""
    if sigma is None:
        sigma = float(np.exp(random.uniform(*np.log(NOISE_RANGE))))
    if random.random() < 0.6:
        return Errors(sigma)
    chance = random.random(4) < (0.4, 0.2, 0.3, 0.5)
    size = random.random(4) * (0.5, 0.3, 0.15, 0.15)
    return Errors(sigma, *(np.where(chance, size, 0.0).tolist()))


def add_errors(
    rotation: NDArray[np.float64], errors: Errors, random: np.random.Generator
) -> NDArray[np.float64]:
    """A map of rotations (rows, columns, 3) with errors; `missing` is left to the mask."""
    rows, columns, _ = rotation.shape
    noise = random.standard_normal((rows + 2, columns + 2, 3))
    middle = noise[1:-1, 1:-1]
    if errors.correlation:
        ring = noise[:-2, 1:-1] + noise[2:, 1:-1] + noise[1:-1, :-2] + noise[1:-1, 2:]
        middle = middle + errors.correlation * ring
        middle /= np.sqrt(1 + 4 * errors.correlation**2)
    if errors.drift:
        middle = middle + errors.drift * random.standard_normal((rows, 1, 3)).cumsum(axis=0)
    out = rotation + errors.sigma * middle
    if errors.cleaned:
        copied = random.random((rows, columns)) < errors.cleaned
        copied[:, 0] = False
        row, column = np.nonzero(copied)
        for r, c in zip(row, column, strict=True):
            out[r, c] = out[r, c - 1]
    return out


def random_outline(random: np.random.Generator, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """A grain's outline in a window, half of the time all of it."""
    inside = np.ones(shape, dtype=bool)
    if random.random() < 0.5:
        y, x = np.mgrid[: shape[0], : shape[1]]
        for _ in range(int(random.integers(1, 5))):
            angle = random.uniform(0, 2 * np.pi)
            far = random.uniform(0.15, 0.55) * min(shape)
            inside &= (x - shape[1] / 2) * np.cos(angle) + (y - shape[0] / 2) * np.sin(angle) < far
    return inside


def random_map(
    stored: Stored,
    random: np.random.Generator,
    errors: Errors | None = None,
    stride: int | None = None,
    surface: bool | None = None,
    scale_up: bool = True,
    smallest: int = 16,
) -> SimulatedMap:
    """A map of a structure at a random step, with errors.

    Parameters
    ----------
    stored
    random
    errors
        None: `random_errors`.
    stride
        Step in voxels; None: any that leaves `smallest` pixels.
    surface
        Whether it is of a free surface; None: either.
    scale_up
        Whether densities beyond those of the sections are made: of many independent structures
        the fields add up as their square root does.
    smallest
        Fewest pixels along each side.
    """
    if surface is None:
        surface = bool(random.random() < 0.5)
    axis = stored.sections[int(surface)]
    size = axis[0].density.shape[0]
    lattice = "taylor" in stored.kinds
    if stride is None:
        longest = min(MOST_STRIDE, max(1, size // smallest))
        if lattice:
            finest = np.sqrt(FINEST_LATTICE / max(float(axis[0].density.mean()), 1e-9))
            longest = int(np.clip(finest, 1, longest))
        # In single voxels points overlap more than those of a real map do.
        stride = int(random.integers(1, longest + 1))
        if stride == 1 and random.random() < 0.5:
            stride = int(random.integers(1, longest + 1))
    n = size // stride
    rotation = np.zeros((n, n, 3))
    density = np.zeros((n, n))
    side = size // BLOCK
    nye = np.zeros((3, 3, side, side))
    place = stride * np.arange(n)
    for sense, which in _summands(axis, lattice, random):
        part = axis[which]
        r, c = (int(v) * BLOCK for v in random.integers(0, side, 2))
        bent = place[None, :, None] * part.slope[:, 0] + place[:, None, None] * part.slope[:, 1]
        turn = part.rotation[np.ix_((place + r) % size, (place + c) % size)]
        rotation += sense * (turn + bent)
        shifted = np.roll(part.density, (-r, -c), axis=(0, 1))[: n * stride, : n * stride]
        density += shifted.reshape(n, stride, n, stride).mean(axis=(1, 3))
        nye += sense * np.roll(part.nye, (-r // BLOCK, -c // BLOCK), axis=(2, 3))
    rotation *= stride
    density *= stride**2
    block = np.minimum(place // BLOCK, side - 1)
    nye = stride**2 * nye[:, :, block][..., block]
    lines = float(density.mean())
    if scale_up and not lattice and MOST_LINES > lines > MANY_LINES and random.random() < 0.5:
        times = float(np.exp(random.uniform(0, np.log(MOST_LINES / lines))))
        rotation *= np.sqrt(times)
        density *= times
        nye *= np.sqrt(times)
    if errors is None:
        errors = random_errors(random)
    indexed = random.random((n, n)) >= errors.missing
    noisy = add_errors(rotation, errors, random)
    return SimulatedMap(noisy, indexed, density, nye, errors, surface)


def _summands(
    axis: Sequence[Section], lattice: bool, random: np.random.Generator
) -> list[tuple[float, int]]:
    """Sense of the Burgers vectors and number of the sections whose fields are added up.

    Few structures are as dense as what a point of a fine map may average over, as denser ones
    take longer to simulate. Fields add up, and a periodic section that is moved about is another.
    """
    if lattice:  # would be a finer one, of lines that cancel
        return [(1.0, int(random.integers(len(axis))))]
    most = DENSEST / max(float(np.mean([part.density.mean() for part in axis])), DENSEST / 200)
    if most <= len(axis) or random.random() >= CROWDED:
        number = int(random.integers(1, len(axis) + 1))
        return [(1.0, int(which)) for which in random.permutation(len(axis))[:number]]
    number = int(np.exp(random.uniform(np.log(len(axis)), np.log(most))))
    senses = np.ones(number) if random.random() < 0.5 else random.choice((-1.0, 1.0), number)
    return list(zip(senses.tolist(), random.integers(len(axis), size=number).tolist(), strict=True))
