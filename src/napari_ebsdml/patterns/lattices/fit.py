"""Bands of a lattice fitted to a measured sphere: how much of it they explain, at what price."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from napari_ebsdml.patterns.lattices import _kernels as kernels
from napari_ebsdml.patterns.symmetry.groups import GROUPS, SYSTEMS
from napari_ebsdml.patterns.symmetry.groups import turn as turned
from napari_ebsdml.patterns.symmetry.operators import half_cube
from napari_ebsdml.patterns.symmetry.sphere import MeasuredSphere

Floats = NDArray[np.float64]
Lacks = Callable[[NDArray[np.int64]], NDArray[np.bool_]]

_BLUR, _DARK, _LOST = 0.013, 0.5, 0.12

NARROWER = 0.85
"""Bands look narrower than twice the Bragg angle, by this."""
OF_SIZE = 0.92
"""The same of strong bands alone."""
_FINEST = 0.9
"""Spacing in angstrom of the finest planes whose bands take part."""
_PER_FAMILY = 0.008
"""What a family of bands must add to the logarithm of what is explained."""
_MOST_FAMILIES = 60
SHORTEST, LONGEST = 2.2, 16.0
POINTS = 1500
_BETWEEN, _ASIDE = (0.5, -0.5, 0.3, -0.3), (8.0, 16.0, 23.0)
"""Planes that no lattice has: l off by these; turned about c by these angles in degrees."""
_FINEST_BETWEEN = 0.85
_MORE = 1.2
"""How much more than any of these true planes must add: of 12 crystals seen, 1.4 to 12 times where
c is right, 0.1 to 1.1 times where it is twice too long."""


def reciprocal(system: str, lengths: Floats) -> Floats:
    """Reciprocal vectors as columns, x along a and z along c*, 1/angstrom."""
    a, b, c = lengths
    if system in ("hexagonal", "trigonal"):
        return np.array([[1 / a, 0, 0], [1 / (np.sqrt(3) * a), 2 / (np.sqrt(3) * a), 0],
                         [0, 0, 1 / c]])  # fmt: skip
    return np.diag([1 / a, 1 / b, 1 / c])


def allowed(hkl: NDArray[np.int64], centring: str) -> NDArray[np.bool_]:
    """Which reflections (n, 3) a centring lets be."""
    h, k, l = hkl.T  # noqa: E741
    rules = {
        "P": np.ones(len(hkl), bool), "I": (h + k + l) % 2 == 0, "A": (k + l) % 2 == 0,
        "B": (h + l) % 2 == 0, "C": (h + k) % 2 == 0,
        "F": ((h + k) % 2 == 0) & ((k + l) % 2 == 0), "R": (-h + k + l) % 3 == 0,
    }  # fmt: skip
    return rules[centring]


@cache
def families(group: str, centring: str) -> NDArray[np.int64]:
    """One hkl (n, 3) of each family of equivalent reflections, indices up to 4 (l up to 9)."""
    system = SYSTEMS[group]
    deep = 4 if system in ("cubic", "orthorhombic") else 9 if centring == "R" else 6
    grid = np.array(list(product(range(-4, 5), range(-4, 5), range(-deep, deep + 1))))
    return one_of_each(group, grid[allowed(grid, centring) & (grid != 0).any(axis=1)])


def one_of_each(group: str, hkl: NDArray[np.int64]) -> NDArray[np.int64]:
    """One hkl of each family of equivalent reflections among (n, 3), the widest spaced first."""
    system = SYSTEMS[group]
    odd = {"cubic": (1.0, 1.0, 1.0), "tetragonal": (1.0, 1.0, 1.2345), "orthorhombic":
           (1.0, 1.1234, 1.2345)}.get(system, (1.0, 1.0, 1.2345))  # fmt: skip
    g = hkl @ reciprocal(system, np.array(odd)).T
    images = np.einsum("kij,nj->nki", GROUPS[group].rotations, g)
    images = np.concatenate([images, -images], axis=1).round(5) + 0.0
    keys = [tuple(max(map(tuple, image))) for image in images]
    order = sorted(range(len(hkl)), key=lambda n: float(np.linalg.norm(g[n])))
    seen: dict[tuple[float, ...], int] = {}
    for n in order:
        seen.setdefault(keys[n], n)
    return hkl[list(seen.values())]


@dataclass(frozen=True, eq=False)
class Guess:
    """A lattice that was tried: its score, lengths, centring and frame."""

    score: float
    lengths: Floats
    centring: str
    turn: Floats


class LatticeFit:
    """Bands of a lattice fitted to a sphere, by non-negative strengths of its families.

    The score of a lattice is the logarithm of the variance that it leaves, less a price for each
    family of planes that it has: the simplest lattice that explains the bands wins.
    """

    def __init__(self, sphere: MeasuredSphere, half_wave: float, points: int = POINTS) -> None:
        rng = np.random.default_rng(0)
        known = np.flatnonzero(sphere.known)
        chosen = rng.choice(known, min(points, len(known)), replace=False)
        self._points = np.ascontiguousarray(half_cube(90)[chosen])
        values = sphere.cells[chosen].astype(np.float64)
        self._values = values - values.mean()
        self._group = sphere.group
        self._rotations = GROUPS[sphere.group].rotations
        self._half_wave = half_wave

    def explained(
        self, system: str, lengths: Floats, centring: str, turn: Floats,
        lacks: Lacks | None = None,
    ) -> tuple[float, int]:  # fmt: skip
        """Part of the variance that the bands explain, and the number of families.

        Families of planes down to `_FINEST`, but those that `lacks` says of their hkl.
        """
        indices = families(self._group, centring)
        if lacks is not None:
            indices = indices[~lacks(indices)]
        g = indices @ (turn.T @ reciprocal(system, lengths)).T
        size = np.linalg.norm(g, axis=1)
        order = np.argsort(size)
        number = int((size < 1 / _FINEST).sum())
        return self._part(g[order[: min(number, _MOST_FAMILIES)]]), number

    def centred(self, system: str, guess: Guess, centring: str) -> float:
        """Part of the variance that bands along all normals of the primitive lattice explain.

        A centring lacks (1 0 0) but has (2 0 0): along each normal only the bands that it has.
        So all centrings of a cell have as many bands, along the same normals, and differ in how
        wide these are; which of them explains more depends no more on what bands cost.
        """
        plain = families(self._group, "P")
        to_g = guess.turn.T @ reciprocal(system, guess.lengths)
        size = np.linalg.norm(plain @ to_g.T, axis=1)
        order = np.argsort(size)[: min(int((size < 1 / _FINEST).sum()), _MOST_FAMILIES)]
        hkl = plain[order]
        has = allowed(hkl, centring)
        first = np.where(has[:, None], hkl, (3 if centring == "R" else 2) * hkl)
        return self._part(one_of_each(self._group, np.unique(first, axis=0)) @ to_g.T)

    def is_longer(self, system: str, guess: Guess) -> bool:
        """Whether bands of a lattice show that c is as long as it says, and not half of that.

        A lattice with half of c has the bands of even l and no others. Those of odd l are weak in
        many crystals (calcite, bismuth), so that they do not pay for their number; but they add
        more than as many bands of planes that no lattice has.
        """
        hkl = families(self._group, guess.centring)
        return self._are_there(system, guess, hkl, hkl[:, 2] % 2 == 1) > _MORE

    def is_primitive(self, system: str, guess: Guess) -> bool:
        """Whether bands that a centring lacks are there.

        They are weak in crystals whose heavy atoms are centred (rutile), so that they do not pay
        for their number; but they add more than as many bands of planes that no lattice has.
        """
        hkl = families(self._group, "P")
        return self._are_there(system, guess, hkl, ~allowed(hkl, guess.centring)) > _MORE

    def _are_there(
        self, system: str, guess: Guess, hkl: NDArray[np.int64], asked: NDArray[np.bool_]
    ) -> float:
        """What some families add to the rest, over the most that as many of no lattice do."""
        to_g = guess.turn.T @ reciprocal(system, guess.lengths)
        near = np.linalg.norm(hkl @ to_g.T, axis=1) < 1 / _FINEST
        plain, further = hkl[near & ~asked] @ to_g.T, hkl[near & asked]
        if not len(plain) or not len(further):
            return 0.0
        others = [(further + np.array([0.0, 0.0, off])) @ to_g.T for off in _BETWEEN]
        others = [g[np.linalg.norm(g, axis=1) < 1 / _FINEST_BETWEEN] for g in others]
        main = guess.turn[2]
        others += [further @ to_g.T @ turned(main, angle).T for angle in _ASIDE]
        without = self._part(plain)
        gain, *chance = (
            self._part(np.concatenate([plain, g])) - without for g in (further @ to_g.T, *others)
        )
        return gain / max(*chance, 1e-6)

    def _part(self, g: Floats) -> float:
        """Part of the variance that bands of reciprocal vectors g, one a family, explain."""
        size = np.linalg.norm(g, axis=1)
        total = float((self._values**2).sum())
        if not len(g) or not total > 0:
            return 0.0
        normals, start = stars_of(self._rotations, g)
        matrix = np.empty((len(self._points), len(g)))
        kernels.band_columns(
            self._points, normals, start, size * self._half_wave, _BLUR, _DARK, _LOST, matrix
        )  # fmt: skip
        return part_explained(matrix, self._values, total)

    def score(
        self, system: str, lengths: Floats, centring: str, turn: Floats, lacks: Lacks | None = None
    ) -> float:
        """How well a lattice does, the price of its families paid."""
        if lengths.min() < 0.9 * SHORTEST or lengths.max() > 2 * LONGEST:
            return -np.inf
        explained, number = self.explained(system, lengths, centring, turn, lacks=lacks)
        return float(-np.log(max(1 - explained, 1e-3)) - _PER_FAMILY * number)

    def sized(
        self, system: str, lengths: Floats, centring: str, turn: Floats, number: int = 11
    ) -> Guess:
        """The lattice in the size that does best."""
        spread = 1.6 if number > 3 else 1.05
        sizes = [lengths * factor for factor in np.geomspace(1 / spread, spread, number)]
        values = [self.score(system, one, centring, turn) for one in sizes]
        at = int(np.argmax(values))
        return Guess(values[at], sizes[at], centring, turn)

    def climb(self, system: str, guess: Guess) -> Guess:
        """Lengths in shrinking steps to where the score is highest."""
        lengths = guess.lengths
        best = self.score(system, lengths, guess.centring, guess.turn)
        size = 0.02
        while size > 0.001:
            better = False
            for step in steps(system):
                for sign in (1, -1):
                    trial = lengths * (1 + sign * size * step)
                    value = self.score(system, trial, guess.centring, guess.turn)
                    if value > best + 1e-5:
                        best, lengths, better = value, trial, True
                        break
            if not better:
                size /= 2
        return Guess(best, lengths, guess.centring, guess.turn)

    def ratio_error(self, system: str, lengths: Floats, centring: str, turn: Floats) -> float:
        """Standard error of the ratios, as a part of them, from the curvature; 0 for cubic."""
        found = [0.0]
        best, _ = self.explained(system, lengths, centring, turn)
        for step in steps(system)[1:]:
            drops = [
                best - self.explained(system, lengths * (1 + s * 0.02 * step), centring, turn)[0]
                for s in (1, -1)
            ]
            curvature = max(float(np.mean(drops)), 1e-4) / 0.02**2
            # Cells within some two degrees of each other tell the same.
            number = len(self._points) / 6
            found.append(float(np.sqrt((1 - best) / (2 * number * curvature))))
        return max(found)


def steps(system: str) -> list[Floats]:
    """Directions in the lengths' logarithms: the size, then the ratios."""
    whole = np.ones(3)
    if system == "cubic":
        return [whole]
    ratio = [np.array([0.0, 0.0, 1.0])]
    return (
        [whole, *ratio, np.array([0.0, 1.0, 0.0])] if system == "orthorhombic" else [whole, *ratio]
    )


def stars_of(rotations: Floats, vectors: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Normals (m, 3) of all bands of families, and where each family's begin (families + 1,)."""
    normals, start = [], [0]
    for unit in vectors / np.linalg.norm(vectors, axis=1)[:, None]:
        stars = rotations @ unit
        side = np.sign(stars[:, 2] + 1e-3 * stars[:, 1] + 1e-6 * stars[:, 0])
        stars = stars * side[:, None]
        _, one = np.unique(stars.round(4), axis=0, return_index=True)
        normals.append(stars[one])
        start.append(start[-1] + len(one))
    return np.concatenate(normals), np.array(start)


def part_explained(columns: Floats, values: Floats, total: float) -> float:
    """Part of the variance of values (n,) that columns (n, m), none below zero, explain."""
    columns = columns - columns.mean(axis=0)
    # Normal equations: thousands of points become as many rows as columns.
    gram = columns.T @ columns
    gram[np.diag_indices(len(gram))] += 1e-9 * np.trace(gram)
    right = columns.T @ values
    root = np.linalg.cholesky(gram)
    amounts, _ = nnls(root.T, np.linalg.solve(root, right))
    return float((2 * amounts @ right - amounts @ gram @ amounts) / total)
