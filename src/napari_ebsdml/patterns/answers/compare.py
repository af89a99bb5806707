"""Answers as classes of a map, and two sets of answers beside each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.answers.result import SpaceGroupResult

NOT_ASKED = 0
UNKNOWN = -1

Kind = tuple[int, ...]
"""One answer: space groups that the pattern may have; (-1,) unknown, (0,) not indexed."""


@dataclass(frozen=True, eq=False)
class Answers:
    """The different answers in a result.

    Attributes
    ----------
    kinds : tuple of tuples of int
        Space groups of each answer, several where they cannot be told apart; ``(UNKNOWN,)``;
        ``(NOT_ASKED,)`` first.
    number : int array
        Which of `kinds` each pattern got.
    """

    kinds: tuple[Kind, ...]
    number: NDArray[np.int32]

    def count(self) -> NDArray[np.intp]:
        """How often each of `kinds` occurs."""
        return np.bincount(self.number.ravel(), minlength=len(self.kinds))


def answers_of(result: SpaceGroupResult, ambiguous: bool = True) -> Answers:
    """Sort the answers of a result into kinds.

    Parameters
    ----------
    result
    ambiguous
        Make a kind of its own of every set of space groups that cannot be told apart. If not,
        the most probable one counts.
    """
    group = result.space_group
    # Unknown patterns resemble nothing, so that it means nothing what they cannot be told from.
    unsure = (group > 0) & result.is_known
    sets: list[Kind] = []
    order = np.zeros(group.shape, np.int64)
    if ambiguous:
        others = result.ambiguous_with[unsure]
        pairs = {
            key: tuple(sorted({key[0], *key[1]}))
            for key in set(zip(group[unsure].tolist(), others, strict=True))
            if key[1]
        }
        sets = sorted(set(pairs.values()))
        place = {kind: n + 1 for n, kind in enumerate(sets)}
        order[unsure] = [
            place[pairs[key]] if key[1] else 0
            for key in zip(group[unsure].tolist(), others, strict=True)
        ]
    plain: list[Kind] = [(one,) for one in result.space_groups]
    kinds: list[Kind] = [(NOT_ASKED,), *plain, *sets, (UNKNOWN,)]
    lookup = np.zeros(max((0, *result.space_groups)) + 1, np.int32)
    for n, one in enumerate(result.space_groups):
        lookup[one] = n + 1
    number = lookup[group]
    number[order > 0] = len(plain) + order[order > 0]
    number[result.asked & ~result.is_known] = len(kinds) - 1
    return Answers(tuple(kinds), number.astype(np.int32))


def cross_table(one: Answers, two: Answers) -> dict[tuple[Kind, Kind], int]:
    """How often each pair of answers was given, for patterns that both were asked about.

    Raises
    ------
    InputError
        When the two are not of the same map.
    """
    _check_shapes(one, two)
    counts = _pairs(one.number, two.number, len(one.kinds), len(two.kinds))
    # The first kind of both is "not asked".
    return {
        (one.kinds[a], two.kinds[b]): int(counts[a, b])
        for a, b in np.argwhere(counts).tolist()
        if a and b
    }


def _check_shapes(one: Answers, two: Answers) -> None:
    if one.number.shape != two.number.shape:
        raise InputError(
            f"Answers of shape {one.number.shape} and {two.number.shape} are not of one map."
        )


def _pairs(
    one: NDArray[np.integer[Any]], two: NDArray[np.integer[Any]], first: int, second: int
) -> NDArray[np.intp]:
    """How often each pair of two numbers below `first` and `second` occurs, (first, second)."""
    code = one.ravel().astype(np.intp) * second + two.ravel()
    return np.bincount(code, minlength=first * second).reshape(first, second)


SAME, MAY_BE, DIFFERENT, ONE_UNKNOWN = 1, 2, 3, 4


def agreement(one: Answers, two: Answers) -> NDArray[np.int32]:
    """Where two sets of answers agree.

    Returns
    -------
    codes : int array
        0 where one was not asked, `SAME`, `MAY_BE` (different, but they share a space group
        that neither excludes), `DIFFERENT`, `ONE_UNKNOWN` (one of them calls it unknown).

    Raises
    ------
    InputError
        When the two are not of the same map.
    """
    _check_shapes(one, two)
    table = np.zeros((len(one.kinds), len(two.kinds)), np.int32)
    for a, first in enumerate(one.kinds):
        for b, second in enumerate(two.kinds):
            if (NOT_ASKED,) in (first, second):
                continue
            if first == second:
                table[a, b] = SAME
            elif (UNKNOWN,) in (first, second):
                table[a, b] = ONE_UNKNOWN
            else:
                table[a, b] = MAY_BE if set(first) & set(second) else DIFFERENT
    return table[one.number, two.number]


def right_share(answers: Answers, space_group: NDArray[np.integer[Any]]) -> tuple[float, float]:
    """Part of the patterns whose answer is, or may be, the space group that they have.

    Parameters
    ----------
    answers
    space_group : int array
        The true one of each pattern; 0 where it is not known.

    Returns
    -------
    right, compatible
        The second counts answers with several space groups that include the true one too.
        NaN where no pattern has a known space group and an answer.
    """
    counts = _pairs(answers.number, space_group, len(answers.kinds), 231)[1:, 1:]
    total = int(counts.sum())
    if not total:
        return float("nan"), float("nan")
    right = compatible = 0
    for n, kind in enumerate(answers.kinds[1:]):
        within = sum(int(counts[n, group - 1]) for group in kind if group > 0)
        compatible += within
        right += within if len(kind) == 1 else 0
    return right / total, compatible / total
