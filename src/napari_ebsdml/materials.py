"""A small table of common phases: what they are called, their space group and lattice.

Three uses: to notice a header that cannot be right (space group 214 for copper), to tell fcc from
bcc where a file names only the Laue class (.ang), and to know the phases of files that hold only
names (OIM's grain files). Nothing is ever guessed from the lattice alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

ELEMENTS = (
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl",
    "Ar", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As",
    "Se", "Br", "Kr", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In",
    "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb",
    "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl",
    "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm",
)  # fmt: skip
"""Symbols of the elements by atomic number, from 1."""


@dataclass(frozen=True)
class Material:
    """A common phase.

    Parameters
    ----------
    name
        Common English name.
    words
        Words any of which, standing alone in a phase name or formula, mean this material.
    space_group
        International number.
    lattice : (a, c)
        In angstrom at room temperature; c equals a for cubic phases.
    kinds
        Words that tell this phase from others of the same metal.
    """

    name: str
    words: tuple[str, ...]
    space_group: int
    lattice: tuple[float, float]
    kinds: tuple[str, ...] = ()


# Lattice parameters at room temperature: Smithells Metals Reference Book, 8th ed., ch. 6
# (elements) and the Crystallography Open Database (compounds).
MATERIALS: tuple[Material, ...] = (
    Material("aluminium", ("aluminium", "aluminum", "al"), 225, (4.050, 4.050)),
    Material("copper", ("copper", "cu"), 225, (3.615, 3.615)),
    Material("nickel", ("nickel", "ni", "superalloy", "inconel"), 225, (3.56, 3.56)),
    Material("silver", ("silver", "ag"), 225, (4.086, 4.086)),
    Material("gold", ("gold", "au"), 225, (4.078, 4.078)),
    Material("platinum", ("platinum", "pt"), 225, (3.924, 3.924)),
    Material("palladium", ("palladium", "pd"), 225, (3.891, 3.891)),
    Material("lead", ("lead", "pb"), 225, (4.951, 4.951)),
    Material(
        "austenite",
        ("austenite", "iron", "fe", "steel", "fcc"),
        225,
        (3.60, 3.60),
        ("austenite", "gamma", "fcc"),
    ),
    Material(
        "ferrite",
        ("ferrite", "martensite", "bainite", "iron", "fe", "steel", "bcc"),
        229,
        (2.866, 2.866),
        ("ferrite", "martensite", "bainite", "alpha", "bcc"),
    ),
    Material("chromium", ("chromium", "cr"), 229, (2.885, 2.885)),
    Material("tungsten", ("tungsten", "w"), 229, (3.165, 3.165)),
    Material("molybdenum", ("molybdenum", "mo"), 229, (3.147, 3.147)),
    Material("tantalum", ("tantalum", "ta"), 229, (3.303, 3.303)),
    Material("niobium", ("niobium", "nb"), 229, (3.301, 3.301)),
    Material("vanadium", ("vanadium", "v"), 229, (3.024, 3.024)),
    Material("beta titanium", ("titanium", "ti"), 229, (3.27, 3.27), ("beta", "bcc")),
    Material("magnesium", ("magnesium", "mg"), 194, (3.209, 5.211)),
    Material("alpha titanium", ("titanium", "ti"), 194, (2.951, 4.684), ("alpha", "hcp")),
    Material(
        "alpha zirconium",
        ("zirconium", "zr", "zircaloy", "zirc"),
        194,
        (3.232, 5.148),
        ("alpha", "hcp"),
    ),
    Material("zinc", ("zinc", "zn"), 194, (2.665, 4.947)),
    Material("cobalt", ("cobalt", "co"), 194, (2.507, 4.069), ("alpha", "epsilon", "hcp")),
    Material("silicon", ("silicon", "si"), 227, (5.431, 5.431)),
    Material("germanium", ("germanium", "ge"), 227, (5.658, 5.658)),
)  # fmt: skip


STRUCTURES = {"fcc": 225, "bcc": 229, "hcp": 194}
"""Words for a metal's structure, and its space group."""
_SAY_NOTHING = {"alloy", "metal", "new", "old", "phase", "pure"}


def named_structure(name: str) -> int | None:
    """Space group of the one structure that a name tells ("Iron fcc": 225), else None."""
    told = _words(name) & STRUCTURES.keys()
    return STRUCTURES[told.pop()] if len(told) == 1 else None


def recognise_name(name: str) -> Material | None:
    """The one common phase of this name, where nothing else is known; None where two may be meant.

    "Iron" may be ferrite or austenite; "Iron - Alpha", "Austenite" and "Nickel" are clear, and
    "Chromium carbide" is not chromium.
    """
    words = _words(name) - _SAY_NOTHING
    found = [m for m in _named(name) if not m.kinds or not words.isdisjoint(m.kinds)]
    if len(found) != 1 or words - {*found[0].words, *found[0].kinds, *STRUCTURES}:
        return None
    return found[0]


def _words(text: str) -> set[str]:
    return {word for word in re.split(r"[^a-z]+", text.casefold()) if word}


def _named(name: str, formula: str = "") -> list[Material]:
    """Materials that a name allows; where it tells the kind, only those of that kind."""
    words = _words(f"{name} {formula}")
    hits = [m for m in MATERIALS if not words.isdisjoint(m.words)]
    told = [m for m in hits if not words.isdisjoint(m.kinds)]
    structure = named_structure(name)
    return [m for m in told or hits if structure in (None, m.space_group)]


def recognise(
    name: str,
    lattice: tuple[float, ...] | None,
    formula: str = "",
    tolerance: float = 0.025,
) -> Material | None:
    """The common phase of this name and lattice, or None.

    Parameters
    ----------
    name, formula
        As the file's header has them.
    lattice
        a, b, c (and angles, which are not looked at) in angstrom; None when unknown.
    tolerance
        Relative difference of a and c that still counts as equal; alloys differ by 1-2 %.

    Returns
    -------
    Material or None
        The closest lattice among the materials that the name allows; None when the name, or
        every lattice, does not match. A name that holds two elements is a compound: None.
    """
    if lattice is None or not all(length > 0 for length in lattice[:3]):
        return None
    a, c = lattice[0], lattice[2]
    best: tuple[float, Material] | None = None
    for material in _named(name, formula):
        error = max(abs(a / material.lattice[0] - 1), abs(c / material.lattice[1] - 1))
        if error <= tolerance and (best is None or error < best[0]):
            best = (error, material)
    return best[1] if best else None
