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
    "evidence", "coset", "size", "one axis",
    "evidence strength", "coset strength", "size strength", "one axis strength",
    "nothing", "nothing strength",
)  # fmt: skip
"""What each group is judged by; those with strength are multiplied with that of the best."""
SAME_LATTICE, OTHER_LATTICE = (0.85, 0.1), (0.5, 0.2)
"""Coset ratio that tells nothing, and the scale about it. Where group and subgroup belong to one
lattice, bands stay in place and only their strengths differ; else the bands themselves miss."""
WEIGHTS_OF_FEATURES = np.array([3.515, 0.0, 0.408, 2.574, 0.538, 0.951, 0.0, -0.566, 1.091, -1.635])
"""Fitted to a third of simulated crystals of all groups and a third of measured steel patterns."""
CHANCE, CHANCE_ALONE = 0.028, 0.027
"""Evidence a pattern that noise does not reach: many patterns, and what one alone may have more.
White noise on 60 x 60 pixels reaches 0.010, blurred by a pixel 0.045 (160 patterns each)."""
SEARCHED = 1.4
"""Factor on it where the pattern centre was searched for by the same evidence."""


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
        for name in NAMES[1:]:
            weight = WEIGHTS[GROUPS[name].operations[1]]
            parts = np.stack([one[name].part for one in placed]) * weight
            values = np.stack([one[name].correlation for one in placed])
            self.total[name] = (parts * values).sum(axis=0), parts.sum(axis=0)

    def mean(self, name: str, which: NDArray[np.bool_] | slice = slice(None)) -> float:
        """Mean correlation of a group's operations, or of some of them; 0 when not tested."""
        s, n = (values[which].sum() for values in self.total[name])
        return float(s / n) if n > 0 else 0.0

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


def features(pool: Pool) -> Floats:
    """Features (groups, `FEATURES`) of a pool of patterns."""
    evidence = np.array([0.0, *(max(pool.evidence(name), 0.0) for name in NAMES[1:])])
    top = max(float(evidence.max()), 1e-4)
    strength = np.log1p(top / 0.05)
    table = np.zeros((len(NAMES), len(FEATURES)))
    table[0, 8:] = 1.0, strength
    sure = {pair: _sureness(pool.coset_ratio(*pair), *_scale(*pair)) for pair in maximal()}
    for k, name in enumerate(NAMES[1:], 1):
        coset = min((value for (g, _), value in sure.items() if g == name), default=1.0)
        share = np.log(max(evidence[k] / top, 1e-3))
        # The more operations, the more ways to fit by chance; with one axis, the fewer.
        single = float(np.ptp(GROUPS[name].operations[0], axis=0).max() < 1e-6)
        own = np.array([share, coset, np.log(GROUPS[name].order), single])
        table[k, :4] = own
        table[k, 4:8] = strength * own
    return table


def _scale(name: str, smaller: str) -> tuple[float, float]:
    same = HOLOHEDRY.get(smaller) == name or smaller in ("-3", "-3m")
    return SAME_LATTICE if same else OTHER_LATTICE


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


def probabilities(pool: Pool, searched: bool = False, bands: bool = True) -> Floats:
    """Probability of each Laue group of `NAMES`, the first of which stands for no symmetry.

    Parameters
    ----------
    pool
    searched
        Whether the pattern centre was searched for by the same evidence, which then is higher by
        chance. Few patterns then say less: their probabilities are drawn together.
    bands
        Whether the patterns show straight lines at all.
    """
    top = max(pool.evidence(name) for name in NAMES[1:]) / pool.number
    least = (CHANCE + CHANCE_ALONE / np.sqrt(pool.number)) * (SEARCHED if searched else 1.0)
    score = features(pool) @ WEIGHTS_OF_FEATURES
    if searched:
        # Of five measured patterns, three wrong groups had 74 to 86 per cent.
        score /= 1 + 1 / np.sqrt(pool.number)
    if top < least or not bands:
        # Nothing that noise does not show as well.
        score[0] = score[1:].max() + 3.0 + 10 * max(1 - top / least, 0.0)
    score -= score.max()
    chance = np.exp(score)
    return chance / chance.sum()
