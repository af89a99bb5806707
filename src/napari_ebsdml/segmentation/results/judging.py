"""What held-out grains say of answers: how often right, how sure they may be, which is better.

Loads no torch: the linear discriminant is judged by it, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, logit, softmax

from napari_ebsdml.learning.calibration import reliability
from napari_ebsdml.segmentation.labels.prepare import FEW_UNITS
from napari_ebsdml.segmentation.results.evaluation import confusion_matrix, metrics_of

USUAL = 1.7
"""Temperature that strokes ask for in the mean: they lie where a class is easy to see. Chosen on
strokes of seeds 200-209 on the duplex map and on six synthetic maps of seeds 300-302."""

USUAL_DOUBT = 0.05
"""Part of the grains whose class planes and strokes do not tell, however sure the logits are.
Chosen, with its spread, on strokes of seeds 300-319 on the duplex map and 300-303 on synthetic
maps."""

_SPREAD_OF_DOUBT = 0.7
"""Of its log odds."""

_SPREAD_OF_OFFSETS = 1.0
"""Of what is added to the logits of each class, before a handful of grains has told."""

USUAL_ERROR = 0.02
"""Standard error of a phase fraction by what a model from strokes misjudges. Chosen on 60 synthetic
maps (numbers 200-259 of benchmarks/segmentation_interval.py, which reports others)."""

_USUAL_UNITS = 400
_FIRMNESS = 0.25
"""Spread of its logarithm: a handful of grains cannot move it far, hundreds can."""


@dataclass(frozen=True, eq=False)
class Judged:
    """Logits at painted pixels by something that had not learned the grains they lie in.

    Attributes
    ----------
    logits : (pixels, classes) float32
    target : (pixels,) int8
        Class index.
    unit : (pixels,) int32
        Grain or block of each pixel.
    fold : (pixels,) int8
        Which fold held it out.
    """

    logits: NDArray[np.float32]
    target: NDArray[np.int8]
    unit: NDArray[np.int32]
    fold: NDArray[np.int8]

    @classmethod
    def empty(cls, classes: int) -> Judged:
        """Nothing was held out."""
        none = np.empty(0, np.int8)
        return cls(np.empty((0, classes), np.float32), none, none.astype(np.int32), none)

    @property
    def units(self) -> int:
        """Number of grains and blocks."""
        return len(np.unique(self.unit))

    @property
    def is_telling(self) -> bool:
        """Whether there are grains enough, of two classes at least, to tell anything."""
        return self.units >= FEW_UNITS and len(np.unique(self.target)) > 1

    def temperature(self, dense: bool, usual: float = USUAL) -> float:
        """Temperature by which logits are to be divided; 1 where too little is held out.

        Grains count alike. What strokes ask for in the mean counts as some sixteen grains, and the
        answer is never below 1 but for dense labels. `usual` is the temperature taken as usual,
        for a model that was calibrated before.
        """
        if not self.is_telling:
            return usual if len(self.target) or usual != USUAL else 1.0
        found = _fit(self, np.ones(self.units, dtype=bool), usual)
        return found if dense else max(found, min(usual, 1.0))

    def calibration(self, dense: bool, usual: float = USUAL) -> tuple[float, float]:
        """Temperature and doubt that make the chances of held-out grains honest.

        ``(1 - doubt) * softmax(logits / temperature) + doubt / classes``: a few grains are wrong
        whatever the logits say, and a temperature alone would call all others unsure for them.
        Dense labels need no doubt; see `temperature` for the rest.
        """
        if dense or not self.is_telling:
            return self.temperature(dense, usual), 0.0 if dense else USUAL_DOUBT
        found, doubt = _fit_both(self, np.ones(self.units, dtype=bool), usual)
        return max(found, min(usual, 1.0)), doubt

    def offsets(self) -> NDArray[np.float32]:
        """What to add to the logits, so that classes are as likely as they are labelled here.

        A network that learned for some hundred steps from crops of which each class has its share
        has not yet found how likely the classes are where one can be taken for the other. Fitted
        as the most likely, with a temperature; every pixel counts alike, as in a phase fraction,
        and all together as often as there are grains and blocks. Classes that do not occur keep
        theirs.

        Returns
        -------
        (classes,) float32
            Of the classes that occur zero in the mean; all zero where there are too few grains.
        """
        out = np.zeros(self.logits.shape[1], dtype=np.float32)
        if not self.is_telling:
            return out
        present, target = np.unique(self.target, return_inverse=True)
        logits = self.logits[:, present].astype(np.float64)
        weight, rows = self.units / len(target), np.arange(len(target))

        def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            scaled = logits * np.exp(-x[0])
            chance = log_softmax(scaled + x[1:], axis=1)
            surplus = np.exp(chance)
            surplus[rows, target] -= 1
            slope = weight * np.append(-(surplus * scaled).sum(), surplus.sum(axis=0))
            slope[1:] += x[1:] / _SPREAD_OF_OFFSETS**2
            usual = 0.5 * float((x[1:] ** 2).sum()) / _SPREAD_OF_OFFSETS**2
            return usual - weight * float(chance[rows, target].sum()), slope

        found = minimize(loss, np.zeros(len(present) + 1), jac=True, method="L-BFGS-B").x
        # The temperature is fitted anew, grain by grain, after these are added.
        out[present] = (found[1:] - found[1:].mean()) * np.exp(found[0])
        return out

    def figures(self, dense: bool) -> dict[str, Any]:
        """Figures for the model card; empty where too little is held out.

        The reliability is cross-fitted: grains are dealt to two halves, and each is judged with
        the calibration of the other one.
        """
        if not self.is_telling:
            return {}
        number = np.unique(self.unit, return_inverse=True)[1]
        half = number % 2
        chance = np.empty(self.logits.shape)
        for h in range(2):
            use = np.arange(int(number.max()) + 1) % 2 != h
            other, doubt = (_fit(self, use), 0.0) if dense else _fit_both(self, use)
            other = other if dense else max(other, 1.0)
            chance[half == h] = doubted(softmax(self.logits[half == h] / other, axis=1), doubt, 1)
        target, classes = self.target.astype(np.int64), self.logits.shape[1]
        best, first = self.logits.argmax(axis=1), self.fold == 0
        return {
            "pixels": len(target), "blocks": self.units,
            "calibration_error": reliability(chance, target).error,
            "calibration_error_before": reliability(softmax(self.logits, axis=1), target).error,
            **metrics_of(target, best, classes),
            "first_fold": confusion_matrix(target[first], best[first], classes).tolist(),
        }  # fmt: skip

    def fraction_errors(self) -> tuple[float, ...]:
        """Error of each class's fraction by what is misjudged, from held-out grains.

        Misjudged pixels partly cancel in a fraction. Their balance, and its standard error over the
        grains (a ratio of sums), are added as squares. Some dozen grains tell that badly, so that
        `USUAL_ERROR` counts as `_USUAL_UNITS` of them.
        """
        if not self.is_telling:
            return (USUAL_ERROR,) * self.logits.shape[1]
        number = np.unique(self.unit, return_inverse=True)[1]
        pixels = np.bincount(number).astype(np.float64)
        best, units = self.logits.argmax(axis=1), len(pixels)
        out = []
        for c in range(self.logits.shape[1]):
            surplus = np.bincount(number, (best == c).astype(float) - (self.target == c))
            balance = surplus.sum() / pixels.sum()
            scatter = ((surplus - balance * pixels) ** 2).sum() * units / (units - 1)
            square = balance**2 + scatter / pixels.sum() ** 2
            weighed = units * square + _USUAL_UNITS * USUAL_ERROR**2
            out.append(float(np.sqrt(weighed / (units + _USUAL_UNITS))))
        return tuple(out)

    def wrong(self) -> NDArray[np.float64]:
        """Part of the pixels of each unit that is wrong."""
        return _means((self.logits.argmax(axis=1) != self.target).astype(float), self.unit)


def is_better(network: Judged, linear: Judged, dense: bool) -> bool:
    """Whether the network answers, by grains that neither it nor the discriminant has learned.

    Both have the same pixels. The network answers unless a larger part of the grains is wrong by
    it: it starts from the discriminant, so that a draw speaks for it. From dense labels it always
    does, as what is held out of them lies in blocks of large grains, parts of which both have
    learned; never where strokes are too few to tell.
    """
    if dense or not network.is_telling:
        return dense
    return bool(network.wrong().mean() <= linear.wrong().mean() + 1e-9)


def held_out_in_words(metrics: Mapping[str, Any]) -> str:
    """Part that is right of what was held out of a model, and of what; empty where nothing was.

    `metrics` are those of a model: from strokes they count grains and blocks, of a ready model
    the synthetic maps.
    """
    if "accuracy" not in metrics:
        return ""
    text = f"{100 * metrics['accuracy']:.1f} % of {metrics['pixels']} pixels"
    if metrics.get("maps"):
        text += f" in {metrics['maps']} synthetic maps"
    if metrics.get("blocks"):
        text += f" in {metrics['blocks']} grains and blocks"
    return text


def _means(values: NDArray[np.floating], unit: NDArray[np.integer]) -> NDArray[np.float64]:
    number = np.unique(unit, return_inverse=True)[1]
    return np.bincount(number, values) / np.bincount(number)


def _fit(judged: Judged, use: NDArray[np.bool_], centre: float = USUAL) -> float:
    """Most likely temperature, every chosen unit counting alike."""
    number = np.unique(judged.unit, return_inverse=True)[1]
    here = use[number]
    logits, target = judged.logits[here].astype(np.float64), judged.target[here]
    weight = (1 / np.bincount(number))[number[here]]
    rows = np.arange(len(target))

    def loss(log_t: float) -> float:
        chance = log_softmax(logits / np.exp(log_t), axis=1)[rows, target]
        usual = 0.5 * ((log_t - np.log(centre)) / _FIRMNESS) ** 2
        return -float((weight * chance).sum()) + usual

    found = minimize_scalar(loss, bounds=(np.log(0.05), np.log(20.0)), method="bounded")
    return float(np.exp(found.x))


def doubted(chance: NDArray[Any], doubt: float, axis: int) -> NDArray[Any]:
    """Chances with a doubt that all classes share alike; `axis` is that of the classes."""
    return np.asarray((1 - doubt) * chance + doubt / chance.shape[axis], dtype=chance.dtype)


def _fit_both(judged: Judged, use: NDArray[np.bool_], centre: float = USUAL) -> tuple[float, float]:
    """Most likely temperature and doubt, every chosen unit counting alike."""
    number = np.unique(judged.unit, return_inverse=True)[1]
    here = use[number]
    logits, target = judged.logits[here].astype(np.float64), judged.target[here]
    weight = (1 / np.bincount(number))[number[here]]
    rows = np.arange(len(target))

    def loss(x: NDArray[np.float64]) -> float:
        chance = softmax(logits / np.exp(x[0]), axis=1)
        mixed = doubted(chance, float(expit(x[1])), 1)[rows, target]
        usual = 0.5 * ((x[0] - np.log(centre)) / _FIRMNESS) ** 2
        usual += 0.5 * ((x[1] - logit(USUAL_DOUBT)) / _SPREAD_OF_DOUBT) ** 2
        return -float((weight * np.log(mixed)).sum()) + float(usual)

    start = np.array([np.log(centre), logit(USUAL_DOUBT)])
    found = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-3, "fatol": 1e-3}).x
    return float(np.exp(found[0])), float(expit(found[1]))
