"""Noise apart from the lattice, by how second differences grow with their distance.

Independent errors add the same to the mean square at every distance. What the lattice adds grows
with it: as a power for bent crystals and subgrain walls, up to a saturation for structure of
limited size, as a logarithm for lines that are closer than the step. The mean squares at several
distances are fitted with noise plus one of these, for many shapes; the answer is the average over
the shapes, weighted with how well each fits (Bayesian model averaging: Hoeting et al., Statistical
Science 14 (1999) 382, doi 10.1214/ss/1009212519). Errors that go together in neighbouring pixels
are among the shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from napari_ebsdml.dislocations.gnd.second_differences import SecondDifferences

FLOATS = NDArray[np.float64]

CHI_MEDIAN = 1.5381722544550523
"""Median length of a vector of three independent standard normal numbers."""
FEWEST = 30
"""Second differences at one distance below which that distance is left out."""
SHAPE_ERROR = 0.12
"""Relative error of any shape of the lattice's part: real structure follows none exactly."""
ROUNDING = 0.004
"""Relative error of everything, which keeps large maps from trusting one shape too much."""
CORRELATIONS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
"""Of the errors of neighbouring pixels, where they go together."""
DECAYS = (1.0, 2.0, 3.0)
"""How this correlation falls: exponential, Gaussian, or with nearest neighbours almost only."""
INDEPENDENT = 0.7
"""Prior probability that neighbouring errors are independent."""
LEVEL = 0.9
"""Probability within all intervals of this package's GND averages."""


@dataclass(frozen=True, eq=False)
class LagProfile:
    """Mean (or median) squared second difference at each distance.

    Attributes
    ----------
    lags : (L,) array
        In steps, those with enough differences.
    values : (L,) array
        In rad^2; sigma^2 for independent errors.
    influence : (tiles, L) array
        What each tile adds to the error of the values: their sum of squares is the variance.
    counts : (L,) int array
        Differences at each distance.
    """

    lags: FLOATS
    values: FLOATS
    influence: FLOATS
    counts: NDArray[np.int64]

    @property
    def covariance(self) -> FLOATS:
        """Sampling covariance of the values, (L, L)."""
        tiles = int(np.count_nonzero(self.influence.any(axis=1)))
        covariance = self.influence.T @ self.influence * (tiles / max(tiles - 1, 1))
        # Few tiles say little about how the distances vary together.
        return covariance if tiles >= 40 else np.diag(np.diag(covariance))


