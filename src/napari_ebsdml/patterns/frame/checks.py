"""What patterns, masks, orientations and geometry must be before they are worked on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.frame.geometry import Geometry

Progress = Callable[[float], None] | None


def check_size(size: tuple[int, int]) -> None:
    """Raise an InputError when patterns are too small to tell anything."""
    if min(size) < 16:
        raise InputError(f"Patterns of {size} pixels are too small; 16 x 16 is the least.")


def check_patterns(patterns: Any) -> tuple[int, ...]:
    """Shape of the patterns without the detector's axes.

    Raises
    ------
    InputError
        When they are no patterns, or too small.
    """
    if getattr(patterns, "ndim", 0) < 2:
        raise InputError("patterns must be an array (..., rows, columns).")
    check_size((int(patterns.shape[-2]), int(patterns.shape[-1])))
    return tuple(int(n) for n in patterns.shape[:-2])


def check_mask(mask: NDArray[np.bool_] | None, patterns: Any) -> None:
    """Raise an InputError when a mask has another shape than the patterns, or leaves nothing."""
    if mask is None or getattr(patterns, "ndim", 0) < 2:
        return
    if np.shape(mask) != tuple(patterns.shape[-2:]):
        raise InputError(f"The mask has shape {np.shape(mask)}, not {patterns.shape[-2:]}.")
    if not np.any(mask):
        raise InputError("The mask leaves no pixel; it must be True where pixels carry signal.")


def geometry_of(patterns: Any, detector: Any, number: int) -> Geometry:
    """Geometry for patterns, with one pattern centre or one for each of them.

    Raises
    ------
    InputError
        When it does not fit the patterns.
    """
    size = (int(patterns.shape[-2]), int(patterns.shape[-1]))
    geometry = detector if isinstance(detector, Geometry) else Geometry.of(detector, size)
    if len(geometry.bounds) not in (1, number):
        raise InputError(
            f"The detector has {len(geometry.bounds)} pattern centres for {number} patterns."
        )
    return geometry


def check_given(
    patterns: Any, quaternions: ArrayLike | None, detector: Any
) -> tuple[tuple[int, ...], NDArray[np.float64], Geometry]:
    """Shape of the patterns without the detector's axes, orientations (n, 4), and geometry.

    Raises
    ------
    InputError
        When something is missing or does not fit.
    """
    if getattr(patterns, "ndim", 0) < 2:
        raise InputError("patterns must be an array (..., rows, columns).")
    shape = tuple(int(n) for n in patterns.shape[:-2])
    if quaternions is None:
        raise InputError(NEEDS_ORIENTATIONS)
    if detector is None:
        raise InputError("This model needs the geometry: give detector=EBSDDetector(...).")
    q = np.asarray(quaternions, dtype=np.float64)
    if q.shape != (*shape, 4):
        raise InputError(f"quaternions have shape {q.shape}, not {(*shape, 4)}.")
    check_patterns(patterns)
    rays = q.reshape(-1, 4)
    return shape, rays, geometry_of(patterns, detector, len(rays))


NEEDS_ORIENTATIONS = (
    "This model needs orientations: give quaternions (..., 4), specimen -> crystal, for example "
    "those of an indexed scan (Hough indexing of a cubic phase will do), or use the raw-pattern "
    "model: SpaceGroupClassifier.load('raw')."
)
