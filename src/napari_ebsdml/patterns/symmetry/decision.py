"""Which Laue group the placements of one or many patterns tell: features, weights, probabilities.

Groups contain each other: a cubic crystal fits 4/mmm, mmm and 2/m too, and a pyrite nearly fits
m-3m. So each group is judged by two things: its evidence, which is additive over patterns, and
whether the operations that it has beyond its subgroups correlate as well as those of the subgroups
do (the coset ratio).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.symmetry.groups import GROUPS, HOLOHEDRY, TURNS, turn
from napari_ebsdml.patterns.symmetry.operators import WEIGHTS, Placement

Floats = NDArray[np.float64]

NAMES: tuple[str, ...] = tuple(GROUPS)
_NOTHING = NAMES[0]

FEATURES = (
    "evidence", "coset", "agreement", "weakest", "size", "one axis",
    "evidence strength", "coset strength", "agreement strength", "weakest strength",
    "size strength", "one axis strength",
    "nothing", "nothing strength", "nothing agreement",
)  # fmt: skip
"""What each group is judged by; those with strength are multiplied with that of the best."""
_OWN = 6
SAME_LATTICE, OTHER_LATTICE = (0.85, 0.1), (0.5, 0.2)
"""Coset ratio that tells nothing, and the scale about it. Where group and subgroup belong to one
lattice, bands stay in place and only their strengths differ; else the bands themselves miss."""
WEIGHTS_OF_FEATURES = np.array([
    2.076, 0.48, 0.55, 0.095, 1.932, 0.945, 0.363, 0.824, 0.19, 0.045, 0.298, -0.32, -1.11,
    -0.319, 0.26,
])  # fmt: skip
"""Fitted to a third of simulated crystals of all groups and, as heavy, of measured steel."""
CHANCE, CHANCE_ALONE = 0.022, 0.04
"""Merit a pattern without its noise that chance does not reach: many patterns, and what one alone
may have more. Of single fields, 99 of 100 reach 0.01 (noise blurred by a pixel) or 0.07 (blobs); of
ten patterns of a triclinic crystal 0.016."""
PLAIN, PLAIN_ALONE = 0.028, 0.027
"""The same of plain evidence, which noise blurred by a pixel does not reach."""
LEAST_CEILING = 0.12
"""Ceiling below which a pattern is noise; of white noise 99 of 100 stay below 0.07."""
SEARCHED = 1.4
"""Factor on the chance where the pattern centre was searched for by the same evidence."""
_WELL = 0.03


@cache
def pairs() -> dict[tuple[str, str], NDArray[np.bool_]]:
    """For each group and proper subgroup of it, which operations of the group the latter has."""
    found: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for name, group in GROUPS.items():
        axes, turns = group.operations
        matrices = [turn(axis, TURNS[t]) for axis, t in zip(axes, turns, strict=True)]
        for other, smaller in GROUPS.items():
            if other in (name, _NOTHING) or not group.contains(smaller):
                continue
            found[name, other] = np.array(
                [np.abs(smaller.rotations - m).max(axis=(1, 2)).min() < 1e-6 for m in matrices]
            )
    return found


@cache
def kinds(name: str) -> tuple[NDArray[np.intp], ...]:
    """Operations of a group that its own rotations turn into each other."""
    axes, turns = GROUPS[name].operations
    left = list(range(len(turns)))
    found = []
    while left:
        images = GROUPS[name].rotations @ axes[left[0]]
        like = [
            k for k in left
            if turns[k] == turns[left[0]] and np.abs(images @ axes[k]).max() > 1 - 1e-6
        ]  # fmt: skip
        found.append(np.array(like, np.intp))
        left = [k for k in left if k not in like]
    return tuple(found)


class Pool:
    """Sums over patterns of what each group's operations correlate.

    Parameters
    ----------
    placed
        Of each pattern, the placements of all groups.
    """

    def __init__(self, placed: Sequence[dict[str, Placement]]) -> None:
        self.number = len(placed)
        self.total: dict[str, tuple[Floats, Floats]] = {}
        self._limit: dict[str, Floats] = {}
        ceilings = np.array([next(iter(one.values())).ceiling for one in placed])
        self.ceiling = float(ceilings.mean())
        for name in NAMES[1:]:
            weight = WEIGHTS[GROUPS[name].operations[1]]
            parts = np.stack([one[name].part for one in placed]) * weight
            values = np.stack([one[name].correlation for one in placed])
            self.total[name] = (parts * values).sum(axis=0), parts.sum(axis=0)
            self._limit[name] = (parts * ceilings[:, None]).sum(axis=0)

    def mean(self, name: str, which: NDArray[np.bool_] | slice = slice(None)) -> float:
        """Mean correlation of a group's operations, or of some of them; 0 when not tested."""
        s, n = (values[which].sum() for values in self.total[name])
        return float(s / n) if n > 0 else 0.0

    def agreement(self, name: str) -> float:
        """Mean correlation of a group's operations as a part of what the noise allows."""
        limit = float(self._limit[name].sum())
        return float(self.total[name][0].sum()) / limit if limit > 0 else 0.0

    def weakest(self, name: str) -> float:
        """Least agreement of a kind of operations of a group that these views test well."""
        worst = 1.0
        for kind in kinds(name):
            n, limit = self.total[name][1][kind].sum(), self._limit[name][kind].sum()
            if n > _WELL * self.number and limit > 0:
                worst = min(worst, float(self.total[name][0][kind].sum()) / float(limit))
        return worst

    def merit(self, name: str) -> float:
        """Evidence, less where the operations do not reach what the noise allows."""
        return self.evidence(name) * min(1.0, max(self.agreement(name), 0.0) / 0.8) ** 2

    def evidence(self, name: str) -> float:
        """S |S| / 2N over all operations and patterns."""
        s, n = (values.sum() for values in self.total[name])
        return float(s * abs(s) / (2 * n)) if n > 0 else 0.0

    def coset_ratio(self, name: str, smaller: str) -> float | None:
        """Mean correlation outside a subgroup over that inside it; None when not tested."""
        inside = pairs()[name, smaller]
        n = self.total[name][1]
        if n[~inside].sum() <= 0:
            return None
        within = self.mean(name, inside) if n[inside].sum() > 0 else self.mean(smaller)
        within = max(within, 0.02)
        return float(self.mean(name, ~inside) / within)

    def is_tested(self, name: str, best: str) -> bool:
        """Whether the views test what a group has beyond the best one, at least a little."""
        n = self.total[name][1]
        if (name, best) in pairs():
            n = n[~pairs()[name, best]]
        return bool(n.sum() > 0.05 * self.number)


