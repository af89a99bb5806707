"""What a crystal structure is, and the names of space groups and lattice families."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SPACE_GROUPS: tuple[int, ...] = (221, 223, 225, 227, 229, 230)
"""Space groups that the classifier knows: those of doi:10.1038/s41598-021-87557-5."""

SYMBOLS: dict[int, str] = {
    221: "Pm-3m", 223: "Pm-3n", 225: "Fm-3m", 227: "Fd-3m", 229: "Im-3m", 230: "Ia-3d",
    194: "P6_3/mmc", 191: "P6/mmm", 187: "P-6m2", 186: "P6_3mc", 136: "P4_2/mnm",
    205: "Pa-3", 167: "R-3c", 166: "R-3m", 152: "P3_121", 141: "I4_1/amd", 137: "P4_2/nmc",
    62: "Pnma", 129: "P4/nmm", 139: "I4/mmm", 140: "I4/mcm", 204: "Im-3",
}  # fmt: skip

FAMILIES: tuple[str, ...] = (
    "fcc", "bcc", "diamond", "A15", "rock salt", "fluorite", "perovskite", "spinel", "garnet",
    "Laves",
)  # fmt: skip
"""Lattice families. L1_2 counts as fcc; B2, CsCl, D0_3, Heusler and Al4Ni3 count as bcc."""


_MARK = "#"


def marked(name: str, which: object) -> str:
    """Name of a crystal that is no real material: an invented one, or a measured mean."""
    return f"{name} {_MARK}{which}"


def is_real(name: str) -> bool:
    """Whether a crystal of that name is a real material."""
    return _MARK not in name


def are_real(names: Iterable[str]) -> NDArray[np.bool_]:
    """Which names are those of real materials, (n,)."""
    return np.array([is_real(name) for name in names], dtype=bool)


@dataclass(frozen=True)
class Site:
    """An atom of the asymmetric unit.

    Attributes
    ----------
    element
        Chemical symbol.
    position
        Fractional coordinates.
    occupancy
        0..1.
    b_factor
        Debye-Waller factor B in square angstrom.
    """

    element: str
    position: tuple[float, float, float]
    occupancy: float = 1.0
    b_factor: float = 0.5


@dataclass(frozen=True)
class Structure:
    """A crystal structure.

    Attributes
    ----------
    name
    space_group
        Number in the International Tables.
    family
        One of `FAMILIES`, or "other" for crystals outside m-3m.
    a, b, c
        Lattice parameters in angstrom; ``b=None``: as a; ``c=None``: as a.
    sites
    gamma
        Angle between a and b in degrees: 120 for hexagonal axes, also of rhombohedral crystals.
    origin
        Choice 1 or 2 of space groups with two origins; 2: at the centre of inversion.
    """

    name: str
    space_group: int
    family: str
    a: float
    sites: tuple[Site, ...]
    c: float | None = None
    gamma: float = 90.0
    b: float | None = None
    origin: int = 2

    @property
    def is_real(self) -> bool:
        """Whether it is a real material, and not an invented one."""
        return is_real(self.name)

    @property
    def prototype(self) -> str:
        """Name without an invented crystal's number."""
        return self.name.partition(_MARK)[0].rstrip()

    @property
    def file_name(self) -> str:
        """Name for a file without its ending."""
        return self.name.replace(f" {_MARK}", "-")

    @property
    def volume(self) -> float:
        """Volume of the cell in cubic angstrom."""
        b, c = (self.a if x is None else x for x in (self.b, self.c))
        return self.a * b * c * math.sin(math.radians(self.gamma))
