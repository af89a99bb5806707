"""Phases of simulated two-phase maps of which nothing is told, and the time of a large one.

``python benchmarks/found_maps.py --masters FOLDER [--side 24] [--seeds 2] [--pairs Fe+Ti Ni+Fe]``

Maps of 60 x 60 pixel patterns: 24 grains by a Voronoi diagram, a third of them of the second phase,
noise 0.7 times the bands, orientations spread by 0.3 degrees in a grain. The pattern centre is not
told. Bravais lattices and c/a are compared with those that the crystals were simulated with.
``--tetragonal`` instead asks up to which c/a a body-centred tetragonal crystal is told cubic.
``--counts 20 60 200`` asks what element counts (EDS) tell of nickel and austenite, so many X-ray
counts a pixel, twice as many at the top of the map as at its bottom; and of austenite alone, whose
shares drift by 10 points from left to right. 5 % of the counts are background, in all windows
alike, and X-rays come from a Gaussian volume of 0.7 pixels.
"""

from __future__ import annotations

import argparse
import resource
import time
from itertools import product
from pathlib import Path

import dask.array as da
import numpy as np
from orix.crystal_map import Phase, PhaseList
from scipy.ndimage import gaussian_filter

import napari_ebsdml as ebsdml
from laue_crystals import dynamical
from napari_ebsdml._quaternions import multiply
from napari_ebsdml.camera import Camera
from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.crystals.table import OTHERS, PAPER, STRANGERS
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.lattices.lattice import Lattice
from napari_ebsdml.patterns.simulated.kinematic import Crystal
from napari_ebsdml.patterns.simulated.screen import expose
from napari_ebsdml.patterns.simulated.synthetic import project_bands, random_quaternions
from patterns_common import show

SIZE, NOISE, GRAINS = 60, 0.7, 24
CENTRE = (0.51, 0.29, 0.57)
LINES = ("Fe Ka1", "Cr Ka1", "Ni Ka1")
SHARES = {"Ni": (0.0, 0.0, 1.0), "austenite": (0.70, 0.18, 0.12)}
BACKGROUND, VOLUME, DRIFT = 0.05, 0.7, 0.10


def lattices() -> dict[str, tuple[str, float]]:
    """Bravais lattice and c/a of every crystal of the tables, by name."""
    found = {}
    for one in (*PAPER, *OTHERS, *STRANGERS):
        number = one.space_group
        system = next(v for k, v in ((194, "c"), (142, "h"), (74, "t"), (0, "o")) if number > k)
        letter = Phase(space_group=number).space_group.short_name[0].replace("H", "R")
        found[one.name] = (system + letter, (one.c or one.a) / one.a)
    return found


def lattice_told(lattice: Lattice | None, true: tuple[str, float]) -> tuple[bool, str]:
    """Whether the Bravais lattice is right, and what was told, with c/a over the true one."""
    if lattice is None:
        return False, f"none ({true[0]})"
    is_right = lattice.bravais == true[0]
    text = lattice.bravais if is_right else f"{lattice.bravais} (not {true[0]})"
    if true[0][0] != "c":
        text += f" x {lattice.c / lattice.a / true[1]:.3f}"
    return is_right, text


def masters_of(folder: Path) -> dict:
    found = {name: (group, master) for name, group, master in dynamical(folder)}
    library = Library.load()
    for k in np.flatnonzero(library.is_real):
        found.setdefault(library.names[k], ("m-3m", library.masters[k]))
    return found


