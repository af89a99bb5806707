"""Folded patterns: sums over the triangle of m-3m, and over its copies on coarse cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.frame import _kernels
from napari_ebsdml.patterns.frame.triangle import COARSE, n_nodes, solid_angles

CELLS = 18
"""Rows of the coarse cells: 2.5 degrees."""
N_CELLS = CELLS * (CELLS + 1) // 2
_WIDE = 2
"""Cells along a side of a wide cell: 5 degrees."""
_SEEN = 0.3
"""Least number of pixels at a node that counts."""
_BILINEAR = 4 / 9
"""Mean squared bilinear weight of a pixel: its noise in a node's sum."""

# Row: part of `_kernels.fold`; column: crystal axis; value: 0 where that axis holds the smallest,
# 1 the middle, 2 the largest component.
_PLACE = np.array([[2, 0, 1], [2, 1, 0], [0, 2, 1], [1, 2, 0], [0, 1, 2], [1, 0, 2]])
_PARITY = np.array([0, 1, 1, 0, 0, 1])

GROUPINGS = ("six", "parity", "x", "y", "z")
"""Ways to compare the copies: all permutations of the axes apart; the even with the odd ones (what
Laue group m-3 lacks); after the place of one axis (of a tetragonal crystal only copies with its
4-fold axis in one place are alike)."""
_LABELS = np.stack([np.arange(6), _PARITY, *_PLACE.T])
_I, _J = np.tril_indices(CELLS)
_WIDE_CELLS = (_I // _WIDE) * (_I // _WIDE + 1) // 2 + _J // _WIDE


@dataclass(frozen=True, eq=False)
class Folded:
    """Patterns folded into the fundamental triangle of m-3m.

    Everything adds up: the sums of a grain are the sums of its pixels'.

    Attributes
    ----------
    sums, weights : (n, nodes) float32 arrays
        Sum of the flattened intensity, and number of pixels, at each node of the triangle.
    parts, counts : (n, 6, `N_CELLS`) float32 arrays
        The same on coarse cells, apart for the six permutations of the axes (`_kernels.fold`).
    noise : (n,) float32 array
        Sum over the pixels of their noise's variance.
    steps
        Steps of the triangle's side.
    """

    sums: NDArray[np.float32]
    weights: NDArray[np.float32]
    parts: NDArray[np.float32]
    counts: NDArray[np.float32]
    noise: NDArray[np.float32]
    steps: int = COARSE

    def __len__(self) -> int:
        return len(self.sums)

    @property
    def arrays(self) -> tuple[NDArray[np.float32], ...]:
        """All that adds up, in the order of the attributes."""
        return self.sums, self.weights, self.parts, self.counts, self.noise

    @classmethod
    def _of(cls, arrays: Iterable[NDArray[np.float32]], steps: int) -> Folded:
        sums, weights, parts, counts, noise = arrays
        return cls(sums, weights, parts, counts, noise, steps)

    @classmethod
    def empty(cls, number: int, steps: int = COARSE) -> Folded:
        """Nothing folded yet, `number` times."""
        nodes = n_nodes(steps)
        shapes = ((nodes,), (nodes,), (6, N_CELLS), (6, N_CELLS), ())
        return cls._of((np.zeros((number, *shape), np.float32) for shape in shapes), steps)

    @classmethod
    def join(cls, pieces: Sequence[Folded]) -> Folded:
        """Several sets, one after the other."""
        columns = zip(*(piece.arrays for piece in pieces), strict=True)
        return cls._of((np.concatenate(column) for column in columns), pieces[0].steps)

    def take(self, which: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Folded:
        """Some of them."""
        return Folded._of((array[which] for array in self.arrays), self.steps)

    def add(self, labels: NDArray[np.intp], other: Folded) -> None:
        """Add others in place: `labels` (len(other),) say to which; negative ones are left out."""
        good = labels >= 0
        for mine, theirs in zip(self.arrays, other.arrays, strict=True):
            np.add.at(mine, labels[good], theirs[good])

    def grouped(self, labels: NDArray[np.intp], number: int) -> Folded:
        """Sums over groups: `labels` (n,) in 0..number - 1, negative ones left out."""
        total = Folded.empty(number, self.steps)
        total.add(labels, self)
        return total

    def total(self) -> Folded:
        """The sum of all, as one."""
        return Folded._of((array.sum(axis=0)[None] for array in self.arrays), self.steps)

    @property
    def mean(self) -> NDArray[np.float32]:
        """Average intensity (n, nodes); 0 where no pixel fell."""
        ratio = self.sums / np.maximum(self.weights, 0.05)
        return np.where(self.weights > 0.05, ratio, 0).astype(np.float32)

    @property
    def count(self) -> NDArray[np.float32]:
        """Pixels at each node, (n, nodes)."""
        return self.weights

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Nodes that enough pixels fell near to count, (n, nodes)."""
        return self.weights > _SEEN

    @property
    def sharpness(self) -> NDArray[np.float64]:
        """Standard deviation of the average over the triangle, (n,)."""
        area = solid_angles(self.steps) * (self.count > 0)
        total = np.maximum(area.sum(axis=1), 1e-9)
        mean = self.mean.astype(np.float64)
        centre = (area * mean).sum(axis=1) / total
        return np.sqrt((area * (mean - centre[:, None]) ** 2).sum(axis=1) / total)

    @property
    def pixel_noise(self) -> NDArray[np.float64]:
        """Variance of a pixel's noise, in that of the flattened pattern (about 1), (n,)."""
        return self.noise / np.maximum(self.weights.sum(axis=1, dtype=np.float64), 1e-9)

    @property
    def reliability(self) -> NDArray[np.float64]:
        """Part of the folded average's variance over the triangle that is not noise, (n,).

        1 without noise. A correlation of the average with anything cannot exceed its root.
        """
        weight = self.weights.astype(np.float64)
        mean = self.mean.astype(np.float64)
        whole = np.maximum(weight.sum(axis=1), 1e-9)
        centre = (weight * mean).sum(axis=1) / whole
        power = (weight * (mean - centre[:, None]) ** 2).sum(axis=1)
        noise = _BILINEAR * self.pixel_noise * (weight > 0.05).sum(axis=1)
        return np.clip(1 - noise / np.maximum(power, 1e-9), 0.0, 1.0)

    @property
    def signal(self) -> NDArray[np.float64]:
        """The sharpness that is not noise, (n,): what the copies of the triangle share."""
        return self.sharpness * np.sqrt(self.reliability)

    @property
    def agreement(self) -> NDArray[np.float64]:
        """Correlation of even and odd permutations of the axes over the cells both have, (n,).

        A crystal of Laue group m-3m agrees with its mirror image up to noise; one without mirror
        planes on the diagonals, or a wrong orientation, does not.
        """
        even = _PARITY == 0
        first, second = (self.counts[:, part].sum(axis=1) for part in (even, ~even))
        one = self.parts[:, even].sum(axis=1, dtype=np.float64) / np.maximum(first, 1)
        two = self.parts[:, ~even].sum(axis=1, dtype=np.float64) / np.maximum(second, 1)
        weight = np.sqrt(first * second, dtype=np.float64)
        total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
        one = one - (weight * one).sum(axis=1, keepdims=True) / total
        two = two - (weight * two).sum(axis=1, keepdims=True) / total
        power = (weight * one**2).sum(axis=1) * (weight * two**2).sum(axis=1)
        return (weight * one * two).sum(axis=1) / np.sqrt(np.maximum(power, 1e-12))

    def differences(
        self, wide: bool = False, by: Sequence[str] = GROUPINGS
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Share of the variance over the coarse cells that lies between copies of the triangle.

        0 for a noise-free pattern of Laue group m-3m. Errors of orientation and geometry move
        bands, a missing mirror plane or axis changes whole bands: the wider the cells, the less
        the former counts.

        Parameters
        ----------
        wide
            On cells of 5 instead of 2.5 degrees.
        by
            Some of `GROUPINGS`.

        Returns
        -------
        plain, corrected : (n, len(by)) float64 arrays
            Without and with what noise contributes on average taken off.
        """
        n = len(self)
        labels = np.stack([_LABELS[GROUPINGS.index(name)] for name in by])
        apart, free = np.zeros((n, len(by))), np.zeros((n, len(by)))
        shared, seen = np.zeros(n), np.zeros(n)
        _kernels.compare_copies(
            self.parts, self.counts, _WIDE_CELLS if wide else np.arange(N_CELLS), labels,
            apart, free, shared, seen,
        )  # fmt: skip
        noise, common = self.pixel_noise, shared[:, None]
        plain = apart / np.maximum(apart + common, 1e-9)
        apart = apart - noise[:, None] * free
        whole = np.maximum(apart + common - (noise * seen)[:, None], 1e-3 * common)
        return plain, np.clip(apart / np.maximum(whole, 1e-9), -1.0, 2.0)


def features(folded: Folded) -> NDArray[np.float32]:
    """Folded averages with mean 0 and mean square 1 over the nodes seen, (n, nodes).

    Nodes that saw no pixel are 0.
    """
    area = solid_angles(folded.steps)
    weight = area * folded.seen
    mean = folded.mean.astype(np.float64)
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-9)
    mean -= (weight * mean).sum(axis=1, keepdims=True) / total
    power = (weight * mean**2).sum(axis=1, keepdims=True) / total
    return np.where(weight > 0, mean / np.sqrt(np.maximum(power, 1e-9)), 0).astype(np.float32)
