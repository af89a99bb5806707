"""Networks of raw patterns name the space groups of stacks of patterns and of maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.learning.device import threads
from napari_ebsdml.patterns.answers.result import SpaceGroupResult, no_answers
from napari_ebsdml.patterns.frame.flatten import find_mask
from napari_ebsdml.patterns.frame.pieces import blocks
from napari_ebsdml.patterns.raw.answer import Voting, fill, vote
from napari_ebsdml.patterns.raw.member import Member
from napari_ebsdml.patterns.raw.prepare import check_patterns

if TYPE_CHECKING:
    from napari_ebsdml.patterns.raw.classifier import RawClassifier
    from napari_ebsdml.scan import Scan

Progress = Callable[[float], None] | None


def name_patterns(
    model: RawClassifier, patterns: Any, mask: NDArray[np.bool_] | None, progress: Progress,
    voting: Voting, n_threads: int | None,
) -> SpaceGroupResult:  # fmt: skip
    """See `RawClassifier.predict`."""
    shape = check_patterns(patterns)
    flat = no_answers((int(np.prod(shape, dtype=int)),), model.space_groups)
    with threads(n_threads):
        for part, block, seen in _masked(patterns, mask, progress):
            chance, score = _ask(model.members, block, seen, voting)
            fill(
                flat, np.arange(part.start, part.stop), chance, score, model.classes, model.unknown
            )
    return flat.reshaped(shape)


def name_map(
    model: RawClassifier, scan: Scan, by: str, threshold: float, mask: NDArray[np.bool_] | None,
    progress: Progress, voting: Voting, n_threads: int | None,
) -> SpaceGroupResult:  # fmt: skip
    """See `RawClassifier.predict_scan`."""
    if by not in ("pixel", "grain", "map"):
        raise InputError(f"by must be 'pixel', 'grain' or 'map', not {by!r}.")
    if scan.patterns is None:
        raise MissingDataError(f"{scan.name} has no patterns.")
    if by == "pixel":
        return model.predict(scan.patterns, None, None, mask, progress, voting, n_threads)
    labels = _areas(scan, by, threshold)
    number = int(labels.max())
    flat = labels.ravel().astype(np.intp) - 1
    chances = np.zeros((number, len(model.classes)))
    scores = np.zeros(number)
    counts = np.zeros(number)
    with threads(n_threads):
        for part, block, seen in _masked(scan.patterns, mask, progress):
            chance, score = _ask(model.members, block, seen, voting)
            kept = flat[part] >= 0
            np.add.at(chances, flat[part][kept], chance[kept])
            np.add.at(scores, flat[part][kept], score[kept])
            np.add.at(counts, flat[part][kept], 1)
    grains = no_answers((number,), model.space_groups)
    at = np.flatnonzero(counts)
    each = counts[at]
    fill(grains, at, chances[at] / each[:, None], scores[at] / each, model.classes, model.unknown)
    return grains.spread(labels)


def _areas(scan: Scan, by: str, threshold: float) -> NDArray[np.int32]:
    """Labels from 1 of the areas whose answers are averaged, 0 for pixels without one."""
    if by == "map":
        return np.ones(scan.shape, np.int32)
    if not scan.is_indexed.any():
        raise MissingDataError(
            f"{scan.name} has no orientations to find grains by; use by='pixel' or 'map'."
        )
    from napari_ebsdml.maps.grains import segment_grains

    return segment_grains(scan, threshold=threshold)


def _ask(
    members: list[Member], block: NDArray[np.generic], mask: NDArray[np.bool_], voting: Voting
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
    patterns: Any, mask: NDArray[np.bool_] | None, progress: Progress
) -> Iterator[tuple[slice, NDArray[np.generic], NDArray[np.bool_]]]:
    """Patterns piece by piece, with the pixels that count."""
    total = max(1, int(np.prod(patterns.shape[:-2], dtype=int)))
    for start, block in blocks(patterns):
        if mask is None:
            mask = find_mask(block)
        yield slice(start, start + len(block)), block, mask
        if progress is not None:
            progress((start + len(block)) / total)
