"""Orientations of whole maps and stacks of patterns, found on the spot."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.frame.masks import find_mask
from napari_ebsdml.patterns.frame.pieces import blocks, some_patterns
from napari_ebsdml.patterns.search.binned import flattened
from napari_ebsdml.patterns.search.camera import MOST, FoundCamera, find_camera
from napari_ebsdml.patterns.search.orientations import OrientationSearch

_PIECE = 128
"""Patterns indexed at once: below a second, after which a cancel is heeded."""
_LOOKED_AT = 48
_NO_BANDS = 0.35
"""Patterns whose noise leaves templates less than this correlation tell no camera."""

Piece = tuple[
    slice, NDArray[np.generic], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]
]


def indexed_pieces(
    search: OrientationSearch, patterns: Any, geometry: Geometry, mask: NDArray[np.bool_] | None,
    progress: Progress,
) -> Iterator[Piece]:  # fmt: skip
    """Read and index patterns piece by piece.

    Yields
    ------
    part, block, quaternions, fit, mask
        Places of the piece's patterns in the flat order, the patterns, what
        `OrientationSearch.find` finds, and the pixels that carry signal.
    """
    total = max(1, int(np.prod(patterns.shape[:-2], dtype=int)))
    for start, block in blocks(patterns):
        if mask is None:
            mask = find_mask(block)
        for first in range(0, len(block), _PIECE):
            piece = block[first : first + _PIECE]
            part = slice(start + first, start + first + len(piece))
            quaternions, fit = search.find(piece, geometry.take(part), mask)
            yield part, piece, quaternions, fit, mask
            if progress is not None:
                progress(part.stop / total)


def index_patterns(
    search: OrientationSearch, patterns: Any, geometry: Geometry,
    mask: NDArray[np.bool_] | None = None, progress: Progress = None,
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:  # fmt: skip
    """Orientations (..., 4) of a stack or map of patterns, and their fits (...)."""
    shape = patterns.shape[:-2]
    number = int(np.prod(shape, dtype=int))
    quaternions = np.zeros((number, 4))
    fit = np.zeros(number, np.float32)
    for part, _, q, f, _ in indexed_pieces(search, patterns, geometry, mask, progress):
        quaternions[part], fit[part] = q, f
    return quaternions.reshape(*shape, 4), fit.reshape(shape)


def search_camera(
    search: OrientationSearch, patterns: Any, mask: NDArray[np.bool_] | None = None,
    progress: Progress = None,
) -> FoundCamera | None:  # fmt: skip
    """Find the pattern centre from a few patterns of a stack or map: the sharpest that are seen.

    Returns
    -------
    FoundCamera or None
        None when no pattern shows bands.
    """
    some = some_patterns(patterns, _LOOKED_AT)[1]
    if not len(some):
        return None
    mask = find_mask(some) if mask is None else mask
    ceiling = flattened(some, mask, search.plan).ceiling
    sharpest = np.argsort(-ceiling, kind="stable")[:MOST]
    sharpest = sharpest[ceiling[sharpest] > _NO_BANDS]
    if not len(sharpest):
        return None
    return find_camera(some[np.sort(sharpest)], search, mask, progress)
