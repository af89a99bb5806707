"""Is a whole map of the kind that a ready model was trained on?

Pixels of a foreign map look much like some pixels of the training, so that a model is as sure of
them as ever; what gives the map away is how they come together. So a map, and what of it got each
class, is summed up by quantiles of its planes, and these are compared, all at once, with those of
the training maps. And classes that hardly differ from each other on a map, where they always do in
the training, were not there to be told apart.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import ModelError
from napari_ebsdml.segmentation.inputs.normalise import Normaliser
from napari_ebsdml.segmentation.inputs.planes import ChannelStack

QUANTILES = (0.1, 0.5, 0.9)
_MIDDLE = QUANTILES.index(0.5)
_RIDGE = 0.3
"""Added to the variances (planes have spread 1), so that no combination of quantiles that hardly
differs among the training maps decides alone. Chosen while looking at the real maps."""

USUAL = 0.95
"""Part of the held-out maps that are to count as familiar."""

_SURE_ENOUGH, _SURE_AT_MOST = 0.9, 0.65
"""Part of them that the model is sure enough of; a mean chance beyond the second always will do.
Chosen looking at the sections of rolled iron: the model is less sure of them than of most maps."""

_ALIKE = 0.02
"""Part of the held-out maps on which two classes differ less. That they are compared was chosen
looking at strained ferrite (DC06), whose grains all look alike."""

_AXES, _FEWEST_MAPS = 40, 12
_LEAST_SHARE, _LEAST_PIXELS = 0.1, 50
_SAMPLE = 50_000
_NAMED, _FAR = 3, 2.0

_SELDOM = 2 / 3
"""A class of which less is found on held-out maps is told as hard to tell without strokes."""


class Pixels(NamedTuple):
    """A map, or some of its pixels, that have an orientation."""

    values: NDArray[np.floating]
    """(pixels, planes) standardised."""
    best: NDArray[np.integer]
    """(pixels,) index of the class that each pixel got."""
    chance: NDArray[np.floating]
    """(pixels,) of that class."""


@dataclass(frozen=True, eq=False)
class Familiar:
    """What the maps of a training look like: first as wholes, then what got each class.

    Attributes
    ----------
    planes : (planes,) int32
        Numbers of the planes that are looked at.
    mean : (1 + classes, quantiles * planes) float32
        Mean of the training maps' quantiles, of each plane the lowest first.
    spread : (1 + classes, quantiles * planes) float32
        Standard deviation.
    axes : (1 + classes, axes, quantiles * planes) float32
        Directions in which they differ most.
    size : (1 + classes, axes) float32
        Variance along these.
    limit : (1 + classes,) float32
        Distance within which most held-out maps lie; 0 for a class that too few maps have.
    sure : (1,) float32
        Mean chance of the answer that most held-out maps reach.
    apart : (pairs of classes, planes) float32
        Of the medians of two classes, what the difference is weighed with to be 1 in the mean of
        the training maps; 0 for a pair that too few maps have.
    least : (pairs of classes,) float32
        What nearly all held-out maps reach.
    """

    planes: NDArray[np.int32]
    mean: NDArray[np.float32]
    spread: NDArray[np.float32]
    axes: NDArray[np.float32]
    size: NDArray[np.float32]
    limit: NDArray[np.float32]
    sure: NDArray[np.float32]
    apart: NDArray[np.float32]
    least: NDArray[np.float32]

    @classmethod
    def fit(
        cls, normaliser: Normaliser, classes: int, train: Sequence[Pixels],
        held_out: Sequence[Pixels],
    ) -> Familiar:  # fmt: skip
        """Learn from maps, and from others how far maps of their kind lie away."""
        planes = _looked_at(normaliser)
        features = len(QUANTILES) * len(planes)
        known = [_parts(one.values[:, planes], one.best, classes) for one in train]
        mean, spread = (np.zeros((1 + classes, features), np.float32) for _ in range(2))
        axes = np.zeros((1 + classes, _AXES, features), np.float32)
        size = np.zeros((1 + classes, _AXES), np.float32)
        limit = np.zeros(1 + classes, np.float32)
        for k in range(1 + classes):
            found = np.array([parts[k] for parts in known if k in parts])
            if len(found) < min(_FEWEST_MAPS, len(train)) or not len(found):
                continue
            mean[k], spread[k] = found.mean(axis=0), found.std(axis=0)
            values, vectors = np.linalg.eigh(np.cov(found.T, bias=True))
            number = min(_AXES, features)
            size[k, :number] = np.maximum(values[::-1][:number], 0)
            axes[k, :number] = vectors[:, ::-1].T[:number]
            limit[k] = 1
        least = np.quantile([one.chance.mean() for one in held_out], 1 - _SURE_ENOUGH)
        sure = np.array([min(float(least), _SURE_AT_MOST)], np.float32)
        pairs = list(combinations(range(classes), 2))
        apart, least = np.zeros((len(pairs), len(planes)), np.float32), np.zeros(len(pairs), "f4")
        made = cls(planes, mean, spread, axes, size, limit, sure, apart, least)
        gaps = [made._gaps(parts) for parts in known]
        for i in range(len(pairs)):
            gap = np.array([each[i] for each in gaps if i in each])
            if len(gap) >= min(_FEWEST_MAPS, len(train)):
                way = gap.mean(axis=0) / (gap.var(axis=0) + _RIDGE)
                apart[i] = way / max(way @ gap.mean(axis=0), 1e-6)
        differ = [made._differ(one) for one in held_out]
        for i in range(len(pairs)):
            there = [each[i] for each in differ if i in each]
            least[i] = np.quantile(there, _ALIKE) if there else 0
        away = [made._distances(one) for one in held_out]
        for part in map(int, np.flatnonzero(limit)):
            there = [each[part] for each in away if part in each]
            limit[part] = np.quantile(there, USUAL) if there else 0
        most = [made.distance(one)[0] for one in held_out]
        limit *= np.quantile(most, USUAL)
        return made

    def distance(self, pixels: Pixels) -> tuple[float, int]:
        """How far a map is from the training maps; 1 is as far as most held-out ones lie at most.

        The second is what gives it away: 0 for the map as a whole, else one more than the index
        of a class.
        """
        ratios = {
            k: away / float(self.limit[k])
            for k, away in self._distances(pixels).items() if self.limit[k] > 0
        }  # fmt: skip
        worst = max(ratios, key=lambda k: ratios[k], default=0)
        return ratios.get(worst, 0.0), worst

    def alike(self, pixels: Pixels) -> tuple[float, tuple[int, ...]]:
        """Difference of two classes that are closer to each other than on the training maps.

        It is 1 in the mean of those; the second are the indices of the classes, none where all
        differ enough. Of several pairs the one with the smallest difference.
        """
        found = self._differ(pixels)
        close = [i for i, differ in found.items() if self.apart[i].any() and differ < self.least[i]]
        if not close:
            return 1.0, ()
        worst = min(close, key=lambda i: found[i])
        return found[worst], list(combinations(range(len(self.limit) - 1), 2))[worst]

    def said(
        self, pixels: Pixels, normaliser: Normaliser, classes: Sequence[str]
    ) -> str:  # fmt: skip
        """Sentence on a map that is unlike the training maps; empty for one that is like them."""
        if not len(pixels.values):
            return ""
        away, part = self.distance(pixels)
        alike, pair = self.alike(pixels)
        chance = float(pixels.chance.mean())
        if away > 1:
            what = f"in what is called {classes[part - 1]} " if part else ""
            strange = self._strange(pixels, part, normaliser)
            why = f": {what}{', '.join(strange)}" if strange else ""
            first = (
                f"Not like the training maps ({away:.1f} times as far from them as maps of their "
                f"kind lie{why})."
            )
        elif pair:
            first = (
                f"Not like the training maps (what is called {classes[pair[0]]} and what is called "
                f"{classes[pair[1]]} differ by {100 * max(alike, 0):.0f} % of what they do there "
                "in the mean)."
            )
        elif chance < self.sure[0]:
            first = (
                f"Not decided: the model is sure of {100 * chance:.0f} % in the mean, and of "
                f"{100 * float(self.sure[0]):.0f} % or more on maps like those of its training."
            )
        else:
            return ""
        return (
            f"{first} Do not trust the classes or their chances, no fraction is told. Paint five "
            "strokes of each class on this map and train on."
        )

    def _distances(self, pixels: Pixels) -> dict[int, float]:
        out = {}
        values = pixels.values[:, self.planes]
        for k, found in _parts(values, pixels.best, len(self.limit) - 1).items():
            gap = found - self.mean[k]
            along = self.axes[k] @ gap
            # Of a covariance with a ridge, by its largest axes.
            square = (
                gap @ gap - (self.size[k] / (self.size[k] + _RIDGE) * along**2).sum()
            ) / _RIDGE
            out[k] = float(np.sqrt(max(square, 0.0)))
        return out

    def _gaps(self, parts: Mapping[int, NDArray[np.float64]]) -> dict[int, NDArray[np.float64]]:
        """Differences of the medians of two classes, for each pair that is there."""
        middle = {
            k - 1: found.reshape(len(QUANTILES), -1)[_MIDDLE] for k, found in parts.items() if k
        }
        pairs = enumerate(combinations(range(len(self.limit) - 1), 2))
        return {i: middle[a] - middle[b] for i, (a, b) in pairs if a in middle and b in middle}

    def _differ(self, pixels: Pixels) -> dict[int, float]:
        parts = _parts(pixels.values[:, self.planes], pixels.best, len(self.limit) - 1)
        return {i: float(self.apart[i] @ gap) for i, gap in self._gaps(parts).items()}

    def _strange(self, pixels: Pixels, part: int, normaliser: Normaliser) -> list[str]:
        """Planes that are furthest from the training, in words; of a plane and its means one."""
        values = pixels.values[:, self.planes]
        found = _parts(values, pixels.best, len(self.limit) - 1)[part]
        gap = (found - self.mean[part]) / np.maximum(self.spread[part], 0.05)
        gap = gap.reshape(len(QUANTILES), -1)
        most = np.abs(gap).argmax(axis=0)
        each = gap[most, np.arange(gap.shape[1])]
        words: dict[str, str] = {}
        for at in np.argsort(-np.abs(each)):
            name = normaliser.planes[self.planes[at]].name.partition("@")[0]
            if abs(each[at]) > _FAR and name not in words and len(words) < _NAMED:
                words[name] = f"{name} {'high' if each[at] > 0 else 'low'}"
        return list(words.values())

    def as_tables(self) -> dict[str, NDArray[Any]]:
        """Arrays for the model file."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def of_tables(
        cls, tables: Mapping[str, NDArray[Any]], normaliser: Normaliser, classes: int, path: Any
    ) -> Familiar:
        """What `as_tables` gave.

        Raises
        ------
        ModelError
            When a table is missing or does not fit.
        """
        planes, parts = _looked_at(normaliser), 1 + classes
        pairs = classes * (classes - 1) // 2
        features = len(QUANTILES) * len(planes)
        shapes = {
            "planes": (len(planes),), "mean": (parts, features), "spread": (parts, features),
            "axes": (parts, _AXES, features), "size": (parts, _AXES), "limit": (parts,),
            "sure": (1,), "apart": (pairs, len(planes)), "least": (pairs,),
        }  # fmt: skip
        good = set(tables) == set(shapes) and all(
            tables[name].shape == shape and bool(np.isfinite(tables[name]).all())
            for name, shape in shapes.items()
        )
        if (
            not good or not (tables["planes"] == planes).all()
            or (tables["limit"] < 0).any() or (tables["size"] < 0).any()
        ):  # fmt: skip
            raise ModelError(f"{path}: what the training maps look like does not fit the inputs.")
        return cls(**tables)


