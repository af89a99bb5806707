"""A pattern made ready for the symmetry search: flat, without hot pixels, on the sphere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, median_filter

from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.frame.checks import check_mask, check_patterns
from napari_ebsdml.patterns.frame.flatten import fill_gaps, flattener
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.frame.masks import find_mask
from napari_ebsdml.patterns.symmetry._kernels import HOLE

Floats = NDArray[np.float32]

FINE, COARSE = 96, 48
"""Sides, at most, of the images that axes are refined on and searched on."""
_FINE_RAYS, _COARSE_RAYS = 4000, 800
_NOISE_LEFT = 0.412, 0.234
"""Part of white noise's variance that the blur of half a pixel leaves, and that linear
interpolation between pixels leaves of it, in the mean over places."""


@dataclass(frozen=True, eq=False)
class View:
    """One pattern, on a fine and on a coarse screen.

    Attributes
    ----------
    fine, coarse : (rows, columns) float32 arrays
        Flat images of mean 0 and standard deviation 1; `HOLE` where there is no signal.
    bounds : (4,) array
        Gnomonic x_min, x_max, y_min, y_max.
    ceiling
        Correlation that an operation of the crystal can reach with the noise of this pattern.
    fine_rays, coarse_rays : (n, 3) float32 arrays
        Directions of pixels in the detector's frame (x right, y up, z to the screen).
    fine_values, coarse_values : (n,) float32 arrays
        Values of these pixels.
    """

    fine: Floats
    coarse: Floats
    bounds: NDArray[np.float64]
    ceiling: float
    fine_rays: Floats
    fine_values: Floats
    coarse_rays: Floats
    coarse_values: Floats

    def seen_by(self, bounds: NDArray[np.float64]) -> View:
        """The same pattern with another pattern centre."""
        fine_rays, fine_values = _rays(self.fine, bounds, _FINE_RAYS)
        coarse_rays, coarse_values = _rays(self.coarse, bounds, _COARSE_RAYS)
        return View(
            self.fine, self.coarse, bounds, self.ceiling, fine_rays, fine_values, coarse_rays,
            coarse_values,
        )  # fmt: skip


def stack_of(patterns: Any) -> NDArray[Any]:
    """Patterns as an array (n, rows, columns).

    Raises
    ------
    InputError
        When they are no patterns, or there are none.
    """
    if isinstance(patterns, list | tuple):
        try:
            patterns = np.stack([np.asarray(p) for p in patterns])
        except ValueError as error:
            raise InputError(f"The patterns of one crystal must have one shape: {error}.") from None
    if not hasattr(patterns, "shape"):
        patterns = np.asarray(patterns)
    lead = check_patterns(patterns)
    stack = np.asarray(patterns).reshape(-1, *patterns.shape[-2:])
    if not lead:
        stack = stack[:1]
    if not len(stack):
        raise InputError("There is no pattern.")
    return stack


def bounds_of(detector: Any, shape: tuple[int, int], number: int) -> NDArray[np.float64]:
    """Gnomonic bounds (number, 4) of a detector, a Camera, a Geometry or Bruker's pattern centres.

    Raises
    ------
    NoCameraError
        When the detector tells no pattern centre.
    InputError
        When it is none of these, cannot be, or has another number of pattern centres.
    """
    if isinstance(detector, Geometry):
        bounds = detector.bounds
    elif hasattr(detector, "shape") and not isinstance(detector, np.ndarray):
        bounds = Geometry.of(detector, shape).bounds
    else:
        try:
            centres = np.asarray(detector, dtype=np.float64).reshape(-1, 3)
        except (TypeError, ValueError):
            raise InputError(
                "detector must be a kikuchipy EBSDDetector, a Camera or pattern centres (x, y, z) "
                f"in Bruker's convention, not {detector!r}."
            ) from None
        if not (np.isfinite(centres).all() and (centres[:, 2] > 0).all()):
            raise InputError(
                "A pattern centre needs finite numbers and a positive distance: (x, y, z) as "
                "parts of the screen's width, height and height."
            )
        bounds = Geometry.from_angles(centres, shape).bounds
    if len(bounds) not in (1, number):
        raise InputError(f"There are {len(bounds)} pattern centres for {number} patterns.")
    return np.broadcast_to(bounds, (number, 4))


def flat_images(
    patterns: NDArray[Any], mask: NDArray[np.bool_] | None = None
) -> tuple[Floats, NDArray[np.bool_]]:
    """Flat patterns (n, rows, columns) of at most `FINE` pixels a side, and their valid pixels.

    Parameters
    ----------
    patterns : (n, rows, columns) array
    mask : (rows, columns) bool array, optional
        True where pixels carry signal. Default: found from the patterns.
    """
    check_mask(mask, patterns)
    valid = find_mask(patterns) if mask is None else np.asarray(mask, dtype=bool)
    raw = patterns.astype(np.float32)
    fill_gaps(raw)
    for image in raw:
        _without_hot_pixels(image)
    factor = max(1, round(min(raw.shape[1:]) / FINE + 0.2))
    if factor > 1:
        rows, columns = (size // factor for size in raw.shape[1:])
        cut = raw[:, : rows * factor, : columns * factor]
        raw = cut.reshape(len(raw), rows, factor, columns, factor).mean(axis=(2, 4))
        part = valid[: rows * factor, : columns * factor]
        binned = np.asarray(part.reshape(rows, factor, columns, factor).all(axis=(1, 3)))
        valid = binned if binned.any() else np.ones_like(binned)
    return flattener(valid)(np.ascontiguousarray(raw)), valid


def _without_hot_pixels(image: Floats) -> None:
    """Replace single pixels that stand out of their surroundings by their median, in place."""
    middle = median_filter(image, 3, mode="nearest")
    rest = image - middle
    spread = 1.4826 * float(np.median(np.abs(rest - np.median(rest))))
    if spread > 0:
        # Eight standard deviations: no pixel of noise in a million patterns.
        hot = np.abs(rest) > 8 * spread
        image[hot] = middle[hot]


def views_of(images: Floats, valid: NDArray[np.bool_], bounds: NDArray[np.float64]) -> list[View]:
    """Views of flat patterns (n, rows, columns) with gnomonic bounds (1 or n, 4)."""
    bounds = np.broadcast_to(bounds, (len(images), 4))
    return [_view(image, valid, b) for image, b in zip(images, bounds, strict=True)]


def _view(image: Floats, valid: NDArray[np.bool_], bounds: NDArray[np.float64]) -> View:
    fine = _normal(_smooth(image, valid, 0.5), valid)
    factor = max(1, round(min(image.shape) / COARSE))
    rows, columns = (size // factor for size in image.shape)
    sigma = max(0.6 * factor, 0.012 * min(image.shape))
    smooth = _smooth(image, valid, sigma)[: rows * factor, : columns * factor]
    part = valid[: rows * factor, : columns * factor]
    coarse = smooth.reshape(rows, factor, columns, factor).mean(axis=(1, 3))
    good = part.reshape(rows, factor, columns, factor).mean(axis=(1, 3)) > 0.5
    coarse = _normal(coarse, good)
    fine_rays, fine_values = _rays(fine, bounds, _FINE_RAYS)
    coarse_rays, coarse_values = _rays(coarse, bounds, _COARSE_RAYS)
    return View(
        fine, coarse, bounds, ceiling_of(image, valid), fine_rays, fine_values, coarse_rays,
        coarse_values,
    )  # fmt: skip


def ceiling_of(image: Floats, valid: NDArray[np.bool_]) -> float:
    """Correlation of a flat pattern with its own symmetric image that its noise allows, 0..1.

    The noise is what neighbouring pixels do not share: the autocovariance, drawn on as a parabola
    from distances of one and two pixels to none, is that of the bands.
    """

    def shared(distance: int) -> float:
        total, number = 0.0, 0
        for one, other in (
            (np.s_[distance:, :], np.s_[:-distance, :]), (np.s_[:, distance:], np.s_[:, :-distance])
        ):  # fmt: skip
            both = valid[one] & valid[other]
            total += float((image[one] * image[other])[both].sum())
            number += int(both.sum())
        return total / max(number, 1)

    power = float((image[valid] ** 2).mean())
    if not power > 0 or min(image.shape) < 4:
        return 0.0
    signal = min(max((4 * shared(1) - shared(2)) / 3, 0.0), power)
    noise = power - signal
    blurred, between = (signal + part * noise for part in _NOISE_LEFT)
    return signal / float(np.sqrt(blurred * between))


def _smooth(image: Floats, valid: NDArray[np.bool_], sigma: float) -> Floats:
    """Gaussian blur that does not draw values from outside the mask."""
    if valid.all():
        return gaussian_filter(image, sigma)
    weight = gaussian_filter(valid.astype(np.float32), sigma)
    return gaussian_filter(np.where(valid, image, 0), sigma) / np.maximum(weight, 1e-3)


def _normal(image: Floats, valid: NDArray[np.bool_]) -> Floats:
    """Mean 0, standard deviation 1 over the valid pixels, `HOLE` elsewhere."""
    inside = image[valid]
    spread = float(inside.std())
    values = (image - inside.mean()) / (spread if spread > 0 else 1.0)
    return np.where(valid, np.clip(values, -4, 4), HOLE).astype(np.float32)


def _rays(image: Floats, bounds: NDArray[np.float64], most: int) -> tuple[Floats, Floats]:
    """Directions and values of at most `most` valid pixels, spread over the screen."""
    rows, columns = np.nonzero(image < HOLE / 10)
    if len(rows) > most:
        # At random, but line by line: neighbours take the same branches of the kernels.
        chosen = np.sort(np.random.default_rng(0).permutation(len(rows))[:most])
        rows, columns = rows[chosen], columns[chosen]
    x0, x1, y0, y1 = bounds
    x = x0 + (x1 - x0) * (columns + 0.5) / image.shape[1]
    y = y1 - (y1 - y0) * (rows + 0.5) / image.shape[0]
    rays = np.stack([x, y, np.ones_like(x)], axis=1)
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    return rays.astype(np.float32), image[rows, columns]
