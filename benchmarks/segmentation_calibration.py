"""How honest the told chances are from strokes, and how honest any could look on so few grains.

    python benchmarks/segmentation_calibration.py MAP [--seeds 20] [--first 0] [--network]

Cases and strokes are those of segmentation_learning.py: MAP is the super duplex steel with hidden
phases. Told less true and the calibration error (ECE) of each seed, the ECE of all seeds together,
and what ECE chances would show that are right in the mean: every grain (of 3 degrees) is drawn
right or wrong as a whole, by the chances that were told, 200 times. An ECE near that of the draws
tells nothing against the chances.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from napari_ebsdml.learning.calibration import reliability
from napari_ebsdml.maps import segment_grains
from napari_ebsdml.segmentation import Segmenter
from segmentation_learning import Scored, duplex, steel

DRAWS = 200


def error(told: np.ndarray, right: np.ndarray) -> float:
    """ECE of chances of the labels: bins of equal width, as `reliability` has."""
    two = np.stack([told, 1 - told], axis=1)
    return 100 * reliability(two, np.where(right, 0, 1)).error


def honest(told: np.ndarray, grains: np.ndarray, rng: np.random.Generator) -> float:
    """Mean ECE when grains are right or wrong as wholes, as often as told."""
    number = np.unique(grains, return_inverse=True)[1]
    return float(
        np.mean([error(told, rng.random(number.max() + 1)[number] < told) for _ in range(DRAWS)])
    )


def judge(model: Segmenter, one: Scored, rng: np.random.Generator) -> dict[str, np.ndarray | float]:
    """Figures of one map."""
    result = model.predict(one.scan, warn=False)
    at = one.where
    told = result.probability.max(-1)[at].astype(float)
    right = (result.labels == one.truth)[at]
    grains = segment_grains(one.scan, 3.0)[at]
    return {
        "told": told, "right": right, "gap": 100 * (told.mean() - right.mean()),
        "ece": error(told, right), "honest": honest(told, grains, rng),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("map", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--network", action="store_true", help="the U-Net on the discriminant")
    parser.add_argument("--kinds", nargs="*", default=("duplex", "steel"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    print("| map | scored | seeds | told less true (mean size) | ECE of a seed | of honest chances "
          "| of all seeds together |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for kind in args.kinds:
        found: dict[str, list[dict]] = {}
        for seed in range(args.first, args.first + args.seeds):
            case = duplex(args.map, seed) if kind == "duplex" else steel(seed)
            how = {} if args.network else {"epochs": 0}
            if args.network:
                how["keep"] = "network"
            model = Segmenter.train([(case.scan, case.labels)], case.channels, seed=seed, **how)
            for one in case.scored:
                found.setdefault(one.name, []).append(judge(model, one, rng))
        for name, rows in found.items():
            gap = np.array([row["gap"] for row in rows])
            ece, free = (np.mean([row[key] for row in rows]) for key in ("ece", "honest"))
            told, right = (np.concatenate([row[key] for row in rows]) for key in ("told", "right"))
            print(f"| {kind} | {name} | {len(rows)} | {gap.mean():+.1f} ({np.abs(gap).mean():.1f}) "
                  f"| {ece:.1f} | {free:.1f} | {error(told, right):.1f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
