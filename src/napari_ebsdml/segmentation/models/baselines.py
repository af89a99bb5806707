"""Methods to compare with, in the interface of `Segmenter`: train on pairs, predict a scan."""

from __future__ import annotations

import itertools
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation.inputs.channels import GRAIN_MEAN, channel_names, compute_channels
from napari_ebsdml.segmentation.inputs.normalise import Normaliser
from napari_ebsdml.segmentation.labels.data import Classes, check_items, data_hash
from napari_ebsdml.segmentation.models.forest import Trees
from napari_ebsdml.segmentation.results.result import (
    SegmentationResult,
    check_not_indexed,
    result_of,
)

if TYPE_CHECKING:
    from napari_ebsdml.learning.model_card import ModelCard
    from napari_ebsdml.segmentation.inputs.planes import ChannelStack

Items = Sequence[tuple[Scan, ArrayLike]]
Names = Mapping[int, str] | Sequence[str] | None


class _Baseline(ABC):
    """What the methods share: `predict`, made of their probabilities."""

    classes: Classes

    @abstractmethod
    def _probability(self, scan: Scan) -> NDArray[np.float32]:
        """(rows, columns, classes) probabilities."""

    def predict(
        self,
        scan: Scan,
        *,
        grain_vote: bool = False,
        grain_threshold: float = GRAIN_THRESHOLD,
        not_indexed: str = "classify",
        warn: bool = True,
        **others: Any,
    ) -> SegmentationResult:
        """Segment a scan; see `Segmenter.predict`, whose other arguments mean nothing here."""
        unknown = set(others) - {"standardise", "turns", "tile", "device", "n_threads", "progress"}
        if unknown:
            raise TypeError(f"predict() has no argument {sorted(unknown)[0]!r}.")
        if others.get("standardise", "as_trained") != "as_trained":
            raise InputError("Only a segmenter can standardise to this map, not this method.")
        check_not_indexed(not_indexed)
        return result_of(
            self._probability(scan), scan, self.classes, not_indexed, grain_vote, grain_threshold
        )


