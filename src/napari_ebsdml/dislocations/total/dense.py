"""Windows with more lines in what a point averages over than any that the estimator learned from.

Structures are simulated with up to four lines in a voxel, and what a point averages over is one or
two voxels wide; denser maps of the training are sums of these. A map of overlapping points and a
denser structure looks to the estimator like one of fewer lines. The rotation fields of many
independent lines add up as the root of their number does, so such a window is read a second time
as the sum of `PARTS` independent structures. Lines that screen each other within a point do not
add up so: the interval holds both readings.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.dislocations.total.model import TotalDensityModel
from napari_ebsdml.dislocations.total.statistics import NAMES, of_parts

PARTS = 16
"""Independent structures whose sum a dense window is read as."""
DENSE = 0.2
"""log10 of the lines per pixel from which a window is read twice."""
OVERLAP = 4.5
"""Mean square of second differences over two pixels and over one from which points overlap.

Fields are smooth from pixel to pixel then. Points a step of their own width apart have 1 to 4,
those of half the step 5 to 14 in simulated structures.
"""
_SECOND = [NAMES.index(f"log (second({lag}) - noise)") for lag in (1, 2)]

Answer = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Median, low and high end of log10 of the lines per pixel, (n,) each."""


def read_dense(
    model: TotalDensityModel, inputs: NDArray[Any], noise: NDArray[Any], once: Answer
) -> Answer:
    """The answer for windows with those of dense ones replaced by what both readings hold.

    Parameters
    ----------
    model
    inputs : (n, len(statistics.NAMES)) array
        Of `statistics.features`.
    noise : (n,) array
        Orientation noise in b / s.
    once
        What the windows tell as they are.
    """
    smooth = inputs[:, _SECOND[1]] - inputs[:, _SECOND[0]] > np.log10(OVERLAP)
    rows = np.flatnonzero(smooth & (once[0] > DENSE))
    if not len(rows):
        return once
    posterior, _ = model.predict(of_parts(inputs[rows], PARTS))
    again = model.calibration.interval(posterior, noise[rows] / np.sqrt(PARTS))
    middle, low, high = (value + np.log10(PARTS) for value in again)
    found = tuple(value.copy() for value in once)
    found[0][rows] = (found[0][rows] + middle) / 2
    found[1][rows] = np.minimum(found[1][rows], low)
    found[2][rows] = np.maximum(found[2][rows], high)
    return found[0], found[1], found[2]
