"""Lattice of a crystal from the bands of its measured sphere.

In the frame of the symmetry only the ratios that the Laue group leaves are unknown; directions of
bands tell them, widths of bands the size, and bands that are missing the centring.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.lattices import _kernels as kernels
from napari_ebsdml.patterns.lattices.bands import NORMALS, STEP, Bands, bands_of
from napari_ebsdml.patterns.lattices.fit import (
    LONGEST,
    NARROWER,
    OF_SIZE,
    POINTS,
    SHORTEST,
    Guess,
    Lacks,
    LatticeFit,
    families,
    reciprocal,
)
from napari_ebsdml.patterns.lattices.size import size_of
from napari_ebsdml.patterns.lattices.space_groups import (
    SpaceGroups,
    is_extinct,
    orders_of,
    sets_of,
)
from napari_ebsdml.patterns.simulated.kinematic import wavelength
from napari_ebsdml.patterns.symmetry.groups import GROUPS, SYSTEMS
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
_CANDIDATES, _CLIMBED = 10, 3
_RESOLVED = 0.042
_CUBIC = 0.015
_CUBES = (
    ("tI", np.sqrt(2), "cF", np.sqrt(2)), ("tI", 1.0, "cI", 1.0), ("tP", 1.0, "cP", 1.0),
    ("hR", np.sqrt(6), "cF", np.sqrt(2)), ("hR", np.sqrt(3 / 8), "cI", np.sqrt(1 / 2)),
    ("hR", np.sqrt(3 / 2), "cP", np.sqrt(1 / 2)),
)  # fmt: skip
"""Lattice, its c/a when it is cubic, the cubic one, and a of that over its a."""
_ABOUT = (0.94, 0.97, 1.0, 1.03, 1.06)


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
    energy
        Of the beam in keV: lengths go with its wavelength.
    is_energy_told
        Whether the user or the file told it; else it is assumed.
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
    energy: float = 20.0
    is_energy_told: bool = True

    @property
    def sentence(self) -> str:
        """Lattice in words."""
        error = self.a * self.uncertainty
        text = f"{self.bravais}, a = {self.a:.2f} +- {error:.2f} A"
        if not self.is_energy_told:
            other = 15.0
            longer = self.a * wavelength(other) / wavelength(self.energy)
            text += f" (at {self.energy:g} kV assumed; {longer:.2f} A if it was {other:g} kV)"
        if self.bravais[0] == "o":
            text += f", b/a = {self.b / self.a:.3f}"
        if self.bravais[0] != "c":
            text += f", c/a = {self.c / self.a:.3f}"
        return text

    @property
    def cubic(self) -> tuple[str, float] | None:
        """Bravais symbol and a of the cubic lattice whose axes these are, chance or not.

        A cubic crystal may be described with tetragonal or hexagonal axes; few patterns can hide
        the rest of its symmetry, not its c/a. None where c/a is 1.5 per cent off.
        """
        for bravais, ratio, cube, side in _CUBES:
            if bravais == self.bravais and abs(self.c / self.a / ratio - 1) < _CUBIC:
                return cube, self.a * side
        return None

    @property
    def primitive(self) -> str | None:
        """Symbol of the primitive lattice whose weak bands may be hidden; None for other lattices.

        Ordered crystals such as Ni3Al and TiFe have the bands of the disordered ones, cF and cI,
        and superlattice bands that patterns with noise do not show.
        """
        return "cP" if self.bravais in ("cF", "cI") else None

    def diffpy(self) -> DiffpyLattice:
        """The lattice as diffpy's, for an orix Phase."""
        from diffpy.structure import Lattice as DiffpyLattice

        return DiffpyLattice(self.a, self.b, self.c, self.alpha, self.beta, self.gamma)


