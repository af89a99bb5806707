"""What the division of child grains among parents costs.

The sum of the misfits of child grains to the orientation of their parent, each with the square
root of its area, less what neighbours of one parent gain for the boundary that they share, plus a
price for each parent: a Potts model on the graph of child grains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._quaternion_kernels import product
from napari_ebsdml.grains.parents.twins import saved, twin_pairs
from napari_ebsdml.grains.parents.votes import Candidates
from napari_ebsdml.maps.disorientation import half_angle
from napari_ebsdml.maps.symmetry import safe_cosine

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Energy:
    """The graph of child grains and the terms of the sum.

    Attributes
    ----------
    found
        Candidates of each grain.
    pairs, length
        Grains that touch, and the pixel edges that they share.
    facing : (m, 2)
        Mean normals of these boundaries, of unit length.
    weight : (n,)
        Square roots of the areas.
    operators
        Symmetry of the parent.
    scatter
        Standard deviation of a candidate about each axis in degrees.
    has_twins
        Whether parents may be twins.
    gain
        What a pixel edge between two grains of one parent is worth.
    price
        What a parent costs.
    cap
        Largest misfit that counts: squared, over its mean square.
    """

    found: Candidates
    pairs: Ints
    length: Floats
    facing: Floats
    weight: Floats
    operators: Floats
    scatter: float
    has_twins: bool
    gain: float = 2.0
    price: float = 12.0
    cap: float = 9.0

    @property
    def sigma2(self) -> float:
        """Mean square of the misfit in radians."""
        return 3.0 * math.radians(self.scatter) ** 2

    @cached_property
    def safe(self) -> float:
        """See `safe_cosine`."""
        return safe_cosine(self.operators)

    @cached_property
    def _adjacency(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        ends = np.concatenate([self.pairs[:, 0], self.pairs[:, 1]])
        order = np.argsort(ends, kind="stable")
        start = np.searchsorted(ends[order], np.arange(len(self.weight) + 1))
        return order % max(len(self.pairs), 1), start.astype(np.int64)

    @property
    def edges(self) -> NDArray[np.int64]:
        """Edges of the grains one after the other; see `start`."""
        return self._adjacency[0]

    @property
    def start(self) -> NDArray[np.int64]:
        """(n + 1,) where the edges of each grain begin in `edges`."""
        return self._adjacency[1]

    def edges_of(self, members: NDArray[np.intp]) -> NDArray[np.int64]:
        """Edges that touch any of some grains, each once."""
        counts = self.start[members + 1] - self.start[members]
        total = int(counts.sum())
        if not total:
            return np.zeros(0, dtype=np.int64)
        offset = np.repeat(self.start[members] - np.cumsum(counts) + counts, counts)
        return np.unique(self.edges[offset + np.arange(total)])

    def twin_pairs(self, labels: Ints, orientation: Floats) -> tuple[NDArray[np.int64], Floats]:
        """See `twins.twin_pairs`; none where parents have no twins."""
        if not self.has_twins:
            return np.zeros(0, dtype=np.int64), np.zeros((0, 2))
        return twin_pairs(labels, self.pairs, orientation)

    def boundary(self, piece: NDArray[np.intp], others: NDArray[np.bool_], trace: Floats) -> float:
        """Pixel edges between a piece and the grains of `others` that are not in it.

        Those along the trace of a twin boundary count less: see `twins.saved`.
        """
        inside = np.zeros(len(self.weight), dtype=bool)
        inside[piece] = True
        edges = self.edges_of(piece)
        a, b = self.pairs[edges, 0], self.pairs[edges, 1]
        across = (inside[a] & others[b] & ~inside[b]) | (inside[b] & others[a] & ~inside[a])
        at = edges[across]
        return float((self.length[at] * (1.0 - saved(self.facing[at], trace))).sum())


def fits(energy: Energy, members: NDArray[np.intp], parent: Floats) -> Floats:
    """Cost of each of some grains under a parent of this orientation."""
    out = np.empty(len(members))
    _fits(
        energy.found.quaternions, energy.found.number, members, parent, energy.operators,
        energy.safe, energy.sigma2, energy.cap, energy.weight, out,
    )  # fmt: skip
    return out


@njit(cache=True, nogil=True)
def nearest(q: Any, count: int, target: Any, operators: Any, safe: float) -> tuple[float, int]:
    """Squared sine of half the angle to the nearest of the candidates, and which one it is."""
    best, at = 10.0, 0
    for i in range(count):
        w, x, y, z = product(
            q[i, 0], q[i, 1], q[i, 2], q[i, 3], target[0], -target[1], -target[2], -target[3]
        )
        s2, _ = half_angle(w, x, y, z, operators, len(operators), safe)
        if s2 < best:
            best, at = s2, i
    return best, at


@njit(cache=True, nogil=True)
def cost(s2: float, sigma2: float, cap: float) -> float:
    """Squared misfit over its mean square, at most `cap`."""
    # The squared angle is 4 s2 where it is small.
    return min(4.0 * s2 / sigma2, cap)


@njit(cache=True, nogil=True)
def _fits(
    q: Any, count: Any, members: Any, parent: Any, operators: Any, safe: float, sigma2: float,
    cap: float, weight: Any, out: Any,
) -> None:  # fmt: skip
    for k in range(len(members)):
        g = members[k]
        s2, _ = nearest(q[g], count[g], parent, operators, safe)
        out[k] = weight[g] * cost(s2, sigma2, cap)
