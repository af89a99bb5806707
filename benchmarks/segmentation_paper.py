"""The article's protocol on synthetic maps: six maps train, nine are scored, per set of inputs.

Maps of a quarter of the article's area (428 x 570 pixels), two of each steel for training and
three for scoring. One JSON file per set of inputs: a set that is done is skipped, so the script
can be stopped and started again. Takes 1 to 3 minutes per set with ``--epochs 12`` and the default
network on two busy cores; ``--network paper`` takes some three times as long.

    python benchmarks/segmentation_paper.py OUTPUT_FOLDER [--only BS KAM] [--network paper]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from napari_ebsdml.samples import VARIANTS, dual_phase_steel
from napari_ebsdml.segmentation import (
    ORIENTATION_CHANNELS,
    GrainThresholdSegmenter,
    Segmenter,
    UNetSettings,
)
from napari_ebsdml.segmentation.evaluation import Evaluation, confusion_matrix

INPUTS = {
    "BS": ("BS",),
    "KAM": ("KAM",),
    "Quaternions": ("Quaternions",),
    "Orientations": ORIENTATION_CHANNELS,
    "BS+KAM": ("BS", "KAM"),
    "All": ("BS", "BC", "BS@grain", *ORIENTATION_CHANNELS),
    "BC": ("BC",),
}


def judge(model: object, tests: list, **options: object) -> dict[str, Evaluation]:
    """Evaluation of all maps of each steel together, and of all maps."""
    tables: dict[str, np.ndarray] = {}
    for name, sample in tests:
        labels = model.predict(sample.scan, **options).labels
        table = confusion_matrix(sample.truth.ravel() - 1, labels.ravel() - 1, 2)
        for key in (name, "all"):
            tables[key] = tables.get(key, 0) + table
    none = np.empty((0, 0), np.int8)
    return {k: Evaluation(t, (1, 2), ("ferrite", "martensite"), none) for k, t in tables.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", nargs="*", default=list(INPUTS))
    parser.add_argument("--network", choices=("default", "paper"), default="default")
    parser.add_argument("--shape", type=int, nargs=2, default=(428, 570))
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.output.mkdir(parents=True, exist_ok=True)
    shape = tuple(args.shape)

    def maps(first: int, number: int) -> list:
        return [
            (name, dual_phase_steel(shape, fraction, seed=first + 10 * k + n))
            for k, (name, fraction) in enumerate(VARIANTS.items())
            for n in range(number)
        ]

    training, tests = maps(200, 2), maps(300, 3)
    items = [(sample.scan, sample.truth) for _, sample in training]
    network = UNetSettings.paper(7) if args.network == "paper" else None
    for key in args.only:
        file = args.output / f"{key}-{args.network}.json"
        if file.exists():
            print(f"{key}: done before, {file}")
            continue
        start = time.perf_counter()
        model = Segmenter.train(
            items, INPUTS[key], classes=("ferrite", "martensite"), network=network,
            epochs=args.epochs, steps=20, batch=8,
        )  # fmt: skip
        taken = time.perf_counter() - start
        figures: dict[str, object] = {
            "inputs": list(INPUTS[key]), "network": args.network, "seconds": round(taken, 1),
            "held out": dict(model.metrics),
        }  # fmt: skip
        for vote in (False, True):
            found = judge(model, tests, grain_vote=vote)
            figures["vote" if vote else "pixel"] = {
                name: {"accuracy": e.accuracy, "confusion": e.confusion.tolist(),
                       "martensite error": float(e.fraction_error[1])}
                for name, e in found.items()
            }  # fmt: skip
        file.write_text(json.dumps(figures, indent=1))
        model.save(args.output / f"{key}-{args.network}-model")
        row = [f"{n} {100 * v['accuracy']:.2f}" for n, v in figures["pixel"].items()]
        voted = figures["vote"]["all"]["accuracy"]
        print(f"{key:14} {', '.join(row)}, vote {100 * voted:.2f} %; {taken:.0f} s", flush=True)
    grain = GrainThresholdSegmenter.train(items, ("BS",))
    print(f"grain threshold BS {100 * judge(grain, tests)['all'].accuracy:.2f} %")


if __name__ == "__main__":
    main()
