"""Deformed and undeformed parts of the same grains: maps of an indent, from a few strokes.

    python benchmarks/indent_maps.py [--maps 6] [--strokes 5] [--seeds 5] [--networks 1]

A recrystallised polycrystal (`samples.partly_recrystallised`) with an indent in its middle: strain
falls off as a Gaussian of two to four lobes, across grains; where it is above 1 % the truth is
"deformed". The lattice turns round the indent by some degrees, in and beyond that zone, scatters as
the root of the strain, and pattern quality falls as that root. Grain size, noise, contrast, strain
and sizes are drawn for each map. No measured map of an indent with a truth was at hand; the two
parts of one grain that no grain mean can tell are what this is about. Discs of radius 2 are
painted, as many in each class. Scored: what was not painted, and another map of the same material.
Rivals: the threshold on KAM that is best on the strokes, the same after a Gaussian of 9 pixels, a
threshold on grain means, a forest. "Grains cut": only grains that hold at least a fifth of either
class. The ready model (recrystallised, recovered, deformed) is scored as deformed against the rest;
that was settled after its answers on these maps had been seen. Nothing else was chosen on these
seeds (from 700).
"""

from __future__ import annotations

import argparse
import time
from typing import Any, NamedTuple

import numpy as np
import torch

import napari_ebsdml as ebsdml
from napari_ebsdml._quaternions import multiply
from napari_ebsdml.samples import Instrument, partly_recrystallised
from napari_ebsdml.samples._fields import smooth_field
from napari_ebsdml.samples._instrument import crystal_quality, observe
from napari_ebsdml.samples._rotations import from_rotation_vector
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation import (
    ForestSegmenter,
    GrainThresholdSegmenter,
    Segmenter,
    compute_channels,
    default_channels,
)
from ready_models import strokes

FIRST, LIMIT, STEP = 700, 0.01, 0.2
AROUND = ("BC", "KAM", "BC@near", "KAM@near", "BC@far", "KAM@far")


class Material(NamedTuple):
    """What maps of one specimen have in common."""

    instrument: Instrument
    grain_size: float
    most: float
    turn: float
    scatter: float
    length: float
    loss: float


def material(seed: int) -> Material:
    """One of the many."""
    rng = np.random.default_rng([seed, 17])
    seen = Instrument.random(rng)._replace(name="BC", gain=200.0, offset=0.0, power=1.0)
    return Material(
        seen, rng.uniform(6, 20), rng.uniform(0.05, 0.2), rng.uniform(3, 10), rng.uniform(2, 6),
        rng.uniform(0.3, 1.0), rng.uniform(0.05, 0.35),
    )  # fmt: skip


def indented(of: Material, shape: tuple[int, int], seed: int) -> tuple[Scan, np.ndarray]:
    """A map with an indent, and the truth: 1 undeformed, 2 deformed."""
    rng = np.random.default_rng([seed, 18])
    plain = partly_recrystallised(
        shape, seed, STEP, recrystallised=1.0, recovered=0.0, crystal="bcc",
        grain_size=of.grain_size, instrument=of.instrument,
    )  # fmt: skip
    y, x = np.indices(shape) - np.array(shape)[:, None, None] * rng.uniform(0.4, 0.6, (2, 1, 1))
    around = np.arctan2(y, x)
    lobes = 1 + 0.25 * np.cos(rng.integers(2, 5) * around + rng.uniform(0, 2 * np.pi))
    near = np.hypot(y, x) / (rng.uniform(0.2, 0.3) * min(shape) * lobes)
    strain = of.most * (of.most / LIMIT) ** -(near**2)
    slow = of.turn * 2.33 * near * np.exp(-(near**2))
    bend = slow[..., None] * np.stack([-np.sin(around), np.cos(around), 0 * around], axis=-1)
    fields = [smooth_field(rng, shape, STEP, of.length) for _ in range(3)]
    short = of.scatter * np.sqrt(strain)[..., None] * np.stack(fields, axis=-1)
    turned = multiply(from_rotation_vector(np.radians(bend + short)), plain.orientation)
    quality = 0.9 + crystal_quality(rng, of.instrument, int(plain.grain.max()) + 1)[plain.grain]
    quality = quality - of.loss * np.sqrt(strain / of.most)
    q, indexed, prop = observe(rng, of.instrument, plain.grain, turned, quality, STEP)
    scan = Scan(
        quaternions=q, phase_id=np.where(indexed, 0, -1).astype(np.int32),
        phases=plain.scan.phases, step=(STEP, STEP), prop=prop,
    )  # fmt: skip
    return scan, np.where(near < 1, 2, 1).astype(np.uint8)


def best_cut(values: np.ndarray, labels: np.ndarray) -> float:
    """Threshold above which most strokes of class 2 lie, both classes counting alike."""
    inside = values[labels > 0]
    both = [np.mean([np.mean(values[labels == 1] <= t), np.mean(values[labels == 2] > t)])
            for t in np.unique(inside)]  # fmt: skip
    return float(np.unique(inside)[int(np.argmax(both))])