def features(pools: Sequence[Pool]) -> Floats:
    """Features (groups, `FEATURES`) of the same patterns with one or several rival cameras.

    Each group is judged with the camera that suits it best.
    """
    chosen = {name: max(pools, key=lambda pool: pool.merit(name)) for name in NAMES[1:]}
    evidence = np.array([0.0, *(max(chosen[n].evidence(n), 0.0) for n in NAMES[1:])])
    top = max(float(evidence.max()), 1e-4)
    strength = np.log1p(top / 0.05)
    table = np.zeros((len(NAMES), len(FEATURES)))
    for k, name in enumerate(NAMES[1:], 1):
        pool = chosen[name]
        coset = min(
            (_sureness(pool.coset_ratio(*pair), *_scale(*pair)) for pair in maximal()
             if pair[0] == name), default=1.0,
        )  # fmt: skip
        share = np.log(max(evidence[k] / top, 1e-3))
        # The more operations, the more ways to fit by chance; with one axis, the fewer.
        single = float(np.ptp(GROUPS[name].operations[0], axis=0).max() < 1e-6)
        own = np.array([
            share, coset, _level(pool.agreement(name)), _level(pool.weakest(name)),
            np.log(GROUPS[name].order), single,
        ])  # fmt: skip
        table[k, :_OWN] = own
        table[k, _OWN : 2 * _OWN] = strength * own
    best = max(pool.agreement(name) for pool in pools for name in NAMES[1:])
    table[0, 2 * _OWN :] = 1.0, strength, _level(best)
    return table


