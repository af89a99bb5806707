"""Profiles of the bands of a lattice whose size is not known: they are where they are in any size.

Planes of one direction share one band centre, whatever their spacing; so the mean intensity by the
distance from it, all orders upon each other, is fitted for many directions at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.lattices import _kernels as kernels
from napari_ebsdml.patterns.lattices.fit import Guess, allowed, reciprocal, stars_of
from napari_ebsdml.patterns.symmetry.groups import GROUPS, SYSTEMS
from napari_ebsdml.patterns.symmetry.operators import half_cube
from napari_ebsdml.patterns.symmetry.sphere import SIDE, MeasuredSphere

Floats = NDArray[np.float64]

NODES = np.concatenate([np.arange(0, 0.1, 0.005), [0.1, 0.11, 0.125, 0.145]])
"""Distances from the middle of a band, as sines, between which profiles are linear; they end at 0
at the last one."""
DIRECTIONS = 20
_LISTED = 924
"""Planes of the primitive lattice among which directions are looked for: bands of others are as
wide as patterns are flat."""
_POINTS = 5000
_SMOOTH, _SMALL = 5e-7, 1e-2
"""Prices of bends and of heights of a profile, by a point."""


@dataclass(frozen=True, eq=False)
class Profiles:
    """Bands along the directions whose planes are spaced most widely.

    Attributes
    ----------
    values : (n, nodes) array
        Height at each of `NODES` but the last, in standard deviations of the sphere.
    half_width : (n,) array
        Sine of the first order's Bragg angle in the size that was assumed.
    number : (n,) array
        Bands that are equivalent.
    """

    values: Floats
    half_width: Floats
    number: NDArray[np.int64]


def profiles_of(
    sphere: MeasuredSphere, guess: Guess, half_wave: float, system: str | None = None
) -> Profiles:
    """Fit the profiles of a lattice's bands to a sphere.

    Parameters
    ----------
    sphere
    guess
        The lattice in any size.
    half_wave
        Half the wavelength in angstrom.
    system
        That of the lattice, where the sphere was merged under a subgroup. Default: the sphere's.
    """
    g = _vectors(sphere.group, guess, system or SYSTEMS[sphere.group])
    known = np.flatnonzero(sphere.known)
    if len(known) > _POINTS:
        known = np.random.default_rng(0).choice(known, _POINTS, replace=False)
    points = np.ascontiguousarray(half_cube(SIDE)[known])
    values = sphere.cells[known].astype(np.float64)
    values -= values.mean()
    normals, start = stars_of(GROUPS[sphere.group].rotations, g)
    nodes = len(NODES) - 1
    columns = np.zeros((len(points), nodes * len(g)), np.float32)
    kernels.hat_columns(points, normals, start, NODES, columns)
    columns -= columns.mean(axis=0)
    gram = (columns.T @ columns).astype(np.float64)
    right = (columns.T @ values.astype(np.float32)).astype(np.float64)
    price = len(points) * _price()
    for k in range(0, len(gram), nodes):
        gram[k : k + nodes, k : k + nodes] += price
    heights = np.linalg.solve(gram, right).reshape(len(g), nodes)
    half_width = np.linalg.norm(g, axis=1) * half_wave
    return Profiles(np.asarray(heights, np.float64), half_width, np.diff(start))


def _price() -> Floats:
    """Quadratic form (nodes, nodes) that keeps a profile smooth and small."""
    step = np.diff(NODES)
    bends = np.zeros((len(NODES) - 2, len(NODES)))
    for k, (before, after) in enumerate(pairwise(step)):
        bends[k, k : k + 3] = 1 / before, -1 / before - 1 / after, 1 / after
    bends = bends[:, :-1]
    return np.asarray(_SMOOTH * bends.T @ bends + _SMALL * np.diag(np.gradient(NODES)[:-1]))


def _vectors(group: str, guess: Guess, system: str) -> Floats:
    """Reciprocal vectors (n, 3) of the widest spaced planes of each direction, in the frame
    of the sphere.

    The widest spaced directions first, one of those that are equivalent.
    """
    to_g = reciprocal(system, guess.lengths)
    rotations = GROUPS[group].rotations
    volume = 1 / abs(np.linalg.det(to_g))
    finest = (4 / 3 * np.pi * volume / _LISTED) ** (1 / 3)
    most = np.ceil(guess.lengths / finest).astype(int)
    grid = np.array([hkl for hkl in product(*(range(-n, n + 1) for n in most)) if any(hkl)])
    size = np.linalg.norm(grid @ to_g.T, axis=1)
    grid = grid[(size < 1 / finest) & allowed(grid, guess.centring)]
    g = grid @ (guess.turn.T @ to_g).T
    size = np.linalg.norm(g, axis=1)
    g = g[np.argsort((size * guess.lengths[0]).round(6), kind="stable")]
    stars, found = np.zeros((0, 3)), []
    for one in g:
        unit = one / np.linalg.norm(one)
        if len(stars) and np.abs(stars @ unit).max() > 1 - 1e-7:
            continue
        found.append(one)
        stars = np.concatenate([stars, rotations @ unit])
        if len(found) == DIRECTIONS:
            break
    return np.array(found)
