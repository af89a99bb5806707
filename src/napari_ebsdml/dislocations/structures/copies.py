"""New structures out of simulated ones: fields add up, so that shifted copies are structures too.

A copy with all Burgers vectors reversed beside the structure itself makes dipoles, two pairs make
quadrupoles, whose rotations cancel more the closer they are; copies of one sense in a row make
bundles and walls. How far lines screen each other becomes continuous, at no cost of simulation.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.dislocations.structures.sections import BLOCK, Section
from napari_ebsdml.dislocations.structures.store import Stored

CLOSEST, FARTHEST = 2.0, 32.0
"""Shortest and longest shift in voxels; less than what a point averages over makes no sense."""
IN_A_ROW = 5
"""Most copies in a row."""
Shift = tuple[int, NDArray[np.int64]]
"""Sense of the Burgers vectors, 1 or -1, and rows and columns."""


def random_shifts(random: np.random.Generator) -> list[Shift]:
    """A dipole, a quadrupole, a row (of one sense, or of alternating ones) or a few anywhere."""

    def step() -> NDArray[np.int64]:
        length = np.exp(random.uniform(np.log(CLOSEST), np.log(FARTHEST)))
        angle = random.uniform(0, 2 * np.pi)
        return np.rint(length * np.array([np.cos(angle), np.sin(angle)])).astype(np.int64)

    none = np.zeros(2, dtype=np.int64)
    which = int(random.integers(4))
    if which == 0:
        return [(1, none), (-1, step())]
    if which == 1:
        first, second = step(), step()
        return [(1, none), (-1, first), (-1, second), (1, first + second)]
    if which == 2:
        first, number = step(), int(random.integers(2, IN_A_ROW + 1))
        sense = 1 if random.random() < 0.6 else -1
        return [(sense**k, k * first) for k in range(number)]
    number = int(random.integers(2, IN_A_ROW))
    return [(int(random.choice((-1, 1))), step() if k else none) for k in range(number)]


def with_copies(stored: Stored, shifts: list[Shift]) -> Stored:
    """A structure with copies of itself, shifted along its sections.

    Parameters
    ----------
    stored
    shifts
        Of the copies; the structure itself is one of them. Sections are periodic.
    """

    def added(part: Section) -> Section:
        def total(name: str, unit: int, signed: bool, axes: tuple[int, int]) -> Any:
            values = getattr(part, name)
            return sum(
                (sense if signed else 1)
                * np.roll(values, tuple(np.rint(shift / unit).astype(int)), axes)
                for sense, shift in shifts
            )

        return replace(
            part,
            rotation=total("rotation", 1, True, (0, 1)),
            slope=sum(sense for sense, _ in shifts) * part.slope,
            density=total("density", 1, False, (0, 1)),
            nye=total("nye", BLOCK, True, (2, 3)),
        )

    return replace(
        stored, sections=tuple(tuple(added(part) for part in axis) for axis in stored.sections)
    )
