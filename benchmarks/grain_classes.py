"""Classes of grains from a few clicks: ferrite and martensite of the synthetic steel, duplex steel.

    python benchmarks/grain_classes.py [--seeds 10] [--duplex duplex_steel_left.ang]

For each seed, grains of at least 20 pixels are clicked at random (so many of each class); scored
are the other grains, by area. The steel is also scored on another map than that of the clicks. Its
grains whose pixels are of both classes (less than 90 % of one) are left out. Duplex: the phase is
hidden, clicks in columns 0 to 38, scored on grains that lie to the right of them entirely.
Rivals: the best threshold on grain-mean BC (IQ), as the clicks have it, and the larger class.
Nothing was chosen while looking.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
from orix.crystal_map import PhaseList

import napari_ebsdml as ebsdml
from napari_ebsdml.grains import GrainClassifier, grain_features
from napari_ebsdml.scan import Scan

Case = tuple[Scan, np.ndarray, np.ndarray]


def steel(fraction: float, seed: int) -> Case:
    """Map, grains, true class of each grain; 0 where it is mixed."""
    scan, truth, *_ = ebsdml.samples.dual_phase_steel((300, 400), fraction, seed=seed)
    return scan, *true_classes(scan, truth.astype(int))


def true_classes(scan: Scan, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    grains = ebsdml.segment_grains(scan, 3.0, min_pixels=4)
    n = int(grains.max()) + 1
    pixels = np.maximum(np.bincount(grains.ravel(), minlength=n), 1)
    second = np.bincount(grains.ravel(), truth.ravel() == 2, n) / pixels
    true = np.where(second > 0.9, 2, np.where(second < 0.1, 1, 0))
    true[0] = 0
    return grains, true


def duplex(path: Path) -> tuple[Case, np.ndarray]:
    """Duplex steel with its phase hidden, and which grains may be clicked."""
    scan = ebsdml.read(path)
    numbers = [i for i in scan.phases.ids if i >= 0]
    truth = np.where(scan.phase_id == numbers[0], 1, np.where(scan.phase_id >= 0, 2, 0))
    one = PhaseList(ids=[0], phases=[scan.phases[numbers[0]]])
    hidden = dataclasses.replace(
        scan, phases=one, phase_id=np.where(scan.phase_id >= 0, 0, -1).astype(np.int32)
    )
    grains, true = true_classes(hidden, truth)
    first = np.full(len(true), 10**9)
    last = np.full(len(true), -1)
    columns = np.broadcast_to(np.arange(grains.shape[1]), grains.shape)
    np.minimum.at(first, grains.ravel(), columns.ravel())
    np.maximum.at(last, grains.ravel(), columns.ravel())
    return (hidden, grains, true), np.where(last <= 38, 1, np.where(first > 38, 2, 0))


def share(case: Case, of_grain: np.ndarray, judged: np.ndarray) -> float:
    """Part of the area of judged grains that is right."""
    _, grains, true = case
    weight = np.bincount(grains.ravel(), minlength=len(true)) * judged * (true > 0)
    return float((weight * (of_grain == true)).sum() / max(weight.sum(), 1))


def threshold(case: Case, clicks: dict[int, int], other: Case) -> np.ndarray:
    """Classes of the other map's grains by the best threshold on the mean quality of the clicks."""
    measured = [grain_features(c[0], c[1]) for c in (case, other)]
    name = "BC" if "BC" in measured[0].names else "IQ"
    column = measured[0].names.index(name)
    x = np.array([measured[0].values[k, column] for k in clicks])
    y = np.array(list(clicks.values()))
    order = np.sort(x)
    best = max(
        (float(np.mean(np.where(x > t, a, 3 - a) == y)), t, a)
         for t in (order[1:] + order[:-1]) / 2 for a in (1, 2)
    )  # fmt: skip
    values = np.nan_to_num(measured[1].values[:, column])
    return np.where(values > best[1], best[2], 3 - best[2])


def row(title: str, case: Case, others: list[tuple[str, Case]], seeds: int, each: int,
        allowed: np.ndarray | None = None) -> None:  # fmt: skip
    """Lines of the table for one map and number of clicks."""
    scan, grains, true = case
    pixels = np.bincount(grains.ravel(), minlength=len(true))
    can = (pixels >= 20) & (allowed == 1 if allowed is not None else True)
    found: dict[tuple[str, str], list[float]] = {}
    told: dict[tuple[str, str], list[float]] = {}
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        clicks = {}
        for number in (1, 2):
            at = np.flatnonzero(can & (true == number))
            clicks |= {int(k): number for k in rng.choice(at, min(each, len(at)), replace=False)}
        for name, other in others:
            same = other is case
            judged = np.ones(len(other[2]), bool)
            if same:
                judged[list(clicks)] = False
                if allowed is not None:
                    judged &= allowed == 2
            weight = np.bincount(other[1].ravel(), minlength=len(judged)) * judged
            weight = weight * (other[2] > 0)
            for method in ("lda", "forest"):
                model = GrainClassifier.train([(scan, grains, clicks)], method=method)
                made = model.predict(other[0], other[1])
                found.setdefault((name, method), []).append(share(other, made.of_grain, judged))
                sure = np.nan_to_num(made.probability.max(axis=1))
                told.setdefault((name, method), []).append(
                    float((weight * sure).sum() / weight.sum())
                )
            by = threshold(case, clicks, other)
            found.setdefault((name, "threshold"), []).append(share(other, by, judged))
            largest = max((1, 2), key=lambda k: (weight * (other[2] == k)).sum())
            found.setdefault((name, "larger class"), []).append(
                share(other, np.full(len(judged), largest), judged)
            )
    for (name, method), values in found.items():
        mean = 100 * np.mean(values)
        more = ""
        if (name, method) in told:
            more = f"{100 * np.mean(told[name, method]) - mean:+.1f}"
        print(f"| {title} | {each} | {name} | {method} | {mean:.1f} | {100 * min(values):.1f} "
              f"| {more} |", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--duplex", type=Path)
    chosen = parser.parse_args()
    print("| map | clicks a class | scored on | method | right % | worst seed % | told - true |")
    print("|---|---|---|---|---|---|---|")
    for each in (5, 10):
        if chosen.duplex is None:
            case = steel(0.58, 11)
            others = [("same map", case), ("another map", steel(0.58, 12))]
            row("steel", case, others, chosen.seeds, each)
        else:
            case, allowed = duplex(chosen.duplex)
            row("duplex", case, [("fresh grains", case)], chosen.seeds, each, allowed)


if __name__ == "__main__":
    main()
