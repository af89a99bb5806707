"""From votes to parent grains: group, fit, and move grains until nothing is gained."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, nth_of, part_of
from napari_ebsdml._quaternion_kernels import product
from napari_ebsdml.grains.parents.cuts import divide, split_twins
from napari_ebsdml.grains.parents.energy import Energy, cost, nearest
from napari_ebsdml.grains.parents.twins import saved, saved_between
from napari_ebsdml.maps.disorientation import half_angle, nearest_operator

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

_SAME = 4.0
"""Degrees; neighbouring parents that differ by less are one."""
_ROUNDS = 5
_STARTS = 3
"""Grains of a parent whose candidates are all tried."""


class Parents(NamedTuple):
    """Parents of child grains."""

    of_grain: Ints
    """(n,) parent of each child grain, from 1; 0 for none."""
    orientation: Floats
    """(parents + 1, 4) specimen -> parent crystal; row 0 is empty."""
    misfit: Floats
    """(n,) degrees between the best candidate of the grain and its parent; NaN for none."""


def group(energy: Energy, belief: Floats, cuts: int = 0, progress: Progress = None) -> Parents:
    """Group child grains into parent grains.

    Parameters
    ----------
    energy
        The graph of child grains.
    belief : (n, k)
        Votes of the candidates.
    cuts
        How often grains are divided anew between neighbouring parents.
    progress
        Called with the fraction done; may raise to cancel.
    """
    n = len(energy.weight)
    guess = energy.found.quaternions[np.arange(n), belief.argmax(axis=1)]
    labels = np.zeros(n, dtype=np.int32)
    limit = math.sin(math.radians(_SAME) / 2) ** 2
    exists = energy.found.number > 0
    _connect(guess, exists, energy.pairs, energy.operators, energy.safe, limit, labels)
    share = 0.4 if cuts else 1.0
    labels, orientation = _settle(energy, labels, part_of(progress, 0.0, share))
    for number in range(cuts):
        told = part_of(nth_of(progress, number, cuts), share)
        if energy.has_twins:
            labels, orientation = split_twins(energy, labels, orientation, part_of(told, 0.0, 0.4))
        labels = divide(energy, labels, orientation, part_of(told, 0.4, 0.8))
        labels, orientation = _settle(energy, _pieces(labels, energy.pairs), part_of(told, 0.8))
    misfit = np.full(n, np.nan)
    _misfits(*energy.found, labels, orientation, energy.operators, energy.safe, misfit)
    return Parents(labels, orientation, misfit)


def _settle(energy: Energy, labels: Ints, progress: Progress) -> tuple[Ints, Floats]:
    """Move grains one by one and merge parents, in turns, until nothing changes."""
    orientation = orientations_of(energy, labels)
    for number in range(_ROUNDS):
        keys, normals = energy.twin_pairs(labels, orientation)
        moved = _move(
            *energy.found, labels, orientation, energy.edges, energy.start, energy.pairs,
            energy.length, energy.facing, keys, normals, energy.weight, energy.operators,
            energy.safe, energy.sigma2, energy.gain, energy.cap,
        )  # fmt: skip
        labels = _pieces(labels, energy.pairs)
        orientation = orientations_of(energy, labels)
        before = len(orientation)
        labels = _pieces(_merge(energy, labels, orientation), energy.pairs)
        orientation = orientations_of(energy, labels)
        if progress is not None:
            progress((number + 1) / _ROUNDS)
        if moved == 0 and len(orientation) == before:
            break
    return labels, orientation


def renumbered(labels: Ints) -> Ints:
    """Labels as 1, 2, ... in the order of their first grain; 0 stays."""
    found, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    rank = np.empty(len(found), dtype=np.int32)
    kept = found > 0
    rank[kept] = np.argsort(np.argsort(first[kept])) + 1
    rank[~kept] = 0
    return np.asarray(rank[inverse], dtype=np.int32)


def _pieces(labels: Ints, pairs: Ints) -> Ints:
    """Labels anew, so that every parent is one piece."""
    root = np.arange(len(labels), dtype=np.int32)
    _unite(labels, pairs, root)
    return renumbered(np.where(labels > 0, root + 1, 0).astype(np.int32))


def _members(labels: Ints, count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Grains in the order of their labels, and where those of each label begin."""
    order = np.argsort(labels, kind="stable")
    return order, np.searchsorted(labels[order], np.arange(count + 1)).astype(np.int64)


def orientations_of(energy: Energy, labels: Ints) -> Floats:
    """Orientation of each parent (n, 4) that costs least for its child grains; row 0 is empty."""
    out = np.zeros((int(labels.max(initial=0)) + 1, 4))
    _fit(
        *energy.found, *_members(labels, len(out)), energy.weight, _STARTS, energy.operators,
        energy.safe, energy.sigma2, energy.cap, out,
    )  # fmt: skip
    return out


