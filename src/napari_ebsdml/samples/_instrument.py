"""An instrument of random kind: how patterns fade, and what of a map is measured.

`_measure` is one instrument, fitted to a published study. Models that shall suit maps of any
laboratory learn from many: contrast, noise, its law, step and indexing differ from map to map.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_ebsdml._quaternions import multiply, to_matrix

from ._fields import smooth_field
from ._rotations import from_rotation_vector, uniform

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

LAWS = ("normal", "lognormal", "skewed", "two groups")
"""Laws of the quality of single crystals of one kind."""


class Instrument(NamedTuple):
    """What a measurement does to a map; quality is 1 for a perfect crystal."""

    noise: float = 0.1
    """Orientation error about each axis in degrees, of a good pattern."""
    tails: float = 0.02
    """Part of the pixels whose error is four times that."""
    fading: float = 0.5
    """Further error in degrees for each unit that quality has less than 0.8."""
    law: str = "normal"
    """How crystals of one kind differ in quality; see `LAWS`."""
    spread: float = 0.04
    """By how much they do."""
    channelling: float = 0.1
    """Contrast between orientations."""
    pixel_noise: float = 0.04
    """Noise of the quality of each pixel."""
    boundary_loss: float = 0.25
    """Quality lost where patterns of two crystals overlap."""
    shading: float = 0.03
    """Slow changes over the map."""
    solved: float = 0.3
    """Quality below which patterns are seldom indexed."""
    wrong: float = 0.003
    """Part of the pixels indexed wrongly."""
    name: str | None = "BC"
    """Property that holds the quality: ``"BC"``, ``"IQ"``; None: not stored."""
    gain: float = 200.0
    offset: float = 0.0
    power: float = 1.0
    """The stored value is ``offset + gain * quality ** power``."""

    @classmethod
    def random(cls, rng: np.random.Generator) -> Instrument:
        """One of the many."""
        name = str(rng.choice(["BC", "IQ", "none"], p=[0.5, 0.35, 0.15]))
        gain = rng.uniform(100, 240) if name == "BC" else 10 ** rng.uniform(2, 5)
        return cls(
            noise=float(10 ** rng.uniform(-1.3, -0.25)),
            tails=float(rng.uniform(0, 0.06)),
            fading=float(rng.uniform(0, 0.8)),
            law=str(rng.choice(LAWS)),
            spread=float(rng.uniform(0.015, 0.09)),
            channelling=float(rng.uniform(0.02, 0.2)),
            pixel_noise=float(rng.uniform(0.015, 0.12)),
            boundary_loss=float(rng.uniform(0.1, 0.5)),
            shading=float(rng.uniform(0, 0.08)),
            solved=float(rng.uniform(0.15, 0.4)),
            wrong=float(rng.choice([0.0, 0.002, 0.01])),
            name=None if name == "none" else name,
            gain=float(gain),
            offset=float(rng.uniform(0, 0.3) * gain),
            power=float(rng.uniform(0.6, 1.6)),
        )


def crystal_quality(rng: np.random.Generator, instrument: Instrument, n: int) -> Floats:
    """Deviations (n,) of single crystals from the quality of their kind."""
    s = instrument.spread
    if instrument.law == "lognormal":
        return s * (rng.lognormal(0.0, 0.6, n) - np.exp(0.18)) * -1.4
    if instrument.law == "skewed":
        return s * (2.0 - rng.gamma(2.0, 1.0, n)) / 1.4
    if instrument.law == "two groups":
        return np.where(rng.random(n) < 0.25, -2.0, 0.5) * s + 0.3 * s * rng.normal(size=n)
    return s * rng.normal(size=n)


def observe(
    rng: np.random.Generator,
    instrument: Instrument,
    label: Ints,
    quaternions: Floats,
    quality: Floats,
    step: float,
) -> tuple[Floats, NDArray[np.bool_], dict[str, NDArray[np.generic]]]:
    """Measure a map.

    Parameters
    ----------
    rng
    instrument
    label : (rows, columns)
        Crystals; patterns overlap where it changes.
    quaternions : (rows, columns, 4)
        True orientations, specimen -> crystal.
    quality : (rows, columns)
        Pattern quality of the undisturbed crystal.
    step
        um.

    Returns
    -------
    quaternions, is_indexed, prop
    """
    shape, given = label.shape, instrument
    edge = np.zeros(shape, dtype=bool)
    for axis in range(2):
        differs = np.diff(label, axis=axis) != 0
        first = (slice(None, -1), slice(None)) if axis == 0 else (slice(None), slice(None, -1))
        second = (slice(1, None), slice(None)) if axis == 0 else (slice(None), slice(1, None))
        edge[first] |= differs
        edge[second] |= differs
    overlap = ndimage.gaussian_filter(edge.astype(np.float64), 0.5)
    beam = to_matrix(quaternions.reshape(-1, 4))[:, :, 2].reshape(*shape, 3)
    seen = quality + given.channelling * ((beam**4).sum(axis=-1) - 0.6)
    seen = seen * (1 - given.boundary_loss * np.clip(overlap, 0, 1))
    seen = seen * (1 + given.shading * smooth_field(rng, shape, step, 0.4 * max(shape) * step))
    error = given.noise + given.fading * np.clip(0.8 - seen, 0, None)
    error = error * np.where(rng.random(shape) < given.tails, 4.0, 1.0)
    turn = from_rotation_vector(np.deg2rad(error[..., None] * rng.normal(size=(*shape, 3))))
    out = multiply(turn, quaternions)
    chance = 1 / (1 + np.exp(-(seen - given.solved + 0.03 * rng.normal(size=shape)) / 0.03))
    is_indexed = rng.random(shape) < chance
    wrong = is_indexed & (rng.random(shape) < given.wrong)
    out[wrong] = uniform(rng, int(wrong.sum()))
    out[~is_indexed] = 0.0
    prop: dict[str, NDArray[np.generic]] = {}
    if given.name is not None:
        noisy = np.clip(seen + given.pixel_noise * rng.normal(size=shape), 0.01, 1.6)
        value = given.offset + given.gain * noisy**given.power
        whole = given.name == "BC"
        prop[given.name] = (
            np.clip(np.rint(value), 0, 255).astype(np.uint8) if whole else value.astype(np.float32)
        )
    return out, is_indexed, prop
