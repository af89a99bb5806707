"""Ready models: no stroke and some strokes a class, against the simplest rivals.

    python benchmarks/ready_models.py --families recrystallised martensite twins [--maps 30]
    python benchmarks/ready_models.py --families recrystallised martensite twins --single 30
    python benchmarks/ready_models.py --real FOLDER [--picture FOLDER]

Synthetic: maps of random physics (`samples.random_map`, seeds from 60100, which neither trained
nor judged the models, nor were looked at before). Told as foreign: part of them that are said to be
unlike the training maps, a false alarm. Rivals: the rule of thumb (GOS below 2 degrees is
recrystallised; grain-mean quality above Otsu's threshold is ferrite; a grain with twin boundary
that is narrower than its partner is a twin), GOS with the threshold that is best on the training
stream, and linear discriminants trained on the same strokes. A stroke is a disc of radius 2.
All classes are scored, and the first class against the rest, which is what rules tell. Nothing was
chosen on these seeds: how strokes are weighed was on seeds 20000-20005 and 20100-20123, the
channels of the martensite model on 20200-20229. "Recall" counts the pixels of all maps together;
"not there" is the part of a map, in the mean, that gets a class which the map has not. `--single`
makes so many maps of each class alone (seeds from 64000) and looks at what is invented on them.
Real: FOLDER holds maps/, public/ and patterns/ with the files of `REAL`; what makes a map foreign
was chosen looking at them.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml.samples import FAMILIES, random_map
from napari_ebsdml.segmentation import compute_channels
from napari_ebsdml.segmentation.results.evaluation import confusion_matrix

FIRST, FIRST_SINGLE = 60_100, 64_000
LEAST = 0.03
GOS_CHOSEN = 1.0
"""Degrees: of the thresholds 0.8 to 3 the best on 80 maps of the training stream (89.6 %)."""


def strokes(truth: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Discs of radius 2 in each class that occurs."""
    rng = np.random.default_rng(seed)
    out = np.zeros(truth.shape, np.uint8)
    y, x = np.indices(truth.shape)
    for c in np.unique(truth):
        for i, j in rng.permutation(np.argwhere(truth == c))[:number]:
            out[((y - i) ** 2 + (x - j) ** 2 <= 4) & (truth == c)] = c
    return out


def otsu(values: np.ndarray) -> float:
    from skimage.filters import threshold_otsu

    return float(threshold_otsu(values[np.isfinite(values)]))


def rival(family: str, scan: ebsdml.Scan, chosen: bool = False) -> np.ndarray | None:
    """Labels 1 and 2 by a rule of thumb; None where it has nothing to go by."""
    if family == "recrystallised":
        gos = compute_channels(scan, ("GOS",)).values[0]
        return np.where(gos < (GOS_CHOSEN if chosen else 2.0), 1, 2)
    if family == "martensite":
        stack = compute_channels(scan, ("Quality@grain",)).values
        if not stack[2].any():
            return None
        return np.where(stack[0] > otsu(stack[0]), 1, 2)
    part, width = compute_channels(scan, ("Relations", "TwinPartner")).values[[1, 5]]
    return np.where((part > 0.2) & (width < 0), 2, 1)


def two(labels: np.ndarray) -> np.ndarray:
    """The first class against the others."""
    return np.where(labels == 1, 1, 2)


def percent(values: np.ndarray) -> str:
    if not len(values) or np.isnan(values).any():
        return "-"
    return f"{100 * values.mean():.1f} ({100 * values.min():.1f})"


def scored(labels: np.ndarray, truth: np.ndarray, classes: int, told: float) -> list[float]:
    """Right, right of the first class against the rest, fraction off, told less true."""
    both = float((two(labels) == two(truth)).mean())
    if labels.max() < classes and classes > 2 and np.isnan(told):
        return [np.nan, both, np.nan, np.nan]
    right = float((labels == truth).mean())
    each = [(labels == c).mean() - (truth == c).mean() for c in range(1, classes + 1)]
    return [right, both, float(np.abs(each).max()), told - right]


