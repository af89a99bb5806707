"""A simulated map of two phases that indexing cannot tell apart, with the truth beside it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._orix import prepare_orix
from napari_ebsdml._quaternions import multiply
from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.simulated.screen import Screen, circle, expose
from napari_ebsdml.patterns.simulated.synthetic import (
    project_bands,
    random_quaternions,
    small_turns,
)
from napari_ebsdml.scan import Scan

_FINE = 3
PC, SAMPLE_TILT, TILT = (0.48, 0.22, 0.55), 70.0, 5.0
"""The map's pattern centre (Bruker's convention) and tilts in degrees."""


class TwoPhaseSample(NamedTuple):
    """A simulated map and what it was made of. All arrays have the shape of the scan."""

    scan: Scan
    """As Hough indexing gives it: one cubic phase, orientations, patterns, detector."""
    truth: NDArray[np.int32]
    """Space group."""
    material: NDArray[np.uint8]
    """0 matrix, 1 precipitate."""
    grain: NDArray[np.int32]
    """Matrix grain or precipitate, from 1."""
    purity: NDArray[np.float32]
    """Share of the pixel's own crystal in its pattern; below 1 at boundaries."""


def two_phase_map(
    shape: tuple[int, int] = (69, 100),
    materials: tuple[str, str] = ("Ni", "Ni3Al"),
    fraction: float = 0.16,
    seed: int = 0,
    *,
    library: Library | None = None,
    size: int = 60,
    noise: tuple[float, float] = (0.5, 0.5),
    orientation_error: float = 0.3,
    grains: int = 8,
    radius: float = 4.0,
    coherent: bool = False,
    screen: Screen | None = None,
    circular: bool = False,
) -> TwoPhaseSample:
    """Make a map of matrix grains with precipitates; patterns overlap at their boundaries.

    The default is after the map of doi:10.1038/s41598-021-87557-5: 6900 patterns of Ni (225) with
    Ni3Al precipitates (221), which Hough indexing calls all one phase.

    Parameters
    ----------
    shape
        Rows and columns of the map.
    materials
        Matrix and precipitates, names in the library.
    fraction
        Area share of the precipitates.
    seed
        The same seed gives the same map.
    library
        Default: the one of the shipped model.
    size
        Rows and columns of the patterns.
    noise
        Of the patterns, in standard deviations of the bands.
    orientation_error
        Of the indexing, degrees per axis.
    grains
        Number of matrix grains.
    radius
        Mean radius of the precipitates in pixels of the map.
    coherent
        Precipitates have the orientation of the grain around them, as fine gamma prime has;
        else one of their own.
    screen
        One for the whole map. Default: contrast 8 %, little dust.
    circular
        Patterns with a circular mask.

    Raises
    ------
    InputError
        When an argument is out of range or the library lacks a material.
    """
    rows, columns = shape
    if min(rows, columns) < 4 or grains < 1 or not 0 <= fraction < 0.9 or size < 16 or radius <= 0:
        raise InputError(
            "A two-phase map needs 4 x 4 pixels, a grain, a fraction in 0..0.9, a positive radius "
            f"and patterns of 16 x 16; got {shape}, {grains}, {fraction}, {radius}, {size}."
        )
    library = library or Library.load()
    missing = [name for name in materials if name not in library.names]
    if missing:
        raise InputError(f"The library has no {', '.join(missing)}.")
    entry = [library.names.index(name) for name in materials]
    rng = np.random.default_rng([seed, 8])
    fine, kind, host = _regions(rng, shape, fraction, grains, radius)
    q = random_quaternions(rng, len(kind))
    if coherent:
        q = q[host]
    first, second, purity = _shares(fine, shape)
    geometry = Geometry.from_angles(PC, (size, size), SAMPLE_TILT, TILT)
    which = np.array(entry)[kind]
    screen = screen or Screen((0.08, 0.08), (1.1, 1.1), 0.15, (0.1, 0.1), (1.0, 1.0), dust=(2, 2))
    own = project_bands(library.masters, which[first], q[first], geometry)
    other = project_bands(library.masters, which[second], q[second], geometry)
    share = purity[:, None, None]
    patterns = expose(own * share + other * (1 - share), rng, noise, 0.4, screen, same=True)
    if circular:
        patterns = patterns * circle((size, size)).astype(patterns.dtype)
    measured = multiply(small_turns(rng, rows * columns, orientation_error), q[first])
    import dask.array as da

    prepare_orix()
    from orix.crystal_map import Phase, PhaseList

    scan = Scan(
        quaternions=measured.reshape(rows, columns, 4),
        phase_id=np.zeros(shape, np.int32),
        phases=PhaseList(Phase(materials[0], space_group=225)),
        step=(0.5, 0.5),
        patterns=da.from_array(
            patterns.reshape(rows, columns, size, size),
            chunks=(min(rows, 16), columns, size, size),
        ),
        camera=Camera(
            shape=(size, size),
            pc=np.array(PC),
            sample_tilt=SAMPLE_TILT,
            tilt=TILT,
            source="simulated",
        ),
    )
    material = kind[first].reshape(shape).astype(np.uint8)
    truth = library.space_groups[which[first]].reshape(shape).astype(np.int32)
    grain = (first + 1).reshape(shape).astype(np.int32)
    return TwoPhaseSample(scan, truth, material, grain, purity.reshape(shape))


def _regions(
    rng: np.random.Generator, shape: tuple[int, int], fraction: float, grains: int, radius: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Region of each point of a fine grid, kind of each region, matrix grain around each."""
    y, x = np.indices((shape[0] * _FINE, shape[1] * _FINE), dtype=float) / _FINE
    seeds = rng.uniform((0, 0), shape, (grains, 2))
    distance = (y[..., None] - seeds[:, 0]) ** 2 + (x[..., None] - seeds[:, 1]) ** 2
    matrix = distance.argmin(axis=-1)
    region = matrix.copy()
    kind, host = [0] * grains, list(range(grains))
    for _ in range(10_000):
        if (region >= grains).mean() >= fraction:
            break
        y0, x0 = rng.uniform((0, 0), shape)
        angle, longer = rng.uniform(0, np.pi), rng.uniform(1.0, 1.8)
        along = (y - y0) * np.sin(angle) + (x - x0) * np.cos(angle)
        across = (x - x0) * np.sin(angle) - (y - y0) * np.cos(angle)
        r = radius * rng.uniform(0.6, 1.4)
        inside = (along / longer) ** 2 + (across * longer) ** 2 < r**2
        if not inside.any():
            continue
        region[inside] = len(kind)
        kind.append(1)
        host.append(int(np.bincount(matrix[inside]).argmax()))
    return region, np.array(kind), np.array(host)


def _shares(
    fine: NDArray[np.intp], shape: tuple[int, int]
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """The two most frequent regions of each pixel, and the share of the first among them."""
    rows, columns = shape
    points = fine.reshape(rows, _FINE, columns, _FINE).swapaxes(1, 2).reshape(rows * columns, -1)
    counts = (points[:, :, None] == points[:, None, :]).sum(axis=2)
    at = np.arange(len(points))
    first = points[at, counts.argmax(axis=1)]
    counts = np.where(points == first[:, None], 0, counts)
    second = np.where(counts.max(axis=1) > 0, points[at, counts.argmax(axis=1)], first)
    own = (points == first[:, None]).sum(axis=1)
    rest = np.where(second == first, 0, counts.max(axis=1))
    return first, second, (own / (own + rest)).astype(np.float32)
