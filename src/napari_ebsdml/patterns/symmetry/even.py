"""Patterns without what the camera adds to all of them: the file's static background.

Dust and the rim of the screen are the same in all patterns. In raw ones they are as strong as the
bands, so that patterns of different crystals look alike, and no symmetry carries them along. Where
the file has no background, the mean of many patterns is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_ebsdml.io.static_background import static_background
from napari_ebsdml.patterns.symmetry.straight import straightness
from napari_ebsdml.patterns.symmetry.view import flat_images

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

_SHOWS = 0.3
"""Correlation with the background from which on patterns still have it: 0.7 in raw nickel patterns,
between -0.1 and 0.1 where it was removed."""
_LEAST = 0.02
DIVIDED = "The patterns have a static background in common, and were divided by it: by their mean."
"""What is said of patterns of which `common_background` finds one."""
_BAND = 0.02
"""Width of the blur, in parts of the screen: what is finer is noise."""
_BANDS = 6.0
"""Straightness of a mean above which it shows bands: at most 5.9 in that of simulated patterns and
noise under the background of the nickel patterns; 6.2 to 9.0 in that of patterns of one orientation
without a background, where these are alike at all."""
_SEVERAL = 5
"""Patterns from which on their mean is a background, not one of their bands."""


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
    return da.asarray(scan.patterns).astype(np.float32) / shape_of(background)


def evened(
    scan: Scan, stack: NDArray[Any], mask: NDArray[np.bool_]
) -> tuple[Any | None, str]:  # fmt: skip
    """The map's patterns without the background of their file, or else of what they share.

    Parameters are those of `without_background`. Without a background the first is None; what
    there is to say follows.
    """
    even = without_background(scan, stack, mask)
    common = common_background(stack, mask) if even is None else None
    if common is None:
        return even, ""
    return da.asarray(scan.patterns).astype(np.float32) / common, f" {DIVIDED}"


def common_background(
    stack: NDArray[Any], mask: NDArray[np.bool_] | None = None
) -> NDArray[np.float32] | None:
    """What patterns have in common that is no band: the static background of their camera.

    Parameters
    ----------
    stack : (n, rows, columns) array
        In different orientations, most of them.
    mask : (rows, columns) bool array, optional
        True where pixels carry signal. Default: found from the patterns.

    Returns
    -------
    (rows, columns) float32 array or None
        To divide them by, 1 at most. None where they are few or share little, so that it was
        removed before; and where their mean clearly shows bands: most are of one orientation.

    Notes
    -----
    Flat patterns of different orientations are not alike, those of 9 of 10 pairs by less than 0.3:
    measured steel (200 patterns, 13 grains) -0.14, ten of it -0.21 to -0.10, nickel (9, two grains)
    0.24. Under a background they are: raw nickel 0.70, simulated maps and noise under that of
    nickel 0.57 to 0.64; but steel, whose bands are stronger than that, 0.25.
    """
    if len(stack) < _SEVERAL:
        return None
    mean = np.nan_to_num(stack.astype(np.float64)).mean(axis=0)
    images, valid = flat_images(stack, mask)
    if not mean.max() > 0 or likeness(images, valid) < _SHOWS:
        return None
    flat, inside = flat_images(mean[None], valid if valid.shape == mean.shape else mask)
    return None if straightness(list(flat), inside) > _BANDS else shape_of(mean)


def likeness(images: NDArray[np.floating], valid: NDArray[np.bool_]) -> float:
    """Correlation that nine in ten pairs of flat patterns (n, rows, columns) exceed.

    About 0 where patterns of a few orientations share no background: their bands are elsewhere.
    """
    width = _BAND * min(valid.shape)
    weight = np.maximum(gaussian_filter(valid.astype(np.float32), width), 1e-3)
    smooth = gaussian_filter(np.where(valid, images, 0.0), (0, width, width)) / weight
    seen = smooth[:, valid].astype(np.float64)
    seen -= seen.mean(axis=1, keepdims=True)
    norm = np.linalg.norm(seen, axis=1)
    seen = seen[norm > 0] / norm[norm > 0, None]
    if len(seen) < 2:
        return 0.0
    pairs = (seen @ seen.T)[np.triu_indices(len(seen), 1)]
    return float(np.quantile(pairs, 0.1))


def shape_of(background: NDArray[Any]) -> NDArray[np.float32]:
    """A background to divide by, 1 at its brightest."""
    # A dark rim must not make its noise large.
    return np.maximum(background / background.max(), _LEAST).astype(np.float32)
