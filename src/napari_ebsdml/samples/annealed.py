"""Synthetic partly recrystallised metal: deformed, recovered and new grains, with the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import InputError
from napari_ebsdml.scan import NOT_INDEXED, Scan, Source

from ._austenite import Canvas, make_canvas
from ._checks import checked_seed, checked_shape, in_range
from ._fields import scattered_points, smooth_field
from ._growth import Nuclei, grow
from ._instrument import Instrument, crystal_quality, observe
from ._lamellae import cubic_twins, insert_twins, textured
from ._rotations import from_rotation_vector
from .deformed import _phase_list

if TYPE_CHECKING:
    from collections.abc import Sequence

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

RECRYSTALLISED, RECOVERED, DEFORMED = 1, 2, 3
"""Values of `AnnealedSample.truth`."""

CRYSTALS = ("bcc", "fcc", "hcp")

# What follows was chosen by eye after maps of rolled and annealed metals; `Stored` is drawn anew
# for each map of a stream, so that a model cannot learn these figures.
_ALSO_BENT, _ALSO_BENT_BY = 0.05, 0.4


class Stored(NamedTuple):
    """What deformation left in the lattice, and recovery made of it. Angles in degrees."""

    elongation: float = 2.0
    """Aspect ratio of the deformed grains."""
    bend: float = 3.0
    """Slow bending within deformed grains; its length is the grain's width."""
    cell: float = 1.0
    """Width of deformation cells in um."""
    wall: float = 1.2
    """Mean turn of a cell."""
    short: float = 0.6
    """Bending within a cell."""
    subgrain: float = 2.0
    """Size of recovered subgrains in um."""
    subgrain_wall: float = 1.5
    subgrain_short: float = 0.05
    kept: float = 0.5
    """Part of the slow bending that recovery leaves."""
    residual: float = 0.1
    """Bending of recrystallised grains."""
    quality: tuple[float, float, float] = (0.9, 0.78, 0.6)
    """Of recrystallised, recovered, deformed crystals."""

    @classmethod
    def random(cls, rng: np.random.Generator, grain_size: float, step: float) -> Stored:
        """One of the many that are found."""
        high = rng.uniform(0.75, 1.0)
        low = high - rng.uniform(0.05, 0.45)
        cell = float(np.clip(grain_size * rng.uniform(0.03, 0.15), 1.5 * step, None))
        return cls(
            elongation=float(rng.uniform(1, 6)),
            bend=float(rng.uniform(1, 7)),
            cell=cell,
            wall=float(rng.uniform(0.5, 2.2)),
            short=float(rng.uniform(0.25, 1.4)),
            subgrain=float(np.clip(cell * rng.uniform(1.0, 3.0), 3 * step, None)),
            subgrain_wall=float(rng.uniform(0.7, 2.5)),
            subgrain_short=float(rng.uniform(0.0, 0.12)),
            kept=float(rng.uniform(0.2, 0.8)),
            residual=float(rng.uniform(0.0, 0.25)),
            quality=(float(high), float(rng.uniform(low, high)), float(low)),
        )


class AnnealedSample(NamedTuple):
    """A synthetic map; all arrays have its shape and know every pixel, indexed or not."""

    scan: Scan
    truth: NDArray[np.uint8]
    """1 recrystallised, 2 recovered, 3 deformed."""
    grain: Ints
    """Grain or annealing twin from 1."""
    orientation: Floats
    """(rows, columns, 4) before the measurement, specimen -> crystal."""


