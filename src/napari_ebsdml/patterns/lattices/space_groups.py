"""Space groups that a Laue group and a centring leave, in sets that absent reflections tell apart.

The 230 space groups share 24 Patterson symmetries: Laue group and centring. Within one, only glide
planes and screw axes show, by reflections that they extinguish. Dynamical scattering fills many of
these, and the higher orders of the same planes keep their band: so this is a ranking, never one
number. Space groups of one set differ by nothing that a pattern with inversion symmetry shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

_LAST = {
    "-1": 2, "2/m": 15, "mmm": 74, "4/m": 88, "4/mmm": 142, "-3": 148, "-3m": 167, "6/m": 176,
    "6/mmm": 194, "m-3": 206, "m-3m": 230,
}  # fmt: skip
"""Last space group of each Laue group (International Tables, volume A)."""
_FIRST = dict(zip(_LAST, (1, *(number + 1 for number in _LAST.values())), strict=False))
_CENTROSYMMETRIC = {
    "-1": (2, 2), "2/m": (10, 15), "mmm": (47, 74), "4/m": (83, 88), "4/mmm": (123, 142),
    "-3": (147, 148), "-3m": (162, 167), "6/m": (175, 176), "6/mmm": (191, 194),
    "m-3": (200, 206), "m-3m": (221, 230),
}  # fmt: skip
_HIGHEST = 6


@dataclass(frozen=True)
class SpaceGroups:
    """Space groups that patterns do not tell apart.

    Attributes
    ----------
    numbers
        Of the International Tables, those with a centre of symmetry first.
    absent
        How many reflections up to index 6 glide planes and screw axes extinguish.
    gain
        How much better than the centring alone the bands without these reflections fit; None
        where no sphere was compared.
    """

    numbers: tuple[int, ...]
    absent: int
    gain: float | None = None


@cache
def symbol(number: int) -> str:
    """Short symbol such as ``"Fm-3m"``."""
    from diffpy.structure.spacegroups import GetSpaceGroup

    return str(GetSpaceGroup(number).short_name).replace(" ", "")


@cache
def centring(number: int) -> str:
    """Centring of the standard setting: P, I, F, R, or C for any one face (A, B, C)."""
    letter = symbol(number)[0]
    return "C" if letter in "ABC" else letter.replace("H", "R")


def members(laue: str, letter: str) -> tuple[int, ...]:
    """Numbers of the space groups of a Laue group and a centring (A and B count as C)."""
    wanted = "C" if letter in "ABC" else letter
    return tuple(n for n in range(_FIRST[laue], _LAST[laue] + 1) if centring(n) == wanted)


@cache
def _grid() -> NDArray[np.int64]:
    one = range(-_HIGHEST, _HIGHEST + 1)
    return np.array([hkl for hkl in product(one, one, one) if any(hkl)], dtype=np.int64)


def is_extinct(number: int, hkl: NDArray[np.integer]) -> NDArray[np.bool_]:
    """Which reflections (n, 3) the operations of a space group extinguish, centring included.

    Axes as in the standard setting, but A-centred groups (38 to 41) turned to C. A reflection is
    extinguished when the phases of the operations that keep it cancel.
    """
    from diffpy.structure.spacegroups import GetSpaceGroup

    if symbol(number)[0] == "A":
        hkl = hkl[:, [2, 0, 1]]  # As if it were centred on C.
    total = np.zeros(len(hkl), complex)
    for operation in GetSpaceGroup(number).iter_symops():
        kept = (hkl @ operation.R.round().astype(int) == hkl).all(axis=1)
        total += kept * np.exp(2j * np.pi * (hkl @ operation.t))
    return np.abs(total) < 1e-6


@cache
def sets_of(laue: str, letter: str) -> tuple[SpaceGroups, ...]:
    """Space groups of a Laue group and a centring in sets of equal absences, the fewest first."""
    found: dict[bytes, list[int]] = {}
    count: dict[bytes, int] = {}
    numbers = members(laue, letter)
    for number in numbers:
        absent = is_extinct(number, _grid())
        key = absent.tobytes()
        found.setdefault(key, []).append(number)
        count[key] = int(absent.sum())
    least = min(count.values(), default=0)
    first, last = _CENTROSYMMETRIC[laue]
    made = [
        SpaceGroups(
            tuple(sorted(group, key=lambda n: (not first <= n <= last, n))), count[key] - least
        )
        for key, group in found.items()
    ]
    return tuple(sorted(made, key=lambda one: (one.absent, one.numbers)))


def orders_of(laue: str) -> list[list[int]]:
    """Ways to name the axes of a lattice that its Laue group leaves."""
    if laue == "mmm":
        return [list(order) for order in permutations(range(3))]
    return [[0, 1, 2], [1, 0, 2]] if laue == "m-3" else [[0, 1, 2]]


def words(found: tuple[SpaceGroups, ...], most: int = 2) -> str:
    """The first sets in words, such as "225, 202, 216 ... not separable; less likely 227, 203"."""
    if not found:
        return ""
    told = [", ".join(str(n) for n in one.numbers) for one in found[:most]]
    text = told[0] + (" (not separable)" if len(found[0].numbers) > 1 else "")
    if len(told) > 1:
        text += "; less likely " + " or ".join(told[1:])
    return text + (" and others" if len(found) > most else "")
