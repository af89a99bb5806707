"""Space groups as classes, colours and tables; no Qt here."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._palette import BETWEEN, NO_ANSWER, SPACE_GROUP_COLORS, SPACE_GROUP_SETS
from napari_ebsdml._palette import DIFFERENT as DIFFERENT_COLOR
from napari_ebsdml._palette import SAME as SAME_COLOR
from napari_ebsdml._palette import UNKNOWN as UNKNOWN_COLOR
from napari_ebsdml.patterns.answers.compare import (
    DIFFERENT,
    MAY_BE,
    NOT_ASKED,
    ONE_UNKNOWN,
    SAME,
    UNKNOWN,
    Answers,
    Kind,
)
from napari_ebsdml.patterns.crystals.table import SYMBOLS

_SPARE = ("#56b4e9", "#aa4499", "#999933", "#882255", "#44aa99", "#ddcc77", "#6699cc", "#bbbbbb")

UNKNOWN_LABEL = 1
_FIRST_SET = 301

AGREEMENT_CLASSES = (
    LabelClass(0, "not compared", "transparent"),
    LabelClass(SAME, "same answer", SAME_COLOR),
    LabelClass(MAY_BE, "overlapping answers", BETWEEN),
    LabelClass(DIFFERENT, "different answers", DIFFERENT_COLOR),
    LabelClass(ONE_UNKNOWN, "unknown to one model", NO_ANSWER),
)

UNKNOWN_CLASSES = (
    LabelClass(0, "known", "transparent"),
    LabelClass(1, "unlike everything known", "#d1495b"),
)


@cache
def symbol(space_group: int) -> str:
    """Short Hermann-Mauguin symbol of a space group."""
    if space_group in SYMBOLS:
        return SYMBOLS[space_group]
    from diffpy.structure.spacegroups import GetSpaceGroup

    try:
        return str(GetSpaceGroup(space_group).short_name)
    except ValueError:
        return f"No. {space_group}"


def full_name(space_group: int) -> str:
    """Symbol and number: "Fm-3m (225)"."""
    return f"{symbol(space_group)} ({space_group})"


def color_of(space_group: int) -> str:
    """Colour of a space group, the same in every picture."""
    return SPACE_GROUP_COLORS.get(space_group) or _SPARE[space_group % len(_SPARE)]


def kind_name(kind: Kind) -> str:
    """What an answer says: "Fm-3m (225)", "Pm-3m or Fm-3m", "unknown", "not indexed"."""
    if kind == (UNKNOWN,):
        return "unknown"
    if kind == (NOT_ASKED,):
        return "not indexed"
    if len(kind) == 1:
        return full_name(kind[0])
    *first, last = (symbol(group) for group in kind)
    return f"{', '.join(first)} or {last}"


def short_name(kind: Kind) -> str:
    """`kind_name` for narrow tables: symbols without numbers, joined by a stroke."""
    if min(kind) <= 0:
        return kind_name(kind)
    return " / ".join(symbol(group) for group in kind)


def kind_color(kind: Kind) -> str:
    """Colour of an answer; of several space groups the lightened mixture of theirs."""
    if kind == (UNKNOWN,):
        return UNKNOWN_COLOR
    if kind == (NOT_ASKED,):
        return "transparent"
    if len(kind) == 1:
        return color_of(kind[0])
    if kind in SPACE_GROUP_SETS:
        return SPACE_GROUP_SETS[kind]
    mixed = np.mean([_rgb(color_of(group)) for group in kind], axis=0)
    light = np.rint(mixed + 0.45 * (255 - mixed)).astype(int)
    return "#" + "".join(f"{value:02x}" for value in light)


def _rgb(color: str) -> list[int]:
    return [int(color[at : at + 2], 16) for at in (1, 3, 5)]


def label_image(answers: Answers) -> tuple[NDArray[np.int32], tuple[LabelClass, ...]]:
    """Labels of answers: the number of a space group is its label; and their classes."""
    labels = []
    sets = 0
    for kind in answers.kinds:
        if kind == (UNKNOWN,):
            labels.append(UNKNOWN_LABEL)
        elif len(kind) == 1:
            labels.append(kind[0])
        else:
            labels.append(_FIRST_SET + sets)
            sets += 1
    used = answers.count() > 0
    classes = tuple(
        LabelClass(label, kind_name(kind), kind_color(kind))
        for label, kind, there in zip(labels, answers.kinds, used, strict=True)
        if there or label == 0
    )
    return np.array(labels, np.int32)[answers.number], classes


def tally_columns(
    answers: Answers,
    probability: NDArray[np.floating[Any]],
    phases: Sequence[tuple[str, NDArray[np.bool_]]] = (),
) -> dict[str, list[Any]]:
    """How often each answer was given, as columns of a table.

    Parameters
    ----------
    answers
    probability : array
        Of the most probable space group.
    phases
        Name of each phase that the file tells, and where it is; they get a column each when there
        are several.
    """
    count = answers.count()
    total = max(1, int(count.sum()))
    shown = [n for n in np.argsort(-count, kind="stable") if count[n]]
    flat = answers.number.ravel()
    sums = np.bincount(flat, probability.ravel().astype(np.float64), len(count))
    table: dict[str, list[Any]] = {
        "space group": [kind_name(answers.kinds[n]) for n in shown],
        "pixels": [int(count[n]) for n in shown],
        "%": [round(100 * float(count[n]) / total, 2) for n in shown],
        "mean p": [
            round(float(sums[n] / count[n]), 3)
            if answers.kinds[n] != (NOT_ASKED,)
            else float("nan")
            for n in shown
        ],
    }
    if len(phases) > 1:
        for name, where in phases:
            mine = np.bincount(flat[where.ravel()], minlength=len(count))
            table[_free(name, table)] = [int(mine[n]) for n in shown]
    return table


def tally_colors(answers: Answers) -> list[str]:
    """Colours of the rows of `tally_columns`."""
    count = answers.count()
    order = np.argsort(-count, kind="stable")
    return [kind_color(answers.kinds[n]) for n in order if count[n]]


def both_columns(named: Sequence[tuple[str, Answers]]) -> dict[str, list[Any]]:
    """Tallies of several models, one row each."""
    counts = [
        {kind: int(n) for kind, n in zip(answers.kinds, answers.count(), strict=True) if n}
        for _, answers in named
    ]
    kinds = sorted({kind for one in counts for kind in one}, key=_order)
    table: dict[str, list[Any]] = {"model": [name for name, _ in named]}
    for kind in kinds:
        table[short_name(kind)] = [one.get(kind, 0) for one in counts]
    return table


def cross_columns(
    pairs: dict[tuple[Kind, Kind], int], first: str, second: str
) -> dict[str, list[Any]]:
    """Cross table: answers of the first model down, of the second across, with sums."""
    rows = sorted({one for one, _ in pairs}, key=_order)
    columns = sorted({two for _, two in pairs}, key=_order)
    table: dict[str, list[Any]] = {f"{first} ↓ {second} →": [*map(short_name, rows), "sum"]}
    for column in columns:
        values = [pairs.get((row, column), 0) for row in rows]
        table[short_name(column)] = [*values, sum(values)]
    sums = [sum(pairs.get((row, column), 0) for column in columns) for row in rows]
    table["sum"] = [*sums, sum(sums)]
    return table


def _order(kind: Kind) -> tuple[int, int, Kind]:
    last = 1 if kind == (UNKNOWN,) else 2 if kind == (NOT_ASKED,) else 0
    return last, len(kind), kind


def _free(name: str, table: dict[str, list[Any]]) -> str:
    """A column's name that no other column has."""
    wanted, number = name, 2
    while wanted in table:
        wanted, number = f"{name} {number}", number + 1
    return wanted
