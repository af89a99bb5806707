"""Name a few grains; the rest follow."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._atomic import write_atomic
from napari_ebsdml.errors import InputError, ModelError
from napari_ebsdml.grains.classes.discriminant import (
    Discriminant,
    best_temperature,
    left_out,
    softmax,
)
from napari_ebsdml.grains.classes.features import GrainFeatures, grain_features
from napari_ebsdml.grains.classes.result import GrainClasses
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD

if TYPE_CHECKING:
    from napari_ebsdml._parallel import Progress
    from napari_ebsdml.scan import Scan

Floats = NDArray[np.float64]
Examples = Mapping[int, int] | ArrayLike
Method = Literal["lda", "forest"]

_KIND = "napari-ebsdml grain classifier"
_VERSION = 1


@dataclass(frozen=True, eq=False)
class GrainClassifier:
    """Tells the class of grains from their size, shape, quality, strain and neighbours.

    Make one with `train` or `load`.

    Attributes
    ----------
    names
        Class -> name.
    features
        Names of the features.
    values : (examples, features), classes : (examples,)
        The grains that were named.
    centre, spread : (features,)
        Median and spread of the features over all grains of the maps that trained it.
    method
        "lda" or "forest".
    held_out
        Share of right answers for grains that were left out of the training; NaN when too few.
    n_held_out
        How many these are.
    """

    names: Mapping[int, str]
    features: tuple[str, ...]
    values: Floats
    classes: NDArray[np.int64]
    centre: Floats
    spread: Floats
    method: Method = "lda"
    held_out: float = np.nan
    n_held_out: int = 0
    _model: Any = field(default=None, repr=False)
    _temperature: float = 1.0

    @classmethod
    def train(
        cls,
        items: Sequence[tuple[Scan, ArrayLike | GrainFeatures, Examples]],
        names: Mapping[int, str] | None = None,
        method: Method = "lda",
    ) -> GrainClassifier:
        """Learn from some grains of one or more maps.

        Parameters
        ----------
        items
            Map, its grains (as from `segment_grains`, or as `grain_features` measured them), and
            which of them are of which class: ``{label: class}``, or strokes (rows, columns) with
            the class of each painted pixel and 0 elsewhere; a grain is then of the class that most
            of its strokes have.
        names
            Class (whole number from 1) -> name. Default: "class 1" ...
        method
            "lda": linear discriminant, for few examples; "forest": 300 trees, for dozens.

        Raises
        ------
        InputError
            When fewer than two classes are named, an example is in no grain, or maps differ in
            their features.
        """
        if method not in ("lda", "forest"):
            raise InputError(f'method must be "lda" or "forest", not {method!r}.')
        every: list[Floats] = []
        values: list[Floats] = []
        classes: list[int] = []
        titles: tuple[str, ...] | None = None
        for scan, labels, examples in items:
            measured = _measured(scan, labels)
            titles = measured.names if titles is None else titles
            if measured.names != titles:
                differ = sorted(set(measured.names) ^ set(titles))
                raise InputError(f"{scan.name} differs in {', '.join(differ)} from other maps.")
            for label, number in named_grains(measured, examples).items():
                values.append(measured.values[label])
                classes.append(number)
            every.append(measured.values[measured.exists])
        if len(set(classes)) < 2:
            raise InputError("Name grains of at least two classes.")
        assert titles is not None
        known = np.concatenate(every)
        centre = np.nanmedian(known, axis=0)
        spread = np.nanpercentile(known, 84, axis=0) - np.nanpercentile(known, 16, axis=0)
        deviation = np.nanstd(known, axis=0)
        spread = np.where(spread > 1e-9, spread / 2, np.where(deviation > 1e-9, deviation, 1.0))
        named = {number: f"class {number}" for number in sorted(set(classes))}
        named |= {k: str(v) for k, v in (names or {}).items() if k in named}
        return cls._fitted(
            named, titles, np.array(values), np.array(classes, dtype=np.int64), centre, spread,
            method,
        )  # fmt: skip

    @classmethod
    def _fitted(
        cls,
        names: Mapping[int, str],
        features: tuple[str, ...],
        values: Floats,
        classes: NDArray[np.int64],
        centre: Floats,
        spread: Floats,
        method: Method,
    ) -> GrainClassifier:
        z = _standard(values, centre, spread)
        numbers = np.array(list(names))
        index = np.searchsorted(numbers, classes)
        count = len(numbers)
        if method == "forest":
            from sklearn.ensemble import RandomForestClassifier

            model = RandomForestClassifier(300, oob_score=len(z) > 10, random_state=0, n_jobs=1)
            model.fit(z, index)
            right = float(model.oob_score_) if len(z) > 10 else np.nan
            judged = len(z) if len(z) > 10 else 0
            return cls(
                names, features, values, classes, centre, spread, method, right, judged, model
            )
        scores, told = left_out(z, index, count)
        temperature = best_temperature(scores[told], index[told])
        right = float((scores[told].argmax(axis=1) == index[told]).mean()) if told.any() else np.nan
        model = Discriminant.fit(z, index, count)
        return cls(
            names, features, values, classes, centre, spread, method, right, int(told.sum()),
            model, temperature,
        )  # fmt: skip

    def predict(
        self,
        scan: Scan,
        labels: ArrayLike | GrainFeatures | None = None,
        threshold: float = GRAIN_THRESHOLD,
        progress: Progress = None,
    ) -> GrainClasses:
        """Tell the class of every grain of a map.

        Parameters
        ----------
        scan
        labels : (rows, columns) int or GrainFeatures, optional
            Its grains. Default: `segment_grains` with `threshold`.
        threshold
            Degrees.
        progress
            Called with the fraction done; may raise to cancel.

        Raises
        ------
        ModelError
            When the map has other features (quality figures, phases) than the examples.
        """
        grains = segment_grains(scan, threshold) if labels is None else labels
        measured = _measured(scan, grains, progress)
        if measured.names != self.features:
            lacks = sorted(set(self.features) - set(measured.names))
            more = sorted(set(measured.names) - set(self.features))
            raise ModelError(
                f"{scan.name} lacks features that this classifier was trained on "
                f"({', '.join(lacks) or 'none'}), or has others ({', '.join(more) or 'none'})."
            )
        probability = np.full((len(measured.pixels), len(self.names)), np.nan)
        z = _standard(measured.values[measured.exists], self.centre, self.spread)
        if self.method == "forest":
            probability[measured.exists] = self._model.predict_proba(z)
        else:
            probability[measured.exists] = softmax(self._model.scores(z), self._temperature)
        numbers = np.array(list(self.names))
        best = np.where(measured.exists, numbers[np.nan_to_num(probability).argmax(axis=1)], 0)
        return GrainClasses(scan, measured, dict(self.names), best.astype(np.int32), probability)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the classifier as JSON: its examples, from which `load` makes it again."""
        told = {
            "kind": _KIND, "version": _VERSION, "method": self.method,
            "names": {str(k): v for k, v in self.names.items()}, "features": self.features,
            "values": self.values.tolist(), "classes": self.classes.tolist(),
            "centre": self.centre.tolist(), "spread": self.spread.tolist(),
            "held_out": None if np.isnan(self.held_out) else self.held_out,
        }  # fmt: skip
        write_atomic(Path(path), json.dumps(told).encode())

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> GrainClassifier:
        """Read a classifier that `save` wrote.

        Raises
        ------
        ModelError
            When the file is missing or is no such classifier.
        """
        try:
            told = json.loads(Path(path).read_text(encoding="utf-8"))
            if told["kind"] != _KIND or told["version"] != _VERSION:
                raise ValueError
            arrays = [np.array(told[k], dtype=np.float64) for k in ("values", "centre", "spread")]
            names = {int(k): str(v) for k, v in told["names"].items()}
            classes = np.array(told["classes"], dtype=np.int64)
            features = tuple(str(name) for name in told["features"])
            shapes = [a.shape for a in arrays]
            f = (len(features),)
            if shapes != [(len(classes), *f), f, f] or set(classes.tolist()) != set(names):
                raise ValueError
            if told["method"] not in ("lda", "forest"):
                raise ValueError
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{path} is no grain classifier that can be read: {error}") from None
        return cls._fitted(
            names, features, arrays[0], classes, arrays[1], arrays[2], told["method"]
        )