def find_lattice(
    sphere: MeasuredSphere, energy: float = 20.0, edges: MeasuredSphere | None = None
) -> tuple[Lattice, Floats] | None:
    """Lattice of a crystal.

    Parameters
    ----------
    sphere
        Merged from patterns of the crystal; its Laue group tells the system.
    energy
        Of the beam, in keV.
    edges
        The same crystal in the same frame, where edges of bands are sharper: tells the size.
        Default: `sphere`.

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
    half_wave = NARROWER * wavelength(energy) / 2
    rough, fit = LatticeFit(sphere, half_wave, 500), LatticeFit(sphere, half_wave)
    tried = [
        rough.sized(system, lengths, centring, turn)
        for _, lengths, centring, turn in _searched(sphere.group, system, bands, half_wave)
    ]
    if not tried:
        return None
    tried.sort(key=lambda one: -one.score)
    best = max((fit.climb(system, one) for one in tried[:_CLIMBED]), key=lambda one: one.score)
    relatives = [
        rough.sized(system, best.lengths * factor, centring, turn, 3)
        for factor, turn in _relatives(system, best.turn)
        for centring in CENTRINGS[system]
    ]
    relatives.sort(key=lambda one: -one.score)
    best = max((fit.climb(system, one) for one in [best, *relatives[:_CLIMBED]]),
               key=lambda one: one.score)  # fmt: skip
    dense = LatticeFit(sphere, half_wave, 2 * POINTS)
    best = _lengthened(system, dense, best)
    size = size_of(edges or sphere, best, energy)
    sized = dataclasses.replace(best, lengths=best.lengths * size.factor)
    best = _made_primitive(system, dense, _centred(system, fit, sized))
    if best.centring != sized.centring:
        size = size_of(edges or sphere, best, energy)
        best = dataclasses.replace(best, lengths=best.lengths * size.factor)
    lengths, centring, turn = best.lengths, best.centring, best.turn
    explained = fit.explained(system, lengths, centring, turn)[0]
    gamma = 120.0 if system in ("hexagonal", "trigonal") else 90.0
    ratio = fit.ratio_error(system, lengths, centring, turn)
    a, b, c = (float(v) for v in lengths)
    bravais = LETTERS[system] + centring
    lattice = Lattice(a, b, c, 90.0, 90.0, gamma, bravais, size.error, ratio, explained, energy)
    return lattice, turn


def _lengthened(system: str, fit: LatticeFit, best: Guess) -> Guess:
    """The lattice with c twice as long, where bands show it."""
    if system not in ("trigonal", "hexagonal", "tetragonal") or best.centring not in "PR":
        return best
    # Every second plane of a rhombohedral lattice makes another one, turned by 60 degrees.
    about = about_z(60.0) if best.centring == "R" else np.eye(3)
    longer = dataclasses.replace(
        best, lengths=best.lengths * [1.0, 1.0, 2.0], turn=about @ best.turn
    )
    return longer if fit.is_longer(system, longer) else best


def _made_primitive(system: str, fit: LatticeFit, best: Guess) -> Guess:
    """The lattice without its centring, where bands that this forbids are there.

    In some size about the one that is told, which is known to 8 per cent.
    """
    if system not in ("trigonal", "tetragonal") or best.centring == "P":
        return best
    narrow = best.lengths * NARROWER / OF_SIZE
    is_primitive = any(
        fit.is_primitive(system, dataclasses.replace(best, lengths=narrow * factor))
        for factor in _ABOUT
    )
    return dataclasses.replace(best, centring="P") if is_primitive else best


def _centred(system: str, fit: LatticeFit, best: Guess) -> Guess:
    """A primitive cubic lattice with the centring that explains more, if one does.

    The first band of (1 1 1), say, mends what the fit lacks of a real (2 2 2): by that alone bcc
    crystals can pay for the bands that a primitive lattice has more.
    """
    if system != "cubic" or best.centring != "P":
        return best
    tried = [
        {
            centring: fit.centred(
                system, dataclasses.replace(best, lengths=best.lengths * factor), centring
            )
            for centring in CENTRINGS[system]
        }
        for factor in _ABOUT
    ]
    values = max(tried, key=lambda one: max(one.values()))
    return dataclasses.replace(best, centring=max(values, key=lambda name: values[name]))


def _lacks(number: int, axes: list[int]) -> Lacks:
    return lambda hkl: is_extinct(number, hkl[:, axes])


def rank_space_groups(
    sphere: MeasuredSphere, lattice: Lattice, turn: Floats, energy: float = 20.0
) -> tuple[SpaceGroups, ...]:
    """Space groups of a crystal in sets, the likeliest first, by how well bands do without theirs.

    Parameters
    ----------
    sphere, energy
        As of `find_lattice`.
    lattice, turn
        What it returned.
    """
    fit = LatticeFit(sphere, NARROWER * wavelength(energy) / 2)
    lengths = np.array([lattice.a, lattice.b, lattice.c]) * NARROWER / OF_SIZE
    system, letter = SYSTEMS[sphere.group], lattice.bravais[1]
    plain = fit.score(system, lengths, letter, turn)
    ranked = []
    for one in sets_of(sphere.group, letter):
        gain = 0.0
        if one.absent or letter in "ABC":
            found = [
                fit.score(system, lengths, letter, turn, _lacks(one.numbers[0], axes))
                for axes in orders_of(sphere.group)
            ]
            gain = max(found) - plain
        ranked.append(dataclasses.replace(one, gain=gain))
    return tuple(sorted(ranked, key=lambda one: -(one.gain or 0.0)))


def _turns(group: str, system: str) -> list[Floats]:
    """Rotations from the sphere's frame to the crystal's that the symmetry leaves open."""
    angles: tuple[float, ...] = {"hexagonal": (0.0, 30.0), "tetragonal": (0.0, 45.0)}.get(
        system, (0.0,)
    )
    if system == "trigonal":
        angles = (0.0, 30.0, 60.0, 90.0)
    return [about_z(angle) for angle in angles]


def _trials(system: str) -> Iterator[Floats]:
    """Lengths a, b, c to try, in steps of 1.5 to 4 per cent."""
    if system == "cubic":
        for a in np.geomspace(SHORTEST, LONGEST, 170):
            yield np.array([a, a, a])
    elif system == "orthorhombic":
        axis = np.geomspace(SHORTEST + 0.3, 11.0, 40)
        for a, b, c in product(axis, axis, axis):
            yield np.array([a, b, c])
    else:
        for a, ratio in product(np.geomspace(SHORTEST, 11.0, 60), np.geomspace(0.4, 4.0, 110)):
            if a * ratio < 2 * LONGEST:
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
    return found[:_CANDIDATES]


def _relatives(system: str, turn: Floats) -> list[tuple[Floats, Floats]]:
    """Factors on the axes, and turns, of lattices that share many bands with one."""
    if system == "cubic":
        return [(np.full(3, f), turn) for f in (0.5, 1.0, 2.0)]
    if system == "orthorhombic":
        return [
            (np.array(f), turn)
            for f in product((0.5, 1.0, 2.0), repeat=3)
        ]  # fmt: skip
    found = []
    # An axis in between, longer by root 2 or root 3, spans a supercell in the plane.
    angle, root = (45.0, np.sqrt(2)) if system == "tetragonal" else (30.0, np.sqrt(3))
    for rise in (1 / 3, 0.5, 1.0, 2.0, 3.0):
        for wide, about in ((1.0, 0.0), (root, angle), (1 / root, angle), (0.5, 0.0), (2.0, 0.0)):
            found.append((np.array([wide, wide, rise]), about_z(about) @ turn))
    return found


def about_z(angle: float) -> Floats:
    """Rotation matrix about z by degrees."""
    c, s = np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1.0]])