def simulated(one: tuple, other: tuple, side: int, seed: int) -> tuple:
    """A map, and where it is the second phase (side, side)."""
    rng = np.random.default_rng([9, seed])
    seeds = rng.uniform(0, side, (GRAINS, 2))
    places = np.stack(np.meshgrid(np.arange(side), np.arange(side), indexing="ij"), -1)
    grain = ((places[:, :, None] - seeds) ** 2).sum(-1).argmin(-1)
    second = rng.permutation(GRAINS) < GRAINS // 3
    q = random_quaternions(rng, GRAINS)[grain.ravel()]
    small = np.concatenate(
        [np.ones((len(q), 1)), rng.normal(0, np.deg2rad(0.3) / 2, (len(q), 3))], axis=1
    )
    q = multiply(small / np.linalg.norm(small, axis=1, keepdims=True), q)
    phase = second[grain]
    geometry = Geometry.from_angles(CENTRE, (SIZE, SIZE), 70.0, 5.0)
    images = np.empty((side * side, SIZE, SIZE), np.uint8)
    for k, (_, master) in enumerate((one, other)):
        mine = np.flatnonzero(phase.ravel() == k)
        for start in range(0, len(mine), 500):
            part = mine[start : start + 500]
            bands = project_bands(master[None], np.zeros(len(part), np.intp), q[part], geometry)
            shown = expose(bands, rng, (NOISE, NOISE), 0.4)
            low, high = np.quantile(shown, (0.001, 0.999))
            images[part] = np.clip(255 * (shown - low) / (high - low), 0, 255)
    scan = ebsdml.Scan(
        quaternions=np.tile([1.0, 0, 0, 0], (side, side, 1)),
        phase_id=np.zeros((side, side), np.int32),
        phases=PhaseList(Phase("x", point_group="m-3m")),
        step=(1.0, 1.0),
        patterns=da.from_array(images.reshape(side, side, SIZE, SIZE), (20, side, SIZE, SIZE)),
        camera=Camera(shape=(SIZE, SIZE), pc=None, sample_tilt=70.0, tilt=5.0),
    )  # fmt: skip
    return scan, phase


def tetragonal(seeds: int) -> None:
    """What body-centred crystals of iron's size are told, with a known camera, by c/a."""
    camera = Camera(shape=(SIZE, SIZE), pc=CENTRE, sample_tilt=70.0, tilt=5.0)
    geometry = Geometry.of(camera)
    rows = []
    for ratio in (1.0, 1.01, 1.02, 1.03, 1.04, 1.06, 1.08, 1.1, 1.15):
        cell = (2.87, 2.87, 2.87 * ratio, 90, 90, 90)
        made = Crystal("Fe", 139, cell, ((26, (0, 0, 0)),)).master()
        told = []
        for seed in range(seeds):
            rng = np.random.default_rng([10, seed])
            q = random_quaternions(rng, 10)
            bands = project_bands(made[None], np.zeros(10, np.intp), q, geometry)
            result = ebsdml.laue_group(expose(bands, rng, (0.3, 0.3), 0.4), camera)
            told.append(f"{result.best} {100 * result.probability:.0f} %")
        rows.append((f"{ratio:.2f}", 10, *told))
    show("Tetragonal", rows, ("c/a", "patterns", *(f"seed {k}" for k in range(seeds))))


def counted(scan: ebsdml.Scan, shares: np.ndarray, total: float, seed: int) -> ebsdml.Scan:
    """The map with X-ray counts, of shares (rows, columns, lines)."""
    rng = np.random.default_rng([11, seed])
    rows = scan.shape[0]
    bright = total * np.linspace(4 / 3, 2 / 3, rows)[:, None, None]
    seen = gaussian_filter(shares, (VOLUME, VOLUME, 0))
    seen = (1 - BACKGROUND) * seen + BACKGROUND / len(LINES)
    counts = rng.poisson(bright * seen).astype(np.float32)
    for k, line in enumerate(LINES):
        scan = scan.with_property(f"Window Integral {line}", counts[..., k])
    return scan


