"""Which pixels of a screen carry signal, told by the patterns themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_dilation,
    gaussian_filter,
    label,
    maximum_filter,
    median_filter,
)
from scipy.ndimage import maximum as labeled_maximum
from scipy.ndimage import mean as labeled_mean

from napari_ebsdml.patterns.frame.round_screen import inside_circle

Mask = NDArray[np.bool_]

_LOOKED_AT = 64
_BLANK = 0.02
"""Part of the screen that a blank or shadowed region takes at least."""
_OUTLIER, _FAULT = 15.0, 30.0
"""Standard deviations from its neighbours' median beyond which a pixel is left out, and is told to
be hot or dead: clean simulated screens reach 13, dust 50, measured good ones 19, and a pixel at the
camera's full scale 70."""
_CLUSTER = 9
"""Pixels that hang together are at most so many where a camera has a fault."""
_ALONE = 0.4
"""How far any pixel beside a fault lies from the median, at most, in how far the fault does: a
zone axis of a pattern without noise stands out as much, but rises over several pixels."""
_MOST_HOT = 0.05
_TOLD = 0.01
"""Part of the screen from which on it is told that it is dark."""
_SEVERAL = 8
"""Patterns whose median tells a shadow's edge from a band's."""
_EDGE = 9.0
"""Change of the logarithm of the brightness, over the screen's side, at a shadow's edge: 15 % from
one pixel to the next on 60."""
_SHADOW = 0.8
"""Brightness, in that of the other side of the edge, below which a region is in shadow."""
_LEAST = 0.1
"""Part of the screen that must be left."""


@dataclass(frozen=True, eq=False)
class Screen:
    """What is seen of a screen.

    Attributes
    ----------
    valid : (rows, columns) bool array
        Pixels that carry signal.
    hot
        Number of hot or dead pixels.
    dark
        Part of the screen that is blank or in shadow, besides a round screen's corners.
    """

    valid: Mask
    hot: int = 0
    dark: float = 0.0

    @property
    def warnings(self) -> tuple[str, ...]:
        """Sentences on what was left out."""
        found = []
        if self.hot:
            pixels = "pixel is" if self.hot == 1 else "pixels are"
            found.append(f"{self.hot} {pixels} hot or dead in all patterns and left out.")
        if self.dark >= _TOLD:
            share = f"{100 * self.dark:.0f} %"
            found.append(f"{share} of the screen is blank or in shadow and left out.")
        return tuple(found)


def find_mask(patterns: NDArray[np.generic]) -> Mask:
    """Pixels that carry signal: see `find_screen`."""
    return find_screen(patterns).valid


def find_screen(patterns: NDArray[np.generic]) -> Screen:
    """What is seen of a screen: without corners, blank and shadowed regions, hot and dead pixels.

    Parameters
    ----------
    patterns : (..., rows, columns) array
        The more, and the more different, the better; shadows are told from `_SEVERAL` on.

    Notes
    -----
    A round screen shows as one value in all four corners of all patterns, or as an edge of the
    brightness along a circle. A blank region holds the lowest value of all in every pattern. Hot
    and dead pixels differ from their neighbours in the median of the patterns, and a shadow has an
    edge there that is steeper than any band's.
    """
    rows, columns = patterns.shape[-2:]
    stack = patterns.reshape(-1, rows, columns)[:_LOOKED_AT]
    valid = np.ones((rows, columns), dtype=bool)
    if not len(stack):
        return Screen(valid)
    if stack.dtype.kind == "f":
        holes = ~np.isfinite(stack).any(axis=0)
        stack = np.nan_to_num(stack, posinf=0.0, neginf=0.0)
        if holes.any() and not holes.all():
            valid &= ~holes
    valid &= _inside(stack)
    blank = _blank(stack, valid)
    middle = np.median(stack.astype(np.float32), axis=0)
    away = _outlying(middle, valid & ~blank)
    hot = away > _OUTLIER
    if len(stack) >= _SEVERAL:
        calm = np.where(hot, median_filter(middle, 5), middle)
        blank |= _shadow(calm, valid & ~blank)
    left = valid & ~blank & ~hot
    if left.mean() < _LEAST:
        return Screen(valid)
    # A round screen's corners are no fault, whatever they hold.
    middle_part = _radius(rows, columns) <= 1
    return Screen(left, int((away > _FAULT).sum()), float(blank[middle_part].mean()))


def _radius(rows: int, columns: int) -> NDArray[np.float64]:
    """Square of the distance from the middle of the screen; 1 in the middle of its sides."""
    y, x = np.indices((rows, columns))
    return np.asarray(((2 * y + 1) / rows - 1) ** 2 + ((2 * x + 1) / columns - 1) ** 2)