def partly_recrystallised(
    shape: tuple[int, int] = (300, 400),
    seed: int = 0,
    step: float = 0.5,
    *,
    recrystallised: float = 0.4,
    recovered: float = 0.25,
    crystal: str = "fcc",
    grain_size: float = 40.0,
    stored: Stored | None = None,
    instrument: Instrument | None = None,
) -> AnnealedSample:
    """Make a map of a metal that was deformed and then annealed for too short a time.

    Deformed grains are elongated, their lattice is bent slowly, cells differ by a degree or so,
    and within cells it is bent as well. Where it has recovered there are equiaxed subgrains with
    sharp walls and a flat lattice within. New grains grow from nuclei until they fill their part;
    in fcc metals they have annealing twins.

    Parameters
    ----------
    shape
        Rows and columns.
    seed
        The same seed and arguments give the same map.
    step
        Distance of pixels in um.
    recrystallised, recovered
        Area fractions; what is left is deformed. The first is met to the pixel, the second by
        whole grains, or by smooth regions where the map has few.
    crystal
        ``"bcc"``, ``"fcc"`` or ``"hcp"``.
    grain_size
        Mean diameter of the deformed grains in um; new grains are smaller.
    stored
        What deformation left; see `Stored`.
    instrument
        How it is measured.

    Returns
    -------
    AnnealedSample

    Raises
    ------
    InputError
        When an argument is out of range.

    Notes
    -----
    F. J. Humphreys, M. Hatherly, Recrystallization and Related Annealing Phenomena (2004),
    doi:10.1016/B978-0-08-044164-1.X5000-2.
    """
    rows, columns = checked_shape(shape)
    step = in_range("step", step, 0.001, 1e3)
    new = in_range("recrystallised", recrystallised, 0.0, 1.0)
    rested = in_range("recovered", recovered, 0.0, 1.0)
    if new + rested > 1 + 1e-9:
        raise InputError("recrystallised and recovered are more than 1 together.")
    if crystal not in CRYSTALS:
        raise InputError(f"crystal must be one of {', '.join(CRYSTALS)}, not {crystal!r}.")
    size = in_range("grain_size", grain_size, 4 * step, 1e6)
    given, seen = stored or Stored(), instrument or Instrument()
    streams = [
        np.random.default_rng(s) for s in np.random.SeedSequence(checked_seed(seed)).spawn(6)
    ]
    rng = streams[0]
    canvas = make_canvas(rng, (rows, columns), step, size)
    share, parts = float(rng.uniform(0, 0.8)), int(rng.integers(1, 5))
    old, old_turn = _old_grains(rng, canvas, given.elongation, share, parts)
    fresh, time = _new_grains(streams[1], canvas, old)
    fresh_turn = textured(
        streams[1], int(fresh.max()) + 1, 0.4 * share, parts, float(rng.uniform(6, 15))
    )
    is_new = np.zeros((rows, columns), dtype=bool)
    wanted = round(new * is_new.size)
    is_new.ravel()[np.argsort(time, axis=None, kind="stable")[:wanted]] = True
    is_rested = _recovered(streams[2], canvas, old, is_new, rested)

    label = np.where(is_new, len(old_turn) + fresh, old).astype(np.int32)
    turn = np.concatenate([old_turn, fresh_turn])
    if crystal == "fcc" and new > 0:
        grains = np.unique(label[is_new])
        label, turn, _, _ = insert_twins(
            streams[3], canvas, label, turn, cubic_twins(), grains, False, 0.8, 0.03 * size
        )
    truth = np.full(label.shape, DEFORMED, dtype=np.uint8)
    truth[is_rested] = RECOVERED
    truth[is_new] = RECRYSTALLISED
    bending = _bending(streams[4], canvas, given, label, truth)
    orientation = multiply(from_rotation_vector(np.deg2rad(bending)), turn[label])
    rng = streams[5]
    quality = np.array([0.0, *given.quality])[truth]
    quality = quality + crystal_quality(rng, seen, len(turn))[label]
    q, is_indexed, prop = observe(rng, seen, label, orientation, quality, step)
    scan = Scan(
        quaternions=q,
        phase_id=np.where(is_indexed, 0, NOT_INDEXED).astype(np.int32),
        phases=_phase_list(crystal),
        step=(step, step),
        prop=prop,
        source=Source(
            format="synthetic",
            scan_name=f"partly recrystallised {crystal}, seed {seed}",
            header={"recrystallised": new, "recovered": rested, "seed": seed, "grain_size": size},
        ),
    )
    number = np.unique(label, return_inverse=True)[1].reshape(label.shape) + 1
    return AnnealedSample(scan, truth, number.astype(np.int32), orientation)


def _old_grains(
    rng: np.random.Generator, canvas: Canvas, elongation: float, share: float, parts: int
) -> tuple[Ints, Floats]:
    """Deformed grains, long in x or y, and their orientations."""
    d = canvas.grain_size
    stretch = float(np.sqrt(elongation))
    long_x = rng.random() < 0.7
    scale = np.array([1 / stretch, stretch]) if long_x else np.array([stretch, 1 / stretch])
    x, y = canvas.bent_x * scale[0], canvas.bent_y * scale[1]
    low = np.array([x.min() - d, y.min() - d, -d])
    high = np.array([x.max() + d, y.max() + d, d])
    points = scattered_points(rng, low, high, d)
    n = len(points)
    nuclei = Nuclei(
        points, np.broadcast_to(np.eye(3), (n, 3, 3)).copy(), 0.1 * d * rng.normal(size=n),
        np.zeros(n, dtype=np.int32),
    )  # fmt: skip
    owner, _ = grow(x, y, np.zeros(x.shape, dtype=np.int32), nuclei)
    return owner, textured(rng, n, share, parts, float(rng.uniform(6, 15)))


