"""How the grain boundaries of a grain are related: low angle, twins, variants of one parent.

Which phase a grain is shows in the company it keeps. Blocks of martensite are variants of one
austenite grain and meet at the angles of that family; recrystallised austenite is full of
annealing twins; two phases often keep the Kurdjumov-Sachs relationship across their boundary.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from napari_ebsdml._parallel import over_rows
from napari_ebsdml._quaternion_kernels import product
from napari_ebsdml._quaternions import multiply
from napari_ebsdml.maps.disorientation import half_angle
from napari_ebsdml.maps.mean_orientation import variants_and_means
from napari_ebsdml.maps.symmetry import laue_operators, phase_table
from napari_ebsdml.maps.twins import are_twins, hexagonal_ratios

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

RELATION_NAMES = (
    "part low-angle boundary", "part twin boundary", "part variant boundary",
    "part Kurdjumov-Sachs phase boundary", "neighbours",
)  # fmt: skip

LOW_ANGLE = 10.0
"""Degrees; below it two grains count as one crystal with a subgrain boundary."""

TOLERANCE = 3.5
"""Degrees between a boundary's misorientation and the ideal one."""

_BRIDGE = 4
_SMALLEST = 3
_WIDEST = 10.0


class Pairs(NamedTuple):
    """Pairs of grains that touch."""

    first: NDArray[np.int64]
    """(n,) the smaller label."""
    second: NDArray[np.int64]
    length: NDArray[np.float64]
    """(n,) in pairs of pixels."""
    kinds: NDArray[np.float64]
    """(n, 4) 1 where the boundary is of one of the first four of `RELATION_NAMES`."""
    labels: int
    """One more than the largest label."""


def boundary_kinds(scan: Scan, grains: NDArray[np.int32]) -> Pairs:
    """Neighbouring grains, and of what kind their boundary is; see `boundary_relations`."""
    table = phase_table(scan)
    _, means, phase = variants_and_means(scan, grains, table)
    few = np.bincount(grains.ravel(), minlength=len(means)) < _SMALLEST
    first, second, length = neighbours(np.where(few[grains], 0, grains))
    kinds = np.zeros((len(first), 4))
    reference, which = _references()

    def work(start: int, end: int) -> None:
        _classify(
            means, phase, first, second, start, end, *table.symmetry, reference, which,
            math.cos(math.radians(TOLERANCE) / 2), kinds,
        )  # fmt: skip

    over_rows(work, (len(first), 4))
    for identity, ratio in hexagonal_ratios(scan).items():
        row = int(np.searchsorted(table.ids, identity))
        if row == len(table.ids) or table.ids[row] != identity:
            continue
        both_are = (phase[first] == row) & (phase[second] == row) & (kinds[:, 0] == 0)
        here = np.flatnonzero(both_are)
        twins = are_twins(means[first[here]], means[second[here]], ratio, TOLERANCE)
        kinds[here[twins], 1] = 1
    return Pairs(first, second, length, kinds, len(means))


def boundary_relations(
    scan: Scan, grains: NDArray[np.int32], pairs: Pairs | None = None
) -> NDArray[np.float32]:
    """Kinds of boundary of each grain, from the mean orientations on both sides.

    Parameters
    ----------
    scan
        Map with orientations.
    grains : (rows, columns) int32
        Grains, 0 for none. Seams up to 8 pixels wide of pixels that are in no grain, or in one
        below 3 pixels, are bridged: few such grains are real.
    pairs
        What `boundary_kinds` gives for them, where it is known.

    Returns
    -------
    (5, labels) float32
        For each label, parts (0..1) of its boundary with other grains: disoriented by less than
        `LOW_ANGLE`; twin (of the same phase: 60 degrees about <111> of cubic crystals, the named
        deformation twins of hexagonal ones, see `twins`); misorientation between
        two of the 24 Kurdjumov-Sachs variants of one parent; Kurdjumov-Sachs relationship
        itself, as between austenite and ferrite (for two phases, or one that hides two). Each
        within `TOLERANCE`. Last, log10 of one more than the number of neighbours. A boundary
        can be of more than one kind. Only m-3m crystals have the two after the twins.

    Raises
    ------
    MissingDataError
        When the scan has no orientations or a phase has no point group.

    Notes
    -----
    Variants: S. Morito et al., Acta Mater. 51 (2003) 1789, doi:10.1016/S1359-6454(02)00577-3.
    """
    pairs = boundary_kinds(scan, grains) if pairs is None else pairs
    first, second, length = pairs.first, pairs.second, pairs.length
    number = pairs.labels
    out = np.zeros((len(RELATION_NAMES), number), dtype=np.float32)

    def both(weights: NDArray[Any]) -> NDArray[np.float64]:
        both_sides = np.bincount(first, weights, number) + np.bincount(second, weights, number)
        return both_sides.astype(np.float64)

    total = np.maximum(both(length), 1)
    for kind in range(4):
        out[kind] = both(length * pairs.kinds[:, kind]) / total
    out[4] = np.log10(1 + both(np.ones(len(first))))
    return out


