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
        part = _blocks(rng, canvas, austenite, parent, pixels, packets)
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
    laths, block_of_lath = _laths(rng, canvas, blocks)
    x, y = canvas.x, canvas.y
    for length, size in ((1.2, 0.12), (0.35, 0.035)):
        x = x + size * s**0.5 * smooth_field(rng, shape, canvas.step, length * s**0.5)
        y = y + size * s**0.5 * smooth_field(rng, shape, canvas.step, length * s**0.5)
    lath, _ = grow(x, y, domain, laths)
    block = np.where(lath >= 0, block_of_lath[lath], np.int32(-1)).astype(np.int32)
    # Laths of a block differ by up to a few degrees, in some blocks more than in others.
    spread = np.where(blocks.is_coarse, 0.05, rng.gamma(4.0, 0.19, len(blocks.delay)))
    rotation = spread[block_of_lath][:, None] * rng.normal(size=(len(block_of_lath), 3))
    turn = np.where((lath >= 0)[..., None], rotation[lath], 0.0)
    # Each lath holds its own number of dislocations.
    fade = np.where(blocks.is_coarse, 0.01, 0.075)[block_of_lath]
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
) -> _Blocks:
    s = canvas.scale
    thickness, width = 0.55 * s**0.15, 4.0 * s**0.6
    x, y = canvas.x.ravel()[pixels], canvas.y.ravel()[pixels]
    low = np.array([x.min() - width, y.min() - width, -width])
    high = np.array([x.max() + width, y.max() + width, width])
    volume = float(np.prod(high - low))
    n = max(4, round(volume / (thickness * width**2)))
    position = rng.uniform(low, high, (n, 3))
    # Blocks far from every pixel of the domain cannot show.
    outline = cKDTree(np.stack([x, y], axis=1)[:: max(1, len(x) // 4000)])
    position = position[outline.query(position[:, :2])[0] < width + 1.0]
    n = len(position)

    centres = scattered_points(rng, low, high, 9.0 * s)
    packet = cKDTree(centres).query(position)[1].astype(np.int32)
    plane = rng.integers(4, size=len(centres))
    # In a packet a few of the six variants dominate.
    taste = rng.dirichlet(np.full(6, 1.0), size=len(centres))
    pick = (rng.random((n, 1)) > np.cumsum(taste[packet], axis=1)[:, :5]).sum(axis=1)
    variant = (6 * plane[packet] + pick).astype(np.int32)
    # The parent deforms as it transforms: its orientation differs a little between packets.
    strained = multiply(scatter(rng, len(centres), 1.0), austenite.orientation[parent])
    orientation = multiply(KS_VARIANTS[variant], strained[packet])
    orientation = multiply(scatter(rng, n, 0.7), orientation)
    normal = np.einsum("nji,nj->ni", to_matrix(strained[packet]), PACKET_PLANES[plane[packet]])
    normal = np.einsum("nij,nj->ni", to_matrix(scatter(rng, n, 3.5)), normal)

    is_coarse = rng.random(n) < 0.009
    # Coarse: a lens of about 1.4 um x 5 um; else growth rates.
    unit = np.where(is_coarse, 1.25, 1.0) * rng.lognormal(0.0, 0.35, n)
    return _Blocks(
        position,
        normal,
        thickness * unit,
        width * np.where(is_coarse, 0.7, rng.lognormal(0.0, 0.2, n)),
        np.where(is_coarse, 9.0, rng.uniform(0.0, 0.5, n)),
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
    beside = (along > 0) & (along < plate.length) & (across < 1.2 * canvas.scale**0.5)
    beside &= rng.random(len(along)) < 0.5
    n = int(beside.sum())
    if n == 0:
        return blocks
    # Which variant that is: the one whose ideal orientation lies nearest.
    ideal = multiply(KS_VARIANTS, austenite.orientation[plate.domain])
    closeness = np.abs((multiply(ideal, conjugate(orientation)))[:, 0])
    blocks.orientation[beside] = multiply(scatter(rng, n, 1.3), orientation)
    blocks.normal[beside] = plate.normal
    blocks.variant[beside] = closeness.argmax() + 1
    blocks.packet[beside] = blocks.packet.max() + 1
    return blocks


def _laths(rng: np.random.Generator, canvas: Canvas, blocks: _Blocks) -> tuple[Nuclei, Ints]:
    """Laths: the discs that blocks are made of, and the block of each."""
    s = canvas.scale
    thickness, width = 0.24, 2.2 * s**0.4
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
    size = thickness * rng.lognormal(0.0, 0.35, n)
    extent = width * rng.lognormal(0.0, 0.25, n)
    normal = blocks.normal[owner] + 0.04 * rng.normal(size=(n, 3))
    normal /= np.linalg.norm(normal, axis=1, keepdims=True)
    delay = rng.uniform(0.0, 0.5, n)
    # A coarse lath is one lath, complete before the others start: they meet a convex lens, of
    # the half-axes `thickness` and `width` of its block.
    coarse = np.flatnonzero(blocks.is_coarse)
    thin = np.flatnonzero(~blocks.is_coarse[owner])
    head_start = 6.0
    nuclei = Nuclei(
        np.concatenate([position[thin], blocks.position[coarse]]),
        ellipsoids(
            np.concatenate([normal[thin], blocks.normal[coarse]]),
            np.concatenate([size[thin], blocks.thickness[coarse] / head_start]),
            np.concatenate([extent[thin], blocks.width[coarse] / head_start]),
        ),
        np.concatenate([delay[thin], np.full(len(coarse), -head_start)]),
        np.concatenate([domain[thin], blocks.domain[coarse]]),
    )
    return nuclei, np.concatenate([owner[thin], coarse]).astype(np.int32)
