"""How honest the told chances are from strokes, and how honest any could look on so few grains.

    python benchmarks/segmentation_calibration.py MAP [--seeds 20] [--first 0] [--methods NAME ...]

Cases, strokes and methods are those of segmentation_learning.py: MAP is the super duplex steel with
hidden phases. Right, with the worst seed, error of the fraction, told less true and the calibration
error (ECE) of each seed, the ECE of all seeds together, and what ECE chances would show that are
right in the mean: every grain (of 3 degrees) is drawn right or wrong as a whole, by the chances
that were told, 200 times. An ECE near that of the draws tells nothing against the chances.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_ebsdml.learning.calibration import reliability
from napari_ebsdml.maps import segment_grains
from segmentation_learning import CHEAP, NETWORKS, Scored, duplex, learn, steel

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


def judge(model: Any, one: Scored, rng: np.random.Generator) -> dict[str, np.ndarray | float]:
    """Figures of one map, of all that was not painted; fractions are of the second class."""
    result = model.predict(one.scan)
    at = one.where
    told = result.probability.max(-1)[at].astype(float)
    right = (result.labels == one.truth)[at]
    grains = segment_grains(one.scan, 3.0)[at]
    return {
        "told": told, "right": right, "gap": 100 * (told.mean() - right.mean()),
        "ece": error(told, right), "honest": honest(told, grains, rng),
        "off": 100 * ((result.labels == 2)[at].mean() - (one.truth == 2)[at].mean()),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("map", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--methods", nargs="*", default=CHEAP[1:2], choices=(*CHEAP, *NETWORKS))
    parser.add_argument("--kinds", nargs="*", default=("duplex", "steel"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    print("| map | scored | method | seeds | right (worst seed) | fraction off | told less true "
          "(mean size) | ECE of a seed | of honest chances | of all seeds together |\n"
          "|---|---|---|---|---|---|---|---|---|---|")  # fmt: skip
    for kind in args.kinds:
        found: dict[tuple[str, str], list[dict]] = {}
        for seed in range(args.first, args.first + args.seeds):
            case = duplex(args.map, seed) if kind == "duplex" else steel(seed)
            for method in args.methods:
                model = learn(method, case, seed)
                for one in case.scored:
                    found.setdefault((one.name, method), []).append(judge(model, one, rng))
        for (name, method), rows in sorted(found.items(), key=lambda item: item[0][0] != "painted"):
            gap, off = (np.array([row[key] for row in rows]) for key in ("gap", "off"))
            ece, free = (np.mean([row[key] for row in rows]) for key in ("ece", "honest"))
            told, right = (np.concatenate([row[key] for row in rows]) for key in ("told", "right"))
            each = 100 * np.array([row["right"].mean() for row in rows])
            print(f"| {kind} | {name} | {method} | {len(rows)} | {each.mean():.1f} "
                  f"({each.min():.1f}) | {np.abs(off).mean():.1f} | {gap.mean():+.1f} "
                  f"({np.abs(gap).mean():.1f}) | {ece:.1f} | {free:.1f} "
                  f"| {error(told, right):.1f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
