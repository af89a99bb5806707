"""What the network knows of a density: a mixture of normal distributions of its logarithm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Posterior:
    """Mixture of normal distributions of log10 of the lines per pixel, one row a window.

    Attributes
    ----------
    weight, mean, spread : (n, k) arrays
    """

    weight: NDArray[np.float64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.weight)

    def quantile(self, level: Any) -> NDArray[np.float64]:
        """Quantiles of log10 N.

        Parameters
        ----------
        level : float or (n,) array
            Between 0 and 1.
        """
        levels = np.broadcast_to(np.asarray(level, dtype=np.float64), (len(self),))
        out = np.empty(len(self))
        _quantiles(
            np.ascontiguousarray(self.weight, dtype=np.float64),
            np.ascontiguousarray(self.mean, dtype=np.float64),
            np.ascontiguousarray(self.spread, dtype=np.float64),
            np.ascontiguousarray(levels),
            out,
        )
        return out

    @property
    def average(self) -> NDArray[np.float64]:
        """Expected log10 N."""
        return np.asarray((self.weight * self.mean).sum(axis=1))

    @property
    def deviation(self) -> NDArray[np.float64]:
        """Standard deviation of log10 N."""
        square = (self.weight * (self.mean**2 + self.spread**2)).sum(axis=1)
        return np.asarray(np.sqrt(np.maximum(square - self.average**2, 1e-8)))

    def select(self, rows: Any) -> Posterior:
        """Some of the rows."""
        return Posterior(self.weight[rows], self.mean[rows], self.spread[rows])


@njit(cache=True, nogil=True)
def _normal(x):  # type: ignore[no-untyped-def]
    """Distribution function of the standard normal (Abramowitz and Stegun 26.2.17, to 1e-7)."""
    t = 1.0 / (1.0 + 0.2316419 * abs(x))
    poly = t * (
        0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429)))
    )
    upper = np.exp(-0.5 * x * x) / 2.5066282746310002 * poly
    return 1.0 - upper if x >= 0 else upper


@njit(cache=True, nogil=True)
def _quantiles(weight, mean, spread, levels, out):  # type: ignore[no-untyped-def]
    for n in range(weight.shape[0]):
        low, high = np.inf, -np.inf
        for k in range(weight.shape[1]):
            low = min(low, mean[n, k] - 6 * spread[n, k])
            high = max(high, mean[n, k] + 6 * spread[n, k])
        for _ in range(40):
            middle = 0.5 * (low + high)
            total = 0.0
            for k in range(weight.shape[1]):
                total += weight[n, k] * _normal((middle - mean[n, k]) / spread[n, k])
            if total < levels[n]:
                low = middle
            else:
                high = middle
        out[n] = 0.5 * (low + high)
