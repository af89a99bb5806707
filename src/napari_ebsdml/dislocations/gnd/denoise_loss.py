"""What denoising takes from a map: a known signal is added to it and looked for afterwards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.dislocations.gnd.denoise import denoise_points
from napari_ebsdml.dislocations.gnd.grid import Grid
from napari_ebsdml.dislocations.gnd.grid_curvature import grid_curvature
from napari_ebsdml.dislocations.gnd.noise import OrientationNoise
from napari_ebsdml.dislocations.gnd.structure_function import LagProfile, mean_profile
from napari_ebsdml.dislocations.settings import Denoise

FLOATS = NDArray[np.float64]

SMALLEST = 0.1
"""Least variance of the test signal's second differences, as a part of the noise's."""
GROWTH = (0.3, 4.0)
"""Powers of the distance that second differences of a random field can grow with."""


@dataclass(frozen=True)
class DenoiseLoss:
    """What a filter passes of the curvature of one phase.

    Attributes
    ----------
    signal
        Part of the curvature of a test signal that grows with distance as the map's own lattice
        rotations do.
    noise
        Part of the curvature of independent orientation errors (root mean square).
    """

    signal: float
    noise: float

    @property
    def sentence(self) -> str:
        """Both parts, for people."""
        return (
            f"Denoising leaves {100 * self.signal:.0f} % of the lattice's curvature (a known "
            f"signal was added to the map and recovered) and {100 * self.noise:.0f} % of the "
            "noise's; averages are taken without it."
        )


def signal_left(
    settings: Denoise,
    stencil: str,
    noise: OrientationNoise,
    grid: Grid,
    quaternions: FLOATS,
    labels: NDArray[np.int64],
    operators: FLOATS,
    seed: int = 0,
    progress: Progress = None,
) -> float:
    """Part of a test signal's curvature that a filter leaves in a map.

    The filter is not linear, and adapts to the map: it runs over the map (the middle of large ones)
    with and without a random field of rotations, whose size and growth with distance are those of
    the map's own second differences without the noise. The difference of the two curvatures is
    compared with that of the field.

    Parameters
    ----------
    settings, stencil
        In use.
    noise
        Orientation noise of the phase.
    grid, quaternions, labels, operators
        As `denoise_points` takes them.
    seed
        Of the field.
    progress
        Called with the fraction done.

    Returns
    -------
    float
        NaN where no point has a curvature, or the noise is not known.
    """
    scale = noise.sigma if settings.sigma is None else settings.sigma
    if not np.isfinite(scale) or noise.differences is None:
        return float("nan")
    window, points = grid.middle(256)
    q, grains = quaternions[points], np.asarray(labels)[points].astype(np.int64)
    growth, square = _lattice(mean_profile(noise.differences), np.radians(noise.rms) ** 2)
    field = random_field(window, growth, square, seed)[window.index >= 0]
    order = window.index[window.index >= 0]
    turns = np.empty_like(field)
    turns[order] = field
    known = np.abs(q).max(axis=1) > 0
    tested = q.copy()
    tested[known] = (
        Rotation.from_rotvec(turns[known]) * Rotation.from_quat(q[known], scalar_first=True)
    ).as_quat(scalar_first=True)
    kappas = []
    for number, one in enumerate((q, tested)):
        report = part_of(progress, number / 2, (number + 1) / 2)
        smooth = denoise_points(window, one, grains, scale, settings, operators, report)
        kappas.append(grid_curvature(window, smooth, grains, stencil, operators)[0][:, :, :2])
    before, after = (
        grid_curvature(window, one, grains, stencil, operators)[0][:, :, :2] for one in (q, tested)
    )
    signal, left = after - before, kappas[1] - kappas[0]
    both = np.isfinite(signal) & np.isfinite(left)
    whole = float((signal[both] ** 2).sum())
    return float((left[both] * signal[both]).sum() / whole) if whole > 0 else float("nan")


def _lattice(profile: LagProfile, noise_variance: float) -> tuple[float, float]:
    """Growth of the lattice's second differences with distance, and their square over two steps.

    In rad^2 about each axis. Two steps and more: there errors that go together matter least.
    """
    lags, values = profile.lags, profile.values - noise_variance
    least = SMALLEST * max(noise_variance, 1e-16)
    far = (lags >= 2) & (values > least)
    if far.sum() < 2:
        return 2.0, least
    x, y = np.log(lags[far]), np.log(values[far])
    growth = float(np.clip(np.polyfit(x, y, 1)[0], *GROWTH))
    return growth, float(np.exp(np.mean(y - growth * (x - np.log(2)))))


def random_field(grid: Grid, growth: float, square: float, seed: int = 0) -> FLOATS:
    """Rotation vectors (rows, columns, 3) in radians on the nodes of a grid.

    Their second differences over h steps have a mean square about each axis, over 6 as for
    independent errors, of ``square`` at two steps, which grows as ``h**growth``.
    """
    shape = tuple(2 * n for n in grid.index.shape)  # no period within the map
    along = [np.fft.fftfreq(n, size / grid.step) for n, size in zip(shape, grid.cell, strict=True)]
    k = np.hypot(along[0][:, None], along[1])
    k[0, 0] = np.inf
    white = np.random.default_rng(seed).standard_normal((3, *shape))
    spectrum = np.fft.fft2(white) * k ** (-(growth + 2) / 2)
    rows, columns = grid.index.shape
    field = np.moveaxis(np.fft.ifft2(spectrum).real[:, :rows, :columns], 0, -1)
    found = []
    for axis, stride in enumerate(grid.strides):
        line = np.moveaxis(field, axis, 0)
        n = 2 * stride if line.shape[0] > 4 * stride else 1
        if line.shape[0] > 2 * n:
            found.append(np.mean((line[: -2 * n] - 2 * line[n:-n] + line[2 * n :]) ** 2) / 6)
    size = float(np.mean(found)) if found else float(field.var())
    return np.asarray(field * np.sqrt(square / size) if size > 0 else field)
