"""How much a section is turned against the one before, told by the orientations of its grains."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.maps.disorientation import disorientation_vector
from napari_ebsdml.scan import NOT_INDEXED, Scan

_BINS = 0.25
"""Degrees; width of the classes in which turns of pixels are counted."""
_AROUND = 1.0
"""Degrees about the most frequent turn from which the turn is taken."""
_LEAST = 50
"""Pixels that must agree on a turn."""
_TILT = 3.0
"""Degrees that a pixel's turn may have about axes in the section, to count as one about its
normal."""


def turned(scan: Scan, degrees: float) -> Scan:
    """A section turned about the middle of the map, with its orientations.

    Parameters
    ----------
    scan
    degrees
        From x (right) towards y (down), about the normal into the screen.

    Returns
    -------
    Scan
        Each pixel shows the nearest one of the section; not indexed, and properties NaN, where the
        section does not reach.
    """
    if degrees == 0:
        return scan
    angle = math.radians(degrees)
    rows, columns = scan.shape
    dy, dx = scan.step
    y, x = np.indices(scan.shape).astype(np.float64)
    y, x = (y - (rows - 1) / 2) * dy, (x - (columns - 1) / 2) * dx
    # Where a pixel was before.
    back_x = math.cos(angle) * x + math.sin(angle) * y
    back_y = -math.sin(angle) * x + math.cos(angle) * y
    i = np.rint(back_y / dy + (rows - 1) / 2).astype(np.int64)
    j = np.rint(back_x / dx + (columns - 1) / 2).astype(np.int64)
    inside = (i >= 0) & (i < rows) & (j >= 0) & (j < columns)
    at = i.clip(0, rows - 1), j.clip(0, columns - 1)

    def laid(values: NDArray[Any], empty: Any) -> NDArray[Any]:
        out = values[at]
        out[~inside] = empty
        return out

    # Specimen -> crystal of the turned specimen: first the turn back.
    turn = np.array([math.cos(angle / 2), 0.0, 0.0, -math.sin(angle / 2)])
    quaternions = multiply(scan.quaternions.reshape(-1, 4), turn).reshape(scan.quaternions.shape)
    prop = {
        name: laid(values.astype(np.float32) if values.dtype.kind != "f" else values, np.nan)
        for name, values in scan.prop.items()
    }
    measured = np.ones(scan.shape, bool) if scan.is_measured is None else scan.is_measured
    return dataclasses.replace(
        scan, quaternions=laid(quaternions, 0.0), phase_id=laid(scan.phase_id, NOT_INDEXED),
        prop=prop, is_measured=laid(measured, False), patterns=None, camera=None,
        source=dataclasses.replace(scan.source, hexagonal=None),
    )  # fmt: skip


def turn_between(first: Scan, second: Scan, here: Any, there: Any, most: float) -> float | None:
    """Turn in degrees by which the second section has to be turned to fit to the first.

    Grains go on from section to section with their orientations. Where a pixel of each show the
    same grain, they differ by the turn, the same one everywhere; where they do not, by anything.
    The most frequent turn about the normal is taken.

    Parameters
    ----------
    first, second
    here, there
        Pixels of the two that lie above each other, as indices.
    most
        Largest turn in degrees.

    Returns
    -------
    float or None
        None where too few pixels agree on one.
    """
    vectors = []
    p, q = first.phase_id[here], second.phase_id[there]
    for number, phase in first.phases:
        both = (p == number) & (q == number)
        if number != NOT_INDEXED and both.any():
            vectors.append(
                disorientation_vector(
                    first.quaternions[here][both], second.quaternions[there][both], phase
                )
            )
    if not vectors:
        return None
    found = np.concatenate(vectors)
    found = found[np.isfinite(found).all(axis=1)]
    about = found[np.hypot(found[:, 0], found[:, 1]) < _TILT, 2]
    about = about[np.abs(about) <= most]
    if len(about) < _LEAST:
        return None
    edges = np.arange(-most - _BINS, most + 2 * _BINS, _BINS)
    counts = np.histogram(about, edges)[0]
    # Neighbouring classes count too: a turn may lie between two.
    counts = np.convolve(counts, (1, 1, 1), "same")
    top = edges[counts.argmax()] + _BINS / 2
    near = about[np.abs(about - top) < _AROUND]
    # That of the second one; back it goes by as much.
    return -float(np.median(near)) if len(near) >= _LEAST else None
