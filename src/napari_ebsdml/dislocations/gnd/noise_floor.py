"""Density that orientation noise alone pretends: noise floors, before and after denoising."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.dislocations.gnd.denoise import denoise_points
from napari_ebsdml.dislocations.gnd.fit import fit_slip_systems
from napari_ebsdml.dislocations.gnd.grid import Grid
from napari_ebsdml.dislocations.gnd.grid_curvature import grid_curvature
from napari_ebsdml.dislocations.gnd.noise import OrientationNoise
from napari_ebsdml.dislocations.settings import Denoise
from napari_ebsdml.dislocations.slip_systems import SlipSystems
from napari_ebsdml.errors import MissingDataError
from napari_ebsdml.maps.symmetry import laue_operators

DRAWS = 4096


@dataclass(frozen=True)
class NoiseLevel:
    """Density that orientation noise alone pretends, per unit of curvature noise.

    Attributes
    ----------
    median, high
        Median and 95 % quantile of the total density in 1/m^2 when every known curvature
        component is noise of standard deviation 1 rad/um.
    """

    median: float
    high: float


def noise_level(
    systems: SlipSystems, quaternions: NDArray[Any], norm: str = "l1", seed: int = 0
) -> NoiseLevel:
    """Fit of the slip systems to curvature that is nothing but noise.

    Parameters
    ----------
    systems
        Slip systems in use.
    quaternions : (n, 4) array
        Orientations (crystal -> specimen) of the pixels, at least one; the noise fit uses some.
    norm
        As in `fit_slip_systems`.
    seed
        Of the random numbers.
    """
    turns = np.asarray(quaternions, dtype=np.float64).reshape(-1, 4)
    turns = turns[np.isfinite(turns).all(axis=1) & (np.abs(turns).max(axis=1, initial=0) > 0.1)]
    if not len(turns):
        raise MissingDataError("A noise level needs at least one orientation.")
    random = np.random.default_rng(seed)
    turns = turns[random.integers(len(turns), size=DRAWS)]
    curvature = random.standard_normal((DRAWS, 3, 3))
    curvature[:, :, 2] = np.nan
    total = fit_slip_systems(curvature, turns, systems, norm, keep_per_system=False).total
    median, high = np.quantile(total, (0.5, 0.95))
    return NoiseLevel(float(median), float(high))


def remaining_noise(
    settings: Denoise,
    stencil: str,
    noise: OrientationNoise,
    grid: Grid,
    labels: NDArray[Any],
    seed: int = 0,
    progress: Progress = None,
) -> NDArray[np.float64]:
    """Curvature noise after denoising as a share of that of independent errors before it.

    Measured on pure noise in the map's own grains (the middle of large maps): the filter is not
    linear, the errors of neighbouring points are no longer independent after it, and it has less
    to average near boundaries. The share is tabulated by how many points of the grain lie within
    `settings.radius` + 1.

    Parameters
    ----------
    settings, stencil
        In use.
    noise
        Orientation noise of the phase.
    grid, labels
        Points, and the grain (n,) of each, 0 for none.
    seed
        Of the random numbers.
    progress
        Called with the fraction done; what it raises ends the measurement.

    Returns
    -------
    (n,) array
        1 without noise.
    """
    if not noise.sigma > 0:
        return np.ones(len(labels))
    window, points = grid.middle(256)
    grains = np.asarray(labels)[points].astype(np.int64)
    alone = laue_operators("1")
    random = np.random.default_rng(seed)
    scale = noise.sigma if settings.sigma is None else settings.sigma
    offsets = grid.window(settings.radius + 1)
    counts = _same_grain(window.index, grains, offsets)
    number, summed = np.zeros(len(offsets) + 1), np.zeros(len(offsets) + 1)
    rounds = min(64, -(-(1 << 16) // max(len(grains), 1)))
    for turn in range(rounds):
        half = np.radians(noise.sigma) / 2 * random.standard_normal((len(grains), 3))
        q = np.concatenate((np.ones((len(grains), 1)), half), axis=1)
        q /= np.linalg.norm(q, axis=1, keepdims=True)
        smooth = denoise_points(window, q, grains, scale, settings, alone)
        kappa, gain = grid_curvature(window, smooth, grains, stencil, alone)
        known = np.isfinite(gain)
        if not known.any():
            return np.ones(len(labels))
        share = np.mean(kappa[known][:, :, :2] ** 2, axis=(1, 2))
        share /= (np.radians(noise.sigma) * gain[known]) ** 2
        number += np.bincount(counts[known], minlength=len(number))
        summed += np.bincount(counts[known], share, minlength=len(number))
        if progress is not None:
            progress((turn + 1) / rounds)
    # A count that hardly occurs borrows from those close to it.
    at = np.arange(len(number))
    weight = np.exp(-np.abs(at[:, None] - at) / 1.0) / (1 + number[:, None]) + np.eye(len(number))
    table = np.sqrt((weight @ summed) / (weight @ number))
    return np.asarray(table[_same_grain(grid.index, np.asarray(labels, np.int64), offsets)])


@njit(cache=True, nogil=True)
def _same_grain(index, grains, offsets):  # type: ignore[no-untyped-def]
    """How many points of its own grain each point has round it, itself included."""
    rows, columns = index.shape
    out = np.zeros(grains.size, dtype=np.int64)
    for r in range(rows):
        for c in range(columns):
            p = index[r, c]
            if p < 0 or grains[p] <= 0:
                continue
            for k in range(offsets.shape[0]):
                j, i = r + offsets[k, 0], c + offsets[k, 1]
                if 0 <= j < rows and 0 <= i < columns and index[j, i] >= 0:
                    out[p] += grains[index[j, i]] == grains[p]
    return out
