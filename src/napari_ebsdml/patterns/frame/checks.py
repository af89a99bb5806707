"""What patterns, masks and geometry must be before they are worked on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError, NoCameraError
from napari_ebsdml.patterns.frame.geometry import Geometry

LEAST = 16
"""Smallest side of a pattern, in pixels."""


def check_patterns(patterns: Any) -> tuple[int, ...]:
    """Shape of patterns without the detector's axes.

    Raises
    ------
    InputError
        When they are no array of numbers (..., rows, columns), or too small to tell anything.
    """
    shape: tuple[int, ...] = tuple(getattr(patterns, "shape", ()))
    kind = getattr(getattr(patterns, "dtype", None), "kind", "O")
    if len(shape) < 2 or kind not in "buif":
        raise InputError("patterns must be an array of numbers (..., rows, columns).")
    if min(shape[-2:]) < LEAST:
        raise InputError(
            f"Patterns of {shape[-2]} x {shape[-1]} pixels are too small; "
            f"{LEAST} x {LEAST} is the least."
        )
    return tuple(int(n) for n in shape[:-2])


def check_mask(mask: NDArray[np.bool_] | None, patterns: Any) -> None:
    """Raise an InputError when a mask has another shape than the patterns, or leaves nothing."""
    if mask is None:
        return
    if np.shape(mask) != tuple(patterns.shape[-2:]):
        raise InputError(f"The mask has shape {np.shape(mask)}, not {patterns.shape[-2:]}.")
    if not np.any(mask):
        raise InputError("The mask leaves no pixel; it must be True where pixels carry signal.")


def geometry_of(patterns: Any, detector: Any, number: int) -> Geometry:
    """Geometry for patterns, with one pattern centre or one for each of them.

    Raises
    ------
    NoCameraError
        When there is none.
    InputError
        When it does not fit the patterns.
    """
    if detector is None:
        raise NoCameraError("Orientations need the geometry: give detector=EBSDDetector(...).")
    size = (int(patterns.shape[-2]), int(patterns.shape[-1]))
    geometry = detector if isinstance(detector, Geometry) else Geometry.of(detector, size)
    if len(geometry.bounds) not in (1, number):
        raise InputError(
            f"The detector has {len(geometry.bounds)} pattern centres for {number} patterns."
        )
    return geometry
