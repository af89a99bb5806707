"""Average GND density without the noise, with the interval that it is known to.

Noise adds to the mean square of the curvature what its variance says; taken off, the rest is the
lattice's, whatever the density of a single pixel is worth. The mean follows from the mean square
with the shape of the distribution (`magnitudes`). The interval holds the error of the noise
variance, over all shapes that it was fitted with, and the scatter between independent parts of
the map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.dislocations.gnd.magnitudes import shape_factor
from napari_ebsdml.dislocations.gnd.noise import OrientationNoise
from napari_ebsdml.dislocations.gnd.second_differences import TILE
from napari_ebsdml.dislocations.gnd.structure_function import (
    LEVEL,
    error_correlation,
    fit_noise,
    mean_profile,
    mixture_quantiles,
)
from napari_ebsdml.errors import InputError

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.gnd.density import GndDensity

FLOATS = NDArray[np.float64]
GRAINS = 10.0
"""From this effective number of grains on, the grains are the independent parts of a map."""
OPEN = 0.15
"""Relative error of the conversion from curvature to density where all is noise."""
SHAPED = 400
"""Pixels from which on the distribution is resolved; fewer keep the shape that is measured."""


@dataclass(frozen=True)
class GndAverage:
    """Average GND density of some pixels; a number wherever one is needed.

    Attributes
    ----------
    density : float
        Mean in 1/m^2 without the noise; NaN without pixels or where the noise is not known.
    interval : (float, float)
        1/m^2, 90 %: noise, and the scatter between independent parts of the map.
    is_bound : bool
        Whether noise rules: the density is then below `interval[1]`, and nothing else is known.
    raw_mean, median : float
        Mean and median of the pixels as they are, noise included, 1/m^2.
    pixels : int
        With a density.
    copied : float
        Part of them whose orientations noise reduction copied; left out below one half.
    independent : float
        Effective number of independent parts (grains, or squares of 8 x 8 pixels).
    step : float
        In um: another step gives another density.
    """

    density: float
    interval: tuple[float, float]
    is_bound: bool
    raw_mean: float
    median: float
    pixels: int
    copied: float
    independent: float
    step: float

    def __float__(self) -> float:
        return self.density

    @property
    def sentence(self) -> str:
        """The average in one or two sentences."""
        low, high = self.interval
        if not np.isfinite(self.density):
            text = f"Mean GND density {self.raw_mean:.2g} 1/m^2, noise included and not known."
        elif self.is_bound:
            text = (
                f"Mean GND density below {high:.2g} 1/m^2 at a step of {self.step:.3g} um: "
                "orientation noise explains what the map shows."
            )
        else:
            text = (
                f"Mean GND density {self.density:.2g} 1/m^2 without the noise ({low:.2g} to "
                f"{high:.2g}, 90 %) at a step of {self.step:.3g} um; {self.raw_mean:.2g} with it."
            )
        if 0.01 <= self.copied < 0.5:
            text += f" {100 * self.copied:.0f} % of the pixels are copies and left out."
        return text


def average(gnd: GndDensity, mask: NDArray[Any] | None = None) -> GndAverage:
    """Average of the pixels of `mask`; see `GndDensity.average`.

    `gnd` must not be denoised: `GndDensity.average` sees to it.
    """
    chosen = np.ones(gnd.total.shape, bool) if mask is None else np.asarray(mask)
    if chosen.shape != gnd.total.shape or chosen.dtype != bool:
        raise InputError(
            f"mask must be bool of shape {gnd.total.shape}, not {chosen.dtype} of {chosen.shape}."
        )
    known = chosen & np.isfinite(gnd.total) & (gnd.grains > 0)
    pixels = int(known.sum())
    nothing = float("nan")
    step = gnd.point_step
    if not pixels:
        return GndAverage(nothing, (nothing, nothing), False, nothing, nothing, 0, 0.0, 0.0, step)
    raw = gnd.total[known]
    parts = []
    for number, noise in gnd.noise.items():
        some = known & (gnd.scan.phase_id == number)
        if some.any():
            parts.append((int(some.sum()), _phase(gnd, some, noise, mask is None)))
    weight = np.array([n for n, _ in parts]) / sum(n for n, _ in parts)
    density = float(weight @ np.array([part[0] for _, part in parts]))
    # Phases are independent of each other: their errors add in squares.
    down, up = (
        float(np.sqrt(np.sum((weight * [abs(part[i] - part[0]) for _, part in parts]) ** 2)))
        for i in (1, 2)
    )
    return GndAverage(
        density,
        (max(density - down, 0.0), density + up),
        bool(density - down <= 0.02 * density),
        float(raw.mean()),
        float(np.median(raw)),
        pixels,
        float(gnd.copied[known].mean()),
        float(sum(part[3] for _, part in parts)),
        step,
    )


def _phase(
    gnd: GndDensity, some: NDArray[np.bool_], noise: OrientationNoise, everything: bool
) -> tuple[float, float, float, float]:
    """Density, interval and number of independent parts of pixels of one phase."""
    kept = some & ~gnd.copied
    if kept.sum() < 0.5 * some.sum():
        kept = some
    square = (gnd.curvature[kept][:, :, :2] ** 2).sum(axis=(1, 2))
    gain, total = gnd.curvature_gain[kept] ** 2, gnd.total[kept]
    weights, variance, error, correlation, decay = _noise_models(gnd, kept, noise, everything)
    if not np.isfinite(variance).all():
        return (float("nan"),) * 3 + (0.0,)
    factor = noise_factor(gnd, correlation, decay)
    per_variance = 6 * gain.mean() * factor
    scatter, independent = _scatter(gnd, kept, square)
    signal = square.mean() - per_variance * variance
    spread = np.hypot(scatter, per_variance * error)
    ends = ((1 - LEVEL) / 2, (1 + LEVEL) / 2)
    mean = max(float(weights @ signal), 0.0)
    low, high = (max(v, 0.0) for v in mixture_quantiles(weights, signal, spread, ends))
    noise_low, noise_high = mixture_quantiles(weights, variance * factor, error * factor, ends)
    # Curvature to density: what the pixels themselves have, the larger ones more.
    length = np.sqrt(square)
    to_density = total @ length / square.sum() if square.any() else 0.0

    def to_mean(noise_variance: float) -> float:
        """Mean density over the root of the mean square of the curvature."""
        return float(to_density * np.clip(_shape(length, gain, noise_variance), 0.2, 1.0))

    # More noise, and the pixels' own curvatures are smaller and less alike.
    density = to_mean(float(weights @ (variance * factor))) * float(np.sqrt(mean))
    low = min(to_mean(noise_high) * float(np.sqrt(low)), density)
    high = max(to_mean(noise_low) * float(np.sqrt(high)), density)
    # What the conversion leaves open grows with the part of the mean square that is noise.
    share = min(1.0, float(weights @ (per_variance * variance)) / max(square.mean(), 1e-300))
    open_part = OPEN * share
    low = max(0.0, density - float(np.hypot(density - low, open_part * density)))
    high = density + float(np.hypot(high - density, open_part * density))
    return density, low, high, independent


def _shape(length: FLOATS, gain: FLOATS, noise_variance: float) -> float:
    """Mean of the true curvatures over their root mean square, from those measured.

    `gain` (n,) times the variance of the orientations is that of each curvature component.
    """
    # Noise that is small in the typical pixel changes nothing.
    if length.size >= SHAPED and np.median(length**2 / gain) < 1e3 * noise_variance:
        with np.errstate(divide="ignore"):
            return shape_factor(np.minimum(length / np.sqrt(gain * noise_variance), 1e6))
    square = float(np.mean(length**2))
    return float(length.mean() / np.sqrt(square)) if square > 0 else 1.0


def _noise_models(
    gnd: GndDensity, kept: NDArray[np.bool_], noise: OrientationNoise, everything: bool
) -> tuple[FLOATS, FLOATS, FLOATS, FLOATS, FLOATS]:
    """Weight, noise variance in rad^2, its error, correlation and decay of each candidate."""
    fit = noise.fit
    if fit is None:
        rms = np.radians(noise.rms) ** 2
        return np.ones(1), np.array([rms]), *np.zeros((3, 1))
    if not everything and noise.differences is not None:
        found = noise.differences
        inside = kept.ravel()
        if inside.size != len(found.is_copy):  # points of a hexagonal grid
            hexagonal = gnd.scan.source.hexagonal
            assert hexagonal is not None
            inside = np.zeros(len(found.is_copy), dtype=bool)
            inside[hexagonal.nearest[kept]] = True
        profile = mean_profile(found, inside[found.points])
        if len(profile.lags) == len(fit.profile.lags) and profile.counts[0] >= 100:
            # Scatter as in the whole map, for as many differences as there are here.
            fewer = fit.profile.counts[0] / profile.counts[0]
            size = profile.values / fit.profile.values
            own = fit_noise(
                profile, fit.profile.covariance * fewer * np.outer(size, size), fit.weights
            )
            assert own is not None
            fit = own
    likely = fit.weights > 1e-7
    parts = (fit.weights, fit.variance, fit.error, fit.correlation, fit.decay)
    weights, variance, error, correlation, decay = (part[likely] for part in parts)
    return weights / weights.sum(), variance, error, correlation, decay


def noise_factor(gnd: GndDensity, correlation: FLOATS, decay: FLOATS) -> FLOATS:
    """Curvature noise of errors that go together over that of independent ones, in squares."""
    y, x = np.mgrid[-1:2, -1:2].reshape(2, 9).astype(float)
    if gnd.scan.source.hexagonal is not None:
        angle = np.arange(6) * np.pi / 3
        x, y = np.cos(angle), np.sin(angle)
    weight = x.copy()
    if gnd.settings["stencil"] == "one-sided":
        x, y, weight = np.array([0.0, 1.0]), np.zeros(2), np.array([-1.0, 1.0])
    distance = np.hypot(x[:, None] - x, y[:, None] - y)
    pairs, of = np.unique(np.stack((correlation, decay)), axis=1, return_inverse=True)
    found = [weight @ error_correlation(distance, *pair) @ weight for pair in pairs.T]
    return np.array(found)[of.ravel()] / (weight @ weight)


def _scatter(gnd: GndDensity, kept: NDArray[np.bool_], values: FLOATS) -> tuple[float, float]:
    """Standard error of the mean from the scatter between independent parts, and their number."""
    labels = gnd.grains[kept].astype(np.int64)
    row, column = np.nonzero(kept)
    for side in (TILE, 3):
        across = kept.shape[1] // side + 1
        tile = (row // side) * across + column // side
        # One number for both: of pairs numpy sorts 4 Mpx for seconds, and no other thread runs.
        both = labels * ((kept.shape[0] // side + 1) * across) + tile
        keys = np.unique(both, return_inverse=True)[1]
        if keys.max() >= 11:
            break
    counts = np.bincount(np.unique(labels, return_inverse=True)[1])
    if counts.sum() ** 2 / (counts**2).sum() >= GRAINS:
        keys = np.unique(labels, return_inverse=True)[1]
    sizes = np.bincount(keys)
    number = float(sizes.sum() ** 2 / (sizes**2).sum())
    if len(sizes) < 2:
        return float(values.std()), number
    rest = np.bincount(keys, values - values.mean())
    variance = (rest**2).sum() / values.size**2 * len(sizes) / (len(sizes) - 1)
    return float(np.sqrt(variance)), number
