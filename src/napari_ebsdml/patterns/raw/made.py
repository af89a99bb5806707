"""Classifiers made of trained networks, or of other classifiers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.model_file import ModelCard
from napari_ebsdml.patterns.frame.flatten import find_mask
from napari_ebsdml.patterns.raw.answer import Classes
from napari_ebsdml.patterns.raw.data import LabelledPatterns
from napari_ebsdml.patterns.raw.member import Member, RawRecipe
from napari_ebsdml.patterns.raw.model_io import KIND
from napari_ebsdml.patterns.raw.prepare import prepare
from napari_ebsdml.patterns.raw.scores import class_table

if TYPE_CHECKING:
    from napari_ebsdml.patterns.raw.classifier import RawClassifier

BACKGROUND = 10
"""Patterns of each space group that a model keeps as the background set of Shapley values."""


def classifier_of(
    cls: type[RawClassifier], members: list[Member], classes: Classes, recipe: RawRecipe,
    data: LabelledPatterns, validation: LabelledPatterns, transferred: bool,
) -> RawClassifier:  # fmt: skip
    """See `RawClassifier.made`."""
    background = background_set(data, members[0].size, recipe.seed)
    made = cls(members, classes, background, recipe.unknown)
    answer = made.predict(validation.patterns)
    table = class_table(validation.space_groups, answer.space_group)
    digest = hashlib.sha256(np.ascontiguousarray(data.patterns).tobytes()).hexdigest()
    made.card = ModelCard(
        KIND, recipe.network,
        training={
            "patterns": data.counts(), "sha256": digest, "epochs": recipe.epochs,
            "learning_rate": recipe.learning_rate, "weight_decay": recipe.weight_decay,
            "batch": recipe.batch, "patience": recipe.patience, "seed": recipe.seed,
            "min_delta": recipe.min_delta, "augment": recipe.augment,
            "start": "other weights" if transferred else "random",
        },
        metrics={
            "validation_patterns": len(validation),
            **{f"validation_{row.name}_f1": round(row.f1, 4) for row in table},
        },
    )  # fmt: skip
    return made


def joined(cls: type[RawClassifier], classifiers: Sequence[RawClassifier]) -> RawClassifier:
    """See `RawClassifier.ensemble`."""
    if not classifiers:
        raise InputError("An ensemble needs at least one classifier.")
    first = classifiers[0]
    for other in classifiers[1:]:
        if other.classes != first.classes:
            raise InputError(
                f"The classifiers name different classes: {first.classes}, {other.classes}."
            )
    members = [member for one in classifiers for member in one.members]
    unknown = float(np.mean([one.unknown for one in classifiers]))
    return cls(members, first.classes, first.background, unknown)


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
