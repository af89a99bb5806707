"""GND density of the pixels of one phase: noise, denoising, curvature, fit, noise floor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.dislocations.gnd.denoise import denoise_points
from napari_ebsdml.dislocations.gnd.denoise_loss import DenoiseLoss, signal_left
from napari_ebsdml.dislocations.gnd.fit import SlipFit, fit_slip_systems
from napari_ebsdml.dislocations.gnd.grid import Grid, square_grid
from napari_ebsdml.dislocations.gnd.grid_curvature import grid_curvature
from napari_ebsdml.dislocations.gnd.hexagonal import (
    hexagonal_grid,
    point_labels,
    point_orientations,
)
from napari_ebsdml.dislocations.gnd.noise import (
    RESOLUTION,
    OrientationNoise,
    given_noise,
    measure_noise,
)
from napari_ebsdml.dislocations.gnd.noise_floor import noise_level, remaining_noise
from napari_ebsdml.dislocations.gnd.second_differences import second_differences
from napari_ebsdml.dislocations.settings import Denoise
from napari_ebsdml.dislocations.slip_systems import SlipSystems
from napari_ebsdml.maps.symmetry import laue_operators

if TYPE_CHECKING:
    from orix.crystal_map import Phase

    from napari_ebsdml.scan import Scan


CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])
"""Specimen -> crystal times this is crystal -> specimen."""


@dataclass(frozen=True)
class Method:
    """How a GND density is computed; arguments of `gnd_density`, checked."""

    norm: str
    stencil: str
    denoise: Denoise | None
    keep_per_system: bool


@dataclass(frozen=True, eq=False)
class Points:
    """Measured points of a map.

    Attributes
    ----------
    grid
        Where they stand.
    shape
        Rows and columns of the map.
    turns : (n, 4) array
        Crystal -> specimen; 0 where not indexed.
    labels : (n,) int array
        Grains, 0 for none.
    """

    grid: Grid
    shape: tuple[int, int]
    turns: NDArray[np.float64]
    labels: NDArray[np.int64]

    def only(self, which: NDArray[np.bool_]) -> Points:
        """The same points, of which only some (n,) count."""
        return Points(self.grid, self.shape, self.turns, np.where(which, self.labels, 0))

    def on_map(self, values: NDArray[Any]) -> NDArray[Any]:
        """Values (n, ...) of the points on the pixels of the map."""
        return self.grid.on_map(values, self.shape)


def points_of(
    scan: Scan, labels: NDArray[Any], threshold: float
) -> tuple[Points, NDArray[np.int32], str]:
    """Points that a map was measured at, their phases (n,), and what to say about them.

    Parameters
    ----------
    scan
        Map.
    labels : (rows, columns) int array
        Grains of its pixels, 0 for none.
    threshold
        Degrees within which a point that no pixel shows belongs to a grain beside it.
    """
    grid, note = hexagonal_grid(scan)
    if grid is not None:
        q, phases = point_orientations(scan)
        grains = point_labels(scan, labels, threshold)
    else:
        grid = square_grid(scan.shape, scan.step)
        q, phases = scan.quaternions.reshape(-1, 4), scan.phase_id.ravel()
        grains = np.ascontiguousarray(labels).astype(np.int64).ravel()
    return Points(grid, scan.shape, q * CONJUGATE, grains), phases, note


@dataclass(frozen=True, eq=False)
class PhaseDensity:
    """GND density of one phase.

    Attributes
    ----------
    at
        Index of the pixels in the map that the arrays below hold: ``...`` for a map of one
        phase, else the pixels with a curvature.
    curvature : (..., 3, 3) array
        In rad/um.
    gain
        Standard deviation of a component in 1/um for orientation errors of 1 rad.
    fit
        Densities; None where no pixel has a curvature.
    floor, above, copied
        See `GndDensity.noise_floor`, `above_noise` and `copied`.
    noise
        Orientation noise.
    systems
        How many slip systems the phase has.
    loss
        What denoising passes; None without.
    """

    at: Any
    curvature: NDArray[np.float64]
    gain: NDArray[np.float64]
    fit: SlipFit | None
    floor: NDArray[np.float64]
    above: NDArray[np.bool_]
    copied: NDArray[np.bool_]
    noise: OrientationNoise
    systems: int
    loss: DenoiseLoss | None = None


def phase_density(
    points: Points,
    phase: Phase,
    systems: SlipSystems,
    method: Method,
    sigma: float | None = None,
    whole: bool = False,
    progress: Progress = None,
) -> PhaseDensity:
    """GND density of one phase of a map.

    Parameters
    ----------
    points
        With the grains of this phase, 0 elsewhere.
    phase, systems, method
        What is computed, and how.
    sigma
        Orientation noise in degrees; None measures it.
    whole
        Whether the map has no other phase: its arrays are then used as they are, not copied.
    progress
        Called with the fraction done; what it raises ends the computation.
    """
    operators = laue_operators(phase)
    grid = points.grid
    found = second_differences(
        points.turns, points.labels, grid.index, (grid.directions, grid.diagonals), phase
    )
    noise = measure_noise(found) if sigma is None else given_noise(sigma, found)
    smooth, left, signal = _denoised(
        points, noise, operators, method, part_of(progress, 0.05, 0.35)
    )
    kappa, gain = grid_curvature(
        grid, smooth, points.labels, method.stencil, operators, part_of(progress, 0.35, 0.4)
    )
    if left is not None:
        gain *= left
    kappa, gain, smooth = points.on_map(kappa), points.on_map(gain), points.on_map(smooth)
    known = np.isfinite(gain)
    at: Any = ... if whole else known
    fit = None
    if known.any():
        fit = fit_slip_systems(
            kappa[at], smooth[at], systems, method.norm,
            keep_per_system=method.keep_per_system, progress=part_of(progress, 0.4),
        )  # fmt: skip
    floor = np.full(gain[at].shape, np.nan)
    above = np.zeros(floor.shape, dtype=bool)
    if fit is not None and np.isfinite(noise.sigma):
        some = smooth[known][:: max(1, int(known.sum()) >> 16)]
        pure = noise_level(systems, some, method.norm)
        spread = np.radians(max(noise.sigma, RESOLUTION)) * gain[at]
        floor = pure.median * spread
        above = fit.total > pure.high * spread
    copied = points.on_map(found.is_copy)[at]
    loss = None
    if left is not None and known.any():
        inside = points.labels > 0
        loss = DenoiseLoss(signal, float(np.sqrt(np.mean(left[inside] ** 2))))
    return PhaseDensity(
        at, kappa[at], gain[at], fit, floor, above, copied, noise, len(systems), loss
    )


def _denoised(
    points: Points,
    noise: OrientationNoise,
    operators: NDArray[np.float64],
    method: Method,
    progress: Progress,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None, float]:
    """Orientations to differentiate, and which part of the curvature's noise and signal is left."""
    settings = method.denoise
    if settings is None:
        return points.turns, None, 1.0
    level = noise.sigma if settings.sigma is None else settings.sigma
    if not np.isfinite(level):
        return points.turns, None, 1.0
    smooth = denoise_points(
        points.grid, points.turns, points.labels, level, settings, operators,
        part_of(progress, 0.0, 0.6),
    )  # fmt: skip
    left = remaining_noise(
        settings, method.stencil, noise, points.grid, points.labels,
        progress=part_of(progress, 0.6, 0.8),
    )  # fmt: skip
    signal = signal_left(
        settings, method.stencil, noise, points.grid, points.turns, points.labels, operators,
        progress=part_of(progress, 0.8),
    )  # fmt: skip
    return smooth, left, signal


