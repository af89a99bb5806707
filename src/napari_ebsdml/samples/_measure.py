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
# Steps wide against this, in um, see an overlap in some points only.
_FINE_STEP = 0.1

# No source is recorded for the single figures below: taken as chosen by eye. What they give
# together, after hal-03450484, `tests/samples/test_dual_phase.py` holds: KAM of ferrite and
# martensite, the part not indexed, and how well thresholds on BC and BS tell the phases apart, by
# pixel and by grain. Quality is 1 for a perfect crystal.

# Orientation error in degrees: its floor, and its growth as quality falls below a limit.
_ERROR, _ERROR_GROWTH, _ERROR_LIMIT, _ERROR_POWER = 0.068, 0.35, 0.82, 1.3
_ERROR_SPREAD = 0.15
# Sensitivity of the detector: variation, and its length in um.
_DETECTOR, _DETECTOR_LENGTH = 0.015, 40.0
# BC and BS as parts of 255; noise of both, shares of what they have in common and of their own.
_BC_GAIN, _BC_NOISE, _BC_COMMON = 0.74, 0.040, 0.6
_BS_SCALE, _BS_POWER, _BS_GAIN, _BS_NOISE, _BS_COMMON = 1.12, 1.25, 0.80, 0.046, 0.5
_OWN_NOISE = 0.8
_BS_MARKS = 0.6
# Indexing: what overlap and chance take from quality, and the least that is solved.
_OVERLAP, _LUCK, _LUCK_FIELD, _LUCK_LENGTH = 0.17, 0.045, 0.030, 0.35
_SOLVED = 0.405
# Part of wrong solutions at that limit, and how fast it falls above.
_WRONG, _WRONG_RANGE = 0.10, 0.03
# MAD in degrees, and the number of bands found (5 to 11), of a quality.
_MAD, _MAD_GROWTH, _MAD_LIMIT, _MAD_POWER, _MAD_WRONG = 0.34, 0.55, 0.95, 1.2, 0.6
_MAD_SPREAD, _MAD_RANGE = 0.2, (0.05, 1.8)
_BANDS, _BANDS_GROWTH, _BANDS_NOISE, _BANDS_RANGE = 4.6, 6.4, 0.7, (5, 11)

# Reach of the stress of the transformation in um.
_STRESS_REACH = 0.7
# Lengths in um over which lattices bend, and by how many degrees.
_LONG, _SHORT, _SHORTEST = 7.0, 1.4, 0.5
_FERRITE_LONG, _FERRITE_SHORT, _FERRITE_STRESSED = 0.7, 0.06, 0.30
_MARTENSITE_LONG, _MARTENSITE_SHORT, _MARTENSITE_SHORTEST = 0.8, 0.65, 0.22
# Subgrains: size in um, spread of their starts, mean turn in degrees.
_SUBGRAIN, _SUBGRAIN_START, _SUBGRAIN_TURN = 3.5, 0.3, 0.12

# What dislocations (over a length in um) and stress take from the quality.
_DISLOCATIONS_LENGTH, _DISLOCATIONS_MARTENSITE, _DISLOCATIONS_FERRITE = 1.2, 0.055, 0.012
_STRESS_LOSS = 0.10
# Quality left where all of the signal comes from other crystals.
_IMPURE = 0.28
# Lattices closer than this, in degrees, give one pattern.
_SAME_LATTICE = 4.0

