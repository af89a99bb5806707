"""True sizes of noisy vectors: their distribution, from that of the lengths measured."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import chndtr, ndtr

COMPONENTS = 6
"""Known components of a curvature."""
ROUNDS = 200
FINENESS = 0.15
"""Largest relative distance of neighbouring true lengths, of up to 200."""


def shape_factor(lengths: NDArray[np.float64]) -> float:
    """Mean of the true lengths of vectors over their root mean square.

    Parameters
    ----------
    lengths : (n,) array
        Measured, in units of the standard deviation of each of the six components.

    Notes
    -----
    A vector of length m with normal errors is measured with a non-central chi distributed length.
    The distribution of m is the one that makes the lengths most likely, by expectation
    maximisation (Laird, J. Am. Stat. Assoc. 73 (1978) 805, doi 10.1080/01621459.1978.10480103).
    """
    highest = max(float(lengths.max(initial=0)), 3.0)
    number = int(np.clip(np.log(highest / 0.3) / FINENESS, 40, 200))
    true = np.concatenate(([0.0], np.geomspace(0.3, highest, number)))
    edges = np.concatenate(([0.0], np.geomspace(0.2, highest * 1.01, 2 * number)))
    counts, _ = np.histogram(lengths, edges)
    below = ndtr(edges - np.sqrt(true[:, None] ** 2 + COMPONENTS - 1))
    near = true < 20
    below[near] = chndtr(edges**2, COMPONENTS, true[near, None] ** 2)
    likely = np.diff(below, axis=1) + 1e-15
    weights = np.full(true.size, 1 / true.size)
    for _ in range(ROUNDS):
        weights = weights * (likely @ (counts / (weights @ likely))) / counts.sum()
    return float((weights @ true) / np.sqrt(weights @ true**2))