def merged(
    found: Mapping[int, PhaseDensity], shape: tuple[int, int], keep_per_system: bool
) -> dict[str, Any]:
    """Maps of all phases, by the names of `GndDensity`."""
    counts = [phase.systems for phase in found.values()]
    whole = next((phase for phase in found.values() if phase.at is ...), None)
    if whole is not None and whole.fit is not None:
        fit = whole.fit
        return {
            "total": fit.total, "energy": fit.energy, "misfit": fit.misfit,
            "per_system": fit.per_system, "curvature": whole.curvature,
            "curvature_gain": whole.gain, "noise_floor": whole.floor, "above_noise": whole.above,
            "copied": whole.copied,
        }  # fmt: skip
    names = ("total", "energy", "misfit", "noise_floor", "curvature_gain")
    maps: dict[str, Any] = {name: np.full(shape, np.nan) for name in names}
    maps["curvature"] = np.full((*shape, 3, 3), np.nan)
    maps["above_noise"], maps["copied"] = (np.zeros(shape, dtype=bool) for _ in range(2))
    maps["per_system"] = None
    if keep_per_system:
        maps["per_system"] = np.full((*shape, sum(counts)), np.nan, dtype=np.float32)
    first = 0
    for phase, count in zip(found.values(), counts, strict=True):
        last = first + count
        if phase.fit is not None:
            at, fit = phase.at, phase.fit
            maps["total"][at], maps["energy"][at] = fit.total, fit.energy
            maps["misfit"][at], maps["curvature"][at] = fit.misfit, phase.curvature
            maps["curvature_gain"][at], maps["copied"][at] = phase.gain, phase.copied
            maps["noise_floor"][at], maps["above_noise"][at] = phase.floor, phase.above
            if keep_per_system:
                maps["per_system"][at] = 0
                maps["per_system"][at, first:last] = fit.per_system
        first = last
    return maps
