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
from napari_ebsdml.dislocations.structures.varied import varied
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
        "varied": varied,
    }
)
"""Classes of structures by name."""

BETWEEN = "varied"
"""The class that spans what lies between the others; it is no class to leave out."""

DENSITIES = (2e-3, 4.0)
"""Smallest and largest density of a structure, in lines per voxel area."""

PROBES = (0.5, 0.9)
"""Smallest and largest standard deviation, in voxels, of what a point averages over."""


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
    poisson
        Poisson's ratio of the isotropic body, or of one much like it.
    """

    lines: Lines
    field: ElasticField
    kinds: tuple[str, ...]
    lattice: str
    anisotropy: float
    poisson: float = 0.3


def random_structure(
    random: np.random.Generator,
    size: int = 64,
    kinds: Sequence[str] | None = None,
    density: float | None = None,
    lattice: str | None = None,
    strain: bool = False,
) -> Structure:
    """One structure of a crystal at a random orientation, and its field.

    Parameters
    ----------
    random
    size
        Voxels along each edge of the box.
    kinds
        One name from `KINDS`, or several for a mixture of them; None: a random choice, three
        in ten a mixture of two or three, and every fourth with lines of `BETWEEN` only.
    density
        In lines per voxel area, met within some tens of per cent; None: anything within
        `DENSITIES`, all decades alike.
    lattice
        None: any.
    strain
        Whether the field has strain, which a free surface needs.

    Raises
    ------
    InputError
        When a name is unknown or the density not positive.
    """
    names = list(KINDS)
    if kinds is None:
        kind = random.random()
        number = 1 if kind < 0.7 else int(random.integers(2, 4))
        kinds = [str(name) for name in random.choice(names, size=number, replace=False)]
        if kind < 0.25:
            kinds = [BETWEEN]
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
    poisson = float(random.uniform(0.25, 0.36))
    stiffness = isotropic_stiffness(poisson)
    if lattice != "hcp" and random.random() < 2 / 3:
        anisotropy = float(np.exp(random.uniform(0, np.log(3.5))))
        c12 = float(random.uniform(1.2, 1.8))
        stiffness = cubic_stiffness(c12 + 2 / anisotropy, c12, 1.0, turn)
    # How much a point of a map averages over is not known of a measured one.
    probe = float(np.exp(random.uniform(*np.log(PROBES))))
    field = elastic_field(lines, stiffness, strain, probe)
    return Structure(lines, field, tuple(kinds), lattice, anisotropy, poisson)


def stream_structures(
    seed: int, size: int = 64, kinds: Sequence[str] | None = None
) -> Iterator[Structure]:
    """Endless random structures; the same ones for the same seed."""
    number = 0
    while True:
        yield random_structure(np.random.default_rng([seed, number]), size, kinds)
        number += 1