class Cut:
    """A threshold on one plane."""

    def __init__(self, channel: str, scan: Scan, labels: np.ndarray) -> None:
        self.channel = channel
        self.at = best_cut(compute_channels(scan, (channel,)).values[0], labels)

    def labels(self, scan: Scan) -> np.ndarray:
        """2 above the threshold, 1 elsewhere."""
        return np.where(compute_channels(scan, (self.channel,)).values[0] > self.at, 2, 1)


def learn(name: str, scan: Scan, labels: np.ndarray, seed: int) -> Any:
    """Train one method."""
    items = [(scan, labels)]
    plain = default_channels(scan)
    if name == "threshold on KAM":
        return Cut("KAM", scan, labels)
    if name == "threshold on smoothed KAM":
        return Cut("KAM@far", scan, labels)
    if name == "threshold on grain-mean BC":
        return GrainThresholdSegmenter.train(items, ("BC",))
    if name == "forest, default channels":
        return ForestSegmenter.train(items, plain, seed=seed, n_jobs=1)
    channels = {"BC + KAM": ("BC", "KAM"), "default channels": plain, "around": AROUND}
    which = name.split(", ")[1]
    # "What is kept" is the default: held-out grains say whether the network answers.
    how: dict[str, Any] = {} if name.startswith("what is kept") else {"epochs": 0}
    if name.startswith("U-Net"):
        how = {"keep": "network"}
    return Segmenter.train(items, channels[which], seed=seed, **how)


CHEAP = (
    "threshold on KAM", "threshold on smoothed KAM", "threshold on grain-mean BC",
    "forest, default channels", "discriminant, BC + KAM", "discriminant, default channels",
    "discriminant, around",
)  # fmt: skip
NETWORKS = ("U-Net, default channels", "U-Net, around", "what is kept, around")


def cut_grains(scan: Scan, truth: np.ndarray) -> np.ndarray:
    """Pixels of grains that hold at least a fifth of either class."""
    grains = ebsdml.segment_grains(scan, 3.0)
    n = int(grains.max()) + 1
    pixels = np.maximum(np.bincount(grains.ravel(), minlength=n), 1)
    part = np.bincount(grains.ravel(), truth.ravel() == 2, n) / pixels
    return ((part >= 0.2) & (part <= 0.8) & (pixels >= 30))[grains] & (grains > 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--maps", type=int, default=6)
    parser.add_argument("--first", type=int, default=FIRST)
    parser.add_argument("--strokes", type=int, default=5, help="discs in each class")
    parser.add_argument("--seeds", type=int, default=5, help="sets of strokes on each map")
    parser.add_argument("--networks", type=int, default=1, help="sets that train U-Nets")
    parser.add_argument("--shape", type=int, nargs=2, default=(150, 180))
    args = parser.parse_args()
    torch.set_num_threads(1)
    ready = ebsdml.Segmenter.ready("recrystallised")
    rows: dict[str, list[list[float]]] = {}
    foreign: list[bool] = []
    for number in range(args.maps):
        of = material(args.first + number)
        shape = tuple(args.shape)
        painted, other = (indented(of, shape, 10 * (args.first + number) + k) for k in (0, 1))
        for seed in range(args.seeds):
            labels = strokes(painted[1], args.strokes, seed)
            names = (*CHEAP, *(NETWORKS if seed < args.networks else ()))
            for name in (*names, *(("ready model, no stroke",) if seed == 0 else ())):
                began = time.process_time()
                model = None
                if name != "ready model, no stroke":
                    model = learn(name, painted[0], labels, seed)
                spent = time.process_time() - began
                row = [spent]
                for (scan, truth), where in ((painted, labels == 0), (other, None)):
                    told = np.nan
                    if isinstance(model, Cut):
                        found = model.labels(scan)
                    else:
                        result = (model or ready).predict(scan, warn=False)
                        foreign += [result.foreign] if model is None else []
                        found = result.labels if model else np.where(result.labels == 3, 2, 1)
                        told = float(result.probability.max(-1).mean()) if model else np.nan
                    at = np.ones(truth.shape, bool) if where is None else where
                    hard = at & cut_grains(scan, truth)
                    right = found == truth
                    row += [right[at].mean(), right[hard].mean(), told - right[at].mean()]
                rows.setdefault(name, []).append(row)
    print(f"{args.maps} maps of {args.shape[0]} x {args.shape[1]}, seeds from {args.first}; "
          "per cent, mean (worst)\n\n| method | n | painted map | its grains that are cut | "
          "other map | its grains that are cut | told - true: painted, other | CPU s |\n"
          "|---|---|---|---|---|---|---|---|")  # fmt: skip
    for name, each in sorted(rows.items(), key=lambda row: row[0].startswith("ready")):
        a = 100 * np.array(each)
        cells = [f"{np.nanmean(a[:, k]):.1f} ({np.nanmin(a[:, k]):.1f})" for k in (1, 2, 4, 5)]
        gap = ", ".join("-" if np.isnan(a[0, k]) else f"{a[:, k].mean():+.1f}" for k in (3, 6))
        print(f"| {name} | {len(a)} | {' | '.join(cells)} | {gap} | {a[:, 0].mean() / 100:.1f} |")

    print(f"\nready model: {sum(foreign)} of {len(foreign)} maps told as unlike its training")


if __name__ == "__main__":
    main()
