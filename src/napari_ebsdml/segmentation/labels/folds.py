"""Who judges whom: labelled grains dealt out to folds, so that none judges what it taught."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BLOCKS_PER_SIDE = 8
_SMALLEST, _LARGEST = 6, 64
_LARGE = 0.34
"""A grain that holds more of a class's labels than this is cut into blocks."""


@dataclass(frozen=True, eq=False)
class Folds:
    """Labels of several maps, dealt out to folds in whole grains and blocks.

    Attributes
    ----------
    painted, training : lists of (rows, columns) int8 arrays
        Class index as painted, and spread through grains; -1 where there is none.
    fold : list of (rows, columns) int8 arrays
        Fold of each pixel, -1: trains always and judges never.
    unit : list of (rows, columns) int32 arrays
        Number of the grain or block that each pixel is judged with, unique over all maps.
    number
        Number of folds; 0: nothing is held out.
    gap
        Pixels around what a fold holds out that do not train either.
    alone
        Classes that are painted in a single grain or block: they cannot be judged.
    """

    painted: list[NDArray[np.int8]]
    training: list[NDArray[np.int8]]
    fold: list[NDArray[np.int8]]
    unit: list[NDArray[np.int32]]
    number: int
    gap: int
    alone: tuple[int, ...] = ()

    def without(self, fold: int, painted: bool = False) -> list[NDArray[np.int8]]:
        """Labels that train while a fold judges: spread through grains, or as painted."""
        out = []
        source = self.painted if painted else self.training
        for target, mine, drawn in zip(source, self.fold, self.painted, strict=True):
            judged = (mine == fold) & (drawn >= 0)
            near: NDArray[np.bool_] = (mine == fold) & (target >= 0)
            if self.gap and judged.any():
                near |= ndimage.binary_dilation(judged, np.ones((3, 3)), iterations=self.gap)
            out.append(np.where(near, -1, target).astype(np.int8))
        return out

    def held_out(self, fold: int) -> list[NDArray[np.int8]]:
        """Painted labels that a fold judges by."""
        return [
            np.where(mine == fold, target, -1).astype(np.int8)
            for target, mine in zip(self.painted, self.fold, strict=True)
        ]

    def units(self) -> int:
        """Number of separate grains and blocks that hold painted labels."""
        return sum(
            len(np.unique(unit[target >= 0]))
            for unit, target in zip(self.unit, self.painted, strict=True)
        )


def block_size(shape: tuple[int, int]) -> int:
    """Side of the blocks of a map in pixels."""
    side = round(math.sqrt(shape[0] * shape[1]) / BLOCKS_PER_SIDE)
    return int(np.clip(side, _SMALLEST, _LARGEST))


def deal(
    painted: Sequence[NDArray[np.int8]],
    training: Sequence[NDArray[np.int8]],
    grains: Sequence[NDArray[np.int32] | None],
    classes: int,
    number: int,
    gap: int,
    seed: int = 0,
) -> Folds:
    """Deal labels out to folds.

    A grain goes as a whole, by the block of the map that its middle lies in; one that holds
    more than a third of a class's labels, and pixels of no grain, go block by block. Blocks have
    their fold by their place, as the colours of a tiling in which no neighbours are alike: it does
    not change when more is painted.

    Parameters
    ----------
    painted, training
        See `Folds`.
    grains
        Grains of each map, 0 for none; None without orientations.
    classes
        Number of classes.
    number
        Number of folds; below 2 nothing is held out.
    gap
        See `Folds`.
    seed
        Shifts the tiling.
    """
    total = _counts(painted, classes)
    folds, units, start = [], [], 0
    for at, (target, ids) in enumerate(zip(painted, grains, strict=True)):
        size = block_size(target.shape)
        i, j = (np.arange(n, dtype=np.int64) // size for n in target.shape)
        across = int(j[-1]) + 1
        block = i[:, None] * across + j
        unit = block
        if ids is not None and ids.any():
            length = int(ids.max()) + 1
            count = np.maximum(np.bincount(ids.ravel(), minlength=length), 1)
            rows = np.repeat(np.arange(ids.shape[0]), ids.shape[1])
            columns = np.tile(np.arange(ids.shape[1]), ids.shape[0])
            y = np.bincount(ids.ravel(), rows, length) / count
            x = np.bincount(ids.ravel(), columns, length) / count
            middle = (y // size).astype(np.int64) * across + (x // size).astype(np.int64)
            here = target >= 0
            held = np.zeros((length, classes))
            np.add.at(held, (ids[here], target[here]), 1)
            whole: NDArray[np.bool_] = np.all(held <= _LARGE * np.maximum(total, 1), axis=1)
            whole[0] = False
            block = np.where(whole[ids], middle[ids], block)
            unit = np.where(whole[ids], across * (int(i[-1]) + 1) + ids, unit)
        if number >= 2:
            skip = 2 if number > 3 else 1
            color = (block // across + skip * (block % across) + at + seed) % number
        else:
            color = np.full(target.shape, -1)
        folds.append(color.astype(np.int8))
        unit = np.unique(unit, return_inverse=True)[1].reshape(target.shape) + start
        units.append(unit.astype(np.int32))
        start = int(unit.max()) + 1
    found = Folds(
        list(painted), list(training), folds, units, number if number >= 2 else 0, gap,
        _alone(painted, units, classes),
    )  # fmt: skip
    return _spare(found, classes)


def _counts(targets: Sequence[NDArray[np.int8]], classes: int) -> NDArray[np.int64]:
    """Number of pixels of each class."""
    return np.sum([np.bincount(t[t >= 0], minlength=classes) for t in targets], axis=0)


def _alone(
    painted: Sequence[NDArray[np.int8]], units: Sequence[NDArray[np.int32]], classes: int
) -> tuple[int, ...]:
    out = []
    for c in range(classes):
        places = sum(
            len(np.unique(unit[target == c])) for unit, target in zip(units, painted, strict=True)
        )
        if places == 1:
            out.append(c)
    return tuple(out)


def _spare(folds: Folds, classes: int) -> Folds:
    """Let no fold hold out all that there is of a class: such grains train always."""
    for fold in range(folds.number):
        left = folds.without(fold)
        counts, have = _counts(left, classes), _counts(folds.painted, classes)
        for c in np.flatnonzero((counts == 0) & (have > 0)):
            for mine, unit, target in zip(folds.fold, folds.unit, folds.painted, strict=True):
                taken = np.unique(unit[(mine == fold) & (target == c)])
                mine[np.isin(unit, taken)] = -1
    return folds