def _inside(stack: NDArray[np.generic]) -> Mask:
    """False outside a round screen."""
    rows, columns = stack.shape[1:]
    corner = stack[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    everywhere = np.ones((rows, columns), dtype=bool)
    if not (corner == corner[0, 0]).all():
        circle = inside_circle(np.median(stack.astype(np.float32), axis=0))
        return everywhere if circle is None else circle
    same = (stack == corner[0, 0]).all(axis=0)
    masked = same & (_radius(rows, columns) > 0.6)
    # A few saturated or dead corner pixels are no mask, nor is a pattern without any signal.
    return ~masked if masked.mean() > _BLANK and same.mean() < 0.6 else everywhere


def _blank(stack: NDArray[np.generic], valid: Mask) -> Mask:
    """Regions that hold the lowest value in all patterns."""
    lowest = stack[:, valid].min() if valid.any() else 0
    same = (stack == lowest).all(axis=0) & valid
    # Where hardly anything else is seen, nothing is known of the screen.
    if same.sum() > 0.9 * valid.sum():
        return np.zeros_like(valid)
    return _large(same, _BLANK * valid.size)


def _large(mask: Mask, least: float) -> Mask:
    """Regions of a mask with at least so many pixels."""
    regions, number = label(mask)
    if not number:
        return mask
    size = np.bincount(regions.ravel())
    keep = size >= least
    keep[0] = False
    return np.asarray(keep[regions])


def _outlying(middle: NDArray[np.float32], valid: Mask) -> NDArray[np.float64]:
    """How far pixels lie from their neighbours' median, in standard deviations.

    0 for regions of more than a few pixels, where no camera has a fault, and everywhere when too
    many stand out.
    """
    none = np.zeros(valid.shape)
    if not valid.any():
        return none
    away = middle - median_filter(middle, 5)
    spread = 1.4826 * float(np.median(np.abs(away[valid])))
    # Counts are whole numbers, and a pattern may be flat.
    low, high = np.quantile(middle[valid], [0.05, 0.95])
    spread = max(spread, 0.01 * float(high - low), 1e-6 * float(np.abs(middle).max()), 1e-12)
    far = (np.abs(away) > _OUTLIER * spread) & valid
    far &= ~_large(far, _CLUSTER + 1)
    far &= _alone(np.abs(away), far)
    few = far.sum() <= _MOST_HOT * valid.sum()
    return np.where(far, np.abs(away) / spread, 0.0) if few else none


def _alone(away: NDArray[np.floating], far: Mask) -> Mask:
    """Regions of `far` whose neighbours do not stand out with them."""
    regions, number = label(far, np.ones((3, 3)))
    around = maximum_filter(regions, 3)
    around[far] = 0
    rings, inner = np.full(number + 1, np.inf), np.ones(number + 1)
    some = np.arange(1, number + 1)
    if number:
        inner[1:] = labeled_mean(away, regions, some)
        rings[1:] = labeled_maximum(away, around, some)
    return far & (rings < _ALONE * inner)[regions]


def _shadow(middle: NDArray[np.float32], valid: Mask) -> Mask:
    """Regions beyond a steep edge that are darker than its other side, and the edge itself."""
    none = np.zeros_like(valid)
    if valid.mean() < _LEAST or float(middle[valid].min()) < 0:
        return none
    side = min(valid.shape)
    width = max(1.0, side / 60)
    weight = np.maximum(gaussian_filter(valid.astype(np.float32), width), 1e-3)
    smooth = gaussian_filter(np.where(valid, middle, 0), width) / weight
    bright = float(np.quantile(smooth[valid], 0.9))
    if not bright > 0:
        return none
    down, across = np.gradient(np.log(np.maximum(smooth, 0.02 * bright)))
    steep = (np.hypot(down, across) * side > _EDGE) & valid
    if not steep.any():
        return none
    regions, number = label(valid & ~steep)
    size = np.bincount(regions.ravel(), minlength=number + 1)
    size[0] = 0
    reach = round(4 * width)
    near_edge = binary_dilation(steep, iterations=reach)
    rims = {k: near_edge & (regions == k) for k in np.flatnonzero(size >= _BLANK * valid.size)}
    levels = {k: float(np.median(smooth[rim])) for k, rim in rims.items() if rim.any()}
    # The largest region need not be the bright one: a shadow may take most of the screen.
    brightest = max(levels.values(), default=0.0)
    dark = [k for k, value in levels.items() if value < _SHADOW * brightest]
    if not dark:
        return none
    shadowed = np.isin(regions, dark)
    edge = binary_dilation(shadowed, iterations=reach) & (steep | shadowed)
    return np.asarray(binary_dilation(shadowed | edge, iterations=max(1, round(width))) & valid)
