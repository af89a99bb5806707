"""GND density of the pixels of one phase: noise, denoising, curvature, fit, noise floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.dislocations.curvature import curvature_and_gain
from napari_ebsdml.dislocations.denoise import Denoise, denoise_orientations
from napari_ebsdml.dislocations.fit import SlipFit, fit_slip_systems
from napari_ebsdml.dislocations.noise import (
    RESOLUTION,
    identical_part,
    noise_level,
    orientation_noise,
    remaining_noise,
)
from napari_ebsdml.dislocations.slip_systems import SlipSystems
from napari_ebsdml.maps.symmetry import laue_operators

if TYPE_CHECKING:
    from orix.crystal_map import Phase


@dataclass(frozen=True)
class Method:
    """How a GND density is computed; arguments of `gnd_density`, checked."""

    norm: str
    stencil: str
    denoise: Denoise | None
    keep_per_system: bool


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
    fit
        Densities; None where no pixel has a curvature.
    floor, above
        See `GndDensity.noise_floor` and `GndDensity.above_noise`.
    noise
        Orientation noise in degrees.
    identical
        Part of the pairs of neighbours in a grain that have the same orientation.
    systems
        How many slip systems the phase has.
    """

    at: Any
    curvature: NDArray[np.float64]
    fit: SlipFit | None
    floor: NDArray[np.float64]
    above: NDArray[np.bool_]
    noise: float
    identical: float
    systems: int


def phase_density(
    turns: NDArray[np.float64],
    labels: NDArray[Any],
    step: tuple[float, float],
    phase: Phase,
    systems: SlipSystems,
    method: Method,
    whole: bool = False,
    progress: Progress = None,
) -> PhaseDensity:
    """GND density of one phase of a map.

    Parameters
    ----------
    turns : (rows, columns, 4) array
        Crystal -> specimen.
    labels : (rows, columns) int array
        Grains of this phase, 0 elsewhere.
    step : (dy, dx)
        In um.
    phase, systems, method
        What is computed, and how.
    whole
        Whether the map has no other phase: its arrays are then used as they are, not copied.
    progress
        Called with the fraction done; what it raises ends the computation.
    """
    noise = orientation_noise(turns, labels, phase)
    identical = identical_part(turns, labels, phase)
    smooth, left = _denoised(turns, labels, noise, phase, method, part(progress, 0.0, 0.35))
    kappa, gain = curvature_and_gain(
        smooth, labels, step, method.stencil, laue_operators(phase), part(progress, 0.35, 0.05)
    )
    known = np.isfinite(gain)
    at: Any = ... if whole else known
    fit = None
    if known.any():
        fit = fit_slip_systems(
            kappa[at], smooth[at], systems, method.norm,
            keep_per_system=method.keep_per_system, progress=part(progress, 0.4, 0.6),
        )  # fmt: skip
    floor = np.full(gain[at].shape, np.nan)
    above = np.zeros(floor.shape, dtype=bool)
    if fit is not None and np.isfinite(noise):
        some = turns[known][:: max(1, int(known.sum()) >> 16)]
        pure = noise_level(systems, some, method.norm)
        spread = np.radians(max(noise, RESOLUTION)) * gain[at]
        if left is not None:
            spread *= left[at]
        floor = pure.median * spread
        above = fit.total > pure.high * spread
    return PhaseDensity(at, kappa[at], fit, floor, above, noise, identical, len(systems))


def _denoised(
    turns: NDArray[np.float64],
    labels: NDArray[Any],
    noise: float,
    phase: Phase,
    method: Method,
    progress: Progress,
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Orientations to differentiate, and which part of the curvature's noise they still have."""
    settings = method.denoise
    if settings is None:
        return turns, None
    level = noise if settings.sigma is None else settings.sigma
    if not np.isfinite(level):
        return turns, None
    smooth = denoise_orientations(
        turns, labels, level, settings.radius, settings.passes, phase, part(progress, 0.0, 0.85)
    )
    left = remaining_noise(
        settings, method.stencil, noise, labels, progress=part(progress, 0.85, 0.15)
    )
    return smooth, left


def part(progress: Progress, start: float, share: float) -> Progress:
    """Progress of a part of the work."""
    return None if progress is None else lambda done: progress(start + share * done)
