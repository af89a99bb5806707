"""Streams of synthetic maps of random physics, for models that shall suit any laboratory's maps."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.twins import HCP_TWIN_PLANES
from napari_ebsdml.scan import Scan

from ._checks import checked_seed
from ._fields import smooth_field
from ._instrument import Instrument, crystal_quality
from ._rotations import from_rotation_vector, scatter
from .annealed import CRYSTALS, Stored, partly_recrystallised
from .dual_phase import dual_phase_steel
from .twinned import twinned

FAMILIES: dict[str, tuple[str, ...]] = {
    "martensite": ("ferrite", "martensite", "bainite"),
    "recrystallised": ("recrystallised", "recovered", "deformed"),
    "twins": ("matrix", "twin"),
}
"""Kinds of maps that `random_map` makes, and the names of the values 1, 2 ... of their truth."""

_ROLLED, _STRAINED = 0.15, 0.5
"""Part of the steels that are deformed ferrite alone, and of the others that were strained: without
them a model took rolled iron for martensite."""


def random_map(
    family: str, seed: int, shape: tuple[int, int] = (180, 220), only: str | None = None
) -> tuple[Scan, NDArray[np.uint8]]:
    """Make a synthetic map whose material and measurement are drawn at random.

    Fractions, grain size, texture, twins, lattice strain, step, orientation noise, contrast and
    noise of the pattern quality, the law by which crystals differ in it, its name and scale, and
    the part that is indexed: all are drawn anew for each seed.

    Parameters
    ----------
    family
        A key of `FAMILIES`.
    seed
    shape
        Rows and columns.
    only
        Class that the whole map is to be, not "twin"; None: classes and fractions as drawn.

    Returns
    -------
    scan
    truth : (rows, columns) uint8
        Values from 1, see `FAMILIES`.

    Raises
    ------
    InputError
        When the family or the class is unknown or a number out of range.
    """
    if family not in FAMILIES:
        raise InputError(f"family must be one of {', '.join(FAMILIES)}, not {family!r}.")
    whole = [name for name in FAMILIES[family] if name != "twin"]
    if only is not None and only not in whole:
        raise InputError(f"only must be one of {', '.join(whole)}, not {only!r}.")
    rng = np.random.default_rng([checked_seed(seed), 17])
    own = int(rng.integers(1 << 31))
    instrument = Instrument.random(rng)
    step = float(10 ** rng.uniform(-1.3, 0.3))
    if family == "recrystallised":
        size = step * float(10 ** rng.uniform(1.3, 2.0))
        return partly_recrystallised(
            shape, own, step, **_annealed_parts(rng, only), crystal=str(rng.choice(CRYSTALS)),
            grain_size=size, stored=Stored.random(rng, size, step), instrument=instrument,
        )[:2]  # fmt: skip
    if family == "twins":
        size = step * float(10 ** rng.uniform(1.4, 2.0))
        planes = tuple(rng.permutation(list(HCP_TWIN_PLANES))[: int(rng.integers(1, 4))])
        return twinned(
            shape, own, step, crystal=str(rng.choice(["hcp", "fcc"])),
            planes=planes if rng.random() < 0.5 else ("{10-12}",), grain_size=size,
            twins=float(rng.choice([0.0, 0.5, 1.5, 4.0], p=[0.1, 0.3, 0.4, 0.2])) * (only is None),
            twin_width=float(rng.uniform(0.02, 0.12)), bend=float(rng.uniform(0, 2.0)),
            texture=float(rng.uniform(0, 0.8)), instrument=instrument,
        )[:2]  # fmt: skip
    return _steel(rng, own, shape, instrument, only)


def _annealed_parts(rng: np.random.Generator, only: str | None = None) -> dict[str, float]:
    """Fractions; one of six maps lacks a class, one of ten has a single one."""
    parts = rng.dirichlet(np.ones(3))
    if rng.random() < 0.3:
        parts[rng.integers(3)] = 0.0
    if rng.random() < 0.1:
        parts = np.eye(3)[rng.integers(3)]
    if only is not None:
        parts = np.eye(3)[FAMILIES["recrystallised"].index(only)]
    parts = parts / parts.sum()
    return {"recrystallised": float(parts[0]), "recovered": float(parts[1])}


def _rolled(
    rng: np.random.Generator, seed: int, shape: tuple[int, int], instrument: Instrument
) -> tuple[Scan, NDArray[np.uint8]]:
    """Ferrite that was rolled and in part annealed: down to a few pixels a grain."""
    step = float(10 ** rng.uniform(-1.3, 0.3))
    size = step * float(10 ** rng.uniform(0.65, 1.9))
    scan, truth, *_ = partly_recrystallised(
        shape, seed, step, **_annealed_parts(rng), crystal="bcc", grain_size=size,
        stored=Stored.random(rng, size, step), instrument=instrument,
    )  # fmt: skip
    return scan, np.ones_like(truth)


def _strain(
    rng: np.random.Generator, shape: tuple[int, int], step: float, crystals: NDArray[np.integer]
) -> NDArray[np.float64]:
    """Turns (rows, columns, 4) of a bent lattice, more in some crystals than in others."""
    degrees, length = 10 ** rng.uniform(-0.7, 0.6), step * 10 ** rng.uniform(0.6, 1.7)
    field = np.stack([smooth_field(rng, shape, step, length) for _ in range(3)], axis=-1)
    each = rng.gamma(2.0, 0.5, int(crystals.max()) + 1)[crystals][..., None]
    turns: NDArray[np.float64] = from_rotation_vector(np.deg2rad(degrees * each * field))
    return turns


def _steel(
    rng: np.random.Generator, seed: int, shape: tuple[int, int], instrument: Instrument,
    only: str | None = None,
) -> tuple[Scan, NDArray[np.uint8]]:  # fmt: skip
    """Ferrite, martensite and bainite, measured by another instrument than the sample's own.

    One map of seven is of deformed ferrite alone; half of the others are strained.
    """
    if rng.random() < _ROLLED and only in (None, "ferrite"):
        return _rolled(rng, seed, shape, instrument)
    parts = rng.dirichlet([1.2, 1.0, 0.7])
    if rng.random() < 0.5:
        parts[2] = 0.0
    if rng.random() < 0.15:
        parts[rng.integers(2)] = 0.0
    if only is not None:
        parts = np.eye(3)[FAMILIES["martensite"].index(only)]
    parts = parts / max(parts.sum(), 1e-9) if parts.sum() else np.array([1.0, 0.0, 0.0])
    step = float(10 ** rng.uniform(-1.3, -0.4))
    sample = dual_phase_steel(
        shape, float(parts[1]), seed, step, bainite_fraction=float(parts[2]),
        austenite_grain_size=step * float(10 ** rng.uniform(1.0, 2.3)),
        widmanstaetten_share=float(rng.choice([0.0, 0.1, 0.3])),
    )  # fmt: skip
    scan, given = sample.scan, instrument
    extra = np.sqrt(max(given.noise**2 - 0.068**2, 0.0))
    q = scan.quaternions
    noise = scatter(rng, q[..., 0].size, extra).reshape(q.shape) if extra > 0 else None
    q = q if noise is None else multiply(noise, q) * scan.is_indexed[..., None]
    crystals = (
        sample.block
        + sample.ferrite_grain
        + (sample.block > 0) * (int(sample.ferrite_grain.max()) + 1)
    )
    if rng.random() < _STRAINED:
        q = multiply(_strain(rng, shape, step, crystals), q) * scan.is_indexed[..., None]
    prop = {}
    if given.name is not None:
        own = np.asarray(scan.get("BS" if rng.random() < 0.5 else "BC"), dtype=np.float64) / 255
        level = np.array([own[sample.truth == k].mean() if (sample.truth == k).any() else 0.5
                          for k in (1, 2, 3)])  # fmt: skip
        middle = float(level.mean())
        # Less or more contrast between the phases, another law between their crystals.
        contrast = rng.uniform(0.3, 1.4)
        value = own + (contrast - 1) * (level[sample.truth - 1] - middle)
        value = value + crystal_quality(rng, given, int(crystals.max()) + 1)[crystals]
        value = value + given.pixel_noise * rng.normal(size=value.shape)
        value = given.offset + given.gain * np.clip(value, 0.01, 1.6) ** given.power
        whole = given.name == "BC"
        prop[given.name] = (
            np.clip(np.rint(value), 0, 255).astype(np.uint8) if whole else value.astype(np.float32)
        )
    return dataclasses.replace(scan, quaternions=q, prop=prop), sample.truth
