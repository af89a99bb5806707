"""Parts of one phase that element counts tell apart: shares of elements that differ by a jump.

Patterns of one structure type and nearly one size, as nickel and austenite, are alike; their X-ray
counts are not. A phase is parted only where the shares fall into groups whose distance no
counting noise and no slow change, by drift or segregation, explains.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_cdt, minimum_filter
from scipy.stats import chi2
from sklearn.cluster import KMeans

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

MOST_PARTS = 5
_RADII = (0, 1, 2, 3)
"""Of the squares, in pixels, over which the counts of a grain are added up, the smallest first."""
_SQUARES = 20
"""So many of the squares a phase must hold: a few fall into groups by chance."""
_FROM_OTHERS = 3
"""Pixels this near to another structure tell nothing: X-rays come from both."""
_LEAST_COUNTS = 5.0
_LEAST_PIXELS, _LEAST_PART = 20, 0.01
_NOISES = 5.0
"""Least distance of two parts in standard deviations of a pixel's noise."""
_SPREADS = 5.0
"""Least distance of two parts in standard deviations of what varies within one of them, beyond the
noise: a steady slope, cut in two, has sqrt(12) = 3.5, a wave 4.1."""
_LEAST_CHANGE = 0.03
"""Least difference of an element's share: rough surfaces and channelling change it by less."""
_JUMP = 0.75
"""Least part of the distance that lies between pixels beside the border of two parts: a slope has
little of it there."""
_BESIDE = 1, 3
"""Pixels further than the first and at most the second from the other part are beside it; nearer
ones are blurred."""
_INNER = 0.1
"""Least part of a part's pixels that lie within it: rims of mixed X-rays have none."""
_SAMPLE = 20_000
_BIAS = 3 / 8
"""Anscombe's: the square root of a Poisson count and this has a variance of 1/4."""


@dataclass(frozen=True, eq=False)
class ChemicalParts:
    """A phase parted by its chemistry.

    Attributes
    ----------
    labels : (rows, columns) int array
        Part of each pixel, the largest 0; -1 outside the phase.
    shares : (parts, lines) array
        Mean shares of each part's counts; each row sums up to 1.
    radius
        Of the squares that counts were added up over.
    """

    labels: NDArray[np.int32]
    shares: Floats
    radius: int


def mean_shares(counts: Floats, mask: Bools) -> Floats:
    """Shares (lines,) of the counts (rows, columns, lines) of some pixels; 0 without counts."""
    total = counts[mask].sum(axis=0)
    return np.asarray(total / max(float(total.sum()), 1e-12))


def chemical_parts(
    counts: Floats, phase: NDArray[np.integer], number: int, grains: NDArray[np.integer]
) -> ChemicalParts | None:
    """Part one phase of a map by the shares of its elements.

    Parameters
    ----------
    counts : (rows, columns, lines) array
        Of two lines or more.
    phase : (rows, columns) int array
        Phase of each pixel, by structure; negative where none.
    number
        The phase to part.
    grains : (rows, columns) int array
        Counts are added up within a grain only.

    Returns
    -------
    ChemicalParts or None
        None where the phase is one.

    Notes
    -----
    Square roots of counts, divided by the square root of their sum, have the same noise for all
    shares, 1 / (2 sqrt(sum)) (Anscombe, doi:10.1093/biomet/35.3-4.246). Where neighbours differ by
    more than Poisson noise, the counts are taken for so many fewer.
    """
    mine = phase == number
    if counts.shape[-1] < 2 or mine.sum() < 2 * _LEAST_PIXELS:
        return None
    others = (phase >= 0) & ~mine
    inside = mine & (distance_transform_cdt(~others) >= _FROM_OTHERS) if others.any() else mine
    counts = counts / _excess(counts, grains, mine)
    for radius in _RADII:
        if inside.sum() < _SQUARES * (2 * radius + 1) ** 2:
            return None
        sums = _added(counts, np.where(mine, grains, -1), radius)
        centres = _centres(sums, counts, inside)
        if len(centres) > 1:
            break
    else:
        return None
    # Where nothing was counted, the whole grain tells.
    bare = mine & (sums.sum(axis=-1) < _LEAST_COUNTS)
    if bare.any():
        sums[bare] = _of_grains(counts, grains, mine)[bare]
    nearest = _nearest(_roots(sums[mine])[0], centres)
    order = np.argsort(-np.bincount(nearest, minlength=len(centres)))
    labels = np.full(phase.shape, -1, np.int32)
    labels[mine] = np.argsort(order)[nearest]
    shares = np.stack([mean_shares(counts, labels == k) for k in range(len(centres))])
    return ChemicalParts(labels, shares, radius)