def neighbours(
    grains: NDArray[np.int32],
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Pairs of grains that touch, the smaller label first, and in how many pairs of pixels.

    Grains are let grow over pixels of no grain, up to 4 pixels far, before.
    """
    distance, (i, j) = ndimage.distance_transform_edt(grains == 0, return_indices=True)
    filled = np.where(distance <= _BRIDGE, grains[i, j], 0)
    found = []
    for a, b in ((filled[:-1], filled[1:]), (filled[:, :-1], filled[:, 1:])):
        here = (a != b) & (a > 0) & (b > 0)
        found.append(np.stack((a[here], b[here])))
    pairs = np.sort(np.concatenate(found, axis=1), axis=0).astype(np.int64)
    number = int(grains.max(initial=0)) + 1
    keys, count = np.unique(pairs[0] * number + pairs[1], return_counts=True)
    return keys // number, keys % number, count.astype(np.float64)


def kurdjumov_sachs() -> NDArray[np.float64]:
    """Misorientation austenite -> ferrite: (111) parallel (011), [-101] parallel [-1-11].

    Returns
    -------
    (4,) float64
        Unit quaternion, 42.85 degrees from the identity at the least.
    """

    def frame(plane: tuple[int, ...], direction: tuple[int, ...]) -> NDArray[np.float64]:
        n, d = (np.array(v, dtype=np.float64) / np.linalg.norm(v) for v in (plane, direction))
        return np.stack((n, d, np.cross(n, d)), axis=1)

    m = frame((0, 1, 1), (-1, -1, 1)) @ frame((1, 1, 1), (-1, 0, 1)).T
    w = math.sqrt(1 + np.trace(m)) / 2
    axis = np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
    return np.array([w, *(axis / (4 * w))])


@functools.cache
def _references() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Misorientations to look for, in every form that a disorientation near one can take.

    A disorientation is written with w largest and x >= y >= z >= 0. One that lies within
    `_WIDEST` of an ideal misorientation is that close to a form of it that breaks these rules
    by a little at most; the others need not be compared.
    """
    operators = laue_operators("m-3m")
    ks = kurdjumov_sachs()
    half = math.radians(60) / 2
    twin = np.array([math.cos(half), *(math.sin(half) / math.sqrt(3),) * 3])
    inverse = np.array([1.0, -1.0, -1.0, -1.0])
    variants = multiply(multiply(ks, operators), ks * inverse)
    slack = math.sqrt(2) * 2 * math.sin(math.radians(_WIDEST) / 4) + 1e-9
    forms, which = [], []
    for kind, ideal in ((1, twin[None]), (2, variants[1:]), (3, ks[None])):
        q = np.concatenate([ideal, ideal * inverse])
        q = multiply(multiply(operators[:, None, None], q[:, None]), operators).reshape(-1, 4)
        q *= np.where(q[:, :1] < 0, -1, 1)
        largest = np.abs(multiply(q[:, None], operators))[..., 0].max(axis=1)
        w, x, y, z = q.T
        use = (w >= largest - slack) & (x >= y - slack) & (y >= z - slack) & (z >= -slack)
        kept = np.unique(np.round(q[use], 9), axis=0)
        forms.append(kept)
        which.append(np.full(len(kept), kind))
    return np.concatenate(forms), np.concatenate(which).astype(np.int64)


@njit(cache=True, nogil=True)
def _disorientation(w: float, x: float, y: float, z: float) -> tuple[float, float, float, float]:
    """Cubic disorientation with w largest and x >= y >= z >= 0."""
    a, b, c, d = np.sort(np.abs(np.array((w, x, y, z))))[::-1]
    pair, all_four = (a + b) / math.sqrt(2), (a + b + c + d) / 2
    if a >= pair and a >= all_four:
        return a, b, c, d
    if pair >= all_four:
        rest = np.abs(np.array((a - b, c + d, c - d))) / math.sqrt(2)
        top = pair
    else:
        rest = np.abs(np.array((a + b - c - d, a - b + c - d, a - b - c + d))) / 2
        top = all_four
    rest = np.sort(rest)[::-1]
    return top, rest[0], rest[1], rest[2]


@njit(cache=True, nogil=True)
def _classify(
    means: Any, phase: Any, first: Any, second: Any, start: int, end: int, operators: Any,
    count: Any, safe: Any, reference: Any, which: Any, least: float, kinds: Any,
) -> None:  # fmt: skip
    for n in range(start, end):
        p, q = means[first[n]], means[second[n]]
        s, t = phase[first[n]], phase[second[n]]
        if s < 0 or t < 0:
            continue
        w, x, y, z = product(q[0], q[1], q[2], q[3], p[0], -p[1], -p[2], -p[3])
        if s == t:
            s2, c = half_angle(w, x, y, z, operators[s], count[s], safe[s])
            if math.degrees(2 * math.atan2(math.sqrt(s2), c)) < LOW_ANGLE:
                kinds[n, 0] = 1
                continue
        if count[s] != 24 or count[t] != 24:
            continue
        w, x, y, z = _disorientation(w, x, y, z)
        for k in range(len(reference)):
            # Twins and variants are of one phase.
            if s != t and which[k] != 3:
                continue
            r = reference[k]
            if w * r[0] + x * r[1] + y * r[2] + z * r[3] >= least:
                kinds[n, which[k]] = 1