def synthetic(
    family: str, maps: int, shape: tuple[int, int], painted_on: int, numbers: list[int]
) -> None:
    model = ebsdml.Segmenter.ready(family)
    rows: dict[str, list[list[float]]] = {}
    tables: dict[str, list[np.ndarray]] = {}
    foreign: list[bool] = []
    doubted: dict[bool, list[bool]] = {False: [], True: []}
    spent, classes = [], len(FAMILIES[family])
    for n in range(maps):
        scan, truth = random_map(family, FIRST + n, shape)
        found: dict[str, Any] = {}
        began = time.process_time()
        found["ready, no stroke"] = model.predict(scan, warn=False)
        spent.append((time.process_time() - began) / scan.phase_id.size * 1e6)
        foreign.append(found["ready, no stroke"].foreign)
        for one in found["ready, no stroke"].fractions():
            part = (truth == one.value).mean()
            if not foreign[-1] and one.fraction >= LEAST and (part >= LEAST or part == 0):
                doubted[bool(part)].append(one.may_be_none)
        found["ready, no stroke, vote"] = found["ready, no stroke"].grain_vote(scan)
        is_painted = len(np.unique(truth)) > 1 and n < painted_on
        if is_painted:
            found["ready, no stroke, the maps with strokes"] = found["ready, no stroke"]
        for number in numbers if is_painted else ():
            items = [(scan, strokes(truth, number, n))]
            own = f"ready, {number} strokes a class"
            found[own] = model.train_more(items).predict(scan, warn=False)
            for name, channels in (("default", None), ("the model's", model.channels[:-1])):
                alone = ebsdml.Segmenter.train(items, channels, epochs=0)
                title = f"discriminant, {number} strokes, {name} channels"
                found[title] = alone.predict(scan, warn=False)
        for name, result in found.items():
            told = float(1 - result.uncertainty.mean())
            rows.setdefault(name, []).append(scored(result.labels, truth, classes, told))
            tables.setdefault(name, []).append(
                confusion_matrix(truth.ravel() - 1, result.labels.ravel() - 1, classes)
            )
        ruled = {"rule of thumb": rival(family, scan)}
        if family == "recrystallised":
            ruled["GOS below the stream's best"] = rival(family, scan, True)
        for name, labels in ruled.items():
            if labels is not None:
                rows.setdefault(name, []).append(scored(labels, truth, classes, np.nan))
    print(
        f"\n{family}: {maps} maps of {shape[0]} x {shape[1]}, seeds from {FIRST}; per cent, mean "
        f"(worst map); {np.mean(spent):.1f} CPU s for a million pixels; told as foreign: "
        f"{sum(foreign)} of {len(foreign)}\n\n"
        "| method | maps | right | first class against the rest | fraction off | told - true "
        f"| recall of {', '.join(FAMILIES[family])} | not there |\n|---|---|---|---|---|---|---|"
        "---|"
    )
    for name, each in rows.items():
        a = np.array(each)
        off, gap = ("-" if np.isnan(a[0, k]) else f"{100 * a[:, k].mean():.1f}" for k in (2, 3))
        recall, absent = "-", "-"
        if name in tables:
            t = np.array(tables[name])
            every = t.sum(axis=0)
            recall = ", ".join(f"{v:.0f}" for v in 100 * np.diag(every) / every.sum(axis=1))
            wrong = [one.sum(axis=0)[one.sum(axis=1) == 0].sum() / one.sum() for one in t]
            absent = f"{100 * np.mean(wrong):.1f}"
        print(
            f"| {name} | {len(a)} | {percent(a[:, 0])} | {percent(a[:, 1])} | {off} | {gap} "
            f"| {recall} | {absent} |",
            flush=True,
        )
    right = np.array(rows["ready, no stroke"])[:, 0]
    print(f"right where told as foreign: {percent(right[np.array(foreign)])}, elsewhere "
          f"{percent(right[~np.array(foreign)])}\nof classes that got {100 * LEAST:.0f} % of a map "
          "that is not foreign, told that there may be none of it: "
          f"{sum(doubted[False])} of {len(doubted[False])} that are not there, "
          f"{sum(doubted[True])} of {len(doubted[True])} that hold as much")  # fmt: skip


def single(family: str, number: int, shape: tuple[int, int]) -> None:
    """What is invented on maps of one class alone."""
    model, names = ebsdml.Segmenter.ready(family), FAMILIES[family]
    print(f"\n{family}: {number} maps of each class alone, seeds from {FIRST_SINGLE}, "
          f"{shape[0]} x {shape[1]}; per cent of the map\n\n"
          "| all of it is | maps | invented, mean (worst) | told: mean chance of the others "
          "| interval of each other class holds 0 | told as foreign | the rest: invented |\n"
          "|---|---|---|---|---|---|---|")  # fmt: skip
    for only, name in enumerate(names, 1):
        if name == "twin":
            continue
        rows = []
        for seed in range(FIRST_SINGLE, FIRST_SINGLE + number):
            scan, _ = random_map(family, seed, shape, name)
            found = model.predict(scan, warn=False)
            invented = float((found.labels != only).mean())
            told = float(1 - found.probability[..., only - 1].mean())
            # A foreign map has no fractions: from 0 to 100 % holds everything.
            holds = all(f.low <= 0.0 for f in found.fractions() if f.value != only)
            rows.append((invented, told, holds, found.foreign))
        invented, told, holds, foreign = np.array(rows, dtype=float).T
        here = foreign == 0
        rest = f"{100 * invented[here].mean():.1f} ({100 * invented[here].max():.1f})"
        print(f"| {name} | {number} | {100 * invented.mean():.1f} "
              f"({100 * invented.max():.1f}) | {100 * told.mean():.1f} | {int(holds.sum())} "
              f"| {int(foreign.sum())} | {rest if here.any() else '-'} |", flush=True)  # fmt: skip


