"""From parents of child grains back to pixels: gaps, variants, blocks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import ndimage

from napari_ebsdml._parallel import Progress, over_rows
from napari_ebsdml._quaternion_kernels import product
from napari_ebsdml.maps.disorientation import half_angle
from napari_ebsdml.maps.relationships import OrientationRelationship
from napari_ebsdml.maps.symmetry import laue_operators, safe_cosine

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]


def fill_gaps(values: Ints, allowed: NDArray[np.bool_], reach: float) -> Ints:
    """Values, with zeros where `allowed` given the nearest one within `reach` pixels."""
    holes = (values == 0) & allowed
    if not holes.any() or not values.any() or reach <= 0:
        return values
    distance, nearest = ndimage.distance_transform_edt(values == 0, return_indices=True)
    found = values[nearest[0], nearest[1]]
    return np.where(holes & (distance <= reach), found, values).astype(values.dtype)


def variants_of(
    relationship: OrientationRelationship,
    quaternions: Floats,
    parent_id: Ints,
    orientations: Floats,
    local: tuple[Ints, Floats],
    is_parent: NDArray[np.bool_],
    progress: Progress = None,
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Variant of each pixel in its parent, and the misfit in degrees.

    Parameters
    ----------
    relationship
    quaternions : (rows, columns, 4)
        Specimen -> crystal; 0 where there is none.
    parent_id : (rows, columns)
    orientations : (parents + 1, 4)
    local
        Child grain of each pixel, and the orientation (n, 4) of the parent about it: it tells the
        variant, `orientations` the misfit.
    is_parent : (rows, columns) bool
        Pixels of the parent phase: their variant is 0, and their misfit that to the parent.
    progress
        Called with the fraction done; may raise to cancel.
    """
    table = relationship.variants.quaternions
    child, parent = laue_operators(relationship.child), laue_operators(relationship.parent)
    variant = np.zeros(parent_id.shape, dtype=np.uint8)
    misfit = np.full(parent_id.shape, np.nan, dtype=np.float32)
    quaternions = np.ascontiguousarray(quaternions)

    def work(first: int, end: int) -> None:
        _variants(
            quaternions, parent_id, orientations, *local, is_parent, table, child,
            safe_cosine(child), parent, safe_cosine(parent), first, end, variant, misfit,
        )  # fmt: skip

    over_rows(work, (parent_id.shape[0], parent_id.shape[1]), progress)
    return variant, misfit


@njit(cache=True, nogil=True)
def _variants(
    q: Any, parent_id: Any, orientations: Any, grain: Any, about: Any, is_parent: Any, table: Any,
    child: Any, child_safe: float, parent: Any, parent_safe: float, first: int, end: int,
    variant: Any, misfit: Any,
) -> None:  # fmt: skip
    for i in range(first, end):
        for j in range(parent_id.shape[1]):
            c = parent_id[i, j]
            here = q[i, j]
            if c == 0 or here[0] ** 2 + here[1] ** 2 + here[2] ** 2 + here[3] ** 2 == 0:
                continue
            o = orientations[c]
            # Parent crystal -> this crystal.
            w, x, y, z = product(here[0], here[1], here[2], here[3], o[0], -o[1], -o[2], -o[3])
            if is_parent[i, j]:
                best, _ = half_angle(w, x, y, z, parent, len(parent), parent_safe)
            else:
                u, v1, v2, v3 = w, x, y, z
                if grain[i, j] > 0:
                    o = about[grain[i, j]]
                    u, v1, v2, v3 = product(
                        here[0], here[1], here[2], here[3], o[0], -o[1], -o[2], -o[3]
                    )
                best, at = 10.0, 0
                for k in range(len(table)):
                    v = table[k]
                    a, b, c1, d = product(u, v1, v2, v3, v[0], -v[1], -v[2], -v[3])
                    s2, _ = half_angle(a, b, c1, d, child, len(child), child_safe)
                    if s2 < best - 1e-12:
                        best, at = s2, k
                variant[i, j] = at + 1
                v = table[at]
                a, b, c1, d = product(w, x, y, z, v[0], -v[1], -v[2], -v[3])
                best, _ = half_angle(a, b, c1, d, child, len(child), child_safe)
            misfit[i, j] = math.degrees(2.0 * math.asin(min(1.0, math.sqrt(best))))


def mended(
    variant: NDArray[np.uint8], bad: NDArray[np.bool_], parent_id: Ints, reach: float
) -> NDArray[np.uint8]:
    """Variants, with `bad` ones taken from the nearest good pixel of the same parent."""
    if not bad.any():
        return variant
    good = (variant > 0) & ~bad
    out = np.where(bad, 0, variant).astype(np.uint8)
    if not good.any():
        return out
    distance, (rows, columns) = ndimage.distance_transform_edt(~good, return_indices=True)
    same = (parent_id[rows, columns] == parent_id) & (distance <= reach)
    return np.where(bad & same, variant[rows, columns], out).astype(np.uint8)


def blocks(
    parent_id: Ints, packet: NDArray[np.uint8], group: NDArray[np.uint8], variant: NDArray[np.uint8]
) -> Ints:
    """Connected pixels of one parent, packet and Bain group; of one variant where these are 0."""
    from skimage.measure import label

    kind = packet.astype(np.int64) * 4 + group
    kind = np.where(group > 0, kind, 64 + variant)
    key = parent_id.astype(np.int64) * 512 + kind
    key[(parent_id == 0) | (variant == 0)] = 0
    # skimage wants small numbers.
    small = np.unique(key, return_inverse=True)[1].reshape(key.shape)
    if key.min() > 0:
        small = small + 1
    return np.asarray(label(small, background=0, connectivity=1), dtype=np.int32)
