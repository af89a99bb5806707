"""The article's protocol on synthetic dual-phase steel: six maps train, nine others are scored.

Maps of a quarter of the article's area (428 x 570 pixels), two of each steel (seeds 200-221) for
training and three (seeds 300-322) for scoring. Every row of every table is one training with seed
0 and one JSON file in the output folder: a row that is there is skipped, so the script can be
stopped and started again. One row takes 1 to 3 minutes of one core, those of the article's
network three times as long; each file says how long it took.

    python benchmarks/segmentation_paper.py FOLDER [--rows inputs noise unseen depth size ...]
    python benchmarks/segmentation_paper.py FOLDER --table
    python benchmarks/segmentation_paper.py FOLDER --shape 200 260 --epochs 4    (quick)

`repeats` trains five times on the same data; `coupled` adds quaternions to what is measured;
`crop` has crops of half and twice the usual side, as many pixels in a batch; `unseen` has the
forest and the grain threshold, too; `discriminant` is what a U-Net starts from. `recipe` trains on
labels made as the article made its own (a forest on BS from strokes on one map of each steel, one
class per grain of 2 degrees, pixels that are not indexed martensite, opened; no correction by
hand), and scores against these and the truth. "Found less true" is the martensite of each scored
map, with and without the offsets that set a U-Net's classes to how often they are labelled. "Told
less true" is the mean chance of the labels less the part of them that is right, map by map.
`--first` scores other maps.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_ebsdml.samples import VARIANTS, DualPhaseSample, dual_phase_steel
from napari_ebsdml.segmentation import (
    ORIENTATION_CHANNELS,
    ForestSegmenter,
    GrainThresholdSegmenter,
    Segmenter,
    UNetSettings,
)
from napari_ebsdml.segmentation.results.evaluation import confusion_matrix
from napari_ebsdml.segmentation.truth.recipe import TruthSettings, refined_truth
from segmentation_strokes import paint

Maps = list[tuple[str, DualPhaseSample]]
Recipe = tuple[list[np.ndarray], list[np.ndarray]]
"""Labels of the training maps and of those that are scored."""
INPUTS = {
    "BS": ("BS",),
    "BC": ("BC",),
    "KAM": ("KAM",),
    "Quaternions": ("Quaternions",),
    "BS+KAM": ("BS", "KAM"),
    "BS+KAM and grain means": ("BS", "KAM", "BS@grain", "KAM@grain"),
    "Orientations": ORIENTATION_CHANNELS,
    "All": ("BS", "BC", "BS@grain", *ORIENTATION_CHANNELS),
    "BS+Quaternions": ("BS", "Quaternions"),
    "KAM+Quaternions": ("KAM", "Quaternions"),
    "BS+KAM+Quaternions": ("BS", "KAM", "Quaternions"),
}


@dataclass(frozen=True)
class Row:
    """One training."""

    table: str
    name: str
    inputs: str
    network: UNetSettings | None = None
    mislabelled: float = 0.0
    steels: tuple[str, ...] = tuple(VARIANTS)
    # Part of the columns of the training maps.
    share: float = 1.0
    epochs: float = 1.0
    changes: dict[str, Any] = field(default_factory=dict)
    method: str = "U-Net"


PLAIN = {"turns": False, "coarser": False, "mix": 0.0, "brightness": 0.0, "lost": 0.0, "blur": 0.0}
SIZES = (1.0, 0.3, 0.1, 0.03)


def rows() -> list[Row]:
    """All rows, the most telling ones first."""
    first = ("BS+KAM", "Orientations", "All", "BS", "KAM", "Quaternions", "BC")
    found = [Row("inputs", f"{name}", name) for name in (*first, "BS+KAM and grain means")]
    found.append(Row("inputs", "BS+KAM, the article's network", "BS+KAM", UNetSettings.paper(7)))
    found += [Row("noise", f"{n}, 2 % mislabelled", n, mislabelled=0.02) for n in ("BS", "All")]
    found += [
        Row("unseen", f"{n}, trained without T3", n, steels=("T1", "T2"))
        for n in ("BS+KAM", "All")
    ]  # fmt: skip
    found += [
        Row("depth", f"{n}, {steps} steps", n, UNetSettings(depth=(steps - 1) // 2), epochs=0.5)
        for steps in (3, 5, 7) for n in ("BS", "Quaternions")
    ]  # fmt: skip
    found += [
        Row("size", f"{n}, {share:.0%} of the pixels, {'with' if more else 'no'} augmentation", n,
            UNetSettings(depth=2), share=share, epochs=0.4, changes={} if more else PLAIN)
        for share in SIZES for n in ("BS", "Quaternions") for more in (True, False)
    ]  # fmt: skip
    found += [Row("repeats", f"BS, seed {n}", "BS", changes={"seed": n}) for n in range(5)]
    found += [Row("coupled", n, n) for n in INPUTS if n.endswith("+Quaternions")]
    found += [
        Row("crop", f"{n}, crops of {side}", n, changes={"crop": side, "batch": batch})
        for n in ("BS", "Quaternions") for side, batch in ((50, 32), (200, 2))
    ]  # fmt: skip
    found += [
        Row("unseen", f"{n}, {method}, trained without T3", n, steels=("T1", "T2"), method=method)
        for n, method in (("BS", "grain threshold"), ("BS", "forest"), ("BS+KAM", "forest"))
    ]  # fmt: skip
    found += [Row("recipe", f"{n}, labels by the recipe", n) for n in ("BS", "KAM", "BS+KAM")]
    found += [Row("recipe", f"{n}, truth as labels", n) for n in ("BS", "KAM", "BS+KAM")]
    found += [
        Row("discriminant", f"{n}, discriminant alone", n, changes={"epochs": 0})
        for n in ("BS", "BS+KAM", "All")
    ]  # fmt: skip
    return found


def make_maps(shape: tuple[int, int], first: int, number: int, **options: Any) -> Maps:
    return [
        (name, dual_phase_steel(shape, fraction, seed=first + 10 * k + n, **options))
        for k, (name, fraction) in enumerate(VARIANTS.items())
        for n in range(number)
    ]


def mislabel(sample: DualPhaseSample, share: float, seed: int) -> np.ndarray:
    """Labels with whole grains of the wrong class: half of the share from each class."""
    rng = np.random.default_rng(seed)
    out = sample.truth.copy()
    for ids in (sample.ferrite_grain, sample.block):
        size = np.bincount(ids.ravel())
        wrong = 0
        for grain in rng.permutation(np.arange(1, len(size))):
            if wrong >= share / 2 * out.size:
                break
            # One huge grain would be all of the error.
            if size[grain] <= 0.01 * out.size:
                here = ids == grain
                out[here] = 3 - sample.truth[here]
                wrong += size[grain]
    return out


def by_recipe(training: Maps, tests: Maps) -> Recipe:
    """Labels as the article made them, of the training maps and of those that are scored."""
    first = dict(reversed(training))
    items = [
        (sample.scan, paint(sample.truth, 10, 0.01, number))
        for number, sample in enumerate(first.values())
    ]
    forest = ForestSegmenter.train(items, ("BS",), n_jobs=1)
    how = TruthSettings(grains=2.0, not_indexed=2, open=1)
    made = [
        [refined_truth(s.scan, forest.predict(s.scan).labels, how) for _, s in maps]
        for maps in (training, tests)
    ]
    return made[0], made[1]


def judge(model: Any, tests: Maps, others: list[np.ndarray] | None = None) -> dict[str, Any]:
    """Accuracy pixel by pixel and after the vote, per steel and over all maps.

    `others` are labels by the recipe.
    """
    pixel: dict[str, Any] = {}
    vote: dict[str, Any] = {}
    parts: dict[str, list[tuple[float, float]]] = {}
    same, itself, told = [], [], []
    for number, (name, sample) in enumerate(tests):
        result = model.predict(sample.scan)
        told.append(
            float(result.probability.max(-1).mean() - (result.labels == sample.truth).mean())
        )
        if others is not None:
            same.append((result.labels == others[number]).mean())
            itself.append((sample.truth == others[number]).mean())
        for tables, labels in (
            (pixel, result.labels),
            (vote, result.grain_vote(sample.scan).labels),
        ):
            table = confusion_matrix(sample.truth.ravel() - 1, labels.ravel() - 1, 2)
            for key in (name, "all"):
                tables[key] = tables.get(key, 0) + table
        parts.setdefault(name, []).append(
            (float((sample.truth == 2).mean()), float((result.labels == 2).mean()))
        )
    accuracy = {
        kind: {k: float(np.trace(t) / t.sum()) for k, t in tables.items()}
        for kind, tables in (("pixel", pixel), ("vote", vote))
    }
    return accuracy | {
        "confusion": pixel["all"].tolist(),
        "martensite": {k: np.mean(v, axis=0).tolist() for k, v in parts.items()},
        "maps": [pair for pairs in parts.values() for pair in pairs],
        "told": told,
        "recipe": [float(np.mean(v)) for v in (same, itself)] if same else None,
    }


def without_offsets(model: Any) -> Any:
    """The U-Net as its training left it, before the labels said how likely classes are."""
    offsets = np.array(getattr(model, "record", {}).get("offsets", ()), dtype=np.float32)
    if getattr(model, "network", None) is None or not offsets.any():
        return None
    before = copy.deepcopy(model)
    before.network.shift(-offsets)
    return before


def train(row: Row, items: list[Any], epochs: int) -> Any:
    """One method, trained."""
    inputs = INPUTS[row.inputs]
    if row.method == "forest":
        return ForestSegmenter.train(items, inputs, classes=("ferrite", "martensite"), n_jobs=1)
    if row.method == "grain threshold":
        return GrainThresholdSegmenter.train(items, inputs)
    return Segmenter.train(
        items, inputs, classes=("ferrite", "martensite"), network=row.network,
        **{"epochs": max(round(epochs * row.epochs), 1), "steps": 25, "batch": 8, **row.changes},
    )  # fmt: skip


def compute(
    row: Row, training: Maps, tests: Maps, epochs: int, file: Path, recipe: Recipe | None = None
) -> dict[str, Any]:
    items = []
    ours, others = recipe if recipe is not None and row.table == "recipe" else (None, None)
    for number, (name, sample) in enumerate(training):
        if name not in row.steels:
            continue
        labels = mislabel(sample, row.mislabelled, number) if row.mislabelled else sample.truth
        if ours is not None and row.name.endswith("recipe"):
            labels = ours[number]
        columns = slice(0, max(round(row.share * labels.shape[1]), 16))
        items.append((sample.scan.crop(columns=columns), labels[:, columns]))
    start = time.perf_counter()
    model = train(row, items, epochs)
    trained = time.perf_counter()
    scored = [t for t in tests if row.table != "unseen" or t[0] not in row.steels]
    network = getattr(model, "network", None)
    figures = judge(model, scored, others) | {
        "inputs": list(INPUTS[row.inputs]), "table": row.table, "name": row.name,
        "network": None if network is None else network.settings.as_dict(),
        "pixels": sum(int(labels.size) for _, labels in items),
        "training_seconds": round(trained - start, 1),
        "scoring_seconds": round(time.perf_counter() - trained, 1),
        "held_out": dict(getattr(model, "metrics", {})),
    }  # fmt: skip
    before = without_offsets(model)
    if before is not None:
        figures["before"] = judge(before, scored)
    if network is not None:
        model.save(file.with_name(file.stem + "-model"))
    if row.table == "inputs":
        # Much Widmanstaetten ferrite, as in the article's section 5.3.
        harder = make_maps(tests[0][1].scan.shape, 400, 1, widmanstaetten_share=0.5)
        figures["much Widmanstaetten ferrite"] = judge(model, harder)
    return figures


def show(folder: Path) -> None:
    """The tables in Markdown."""
    order = {row.name: n for n, row in enumerate(rows())}
    found = [json.loads(f.read_text()) for f in folder.glob("row-*.json") if "model" not in f.name]
    found.sort(key=lambda r: order.get(r["name"], len(order)))
    for table in dict.fromkeys(r["table"] for r in found):
        print(f"\n| {table} | accuracy | T1, T2, T3 | vote | told less true: mean, mean size "
              "| much Widmanstaetten | train |\n|---|---|---|---|---|---|---|")  # fmt: skip
        for r in (r for r in found if r["table"] == table):
            each = ", ".join(f"{100 * v:.1f}" for k, v in r["pixel"].items() if k != "all")
            hard = r.get("much Widmanstaetten ferrite")
            hard_text = f"{100 * hard['pixel']['all']:.1f}" if hard else ""
            told = 100 * np.array(r["told"])
            print(
                f"| {r['name']} | {100 * r['pixel']['all']:.2f} | {each} | "
                f"{100 * r['vote']['all']:.2f} | {told.mean():+.2f}, {np.abs(told).mean():.2f} | "
                f"{hard_text} | {r['training_seconds']:.0f} s |"
            )
    repeats = [100 * r["pixel"]["all"] for r in found if r["table"] == "repeats"]
    if len(repeats) > 1:
        print(f"\n{len(repeats)} repeats: {np.mean(repeats):.2f} +- {np.std(repeats, ddof=1):.2f}")
    recipes = [r for r in found if r.get("recipe")]
    if recipes:
        print("\n| scored against | labels by the recipe | the truth | recipe itself true |")
        print("|---|---|---|---|")
    for r in recipes:
        same, itself = (100 * v for v in r["recipe"])
        print(f"| {r['name']} | {same:.2f} | {100 * r['pixel']['all']:.2f} | {itself:.2f} |")
    print("\n| martensite, % | T1: true, found | T2 | T3 |\n|---|---|---|---|")
    for r in (r for r in found if len(r.get("martensite", {})) == len(VARIANTS)):
        cells = [f"{100 * t:.1f}, {100 * f:.1f}" for t, f in r["martensite"].values()]
        print(f"| {r['name']} | {' | '.join(cells)} |")
    print(
        "\n| found less true, points: U-Net | mean, mean size | before, as its training left it |"
    )
    print("|---|---|---|")
    for r in (r for r in found if "before" in r):
        cells = []
        for part in (r, r["before"]):
            surplus = 100 * np.array([f - t for t, f in part["maps"]])
            cells.append(f"{surplus.mean():+.2f}, {abs(surplus).mean():.2f}, "
                         f"{100 * part['pixel']['all']:.2f} % right")  # fmt: skip
        print(f"| {r['name']} | {' | '.join(cells)} |")
    head = "pixels | true ferrite: found ferrite, martensite | true martensite | recall | precision"
    print(f"\n| {head} |\n|---|---|---|---|---|")
    for r in (r for r in found if r["table"] in ("inputs", "coupled")):
        t = np.array(r["confusion"])
        cells = [", ".join(str(v) for v in line) for line in t]
        for axis in (1, 0):
            cells.append(", ".join(f"{v:.2f}" for v in 100 * np.diag(t) / t.sum(axis=axis)))
        print(f"| {r['name']} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    tables = list(dict.fromkeys(row.table for row in rows()))
    parser.add_argument("--rows", nargs="*", choices=tables, default=tables)
    parser.add_argument("--only", nargs="*", help="names of rows")
    parser.add_argument("--shape", type=int, nargs=2, default=(428, 570))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--first", type=int, default=300, help="seed of the first scored map")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    if args.table:
        show(args.output)
        return
    torch.set_num_threads(args.threads)
    shape = tuple(args.shape)
    wanted = [
        (row, args.output / f"row-{number:02d}.json") for number, row in enumerate(rows())
        if row.table in args.rows and (not args.only or row.name in args.only)
    ]  # fmt: skip
    wanted = [(row, file) for row, file in wanted if not file.exists()]
    if not wanted:
        show(args.output)
        return
    training, tests = make_maps(shape, 200, 2), make_maps(shape, args.first, 3)
    threshold = args.output / "row-threshold.json"
    if not threshold.exists():
        grain = GrainThresholdSegmenter.train([(s.scan, s.truth) for _, s in training], ("BS",))
        figures = {"table": "inputs", "name": "(grain threshold on BS)", "training_seconds": 0.0}
        threshold.write_text(json.dumps(judge(grain, tests) | figures, indent=1))
    recipe = by_recipe(training, tests) if any(r.table == "recipe" for r, _ in wanted) else None
    for row, file in wanted:
        figures = compute(row, training, tests, args.epochs, file, recipe)
        file.write_text(json.dumps(figures, indent=1))
        pixel, vote = figures["pixel"]["all"], figures["vote"]["all"]
        print(f"{dataclasses.asdict(row)['name']:50} {100 * pixel:.2f}, vote {100 * vote:.2f} %; "
              f"{figures['training_seconds']:.0f} s", flush=True)  # fmt: skip
    show(args.output)


if __name__ == "__main__":
    main()
