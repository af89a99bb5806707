"""How far bainite and martensite can be told apart at all on synthetic maps.

    python benchmarks/bainite_bound.py [--maps 50] [--train 60]

Synthetic maps of random physics (seeds from 61000) of which 3 % and more are bainite, and as much
martensite; only pixels of these two count, both classes alike. AUC: how often a pixel of bainite
ranks above one of martensite of the same map. "Balanced": mean part of the two that is right, by
one threshold for all maps, and by the best of each map, which only the truth knows. The ready
model, without a stroke; a linear discriminant trained on `--train` other maps (seeds from 62000);
one trained on half of the truth of the very map, every other square of 30 pixels, and judged on
the rest, which is about what any number of strokes can gain; and what perfect parent grains would
know of each pixel.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from scipy.stats import rankdata

from napari_ebsdml import Scan
from napari_ebsdml.samples import dual_phase_steel, random_map
from napari_ebsdml.segmentation import Segmenter, compute_channels
from napari_ebsdml.segmentation.models.linear import Discriminant

SHAPE, SQUARE, LEAST = (120, 150), 30, 0.03
MARTENSITE, BAINITE = 2, 3


def maps(first: int, number: int) -> Iterator[tuple[int, Scan, np.ndarray]]:
    """Those of so many seeds that hold both."""
    for seed in range(first, first + number):
        scan, truth = random_map("martensite", seed, SHAPE)
        if min((truth == c).mean() for c in (MARTENSITE, BAINITE)) >= LEAST:
            yield seed, scan, truth


def auc(score: np.ndarray, is_bainite: np.ndarray) -> float:
    ranks, n = rankdata(score), int(is_bainite.sum())
    return float((ranks[is_bainite].sum() - n * (n + 1) / 2) / (n * (len(score) - n)))


def balanced(score: np.ndarray, is_bainite: np.ndarray, threshold: float) -> float:
    found = score > threshold
    return float((found[is_bainite].mean() + 1 - found[~is_bainite].mean()) / 2)


def figures(score: np.ndarray, is_bainite: np.ndarray, threshold: float = 0.0) -> tuple[float, ...]:
    ends = np.quantile(score, np.linspace(0.01, 0.99, 99))
    best = max(balanced(score, is_bainite, t) for t in ends)
    return auc(score, is_bainite), balanced(score, is_bainite, threshold), best


def fitted(x: np.ndarray, is_bainite: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Score of a discriminant, both classes as likely."""
    found = Discriminant.fit(x, is_bainite.astype(np.int64), 2, balance=1.0)
    return lambda values: np.subtract(*found.at(values).T[::-1])


def parents(scan: Scan, truth: np.ndarray) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What the parent grains of such a map, without an error, tell of each pixel; and the truth."""
    header = scan.source.header
    part = float((truth == BAINITE).mean())
    made = dual_phase_steel(
        SHAPE, header["martensite_fraction"], header["seed"], scan.step[0], bainite_fraction=part,
        austenite_grain_size=header["austenite_grain_size"],
        widmanstaetten_share=header["widmanstaetten_share"],
    )  # fmt: skip
    of = np.zeros((int(made.packet.max()) + 1, 25))
    np.add.at(of, (made.packet.ravel(), made.variant.ravel()), 1)
    size = np.bincount(made.block.ravel())
    there = made.truth >= MARTENSITE
    is_bainite = (made.truth == BAINITE)[there]
    share = of.max(axis=1) / np.maximum(of.sum(axis=1), 1)
    return {
        "share of the packet's most frequent variant": (share[made.packet[there]], is_bainite),
        "size of the block": (size[made.block[there]], is_bainite),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", type=int, default=50, help="seeds to look at")
    parser.add_argument("--train", type=int, default=60, help="seeds to train the discriminant on")
    args = parser.parse_args()
    model = Segmenter.ready("martensite")

    def planes(scan: Scan) -> np.ndarray:
        return np.moveaxis(model.normaliser(compute_channels(scan, model.channels)), 0, -1)

    learned_from = [(planes(s), t) for _, s, t in maps(62_000, args.train)]
    other = fitted(
        np.concatenate([x[t >= MARTENSITE] for x, t in learned_from]),
        np.concatenate([(t == BAINITE)[t >= MARTENSITE] for _, t in learned_from]),
    )
    found: dict[str, list[tuple[float, ...]]] = {}
    for _, scan, truth in maps(61_000, args.maps):
        x, there, is_bainite = planes(scan), truth >= MARTENSITE, truth == BAINITE
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            chance = np.maximum(model.predict(scan, warn=False).probability, 1e-9)
        score = np.log(chance[..., 2] / chance[..., 1])
        found.setdefault("ready model", []).append(figures(score[there], is_bainite[there]))
        name = f"discriminant of {len(learned_from)} other maps"
        found.setdefault(name, []).append(figures(other(x[there]), is_bainite[there]))
        i, j = (np.arange(n) // SQUARE for n in SHAPE)
        half = (i[:, None] + j) % 2 == 0
        both = []
        for learned in (half, ~half):
            a, b = there & learned, there & ~learned
            if min(is_bainite[a].sum(), (~is_bainite[a]).sum(), is_bainite[b].sum(),
                   (~is_bainite[b]).sum()) >= 50:  # fmt: skip
                both.append(figures(fitted(x[a], is_bainite[a])(x[b]), is_bainite[b]))
        if both:
            found.setdefault("discriminant of half of this map", []).append(
                tuple(np.mean(both, axis=0))
            )
        for name, (value, true) in parents(scan, truth).items():
            found.setdefault(f"(parents) {name}", []).append(figures(value, true))
    print("| bainite against martensite | maps | AUC (worst map) | balanced, % | best threshold |")
    print("|---|---|---|---|---|")
    for name, values in found.items():
        area, one, best = np.mean(values, axis=0)
        least = min(v[0] for v in values)
        same = "-" if name.startswith("(") else f"{100 * one:.1f}"
        print(f"| {name} | {len(values)} | {area:.3f} ({least:.3f}) | {same} | {100 * best:.1f} |")


if __name__ == "__main__":
    main()
