"""Networks of raw patterns name the space groups of stacks of patterns and of maps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.learning.device import threads
from napari_ebsdml.patterns.answers.result import SpaceGroupResult, no_answers
from napari_ebsdml.patterns.frame.checks import check_mask, check_patterns
from napari_ebsdml.patterns.frame.masks import find_mask
from napari_ebsdml.patterns.frame.pieces import blocks
from napari_ebsdml.patterns.frame.scans import check_by, grains_of, patterns_of
from napari_ebsdml.patterns.raw.answer import Voting, check_voting, fill, vote
from napari_ebsdml.patterns.raw.member import Member
from napari_ebsdml.patterns.raw.model import RawModel

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

Mask = NDArray[np.bool_] | None


def predict(
    model: RawModel, patterns: Any, mask: Mask, progress: Progress, voting: Voting,
    n_threads: int | None,
) -> SpaceGroupResult:  # fmt: skip
    """Answers for patterns; see `RawClassifier.predict`."""
    shape = check_patterns(patterns)
    check_mask(mask, patterns)
    check_voting(voting)
    flat = no_answers((int(np.prod(shape, dtype=int)),), model.space_groups)
    with threads(n_threads):
        for part, block, seen in _masked(patterns, mask, progress):
            chance, score = _ask(model.members, block, seen, voting)
            fill(flat, np.arange(part.start, part.stop), chance, score, model)
    return flat.reshaped(shape)


def predict_scan(
    model: RawModel, scan: Scan, by: str, threshold: float, mask: Mask, progress: Progress,
    voting: Voting, n_threads: int | None,
) -> SpaceGroupResult:  # fmt: skip
    """Answers for a map; see `RawClassifier.predict_scan`."""
    check_by(by)
    patterns = patterns_of(scan)
    if by == "pixel":
        return predict(model, patterns, mask, progress, voting, n_threads)
    check_mask(mask, patterns)
    check_voting(voting)
    labels = np.ones(scan.shape, np.int32) if by == "map" else grains_of(scan, threshold)
    number = int(labels.max())
    flat = labels.ravel().astype(np.intp) - 1
    chances = np.zeros((number, len(model.classes)))
    scores = np.zeros(number)
    counts = np.zeros(number)
    with threads(n_threads):
        for part, block, seen in _masked(patterns, mask, progress):
            chance, score = _ask(model.members, block, seen, voting)
            kept = flat[part] >= 0
            np.add.at(chances, flat[part][kept], chance[kept])
            np.add.at(scores, flat[part][kept], score[kept])
            np.add.at(counts, flat[part][kept], 1)
    grains = no_answers((number,), model.space_groups)
    at = np.flatnonzero(counts)
    each = counts[at]
    fill(grains, at, chances[at] / each[:, None], scores[at] / each, model)
    return grains.spread(labels)


def _ask(
    members: Sequence[Member], block: NDArray[np.generic], mask: NDArray[np.bool_], voting: Voting
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Probabilities of the classes (n, classes) and known score (n,) of patterns."""
    inputs: dict[int, NDArray[np.float32]] = {}
    logits = []
    for member in members:
        if member.size not in inputs:
            inputs[member.size] = member.inputs(block, mask)
        logits.append(member.logits(inputs[member.size]))
    return vote(members, logits, voting)


def _masked(
    patterns: Any, mask: Mask, progress: Progress
) -> Iterator[tuple[slice, NDArray[np.generic], NDArray[np.bool_]]]:
    """Patterns piece by piece, with the pixels that count."""
    total = max(1, int(np.prod(patterns.shape[:-2], dtype=int)))
    for start, block in blocks(patterns):
        if mask is None:
            mask = find_mask(block)
        yield slice(start, start + len(block)), block, mask
        if progress is not None:
            progress((start + len(block)) / total)
