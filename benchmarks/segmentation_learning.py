"""From strokes: threshold, linear discriminant, forest, the earlier U-Net, ours; and what is told.

    python benchmarks/segmentation_learning.py MAP FOLDER [--cheap 20] [--networks 5] [--show]

MAP is the super duplex steel (duplex_steel_left.ang): phases hidden, strokes on 2 % of the columns
0-38, columns 41-57 scored. The synthetic dual-phase steel (T2, 300 x 400) has ten strokes a class
on 0.5 % of its pixels; a map of T1 and one of T3, of other seeds, are scored. A seed sets the
strokes and, of the steel, the painted map. Fresh grains are those (of 3 degrees) that hold no
stroke; on the duplex map also those that do not reach into columns 0-38. Every method learns the
same strokes. "Told" is the mean chance of the labels by the model, "true" the part that is right.
"Points of one grain in the worst": what the most wrong grain (of 3 degrees) of the other map costs
in the worst seed, pixel by pixel and of the vote. One method and seed is one JSON file in the
folder: what is there is not computed again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import napari_ebsdml as ebsdml
from napari_ebsdml.learning.calibration import reliability
from napari_ebsdml.maps import segment_grains
from napari_ebsdml.samples import VARIANTS, dual_phase_steel
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation import (
    ForestSegmenter,
    GrainThresholdSegmenter,
    Segmenter,
    UNetSettings,
    default_channels,
)
from napari_ebsdml.segmentation.comparison import best_threshold
from segmentation_duplex import OURS, hide_phases, strokes
from segmentation_strokes import paint


@dataclasses.dataclass(frozen=True, eq=False)
class Scored:
    """A map to score: where, and where the grains are fresh."""

    name: str
    scan: Scan
    truth: np.ndarray
    where: np.ndarray
    fresh: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """What is painted, and what is scored."""

    scan: Scan
    labels: np.ndarray
    channels: tuple[str, ...]
    scored: list[Scored]


def duplex(path: Path, seed: int) -> Case:
    """The real map."""
    whole = ebsdml.read(path)
    truth = whole.phase_id.astype(np.uint8)
    hidden = hide_phases(whole)
    left = hidden.crop(columns=slice(0, 39))
    labels = strokes(truth[:, :39], 0.02, seed)
    grains = segment_grains(hidden, 3.0)
    own = ~np.isin(grains, np.unique(grains[:, :39]))[:, 41:58]
    right = hidden.crop(columns=slice(41, 58))
    there = truth[:, 41:58] > 0
    return Case(left, labels, OURS, [
        Scored("painted", left, truth[:, :39], (labels == 0) & (truth[:, :39] > 0),
               fresh_grains(left, labels)),
        Scored("41-57", right, truth[:, 41:58], there, there & own),
    ])  # fmt: skip


def steel(seed: int) -> Case:
    """A synthetic map, and two others."""
    sample = dual_phase_steel((300, 400), VARIANTS["T2"], seed=seed)
    labels = paint(sample.truth, 10, 0.005, seed)
    scored = [Scored("painted", sample.scan, sample.truth, labels == 0,
                     fresh_grains(sample.scan, labels))]  # fmt: skip
    for name, other in (("T1", 100), ("T3", 102)):
        one = dual_phase_steel((300, 400), VARIANTS[name], seed=other)
        every = np.ones(one.truth.shape, dtype=bool)
        scored.append(Scored(name, one.scan, one.truth, every, every))
    return Case(sample.scan, labels, default_channels(sample.scan), scored)


def fresh_grains(scan: Scan, labels: np.ndarray) -> np.ndarray:
    """Pixels of grains without a stroke."""
    grains = segment_grains(scan, 3.0)
    return ~np.isin(grains, np.unique(grains[labels > 0])) & (grains > 0)


CHEAP = ("grain threshold", "linear discriminant", "forest")
NETWORKS = ("earlier U-Net", "U-Net on the discriminant")
SINGLE = "U-Net, temperature of single networks"
SURE = "U-Net, as sure as single networks"


def learn(method: str, case: Case, seed: int) -> Any:
    """Train one method."""
    items = [(case.scan, case.labels)]
    if method == "grain threshold":
        found = best_threshold(items, case.channels)
        return found or GrainThresholdSegmenter.train(items, case.channels[:1])
    if method == "forest":
        return ForestSegmenter.train(items, case.channels, seed=seed, n_jobs=1)
    if method == "linear discriminant":
        return Segmenter.train(items, case.channels, seed=seed, epochs=0)
    settings: dict[str, Any] = {"seed": seed, "keep": "network"}
    if method == "earlier U-Net":
        members = 4 if case.labels.size < 50_000 else 1
        settings["network"] = UNetSettings(depth=1, members=members, linear=False)
    return Segmenter.train(items, case.channels, **settings)


def judge(model: Any, case: Case) -> dict[str, Any]:
    """Figures of each scored map."""
    out = {}
    for one in case.scored:
        start = time.process_time()
        result = model.predict(one.scan)
        seconds = time.process_time() - start
        figures: dict[str, Any] = {"seconds": round(seconds, 2)}
        voted = result.grain_vote(one.scan)
        for name, where in (("", one.where), ("fresh_", one.where & one.fresh)):
            right = result.labels == one.truth
            figures[name + "pixel"] = float(right[where].mean())
            figures[name + "vote"] = float((voted.labels == one.truth)[where].mean())
            figures[name + "told"] = float(result.probability.max(-1)[where].mean())
            target = one.truth[where].astype(int) - 1
            figures[name + "ece"] = reliability(result.probability[where], target).error
        # On maps of a few dozen grains a single one makes a seed the worst.
        grains = segment_grains(one.scan, 3.0)
        for name, labels in (("", result.labels), ("_vote", voted.labels)):
            wrong = np.bincount(grains[one.where & (labels != one.truth) & (grains > 0)])
            figures["worst_grain" + name] = float(wrong.max(initial=0) / one.where.sum())
            figures["worst_grain_id" + name] = int(wrong.argmax()) if len(wrong) else 0
        figures["fraction"] = float((result.labels == 2)[one.where].mean())
        figures["true_fraction"] = float((one.truth == 2)[one.where].mean())
        out[one.name] = figures
    return out


def file_of(folder: Path, kind: str, method: str, seed: int) -> Path:
    """Where the record of one method and seed lies."""
    return folder / f"{kind}-{re.sub('[^a-z]+', '-', method.lower())}-{seed}.json"


def measure(method: str, case: Case, seed: int, folder: Path, kind: str) -> None:
    """One method and seed; the U-Net also with the two temperatures that its own lies between."""
    if file_of(folder, kind, method, seed).exists():
        return
    start = time.process_time()
    model = learn(method, case, seed)
    training = round(time.process_time() - start, 2)
    if method == NETWORKS[1]:
        single = model.record["single_temperature"]
        for name, other in ((SINGLE, single), (SURE, model.temperature**2 / single)):
            told = dataclasses.replace(model, temperature=other)
            write(told, name, case, seed, folder, kind, training)
    write(model, method, case, seed, folder, kind, training)


def write(
    model: Any, method: str, case: Case, seed: int, folder: Path, kind: str, training: float
) -> None:
    """Judge and write one record."""
    record: dict[str, Any] = {
        "kind": kind, "method": method, "seed": seed, "training": training,
        "maps": judge(model, case),
    }  # fmt: skip
    if isinstance(model, Segmenter):
        record |= {
            "temperature": model.temperature, "answer": model.answer,
            "better": model.record["better"], "metrics": {
                k: v for k, v in model.metrics.items() if isinstance(v, float | int)
            },
        }  # fmt: skip
    file_of(folder, kind, method, seed).write_text(json.dumps(record, indent=1))
    print(kind, method, seed, training, record.get("answer", ""), flush=True)


def ours(found: dict[tuple[str, str], dict[int, Any]]) -> None:
    """Add what a user gets: the U-Net where held-out grains say so, or the discriminant."""
    for kind in ("steel", "duplex"):
        networks = found.get((kind, NETWORKS[1]), {})
        linear = found.get((kind, "linear discriminant"), {})
        found[kind, "ours"] = {
            s: r if r["better"] else linear[s] | {"training": r["training"]}
            for s, r in networks.items() if s in linear
        }  # fmt: skip


def show(folder: Path) -> None:
    """Tables in Markdown."""
    found: dict[tuple[str, str], dict[int, Any]] = {}
    for file in sorted(folder.glob("*.json")):
        record = json.loads(file.read_text())
        found.setdefault((record["kind"], record["method"]), {})[record["seed"]] = record
    ours(found)
    least = set.intersection(*(set(v) for v in found.values() if v))
    for fresh in ("", "fresh_"):
        print("\nFresh grains only" if fresh else "\nAll that was not painted")
        print("| map | method | seeds | painted map | other maps: pixel (worst) | "
              "points of one grain in the worst | vote (worst) | "
              "fraction error | told less true: painted, other | ECE | CPU s |")  # fmt: skip
        print("|---|---|---|---|---|---|---|---|---|---|---|")
        for kind in ("steel", "duplex"):
            for method in (*CHEAP, *NETWORKS, SINGLE, SURE, "ours"):
                every = found.get((kind, method), {})
                for seeds in dict.fromkeys((tuple(sorted(every)), tuple(sorted(least)))):
                    records = [every[s] for s in seeds if s in every]
                    if records:
                        print(row(kind, method, records, fresh))


def row(kind: str, method: str, records: list[Any], fresh: str) -> str:
    """One row of the table."""

    def each(key: str, painted: bool, prefix: str = fresh) -> np.ndarray:
        return 100 * np.array(
            [np.mean([m[prefix + key] for n, m in r["maps"].items() if (n == "painted") == painted])
             for r in records]
        )  # fmt: skip

    def told(painted: bool) -> str:
        gap = each("told", painted) - each("pixel", painted)
        return f"{gap.mean():+.1f} (mean size {np.abs(gap).mean():.1f})"

    pixel, vote = each("pixel", False), each("vote", False)
    single, voted = (each("worst_grain" + name, False, "") for name in ("", "_vote"))
    error = np.mean([
        100 * abs(m["fraction"] - m["true_fraction"])
        for r in records for n, m in r["maps"].items() if n != "painted"
    ])  # fmt: skip
    kept = [r.get("better") for r in records if "better" in r]
    name = method + (f" (U-Net kept {sum(kept)} of {len(kept)})" if method == "ours" else "")
    return (
        f"| {kind} | {name} | {len(records)} | {each('pixel', True).mean():.1f} | "
        f"{pixel.mean():.1f} ({pixel.min():.1f}) | "
        f"{single[pixel.argmin()]:.1f}, {voted[vote.argmin()]:.1f} | "
        f"{vote.mean():.1f} ({vote.min():.1f}) | "
        f"{error:.1f} | {told(True)}, {told(False)} | {each('ece', True).mean():.1f}, "
        f"{each('ece', False).mean():.1f} | {np.mean([r['training'] for r in records]):.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("map", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--cheap", type=int, default=20)
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    parser.add_argument("--only", nargs="*", help="names of methods")
    parser.add_argument("--kinds", nargs="*", default=("duplex", "steel"))
    parser.add_argument("--show", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    args.output.mkdir(parents=True, exist_ok=True)
    last = 0 if args.show else max(args.cheap, args.networks)
    for seed in range(args.first, last):
        for kind in args.kinds:
            case = duplex(args.map, seed) if kind == "duplex" else steel(seed)
            methods = (*(CHEAP if seed < args.cheap else ()),
                       *(NETWORKS if seed < args.networks else ()))  # fmt: skip
            for method in methods if args.only is None else set(methods) & set(args.only):
                measure(method, case, seed, args.output, kind)
    show(args.output)


if __name__ == "__main__":
    main()
