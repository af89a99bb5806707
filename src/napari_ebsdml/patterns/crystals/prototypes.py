"""Prototypes to invent cubic crystals from, with random elements and sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from napari_ebsdml.patterns.crystals.structure import marked
from napari_ebsdml.patterns.crystals.table import (
    Structure,
    a15,
    al4ni3,
    b2,
    bcc,
    diamond,
    fcc,
    fluorite,
    garnet,
    heusler,
    l12,
    laves,
    perovskite,
    rock_salt,
    spinel,
)

# Radii in angstrom for twelve neighbours, rounded; they only give invented crystals sensible sizes.
_METALS: dict[str, float] = {
    "Mg": 1.60, "Al": 1.43, "Si": 1.32, "Ca": 1.97, "Sc": 1.64, "Ti": 1.47, "V": 1.35,
    "Cr": 1.29, "Mn": 1.32, "Fe": 1.26, "Co": 1.25, "Ni": 1.25, "Cu": 1.28, "Zn": 1.37, "Ga": 1.40,
    "Ge": 1.37, "Sr": 2.15, "Y": 1.80, "Zr": 1.60, "Nb": 1.47, "Mo": 1.40, "Ru": 1.34, "Rh": 1.34,
    "Pd": 1.37, "Ag": 1.44, "In": 1.62, "Sn": 1.58, "La": 1.87, "Hf": 1.59, "Ta": 1.47, "W": 1.41,
    "Re": 1.37, "Ir": 1.36, "Pt": 1.39, "Au": 1.44, "Pb": 1.75,
}  # fmt: skip
_SMALL: dict[str, float] = {"C": 0.87, "P": 1.31, "As": 1.39}
_ANIONS: dict[str, float] = {"C": 0.76, "N": 0.72, "O": 0.73, "F": 0.95, "S": 1.20, "Cl": 1.50}

Maker = Callable[[np.random.Generator, str], Structure]


def _pick(rng: np.random.Generator, table: dict[str, float], not_these: str = "") -> str:
    names = [name for name in table if name not in not_these.split()]
    return str(rng.choice(names))


def _make_fcc(rng: np.random.Generator, name: str) -> Structure:
    element = _pick(rng, _METALS)
    return fcc(name, 2.828 * _METALS[element] * rng.uniform(0.94, 1.06), element, _b(rng))


def _make_bcc(rng: np.random.Generator, name: str) -> Structure:
    element = _pick(rng, _METALS)
    return bcc(name, 2.25 * _METALS[element] * rng.uniform(0.94, 1.06), element, _b(rng))


def _make_b2(rng: np.random.Generator, name: str) -> Structure:
    one = _pick(rng, _METALS)
    two = _pick(rng, _METALS, one)
    a = 1.13 * (_METALS[one] + _METALS[two]) * rng.uniform(0.93, 1.05)
    return b2(name, a, one, two, _b(rng))


def _make_l12(rng: np.random.Generator, name: str) -> Structure:
    one = _pick(rng, _METALS)
    two = _pick(rng, _METALS, one)
    a = 1.414 * (0.5 * _METALS[one] + 1.5 * _METALS[two]) * rng.uniform(0.94, 1.05)
    return l12(name, a, one, two, _b(rng))


def _make_a15(rng: np.random.Generator, name: str) -> Structure:
    metal = _pick(rng, _METALS)
    other = _pick(rng, _METALS, metal)
    a = 3.6 * (0.65 * _METALS[metal] + 0.3 * _METALS[other]) * rng.uniform(0.94, 1.05)
    return a15(name, a, metal, other, _b(rng))


def _make_rock_salt(rng: np.random.Generator, name: str) -> Structure:
    metal, other = _pick(rng, _METALS), _pick(rng, _ANIONS)
    a = 2 * (_METALS[metal] + _ANIONS[other]) * rng.uniform(0.93, 1.05)
    return rock_salt(name, a, metal, other, _b(rng))


def _make_diamond(rng: np.random.Generator, name: str) -> Structure:
    # Few elements take this structure; the others show the network other strengths of its bands.
    radii = _METALS | _SMALL
    element = _pick(rng, radii)
    size = 4.1 * radii[element]
    return diamond(name, size * rng.uniform(0.86, 1.1), element, _b(rng))


def _make_fluorite(rng: np.random.Generator, name: str) -> Structure:
    metal = _pick(rng, _METALS)
    other = _pick(rng, {"O": 0, "F": 0, "S": 0, "Al": 0, "Si": 0})
    a = 2.31 * (_METALS[metal] + {"Al": 1.2, "Si": 1.0}.get(other, _ANIONS.get(other, 1.0)))
    return fluorite(name, a * rng.uniform(0.93, 1.05), metal, other, _b(rng))


def _make_perovskite(rng: np.random.Generator, name: str) -> Structure:
    one = _pick(rng, {"Sr": 0, "Ca": 0, "Y": 0, "La": 0, "Pb": 0, "Mn": 0, "Al": 0})
    two = _pick(rng, _METALS, one)
    other = _pick(rng, {"O": 0, "F": 0, "N": 0, "C": 0})
    a = 2 * (0.85 * _METALS[two] + _ANIONS[other]) * rng.uniform(0.93, 1.05)
    return perovskite(name, a, one, two, other, _b(rng))


def _make_spinel(rng: np.random.Generator, name: str) -> Structure:
    one = _pick(rng, _METALS)
    u = float(rng.uniform(0.252, 0.266))
    return spinel(name, rng.uniform(7.9, 8.9), one, _pick(rng, _METALS), u, _b(rng))


def _make_garnet(rng: np.random.Generator, name: str) -> Structure:
    large = _pick(rng, {"Y": 0, "La": 0, "Ca": 0, "Mg": 0, "Fe": 0, "Mn": 0})
    middle = _pick(rng, {"Al": 0, "Fe": 0, "Cr": 0, "Ga": 0, "Sc": 0})
    small = _pick(rng, {"Al": 0, "Si": 0, "Ga": 0, "Fe": 0})
    return garnet(name, rng.uniform(11.4, 12.6), large, middle, small, _b(rng))


def _make_laves(rng: np.random.Generator, name: str) -> Structure:
    large = _pick(rng, {key: r for key, r in _METALS.items() if r > 1.45})
    small = _pick(rng, {key: r for key, r in _METALS.items() if r < 1.42})
    a = 2.4 * (_METALS[large] + _METALS[small]) * rng.uniform(0.95, 1.05)
    return laves(name, a, large, small, _b(rng))


def _make_al4ni3(rng: np.random.Generator, name: str) -> Structure:
    light = _pick(rng, {"Al": 0, "Ga": 0, "In": 0, "Si": 0, "Mg": 0})
    metal = _pick(rng, {key: r for key, r in _METALS.items() if r < 1.45}, light)
    second = _pick(rng, {"Co": 0, "Fe": 0, "Cu": 0, "Pd": 0, "Mn": 0}, metal)
    part = float(rng.choice([0.0, rng.uniform(0, 0.5)]))
    metals = {metal: 1 - part, second: part} if part else {metal: 1.0}
    a = 4.35 * (_METALS[light] + _METALS[metal]) * rng.uniform(0.95, 1.04)
    return al4ni3(name, a, light, metals, _b(rng))


def _make_heusler(rng: np.random.Generator, name: str) -> Structure:
    shared = _pick(rng, {"Ni": 0, "Co": 0, "Cu": 0, "Fe": 0, "Pd": 0})
    one = _pick(rng, {"Mn": 0, "Ti": 0, "Fe": 0, "Cr": 0, "Zr": 0, "V": 0})
    two = _pick(rng, {"Al": 0, "Ga": 0, "Sn": 0, "Si": 0, "In": 0})
    return heusler(name, rng.uniform(5.6, 6.3), shared, one, two, _b(rng))


def _disordered(ordered: Structure, space_group: int) -> Structure:
    """The solid solution of the same atoms: every site holds all elements by their share.

    It differs from the ordered crystal by the superlattice bands alone, which is what the network
    has to learn of the two.
    """
    multiplicity = [3 if site.position == (0.0, 0.5, 0.5) else 1 for site in ordered.sites]
    total = sum(multiplicity)
    sites = tuple(
        replace(site, position=(0.0, 0.0, 0.0), occupancy=share / total)
        for site, share in zip(ordered.sites, multiplicity, strict=True)
    )
    return replace(ordered, space_group=space_group, sites=sites)


def _make_fcc_alloy(rng: np.random.Generator, name: str) -> Structure:
    return _disordered(_make_l12(rng, name), 225)


def _make_bcc_alloy(rng: np.random.Generator, name: str) -> Structure:
    return _disordered(_make_b2(rng, name), 229)


def _b(rng: np.random.Generator) -> float:
    return float(rng.uniform(0.2, 0.9))


PROTOTYPES: dict[str, tuple[Maker, int, float]] = {
    "A1": (_make_fcc, 225, 3.0),
    "B1": (_make_rock_salt, 225, 2.0),
    "C1": (_make_fluorite, 225, 1.0),
    "L2_1": (_make_heusler, 225, 0.4),
    "A2": (_make_bcc, 229, 4.0),
    "B2": (_make_b2, 221, 3.0),
    "L1_2": (_make_l12, 221, 3.0),
    "E2_1": (_make_perovskite, 221, 1.0),
    "A15": (_make_a15, 223, 2.0),
    "A4": (_make_diamond, 227, 2.0),
    "C15": (_make_laves, 227, 0.7),
    "H1_1": (_make_spinel, 227, 0.7),
    "Al4Ni3": (_make_al4ni3, 230, 1.5),
    "S1_4": (_make_garnet, 230, 0.7),
    "fcc_alloy": (_make_fcc_alloy, 225, 3.0),
    "bcc_alloy": (_make_bcc_alloy, 229, 3.0),
}
"""Prototype -> maker of a random crystal, space group, how often to make one."""

_ORDERED = {"fcc_alloy": "L1_2", "bcc_alloy": "B2"}


def invent(seed: int, prototype: str) -> Structure:
    """Invent a crystal of a prototype with random elements, size and Debye-Waller factor.

    Parameters
    ----------
    seed
        The same seed gives the same crystal.
    prototype
        A key of `PROTOTYPES`.
    """
    maker, _, _ = PROTOTYPES[prototype]
    # An alloy and the ordered crystal of the same number are made of the same atoms.
    number = list(PROTOTYPES).index(_ORDERED.get(prototype, prototype))
    return maker(np.random.default_rng([seed, number]), marked(prototype, seed))