REAL = (
    ("recrystallised", "maps/ni_recrystallised_orix.h5", "recrystallised nickel: recrystallised"),
    ("recrystallised", "maps/DC06_2uniax.ang", "DC06 after 2 % strain: not recrystallised"),
    ("recrystallised", "maps/ni_superalloy.cpr", "nickel superalloy"),
    ("recrystallised", "maps/mg_twins.ctf", "twinned magnesium"),
    ("recrystallised", "maps/cu_hexgrid.ang", "copper, hexagonal grid"),
    ("recrystallised", "maps/edax_ni.h5", "nickel (EDAX)"),
    ("martensite", "maps/DC06_2uniax.ang", "DC06: ferrite"),
    ("recrystallised", "maps/duplex_steel_left.ang", "super duplex steel, both phases"),
    ("martensite", "maps/iron_serial_sections/S00.ANG", "bcc iron, section 0"),
    ("martensite", "maps/iron_serial_sections/S05.ANG", "bcc iron, section 5"),
    ("martensite", "maps/iron_serial_sections/S10.ANG", "bcc iron, section 10"),
    ("martensite", "maps/iron_serial_sections/S15.ANG", "bcc iron, section 15"),
    ("martensite", "patterns/dual_phase_steel.ang", "ferrite and martensite"),
    ("martensite", "public/pyebsd_ADI_bcc_fcc_cropped.ang", "ausferritic iron, its ferrite"),
    ("twins", "maps/mg_twins.ctf", "twinned magnesium"),
    ("twins", "maps/ni_superalloy.cpr", "nickel superalloy"),
    ("twins", "maps/cu_hexgrid.ang", "copper, hexagonal grid"),
    ("twins", "maps/DC06_2uniax.ang", "DC06: no twins"),
)  # fmt: skip


def real(folder: Path, pictures: Path | None) -> None:
    """Fractions of each class on measured maps, and those of the rule of thumb."""
    print(
        "| model | map | like the training maps | classes, % of the indexed pixels, vote | mean "
        "chance | rule of thumb: first class | agree |\n|---|---|---|---|---|---|---|"
    )
    for family, name, what in REAL:
        path = folder / name
        if not path.is_file():
            continue
        scan = ebsdml.read(path)
        if "ADI" in name:
            fcc = [n for n, p in scan.phases if p.name == "Iron (Gamma)"]
            scan = scan.without(np.isin(scan.phase_id, fcc))
        model = ebsdml.Segmenter.ready(family)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = model.predict(scan, grain_vote=True)
        at = scan.is_indexed
        parts = [(found.labels[at] == v).mean() for v in found.classes.values]
        text = ", ".join(f"{n} {100 * p:.1f}" for n, p in zip(found.classes.names, parts,
                                                             strict=True))  # fmt: skip
        other = rival(family, scan)
        first, agree = "-", "-"
        if other is not None:
            first = f"{100 * (other[at] == 1).mean():.1f}"
            agree = f"{100 * (two(other)[at] == two(found.labels)[at]).mean():.1f}"
        sure = 1 - np.nanmean(found.uncertainty[at])
        print(
            f"| {family} | {what} | {'**no**' if found.foreign else 'yes'} | {text} "
            f"| {100 * sure:.0f} % | {first} | {agree} |",
            flush=True,
        )
        if pictures is not None:
            draw(scan, found, other, pictures / f"{family}-{path.stem}.png")


def draw(scan, found, other, path: Path) -> None:  # type: ignore[no-untyped-def]
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 4), layout="constrained")
    axes = figure.subplots(1, 4)
    axes[0].imshow(np.nan_to_num(ebsdml.ipf_colors(scan)))
    axes[1].imshow(ebsdml.kam(scan), vmin=0, vmax=2)
    axes[2].imshow(found.labels, vmin=0, vmax=4, cmap="tab10", interpolation="nearest")
    axes[2].set_title(", ".join(found.classes.names), fontsize=8)
    if other is not None:
        axes[3].imshow(other, vmin=0, vmax=4, cmap="tab10", interpolation="nearest")
    for one in axes:
        one.set_axis_off()
    figure.savefig(path, dpi=60)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--families", nargs="*", default=[])
    parser.add_argument("--maps", type=int, default=30)
    parser.add_argument("--painted", type=int, default=12, help="maps with strokes, of these")
    parser.add_argument("--strokes", type=int, nargs="*", default=[5], help="of each class")
    parser.add_argument("--shape", type=int, nargs=2, default=(140, 170))
    parser.add_argument("--single", type=int, default=0, help="maps of each class alone")
    parser.add_argument("--real", type=Path)
    parser.add_argument("--picture", type=Path)
    given = parser.parse_args()
    for family in given.families:
        if given.single:
            single(family, given.single, tuple(given.shape))
            continue
        synthetic(family, given.maps, tuple(given.shape), given.painted, given.strokes)
    if given.real is not None:
        real(given.real, given.picture)


if __name__ == "__main__":
    main()
