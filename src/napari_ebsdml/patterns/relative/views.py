"""Patterns as they are compared: binned, flat, smoothed, and in two halves that share no pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from napari_ebsdml.patterns.frame.flatten import flattener
from napari_ebsdml.patterns.frame.masks import find_mask

SIDE = 120
"""Patterns are binned until their shorter side is below twice this."""
TILE = 4
"""Side of the tiles that part a screen into two halves, in pixels: neighbours share noise."""
_SEEN = 0.5


@dataclass(frozen=True, eq=False)
class Views:
    """Makes the views of patterns.

    Attributes
    ----------
    valid : (rows, columns) bool
        Pixels that carry signal, after binning.
    usable : (rows, columns) bool
        Pixels that a smoothed pattern may be read at.
    filled : (rows, columns) bool
        Pixels that carry none but lie among such.
    binning
        Pixels of the camera along the edge of one of a view.
    halves : (2, rows, columns) bool
    """

    valid: NDArray[np.bool_]
    usable: NDArray[np.bool_]
    filled: NDArray[np.bool_]
    binning: int
    halves: NDArray[np.bool_]

    @classmethod
    def of(cls, some: NDArray[np.generic], mask: NDArray[np.bool_] | None = None) -> Views:
        """Views for a camera, told by some of its patterns, (n, rows, columns)."""
        seen = find_mask(some) if mask is None else np.asarray(mask, dtype=bool)
        binning = max(1, min(seen.shape) // SIDE)
        valid = _blocks(seen.astype(np.float32), binning) > _SEEN
        tiles = (np.indices(valid.shape) // TILE).sum(axis=0) % 2 == 0
        near = uniform_filter(valid.astype(np.float32), 3, mode="constant")
        filled = ~valid & (near > _SEEN)
        return cls(
            valid, valid | filled, filled, binning, np.stack([valid & tiles, valid & ~tiles])
        )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of a view."""
        return self.valid.shape[0], self.valid.shape[1]

    def part_of_screen(self, shape: tuple[int, int]) -> tuple[float, float]:
        """Parts of the screen's height and width that the whole bins cover."""
        rows, columns = self.shape
        return rows * self.binning / shape[0], columns * self.binning / shape[1]

    def flat(self, raw: NDArray[np.generic]) -> NDArray[np.float32]:
        """Patterns (n, rows, columns) without background, not smoothed."""
        patterns = _blocks(np.nan_to_num(raw.astype(np.float32)), self.binning)
        found = flattener(self.valid)(np.ascontiguousarray(patterns))
        # Single pixels without signal: interpolation looks beyond the nearest ones.
        if self.filled.any():
            found[:, self.filled] = _around(found, self.valid)[:, self.filled]
        return found


def _around(flat: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Mean of the 3 x 3 pixels around that carry signal."""
    weight = uniform_filter(valid.astype(np.float32), 3, mode="constant")
    means = uniform_filter(flat, (0, 3, 3), mode="constant")
    return np.asarray(means / np.maximum(weight, 0.1), dtype=np.float32)


def _blocks(images: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Means of blocks of side x side pixels; what is left at the lower and right edge is lost."""
    if side == 1:
        return images
    rows, columns = (size // side for size in images.shape[-2:])
    whole = images[..., : rows * side, : columns * side]
    blocks = whole.reshape(*images.shape[:-2], rows, side, columns, side)
    return np.asarray(blocks.mean(axis=(-3, -1)), dtype=np.float32)
