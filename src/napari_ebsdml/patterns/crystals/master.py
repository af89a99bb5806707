"""Whole-sphere master patterns: square Lambert projection, sampling, files of other programs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from napari_ebsdml.errors import FileFormatError, InputError
from napari_ebsdml.patterns.crystals.table import Structure
from napari_ebsdml.patterns.frame.triangle import FINE, node_directions

Floats = NDArray[np.floating]

_ROUGH = 50
"""Half the side of the grid that monoclinic and triclinic crystals are simulated on."""
_STEP = 0.75
"""Degrees between the directions that trigonal and hexagonal crystals are simulated on."""


def lambert_directions(half: int) -> NDArray[np.float64]:
    """Unit vectors (2 half + 1, 2 half + 1, 3) of the northern square Lambert grid.

    Row index runs with y, column index with x. The projection is that of Rosca,
    doi:10.1051/0004-6361/200913994, as EMsoft uses it.
    """
    axis = np.linspace(-1, 1, 2 * half + 1) * np.sqrt(np.pi / 2)
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    x, y = np.broadcast_arrays(axis[None, :], axis[:, None])
    wide = np.abs(x) >= np.abs(y)
    big, small = np.where(wide, x, y), np.where(wide, y, x)
    safe = np.where(big == 0, 1.0, big)
    angle = small * np.pi / (4 * safe)
    radius = 2 * big / np.pi * np.sqrt(np.maximum(np.pi - big**2, 0))
    first, second = radius * np.cos(angle), radius * np.sin(angle)
    z = 1 - 2 * big**2 / np.pi
    return np.stack([np.where(wide, first, second), np.where(wide, second, first), z], axis=-1)


def to_lambert(vectors: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Square Lambert coordinates x, y in -1..1 of unit vectors; z counts as its size."""
    x, y, z = np.moveaxis(vectors, -1, 0)
    root = np.sqrt(np.maximum(2 * (1 - np.abs(z)), 0))
    wide = np.abs(x) >= np.abs(y)
    big, small = np.where(wide, x, y), np.where(wide, y, x)
    safe = np.where(big == 0, 1.0, big)
    first = np.sign(big) * root * np.sqrt(np.pi) / 2
    second = np.sign(big) * root * 2 / np.sqrt(np.pi) * np.arctan(small / safe)
    scale = np.sqrt(np.pi / 2)
    return np.where(wide, first, second) / scale, np.where(wide, second, first) / scale


