"""How far the accuracy that a model tells of itself is from the truth, from strokes on 2 %.

    python benchmarks/segmentation_held_out.py PATH/duplex_steel_left.ang FOLDER [--seeds 3]

Told: accuracy on the labelled pixels that were held out of the training, as on the model card.
True: accuracy on all pixels of the map that were not painted. On the duplex map the phases are
hidden and the strokes are 6 pixels long; the synthetic dual-phase steel has ten strokes a class,
5 pixels wide. One training is one JSON file in the folder; what is there is not computed again.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import napari_ebsdml as ebsdml
from napari_ebsdml.samples import VARIANTS, dual_phase_steel
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation import Segmenter, evaluate
from segmentation_duplex import OURS, hide_phases, strokes
from segmentation_strokes import paint

SHARE = 0.02


def duplex(path: Path, seed: int) -> tuple[Scan, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Scan, truth, labels and channels of the real map."""
    scan = ebsdml.read(path)
    truth = scan.phase_id.astype(np.uint8)
    return hide_phases(scan), truth, strokes(truth, SHARE, seed), OURS


def steel(seed: int) -> tuple[Scan, np.ndarray, np.ndarray, tuple[str, ...]]:
    """Scan, truth, labels and channels of a synthetic map."""
    scan, truth, *_ = dual_phase_steel((428, 570), VARIANTS["T2"], seed=100 + seed)
    return scan, truth, paint(truth, 10, SHARE, seed), ("BS", "BC", "KAM")


def balanced(got: np.ndarray, truth: np.ndarray) -> float:
    """Mean of the classes' recall."""
    return float(np.mean([(got[truth == c] == c).mean() for c in np.unique(truth)]))


def measure(
    scan: Scan, truth: np.ndarray, labels: np.ndarray, channels: tuple[str, ...], seed: int
) -> dict[str, Any]:
    """Train on the labels, and what the model tells of itself beside the truth."""
    start = time.perf_counter()
    model = Segmenter.train([(scan, labels)], channels, seed=seed)
    seconds = time.perf_counter() - start
    result = model.predict(scan)
    rest = (labels == 0) & (truth > 0)
    told = model.metrics
    recall = [r for r in told.get("recall", ()) if r is not None]
    return {
        "told": told.get("accuracy"), "told_balanced": float(np.mean(recall)) if recall else None,
        "true": evaluate(result.labels, truth, where=rest).accuracy,
        "true_balanced": balanced(result.labels[rest], truth[rest]),
        "pixels": told.get("pixels", 0), "units": told.get("blocks", 0),
        "calibration_error": told.get("calibration_error"), "temperature": model.temperature,
        "seconds": round(seconds, 1),
    }  # fmt: skip


def show(folder: Path) -> None:
    """Table in Markdown: told less true, in points, for each seed and in the mean."""
    print("| map | told, each seed | true, each seed | told less true | mean distance |")
    print("|---|---|---|---|---|")
    for name in ("duplex", "steel"):
        found = [json.loads(file.read_text()) for file in sorted(folder.glob(f"{name}-*.json"))]
        for kind in ("", "_balanced"):
            pairs = [(100 * f["told" + kind], 100 * f["true" + kind]) for f in found if f["pixels"]]
            if not pairs:
                continue
            told, true = np.array(pairs).T
            each = [", ".join(f"{v:.1f}" for v in values) for values in (told, true)]
            less, apart = (told - true).mean(), np.abs(told - true).mean()
            row = (name + kind.replace("_", ", "), *each, f"{less:+.1f}", f"{apart:.1f}")
            print("|", " | ".join(row), "|")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("map", type=Path)
    parser.add_argument("output", type=Path, help="folder of the results; what is there is kept")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.output.mkdir(parents=True, exist_ok=True)
    for seed in range(args.seeds):
        for name in ("duplex", "steel"):
            file = args.output / f"{name}-{seed}.json"
            if file.exists():
                continue
            case = duplex(args.map, seed) if name == "duplex" else steel(seed)
            found = measure(*case, seed)
            print(name, seed, found, flush=True)
            file.write_text(json.dumps(found, indent=1))
    show(args.output)


if __name__ == "__main__":
    main()
