"""Poles of crystal directions in the axes of the map, and their density: pole figures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.symmetry import laue_operators

if TYPE_CHECKING:
    from orix.crystal_map import Phase

    from napari_ebsdml.scan import Scan

MOST_POLES = 20_000
"""Orientations that a pole figure is made of; a larger map is sampled evenly."""

HALF_WIDTH = 7.5
"""Of the kernel of a pole figure, in degrees."""

_BINS = 91


def crystal_directions(phase: Phase, indices: ArrayLike) -> NDArray[np.float64]:
    """Normals of lattice planes that are equivalent by the Laue group.

    Parameters
    ----------
    phase
        With a lattice and a point group.
    indices : (3,) or (4,)
        Miller indices (h k l), or Miller-Bravais (h k i l) with ``i = -h - k``.

    Returns
    -------
    (n, 3) float64
        Unit vectors in the crystal's Cartesian axes, one of each opposite pair.

    Raises
    ------
    InputError
        When the indices are no plane.
    MissingDataError
        When the phase has no point group.
    """
    hkl = np.asarray(indices, dtype=np.float64).ravel()
    if hkl.size == 4:
        if abs(hkl[:3].sum()) > 1e-6:
            raise InputError(
                f"({' '.join(f'{v:g}' for v in hkl)}) is no plane: h + k + i must be 0."
            )
        hkl = hkl[[0, 1, 3]]
    if hkl.size != 3 or not np.isfinite(hkl).all() or not hkl.any():
        raise InputError("A plane has three indices (h k l), or four (h k i l), not all 0.")
    operators = laue_operators(phase)
    # Rows of `base` are a, b, c; the reciprocal ones are the columns of its inverse.
    normal = np.linalg.inv(np.asarray(phase.structure.lattice.base)) @ hkl
    normal /= np.linalg.norm(normal)
    found: list[NDArray[np.float64]] = []
    for one in to_matrix(operators) @ normal:
        if not any(abs(one @ other) > 1 - 1e-6 for other in found):
            found.append(one)
    return np.asarray(found)


def poles(
    scan: Scan,
    phase_id: int,
    indices: ArrayLike,
    mask: ArrayLike | None = None,
    most: int | None = MOST_POLES,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Where plane normals of a phase point to.

    Parameters
    ----------
    scan
        Map with orientations.
    phase_id
        Phase, as in `Scan.phase_id`.
    indices
        Plane; see `crystal_directions`.
    mask : (rows, columns) bool, optional
        Pixels to use.
    most
        Orientations to use at most, taken evenly; None for all.

    Returns
    -------
    directions : (n, m, 3) float64
        Unit vectors in the axes of the map (x right, y down, z into the screen), of the m
        equivalent planes of each of n pixels; each turned to the side of the viewer, ``z <= 0``.
    pixels : (n,) int64
        Index of each pixel in the flattened map.

    Raises
    ------
    InputError
        When the map has no such phase, or the mask does not fit.
    """
    if phase_id not in scan.phases.ids:
        raise InputError(f"The map has no phase {phase_id}; there are {scan.phases.ids}.")
    chosen = scan.is_indexed & (scan.phase_id == phase_id)
    if mask is not None:
        where = np.asarray(mask)
        if where.shape != scan.shape or where.dtype != np.bool_:
            raise InputError(f"The mask must be bool of shape {scan.shape}.")
        chosen = chosen & where
    pixels = np.flatnonzero(chosen)
    if most is not None and pixels.size > most:
        pixels = pixels[np.linspace(0, pixels.size - 1, most).astype(np.int64)]
    normals = crystal_directions(scan.phases[phase_id], indices)
    # A quaternion takes the map's axes to the crystal's: its inverse is the transposed matrix.
    turns = to_matrix(scan.quaternions.reshape(-1, 4)[pixels])
    directions = np.einsum("nji,mj->nmi", turns, normals)
    # A plane has two normals.
    directions[directions[..., 2] > 0] *= -1
    return directions, pixels


def project(directions: NDArray[np.floating]) -> NDArray[np.float64]:
    """Stereographic projection of directions with ``z <= 0``: (..., 2), in the unit circle."""
    return np.asarray(directions[..., :2] / (1 + np.abs(directions[..., 2:])), dtype=np.float64)


def unproject(points: ArrayLike) -> NDArray[np.float64]:
    """Directions (..., 3) with ``z <= 0`` of points (..., 2) of a stereographic projection."""
    flat = np.asarray(points, dtype=np.float64)
    square = (flat**2).sum(axis=-1, keepdims=True)
    return np.concatenate((2 * flat, square - 1), axis=-1) / (1 + square)


def pole_density(
    directions: NDArray[np.floating], half_width: float = HALF_WIDTH, size: int = _BINS
) -> NDArray[np.float64]:
    """Density of poles as a picture of the stereographic projection.

    Parameters
    ----------
    directions : (..., 3)
        As from `poles`.
    half_width
        Of the kernel (de la Vallee Poussin's) in degrees.
    size
        Pixels along the diameter.

    Returns
    -------
    (size, size) float64
        Multiples of a random distribution; NaN outside the circle, and everywhere without poles.
        Row 0 is at the top (y negative), as on the map.

    Raises
    ------
    InputError
        When the half width is not between 1 and 45 degrees.

    Notes
    -----
    Hielscher and Schaeben, J. Appl. Cryst. 41 (2008) 1024, doi:10.1107/S0021889808030112.
    """
    if not 1 <= half_width <= 45:
        raise InputError(f"The half width must be 1 to 45 degrees, not {half_width:g}.")
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    points = np.stack(np.meshgrid(axis, axis), axis=-1)
    inside = (points**2).sum(axis=-1) <= 1
    density = np.full((size, size), np.nan)
    flat = np.asarray(directions, dtype=np.float64).reshape(-1, 3)
    if not len(flat):
        return density
    centres, counts = _binned(flat)
    # cos(angle / 2)^(2 kappa), with kappa such that it is half at the half width.
    kappa = 0.5 * math.log(0.5) / math.log(math.cos(math.radians(half_width) / 2))
    wanted = unproject(points[inside])
    total = np.zeros(len(wanted))
    for first in range(0, len(wanted), 512):
        cosine = wanted[first : first + 512] @ centres.T
        kernel = ((1 + cosine) / 2) ** kappa + ((1 - cosine) / 2) ** kappa
        total[first : first + 512] = kernel @ counts
    # Mean of the kernel over the sphere: 1 / (kappa + 1), for each of the two normals.
    density[inside] = total * (kappa + 1) / 2 / counts.sum()
    return density


def _binned(directions: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Few directions with weights in place of many: means of cells of equal area."""
    number = 96
    # Lambert's projection of the half sphere keeps areas.
    plane = directions[:, :2] / np.sqrt(np.maximum(1 + np.abs(directions[:, 2:]), 1e-12))
    cell = np.clip(((plane + 1) / 2 * number).astype(np.int64), 0, number - 1)
    index = cell[:, 1] * number + cell[:, 0]
    used, inverse, counts = np.unique(index, return_inverse=True, return_counts=True)
    sums = np.stack(
        [np.bincount(inverse, directions[:, k], minlength=len(used)) for k in range(3)], axis=-1
    )
    return sums / np.linalg.norm(sums, axis=-1, keepdims=True), counts.astype(np.float64)
