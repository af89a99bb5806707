"""Total density of structures that no training structure is made like, through the public call.

python benchmarks/total_density_foreign.py simulate WORK [--structures 12] [--seed 500]
python benchmarks/total_density_foreign.py scans WORK [--model FILE]
python benchmarks/total_density_foreign.py surface [--structures 10]
python benchmarks/total_density_foreign.py simulate BIG --size 128 [--structures 6] [--seed 510]
python benchmarks/total_density_foreign.py sides|strides|averaged BIG
python benchmarks/total_density_foreign.py simulate DENSE --size 128 --dense [--seed 590]
python benchmarks/total_density_foreign.py dense DENSE [--structures 3] [--seed 6000] [--model FILE]

Loops of three sizes, cell walls and a Voronoi network of links (`independent_structures.py`), fcc.
Networks of molecular dynamics: `total_density_atomistic.py`. `simulate` keeps sections;
`scans` makes maps of 32 x 32 pixels of them and asks `ebsdml.total_dislocation_density`. True is
the density of the map and two voxels above and below it, as for the windows of the training.
`surface` tells what a free surface does to the mean squared differences of rotations. `sides` asks
for parts of 16 to 128 pixels a side of free surfaces, in windows of 32 and of 64, told the noise;
`strides` for the whole of them by every pixel, every second and every third, as `total_density.py
maps` does with measured maps: there the truth is unknown, here it is not, and the noise is low
enough. A map's density is the same from each. `averaged` draws the noise so that
rho (b / sigma)^2 is 0.5 to 300, and compares what pixels tell with what means of squares do: the
side that the product chooses, and each by itself. `dense` is of 1 to 30 lines in a voxel, where a
pixel averages over several lines, and of as dense structures of each of the training's classes;
"once" is without the second reading of dense windows.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

import napari_ebsdml as ebsdml
from independent_structures import KINDS, field_of
from napari_ebsdml.dislocations.gnd.noise import RESOLUTION
from napari_ebsdml.dislocations.structures.generate import KINDS as CLASSES
from napari_ebsdml.dislocations.structures.generate import random_structure
from napari_ebsdml.dislocations.structures.measurement import Errors, add_errors
from napari_ebsdml.dislocations.structures.sections import section
from napari_ebsdml.dislocations.structures.simulated_scan import simulated_scan
from napari_ebsdml.dislocations.structures.slip import random_slip
from napari_ebsdml.dislocations.structures.store import sections_of
from napari_ebsdml.dislocations.structures.surface import surface_rotation
from total_density import Told, agreement, every, told

BURGERS = 3.524e-10 / np.sqrt(2)
SIZE, SIDE, STEP = 96, 32, 0.2
DENSITIES = {"loops, three sizes": (0.02, 6.0), "cell walls": (0.02, 6.0),
             "Voronoi network": (0.004, 0.3)}  # fmt: skip
CONDITIONS = ("sigma-hat 0.02 to 0.2", "sigma-hat 0.2 to 1", "0.2 um, 0.02 deg")


DENSE = {"loops, three sizes": (1.0, 30.0), "cell walls": (1.0, 30.0)}
"""Of `simulate --dense`; a network of that many links does not fit into the memory."""


def simulate(
    work: Path, number: int, seed: int, size: int, densities: dict[str, tuple[float, float]]
) -> None:
    """Keep three sections of each structure, inside the body and as free surfaces."""
    work.mkdir(parents=True, exist_ok=True)
    for kind in densities:
        make = KINDS[kind]
        for index in range(number):
            path = work / f"{_stem(kind)}-{seed}-{index:03d}.npz"
            if path.exists():
                continue
            random = np.random.default_rng([seed, zlib.crc32(kind.encode()), index])
            low, high = densities[kind]
            lines = make(random, float(np.exp(random.uniform(np.log(low), np.log(high)))), size)
            field = field_of(lines, strain=True)
            cuts = [section(field, a, 7 + 20 * a) for a in range(3)]
            free = [surface_rotation(field, a, 7 + 20 * a) for a in range(3)]
            np.savez(path, inside=[c.rotation for c in cuts], free=free,
                     layer=[c.density for c in cuts])  # fmt: skip
            print(path.stem, f"{lines.density:.3g}", flush=True)


Big = tuple[str, np.ndarray, np.ndarray, float, int]
"""Kind, rotations in radians, density in 1/m^2 at each pixel, noise in degrees, seed."""


def big_maps(work: Path) -> Iterator[Big]:
    """Free surfaces with noise of 0.02 to 0.2 b / step, one map of each section."""
    unit = BURGERS / (STEP * 1e-6)
    for path in sorted(work.glob("*.npz")):
        kind = next(k for k in KINDS if path.stem.startswith(_stem(k)))
        with np.load(path) as file:
            planes, layers = file["free"], file["layer"]
        for number, (plane, layer) in enumerate(zip(planes, layers, strict=True)):
            random = np.random.default_rng([zlib.crc32(path.stem.encode()), number, 1])
            sigma = float(np.degrees(unit * np.exp(random.uniform(np.log(0.02), np.log(0.2)))))
            density = layer.astype(np.float64) / (STEP * 1e-6) ** 2
            yield kind, plane * unit, density, sigma, int(random.integers(1 << 30))


def sides(work: Path) -> None:
    """Errors and coverage by the side of the map and of the windows."""
    rows: dict[tuple[int, int], list[list[float]]] = {}
    for _, turn, density, sigma, seed in big_maps(work):
        for side in (16, 32, 64, 128):
            if not density[:side, :side].any():
                continue  # no line crosses it
            scan = simulated_scan(turn[:side, :side], STEP, "fcc", sigma, seed)
            true = np.log10(density[:side, :side].mean())
            for window in (32, 64) if side > 32 else (32,):
                one, _ = told(scan, sigma, window=window, surface=True, average_over=1)
                clear = 10**true * (BURGERS / np.radians(sigma)) ** 2 > 100
                rows.setdefault((side, window), []).append(
                    [one.middle - true, one.low <= true <= one.high, one.high - one.low,
                     one.measurable, clear]
                )  # fmt: skip
    print("| side | window | n | RMS | bias | 90 % holds, % | width | told, % | RMS of those |")
    print("|---" * 9 + "|")
    for (side, window), each in sorted(rows.items()):
        a = np.array(each, dtype=float)
        a = a[(a[:, 4] > 0) & np.isfinite(a[:, 0])]
        sure = a[a[:, 3] > 0, 0]
        print(
            f"| {side} | {window} | {len(a)} | {rms(a[:, 0]):.2f} | {a[:, 0].mean():+.2f} | "
            f"{100 * a[:, 1].mean():.0f} | x{10 ** np.median(a[:, 2]):.1f} | "
            f"{100 * a[:, 3].mean():.0f} | {rms(sure):.2f} |"
        )


def strides(work: Path) -> None:
    """Whether every sub-sampling of a map says the same, and what is true."""
    head = "structures | n | told by every pixel, second, third, % | 90 % holds, % | RMS of told"
    print(f"| {head} | intervals meet, % | told within all, % (n) | apart, mean (half width) |")
    print("|---" * 8 + "|")
    found: dict[str, list[tuple[float, list[Told]]]] = {}
    for kind, turn, density, sigma, seed in big_maps(work):
        scan = simulated_scan(turn[:126, :126], STEP, "fcc", sigma, seed)
        true = np.log10(density[:126, :126].mean())
        each = [told(every(scan, n), sigma, surface=True)[0] for n in (1, 2, 3)]
        for name in (kind, "all"):
            found.setdefault(name, []).append((true, each))
    for name, maps in found.items():
        sure = [[one.measurable for one in each] for _, each in maps]
        held = [[one.low <= true <= one.high for one in each] for true, each in maps]
        away = [one.middle - true for true, each in maps for one in each if one.measurable]
        whole = [agreement(each) for _, each in maps]
        two = [one.within for one, told_by in zip(whole, sure, strict=True) if sum(told_by) > 1]
        shares = (", ".join(f"{100 * v:.0f}" for v in np.mean(a, axis=0)) for a in (sure, held))
        print(
            f"| {name} | {len(maps)} | {' | '.join(shares)} | {rms(np.array(away)):.2f} | "
            f"{100 * np.mean([one.meet for one in whole]):.0f} | "
            f"{100 * np.mean(two):.0f} ({len(two)}) | "
            f"{np.mean([one.apart for one in whole]):.2f} "
            f"({np.mean([one.half for one in whole if np.isfinite(one.half)]):.2f}) |"
        )


ERRORS = {
    "white": Errors(),
    "10 % not indexed": Errors(missing=0.1),
    "correlated 0.3": Errors(correlation=0.3),
    "cleaned 0.1": Errors(cleaned=0.1),
    "drift 0.15": Errors(drift=0.15),
}
"""What maps of `averaged` have beside the noise's size."""


