"""The raw-pattern network on materials that it never saw, one simulated pattern at a time.

    python benchmarks/raw_patterns_unseen.py all --work FOLDER --out RESULTS
    python benchmarks/raw_patterns_unseen.py folds --work FOLDER --out RESULTS

"all" trains without the 18 materials of doi:10.1038/s41598-021-87557-5 and without every crystal
whose master pattern correlates with one of theirs by more than 0.98. "folds" goes on from there in
three folds: each may see the other folds' materials, but neither its own nor their near-twins.
FOLDER holds simulated master patterns (``ebsdml dev library``). Stopped runs
go on where they were; tables land in RESULTS as text.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from napari_ebsdml.patterns.crystal_frame.selection import teaching
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.table import PAPER
from napari_ebsdml.patterns.raw import RawClassifier, class_table
from napari_ebsdml.patterns.raw.simulated_training import (
    TRAINED_STRANGERS,
    StreamRecipe,
    simulate,
    stream_training,
)
from napari_ebsdml.patterns.search.templates import Templates
from napari_ebsdml.patterns.simulated.synthetic import Reality

TWIN = 0.98
FOLDS = (
    ("FeAl", "NiAl", "Fe", "NbC", "TaC", "Si"),
    ("Ni3Al", "Fe3Ni", "Ni", "Cr3Si", "Ta", "Ge"),
    ("Al", "TiC", "W", "Mo3Si", "Al4Ni3", "Al4CoNi2"),
)
TWINS = ("Ni3Al", "Fe3Ni")
TESTS = (
    ("noise 0.3, 60 px", Reality((60,), (0.3, 0.3), blur=0.4, circular=0.0)),
    ("noise 0.1 to 1.5, 48 to 80 px", Reality(noise=(0.1, 1.5))),
)


def taught(library: Library) -> Library:
    """Without the crystals whose space group does not show."""
    return library.take(teaching(library, Templates.of(library).alike))


def train(library, work: Path, path: Path, patterns: int, seed: int, start=None) -> RawClassifier:
    if path.with_suffix(".safetensors").exists():
        return RawClassifier.load(path)
    spheres = np.stack([np.load(work / f"{name}.npy") for name in TRAINED_STRANGERS])
    recipe = StreamRecipe(patterns=patterns, seed=seed)
    checkpoint = path.with_suffix(".checkpoint")
    for event in (training := stream_training(library, spheres, recipe, start, 1, checkpoint)):
        if event.kind == "epoch":
            print(path.name, event.epoch, event.losses["loss"], event.metrics, flush=True)
    training.classifier.save(path)
    checkpoint.unlink(missing_ok=True)
    return RawClassifier.load(path)


def table(model: RawClassifier, test: Library, each: int, seed: int) -> dict:
    """Answers on `each` patterns of every material: one at a time, and 20 averaged."""
    found = {}
    for title, reality in TESTS:
        parts = {"truth": [], "group": [], "family": [], "known": [], "name": [], "twenty": []}
        for number, name in enumerate(test.names):
            which = np.full(each, number)
            patterns, mask = simulate(test.masters, which, [seed, number], reality)
            result = model.predict(patterns, mask=mask, n_threads=1)
            parts["truth"].append(np.full(each, test.space_groups[number]))
            parts["group"].append(result.space_group)
            parts["family"].append(result.family == test.families[number])
            parts["known"].append(result.is_known)
            parts["name"].append(np.full(each, name))
            mean = result.probabilities[: each // 20 * 20].reshape(-1, 20, len(model.space_groups))
            best = np.array(model.space_groups)[mean.mean(axis=1).argmax(axis=1)]
            parts["twenty"].append((best == test.space_groups[number]).mean())
        found[title] = {key: np.array(value) for key, value in parts.items()}
    return found


def write(results: list[dict], path: Path, heading: str) -> None:
    lines = [heading]
    for title, _ in TESTS:
        parts = [one[title] for one in results]
        joined = {k: np.concatenate([p[k] for p in parts]) for k in parts[0]}
        lines += [f"\n{title}", "material  group  n  right %  family %  known %  20 averaged %"]
        right = joined["group"] == joined["truth"]
        for k in range(len(right)):
            lines.append(
                f"{joined['name'][k, 0]}  {joined['truth'][k, 0]}  {right.shape[1]}  "
                f"{100 * right[k].mean():.1f}  {100 * joined['family'][k].mean():.1f}  "
                f"{100 * joined['known'][k].mean():.1f}  {100 * joined['twenty'][k]:.0f}"
            )
        for label, rows in (
            ("all", slice(None)), ("without Ni3Al, Fe3Ni", ~np.isin(joined["name"][:, 0], TWINS)),
        ):  # fmt: skip
            scores = class_table(joined["truth"][rows].ravel(), joined["group"][rows].ravel())
            lines.append(
                f"{label}: n {right[rows].size}, right {100 * right[rows].mean():.1f} %, family "
                f"{100 * joined['family'][rows].mean():.1f} %, macro F1 {scores[-2].f1:.3f}, known "
                f"{100 * joined['known'][rows].mean():.1f} %, 20 averaged "
                f"{100 * joined['twenty'][rows].mean():.1f} %"
            )
            for score in scores if label == "all" else []:
                lines.append(
                    f"  {score.name}: n {score.number}, precision {score.precision:.3f}, recall "
                    f"{score.recall:.3f}, F1 {score.f1:.3f}"
                )
    path.write_text("\n".join(lines) + "\n")
    print("\n".join(lines), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="+", choices=["all", "folds"])
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--patterns", type=int, default=100_000)
    parser.add_argument("--fold-patterns", type=int, default=25_000)
    parser.add_argument("--each", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    library = Library.load()
    near = library.alike > TWIN
    names = np.array(library.names)
    paper = np.isin(names, [s.name for s in PAPER])
    outside = taught(library.take(~near[paper].any(axis=0)))
    work, out, seed = options.work, options.out, options.seed
    base = train(outside, work, out / f"outside-{seed}", options.patterns, seed)
    if "all" in options.tables:
        test = library.take(paper)
        heading = (
            f"All 18 unseen. {len(outside)} crystals, {options.patterns} simulated patterns, seed "
            f"{seed}; {', '.join(names[near[paper].any(axis=0) & ~paper])} held out as near-twins."
        )
        write([table(base, test, options.each, seed + 70)], out / f"unseen-all-{seed}.txt", heading)
    if "folds" in options.tables:
        results = []
        for number, fold in enumerate(FOLDS):
            mine = np.isin(names, fold)
            known = taught(library.take(~near[mine].any(axis=0)))
            path = out / f"fold{number}-{seed}"
            model = train(known, work, path, options.fold_patterns, seed, base)
            results.append(table(model, library.take(mine), options.each, seed + 70))
        heading = (
            f"Three folds, each gone on with from the model without all 18 by "
            f"{options.fold_patterns} patterns, seed {seed}."
        )
        write(results, out / f"unseen-folds-{seed}.txt", heading)


if __name__ == "__main__":
    main()