def _new_grains(
    rng: np.random.Generator, canvas: Canvas, old: Ints
) -> tuple[Ints, NDArray[np.float32]]:
    """New grains over the whole map, and when each pixel is reached."""
    d = canvas.grain_size * rng.uniform(0.25, 0.9)
    width, height = canvas.size
    low, high = np.array([-d, -d, -d / 2]), np.array([width + d, height + d, d / 2])
    points = scattered_points(rng, low, high, d)
    n = len(points)
    rate = rng.lognormal(0.0, rng.uniform(0.1, 0.5), n)
    metric = np.eye(3)[None] / rate[:, None, None] ** 2
    nuclei = Nuclei(
        points, metric, d * rng.gamma(1.0, rng.uniform(0.2, 1.2), n), np.zeros(n, dtype=np.int32)
    )
    owner, time = grow(canvas.bent_x, canvas.bent_y, np.zeros(old.shape, dtype=np.int32), nuclei)
    time = time + 0.06 * d * smooth_field(rng, old.shape, canvas.step, d / 4)
    # Some grains recrystallise before others.
    return owner, (time + (0.4 * d * rng.normal(size=int(old.max()) + 1))[old]).astype(np.float32)


def _recovered(
    rng: np.random.Generator, canvas: Canvas, old: Ints, is_new: NDArray[np.bool_], share: float
) -> NDArray[np.bool_]:
    out = np.zeros(old.shape, dtype=bool)
    wanted = round(share * old.size)
    if not wanted:
        return out
    field = 0.3 * smooth_field(rng, old.shape, canvas.step, canvas.grain_size).astype(np.float64)
    if rng.random() < 0.7:
        field += 3.0 * rng.normal(size=int(old.max()) + 1)[old]
    field[is_new] = np.inf
    out.ravel()[np.argsort(field, axis=None, kind="stable")[:wanted]] = True
    return out & ~is_new


def _cells(
    rng: np.random.Generator, canvas: Canvas, size: float, stretch: Sequence[float], turn: float
) -> Floats:
    """Rotation vectors (rows, columns, 3) in degrees of a mosaic of cells."""
    x, y = canvas.bent_x / stretch[0], canvas.bent_y / stretch[1]
    low = np.array([x.min() - size, y.min() - size, -size / 2])
    high = np.array([x.max() + size, y.max() + size, size / 2])
    points = scattered_points(rng, low, high, size)
    n = len(points)
    nuclei = Nuclei(
        points, np.broadcast_to(np.eye(3), (n, 3, 3)).copy(), 0.15 * size * rng.normal(size=n),
        np.zeros(n, dtype=np.int32),
    )  # fmt: skip
    owner, _ = grow(x, y, np.zeros(x.shape, dtype=np.int32), nuclei)
    return np.asarray((rng.gamma(2.0, turn / 2, (n, 1)) * rng.normal(size=(n, 3)))[owner])


def _bending(
    rng: np.random.Generator, canvas: Canvas, stored: Stored, label: Ints,
    truth: NDArray[np.uint8],
) -> Floats:  # fmt: skip
    """Rotation vectors of bent lattices in degrees."""
    shape, step, d = label.shape, canvas.step, canvas.grain_size

    def bends(length: float) -> Floats:
        return np.stack([smooth_field(rng, shape, step, length) for _ in range(3)], axis=-1)

    slow = stored.bend * bends(0.6 * d)
    stretch = (float(rng.uniform(1, 3)), 1.0)
    stretch = stretch if rng.random() < 0.5 else (1.0, stretch[0])
    out = np.zeros((*shape, 3))
    strain = rng.gamma(5.0, 0.2, int(label.max()) + 1)[label][..., None]
    at = truth == DEFORMED
    if at.any():
        cells = _cells(rng, canvas, stored.cell, stretch, stored.wall)
        short = stored.short * bends(max(0.6 * stored.cell, 1.2 * step))
        out[at] = ((slow + cells + short) * strain)[at]
    at = truth == RECOVERED
    if at.any():
        cells = _cells(rng, canvas, stored.subgrain, (1.0, 1.0), stored.subgrain_wall)
        short = stored.subgrain_short * bends(2 * stored.subgrain)
        out[at] = (stored.kept * slow * strain + cells + short)[at]
    at = truth == RECRYSTALLISED
    if at.any():
        # A few of the new grains were strained again when the specimen was cut.
        also = rng.random(int(label.max()) + 1) < _ALSO_BENT
        amount = np.where(also, stored.residual + _ALSO_BENT_BY, stored.residual)[label]
        out[at] = (amount[..., None] * bends(0.5 * d))[at]
    return out
