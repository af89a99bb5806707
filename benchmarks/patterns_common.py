"""What the tables of the crystal-frame classifier share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns import CrystalFrameClassifier
from napari_ebsdml.patterns.answers.result import SpaceGroupResult, no_answers
from napari_ebsdml.patterns.crystal_frame.answer import answer
from napari_ebsdml.patterns.frame.folded import Folded


def show(title: str, rows: list[tuple], head: tuple) -> None:
    print(f"\n{title}")
    table = [tuple(str(c) for c in row) for row in (head, *rows)]
    widths = [max(len(row[k]) for row in table) for k in range(len(head))]
    for row in table:
        print("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)), flush=True)


def ask(model: CrystalFrameClassifier, folded: Folded) -> SpaceGroupResult:
    """Answers for folded patterns."""
    result = no_answers((len(folded),), model.space_groups)
    answer(model.model, folded, result, np.arange(len(folded)))
    return result


def percent(values: NDArray) -> str:
    return f"{100 * np.mean(values):.1f}" if len(values) else "-"


def shares(result: SpaceGroupResult, truth: NDArray | int) -> tuple[NDArray, NDArray]:
    """Which answers are right, and which are right or say "not separable from the truth"."""
    truth = np.broadcast_to(truth, result.shape)
    right = result.space_group == truth
    pairs = zip(truth.ravel(), result.ambiguous_with.ravel(), strict=True)
    also = np.array([t in other for t, other in pairs]).reshape(result.shape)
    return right, right | also


def spheres(work: Path, names: tuple[str, ...]) -> NDArray:
    return np.stack([np.load(work / f"{name}.npy") for name in names]).astype(np.float32)
