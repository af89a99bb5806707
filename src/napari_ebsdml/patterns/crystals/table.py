"""Cubic crystal structures of Laue group m-3m: a table of real ones.

Two levels name a structure: its *lattice family* (which positions scatter strongly: fcc, bcc,
diamond, A15 ...) decides most of a Kikuchi pattern, its space group the faint rest.
"""

from __future__ import annotations

from napari_ebsdml.patterns.crystals.strangers import STRANGERS
from napari_ebsdml.patterns.crystals.structure import (
    FAMILIES,
    SPACE_GROUPS,
    SYMBOLS,
    Site,
    Structure,
)

__all__ = [
    "FAMILIES", "OTHERS", "PAPER", "SPACE_GROUPS", "STRANGERS", "SYMBOLS", "Site", "Structure",
    "a15", "al4ni3", "b2", "bcc", "diamond", "fcc", "find", "fluorite", "garnet", "heusler", "l12",
    "laves", "perovskite", "rock_salt", "spinel",
]  # fmt: skip

_O = (0.0, 0.0, 0.0)
_H = (0.5, 0.5, 0.5)
_F = (0.0, 0.5, 0.5)
_E = (0.125, 0.125, 0.125)
_A15 = (0.25, 0.0, 0.5)


def fcc(name: str, a: float, element: str, b: float = 0.5) -> Structure:
    """One atom, face-centred (A1)."""
    return Structure(name, 225, "fcc", a, (Site(element, _O, 1, b),))


def bcc(name: str, a: float, element: str, b: float = 0.4) -> Structure:
    """One atom, body-centred (A2)."""
    return Structure(name, 229, "bcc", a, (Site(element, _O, 1, b),))


def b2(name: str, a: float, one: str, two: str, b: float = 0.5) -> Structure:
    """Two atoms, ordered bcc (B2, CsCl)."""
    return Structure(name, 221, "bcc", a, (Site(one, _O, 1, b), Site(two, _H, 1, b)))


def l12(name: str, a: float, minority: str, majority: str, b: float = 0.5) -> Structure:
    """Ordered fcc (L1_2)."""
    return Structure(name, 221, "fcc", a, (Site(minority, _O, 1, b), Site(majority, _F, 1, b)))


def a15(name: str, a: float, metal: str, other: str, b: float = 0.4) -> Structure:
    """A15."""
    return Structure(name, 223, "A15", a, (Site(other, _O, 1, b), Site(metal, _A15, 1, b)))


def rock_salt(name: str, a: float, metal: str, other: str, b: float = 0.4) -> Structure:
    """B1."""
    return Structure(name, 225, "rock salt", a, (Site(metal, _O, 1, b), Site(other, _H, 1, b)))


def diamond(name: str, a: float, element: str, b: float = 0.5) -> Structure:
    """A4."""
    return Structure(name, 227, "diamond", a, (Site(element, _E, 1, b),))


def fluorite(name: str, a: float, metal: str, other: str, b: float = 0.5) -> Structure:
    """C1."""
    quarter = (0.25, 0.25, 0.25)
    return Structure(name, 225, "fluorite", a, (Site(metal, _O, 1, b), Site(other, quarter, 1, b)))


def perovskite(name: str, a: float, one: str, two: str, other: str, b: float = 0.5) -> Structure:
    """E2_1: one at the corner, two in the middle."""
    sites = (Site(one, _O, 1, b), Site(two, _H, 1, b), Site(other, _F, 1, b))
    return Structure(name, 221, "perovskite", a, sites)


def spinel(name: str, a: float, one: str, two: str, u: float = 0.2624, b: float = 0.5) -> Structure:
    """H1_1 with oxygen at (u, u, u)."""
    sites = (Site(one, _E, 1, b), Site(two, _H, 1, b), Site("O", (u, u, u), 1, b))
    return Structure(name, 227, "spinel", a, sites)


def laves(name: str, a: float, large: str, small: str, b: float = 0.5) -> Structure:
    """C15."""
    return Structure(name, 227, "Laves", a, (Site(large, _E, 1, b), Site(small, _H, 1, b)))


def al4ni3(name: str, a: float, light: str, metals: dict[str, float], b: float = 0.5) -> Structure:
    """Vacancy-ordered bcc."""
    sites = [Site(light, _O, 1, b), Site(light, (0.0, 0.0, 0.25), 1, b)]
    sites += [Site(metal, (0.125, 0.625, 0.625), part, b) for metal, part in metals.items()]
    return Structure(name, 230, "bcc", a, tuple(sites))


