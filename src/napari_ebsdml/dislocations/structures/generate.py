"""Random dislocation structures: which kinds there are, and an endless stream of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.spatial.transform import Rotation

from napari_ebsdml.dislocations.structures.elasticity import (
    ElasticField,
    cubic_stiffness,
    elastic_field,
    isotropic_stiffness,
)
from napari_ebsdml.dislocations.structures.lines import Lines
from napari_ebsdml.dislocations.structures.loops import (
    dipolar_walls,
    glide_loops,
    pile_ups,
    tangles,
)
from napari_ebsdml.dislocations.structures.networks import junction_network, slipped_cells
from napari_ebsdml.dislocations.structures.slip import LATTICES, Slip, random_slip
from napari_ebsdml.dislocations.structures.straight_lines import (
    low_angle_boundaries,
    polarised_slip,
    taylor_lattice,
)
from napari_ebsdml.errors import InputError

Maker = Callable[[np.random.Generator, Slip, float, int], Lines]

KINDS: Mapping[str, Maker] = MappingProxyType(
    {
        "loops": glide_loops,
        "network": junction_network,
        "taylor": taylor_lattice,
        "pile-ups": pile_ups,
        "walls": dipolar_walls,
        "cells": slipped_cells,
        "boundaries": low_angle_boundaries,
        "polarised": polarised_slip,
        "tangles": tangles,
    }
)
"""Classes of structures by name."""

DENSITIES = (2e-3, 3.0)
"""Smallest and largest density of a structure, in lines per voxel area."""


@dataclass(frozen=True, eq=False)
class Structure:
    """A dislocation structure and its elastic field.

    Attributes
    ----------
    lines
    field
    kinds
        Names from `KINDS`; several for a mixture.
    lattice
        ``"fcc"``, ``"bcc"`` or ``"hcp"``.
    anisotropy
        Zener's ratio 2 c44 / (c11 - c12) of the elastic constants; 1: isotropic.
    """

    lines: Lines
    field: ElasticField
    kinds: tuple[str, ...]
    lattice: str
    anisotropy: float


def random_structure(
    random: np.random.Generator,
    size: int = 64,
    kinds: Sequence[str] | None = None,
    density: float | None = None,
    lattice: str | None = None,
) -> Structure:
    """One structure of a crystal at a random orientation, and its field.

    Parameters
    ----------
    random
    size
        Voxels along each edge of the box.
    kinds
        One name from `KINDS`, or several for a mixture of them; None: a random choice, every
        third a mixture of two or three.
    density
        In lines per voxel area, met within some tens of per cent; None: anything within
        `DENSITIES`, all decades alike.
    lattice
        None: any.

    Raises
    ------
    InputError
        When a name is unknown or the density not positive.
    """
    names = list(KINDS)
    if kinds is None:
        number = 1 if random.random() < 2 / 3 else int(random.integers(2, 4))
        kinds = [str(name) for name in random.choice(names, size=number, replace=False)]
    unknown = [name for name in kinds if name not in KINDS]
    if unknown or not kinds:
        raise InputError(f"Structures are {', '.join(names)}, not {', '.join(unknown) or 'none'}.")
    if lattice is None:
        lattice = str(random.choice(LATTICES))
    if lattice not in LATTICES:
        raise InputError(f"Structures are of {', '.join(LATTICES)}, not of {lattice!r}.")
    if density is None:
        density = float(np.exp(random.uniform(*np.log(DENSITIES))))
    if not density > 0:
        raise InputError(f"A dislocation density must be positive, not {density}.")
    turn = Rotation.random(rng=random).as_matrix()
    slip = random_slip(lattice, random, turn)
    shares = random.dirichlet(np.full(len(kinds), 1.5)) if len(kinds) > 1 else np.ones(1)
    lines = Lines.join(
        [
            KINDS[name](random, slip, max(float(share), 0.02) * density, size)
            for name, share in zip(kinds, shares, strict=True)
        ]
    )
    anisotropy = 1.0
    stiffness = isotropic_stiffness(float(random.uniform(0.25, 0.36)))
    if lattice != "hcp" and random.random() < 2 / 3:
        anisotropy = float(np.exp(random.uniform(0, np.log(3.5))))
        c12 = float(random.uniform(1.2, 1.8))
        stiffness = cubic_stiffness(c12 + 2 / anisotropy, c12, 1.0, turn)
    return Structure(lines, elastic_field(lines, stiffness), tuple(kinds), lattice, anisotropy)


def stream_structures(
    seed: int, size: int = 64, kinds: Sequence[str] | None = None
) -> Iterator[Structure]:
    """Endless random structures; the same ones for the same seed."""
    number = 0
    while True:
        yield random_structure(np.random.default_rng([seed, number]), size, kinds)
        number += 1