def sample(master: Floats, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bilinear values of a master pattern along unit vectors.

    Parameters
    ----------
    master : (2, n, n) array
        Northern and southern hemisphere on the square Lambert grid.
    vectors : (..., 3) array
        Unit vectors in the Cartesian crystal frame.
    """
    n = master.shape[-1]
    x, y = to_lambert(vectors)
    column, row = (x + 1) * (n - 1) / 2, (y + 1) * (n - 1) / 2
    c0 = np.clip(column.astype(np.intp), 0, n - 2)
    r0 = np.clip(row.astype(np.intp), 0, n - 2)
    dc, dr = column - c0, row - r0
    south = (vectors[..., 2] < 0).astype(np.intp)
    upper = master[south, r0, c0] * (1 - dc) + master[south, r0, c0 + 1] * dc
    lower = master[south, r0 + 1, c0] * (1 - dc) + master[south, r0 + 1, c0 + 1] * dc
    return upper * (1 - dr) + lower * dr


def _copies(space_group: int) -> tuple[tuple[int, int, int], ...]:
    """Orders of the axes whose triangles differ, for Laue groups between mmm and m-3m.

    Empty for others, whose mirrors are not all those of the axes.
    """
    if 195 <= space_group <= 206:
        return (0, 1, 2), (1, 0, 2)
    if 89 <= space_group <= 142:
        return (0, 1, 2), (2, 0, 1), (2, 1, 0)
    return ()


def _spread(
    triangles: NDArray[np.floating], copies: tuple[tuple[int, int, int], ...], vectors: Floats
) -> NDArray[np.float64]:
    """Values along unit vectors (m, 3) from those on the triangle of each copy, (k, nodes)."""
    size = np.abs(vectors)
    rank = np.argsort(np.argsort(size, axis=1, kind="stable"), axis=1)
    # The copy of a direction: which axis of the crystal holds which of its sorted components.
    cyclic = (rank[:, 1] - rank[:, 0]) % 3 == 1
    copy = np.where(cyclic, 0, 1) if len(copies) == 2 else 2 - rank[:, 2]
    x, y, z = np.sort(size, axis=1).T
    scale = FINE * 4 / np.pi
    v, u = np.arctan2(y, z) * scale, np.arctan2(x, z) * scale
    i = np.minimum(v.astype(np.intp), FINE - 1)
    j = np.minimum(u.astype(np.intp), i)
    fv, fu = v - i, u - j
    low = i * (i + 1) // 2 + j
    high = low + i + 1
    a, b, c = triangles[copy, low], triangles[copy, high], triangles[copy, high + 1]
    # A cell on the diagonal is half a cell: beyond it lies another copy.
    half = a * (1 - fv) + b * (fv - fu) + c * fu
    side = triangles[copy, np.minimum(low + 1, triangles.shape[1] - 1)]
    whole = (1 - fv) * ((1 - fu) * a + fu * side) + fv * ((1 - fu) * b + fu * c)
    return np.where(j == i, half, whole)


@dataclass(frozen=True)
class _Sector:
    """Part of the upper half sphere that a three- or sixfold axis along z leaves.

    A square grid has no such axis: bands finer than its step would differ between directions that
    are equivalent, and the pattern would lack its crystal's symmetry.

    Attributes
    ----------
    start, width
        Azimuths in degrees.
    is_mirrored
        Whether mirrors are its two edges; else it repeats.
    """

    start: float
    width: float
    is_mirrored: bool

    @classmethod
    def of(cls, space_group: int) -> _Sector | None:
        """That of a space group's Laue group, a along x; None for other systems."""
        if not 143 <= space_group <= 194:
            return None
        if space_group <= 148:
            return cls(0.0, 120.0, False)
        if space_group <= 167:
            # Mirrors contain a in -31m, and are normal to it in -3m1.
            along_a = space_group in (149, 151, 153, 157, 159, 162, 163)
            return cls(0.0 if along_a else 30.0, 60.0, True)
        return cls(0.0, 60.0, False) if space_group <= 176 else cls(0.0, 30.0, True)

    @property
    def _shape(self) -> tuple[int, int]:
        return round(90 / _STEP) + 1, round(self.width / _STEP) + 1

    @property
    def directions(self) -> NDArray[np.float64]:
        """Unit vectors (n, 3) to simulate."""
        rows, columns = self._shape
        polar = np.deg2rad(np.linspace(0, 90, rows))[:, None]
        azimuth = np.deg2rad(self.start + np.linspace(0, self.width, columns))
        x, y = np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth)
        return np.stack(np.broadcast_arrays(x, y, np.cos(polar)), axis=-1).reshape(-1, 3)

    def at(self, values: NDArray[np.floating], vectors: Floats) -> NDArray[np.float64]:
        """Values along unit vectors (m, 3) of the upper half from those of `directions`."""
        rows, columns = self._shape
        table = np.asarray(values, np.float64).reshape(rows, columns)
        polar = np.rad2deg(np.arccos(np.clip(vectors[:, 2], -1, 1)))
        azimuth = np.rad2deg(np.arctan2(vectors[:, 1], vectors[:, 0])) - self.start
        if self.is_mirrored:
            azimuth %= 2 * self.width
            azimuth = np.minimum(azimuth, 2 * self.width - azimuth)
        else:
            azimuth %= self.width
        at = np.stack([polar / 90 * (rows - 1), azimuth / self.width * (columns - 1)])
        return np.asarray(map_coordinates(table, at, order=1, mode="nearest"), np.float64)


