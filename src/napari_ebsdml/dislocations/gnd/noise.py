"""How well the orientations of a map are known, and what to say about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.dislocations.gnd.denoise import checked_grid
from napari_ebsdml.dislocations.gnd.second_differences import SecondDifferences, second_differences
from napari_ebsdml.dislocations.gnd.structure_function import (
    NoiseFit,
    fit_noise,
    mean_profile,
    median_profile,
)
from napari_ebsdml.errors import InputError

TRIMMED_SQUARE = 2.391598177163662
"""Mean square of the shortest 90 % of vectors of three independent standard normal numbers."""
LISTED = 0.3
"""From this part of neighbours with the same orientation on, orientations come from a list."""
COPIES_TOLD = 0.05
"""From this part of neighbours with the same orientation on, it is told that a file was cleaned."""
RESOLUTION = 1e-3
"""Degrees that orientations in files resolve at best; smaller noise is no measured noise."""
CORRELATION_TOLD = 0.1


@dataclass(frozen=True, eq=False)
class OrientationNoise:
    """Orientation noise of one phase of a map.

    Attributes
    ----------
    sigma : float
        Standard deviation of the typical pixel's error about each axis in degrees, taken as the
        same for the three axes; sqrt(3) of it is the root mean square angle. NaN: unknown.
    interval : (float, float)
        Degrees that hold 90 % of the probability.
    rms : float
        Root mean square about each axis in degrees, bad pixels included: what averages of
        squares have to be corrected for.
    correlation : float
        Of the errors of neighbouring pixels.
    identical : float
        Part of the pairs of neighbours in a grain with the same orientation; NaN without pairs.
    origin
        ``"measured"``; ``"given"`` by the user; ``"steps"``: orientations from a list, whose noise
        is a step or nothing; ``"unknown"``: no three points in a row lie in one grain.
    fit, differences
        What it was measured by, or None.
    """

    sigma: float
    interval: tuple[float, float]
    rms: float
    correlation: float
    identical: float
    origin: Literal["measured", "given", "steps", "unknown"]
    fit: NoiseFit | None = field(default=None, repr=False)
    differences: SecondDifferences | None = field(default=None, repr=False)

    def sentence(self, step: tuple[float, float], floor: float) -> str:
        """What the noise hides, in one to three sentences for people.

        Parameters
        ----------
        step : (dy, dx)
            In um.
        floor
            Density in 1/m^2 that noise alone shows in a typical pixel.
        """
        if self.origin == "unknown" or not np.isfinite(self.sigma):
            return (
                "The orientation noise could not be measured: no three pixels in a row in one "
                "grain. Give it as orientation_noise."
            )
        if self.sigma < RESOLUTION and self.origin != "given":
            return (
                "No orientation noise can be measured: most neighbouring pixels have the same "
                "orientation (indexed from a list of orientations, or filtered before)."
                if not self.identical < LISTED
                else "No orientation noise can be measured: orientations vary smoothly."
            )
        dy, dx = step
        size = f"{dx:.3g} um" if abs(dy - dx) < 1e-3 * dx else f"{dy:.3g} x {dx:.3g} um"
        low, high = self.interval
        extent = f" ({low:.2g} to {high:.2g})" if high > 1.25 * low else ""
        text = (
            f"Orientation noise of {self.sigma:.2g} deg{extent} at {size} hides anything below "
            f"{floor:.1g} 1/m^2 in a single pixel."
        )
        if self.correlation >= CORRELATION_TOLD:
            text += (
                f" The errors of neighbouring pixels go together (correlation "
                f"{self.correlation:.1f}): they share part of the probed volume, or the map was "
                "filtered."
            )
        if COPIES_TOLD <= self.identical < LISTED:
            text += (
                f" {100 * self.identical:.0f} % of the neighbouring pixels have the same "
                "orientation, copied by noise reduction before: gradients are falsely zero there, "
                "and averages leave these pixels out."
            )
        return text


def measure_noise(found: SecondDifferences) -> OrientationNoise:
    """Orientation noise from second differences, without the dislocations in them.

    Notes
    -----
    See `structure_function`. `sigma` is fitted to the medians, which stray pixels do not move,
    `rms` to the mean squares.
    """
    if found.identical >= LISTED:
        # A list of orientations (a dictionary, a coarse Hough space): the median may be zero.
        square = found.squares[:, found.lags == 1].astype(np.float64)
        square = np.sort(square[np.isfinite(square)])
        some = square[: max(int(0.9 * square.size), 1)]
        sigma = np.degrees(np.sqrt(some.mean() * 3 / TRIMMED_SQUARE)) if some.size else np.nan
        rms = np.degrees(np.sqrt(square.mean())) if some.size else np.nan
        return OrientationNoise(
            float(sigma), (0.0, float(rms)), float(rms), 0.0, found.identical, "steps", None, found
        )
    typical, mean = fit_noise(median_profile(found)), fit_noise(mean_profile(found))
    if typical is None or mean is None:
        nothing = (float("nan"), float("nan"))
        return OrientationNoise(
            *nothing[:1], nothing, nothing[0], 0.0, found.identical, "unknown", None, found
        )
    low, high = np.degrees(np.sqrt(typical.interval()))
    return OrientationNoise(
        float(np.degrees(np.sqrt(typical.mean))),
        (float(low), float(high)),
        float(np.degrees(np.sqrt(mean.mean))),
        mean.neighbours,
        found.identical,
        "measured",
        mean,
        found,
    )


def given_noise(sigma: float, found: SecondDifferences) -> OrientationNoise:
    """Orientation noise as the user gives it, in degrees.

    Raises
    ------
    InputError
        When it is negative or not finite.
    """
    value = float(sigma)
    if not 0 <= value < 30:
        raise InputError(f"orientation_noise must be 0 to 30 degrees, not {sigma!r}.")
    return OrientationNoise(
        value, (value, value), value, 0.0, found.identical, "given", None, found
    )


def orientation_noise(
    quaternions: NDArray[Any], grain_ids: NDArray[Any], point_group: Any = "m-3m"
) -> float:
    """Orientation noise of a map in degrees.

    Parameters
    ----------
    quaternions : (rows, columns, 4) array
        Crystal -> specimen.
    grain_ids : (rows, columns) int array
        0 for none.
    point_group
        What `laue_operators` takes.

    Returns
    -------
    float
        Standard deviation of the error about each axis; see `OrientationNoise.sigma`. NaN where
        no three pixels in a row lie in one grain.
    """
    return noise_of(quaternions, grain_ids, point_group).sigma


def noise_of(
    quaternions: NDArray[Any], grain_ids: NDArray[Any], point_group: Any = "m-3m"
) -> OrientationNoise:
    """Orientation noise of a map, with what goes with it; see `orientation_noise`."""
    q, grains = checked_grid(quaternions, grain_ids)
    index = np.arange(grains.size).reshape(grains.shape)
    return measure_noise(
        second_differences(q.reshape(-1, 4), grains.ravel(), index, point_group=point_group)
    )
