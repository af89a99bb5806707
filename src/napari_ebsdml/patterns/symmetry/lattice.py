"""Lattice of a crystal from the bands of its measured sphere.

In the frame of the symmetry only the ratios that the Laue group leaves are unknown; directions of
bands tell them, widths of bands the size, and bands that are missing the centring.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from napari_ebsdml.patterns.simulated.kinematic import wavelength
from napari_ebsdml.patterns.symmetry import _lattice_kernels as kernels
from napari_ebsdml.patterns.symmetry.bands import NORMALS, STEP, Bands, bands_of
from napari_ebsdml.patterns.symmetry.groups import GROUPS, SYSTEMS
from napari_ebsdml.patterns.symmetry.operators import half_cube
from napari_ebsdml.patterns.symmetry.sphere import MeasuredSphere

if TYPE_CHECKING:
    from diffpy.structure import Lattice as DiffpyLattice

Floats = NDArray[np.float64]

LETTERS = {
    "cubic": "c", "hexagonal": "h", "trigonal": "h", "tetragonal": "t", "orthorhombic": "o",
}  # fmt: skip
CENTRINGS = {
    "cubic": ("F", "I", "P"), "hexagonal": ("P",), "trigonal": ("R", "P"),
    "tetragonal": ("I", "P"), "orthorhombic": ("F", "I", "A", "B", "C", "P"),
}  # fmt: skip
"""Centrings of the systems whose lattices are searched for."""
_FIRST = 8
_RESOLVED = 0.042
_BLUR, _EDGE, _LOST = 0.009, 0.2, 0.12
_NARROWER = 0.81
"""Dynamical bands look narrower than twice the Bragg angle, by this on simulated crystals; it
scatters by a tenth from crystal to crystal, which is the error of the size."""
_SCATTER = 0.1
_BETTER = 0.02
_SHORTEST, _LONGEST = 2.2, 16.0


@dataclass(frozen=True)
class Lattice:
    """A lattice that bands tell.

    Attributes
    ----------
    a, b, c
        Lengths in angstrom.
    alpha, beta, gamma
        Angles in degrees.
    bravais
        Symbol such as ``"cF"``, ``"hP"``, ``"hR"`` (on hexagonal axes).
    uncertainty
        Standard error of a as a part of it: the size comes from the widths of bands.
    ratio_uncertainty
        Standard error of c/a (and b/a) as a part of it; 0 for cubic lattices.
    explained
        Part of the sphere's variance that bands of this lattice explain, 0..1.
    """

    a: float
    b: float
    c: float
    alpha: float
    beta: float
    gamma: float
    bravais: str
    uncertainty: float
    ratio_uncertainty: float
    explained: float

    @property
    def sentence(self) -> str:
        """Lattice in words."""
        error = self.a * self.uncertainty
        text = f"{self.bravais}, a = {self.a:.2f} +- {error:.2f} A"
        if self.bravais[0] == "o":
            text += f", b/a = {self.b / self.a:.3f}"
        if self.bravais[0] != "c":
            text += f", c/a = {self.c / self.a:.3f}"
        return text

    def diffpy(self) -> DiffpyLattice:
        """The lattice as diffpy's, for an orix Phase."""
        from diffpy.structure import Lattice as DiffpyLattice

        return DiffpyLattice(self.a, self.b, self.c, self.alpha, self.beta, self.gamma)


def find_lattice(sphere: MeasuredSphere, energy: float = 20.0) -> tuple[Lattice, Floats] | None:
    """Lattice of a crystal.

    Parameters
    ----------
    sphere
        Merged from patterns of the crystal; its Laue group tells the system.
    energy
        Of the beam, in keV.

    Returns
    -------
    (Lattice, (3, 3) array) or None
        The lattice, and the rotation from the sphere's frame to that of the crystal (x along a,
        z along c*). None for monoclinic and triclinic crystals, and where no lattice fits.
    """
    system = SYSTEMS[sphere.group]
    if system not in CENTRINGS:
        return None
    bands = bands_of(sphere)
    if len(bands.normals) < 3:
        return None
    half_wave = _NARROWER * wavelength(energy) / 2
    found = _searched(sphere.group, system, bands, half_wave)
    best: tuple[float, Floats, str, Floats] | None = None
    fit = _Fit(sphere, half_wave)
    for _, lengths, centring, turn in found:
        explained, refined = fit.climb(system, lengths, centring, turn)
        if best is None or explained > best[0] + 0.01:
            best = explained, refined, centring, turn
    if best is None:
        return None
    best = _multiples(system, fit, best)
    explained, lengths, centring, turn = best
    gamma = 120.0 if system in ("hexagonal", "trigonal") else 90.0
    size, ratio = fit.errors(system, lengths, centring, turn)
    a, b, c = (float(v) for v in lengths)
    bravais = LETTERS[system] + centring
    lattice = Lattice(a, b, c, 90.0, 90.0, gamma, bravais, size, ratio, explained)
    return lattice, turn


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
    hkl = grid[allowed(grid, centring) & (grid != 0).any(axis=1)]
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


