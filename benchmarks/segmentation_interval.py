"""How often the interval of a phase fraction holds the truth, on synthetic maps.

    python benchmarks/segmentation_interval.py FOLDER [--maps 100] [--draws 50]

"One map": a discriminant learns ten strokes a class on a map of 150 x 200 of one of the three
steels and segments another one; the truth is the fraction in that map, so that the part of the
interval that speaks of sampling has nothing to do: the coverage is told with and without it.
"Four fields": windows of 150 x 200 of a map of 600 x 800 (four of its sixteen, drawn at random)
count as four maps; the truth is the fraction of the large map. Windows of one map are no endless
supply: the spread of their mean is 0.89 of that of four maps.
One map is one JSON file in the folder: what is there is not computed again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from napari_ebsdml.samples import VARIANTS, dual_phase_steel
from napari_ebsdml.segmentation import Segmenter
from napari_ebsdml.segmentation.results.interval import phase_fractions
from segmentation_strokes import paint

SHAPE = (150, 200)
FRACTIONS = tuple(VARIANTS.values())


def learn(number: int) -> Segmenter:
    """A model of one of the steels."""
    sample = dual_phase_steel(SHAPE, FRACTIONS[number % 3], seed=5000 + number)
    labels = paint(sample.truth, 10, 0.02, number)
    return Segmenter.train([(sample.scan, labels)], epochs=0)


def one_map(number: int) -> dict[str, float]:
    """Interval of one fresh map."""
    sample = dual_phase_steel(SHAPE, FRACTIONS[number % 3], seed=7000 + number)
    found = phase_fractions([learn(number).predict(sample.scan, warn=False)])[1]
    span = sorted((found.fraction, found.expected))
    return {
        "truth": float((sample.truth == 2).mean()), "fraction": found.fraction,
        "low": found.low, "high": found.high, "low_classifier": span[0] - found.classifier,
        "high_classifier": span[1] + found.classifier, "sampling": found.sampling,
        "classifier": found.classifier,
    }  # fmt: skip


def four_fields(number: int, draws: int) -> list[dict[str, float]]:
    """Intervals of draws of four fields of one large map."""
    large = dual_phase_steel((600, 800), FRACTIONS[number % 3], seed=9000 + number)
    model = learn(number)
    results = [
        model.predict(large.scan.crop(slice(i, i + 150), slice(j, j + 200)), warn=False)
        for i in range(0, 600, 150) for j in range(0, 800, 200)
    ]  # fmt: skip
    rng = np.random.default_rng(number)
    out = []
    for _ in range(draws):
        found = phase_fractions([results[n] for n in rng.choice(16, 4, replace=False)])[1]
        out.append({"truth": float((large.truth == 2).mean()), "fraction": found.fraction,
                    "low": found.low, "high": found.high})  # fmt: skip
    return out


def show(folder: Path) -> None:
    """Table in Markdown."""
    print("| interval | n | holds the truth | mean half width | mean error, points |")
    print("|---|---|---|---|---|")
    ones = [json.loads(f.read_text()) for f in sorted(folder.glob("map-*.json"))]
    fields = [r for f in sorted(folder.glob("fields-*.json")) for r in json.loads(f.read_text())]
    for name, rows, tail in (
        ("one map, whole", ones, ""), ("one map, classifier only", ones, "_classifier"),
        ("four fields", fields, ""),
    ):  # fmt: skip
        if not rows:
            continue
        low, high = (np.array([r[key + tail] for r in rows]) for key in ("low", "high"))
        truth = np.array([r["truth"] for r in rows])
        error = np.abs(np.array([r["fraction"] for r in rows]) - truth)
        holds = ((low <= truth) & (truth <= high)).mean()
        print(f"| {name} | {len(rows)} | {100 * holds:.0f} % | {50 * (high - low).mean():.1f} | "
              f"{100 * error.mean():.1f} |")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("output", type=Path)
    parser.add_argument("--maps", type=int, default=100)
    parser.add_argument("--draws", type=int, default=50)
    args = parser.parse_args()
    args.output.mkdir(parents=True, exist_ok=True)
    for number in range(args.maps):
        file = args.output / f"map-{number:03}.json"
        if not file.exists():
            file.write_text(json.dumps(one_map(number)))
    for number in range(args.draws // 5):
        file = args.output / f"fields-{number:03}.json"
        if not file.exists():
            file.write_text(json.dumps(four_fields(number, 5)))
    show(args.output)


if __name__ == "__main__":
    main()
