"""Lath martensite: packets, blocks of one variant, laths, and coarse auto-tempered laths."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_ebsdml._quaternions import multiply, to_matrix

from ._austenite import Austenite, Canvas
from ._ferrite import Plate
from ._fields import scattered_points, smooth_field
from ._growth import Nuclei, ellipsoids, first_to_reach, grow
from ._rotations import (
    KS_VARIANTS,
    PACKET_PLANES,
    conjugate,
    scatter,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

# Lengths in um for austenite grains of 25 um, some with the power of `Canvas.scale` that they grow
# with: finer austenite makes smaller packets, laths hardly change. Angles are standard deviations
# in degrees. No source is recorded for any of these figures: taken as chosen by eye. What they
# give together, KAM and scatter about Kurdjumov-Sachs, `tests/samples/test_dual_phase.py` holds.

# Blocks: thickness, width; spread of both (logarithm).
_BLOCK_THICKNESS, _BLOCK_WIDTH = (0.55, 0.15), (4.0, 0.6)
_THICKNESS_SPREAD, _WIDTH_SPREAD = 0.35, 0.2
# How far from its domain a block can still show.
_BLOCK_MARGIN = 1.0
# Distance of packets; how even the six variants of a packet are (1: any mixture alike).
_PACKET, _TASTE = 9.0, 1.0
# Scatter of the strained parent, of blocks, and of habit planes.
_PARENT_SCATTER, _BLOCK_SCATTER, _HABIT_SCATTER = 1.0, 0.7, 3.5
# Coarse auto-tempered laths: part of the blocks, thickness and width to others, growth time.
_COARSE_SHARE, _COARSE_THICKNESS, _COARSE_WIDTH, _COARSE_DELAY = 0.009, 1.25, 0.7, 9.0
_DELAY = 0.5
# Blocks beside a plate: reach, part that takes its orientation, scatter.
_PLATE_REACH, _PLATE_SHARE, _PLATE_SCATTER = 1.2, 0.5, 1.3
# Laths: thickness, width, spread of both (logarithm), tilt of their planes (radians).
_LATH_THICKNESS, _LATH_WIDTH = 0.24, (2.2, 0.4)
_LATH_THICKNESS_SPREAD, _LATH_WIDTH_SPREAD, _LATH_TILT = 0.35, 0.25, 0.04
# How many times as fast, and before all others, a coarse lath grows.
_HEAD_START = 6.0
# Bends of lath boundaries: length and amplitude; both grow with the root of the scale.
_BENDS = ((1.2, 0.12), (0.35, 0.035))
# Rotation of laths in their block: gamma distribution over blocks (shape, scale); in coarse ones.
_LATH_TURN, _COARSE_TURN = (4.0, 0.19), 0.05
# Spread of the pattern quality of laths, in coarse blocks and in others.
_COARSE_FADING, _FADING = 0.01, 0.075


class Martensite(NamedTuple):
    """Where the martensite is."""

    block: Ints
    """(rows, columns) index of the block, -1 in ferrite."""
    orientation: Floats
    """(n, 4) specimen -> crystal of each block."""
    variant: Ints
    """(n,) Kurdjumov-Sachs variant 1..24."""
    packet: Ints
    """(n,) index of the packet."""
    is_coarse: NDArray[np.bool_]
    """(n,) True for coarse laths that formed first and tempered during the quench."""
    lath: Floats
    """(rows, columns, 3) rotation of the lath against its block in degrees (rotation vector)."""
    fading: Floats
    """(rows, columns) how much worse the patterns of the lath are than those of its block."""


class Family(NamedTuple):
    """What an austenite crystal transforms to."""

    variants: Floats
    """(n, 4) parent crystal -> child crystal; those of one habit plane follow each other."""
    planes: Floats
    """(k, 3) habit planes in the parent's axes: n / k variants lie on each."""
    taste: float = _TASTE
    """How even the variants of a packet are; 1: any mixture alike, less: one of them."""
    coarse: float = 1.0
    """Size of blocks and laths to those of martensite."""
    turn: float = 1.0
    """Spread of the laths of a block to that of martensite."""
    fading: float = 1.0
    """The same of their pattern quality."""
    tempered: bool = True
    """Whether some laths form first and temper."""


LATH_MARTENSITE = Family(KS_VARIANTS, PACKET_PLANES)


class _Blocks(NamedTuple):
    position: Floats
    normal: Floats
    thickness: Floats
    width: Floats
    delay: Floats
    domain: Ints
    orientation: Floats
    variant: Ints
    packet: Ints
    is_coarse: NDArray[np.bool_]


