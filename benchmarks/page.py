"""The benchmark page: each job beside an anchor of the same size, in one run of one command.

    python benchmarks/page.py [--side 1000] [--write docs/measurements/benchmarks.md]

A synthetic dual-phase steel (256 x 256 pixels, seed 0, repeated, orientation noise of 0.1 degrees,
seed 1) of `side` squared pixels; patterns are nine of nickel, those of the sample, repeated.
Processor seconds of one thread, best of three (of the slowest jobs: one) after one call that
compiles and imports; per million pixels, or per thousand patterns, so that anchors on fewer pixels
compare.
"""

from __future__ import annotations

import argparse
import dataclasses
import platform
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import napari_ebsdml as ebsdml
from scaling import martensite, steel

REPEATS = 3
SMALL = 300
"""Side of the map for anchors that need much memory or time."""
PROGRAMS = 400
"""Pixels whose linear programs an anchor solves one by one."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One row of the table: what, how many, ours, and the anchor with how many."""

    name: str
    unit: str
    ours: Callable[[], Any]
    number: float
    anchor_name: str
    anchor: Callable[[], Any]
    anchor_number: float
    repeats: int = REPEATS


def seconds(function: Callable[[], Any], repeats: int) -> float:
    """Processor seconds of the best call."""
    function()
    best = np.inf
    for _ in range(repeats):
        begun = time.process_time()
        function()
        best = min(best, time.process_time() - begun)
    return best


def jobs(side: int, folder: Path) -> list[Job]:
    import orix.io
    import pandas
    from orix.quaternion import Orientation
    from skimage.measure import label

    pixels, few = side**2 / 1e6, SMALL**2 / 1e6
    scan, small = steel(side**2), steel(SMALL**2)
    ebsdml.write(folder / "map.ctf", scan)
    ebsdml.write(folder / "small.ctf", small)
    lines = (folder / "map.ctf").read_bytes().split(b"\r\n")
    head = next(n for n, line in enumerate(lines) if line.startswith(b"Phase\t"))
    grains = ebsdml.segment_grains(scan)
    group = small.phases[small.phases.ids[-1]].point_group
    crystals = Orientation(small.quaternions.reshape(-1, 4), symmetry=group)

    def neighbours() -> Any:
        grid = crystals.reshape(SMALL, SMALL)
        return grid[:, :-1].angle_with(grid[:, 1:]), grid[:-1].angle_with(grid[1:])

    model = ebsdml.Segmenter.train(
        [(small.crop(slice(64), slice(64)), np.arange(64 * 64).reshape(64, 64) % 2 + 1)],
        ("BC", "KAM"), epochs=1, steps=2, keep="network",
    )  # fmt: skip
    forest = ebsdml.segmentation.ForestSegmenter.train(
        [(small.crop(slice(64), slice(64)), np.arange(64 * 64).reshape(64, 64) % 2 + 1)],
        ("BC", "KAM"),
    )  # fmt: skip
    patterns = ebsdml.read(ebsdml.samples.fetch("nickel_patterns"))
    rounds = 12
    many = np.concatenate([np.asarray(patterns.patterns)] * rounds)
    turns = np.concatenate([patterns.quaternions] * rounds)
    classifier = ebsdml.SpaceGroupClassifier.load("default")
    shown = many.reshape(-1, *many.shape[2:])
    thousand = len(shown) / 1000
    light, transformed = ebsdml.Segmenter.ready("recrystallised"), martensite(SMALL**2)
    detector = patterns.detector.deepcopy()
    detector.pc = detector.pc.reshape(-1, 3).mean(axis=0)
    return [
        Job("read .ctf", "Mpx", lambda: ebsdml.read(folder / "map.ctf"), pixels,
            "pandas, the table alone",
            lambda: pandas.read_csv(folder / "map.ctf", sep="\t", skiprows=head), pixels),
        Job("read .ctf", "Mpx", lambda: ebsdml.read(folder / "map.ctf"), pixels,
            "orix.io.load", lambda: orix.io.load(folder / "small.ctf"), few),
        Job("misorientation to two neighbours", "Mpx", lambda: ebsdml.misorientation_map(scan),
            pixels, "orix, angle_with", neighbours, few),
        Job("KAM, 3 x 3", "Mpx", lambda: ebsdml.kam(scan), pixels,
            "numpy.sort of as many numbers", lambda: np.sort(scan.quaternions[..., 1], axis=None),
            pixels),
        Job("grains", "Mpx", lambda: ebsdml.segment_grains(scan), pixels,
            "scikit-image, areas of equal labels", lambda: label(grains, connectivity=1), pixels),
        Job("GND density, L1", "Mpx", lambda: ebsdml.gnd_density(small, keep_per_system=False), few,
            "scipy linprog (HiGHS), the fit alone", programs(small), PROGRAMS / 1e6),
        Job("total density", "Mpx", lambda: ebsdml.total_dislocation_density(small), few,
            "GND density, L1", lambda: ebsdml.gnd_density(small, keep_per_system=False), few),
        Job("U-Net, BC and KAM", "Mpx", lambda: model.predict(small, warn=False), few,
            "random forest (Weka's features)", lambda: forest.predict(small, warn=False), few),
        Job("ready model, recrystallised", "Mpx", lambda: light.predict(small, warn=False), few,
            "random forest (Weka's features)", lambda: forest.predict(small, warn=False), few),
        Job("GND density, denoised", "Mpx",
            lambda: ebsdml.gnd_density(small, denoise=True, keep_per_system=False), few,
            "GND density, L1", lambda: ebsdml.gnd_density(small, keep_per_system=False), few, 1),
        Job("parent grains", "Mpx", lambda: ebsdml.parent_grains(transformed), few,
            "grains", lambda: ebsdml.segment_grains(transformed), few, 1),
        Job("space group of patterns", "1000",
            lambda: classifier.predict(shown, turns.reshape(-1, 4), detector), thousand,
            "kikuchipy, static and dynamic background", background(shown), thousand),
    ]  # fmt: skip


