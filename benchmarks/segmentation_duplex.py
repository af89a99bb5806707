"""Duplex steel with its phases hidden: U-Net, random forest and grain threshold.

Columns 0-38 train, columns 41-57 are scored; all methods see the same labels.

    python benchmarks/segmentation_duplex.py PATH/duplex_steel_left.ang FOLDER [--seeds 3]

With ``--inner`` methods learn and are scored inside the training columns (four splits); what our
settings are was decided there. One result is one file: what is there is not computed again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import napari_ebsdml as ebsdml
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation import (
    ORIENTATION_CHANNELS,
    ForestSegmenter,
    GrainThresholdSegmenter,
    Segmenter,
    UNetSettings,
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


@dataclass(frozen=True)
class Part:
    """Where a method learns and where it is scored."""

    name: str
    training: tuple[slice, slice]
    scored: tuple[slice, slice]


EVERY = slice(0, 100)
TABLE = (Part("41-57", (EVERY, slice(0, 39)), (EVERY, slice(41, 58))),)
# Settings are chosen on these, all of them within the training columns.
INNER = (
    Part("below", (slice(0, 57), slice(0, 39)), (slice(60, 100), slice(0, 39))),
    Part("above", (slice(43, 100), slice(0, 39)), (slice(0, 40), slice(0, 39))),
    Part("right", (EVERY, slice(0, 20)), (EVERY, slice(23, 39))),
    Part("left", (EVERY, slice(19, 39)), (EVERY, slice(0, 16))),
)


def methods(inner: bool) -> dict[str, Callable[[Any, int], Any]]:
    """Name -> training with items and a seed."""

    def unet(channels: Sequence[str], **options: Any) -> Callable[[Any, int], Any]:
        return lambda items, seed: Segmenter.train(items, channels, seed=seed, **options)

    def forest(channels: Sequence[str]) -> Callable[[Any, int], Any]:
        return lambda items, seed: ForestSegmenter.train(items, channels, seed=seed, n_jobs=1)

    found = {
        "grain threshold IQ": lambda items, seed: GrainThresholdSegmenter.train(items, ("IQ",)),
        "forest, IQ + KAM": forest(("IQ", "KAM")),
        "forest, our channels": forest(OURS),
        "U-Net, our channels": unet(OURS),
        "U-Net, IQ + KAM": unet(("IQ", "KAM")),
    }
    if inner:
        plain = tuple(c for c in OURS if c not in ("Relations", "KAM@grain"))
        found["U-Net, our channels, one member"] = unet(
            OURS, network=UNetSettings(depth=1, members=1)
        )
        found["U-Net, without Relations"] = unet(plain)
        found["U-Net, our channels, twice as long"] = unet(OURS, epochs=30)
    return found


def score(
    make: Callable[[Any, int], Any],
    hidden: Scan,
    truth: np.ndarray,
    part: Part,
    kind: str,
    seed: int,
) -> dict[str, Any]:
    labels = truth[part.training]
    if kind != "dense":
        labels = strokes(labels, 0.02, seed)
    where = np.zeros(truth.shape, dtype=bool)
    where[part.scored] = True
    start = time.perf_counter()
    model = make([(hidden.crop(*part.training), labels)], seed)
    taken = time.perf_counter() - start
    start = time.perf_counter()
    plain = model.predict(hidden)
    predicted = time.perf_counter() - start
    results = {"pixel": plain, "vote": plain.grain_vote(hidden)}
    if isinstance(model, Segmenter):
        results["turns"] = model.predict(hidden, turns=8, grain_vote=True)
    return {
        "seconds": round(taken, 2), "prediction_seconds": round(predicted, 2),
        **{k: evaluate(r.labels, truth, where=where).accuracy for k, r in results.items()},
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("map", type=Path)
    parser.add_argument("output", type=Path, help="folder of the results; what is there is kept")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--inner", action="store_true", help="score inside the training columns")
    parser.add_argument("--only", nargs="*", help="names of methods")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.output.mkdir(parents=True, exist_ok=True)
    scan = ebsdml.read(args.map)
    truth = scan.phase_id.astype(np.uint8)
    hidden = hide_phases(scan)
    if args.inner:
        # Nothing of the scored columns is even looked at.
        hidden, truth = hidden.crop(columns=slice(0, 39)), truth[:, :39]
    print("| labels | method | pixel | vote | 8 turns, vote | each seed, vote | s |")
    print("|---|---|---|---|---|---|---|")
    for kind in ("dense", "2 %"):
        for name, make in methods(args.inner).items():
            if args.only and name not in args.only:
                continue
            found = []
            for seed in range(args.seeds):
                for part in INNER if args.inner else TABLE:
                    text = f"{kind}-{name}-{part.name}-{seed}"
                    file = args.output / (re.sub(r"[^A-Za-z0-9]+", "-", text) + ".json")
                    if not file.exists():
                        file.write_text(
                            json.dumps(score(make, hidden, truth, part, kind, seed), indent=1)
                        )
                    found.append(json.loads(file.read_text()))

            def mean(key: str, found: list[dict[str, Any]] = found) -> str:
                there = [f[key] for f in found if key in f]
                return f"{100 * np.mean(there):.1f}" if there else ""

            each = ", ".join(f"{100 * f['vote']:.1f}" for f in found)
            seconds = np.mean([f["seconds"] for f in found])
            columns = (kind, name, mean("pixel"), mean("vote"), mean("turns"), each)
            print("|", " | ".join(columns), f"| {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
