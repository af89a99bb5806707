"""Simulated patterns with a detector's reality, folded as measured ones would be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply, to_matrix
from napari_ebsdml.patterns.crystals.master import sample
from napari_ebsdml.patterns.frame import _kernels
from napari_ebsdml.patterns.frame.fold import fold_patterns
from napari_ebsdml.patterns.frame.folded import Folded
from napari_ebsdml.patterns.frame.geometry import Geometry, to_kikuchipy
from napari_ebsdml.patterns.frame.triangle import FINE
from napari_ebsdml.patterns.simulated.noise import FITTED, Noise
from napari_ebsdml.patterns.simulated.screen import Screen, circle, expose


@dataclass(frozen=True)
class Reality:
    """What a detector and an indexing do to a pattern; every range is drawn from anew.

    Attributes
    ----------
    sizes
        Sides of the screen in pixels.
    noise
        Smallest and largest standard deviation of the noise, in standard deviations of the bands;
        drawn evenly in its logarithm. An average over n patterns has 1 / sqrt(n) of it.
    orientation_error, tilt_error
        Standard deviation in degrees (per axis).
    centre_error
        Standard deviation of the pattern centre, parts of the detector's height.
    blur
        Largest standard deviation of the screen's blur in pixels.
    binning
        Camera pixels on each side of a pattern's pixel, to choose from.
    circular
        Share of the cameras with a circular mask.
    screen
        Background, vignetting, dust, gain, gamma, saturation ...
    """

    sizes: tuple[int, ...] = (48, 60, 60, 80)
    noise: tuple[float, float] = (0.05, 2.5)
    orientation_error: float = 0.5
    tilt_error: float = 0.7
    centre_error: float = 0.007
    blur: float = 1.0
    binning: tuple[int, ...] = (1,)
    circular: float = 0.2
    screen: Screen = field(default_factory=Screen)


CLEAN = Reality((60,), (0.3, 0.3), 0.0, 0.0, 0.0, 0.4)
"""Good patterns of 60 x 60 pixels with the right geometry."""


def random_quaternions(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    """Orientations spread evenly over all rotations, (n, 4)."""
    q = rng.normal(size=(n, 4))
    return q / np.linalg.norm(q, axis=1, keepdims=True)


def small_turns(rng: np.random.Generator, n: int, degrees: float) -> NDArray[np.float64]:
    """Quaternions of small random rotations, (n, 4)."""
    half = np.deg2rad(rng.normal(0, 1, (n, 3)) * degrees) / 2
    q = np.concatenate([np.ones((n, 1)), half], axis=1)
    return q / np.linalg.norm(q, axis=1, keepdims=True)


def random_geometry(
    rng: np.random.Generator, n: int, size: int
) -> tuple[Geometry, NDArray[np.float64]]:
    """A camera with a pattern centre for each of n patterns; also the centres (n, 3), Bruker's."""
    pc = rng.uniform((0.4, 0.1, 0.42), (0.6, 0.5, 0.75), (n, 3))
    return Geometry.from_angles(pc, (size, size), 70.0, float(rng.uniform(-4, 14))), pc


def spoil(
    images: NDArray[np.float32],
    rng: np.random.Generator,
    reality: Reality,
    binning: int = 1,
) -> NDArray[np.unsignedinteger[Any]]:
    """Put clean bands through a screen and a camera: see `screen.expose`."""
    blur = float(rng.uniform(0.0, reality.blur)) * binning
    return expose(images, rng, reality.noise, blur, reality.screen, binning)