def pixels_of(
    stack: ChannelStack, normaliser: Normaliser, probability: NDArray[np.floating],
    is_indexed: NDArray[np.bool_], first: int = 0, size: int | None = None,
) -> Pixels:  # fmt: skip
    """Some of the pixels of a map that have an orientation.

    Parameters
    ----------
    stack
        Of the map, or of whole rows of it.
    normaliser
    probability : (rows, columns, classes)
    is_indexed : (rows, columns)
    first
        Place of the first pixel in the map.
    size
        Pixels of the map; None: `stack` is all of it.
    """
    every = max((is_indexed.size if size is None else size) // _SAMPLE, 1)
    at = np.arange(-first % every, is_indexed.size, every)
    at = at[is_indexed.ravel()[at]]
    flat = stack.values.reshape(len(stack.planes), -1)[:, at, None]
    values = normaliser(dataclasses.replace(stack, values=np.ascontiguousarray(flat)))
    chance = probability.reshape(-1, probability.shape[-1])[at]
    return Pixels(values[:, :, 0].T, chance.argmax(axis=1), chance.max(axis=1))


def hard_to_tell(metrics: Mapping[str, Any], classes: Sequence[str]) -> str:
    """Sentence on classes that a ready model seldom finds without strokes; empty for none.

    Parameters
    ----------
    metrics
        Of held-out maps, with "confusion": rows what is true, columns what was found.
    classes
        Their names.
    """
    table = np.asarray(metrics.get("confusion", ()), dtype=np.float64)
    if table.shape != (len(classes), len(classes)):
        return ""
    hit, true, found = np.diag(table), table.sum(axis=1), table.sum(axis=0)
    told = []
    for n, (name, right, all_of, called) in enumerate(zip(classes, hit, true, found, strict=True)):
        if all_of > 0 and right < _SELDOM * all_of:
            other = int(np.where(np.arange(len(classes)) == n, -1.0, table[n]).argmax())
            told.append(
                f"{100 * right / all_of:.0f} % of {name} is found and "
                f"{100 * table[n, other] / all_of:.0f} % called {classes[other]}"
            )
            if called > 0:
                told[-1] += f", {100 * right / called:.0f} % of what is called {name} is"
    if not told:
        return ""
    return (
        f"Hard to tell without strokes, by synthetic maps that were held out: {'; '.join(told)}. "
        "Where that matters read such classes as one, or paint ten strokes of each class or more "
        "on this map and train on."
    )


def _looked_at(normaliser: Normaliser) -> NDArray[np.int32]:
    """All planes but flags."""
    flags = [
        plane.role in ("flag", "quaternion") or plane.name.startswith("has ")
        for plane in normaliser.planes
    ]
    return np.flatnonzero(~np.array(flags)).astype(np.int32)


def _parts(
    values: NDArray[np.floating], best: NDArray[np.integer], classes: int
) -> dict[int, NDArray[np.float64]]:
    """Quantiles of the whole, and of each class that is more than a few pixels."""
    out = {0: _summary(values)}
    for c in range(classes):
        at = best == c
        if at.sum() >= max(_LEAST_PIXELS, _LEAST_SHARE * len(best)):
            out[1 + c] = _summary(values[at])
    return out


def _summary(values: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.quantile(np.asarray(values, np.float64), QUANTILES, axis=0).ravel()
