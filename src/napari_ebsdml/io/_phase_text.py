"""How files write phases: numbers of Laue classes, point groups, elements, units of lattices."""

from __future__ import annotations

import re
from collections.abc import Iterable

from napari_ebsdml.materials import ELEMENTS

LAUE_CLASSES = (
    "-1", "2/m", "mmm", "4/m", "4/mmm", "-3", "-3m", "6/m", "6/mmm", "m-3", "m-3m",
)  # fmt: skip
"""Laue classes in the order of the numbers, from 1, that Oxford's formats give them."""

# EDAX names a Laue class by its proper rotations.
_EDAX_LAUE = {
    1: "-1", 2: "2/m", 20: "2/m", 21: "2/m", 22: "mmm", 4: "4/m", 42: "4/mmm", 3: "-3", 32: "-3m",
    6: "6/m", 62: "6/mmm", 23: "m-3", 43: "m-3m",
}  # fmt: skip
# Point groups as files spell them: orix's name, or None where the Laue class and the lattice tell
# the axes, and the Laue class. Those that are also a Laue code of EDAX come by that.
_GROUPS: dict[str, tuple[str | None, str]] = {
    **dict.fromkeys(("1", "-1"), ("-1", "-1")),
    **dict.fromkeys(("2", "m", "2/m"), (None, "2/m")),
    **{text: (axis, "2/m")
       for axis, texts in {"211": ("211", "m11", "2/m11"), "121": ("121", "1m1", "12/m1"),
                           "112": ("112", "11m", "112/m")}.items() for text in texts},
    "222": ("222", "mmm"), "mmm": ("mmm", "mmm"),
    **dict.fromkeys(("mm2", "m2m", "2mm"), (None, "mmm")),
    "4": ("4", "4/m"), "-4": ("-4", "4/m"), "4/m": ("4/m", "4/m"),
    "422": ("422", "4/mmm"), "4mm": ("4mm", "4/mmm"), "4/mmm": ("4/mmm", "4/mmm"),
    **dict.fromkeys(("-42m", "-4m2"), (None, "4/mmm")),
    "3": ("3", "-3"), "-3": ("-3", "-3"),
    **dict.fromkeys(("32", "321", "3m", "3m1", "-3m", "-3m1"), (None, "-3m")),
    **dict.fromkeys(("312", "31m", "-31m"), ("312", "-3m")),
    "6": ("6", "6/m"), "-6": ("-6", "6/m"), "6/m": ("6/m", "6/m"),
    "622": ("622", "6/mmm"), "6mm": ("6mm", "6/mmm"), "6/mmm": ("6/mmm", "6/mmm"),
    **dict.fromkeys(("-6m2", "-62m"), (None, "6/mmm")),
    "23": ("23", "m-3"), **dict.fromkeys(("m-3", "m3"), ("m-3", "m-3")),
    "432": ("432", "m-3m"), **dict.fromkeys(("-43m", "43m"), ("-43m", "m-3m")),
    **dict.fromkeys(("m-3m", "m3m"), ("m-3m", "m-3m")),
}  # fmt: skip
# EDAX counts the 32 point groups from 100 on, in the order of the International Tables; OIM's own
# files confirm 126 (titanium) and 131 (aluminium, nickel). 132 to 137 are six more: as many as the
# settings of 2, m and 2/m along the two other axes.
_FIRST_GROUP_ID = 100
_GROUP_OF_ID = (
    "1", "-1", "2", "m", "2/m", "222", "mm2", "mmm", "4", "-4", "4/m", "422", "4mm", "-42m",
    "4/mmm", "3", "-3", "32", "3m", "-3m", "6", "-6", "6/m", "622", "6mm", "-62m", "6/mmm",
    "23", "m-3", "432", "-43m", "m-3m", "2", "m", "2/m", "2", "m", "2/m",
)  # fmt: skip
_MODERN = {"m3m": "m-3m", "m3": "m-3", "43m": "-43m", "-3m1": "-3m", "-31m": "-3m"}
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


def edax_symmetry(
    code: float | str | None, group: float | str | None = None
) -> tuple[str | None, str | None, str]:
    """Point group and Laue class of a phase by EDAX's entries.

    Parameters
    ----------
    code
        "Symmetry": a code of a Laue class; MTEX writes a point group, or its number, instead.
    group
        "PointGroupID" or "PGsymID" (100 to 137), or "Point Group", such as "Cubic (Oh) [m3m]".

    Returns
    -------
    point_group, laue
        Each None when the file does not tell.
    problem
        What cannot be right, as part of a sentence, or "".
    """
    text = "" if code is None else str(code).strip()
    point_group, laue = None, edax_laue(code)
    if laue is None:
        point_group, laue = _GROUPS.get(_symbol(text), (None, None))
        if laue is None and text:
            return None, None, f"no point group {text!r} exists"
    exact, its_laue = _GROUPS.get(_symbol("" if group is None else str(group)), (None, None))
    if laue is None or its_laue == laue:
        return exact or point_group, its_laue or laue, ""
    if its_laue is not None:
        return point_group, laue, f"Symmetry {text} is {laue}, but point group {group} {its_laue}"
    return point_group, laue, ""


def _symbol(text: str) -> str:
    """Symbol of a point group that is given by EDAX's number, in brackets or as it stands."""
    if match := re.search(r"\[([^\]]+)\]", text):
        text = match[1]
    text = text.replace(" ", "")
    if re.fullmatch(r"1\d\d(\.0)?", text):
        at = int(float(text)) - _FIRST_GROUP_ID
        return _GROUP_OF_ID[at] if at < len(_GROUP_OF_ID) else ""
    return text


def modern_symbol(symbol: str) -> str:
    """Symbol of a point group or Laue class in today's notation, as orix has it."""
    symbol = symbol.replace(" ", "")
    return _MODERN.get(symbol, symbol)


def known_space_group(number: float | None) -> int | None:
    """The number of a space group; None for a number that none has, such as 0 for unknown."""
    return int(number) if number is not None and 1 <= number <= 230 else None


def element_symbol(element: str | int) -> str:
    """Chemical symbol; some programs write the atomic number."""
    word = str(element).strip()
    if word.isdigit() and 1 <= int(word) <= len(ELEMENTS):
        return ELEMENTS[int(word) - 1]
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
