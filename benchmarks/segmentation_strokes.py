"""From strokes on one synthetic map to all other maps: accuracy, time and memory.

Ten strokes a class, as a person paints them, on one map of dual-phase steel; every method
learns from the same strokes; maps of other seeds and steels are scored.

    python benchmarks/segmentation_strokes.py FOLDER [--shape 428 570] [--forest] [--seeds 0 1 2]

One method and seed is one JSON file in the folder; what is there is not computed again. At full
size (856 x 1141) a seed of the U-Net takes some three minutes of one core, of the forests five.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import ndimage

from napari_ebsdml.samples import VARIANTS, dual_phase_steel
from napari_ebsdml.segmentation import (
    ForestSegmenter,
    GrainThresholdSegmenter,
    Segmenter,
    default_channels,
    evaluate,
)


def paint(truth: np.ndarray, strokes: int, share: float, seed: int, width: int = 5) -> np.ndarray:
    """Strokes of a round brush that stay, as a careful person's, within a class."""
    rng = np.random.default_rng(seed)
    out = np.zeros_like(truth)
    length = max(int(share * truth.size / (2 * strokes * width)), 4)
    for c in (1, 2):
        inside = ndimage.binary_erosion(truth == c, iterations=width // 2 + 1)
        places = np.argwhere(inside)
        for _ in range(strokes):
            y, x = places[rng.integers(len(places))].astype(float)
            angle = rng.uniform(0, 2 * np.pi)
            mask = np.zeros(truth.shape, dtype=bool)
            for _ in range(length):
                mask[round(y), round(x)] = True
                for _ in range(12):
                    turn = angle + rng.normal(0, 0.3)
                    i, j = y + np.sin(turn), x + np.cos(turn)
                    if (0 <= round(i) < truth.shape[0] and 0 <= round(j) < truth.shape[1]
                            and inside[round(i), round(j)]):  # fmt: skip
                        y, x, angle = i, j, turn
                        break
                    angle = rng.uniform(0, 2 * np.pi)
            disc = np.hypot(*np.mgrid[-2:3, -2:3]) <= width / 2
            out[ndimage.binary_dilation(mask, disc)] = c
    return out


def correct(
    truth: np.ndarray, predicted: np.ndarray, strokes: int, share: float, width: int = 3
) -> np.ndarray:
    """Strokes where a person would see the result to be wrong: in the largest wrong areas."""
    out = np.zeros_like(truth)
    disc = np.hypot(*np.mgrid[-1:2, -1:2]) <= width / 2
    budget = share * truth.size / (2 * strokes)
    for c in (1, 2):
        inside = ndimage.binary_erosion(truth == c, iterations=2)
        areas, _ = ndimage.label((truth == c) & (predicted != c) & inside)
        sizes = np.bincount(areas.ravel())
        sizes[0] = 0
        for number in np.argsort(sizes)[::-1][:strokes]:
            here = areas == number
            # Along the longest extent, through the middle.
            places = np.argwhere(here)
            axis = np.linalg.svd(places - places.mean(0), full_matrices=False)[2][0]
            along = (places - places.mean(0)) @ axis
            across = np.abs((places - places.mean(0)) @ (-axis[1], axis[0]))
            near = (across < 1) & (np.abs(along) < budget / (2 * width))
            mask = np.zeros(truth.shape, dtype=bool)
            mask[tuple(places[near].T)] = True
            out[ndimage.binary_dilation(mask, disc) & (truth == c)] = c
    return out


class Memory:
    """Highest resident memory of the process while the block runs, less that before, in MB."""

    def __enter__(self) -> Memory:
        self.before = self._now()
        self.peak, self.go = self.before, True
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()
        self.start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self.start
        self.go = False
        self.thread.join()
        self.used = self.peak - self.before

    def as_dict(self) -> dict[str, float]:
        """Seconds, and peak of the process in MB: in all, and more than before."""
        return {
            "seconds": round(self.seconds, 1), "used": round(self.used), "peak": round(self.peak),
        }  # fmt: skip

    @staticmethod
    def _now() -> float:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6

    def _watch(self) -> None:
        while self.go:
            self.peak = max(self.peak, self._now())
            time.sleep(0.02)


def learn(name: str, make: Any, items: Any, truth: np.ndarray, options: Any) -> Any:
    """Train one method; the U-Net shows its previews."""
    if make is not None:
        return make(items)
    steps = Segmenter.training(items, options["channels"], preview=items[0][0],
                               epochs=options["epochs"])  # fmt: skip
    for e in steps:
        if e.preview is not None:
            right = evaluate(e.preview.labels, truth).accuracy
            print(f"  preview after {e.seconds:5.1f} s: {right:.2%}", flush=True)
            options["previews"].append([round(e.seconds, 1), right])
    return steps.segmenter


def judge(model: Any, maps: dict[str, Any]) -> dict[str, Any]:
    """Accuracy, fractions, time and memory on each map."""
    out = {}
    for name, sample in maps.items():
        with Memory() as prediction:
            result = model.predict(sample.scan)
        voted = result.grain_vote(sample.scan)
        second = result.fractions()[1]
        out[name] = {
            "pixel": evaluate(result.labels, sample.truth).accuracy,
            "vote": evaluate(voted.labels, sample.truth).accuracy,
            "martensite": [second.fraction, second.low, second.high],
            "true_martensite": float((sample.truth == 2).mean()),
            **prediction.as_dict(),
        }
        print(f"  {name:14} {out[name]}", flush=True)
    return out


def show(folder: Path) -> None:
    """Table in Markdown: mean over seeds; the map that was painted is left out."""
    print("| method | other maps: pixel | vote | training s, MB | first preview s | map s, MB |")
    print("|---|---|---|---|---|---|")
    found: dict[str, list[Any]] = {}
    for file in sorted(folder.glob("strokes-*.json")):
        record = json.loads(file.read_text())
        found.setdefault(record["method"], []).append(record)
    for name, records in found.items():
        maps = [m for r in records for k, m in r["maps"].items() if k != "same map"]

        def span(key: str, maps: list[Any] = maps) -> str:
            values = [100 * m[key] for m in maps]
            return f"{np.mean(values):.1f} ({min(values):.1f}-{max(values):.1f})"

        training = [np.mean([r["training"][k] for r in records]) for k in ("seconds", "used")]
        each = np.mean([m["seconds"] for m in maps]), max(m["used"] for m in maps)
        first = [r["previews"][0][0] for r in records if r["previews"]]
        preview = f"{np.mean(first):.0f}" if first else ""
        print(f"| {name} | {span('pixel')} | {span('vote')} | {training[0]:.0f}, {training[1]:.0f}"
              f" | {preview} | {each[0]:.1f}, {each[1]:.0f} |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--shape", type=int, nargs=2, default=(428, 570))
    parser.add_argument("--strokes", type=int, default=10)
    parser.add_argument("--share", type=float, default=0.005)
    parser.add_argument("--fraction", type=float, default=VARIANTS["T2"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument(
        "--corrections",
        type=int,
        default=0,
        help="rounds of corrections; the strokes are shared out between the rounds",
    )
    parser.add_argument("--channels", default="")
    parser.add_argument("--forest", action="store_true")
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    if args.table:
        show(args.output)
        return
    torch.set_num_threads(args.threads)
    shape = tuple(args.shape)
    tests = {
        f"{name} seed {seed}": dual_phase_steel(shape, fraction, seed=seed)
        for seed, (name, fraction) in enumerate(VARIANTS.items(), start=100)
    }
    for seed in args.seeds:
        sample = dual_phase_steel(shape, args.fraction, seed=seed)
        rounds = args.corrections + 1
        number = args.strokes // rounds
        first = args.strokes - number * args.corrections
        part = args.share / args.strokes
        labels = paint(sample.truth, first, part * first, seed)
        chosen = args.channels.split(",") if args.channels else default_channels(sample.scan)
        for _ in range(args.corrections):
            model = Segmenter.train([(sample.scan, labels)], chosen, epochs=10)
            result = model.predict(sample.scan)
            more = correct(sample.truth, result.labels, number, part * number)
            print(f"  {evaluate(result.labels, sample.truth).accuracy:.2%} before correction")
            labels = np.where(labels > 0, labels, more)
        painted = float((labels > 0).mean())
        print(f"map {shape}, seed {seed}: {painted:.2%} of pixels painted")
        methods: dict[str, Any] = {"U-Net, " + (args.channels or "default channels"): None}
        if args.forest:
            methods["forest, BS + KAM"] = lambda i: ForestSegmenter.train(i, ("BS", "KAM"))
            methods["forest, same channels"] = lambda i, c=chosen: ForestSegmenter.train(i, c)
            methods["grain threshold BS"] = lambda i: GrainThresholdSegmenter.train(i, ("BS",))
        for name, make in methods.items():
            text = f"{name} {shape[0]}x{shape[1]} rounds {rounds} seed {seed}"
            file = args.output / ("strokes-" + re.sub(r"[^A-Za-z0-9]+", "-", text) + ".json")
            if file.exists():
                continue
            print(name, flush=True)
            options = {"channels": chosen, "epochs": args.epochs, "previews": []}
            with Memory() as training:
                model = learn(name, make, [(sample.scan, labels)], sample.truth, options)
            record = {
                "method": name, "seed": seed, "shape": shape, "painted": painted,
                "previews": options["previews"], "training": training.as_dict(),
                "maps": judge(model, {"same map": sample, **tests}),
            }  # fmt: skip
            file.write_text(json.dumps(record, indent=1))
    show(args.output)


if __name__ == "__main__":
    main()
