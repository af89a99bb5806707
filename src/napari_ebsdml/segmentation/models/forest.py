"""Decision trees as plain tables: what a random forest of scikit-learn says, without pickle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import over_rows
from napari_ebsdml.errors import InputError


@dataclass(frozen=True, eq=False)
class Trees:
    """Decision trees, one after the other.

    Attributes
    ----------
    feature : (nodes,) int32
        Number of the feature that a node asks for; -1 at a leaf.
    threshold : (nodes,) float64
        At or below it, it goes on to the left.
    left, right : (nodes,) int32
        Next nodes.
    chance : (nodes, classes) float32
        Part of each class among the training pixels of a node.
    roots : (trees,) int32
    features
        Number of features.
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    chance: NDArray[np.float32]
    roots: NDArray[np.int32]
    features: int

    @classmethod
    def of(cls, forest: Any, classes: int) -> Trees:
        """Tables of a fitted `sklearn.ensemble.RandomForestClassifier`.

        `classes` is the number of columns; the forest's own classes are among them.
        """
        every = [one.tree_ for one in forest.estimators_]
        starts = np.cumsum([0, *(tree.node_count for tree in every)]).astype(np.int32)
        own = forest.classes_.astype(int)
        chance = np.zeros((int(starts[-1]), classes), np.float32)
        left, right = [], []
        for tree, start, end in zip(every, starts[:-1], starts[1:], strict=True):
            part = tree.value[:, 0]
            chance[start:end, own] = part / part.sum(axis=1, keepdims=True)
            left.append(np.where(tree.children_left >= 0, tree.children_left + start, -1))
            right.append(np.where(tree.children_right >= 0, tree.children_right + start, -1))
        feature = np.concatenate([np.where(t.feature >= 0, t.feature, -1) for t in every])
        return cls(
            feature.astype(np.int32), np.concatenate([t.threshold for t in every]),
            np.concatenate(left).astype(np.int32), np.concatenate(right).astype(np.int32), chance,
            starts[:-1].copy(), int(forest.n_features_in_),
        )  # fmt: skip

    def check(self) -> None:
        """Whether the tables make trees, which end.

        Raises
        ------
        InputError
            When they do not.
        """
        nodes = len(self.feature)
        leaf = self.feature < 0
        sizes = {len(x) for x in (self.threshold, self.left, self.right, self.chance)}
        inner = np.flatnonzero(~leaf)
        good = (
            sizes == {nodes} and len(self.roots) > 0
            and bool(((self.roots >= 0) & (self.roots < nodes)).all())
            and bool((self.feature < self.features).all())
            # A child comes after its parent: a path cannot go on for ever.
            and all(bool(((side[inner] > inner) & (side[inner] < nodes)).all())
                    for side in (self.left, self.right))
        )  # fmt: skip
        if not good:
            raise InputError("the tables of the forest make no trees")

    def probability(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(pixels, classes) of features (pixels, features): the mean over the trees."""
        out = np.zeros((len(values), self.chance.shape[1]), np.float32)

        def work(first: int, end: int) -> None:
            _walk(
                values, first, end, self.feature, self.threshold, self.left, self.right,
                self.chance, self.roots, out,
            )  # fmt: skip

        over_rows(work, (len(values), len(self.roots)))
        return out


@njit(cache=True, nogil=True)
def _walk(
    values: Any, first: int, end: int, feature: Any, threshold: Any, left: Any, right: Any,
    chance: Any, roots: Any, out: Any,
) -> None:  # fmt: skip
    share = np.float32(1.0 / len(roots))
    for pixel in range(first, end):
        for root in roots:
            node = root
            while feature[node] >= 0:
                if values[pixel, feature[node]] <= threshold[node]:
                    node = left[node]
                else:
                    node = right[node]
            for c in range(chance.shape[1]):
                out[pixel, c] += chance[node, c] * share
