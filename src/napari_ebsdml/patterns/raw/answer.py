"""From the members' outputs to answers: voting, space group and family, what is unknown."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.answers.result import SpaceGroupResult
from napari_ebsdml.patterns.raw.member import Member

Voting = Literal["mean", "majority"]
Classes = tuple[tuple[str, int], ...]
_LIKELY = 0.2


def vote(
    members: list[Member], logits: list[NDArray[np.float64]], voting: Voting
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities of the classes (n, classes) and known score (n,) of an ensemble.

    ``"mean"`` averages the members' probabilities; ``"majority"`` counts which class each member
    names, and breaks ties by the mean.

    Raises
    ------
    InputError
        When the voting is neither.
    """
    if voting not in ("mean", "majority"):
        raise InputError(f"voting must be 'mean' or 'majority', not {voting!r}.")
    chances = [m.probability(x) for m, x in zip(members, logits, strict=True)]
    mean = np.mean(chances, axis=0)
    score = np.mean([m.known_score(x) for m, x in zip(members, logits, strict=True)], axis=0)
    if voting == "mean" or len(members) == 1:
        return mean, score
    counts = np.zeros_like(mean)
    rows = np.arange(len(mean))
    for chance in chances:
        counts[rows, chance.argmax(axis=1)] += 1
    return (counts + 1e-3 * mean) / (len(members) + 1e-3), score


def fill(
    result: SpaceGroupResult, at: NDArray[np.intp], probability: NDArray[np.float64],
    score: NDArray[np.float64], classes: Classes, unknown: float,
) -> None:  # fmt: skip
    """Write answers to the places `at` of a flat result.

    Space group and lattice family are each the most probable one. On simulated patterns of new
    materials a space group that follows the family is right less often (by 1 to 2 %).
    """
    groups = result.space_groups
    families = tuple(sorted({family for family, _ in classes}))
    group_of = np.array([groups.index(group) for _, group in classes])
    family_of = np.array([families.index(family) for family, _ in classes])
    group = np.zeros((len(probability), len(groups)))
    family = np.zeros((len(probability), len(families)))
    for k in range(len(classes)):
        group[:, group_of[k]] += probability[:, k]
        family[:, family_of[k]] += probability[:, k]
    lattice, best = family.argmax(axis=1), group.argmax(axis=1)
    rows = np.arange(len(best))
    result.space_group[at] = np.array(groups)[best]
    result.family[at] = np.array(families)[lattice]
    result.probability[at] = group[rows, best]
    result.family_probability[at] = family[rows, lattice]
    result.known_score[at] = score
    result.is_known[at] = score >= unknown
    result.probabilities[at] = group
    twins = group >= _LIKELY
    twins[rows, best] = False
    for place, row in zip(at, twins, strict=True):
        if row.any():
            result.ambiguous_with[place] = tuple(
                g for g, twin in zip(groups, row, strict=True) if twin
            )