def _level(agreement: float) -> float:
    """Agreement about what true operations reach, in tenths."""
    return float(np.clip((agreement - 0.8) / 0.1, -5.0, 1.0))


def of_one_lattice(name: str, smaller: str) -> bool:
    """Whether a group and its subgroup may have the same bands, of other strengths."""
    return HOLOHEDRY.get(smaller) == name or smaller in ("-3", "-3m")


def _scale(name: str, smaller: str) -> tuple[float, float]:
    return SAME_LATTICE if of_one_lattice(name, smaller) else OTHER_LATTICE


def _sureness(ratio: float | None, middle: float, width: float) -> float:
    """From -1, where the operations beyond a subgroup fail, to 1, where they do as well."""
    return 0.0 if ratio is None else float(np.tanh((ratio - middle) / width))


@cache
def maximal() -> tuple[tuple[str, str], ...]:
    """Pairs of a group and a subgroup with no other group in between."""
    return tuple(
        (g, h) for g, h in pairs()
        if not any((g, k) in pairs() and (k, h) in pairs() for k in NAMES)
    )  # fmt: skip


def probabilities(pools: Pool | Sequence[Pool], searched: bool = False, bands: int = 2) -> Floats:
    """Probability of each Laue group of `NAMES`, the first of which stands for no symmetry.

    Parameters
    ----------
    pools
        Of the same patterns, one or several with rival cameras.
    searched
        Whether the pattern centre was searched for by the same evidence, which then is higher by
        chance. Few patterns then say less: their probabilities are drawn together.
    bands
        Whether the patterns show straight lines, see `straight.bands_in`.
    """
    pools = [pools] if isinstance(pools, Pool) else list(pools)
    part = above_chance(pools, searched, bands)
    score = features(pools) @ WEIGHTS_OF_FEATURES
    if searched:
        # Of five measured patterns, three wrong groups had 74 to 86 per cent.
        score /= 1 + 1 / np.sqrt(pools[0].number)
    if part < 1:
        # Little or nothing that chance does not show as well.
        score[0] = score[1:].max() + 4 * np.log(1 / max(part, 1e-2))
    score -= score.max()
    chance = np.exp(score)
    return np.asarray(chance / chance.sum())


def above_chance(pools: Sequence[Pool], searched: bool, bands: int) -> float:
    """How far patterns lie above what chance shows: below 1 they support nothing.

    The noise of real cameras is shared by neighbouring pixels, and then the ceiling is too high.
    So clear bands and a known camera may also stand on their plain evidence.
    """
    pool = pools[0]
    if not bands or pool.ceiling < LEAST_CEILING:
        return 0.0
    part = merit_of(pools) / least_merit(pool.number, searched)
    if bands == 2 and not searched:
        top = max(pool.evidence(name) for name in NAMES[1:]) / pool.number
        if top >= PLAIN + PLAIN_ALONE / np.sqrt(pool.number):
            part = max(part, 1.0)
    return part


def merit_of(pools: Sequence[Pool]) -> float:
    """The best group's merit a pattern, had the patterns no noise; 0 for nothing but noise."""
    if pools[0].ceiling < LEAST_CEILING:
        return 0.0
    best = max(pool.merit(name) for pool in pools for name in NAMES[1:])
    return best / pools[0].number / pools[0].ceiling ** 2


def least_merit(number: int, searched: bool) -> float:
    """What so many patterns without any symmetry reach by chance."""
    return (CHANCE + CHANCE_ALONE / float(np.sqrt(number))) * (SEARCHED if searched else 1.0)
