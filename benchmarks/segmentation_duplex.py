"""Duplex steel with its phases hidden: U-Net, random forest and grain threshold.

Columns 0-38 train, columns 41-57 are scored; all methods see the same labels.

    python benchmarks/segmentation_duplex.py PATH/duplex_steel_left.ang [--seeds 3]
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation import (
    ORIENTATION_CHANNELS,
    ForestSegmenter,
    GrainThresholdSegmenter,
    Segmenter,
    evaluate,
)

OURS = ("IQ", "IQ@grain", *ORIENTATION_CHANNELS)


def hide_phases(scan: Scan) -> Scan:
    """The map as one phase; the dot product goes, too, as it depends on the phase's dictionary."""
    from orix.crystal_map import Phase, PhaseList

    return dataclasses.replace(
        scan,
        phase_id=np.where(scan.is_indexed, 1, -1),
        phases=PhaseList(ids=[1], phases=[Phase("cubic", point_group="m-3m")]),
        prop={"IQ": scan.get("IQ")},
    )


def strokes(truth: np.ndarray, share: float, seed: int, length: int = 6) -> np.ndarray:
    """Short strokes, one pixel wide, until the share of pixels is labelled."""
    rng = np.random.default_rng(seed)
    out = np.zeros_like(truth)
    wanted = share * truth.size
    while (out > 0).sum() < wanted:
        c = 1 + int((out == 1).sum() > (out == 2).sum())
        rows, columns = np.nonzero(truth == c)
        n = rng.integers(len(rows))
        y, x = float(rows[n]), float(columns[n])
        angle = rng.uniform(0, 2 * np.pi)
        for _ in range(length):
            i, j = round(y), round(x)
            if not (0 <= i < truth.shape[0] and 0 <= j < truth.shape[1]) or truth[i, j] != c:
                break
            out[i, j] = c
            y, x = y + np.sin(angle), x + np.cos(angle)
    return out


def show(kind: str, name: str, seed: str, figures: Sequence[float]) -> None:
    p, v, t, s = figures
    print(f"{kind:10} {name:22} {seed:>4} {100 * p:7.2f} {100 * v:7.2f} {100 * t:10.2f} {s:6.1f}",
          flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("map", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="")
    parser.add_argument("--labels", default="")
    args = parser.parse_args()
    scan = ebsdml.read(args.map)
    truth = scan.phase_id.astype(np.uint8)
    hidden = hide_phases(scan)
    train_columns = slice(0, 39)
    part = hidden.crop(columns=train_columns)
    scored = np.zeros(scan.shape, dtype=bool)
    scored[:, 41:58] = True
    methods = {
        "grain threshold IQ": lambda i, s: GrainThresholdSegmenter.train(i, ("IQ",)),
        "forest IQ+KAM": lambda i, s: ForestSegmenter.train(i, ("IQ", "KAM"), seed=s),
        "forest, our channels": lambda i, s: ForestSegmenter.train(i, OURS, seed=s),
        "U-Net IQ+KAM": lambda i, s: Segmenter.train(i, ("IQ", "KAM"), seed=s, n_threads=2),
        "U-Net, our channels": lambda i, s: Segmenter.train(i, OURS, seed=s, n_threads=2),
    }
    print("labels     method                 seed   pixel    vote turns+vote      s")
    for kind in ("dense", "2 %"):
        if args.labels and args.labels != kind:
            continue
        for name, make in methods.items():
            if args.only and args.only not in name:
                continue
            figures = []
            for seed in range(args.seeds):
                labels = truth[:, train_columns]
                if kind != "dense":
                    labels = strokes(labels, 0.02, seed)
                start = time.perf_counter()
                model = make([(part, labels)], seed)
                taken = time.perf_counter() - start
                plain = model.predict(hidden)
                row = [
                    evaluate(r.labels, truth, where=scored).accuracy
                    for r in (plain, plain.grain_vote(hidden))
                ]
                if isinstance(model, Segmenter):
                    r = model.predict(hidden, turns=8, grain_vote=True)
                    row.append(evaluate(r.labels, truth, where=scored).accuracy)
                else:
                    row.append(np.nan)
                figures.append([*row, taken])
                show(kind, name, str(seed), figures[-1])
            show(kind, name, "mean", np.mean(figures, axis=0))


if __name__ == "__main__":
    main()
