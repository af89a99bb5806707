"""Where on a map strokes would help most: the middles of uncertain regions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from napari_ebsdml.errors import InputError

_NEAR_PAINT = 3
_PIXELS_PER_SIDE = 12


@dataclass(frozen=True)
class UncertainPlace:
    """Middle of an uncertain region.

    Attributes
    ----------
    row, column
        Pixel.
    uncertainty
        Mean uncertainty around it, 0..1.
    radius
        About how far the region reaches, in pixels.
    """

    row: int
    column: int
    uncertainty: float
    radius: float


def uncertain_places(
    uncertainty: ArrayLike,
    painted: ArrayLike | None = None,
    where: ArrayLike | None = None,
    *,
    count: int = 30,
    spacing: float | None = None,
    smoothing: float = 2.5,
    least: float = 0.1,
) -> list[UncertainPlace]:
    """Find uncertain regions that nobody has painted yet, the most uncertain first.

    Single uncertain pixels, and the thin seams of uncertainty that every grain boundary has,
    lose against regions because the uncertainty is averaged with a Gaussian. The places keep a
    distance, so that they lie all over the map instead of in one bad corner.

    Parameters
    ----------
    uncertainty : (rows, columns), 0..1
        NaN where the map was left out.
    painted : (rows, columns), optional
        Labels or bool; no place lies on painted pixels or within three pixels of them.
    where : (rows, columns) bool, optional
        Pixels that may be chosen, for example those indexed. Default: all.
    count
        Most places to return.
    spacing
        Least distance of two places in pixels; default: a twelfth of the map's side, at least 8.
    smoothing
        Sigma of the Gaussian in pixels.
    least
        Averaged uncertainty below which a region is no place to look at.

    Returns
    -------
    list of UncertainPlace

    Raises
    ------
    InputError
        When shapes do not agree or a number is out of range.
    """
    values = np.asarray(uncertainty, dtype=np.float32)
    if values.ndim != 2:
        raise InputError(f"The uncertainty must be a map (rows, columns), not {values.shape}.")
    if count < 1 or smoothing <= 0 or (spacing is not None and spacing < 1):
        raise InputError("count and spacing must be at least 1, and smoothing positive.")
    use = np.isfinite(values)
    for name, mask in (("painted", painted), ("where", where)):
        if mask is None:
            continue
        array = np.asarray(mask)
        if array.shape != values.shape:
            raise InputError(f"{name} has shape {array.shape}, the uncertainty {values.shape}.")
        if name == "where":
            use = use & array.astype(bool)
        elif array.any():
            use = use & ~_near(array != 0)
    if not use.any():
        return []
    if spacing is None:
        spacing = max(8.0, math.sqrt(values.size) / _PIXELS_PER_SIDE)
    smooth = _average(values, use, smoothing)
    top = ndimage.maximum_filter(smooth, size=2 * math.ceil(smoothing) + 1)
    row, column = np.nonzero((smooth >= top) & use & (smooth >= least))
    order = np.argsort(-smooth[row, column], kind="stable")
    chosen: list[tuple[int, int]] = []
    far = np.ones(values.shape, dtype=bool)
    for n in order:
        i, j = int(row[n]), int(column[n])
        if not far[i, j]:
            continue
        chosen.append((i, j))
        if len(chosen) == count:
            break
        _clear_disc(far, i, j, spacing)
    return [
        UncertainPlace(i, j, float(smooth[i, j]), _radius(smooth, i, j, spacing)) for i, j in chosen
    ]


def _near(painted: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return ndimage.binary_dilation(painted, np.ones((3, 3), bool), iterations=_NEAR_PAINT)


def _average(
    values: NDArray[np.float32], use: NDArray[np.bool_], sigma: float
) -> NDArray[np.float32]:
    """Gaussian mean over the pixels that count; a sliver of them does not weigh as a region."""
    total = ndimage.gaussian_filter(np.where(use, values, 0), sigma, mode="nearest")
    weight = ndimage.gaussian_filter(use.astype(np.float32), sigma, mode="nearest")
    return np.where(use, total / np.maximum(weight, 0.5), 0).astype(np.float32)


def _clear_disc(mask: NDArray[np.bool_], row: int, column: int, radius: float) -> None:
    reach = math.ceil(radius)
    top, left = max(row - reach, 0), max(column - reach, 0)
    part = mask[top : row + reach + 1, left : column + reach + 1]
    i, j = np.ogrid[: part.shape[0], : part.shape[1]]
    part[(i + top - row) ** 2 + (j + left - column) ** 2 < radius**2] = False


def _radius(smooth: NDArray[np.float32], row: int, column: int, reach: float) -> float:
    """Radius of a disc as large as the connected region above half of the peak, cut at reach."""
    n = math.ceil(reach)
    top, left = max(row - n, 0), max(column - n, 0)
    part = smooth[top : row + n + 1, left : column + n + 1]
    regions, _ = ndimage.label(part >= 0.5 * smooth[row, column])
    area = int((regions == regions[row - top, column - left]).sum())
    return math.sqrt(area / math.pi)