def averaged(work: Path) -> None:
    """What pixels tell and what means of squares tell, by how clear the map is."""
    rows: dict[tuple[str, str, str], list[list[float]]] = {}
    unit = BURGERS / (STEP * 1e-6)
    for _, turn, density, _, seed in big_maps(work):
        random = np.random.default_rng(seed)
        lines = float(density[:126, :126].mean()) * (STEP * 1e-6) ** 2
        true = np.log10(lines / (STEP * 1e-6) ** 2)
        for what, errors in ERRORS.items():
            ratio = float(np.exp(random.uniform(np.log(0.5), np.log(300))))
            sigma = np.sqrt(lines / ratio)
            noisy = add_errors(turn[:126, :126] / unit, replace(errors, sigma=sigma), random)
            scan = simulated_scan(noisy * unit, STEP, "fcc", 0.0, seed)
            scan.phase_id[random.random(scan.shape) < errors.missing] = -1
            clear = next(name for end, name in RATIOS.items() if ratio < end)
            degrees = float(np.degrees(sigma * unit))
            # Files do not resolve less, and nobody measures it.
            for noise in (degrees, None) if degrees > 2 * RESOLUTION else (degrees,):
                gnd = ebsdml.gnd_density(scan, orientation_noise=noise).average()
                rival = gnd.density if gnd.density > 0 else gnd.raw_mean
                for side in (1, None, 2, 4):
                    one, _ = told(scan, noise, surface=True, average_over=side)
                    found = [
                        one.middle - true, one.low <= true <= one.high, one.high - one.low,
                        one.measurable, one.high - true, np.log10(rival) - true,
                    ]  # fmt: skip
                    way = "as chosen" if side is None else f"{side} x {side}"
                    source = "told" if noise else "measured"
                    for group in (clear, f"all, {what}"):
                        rows.setdefault((source, group, way), []).append(found)
    head = "noise | rho (b / sigma)^2 | read | n | told, % | RMS of told | bias | of these 90 %"
    print(f"| {head} holds, % | width of told | 90 % of all holds, % | end over true of bounds |"
          " GND x constant of the row |")  # fmt: skip
    print("|---" * 12 + "|")
    for (source, group, way), each in sorted(rows.items()):
        a = np.array(each, dtype=float)
        sure = a[:, 3] > 0
        print(
            f"| {source} | {group} | {way} | {len(a)} | {100 * sure.mean():.0f} | "
            f"{rms(a[sure, 0]):.2f} | {a[sure, 0].mean() if sure.any() else np.nan:+.2f} | "
            f"{100 * a[sure, 1].mean() if sure.any() else np.nan:.0f} | "
            f"x{10 ** np.median(a[sure, 2]) if sure.any() else np.nan:.1f} | "
            f"{100 * a[:, 1].mean():.0f} | "
            f"x{10 ** np.median(a[~sure, 4]) if not sure.all() else np.nan:.1f} | "
            f"{np.nanstd(a[:, 5]):.2f} |"
        )