def simulate_sphere(
    structure: Structure, energy: float = 20.0, half: int = 115, d_min: float | None = None
) -> NDArray[np.float32]:
    """Dynamical master pattern of any crystal, (2, n, n) with n = 2 half + 1.

    Tetragonal (4/mmm) and cubic crystals are simulated on the few triangles that their symmetry
    leaves, as finely as the crystals of m-3m (0.6 degrees), trigonal and hexagonal ones on the
    sector that their Laue group leaves (0.75 degrees), orthorhombic ones on a quarter of the grid;
    others every 1.4 degrees, which blurs the narrow bands of cells beyond about 5 angstrom.
    Opposite directions are taken to scatter alike (Friedel), as they nearly do where a crystal has
    no inversion.

    Raises
    ------
    MissingDataError
        When de-ebsd is not installed.
    """
    from napari_ebsdml.patterns.crystals.simulate import simulate_directions

    copies, sector = _copies(structure.space_group), _Sector.of(structure.space_group)
    vectors = lambert_directions(half)
    if copies:
        nodes = node_directions(FINE)
        wanted = np.concatenate([nodes[:, order] for order in copies])
        values = simulate_directions(structure, wanted, energy, d_min).reshape(len(copies), -1)
        north = _spread(values, copies, vectors.reshape(-1, 3)).reshape(vectors.shape[:2])
    elif sector is not None:
        values = simulate_directions(structure, sector.directions, energy, d_min)
        north = sector.at(values, vectors.reshape(-1, 3)).reshape(vectors.shape[:2])
    elif 16 <= structure.space_group <= 74:
        quarter = vectors[half:, half:]
        values = simulate_directions(structure, quarter.reshape(-1, 3), energy, d_min)
        north = np.pad(values.reshape(quarter.shape[:2]), ((half, 0), (half, 0)), "reflect")
    else:
        rough = lambert_directions(min(half, _ROUGH))
        values = simulate_directions(structure, rough.reshape(-1, 3), energy, d_min)
        north = sample(values.reshape(1, *rough.shape[:2]), vectors)
    return np.stack([north, north[::-1, ::-1]]).astype(np.float32)


def read_master(path: str | Path, energy: float | None = None) -> NDArray[np.float32]:
    """Read a master pattern that kikuchipy knows (EMsoft, ebsdsim, its own).

    Parameters
    ----------
    path
    energy
        Beam energy in keV for files with several; default: the highest.

    Returns
    -------
    (2, n, n) float32 array
        Square Lambert projection of the two hemispheres.

    Raises
    ------
    FileFormatError
        When kikuchipy cannot read the file as a master pattern.
    """
    if not Path(path).is_file():
        raise FileFormatError(path, "no such file.")
    import kikuchipy

    options: dict[str, str | float] = {"projection": "lambert", "hemisphere": "both"}
    if energy is not None:
        options["energy"] = energy
    try:
        signal = kikuchipy.load(str(path), **options)
        data = np.asarray(signal.data, dtype=np.float32)
    except Exception as error:
        raise FileFormatError(path, f"not a master pattern that kikuchipy reads: {error}") from None
    if data.ndim == 4:  # (hemispheres, energies, n, n)
        data = data[:, -1]
    if data.ndim == 2:
        data = np.stack([data, data])
    if data.ndim != 3 or data.shape[0] != 2 or data.shape[1] != data.shape[2]:
        raise FileFormatError(path, f"a master pattern needs shape (2, n, n), not {data.shape}.")
    return data


def fold_master(master: Floats, steps: int) -> NDArray[np.float32]:
    """Average of a master pattern over the 48 operations of m-3m, on the triangle's nodes.

    Parameters
    ----------
    master : (2, n, n) array
    steps
        Steps of the triangle's side.

    Returns
    -------
    (nodes,) float32 array
        Mean 0, standard deviation 1.

    Raises
    ------
    InputError
        When the master pattern has another shape or no contrast.
    """
    from itertools import permutations, product

    if master.ndim != 3 or master.shape[0] != 2 or master.shape[1] != master.shape[2]:
        raise InputError(f"A master pattern needs shape (2, n, n), not {master.shape}.")
    nodes = node_directions(steps)
    total = np.zeros(len(nodes))
    for order in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            total += sample(master, nodes[:, order] * signs)
    if not total.std() > 0:
        raise InputError("The master pattern has no contrast.")
    return ((total - total.mean()) / total.std()).astype(np.float32)
