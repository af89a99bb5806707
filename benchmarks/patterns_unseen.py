"""Leave one material out, over the 18 of doi:10.1038/s41598-021-87557-5, with its near-twins.

    python benchmarks/patterns_unseen.py OUT.json --seeds 3      # resumes
    python benchmarks/patterns_unseen.py OUT.json --show
    python benchmarks/patterns_unseen.py LARGE.json --library large.npz --seeds 1

The default library is that of the shipped model; ``ebsdml dev library`` makes
others. For each material a model is trained on all crystals but this one and those whose folded
pattern correlates with its own by more than 0.98; then it is asked for patterns of this material.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from napari_ebsdml.patterns import CrystalFrameClassifier
from napari_ebsdml.patterns.crystal_frame.answer import joint_and_match
from napari_ebsdml.patterns.crystal_frame.known import MODERATE
from napari_ebsdml.patterns.crystal_frame.model import CrystalModel
from napari_ebsdml.patterns.crystal_frame.selection import covering, teaching
from napari_ebsdml.patterns.crystal_frame.training import (
    Recipe,
    fit_networks,
    hold_out,
    joint_classes,
    simulate_features,
)
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.table import PAPER
from napari_ebsdml.patterns.frame.folded import Folded
from napari_ebsdml.patterns.search.templates import Templates
from napari_ebsdml.patterns.simulated.synthetic import CLEAN, Reality, folded_many
from patterns_common import ask, show

TWIN = 0.98
NEARLY_EQUAL = ("Ni3Al", "Fe3Ni")
"""Their master patterns correlate by 0.98 to 0.99 with those of Ni or gamma iron (225)."""
CONDITIONS = {
    "clean": CLEAN,
    "usual": MODERATE,
    "hard": Reality(noise=(0.1, 1.5)),
}
GRAIN = 20


def figures(
    model: CrystalFrameClassifier, folded: Folded, family: str, group: int
) -> dict[str, float]:
    """Shares of patterns of one material: right, right or not separable, family, known."""
    result = ask(model, folded)
    right = result.space_group == group
    also = np.array([group in other for other in result.ambiguous_with])
    _, match = joint_and_match(model.model, folded)
    nearest = model.model.templates.space_groups[match.argmax(axis=1)]
    return {
        "n": len(folded), "right": float(right.mean()), "or": float((right | also).mean()),
        "family": float((result.family == family).mean()),
        "known": float(result.is_known.mean()), "nearest": float((nearest == group).mean()),
    }  # fmt: skip


def one_fold(
    library: Library, templates: Templates, at: int, features: tuple, recipe: Recipe, number: int
) -> dict:
    x, crystals = features
    out = templates.alike[at] > TWIN
    out[at] = True
    classes = joint_classes(library)
    # What may be learned from is decided without the material, too.
    use = ~out
    use[use] = teaching(library.take(use), templates.take(use).alike)
    held = hold_out(library, recipe.validation, recipe.seed) & use
    pairs = zip(library.families, library.space_groups, strict=True)
    target = np.array([classes.index((family, int(group))) for family, group in pairs])
    learned = use & ~held
    rows, val = learned[crystals], held[crystals]
    steps = fit_networks(
        x[rows], target[crystals[rows]], x[val][::4], target[crystals[val]][::4],
        np.bincount(target[learned], minlength=len(classes)), len(classes), recipe,
    )  # fmt: skip
    while True:
        try:
            next(steps)
        except StopIteration as end:
            networks, temperature, _ = end.value
            break
    rest = templates.take(~out)
    model = CrystalFrameClassifier(
        CrystalModel(
            classes=classes, networks=networks, temperature=temperature,
            templates=rest.take(covering(rest)), known=CrystalFrameClassifier.load().model.known,
        )
    )  # fmt: skip
    family, group = library.families[at], int(library.space_groups[at])
    found: dict = {"out": [library.names[k] for k in np.flatnonzero(out) if k != at]}
    for name, reality in CONDITIONS.items():
        folded = folded_many(
            library.masters, np.full(number, at), 1000 + at + 7 * recipe.seed, reality, batch=20
        )
        labels = np.arange(number) // GRAIN
        found[name] = {
            "pattern": figures(model, folded, family, group),
            "grain": figures(model, folded.grouped(labels, number // GRAIN), family, group),
        }
    return found


def tables(results: dict) -> None:
    paper = [s.name for s in PAPER]
    results = {seed: found for seed, found in results.items() if set(paper) <= set(found)}
    if not results:
        return
    group = {s.name: s.space_group for s in PAPER}
    for name in CONDITIONS:
        rows = []
        kinds = [(m, [m]) for m in paper]
        kinds += [
            ("all 18", paper),
            ("without the two", [m for m in paper if m not in NEARLY_EQUAL]),
        ]
        for title, members in kinds:
            cells: list = [title, group.get(title, "")]
            for level, keys in (("pattern", ("right", "or", "family", "known", "nearest")),
                                ("grain", ("right", "or", "family"))):  # fmt: skip
                by_seed = [
                    {k: np.mean([r[m][name][level][k] for m in members if m in r]) for k in keys}
                    for r in results.values()
                ]
                n = sum(r[m][name][level]["n"] for r in results.values() for m in members if m in r)
                cells.append(n)
                for k in keys:
                    values = 100 * np.array([s[k] for s in by_seed])
                    spread = (
                        f" ± {values.std(ddof=1):.1f}" if len(values) > 1 and k == "right" else ""
                    )
                    cells.append(f"{values.mean():.1f}{spread}")
            rows.append(tuple(cells))
        show(
            f"Material and near-twins left out; {name}: {CONDITIONS[name].noise} noise, "
            f"{len(results)} seeds",
            rows,
            ("material", "group", "n", "right %", "or n.s. %", "family %", "known %",
             "correlation %", "grains", "right %", "or n.s. %", "family %"),
        )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--library", default="default", help="file of folded master patterns")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--patterns", type=int, default=Recipe.patterns)
    parser.add_argument("--members", type=int, default=Recipe.members)
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--number", type=int, default=300, help="patterns of each material")
    parser.add_argument("--only", nargs="*", help="materials")
    parser.add_argument("--show", action="store_true", help="only print what is there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    file = options.out
    results: dict = json.loads(file.read_text()) if file.exists() else {}
    if not options.show:
        library = Library.load(options.library)
        templates = Templates.of(library)
        for seed in range(options.seeds):
            done = results.setdefault(str(seed), {})
            wanted = [s.name for s in PAPER if s.name not in done]
            wanted = [m for m in wanted if not options.only or m in options.only]
            if not wanted:
                continue
            recipe = Recipe(options.patterns, options.members, options.epochs, seed=seed)
            features = simulate_features(library, recipe.patterns, recipe.reality, seed)
            for name in wanted:
                start = time.perf_counter()
                at = library.names.index(name)
                done[name] = one_fold(library, templates, at, features, recipe, options.number)
                short = {
                    k: round(v["pattern"]["right"], 3) for k, v in done[name].items() if k != "out"
                }
                print(seed, name, short, f"{time.perf_counter() - start:.0f} s", flush=True)
                spare = file.with_suffix(".tmp")
                spare.write_text(json.dumps(results))
                spare.replace(file)
    tables(results)


if __name__ == "__main__":
    main()