def elements(masters: dict, side: int, seeds: range, totals: list[float]) -> None:
    """Nickel and austenite, and austenite that drifts, with element counts and without."""
    rows = []
    table = np.array([SHARES["Ni"], SHARES["austenite"]])
    for names, seed in product((("Ni", "austenite"), ("austenite", "austenite")), seeds):
        scan, phase = simulated(*(masters[name] for name in names), side, seed)
        if names[0] == names[1]:
            drift = np.linspace(-DRIFT / 2, DRIFT / 2, side)[None, :, None] * np.array(
                [1, -0.4, -0.6]
            )
            shares = np.broadcast_to(table[1] + drift, (side, side, 3))
            phase = np.zeros_like(phase)
        else:
            shares = table[phase.astype(int)]
        for total in totals if names[0] == names[1] else (None, *totals):
            given = scan if total is None else counted(scan, shares, total, seed)
            start = time.process_time()
            found = ebsdml.find_phases(given)
            took = time.process_time() - start
            owner = found.scan.phase_id
            right = sum(
                int(np.bincount(phase[owner == k].astype(int)).max())
                for k in range(len(found.clusters))
            )
            if len(found.clusters) < len(np.unique(phase)):
                # One phase for two: the smaller one is wrong, whatever it is called.
                right = int((phase[owner >= 0] == (phase.mean() > 0.5)).sum())
            rows.append((
                "+".join(dict.fromkeys(names)), seed, phase.size,
                "none" if total is None else f"{total:g}", len(found.clusters),
                "; ".join(
                    f"{c.laue.best} {100 * c.laue.probability:.0f} %" for c in found.clusters
                ),
                "; ".join(c.lattice.bravais if c.lattice else "none" for c in found.clusters),
                ", ".join(f"{one.share:.3f}" for one in found.clusters), f"{phase.mean():.3f}",
                "; ".join(
                    " ".join(f"{line} {100 * share:.0f}" for line, share in one.elements.items())
                    for one in found.clusters
                ),
                f"{100 * right / phase.size:.1f}", f"{100 * (owner < 0).mean():.1f}", f"{took:.0f}",
            ))  # fmt: skip
            print(rows[-1], flush=True)
            if total == totals[-1]:
                print(found.sentence, flush=True)
    head = ("map", "seed", "patterns", "counts a pixel", "phases", "told", "lattices", "shares",
            "true second", "element shares %", "phase right %", "fits none %",
            "processor s")  # fmt: skip
    show("Element counts", rows, head)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masters", type=Path, default=Path("masters"))
    parser.add_argument("--side", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--pairs", nargs="*", default=["Fe+Ti", "austenite+Fe"])
    parser.add_argument("--tetragonal", action="store_true")
    parser.add_argument("--counts", nargs="*", type=float)
    parser.add_argument("--first", type=int, default=0, help="first seed of whole maps")
    given = parser.parse_args()
    if given.tetragonal:
        tetragonal(given.seeds)
        return
    masters = masters_of(given.masters)
    if given.counts:
        seeds = range(given.first, given.first + given.seeds)
        elements(masters, given.side, seeds, given.counts)
        return
    rows = []
    true_lattices = lattices()
    lattices_right = 0
    for pair, seed in product(given.pairs, range(given.first, given.first + given.seeds)):
        kinds = [masters[name] for name in pair.split("+")]
        scan, phase = simulated(*kinds, given.side, seed)
        start, wall = time.process_time(), time.perf_counter()
        found = ebsdml.find_phases(scan)
        took, wall = time.process_time() - start, time.perf_counter() - wall
        owner = found.scan.phase_id
        right = 0
        names, cells = [], []
        for k, cluster in enumerate(found.clusters):
            mine = owner == k
            true = (
                int(np.bincount(phase[mine].astype(int), minlength=2).argmax()) if mine.any() else 0
            )
            right += int((phase[mine] == true).sum())
            groups = (cluster.laue.best, cluster.sphere.group, kinds[true][0])
            said = f"{pair.split('+')[true]}: {groups[0]} {100 * cluster.laue.probability:.0f} %"
            names.append(said if len(set(groups)) == 1 else f"{said} (wrong)")
            lattice = lattice_told(cluster.lattice, true_lattices[pair.split("+")[true]])
            lattices_right += lattice[0]
            cells.append(lattice[1])
        print(found.sentence, flush=True)
        share = ", ".join(f"{one.share:.3f}" for one in found.clusters)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        error = max(map(abs, np.subtract(found.camera.centre, CENTRE)))
        rows.append((
            pair, seed, phase.size, len(names), "; ".join(names), "; ".join(cells), share,
            f"{phase.mean():.3f}",
            f"{100 * right / phase.size:.1f}", f"{100 * (owner < 0).mean():.1f}", f"{error:.3f}",
            f"{took:.0f}", f"{1000 * took / phase.size:.0f}", f"{wall:.0f}", f"{memory:.0f}",
        ))  # fmt: skip
    head = ("pair", "seed", "patterns", "phases", "told", "lattices", "shares", "true second",
            "phase right %", "fits none %", "centre error", "processor s", "ms a pattern",
            "wall s", "MB")  # fmt: skip
    show("Maps", rows, head)
    print(f"Bravais lattices right: {lattices_right} of {sum(row[3] for row in rows)} phases")


if __name__ == "__main__":
    main()