# Preparation, by eye. Scratches: number for each um of the map's diagonal, part that lies in one
# bundle and its spread, bow, half width in um, depth, and where the depth comes and goes.
_SCRATCHES, _BUNDLED, _BUNDLE_SPREAD, _BOW = 0.035, 0.5, 0.05, 3e-4
_SCRATCH_REACH, _SCRATCH_WIDTH, _SCRATCH_WIDTH_SPREAD = 0.6, 0.11, 0.3
_SCRATCH_DEPTH, _PATCH_MEAN, _PATCH_SPAN = (0.15, 0.5), 0.65, 0.35
# Grains left rough: how many, length in um, what stays smooth, depth, deepest.
_ROUGH_GRAINS, _ROUGH_LENGTH, _ROUGH_FLOOR, _ROUGH_DEPTH, _ROUGHEST = 1.2, 0.5, 0.2, 0.16, 2.5
# Particles and pits: number for each um^2, logarithm of the radius in um, loss, darkness.
_DIRT, _DIRT_SIZE, _DIRT_SPREAD, _DIRT_LOSS, _DIRT_MARK = 0.004, -1.7, 0.4, 0.7, 0.03


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
    error = _ERROR + _ERROR_GROWTH * np.clip(_ERROR_LIMIT - quality, 0.0, None) ** _ERROR_POWER
    error = error * rng.lognormal(0.0, _ERROR_SPREAD, shape)
    bending += error[..., None] * rng.normal(size=(*shape, 3))
    quaternions = multiply(
        crystals.orientation[crystals.label], from_rotation_vector(np.deg2rad(bending))
    )

    common = rng.normal(size=shape)
    detector = 1 + _DETECTOR * smooth_field(rng, shape, step, _DETECTOR_LENGTH)
    # BC averages the height of the bands, BS the sharpness of their edges: BS reacts more to
    # lattice distortion, and less to the brightness of the surface.
    bc = quality * detector * _BC_GAIN + marks
    bc = bc + _BC_NOISE * (_BC_COMMON * common + _OWN_NOISE * rng.normal(size=shape))
    bs = _BS_SCALE * quality**_BS_POWER * _BS_GAIN + _BS_MARKS * marks
    bs += _BS_NOISE * (_BS_COMMON * common + _OWN_NOISE * rng.normal(size=shape))

    # The chance to find a solution falls steeply where bands are faint, or of two crystals.
    seen = quality - _OVERLAP * (1 - purity) + _LUCK * rng.normal(size=shape)
    seen += _LUCK_FIELD * smooth_field(rng, shape, step, _LUCK_LENGTH)
    is_indexed = seen > _SOLVED
    doubt = np.exp(-np.clip(seen - _SOLVED, 0, None) / _WRONG_RANGE)
    wrong = is_indexed & (rng.random(shape) < _WRONG * doubt)
    quaternions[wrong] = uniform(rng, int(wrong.sum()))
    flat = quaternions.reshape(-1, 4)
    reduce_cubic(flat, CUBIC)
    quaternions = flat.reshape(quaternions.shape)
    quaternions[~is_indexed] = 0.0

    mad = _MAD + _MAD_GROWTH * np.clip(_MAD_LIMIT - quality, 0.0, None) ** _MAD_POWER
    mad = mad + _MAD_WRONG * wrong
    mad = np.clip(mad * rng.lognormal(0.0, _MAD_SPREAD, shape), *_MAD_RANGE)
    bands = _BANDS + _BANDS_GROWTH * quality + _BANDS_NOISE * rng.normal(size=shape)
    bands = np.clip(np.rint(bands), *_BANDS_RANGE)
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
        stress = np.exp(-distance / _STRESS_REACH)
    else:
        stress = np.zeros(shape)
    strain = crystals.strain[crystals.label]

    def rotations(length: float) -> Floats:
        return np.stack([smooth_field(rng, shape, step, length) for _ in range(3)], axis=-1)

    long, short = rotations(_LONG * s**0.5), rotations(_SHORT)
    in_ferrite = _FERRITE_LONG * long
    in_ferrite = in_ferrite + (_FERRITE_SHORT + _FERRITE_STRESSED * stress)[..., None] * short
    in_ferrite += _subgrains(rng, canvas, crystals.label)
    in_martensite = _MARTENSITE_LONG * long + _MARTENSITE_SHORT * short
    in_martensite = in_martensite + _MARTENSITE_SHORTEST * rotations(_SHORTEST)
    bending = np.where(is_martensite[..., None], in_martensite, in_ferrite)
    return bending * strain[..., None], stress


