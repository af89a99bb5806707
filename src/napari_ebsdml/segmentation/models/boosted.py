"""Boosted trees on the input planes, and their adaptation to strokes. Loads no torch.

A ready model knows thousands of grains; five strokes know five. So strokes do not make a new model
but correct the ready one: a multinomial regression on the planes is added to its logits, held
near zero by how little strokes can tell. `learning.adapting` weighs it against other answers.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax

from napari_ebsdml._parallel import over_rows
from napari_ebsdml.errors import InputError

SCALE_FREEDOM, BIAS_FREEDOM, WEIGHT_FREEDOM = 0.3, 0.5, 0.2
"""Standard deviations of what strokes may change before they have spoken: the logarithm of the
scale of the ready model's logits, the class biases (how many strokes a class has says little of its
fraction), and the weights of the standardised planes. Chosen on random maps of seeds 20000-20005,
martensite and recrystallised, five strokes a class: 0.5 is a point better than 1.5 for the biases,
the others hardly matter."""

_MOST_OF_UNIT = 40


@dataclass(frozen=True, eq=False)
class BoostedTrees:
    """Boosted trees with a linear correction: ``scale * trees(planes) + weight @ planes + bias``.

    Attributes
    ----------
    feature : (nodes,) int32
        Plane that a node asks for; -1 at a leaf.
    threshold : (nodes,) float32
        At or below it, it goes on to the left.
    left, right : (nodes,) int32
        Next nodes.
    value : (nodes,) float32
        What a leaf adds to a logit.
    roots, outputs : (trees,) int32
        First node of each tree, and the class whose logit it adds to.
    weight : (classes, planes) float32
    bias : (classes,) float32
        Of a model as shipped: no weights, and the logits to begin with.
    scale
    """

    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    value: NDArray[np.float32]
    roots: NDArray[np.int32]
    outputs: NDArray[np.int32]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    scale: float = 1.0

    @classmethod
    def fit(
        cls,
        values: NDArray[np.float32],
        target: NDArray[np.integer],
        classes: int,
        *,
        rounds: int = 100,
        leaves: int = 31,
        weight: NDArray[np.floating] | None = None,
        seed: int = 0,
    ) -> BoostedTrees:
        """Fit to pixels (pixels, planes) of the class indices `target`.

        Raises
        ------
        InputError
            When a class has no pixel.

        Notes
        -----
        G. Ke et al., LightGBM, NeurIPS 30 (2017), as scikit-learn has it.
        """
        from sklearn.ensemble import HistGradientBoostingClassifier

        counts = np.bincount(target, minlength=classes)
        if len(counts) > classes or (counts == 0).any():
            raise InputError("Boosted trees need pixels of every class.")
        found = HistGradientBoostingClassifier(
            max_iter=rounds, max_leaf_nodes=leaves, l2_regularization=1.0,
            min_samples_leaf=min(200, len(target) // 20 + 1), learning_rate=0.1,
            early_stopping=False, random_state=seed,
        )  # fmt: skip
        found.fit(values, target, weight)
        trees = [
            (one.nodes, 1 if classes == 2 else c)
            for each in found._predictors
            for c, one in enumerate(each)
        ]
        starts = np.cumsum([0, *(len(nodes) for nodes, _ in trees)]).astype(np.int32)
        nodes = np.concatenate([n for n, _ in trees])
        shift = np.repeat(starts[:-1], np.diff(starts))
        leaf = nodes["is_leaf"].astype(bool)
        bias = np.zeros(classes, np.float32)
        first = np.ravel(found._baseline_prediction)
        bias[1 if classes == 2 else slice(None)] = first[0] if classes == 2 else first
        return cls(
            np.where(leaf, -1, nodes["feature_idx"]).astype(np.int32),
            nodes["num_threshold"].astype(np.float32),
            np.where(leaf, -1, nodes["left"].astype(np.int64) + shift).astype(np.int32),
            np.where(leaf, -1, nodes["right"].astype(np.int64) + shift).astype(np.int32),
            nodes["value"].astype(np.float32), starts[:-1].copy(),
            np.array([c for _, c in trees], dtype=np.int32),
            np.zeros((classes, values.shape[1]), np.float32), bias,
        )  # fmt: skip

    def check(self) -> None:
        """Whether the tables make trees, which end.

        Raises
        ------
        InputError
            When they do not.
        """
        nodes, classes = len(self.feature), len(self.bias)
        inner = np.flatnonzero(self.feature >= 0)
        sizes = {len(x) for x in (self.threshold, self.left, self.right, self.value)}
        good = (
            sizes == {nodes} and len(self.roots) == len(self.outputs) > 0
            and bool(((self.roots >= 0) & (self.roots < nodes)).all())
            and bool(((self.outputs >= 0) & (self.outputs < classes)).all())
            and bool((self.feature < self.weight.shape[1]).all())
            and len(self.weight) == classes
            # A child comes after its parent: a path cannot go on for ever.
            and all(bool(((side[inner] > inner) & (side[inner] < nodes)).all())
                    for side in (self.left, self.right))
        )  # fmt: skip
        if not good:
            raise InputError("the tables of the boosted trees make no trees")

    def trees(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Sums (pixels, classes) of the trees alone, of pixels (pixels, planes)."""
        flat = np.ascontiguousarray(values, dtype=np.float32)
        out = np.zeros((len(flat), len(self.bias)), np.float32)

        def work(first: int, end: int) -> None:
            _walk(
                flat, first, end, self.feature, self.threshold, self.left, self.right, self.value,
                self.roots, self.outputs, out,
            )  # fmt: skip

        over_rows(work, (len(flat), len(self.roots)))
        return out

    def at(self, values: NDArray[np.floating]) -> NDArray[np.float32]:
        """Logits (pixels, classes) of pixels (pixels, planes)."""
        logits = self.scale * self.trees(values) + self.bias
        if self.weight.any():
            logits += values @ self.weight.T
        return np.asarray(logits, dtype=np.float32)

    def logits(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """(classes, rows, columns) of planes (planes, rows, columns)."""
        planes, *shape = image.shape
        flat = image.reshape(planes, -1)
        out = np.empty((len(self.bias), flat.shape[1]), np.float32)
        chunk = 1 << 18
        for start in range(0, flat.shape[1], chunk):
            part = slice(start, start + chunk)
            out[:, part] = self.at(np.ascontiguousarray(flat[:, part].T)).T
        return out.reshape(-1, *shape)

    def adapted(
        self,
        values: NDArray[np.floating],
        target: NDArray[np.integer],
        units: NDArray[np.integer],
    ) -> BoostedTrees:
        """Correct the model as shipped by strokes.

        Parameters
        ----------
        values : (pixels, planes)
            Standardised planes.
        target : (pixels,) int
            Class index.
        units : (pixels,) int
            Grain of each pixel; every grain counts as one, however long its stroke is.

        Raises
        ------
        InputError
            When there is no pixel.
        """
        if not len(target):
            raise InputError("There is no labelled pixel to adapt a model to.")
        chosen = _some_of_each(units, target)
        x = np.asarray(values[chosen], dtype=np.float64)
        y, unit = np.asarray(target)[chosen], np.asarray(units)[chosen]
        number = np.unique(unit, return_inverse=True)[1]
        share = (1.0 / np.bincount(number))[number]
        base = self.trees(x).astype(np.float64)
        classes, planes = self.weight.shape
        rows = np.arange(len(y))

        def loss(p: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
            log_scale, bias = p[0], p[1 : 1 + classes]
            w = p[1 + classes :].reshape(classes, planes)
            scaled = np.exp(log_scale) * base
            log_chance = log_softmax(scaled + x @ w.T + bias + self.bias, axis=1)
            gap = np.exp(log_chance)
            gap[rows, y] -= 1
            gap *= share[:, None]
            value = -float((share * log_chance[rows, y]).sum())
            value += 0.5 * (
                (log_scale / SCALE_FREEDOM) ** 2 + (bias**2).sum() / BIAS_FREEDOM**2
                + (w**2).sum() / WEIGHT_FREEDOM**2
            )  # fmt: skip
            slope = np.concatenate((
                [(gap * scaled).sum() + log_scale / SCALE_FREEDOM**2],
                gap.sum(axis=0) + bias / BIAS_FREEDOM**2,
                (gap.T @ x + w / WEIGHT_FREEDOM**2).ravel(),
            ))  # fmt: skip
            return value, slope

        start = np.zeros(1 + classes + classes * planes)
        p = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
        return dataclasses.replace(
            self,
            scale=float(np.exp(p[0])),
            bias=(self.bias + p[1 : 1 + classes]).astype(np.float32),
            weight=p[1 + classes :].reshape(classes, planes).astype(np.float32),
        )


def _some_of_each(units: NDArray[np.integer], target: NDArray[np.integer]) -> NDArray[np.intp]:
    """Indices of at most `_MOST_OF_UNIT` pixels of each class in each unit."""
    number = np.unique(
        np.stack((units, target)).astype(np.int64), axis=1, return_inverse=True
    )[1].ravel()  # fmt: skip
    order = np.random.default_rng(0).permutation(len(number))
    order = order[np.argsort(number[order], kind="stable")]
    sizes = np.bincount(number)
    place = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.sort(order[place < _MOST_OF_UNIT])


@njit(cache=True, nogil=True)
def _walk(
    values: Any, first: int, end: int, feature: Any, threshold: Any, left: Any, right: Any,
    value: Any, roots: Any, outputs: Any, out: Any,
) -> None:  # fmt: skip
    # Tree by tree over a block of pixels: the tree stays in the cache.
    for start in range(first, end, 512):
        stop = min(start + 512, end)
        for tree in range(len(roots)):
            c = outputs[tree]
            for pixel in range(start, stop):
                node = roots[tree]
                while feature[node] >= 0:
                    if values[pixel, feature[node]] <= threshold[node]:
                        node = left[node]
                    else:
                        node = right[node]
                out[pixel, c] += value[node]