def named_grains(measured: GrainFeatures, examples: Examples) -> dict[int, int]:
    """Class of each grain that was clicked or painted.

    Raises
    ------
    InputError
        When a label is no grain, a class is not a whole number from 1, or nothing is named.
    """
    exists = measured.exists
    if isinstance(examples, Mapping):
        found = {int(label): int(number) for label, number in examples.items()}
        for label, number in found.items():
            if not 0 < label < len(exists) or not exists[label]:
                raise InputError(f"There is no grain {label}.")
            if number < 1:
                raise InputError(f"Classes are whole numbers from 1, not {number}.")
        return found
    painted = np.asarray(examples)
    if painted.shape != measured.labels.shape or painted.dtype.kind not in "iu":
        raise InputError(
            f"Strokes must be whole numbers of shape {measured.labels.shape}, not "
            f"{painted.dtype} of {painted.shape}."
        )
    at = (painted > 0) & (measured.labels > 0)
    if not at.any():
        raise InputError("No stroke lies in a grain.")
    most = int(painted.max()) + 1
    counts = np.bincount(
        measured.labels[at].astype(np.int64) * most + painted[at], minlength=len(exists) * most
    ).reshape(len(exists), most)
    return {int(label): int(counts[label].argmax()) for label in np.flatnonzero(counts.any(axis=1))}


def _measured(
    scan: Scan, labels: ArrayLike | GrainFeatures, progress: Progress = None
) -> GrainFeatures:
    if isinstance(labels, GrainFeatures):
        return labels
    return grain_features(scan, labels, progress)


def _standard(values: Floats, centre: Floats, spread: Floats) -> Floats:
    z = (values - centre) / spread
    # What is far outside, or missing, must not decide alone.
    return np.clip(np.nan_to_num(z, nan=0.0), -6.0, 6.0)
