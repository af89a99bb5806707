"""Total density from orientations: measured maps from every sub-sampling, and a large map's time.

python benchmarks/total_density.py maps FILE OR FOLDER ... [--strides 1 2 3] [--improved PATTERNS]
python benchmarks/total_density.py maps ... --averages 1 2 3 4
python benchmarks/total_density.py time [--side 1000]

`maps` asks each map for its density with every pixel, every second and every third, both ways, all
with the noise that the whole map measures. "Intervals meet": whether one density lies within the
90 % intervals of all sub-samplings. "Told within all": whether each density that is told lies
within the interval of every other sub-sampling; only maps with two such answers can say. "Apart":
largest distance of the middles of the sub-samplings' answers, told or not, and the half width of
the interval from every pixel, both in decades: what is consistent beside what is claimed. Maps
whose averages are all bounds cannot disagree: no evidence. `--averages` compares means over
squares of pixels in the place of sub-samplings. `--improved` is a folder with the
steel's patterns: its map with orientations as indexed and improved, see `improve_orientations.py`.

Figures on classes left out are made by the training, `ebsdml dev train-total-density`, and lie in
the model card.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import sys
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import napari_ebsdml as ebsdml
from improve_orientations import steel_scan
from napari_ebsdml.dislocations.structures.generate import random_structure
from napari_ebsdml.dislocations.structures.sections import section
from napari_ebsdml.dislocations.structures.simulated_scan import simulated_scan
from napari_ebsdml.dislocations.total.average import pooled
from napari_ebsdml.patterns import refine_scan

MAPS = (".ang", ".ctf", ".cpr", ".h5", ".oh5", ".h5oina")
FEWEST = 60
"""Pixels of the smallest window: no smaller map can be asked."""


def every(scan: ebsdml.Scan, stride: int) -> ebsdml.Scan:
    """Every n-th pixel of a map, both ways."""
    part = (slice(None, None, stride), slice(None, None, stride))
    return dataclasses.replace(
        scan,
        quaternions=np.ascontiguousarray(scan.quaternions[part]),
        phase_id=np.ascontiguousarray(scan.phase_id[part]),
        step=(scan.step[0] * stride, scan.step[1] * stride),
        prop={},
        patterns=None,
    )


@dataclass(frozen=True)
class Told:
    """What one sub-sampling of a map says: log10 of middle, low and high end in 1/m^2."""

    windows: int
    middle: float
    low: float
    high: float
    measurable: bool
    text: str


def told(scan: ebsdml.Scan, noise: dict[int, float] | None, **options: Any) -> tuple[Told, Any]:
    """Ask a map; also the result, or None where the answer is an error."""
    nothing = (0, np.nan, -np.inf, np.inf, False)
    try:
        rho = ebsdml.total_dislocation_density(scan, noise, **options)
    except ebsdml.EbsdmlError as error:
        return Told(*nothing, str(error)), None
    whole, w = rho.average(), rho.windows
    if not whole.windows:
        return Told(*nothing, "no window"), rho
    low, high = whole.interval
    if not np.isfinite(high):
        return Told(whole.windows, *nothing[1:], "unlike training"), rho
    middle = pooled(w.select(w.known), rho.calibration.shared, rho.calibration.known)[0]
    text = f"{low:.2g} to {high:.2g}"
    if whole.measurable:
        text = f"**{whole.density:.2g}** ({text})"
    ends = (np.log10(low) if low > 0 else -np.inf, np.log10(high))
    return Told(whole.windows, middle, *ends, whole.measurable, text), rho


@dataclass(frozen=True)
class Agreement:
    """How the sub-samplings of a map agree.

    `meet`: one density lies in all intervals; `within`: each that is told lies in all of them
    (None: none is told); `apart`: largest distance of their middles, `half`: half width of the
    first interval, decades.
    """

    meet: bool
    within: bool | None
    apart: float
    half: float


def agreement(answers: list[Told]) -> Agreement:
    """Of two answers or more; those without an interval are left out."""
    there = [one for one in answers if np.isfinite(one.high)]
    sure = [one for one in there if one.measurable]
    return Agreement(
        max(one.low for one in there) <= min(one.high for one in there),
        all(b.low <= a.middle <= b.high for a in sure for b in there) if sure else None,
        float(np.ptp([one.middle for one in there])),
        (answers[0].high - answers[0].low) / 2,
    )


def verdict(answers: list[Told]) -> str:
    """Cells: intervals meet, told within all, apart (half width)."""
    if sum(np.isfinite(one.high) for one in answers) < 2:
        return "- | - | -"
    found = agreement(answers)
    width = f"{found.half:.2f}" if np.isfinite(found.half) else "a bound"
    number = sum(one.measurable for one in answers)
    within = {None: "none told", True: f"yes ({number} told)", False: f"**no** ({number} told)"}
    meet = "yes" if found.meet else "**no**"
    return f"{meet} | {within[found.within]} | {found.apart:.2f} ({width})"


@dataclass(frozen=True)
class Look:
    """How a map is looked at: every n-th pixel, and over how many pixels means are taken."""

    name: str
    stride: int
    average_over: int | None


def row(name: str, scan: ebsdml.Scan, looks: list[Look], grains: Any = None) -> None:
    """One row of the table of maps."""
    noise, answers, first = None, [], None
    for look in looks:
        stride = look.stride
        part = every(scan, stride) if stride > 1 else scan
        options: dict[str, Any] = {"average_over": look.average_over}
        if grains is not None:
            options["grains"] = grains[::stride, ::stride]
        one, rho = told(part, noise, **options)
        answers.append(one)
        if first is None:
            first = rho
        if rho is None and first is None:
            print(f"| {name} | {scan.step[1]:.3g} | | | {one.text} | | | | | |", flush=True)
            return
        # The full map measures the noise; its parts have the same.
        if noise is None and rho is not None:
            noise = {n: s for n, s in rho.orientation_noise.items() if s > 0} or None
    sigma = ", ".join(f"{s:.3f}" for s in first.orientation_noise.values())
    print(
        f"| {name} | {scan.step[1]:.3g} | {sigma} | {answers[0].windows} | "
        f"{' | '.join(one.text for one in answers)} | {first.average().limit:.2g} | "
        f"{verdict(answers)} |",
        flush=True,
    )


def files_of(given: list[Path]) -> list[Path]:
    """Files as they are named, and all maps of folders."""
    found = []
    for path in given:
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        found += [p for p in inside if not path.is_dir() or p.suffix.lower() in MAPS]
    return found


def maps(files: list[Path], looks: list[Look], patterns: Path | None) -> None:
    """The table of measured maps."""
    each = " | ".join(look.name for look in looks)
    head = f"map | step, um | noise, deg | windows | {each} | limit | intervals meet | "
    head += "told within all | apart (half width)"
    print(f"| {head} |\n" + "|---" * (head.count("|") + 1) + "|")
    for path in files_of(files):
        try:
            scans = ebsdml.read(path)
        except ebsdml.EbsdmlError as error:
            print(f"| {path.stem} | not read: {str(error)[:60]} |", file=sys.stderr)
            continue
        if scans.phase_id.size >= FEWEST:
            row(path.stem, scans, looks)
    if patterns is not None:
        scan = steel_scan(patterns)
        geometry, _ = refine_scan(scan)
        better = ebsdml.improve_orientations(scan, geometry)
        for name, one in (("as indexed", scan), ("improved", better.scan)):
            labels = np.where(one.is_indexed, better.grains, 0)
            row(f"steel with patterns, {name}", one, looks, labels)


def time(side: int) -> None:
    field = random_structure(np.random.default_rng(0), 64, ["loops"], 0.5, "fcc").field
    tile = section(field, 2, 0).rotation
    repeats = -(-side // 64)
    turn = np.tile(tile, (repeats, repeats, 1))[:side, :side] * 2.5e-10 / 1e-7
    scan = simulated_scan(turn, 0.1, "fcc", 0.05)
    ebsdml.total_dislocation_density(scan)  # compiles
    start = perf_counter()
    rho = ebsdml.total_dislocation_density(scan)
    seconds = perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{side} x {side}: {seconds:.1f} s, {len(rho.windows)} windows, {peak:.1f} GiB at most")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("maps")
    one.add_argument("files", nargs="*", type=Path)
    one.add_argument("--improved", type=Path, help="folder with the steel's patterns")
    one.add_argument("--strides", nargs="+", type=int, default=[1, 2, 3])
    one.add_argument("--averages", nargs="+", type=int, help="instead: means over n x n pixels")
    two = commands.add_parser("time")
    two.add_argument("--side", type=int, default=1000)
    given = parser.parse_args()
    if given.command == "maps":
        names = {1: "every pixel", 2: "every second", 3: "every third"}
        looks = [Look(names.get(n, f"every {n}th"), n, None) for n in given.strides]
        if given.averages:
            looks = [Look(f"{n} x {n}" if n > 1 else "pixels", 1, n) for n in given.averages]
        maps(given.files, looks, given.improved)
    else:
        time(given.side)