def programs(scan: Any) -> Callable[[], Any]:
    """Linear programs of some pixels, as a general solver has them."""
    from scipy.optimize import linprog

    gnd = ebsdml.gnd_density(scan)
    known = np.isfinite(gnd.total)
    kappa = gnd.curvature[known][:PROGRAMS, :, :2].reshape(-1, 6)
    tensors = np.einsum("ni,nj->nij", gnd.systems.burgers, gnd.systems.lines)
    rows = tensors.reshape(len(tensors), 9).T[:6]
    equal = np.concatenate((rows, -rows), axis=1)
    cost = np.concatenate([gnd.systems.energies] * 2)
    return lambda: [linprog(cost, A_eq=equal, b_eq=one, method="highs") for one in kappa]


def background(patterns: Any) -> Callable[[], Any]:
    from kikuchipy.signals import EBSD

    def work() -> Any:
        signal = EBSD(np.array(patterns))
        signal.remove_static_background(static_bg=patterns.mean(axis=0).astype(patterns.dtype),
                                        show_progressbar=False)  # fmt: skip
        signal.remove_dynamic_background(show_progressbar=False)
        return signal

    return work


def table(found: list[tuple[Job, float, float]]) -> str:
    rows = [
        "| job | s per | here | anchor | anchor's s | anchor / here |",
        "|---|---|---|---|---|---|",
    ]
    for job, own, anchor in found:
        each, other = own / job.number, anchor / job.anchor_number
        rows.append(
            f"| {job.name} | {job.unit} | {each:.3g} | {job.anchor_name} | {other:.3g} | "
            f"{other / each:.2g} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--side", type=int, default=1000)
    parser.add_argument("--write", type=Path, help="Markdown page to write")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for job in jobs(asked.side, Path(folder)):
            found.append((job, seconds(job.ours, job.repeats), seconds(job.anchor, job.repeats)))
            print(table(found[-1:]).splitlines()[-1], flush=True)
    names = ("numpy", "orix", "kikuchipy", "scikit-image", "scipy", "torch", "pandas")
    made = ", ".join(f"{name} {version(name)}" for name in names)
    told = (
        f"`python benchmarks/page.py --side {asked.side} --write docs/measurements/benchmarks.md` "
        "made this page: a\nsynthetic dual-phase steel (parents: martensite) and the nickel "
        "patterns of the sample, processor seconds\nof one thread, best of three calls (of the "
        "slowest: the second), per million pixels or thousand patterns.\nAn anchor does a job of "
        "the same size that a reader knows; not always the same job.\nGrowth from 10 000 to 10 "
        "million pixels: [Many maps](many-maps.md#growth).\n"
    )
    text = f"# Each job beside an anchor\n\n{told}\n{table(found)}\n\n"
    text += f"napari-ebsdml {ebsdml.__version__}, Python {platform.python_version()}, {made}.\n"
    if asked.write is not None:
        asked.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
