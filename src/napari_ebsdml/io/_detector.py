"""The detector of a file, made only when asked for: kikuchipy takes seconds to import."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.io._placement import Placement

if TYPE_CHECKING:
    from kikuchipy.detectors import EBSDDetector


def detector_maker(
    shape: tuple[int, ...],
    pc: NDArray[np.float64] | None = None,
    convention: str = "bruker",
    **settings: Any,
) -> Callable[[], EBSDDetector]:
    """Function, safe to pickle, that makes the kikuchipy detector.

    Parameters
    ----------
    shape : (2,)
        Rows and columns of the patterns.
    pc : (3,) or (rows, columns, 3) array, optional
        Pattern centre of the map or of each pixel; kikuchipy's default when the file has none.
    convention
        Vendor's convention of `pc`, by kikuchipy's name.
    **settings
        Further arguments of kikuchipy's `EBSDDetector`, such as tilts in degrees.
    """
    if pc is not None:
        settings |= {"pc": pc, "convention": convention}
    return partial(_make, (int(shape[0]), int(shape[1])), settings)


def _make(shape: tuple[int, int], settings: dict[str, Any]) -> EBSDDetector:
    from kikuchipy.detectors import EBSDDetector

    return EBSDDetector(shape=shape, **settings)


def pattern_centres(
    pc: NDArray[Any] | None,
    pixel: NDArray[np.intp] | None,
    shape: tuple[int, int] | None,
    warnings: list[str],
) -> NDArray[np.float64] | None:
    """Pattern centres as `detector_maker` takes them, or None when there are none.

    Parameters
    ----------
    pc : (n, 3) or (3,) array, optional
        Pattern centre of each point, or of all.
    pixel : (n,) int array, optional
        Flat index of each point on a map of `shape`; without it the mean centre serves all points.
    shape : (rows, columns), optional
    warnings
        Gets a sentence when the centres cannot be right.
    """
    if pc is None:
        return None
    pc = np.asarray(pc, dtype=np.float64)
    finite = np.isfinite(pc).all(axis=-1)
    if not finite.any():
        warnings.append("The file's pattern centres are no numbers; it has no usable detector.")
        return None
    mean: NDArray[np.float64] = pc if pc.ndim == 1 else pc[finite].mean(axis=0)
    if mean[2] <= 0:
        warnings.append(
            f"The file's pattern centre {tuple(np.round(mean, 4).tolist())} lies on or behind the "
            "detector, which cannot be; set the right one before simulating patterns."
        )
    if pc.ndim == 1 or pixel is None or shape is None or np.ptp(pc[finite], axis=0).max() == 0:
        return mean
    laid = np.tile(mean, (shape[0] * shape[1], 1))
    laid[pixel[finite]] = pc[finite]
    return laid.reshape(*shape, 3)


def detector_of_points(
    shape: tuple[int, int] | None,
    pc: NDArray[Any] | None,
    convention: str,
    placement: Placement,
    warnings: list[str],
    **settings: Any,
) -> Callable[[], EBSDDetector] | None:
    """As `detector_maker`, or None when the file tells no size or no usable pattern centre."""
    if shape is None or pc is None:
        return None
    centres = pattern_centres(pc, placement.pixel, placement.shape, warnings)
    if centres is None:
        return None
    return detector_maker(shape, centres, convention, **settings)
