"""Labelled pixels held out in whole blocks, so that no neighbour of a training pixel is scored."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BLOCKS_PER_SIDE = 8
_SMALLEST, _LARGEST = 6, 64


@dataclass(frozen=True, eq=False)
class Split:
    """Which labelled pixels train and which are held out.

    Attributes
    ----------
    training, held_out : lists of (rows, columns) int8 arrays
        Class index of each pixel, -1 where it has no part.
    blocks : list of (rows, columns) int32 arrays
        Number of the block that each pixel belongs to, unique over all maps.
    """

    training: list[NDArray[np.int8]]
    held_out: list[NDArray[np.int8]]
    blocks: list[NDArray[np.int32]]


def block_size(shape: tuple[int, int]) -> int:
    """Side of the blocks of a map in pixels."""
    side = round(math.sqrt(shape[0] * shape[1]) / BLOCKS_PER_SIDE)
    return int(np.clip(side, _SMALLEST, _LARGEST))


def split_blocks(
    targets: Sequence[NDArray[np.int8]],
    classes: int,
    share: float,
    gap: int,
    seed: int,
    grains: Sequence[NDArray[np.int32] | None] | None = None,
) -> Split:
    """Hold out blocks until about `share` of each class's labelled pixels are held out.

    Parameters
    ----------
    targets
        Class index of each pixel of each map, -1 where unlabelled.
    classes
        Number of classes.
    share
        Part to hold out, 0..1; 0 holds nothing out.
    gap
        Labelled pixels as close as this to a block that is held out do not train either.
    seed
    grains
        Grains of each map: one that is smaller than a block and has held-out pixels does not
        train at all, as channels that describe it would give its class away.

    Notes
    -----
    A class whose labels lie in a single block keeps all of them for training: a class that is
    not trained is worse than one that is not checked.
    """
    blocks: list[NDArray[np.int32]] = []
    start = 0
    for target in targets:
        size = block_size(target.shape)
        rows, columns = (-(-n // size) for n in target.shape)
        i, j = (np.arange(n, dtype=np.int32) // size for n in target.shape)
        blocks.append((start + i[:, None] * columns + j).astype(np.int32))
        start += rows * columns
    counts = np.zeros((start, classes), dtype=np.int64)
    for target, block in zip(targets, blocks, strict=True):
        use = target >= 0
        np.add.at(counts, (block[use], target[use]), 1)
    chosen = np.zeros(start, dtype=bool)
    total = counts.sum(axis=0)
    if share > 0:
        order = np.random.default_rng(seed).permutation(np.flatnonzero(counts.sum(axis=1)))
        held = np.zeros(classes, dtype=np.int64)
        # Rare classes first: the blocks that hold them are few.
        for c in np.argsort(total):
            for b in order:
                if held[c] >= 0.75 * share * total[c]:
                    break
                more = held + counts[b]
                # No block may take so much that a class is left with too little to learn from.
                limit = np.maximum(1.5 * share, 0.34) * total
                if chosen[b] or not counts[b, c] or (more > limit)[counts[b] > 0].any():
                    continue
                chosen[b] = True
                held = more
    training, held_out = [], []
    every = grains if grains is not None else [None] * len(targets)
    for target, block, ids in zip(targets, blocks, every, strict=True):
        out = chosen[block]
        near = ndimage.binary_dilation(out, np.ones((3, 3)), iterations=gap) if gap else out
        if ids is not None and out.any():
            pixels = np.bincount(ids.ravel())
            seen = np.zeros(len(pixels), dtype=bool)
            seen[np.unique(ids[out & (target >= 0)])] = True
            seen &= pixels < block_size(target.shape) ** 2
            seen[0] = False
            near = near | seen[ids]
        training.append(np.where(near, -1, target).astype(np.int8))
        held_out.append(np.where(out, target, -1).astype(np.int8))
    left = np.array([sum(int((t == c).sum()) for t in training) for c in range(classes)])
    if (left == 0).any():
        return Split([t.copy() for t in targets], [np.full_like(t, -1) for t in targets], blocks)
    return Split(training, held_out, blocks)


def grow_labels(
    target: NDArray[np.int8], grains: NDArray[np.int32], reach: int
) -> NDArray[np.int8]:
    """Spread labels through the grains that they lie in.

    A grain is of one phase, with few exceptions, so a stroke says more than its own pixels.

    Parameters
    ----------
    target
        Class index, -1 where unlabelled.
    grains
        Grain labels, 0 for none.
    reach
        Largest distance in pixels from a labelled pixel of the grain.
    """
    labelled = target >= 0
    if not labelled.any() or reach < 1:
        return target
    length = int(grains.max()) + 1
    lowest, highest = np.full(length, 127, np.int8), np.full(length, -1, np.int8)
    np.minimum.at(lowest, grains[labelled], target[labelled])
    np.maximum.at(highest, grains[labelled], target[labelled])
    single = (lowest == highest) & (np.arange(length) > 0)
    distance, (i, j) = ndimage.distance_transform_edt(~labelled, return_indices=True)
    take = ~labelled & (distance <= reach) & single[grains] & (grains[i, j] == grains)
    return np.where(take, target[i, j], target).astype(np.int8)
