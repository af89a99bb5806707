"""Whether the boundaries of a map are those of variants at all."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.grains.parents.children import Children
from napari_ebsdml.grains.parents.fit import chosen_pairs, misfits
from napari_ebsdml.maps.disorientation import disorientation_angle
from napari_ebsdml.maps.relationships import CUBIC, OrientationRelationship
from napari_ebsdml.maps.symmetry import laue_operators

Floats = NDArray[np.float64]

_APART = 7.0
"""Degrees; child grains closer than this are no two variants."""
_CLOSE = 3.0
"""Degrees within which a boundary is that of two variants."""
_TWIN = 5.0
"""Degrees about 60 degrees about <111>: any annealed cubic metal has such boundaries."""
_LEAST = 0.15
"""Part of the boundaries, above chance. Simulated martensite and alpha titanium have 0.25 to 0.5,
also with parents of few child grains; ferrite, nickel and equiaxed titanium up to 0.08."""
_RANDOM = 1200
_TWIN_TURN = np.array([math.cos(math.pi / 6), *[math.sin(math.pi / 6) / math.sqrt(3)] * 3])


class Evidence(NamedTuple):
    """What the boundaries between child grains say of the relationship, parents or not.

    Attributes
    ----------
    met
        Part of the boundaries of 7 degrees and more, without twins of cubic crystals, within 3
        degrees of a misorientation between two variants; NaN without any.
    chance
        The same part of pairs of random orientations.
    boundaries
        How many pairs of neighbours were looked at.
    """

    met: float
    chance: float
    boundaries: int

    @property
    def is_doubtful(self) -> bool:
        """Whether the boundaries look like those of grains that are no variants."""
        return self.boundaries > 0 and self.met - self.chance < _LEAST * (1 - self.chance)

    @property
    def sentence(self) -> str:
        """The figures in words; nothing where there are none."""
        if not self.boundaries:
            return ""
        return (
            f"{100 * self.met:.0f} % of {self.boundaries} boundaries are those of two variants "
            f"({100 * self.chance:.0f} % by chance)"
        )


def boundary_evidence(children: Children, relationship: OrientationRelationship) -> Evidence:
    """Compare the boundaries between child grains with those between variants and with chance."""
    pairs = chosen_pairs(children.pairs, np.sqrt(children.length))
    pairs = pairs[~children.is_parent[pairs].any(axis=1)]
    met, n = _part(children.means[pairs[:, 0]], children.means[pairs[:, 1]], relationship)
    # Uniform on the sphere of quaternions.
    random = np.random.default_rng(0).normal(size=(2, _RANDOM, 4))
    random /= np.linalg.norm(random, axis=2, keepdims=True)
    chance, _ = _part(random[0], random[1], relationship)
    return Evidence(met, chance, n)


def _part(
    first: Floats, second: Floats, relationship: OrientationRelationship
) -> tuple[float, int]:
    use = disorientation_angle(first, second, relationship.child) >= _APART
    if relationship.child == CUBIC:
        for operator in laue_operators(CUBIC):
            twin = multiply(_TWIN_TURN, multiply(operator, first))
            use &= disorientation_angle(twin, second, CUBIC) > _TWIN
    if not use.any():
        return math.nan, 0
    angle = misfits(relationship, first[use], second[use])
    return float((angle < _CLOSE).mean()), int(use.sum())