@dataclass(frozen=True, eq=False)
class NoiseFit:
    """Noise variance by shape of the lattice's part; k shapes, L distances.

    Attributes
    ----------
    weights : (k,) array
        Probability of each shape.
    variance, error : (k,) arrays
        Noise variance in rad^2 about each axis, and its standard error.
    correlation, decay : (k,) arrays
        Of the errors of neighbouring pixels; see `error_correlation`.
    coefficients : (k, L) array
        The variance is linear in the profile's values.
    profile
        What was fitted.
    """

    weights: FLOATS
    variance: FLOATS
    error: FLOATS
    correlation: FLOATS
    decay: FLOATS
    coefficients: FLOATS
    profile: LagProfile

    @property
    def mean(self) -> float:
        """Expected noise variance in rad^2."""
        return float(self.weights @ self.variance)

    @property
    def neighbours(self) -> float:
        """Expected correlation of neighbouring errors."""
        return float(self.weights @ self.correlation)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Noise variance in rad^2 that holds `level` of the probability."""
        low, high = mixture_quantiles(
            self.weights, self.variance, self.error, ((1 - level) / 2, (1 + level) / 2)
        )
        return max(low, 0.0), max(high, 0.0)


def mean_profile(found: SecondDifferences, where: NDArray[np.bool_] | None = None) -> LagProfile:
    """Mean squares at each distance; `where` (m,) chooses centres."""
    return _profile(found, where, median=False)


def median_profile(found: SecondDifferences, where: NDArray[np.bool_] | None = None) -> LagProfile:
    """Squared medians at each distance, scaled to the mean square of normal errors."""
    return _profile(found, where, median=True)


def _profile(found: SecondDifferences, where: NDArray[np.bool_] | None, median: bool) -> LagProfile:
    squares, copied, tiles = found.squares, found.copied, found.tiles
    if where is not None:
        squares, copied, tiles = squares[where], copied[where], tiles[where]
    number = int(found.tiles.max(initial=-1)) + 1
    lags, values, influence, counts = [], [], [], []
    for lag in np.unique(found.lags):
        columns = found.lags == lag
        there = np.isfinite(squares[:, columns]) & ~copied[:, columns]
        square = squares[:, columns][there].astype(np.float64)
        if square.size < FEWEST or not square.any():
            continue
        if median:
            length = np.sqrt(18 * square)
            low, middle, high = np.quantile(length, (0.4, 0.5, 0.6))
            value = (middle / CHI_MEDIAN) ** 2 / 6
            # A median's error is that of the part below it, over the density at the median.
            slope = 2 * middle / CHI_MEDIAN**2 / 6 * (high - low) / 0.2
            part = slope * (0.5 - (length < middle))
        else:
            value = square.mean()
            part = square - value
        lags.append(float(lag))
        values.append(float(value))
        counts.append(square.size)
        at = np.broadcast_to(tiles[:, None], there.shape)[there]
        influence.append(np.bincount(at, part, minlength=number) / square.size)
    return LagProfile(
        np.array(lags), np.array(values),
        np.array(influence).T if influence else np.empty((number, 0)),
        np.array(counts, dtype=np.int64),
    )  # fmt: skip


def fit_noise(
    profile: LagProfile, covariance: FLOATS | None = None, prior: FLOATS | None = None
) -> NoiseFit | None:
    """Noise variance of a profile, by shape; None for an empty profile.

    Parameters
    ----------
    profile
        One distance only gives an upper bound: noise from nothing to all of it.
    covariance : (L, L) array, optional
        Of the profile's values; default its own.
    prior : (k,) array, optional
        Weights of the shapes, from another fit of this kind.
    """
    lags, y = profile.lags, profile.values
    if not y.size:
        return None
    spread = profile.covariance if covariance is None else covariance
    spread = spread + np.diag((SHAPE_ERROR * (y - y.min())) ** 2 + (ROUNDING * y) ** 2)
    inverse = np.linalg.inv(spread)
    noise, lattice, correlation, decay, weights = _candidates(lags)
    if prior is not None:
        weights = prior
    # Least squares y = noise * variance + lattice * size, of all candidates at once.
    a, b = noise @ inverse, lattice @ inverse
    aa, ab, bb = (
        (left * right).sum(axis=1) for left, right in ((a, noise), (a, lattice), (b, lattice))
    )
    determinant = aa * bb - ab**2
    solved = determinant > 1e-9 * aa * bb
    divisor = np.where(solved, determinant, 1.0)
    alone = a / aa[:, None]
    row = np.where(
        solved[:, None], (bb[:, None] * a - ab[:, None] * b) / divisor[:, None], alone / 2
    )
    size = np.where(solved, (aa * (b @ y) - ab * (a @ y)) / divisor, y[0] / 2)
    row[size < 0], size[size < 0] = alone[size < 0], 0.0
    nothing = row @ y < 0
    row[nothing], size[nothing] = 0.0, (b @ y / bb)[nothing]
    variance = row @ y
    rest = y - noise * variance[:, None] - lattice * size[:, None]
    misfit = ((rest @ inverse) * rest).sum(axis=1)
    error = np.sqrt(np.maximum(((row @ spread) * row).sum(axis=1), 0.0))
    if y.size == 1:
        error = np.maximum(error, 0.3 * y[0])  # anything from nothing to all of it
    weights = weights * np.exp(-(misfit - misfit.min()) / 2)
    return NoiseFit(weights / weights.sum(), variance, error, correlation, decay, row, profile)


def error_correlation(distance: FLOATS | float, neighbours: float, decay: float = 2.0) -> FLOATS:
    """Correlation of errors `distance` steps apart, `neighbours` at one step.

    `decay` 1 is exponential, 2 Gaussian; 3 leaves little beyond the nearest neighbours.
    """
    distance = np.asarray(distance, dtype=np.float64)
    if neighbours <= 0:
        return np.where(distance == 0, 1.0, 0.0)
    return np.asarray(neighbours ** (distance**decay))


def _noise_shape(lags: FLOATS, neighbours: float, decay: float) -> FLOATS:
    """Mean square of second differences of errors of unit variance, as a part of that variance."""
    near, far = (error_correlation(n * lags, neighbours, decay) for n in (1, 2))
    return 1 - 4 / 3 * near + far / 3


def _shape_functions() -> list[Callable[[FLOATS], FLOATS]]:
    """What the lattice adds to the mean squared second difference over h steps, up to a factor."""

    def power(exponent: float) -> Callable[[FLOATS], FLOATS]:
        return lambda h: h**exponent

    def from_first(first: Callable[[FLOATS], FLOATS]) -> Callable[[FLOATS], FLOATS]:
        """The same from the mean squared first difference."""
        return lambda h: 4 * first(h) - first(2 * h)

    def bump(size: float) -> Callable[[FLOATS], FLOATS]:
        return lambda h: 1 - np.exp(-((h / (2 * size)) ** 2))

    def cells(size: float) -> Callable[[FLOATS], FLOATS]:
        return lambda h: 1 - np.exp(-h / size)

    def walls(width: float) -> Callable[[FLOATS], FLOATS]:
        return lambda h: np.hypot(h, width) - width

    def lines(probe: float) -> Callable[[FLOATS], FLOATS]:
        return lambda h: np.log1p((h / probe) ** 2)

    return [
        *(power(exponent) for exponent in (2.0, 3.0, 4.0)),  # 4: a smoothly varying bend
        *(from_first(power(exponent)) for exponent in (0.5, 1.0, 1.5)),  # 1: sharp walls
        *(from_first(walls(width)) for width in (0.7, 1.5)),
        *(from_first(bump(size)) for size in (2.0, 3.0, 4.5, 8.0)),
        *(from_first(cells(size)) for size in (3.0, 6.0)),
        # Lines, seen by a probe of this many steps.
        *(from_first(lines(probe)) for probe in (0.07, 0.28, 1.0, 1.4, 2.0, 2.8, 4.0)),
    ]


def _candidates(lags: FLOATS) -> tuple[FLOATS, FLOATS, FLOATS, FLOATS, FLOATS]:
    """Noise and lattice part (k, L), the errors' correlation and decay, prior weight (k,)."""
    functions = _shape_functions()
    lattice = np.array([function(lags) / function(np.ones(1)) for function in functions])
    errors = [(0.0, 2.0), *((r, decay) for r in CORRELATIONS for decay in DECAYS)]
    noise = np.array([_noise_shape(lags, *pair) for pair in errors])
    prior = np.full(len(errors), (1 - INDEPENDENT) / (len(errors) - 1))
    prior[0] = INDEPENDENT
    correlation, decay = np.repeat(np.array(errors), len(lattice), axis=0).T
    return (
        np.repeat(noise, len(lattice), axis=0), np.tile(lattice, (len(errors), 1)),
        correlation, decay, np.repeat(prior, len(lattice)) / len(lattice),
    )  # fmt: skip


def mixture_quantiles(
    weights: FLOATS, means: FLOATS, errors: FLOATS, levels: tuple[float, ...]
) -> list[float]:
    """Quantiles of a mixture of normal distributions."""
    likely = weights > 1e-7
    weights, means, errors = weights[likely], means[likely], errors[likely]
    errors = np.maximum(errors, 1e-12 * max(float(np.abs(means).max(initial=0)), 1e-300))
    low, high = (means - 6 * errors).min(), (means + 6 * errors).max()
    at = np.unique(
        np.concatenate(
            (np.linspace(low, high, 513), *(means + t * errors for t in (-2, -1, 0, 1, 2)))
        )
    )
    below = (weights * ndtr((at[:, None] - means) / errors)).sum(axis=1)
    return [float(value) for value in np.interp(levels, below, at)]
