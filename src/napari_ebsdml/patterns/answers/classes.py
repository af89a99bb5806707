"""Classes that a model tells apart, and the way from their probabilities to answers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.learning.model_card import ModelCard
from napari_ebsdml.patterns.answers.result import SpaceGroupResult

Classes = tuple[tuple[str, int], ...]
"""Pairs of lattice family ("" where not known) and space group."""

LIKELY = 0.2
"""Space groups of at least this probability are named beside the most probable one."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ClassModel:
    """What models of every kind have: classes, in the order of their outputs, and a card.

    Attributes
    ----------
    classes
    card
        None for a model that nobody described.
    """

    classes: Classes
    card: ModelCard | None = None

    @cached_property
    def space_groups(self) -> tuple[int, ...]:
        """Space groups that the model names, ascending."""
        return tuple(sorted({group for _, group in self.classes}))

    @cached_property
    def families(self) -> tuple[str, ...]:
        """Lattice families that it names, sorted."""
        return tuple(sorted({family for family, _ in self.classes}))

    @cached_property
    def group_of(self) -> NDArray[np.intp]:
        """Place in `space_groups` of each class."""
        return np.array([self.space_groups.index(group) for _, group in self.classes])

    @cached_property
    def family_of(self) -> NDArray[np.intp]:
        """Place in `families` of each class."""
        return np.array([self.families.index(family) for family, _ in self.classes])

    def by_group(self, probability: NDArray[Any]) -> NDArray[Any]:
        """Probabilities of the space groups (n, groups) from those of the classes (n, classes)."""
        return _summed(probability, self.group_of, len(self.space_groups))

    def by_family(self, probability: NDArray[Any]) -> NDArray[Any]:
        """Probabilities of the families (n, families) from those of the classes (n, classes)."""
        return _summed(probability, self.family_of, len(self.families))


def _summed(values: NDArray[Any], place: NDArray[np.intp], number: int) -> NDArray[Any]:
    total = np.zeros((len(values), number), values.dtype)
    for k, at in enumerate(place):
        total[:, at] += values[:, k]
    return total


def write_answers(
    model: ClassModel, result: SpaceGroupResult, at: NDArray[np.intp], group: NDArray[Any],
    family: NDArray[Any], best: tuple[NDArray[np.intp], NDArray[np.intp]], known: NDArray[Any],
    threshold: float, alike: NDArray[np.bool_] | None = None,
) -> None:  # fmt: skip
    """Write answers to some places of a flat result.

    Parameters
    ----------
    model
    result
        Of one axis; changed in place.
    at : (n,) int array
        Places.
    group, family : (n, groups), (n, families) arrays
        Probabilities.
    best
        Place of the space group and of the family that are named, each (n,).
    known : (n,) array
        Score of being of a known kind.
    threshold
        Patterns with a smaller score are unknown.
    alike : (n, groups) bool array, optional
        Space groups that the pattern cannot be told from, besides those of `LIKELY`.
    """
    rows = np.arange(len(at))
    first, lattice = best
    result.space_group[at] = np.array(model.space_groups)[first]
    result.family[at] = np.array(model.families)[lattice]
    result.probability[at] = group[rows, first]
    result.family_probability[at] = family[rows, lattice]
    result.known_score[at] = known
    result.is_known[at] = known >= threshold
    result.probabilities[at] = group
    twins = group >= LIKELY if alike is None else alike | (group >= LIKELY)
    twins[rows, first] = False
    # Few sets occur: patterns share their tuples, a million of which would fill memory.
    code, place = np.unique(twins @ (1 << np.arange(twins.shape[1])), return_inverse=True)
    sets = np.empty(len(code), dtype=object)
    for k, bits in enumerate(code):
        sets[k] = tuple(g for n, g in enumerate(model.space_groups) if bits >> n & 1)
    result.ambiguous_with[at] = sets[place]