def _turns(group: str, system: str) -> list[Floats]:
    """Rotations from the sphere's frame to the crystal's that the symmetry leaves open."""
    angles: tuple[float, ...] = {"hexagonal": (0.0, 30.0), "tetragonal": (0.0, 45.0)}.get(
        system, (0.0,)
    )
    if system == "trigonal":
        angles = (0.0, 30.0, 60.0, 90.0)
    made = []
    for angle in angles:
        c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
        made.append(np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]]))
    return made


def _trials(system: str) -> Iterator[Floats]:
    """Lengths a, b, c to try, in steps of 1.5 to 4 per cent."""
    if system == "cubic":
        for a in np.geomspace(_SHORTEST, _LONGEST, 170):
            yield np.array([a, a, a])
    elif system == "orthorhombic":
        axis = np.geomspace(_SHORTEST + 0.3, 11.0, 40)
        for a, b, c in product(axis, axis, axis):
            yield np.array([a, b, c])
    else:
        for a, ratio in product(np.geomspace(_SHORTEST, 11.0, 60), np.geomspace(0.4, 4.0, 110)):
            if a * ratio < 2 * _LONGEST:
                yield np.array([a, a, a * ratio])


def _searched(
    group: str, system: str, bands: Bands, half_wave: float
) -> list[tuple[float, Floats, str, Floats]]:
    """The best lattice of each centring and frame: score, lengths, centring, turn."""
    rotations = GROUPS[group].rotations
    trials = np.array(list(_trials(system)))
    reference = float(np.median(bands.strength[:4]))
    found = []
    for turn in _turns(group, system):
        # The bands' normals, all equivalents, in the crystal's frame.
        stars = np.concatenate([rotations @ normal for normal in bands.normals]) @ turn.T
        owners = np.repeat(np.arange(len(bands.normals)), len(rotations))
        for centring in CENTRINGS[system]:
            indices = families(group, centring)
            score = np.array([
                kernels.lattice_score(
                    turn.T @ reciprocal(system, lengths), indices[:60], _FIRST,
                    stars @ turn, owners, bands.strength, bands.half_width, bands.contrast,
                    NORMALS, 1 / STEP, reference, half_wave, _RESOLVED,
                )
                for lengths in trials
            ])  # fmt: skip
            kept: list[Floats] = []
            for at in np.argsort(-score)[:200]:
                # Of one shape once, whatever its size.
                shape = trials[at] / trials[at][0]
                if all(np.abs(np.log(shape / other)).max() > 0.05 for other in kept):
                    kept.append(shape)
                    found.append((float(score[at]), trials[at], centring, turn))
                if len(kept) == 2:
                    break
    found.sort(key=lambda one: -one[0])
    return found[:5]


def _multiples(
    system: str, fit: _Fit, best: tuple[float, Floats, str, Floats]
) -> tuple[float, Floats, str, Floats]:
    """The lattice with longer axes instead, where that explains clearly more."""
    _, lengths, _, turn = best
    factors = {"cubic": [(2, 2, 2)], "orthorhombic": [(2, 1, 1), (1, 2, 1), (1, 1, 2)]}.get(
        system, [(1, 1, 2), (1, 1, 3)]
    )
    for factor in factors:
        longer = lengths * np.array(factor)
        if longer.max() > 2 * _LONGEST:
            continue
        for centring in CENTRINGS[system]:
            explained, refined = fit.climb(system, longer, centring, turn)
            if explained > best[0] + _BETTER:
                best = explained, refined, centring, turn
    return best


