"""The edge of a round screen, found in a picture whose corners are not blank.

Cameras leave the corners about a round phosphor screen dark but noisy, or lit by a halo. What they
hold is no part of a pattern, and looks like nothing that its symmetry carries onto itself.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

Floats = NDArray[np.float64]

_SIDE = 96
"""Pixels of the shorter side, at most, that an edge is searched for on."""
_MOVED = 0.1
"""How far the circle's centre may lie from the picture's, in shorter sides."""
_RADII = 0.25, 0.4, 0.66
"""Radii in shorter sides: what is compared begins within what may be a screen's edge."""
_ANGLES = np.deg2rad(np.arange(0.0, 360.0, 3.0))
_SECTOR = 5
"""Angles whose steps are averaged: a band's edge runs along the circle for no longer."""
_LEAST_SECTORS = 5
_DARK = 0.05
"""Part of the median brightness below which all is dark."""
_LEAST = 5.0
"""Step of the brightness at the circle, in the median of that at other radii, from which on there
is an edge. Measured patterns without one reach 4.3 (`benchmarks/round_screens.py`)."""
_RIM = 0.4
"""Part of the mean step at the edge that an inner step of a rim has at least."""
_AROUND = 0.6
"""Part of the circle that is seen where the step is as large as that: the straight edge of a shadow
runs along one side of it."""
_WIDE = 0.12
"""Width of a rim at most, in shorter sides."""
_MARGIN = 0.025
"""Left out within the edge, in shorter sides: blur, and light that the rim scatters."""


def inside_circle(picture: NDArray[np.floating]) -> NDArray[np.bool_] | None:
    """Pixels inside a round screen.

    Parameters
    ----------
    picture : (rows, columns) float array
        A pattern, or the mean or median of several, finite.

    Returns
    -------
    (rows, columns) bool array or None
        None where no round edge shows.

    Notes
    -----
    Along a circle about a middle of the picture, means of the radial step of the brightness over
    sectors of 15 degrees are compared with those of other radii. Bands cross a circle in both
    directions; the edge of a screen follows it.
    """
    factor = max(1, round(min(picture.shape) / _SIDE))
    rows, columns = (size // factor for size in picture.shape)
    cut = np.asarray(picture[: rows * factor, : columns * factor], np.float64)
    image = gaussian_filter(cut.reshape(rows, factor, columns, factor).mean(axis=(1, 3)), 1.0)
    usual = float(np.median(image))
    if usual > 0:
        # A dim part of the screen ends as clearly as a bright one.
        image = np.log(np.maximum(image, _DARK * usual))
    side = min(rows, columns)
    if side < 16 or not np.ptp(image) > 0:
        return None
    radii = np.arange(_RADII[0] * side, _RADII[2] * side)
    may_be = radii >= _RADII[1] * side
    middle = np.array([(rows - 1) / 2, (columns - 1) / 2])
    best, centre, steps = 0.0, middle, np.zeros(len(radii))
    for step in (0.02, 0.005):
        reach = _MOVED if step == 0.02 else 0.015
        about = centre
        offsets = np.arange(-reach, reach + step / 2, step) * side
        for down in offsets:
            for across in offsets:
                at = about + np.array([down, across])
                trial = _steps(image, at, radii)
                if trial[may_be].max() > best:
                    best, centre, steps = float(trial[may_be].max()), at, trial
    shown = steps[steps > 0]
    if not len(shown) or best < _LEAST * float(np.median(shown)):
        return None
    # A rim has two edges; what lies between them is no pattern.
    outer = int(np.where(may_be, steps, 0.0).argmax())
    sectors = _sectors(image, centre, radii[outer - 1 : outer + 2])[1]
    if np.mean(sectors[np.isfinite(sectors)] >= _RIM * best) < _AROUND:
        return None
    near = np.arange(len(radii)) >= outer - _WIDE * side
    inner = int(np.flatnonzero(near & (steps >= _RIM * best))[0])
    radius = (radii[min(inner, outer)] - _MARGIN * side) * factor
    y, x = np.indices(picture.shape)
    row, column = (centre + 0.5) * factor - 0.5
    return np.asarray((y - row) ** 2 + (x - column) ** 2 <= radius**2)


def _steps(image: Floats, centre: Floats, radii: Floats) -> Floats:
    """Mean over sectors of the steps of the brightness at circles, 0 where too few are seen."""
    sectors = _sectors(image, centre, radii)
    number = np.isfinite(sectors).sum(axis=1)
    total = np.nansum(sectors, axis=1)
    return np.where(number >= _LEAST_SECTORS, total / np.maximum(number, 1), 0.0)


def _sectors(image: Floats, centre: Floats, radii: Floats) -> Floats:
    """Steps of the brightness at circles (n, sectors), nan where a sector is not seen whole."""
    y = centre[0] + np.outer(radii, np.sin(_ANGLES))
    x = centre[1] + np.outer(radii, np.cos(_ANGLES))
    seen = (y >= 0) & (y <= image.shape[0] - 1) & (x >= 0) & (x <= image.shape[1] - 1)
    values = map_coordinates(image, [y, x], order=1, mode="nearest")
    change = np.zeros_like(values)
    change[1:-1] = values[2:] - values[:-2]
    seen[:-1] &= seen[1:].copy()
    seen[[0, -1]] = False
    whole = seen.reshape(len(radii), -1, _SECTOR).all(axis=2)
    steps = np.abs(change.reshape(len(radii), -1, _SECTOR).mean(axis=2))
    return np.where(whole, steps, np.nan)
