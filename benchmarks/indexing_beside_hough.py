"""Searches for orientations beside the Hough indexing of PyEBSDIndex, on the same patterns.

``python benchmarks/indexing_beside_hough.py [--number 200] [--seed 60]``

The bundled nickel patterns, and patterns of EMsoft's nickel master pattern, which kikuchipy brings:
our library was not made with it. All are told the camera, exactly or off
by half a per cent. PyEBSDIndex (by its processor path) is told that the phase is fcc; our search is
told a cubic phase of any kind, and `find_phases` no phase. Processor seconds are of the whole
process, after a first run that compiles and makes what is made once for a camera; those of
`find_phases` hold all that it finds.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import sys
import time
from collections.abc import Callable
from typing import Any

import dask.array as da
import kikuchipy
import numpy as np
from kikuchipy.detectors import EBSDDetector
from numpy.typing import NDArray
from orix.crystal_map import Phase, PhaseList
from orix.quaternion import Orientation, Rotation, symmetry

import napari_ebsdml as ebsdml
from napari_ebsdml.camera import Camera
from napari_ebsdml.patterns import CrystalFrameClassifier
from napari_ebsdml.patterns.frame.geometry import Geometry, from_kikuchipy
from napari_ebsdml.patterns.search.orientations import FIT
from napari_ebsdml.patterns.simulated.screen import expose
from napari_ebsdml.patterns.simulated.synthetic import random_quaternions
from patterns_common import percent, show

ABSENT = "PyEBSDIndex is not installed, so that there is nothing to compare with."
OFF = 0.005
CENTRE = (0.48, 0.25, 0.55)
Answer = tuple[NDArray[np.float64], NDArray[np.bool_]]
Way = Callable[[NDArray[Any], EBSDDetector], Answer]


def hough() -> Way:
    """Hough indexing with the settings that PyEBSDIndex has of itself."""
    indexers: dict[tuple[float, ...], Any] = {}

    def way(patterns: NDArray[Any], detector: EBSDDetector) -> Answer:
        key = (*detector.pc_flattened.ravel(), *detector.shape)
        if key not in indexers:
            phases = PhaseList(Phase("ni", space_group=225))
            with contextlib.redirect_stdout(io.StringIO()):
                indexers[key] = detector.get_indexer(phases)
        data = indexers[key].index_pats(patsin=patterns, verbose=0)[0][-1]
        return from_kikuchipy(data["quat"]), data["phase"] >= 0

    return way


def search_of(model: CrystalFrameClassifier) -> Way:
    def way(patterns: NDArray[Any], detector: EBSDDetector) -> Answer:
        mask = np.ones(patterns.shape[1:], bool)
        q, fit = model.model.search.find(patterns, Geometry.of(detector), mask)
        return q, fit >= FIT

    return way


def found(patterns: NDArray[Any], detector: EBSDDetector) -> Answer:
    shape = (1, len(patterns))
    scan = ebsdml.Scan(
        quaternions=np.zeros((*shape, 4)), phase_id=np.full(shape, -1), phases=PhaseList(),
        step=(1.0, 1.0), camera=Camera.of(detector),
        patterns=da.from_array(patterns.reshape(*shape, *patterns.shape[1:])),
    )  # fmt: skip
    answer = ebsdml.find_phases(scan).scan
    return answer.quaternions[0], answer.phase_id[0] >= 0


def simulated(number: int, noise: float, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """Patterns of EMsoft's nickel with a camera's noise, and their orientations."""
    master = kikuchipy.data.nickel_ebsd_master_pattern_small(
        projection="lambert", hemisphere="both"
    )
    turns = random_quaternions(rng, number)
    bands = master.get_patterns(
        Rotation(turns), detector_of(CENTRE), energy=20, compute=True, show_progressbar=False,
    ).data.reshape(number, 60, 60)  # fmt: skip
    bands = bands.astype(np.float32)
    bands = (bands - bands.mean((1, 2), keepdims=True)) / bands.std((1, 2), keepdims=True)
    images = expose(bands, rng, (noise, noise), 0.4)
    low, high = np.quantile(images, (0.001, 0.999))
    counts = np.clip(255 * (images - low) / (high - low), 0, 255).astype(np.uint8)
    return counts, from_kikuchipy(turns)


def detector_of(centre: tuple[float, ...]) -> EBSDDetector:
    return EBSDDetector(shape=(60, 60), pc=centre, sample_tilt=70.0, tilt=5.0)


def nickel() -> tuple[NDArray, NDArray, EBSDDetector]:
    """The nine patterns without their background, as kikuchipy removes it."""
    signal = kikuchipy.data.nickel_ebsd_small()
    signal.remove_static_background(show_progressbar=False)
    signal.remove_dynamic_background(show_progressbar=False)
    q = from_kikuchipy(signal.xmap.rotations.data)
    detector = signal.detector.deepcopy()
    detector.pc = detector.pc_flattened.mean(axis=0)
    detector.navigation_shape = (1,)
    return signal.data.reshape(-1, 60, 60), q, detector


def angles(one: NDArray[np.float64], two: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cubic disorientation in degrees; 180 where there is no orientation."""
    empty = np.linalg.norm(one, axis=1) < 0.5
    filled = np.where(empty[:, None], (1.0, 0.0, 0.0, 0.0), one)
    a, b = (Orientation(q, symmetry=symmetry.Oh) for q in (filled, two))
    return np.where(empty, 180.0, np.rad2deg(a.angle_with(b)))


def row(what: str, way: Way, patterns: NDArray, true: NDArray, detector: EBSDDetector) -> tuple:
    way(patterns[:9], detector)
    start = time.process_time()
    q, told = way(patterns, detector)
    took = time.process_time() - start
    angle = angles(q, true)
    wrong = told & (angle > 3)
    return (
        what, len(true), f"{len(true) / took:.0f}", f"{np.median(angle):.2f}", percent(angle < 1.5),
        percent(angle < 3), percent(told), percent(wrong),
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=60)
    given = parser.parse_args()
    if importlib.util.find_spec("pyebsdindex") is None:
        print(ABSENT)
        sys.exit(0)
    model = CrystalFrameClassifier.load("default")
    ways = {
        "our search, cubic told": search_of(model),
        "PyEBSDIndex, fcc told": hough(),
        "find_phases, camera told": found,
    }
    patterns, true, detector = nickel()
    cases = [("nickel, measured", np.tile(patterns, (20, 1, 1)), np.tile(true, (20, 1)), detector)]
    for noise in (0.5, 1.0, 1.5):
        rng = np.random.default_rng([given.seed, int(10 * noise)])
        images, q = simulated(given.number, noise, rng)
        cases.append((f"simulated, noise {noise:g}", images, q, detector_of(CENTRE)))
        if noise == 1.0:
            off = tuple(c + OFF * s for c, s in zip(CENTRE, rng.choice((-1, 1), 3), strict=True))
            cases.append((f"the same, centre off by {100 * OFF:g} %", images, q, detector_of(off)))
    rows = []
    for name, way in ways.items():
        for case, images, q, told in cases:
            rows.append((case, *row(name, way, images, q, told)))
            print(*rows[-1], sep=" | ", flush=True)
    order = [case[0] for case in cases]
    rows.sort(key=lambda one: order.index(one[0]))
    head = ("patterns", "searched by", "n", "patterns/s of processor time", "median deg.",
            "< 1.5 deg. %", "< 3 deg. %", "told indexed %", "of these wrong, % of all")  # fmt: skip
    show("Orientations", rows, head)


if __name__ == "__main__":
    main()