def _roots(counts: Floats) -> tuple[Floats, Floats]:
    """Points (n, lines) on the unit sphere, and the variance (n,) of their noise."""
    total = np.maximum(counts.sum(axis=1), 1e-9)
    points = np.sqrt(counts + _BIAS)
    return points / np.linalg.norm(points, axis=1, keepdims=True), 1 / (4 * total)


def _excess(counts: Floats, grains: NDArray[np.integer], mine: Bools) -> float:
    """Variance of neighbours' differences over that of Poisson noise, at least 1."""
    pairs = mine[:, 1:] & mine[:, :-1] & (grains[:, 1:] == grains[:, :-1])
    one, other = counts[:, 1:][pairs], counts[:, :-1][pairs]
    many = (one.sum(axis=1) >= _LEAST_COUNTS) & (other.sum(axis=1) >= _LEAST_COUNTS)
    if many.sum() < _LEAST_PIXELS:
        return 1.0
    (left, left_noise), (right, right_noise) = _roots(one[many]), _roots(other[many])
    ratio = ((left - right) ** 2).sum(axis=1) / (left_noise + right_noise)
    # Half of the neighbours at least are not of two phases.
    return max(1.0, float(np.median(ratio) / chi2.median(counts.shape[-1] - 1)))


def _added(counts: Floats, grains: NDArray[np.integer], radius: int) -> Floats:
    """Counts added up over squares, within the grain of their middle."""
    sums = counts.copy()
    rows, columns = grains.shape
    for down in range(-radius, radius + 1):
        for right in range(-radius, radius + 1):
            if not (down or right) or abs(down) >= rows or abs(right) >= columns:
                continue
            here = (slice(max(0, -down), rows - max(0, down)),
                    slice(max(0, -right), columns - max(0, right)))  # fmt: skip
            there = (slice(max(0, down), rows + min(0, down)),
                     slice(max(0, right), columns + min(0, right)))  # fmt: skip
            same = grains[here] == grains[there]
            sums[here] += counts[there] * same[..., None]
    return sums


def _of_grains(counts: Floats, grains: NDArray[np.integer], mine: Bools) -> Floats:
    """Counts of each pixel's whole grain."""
    of = np.where(mine, grains, -1) + 1
    table = np.stack([
        np.bincount(of.ravel(), counts[..., k].ravel()) for k in range(counts.shape[-1])
    ], axis=-1)  # fmt: skip
    return np.asarray(table[of])


def _centres(sums: Floats, counts: Floats, inside: Bools) -> Floats:
    """Points (parts, lines) about which the shares gather; one where they are one."""
    told = inside & (sums.sum(axis=-1) >= _LEAST_COUNTS)
    every, noise = _roots(sums[told])
    if len(every) < 2 * _LEAST_PIXELS:
        return np.zeros((1, counts.shape[-1]))
    points = every
    if len(every) > _SAMPLE:
        chosen = np.random.default_rng(0).choice(len(every), _SAMPLE, replace=False)
        points, noise = every[chosen], noise[chosen]
    number = min(MOST_PARTS, len(np.unique(points, axis=0)))
    centres = KMeans(number, n_init=4, random_state=0).fit(points).cluster_centers_
    while len(centres) > 1:
        (a, b), apart = _worst(points, noise, _nearest(points, centres), centres)
        if apart >= 1:
            labels = np.full(told.shape, -1, np.intp)
            labels[told] = _nearest(every, centres)
            (a, b), apart = _least_jump(labels, counts, centres)
            if apart >= 1:
                break
        nearest = _nearest(points, centres)
        both = points[(nearest == a) | (nearest == b)].mean(axis=0)
        start = np.vstack([np.delete(centres, [a, b], axis=0), both])
        centres = KMeans(len(start), init=start, n_init=1).fit(points).cluster_centers_
    return np.asarray(centres)


