"""Whether patterns show straight lines at all: bands, and not the blobs of what is amorphous."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

LEAST, LEAST_ALONE = 4.45, 0.4
CLEAR, CLEAR_ALONE = 4.6, 0.76
"""Straightness of many patterns, and what one alone may have more (divided by the root of their
number), that bands may have, and that 95 per cent of single smooth random fields of any grain size
stay below."""
_ANGLES = np.arange(0.0, 180.0, 3.0)
_LONG = 0.6


def straightness(images: Sequence[NDArray[np.floating]], valid: NDArray[np.bool_]) -> float:
    """How far means along straight lines stand out, in the mean over patterns.

    Means along the lines through a random field are normally distributed, however coarse it is;
    bands make few of them large.

    Parameters
    ----------
    images : n arrays (rows, columns)
        Flat patterns.
    valid : (rows, columns) bool array
        Pixels that carry signal.

    Returns
    -------
    float
        Largest mean in units of their spread, plus half of their kurtosis; 0 without patterns.
    """
    return float(np.mean([_of_one(image, valid) for image in images])) if len(images) else 0.0


def bands_in(images: Sequence[NDArray[np.floating]], valid: NDArray[np.bool_]) -> int:
    """Whether patterns show bands: 0 no, 1 perhaps, 2 more than 19 of 20 fields of blobs do."""
    return level_of(straightness(images, valid), len(images))


def level_of(value: float, number: int) -> int:
    """What `bands_in` says of the straightness of so many patterns."""
    root = np.sqrt(max(number, 1))
    return int(value >= LEAST + LEAST_ALONE / root) + int(value >= CLEAR + CLEAR_ALONE / root)


def sharpness(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> float:
    """How much of a flat pattern's variance neighbouring pixels share: bands, not noise."""
    both = valid[:, 1:] & valid[:, :-1]
    if not both.any():
        return 0.0
    one, other = image[:, 1:][both], image[:, :-1][both]
    spread = float(one.std() * other.std())
    return float(((one - one.mean()) * (other - other.mean())).mean()) / spread if spread else 0.0


def _of_one(image: NDArray[np.floating], valid: NDArray[np.bool_]) -> float:
    from skimage.transform import radon

    size = min(image.shape)
    top, left = ((length - size) // 2 for length in image.shape)
    cut = (slice(top, top + size), slice(left, left + size))
    field = gaussian_filter(np.where(valid, image, 0.0)[cut].astype(np.float64), 0.012 * size)
    axis = np.arange(size) - (size - 1) / 2
    radius = size / 2 - 1
    disk = axis[:, None] ** 2 + axis**2 <= radius**2
    spread = float(field[disk].std())
    if not spread > 0:
        return 0.0
    field = np.where(disk, (field - field[disk].mean()) / spread, 0.0)
    length = 2 * np.sqrt(np.maximum(radius**2 - axis**2, 1))
    long = length > _LONG * size
    sums = radon(field, _ANGLES, circle=True)[long] / np.sqrt(length[long])[:, None]
    sums -= sums.mean()
    square = float((sums**2).mean())
    if not square > 0:
        return 0.0
    return float(np.abs(sums).max() / np.sqrt(square) + 0.5 * (sums**4).mean() / square**2)
