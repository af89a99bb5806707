"""Lattices of dynamically simulated crystals, from twelve patterns in their true frames.

``python benchmarks/lattices.py --masters FOLDER [--seed 5] [NAME ...]``; default: all crystals of
the tables.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from orix.crystal_map import Phase

from laue_crystals import dynamical
from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.patterns.crystals.strangers import STRANGERS
from napari_ebsdml.patterns.crystals.table import OTHERS, PAPER
from napari_ebsdml.patterns.frame.geometry import Geometry, to_kikuchipy
from napari_ebsdml.patterns.lattices.lattice import find_lattice
from napari_ebsdml.patterns.simulated.screen import expose
from napari_ebsdml.patterns.simulated.synthetic import project_bands, random_quaternions
from napari_ebsdml.patterns.symmetry.sphere import MeasuredSphere
from napari_ebsdml.patterns.symmetry.view import flat_images, views_of
from patterns_common import show

NUMBER, SIZE, NOISE = 12, 60, 0.6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--masters", type=Path, default=Path("masters"))
    parser.add_argument("--seed", type=int, default=5)
    given = parser.parse_args()
    crystals = {one.name: one for one in (*STRANGERS, *PAPER, *OTHERS)}
    rows = []
    for name, group, master in dynamical(given.masters):
        if name not in crystals or (given.names and name not in given.names):
            continue
        rng = np.random.default_rng([given.seed, len(name)])
        true = Geometry.from_angles((0.5, 0.3, 0.55), (SIZE, SIZE), 70, 5)
        q = random_quaternions(rng, NUMBER)
        bands = project_bands(master[None], np.zeros(NUMBER, np.intp), q, true)
        flat, valid = flat_images(expose(bands, rng, (NOISE, NOISE), 0.4))
        frames = np.swapaxes(to_matrix(to_kikuchipy(q)) @ true.to_sample, 1, 2)
        sphere = MeasuredSphere.merged(views_of(flat, valid, true.bounds), frames, group)
        start = time.process_time()
        found = find_lattice(sphere)
        took = f"{time.process_time() - start:.1f}"
        one = crystals[name]
        centring = Phase(space_group=one.space_group).space_group.short_name[0].replace("H", "R")
        told = (centring, f"{one.a:.3f}", f"{(one.c or one.a) / one.a:.3f}")
        if found is None:
            rows.append((name, *told, "none", "", "", "", took))
            continue
        lattice = found[0]
        ratio = lattice.c / lattice.a / ((one.c or one.a) / one.a)
        rows.append((name, *told, lattice.bravais, f"{lattice.c / lattice.a:.3f}", f"{ratio:.3f}",
                     f"{lattice.a / one.a:.3f}", took))  # fmt: skip
    show("Lattices", rows, ("crystal", "centring", "a (A)", "c/a", "told", "c/a told",
                            "c/a told / true", "a told / true", "seconds"))  # fmt: skip


if __name__ == "__main__":
    main()