def _merge(energy: Energy, labels: Ints, orientation: Floats) -> Ints:
    """Give each parent, the small ones first, to the neighbour that makes the sum smaller."""
    count, weight = len(orientation), energy.weight
    angle = np.full(len(labels), np.nan)
    _misfits(*energy.found, labels, orientation, energy.operators, energy.safe, angle)
    square = np.radians(np.nan_to_num(angle, nan=180.0)) ** 2
    own = np.minimum(square / energy.sigma2, energy.cap) * weight
    # The first grain of a parent fits it whatever it is: it tells nothing for the parent.
    heaviest = np.zeros(count)
    np.maximum.at(heaviest, labels, weight)
    free = (weight == heaviest[labels]) & (energy.found.number > 1)
    own[free] = energy.cap * weight[free]
    ends = labels[energy.pairs].astype(np.int64)
    touch = (ends[:, 0] != ends[:, 1]) & (ends > 0).all(axis=1)
    key = ends[touch].min(axis=1) * count + ends[touch].max(axis=1)
    keys, inverse = np.unique(key, return_inverse=True)
    of_twins, normals = energy.twin_pairs(labels, orientation)
    traces = np.zeros((len(keys), 2))
    traces[np.searchsorted(keys, of_twins)] = normals
    priced = energy.length[touch] * (1.0 - saved(energy.facing[touch], traces[inverse]))
    shared = np.bincount(inverse, weights=priced, minlength=len(keys))
    sides = np.stack([keys // count, keys % count], axis=1).astype(np.int32)
    size = np.bincount(labels, weights=weight, minlength=count)
    target = np.arange(count, dtype=np.int32)
    _absorb(
        *energy.found, *_members(labels, count), orientation, sides, shared, size, own, weight,
        energy.operators, energy.safe, energy.sigma2, energy.gain, energy.price, energy.cap,
        math.sin(math.radians(_SAME) / 2) ** 2, target,
    )  # fmt: skip
    return np.asarray(target[labels])


@njit(cache=True, nogil=True)
def _root(parent: Any, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@njit(cache=True, nogil=True)
def _connect(
    q: Any, exists: Any, pairs: Any, operators: Any, safe: float, limit: float, labels: Any
) -> None:
    parent = np.arange(len(q))
    for e in range(len(pairs)):
        a, b = pairs[e, 0], pairs[e, 1]
        u, v = q[a], q[b]
        w, x, y, z = product(v[0], v[1], v[2], v[3], u[0], -u[1], -u[2], -u[3])
        s2, _ = half_angle(w, x, y, z, operators, len(operators), safe)
        if s2 < limit:
            r, s = _root(parent, a), _root(parent, b)
            parent[max(r, s)] = min(r, s)
    last = 0
    for g in range(1, len(q)):
        if not exists[g]:
            continue
        r = _root(parent, g)
        if r == g:
            last += 1
            labels[g] = last
        else:
            labels[g] = labels[r]


@njit(cache=True, nogil=True)
def _unite(labels: Any, pairs: Any, root: Any) -> None:
    for e in range(len(pairs)):
        a, b = pairs[e, 0], pairs[e, 1]
        if labels[a] > 0 and labels[a] == labels[b]:
            r, s = _root(root, a), _root(root, b)
            root[max(r, s)] = min(r, s)
    for g in range(len(labels)):
        root[g] = _root(root, g)


@njit(cache=True, nogil=True)
def _total(
    q: Any, count: Any, members: Any, weight: Any, parent: Any, operators: Any, safe: float,
    sigma2: float, cap: float, enough: float,
) -> float:  # fmt: skip
    total = 0.0
    for g in members:
        s2, _ = nearest(q[g], count[g], parent, operators, safe)
        total += weight[g] * cost(s2, sigma2, cap)
        if total > enough:
            break
    return total


@njit(cache=True, nogil=True)
def _fit(
    q: Any, count: Any, order: Any, start: Any, weight: Any, starts: int, operators: Any,
    safe: float, sigma2: float, cap: float, out: Any,
) -> None:  # fmt: skip
    used = np.zeros(len(q), dtype=np.bool_)
    for c in range(1, len(out)):
        members = order[start[c] : start[c + 1]]
        if len(members) == 0:
            continue
        # Every candidate of the heaviest grains may be the parent; the one that costs least is.
        lowest = 1e300
        mean = np.zeros(4)
        for _ in range(starts):
            best = -1
            for g in members:
                if not used[g] and (best < 0 or weight[g] > weight[best]):
                    best = g
            if best < 0:
                break
            used[best] = True
            for i in range(count[best]):
                total = _total(
                    q, count, members, weight, q[best, i], operators, safe, sigma2, cap, lowest
                )
                if total < lowest:
                    lowest = total
                    mean = q[best, i].copy()
        for number in range(5):
            # Narrower from round to round: what is far off counts less.
            width = math.radians(max(5.0 - number, 2.5))
            sums = np.zeros(4)
            for g in members:
                s2, at = nearest(q[g], count[g], mean, operators, safe)
                near = q[g, at]
                k, sign = nearest_operator(near, mean, operators, len(operators))
                o = operators[k]
                w, x, y, z = product(o[0], o[1], o[2], o[3], near[0], near[1], near[2], near[3])
                share = sign * weight[g] * math.exp(-2.0 * s2 / width**2)
                sums[0] += share * w
                sums[1] += share * x
                sums[2] += share * y
                sums[3] += share * z
            norm = math.sqrt((sums**2).sum())
            if norm > 0:
                mean = sums / norm
        out[c] = mean


@njit(cache=True, nogil=True)
def _misfits(
    q: Any, count: Any, labels: Any, orientation: Any, operators: Any, safe: float, out: Any
) -> None:
    for g in range(len(labels)):
        if labels[g] > 0 and count[g] > 0:
            s2, _ = nearest(q[g], count[g], orientation[labels[g]], operators, safe)
            out[g] = math.degrees(2.0 * math.asin(min(1.0, math.sqrt(s2))))


@njit(cache=True, nogil=True)
def _move(
    q: Any, count: Any, labels: Any, orientation: Any, order: Any, start: Any, pairs: Any,
    length: Any, facing: Any, keys: Any, normals: Any, weight: Any, operators: Any, safe: float,
    sigma2: float, gain: float, cap: float,
) -> int:  # fmt: skip
    moved = 0
    most = 64
    tried = np.empty(most, dtype=np.int32)
    for _ in range(10):
        now = 0
        for g in range(1, len(labels)):
            if count[g] == 0:
                continue
            n = 1
            tried[0] = labels[g]
            for k in range(start[g], start[g + 1]):
                c = labels[_other(pairs, order[k], g)]
                if c > 0 and n < most and not (tried[:n] == c).any():
                    tried[n] = c
                    n += 1
            if n == 1:
                continue
            best, lowest = labels[g], 1e30
            for t in range(n):
                c = tried[t]
                s2 = 10.0
                if c > 0:
                    s2, _ = nearest(q[g], count[g], orientation[c], operators, safe)
                energy = weight[g] * cost(s2, sigma2, cap)
                for k in range(start[g], start[g + 1]):
                    e = order[k]
                    d = labels[_other(pairs, e, g)]
                    if d <= 0:
                        continue
                    won = 1.0
                    if d != c:
                        won = saved_between(
                            c, d, len(orientation), keys, normals, facing[e, 0], facing[e, 1]
                        )
                    energy -= gain * length[e] * won
                if energy < lowest - 1e-9:
                    best, lowest = c, energy
            if best != labels[g]:
                labels[g] = best
                now += 1
        moved += now
        if now == 0:
            break
    return moved


@njit(cache=True, nogil=True)
def _other(pairs: Any, e: int, g: int) -> int:
    return int(pairs[e, 0] if pairs[e, 1] == g else pairs[e, 1])


@njit(cache=True, nogil=True)
def _absorb(
    q: Any, count: Any, order: Any, start: Any, orientation: Any, sides: Any, shared: Any,
    size: Any, own: Any, weight: Any, operators: Any, safe: float, sigma2: float, gain: float,
    price: float, cap: float, same: float, target: Any,
) -> None:  # fmt: skip
    n = len(orientation)
    # Who touches whom.
    ends = np.empty(2 * len(sides), dtype=np.int64)
    for e in range(len(sides)):
        ends[2 * e] = sides[e, 0]
        ends[2 * e + 1] = sides[e, 1]
    by_end = np.argsort(ends)
    at = 0
    first = np.zeros(n + 1, dtype=np.int64)
    for c in range(n):
        while at < len(ends) and ends[by_end[at]] < c:
            at += 1
        first[c] = at
    first[n] = len(ends)
    for c in np.argsort(size):
        if c == 0 or start[c] == start[c + 1]:
            continue
        before = 0.0
        for k in range(start[c], start[c + 1]):
            before += own[order[k]]
        best, lowest = c, 0.0
        for k in range(first[c], first[c + 1]):
            e = by_end[k] // 2
            other = sides[e, 0] if sides[e, 1] == c else sides[e, 1]
            # A neighbour that is given away this round passes on what it gets.
            d = _root(target, other)
            if d == c or _root(target, c) == d:
                continue
            u, v = orientation[c], orientation[d]
            w, x, y, z = product(v[0], v[1], v[2], v[3], u[0], -u[1], -u[2], -u[3])
            s2, _ = half_angle(w, x, y, z, operators, len(operators), safe)
            after = 0.0
            for m in range(start[c], start[c + 1]):
                g = order[m]
                t2, _ = nearest(q[g], count[g], orientation[d], operators, safe)
                after += weight[g] * cost(t2, sigma2, cap)
            change = after - before - gain * shared[e] - price
            if s2 < same:
                change -= price
            if change < lowest:
                best, lowest = d, change
        if best != c:
            target[_root(target, c)] = best
    for c in range(n):
        target[c] = _root(target, c)
