"""What a map must have, and its areas that share an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError, MissingDataError, NoCameraError
from napari_ebsdml.patterns.frame.checks import check_patterns, geometry_of
from napari_ebsdml.patterns.frame.geometry import Geometry

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan


def patterns_of(scan: Scan) -> Any:
    """The patterns of a map.

    Raises
    ------
    MissingDataError
        When it has none.
    InputError
        When they are too small.
    """
    if scan.patterns is None:
        raise MissingDataError(f"{scan.name} has no patterns.")
    check_patterns(scan.patterns)
    return scan.patterns


def camera_of(scan: Scan, detector: Any = None) -> Geometry:
    """Geometry of a map's patterns: that of a detector that is given, else the map's own.

    Raises
    ------
    NoCameraError
        When there is neither.
    MissingDataError
        When the map has no patterns.
    InputError
        When the detector does not fit them.
    """
    patterns = patterns_of(scan)
    camera = scan.detector if detector is None else detector
    if camera is None:
        raise NoCameraError(
            f"{scan.name} has no detector geometry; give detector=EBSDDetector(...)."
        )
    return geometry_of(patterns, camera, scan.phase_id.size)


def indexed_camera(scan: Scan, detector: Any = None) -> Geometry:
    """As `camera_of`, for a map that has orientations as well.

    Raises
    ------
    MissingDataError
        When the map has no patterns or orientations.
    NoCameraError, InputError
        As `camera_of`.
    """
    patterns_of(scan)
    if not scan.is_indexed.any():
        raise MissingDataError(f"{scan.name} has no orientations; index it first.")
    return camera_of(scan, detector)


def check_by(by: str) -> None:
    """Raise an InputError when answers cannot be given that way."""
    if by not in ("pixel", "grain", "map"):
        raise InputError(f"by must be 'pixel', 'grain' or 'map', not {by!r}.")


def grains_of(scan: Scan, threshold: float | None = None) -> NDArray[np.int32]:
    """Grains of a map from 1, 0 for pixels without one; `threshold` in degrees parts them.

    Raises
    ------
    MissingDataError
        When the map has no orientations.
    """
    if not scan.is_indexed.any():
        raise MissingDataError(
            f"{scan.name} has no orientations to find grains by; use by='pixel' or 'map'."
        )
    from napari_ebsdml.maps.grains import segment_grains

    return segment_grains(scan) if threshold is None else segment_grains(scan, threshold)