def garnet(
    name: str, a: float, large: str, octahedral: str, tetrahedral: str, b: float = 0.5
) -> Structure:
    """S1_4 with YAG's oxygen positions."""
    sites = (
        Site(large, (0.125, 0.0, 0.25), 1, b),
        Site(octahedral, _O, 1, b),
        Site(tetrahedral, (0.375, 0.0, 0.25), 1, b),
        Site("O", (0.9700, 0.0510, 0.1493), 1, b),
    )
    return Structure(name, 230, "garnet", a, sites)


def heusler(name: str, a: float, shared: str, one: str, two: str, b: float = 0.5) -> Structure:
    """L2_1."""
    sites = (Site(shared, (0.25, 0.25, 0.25), 1, b), Site(one, _O, 1, b), Site(two, _H, 1, b))
    return Structure(name, 225, "bcc", a, sites)


PAPER: tuple[Structure, ...] = (
    b2("FeAl", 2.909, "Fe", "Al"),
    b2("NiAl", 2.887, "Ni", "Al"),
    l12("Ni3Al", 3.572, "Al", "Ni"),
    l12("Fe3Ni", 3.575, "Ni", "Fe"),
    a15("Cr3Si", 4.556, "Cr", "Si"),
    a15("Mo3Si", 4.890, "Mo", "Si"),
    fcc("Ni", 3.5236, "Ni", 0.34),
    fcc("Al", 4.0496, "Al", 0.81),
    rock_salt("NbC", 4.4698, "Nb", "C"),
    rock_salt("TaC", 4.4555, "Ta", "C"),
    rock_salt("TiC", 4.3280, "Ti", "C"),
    diamond("Si", 5.4310, "Si", 0.52),
    diamond("Ge", 5.6575, "Ge", 0.61),
    bcc("W", 3.1652, "W", 0.16),
    bcc("Ta", 3.3030, "Ta", 0.32),
    bcc("Fe", 2.8665, "Fe", 0.34),
    al4ni3("Al4Ni3", 11.408, "Al", {"Ni": 1.0}),
    al4ni3("Al4CoNi2", 11.40, "Al", {"Ni": 2 / 3, "Co": 1 / 3}),
)
"""The 18 materials of doi:10.1038/s41598-021-87557-5."""

OTHERS: tuple[Structure, ...] = (
    b2("CoAl", 2.862, "Co", "Al"),
    b2("TiFe", 2.976, "Ti", "Fe"),
    b2("CsCl", 4.123, "Cs", "Cl", 1.5),
    perovskite("SrTiO3", 3.905, "Sr", "Ti", "O"),
    a15("Nb3Sn", 5.289, "Nb", "Sn"),
    a15("V3Si", 4.725, "V", "Si"),
    fcc("Cu", 3.6149, "Cu", 0.55),
    fcc("Au", 4.0782, "Au", 0.62),
    fcc("Ag", 4.0857, "Ag", 0.72),
    fcc("Pt", 3.9242, "Pt", 0.32),
    fcc("austenite", 3.60, "Fe", 0.5),
    rock_salt("MgO", 4.2117, "Mg", "O", 0.32),
    rock_salt("TiN", 4.241, "Ti", "N"),
    rock_salt("NaCl", 5.6402, "Na", "Cl", 1.5),
    fluorite("CaF2", 5.463, "Ca", "F"),
    fluorite("UO2", 5.471, "U", "O"),
    diamond("diamond", 3.5671, "C", 0.15),
    spinel("MgAl2O4", 8.083, "Mg", "Al"),
    spinel("Fe3O4", 8.396, "Fe", "Fe", 0.2549),
    laves("MgCu2", 7.034, "Mg", "Cu"),
    bcc("Mo", 3.1470, "Mo", 0.25),
    bcc("Cr", 2.8848, "Cr", 0.26),
    bcc("Nb", 3.3004, "Nb", 0.45),
    bcc("V", 3.0240, "V", 0.55),
    garnet("YAG", 12.007, "Y", "Al", "Al"),
)
"""More real materials."""


def find(name: str) -> Structure:
    """Real structure by name.

    Raises
    ------
    InputError
        When no table holds it.
    """
    from napari_ebsdml.errors import InputError

    for structure in (*PAPER, *OTHERS, *STRANGERS):
        if structure.name == name:
            return structure
    known = ", ".join(structure.name for structure in (*PAPER, *OTHERS, *STRANGERS))
    raise InputError(f"No structure {name!r} in the tables; they hold {known}.")
