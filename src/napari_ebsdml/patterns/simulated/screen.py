"""What a detector's screen and camera do to the bands: from clean intensities to camera counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Range = tuple[float, float]


@dataclass(frozen=True)
class Screen:
    """Ranges that each pattern's screen is drawn from; a range of width 0 fixes its value.

    Attributes
    ----------
    contrast
        Standard deviation of the bands as a part of the background.
    background_width, background_offset
        Of the Gaussian background; in half sides of the screen, the offset from its middle.
    vignetting
        Part of the light that is lost in the corners.
    gamma
        Exponent of the camera's response.
    saturation
        Part of the pixels that reach the camera's highest count.
    gain
        Standard deviation of the pixels' sensitivity: a pattern fixed for all exposures.
    dust
        Number of dark specks, fixed as well; their radius is 0.5 to 3 % of the side.
    bits
        Of the camera's counts.
    """

    contrast: Range = (0.015, 0.2)
    background_width: Range = (0.7, 1.6)
    background_offset: float = 0.4
    vignetting: Range = (0.0, 0.35)
    gamma: Range = (0.7, 1.4)
    saturation: Range = (0.0, 0.015)
    gain: Range = (0.0, 0.004)
    dust: tuple[int, int] = (0, 4)
    bits: int = 8


def expose(
    bands: NDArray[np.float32],
    rng: np.random.Generator,
    noise: Range,
    blur: float = 0.0,
    screen: Screen | None = None,
    binning: int = 1,
    same: bool = False,
) -> NDArray[np.unsignedinteger[Any]]:
    """Camera counts of clean patterns.

    In the order of the light: blur of the screen, background, vignetting, dust, Poisson noise of
    the electrons, the pixels' gain, binning, gamma, saturation, counts.

    Parameters
    ----------
    bands : (n, rows, columns) array
        Intensities in any unit; each pattern is normalised.
    rng
        Every random choice comes from it.
    noise
        Smallest and largest standard deviation of the noise of a pattern's pixel, after binning,
        in standard deviations of the bands; drawn evenly in its logarithm. It fixes the number of
        electrons: ``1 / (contrast * noise)**2`` of each pixel where the background is 1.
    blur
        Standard deviation of the screen's blur in pixels before binning.
    screen
        Default: `Screen()`.
    binning
        Camera pixels on each side of a pattern's pixel; divides rows and columns.
    same
        One screen, background and exposure for all patterns, as in a map; else one for each.

    Returns
    -------
    (n, rows / binning, columns / binning) uint8 or uint16 array
    """
    screen = screen or Screen()
    n, rows, columns = bands.shape
    images = bands - bands.mean(axis=(1, 2), keepdims=True)
    images = images / np.maximum(images.std(axis=(1, 2), keepdims=True), 1e-6)
    if blur > 0.25:
        images = gaussian_filter(images, (0, blur, blur))
    m = 1 if same else n

    def draw(limits: Range) -> NDArray[np.float32]:
        return rng.uniform(*limits, (m, 1, 1)).astype(np.float32)

    def draw_log(limits: Range) -> NDArray[np.float32]:
        return np.exp(draw((float(np.log(limits[0])), float(np.log(limits[1])))))

    y, x = np.meshgrid(
        np.linspace(-1, 1, rows, dtype=np.float32), np.linspace(-1, 1, columns, dtype=np.float32),
        indexing="ij",
    )  # fmt: skip
    offset = (-screen.background_offset, screen.background_offset)
    x0, y0, width = draw(offset), draw(offset), draw(screen.background_width)
    light = np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / (2 * width**2))
    light *= 1 - draw(screen.vignetting) * (x**2 + y**2) / 2
    light *= _dust(rng, m, y, x, screen.dust)
    contrast = draw_log(screen.contrast)
    # Binning adds pixels up, so that each of them gets its part of the electrons.
    dose = 1 / (contrast * draw_log(noise) * binning) ** 2
    expected = light * np.maximum(1 + contrast * images, 0)
    signal = rng.poisson(dose * expected).astype(np.float32) / dose
    sensitivity = draw(screen.gain) * rng.standard_normal((m, rows, columns), np.float32)
    signal *= 1 + sensitivity
    if binning > 1:
        shape = (n, rows // binning, binning, columns // binning, binning)
        signal = signal.reshape(shape).mean(axis=(2, 4))
    signal = np.maximum(signal, 0) ** draw(screen.gamma)
    part = 1 - rng.uniform(*screen.saturation, m)
    if same:
        top = np.full((1, 1, 1), np.quantile(signal[:256], part[0]))
    else:
        top = np.stack([np.quantile(s, p) for s, p in zip(signal, part, strict=True)])
        top = top[:, None, None]
    highest = 2**screen.bits - 1
    counts = np.clip(np.rint(highest * signal / np.maximum(top, 1e-12)), 0, highest)
    return counts.astype(np.uint8 if screen.bits <= 8 else np.uint16)


def _dust(
    rng: np.random.Generator, n: int, y: NDArray[np.float32], x: NDArray[np.float32],
    number: tuple[int, int],
) -> NDArray[np.float32]:  # fmt: skip
    through = np.ones((n, *y.shape), np.float32)
    for k, specks in enumerate(rng.integers(number[0], number[1] + 1, n)):
        for _ in range(specks):
            x0, y0 = rng.uniform(-0.95, 0.95, 2)
            radius, depth = 2 * rng.uniform(0.005, 0.03), rng.uniform(0.1, 0.6)
            distance = (x - x0) ** 2 + (y - y0) ** 2
            through[k] *= 1 - depth * np.exp(-distance / (2 * radius**2))
    return through


def circle(shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixels inside the circle (or ellipse) that touches the sides of a screen."""
    y, x = np.indices(shape)
    return ((2 * y + 1) / shape[0] - 1) ** 2 + ((2 * x + 1) / shape[1] - 1) ** 2 <= 1