def dense_maps(work: Path, structures: int, seed: int) -> Iterator[tuple[str, np.ndarray, float]]:
    """Kind, rotations in b / voxel and lines per voxel: of another make, and of each class."""
    for kind, turn, density, _, _ in big_maps(work):
        unit = STEP * 1e-6
        yield kind, turn[:126, :126] * unit / BURGERS, float(density[:126, :126].mean()) * unit**2
    place = np.arange(64)
    for number, kind in enumerate(CLASSES):
        for index in range(structures):
            random = np.random.default_rng([seed, number, index])
            lines = float(np.exp(random.uniform(0, np.log(20))))
            one = random_structure(random, 64, [kind], lines, "fcc", strain=True)
            free = sections_of(one, random).sections[1][0]
            turn = free.rotation + place[:, None, None] * free.slope[:, 1]
            turn = turn + place[None, :, None] * free.slope[:, 0]
            yield f"class {kind}", turn, float(free.density.mean())


def dense(work: Path, structures: int, seed: int, model: str) -> None:
    """Free surfaces of many lines in a voxel, the noise told, by every pixel and every second."""
    rows: dict[tuple[str, str, str], list[list[float]]] = {}
    unit = BURGERS / (STEP * 1e-6)
    for kind, turn, lines in dense_maps(work, structures, seed):
        random = np.random.default_rng([zlib.crc32(kind.encode()), round(1e6 * lines)])
        true = np.log10(lines / (STEP * 1e-6) ** 2)
        span = next(name for end, name in SPANS.items() if lines < end)
        for ratio in (30.0, 300.0):
            sigma = np.sqrt(lines / ratio)
            noisy = (turn + sigma * random.standard_normal(turn.shape)) * unit
            for stride in (1, 2):
                scan = simulated_scan(
                    noisy[::stride, ::stride], STEP * stride, "fcc", 0.0, int(lines)
                )
                degrees = float(np.degrees(sigma * unit))
                for way, side in (("pixels once", 1), ("pixels", 1), ("as chosen", None)):
                    with patch(READ_TWICE, as_read) if "once" in way else nullcontext():
                        one, _ = told(scan, degrees, model=model, surface=True, average_over=side)
                    found = [one.middle - true, one.low <= true <= one.high, one.measurable,
                             one.high - one.low]  # fmt: skip
                    step = f"step {stride}"
                    make = "all classes" if kind.startswith("class") else "of another make"
                    rows.setdefault((f"{make}, {step}", span, way), []).append(found)
                    if stride == 1 and lines > MANY_LINES:
                        rows.setdefault((f"{kind}, {step}", f"> {MANY_LINES:g}", way), []).append(
                            found
                        )
    print("| maps | lines in a voxel | read | n | told, % | RMS of told | bias | 90 % holds of "
          "told, % | of all, % | width of told |")  # fmt: skip
    print("|---" * 10 + "|")
    for (name, span, way), each in sorted(rows.items()):
        a = np.array(each, dtype=float)
        sure = a[:, 2] > 0
        mean, held, width = (
            (a[sure, 0].mean(), 100 * a[sure, 1].mean(), 10 ** np.median(a[sure, 3]))
            if sure.any()
            else (np.nan,) * 3
        )
        print(
            f"| {name} | {span} | {way} | {len(a)} | {100 * sure.mean():.0f} | "
            f"{rms(a[sure, 0]):.2f} | {mean:+.2f} | {held:.0f} | {100 * a[:, 1].mean():.0f} | "
            f"x{width:.1f} |"
        )


