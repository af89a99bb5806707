"""Measured patterns with known phases, folded: what the crystal frame learns from a user's maps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.errors import MissingDataError
from napari_ebsdml.patterns.frame.fold import fold_patterns
from napari_ebsdml.patterns.frame.folded import Folded
from napari_ebsdml.patterns.frame.masks import find_mask
from napari_ebsdml.patterns.frame.scans import camera_of, grains_of, patterns_of

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

_LOAD = 256


@dataclass(frozen=True, eq=False)
class MeasuredPhase:
    """Folded patterns of one phase of one scan.

    Attributes
    ----------
    name, space_group
    folded
    held
        Which of them are held out.
    """

    name: str
    space_group: int
    folded: Folded
    held: NDArray[np.bool_]


def space_group_of(phase: Any) -> int:
    """Number of the space group of an orix phase, 0 where it has none."""
    group = getattr(phase, "space_group", None)
    return int(group.number) if group is not None else 0


def fold_scan(
    scan: Scan, patterns: int, validation: float, seed: int, detector: Any = None,
    progress: Progress = None,
) -> list[MeasuredPhase]:  # fmt: skip
    """Fold some patterns of each phase of a scan whose space group is known.

    Parameters
    ----------
    scan
        With patterns, orientations, and phases that have a space group.
    patterns
        Of each phase, at most, besides those held out.
    validation
        Part of the grains (of the pixels where there are one or two grains) to hold out.
    seed
    detector
        Default: the scan's.
    progress
        Called with the part done.

    Raises
    ------
    MissingDataError
        When the scan lacks something.
    """
    geometry = camera_of(scan, detector)
    patterns_at = patterns_of(scan).vindex
    rng = np.random.default_rng([seed, 21])
    known = [
        (number, phase) for number, phase in scan.phases
        if number >= 0 and space_group_of(phase) and (scan.phase_id == number).any()
    ]  # fmt: skip
    if not known:
        raise MissingDataError(
            f"{scan.name}: none of its phases occurs and has a space group, so that there are no "
            "labels to train on."
        )
    grains = grains_of(scan)
    wanted = patterns + round(patterns * validation / (1 - validation))
    found = []
    for turn, (number, phase) in enumerate(known):
        pixels = np.flatnonzero(scan.phase_id.ravel() == number)
        pixels = np.sort(rng.permutation(pixels)[:wanted])
        held = _held_out(grains.ravel()[pixels], validation, rng)
        parts = []
        for start in range(0, len(pixels), _LOAD):
            at = pixels[start : start + _LOAD]
            stack = np.asarray(patterns_at[np.unravel_index(at, scan.shape)])
            parts.append(
                fold_patterns(
                    stack, scan.quaternions.reshape(-1, 4)[at], geometry.take(at), find_mask(stack)
                )
            )
            if progress is not None:
                progress((turn + (start + len(at)) / len(pixels)) / len(known))
        found.append(MeasuredPhase(phase.name, space_group_of(phase), Folded.join(parts), held))
    return found


def _held_out(
    grains: NDArray[np.integer[Any]], part: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Whole grains: their pixels' patterns are nearly the same, and must not be on both sides."""
    names = rng.permutation(np.unique(grains))
    held = np.zeros(len(grains), bool)
    if len(names) < 3:
        held[rng.permutation(len(grains))[: round(part * len(grains))]] = True
        return held
    for name in names[:-1]:
        if held.mean() >= part:
            break
        mine = grains == name
        if (held | mine).mean() <= 0.5:
            held |= mine
    return held
