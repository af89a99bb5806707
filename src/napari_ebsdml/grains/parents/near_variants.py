"""Variants that lie a few degrees from each other, told apart by what surrounds them.

Greninger-Troiano has pairs of variants 4.7 degrees apart. The parent is strained by a degree from
packet to packet, blocks and laths scatter by as much, and with 2 degrees of noise single pixels say
little; their neighbours say more.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import over_rows
from napari_ebsdml._quaternion_kernels import product
from napari_ebsdml.maps.disorientation import half_angle
from napari_ebsdml.maps.relationships import OrientationRelationship
from napari_ebsdml.maps.symmetry import laue_operators, safe_cosine

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

_SCATTER, _NEIGHBOURS, _SWEEPS, _MOST = 1.5, 5.0, 6, 12.0
"""Degrees; what neighbours of one variant are worth (in units of a misfit of one scatter squared
over two); rounds; and the misfit in degrees from which on more of it says nothing. Chosen on maps
of seeds 2 and 3, 200 x 250 pixels; other values tried, reach 1 to 3 and scatter 1 to 2.5, differ by
less than half a point."""


def smoothed(
    relationship: OrientationRelationship,
    quaternions: Floats,
    parent_id: Ints,
    orientations: Floats,
    local: tuple[Ints, Floats],
    variant: NDArray[np.uint8],
) -> NDArray[np.uint8]:
    """Variants, with those of pixels that fit another one nearly as well as their neighbours'.

    Each pixel takes, of its own variant and its eight neighbours' of the same parent, the one of
    least misfit squared over twice the scatter squared, less what neighbours that have it are
    worth; all at once, some rounds (iterated conditional modes). A pixel of a variant that lies
    far from its neighbours' stays.

    Parameters
    ----------
    relationship, quaternions, parent_id, orientations, local, variant
        As `variants_of` takes and gives them.

    Notes
    -----
    J. Besag, J. R. Stat. Soc. B 48 (1986) 259, doi:10.1111/j.2517-6161.1986.tb01412.x.
    """
    child = laue_operators(relationship.child)
    given = np.ascontiguousarray(quaternions)
    old = variant.astype(np.int64)
    for _ in range(_SWEEPS):
        new = old.copy()

        def work(first: int, end: int, old: Any = old, new: Any = new) -> None:
            _sweep(
                given, parent_id, orientations, *local, relationship.variants.quaternions, child,
                safe_cosine(child), old, new, first, end,
            )  # fmt: skip

        over_rows(work, parent_id.shape)
        if np.array_equal(new, old):
            break
        old = new
    return old.astype(variant.dtype)


@njit(cache=True, nogil=True)
def _sweep(
    q: Any, parent_id: Any, orientations: Any, grain: Any, about: Any, table: Any, child: Any,
    safe: float, old: Any, new: Any, first: int, end: int,
) -> None:  # fmt: skip
    rows, columns = parent_id.shape
    votes = np.zeros(len(table) + 1)
    for i in range(first, end):
        for j in range(columns):
            c, own = parent_id[i, j], old[i, j]
            if c == 0 or own == 0:
                continue
            votes[:] = 0.0
            n, alike = 0, True
            for k in range(max(i - 1, 0), min(i + 2, rows)):
                for m in range(max(j - 1, 0), min(j + 2, columns)):
                    if (k == i and m == j) or parent_id[k, m] != c or old[k, m] == 0:
                        continue
                    votes[old[k, m]] += 1.0
                    n += 1
                    alike = alike and old[k, m] == own
            if alike:
                continue
            h = q[i, j]
            o = about[grain[i, j]] if grain[i, j] > 0 else orientations[c]
            u, v1, v2, v3 = product(h[0], h[1], h[2], h[3], o[0], -o[1], -o[2], -o[3])
            best, at = 1e30, own
            for k in range(1, len(votes)):
                if votes[k] == 0.0 and k != own:
                    continue
                v = table[k - 1]
                w, x, y, z = product(u, v1, v2, v3, v[0], -v[1], -v[2], -v[3])
                s2, _ = half_angle(w, x, y, z, child, len(child), safe)
                angle = math.degrees(2.0 * math.asin(min(1.0, math.sqrt(s2))))
                cost = 0.5 * (min(angle, _MOST) / _SCATTER) ** 2 - _NEIGHBOURS * votes[k] / n
                if cost < best - 1e-12:
                    best, at = cost, k
            new[i, j] = at
