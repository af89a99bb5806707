"""What the classifier answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.crystals.table import SYMBOLS
from napari_ebsdml.patterns.frame.geometry import Geometry


@dataclass(frozen=True, eq=False)
class SpaceGroupResult:
    """Space groups of patterns.

    The shape of the arrays is that of the patterns without the detector's axes.

    Attributes
    ----------
    space_group : int array
        Number in the International Tables; 0 where there is no orientation, or no answer at all
        (`reason`). Given also where `is_known` is False: then it is only the nearest of the known
        ones.
    family : str array
        Lattice family, "" where there is no orientation. See `structures.FAMILIES`.
    probability : array, 0..1
        Calibrated probability of the space group, given that it is one of `space_groups`.
    family_probability : array, 0..1
    is_known : bool array
        False where the pattern is unlike everything that the model was trained on.
    known_score : array, 0..1
        Probability that the pattern is one of a known kind; `is_known` is a threshold on it.
    ambiguous_with : object array of tuples of int
        Space groups that the pattern cannot be told from: other candidates' master patterns are
        too close, or nearly as probable.
    probabilities : (..., space groups) array
    space_groups : tuple of int
        Order of the last axis of `probabilities`.
    labels : int array, optional
        For answers by grain: the grain of each pixel, 0 = none.
    orientations : (..., 4) array, optional
        Quaternions as in `Scan` that were searched for because none were given; None where they
        were given, where the model uses none, or where none was found. By grain, a pixel whose
        pattern did not fit has 0.
    fit : array, optional
        With `orientations`: how well each pattern fits the best template there, as a part of what
        its noise leaves. Below `search.FIT` a pattern is called unknown.
    geometry : Geometry, optional
        The camera, where it was searched for as well or refined. Orientations refer to it.
    warnings
        Sentences on what a careful user should know: pixels that were left out, a geometry that
        does not fit or was refined.
    reason
        Why every pattern is unknown and none was named: a sentence; "" where there are answers.
    """

    space_group: NDArray[np.int32]
    family: NDArray[np.str_]
    probability: NDArray[np.float32]
    family_probability: NDArray[np.float32]
    is_known: NDArray[np.bool_]
    known_score: NDArray[np.float32]
    ambiguous_with: NDArray[np.object_]
    probabilities: NDArray[np.float32]
    space_groups: tuple[int, ...]
    labels: NDArray[np.int32] | None = None
    orientations: NDArray[np.float64] | None = None
    fit: NDArray[np.float32] | None = None
    geometry: Geometry | None = None
    warnings: tuple[str, ...] = ()
    reason: str = ""

    @property
    def asked(self) -> NDArray[np.bool_]:
        """Where a pattern was looked at, whether it was named or not."""
        return self.space_group > 0 if not self.reason else np.ones(self.shape, dtype=bool)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the patterns without the detector's axes."""
        return self.space_group.shape

    @property
    def tally(self) -> list[dict[str, Any]]:
        """How often each answer was given: one row per space group, then unknown, not indexed.

        Keys: ``space_group`` (number, or text for the last two), ``symbol``, ``number``,
        ``percent``, ``probability`` (mean) and ``ambiguous`` (number not separable from another).
        """
        total = max(self.space_group.size, 1)
        rows: list[dict[str, Any]] = []

        def add(name: int | str, symbol: str, where: NDArray[np.bool_]) -> None:
            n = int(where.sum())
            rows.append(
                {
                    "space_group": name, "symbol": symbol, "number": n,
                    "percent": 100 * n / total,
                    "probability": float(self.probability[where].mean()) if n else float("nan"),
                    "ambiguous": sum(1 for other in self.ambiguous_with[where] if other),
                }
            )  # fmt: skip

        for group in self.space_groups:
            where = (self.space_group == group) & self.is_known
            add(group, SYMBOLS.get(group, ""), where)
        add("unknown", "", self.asked & ~self.is_known)
        add("not indexed", "", ~self.asked)
        return rows

    def reshaped(self, shape: tuple[int, ...]) -> SpaceGroupResult:
        """The same answers in another shape, without a copy."""
        return replace(
            self,
            space_group=self.space_group.reshape(shape),
            family=self.family.reshape(shape),
            probability=self.probability.reshape(shape),
            family_probability=self.family_probability.reshape(shape),
            is_known=self.is_known.reshape(shape),
            known_score=self.known_score.reshape(shape),
            ambiguous_with=self.ambiguous_with.reshape(shape),
            probabilities=self.probabilities.reshape(*shape, len(self.space_groups)),
            labels=None if self.labels is None else self.labels.reshape(shape),
            orientations=(
                None if self.orientations is None else self.orientations.reshape(*shape, 4)
            ),
            fit=None if self.fit is None else self.fit.reshape(shape),
        )

    def spread(self, labels: NDArray[np.int32]) -> SpaceGroupResult:
        """Answers of grains 1..n, given to the pixels of a label image; 0 stays not indexed."""

        def put(values: NDArray[Any], empty: Any) -> NDArray[Any]:
            start = np.empty((1, *values.shape[1:]), values.dtype)
            start[...] = empty
            return np.concatenate([start, values])[labels]

        nothing = np.empty(len(self.ambiguous_with) + 1, dtype=object)
        nothing[0] = ()
        nothing[1:] = self.ambiguous_with
        return SpaceGroupResult(
            put(self.space_group, 0), put(self.family, ""), put(self.probability, 0),
            put(self.family_probability, 0), put(self.is_known, False), put(self.known_score, 0),
            nothing[labels], put(self.probabilities, 0), self.space_groups, labels,
        )  # fmt: skip


def no_answers(shape: tuple[int, ...], space_groups: tuple[int, ...]) -> SpaceGroupResult:
    """A result without a single answer, to be filled in."""
    nothing = np.empty(shape, dtype=object)
    nothing.fill(())
    return SpaceGroupResult(
        np.zeros(shape, np.int32), np.zeros(shape, "U12"), np.zeros(shape, np.float32),
        np.zeros(shape, np.float32), np.zeros(shape, bool), np.zeros(shape, np.float32), nothing,
        np.zeros((*shape, len(space_groups)), np.float32), space_groups,
    )  # fmt: skip