def _least_jump(
    labels: NDArray[np.intp], counts: Floats, centres: Floats
) -> tuple[tuple[int, int], float]:
    """The two neighbouring parts that jump least, and their jump: from 1 on they are two."""
    worst, value = (0, 1), np.inf
    near = [distance_transform_cdt(labels != k) for k in range(len(centres))]
    inner = [
        float((minimum_filter(labels == k, 3) & (labels == k)).sum() / max(1, (labels == k).sum()))
        for k in range(len(centres))
    ]
    for a, b in combinations(range(len(centres)), 2):
        if min(inner[a], inner[b]) < _INNER:
            far = _far(centres, a, b)
            if far < value:
                worst, value = (a, b), far
            continue
        beside = [
            (labels == one) & (near[other] > _BESIDE[0]) & (near[other] <= _BESIDE[1])
            for one, other in ((a, b), (b, a))
        ]
        if min(part.sum() for part in beside) < _LEAST_PIXELS:
            continue
        own = [np.sqrt(mean_shares(counts, part)) for part in beside]
        along = centres[b] - centres[a]
        jump = float((own[1] - own[0]) @ along / (along @ along)) / _JUMP
        if jump < value:
            worst, value = (a, b), jump
    return worst, value


def _nearest(points: Floats, centres: Floats) -> NDArray[np.intp]:
    return np.asarray((points @ centres.T - (centres**2).sum(axis=1) / 2).argmax(axis=1))


def _worst(
    points: Floats, noise: Floats, nearest: NDArray[np.intp], centres: Floats
) -> tuple[tuple[int, int], float]:
    """The two parts that are least apart, and how far: from 1 on they are two."""
    sizes = np.bincount(nearest, minlength=len(centres))
    least = max(_LEAST_PIXELS, _LEAST_PART * len(points))
    worst, value = (0, 1), np.inf
    for a, b in combinations(range(len(centres)), 2):
        apart = 0.0
        if min(sizes[a], sizes[b]) >= least:
            apart = _apart(points, noise, nearest == a, nearest == b)
        else:
            # Too few to be a phase.
            apart = _far(centres, a, b)
        if apart < value:
            worst, value = (a, b), apart
    return worst, value


def _far(centres: Floats, a: int, b: int) -> float:
    """Below 0, and the more so the nearer: what is no part goes to the nearest one."""
    return -1 / max(float(np.linalg.norm(centres[a] - centres[b])), 1e-9)


def _apart(points: Floats, noise: Floats, one: Bools, other: Bools) -> float:
    """By how much two parts are further apart than they have to be."""
    middle = points[one].mean(axis=0), points[other].mean(axis=0)
    distance = float(np.linalg.norm(middle[1] - middle[0]))
    if distance < 1e-9:
        return 0.0
    along = (middle[1] - middle[0]) / distance
    spread, typical = 0.0, 0.0
    for part in (one, other):
        own = float(np.mean(noise[part]))
        typical = max(typical, float(np.median(noise[part])))
        # Of the wider one: pixels between two phases, of which X-rays come from both, are spread
        # over all that lies between.
        spread = max(spread, float((points[part] @ along).var()) - own)
    change = float(np.abs(middle[0] ** 2 - middle[1] ** 2).max())
    return min(
        distance / (_NOISES * typical**0.5),
        distance / (_SPREADS * max(spread, 1e-12) ** 0.5),
        change / _LEAST_CHANGE,
    )
