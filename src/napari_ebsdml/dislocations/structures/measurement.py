"""Maps as they are measured: windows of sections with noise, gaps and ragged outlines.

Everything is in units of the map: lengths in steps s, rotations in b / s (what one line turns
across a pixel), densities in lines per pixel, rho s^2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.dislocations.structures.sections import BLOCK
from napari_ebsdml.dislocations.structures.store import Stored

NOISE_RANGE = (3e-3, 30.0)
"""Orientation noise about each axis in b / s."""
MOST_LINES = 3e4
"""Lines per pixel beyond which no window is made."""
MANY_LINES = 10.0
"""Lines per pixel from which a field is scaled up as the sum of many independent ones would be."""
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
    """

    rotation: NDArray[np.float64]
    inside: NDArray[np.bool_]
    lines: float
    polarised: float
    errors: Errors


def random_errors(random: np.random.Generator, sigma: float | None = None) -> Errors:
    """Errors of any kind; half of them white noise and nothing else."""
    if sigma is None:
        sigma = float(np.exp(random.uniform(*np.log(NOISE_RANGE))))
    if random.random() < 0.5:
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


def random_mask(
    random: np.random.Generator, shape: tuple[int, int], missing: float = 0.0
) -> NDArray[np.bool_]:
    """A grain's outline in a window, half of the time all of it, less pixels not indexed."""
    inside = np.ones(shape, dtype=bool)
    if random.random() < 0.5:
        y, x = np.mgrid[: shape[0], : shape[1]]
        for _ in range(int(random.integers(1, 5))):
            angle = random.uniform(0, 2 * np.pi)
            far = random.uniform(0.15, 0.55) * min(shape)
            inside &= (x - shape[1] / 2) * np.cos(angle) + (y - shape[0] / 2) * np.sin(angle) < far
    inside &= random.random(shape) >= missing
    return inside


def random_window(
    stored: Stored,
    random: np.random.Generator,
    errors: Errors | None = None,
    shape: tuple[int, int] | None = None,
    ragged: bool = True,
    stride: int | None = None,
    scale_up: bool = True,
) -> Window:
    """One window of a structure, at a random step, with errors.

    Parameters
    ----------
    stored
    random
    errors
        None: `random_errors`.
    shape
        Rows and columns; None: 12 or more each, as many as there are.
    ragged
        Whether the window may hold a part of a grain only.
    stride
        Step in voxels; None: any that leaves 16 pixels.
    scale_up
        Whether densities beyond those of the sections are made: of many independent structures
        the fields add up as their square root does.
    """
    axis = stored.sections[int(random.integers(len(stored.sections)))]
    size = axis[0].density.shape[0]
    lattice = "taylor" in stored.kinds
    if stride is None:
        smallest = 16 if shape is None else max(shape)
        longest = min(6, max(1, size // smallest))
        if lattice:
            finest = np.sqrt(FINEST_LATTICE / max(float(axis[0].density.mean()), 1e-9))
            longest = int(np.clip(finest, 1, longest))
        stride = int(random.integers(1, longest + 1))
    most = size // stride
    if shape is None:
        side = np.exp(random.uniform(np.log(12), np.log(most + 0.99), 2)).astype(int)
        shape = (int(side[0]), int(side[1]))
    rows, columns = (min(side, most) for side in shape)
    rotation = np.zeros((rows, columns, 3))
    density = np.zeros((rows * stride, columns * stride))
    side = size // BLOCK
    nye = np.zeros((3, 3, side, side))
    y, x = (stride * np.arange(n) for n in (rows, columns))
    parts = 1 if lattice else int(random.integers(1, len(axis) + 1))
    for which in random.permutation(len(axis))[:parts]:
        part = axis[which]
        r, c = (int(v) * BLOCK for v in random.integers(0, side, 2))
        at_y, at_x = (y + r) % size, (x + c) % size
        rotation += part.rotation[np.ix_(at_y, at_x)]
        rotation += x[None, :, None] * part.slope[:, 0] + y[:, None, None] * part.slope[:, 1]
        density += part.density[
            np.ix_((r + np.arange(rows * stride)) % size, (c + np.arange(columns * stride)) % size)
        ]
        nye += np.roll(part.nye, (-r // BLOCK, -c // BLOCK), axis=(2, 3))
    rotation *= stride
    if errors is None:
        errors = random_errors(random)
    inside = (
        random_mask(random, (rows, columns), errors.missing)
        if ragged
        else random.random((rows, columns)) >= errors.missing
    )
    if inside.sum() < FEWEST_PIXELS:
        inside = np.ones((rows, columns), dtype=bool)
    true = np.repeat(np.repeat(inside, stride, axis=0), stride, axis=1)
    mean = float(density[true].mean())
    blocks = nye[..., : -(-rows * stride // BLOCK), : -(-columns * stride // BLOCK)]
    polarised = float(np.linalg.norm(blocks.mean(axis=(2, 3)))) / max(mean, 1e-9)
    lines = mean * stride**2
    if scale_up and not lattice and MOST_LINES > lines > MANY_LINES and random.random() < 0.5:
        times = float(np.exp(random.uniform(0, np.log(MOST_LINES / lines))))
        rotation *= np.sqrt(times)
        lines *= times
        polarised /= np.sqrt(times)
    noisy = add_errors(rotation, errors, random)
    return Window(noisy, inside, lines, min(polarised, 1.0), errors)
