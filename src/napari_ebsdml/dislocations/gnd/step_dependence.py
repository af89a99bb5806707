"""GND density against step: the same map with every second, third ... point left.

What a pixel cannot resolve is not in its GND density, so that the density falls with the step, and
noise falls faster. Two maps compare at one step only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, nth_of
from napari_ebsdml.dislocations.gnd.average import GndAverage, average
from napari_ebsdml.dislocations.gnd.fit import fit_slip_systems
from napari_ebsdml.dislocations.gnd.grid_curvature import grid_curvature
from napari_ebsdml.dislocations.gnd.phase_density import points_of
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.symmetry import laue_operators

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.gnd.density import GndDensity

FACTORS = (1, 2, 3, 4, 6)


@dataclass(frozen=True, eq=False)
class StepDependence:
    """Average GND density of a map at several steps.

    Attributes
    ----------
    factors : tuple of int
        Steps in steps of the map.
    steps : (k,) array
        In um.
    averages : tuple of GndAverage
        At each step.
    noise : (k,) array
        Mean noise floor in 1/m^2 at each step: falls as 1 / step.
    slope : float
        d(log density) / d(log step) of the densities without noise; NaN for fewer than two.
    """

    factors: tuple[int, ...]
    steps: NDArray[np.float64]
    averages: tuple[GndAverage, ...]
    noise: NDArray[np.float64]
    slope: float

    def at(self, step: float) -> float:
        """Density in 1/m^2 at a step in um, between those that were computed.

        Raises
        ------
        InputError
            When the step is not one that the map can tell.
        """
        known = [
            (size, found.density)
            for size, found in zip(self.steps, self.averages, strict=True)
            if np.isfinite(found.density) and not found.is_bound
        ]
        if not known or not known[0][0] * 0.999 <= step <= known[-1][0] * 1.001:
            extent = f"{known[0][0]:.3g} to {known[-1][0]:.3g} um" if known else "no step"
            raise InputError(f"The map tells its GND density at {extent}, not at {step:g} um.")
        sizes, values = np.log(np.array(known)).T
        return float(np.exp(np.interp(np.log(step), sizes, values)))

    @property
    def sentence(self) -> str:
        """How the density depends on the step."""
        if not np.isfinite(self.slope):
            return "How the GND density depends on the step cannot be told: noise rules."
        return (
            f"The GND density goes with the step to the power of {self.slope:.2f}: compare maps "
            "at one step only."
        )


def step_dependence(
    gnd: GndDensity,
    factors: tuple[int, ...] = FACTORS,
    mask: NDArray[np.bool_] | None = None,
    progress: Progress = None,
) -> StepDependence:
    """Average density at multiples of the step; see `GndDensity.step_dependence`."""
    return step_dependences(gnd, [mask], factors, progress)[0]


def step_dependences(
    gnd: GndDensity,
    parts: Sequence[NDArray[Any] | None],
    factors: tuple[int, ...] = FACTORS,
    progress: Progress = None,
) -> list[StepDependence]:
    """The same for several parts of a map, whose curvatures are computed once.

    Parameters
    ----------
    gnd
        Density of the map.
    parts
        Of each a bool mask (rows, columns), the flat indices of its pixels, or None for all.
    factors, progress
        As `GndDensity.step_dependence` takes them.
    """
    if not factors or any(not isinstance(f, int) or not 1 <= f <= 64 for f in factors):
        raise InputError(f"factors must be whole numbers 1 to 64, not {factors!r}.")
    factors = tuple(sorted(set(factors)))
    base = gnd.undenoised
    steps = [gnd.point_step * factor for factor in factors]
    averages: list[list[GndAverage]] = [[] for _ in parts]
    noise: list[list[float]] = [[] for _ in parts]
    for index, factor in enumerate(factors):
        wide = base if factor == 1 else _wider(base, factor, nth_of(progress, index, len(factors)))
        for number, part in enumerate(parts):
            mask = part
            if part is not None and part.dtype != bool:
                mask = np.zeros(gnd.total.shape, dtype=bool)
                mask.ravel()[part] = True
            found = dataclasses.replace(average(wide, mask), step=steps[index])
            averages[number].append(found)
            floor = wide.noise_floor if mask is None else wide.noise_floor[mask]
            floor = floor[np.isfinite(floor)]
            noise[number].append(float(floor.mean()) if floor.size else float("nan"))
    return [
        StepDependence(factors, np.array(steps), tuple(a), np.array(n), _slope(steps, a))
        for a, n in zip(averages, noise, strict=True)
    ]


def _slope(steps: list[float], averages: list[GndAverage]) -> float:
    good = [
        (size, found.density)
        for size, found in zip(steps, averages, strict=True)
        if np.isfinite(found.density) and not found.is_bound and found.density > 0
    ]
    if len(good) < 2:
        return float("nan")
    x, y = np.log(np.array(good)).T
    return float(np.polyfit(x, y, 1)[0])


def _wider(gnd: GndDensity, factor: int, progress: Progress) -> GndDensity:
    """The density that every point has with the points `factor` steps away as neighbours."""
    threshold = gnd.settings["grain_threshold"] or 3.0
    points, phases, _ = points_of(gnd.scan, gnd.grains, threshold)
    maps: dict[str, Any] = {
        "curvature": np.full_like(gnd.curvature, np.nan),
        "curvature_gain": np.full_like(gnd.curvature_gain, np.nan),
        "total": np.full_like(gnd.total, np.nan),
    }
    for number, columns in gnd.system_columns.items():
        mine = points.only(phases == number)
        kappa, gain = grid_curvature(
            mine.grid, mine.turns, mine.labels, gnd.settings["stencil"],
            laue_operators(gnd.scan.phases[number]), reach=factor,
        )  # fmt: skip
        kappa, gain = mine.on_map(kappa), mine.on_map(gain)
        known = np.isfinite(gain)
        if not known.any():
            continue
        fit = fit_slip_systems(
            kappa[known], mine.on_map(mine.turns)[known], gnd.systems.select(columns),
            gnd.settings["norm"], keep_per_system=False, progress=progress,
        )  # fmt: skip
        maps["curvature"][known], maps["curvature_gain"][known] = kappa[known], gain[known]
        maps["total"][known] = fit.total
    with np.errstate(invalid="ignore"):
        floor = gnd.noise_floor * (maps["curvature_gain"] / gnd.curvature_gain)
    return dataclasses.replace(gnd, **maps, noise_floor=floor)
