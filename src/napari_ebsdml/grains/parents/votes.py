"""Which parent each child grain came from, by votes of its neighbours.

Every child grain has one candidate of its parent's orientation for each way in which the
relationship can be undone. Two neighbours of one parent have a pair of candidates that agree. The
nodes of this graph are grain and candidate, as the variant graph of R. Hielscher et al.,
Materialia 22 (2022) 101399, doi:10.1016/j.mtla.2022.101399; here the edges pass on messages until
the votes settle.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, over_rows
from napari_ebsdml._quaternion_kernels import product
from napari_ebsdml._quaternions import multiply
from napari_ebsdml.maps.disorientation import half_angle
from napari_ebsdml.maps.relationships import OrientationRelationship
from napari_ebsdml.maps.symmetry import laue_operators, safe_cosine

Floats = NDArray[np.float64]

_MOST = 12
"""Matching pairs of candidates that an edge keeps; the best ones."""
_REACH = 3.0
"""Standard deviations up to which two candidates may agree."""
_DOUBT = 0.02
"""Chance that a neighbour agrees with a candidate that is not the parent, or is of another one."""
_ROUNDS = 30
_SETTLED = 1e-3


class Candidates(NamedTuple):
    """Candidates of the parent's orientation of each grain."""

    quaternions: Floats
    """(n, k, 4) specimen -> parent crystal; rows from `count` on are empty."""
    number: NDArray[np.int64]
    """(n,) k of child grains, 1 of parent grains, 0 of none."""


def candidates(
    relationship: OrientationRelationship, means: Floats, is_parent: NDArray[np.bool_]
) -> Candidates:
    """Undo the relationship in every way that differs."""
    undone = inverse_variants(relationship)
    found = np.asarray(multiply(undone[None], means[:, None, :]))
    count = np.full(len(means), len(undone), dtype=np.int64)
    found[is_parent, 0] = means[is_parent]
    count[is_parent] = 1
    count[0] = 0
    return Candidates(np.ascontiguousarray(found), count)


def inverse_variants(relationship: OrientationRelationship) -> Floats:
    """Turns (k, 4) child crystal -> parent crystal that no symmetry of the parent makes equal."""
    child, parent = laue_operators(relationship.child), laue_operators(relationship.parent)
    every = multiply(relationship.quaternion * np.array([1.0, -1, -1, -1]), child)
    kept: list[int] = []
    for i, q in enumerate(every):
        same = multiply(parent, q)
        # Two that differ by far less than any scatter of the orientations are one.
        if all(np.abs(same @ every[k]).max() < math.cos(math.radians(0.25) / 2) for k in kept):
            kept.append(i)
    return np.asarray(every[kept])


class Edges(NamedTuple):
    """Pairs of candidates of two neighbours that agree."""

    first: NDArray[np.int8]
    """(m, most) candidate of the first grain of each pair; -1: no more."""
    second: NDArray[np.int8]
    weight: NDArray[np.float32]
    """Likelihood against that of perfect agreement, 0 to 1."""


def agreements(
    found: Candidates,
    pairs: NDArray[np.int32],
    relationship: OrientationRelationship,
    scatter: float,
    progress: Progress = None,
) -> Edges:
    """Compare all candidates of neighbours.

    `scatter` is the standard deviation of a candidate about each axis in degrees.
    """
    operators = laue_operators(relationship.parent)
    sigma = math.radians(scatter) * math.sqrt(2)
    first = np.full((len(pairs), _MOST), -1, dtype=np.int8)
    second = np.full((len(pairs), _MOST), -1, dtype=np.int8)
    weight = np.zeros((len(pairs), _MOST), dtype=np.float32)

    def work(begin: int, end: int) -> None:
        _agree(
            found.quaternions, found.number, pairs, operators, safe_cosine(operators), sigma,
            _REACH, begin, end, first, second, weight,
        )  # fmt: skip

    # A pair is as much work as a few hundred pixels of a map.
    over_rows(work, (len(pairs), 512), progress)
    return Edges(first, second, weight)


@njit(cache=True, nogil=True)
def _agree(
    q: Any, count: Any, pairs: Any, operators: Any, safe: float, sigma: float, reach: float,
    begin: int, end: int, first: Any, second: Any, weight: Any,
) -> None:  # fmt: skip
    limit = math.sin(0.5 * reach * sigma) ** 2
    most = first.shape[1]
    for e in range(begin, end):
        a, b = pairs[e, 0], pairs[e, 1]
        n = 0
        for i in range(count[a]):
            for j in range(count[b]):
                u, v = q[a, i], q[b, j]
                w, x, y, z = product(v[0], v[1], v[2], v[3], u[0], -u[1], -u[2], -u[3])
                s2, _ = half_angle(w, x, y, z, operators, len(operators), safe)
                if s2 > limit:
                    continue
                fit = math.exp(-2.0 * s2 / sigma**2)
                at = n
                if n == most:
                    at = 0
                    for k in range(1, most):
                        if weight[e, k] < weight[e, at]:
                            at = k
                    if weight[e, at] >= fit:
                        continue
                else:
                    n += 1
                first[e, at], second[e, at], weight[e, at] = i, j, fit


def vote(
    found: Candidates,
    pairs: NDArray[np.int32],
    length: Floats,
    edges: Edges,
    progress: Progress = None,
) -> Floats:
    """Share of the votes (n, k) of each candidate of each grain, once they have settled."""
    n, k = found.quaternions.shape[:2]
    belief = np.where(np.arange(k) < found.number[:, None], 1.0, 0.0)
    belief /= np.maximum(belief.sum(axis=1, keepdims=True), 1.0)
    # Long boundaries count more, in terms of the usual one.
    strength = (
        np.minimum(np.sqrt(length / max(float(np.median(length)), 1.0)), 2.0)
        if len(length)
        else length
    )
    for number in range(_ROUNDS):
        told = np.zeros((n, k))
        _tell(belief, pairs, strength, *edges, _DOUBT, told)
        told -= told.max(axis=1, keepdims=True)
        new = np.exp(told) * (np.arange(k) < found.number[:, None])
        new /= np.maximum(new.sum(axis=1, keepdims=True), 1e-300)
        change = float(np.abs(new - belief).max(initial=0.0))
        # Half of the old votes are kept, or two grains may swap theirs for ever.
        belief = 0.5 * (belief + new)
        if progress is not None:
            progress((number + 1) / _ROUNDS)
        if change < _SETTLED:
            break
    return np.asarray(belief)


@njit(cache=True, nogil=True)
def _tell(
    belief: Any, pairs: Any, strength: Any, first: Any, second: Any, weight: Any, doubt: float,
    told: Any,
) -> None:  # fmt: skip
    k = belief.shape[1]
    to_a, to_b = np.empty(k), np.empty(k)
    for e in range(len(pairs)):
        a, b = pairs[e, 0], pairs[e, 1]
        to_a[:] = 0.0
        to_b[:] = 0.0
        for n in range(first.shape[1]):
            if first[e, n] < 0:
                break
            i, j = first[e, n], second[e, n]
            to_a[i] += weight[e, n] * belief[b, j]
            to_b[j] += weight[e, n] * belief[a, i]
        for i in range(k):
            told[a, i] += strength[e] * math.log(to_a[i] + doubt)
            told[b, i] += strength[e] * math.log(to_b[i] + doubt)
