"""Noise, screen sizes, wrong orientations, wrong cameras, other voltages; with refinement.

    python benchmarks/patterns_geometry.py --work FOLDER [--model FILE] [--refine]

Patterns of the 18 materials of doi:10.1038/s41598-021-87557-5, which the model has seen as master
patterns; orientations, cameras, backgrounds and noise are new. Each batch of patterns has a camera
of its own, drawn over the whole range of `synthetic.random_geometry`.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.patterns import CrystalFrameClassifier
from napari_ebsdml.patterns.crystals.library import Library, collect
from napari_ebsdml.patterns.crystals.table import PAPER
from napari_ebsdml.patterns.frame.fold import fold_patterns, refine_geometry
from napari_ebsdml.patterns.frame.folded import Folded
from napari_ebsdml.patterns.simulated.synthetic import (
    CLEAN,
    Reality,
    folded_many,
    project_bands,
    random_geometry,
    random_quaternions,
    small_turns,
    spoil,
)
from patterns_common import ask, percent, shares, show
from patterns_masters import VOLTAGE_MATERIALS, VOLTAGES, voltage_file

BASE = {"sizes": (60,), "noise": (0.3, 0.3), "orientation_error": 0.0, "tilt_error": 0.0,
        "centre_error": 0.0, "blur": 0.4}  # fmt: skip
HEAD = ("what", "value", "n", "right %", "or n.s. %", "family %", "known %",
        "grains of 20", "right %", "or n.s. %", "family %", "known %")  # fmt: skip


def cells(
    model: CrystalFrameClassifier, folded: Folded, which: np.ndarray, library: Library
) -> list:
    result = ask(model, folded)
    right, either = shares(result, library.space_groups[which])
    family = result.family == np.array(library.families)[which]
    return [len(which), *(percent(v) for v in (right, either, family, result.is_known))]


def row(model: CrystalFrameClassifier, folded: Folded, which: np.ndarray, library: Library) -> list:
    single = cells(model, folded, which, library)
    # Neighbours in `which` are of one material and one camera: twenty of them make a grain.
    groups = np.arange(len(which)) // 20
    number = int(groups[-1]) + 1
    return single + cells(model, folded.grouped(groups, number), which[::20], library)


def sweep(model: CrystalFrameClassifier, library: Library, number: int) -> None:
    which = np.repeat(np.arange(len(library)), number)
    trials: list[tuple[str, dict, object]] = [
        ("noise / bands", {"noise": (v, v)}, v) for v in (0.1, 0.5, 1.0, 2.0, 3.0)
    ]
    trials += [("pixels", {"sizes": (v,)}, v) for v in (60, 120, 240)]
    angles = (0.5, 1.0, 1.5, 2.0, 3.0)
    trials += [("orientation error, deg", {"orientation_error": v}, v) for v in angles]
    centres = (0.005, 0.01, 0.02, 0.03)
    trials += [("pattern-centre error", {"centre_error": v}, v) for v in centres]
    trials += [("tilt error, deg", {"tilt_error": v}, v) for v in (1.0, 2.0)]
    trials += [("binning", {"binning": (v,)}, v) for v in (2,)]
    rows = []
    for name, change, value in trials:
        few = which if value != 240 else np.repeat(np.arange(len(library)), 20)
        folded = folded_many(library.masters, few, 31, Reality(**{**BASE, **change}), batch=20)
        rows.append((name, value, *row(model, folded, few, library)))
    show("The 18 materials; noise 0.3, else as said. Errors: standard deviations", rows, HEAD)


def voltages(model: CrystalFrameClassifier, library: Library, work: Path, number: int) -> None:
    rows = []
    for energy in (*VOLTAGES, 20):
        files = [voltage_file(work, name, energy) for name in VOLTAGE_MATERIALS]
        keep = library.take([library.names.index(name) for name in VOLTAGE_MATERIALS])
        masters = keep.masters
        if energy != 20:
            if not all(file.exists() for file in files):
                continue
            masters = np.stack([np.load(file) for file in files]).astype(np.float32)
        which = np.repeat(np.arange(len(keep)), number)
        folded = folded_many(masters, which, 41, CLEAN, batch=20)
        rows.append(("voltage, kV", energy, *row(model, folded, which, keep)))
    show(f"Other voltages; {', '.join(VOLTAGE_MATERIALS)}", sorted(rows, key=lambda r: r[1]), HEAD)


def refined(model: CrystalFrameClassifier, library: Library, patterns: int = 32) -> None:
    """Maps with a wrong camera: answers with it as told, and after refinement."""
    rows = []
    for centre, tilt in ((0.01, 1.0), (0.02, 2.0), (0.03, 3.0)):
        before, after, left, truth = [], [], [], []
        for k in range(len(library)):
            rng = np.random.default_rng([51, k])
            geometry, _ = random_geometry(rng, 1, 60)
            q = random_quaternions(rng, patterns)
            clean = project_bands(library.masters, np.full(patterns, k), q, geometry)
            images = spoil(clean, rng, Reality((60,), (0.5, 0.5), blur=0.4))
            move = rng.normal(0, 1, 3) * centre
            told = geometry.moved(*move).tilted(float(rng.normal(0, 1)) * tilt)
            found, _ = refine_geometry(images, q, told)
            valid = np.ones((60, 60), bool)
            for camera, answers in ((told, before), (found, after)):
                answers.append(ask(model, fold_patterns(images, q, camera, valid)))
            truth.append(library.space_groups[k])
            # Angle between where the refined and the true camera look.
            dots = (found.directions() * geometry.directions()).sum(axis=-1)
            left.append(np.rad2deg(np.arccos(np.clip(dots, -1, 1))).mean())
        line = [f"{100 * centre:g} %, {tilt:g} deg", len(library) * patterns]
        for answers in (before, after):
            both = [shares(a, t) for a, t in zip(answers, truth, strict=True)]
            line += [
                percent(np.concatenate([b[0] for b in both])),
                percent(np.concatenate([b[1] for b in both])),
                percent(np.concatenate([a.is_known for a in answers])),
            ]
        line.append(f"{np.median(left):.2f}")
        rows.append(tuple(line))
    show(
        f"A wrong camera (standard deviations), refined on {patterns} patterns of each material",
        rows,
        ("error", "n", "right %", "or n.s. %", "known %", "refined: right %", "or n.s. %",
         "known %", "median error left, deg"),
    )  # fmt: skip


def turned(model: CrystalFrameClassifier, library: Library, number: int) -> None:
    """Wrong orientations, and what fitting them to the patterns makes of them."""
    which = np.repeat(np.arange(len(library)), number)
    truth = library.space_groups[which]
    valid = np.ones((60, 60), bool)
    rows = []
    for noise in (0.3, 1.3):
        rng = np.random.default_rng(61)
        geometry, _ = random_geometry(rng, 1, 60)
        q = random_quaternions(rng, len(which))
        clean = project_bands(library.masters, which, q, geometry)
        images = spoil(clean, rng, Reality((60,), (noise, noise), blur=0.4))
        for error in (0.0, 1.0, 2.0, 3.0):
            told = multiply(small_turns(rng, len(which), error), q)
            start = time.process_time()
            refined, _ = model.model.search.refine(images, told, geometry, valid)
            speed = len(which) / (time.process_time() - start)
            line = [noise, error, len(which)]
            for orientations in (told, refined):
                result = ask(model, fold_patterns(images, orientations, geometry, valid))
                line += [percent(v) for v in (*shares(result, truth), result.is_known)]
            rows.append((*line, f"{speed:.0f}"))
    show(
        "Wrong orientations (standard deviation of each axis, degrees), refined one by one",
        rows,
        ("noise", "error", "n", "right %", "or n.s. %", "known %", "refined: right %",
         "or n.s. %", "known %", "refined per second of a core"),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--model", default="default")
    parser.add_argument("--number", type=int, default=40, help="patterns of each material")
    parser.add_argument("--refine", action="store_true", help="only the refinement")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = CrystalFrameClassifier.load(options.model)
    library = collect(options.work)
    library = library.take([library.names.index(s.name) for s in PAPER])
    if not options.refine:
        sweep(model, library, options.number)
        voltages(model, collect(options.work), options.work, options.number)
    turned(model, library, options.number)
    refined(model, library)


if __name__ == "__main__":
    main()
