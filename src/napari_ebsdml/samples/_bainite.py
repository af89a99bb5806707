"""Bainite: sheaves that grow before the rest of the austenite becomes martensite."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_ebsdml._quaternions import to_matrix

from ._austenite import Austenite, Canvas
from ._fields import scattered_points, smooth_field
from ._growth import Nuclei, ellipsoids, grow
from ._martensite import Family, Martensite
from ._rotations import KS_VARIANTS, PACKET_PLANES

# Lengths in um for austenite grains of 25 um; chosen by eye. Sheaves: distance, length to width,
# mean of the exponential of their times, spread of those of grains, waviness of the front.
_APART, _ASPECT, _DELAY, _GRAIN_DELAY, _FRONT = 6.0, 3.5, 3.0, 4.0, (0.5, 1.5)

BAINITE_FAMILY = Family(
    KS_VARIANTS, PACKET_PLANES, taste=0.25, coarse=1.6, turn=0.45, fading=0.5, tempered=False
)
"""Bainite forms at smaller undercooling than martensite: packets of fewer variants, in coarser
blocks (L. Morales-Rivas et al., Metals 9 (2019) 40, doi:10.3390/met9010040, review)."""


def bainite_region(
    rng: np.random.Generator,
    canvas: Canvas,
    austenite: Austenite,
    where: NDArray[np.bool_],
    pixels: int,
) -> NDArray[np.bool_]:
    """Pixels of `where` that sheaves of bainite reach first, `pixels` of them."""
    s, size = canvas.scale, canvas.size
    low, high = np.array([0.0, 0.0, -_APART * s]), np.array([*size, _APART * s])
    points = scattered_points(rng, low, high, _APART * s)
    n = len(points)
    inside = np.argwhere(where)
    step = canvas.step
    nearest = cKDTree(inside * step).query(points[:, 1::-1])[1]
    domain = austenite.domain[tuple(inside[nearest].T)]
    axes = to_matrix(austenite.orientation[domain])
    normal = np.einsum("nji,nj->ni", axes, PACKET_PLANES[rng.integers(4, size=n)])
    rate = rng.lognormal(0.0, 0.4, n)
    metric = ellipsoids(normal, rate / _ASPECT, rate)
    delay = s * rng.exponential(_DELAY, n)
    late = s * rng.exponential(_GRAIN_DELAY, len(austenite.orientation))
    nuclei = Nuclei(points, metric, delay + late[domain], domain.astype(np.int32))
    only = np.where(where, austenite.domain, np.int32(-1)).astype(np.int32)
    owner, time = grow(canvas.bent_x, canvas.bent_y, only, nuclei)
    time = time + _FRONT[0] * s * smooth_field(rng, where.shape, step, _FRONT[1] * s)
    # Austenite without a sheaf is reached last.
    time = np.where(owner >= 0, time, np.nanmax(time[np.isfinite(time)], initial=0.0) + 1.0)
    time[~where] = np.inf
    out = np.zeros(where.shape, dtype=bool)
    out.ravel()[np.argsort(time, axis=None, kind="stable")[:pixels]] = True
    return out & where


def joined(first: Martensite, second: Martensite) -> Martensite:
    """Two products of the same austenite as one; the blocks of the second come after."""
    blocks = len(first.variant)
    packets = int(first.packet.max(initial=-1)) + 1
    in_second = second.block >= 0
    return Martensite(
        np.where(in_second, second.block + np.int32(blocks), first.block).astype(np.int32),
        np.concatenate([first.orientation, second.orientation]),
        np.concatenate([first.variant, second.variant]),
        np.concatenate([first.packet, second.packet + np.int32(packets)]),
        np.concatenate([first.is_coarse, second.is_coarse]),
        np.where(in_second[..., None], second.lath, first.lath),
        np.where(in_second, second.fading, first.fading),
    )
