"""Refine an orientation relationship from the misorientations of neighbouring child grains."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._quaternion_kernels import product
from napari_ebsdml._quaternions import multiply, to_matrix
from napari_ebsdml.maps.disorientation import half_angle, nearest_operator
from napari_ebsdml.maps.relationships import OrientationRelationship, known_relationships
from napari_ebsdml.maps.symmetry import laue_operators, safe_cosine

Floats = NDArray[np.float64]

_PAIRS = 1200
_ROUNDS = 12
_CAP = 5.0
"""Degrees; a worse pair says nothing of the relationship."""
_NARROWEST = 0.7
_FURTHEST = 5.0
"""Degrees that a relationship may be refined by."""


class Fitted(NamedTuple):
    """A refined relationship and how well it meets the pairs."""

    relationship: OrientationRelationship
    cost: float
    """Root of the mean squared misfit in degrees, capped at `_CAP`."""
    met: float
    """Part of the pairs that it meets within twice the scatter."""
    scatter: float
    """Degrees: robust standard deviation of the misfit about each axis."""


def refine(
    start: OrientationRelationship,
    children: tuple[Floats, Floats],
    mixed: tuple[Floats, Floats],
    is_fixed: bool = False,
) -> Fitted:
    """Fit a relationship to pairs of neighbours.

    Parameters
    ----------
    start
        The relationship to begin with.
    children
        Orientations (n, 4) of neighbouring child grains, one of each pair in each array.
    mixed
        Orientations of retained parent grains, and of child grains that touch them.
    is_fixed
        Measure the misfit only.

    Notes
    -----
    Two children of one parent have candidates ``P_a``, ``P_b`` of the parent's orientation that
    agree but for a symmetry R of the parent. A turn e of the relationship about the parent's axes
    changes their difference d to ``d + (1 - R) e``, linear in e: Gauss-Newton steps with weights
    that fall with the misfit. Iterative as T. Nyyssonen et al., Metall. Mater. Trans. A 47 (2016)
    2587, doi:10.1007/s11661-016-3462-2, in other algebra.
    """
    is_exact = is_fixed
    p, c = laue_operators(start.parent), laue_operators(start.child)
    rotations = to_matrix(p)
    q = np.asarray(start.quaternion, dtype=np.float64)
    width = 3.0
    n, m = len(children[0]), len(mixed[0])
    difference, operator = np.zeros((n + m, 3)), np.zeros(n + m, dtype=np.int64)
    misfit = np.full(n + m, _CAP)
    for number in range(_ROUNDS + 1):
        _differences(
            *children, _inverse(q, c), p, safe_cosine(p), False, difference[:n], operator[:n]
        )
        _differences(*mixed, _inverse(q, c), p, safe_cosine(p), True, difference[n:], operator[n:])
        misfit = np.degrees(np.linalg.norm(difference, axis=1))
        near = misfit[misfit < _CAP]
        # The median of a Maxwell distribution is 1.538 of its scale.
        scale = float(np.median(near)) / 1.538 if len(near) else _CAP
        width = max(_NARROWEST, 0.5 * (width + 1.5 * scale))
        if is_fixed or number == _ROUNDS or not n + m:
            break
        weight = np.exp(-0.5 * (misfit / (2 * width)) ** 2) * (misfit < 2 * _CAP)
        turn = np.broadcast_to(np.eye(3), (n + m, 3, 3)) - rotations[operator]
        turn[n:] = -rotations[operator[n:]]
        left = np.einsum("n,nji,njk->ik", weight, turn, turn)
        right = np.einsum("n,nji,nj->i", weight, turn, difference)
        step = -np.linalg.lstsq(left, right, rcond=1e-6)[0]
        size = float(np.linalg.norm(step))
        if size > math.radians(2.0):
            step *= math.radians(2.0) / size
        q = multiply(q, np.concatenate([[1.0], 0.5 * step]))
        q /= np.linalg.norm(q)
        if size < 1e-6:
            is_fixed = True
    moved = dataclasses.replace(start, quaternion=q)
    if not is_exact and moved.deviation(start) > _FURTHEST:
        # That is no refinement: there is nothing like this relationship in the map.
        return refine(start, children, mixed, True)
    cost = float(np.sqrt(np.mean(np.minimum(misfit, _CAP) ** 2))) if n + m else _CAP
    near = misfit[misfit < _CAP]
    scatter = float(np.median(near)) / 1.538 if len(near) else _CAP
    met = float(np.mean(misfit < 2 * 1.538 * scatter)) if n + m else 0.0
    return Fitted(moved, cost, met, scatter)


_SNAP = 2.0
"""Degrees from a relationship of higher symmetry, up to which it may be the true one."""
_TWO_HUMPS = 0.85


def on_symmetric(fitted: Fitted, mixed: tuple[Floats, Floats]) -> Fitted:
    """Take a known relationship of higher symmetry where the fit is no better than its scatter.

    Nishiyama-Wassermann, Pitsch and Burgers have half of the variants that a relationship near
    to them has. A fit beside one of them lets every grain choose the closer of two near variants,
    so that it always seems better. If it is, the misfits to the symmetric one lie in two humps
    about it: the mean of their size comes close to their root mean square (0.80 of it for one
    normal distribution, 1 for two sharp humps).
    """
    own = fitted.relationship
    p, c = laue_operators(own.parent), laue_operators(own.child)
    for name, known in known_relationships().items():
        if (known.parent, known.child) != (own.parent, own.child) or not len(mixed[0]):
            continue
        symmetric = len(known.variants.quaternions) < len(p)
        if not symmetric or not 0 < own.deviation(known) < _SNAP:
            continue
        q = known.quaternion
        turn = multiply(q * np.array([1.0, -1, -1, -1]), own.near(q))
        along = turn[1:] / max(float(np.linalg.norm(turn[1:])), 1e-12)
        n = len(mixed[0])
        difference, operator = np.zeros((n, 3)), np.zeros(n, dtype=np.int64)
        _differences(*mixed, _inverse(q, c), p, safe_cosine(p), True, difference, operator)
        near = np.linalg.norm(difference, axis=1) < np.deg2rad(_CAP)
        if not near.any():
            continue
        axis = to_matrix(p)[operator[near]] @ along
        size = np.abs(np.einsum("ni,ni->n", axis, difference[near]))
        if float(size.mean()) < _TWO_HUMPS * float(np.sqrt((size**2).mean())):
            exact = refine(known, (mixed[0][:0], mixed[1][:0]), mixed, True)
            return exact._replace(relationship=dataclasses.replace(known, name=name))
    return fitted


def misfits(relationship: OrientationRelationship, first: Floats, second: Floats) -> Floats:
    """Degrees by which pairs (n, 4) of child orientations are no two variants of one parent."""
    p, c = laue_operators(relationship.parent), laue_operators(relationship.child)
    difference, operator = np.zeros((len(first), 3)), np.zeros(len(first), dtype=np.int64)
    inverse = _inverse(np.asarray(relationship.quaternion, dtype=np.float64), c)
    _differences(first, second, inverse, p, safe_cosine(p), False, difference, operator)
    return np.asarray(np.degrees(np.linalg.norm(difference, axis=1)))


def chosen_pairs(
    pairs: NDArray[np.int32], weight: Floats, limit: int = _PAIRS
) -> NDArray[np.int32]:
    """At most `limit` of the pairs, drawn with the given weights, always the same."""
    if len(pairs) <= limit:
        return pairs
    rng = np.random.default_rng(0)
    return pairs[rng.choice(len(pairs), limit, replace=False, p=weight / weight.sum())]


def _inverse(q: Floats, child: Floats) -> Floats:
    """Turns child orientation -> candidate of the parent's, one for each symmetry operator."""
    return multiply(q * np.array([1.0, -1, -1, -1]), child)


