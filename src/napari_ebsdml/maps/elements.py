"""Which maps of a scan are X-ray counts of elements (EDS), whoever measured them.

Readers keep the vendors' names: "Window Integral Fe Ka1" in Oxford's .h5oina, "Titanium K" in
CHANNEL5 projects, "Fe K", "Fe-K" or "FeK" in text exports. What they mean is told here alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se "
    "Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb Dy "
    "Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Po At Rn Fr Ra Ac Th Pa U"
)
_NUMBER = {symbol: number for number, symbol in enumerate(_SYMBOLS.split(), 1)}
_NAMES = (
    "hydrogen helium lithium beryllium boron carbon nitrogen oxygen fluorine neon sodium magnesium "
    "aluminium silicon phosphorus sulphur chlorine argon potassium calcium scandium titanium "
    "vanadium chromium manganese iron cobalt nickel copper zinc gallium germanium arsenic selenium "
    "bromine krypton rubidium strontium yttrium zirconium niobium molybdenum technetium ruthenium "
    "rhodium palladium silver cadmium indium tin antimony tellurium iodine xenon caesium barium "
    "lanthanum cerium praseodymium neodymium promethium samarium europium gadolinium terbium "
    "dysprosium holmium erbium thulium ytterbium lutetium hafnium tantalum tungsten rhenium osmium "
    "iridium platinum gold mercury thallium lead bismuth polonium astatine radon francium radium "
    "actinium thorium protactinium uranium"
)
_BY_NAME = dict(zip(_NAMES.split(), _NUMBER, strict=True))
_BY_NAME |= {"aluminum": "Al", "sulfur": "S", "cesium": "Cs", "wolfram": "W"}
_LIGHTEST = {"K": 4, "L": 20, "M": 55}
"""Atomic number from which on a detector sees the series."""
_KINDS = ("window integral", "", "peak area")
"""Counts as measured come first: peaks of which others' parts were taken are no Poisson counts."""
_LINE = re.compile(
    r"(?:EDS\d*\s+)?(?P<kind>Window Integral\s+|Peak Area\s+|)(?P<element>[A-Z][a-z]*)"
    r"(?P<gap>[\s_-]*)(?P<series>[KLM])(?:[\s_-]*(?:[ab\u03b1\u03b2]|alpha|beta|series)?\d?)"
    r"(?:\s+counts)?"
)


@dataclass(frozen=True, eq=False)
class ElementCounts:
    """X-ray counts of a map.

    Attributes
    ----------
    lines : tuple of str
        Such as ``"Fe K"``, in the order of the file.
    properties : tuple of tuples of str
        The scan's properties behind each line: those of two detectors are added up.
    counts : (rows, columns, lines) float64 array
        0 where nothing was measured.
    """

    lines: tuple[str, ...]
    properties: tuple[tuple[str, ...], ...]
    counts: NDArray[np.float64]


def element_line(name: str) -> tuple[str, str] | None:
    """Element and series that a property counts, and how: ``("Fe K", "window integral")``.

    None for every other name. "Composition Fe" is no count, nor is "CL": carbon has no L series.
    """
    found = _LINE.fullmatch(name.strip())
    if found is None:
        return None
    word, kind, series = found["element"], found["kind"].strip().lower(), found["series"]
    symbol = word if word in _NUMBER else _BY_NAME.get(word.lower())
    # "OK" is no oxygen: without a gap only two letters make an element.
    if symbol is None or (len(word) == 1 and not found["gap"] and not kind):
        return None
    return (f"{symbol} {series}", kind) if _NUMBER[symbol] >= _LIGHTEST[series] else None


def element_names(scan: Scan) -> tuple[str, ...]:
    """Lines that a map has counts of, such as ``("Fe K", "Ni K")``; nothing is read for it."""
    return tuple(_groups(scan))


def element_counts(scan: Scan) -> ElementCounts | None:
    """The element counts of a map.

    Parameters
    ----------
    scan
        Its properties are looked through by name.

    Returns
    -------
    ElementCounts or None
        None for a map without any, or without a single count.
    """
    lines, properties, planes = [], [], []
    for line, names in _groups(scan).items():
        plane = np.zeros(scan.shape)
        for name in names:
            values = np.asarray(scan.prop[name], dtype=np.float64)
            plane += np.where(np.isfinite(values) & (values > 0), values, 0.0)
        if plane.any():
            lines.append(line)
            properties.append(names)
            planes.append(plane)
    if not planes:
        return None
    return ElementCounts(tuple(lines), tuple(properties), np.stack(planes, axis=-1))


def _groups(scan: Scan) -> dict[str, tuple[str, ...]]:
    """Properties that count each line, of the kind that is nearest to counts as measured."""
    found: dict[str, dict[str, list[str]]] = {}
    for name in scan.prop:
        told = element_line(name)
        if told is not None:
            line, kind = told
            found.setdefault(line, {}).setdefault(kind, []).append(name)
    # One kind for the whole map: shares of what was counted in two ways mean nothing.
    for kind in _KINDS:
        lines = {line: tuple(kinds[kind]) for line, kinds in found.items() if kind in kinds}
        if lines:
            return lines
    return {}
