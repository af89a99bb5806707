"""Structures of closed loops: single ones, pile-ups, tangles, and dipolar walls of cells."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_ebsdml.dislocations.structures.lines import Lines, closed
from napari_ebsdml.dislocations.structures.slip import Slip

SMALLEST = 1.5
"""Radius in voxels of the smallest loop: smaller ones leave no trace on the grid."""
SPACING = 1.0
"""Least radius of a loop over the mean spacing of lines, 1 / sqrt(density).

Lines of smaller ones cancel before the next line comes: no map shows them.
"""


def smallest_radius(density: float, size: int) -> float:
    """Radius in voxels of the smallest loop of a structure of this density."""
    return min(max(SMALLEST, SPACING / np.sqrt(density)), size / 4)


def _signs(random: np.random.Generator, number: int) -> NDArray[np.float64]:
    return np.asarray(random.integers(0, 2, number) * 2.0 - 1.0)


def _number(length: float, perimeter: float, random: np.random.Generator) -> int:
    return max(1, int(length / perimeter + random.random()))


def _ellipses(
    random: np.random.Generator,
    slip: Slip,
    centres: NDArray[np.float64],
    radius: float,
    size: int,
) -> Lines:
    """Elliptical glide loops of one size and either sign around the given centres."""
    number = len(centres)
    which = slip.choose(random, number)
    along, across = slip.planes(which)
    corners = int(np.clip(2 * np.pi * radius / 1.5, 6, 24))
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    stretch = np.exp(random.uniform(-0.4, 0.4, (number, 1)))
    u, v = radius * stretch * np.cos(angle), radius / stretch * np.sin(angle)
    turn = random.uniform(0, np.pi, (number, 1))
    u, v = np.cos(turn) * u - np.sin(turn) * v, np.sin(turn) * u + np.cos(turn) * v
    points = centres[:, None] + u[..., None] * along[:, None] + v[..., None] * across[:, None]
    return closed(points, slip.burgers[which] * _signs(random, number)[:, None], size)


def glide_loops(random: np.random.Generator, slip: Slip, density: float, size: int) -> Lines:
    """Glide loops of three sizes anywhere in the box."""
    radii = np.exp(random.uniform(np.log(smallest_radius(density, size)), np.log(size / 2), 3))
    parts = []
    for radius, share in zip(radii, random.dirichlet(np.ones(3)), strict=True):
        number = _number(share * density * size**3, 2 * np.pi * radius, random)
        centres = random.uniform(0, size, (number, 3))
        parts.append(_ellipses(random, slip, centres, float(radius), size))
    return Lines.join(parts)


def pile_ups(random: np.random.Generator, slip: Slip, density: float, size: int) -> Lines:
    """Groups of concentric loops of one sign on one plane, held up at their outer edge.

    Radii are those of the zeros of a Chebyshev polynomial, as in a double-ended pile-up
    (Eshelby, Frank and Nabarro, 1951, doi:10.1080/14786445108561060).
    """
    parts = []
    left = density * size**3
    while left > 0:
        outer = float(np.exp(random.uniform(np.log(4), np.log(size / 2))))
        number = int(random.integers(3, 13))
        radii = outer * np.cos(np.pi * (2 * np.arange(number) + 1) / (4 * number))
        groups = max(1, int(min(left, 0.2 * density * size**3) / (2 * np.pi * radii.sum())))
        which = slip.choose(random, groups)
        along, across = slip.planes(which)
        angle = np.linspace(0, 2 * np.pi, 16, endpoint=False)
        ring = np.cos(angle)[:, None] * along[:, None] + np.sin(angle)[:, None] * across[:, None]
        centres = random.uniform(0, size, (groups, 3))
        points = centres[:, None, None] + radii[:, None, None] * ring[:, None]
        burgers = slip.burgers[which] * _signs(random, groups)[:, None]
        parts.append(closed(points.reshape(-1, 16, 3), np.repeat(burgers, number, axis=0), size))
        left -= parts[-1].density * size**3
    return Lines.join(parts)


def tangles(random: np.random.Generator, slip: Slip, density: float, size: int) -> Lines:
    """Long wavy closed lines in their slip planes, with jogs out of them."""
    parts = []
    left = density * size**3
    while left > 0:
        radius = float(np.exp(random.uniform(np.log(4), np.log(size / 2))))
        number = max(1, int(min(left, 0.2 * density * size**3) / (9 * radius)))
        which = slip.choose(random, number)
        along, across = slip.planes(which)
        frame = np.stack((along, across, slip.normals[which]), axis=1)
        corners = int(np.clip(4 * radius, 24, 72))
        angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
        order = np.arange(1, 7)[:, None]
        waves = np.concatenate((np.cos(order * angle), np.sin(order * angle)))
        falloff = np.tile(order[:, 0] ** -random.uniform(1.0, 2.0), 2)
        shape = random.standard_normal((number, 3, 12)) * falloff
        shape[:, 2] *= random.uniform(0, 0.4)
        points = np.einsum("nfw,wc,nfi->nci", radius * shape, waves, frame, optimize=True)
        points += random.uniform(0, size, (number, 1, 3))
        parts.append(closed(points, slip.burgers[which] * _signs(random, number)[:, None], size))
        left -= parts[-1].density * size**3
    return Lines.join(parts)


def dipolar_walls(random: np.random.Generator, slip: Slip, density: float, size: int) -> Lines:
    """Cells whose walls are full of small loops, with few in between."""
    seeds = random.uniform(0, size, (int(random.integers(2, 25)), 3))
    spacing = size / len(seeds) ** (1 / 3)
    width = spacing * random.uniform(0.05, 0.25)
    inside = random.uniform(0, 0.15)
    smallest = smallest_radius(density * spacing / (3 * width), size)
    radius = float(np.exp(random.uniform(np.log(smallest), np.log(max(smallest, 0.35 * spacing)))))
    tree = cKDTree(seeds, boxsize=size)
    wanted = _number(density * size**3, 2 * np.pi * radius, random)
    found: list[NDArray[np.float64]] = []
    count = 0
    while count < wanted:
        points = random.uniform(0, size, (max(256, 2 * wanted), 3))
        near, index = tree.query(points, k=2)
        apart = seeds[index[:, 0]] - seeds[index[:, 1]]
        apart -= size * np.round(apart / size)
        to_wall = (near[:, 1] ** 2 - near[:, 0] ** 2) / (2 * np.linalg.norm(apart, axis=1) + 1e-9)
        keep = (to_wall < width / 2) | (random.random(len(points)) < inside)
        found.append(points[keep])
        count += int(keep.sum())
    return _ellipses(random, slip, np.concatenate(found)[:wanted], radius, size)
