"""How the parent is strained from packet to packet, and what it was about each child grain.

Variants a few degrees apart are told by where they lie to the parent, and that is bent by a degree
about each axis as it transforms. All grains of a packet tell by how much.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.sparse import csr_array

from napari_ebsdml._parallel import over_rows
from napari_ebsdml._quaternion_kernels import product
from napari_ebsdml._quaternions import multiply
from napari_ebsdml.grains.parents.children import Children
from napari_ebsdml.maps.disorientation import half_angle, nearest_operator
from napari_ebsdml.maps.relationships import OrientationRelationship
from napari_ebsdml.maps.symmetry import laue_operators, safe_cosine

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

_FURTHEST = 8.0
"""Degrees from its variant beyond which a pixel says nothing of the strain."""
_CHOICES = 3
"""Variants that a pixel may be of."""
_ROUNDS = 12
_PIXELS = 200_000
"""Pixels that are looked at."""
_SMALLEST = 16
"""Pixels of a child grain that counts."""


def local_parents(
    children: Children,
    labels: Ints,
    orientation: Floats,
    relationship: OrientationRelationship,
    scatter: float,
) -> Floats:
    """Orientation of the parent about each grain (n, 4): that of its packet.

    A packet here is what hangs together, of one parent and one packet of variants. Its turn against
    the parent and the variants of its pixels are found from each other (expectation and
    maximisation), with a normal prior for the turn: child grains may hold two near variants, pixels
    do not. A packet of one child grain is not turned, lest it agree with its own error.

    Notes
    -----
    A. P. Dempster et al., J. R. Stat. Soc. B 39 (1977) 1, doi:10.1111/j.2517-6161.1977.tb01600.x.
    """
    packet = _packets(children, labels, orientation, relationship)
    n = len(labels)
    at = np.flatnonzero((packet[children.labels] >= 0).ravel())
    at = at[:: max(1, len(at) // _PIXELS)]
    grain = children.labels.ravel()[at]
    given = children.scan.quaternions.reshape(-1, 4)[at]
    turns, which = _nearest(given, orientation[labels[grain]], relationship)
    near = _near(children, labels, packet)
    # Half of the scatter is the parent's, half that of blocks in a packet.
    variance = math.radians(scatter) ** 2 / 2
    inside = np.bincount(grain, minlength=n)
    weight = np.minimum(children.area / _SMALLEST, 1.0) / np.maximum(inside, 1)
    mean = np.zeros((n, 3))
    for _ in range(_ROUNDS):
        far = np.sum((turns - mean[grain][:, None]) ** 2, axis=-1)
        likely = np.where(which >= 0, np.exp(-0.5 * np.minimum(far / variance, 200.0)), 0.0)
        # One that fits no variant well is worth little.
        share = likely / (likely.sum(axis=1, keepdims=True) + math.exp(-0.5 * 9.0))
        own = np.einsum("nk,nkc->nc", share, turns)
        sums = np.stack([np.bincount(grain, own[:, c], n) for c in range(3)], axis=1)
        total = weight * np.bincount(grain, share.sum(axis=1), n)
        mean = (near @ (weight[:, None] * sums)) / (1.0 + near @ total)[:, None]
    # Half of a small turn is the vector part of its quaternion.
    small = np.concatenate([np.ones((n, 1)), 0.5 * mean], axis=1)
    small /= np.linalg.norm(small, axis=1, keepdims=True)
    out = orientation[labels].copy()
    known = packet >= 0
    out[known] = multiply(small[known], out[known])
    return out


def _packets(
    children: Children, labels: Ints, orientation: Floats, relationship: OrientationRelationship
) -> NDArray[np.int64]:
    """Packet (n,) of each child grain, from 0; -1 for none."""
    use = np.flatnonzero((labels > 0) & ~children.is_parent)
    packet = np.full(len(labels), -1, dtype=np.int64)
    _, which = _nearest(children.means[use], orientation[labels[use]], relationship)
    found = which[:, 0] >= 0
    packet[use[found]] = relationship.variants.packet[which[found, 0]]
    return packet


def _near(children: Children, labels: Ints, packet: NDArray[np.int64]) -> csr_array:
    """Which grains (n, n) of the same packet touch, or are the same: 1, else 0."""
    a, b = children.pairs[:, 0], children.pairs[:, 1]
    same = (labels[a] == labels[b]) & (packet[a] == packet[b]) & (packet[a] >= 0)
    n = len(labels)
    a, b = a[same], b[same]
    each = np.arange(n)
    rows, columns = np.concatenate([a, b, each]), np.concatenate([b, a, each])
    return csr_array((np.ones(len(rows)), (rows, columns)), shape=(n, n))


def _nearest(
    given: Floats, parents: Floats, relationship: OrientationRelationship
) -> tuple[Floats, NDArray[np.int64]]:
    """See `_turns`."""
    child = laue_operators(relationship.child)
    turns = np.zeros((len(given), _CHOICES, 3))
    which = np.full((len(given), _CHOICES), -1, dtype=np.int64)

    def work(first: int, end: int) -> None:
        _turns(
            given, parents, relationship.variants.quaternions, child, safe_cosine(child),
            math.radians(_FURTHEST), first, end, turns, which,
        )  # fmt: skip

    over_rows(work, (len(given), len(relationship.variants.quaternions)))
    return turns, which


@njit(cache=True, nogil=True)
def _turns(
    given: Any, parents: Any, table: Any, child: Any, safe: float, furthest: float, first: int,
    end: int, turns: Any, which: Any,
) -> None:  # fmt: skip
    """Turns (n, choices, 3), in the parent's axes, that bring a parent to what a child asks for.

    The nearest variants come first.
    """
    most = which.shape[1]
    limit = math.sin(0.5 * furthest) ** 2
    found = np.empty(most)
    for g in range(first, end):
        h, o = given[g], parents[g]
        # Parent crystal -> child crystal.
        u, v1, v2, v3 = product(h[0], h[1], h[2], h[3], o[0], -o[1], -o[2], -o[3])
        here = np.array((u, v1, v2, v3))
        n = 0
        for k in range(len(table)):
            v = table[k]
            w, x, y, z = product(u, v1, v2, v3, v[0], -v[1], -v[2], -v[3])
            s2, _ = half_angle(w, x, y, z, child, len(child), safe)
            if s2 > limit or (n == most and s2 >= found[n - 1]):
                continue
            at = min(n, most - 1)
            n = min(n + 1, most)
            while at > 0 and found[at - 1] > s2:
                found[at] = found[at - 1]
                which[g, at] = which[g, at - 1]
                at -= 1
            found[at] = s2
            which[g, at] = k
        for k in range(n):
            v = table[which[g, k]]
            at, sign = nearest_operator(here, v, child, len(child))
            o = child[at]
            w, x, y, z = product(o[0], o[1], o[2], o[3], here[0], here[1], here[2], here[3])
            # The variant undone: what is left turns the parent.
            w, x, y, z = product(v[0], -v[1], -v[2], -v[3], w, x, y, z)
            turns[g, k, 0], turns[g, k, 1], turns[g, k, 2] = (
                2 * sign * x, 2 * sign * y, 2 * sign * z,
            )  # fmt: skip
