"""Space groups of patterns without orientation: how well orientations and cameras are found.

    python benchmarks/patterns_indexing.py simulated --work FOLDER
    python benchmarks/patterns_indexing.py cameras
    python benchmarks/patterns_indexing.py real

FOLDER holds the strangers' master patterns (``python benchmarks/patterns_masters.py``). Nothing was
tuned on the measured patterns.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
import torch
from orix.quaternion import Orientation, symmetry
from scipy.ndimage import gaussian_filter

import napari_ebsdml as ebsdml
from napari_ebsdml.patterns import CrystalFrameClassifier
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.frame.geometry import Geometry, from_kikuchipy
from napari_ebsdml.patterns.simulated.synthetic import (
    Reality,
    project_bands,
    random_geometry,
    random_quaternions,
    spoil,
)
from patterns_common import percent, shares, show, spheres

SIZE = 60
STRANGERS = ("Mg", "Ti", "Zn", "calcite", "quartz", "cementite", "rutile", "pyrite")
SINGLES = (("BCC_steel", 229), ("FCC_steel", 225), ("Si_BAM", 227))


def angles(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    a, b = (Orientation(q.reshape(-1, 4), symmetry=symmetry.Oh) for q in (one, two))
    return np.rad2deg(a.angle_with(b))


def make(
    rng: np.random.Generator, masters: np.ndarray, which: np.ndarray, noise: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, Geometry]:
    """Patterns that share one camera, their orientations, and the camera."""
    geometry = random_geometry(rng, 1, SIZE)[0]
    q = random_quaternions(rng, len(which))
    images = project_bands(masters, which, q, geometry)
    return spoil(images, rng, Reality((SIZE,), noise, 0, 0, 0, 0.8)), q, geometry


def one_of_each(rng: np.random.Generator, library: Library, number: int) -> np.ndarray:
    """Crystals of all families in turn."""
    families = np.array(library.families)
    names = np.unique(families)
    return np.array(
        [rng.choice(np.flatnonzero(families == names[k % len(names)])) for k in range(number)]
    )


def simulated(model: CrystalFrameClassifier, work: Path | None, cameras: int, each: int) -> None:
    library = Library.load()
    rows = []
    for noise in (0.1, 0.3, 0.7, 1.0, 1.3):
        for error in (0.0, 0.005, 0.01):
            rng = np.random.default_rng(40)
            found, fits, right, also, known, family, given_right = ([] for _ in range(7))
            took = 0.0
            for _ in range(cameras):
                which = one_of_each(rng, library, each)
                patterns, q, geometry = make(rng, library.masters, which, (noise, noise))
                way = rng.normal(size=3)
                told = geometry.moved(*(way / np.linalg.norm(way) * error * np.sqrt(3)))
                model.predict(patterns[:1], None, told)  # the dictionary of this camera
                start = time.process_time()
                result = model.predict(patterns, None, told)
                took += time.process_time() - start
                hit, either = shares(result, library.space_groups[which])
                found.append(angles(result.orientations, q))
                fits.append(result.fit)
                right.append(hit)
                also.append(either)
                known.append(result.is_known)
                family.append(result.family == np.array(library.families)[which])
                given = model.predict(patterns, q, told)
                given_right.append(shares(given, library.space_groups[which])[0])
            angle = np.concatenate(found)
            rows.append(
                (
                    noise, f"{100 * error:g} %", len(angle), percent(angle < 1.5),
                    percent(angle < 3), f"{np.median(angle):.2f}", percent(np.concatenate(right)),
                    percent(np.concatenate(also)), percent(np.concatenate(family)),
                    percent(np.concatenate(known)), percent(np.concatenate(given_right)),
                    f"{len(angle) / took:.0f}",
                )
            )  # fmt: skip
    show(
        "Orientations of known crystals, all families alike", rows,
        ("noise", "centre", "n", "< 1.5 deg", "< 3 deg", "median", "right %", "or n.s. %",
         "family %", "known %", "right, given orientation %", "patterns/s of processor time"),
    )  # fmt: skip
    rows = []
    for name in ("noise", *STRANGERS):
        if name != "noise" and (work is None or not (work / f"{name}.npy").exists()):
            continue
        rng = np.random.default_rng(41)
        known, fit = [], []
        for _ in range(cameras):
            if name == "noise":
                images = rng.standard_normal((each, SIZE, SIZE), np.float32)
                reality = Reality((SIZE,), (0.1, 1.3), 0, 0, 0, 0.8)
                patterns = spoil(gaussian_filter(images, (0, 1, 1)), rng, reality)
                geometry = random_geometry(rng, 1, SIZE)[0]
            else:
                sphere = spheres(work, (name,))
                patterns, _, geometry = make(rng, sphere, np.zeros(each, int), (0.1, 1.3))
            result = model.predict(patterns, None, geometry)
            known.append(result.is_known)
            fit.append(result.fit)
        fits = np.concatenate(fit)
        rows.append(
            (name, len(fits), percent(~np.concatenate(known)), f"{np.median(fits):.2f}",
             f"{fits.max():.2f}")
        )  # fmt: skip
    show("Strangers, noise 0.1 to 1.3", rows, ("what", "n", "unknown %", "median fit", "highest"))


def centre(geometry: Geometry) -> np.ndarray:
    x0, x1, y0, y1 = geometry.bounds[0]
    return np.array([-x0 / (x1 - x0), y1 / (y1 - y0), 1 / (y1 - y0)])


def cameras(model: CrystalFrameClassifier, number: int) -> None:
    """Of nothing known: n cameras each."""
    library = Library.load()
    rows = []
    for patterns_each, noise in ((12, 0.3), (12, 1.0), (1, 0.3), (1, 1.0)):
        rng = np.random.default_rng(42)
        errors, right, sure, took = [], [], [], []
        for _ in range(number):
            which = one_of_each(rng, library, 12)[rng.permutation(12)][:patterns_each]
            patterns, _, geometry = make(rng, library.masters, which, (noise, noise))
            start = time.process_time()
            result = model.predict(patterns)
            took.append(time.process_time() - start)
            sure.append(result.geometry is not None)
            if result.geometry is not None:
                errors.append(np.abs(centre(result.geometry) - centre(geometry)).max())
            right.append(shares(result, library.space_groups[which])[0].mean())
        rows.append(
            (patterns_each, noise, number, f"{sum(sure)} of {number}",
             f"{sum(e < 0.01 for e in errors)} of {number}", f"{100 * np.median(errors):.2f} %",
             percent(np.array(right)), f"{np.median(took):.1f}")
        )  # fmt: skip
    show(
        "Nothing known", rows,
        ("patterns", "noise", "n", "sure", "within 1 %", "median error", "right %", "seconds"),
    )  # fmt: skip


def tell(name: str, result, truth: int, note: str = "") -> None:
    right, also = shares(result, truth)
    way = "no answer" if result.reason else "crystal frame"
    fit = "-" if result.fit is None else f"{np.median(result.fit):.2f}"
    print(
        f"{name} | {right.sum()} of {right.size} | {also.sum()} of {right.size} | "
        f"{result.is_known.sum()} of {right.size} | {way} | {fit} | {note}",
        flush=True,
    )


def real(model: CrystalFrameClassifier, data: Path | None) -> None:
    import dask.array as da
    import h5py
    import kikuchipy
    from kikuchipy.detectors import EBSDDetector

    print("data | right | or n.s. | known | way | median fit | note")
    signal = kikuchipy.data.nickel_ebsd_small()
    given = from_kikuchipy(signal.xmap.rotations.data).reshape(3, 3, 4)
    result = model.predict(signal.data, None, signal.detector)
    angle = angles(result.orientations, given)
    note = f"from given ones: {np.median(angle):.2f} deg, {(angle < 1.5).sum()} within 1.5"
    tell("nickel, detector given", result, 225, note)
    tell("nickel, nothing given", *_bare(model, signal.data, 225))
    if data is None:
        print("steel and single patterns: name their folder with --data")
        return
    scan = ebsdml.read(data / "patterns" / "dual_phase_steel.ang").crop(slice(0, 15))
    with h5py.File(data / "patterns" / "dual_phase_steel_rows00-14.h5") as file:
        patterns = file["patterns"][()]
    detector = EBSDDetector(
        shape=(60, 60), pc=(0.5017, 0.7189, 0.5342), convention="tsl", sample_tilt=70, tilt=5
    )
    start = time.perf_counter()
    result = model.predict(patterns, None, detector)
    took = time.perf_counter() - start
    angle = angles(result.orientations, scan.quaternions)[scan.is_indexed.ravel()]
    note = (
        f"from given ones: {np.median(angle):.2f} deg, {(angle < 1.5).sum()} of {len(angle)} "
        f"within 1.5, {(angle < 3).sum()} within 3; {len(angle) / took:.0f}/s"
    )
    tell("steel, detector given", result, 229, note)
    hidden = dataclasses.replace(
        scan.without(np.ones(scan.shape, bool)), patterns=da.from_array(patterns)
    )
    grain = model.predict_scan(hidden, by="grain", detector=detector)
    asked = grain.space_group > 0
    note = f"{asked.sum()} pixels of {len(np.unique(grain.labels[asked]))} grains"
    tell("steel by grain, detector given", grain, 229, note)
    tell("steel, nothing given", *_bare(model, patterns, 229))
    for path in sorted((data / "patterns" / "single").glob("*")):
        for name, truth in SINGLES:
            if path.name.startswith(name):
                image = np.asarray(ebsdml.read(path).patterns)[0, 0]
                result, _, note = _bare(model, image, truth)
                note += f", named {int(result.space_group)} {result.family}"
                tell(path.name, result, truth, note)


def _bare(model: CrystalFrameClassifier, patterns: np.ndarray, truth: int) -> tuple:
    result = model.predict(patterns)
    if result.geometry is None:
        return result, truth, ""
    x, y, z = centre(result.geometry)
    return result, truth, f"centre {x:.3f}, {y:.3f}, {z:.3f} (Bruker)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="+", choices=["simulated", "cameras", "real"])
    parser.add_argument("--work", type=Path, help="folder of simulated master patterns")
    parser.add_argument(
        "--data",
        type=Path,
        help="folder of the rest (docs/measurements/data.md)",
    )
    parser.add_argument("--model", default="default")
    parser.add_argument("--number", type=int, default=10, help="cameras of each kind")
    parser.add_argument("--each", type=int, default=60, help="patterns of each camera")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = CrystalFrameClassifier.load(options.model)
    if "simulated" in options.tables:
        simulated(model, options.work, options.number, options.each)
    if "cameras" in options.tables:
        cameras(model, options.number)
    if "real" in options.tables:
        real(model, options.data)


if __name__ == "__main__":
    main()
