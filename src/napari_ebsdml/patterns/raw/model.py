"""A trained model of raw patterns, as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.answers.classes import ClassModel
from napari_ebsdml.patterns.frame.masks import find_mask
from napari_ebsdml.patterns.raw.data import LabelledPatterns
from napari_ebsdml.patterns.raw.member import Member
from napari_ebsdml.patterns.raw.prepare import prepare

BACKGROUND = 10
"""Patterns of each space group that a model keeps as the background set of Shapley values."""


@dataclass(frozen=True, eq=False, kw_only=True)
class RawModel(ClassModel):
    """Networks that name patterns as they are.

    Attributes
    ----------
    members
        The networks; they vote.
    background : (n, size, size) array
        Prepared patterns that Shapley values compare with.
    unknown
        Patterns with a smaller known score are called unknown.
    """

    members: tuple[Member, ...]
    background: NDArray[np.float32]
    unknown: float = 0.03

    def member(self, number: int) -> Member:
        """One of the networks.

        Raises
        ------
        InputError
            When there is none of that number.
        """
        if not 0 <= number < len(self.members):
            raise InputError(f"member must lie in 0..{len(self.members) - 1}, not {number}.")
        return self.members[number]


def joined(models: Sequence[RawModel]) -> RawModel:
    """All networks of several models in one.

    Raises
    ------
    InputError
        When there is none, or their classes differ.
    """
    if not models:
        raise InputError("An ensemble needs at least one classifier.")
    first = models[0]
    for other in models[1:]:
        if other.classes != first.classes:
            raise InputError(
                f"The classifiers name different classes: {first.classes}, {other.classes}."
            )
    return RawModel(
        classes=first.classes,
        members=tuple(member for one in models for member in one.members),
        background=first.background,
        unknown=float(np.mean([one.unknown for one in models])),
    )


def background_set(data: LabelledPatterns, size: int, seed: int) -> NDArray[np.float32]:
    """Some prepared patterns of each space group, (n, size, size)."""
    rng = np.random.default_rng([seed, 12])
    side = min(size, 96)
    picked = []
    for group in np.unique(data.space_groups):
        mine = np.flatnonzero(data.space_groups == group)
        picked.append(rng.permutation(mine)[:BACKGROUND])
    at = np.sort(np.concatenate(picked))
    return prepare(data.patterns[at], side, find_mask(data.patterns))