def make_martensite(
    rng: np.random.Generator,
    canvas: Canvas,
    austenite: Austenite,
    where: NDArray[np.bool_],
    plates: list[Plate],
    plate_orientation: Floats,
    family: Family = LATH_MARTENSITE,
) -> Martensite:
    """Transform what is left of the austenite (`where`) to martensite.

    `plate_orientation` is that of each of the Widmanstaetten `plates`: martensite that starts
    on a plate takes nearly the same orientation.
    """
    shape, s = canvas.x.shape, canvas.scale
    parts: list[_Blocks] = []
    packets = 0
    domain = np.where(where, austenite.domain, np.int32(-1)).astype(np.int32)
    flat = np.flatnonzero(where)
    members = domain.ravel()[flat]
    order = np.argsort(members, kind="stable")
    for pixels in np.split(flat[order], np.flatnonzero(np.diff(members[order])) + 1):
        if len(pixels) == 0:
            continue
        parent = int(domain.ravel()[pixels[0]])
        part = _blocks(rng, canvas, austenite, parent, pixels, packets, family)
        near = [i for i, plate in enumerate(plates) if plate.domain == parent]
        for i in near:
            part = _follow_plate(rng, canvas, austenite, part, plates[i], plate_orientation[i])
        packets = int(part.packet.max()) + 1
        parts.append(part)
    if not parts:
        nothing = np.full(shape, -1, dtype=np.int32)
        none = np.zeros(0, dtype=np.int32)
        return Martensite(
            nothing,
            np.zeros((0, 4)),
            none,
            none,
            none.astype(bool),
            np.zeros((*shape, 3)),
            np.zeros(shape),
        )
    blocks = _Blocks(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    laths, block_of_lath = _laths(rng, canvas, blocks, family.coarse)
    x, y = canvas.x, canvas.y
    for length, size in _BENDS:
        x = x + size * s**0.5 * smooth_field(rng, shape, canvas.step, length * s**0.5)
        y = y + size * s**0.5 * smooth_field(rng, shape, canvas.step, length * s**0.5)
    lath, _ = grow(x, y, domain, laths)
    block = np.where(lath >= 0, block_of_lath[lath], np.int32(-1)).astype(np.int32)
    # Laths of a block differ by up to a few degrees, in some blocks more than in others.
    spread = np.where(blocks.is_coarse, _COARSE_TURN, rng.gamma(*_LATH_TURN, len(blocks.delay)))
    spread = family.turn * spread
    rotation = spread[block_of_lath][:, None] * rng.normal(size=(len(block_of_lath), 3))
    turn = np.where((lath >= 0)[..., None], rotation[lath], 0.0)
    # Each lath holds its own number of dislocations.
    fade = family.fading * np.where(blocks.is_coarse, _COARSE_FADING, _FADING)[block_of_lath]
    fading = np.where(lath >= 0, (fade * rng.normal(size=len(fade)))[lath], 0.0)
    return Martensite(
        block, blocks.orientation, blocks.variant, blocks.packet, blocks.is_coarse, turn, fading
    )


def _blocks(
    rng: np.random.Generator,
    canvas: Canvas,
    austenite: Austenite,
    parent: int,
    pixels: NDArray[np.intp],
    first_packet: int,
    family: Family,
) -> _Blocks:
    s = canvas.scale
    thickness = family.coarse * _BLOCK_THICKNESS[0] * s ** _BLOCK_THICKNESS[1]
    width = family.coarse * _BLOCK_WIDTH[0] * s ** _BLOCK_WIDTH[1]
    x, y = canvas.x.ravel()[pixels], canvas.y.ravel()[pixels]
    low = np.array([x.min() - width, y.min() - width, -width])
    high = np.array([x.max() + width, y.max() + width, width])
    volume = float(np.prod(high - low))
    n = max(4, round(volume / (thickness * width**2)))
    position = rng.uniform(low, high, (n, 3))
    # Blocks far from every pixel of the domain cannot show.
    outline = cKDTree(np.stack([x, y], axis=1)[:: max(1, len(x) // 4000)])
    position = position[outline.query(position[:, :2])[0] < width + _BLOCK_MARGIN]
    n = len(position)

    centres = scattered_points(rng, low, high, _PACKET * s)
    packet = cKDTree(centres).query(position)[1].astype(np.int32)
    plane = rng.integers(len(family.planes), size=len(centres))
    # In a packet a few of the six variants dominate.
    each = len(family.variants) // len(family.planes)
    taste = rng.dirichlet(np.full(each, family.taste), size=len(centres))
    cumulated = np.cumsum(taste[packet], axis=1)[:, : each - 1]
    pick = (rng.random((n, 1)) > cumulated).sum(axis=1)
    variant = (each * plane[packet] + pick).astype(np.int32)
    # The parent deforms as it transforms: its orientation differs a little between packets.
    strained = multiply(scatter(rng, len(centres), _PARENT_SCATTER), austenite.orientation[parent])
    orientation = multiply(family.variants[variant], strained[packet])
    orientation = multiply(scatter(rng, n, _BLOCK_SCATTER), orientation)
    normal = np.einsum("nji,nj->ni", to_matrix(strained[packet]), family.planes[plane[packet]])
    normal = np.einsum("nij,nj->ni", to_matrix(scatter(rng, n, _HABIT_SCATTER)), normal)

    is_coarse = rng.random(n) < (_COARSE_SHARE if family.tempered else 0.0)
    # Coarse: a lens of about 1.4 um x 5 um; else growth rates.
    unit = np.where(is_coarse, _COARSE_THICKNESS, 1.0) * rng.lognormal(0.0, _THICKNESS_SPREAD, n)
    return _Blocks(
        position,
        normal,
        thickness * unit,
        width * np.where(is_coarse, _COARSE_WIDTH, rng.lognormal(0.0, _WIDTH_SPREAD, n)),
        np.where(is_coarse, _COARSE_DELAY, rng.uniform(0.0, _DELAY, n)),
        np.full(n, parent, dtype=np.int32),
        orientation,
        variant + np.int32(1),
        packet + np.int32(first_packet),
        is_coarse,
    )


def _follow_plate(
    rng: np.random.Generator,
    canvas: Canvas,
    austenite: Austenite,
    blocks: _Blocks,
    plate: Plate,
    orientation: Floats,
) -> _Blocks:
    """Give half of the blocks beside a plate nearly its orientation and its habit plane."""
    offset = blocks.position[:, :2] - plate.root
    along = offset @ plate.direction
    across = np.abs(offset @ np.array([-plate.direction[1], plate.direction[0]]))
    beside = (along > 0) & (along < plate.length) & (across < _PLATE_REACH * canvas.scale**0.5)
    beside &= rng.random(len(along)) < _PLATE_SHARE
    n = int(beside.sum())
    if n == 0:
        return blocks
    # Which variant that is: the one whose ideal orientation lies nearest.
    ideal = multiply(KS_VARIANTS, austenite.orientation[plate.domain])
    closeness = np.abs((multiply(ideal, conjugate(orientation)))[:, 0])
    blocks.orientation[beside] = multiply(scatter(rng, n, _PLATE_SCATTER), orientation)
    blocks.normal[beside] = plate.normal
    blocks.variant[beside] = closeness.argmax() + 1
    blocks.packet[beside] = blocks.packet.max() + 1
    return blocks


def _laths(
    rng: np.random.Generator, canvas: Canvas, blocks: _Blocks, coarse: float
) -> tuple[Nuclei, Ints]:
    """Laths: the discs that blocks are made of, and the block of each."""
    s = canvas.scale
    thickness, width = coarse * _LATH_THICKNESS, coarse * _LATH_WIDTH[0] * s ** _LATH_WIDTH[1]
    places, domains = [], []
    ends = np.append(np.flatnonzero(np.diff(blocks.domain)) + 1, len(blocks.domain))
    for begin, end in zip(np.append(0, ends[:-1]), ends, strict=True):
        members = blocks.position[begin:end]
        low, high = members.min(axis=0), members.max(axis=0)
        # A lath further below the surface than it is wide cannot show.
        low[2], high[2] = -width, width
        n = max(8, round(float(np.prod(high - low)) / (thickness * width**2)))
        place = rng.uniform(low, high, (n, 3))
        place = place[cKDTree(members[:, :2]).query(place[:, :2])[0] < 2 * width]
        places.append(place)
        domains.append(np.full(len(place), blocks.domain[begin], dtype=np.int32))
    position, domain = np.concatenate(places), np.concatenate(domains)
    metric = ellipsoids(blocks.normal, blocks.thickness, blocks.width)
    owner = first_to_reach(
        position, domain, Nuclei(blocks.position, metric, blocks.delay, blocks.domain)
    )
    n = len(position)
    size = thickness * rng.lognormal(0.0, _LATH_THICKNESS_SPREAD, n)
    extent = width * rng.lognormal(0.0, _LATH_WIDTH_SPREAD, n)
    normal = blocks.normal[owner] + _LATH_TILT * rng.normal(size=(n, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    delay = rng.uniform(0.0, _DELAY, n)
    # A coarse lath is one lath, complete before the others start: they meet a convex lens, of
    # the half-axes `thickness` and `width` of its block.
    lenses = np.flatnonzero(blocks.is_coarse)
    thin = np.flatnonzero(~blocks.is_coarse[owner])
    nuclei = Nuclei(
        np.concatenate([position[thin], blocks.position[lenses]]),
        ellipsoids(
            np.concatenate([normal[thin], blocks.normal[lenses]]),
            np.concatenate([size[thin], blocks.thickness[lenses] / _HEAD_START]),
            np.concatenate([extent[thin], blocks.width[lenses] / _HEAD_START]),
        ),
        np.concatenate([delay[thin], np.full(len(lenses), -_HEAD_START)]),
        np.concatenate([domain[thin], blocks.domain[lenses]]),
    )
    return nuclei, np.concatenate([owner[thin], lenses]).astype(np.int32)
