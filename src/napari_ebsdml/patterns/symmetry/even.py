"""Patterns without what the camera adds to all of them: the file's static background.

Dust and the rim of the screen are the same in all patterns. In raw ones they are as strong as the
bands, so that patterns of different crystals look alike, and no symmetry carries them along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.io.static_background import static_background
from napari_ebsdml.patterns.symmetry.view import flat_images

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

_SHOWS = 0.3
"""Correlation with the background from which on patterns still have it: 0.7 in raw nickel patterns,
between -0.1 and 0.1 where it was removed."""
_LEAST = 0.02


def without_background(scan: Scan, stack: NDArray[Any], mask: NDArray[np.bool_]) -> Any | None:
    """The map's patterns divided by the static background that its file has.

    Parameters
    ----------
    scan
        With patterns.
    stack : (n, rows, columns) array
        Some of its patterns.
    mask : (rows, columns) bool array

    Returns
    -------
    (..., rows, columns) dask array or None
        None where the file has none, or the patterns show none of it: it was removed before.
    """
    background = static_background(scan)
    if background is None or scan.patterns is None:
        return None
    images, valid = flat_images(stack, mask)
    own = flat_images(background[None], mask)[0][0]
    mean = images.mean(axis=0)
    if not (own[valid].std() > 0 and mean[valid].std() > 0):
        return None
    if float(np.corrcoef(own[valid], mean[valid])[0, 1]) < _SHOWS:
        return None
    # A dark rim must not make its noise large.
    shape = np.maximum(background / background.max(), _LEAST).astype(np.float32)
    return da.asarray(scan.patterns).astype(np.float32) / shape
