"""What tells cubic crystals' spheres apart: how well two agree, and which centring explains more.

``python benchmarks/spheres_apart.py --masters FOLDER [NAME ...]`` (default: those of the tables)
"""

from __future__ import annotations

import argparse
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from found_maps import CENTRE, SIZE, masters_of
from napari_ebsdml._quaternions import multiply, to_matrix
from napari_ebsdml.patterns.crystals.table import OTHERS, PAPER
from napari_ebsdml.patterns.frame.geometry import Geometry, to_kikuchipy
from napari_ebsdml.patterns.lattices.fit import NARROWER, Guess, LatticeFit
from napari_ebsdml.patterns.phases.agreement import agreement
from napari_ebsdml.patterns.simulated.kinematic import wavelength
from napari_ebsdml.patterns.simulated.screen import expose
from napari_ebsdml.patterns.simulated.synthetic import project_bands, random_quaternions
from napari_ebsdml.patterns.symmetry.sphere import MeasuredSphere
from napari_ebsdml.patterns.symmetry.view import flat_images, views_of
from patterns_common import show

NUMBER = 12
COMPARED = [
    "Ni",
    "austenite",
    "Cu",
    "Al",
    "Ni3Al",
    "NbC",
    "TiC",
    "MgO",
    "Fe",
    "W",
    "Ta",
    "FeAl",
    "Si",
    "Ge",
    "Ti",
]
CENTRED = [
    "Fe",
    "W",
    "Ta",
    "Mo",
    "Cr",
    "Ni",
    "Al",
    "Cu",
    "NbC",
    "MgO",
    "NaCl",
    "Si",
    "Ge",
    "CaF2",
    "CsCl",
    "SrTiO3",
    "Cr3Si",
    "V3Si",
    "Nb3Sn",
    "FeAl",
    "NiAl",
    "CoAl",
    "TiFe",
    "Ni3Al",
    "Fe3Ni",
]


def sphere(one: tuple[str, NDArray], name: str, seed: int, noise: float, off: float = 0.0):
    """Of patterns in their true frames, or in frames that are off by so many degrees."""
    group, master = one
    rng = np.random.default_rng([seed, len(name)])
    true = Geometry.from_angles(CENTRE, (SIZE, SIZE), 70, 5)
    q = random_quaternions(rng, NUMBER)
    bands = project_bands(master[None], np.zeros(NUMBER, np.intp), q, true)
    flat, valid = flat_images(expose(bands, rng, (noise, noise), 0.4))
    small = np.concatenate(
        [np.ones((NUMBER, 1)), rng.normal(0, np.deg2rad(off) / 2, (NUMBER, 3))], axis=1
    )
    q = multiply(to_kikuchipy(q), small / np.linalg.norm(small, axis=1, keepdims=True))
    frames = np.swapaxes(to_matrix(q) @ true.to_sample, 1, 2)
    return MeasuredSphere.merged(views_of(flat, valid, true.bounds), frames, group)


def centring(made: MeasuredSphere, a: float) -> tuple[float, float]:
    """Gain of I and of F over P, in the size near the true one that suits best."""
    fit = LatticeFit(made, NARROWER * wavelength(20.0) / 2)
    found = []
    for factor in (0.94, 0.97, 1.0, 1.03, 1.06):
        cell = Guess(0.0, np.full(3, a * factor), "P", np.eye(3))
        found.append([-np.log(1 - fit.centred("cubic", cell, letter)) for letter in "PIF"])
    p, i, f = max(found, key=max)
    return i - p, f - p


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--masters", type=Path, default=Path("masters"))
    given = parser.parse_args()
    masters = masters_of(given.masters)
    crystals = {one.name: one for one in (*PAPER, *OTHERS)}
    rows = []
    for name in given.names or CENTRED:
        if name in crystals and name in masters:
            made = sphere(masters[name], name, 0, 0.4, 0.5)
            gains = centring(made, crystals[name].a)
            rows.append((name, crystals[name].space_group, *(f"{gain:+.3f}" for gain in gains)))
    show("Centring", rows, ("crystal", "space group", "I over P", "F over P"))
    names = [name for name in given.names or COMPARED if name in masters]
    two = {name: [sphere(masters[name], name, seed, 0.3) for seed in (0, 1)] for name in names}
    rows = [(name, name, f"{agreement(*two[name])[0]:.3f}") for name in names]
    rows += [
        (one, other, f"{agreement(two[one][0], two[other][0])[0]:.3f}")
        for one, other in combinations(names, 2)
    ]
    show("Agreement", rows, ("sphere", "other", "agreement"))


if __name__ == "__main__":
    main()
