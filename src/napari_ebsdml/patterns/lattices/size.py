"""Size of a lattice from the whole profiles of its bands.

A band is twice the Bragg angle wide, arcsin(lambda / 2d), but no single edge of it can be read:
the screen, the orientations and the crystal itself soften it, and the orders of one plane lie upon
each other. So all families are fitted at once, each with the profile that bands of dynamical master
patterns have in the mean, softened as this sphere asks for; their strengths are free.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.lattices import _kernels as kernels
from napari_ebsdml.patterns.lattices.fit import (
    Guess,
    allowed,
    one_of_each,
    part_explained,
    reciprocal,
    stars_of,
)
from napari_ebsdml.patterns.simulated.kinematic import wavelength
from napari_ebsdml.patterns.symmetry.groups import GROUPS, SYSTEMS
from napari_ebsdml.patterns.symmetry.operators import half_cube
from napari_ebsdml.patterns.symmetry.sphere import SIDE, MeasuredSphere

Floats = NDArray[np.float64]

PROFILE = np.array([0.0040, 0.884, 0.0111, 0.0187, 0.0318, 0.0198, 0.255])
"""Softness of the edge; depth, distance and width of the dark line beside it; depth and width of
a second one; distance beyond which flat patterns have lost what varies slowly. Sines of angles
but for the depths. Fitted to 20 dynamically simulated cubic crystals, `lattice_size.py`."""
_OF_SPACING = -0.332
"""Power of d / 2 angstrom that these lengths go with."""
_SCALES = (0.5, 0.75, 1.0, 1.4, 2.0)
"""Of these lengths: how strongly crystals scatter differs."""
_BLURS = (0.004, 0.008, 0.012, 0.016, 0.022, 0.03)
_FINEST, _MOST, _MANY = 0.7, 60, 45
_POINTS = 1500
SMALL, LARGE = 0.08, 0.3
_COARSE = np.geomspace(0.65, 1.55, 11)
_FINE = np.geomspace(0.88, 1.136, 13)


@dataclass(frozen=True)
class Size:
    """How large a lattice is.

    Attributes
    ----------
    factor
        On the lengths that were asked about.
    blur
        Standard deviation, as a sine, of what softens all bands alike.
    scale
        On the softness and dark lines that the crystal's own scattering gives its bands.
    explained
        Part of the sphere's variance that the bands explain, 0..1.
    is_large
        Whether the cell has so many families down to 0.7 angstrom that bands fit as well in other
        sizes.
    """

    factor: float
    blur: float
    scale: float
    explained: float
    is_large: bool

    @property
    def error(self) -> float:
        """Standard error of the factor, from simulated crystals that nothing was fitted to."""
        return LARGE if self.is_large else SMALL


class _Profiles:
    """Bands of a lattice of known shape, in any size."""

    def __init__(self, sphere: MeasuredSphere, guess: Guess, energy: float) -> None:
        known = np.flatnonzero(sphere.known)
        chosen = np.random.default_rng(0).choice(known, min(_POINTS, len(known)), replace=False)
        self._points = np.ascontiguousarray(half_cube(SIDE)[chosen])
        values = sphere.cells[chosen].astype(np.float64)
        self._values = values - values.mean()
        self._total = max(float((self._values**2).sum()), 1e-9)
        system = SYSTEMS[sphere.group]
        hkl = _planes(sphere.group, guess)
        self.is_large = len(hkl) >= _MANY
        g = hkl @ (guess.turn.T @ reciprocal(system, guess.lengths)).T
        self._inverse = np.linalg.norm(g, axis=1)
        rotations = GROUPS[sphere.group].rotations
        self._normals, self._start = stars_of(rotations, g)
        self._half_wave = wavelength(energy) / 2

    def explained(self, factor: float, blur: float, scale: float) -> float:
        inverse = self._inverse / factor
        profile = PROFILE.copy()
        profile[[0, 2, 3, 5]] *= scale
        matrix = np.empty((len(self._points), len(inverse)))
        kernels.profile_columns(
            self._points, self._normals, self._start, inverse * self._half_wave, profile,
            (0.5 / inverse) ** _OF_SPACING, blur, matrix,
        )  # fmt: skip
        return part_explained(matrix, self._values, self._total)


def size_of(sphere: MeasuredSphere, guess: Guess, energy: float = 20.0) -> Size:
    """Size in which the bands of a lattice fit a sphere best.

    Parameters
    ----------
    sphere
        Merged from patterns of the crystal.
    guess
        The lattice in a size that may be wrong by a half.
    energy
        Of the beam in keV: lengths go with the wavelength.
    """

    def tried(
        profiles: _Profiles, best: Size, factors: Floats, blurs: tuple[float, ...],
        scales: tuple[float, ...],
    ) -> Size:  # fmt: skip
        for factor, blur, scale in product(factors, blurs, scales):
            value = profiles.explained(float(factor), blur, scale)
            if value > best.explained:
                best = dataclasses.replace(
                    best, factor=float(factor), blur=blur, scale=scale, explained=value
                )
        return best

    profiles = _Profiles(sphere, guess, energy)
    best = Size(1.0, 0.016, 1.0, -np.inf, profiles.is_large)
    best = tried(profiles, best, _COARSE, _BLURS[1::2], (1.0,))
    total, large = 1.0, profiles.is_large
    for _ in range(2):
        # Which planes take part depends on the size.
        total *= best.factor
        profiles = _Profiles(
            sphere, dataclasses.replace(guess, lengths=guess.lengths * total), energy
        )
        best = Size(1.0, best.blur, best.scale, -np.inf, large or profiles.is_large)
        best = tried(profiles, best, np.ones(1), _BLURS, _SCALES)
        best = tried(profiles, best, _FINE, (best.blur,), (best.scale,))
        best = tried(profiles, best, best.factor * _FINE[3:-3], _BLURS, (best.scale,))
    return dataclasses.replace(best, factor=best.factor * total)


def _planes(group: str, guess: Guess) -> NDArray[np.int64]:
    """One hkl (n, 3) of each family down to `_FINEST`, the widest spaced `_MOST`."""
    system = SYSTEMS[group]
    to_g = reciprocal(system, guess.lengths)
    finest = _FINEST
    # Large cells have more families than take part: no need to list all.
    volume = 1 / abs(np.linalg.det(to_g))
    order = 2 * GROUPS[group].order
    finest = max(finest, float((4 / 3 * np.pi * volume / (8 * _MOST * order)) ** (1 / 3)))
    most = np.ceil(guess.lengths / finest).astype(int)
    grid = np.array([hkl for hkl in product(*(range(-n, n + 1) for n in most)) if any(hkl)])
    size = np.linalg.norm(grid @ to_g.T, axis=1)
    grid = grid[(size < 1 / finest) & allowed(grid, guess.centring)]
    hkl = one_of_each(group, grid)
    size = np.linalg.norm(hkl @ to_g.T, axis=1)
    return hkl[np.argsort(size, kind="stable")[:_MOST]]
