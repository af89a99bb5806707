"""How files write phases: numbers of Laue classes, point groups, elements, units of lattices."""

from __future__ import annotations

import re
from collections.abc import Iterable

LAUE_CLASSES = (
    "-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3", "m-3m",
)  # fmt: skip
"""Laue classes in the order of the numbers, from 1, that Oxford's formats give them."""

# EDAX names a Laue class by its proper rotations.
_EDAX_LAUE = {
    1: "-1", 2: "2/m", 20: "2/m", 21: "2/m", 22: "mmm", 4: "4/m", 42: "4/mmm", 3: "-3", 32: "-3m",
    6: "6/m", 62: "6/mmm", 23: "m-3", 43: "m-3m",
}  # fmt: skip
_MODERN = {"m3m": "m-3m", "m3": "m-3", "43m": "-43m", "-3m1": "-3m", "-31m": "-3m"}
_ELEMENTS = (
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl",
    "Ar", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As",
    "Se", "Br", "Kr", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In",
    "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb",
    "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl",
    "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm",
)  # fmt: skip
# No crystal has all cell edges below this, in angstrom: such ones are in nm.
_SHORTEST_EDGE = 1.5


def oxford_laue(number: float | None) -> str | None:
    """Laue class of Oxford's number; None for a number that none has."""
    if number is None or not 1 <= number <= len(LAUE_CLASSES):
        return None
    return LAUE_CLASSES[int(number) - 1]


def edax_laue(code: float | str | None) -> str | None:
    """Laue class of EDAX's code; None for a code that none has."""
    try:
        return None if code is None else _EDAX_LAUE.get(int(code))
    except (ValueError, OverflowError):
        return None


def modern_symbol(symbol: str) -> str:
    """Symbol of a point group or Laue class in today's notation, as orix has it."""
    symbol = symbol.replace(" ", "")
    return _MODERN.get(symbol, symbol)


def bracketed_group(text: str) -> str | None:
    """Point group in a text such as "Cubic (Oh) [m3m]", in today's notation."""
    match = re.search(r"\[([^\]]+)\]", text)
    return modern_symbol(match[1]) if match else None


def known_space_group(number: float | None) -> int | None:
    """The number of a space group; None for a number that none has, such as 0 for unknown."""
    return int(number) if number is not None and 1 <= number <= 230 else None


def element_symbol(element: str | int) -> str:
    """Chemical symbol; some programs write the atomic number."""
    word = str(element).strip()
    if word.isdigit() and 1 <= int(word) <= len(_ELEMENTS):
        return _ELEMENTS[int(word) - 1]
    return word


def in_angstrom(
    values: Iterable[float], phase: str, warnings: list[str]
) -> tuple[float, float, float, float, float, float]:
    """Lattice a, b, c, alpha, beta, gamma with lengths in angstrom.

    EMsoft has nm, and kikuchipy and some exports hand them on as they are. Edges of 1
    are left alone: they stand for an unknown lattice. `phase` names the phase in the warning.
    """
    a, b, c, alpha, beta, gamma = map(float, values)
    unknown = max(abs(edge - 1) for edge in (a, b, c)) < 1e-6
    if 0 < max(a, b, c) < _SHORTEST_EDGE and not unknown:
        warnings.append(f"Phase {phase!r}: cell edges {a:g}, {b:g}, {c:g} are taken as nanometres.")
        a, b, c = (round(10 * edge, 9) for edge in (a, b, c))
    return a, b, c, alpha, beta, gamma
