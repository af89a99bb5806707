"""From strokes on one synthetic map to all other maps: accuracy, time and memory.

Ten strokes a class, as a person paints them, on one map of dual-phase steel; every method
learns from the same strokes; maps of other seeds and steels are scored.

    python benchmarks/segmentation_strokes.py [--shape 428 570] [--forest]
"""

from __future__ import annotations

import argparse
import resource
import threading
import time
from pathlib import Path

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

    @staticmethod
    def _now() -> float:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * resource.getpagesize() / 1e6

    def _watch(self) -> None:
        while self.go:
            self.peak = max(self.peak, self._now())
            time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
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
    args = parser.parse_args()
    torch.set_num_threads(2)
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
            model = Segmenter.train([(sample.scan, labels)], chosen, epochs=10, n_threads=2)
            result = model.predict(sample.scan)
            more = correct(sample.truth, result.labels, number, part * number)
            print(f"  {evaluate(result.labels, sample.truth).accuracy:.2%} before correction")
            labels = np.where(labels > 0, labels, more)
        painted = (labels > 0).mean()
        print(f"map {shape}, seed {seed}: {painted:.2%} of pixels painted")
        channels = args.channels.split(",") if args.channels else default_channels(sample.scan)
        methods = {"U-Net " + ",".join(channels): None}
        if args.forest:
            methods["forest BS,KAM"] = lambda i: ForestSegmenter.train(i, ("BS", "KAM"))
            methods["forest, same channels"] = lambda i, c=channels: ForestSegmenter.train(i, c)
            methods["grain threshold BS"] = lambda i: GrainThresholdSegmenter.train(i, ("BS",))
        for name, make in methods.items():
            with Memory() as training:
                if make is None:
                    steps = Segmenter.training(
                        [(sample.scan, labels)], channels, preview=sample.scan,
                        epochs=args.epochs, n_threads=2,
                    )  # fmt: skip
                    for e in steps:
                        if e.preview is not None:
                            right = evaluate(e.preview.labels, sample.truth).accuracy
                            print(f"  preview after {e.seconds:5.1f} s: {right:.2%}", flush=True)
                    model = steps.segmenter
                    print("  held out:", {k: v for k, v in model.metrics.items()
                                          if k not in ("recall", "iou")})  # fmt: skip
                else:
                    model = make([(sample.scan, labels)])
            print(f"{name}: trained in {training.seconds:.1f} s, {training.used:.0f} MB")
            for test, other in {"same map": sample, **tests}.items():
                with Memory() as prediction:
                    result = model.predict(other.scan)
                voted = result.grain_vote(other.scan)
                a, b = (evaluate(r.labels, other.truth) for r in (result, voted))
                first = result.fractions()[1]
                true = float((other.truth == 2).mean())
                print(
                    f"  {test:14} {a.accuracy:.2%}, vote {b.accuracy:.2%}, martensite "
                    f"{first.fraction:.3f} [{first.low:.3f}, {first.high:.3f}] true {true:.3f}, "
                    f"{prediction.seconds:.1f} s, {prediction.used:.0f} MB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