@dataclass(frozen=True, eq=False)
class ForestSegmenter(_Baseline):
    """Random forest on multi-scale features, as in Trainable Weka Segmentation.

    Intensity, edges and texture of each channel at scales of 0.5 to 8 pixels. Made by `train`.

    Notes
    -----
    I. Arganda-Carreras et al., Bioinformatics 33 (2017) 2424, doi:10.1093/bioinformatics/btx180.
    """

    forest: Trees
    channels: tuple[str, ...]
    normaliser: Normaliser
    classes: Classes
    scales: tuple[float, float]
    record: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def train(
        cls,
        items: Items,
        channels: Sequence[str] = ("BC", "KAM"),
        *,
        classes: Names = None,
        scales: tuple[float, float] = (0.5, 8.0),
        trees: int = 100,
        most_pixels: int = 100_000,
        seed: int = 0,
        n_jobs: int | None = None,
    ) -> ForestSegmenter:
        """Train on the labelled pixels.

        Parameters
        ----------
        items, channels, classes
            See `Segmenter.train`.
        scales
            Smallest and largest sigma of the Gaussians, in pixels.
        trees
        most_pixels
            A random choice of so many labelled pixels is used when there are more.
        seed
        n_jobs
            Processes of scikit-learn.

        Raises
        ------
        InputError, MissingDataError
            See `Segmenter.train`.
        """
        from sklearn.ensemble import RandomForestClassifier

        pairs = check_items(items)
        found = Classes.marked(pairs, classes)
        names = channel_names(channels)
        stacks = [compute_channels(scan, names) for scan, _ in pairs]
        normaliser = Normaliser.fit(stacks)
        rows, targets = [], []
        for stack, (_, labels) in zip(stacks, pairs, strict=True):
            target = found.index(labels)
            features = _features(normaliser(stack), scales)
            rows.append(features[target >= 0])
            targets.append(target[target >= 0])
        x, y = np.concatenate(rows), np.concatenate(targets)
        if len(x) > most_pixels:
            chosen = np.random.default_rng(seed).choice(len(x), most_pixels, replace=False)
            x, y = x[chosen], y[chosen]
        forest = RandomForestClassifier(
            trees, class_weight="balanced", random_state=seed, n_jobs=n_jobs
        )
        forest.fit(x, y)
        record = {"data_sha256": data_hash(pairs), "trees": trees, "seed": seed}
        return cls(Trees.of(forest, len(found)), names, normaliser, found, scales, record)

    def save(self, path: str | os.PathLike[str]) -> ModelCard:
        """Write ``NAME.safetensors`` and the model card ``NAME.json``; see `Segmenter.save`.

        Raises
        ------
        ModelError
            When the files cannot be written.
        """
        from napari_ebsdml.segmentation.models.model_files import save_forest

        return save_forest(self, path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> ForestSegmenter:
        """Read a forest.

        Raises
        ------
        ModelError
            When a file is missing or damaged, or is no forest.
        """
        from napari_ebsdml.segmentation.models.model_files import load_forest

        return cls(**load_forest(path))

    def _probability(self, scan: Scan) -> NDArray[np.float32]:
        return self.probability(compute_channels(scan, self.channels))

    @property
    def reach(self) -> int:
        """Pixels round one that its features depend on: Gaussians, and differences of them."""
        return int(4 * self.scales[1] + 0.5) + 3

    def probability(self, stack: ChannelStack) -> NDArray[np.float32]:
        """Probabilities (rows, columns, classes) of input planes."""
        features = _features(self.normaliser(stack), self.scales)
        flat = features.reshape(-1, features.shape[-1]).astype(np.float32, copy=False)
        return self.forest.probability(flat).reshape(*features.shape[:2], -1)


def _features(planes: NDArray[np.float32], scales: tuple[float, float]) -> NDArray[np.float32]:
    from skimage.feature import multiscale_basic_features

    return multiscale_basic_features(
        np.moveaxis(planes, 0, -1), sigma_min=scales[0], sigma_max=scales[1], channel_axis=-1
    )


@dataclass(frozen=True, eq=False)
class GrainThresholdSegmenter(_Baseline):
    """Threshold on a property averaged over each grain. Made by `train`.

    Attributes
    ----------
    channel
        Name of the property.
    thresholds : (classes - 1,) array
        Ascending.
    order
        Class index below the first threshold, between the first and the second, ...
    score
        Part of the training pixels that is right in each of the ranges.

    Notes
    -----
    K. Zhu et al., J. Mater. Sci. 48 (2013) 413, doi:10.1007/s10853-012-6756-9, with the
    threshold that is right most often on the training pixels instead of one found by eye.
    """

    channel: str
    thresholds: NDArray[np.float64]
    order: tuple[int, ...]
    score: tuple[float, ...]
    classes: Classes

    @classmethod
    def train(
        cls, items: Items, channels: Sequence[str] = ("BS",), *, classes: Names = None
    ) -> GrainThresholdSegmenter:
        """Find the thresholds that are right most often.

        Parameters
        ----------
        items, classes
            See `Segmenter.train`.
        channels
            One channel, a property or for example ``"KAM"``.

        Raises
        ------
        InputError, MissingDataError
            See `Segmenter.train`; also when `channels` does not name one channel.
        """
        names = [channels] if isinstance(channels, str) else list(channels)
        if len(names) != 1:
            raise InputError(f"A grain threshold takes one channel, not {names}.")
        channel = names[0].removesuffix(GRAIN_MEAN) + GRAIN_MEAN
        pairs = check_items(items)
        found = Classes.marked(pairs, classes)
        values, targets = [], []
        for scan, labels in pairs:
            target = found.index(labels)
            values.append(_grain_values(scan, channel)[target >= 0])
            targets.append(target[target >= 0])
        x, y = np.concatenate(values), np.concatenate(targets)
        order = tuple(int(c) for c in np.argsort([np.median(x[y == c]) for c in range(len(found))]))
        thresholds = np.array(
            [_best_threshold(x[(y == a) | (y == b)], y[(y == a) | (y == b)] == b)
             for a, b in itertools.pairwise(order)]
        )  # fmt: skip
        thresholds = np.maximum.accumulate(thresholds)
        predicted = np.array(order)[np.searchsorted(thresholds, x, side="right")]
        score = tuple(
            float((y[predicted == c] == c).mean()) if (predicted == c).any() else 1.0 for c in order
        )
        return cls(channel, thresholds, order, score, found)

    def _probability(self, scan: Scan) -> NDArray[np.float32]:
        place = np.searchsorted(self.thresholds, _grain_values(scan, self.channel), side="right")
        n = len(self.classes)
        table = np.zeros((n, n), dtype=np.float32)
        for row, (c, score) in enumerate(zip(self.order, self.score, strict=True)):
            # The class must stay the most likely one, however bad the threshold is.
            right = max(score, 1.0 / n + 1e-3)
            table[row] = (1 - right) / (n - 1)
            table[row, c] = right
        return np.asarray(table[place])


def _grain_values(scan: Scan, channel: str) -> NDArray[np.float64]:
    return np.nan_to_num(compute_channels(scan, (channel,)).values[0].astype(np.float64))


def _best_threshold(x: NDArray[np.float64], above: NDArray[np.bool_]) -> float:
    """Threshold with the most pixels on their side; between two values."""
    values, which = np.unique(x, return_inverse=True)
    n_above = np.bincount(which, weights=above, minlength=len(values))
    n_below = np.bincount(which, weights=~above, minlength=len(values))
    # Right when the cut lies before value i: those below it that belong below, and the rest.
    right = np.r_[0, np.cumsum(n_below)] + n_above.sum() - np.r_[0, np.cumsum(n_above)]
    cut = int(right.argmax())
    if cut == 0:
        return float(values[0]) - 1e-9
    if cut == len(values):
        return float(values[-1]) + 1e-9
    return float(values[cut - 1] + values[cut]) / 2
