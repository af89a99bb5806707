"""Precision, recall and F1 of each space group, and recall of each material."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml.errors import InputError


@dataclass(frozen=True)
class Score:
    """Figures of one class.

    Attributes
    ----------
    name
        Space group, material, or "weighted" and "macro" for means over the classes (by number of
        patterns, and plain).
    number
        Patterns that truly are of it.
    precision
        Part of the patterns given this name that are of it; NaN when none was.
    recall
        Part of its patterns that were given its name.
    f1
        Harmonic mean of both.
    """

    name: str
    number: int
    precision: float
    recall: float
    f1: float


def _both(truth: ArrayLike, answer: ArrayLike) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    true = np.asarray(truth, dtype=np.int64).ravel()
    named = np.asarray(answer, dtype=np.int64).ravel()
    if true.shape != named.shape or not len(true):
        raise InputError(f"Need one answer for each truth, not {named.shape} for {true.shape}.")
    return true, named


def class_table(truth: ArrayLike, answer: ArrayLike) -> list[Score]:
    """Rows of each space group, then "macro" and "weighted" means.

    Parameters
    ----------
    truth, answer : (n,) int arrays
        Space groups.

    Raises
    ------
    InputError
        When lengths differ or there is none.
    """
    true, named = _both(truth, answer)
    rows = []
    for group in np.unique(true):
        hits = int(((true == group) & (named == group)).sum())
        rows.append(
            _score(str(group), int((true == group).sum()), int((named == group).sum()), hits)
        )
    classes = tuple(rows)
    numbers = np.array([row.number for row in classes])
    for name, weight in (("macro", np.ones(len(classes))), ("weighted", numbers)):
        part = weight / weight.sum()
        figures = [
            float((part * np.nan_to_num([getattr(row, field) for row in classes])).sum())
            for field in ("precision", "recall", "f1")
        ]
        rows.append(Score(name, int(numbers.sum()), *figures))
    return rows


def material_table(truth: ArrayLike, answer: ArrayLike, materials: ArrayLike) -> list[Score]:
    """Rows of each material: precision is not defined for a material alone and is NaN.

    Parameters
    ----------
    truth, answer : (n,) int arrays
        Space groups.
    materials : (n,) str array

    Raises
    ------
    InputError
        When lengths differ or there is none.
    """
    true, named = _both(truth, answer)
    names = np.asarray(materials).ravel()
    if names.shape != true.shape:
        raise InputError(f"Need one material for each truth, not {names.shape} for {true.shape}.")
    rows = []
    for name in np.unique(names):
        mine = names == name
        recall = float((true == named)[mine].mean())
        rows.append(Score(str(name), int(mine.sum()), float("nan"), recall, float("nan")))
    return rows


def _score(name: str, number: int, named: int, hits: int) -> Score:
    precision = hits / named if named else float("nan")
    return Score(name, number, precision, hits / number, 2 * hits / (number + named))
