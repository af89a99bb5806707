"""Networks on images larger than memory likes: overlapping tiles with an exact result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.errors import InputError


@dataclass(frozen=True)
class Tile:
    """One tile: the part of the image to read and the part of the result that it gives.

    Attributes
    ----------
    read : (slice, slice)
        Rows and columns of the image.
    keep : (slice, slice)
        Rows and columns within what was read that are right.
    write : (slice, slice)
        Where they belong in the whole.
    """

    read: tuple[slice, slice]
    keep: tuple[slice, slice]
    write: tuple[slice, slice]


def _cuts(length: int, tile: int, halo: int, align: int) -> Iterator[tuple[slice, slice, slice]]:
    core = max((tile - 2 * halo) // align, 1) * align
    margin = -(-halo // align) * align
    for start in range(0, length, core):
        stop = min(start + core, length)
        low, high = max(start - margin, 0), min(stop + margin, length)
        yield slice(low, high), slice(start - low, stop - low), slice(start, stop)


def tiles(
    shape: tuple[int, int], tile: int = 256, halo: int = 16, align: int = 1
) -> Iterator[Tile]:
    """Cut an image into tiles that overlap by `halo` pixels on each side.

    Parameters
    ----------
    shape
        Rows and columns.
    tile
        Side of a tile, halo included, in pixels.
    halo
        Pixels of surroundings that a result needs: the network's radius of sight.
    align
        Tiles begin at multiples of this. A network that pools by 2 three times needs 8, for
        its pooling windows to fall in the same places as on the whole image.

    Raises
    ------
    InputError
        When a number is out of range.
    """
    if min(shape) < 1 or tile < 1 or halo < 0 or align < 1:
        raise InputError(f"Bad tiling: shape {shape}, tile {tile}, halo {halo}, align {align}.")
    for rows in _cuts(shape[0], tile, halo, align):
        for columns in _cuts(shape[1], tile, halo, align):
            read, keep, write = zip(rows, columns, strict=True)
            yield Tile(read, keep, write)


def tiled(
    function: Callable[[NDArray[Any]], NDArray[Any]],
    image: NDArray[Any],
    tile: int = 256,
    halo: int = 16,
    align: int = 1,
    progress: Progress = None,
) -> NDArray[Any]:
    """Apply a function of images tile by tile.

    Parameters
    ----------
    function
        Image (channels, rows, columns) -> result (outputs, rows, columns) of the same size,
        each pixel of which depends on at most `halo` pixels around it, and on the image's
        edge in no other way.
    image : (channels, rows, columns) array
    tile, halo, align
        See `tiles`.
    progress
        Called with the part that is done, 0..1; an exception from it cancels.

    Returns
    -------
    (outputs, rows, columns) array
        Equal to ``function(image)`` to rounding.

    Raises
    ------
    InputError
        When the image has no three axes or the function changes the size.
    """
    if image.ndim != 3:
        raise InputError(f"A tiled image needs (channels, rows, columns), not {image.ndim} axes.")
    shape = (image.shape[1], image.shape[2])
    result: NDArray[Any] | None = None
    parts = list(tiles(shape, tile, halo, align))
    for number, part in enumerate(parts):
        piece = image[(slice(None), *part.read)]
        found = function(piece)
        if found.ndim != 3 or found.shape[1:] != piece.shape[1:]:
            raise InputError(
                f"The function turned a tile of {piece.shape[1:]} pixels into {found.shape[1:]}."
            )
        if result is None:
            result = np.empty((found.shape[0], *shape), found.dtype)
        result[(slice(None), *part.write)] = found[(slice(None), *part.keep)]
        if progress is not None:
            progress((number + 1) / len(parts))
    assert result is not None
    return result
