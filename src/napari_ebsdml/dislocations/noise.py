"""How well orientations are known, and which dislocation density that hides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress
from napari_ebsdml.dislocations.curvature import _usable, curvature_and_gain, rotation_vector
from napari_ebsdml.dislocations.denoise import Denoise, checked_grid, denoise_orientations
from napari_ebsdml.dislocations.fit import fit_slip_systems
from napari_ebsdml.dislocations.slip_systems import SlipSystems
from napari_ebsdml.errors import MissingDataError
from napari_ebsdml.maps.symmetry import laue_operators, safe_cosine

CHI_MEDIAN = 1.5381722544550523
"""Median length of a vector of three independent standard normal numbers."""
TRIMMED_SQUARE = 2.391598177163662
"""Mean square of the shortest 90 % of such vectors."""
SAME = 1e-6
"""Second differences below this many radians are rounding: the orientations are equal."""
RESOLUTION = 1e-3
"""Degrees that orientations in files resolve at best; smaller noise is no measured noise."""
COPIES_TOLD = 0.05
"""From this part of neighbours with the same orientation on, it is told that a file was cleaned."""
DRAWS = 4096
SAMPLES = 1 << 20


@dataclass(frozen=True)
class NoiseLevel:
    """Density that orientation noise alone pretends, per unit of curvature noise.

    Attributes
    ----------
    median, high
        Median and 95 % quantile of the total density in 1/m^2 when every known curvature
        component is noise of standard deviation 1 rad/um.
    """

    median: float
    high: float


def orientation_noise(
    quaternions: NDArray[Any], grain_ids: NDArray[Any], point_group: Any = "m-3m"
) -> float:
    """Orientation noise of a map in degrees.

    From second differences inside grains, left + right neighbour against the pixel and upper +
    lower: a uniform lattice curvature drops out of them, and their median length ignores the few
    that cross a subgrain boundary.

    Parameters
    ----------
    quaternions : (rows, columns, 4) array
        Crystal -> specimen.
    grain_ids : (rows, columns) int array
        0 for none.
    point_group
        What `laue_operators` takes.

    Returns
    -------
    float
        Standard deviation of the error about each axis, taken as the same for the three axes and
        independent from pixel to pixel; sqrt(3) of it is the root mean square angle. NaN where
        no three pixels in a row lie in one grain.
    """
    q, grains = checked_grid(quaternions, grain_ids)
    operators = np.array(laue_operators(point_group), dtype=np.float64)
    stride = max(1, int(np.ceil(2 * grains.size / SAMPLES)))
    lengths = np.empty(2 * grains.shape[0] * (grains.shape[1] // stride + 2))
    count = _second_differences(q, grains, operators, safe_cosine(operators), stride, lengths)
    if count == 0:
        return float("nan")
    lengths = lengths[:count]
    if np.mean(lengths < SAME) < 0.3:
        typical = np.median(lengths) / CHI_MEDIAN
    else:
        # Orientations in steps (a dictionary, a coarse Hough space): the median may be zero.
        lengths = np.partition(lengths, int(0.9 * (count - 1)))[: max(int(0.9 * count), 1)]
        typical = np.sqrt(np.mean(lengths**2) / TRIMMED_SQUARE)
    # Each second difference holds e1 + e2 - 2 e0: variance 6 sigma^2 about each axis.
    return float(np.degrees(typical / np.sqrt(6.0)))


@njit(cache=True, nogil=True)
def _second_differences(q, grain_ids, operators, limit, stride, lengths):  # type: ignore[no-untyped-def]
    rows, columns = grain_ids.shape
    first = np.empty(3)
    second = np.empty(3)
    count = 0
    for r in range(rows):
        # A shifted start per row keeps the sample from falling on the same columns.
        for c in range((r * 7) % stride, columns, stride):
            if not _usable(q, grain_ids, r, c):
                continue
            for vertical in range(2):
                dr, dc = (1, 0) if vertical else (0, 1)
                if r - dr < 0 or c - dc < 0 or r + dr >= rows or c + dc >= columns:
                    continue
                if (
                    grain_ids[r - dr, c - dc] != grain_ids[r, c]
                    or grain_ids[r + dr, c + dc] != grain_ids[r, c]
                    or not _usable(q, grain_ids, r - dr, c - dc)
                    or not _usable(q, grain_ids, r + dr, c + dc)
                ):
                    continue
                rotation_vector(q[r, c], q[r - dr, c - dc], operators, limit, first)
                rotation_vector(q[r, c], q[r + dr, c + dc], operators, limit, second)
                length = 0.0
                for k in range(3):
                    length += (first[k] + second[k]) ** 2
                lengths[count] = np.sqrt(length)
                count += 1
    return count


def identical_part(
    quaternions: NDArray[Any], grain_ids: NDArray[Any], point_group: Any = "m-3m"
) -> float:
    """Part of the pairs of neighbours in a grain whose orientations are the same.

    Measured orientations are practically never the same to all digits. Where some are, noise
    reduction has copied them from pixel to pixel; where most are, they come from a list.

    Parameters
    ----------
    quaternions : (rows, columns, 4) array
        Crystal -> specimen.
    grain_ids : (rows, columns) int array
        0 for none.
    point_group
        What `laue_operators` takes.

    Returns
    -------
    float
        0 to 1; NaN without such pairs.
    """
    q, grains = checked_grid(quaternions, grain_ids)
    operators = np.array(laue_operators(point_group), dtype=np.float64)
    pairs, same = _identical_pairs(q, grains, operators, safe_cosine(operators))
    return same / pairs if pairs else float("nan")


@njit(cache=True, nogil=True)
def _identical_pairs(q, grain_ids, operators, limit):  # type: ignore[no-untyped-def]
    rows, columns = grain_ids.shape
    vector = np.empty(3)
    pairs = same = 0
    for r in range(rows):
        for c in range(columns):
            for j, i in ((r, c + 1), (r + 1, c)):
                if j >= rows or i >= columns or grain_ids[j, i] != grain_ids[r, c]:
                    continue
                if _usable(q, grain_ids, r, c) and _usable(q, grain_ids, j, i):
                    rotation_vector(q[r, c], q[j, i], operators, limit, vector)
                    pairs += 1
                    same += vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2 < SAME * SAME
    return pairs, same


def noise_level(
    systems: SlipSystems, quaternions: NDArray[Any], norm: str = "l1", seed: int = 0
) -> NoiseLevel:
    """Fit of the slip systems to curvature that is nothing but noise.

    Parameters
    ----------
    systems
        Slip systems in use.
    quaternions : (n, 4) array
        Orientations (crystal -> specimen) of the pixels, at least one; the noise fit uses some.
    norm
        As in `fit_slip_systems`.
    seed
        Of the random numbers.
    """
    turns = np.asarray(quaternions, dtype=np.float64).reshape(-1, 4)
    turns = turns[np.isfinite(turns).all(axis=1) & (np.abs(turns).max(axis=1, initial=0) > 0.1)]
    if not len(turns):
        raise MissingDataError("A noise level needs at least one orientation.")
    random = np.random.default_rng(seed)
    turns = turns[random.integers(len(turns), size=DRAWS)]
    curvature = random.standard_normal((DRAWS, 3, 3))
    curvature[:, :, 2] = np.nan
    total = fit_slip_systems(curvature, turns, systems, norm, keep_per_system=False).total
    median, high = np.quantile(total, (0.5, 0.95))
    return NoiseLevel(float(median), float(high))


def remaining_noise(
    settings: Denoise,
    stencil: str,
    sigma: float,
    grain_ids: NDArray[Any],
    seed: int = 0,
    progress: Progress = None,
) -> NDArray[np.float64]:
    """Curvature noise after denoising as a share of that before, in every pixel.

    Measured on pure noise in the map's own grains (the middle of large maps): the filter is not
    linear, the errors of neighbouring pixels are no longer independent after it, and it has less
    to average near boundaries. The share is tabulated by how many pixels of the grain lie within
    `settings.radius` + 1.

    Parameters
    ----------
    settings, stencil
        In use.
    sigma
        Orientation noise in degrees.
    grain_ids : (rows, columns) int array
        0 for none.
    seed
        Of the random numbers.
    progress
        Called with the fraction done; what it raises ends the measurement.

    Returns
    -------
    (rows, columns) array
        1 without noise.
    """
    labels = np.ascontiguousarray(grain_ids).astype(np.int64)
    if not sigma > 0:
        return np.ones(labels.shape)
    window = labels[tuple(slice(max(0, n // 2 - 128), n // 2 + 128) for n in labels.shape)]
    window = np.ascontiguousarray(window)
    random = np.random.default_rng(seed)
    scale = sigma if settings.sigma is None else settings.sigma
    reach = settings.radius + 1
    most = (2 * reach + 1) ** 2
    counts = _same_grain(window, reach)
    number, summed = np.zeros(most + 1), np.zeros(most + 1)
    rounds = min(64, -(-(1 << 16) // window.size))
    for turn in range(rounds):
        half = np.radians(sigma) / 2 * random.standard_normal((*window.shape, 3))
        q = np.concatenate((np.ones((*window.shape, 1)), half), axis=2)
        q /= np.linalg.norm(q, axis=2, keepdims=True)
        smooth = denoise_orientations(q, window, scale, settings.radius, settings.passes, "1")
        kappa, gain = curvature_and_gain(smooth, window, (1.0, 1.0), stencil, laue_operators("1"))
        known = np.isfinite(gain)
        if not known.any():
            return np.ones(labels.shape)
        share = np.mean(kappa[known][:, :, :2] ** 2, axis=(1, 2))
        share /= (np.radians(sigma) * gain[known]) ** 2
        number += np.bincount(counts[known], minlength=most + 1)
        summed += np.bincount(counts[known], share, minlength=most + 1)
        if progress is not None:
            progress((turn + 1) / rounds)
    # A count that hardly occurs borrows from those close to it.
    at = np.arange(most + 1)
    weight = np.exp(-np.abs(at[:, None] - at) / 1.0) / (1 + number[:, None]) + np.eye(most + 1)
    table = np.sqrt((weight @ summed) / (weight @ number))
    return np.asarray(table[_same_grain(labels, reach)])


@njit(cache=True, nogil=True)
def _same_grain(grain_ids, reach):  # type: ignore[no-untyped-def]
    """How many pixels of its own grain each pixel has in a square window, itself included."""
    rows, columns = grain_ids.shape
    out = np.zeros((rows, columns), dtype=np.int64)
    for r in range(rows):
        for c in range(columns):
            if grain_ids[r, c] > 0:
                for j in range(max(r - reach, 0), min(r + reach + 1, rows)):
                    for i in range(max(c - reach, 0), min(c + reach + 1, columns)):
                        out[r, c] += grain_ids[j, i] == grain_ids[r, c]
    return out


def noise_sentence(
    sigma: float, step: tuple[float, float], floor: float, identical: float = 0.0
) -> str:
    """One sentence for people on what the noise of a map hides.

    Parameters
    ----------
    sigma
        Orientation noise in degrees.
    step
        (dy, dx) in um.
    floor
        Density in 1/m^2 below which nothing can be seen.
    identical
        From `identical_part`.
    """
    dy, dx = step
    size = f"{dx:.3g} um" if abs(dy - dx) < 1e-3 * dx else f"{dy:.3g} x {dx:.3g} um"
    if not (np.isfinite(sigma) and np.isfinite(floor)):
        return "The orientation noise could not be measured: no three pixels in a row in one grain."
    if sigma < RESOLUTION:
        return (
            "No orientation noise can be measured: most neighbouring pixels have the same "
            "orientation (indexed from a list of orientations, or filtered before)."
        )
    text = f"Orientation noise of {sigma:.2g} deg at {size} hides anything below {floor:.1g} 1/m^2."
    if identical >= COPIES_TOLD:
        text += (
            f" {100 * identical:.0f} % of the neighbouring pixels have the same orientation, "
            "copied by noise reduction before: gradients are falsely zero there."
        )
    return text