class _Fit:
    """Bands of a lattice fitted to a sphere, by non-negative strengths of its first families."""

    def __init__(self, sphere: MeasuredSphere, half_wave: float, points: int = 1500) -> None:
        rng = np.random.default_rng(0)
        directions = half_cube(90)
        known = np.flatnonzero(sphere.known)
        chosen = rng.choice(known, min(points, len(known)), replace=False)
        self._points = directions[chosen]
        values = sphere.cells[chosen].astype(np.float64)
        self._values = values - values.mean()
        self._group = sphere.group
        self._rotations = GROUPS[sphere.group].rotations
        self._half_wave = half_wave

    def explained(self, system: str, lengths: Floats, centring: str, turn: Floats) -> float:
        """Part of the variance that the bands explain, less what as many free numbers would."""
        indices = families(self._group, centring)[:60]
        g = indices @ (turn.T @ reciprocal(system, lengths)).T
        size = np.linalg.norm(g, axis=1)
        first = np.argsort(size)[:20]
        columns = []
        for k in first:
            stars = self._rotations @ (g[k] / size[k])
            _, one = np.unique((stars * np.sign(stars[:, [2]] + 1e-3 * stars[:, [1]]
                                                + 1e-6 * stars[:, [0]])).round(4), axis=0,
                               return_index=True)  # fmt: skip
            distance = np.abs(self._points @ stars[one].T)
            half = size[k] * self._half_wave
            x = (distance - half) / _BLUR
            soft = 1 / (1 + np.exp(np.clip(x, -30, 30)))
            # Flat patterns have lost what varies over more than some ten degrees.
            lost = 2 * half / (np.sqrt(2 * np.pi) * _LOST) * np.exp(-((distance / _LOST) ** 2) / 2)
            column = (soft - _EDGE * np.exp(-((x - 1.5) ** 2) / 4) - lost).sum(axis=1)
            columns.append(column - column.mean())
        matrix = np.stack(columns, axis=1)
        _, rest = nnls(matrix, self._values)
        total = float((self._values**2).sum())
        return 1 - rest**2 / total if total > 0 else 0.0

    def climb(
        self, system: str, lengths: Floats, centring: str, turn: Floats
    ) -> tuple[float, Floats]:
        """Lengths in shrinking steps to where most is explained, from the best of many sizes."""
        sizes = [lengths * factor for factor in np.geomspace(0.8, 2.3, 12)]
        lengths = max(sizes, key=lambda one: self.explained(system, one, centring, turn))
        best = self.explained(system, lengths, centring, turn)
        size = 0.012
        while size > 0.0015:
            better = False
            for step in _steps(system):
                for sign in (1, -1):
                    trial = lengths * (1 + sign * size * step)
                    value = self.explained(system, trial, centring, turn)
                    if value > best + 1e-5:
                        best, lengths, better = value, trial, True
                        break
            if not better:
                size /= 2
        return best, lengths

    def errors(
        self, system: str, lengths: Floats, centring: str, turn: Floats
    ) -> tuple[float, float]:
        """Standard errors of the size and of the ratios, as parts of them, from the curvature."""
        found = []
        best = self.explained(system, lengths, centring, turn)
        for step in _steps(system):
            drops = [
                best - self.explained(system, lengths * (1 + s * 0.02 * step), centring, turn)
                for s in (1, -1)
            ]
            curvature = max(float(np.mean(drops)), 1e-4) / 0.02**2
            # Cells within some two degrees of each other tell the same.
            number = len(self._points) / 6
            found.append(float(np.sqrt((1 - best) / (2 * number * curvature))))
        return float(np.hypot(found[0], _SCATTER)), max(found[1:], default=0.0)


def _steps(system: str) -> list[Floats]:
    """Directions in the lengths' logarithms: the size, then the ratios."""
    whole = np.ones(3)
    if system == "cubic":
        return [whole]
    ratio = [np.array([0.0, 0.0, 1.0])]
    return (
        [whole, *ratio, np.array([0.0, 1.0, 0.0])] if system == "orthorhombic" else [whole, *ratio]
    )
