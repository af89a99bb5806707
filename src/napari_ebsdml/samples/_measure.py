"""What an instrument makes of a microstructure: pattern quality, indexing, noise, scratches."""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_ebsdml._parallel import over_rows
from napari_ebsdml._quaternions import multiply

from ._austenite import Canvas
from ._fields import scattered_points, smooth_field
from ._growth import Nuclei, grow
from ._rotations import CUBIC, from_rotation_vector, reduce_cubic, uniform

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

# Spread of the electrons that make a pattern, in um; the 70 degree tilt stretches it down the map.
_SPREAD_X, _SPREAD_Y = 0.05, 0.09


class Crystals(NamedTuple):
    """Table of the ferrite grains and martensite blocks of a map."""

    label: Ints
    """(rows, columns) row of the table."""
    orientation: Floats
    """(n, 4) specimen -> crystal."""
    quality: Floats
    """(n,) pattern quality of the undisturbed crystal, 1 for a perfect one."""
    strain: Floats
    """(n,) how strongly the lattice is bent, 1 for usual martensite."""


class Measured(NamedTuple):
    """Maps as they come from the instrument."""

    quaternions: Floats
    is_indexed: NDArray[np.bool_]
    prop: dict[str, NDArray[np.generic]]


def measure(
    rng: np.random.Generator,
    canvas: Canvas,
    crystals: Crystals,
    is_martensite: NDArray[np.bool_],
    lath: Floats,
    fading: Floats,
) -> Measured:
    """Add lattice bending, pattern overlap, scratches and noise; then index."""
    shape, step = canvas.x.shape, canvas.step
    bending, stress = _lattice_bending(rng, canvas, crystals, is_martensite)
    bending += lath
    quality, purity = _quality(rng, canvas, crystals, stress, is_martensite)
    damage, marks = _damage(rng, canvas, crystals.label, is_martensite)
    quality *= damage * (1 - fading)

    # Orientation precision gets worse as the bands fade.
    error = 0.068 + 0.35 * np.clip(0.82 - quality, 0.0, None) ** 1.3
    error = error * rng.lognormal(0.0, 0.15, shape)
    bending += error[..., None] * rng.normal(size=(*shape, 3))
    quaternions = multiply(
        crystals.orientation[crystals.label], from_rotation_vector(np.deg2rad(bending))
    )

    common = rng.normal(size=shape)
    detector = 1 + 0.015 * smooth_field(rng, shape, step, 40.0)
    # BC averages the height of the bands, BS the sharpness of their edges: BS reacts more to
    # lattice distortion, and less to the brightness of the surface.
    bc = quality * detector * 0.74 + marks + 0.040 * (0.6 * common + 0.8 * rng.normal(size=shape))
    bs = 1.12 * quality**1.25 * 0.80 + 0.6 * marks
    bs += 0.046 * (0.5 * common + 0.8 * rng.normal(size=shape))

    # The chance to find a solution falls steeply where bands are faint, or of two crystals.
    seen = quality - 0.17 * (1 - purity) + 0.045 * rng.normal(size=shape)
    seen += 0.030 * smooth_field(rng, shape, step, 0.35)
    is_indexed = seen > 0.405
    wrong = is_indexed & (rng.random(shape) < 0.10 * np.exp(-np.clip(seen - 0.405, 0, None) / 0.03))
    quaternions[wrong] = uniform(rng, int(wrong.sum()))
    flat = quaternions.reshape(-1, 4)
    reduce_cubic(flat, CUBIC)
    quaternions = flat.reshape(quaternions.shape)
    quaternions[~is_indexed] = 0.0

    mad = 0.34 + 0.55 * np.clip(0.95 - quality, 0.0, None) ** 1.2 + 0.6 * wrong
    mad = np.clip(mad * rng.lognormal(0.0, 0.2, shape), 0.05, 1.8)
    bands = np.clip(np.rint(4.6 + 6.4 * quality + 0.7 * rng.normal(size=shape)), 5, 11)
    prop: dict[str, NDArray[np.generic]] = {
        "BC": np.clip(np.rint(255 * bc), 0, 255).astype(np.uint8),
        "BS": np.clip(np.rint(255 * bs), 0, 255).astype(np.uint8),
        "MAD": np.where(is_indexed, np.round(mad, 4), 0.0).astype(np.float32),
        "Bands": np.where(is_indexed, bands, 0).astype(np.uint8),
        "Error": np.where(is_indexed, 0, 3).astype(np.uint8),  # CHANNEL5: 3 is "no solution"
    }
    return Measured(quaternions, is_indexed, prop)


