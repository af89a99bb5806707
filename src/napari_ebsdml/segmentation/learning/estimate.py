"""How long a training will take, told before it begins. Light: no torch here."""

from __future__ import annotations

import math
from collections.abc import Sequence

from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation.settings import (
    TrainingSettings,
    UNetSettings,
    depth_for,
    members_for,
)

RATE = 3.3e10
"""Multiplications and additions a second of one thread, until a training has told better."""

_START_S = 2.0
"""Loading torch, dealing the strokes out, fitting the discriminant."""
_CHANNELS_S = 4e-6
"""A pixel: computing the channels."""
_FORWARD_AND_BACK = 3
_SMALL_MAP = 100_000
"""Maps below this are judged whole after each epoch."""


def per_pixel(network: UNetSettings, planes: int, classes: int) -> float:
    """Multiplications of a network for one pixel of a map.

    Parameters
    ----------
    network
    planes
        Number of input planes.
    classes
    """
    sizes = [
        min(network.filters << level, network.most_filters) for level in range(network.depth + 1)
    ]
    inputs = planes + (classes if network.linear else 0)
    total = 0.0
    for level, size in enumerate(sizes):
        before = inputs if level == 0 else sizes[level - 1]
        total += 9 * (before * size + size * size) / 4**level
        if level < network.depth:
            total += 9 * ((sizes[level + 1] + size) * size + size * size) / 4**level
    return total + sizes[0] * classes


def training_work(
    shapes: Sequence[tuple[int, int]],
    planes: int,
    classes: int,
    settings: TrainingSettings | None = None,
    regions: int = 20,
    dense: bool = False,
    preview_every: int = 2,
) -> float:
    """Multiplications of a whole training with its previews and its final maps.

    Parameters
    ----------
    shapes
        Rows and columns of each map.
    planes
        Number of input planes.
    classes
    settings
    regions
        Number of separately painted grains or strokes: the depth of the network follows it.
    dense
        Whether more than a fifth of the pixels is painted.
    preview_every
        Epochs between two previews; 0: none.

    Raises
    ------
    InputError
        Without a map.
    """
    if not shapes:
        raise InputError("To say how long a training takes it needs at least one map.")
    settings = settings or TrainingSettings()
    if not settings.epochs:
        return 0.0
    pixels = sum(rows * columns for rows, columns in shapes)
    network = settings.network or UNetSettings(
        depth=depth_for(regions), members=members_for(pixels, dense)
    )
    # As `crops.Crops` sizes them.
    width = max(min(shape) for shape in shapes)
    crop = min(settings.crop, max(-(-width // 8) * 8, 8))
    batch = settings.batch * min(round((settings.crop / crop) ** 2), 4)
    if network.members > 1:
        batch = max(-(-2 * batch // network.members), 2) * network.members
    learned = _FORWARD_AND_BACK * settings.steps * batch * crop**2
    small = sum(r * c for r, c in shapes if r * c <= _SMALL_MAP)
    shown = shapes[0][0] * shapes[0][1] / preview_every if preview_every else 0.0
    looked_at = network.members * (small + shown)
    each = per_pixel(network, planes, classes)
    return each * (settings.epochs * (learned + looked_at) + network.members * pixels)


def expected_seconds(work: float, pixels: int, rate: float = RATE, limit: float = 0.0) -> float:
    """Seconds that a training takes when it does not stop early.

    Parameters
    ----------
    work
        Of `training_work`.
    pixels
        In all maps.
    rate
        Of `rate_from`, or the default.
    limit
        Time limit in seconds; 0: none.
    """
    seconds = _START_S + _CHANNELS_S * pixels + work / rate
    return min(seconds, limit + _START_S) if limit else seconds


def rate_from(work: float, pixels: int, seconds: float) -> float:
    """Rate of this machine, from a training of all its epochs; NaN where it tells nothing."""
    left = seconds - _START_S - _CHANNELS_S * pixels
    return work / left if work > 0 and left > 1 else math.nan


def in_words(seconds: float) -> str:
    """A time that is not known better than by a third: "about 40 s", "about 3 min"."""
    if seconds < 60:
        step = 5 if seconds < 30 else 10
        return f"about {max(step, step * round(seconds / step))} s"
    if seconds < 5400:
        return f"about {max(1, round(seconds / 60))} min"
    return f"about {seconds / 3600:.1f} h"
