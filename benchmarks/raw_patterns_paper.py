"""The protocol of doi:10.1038/s41598-021-87557-5 on simulated patterns of its 18 materials.

    python benchmarks/raw_patterns_paper.py train --out RESULTS --start RESULTS/outside-0
    python benchmarks/raw_patterns_paper.py tables figures --out RESULTS
    python benchmarks/raw_patterns_paper.py xception --out RESULTS

"train": 400 training and 100 validation patterns of each of the six space groups, split over their
materials, one detector; from a random start and, as "transfer", from a network trained on simulated
crystals that are neither the 18 nor their near-twins (the first model of raw_patterns_unseen.py).
Adam 1e-3, weight decay 1e-5, early stopping with patience 15 and least gain 1e-3. A run that was
stopped goes on with the next seed. "tables": precision and recall on the rest, epochs, and the map
of 6900 patterns of Ni and Ni3Al by both, and by all networks voting. "xception": trains and
predicts with Xception for a few steps, with its speed.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.table import PAPER
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.raw import (
    LabelledPatterns,
    RawClassifier,
    RawRecipe,
    alike_filters,
    class_table,
    material_table,
)
from napari_ebsdml.patterns.simulated.synthetic import (
    Reality,
    project_bands,
    random_quaternions,
    spoil,
)
from napari_ebsdml.patterns.simulated.two_phase import PC, SAMPLE_TILT, TILT, two_phase_map

STARTS = ("scratch", "transfer")
REALITY = Reality((60,), (0.3, 0.7), 0.0, 0.0, 0.0, 0.6)


def paper_patterns(test: int, seed: int, size: int = 60) -> LabelledPatterns:
    """Patterns of the 18 materials on one detector: those of the protocol and `test` more each."""
    library = Library.load()
    names = [s.name for s in PAPER]
    groups = [s.space_group for s in PAPER]
    rng = np.random.default_rng([seed, 40])
    camera = Geometry.from_angles(PC, (size, size), SAMPLE_TILT, TILT)
    stacks, labels, materials = [], [], []
    for name, group in zip(names, groups, strict=True):
        number = -(-500 // groups.count(group)) + test
        which = np.full(number, library.names.index(name))
        images = project_bands(library.masters, which, random_quaternions(rng, number), camera)
        stacks += [spoil(images[k : k + 64], rng, REALITY) for k in range(0, number, 64)]
        labels += [group] * number
        materials += [name] * number
    return LabelledPatterns.of(np.concatenate(stacks), labels, materials)


def train(out: Path, start: Path, seeds: int, epochs: int) -> None:
    base = RawClassifier.load(start)
    for seed in range(seeds):
        split = paper_patterns(300, seed).split(400, 100, seed)
        for name in STARTS:
            path = out / f"paper-{name}-{seed}"
            if path.with_suffix(".history").exists():
                continue
            # Not the seed of the start's own random weights, which would make its filters alike.
            recipe = RawRecipe(epochs=epochs, seed=100 + seed, bfloat16=True)
            began = time.process_time()
            training = RawClassifier.training(
                split.train, split.validation, recipe, base if name == "transfer" else None, 1
            )
            for event in training:
                if event.kind == "epoch":
                    print(name, seed, event.epoch, event.losses["cross entropy"], event.metrics,
                          flush=True)  # fmt: skip
            history = [
                (e.losses["cross entropy"], e.metrics["validation"], e.metrics["accuracy"])
                for e in training.histories[0]
            ]
            training.classifier.save(path)
            answer = training.classifier.predict(split.test.patterns, n_threads=1)
            result = {
                "history": history, "cpu_seconds": time.process_time() - began,
                "best_epoch": training.events[-1].best_epoch, "reason": training.events[-1].reason,
                "truth": split.test.space_groups.tolist(), "named": answer.space_group.tolist(),
                "materials": split.test.materials.tolist(),
            }  # fmt: skip
            path.with_suffix(".history").write_text(json.dumps(result))


def results(out: Path) -> dict[str, list[dict]]:
    return {
        name: [json.loads(p.read_text()) for p in sorted(out.glob(f"paper-{name}-*.history"))]
        for name in STARTS
    }


def spread(values: list[float], form: str = ".3f") -> str:
    return f"{np.mean(values):{form}} +- {np.std(values):{form}}"


def tables(out: Path) -> None:
    lines = []
    for name, runs in results(out).items():
        if not runs:
            continue
        scores = [class_table(r["truth"], r["named"]) for r in runs]
        lines.append(f"\n{name}: {len(runs)} seeds, {len(runs[0]['truth'])} test patterns each")
        lines.append(f"epochs {spread([len(r['history']) for r in runs], '.1f')}, the best of them "
                     f"{spread([r['best_epoch'] for r in runs], '.1f')}; first validation loss "
                     f"{spread([r['history'][0][1] for r in runs])}; CPU seconds "
                     f"{spread([r['cpu_seconds'] for r in runs], '.0f')}")  # fmt: skip
        for k, row in enumerate(scores[0]):
            lines.append(f"  {row.name}: n {row.number}, precision "
                         f"{spread([s[k].precision for s in scores])}, recall "
                         f"{spread([s[k].recall for s in scores])}, F1 "
                         f"{spread([s[k].f1 for s in scores])}")  # fmt: skip
        rows = [material_table(r["truth"], r["named"], r["materials"]) for r in runs]
        for k, row in enumerate(rows[0]):
            lines.append(
                f"  {row.name}: n {row.number}, recall {spread([r[k].recall for r in rows])}"
            )
    lines += two_phase(out)
    text = "\n".join(lines)
    (out / "paper-tables.txt").write_text(text + "\n")
    print(text)


def two_phase(out: Path) -> list[str]:
    """Table 2 of the paper: how often each space group is named on the map, and how rightly."""
    sample = two_phase_map()
    patterns = np.asarray(sample.scan.patterns)
    pure = sample.purity > 0.9
    models = {n: RawClassifier.load(out / f"paper-{n}-0") for n in STARTS}
    everyone = [
        RawClassifier.load(p.with_suffix("")) for p in sorted(out.glob("paper-*.safetensors"))
    ]
    models["all vote"] = RawClassifier.ensemble(everyone)
    lines = [f"\nNi/Ni3Al map, {sample.truth.size} patterns: true 225 "
             f"{(sample.truth == 225).sum()}, 221 {(sample.truth == 221).sum()}"]  # fmt: skip
    for name, model in models.items():
        voting = "majority" if len(model.members) > 1 else "mean"
        answer = model.predict(patterns, voting=voting, n_threads=1)
        named = {g: int((answer.space_group == g).sum()) for g in model.space_groups}
        right = answer.space_group == sample.truth
        parts = {"all": right, "within grains": right[pure]}
        parts |= {f"of {g}": right[sample.truth == g] for g in (225, 221)}
        figures = ", ".join(f"{part} {100 * r.mean():.1f} %" for part, r in parts.items())
        lines.append(f"  {name}: {named}; right: {figures}")
    return lines


def xception(out: Path, sizes: tuple[int, ...] = (96, 299)) -> None:
    """Speed of Xception, and that it learns: the loss of a few batches seen again and again."""
    import torch

    torch.set_num_threads(1)
    data = paper_patterns(0, 0).split(16, 4, 0)
    lines = []
    for size in sizes:
        few = data.train.take(np.arange(0, len(data.train), 3 if size < 200 else 12))
        recipe = RawRecipe("xception", size, epochs=4, patience=0, batch=8, bfloat16=True)
        began = time.process_time()
        training = RawClassifier.training(few, few, recipe, n_threads=1)
        losses = [e.losses["cross entropy"] for e in training if e.kind == "epoch"]
        trained = (time.process_time() - began) / (4 * len(few))
        began = time.process_time()
        training.classifier.predict(few.patterns[:8], n_threads=1)
        took = (time.process_time() - began) / 8
        lines.append(f"Xception at {size} px: training {1 / trained:.2f} patterns/s (with "
                     f"validation), loss by epoch {np.round(losses, 2).tolist()}; predicts "
                     f"{1 / took:.2f} patterns/s; one thread")  # fmt: skip
        print(lines[-1], flush=True)
    (out / "xception.txt").write_text("\n".join(lines) + "\n")


def figures(out: Path) -> None:
    """The paper's figures 1 to 5, from the trained models."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    fig, axis = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for (name, runs), color in zip(results(out).items(), ("tab:blue", "tab:orange"), strict=True):
        for column, style in ((0, ":"), (1, "-")):
            longest = max(len(r["history"]) for r in runs)
            table = np.full((len(runs), longest), np.nan)
            for k, run in enumerate(runs):
                table[k, : len(run["history"])] = [e[column] for e in run["history"]]
            label = f"{name}, {'validation' if column else 'training'}"
            axis.plot(
                np.arange(1, longest + 1), np.nanmean(table, axis=0), style, c=color, label=label
            )
    axis.set(xlabel="epoch", ylabel="cross entropy", yscale="log")
    axis.legend(frameon=False)
    fig.savefig(out / "raw-histories.png", dpi=120)
    models = [RawClassifier.load(out / f"paper-{name}-0") for name in STARTS]
    pairs = alike_filters(*models)
    test = paper_patterns(2, 99)
    first = [int(np.flatnonzero(test.space_groups == g)[-1]) for g in models[0].space_groups]
    fig, axes = plt.subplots(2 + len(first), 5, figsize=(8, 12), layout="constrained")
    for axis in axes.ravel():
        axis.set_axis_off()
    for k, pair in enumerate(pairs):
        for row in (0, 1):
            axes[row, k + 1].imshow(pair.filters[row], cmap="gray")
        axes[0, k + 1].set_title(f"distance {pair.distance:.2f}", fontsize=9)
    for row, at in enumerate(first):
        axes[row + 2, 0].imshow(test.patterns[at], cmap="gray")
        axes[row + 2, 0].set_title(f"{test.space_groups[at]} {test.materials[at]}", fontsize=9)
        for k, image in enumerate(
            models[0].feature_maps(test.patterns[at], 0, [p.first for p in pairs])
        ):
            axes[row + 2, k + 1].imshow(image, cmap="gray")
    fig.savefig(out / "raw-filters.png", dpi=110)
    fig, axes = plt.subplots(3, len(first), figsize=(12, 6.4), layout="constrained")
    rng = np.random.default_rng(0)
    pool = paper_patterns(10, 98)
    background = np.concatenate([
        pool.patterns[rng.choice(np.flatnonzero(pool.space_groups == g), 20, replace=False)]
        for g in models[1].space_groups
    ])  # fmt: skip
    for column, at in enumerate(first):
        found = models[1].shapley(test.patterns[at], background)
        order = np.argsort([-found.probability[g] for g in found.space_groups])
        axes[0, column].imshow(test.patterns[at], cmap="gray")
        axes[0, column].set_title(f"{test.space_groups[at]} {test.materials[at]}", fontsize=9)
        for row in (1, 2):
            group = found.space_groups[order[row - 1]]
            image = found.images[order[row - 1]]
            top = np.quantile(np.abs(found.images), 0.995)
            axes[row, column].imshow(test.patterns[at], cmap="gray", alpha=0.35)
            axes[row, column].imshow(image, cmap="bwr", vmin=-top, vmax=top, alpha=0.65)
            axes[row, column].set_title(f"for {group}: {found.probability[group]:.2f}", fontsize=9)
    for axis in axes.ravel():
        axis.set_axis_off()
    fig.savefig(out / "raw-shapley.png", dpi=110)
    sample = two_phase_map()
    patterns = np.asarray(sample.scan.patterns)
    groups = list(models[0].space_groups)
    fig, axes = plt.subplots(1, 3, figsize=(12, 3.2), layout="constrained")
    shown = [("truth", sample.truth)]
    shown += [(n, m.predict(patterns, n_threads=1).space_group)
              for n, m in zip(STARTS, models, strict=True)]  # fmt: skip
    for axis, (name, image) in zip(axes, shown, strict=True):
        picture = axis.imshow(np.searchsorted(groups, image), cmap="tab10", vmin=-0.5, vmax=9.5)
        axis.set(title=name, xticks=[], yticks=[])
    bar = fig.colorbar(picture, ax=axes, ticks=range(len(groups)))
    bar.ax.set(ylim=(-0.5, len(groups) - 0.5), yticklabels=groups)
    fig.savefig(out / "raw-two-phase.png", dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("steps", nargs="+", choices=["train", "tables", "figures", "xception"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--start", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=100)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if "train" in options.steps:
        if options.start is None:
            parser.error("train needs --start")
        train(options.out, options.start, options.seeds, options.epochs)
    if "tables" in options.steps:
        tables(options.out)
    if "figures" in options.steps:
        figures(options.out)
    if "xception" in options.steps:
        xception(options.out)


if __name__ == "__main__":
    main()
