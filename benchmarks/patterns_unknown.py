"""Are strangers called unknown, and known crystals known?

    python benchmarks/patterns_unknown.py --work FOLDER

FOLDER holds simulated master patterns of the strangers (``python benchmarks/patterns_masters.py``);
known crystals are those of the shipped library. The score was fitted on the strangers and the kinds
of noise marked "fitted".
Each stranger is asked for twice: with its own right orientation, and with the best of many random
orientations, as an indexing with a wrong cubic phase would choose.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from napari_ebsdml.patterns import CrystalFrameClassifier
from napari_ebsdml.patterns.crystal_frame.answer import joint_and_match
from napari_ebsdml.patterns.crystal_frame.known import MODERATE
from napari_ebsdml.patterns.crystal_frame.training import FITTED_STRANGERS
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.table import PAPER, STRANGERS, SYMBOLS
from napari_ebsdml.patterns.frame.fold import fold_patterns
from napari_ebsdml.patterns.simulated.noise import FITTED, HELD_OUT
from napari_ebsdml.patterns.simulated.synthetic import (
    CLEAN,
    folded_many,
    project_bands,
    random_geometry,
    random_quaternions,
    spoil,
)
from patterns_common import ask, percent, show, spheres


def misindexed(model: CrystalFrameClassifier, sphere: np.ndarray, number: int, tries: int) -> str:
    """Share called unknown where each pattern has the best-fitting of many cubic orientations."""
    rng = np.random.default_rng(77)
    geometry, _ = random_geometry(rng, 1, 60)
    found = []
    for _ in range(number):
        clean = project_bands(sphere, np.zeros(1, int), random_quaternions(rng, 1), geometry)
        pattern = spoil(clean, rng, MODERATE)
        folded = fold_patterns(
            np.repeat(pattern, tries, axis=0), random_quaternions(rng, tries), geometry,
            np.ones((60, 60), bool),
        )  # fmt: skip
        _, match = joint_and_match(model.model, folded)
        best = np.zeros(tries, int) - 1
        best[match.max(axis=1).argmax()] = 0
        found.append(~ask(model, folded.grouped(best, 1)).is_known[0])
    return percent(np.array(found))


def of_noise(
    model: CrystalFrameClassifier, masters: np.ndarray, number: int
) -> Iterator[tuple[str, ...]]:
    """Each kind of noise, in batches of 20 behind one screen, and the mean of both groups."""
    which = np.zeros(number, int)
    for group, kinds in (("fitted", FITTED), ("held out", HELD_OUT)):
        shares = []
        for name, kind in kinds.items():
            folded = folded_many(masters, which, 3001, MODERATE, "noise", 20, kind)
            single = ~ask(model, folded).is_known
            of_20 = folded.grouped(np.arange(number) // 20, -(-number // 20))
            shares.append(single.mean())
            yield name, group, percent(single), percent(~ask(model, of_20).is_known)
        yield f"mean, {group}", "", f"{100 * np.mean(shares):.2f}", ""


def of_known(model: CrystalFrameClassifier, number: int) -> None:
    """Known crystals, disturbed ones, and noise."""
    library = Library.load()
    paper = library.take(np.isin(library.names, [s.name for s in PAPER]))
    others = library.take(library.is_real & ~np.isin(library.names, [s.name for s in PAPER]))
    hard = replace(MODERATE, noise=(1.3, 2.5))
    turned = replace(CLEAN, orientation_error=1.0)
    rows = []
    number *= 5
    for title, part in (("the 18 materials", paper), ("other real ones", others)):
        which = np.arange(number) % len(part)
        kinds = (("clean", CLEAN), ("usual", MODERATE), ("noise 1.3 to 2.5", hard),
                 ("clean, 1 degree off", turned))  # fmt: skip
        for label, reality in kinds:
            result = ask(model, folded_many(part.masters, which, 21, reality, batch=10))
            rows.append((f"{title}, {label}", number, percent(~result.is_known)))
    which = np.arange(number) % len(paper)
    kinds = (("misindexed", "wrong random orientation"),
             ("overlap", "two crystals overlap, 0.8 to 1.25 to 1"))  # fmt: skip
    for kind, title in kinds:
        result = ask(model, folded_many(paper.masters, which, 22, MODERATE, kind, 10))
        rows.append((title, number, percent(~result.is_known)))
    show("Known crystals and disturbed patterns", rows, ("patterns", "n", "called unknown %"))
    show(
        f"Nothing but noise called unknown, n = {number} a kind (averages of 20: {number // 20})",
        list(of_noise(model, paper.masters, number)),
        ("kind", "", "patterns", "averages of 20"),
    )


def of_strangers(model: CrystalFrameClassifier, work: Path, number: int, tries: int) -> None:
    """Crystals outside m-3m of which the folder has master patterns."""
    rows = []
    for structure in STRANGERS:
        if not (work / f"{structure.name}.npy").exists():
            continue
        sphere = spheres(work, (structure.name,))
        fitted = "fitted" if structure.name in FITTED_STRANGERS else ""
        group = structure.space_group
        cells = [structure.name, group, SYMBOLS[group], fitted, number]
        for reality in (CLEAN, MODERATE):
            folded = folded_many(sphere, np.zeros(number, int), 23, reality, batch=10)
            result = ask(model, folded)
            cells.append(percent(~result.is_known))
        groups = folded.grouped(np.arange(number) // 20, number // 20)
        cells.append(percent(~ask(model, groups).is_known))
        cells.append(misindexed(model, sphere, 30, tries))
        rows.append(tuple(cells))
    mean = [np.mean([float(row[k]) for row in rows if not row[3]]) for k in range(5, 9)]
    rows.append(("mean", "", "", "not fitted", "", *(f"{value:.1f}" for value in mean)))
    show(
        f"Strangers called unknown, % (grains of 20; best of {tries} orientations: n = 30)",
        rows,
        ("crystal", "group", "", "", "n", "clean", "usual", "grain", "misindexed"),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="default")
    parser.add_argument("--number", type=int, default=300)
    parser.add_argument("--tries", type=int, default=100)
    parser.add_argument("--strangers", action="store_true", help="those that FOLDER has, no more")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = CrystalFrameClassifier.load(options.model)
    if not options.strangers:
        of_known(model, options.number)
    of_strangers(model, options.work, options.number, options.tries)


if __name__ == "__main__":
    main()