def _lattice_bending(
    rng: np.random.Generator,
    canvas: Canvas,
    crystals: Crystals,
    is_martensite: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """Rotation vectors of bent lattices in degrees, and the stress of the transformation near by.

    The volume change of martensite bends the ferrite round it (Calcagnotto et al.,
    Mater. Sci. Eng. A 527 (2010) 2738, doi:10.1016/j.msea.2010.01.004).
    """
    shape, step, s = canvas.x.shape, canvas.step, canvas.scale
    if is_martensite.any():
        distance = ndimage.distance_transform_edt(~is_martensite) * step
        stress = np.exp(-distance / 0.7)
    else:
        stress = np.zeros(shape)
    strain = crystals.strain[crystals.label]

    def rotations(length: float) -> Floats:
        return np.stack([smooth_field(rng, shape, step, length) for _ in range(3)], axis=-1)

    long, short = rotations(7.0 * s**0.5), rotations(1.4)
    in_ferrite = 0.7 * long + (0.06 + 0.30 * stress)[..., None] * short
    in_ferrite += _subgrains(rng, canvas, crystals.label)
    in_martensite = 0.8 * long + 0.65 * short + 0.22 * rotations(0.5)
    bending = np.where(is_martensite[..., None], in_martensite, in_ferrite)
    return bending * strain[..., None], stress


def _subgrains(rng: np.random.Generator, canvas: Canvas, label: Ints) -> Floats:
    """Rotations of subgrains in degrees, a few tenths: recovered dislocations in low walls."""
    size = 3.5 * canvas.scale**0.5
    width, height = canvas.size
    low, high = np.array([-size, -size, -size]), np.array([width + size, height + size, size])
    # Four independent sets, dealt out to the grains: a wall seldom runs on into the next grain.
    sets = [scattered_points(rng, low, high, size) for _ in range(4)]
    points = np.concatenate(sets)
    n = len(points)
    nuclei = Nuclei(
        points,
        np.broadcast_to(np.eye(3), (n, 3, 3)).copy(),
        size * rng.uniform(0.0, 0.3, n),
        np.repeat(np.arange(4, dtype=np.int32), [len(part) for part in sets]),
    )
    owner, _ = grow(canvas.bent_x, canvas.bent_y, (label % 4).astype(np.int32), nuclei)
    return (rng.gamma(1.0, 0.12, (n, 1)) * rng.normal(size=(n, 3)))[owner]


def _quality(
    rng: np.random.Generator,
    canvas: Canvas,
    crystals: Crystals,
    stress: Floats,
    is_martensite: NDArray[np.bool_],
) -> tuple[Floats, Floats]:
    """Pattern quality, and the part of the signal from the pixel's own crystal."""
    shape, step = canvas.x.shape, canvas.step
    quality = crystals.quality[crystals.label]
    dislocations = smooth_field(rng, shape, step, 1.2)
    quality *= (
        1
        - np.where(is_martensite, 0.055, 0.012) * dislocations
        - np.where(is_martensite, 0.0, 0.10 * stress)
    )
    # Steps wide against the spread: few points lie close to a boundary, and which ones do is
    # decided below the pixel, by chance.
    wide = max(1.0, step / 0.1)
    purity = _purity(
        crystals.label, crystals.orientation, _SPREAD_X * wide / step, _SPREAD_Y * wide / step
    )
    if wide > 1:
        purity[rng.random(shape) > 1 / wide] = 1.0
    return quality * (0.28 + 0.72 * purity), purity


def _purity(label: Ints, orientation: Floats, spread_x: float, spread_y: float) -> Floats:
    """Part of the signal at each pixel that comes from the pixel's own crystal."""
    purity = np.empty(label.shape)
    over_rows(
        lambda first, end: _purity_rows(label, orientation, spread_x, spread_y, first, end, purity),
        label.shape,
    )
    return purity


@nb.njit(cache=True, nogil=True)
def _purity_rows(
    label: Ints,
    orientation: Floats,
    spread_x: float,
    spread_y: float,
    first: int,
    end: int,
    purity: Floats,
) -> None:
    rows, columns = label.shape
    ry, rx = min(12, int(np.ceil(2.5 * spread_y))), min(12, int(np.ceil(2.5 * spread_x)))
    same_lattice = np.cos(np.deg2rad(4.0) / 2)
    for r in range(first, end):
        for c in range(columns):
            own, total, me = 0.0, 0.0, label[r, c]
            for i in range(max(0, r - ry), min(rows, r + ry + 1)):
                for j in range(max(0, c - rx), min(columns, c + rx + 1)):
                    u = (i - r) / spread_y
                    v = (j - c) / spread_x
                    weight = np.exp(-0.5 * (u * u + v * v))
                    total += weight
                    other = label[i, j]
                    if other == me:
                        own += weight
                    else:
                        a, b = orientation[me], orientation[other]
                        # Nearly the same lattice: the two patterns are one.
                        if (
                            abs(a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3])
                            > same_lattice
                        ):
                            own += weight
            purity[r, c] = own / total


