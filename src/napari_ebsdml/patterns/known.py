"""Is a pattern of a kind that the model knows? A score from two witnesses.

The two parts of a folded pattern agree only if the crystal has Laue group m-3m and the orientation
is right; and a known crystal resembles some template. How sure the networks are is no witness:
they are sure of noise too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.fold import Folded
from napari_ebsdml.patterns.library import Library
from napari_ebsdml.patterns.synthetic import Reality, folded_many

MODERATE = Reality((60,), (0.1, 1.3), 0.5, 0.5, 0.005, 0.8)
"""Patterns that ought to be called known: from clean to what indexing still copes with."""


def witnesses(folded: Folded, match: NDArray[np.float32]) -> NDArray[np.float64]:
    """What the score is made from, (n, 3).

    The highest correlation with a template; how far it stands out among all templates, in
    their standard deviations, which noise does not change; and the parts' agreement.

    Parameters
    ----------
    folded
    match : (n, templates) array
        Correlation with each template; NaN where a template must not vouch.
    """
    best = np.nanmax(match, axis=1).astype(np.float64)
    spread = np.maximum(np.nanstd(match, axis=1), 1e-6)
    outstanding = (best - np.nanmean(match, axis=1)) / spread
    return np.stack([best, outstanding, folded.agreement], axis=1)


@dataclass(frozen=True)
class KnownScore:
    """Logistic score of `witnesses`.

    Attributes
    ----------
    weights
        One of each witness, and the constant last.
    threshold
        Patterns with a smaller score are called unknown.
    """

    weights: tuple[float, ...]
    threshold: float

    def __call__(self, table: NDArray[np.float64]) -> NDArray[np.float32]:
        """Score 0..1 of rows of witnesses."""
        w = np.array(self.weights)
        return (1 / (1 + np.exp(-np.clip(table @ w[:-1] + w[-1], -30, 30)))).astype(np.float32)

    @classmethod
    def fit(
        cls, known: NDArray[np.float64], unknown: NDArray[np.float64],
        moderate: NDArray[np.float64], weight: NDArray[np.float64], loss: float = 0.045,
        caught: float = 0.97,
    ) -> KnownScore:  # fmt: skip
        """Fit on witnesses of both kinds; `weight` of each of `unknown`.

        The threshold calls `caught` of `unknown` unknown, or fewer where that would lose more
        than the part `loss` of `moderate`.
        """
        from sklearn.linear_model import LogisticRegression
        from sklearn.preprocessing import StandardScaler

        table = np.concatenate([known, unknown])
        scale = StandardScaler().fit(table)
        model = LogisticRegression(C=10.0, max_iter=1000)
        model.fit(
            scale.transform(table), np.repeat([1, 0], [len(known), len(unknown)]),
            sample_weight=np.concatenate([np.ones(len(known)), weight]),
        )  # fmt: skip
        slope = model.coef_[0] / scale.scale_
        constant = model.intercept_[0] - (slope * scale.mean_).sum()
        score = cls((*(float(s) for s in slope), float(constant)), 0.5)
        order = np.argsort(score(unknown))
        passed = np.cumsum(weight[order]) / weight.sum() >= caught
        caught_at = score(unknown)[order[passed.argmax()]]
        threshold = float(min(np.quantile(score(moderate), loss), caught_at))
        return cls(score.weights, threshold)


def examples(
    library: Library, strangers: NDArray[np.floating] | None, number: int, seed: int
) -> dict[str, tuple[Folded, NDArray[np.intp] | None]]:
    """Folded patterns to fit the score on: known, moderate (known), and several unknown kinds.

    Known ones come with the crystal of each, whose own template must not vouch for it: crystals
    that the model never saw are to be known too.

    Parameters
    ----------
    library
    strangers : (m, 2, side, side) array, optional
        Master patterns of crystals outside m-3m.
    number
        Patterns of each kind.
    seed
    """
    rng = np.random.default_rng([seed, 5])
    which = rng.integers(0, len(library), number)
    found: dict[str, tuple[Folded, NDArray[np.intp] | None]] = {}
    for k, kind in enumerate(("known", "moderate", "noise", "misindexed")):
        sort = "known" if kind == "moderate" else kind
        folded = folded_many(library.masters, which, 100 * seed + k, MODERATE, sort)
        found[kind] = folded, which if sort == "known" else None
    if strangers is not None and len(strangers):
        which = rng.integers(0, len(strangers), number)
        found["strangers"] = folded_many(strangers, which, 100 * seed + 9, MODERATE), None
    return found