def _subgrains(rng: np.random.Generator, canvas: Canvas, label: Ints) -> Floats:
    """Rotations of subgrains in degrees, a few tenths: recovered dislocations in low walls."""
    size = _SUBGRAIN * canvas.scale**0.5
    width, height = canvas.size
    low, high = np.array([-size, -size, -size]), np.array([width + size, height + size, size])
    # Four independent sets, dealt out to the grains: a wall seldom runs on into the next grain.
    sets = [scattered_points(rng, low, high, size) for _ in range(4)]
    points = np.concatenate(sets)
    n = len(points)
    nuclei = Nuclei(
        points,
        np.broadcast_to(np.eye(3), (n, 3, 3)).copy(),
        size * rng.uniform(0.0, _SUBGRAIN_START, n),
        np.repeat(np.arange(4, dtype=np.int32), [len(part) for part in sets]),
    )
    owner, _ = grow(canvas.bent_x, canvas.bent_y, (label % 4).astype(np.int32), nuclei)
    return (rng.gamma(1.0, _SUBGRAIN_TURN, (n, 1)) * rng.normal(size=(n, 3)))[owner]


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
    dislocations = smooth_field(rng, shape, step, _DISLOCATIONS_LENGTH)
    quality *= (
        1
        - np.where(is_martensite, _DISLOCATIONS_MARTENSITE, _DISLOCATIONS_FERRITE) * dislocations
        - np.where(is_martensite, 0.0, _STRESS_LOSS * stress)
    )
    # Steps wide against the spread: few points lie close to a boundary, and which ones do is
    # decided below the pixel, by chance.
    wide = max(1.0, step / _FINE_STEP)
    purity = _purity(
        crystals.label, crystals.orientation, _SPREAD_X * wide / step, _SPREAD_Y * wide / step
    )
    if wide > 1:
        purity[rng.random(shape) > 1 / wide] = 1.0
    return quality * (_IMPURE + (1 - _IMPURE) * purity), purity


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
    same_lattice = np.cos(np.deg2rad(_SAME_LATTICE) / 2)
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
    for _ in range(int(rng.poisson(_SCRATCHES * length))):
        is_bundled = rng.random() < _BUNDLED
        angle = bundle + rng.normal(0, _BUNDLE_SPREAD) if is_bundled else rng.uniform(0, np.pi)
        px, py = rng.uniform(0, width), rng.uniform(0, height)
        dx, dy = canvas.x - px, canvas.y - py
        along = dx * np.cos(angle) + dy * np.sin(angle)
        across = dy * np.cos(angle) - dx * np.sin(angle) + rng.normal(0, _BOW) * along**2
        begin, end = np.sort(rng.uniform(-_SCRATCH_REACH, _SCRATCH_REACH, 2) * length)
        half = rng.lognormal(np.log(_SCRATCH_WIDTH), _SCRATCH_WIDTH_SPREAD)
        profile = np.exp(-0.5 * (across / half) ** 2)
        profile *= 1 / (1 + np.exp(-(along - begin))) / (1 + np.exp(along - end))
        wave = np.sin(along / rng.uniform(2, 5) + rng.uniform(0, 6))
        patchy = _PATCH_MEAN + _PATCH_SPAN * np.tanh(2 * wave)
        factor *= 1 - rng.uniform(*_SCRATCH_DEPTH) * profile * patchy
    # Grains that polishing left rough.
    ferrite = np.unique(label[~is_martensite])
    number = min(len(ferrite), int(rng.poisson(_ROUGH_GRAINS)))
    for grain in rng.choice(ferrite, size=number, replace=False):
        at = label == grain
        rough = np.clip(smooth_field(rng, shape, step, _ROUGH_LENGTH) - _ROUGH_FLOOR, 0, None)
        factor[at] *= 1 - _ROUGH_DEPTH * np.clip(rough[at], 0, _ROUGHEST)
    # Particles of the polishing suspension and pits.
    n = int(rng.poisson(_DIRT * width * height))
    for px, py, size in zip(
        rng.uniform(0, width, n),
        rng.uniform(0, height, n),
        rng.lognormal(_DIRT_SIZE, _DIRT_SPREAD, n),
        strict=True,
    ):
        rows = slice(max(0, int((py - 4 * size) / step)), int((py + 4 * size) / step) + 2)
        columns = slice(max(0, int((px - 4 * size) / step)), int((px + 4 * size) / step) + 2)
        dx, dy = canvas.x[rows, columns] - px, canvas.y[rows, columns] - py
        spot = np.exp(-((np.hypot(dx, dy) / size) ** 4))
        factor[rows, columns] *= 1 - _DIRT_LOSS * spot
        marks[rows, columns] -= _DIRT_MARK * spot
    return factor, marks
