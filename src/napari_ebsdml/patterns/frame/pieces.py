"""Reading and folding patterns piece by piece, so that maps larger than memory pass through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.patterns.frame.fold import fold_patterns
from napari_ebsdml.patterns.frame.folded import Folded
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.frame.masks import find_mask

READ_BYTES = 1 << 26
"""Read at once, at most; a chunk of the file that is four times as large is still read whole."""
_PIECE_PIXELS = 1 << 22
_ROWS = 8


def blocks(patterns: Any) -> Iterator[tuple[int, NDArray[np.generic]]]:
    """Patterns in their order: the number of the first one, and (n, rows, columns) of them.

    Parameters
    ----------
    patterns : (..., rows, columns) numpy or dask array
        Dask arrays are read along the borders of their chunks, each chunk once where it fits.
    """
    size = (int(patterns.shape[-2]), int(patterns.shape[-1]))
    pixels = size[0] * size[1]
    piece = max(64, _PIECE_PIXELS // pixels)
    if patterns.ndim == 2:
        yield 0, np.asarray(patterns)[None]
        return
    inner = int(np.prod(patterns.shape[1:-2], dtype=int))
    row = max(1, inner * pixels * patterns.dtype.itemsize)
    for first, stop in _spans(patterns, row):
        if row > 4 * READ_BYTES and patterns.ndim == 4:
            wide = max(1, READ_BYTES // (pixels * patterns.dtype.itemsize))
            for left in range(0, inner, wide):
                block = np.asarray(patterns[first, left : left + wide])
                yield from _pieces(block.reshape(-1, *size), first * inner + left, piece)
        else:
            block = np.asarray(patterns[first:stop]).reshape(-1, *size)
            yield from _pieces(block, first * inner, piece)


def _pieces(
    block: NDArray[np.generic], start: int, piece: int
) -> Iterator[tuple[int, NDArray[np.generic]]]:
    for at in range(0, len(block), piece):
        yield start + at, block[at : at + piece]


def _spans(patterns: Any, row: int) -> Iterator[tuple[int, int]]:
    """Rows to read at once, (first, stop), within the memory that `READ_BYTES` allows."""
    total = int(patterns.shape[0])
    height = max(1, READ_BYTES // row)
    if row > 4 * READ_BYTES:
        height = 1
    chunks = getattr(patterns, "chunks", None)
    if not (isinstance(chunks, tuple) and chunks and isinstance(chunks[0], tuple)):
        chunks = ((height,) * (total // height) + ((total % height,) if total % height else ()),)
    first = stop = 0
    for size in chunks[0]:
        if size > 4 * height:  # too large a chunk: in parts, though some are computed again
            if stop > first:
                yield first, stop
            for at in range(stop, stop + size, height):
                yield at, min(at + height, stop + size)
            first = stop = stop + size
            continue
        if stop > first and stop + size - first > height:
            yield first, stop
            first = stop
        stop += size
    if stop > first:
        yield first, stop


def some_patterns(patterns: Any, number: int) -> tuple[NDArray[np.intp], NDArray[np.generic]]:
    """Places in the flat order of patterns from all over a stack or map, and (n, rows, columns).

    About `number` of them, of few rows of the map, so that few chunks of a file are read.
    """
    size = (int(patterns.shape[-2]), int(patterns.shape[-1]))
    if patterns.ndim == 2:
        return np.zeros(1, np.intp), np.asarray(patterns)[None]
    if patterns.ndim == 3:
        at = _spread(int(patterns.shape[0]), number)
        return at, np.asarray(patterns[at])
    places, found = [np.zeros(0, np.intp)], [np.zeros((0, *size), patterns.dtype)]
    across = int(np.prod(patterns.shape[1:-2], dtype=int))
    # Thin maps and line scans have few rows, or few pixels in each.
    rows = _spread(int(patterns.shape[0]), max(_ROWS, -(-number // max(1, across))))
    for row in rows:
        line = patterns[int(row)].reshape(-1, *size)
        at = _spread(across, -(-number // len(rows)))
        places.append(row * across + at)
        found.append(np.asarray(line[at]))
    return np.concatenate(places), np.concatenate(found)


def _spread(length: int, number: int) -> NDArray[np.intp]:
    return np.unique((np.arange(number if length else 0) + 0.5) * length // number).astype(np.intp)


def folded_pieces(
    patterns: Any, rays: NDArray[np.float64], geometry: Geometry,
    mask: NDArray[np.bool_] | None, progress: Progress,
) -> Iterator[tuple[slice, Folded, NDArray[np.bool_]]]:  # fmt: skip
    """Read, mask and fold piece by piece; only patterns with an orientation.

    Yields
    ------
    part, folded, good
        Places of the piece's patterns in the flat order, the folded ones, and which of the piece
        they are.
    """
    for start, block in blocks(patterns):
        part = slice(start, start + len(block))
        if mask is None:
            mask = find_mask(block)
        norm = np.linalg.norm(rays[part], axis=1)
        good = np.isfinite(norm) & (norm > 0.5)
        if good.any():
            whole = bool(good.all())
            folded = fold_patterns(
                block if whole else block[good],
                rays[part][good] / norm[good, None],
                geometry.take(part).take(good), mask,
            )  # fmt: skip
            yield part, folded, good
        if progress is not None:
            progress(part.stop / max(1, len(rays)))
