"""What is asked about a phase of a map, and what the model answers for its windows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.dislocations.gnd.noise import RESOLUTION, OrientationNoise
from napari_ebsdml.dislocations.slip_systems import SlipSystems
from napari_ebsdml.dislocations.total.dense import read_dense
from napari_ebsdml.dislocations.total.model import TotalDensityModel
from napari_ebsdml.dislocations.total.segments import Cut
from napari_ebsdml.dislocations.total.statistics import NAMES, features
from napari_ebsdml.dislocations.total.windows import MEASURABLE, Windows
from napari_ebsdml.errors import InputError

LEAST_NOISE, MOST_NOISE = 3e-3, 30.0
"""Orientation noise in b / s that the estimator was trained for."""
QUIETEST = 0.3
"""Mean squared neighbour difference over that of the noise, below which the noise is another's."""


@dataclass(frozen=True)
class PhaseQuestion:
    """A phase whose density is asked for.

    Attributes
    ----------
    number, name
        Of the phase.
    sigma
        Orientation noise in degrees about each axis; NaN: could not be measured.
    measured
        Whether the noise was measured on the map.
    burgers
        Shortest Burgers vector in m.
    step
        In um.
    surface
        Whether the map is one of a free surface.
    side
        Of the squares of pixels whose mean orientations are read.
    """

    number: int
    name: str
    sigma: float
    measured: bool
    burgers: float
    step: float
    surface: bool
    side: int = 1

    @classmethod
    def of(
        cls, number: int, name: str, systems: SlipSystems, given: Any,
        measure: Callable[[], OrientationNoise], step: float, surface: bool,
    ) -> PhaseQuestion:  # fmt: skip
        """A question with the noise that is given in degrees, or else measured.

        Raises
        ------
        InputError
            When the noise that is given is none.
        """
        if given is None:
            sigma = float(measure().sigma)
            sigma = sigma if sigma >= RESOLUTION else float("nan")
        else:
            try:
                sigma = float(given)
            except (TypeError, ValueError):
                sigma = float("nan")
            if not (0 < sigma < 20):
                raise InputError(f"orientation_noise must be degrees above 0, not {given!r}.")
        burgers = float(systems.burgers_lengths.min()) * 1e-10
        return cls(number, name, sigma, given is None, burgers, step, surface)

    def of_means(self, side: int, noise: float) -> PhaseQuestion:
        """The same about mean orientations of squares, whose noise is that part of a pixel's."""
        return replace(self, sigma=self.sigma * noise, step=self.step * side, side=side)

    @property
    def unit(self) -> float:
        """Burgers vector over step, in radians."""
        return self.burgers / (self.step * 1e-6)

    @property
    def limit(self) -> float:
        """Density in 1/m^2 from which the map tells it."""
        return float(MEASURABLE * (np.radians(self.sigma) / self.burgers) ** 2)

    @property
    def trouble(self) -> str:
        """Why nothing can be told, or ""."""
        if self.sigma > 0:
            return ""
        return (
            f"The orientation noise of {self.name} could not be measured; give orientation_noise."
        )

    def answer(self, model: TotalDensityModel, cut: Cut, sums: NDArray[np.float64]) -> Windows:
        """What the windows tell whose sums are given, (len(cut), SUMS)."""
        number = len(cut)
        noise = np.radians(self.sigma) / self.unit
        told = np.full(number, float(np.clip(noise, LEAST_NOISE, MOST_NOISE)))
        inputs = features(sums, told, np.full(number, self.measured), np.full(number, self.surface))
        posterior, polarised = model.predict(inputs)
        once = model.calibration.interval(posterior, told)
        median, low, high = read_dense(model, inputs, told, once)
        # Without differences (all orientations the same) there is nothing to read.
        known = model.in_range(inputs) & (noise <= MOST_NOISE) & (sums[:, 0] >= 30)
        # Far less scatter than the noise alone would make: that noise is not this map's.
        known &= np.sinh(inputs[:, NAMES.index("D(1) / noise")]) / 5 + 1 > QUIETEST
        per_line = -2 * np.log10(self.step * 1e-6)
        return Windows(
            np.full(number, self.number, dtype=np.int64), cut.owner, cut.pixels * self.side**2,
            median + per_line, low + per_line, high + per_line, polarised,
            np.full(number, self.limit), known, np.full(number, per_line),
        )  # fmt: skip
