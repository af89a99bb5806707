"""Reading a phase from its pixels, or from mean orientations where pixels do not tell."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.dislocations.gnd.noise import OrientationNoise
from napari_ebsdml.dislocations.total.average import verdict
from napari_ebsdml.dislocations.total.blocks import block_means
from napari_ebsdml.dislocations.total.model import TotalDensityModel
from napari_ebsdml.dislocations.total.phase_question import PhaseQuestion
from napari_ebsdml.dislocations.total.segments import Cut, cut_grains, measure, reference_turns
from napari_ebsdml.dislocations.total.windows import Windows

SIDES = (1, 2, 3, 4, 6, 8)
"""Sides in pixels of the squares that are tried, in this order."""
CROWDED = 100.0
"""Lines in a square beyond which its mean is not believed."""
COVERED = 0.5
"""Part of the pixels in windows of the first reading that one of larger squares needs."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What the windows of a phase tell at one scale.

    Attributes
    ----------
    question
        With the noise and the step of that scale.
    cut, windows
    pieces : (rows, columns) int32 array
        Window of each pixel or square, -1 for none; None where it is kept elsewhere.
    """

    question: PhaseQuestion
    cut: Cut
    windows: Windows
    pieces: NDArray[np.int32] | None = field(default=None, repr=False)


def read_windows(
    turns: NDArray[np.float64],
    labels: NDArray[np.int64],
    operators: NDArray[np.float64],
    question: PhaseQuestion,
    model: TotalDensityModel,
    window: int,
    progress: Progress = None,
) -> Reading | None:
    """Read pixels or squares, (rows, columns, 4) and (rows, columns); None without a window."""
    cut = cut_grains(labels, window)
    if not len(cut):
        return None
    pieces = cut.segments(labels)
    references = reference_turns([(turns, pieces)], len(cut))
    _, sums = measure(turns, pieces, references, operators, question.unit, progress)
    return Reading(question, cut, question.answer(model, cut, sums), pieces)


def read_phase(
    turns: NDArray[np.float64],
    labels: NDArray[np.int64],
    operators: NDArray[np.float64],
    question: PhaseQuestion,
    noise: Callable[[], OrientationNoise],
    model: TotalDensityModel,
    window: int,
    sides: Sequence[int],
    progress: Progress = None,
) -> Reading | None:
    """A phase of a map in memory by `finest`; `noise` measures it, and is asked for means only."""

    def read(side: int, own: Progress) -> Reading | None:
        if side == 1:
            return read_windows(turns, labels, operators, question, model, window, own)
        blocks = block_means(turns, labels, operators, side, part_of(own, 0.0, 0.5))
        asked = question.of_means(side, blocks.noise(noise().correlation))
        return read_windows(
            blocks.turns, blocks.labels, operators, asked, model, window, part_of(own, 0.5)
        )

    return finest(read, sides, model, progress)


def finest(
    read: Callable[[int, Progress], Reading | None],
    sides: Sequence[int],
    model: TotalDensityModel,
    progress: Progress = None,
) -> Reading | None:
    """The reading of the smallest squares that tells the density; else the first one.

    Parameters
    ----------
    read
        Reads squares of a side in pixels; None where there is no window.
    sides
        Rising.
    model
    progress
        Called with the fraction done; what it raises ends the work.

    Notes
    -----
    Larger squares are tried as long as the windows cover half of the pixels that those of the
    first reading cover: else the answer would be one of a few large grains. What they do not tell
    is left to the first reading: lines that cancel within a square make its bound too low, as do
    structures that are screened within it. Beyond `CROWDED` lines nothing was tested.
    """
    first: Reading | None = None
    done = 0.0
    # The work of a reading falls with the number of squares.
    whole = sum(side**-2.0 for side in sides)
    for side in sides:
        share = side**-2.0 / whole
        found = read(side, part_of(progress, done, done + share))
        done += share
        if found is None:
            break
        told = verdict(found.windows, model.calibration)
        if first is None:
            first = found
            # Unlike the training: the noise that was told, or the indexing, is wrong, and means
            # of such pixels are no better.
            if told.measurable or not told.seen:
                break
        elif (
            told.lines > CROWDED
            or found.windows.pixels.sum() < COVERED * first.windows.pixels.sum()
        ):
            break
        elif told.measurable:
            return found
    return first
