"""From the members' outputs to answers: voting, space group and family, what is unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.answers.classes import write_answers
from napari_ebsdml.patterns.answers.result import SpaceGroupResult
from napari_ebsdml.patterns.raw.member import Member
from napari_ebsdml.patterns.raw.model import RawModel

Voting = Literal["mean", "majority"]


def check_voting(voting: str) -> None:
    """Raise an InputError when networks cannot vote that way."""
    if voting not in ("mean", "majority"):
        raise InputError(f"voting must be 'mean' or 'majority', not {voting!r}.")


def vote(
    members: Sequence[Member], logits: list[NDArray[np.float64]], voting: Voting
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities of the classes (n, classes) and known score (n,) of an ensemble.

    ``"mean"`` averages the members' probabilities; ``"majority"`` counts which class each member
    names, and breaks ties by the mean.
    """
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
    score: NDArray[np.float64], model: RawModel,
) -> None:  # fmt: skip
    """Write answers to the places `at` of a flat result.

    Space group and lattice family are each the most probable one. On simulated patterns of new
    materials a space group that follows the family is right less often (by 1 to 2 %).
    """
    group, family = model.by_group(probability), model.by_family(probability)
    best = group.argmax(axis=1), family.argmax(axis=1)
    write_answers(model, result, at, group, family, best, score, model.unknown)
