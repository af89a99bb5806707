"""GND density of a map that is seen band by band; equal to that of the whole in one piece.

Nothing here knows where the map is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.dislocations.gnd.curvature import check_stencil
from napari_ebsdml.dislocations.gnd.fit import check_norm, fit_slip_systems
from napari_ebsdml.dislocations.gnd.grid import square_grid
from napari_ebsdml.dislocations.gnd.grid_curvature import grid_curvature
from napari_ebsdml.dislocations.gnd.noise import RESOLUTION, OrientationNoise
from napari_ebsdml.dislocations.gnd.noise_floor import NoiseLevel, noise_level
from napari_ebsdml.dislocations.gnd.phase_density import CONJUGATE
from napari_ebsdml.dislocations.gnd.second_differences import BAND_HALO, second_differences
from napari_ebsdml.dislocations.slip_systems import SlipSystems
from napari_ebsdml.maps.symmetry import laue_operators

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

HALO = 2
"""Rows beside a band that the density of its pixels needs."""
NOISE_HALO = BAND_HALO


@dataclass(frozen=True)
class Part:
    """Some rows of a map.

    Attributes
    ----------
    scan, grains
        What was read, with a halo.
    first
        Row of the map at which it begins.
    keep
        Rows within it that are wanted.
    """

    scan: Scan
    grains: NDArray[np.int32]
    first: int
    keep: slice

    def of_phase(self, number: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Turns crystal -> specimen, and labels of the grains of a phase, 0 elsewhere."""
        labels = np.where(self.scan.phase_id == number, self.grains, 0).astype(np.int64)
        return self.scan.quaternions * CONJUGATE, labels


def band_density(
    part: Part, systems: dict[int, SlipSystems], norm: str, stencil: str
) -> dict[str, NDArray[Any]]:
    """Maps of the rows that are wanted, by the names of `GndDensity`; without the noise floor."""
    shape, keep = part.grains.shape, part.keep
    kept = (keep.stop - keep.start, shape[1])
    out: dict[str, NDArray[Any]] = {
        name: np.full(kept, np.nan) for name in ("total", "energy", "misfit", "curvature_gain")
    }
    out["curvature"] = np.full((*kept, 3, 3), np.nan)
    out["copied"] = np.zeros(kept, dtype=bool)
    grid = square_grid(shape, part.scan.step)
    for number, chosen in systems.items():
        phase = part.scan.phases[number]
        turns, labels = part.of_phase(number)
        flat = turns.reshape(-1, 4), labels.ravel()
        kappa, gain = grid_curvature(grid, *flat, check_stencil(stencil), laue_operators(phase))
        kappa, gain = kappa.reshape(*shape, 3, 3)[keep], gain.reshape(shape)[keep]
        known = np.isfinite(gain)
        copied = second_differences(*flat, grid.index, point_group=phase).is_copy
        out["copied"] |= copied.reshape(shape)[keep] & known
        if not known.any():
            continue
        fit = fit_slip_systems(
            kappa[known], turns[keep][known], chosen, check_norm(norm), keep_per_system=False
        )
        out["total"][known], out["energy"][known] = fit.total, fit.energy
        out["misfit"][known], out["curvature_gain"][known] = fit.misfit, gain[known]
        out["curvature"][known] = kappa[known]
    return out


def level_of(samples: Sequence[NDArray[Any]], systems: SlipSystems, norm: str) -> NoiseLevel:
    """What noise alone pretends in a phase.

    Parameters
    ----------
    samples
        Of each band every n-th orientation (pixels, 4) of those with a curvature, n of
        `sampling`.
    systems, norm
        In use.
    """
    return noise_level(systems, np.concatenate(samples) * CONJUGATE, norm)


def sampling(known: int) -> int:
    """One of how many pixels of a phase stands for all, so that some 65 000 do."""
    return max(1, known >> 16)


def floor_of(
    total: NDArray[np.float64], gain: NDArray[np.float64], phase_id: NDArray[np.int32],
    noise: dict[int, OrientationNoise], levels: dict[int, NoiseLevel],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:  # fmt: skip
    """Noise floor, and which pixels are above the noise."""
    floor, above = np.full(total.shape, np.nan), np.zeros(total.shape, dtype=bool)
    for number, level in levels.items():
        if not np.isfinite(noise[number].sigma):
            continue
        at = (phase_id == number) & np.isfinite(gain)
        spread = np.radians(max(noise[number].sigma, RESOLUTION)) * gain[at]
        floor[at] = level.median * spread
        above[at] = total[at] > level.high * spread
    return floor, above


def pooled(parts: Sequence[tuple[int, float, tuple[float, float], float]]) -> tuple[float, ...]:
    """Mean, both ends of its interval and mean with the noise, from those of bands.

    Parameters
    ----------
    parts
        Pixels, mean, interval and mean with the noise of each band. The bands share their noise,
        so the ends are averaged as the means are: no narrower than that of the whole.
    """
    weight = np.array([pixels for pixels, *_ in parts], dtype=float)
    if not weight.sum():
        return (float("nan"),) * 4
    table = np.array([[mean, *interval, raw] for _, mean, interval, raw in parts])
    use = weight > 0
    found = weight[use] @ table[use] / weight.sum()
    return tuple(float(value) for value in found)
