"""How much of the split over slip systems is real.

Six known numbers choose among 18 to 52 systems, by line energies that are known to some per cent.
The total hardly depends on them; which systems carry it may. The programme is solved again with
energies changed at random, and what stays where it was is the stable part.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, nth_of
from napari_ebsdml.dislocations.gnd.fit import fit_slip_systems
from napari_ebsdml.dislocations.gnd.phase_density import points_of
from napari_ebsdml.errors import InputError, MissingDataError

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.gnd.density import GndDensity


@dataclass(frozen=True, eq=False)
class SplitStability:
    """What stays of the split over slip systems when line energies change.

    Attributes
    ----------
    share : (rows, columns) array
        Part of each pixel's density that stays with its system and sign, 0 to 1; NaN: unknown.
    per_system : (n,) array
        The same part of each system's density over the whole map.
    total : float
        Mean relative change of the total density.
    jitter : float
        Standard deviation of the change of energies.
    """

    share: NDArray[np.float64]
    per_system: NDArray[np.float64]
    total: float
    jitter: float

    @property
    def sentence(self) -> str:
        """What to say beside every density of a single slip system."""
        lost = 100 * float(np.nanmean(self.share < 0.5))
        return (
            f"Which slip systems carry the density is not measured: with line energies changed by "
            f"{100 * self.jitter:.0f} %, more than half of it moves to other systems in "
            f"{lost:.0f} % of the pixels. The total changes by {100 * self.total:.1f} %."
        )


def split_stability(
    gnd: GndDensity, jitter: float = 0.05, draws: int = 4, seed: int = 0, progress: Progress = None
) -> SplitStability:
    """Stability of `gnd.per_system`; see `GndDensity.split_stability`."""
    if gnd.per_system is None:
        raise MissingDataError("The densities per slip system were not kept (keep_per_system).")
    if not 0 < jitter <= 0.3 or draws < 1:
        raise InputError("jitter must lie in 0 to 0.3, and draws be at least 1.")
    random = np.random.default_rng(seed)
    points, phases, _ = points_of(gnd.scan, gnd.grains, gnd.settings["grain_threshold"] or 3.0)
    turns, phase_of = points.on_map(points.turns), points.on_map(phases)
    share = np.full(gnd.total.shape, np.nan)
    kept, whole = np.zeros(len(gnd.systems)), np.zeros(len(gnd.systems))
    changes, number = [], 0
    for phase, columns in gnd.system_columns.items():
        known = np.isfinite(gnd.total) & (phase_of == phase)
        if not known.any():
            continue
        systems, rho = gnd.systems.select(columns), gnd.per_system[known, columns]
        stays = np.zeros(len(rho))
        for _ in range(draws):
            energies = systems.energies * np.exp(jitter * random.standard_normal(len(systems)))
            fit = fit_slip_systems(
                gnd.curvature[known], turns[known],
                dataclasses.replace(systems, energies=energies), gnd.settings["norm"],
                progress=nth_of(progress, number, draws * len(gnd.system_columns)),
            )  # fmt: skip
            number += 1
            other = fit.per_system
            assert other is not None
            same = np.where(rho * other > 0, np.minimum(np.abs(rho), np.abs(other)), 0)
            stays += same.sum(axis=1)
            kept[columns] += same.sum(axis=0)
            changes.append(float(np.abs(fit.total.sum() / gnd.total[known].sum() - 1)))
        whole[columns] += draws * np.abs(rho).sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            share[known] = stays / draws / gnd.total[known]
    with np.errstate(invalid="ignore", divide="ignore"):
        per_system = kept / whole
    return SplitStability(share, per_system, float(np.mean(changes or [np.nan])), jitter)
