"""Invented crystals of all 11 Laue groups, and patterns of them, for the tables of symmetry.

``python benchmarks/laue_crystals.py --masters FOLDER``: how much of their crystal's symmetry
dynamical master patterns have themselves.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.master import sample
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.simulated.kinematic import Crystal
from napari_ebsdml.patterns.simulated.screen import Screen, expose
from napari_ebsdml.patterns.simulated.synthetic import project_bands, random_quaternions
from napari_ebsdml.patterns.symmetry.groups import GROUPS
from patterns_common import show

SPACE_GROUPS: dict[str, tuple[int, ...]] = {
    "-1": (1, 2, 2, 2, 1, 2, 2), "2/m": (14, 15, 12, 11, 4, 5, 13),
    "mmm": (62, 63, 64, 19, 72, 33, 57), "4/m": (88, 82, 87, 85, 84, 79, 77),
    "4/mmm": (139, 136, 141, 129, 140, 123, 122), "-3": (148, 147, 146, 144, 148, 147, 143),
    "-3m": (166, 167, 164, 152, 160, 155, 163), "6/m": (176, 173, 174, 175, 169, 176, 173),
    "6/mmm": (194, 191, 186, 193, 187, 190, 180), "m-3": (205, 204, 200, 198, 201, 205, 204),
    "m-3m": (225, 229, 221, 227, 216, 217, 223),
}  # fmt: skip
"""Space groups of the crystals of each Laue group."""

NEARLY = 0.85
"""Crystals whose patterns have more symmetry than this correlation are left out."""

_HEAVY = (12, 13, 14, 20, 22, 24, 26, 28, 29, 30, 38, 40, 42, 46, 47, 50, 56, 72, 74, 78, 82)
_LIGHT = (6, 7, 8, 9, 14, 16, 17)


def cell(group: str, rng: np.random.Generator) -> tuple[float, ...]:
    """Lengths in angstrom and angles in degrees that the Laue group allows."""
    a, b, c = rng.uniform(3.0, 7.0, 3)
    if group in ("m-3", "m-3m"):
        return (a, a, a, 90, 90, 90)
    if group in ("4/m", "4/mmm"):
        return (a, a, a * rng.choice([rng.uniform(0.6, 0.92), rng.uniform(1.1, 1.9)]), 90, 90, 90)
    if group in ("-3", "-3m", "6/m", "6/mmm"):
        return (a, a, a * rng.uniform(0.65, 2.4), 90, 90, 120)
    if group == "mmm":
        b, c = a * rng.uniform(1.1, 1.35), a * rng.uniform(0.65, 0.9)
        return (a, b, c, 90, 90, 90)
    if group == "2/m":
        return (a, b, c, 90, rng.uniform(94, 118), 90)
    return (a, b, c, *rng.uniform(75, 88, 3))


def crystal(group: str, number: int) -> Crystal:
    """Invented crystal of a Laue group, of one heavy site and one or two more.

    Drawn anew until its pattern has no further symmetry: until every rotation that the group
    lacks correlates by less than `NEARLY` over the whole sphere. Many simple structures have the
    bands of a higher group (atoms at special places), which no pattern can tell.

    Raises
    ------
    LookupError
        When none of 200 drawn is like that.
    """
    order = list(SPACE_GROUPS).index(group)
    for attempt in range(200):
        made = _draw(group, number, np.random.default_rng([16, order, number, attempt]))
        if made is not None and further_symmetry(made, group) < NEARLY:
            return made
    raise LookupError(f"no crystal {group} {number} in 200 drawn")


def further_symmetry(made: Crystal, group: str) -> float:
    """Highest correlation of a pattern with itself under a rotation that its group lacks."""
    rays = np.random.default_rng(0).normal(size=(1500, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    own = made.intensities(rays)
    frame = np.eye(3)
    if group == "2/m":  # The unique axis is b, along y.
        frame = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    worst = 0.0
    for other in ("6/mmm", "m-3m"):
        for matrix in GROUPS[other].rotations[1:]:
            has = np.abs(GROUPS[group].rotations - matrix).max(axis=(1, 2)).min() < 1e-6
            if not has:
                image = made.intensities(rays @ (frame.T @ matrix @ frame).T)
                worst = max(worst, float(np.corrcoef(own, image)[0, 1]))
    return worst


def _draw(group: str, number: int, rng: np.random.Generator) -> Crystal | None:
    space_group = SPACE_GROUPS[group][number % len(SPACE_GROUPS[group])]
    choice = [0.0, 0.25, 0.5]
    special = tuple(float(x) for x in rng.choice(choice, 3))
    sites = [(int(rng.choice(_HEAVY)), special)]
    full = group in ("m-3m", "6/mmm", "4/mmm", "-3m", "mmm")
    if (full and number % 3 != 0) or not full:
        x = float(rng.uniform(0.1, 0.4))
        place = (x, float(rng.choice([x, 0.0, 0.25])), float(rng.choice([0.0, 0.25, x])))
        if not full:
            place = tuple(float(v) for v in rng.uniform(0, 1, 3))
        sites.append((int(rng.choice(_HEAVY + _LIGHT)), place))
    sizes = cell(group, rng)
    made = Crystal("", space_group, sizes, tuple(sites))
    numbers, _ = made.atoms
    if len(numbers) > 32:
        return None
    # Distances of atoms as in real crystals: 12 to 18 cubic angstrom an atom.
    volume = abs(np.linalg.det(made.basis))
    scale = (rng.uniform(12, 18) * len(numbers) / volume) ** (1 / 3)
    scaled = (*(float(x * scale) for x in sizes[:3]), *(float(x) for x in sizes[3:]))
    name = f"{group} {number}"
    return Crystal(name, space_group, scaled, tuple(sites), float(rng.uniform(0.3, 1.0)))


MASTERS_GROUP = {
    **dict.fromkeys(("Ti", "Mg", "Zn", "Zr", "Co", "WC", "TiB2", "GaN"), "6/mmm"),
    **dict.fromkeys(("calcite", "Bi", "quartz"), "-3m"),
    **dict.fromkeys(("rutile", "anatase", "tin", "MoSi2", "CuAl2", "PbO", "zirconia"), "4/mmm"),
    "cementite": "mmm", **dict.fromkeys(("pyrite", "CoSb3", "PtAs2", "MnS2"), "m-3"),
}  # fmt: skip
"""Laue groups of the dynamical master patterns of `napari_ebsdml.patterns.crystals.strangers`."""


def dynamical(work: Path) -> Iterator[tuple[str, str, NDArray]]:
    """Name, Laue group and master pattern of dynamically simulated crystals.

    Those outside m-3m come from `work`, where ``ebsdml dev library --work`` has put them; those
    of m-3m are of the shipped library: the real materials, one of each family.
    """
    library = Library.load()
    seen: dict[str, int] = {}
    for k in np.flatnonzero(library.is_real):
        number = seen.setdefault(library.families[k], 0)
        if number < 2:
            seen[library.families[k]] += 1
            yield library.names[k], "m-3m", library.masters[k]
    for name, group in MASTERS_GROUP.items():
        if (work / f"{name}.npy").is_file():
            yield name, group, np.load(work / f"{name}.npy").astype(np.float32)


def patterns(
    master: NDArray,
    n: int,
    size: int,
    noise: float,
    centre_error: float,
    rng: np.random.Generator,
    screen: Screen | None = None,
) -> tuple[NDArray, Geometry, Geometry]:
    """Patterns (n, size, size) of random orientations, the true and the told geometry.

    Noise is in standard deviations of the bands, the error of the pattern centre (a standard
    deviation along each axis) in parts of the screen's height.
    """
    pc = rng.uniform((0.4, 0.15, 0.45), (0.6, 0.5, 0.7), (1, 3))
    true = Geometry.from_angles(pc, (size, size), 70.0, 5.0)
    # A folded master pattern (nodes,) or a whole sphere (2, side, side).
    bands = project_bands(master[None], np.zeros(n, np.intp), random_quaternions(rng, n), true)
    images = expose(bands, rng, (noise, noise), 0.4, screen)
    told = true.moved(*(rng.normal(0, 1, 3) * centre_error))
    return images, true, told


def own_symmetry(master: NDArray, group: str) -> float:
    """Least correlation of a whole sphere (2, side, side) with itself under its group."""
    rays = np.random.default_rng(0).normal(size=(20000, 3))
    rays /= np.linalg.norm(rays, axis=1, keepdims=True)
    own = sample(master, rays)
    return min(
        float(np.corrcoef(own, sample(master, rays @ rotation.T))[0, 1])
        for rotation in GROUPS[group].rotations[1:]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masters", type=Path, default=Path("masters"))
    given = parser.parse_args()
    rows = [
        (name, group, f"{own_symmetry(master, group):.3f}")
        for name, group, master in dynamical(given.masters)
        if master.ndim == 3
    ]
    show("Symmetry of master patterns", rows, ("crystal", "group", "least correlation"))


if __name__ == "__main__":
    main()
