"""Kinematical master patterns of any crystal: one band for each strong set of planes.

They cost a second and no simulation, and serve tests of what only needs bands in the right places,
of the right widths and with the right symmetry. They lack what dynamical scattering adds: profiles
of bands, zone axis patterns, strong bands of forbidden reflections.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.crystals.master import lambert_directions

Floats = NDArray[np.float64]


def wavelength(energy: float) -> float:
    """Relativistic wavelength in angstrom of electrons of an energy in keV.

    Raises
    ------
    InputError
        When the energy is not between 1 and 400 keV.
    """
    if not 1 <= energy <= 400:
        raise InputError(f"The beam energy must lie in 1..400 keV, not {energy}.")
    volts = 1e3 * energy
    return float(12.2643 / np.sqrt(volts * (1 + 0.97845e-6 * volts)))


@dataclass(frozen=True, eq=False)
class Crystal:
    """A crystal with all atoms of its cell.

    Attributes
    ----------
    name
    space_group
        Number in the International Tables, in diffpy's standard setting.
    cell
        a, b, c in angstrom; alpha, beta, gamma in degrees.
    sites
        Atomic number and fractional coordinates of each site of the asymmetric unit.
    """

    name: str
    space_group: int
    cell: tuple[float, float, float, float, float, float]
    sites: tuple[tuple[int, tuple[float, float, float]], ...]
    b_factor: float = 0.5
    energy: float = 20.0

    @cached_property
    def basis(self) -> Floats:
        """Rows: a, b, c in the Cartesian frame of orix (x along a, z along c*), angstrom."""
        a, b, c, *angles = self.cell
        ca, cb, cg = np.cos(np.deg2rad(angles))
        sg = np.sin(np.deg2rad(angles[2]))
        y = (ca - cb * cg) / sg
        z = np.sqrt(1 - cb**2 - y**2)
        return np.array([[a, 0, 0], [b * cg, b * sg, 0], [c * cb, c * y, c * z]])

    @cached_property
    def atoms(self) -> tuple[NDArray[np.int64], Floats]:
        """Atomic numbers and fractional coordinates of all atoms of the cell."""
        from diffpy.structure.spacegroups import GetSpaceGroup

        numbers: list[int] = []
        places: list[Floats] = []
        for number, position in self.sites:
            seen: list[Floats] = []
            for operation in GetSpaceGroup(self.space_group).iter_symops():
                at = np.mod(operation(np.array(position, dtype=float)), 1.0)
                gaps = [np.abs(at - other - np.round(at - other)).max() for other in seen]
                if not gaps or min(gaps) > 1e-3:
                    seen.append(at)
            numbers.extend([number] * len(seen))
            places.extend(seen)
        return np.array(numbers, dtype=np.int64), np.array(places)

    def reflectors(self, d_min: float = 0.75, least: float = 0.04) -> tuple[Floats, Floats]:
        """Reciprocal vectors (n, 3) in 1/angstrom and strengths |F| (n,), one of each +-g.

        Strengths are scaled to a largest of 1, those below `least` left out. Scattering factors
        are Thomas-Fermi ones, Z / (g^2 + 1 / r^2), with r = 0.469 Z^(-1/3) angstrom.
        """
        reciprocal = np.linalg.inv(self.basis).T
        limit = [int(np.linalg.norm(v) / d_min) + 1 for v in self.basis]
        grids = np.meshgrid(*(np.arange(-n, n + 1) for n in limit), indexing="ij")
        hkl = np.stack([grid.ravel() for grid in grids], axis=1)
        leading = np.where(
            hkl[:, 0] != 0, hkl[:, 0], np.where(hkl[:, 1] != 0, hkl[:, 1], hkl[:, 2])
        )
        hkl = hkl[leading > 0]
        g = hkl @ reciprocal
        size = np.linalg.norm(g, axis=1)
        near = size < 1 / d_min
        hkl, g, size = hkl[near], g[near], size[near]
        numbers, places = self.atoms
        total = np.zeros(len(hkl), complex)
        for number in np.unique(numbers):
            # Per unit of 4 pi: only ratios matter.
            radius = 0.469 * number ** (-1 / 3)
            factor = number / ((2 * np.pi * size) ** 2 + radius**-2)
            phase = np.exp(2j * np.pi * hkl @ places[numbers == number].T).sum(axis=1)
            total += factor * phase
        strength = np.abs(total) * np.exp(-self.b_factor * size**2 / 4)
        strength /= strength.max()
        keep = strength > least
        return g[keep], strength[keep]

    def intensities(self, directions: Floats) -> NDArray[np.float32]:
        """Intensity along unit vectors (n, 3) of the Cartesian frame of `basis`."""
        g, strength = self.reflectors()
        rays = np.ascontiguousarray(directions, dtype=np.float32)
        total = np.zeros(len(rays), np.float32)
        for vector, amount in zip(g, strength, strict=True):
            size = np.linalg.norm(vector)
            edge = np.float32(wavelength(self.energy) * size / 2)
            distance = np.abs(rays @ (vector / size).astype(np.float32))
            near = distance < edge + 0.05
            x = (distance[near] - edge) / np.float32(0.006)
            # A bright band and a darker line beside its edge.
            soft = 1 / (1 + np.exp(np.clip(x, -30, 30)))
            total[near] += np.float32(amount) * (soft - 0.5 * np.exp(-((x - 1.5) ** 2) / 4))
        return total

    def master(self, half: int = 115) -> NDArray[np.float32]:
        """Master pattern (2, n, n), n = 2 half + 1, square Lambert, as `master.sample` reads it."""
        directions = lambert_directions(half).reshape(-1, 3)
        north = self.intensities(directions).reshape(2 * half + 1, -1)
        return np.stack([north, north[::-1, ::-1]])