def folded_batch(
    masters: NDArray[np.floating],
    which: NDArray[np.intp],
    seed: int | list[int],
    reality: Reality,
    threads: int = 1,
    kind: str = "known",
    noise: Noise | None = None,
) -> Folded:
    """Fold simulated patterns of random orientations and cameras.

    Parameters
    ----------
    masters : (m, nodes) array, or (m, 2, side, side) for whole spheres
    which : (n,) int array
        Master pattern of each simulated pattern.
    seed
        The same seed gives the same patterns.
    reality
    kind
        ``"known"``; or patterns that ought to be unknown: ``"noise"`` (see `noise`),
        ``"misindexed"`` (a wrong orientation), ``"overlap"`` (two crystals, two orientations).
    noise
        One of `noise.FITTED` or `noise.HELD_OUT`. Default: any of the former for each batch.

    Returns
    -------
    Folded
    """
    rng = np.random.default_rng(seed)
    n = len(which)
    size = int(rng.choice(reality.sizes))
    binning = int(rng.choice(reality.binning))
    geometry, _ = random_geometry(rng, n, size)
    true = random_quaternions(rng, n)
    fine = Geometry(geometry.bounds, geometry.to_sample, (size * binning, size * binning))
    images = project_bands(masters, which, true, fine)
    if kind == "overlap":
        order = rng.permutation(n)
        other = project_bands(masters, which[order], random_quaternions(rng, n), fine)
        images = images + other * rng.uniform(0.8, 1.25, (n, 1, 1)).astype(np.float32)
    elif kind == "noise":
        images = (noise or FITTED[str(rng.choice(list(FITTED)))])(rng, n, size * binning)
    patterns = spoil(images, rng, reality, binning)
    valid = np.ones((size, size), bool)
    if rng.random() < reality.circular:
        valid = circle((size, size))
    told = random_quaternions(rng, n) if kind == "misindexed" else true
    told = multiply(small_turns(rng, n, reality.orientation_error), told)
    dx, dy, dz = rng.normal(0, 1, 3) * reality.centre_error
    wrong = geometry.moved(dx, dy, dz).tilted(float(rng.normal(0, 1)) * reality.tilt_error)
    return fold_patterns(patterns, told, wrong, valid, threads=threads)


def folded_many(
    masters: NDArray[np.floating], which: NDArray[np.intp], seed: int, reality: Reality,
    kind: str = "known", batch: int = 64, noise: Noise | None = None,
) -> Folded:  # fmt: skip
    """As `folded_batch`, with a camera, its errors and a screen size of their own every `batch`."""
    parts = [
        folded_batch(masters, which[at : at + batch], [seed, at], reality, kind=kind, noise=noise)
        for at in range(0, len(which), batch)
    ]
    return Folded.join(parts)


def project_bands(
    masters: NDArray[np.floating], which: NDArray[np.intp], quaternions: NDArray[np.float64],
    geometry: Geometry,
) -> NDArray[np.float32]:  # fmt: skip
    """Clean intensities (n, rows, columns) of master patterns, folded ones or whole spheres.

    Parameters
    ----------
    masters : (m, nodes) array, or (m, 2, side, side) for whole spheres
    which : (n,) int array
        Master pattern of each.
    quaternions : (n, 4) array
        Specimen -> crystal as in `Scan`.
    geometry
        With one pattern centre or one per pattern.
    """
    n = len(which)
    turns = np.ascontiguousarray(to_matrix(to_kikuchipy(quaternions)) @ geometry.to_sample)
    out = np.empty((n, *geometry.shape), np.float32)
    if masters.ndim == 2:
        _kernels.project(
            np.ascontiguousarray(masters, np.float32), which.astype(np.int64), turns,
            geometry.bounds, FINE, out,
        )  # fmt: skip
        return out
    directions = geometry.directions() @ geometry.to_sample
    for k in range(n):
        rays = directions[k if len(directions) > 1 else 0] @ turns[k].T
        out[k] = sample(masters[which[k]].astype(np.float32), rays)
    return out


def batches(
    n_masters: int, per_master: int, batch: int, seed: int
) -> Iterator[tuple[int, NDArray[np.intp]]]:
    """Seeds and shuffled indices of masters, each used `per_master` times."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(np.repeat(np.arange(n_masters), per_master))
    for number, start in enumerate(range(0, len(order), batch)):
        yield number, order[start : start + batch]
