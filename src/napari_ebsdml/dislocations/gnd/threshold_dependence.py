"""GND density against the grain threshold: what counts as a boundary sets the mean.

Misorientations above the threshold bound grains and are left out; those below it are lattice
curvature, and the largest of them weigh most in a mean.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, nth_of
from napari_ebsdml.dislocations.gnd.average import GndAverage
from napari_ebsdml.errors import InputError

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.gnd.density import GndDensity

THRESHOLDS = (1.5, 3.0, 5.0, 10.0, 15.0)
FACTOR_TOLD = 1.2
"""Change of the mean from which on medians are recommended."""


NOISY = 2.0
"""Means with and without noise this far apart: the median, which holds the noise, is no better."""


@dataclass(frozen=True, eq=False)
class ThresholdDependence:
    """Average GND density of a map at several grain thresholds.

    Attributes
    ----------
    thresholds : tuple of float
        In degrees.
    averages : tuple of GndAverage
        At each threshold.
    """

    thresholds: tuple[float, ...]
    averages: tuple[GndAverage, ...]

    @property
    def sentence(self) -> str:
        """How mean and median depend on the threshold."""
        means = np.array([a.density for a in self.averages])
        medians = np.array([a.median for a in self.averages])
        known = np.isfinite(means) & np.isfinite(medians)
        if not known.any():
            return "How the GND density depends on the grain threshold cannot be told."
        low, high = np.array(self.thresholds)[known][[0, -1]]
        mean, median = ((v[known].min(), v[known].max()) for v in (means, medians))
        text = (
            f"With a grain threshold of {low:g} to {high:g} deg the mean is {mean[0]:.2g} to "
            f"{mean[1]:.2g} 1/m^2, the median {median[0]:.2g} to {median[1]:.2g} (noise included)"
        )
        if mean[1] <= FACTOR_TOLD * mean[0]:
            return f"{text}."
        noisy = any(a.raw_mean > NOISY * a.density for a in self.averages)
        steadier = median[1] * mean[0] < median[0] * mean[1]
        advice = ", and prefer the median" if steadier and not noisy else ""
        return f"{text}: state the threshold{advice}."


def threshold_dependence(
    density_at: Callable[[float, Progress], GndDensity],
    thresholds: tuple[float, ...] = THRESHOLDS,
    mask: NDArray[np.bool_] | None = None,
    progress: Progress = None,
) -> ThresholdDependence:
    """Average density with other grains; see `GndDensity.threshold_dependence`.

    `density_at` computes the density at a threshold in degrees, and tells its progress.
    """
    if not thresholds or any(not 0 < float(t) <= 180 for t in thresholds):
        raise InputError(f"thresholds must be degrees above 0 and up to 180, not {thresholds!r}.")
    sizes = tuple(sorted({float(t) for t in thresholds}))
    found = [
        density_at(size, nth_of(progress, index, len(sizes))).average(mask)
        for index, size in enumerate(sizes)
    ]
    return ThresholdDependence(sizes, tuple(found))