READ_TWICE = "napari_ebsdml.dislocations.total.phase_question.read_dense"


def as_read(model: object, inputs: object, noise: object, once: object) -> object:
    """In the place of `read_dense`: dense windows are read as all others are."""
    return once


SPANS = {1.5: "< 1.5", 5.0: "1.5 to 5", np.inf: "> 5"}
"""Groups of `dense`."""
MANY_LINES = 4.0
"""Lines in a voxel from which `dense` lists kinds apart: the most in a training structure."""
RATIOS = {3.0: "0.5 to 3", 20.0: "3 to 20", 100.0: "20 to 100", 301.0: "100 to 300"}
"""End of each group of rho (b / sigma)^2."""


def rms(error: np.ndarray) -> float:
    """Root mean square; NaN of none."""
    return float(np.sqrt(np.mean(np.square(error)))) if len(error) else float("nan")


@dataclass(frozen=True)
class Answer:
    """What was said of one map, densities in 1/m^2."""

    kind: str
    condition: str
    lines: float
    value: float
    low: float
    high: float
    true: float
    gnd: float
    measurable: bool


def answers(
    work: Path, model: str, free: bool = False, surface: bool | None = None
) -> list[Answer]:
    """One map of each section under each of the conditions."""
    found = []
    for path in sorted(work.glob("*.npz")):
        kind = next(k for k in KINDS if path.stem.startswith(_stem(k)))
        with np.load(path) as file:
            planes, layers = file["free" if free else "inside"], file["layer"]
        for number, (plane, layer) in enumerate(zip(planes, layers, strict=True)):
            random = np.random.default_rng([zlib.crc32(path.stem.encode()), number])
            for condition in CONDITIONS:
                stride = int(random.integers(1, 4))
                r, c = random.integers(0, SIZE, 2)
                place, long = stride * np.arange(SIDE), np.arange(SIDE * stride)
                turn = plane[np.ix_((r + place) % SIZE, (c + place) % SIZE)] * float(stride)
                lines = float(layer[np.ix_((r + long) % SIZE, (c + long) % SIZE)].mean())
                true = lines * stride**2 / (STEP * 1e-6) ** 2
                if condition == CONDITIONS[2]:
                    sigma = 0.02
                    if not 1e13 <= true <= 1e15:
                        continue
                else:
                    low, high = (0.02, 0.2) if condition == CONDITIONS[0] else (0.2, 1.0)
                    hat = float(np.exp(random.uniform(np.log(low), np.log(high))))
                    sigma = float(np.degrees(hat * BURGERS / (STEP * 1e-6)))
                unit = BURGERS / (STEP * 1e-6)
                scan = simulated_scan(
                    turn * unit, STEP, "fcc", sigma, int(random.integers(1 << 30))
                )
                rho = ebsdml.total_dislocation_density(
                    scan, sigma, model, surface=surface, average_over=1
                )
                w, whole = rho.windows, rho.average()
                value = 10 ** float(np.average(w.median, weights=w.pixels))
                gnd = float(np.nanmean(ebsdml.gnd_density(scan).total))
                found.append(
                    Answer(kind, condition, lines * stride**2, value, *whole.interval, true, gnd,
                           whole.measurable)
                )  # fmt: skip
    return found