@njit(cache=True, nogil=True)
def _differences(
    first: Any, second: Any, inverse: Any, operators: Any, safe: float, mixed: bool,
    difference: Any, operator: Any,
) -> None:  # fmt: skip
    k = len(inverse)
    a = np.empty((k, 4))
    b = np.empty((k, 4))
    for n in range(len(first)):
        for i in range(k):
            a[i, 0], a[i, 1], a[i, 2], a[i, 3] = product(
                inverse[i, 0], inverse[i, 1], inverse[i, 2], inverse[i, 3],
                first[n, 0], first[n, 1], first[n, 2], first[n, 3],
            )  # fmt: skip
            b[i, 0], b[i, 1], b[i, 2], b[i, 3] = product(
                inverse[i, 0], inverse[i, 1], inverse[i, 2], inverse[i, 3],
                second[n, 0], second[n, 1], second[n, 2], second[n, 3],
            )  # fmt: skip
        if mixed:
            a[0] = first[n]
        best, bi, bj = 10.0, 0, 0
        for i in range(1 if mixed else k):
            for j in range(k):
                w, x, y, z = product(
                    b[j, 0], b[j, 1], b[j, 2], b[j, 3], a[i, 0], -a[i, 1], -a[i, 2], -a[i, 3]
                )
                s2, _ = half_angle(w, x, y, z, operators, len(operators), safe)
                if s2 < best:
                    best, bi, bj = s2, i, j
        at, sign = nearest_operator(b[bj], a[bi], operators, len(operators))
        o = operators[at]
        w, x, y, z = product(
            b[bj, 0], b[bj, 1], b[bj, 2], b[bj, 3], a[bi, 0], -a[bi, 1], -a[bi, 2], -a[bi, 3]
        )
        w, x, y, z = product(o[0], o[1], o[2], o[3], w, x, y, z)
        operator[n] = at
        difference[n, 0] = 2 * sign * x
        difference[n, 1] = 2 * sign * y
        difference[n, 2] = 2 * sign * z
        if at == 0 and not mixed:
            # The two are one crystal, more or less: nothing to learn from.
            difference[n] = 1.0