def _damage(
    rng: np.random.Generator, canvas: Canvas, label: Ints, is_martensite: NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Traces of preparation: factor on the quality, and brightness added to BC."""
    shape, step = canvas.x.shape, canvas.step
    width, height = canvas.size
    factor, marks = np.ones(shape), np.zeros(shape)
    length = float(np.hypot(width, height))
    # About one bundle of scratches and a few single ones on 100 um x 100 um.
    bundle = rng.uniform(0, np.pi)
    for _ in range(int(rng.poisson(0.035 * length))):
        angle = bundle + rng.normal(0, 0.05) if rng.random() < 0.5 else rng.uniform(0, np.pi)
        px, py = rng.uniform(0, width), rng.uniform(0, height)
        dx, dy = canvas.x - px, canvas.y - py
        along = dx * np.cos(angle) + dy * np.sin(angle)
        across = dy * np.cos(angle) - dx * np.sin(angle) + rng.normal(0, 3e-4) * along**2
        begin, end = np.sort(rng.uniform(-0.6, 0.6, 2) * length)
        half = rng.lognormal(np.log(0.11), 0.3)
        profile = np.exp(-0.5 * (across / half) ** 2)
        profile *= 1 / (1 + np.exp(-(along - begin))) / (1 + np.exp(along - end))
        patchy = 0.65 + 0.35 * np.tanh(2 * np.sin(along / rng.uniform(2, 5) + rng.uniform(0, 6)))
        factor *= 1 - rng.uniform(0.15, 0.5) * profile * patchy
    # Grains that polishing left rough.
    ferrite = np.unique(label[~is_martensite])
    for grain in rng.choice(ferrite, size=min(len(ferrite), int(rng.poisson(1.2))), replace=False):
        at = label == grain
        rough = np.clip(smooth_field(rng, shape, step, 0.5) - 0.2, 0, None)
        factor[at] *= 1 - 0.16 * np.clip(rough[at], 0, 2.5)
    # Particles of the polishing suspension and pits.
    n = int(rng.poisson(0.004 * width * height))
    for px, py, size in zip(
        rng.uniform(0, width, n),
        rng.uniform(0, height, n),
        rng.lognormal(-1.7, 0.4, n),
        strict=True,
    ):
        rows = slice(max(0, int((py - 4 * size) / step)), int((py + 4 * size) / step) + 2)
        columns = slice(max(0, int((px - 4 * size) / step)), int((px + 4 * size) / step) + 2)
        dx, dy = canvas.x[rows, columns] - px, canvas.y[rows, columns] - py
        spot = np.exp(-((np.hypot(dx, dy) / size) ** 4))
        factor[rows, columns] *= 1 - 0.7 * spot
        marks[rows, columns] -= 0.03 * spot
    return factor, marks
