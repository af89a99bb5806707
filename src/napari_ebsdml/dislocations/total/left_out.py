"""How well classes of structures that were left out of training are told, and calibration on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.dislocations.total.examples import Examples
from napari_ebsdml.dislocations.total.model import Calibration
from napari_ebsdml.dislocations.total.posterior import Posterior
from napari_ebsdml.dislocations.total.statistics import NOISE_COLUMN
from napari_ebsdml.errors import InputError

STRENGTH_EDGES = np.array([-0.5, 0.5, 1.3, 2.0, 3.0])
"""Ends of the bins of strength, log10 rho (b / sigma)^2, that are calibrated apart."""
LINES_EDGES = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0])
"""Ends of the bins of log10 of the lines per pixel that are calibrated apart."""
FEWEST = 100
"""Windows that a bin needs to have factors of its own."""
MEASURABLE = 1.3
"""log10 of rho (b / sigma)^2 from which a map tells its density."""


@dataclass(frozen=True, eq=False)
class LeftOut:
    """Answers for windows of classes that the answering network was not trained on."""

    examples: Examples
    posterior: Posterior

    def select(self, rows: NDArray[Any]) -> LeftOut:
        """Some of the windows."""
        return LeftOut(self.examples.select(rows), self.posterior.select(rows))


def calibrate(left_out: dict[str, LeftOut], level: float = 0.9) -> Calibration:
    """Factors that make the interval hold `level` of the windows of classes left out.

    Split conformal on the two sides apart; every class counts the same. (Romano et al.,
    "Conformalized quantile regression", arXiv:1905.03222.) What is measured is taken for another
    class of the same kind, so that all classes together are covered, single ones more or less.
    """
    pieces = [_distances(one) for one in left_out.values() if len(one.examples)]
    if not pieces:
        raise InputError("No class was left out, so nothing can be calibrated.")
    down, up = _factors(pieces, 1 - (1 - level) / 2)
    known = np.concatenate([one.examples.lines for one in left_out.values()])
    return Calibration(
        _middles(STRENGTH_EDGES), _middles(LINES_EDGES), down, up, _shared(left_out),
        (float(known.mean()), float(known.std())),
    )  # fmt: skip


def _distances(one: LeftOut) -> NDArray[np.float64]:
    """Strength and lines as they are told, how far the truth is below and above, and weights."""
    low, median, high = (one.posterior.quantile(a) for a in (0.05, 0.5, 0.95))
    true = one.examples.lines.astype(np.float64)
    noise = one.examples.inputs[:, NOISE_COLUMN].astype(np.float64)
    below = (median - true) / np.maximum(median - low, 1e-6)
    above = (true - median) / np.maximum(high - median, 1e-6)
    weight = np.full(len(true), 1 / max(len(true), 1))
    return np.stack((median - 2 * noise, median, below, above, weight))


def _factors(
    pieces: list[NDArray[np.float64]], side: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factors down and up that hold the part `side` on each side, by strength and lines."""
    strength, lines, below, above, weight = np.concatenate(pieces, axis=1)
    row, column = np.digitize(strength, STRENGTH_EDGES), np.digitize(lines, LINES_EDGES)
    down, up = (np.ones((len(STRENGTH_EDGES) + 1, len(LINES_EDGES) + 1)) for _ in range(2))
    for i in range(down.shape[0]):
        for j in range(down.shape[1]):
            inside = (row == i) & (column == j)
            if inside.sum() < FEWEST:  # all that is as strong, then
                inside = row == i
            if inside.sum() < FEWEST:
                inside[:] = True
            for table, values in ((down, below), (up, above)):
                table[i, j] = max(0.3, _weighted_quantile(values[inside], weight[inside], side))
    return down, up


def _middles(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Middles of bins; the open ones at both ends count as one decade wide."""
    return np.concatenate(([edges[0] - 0.5], (edges[1:] + edges[:-1]) / 2, [edges[-1] + 0.5]))


def _weighted_quantile(values: NDArray[Any], weight: NDArray[Any], level: float) -> float:
    order = np.argsort(values)
    total = np.cumsum(weight[order]) / weight.sum()
    return float(values[order[min(int(np.searchsorted(total, level)), len(values) - 1)]])


def _shared(left_out: dict[str, LeftOut]) -> float:
    """Part of the error's variance that windows of one structure share, where maps tell."""
    within, between = [], []
    for one in left_out.values():
        clear = one.examples.strength > MEASURABLE
        error = (one.posterior.quantile(0.5) - one.examples.lines)[clear]
        structure = one.examples.structure[clear]
        for number in np.unique(structure):
            values = error[structure == number]
            if len(values) >= 4:
                # Mean of the products of different windows' errors, and of their squares.
                n = len(values)
                between.append((values.sum() ** 2 - np.square(values).sum()) / (n * (n - 1)))
                within.append(float(np.square(values).mean()))
    if not within:
        return 1.0
    return float(np.clip(np.mean(between) / np.mean(within), 0.05, 1.0))


def scores(one: LeftOut, calibration: Calibration) -> dict[str, Any]:
    """RMS error in decades, share within a factor 2 and coverage, by strength."""
    noise = 10.0 ** one.examples.inputs[:, NOISE_COLUMN].astype(np.float64)
    median, low, high = calibration.interval(one.posterior, noise)
    true = one.examples.lines.astype(np.float64)
    out: dict[str, Any] = {}
    for name, first, end in (("20 to 100", MEASURABLE, 2.0), ("above 100", 2.0, np.inf)):
        rows = (one.examples.strength >= first) & (one.examples.strength < end)
        if rows.sum() < 10:
            continue
        error = (median - true)[rows]
        out[name] = {
            "windows": int(rows.sum()),
            "rms": round(float(np.sqrt(np.mean(error**2))), 3),
            "bias": round(float(error.mean()), 3),
            "within factor 2": round(float(np.mean(np.abs(error) < np.log10(2))), 3),
            "coverage": round(float(((low <= true) & (true <= high))[rows].mean()), 3),
            "width": round(float(10 ** np.median((high - low)[rows])), 2),
        }
    return out
