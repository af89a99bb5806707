"""Is a pattern of a kind that the model knows? A score from a handful of witnesses.

A known crystal resembles some template as far as noise lets it, and the copies of the triangle
agree as far as noise and small errors of the geometry let them. A crystal of another Laue group
fails in one or both. How sure the networks are is no witness: they are sure of noise too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.frame.folded import GROUPINGS, Folded
from napari_ebsdml.patterns.simulated.synthetic import Reality, folded_batch, folded_many

if TYPE_CHECKING:
    from napari_ebsdml.patterns.search.templates import Templates

MODERATE = Reality((60,), (0.1, 1.3), 0.5, 0.5, 0.005, 0.8)
"""Patterns that ought to be called known: from clean to what indexing still copes with."""

MISFIT = 0.8
"""Real patterns fit their simulation less well than simulated ones: half of the known examples
have their correlations with the templates lowered by a factor from this to 1."""

WITNESSES = (
    "match", "outstanding", "reliability", "match without noise", "noise",
    "six", "six, wide", "six, corrected", "six, wide, corrected",
    "parity", "parity, wide", "parity, corrected", "parity, wide, corrected", "axis, wide",
)  # fmt: skip
"""What the score is made from, see `witnesses`."""


def witnesses(folded: Folded, match: NDArray[np.float32]) -> NDArray[np.float64]:
    """What the score is made from, (n, `WITNESSES`).

    The highest correlation with a template; how far it stands out among all templates, in their
    standard deviations; the pattern's reliability; the highest correlation that it would have
    without noise (divided by the reliability's root, doi:10.2307/1412159); the logarithm of the
    pixels' noise; then `Folded.differences` of the triangle's copies: all six, even and odd
    permutations, and the choice of 4-fold axis with the largest.

    Parameters
    ----------
    folded
    match : (n, templates) array
        Correlation with each template; NaN where a template must not vouch.
    """
    vouch = np.isfinite(match)
    given = np.where(vouch, match, 0)
    number = vouch.sum(axis=1)
    best = np.where(vouch, match, -1).max(axis=1).astype(np.float64)
    mean = given.sum(axis=1, dtype=np.float64) / number
    power = np.einsum("nm,nm->n", given, given).astype(np.float64) / number
    outstanding = (best - mean) / np.sqrt(np.maximum(power - mean**2, 1e-12))
    reliability = folded.reliability
    columns = [
        best, outstanding, reliability, best / np.sqrt(np.maximum(reliability, 0.1)),
        np.log(np.maximum(folded.pixel_noise, 1e-3)),
    ]  # fmt: skip
    plain, corrected = folded.differences(by=GROUPINGS[:2])
    plain_wide, corrected_wide = folded.differences(wide=True)
    for k in range(2):
        columns += [table[:, k] for table in (plain, plain_wide, corrected, corrected_wide)]
    columns.append(plain_wide[:, 2:].max(axis=1))
    return np.stack(columns, axis=1)


@dataclass(frozen=True)
class KnownScore:
    """Logistic score of `witnesses`, their squares and products.

    Without `low` and `high` everything counts as known.

    Attributes
    ----------
    weights
        One of each witness, of each product in the order (0, 0), (0, 1) .. (1, 1), (1, 2) ..,
        and the constant last.
    threshold
        Patterns with a smaller score are called unknown.
    low, high
        Range of each witness that the score was fitted on. Values outside count as the limit, so
        that the squares do not run away.
    """

    weights: tuple[float, ...] = ()
    threshold: float = 0.0
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    def __call__(self, table: NDArray[np.float64]) -> NDArray[np.float32]:
        """Score 0..1 of rows of witnesses."""
        if not self.low:
            return np.ones(len(table), np.float32)
        terms = _terms(table, np.array(self.low), np.array(self.high))
        w = np.array(self.weights)
        return (1 / (1 + np.exp(-np.clip(terms @ w[:-1] + w[-1], -30, 30)))).astype(np.float32)

    @classmethod
    def fit(
        cls, known: NDArray[np.float64], unknown: NDArray[np.float64],
        moderate: NDArray[np.float64], weight: NDArray[np.float64], loss: float = 0.035,
        caught: float = 0.995,
    ) -> KnownScore:  # fmt: skip
        """Fit on witnesses of both kinds; `weight` of each of `unknown`.

        The threshold calls `caught` of `unknown` unknown, or fewer where that would lose more
        than the part `loss` of `moderate`.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        table = np.concatenate([known, unknown])
        low, high = np.quantile(table, [0.005, 0.995], axis=0)
        high = np.maximum(high, low + 1e-6)
        terms = _terms(table, low, high)
        scale = StandardScaler().fit(terms)
        model = LogisticRegression(C=1.0, max_iter=3000)
        even = weight.sum() / len(known)
        model.fit(
            scale.transform(terms), np.repeat([1, 0], [len(known), len(unknown)]),
            sample_weight=np.concatenate([np.full(len(known), even), weight]),
        )  # fmt: skip
        slope = model.coef_[0] / scale.scale_
        constant = model.intercept_[0] - (slope * scale.mean_).sum()
        score = cls(
            (*slope.tolist(), float(constant)), 0.5, tuple(low.tolist()), tuple(high.tolist())
        )
        order = np.argsort(score(unknown))
        passed = np.cumsum(weight[order]) / weight.sum() >= caught
        caught_at = score(unknown)[order[passed.argmax()]]
        return replace(score, threshold=float(min(np.quantile(score(moderate), loss), caught_at)))


def _terms(
    table: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    z = 2 * (np.clip(table, low, high) - low) / (high - low) - 1
    first, second = np.triu_indices(z.shape[1])
    return np.concatenate([z, z[:, first] * z[:, second]], axis=1)


def fit_known(
    templates: Templates,
    library: Library,
    strangers: Sequence[NDArray[np.floating]] | NDArray[np.floating] | None,
    seed: int,
    number: int | None = None,
) -> KnownScore:
    """Fit the score on simulated patterns.

    Parameters
    ----------
    templates
        Those of the model.
    library
    strangers
        Master patterns (2, side, side) of crystals outside m-3m, if any.
    seed
    number
        Patterns of known crystals, and of strangers. Default: 20 for each crystal of the
        library, at most 4000.
    """
    number = min(4000, 20 * len(library)) if number is None else number
    rng = np.random.default_rng([seed, 6])
    place = {name: k for k, name in enumerate(templates.names)}
    own = np.array([place.get(name, -1) for name in library.names])
    tables = {}
    for kind, (folded, which) in examples(library, strangers, number, seed).items():
        match = templates.correlate(folded)
        if which is not None:
            # Crystals that the model never saw are to be known too.
            mine = np.flatnonzero(own[which] >= 0)
            match[mine, own[which][mine]] = np.nan
            misfit = np.where(rng.random(len(match)) < 0.5, 1, rng.uniform(MISFIT, 1, len(match)))
            match *= misfit[:, None].astype(np.float32)
        tables[kind] = witnesses(folded, match)
    bad = [table for kind, table in tables.items() if kind in _UNKNOWN]
    weight = [np.full(len(t), _UNKNOWN[kind]) for kind, t in tables.items() if kind in _UNKNOWN]
    return KnownScore.fit(
        tables["known"], np.concatenate(bad), tables["moderate"], np.concatenate(weight)
    )


# Noise and wrong orientations are easily told; strangers are what the score is for.
_UNKNOWN = {"strangers": 1.0, "noise": 1.5, "misindexed": 1.5}
_VARIED = replace(MODERATE, sizes=(48, 60, 60, 80, 120))


def examples(
    library: Library, strangers: Sequence[NDArray[np.floating]] | NDArray[np.floating] | None,
    number: int, seed: int,
) -> dict[str, tuple[Folded, NDArray[np.intp] | None]]:  # fmt: skip
    """Folded patterns to fit the score on: known, moderate (known), and several unknown kinds.

    A fifth of the known ones and of the strangers are averages over 2 to 20 orientations.
    Known ones come with the crystal of each.

    Parameters
    ----------
    library
    strangers
        Master patterns (2, side, side) of crystals outside m-3m, if any.
    number
        Patterns of known crystals, and of strangers.
    seed
    """
    rng = np.random.default_rng([seed, 5])
    which = rng.integers(0, len(library), number)
    single = number - number // 5
    found: dict[str, tuple[Folded, NDArray[np.intp] | None]] = {}
    parts = [
        folded_many(library.masters, which[:single], 100 * seed, _VARIED, batch=16),
        _averages(library.masters, which[single:], [seed, 31], rng),
    ]
    found["known"] = Folded.join(parts), which
    again = rng.integers(0, len(library), number)
    moderate = folded_many(library.masters, again, 100 * seed + 1, MODERATE, batch=16)
    found["moderate"] = moderate, again
    # Six kinds of noise take as many examples as known patterns to be told from them.
    for k, (kind, part) in enumerate((("noise", 1), ("misindexed", 3)), 2):
        some = which[: number // part]
        folded = folded_many(library.masters, some, 100 * seed + k, _VARIED, kind, batch=16)
        found[kind] = folded, None
    if strangers is not None and len(strangers):
        pieces = []
        each = max(5, number // len(strangers))
        for k, sphere in enumerate(strangers):
            mine = np.zeros(each - each // 5, np.intp)
            seeds = 100 * seed + 9 + 1000 * (k + 1)
            pieces.append(folded_many(sphere[None], mine, seeds, _VARIED, batch=16))
            mine = np.zeros(each // 5, np.intp)
            pieces.append(_averages(sphere[None], mine, [seed, 32, k], rng))
        found["strangers"] = Folded.join(pieces), None
    return found


def _averages(
    masters: NDArray[np.floating], which: NDArray[np.intp], seed: list[int],
    rng: np.random.Generator,
) -> Folded:  # fmt: skip
    """Sums over patterns of one crystal and camera in 2 to 20 orientations each."""
    sizes = np.exp(rng.uniform(np.log(2), np.log(21), len(which))).astype(int)
    pieces = [
        folded_batch(masters, np.full(size, crystal), [*seed, k], MODERATE).total()
        for k, (size, crystal) in enumerate(zip(sizes, which, strict=True))
    ]
    return Folded.join(pieces)