def _stem(kind: str) -> str:
    return kind.replace(" ", "-").replace(",", "")


def show(found: list[Answer], title: str) -> None:
    """Print a table."""
    print(f"| {title} | n | RMS, decades | bias | within factor 2, % | 90 % holds, % | width | "
          "measurable, % | RMS of those | GND x constant fitted to the row |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|---|---|")
    groups: dict[str, list[Answer]] = {}
    for one in found:
        groups.setdefault(f"{one.kind}, {one.condition}", []).append(one)
        if one.condition != CONDITIONS[2]:
            span = "N < 1" if one.lines < 1 else "N 1 to 10" if one.lines < 10 else "N > 10"
            groups.setdefault(f"all, {one.condition}, {span}", []).append(one)
    for name in sorted(groups):
        part = groups[name]
        true = np.array([one.true for one in part])
        error = np.log10(np.array([one.value for one in part]) / true)
        base = np.log10(np.array([one.gnd for one in part]) / true)
        low, high = np.array([(one.low, one.high) for one in part]).T
        sure = np.array([one.measurable for one in part])
        inside = (low <= true) & (true <= high)
        rms = np.sqrt(np.mean(error[sure] ** 2)) if sure.any() else np.nan
        close = np.mean(np.abs(error) < np.log10(2))
        ratio = np.median(high / np.maximum(low, 1e9))
        width = f"x{ratio:.1f}" if ratio < 1e3 else "a bound"
        print(
            f"| {name} | {len(part)} | {np.sqrt(np.mean(error**2)):.2f} | {error.mean():+.2f} | "
            f"{100 * close:.0f} | {100 * inside.mean():.0f} | "
            f"{width} | {100 * sure.mean():.0f} | "
            f"{rms:.2f} | {base.std():.2f} |"
        )


def surface_effect(number: int) -> None:
    """log10 of mean squared rotation differences at a free surface, over those inside a body."""

    def square(turn: np.ndarray, lag: int) -> float:
        return sum(
            float(np.square(np.roll(turn, lag, axis) - turn).sum(axis=-1).mean()) for axis in (0, 1)
        )

    lags = (1, 3, 8)
    print("| class | n | " + " | ".join(f"{lag} pixels" for lag in lags) + " | spread |")
    print("|---" * (len(lags) + 3) + "|")
    for kind, make in CLASSES.items():
        found = []
        for index in range(number):
            random = np.random.default_rng([7, index])
            field = field_of(make(random, random_slip("fcc", random), 0.3, 64), strain=True)
            for axis in range(3):
                inside = section(field, axis, 9).rotation
                free = surface_rotation(field, axis, 9)
                found.append([np.log10(square(free, n) / square(inside, n)) for n in lags])
        mean = " | ".join(f"{value:+.2f}" for value in np.mean(found, axis=0))
        print(f"| {kind} | {len(found)} | {mean} | {np.std(found, axis=0)[0]:.2f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "command",
        choices=("simulate", "scans", "surface", "sides", "strides", "averaged", "dense"),
    )
    parser.add_argument("work", type=Path, nargs="?", default=Path("total-density-foreign"))
    parser.add_argument("--structures", type=int, default=12)
    parser.add_argument("--seed", type=int, default=500)
    parser.add_argument("--size", type=int, default=SIZE, help="voxels along an edge of the box")
    parser.add_argument("--dense", action="store_true", help="1 to 30 lines in a voxel")
    parser.add_argument("--model", default="default")
    given = parser.parse_args()
    if given.command == "simulate":
        densities = DENSE if given.dense else DENSITIES
        simulate(given.work, given.structures, given.seed, given.size, densities)
    elif given.command == "dense":
        dense(given.work, given.structures, given.seed, given.model)
    elif given.command in ("sides", "strides", "averaged"):
        {"sides": sides, "strides": strides, "averaged": averaged}[given.command](given.work)
    elif given.command == "surface":
        surface_effect(given.structures)
    else:
        show(answers(given.work, given.model), "inside a body")
        show(answers(given.work, given.model, free=True, surface=True), "free surface, told")
        show(answers(given.work, given.model, free=True, surface=False), "free surface, not told")
