"""Misorientation along a straight line through a map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.disorientation import disorientation_angle
from napari_ebsdml.maps.symmetry import phase_table

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan


@dataclass(frozen=True, eq=False)
class MisorientationProfile:
    """Disorientations along a line of pixels.

    Attributes
    ----------
    pixels : (n, 2) int64
        Row and column of each pixel, from the first to the last.
    distance : (n,) float64
        From the first pixel in um.
    to_first : (n,) float64
        Disorientation to the first pixel in degrees; NaN where one of the two is not indexed or
        they are of different phases.
    to_previous : (n,) float64
        The same to the pixel before; NaN for the first.
    """

    pixels: NDArray[np.int64]
    distance: NDArray[np.float64]
    to_first: NDArray[np.float64]
    to_previous: NDArray[np.float64]


def misorientation_profile(
    scan: Scan, start: tuple[int, int], end: tuple[int, int]
) -> MisorientationProfile:
    """Disorientation along a line, to its start (point to origin) and from pixel to pixel.

    Parameters
    ----------
    scan
        Map with orientations.
    start, end : (row, column)
        Pixels; the line between them is Bresenham's.

    Returns
    -------
    MisorientationProfile

    Raises
    ------
    InputError
        When a pixel lies outside the map.
    MissingDataError
        When the scan has no orientations or a phase has no point group.
    """
    from skimage.draw import line

    for row, column in (start, end):
        if not (0 <= row < scan.shape[0] and 0 <= column < scan.shape[1]):
            raise InputError(
                f"Pixel ({row}, {column}) lies outside the map of {scan.shape[0]} rows and "
                f"{scan.shape[1]} columns."
            )
    phase_table(scan)  # says what is missing
    rows, columns = line(int(start[0]), int(start[1]), int(end[0]), int(end[1]))
    quaternions, phases = scan.quaternions[rows, columns], scan.phase_id[rows, columns]
    to_first, to_previous = np.full(len(rows), np.nan), np.full(len(rows), np.nan)
    for number in np.unique(phases[phases >= 0]):
        of_phase = phases == number
        phase = scan.phases[int(number)]
        if of_phase[0]:
            to_first[of_phase] = disorientation_angle(quaternions[0], quaternions[of_phase], phase)
        pair = 1 + np.flatnonzero(of_phase[1:] & of_phase[:-1])
        to_previous[pair] = disorientation_angle(quaternions[pair - 1], quaternions[pair], phase)
    dy, dx = scan.step
    distance = np.hypot((rows - rows[0]) * dy, (columns - columns[0]) * dx)
    return MisorientationProfile(
        np.stack((rows, columns), axis=-1).astype(np.int64), distance, to_first, to_previous
    )
