"""Images without a crystal: what resin, pores, dead grains and faulty cameras show.

The shipped model's score of the known is fitted on the kinds of `FITTED`; `HELD_OUT` test it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

Floats = NDArray[np.float32]
Noise = Callable[[np.random.Generator, int, int], Floats]


def _white(rng: np.random.Generator, n: int, size: int) -> Floats:
    return rng.standard_normal((n, size, size), np.float32)


def _blurred(least: float, most: float) -> Noise:
    def make(rng: np.random.Generator, n: int, size: int) -> Floats:
        sigma = rng.uniform(least, most)
        return gaussian_filter(_white(rng, n, size), (0, sigma, sigma))

    return make


def _shot(rng: np.random.Generator, n: int, size: int) -> Floats:
    """Nothing but background: what is left is the electrons' own noise."""
    return np.zeros((n, size, size), np.float32)


def _filtered(rng: np.random.Generator, n: int, size: int, gain: Floats) -> Floats:
    """White noise with the spectrum `gain` (size, size // 2 + 1)."""
    images = np.fft.irfft2(np.fft.rfft2(_white(rng, n, size)) * gain, (size, size))
    return images.astype(np.float32)


def _frequency(size: int) -> Floats:
    """Waves across the screen, (size, size // 2 + 1)."""
    rows, columns = np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]
    return (np.hypot(rows, columns) * size).astype(np.float32)


def _band_limited(rng: np.random.Generator, n: int, size: int) -> Floats:
    """Grain of one size, from that of bands to that of a few pixels."""
    waves = np.exp(rng.uniform(np.log(4), np.log(size / 4)))
    ring = np.abs(_frequency(size) / waves - 1) < 0.35
    return _filtered(rng, n, size, ring.astype(np.float32))


def _one_over_f(power: float) -> Noise:
    def make(rng: np.random.Generator, n: int, size: int) -> Floats:
        return _filtered(rng, n, size, np.maximum(_frequency(size), 1.0) ** np.float32(-power))

    return make


def _background(rng: np.random.Generator, n: int, size: int) -> Floats:
    """As the background of real screens: wide hills, fine grain, and the same marks in all."""
    marks = gaussian_filter(_white(rng, 1, size), (0, 1.5, 1.5))
    hills = gaussian_filter(_white(rng, n, size), (0, size / 6, size / 6))
    parts = (hills / hills.std(), marks / marks.std(), _white(rng, n, size))
    weights = rng.uniform(0.2, 1.0, 3)
    return sum(w * part for w, part in zip(weights, parts, strict=True)).astype(np.float32)


def _stripes(rng: np.random.Generator, n: int, size: int) -> Floats:
    """Read-out noise of rows or columns, as of CMOS cameras, over white noise."""
    lines = rng.standard_normal((n, size, 1), np.float32)
    lines = lines if rng.random() < 0.5 else lines.transpose(0, 2, 1)
    return (rng.uniform(0.3, 2.0) * lines + _white(rng, n, size)).astype(np.float32)


def _specks(rng: np.random.Generator, n: int, size: int) -> Floats:
    """Single bright and dark pixels: salt and pepper."""
    images = 0.2 * _white(rng, n, size)
    share = rng.uniform(0.005, 0.1)
    where = rng.random(images.shape) < share
    images[where] += rng.choice(np.array([-4.0, 4.0], np.float32), int(where.sum()))
    return images


def _scratches(rng: np.random.Generator, n: int, size: int) -> Floats:
    """Straight bright lines at random, which look like bands but agree with no crystal."""
    y, x = np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij")
    images = 0.3 * _white(rng, n, size)
    for image in images:
        for _ in range(rng.integers(4, 12)):
            angle, place = rng.uniform(0, np.pi), rng.uniform(-0.8, 0.8)
            distance = (x * np.cos(angle) + y * np.sin(angle) - place) / rng.uniform(0.02, 0.1)
            image += rng.uniform(0.3, 1.0) * np.exp(-(distance**2)).astype(np.float32)
    return images


FITTED: dict[str, Noise] = {
    "white": _white, "blurred by 0.3 to 3 pixels": _blurred(0.3, 3.0), "shot": _shot,
    "band-limited": _band_limited, "1/f": _one_over_f(1.0), "background": _background,
}  # fmt: skip
"""Kinds that the shipped score is fitted on."""

HELD_OUT: dict[str, Noise] = {
    "1/f^1.7": _one_over_f(1.7), "stripes": _stripes, "specks": _specks,
    "blurred by 4 to 6 pixels": _blurred(4.0, 6.0), "scratches": _scratches,
}  # fmt: skip
"""Kinds that it has never seen."""
