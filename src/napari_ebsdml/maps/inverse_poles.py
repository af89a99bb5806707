"""Crystal directions along an axis of the map, and their density: inverse pole figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.color_key import color_key
from napari_ebsdml.maps.poles import MOST_POLES
from napari_ebsdml.maps.symmetry import laue_operators

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

_BINS = 60
_ROWS = 100_000
"""Orientations at a time, so that a large map takes little memory."""
_EDGE = 1e-7


def inverse_poles(
    scan: Scan,
    phase_id: int,
    direction: ArrayLike = (0, 0, 1),
    mask: ArrayLike | None = None,
    most: int | None = MOST_POLES,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Which crystal direction lies along an axis of the map, in the fundamental sector.

    Parameters
    ----------
    scan
        Map with orientations.
    phase_id
        Phase, as in `Scan.phase_id`.
    direction
        Axis of the map: x right, y down, z into the screen.
    mask : (rows, columns) bool, optional
        Pixels to use.
    most
        Orientations to use at most, taken evenly; None for all.

    Returns
    -------
    points : (n, 2) float64
        Stereographic projection, as the colour key of `ipf_key` is drawn.
    pixels : (n,) int64
        Index of each pixel in the flattened map.

    Raises
    ------
    InputError
        When the map has no such phase, the direction is 0, or the mask does not fit.
    MissingDataError
        When the phase has no point group.
    """
    turns, pixels, axis = _turns(scan, phase_id, direction, mask, most)
    key = color_key(scan.phases[phase_id])
    points = np.empty((len(pixels), 2))
    for start in range(0, len(pixels), _ROWS):
        part = slice(start, start + _ROWS)
        along = key.turned_in((to_matrix(turns[part]) @ axis).T).T
        points[part] = along[:, :2] / (1 + np.maximum(along[:, 2:], 0))
    return points, pixels


def inverse_pole_density(
    points: NDArray[np.float64], phase: object, bins: int = _BINS
) -> tuple[NDArray[np.float64], tuple[float, float, float, float]]:
    """Density in multiples of a random texture.

    Parameters
    ----------
    points : (n, 2)
        Of `inverse_poles`.
    phase
        The phase that they are of.
    bins
        Cells along the longer side of the sector.

    Returns
    -------
    density : (rows, columns) float64
        First row at the top; NaN outside the sector.
    extent : (left, right, bottom, top)
        Of the picture in the projection.
    """
    from scipy.ndimage import gaussian_filter

    from napari_ebsdml.maps.ipf import sector_points

    key = color_key(phase)
    outline = sector_points(key)
    low, high = outline.min(axis=0), outline.max(axis=0)
    cell = float((high - low).max()) / bins
    columns, rows = (max(1, int(np.ceil(n / cell - 1e-6))) for n in high - low)
    x = low[0] + (np.arange(columns) + 0.5) * cell
    y = high[1] - (np.arange(rows) + 0.5) * cell
    across, down = np.meshgrid(x, y)
    r2 = across**2 + down**2
    vectors = np.stack((2 * across, 2 * down, 1 - r2), axis=-1) / (1 + r2)[..., None]
    inside = (vectors @ key.normals.T >= -_EDGE).all(axis=-1)
    # A cell of the projection stands for so much of the sphere.
    weight = np.where(inside, 4 / (1 + r2) ** 2, 0.0)
    column = np.clip(((points[:, 0] - low[0]) / cell).astype(int), 0, columns - 1)
    row = np.clip(((high[1] - points[:, 1]) / cell).astype(int), 0, rows - 1)
    count = np.bincount(row * columns + column, minlength=rows * columns).reshape(rows, columns)
    # Smoothed alike, so that the rim loses nothing.
    smooth = gaussian_filter(count.astype(float), 1.5) / max(len(points), 1)
    area = gaussian_filter(weight / max(float(weight.sum()), _EDGE), 1.5)
    density = np.full((rows, columns), np.nan)
    density[inside] = smooth[inside] / np.maximum(area[inside], _EDGE)
    extent = (low[0], low[0] + columns * cell, high[1] - rows * cell, high[1])
    return density, tuple(float(v) for v in extent)  # type: ignore[return-value]


def pixels_along(
    scan: Scan,
    phase_id: int,
    point: tuple[float, float],
    direction: ArrayLike = (0, 0, 1),
    degrees: float = 5.0,
) -> NDArray[np.bool_]:
    """Pixels that have a crystal direction along an axis of the map.

    Parameters
    ----------
    scan, phase_id, direction
        As for `inverse_poles`.
    point
        Crystal direction, as a point of the projection.
    degrees
        How far from it at most.

    Returns
    -------
    (rows, columns) bool

    Raises
    ------
    InputError
        As for `inverse_poles`.
    """
    turns, pixels, axis = _turns(scan, phase_id, direction, None, None)
    x, y = point
    r2 = x * x + y * y
    wanted = np.array([2 * x, 2 * y, 1 - r2]) / (1 + r2)
    every = to_matrix(laue_operators(scan.phases[phase_id])) @ wanted
    found = np.zeros(scan.phase_id.size, dtype=bool)
    for start in range(0, len(pixels), _ROWS):
        part = slice(start, start + _ROWS)
        along = to_matrix(turns[part]) @ axis
        near = np.abs(along @ every.T).max(axis=1) >= np.cos(np.radians(degrees))
        found[pixels[part][near]] = True
    return found.reshape(scan.shape)


def _turns(
    scan: Scan, phase_id: int, direction: ArrayLike, mask: ArrayLike | None, most: int | None
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.float64]]:
    """Orientations, their pixels, and the axis as a unit vector."""
    if phase_id not in scan.phases.ids:
        raise InputError(f"The map has no phase {phase_id}; there are {scan.phases.ids}.")
    axis = np.asarray(direction, dtype=np.float64).ravel()
    if axis.size != 3 or not np.isfinite(axis).all() or not axis.any():
        raise InputError("A direction has three components, not all 0.")
    chosen = scan.is_indexed & (scan.phase_id == phase_id)
    if mask is not None:
        where = np.asarray(mask)
        if where.shape != scan.shape or where.dtype != np.bool_:
            raise InputError(f"The mask must be bool of shape {scan.shape}.")
        chosen = chosen & where
    pixels = np.flatnonzero(chosen)
    if most is not None and pixels.size > most:
        pixels = pixels[np.linspace(0, pixels.size - 1, most).astype(np.int64)]
    return scan.quaternions.reshape(-1, 4)[pixels], pixels, axis / np.linalg.norm(axis)
