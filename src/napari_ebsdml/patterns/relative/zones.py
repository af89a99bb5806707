"""Parts of grains whose patterns are like enough to be turned onto one average."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml.maps.disorientation import nearest_operator, rotate_to_variant

RADIUS = 3.0
"""Degrees from a zone's middle: beyond, less of the screen is shared, and the excess and deficiency
of bands, which do not turn with the crystal, differ."""
FEWEST = 5
"""Patterns that make an average."""


@dataclass(frozen=True, eq=False)
class Zones:
    """Zones of a map.

    Attributes
    ----------
    owner : (pixels,) int64
        Zone of each pixel in flat order, -1 for none.
    grain : (zones,) int64
    middle : (zones, 4)
        Orientation that stands for the zone, specimen -> crystal.
    quaternions : (pixels, 4)
        Orientations in the symmetry variant nearest to their zone's.
    """

    owner: NDArray[np.int64]
    grain: NDArray[np.int64]
    middle: NDArray[np.float64]
    quaternions: NDArray[np.float64]


def find_zones(
    quaternions: NDArray[np.float64],
    labels: NDArray[np.integer],
    operators: NDArray[np.float64],
    radius: float = RADIUS,
) -> Zones:
    """Cut grains into zones of like orientations.

    Parameters
    ----------
    quaternions : (pixels, 4) array
        Specimen -> crystal.
    labels : (pixels,) int array
        Grains of one phase, 0 for none.
    operators : (n, 4) array
        Of `laue_operators`.
    radius
        Degrees from a zone's middle.
    """
    q = np.array(quaternions, dtype=np.float64)
    names, compact = np.unique(labels, return_inverse=True)
    compact = np.where(labels > 0, compact.reshape(-1), -1).astype(np.int64)
    count = np.bincount(compact[compact >= 0], minlength=len(names))
    # Grains of a few pixels have no average to speak of.
    compact[(compact >= 0) & (count[compact] < FEWEST)] = -1
    order = np.argsort(compact, kind="stable")
    order = order[compact[order] >= 0].astype(np.int64)
    owner = np.full(len(q), -1, dtype=np.int64)
    cosine = np.cos(np.radians(radius) / 2)
    operators = np.array(operators, dtype=np.float64)
    centres, grains = _zones(q, compact, order, operators, cosine, owner)
    return Zones(owner, names[grains].astype(np.int64), centres, q)


@njit(cache=True, nogil=True)
def _near(q, centre, operators, out):  # type: ignore[no-untyped-def]
    """Write the variant of q that is nearest to a centre, and tell the cosine of half the angle."""
    k, sign = nearest_operator(q, centre, operators, len(operators))
    rotate_to_variant(q, operators, k, sign, out)
    return out[0] * centre[0] + out[1] * centre[1] + out[2] * centre[2] + out[3] * centre[3]


@njit(cache=True, nogil=True)
def _zones(q, compact, order, operators, cosine, owner):  # type: ignore[no-untyped-def]
    """Middle (zones, 4) and grain (zones,) of the zones; fills `owner`, turns `q` to variants."""
    centres = np.empty((16, 4))
    grains = np.empty(16, dtype=np.int64)
    spare = np.empty(4)
    total = 0
    start = 0
    while start < len(order):
        grain = compact[order[start]]
        end = start
        while end < len(order) and compact[order[end]] == grain:
            end += 1
        first = total
        # The mean orientation, so that most grains are one zone around it.
        mean = q[order[(start + end) // 2]].copy()
        for _ in range(2):
            add = np.zeros(4)
            for n in range(start, end):
                _near(q[order[n]], mean, operators, spare)
                add += spare
            mean = add / np.sqrt((add * add).sum())
        for n in range(start - 1, end):
            # All middles of a grain in variants near each other, so that they can be linked.
            _near(mean if n < start else q[order[n]], mean, operators, spare)
            own = spare.copy()
            found = False
            for z in range(first, total):
                if _near(own, centres[z], operators, spare) >= cosine:
                    found = True
                    break
            if found:
                continue
            if total == len(grains):
                more = np.empty((2 * total, 4))
                more[:total] = centres
                centres = more
                longer = np.empty(2 * total, dtype=np.int64)
                longer[:total] = grains
                grains = longer
            centres[total] = own
            grains[total] = grain
            total += 1
        # Each pixel to the nearest; zones of a few pixels go to their neighbours.
        alive = np.ones(total - first, dtype=np.bool_)
        for _ in range(2):
            size = np.zeros(total - first, dtype=np.int64)
            for n in range(start, end):
                best, at = -1.0, -1
                for z in range(first, total):
                    if alive[z - first]:
                        near = _near(q[order[n]], centres[z], operators, spare)
                        if near > best:
                            best, at = near, z
                owner[order[n]] = at
                size[at - first] += 1
            largest = int(size.argmax())
            for z in range(total - first):
                alive[z] = size[z] >= FEWEST or z == largest
        # Only those in use stay, under new numbers.
        number = np.full(total - first, -1, dtype=np.int64)
        kept = first
        for z in range(first, total):
            if size[z - first] > 0:
                number[z - first] = kept
                centres[kept] = centres[z]
                grains[kept] = grain
                kept += 1
        for n in range(start, end):
            p = order[n]
            owner[p] = number[owner[p] - first]
            _near(q[p], centres[owner[p]], operators, spare)
            q[p] = spare
        total = kept
        start = end
    return centres[:total].copy(), grains[:total].copy()
