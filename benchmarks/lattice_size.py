"""Size of lattices of simulated crystals, told from the widths of their bands alone.

``python benchmarks/lattice_size.py [--masters FOLDER] [--seed 90]``

Bravais lattice and frame are given, the size is hidden: the start is off by up to 20 per cent. 25
patterns of 60 or 120 pixels, noise 0.3 to 1 times the bands, orientations off by 0.4 degrees, blur
up to 1.2 pixels of 60. The networks of `lattices.size` were trained on invented crystals, none of
these; their recipe was settled with a look at all of these (seed 92). The simplest rival reads
twice the Bragg angle from bands of one softness.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from laue_crystals import MASTERS_GROUP, SPACE_GROUPS, crystal
from napari_ebsdml._quaternions import multiply, to_matrix
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.strangers import STRANGERS
from napari_ebsdml.patterns.crystals.table import OTHERS, PAPER
from napari_ebsdml.patterns.frame.geometry import Geometry, to_kikuchipy
from napari_ebsdml.patterns.lattices.fit import Guess, LatticeFit
from napari_ebsdml.patterns.lattices.size import size_of
from napari_ebsdml.patterns.lattices.space_groups import centring
from napari_ebsdml.patterns.simulated.kinematic import wavelength
from napari_ebsdml.patterns.simulated.screen import expose
from napari_ebsdml.patterns.simulated.synthetic import (
    project_bands,
    random_quaternions,
    small_turns,
)
from napari_ebsdml.patterns.symmetry.groups import SYSTEMS
from napari_ebsdml.patterns.symmetry.sphere import MeasuredSphere
from napari_ebsdml.patterns.symmetry.view import flat_images, views_of
from patterns_common import show

NUMBER = 25
Made = tuple[str, str, str, NDArray, str, NDArray]


def crystals(masters: Path) -> Iterator[Made]:
    """Kind, name, Laue group, lengths, centring and master pattern."""
    library = Library.load()
    for one in (*PAPER, *OTHERS):
        master = library.masters[list(library.names).index(one.name)]
        yield "cubic", one.name, "m-3m", np.full(3, one.a), centring(one.space_group), master
    for one in STRANGERS:
        path, group = masters / f"{one.name}.npy", MASTERS_GROUP.get(one.name)
        if group is None or not path.is_file():
            continue
        lengths = np.array([one.a, one.b or one.a, one.c or one.a])
        master = np.load(path).astype(np.float32)
        yield "other systems", one.name, group, lengths, centring(one.space_group), master
    for group in ("m-3m", "6/mmm", "4/mmm"):
        for number in range(4):
            made = crystal(group, number)
            letter = centring(SPACE_GROUPS[group][number % len(SPACE_GROUPS[group])])
            lengths = np.array(made.cell[:3])
            yield "kinematical", made.name, group, lengths, letter, made.master()


def sphere(group: str, master: NDArray, rng: np.random.Generator) -> MeasuredSphere:
    pc = rng.uniform((0.4, 0.15, 0.45), (0.6, 0.5, 0.7))
    size = int(rng.choice([60, 60, 120]))
    true = Geometry.from_angles(pc, (size, size), 70, 5)
    q = random_quaternions(rng, NUMBER)
    bands = project_bands(master[None], np.zeros(NUMBER, np.intp), q, true)
    images = expose(bands, rng, (0.3, 1.0), float(rng.uniform(0, 1.2)) * size / 60)
    flat, valid = flat_images(images)
    q = multiply(to_kikuchipy(q), small_turns(rng, NUMBER, 0.4))
    frames = np.swapaxes(to_matrix(q) @ true.to_sample, 1, 2)
    return MeasuredSphere.merged(views_of(flat, valid, true.bounds), frames, group)


def of_one_softness(made: MeasuredSphere, guess: Guess) -> float:
    """The rival: the size in which plain bands, as wide as twice the Bragg angle, fit best."""
    fit, system = LatticeFit(made, wavelength(20.0) / 2), SYSTEMS[made.group]
    factors = np.geomspace(0.65, 1.5, 36)
    found = [
        fit.explained(system, guess.lengths * f, guess.centring, guess.turn)[0] for f in factors
    ]
    return float(factors[int(np.argmax(found))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masters", type=Path, default=Path("masters"))
    parser.add_argument("--seed", type=int, default=90)
    given = parser.parse_args()
    rows, errors, rival, covered = [], {}, {}, {}
    for at, (kind, name, group, lengths, letter, master) in enumerate(crystals(given.masters)):
        rng = np.random.default_rng([given.seed, at])
        made = sphere(group, master, rng)
        off = float(np.exp(rng.uniform(-0.18, 0.18)))
        guess = Guess(0.0, lengths * off, letter, np.eye(3))
        start = time.process_time()
        size = size_of(made, guess)
        took = time.process_time() - start
        told, plain = size.factor * off, of_one_softness(made, guess) * off
        errors.setdefault(kind, []).append(np.log(told))
        rival.setdefault(kind, []).append(np.log(plain))
        # Within one standard error, and within the interval of 90 per cent.
        covered.setdefault(kind, []).append(abs(np.log(told)) / size.error)
        rows.append((kind, name, f"{lengths[0]:.3f}", letter, f"{told:.3f}", f"{size.error:.3f}",
                     f"{plain:.3f}", f"{took:.2f}"))  # fmt: skip
        print(*rows[-1], flush=True)
    show("Sizes", rows, ("set", "crystal", "a (A)", "centring", "told / true",
                         "error told", "rival", "processor s"))  # fmt: skip
    # The rival's mean on cubic crystals is taken out: its bands look too narrow.
    shift = float(np.mean(rival["cubic"]))
    table = []
    for key, values in errors.items():
        e, r = np.abs(values), np.array(rival[key]) - shift
        table.append((key, len(e), f"{np.mean(values):+.3f}", f"{np.std(values):.3f}",
                      f"{100 * (e < 0.05).mean():.0f}", f"{100 * (e < 0.1).mean():.0f}",
                      *(f"{100 * np.mean(np.array(covered[key]) < k):.0f}" for k in (1.0, 1.645)),
                      f"{r.mean():+.3f}", f"{r.std():.3f}",
                      f"{100 * (np.abs(r) < 0.05).mean():.0f}"))  # fmt: skip
    show("In all", table, ("set", "n", "mean log", "sd", "within 5 %", "within 10 %",
                           "within one error %", "within 1.645 %", "rival mean", "sd",
                           "within 5 %"))  # fmt: skip


if __name__ == "__main__":
    main()
