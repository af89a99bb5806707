"""Orientations improved from patterns: known rotations, faults, strain, real patterns, time.

python benchmarks/improve_orientations.py known|faults|strain|time [--seeds 3]
python benchmarks/improve_orientations.py steel|nickel FOLDER     (patterns/ of real data)

Patterns of `known` and `faults` are kikuchipy's (nickel master pattern, 20 kV), three
pixels on a side averaged into one: another program than the one that reads them.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from time import perf_counter, process_time

import dask.array as da
import numpy as np
from numpy.typing import NDArray
from orix.crystal_map import Phase, PhaseList
from orix.quaternion import Rotation as OrixRotation
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

import napari_ebsdml as ebsdml
from napari_ebsdml.camera import Camera
from napari_ebsdml.patterns import refine_orientations, refine_scan
from napari_ebsdml.patterns.frame.geometry import from_kikuchipy, to_kikuchipy

PC, TILT = (0.42, 0.25, 0.6), 5.0


def clean(true: Rotation, side: int) -> NDArray[np.float64]:
    """Patterns of a rotation each, mean 0 and standard deviation 1."""
    import kikuchipy as kp

    master = kp.data.nickel_ebsd_master_pattern_small(projection="lambert", hemisphere="upper")
    fine = kp.detectors.EBSDDetector((3 * side, 3 * side), pc=PC, sample_tilt=70, tilt=TILT)
    turns = OrixRotation(true.as_quat()[:, [3, 0, 1, 2]])
    parts = [
        master.get_patterns(turns[at : at + 200], fine, compute=True, show_progressbar=False).data
        for at in range(0, len(true), 200)
    ]
    images = np.concatenate([p.reshape(-1, side, 3, side, 3).mean((2, 4)) for p in parts])
    images = images - images.mean((1, 2), keepdims=True)
    return images / images.std((1, 2), keepdims=True)


def counts(
    images: NDArray, noise: float, rng: np.random.Generator, fault: str = ""
) -> NDArray[np.uint8]:
    """Camera counts: bands of 10 % on a bright hill, white noise in units of the bands."""
    side = images.shape[-1]
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    light = np.exp(-(x**2 + (y - 0.2) ** 2) / 2)
    grain = rng.normal(size=images.shape)
    if fault == "noise correlated":
        grain = gaussian_filter(grain, (0, 0.7, 0.7))
        grain /= grain.std()
    shown = light * (1 + 0.1 * (images + noise * grain))
    if fault == "fixed pattern 1 %":
        shown *= 1 + 0.01 * rng.normal(size=shown.shape[1:])
    out = np.clip(np.rint(150 * shown), 0, 255).astype(np.uint8)
    if fault == "20 hot pixels":
        out[:, rng.integers(0, side, 20), rng.integers(0, side, 20)] = 255
    if fault == "20 cosmic rays each":
        for one in out:
            one[rng.integers(0, side, 20), rng.integers(0, side, 20)] = 255
    if fault == "lower third black":
        out[:, 2 * side // 3 :] = 0
    if fault == "round screen":
        out[:, x**2 + y**2 > 1] = 0
    return out


def scan_of(patterns: NDArray, turns: Rotation, shape: tuple[int, int], pc=PC) -> ebsdml.Scan:
    import kikuchipy as kp

    side = patterns.shape[-1]
    q = from_kikuchipy(turns.as_quat()[:, [3, 0, 1, 2]])
    return ebsdml.Scan(
        quaternions=q.reshape(*shape, 4),
        phase_id=np.zeros(shape, np.int32),
        phases=PhaseList(Phase("Ni", space_group=225)),
        step=(0.2, 0.2),
        patterns=da.from_array(
            patterns.reshape(*shape, side, side), chunks=(8, shape[1], side, side)
        ),
        camera=kp.detectors.EBSDDetector((side, side), pc=pc, sample_tilt=70, tilt=TILT),
    )


def crystals(
    rng: np.random.Generator, shape: tuple[int, int], spread: float, bend: float
) -> tuple[NDArray[np.int64], Rotation]:
    """Four grains in columns, each bent along x and with random turns of its pixels, degrees."""
    column = np.tile(np.arange(shape[1]), shape[0])
    grain = column * 4 // shape[1]
    base = Rotation.random(4, rng)
    axis = rng.normal(size=(4, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    place = column % (shape[1] // 4) / (shape[1] // 4)
    bent = Rotation.from_rotvec(np.radians(bend) * place[:, None] * axis[grain])
    random = Rotation.from_rotvec(np.radians(spread) * rng.normal(size=(len(grain), 3)))
    return grain, random * bent * Rotation.from_quat(base.as_quat()[grain])


def away(scan: ebsdml.Scan, true: Rotation, grain: NDArray) -> tuple[float, float]:
    """Root mean square error about an axis within grains, degrees; part of pixels with one."""
    q = to_kikuchipy(scan.quaternions.reshape(-1, 4))
    there = np.linalg.norm(q, axis=1) > 0.5
    found = Rotation.from_quat(np.where(there[:, None], q, (1, 0, 0, 0))[:, [1, 2, 3, 0]])
    v = (found * true.inv()).as_rotvec(degrees=True)
    there &= np.linalg.norm(v, axis=1) < 10
    for one in np.unique(grain):
        inside = there & (grain == one)
        v[inside] -= v[inside].mean(axis=0)
    return float(np.sqrt((v[there] ** 2).mean())), float(there.mean())


HEAD = (
    "| case | side, px | noise / bands | before | template | improved | told / true | pixels, % |"
)


def row(
    name: str, side: int, noise: float, seeds: int, fault: str = "", hough: float = 0.3,
    bend: float = 5.0, pc=PC, rival: bool = True,
) -> None:  # fmt: skip
    shape = (10, 40)
    figures = []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, 15])
        grain, true = crystals(rng, shape, 0.2, bend)
        patterns = counts(clean(true, side), noise, rng, fault)
        wrong = Rotation.from_rotvec(np.radians(hough) * rng.normal(size=(len(grain), 3)))
        scan = scan_of(patterns, wrong * true, shape, pc)
        labels = (1 + grain).reshape(shape)
        found = ebsdml.improve_orientations(scan, grains=labels)
        error, part = away(found.scan, true, grain)
        template = np.nan
        if rival:
            template = away(refine_orientations(scan)[0], true, grain)[0]
        told = next(iter(found.orientation_noise.values()), np.nan)
        figures.append((away(scan, true, grain)[0], template, error, told / error, 100 * part))
    before, template, after, ratio, part = np.mean(figures, axis=0)
    rest = f"{template:.3f}" if rival else "-"
    print(
        f"| {name} | {side} | {noise} | {before:.3f} | {rest} | {after:.4f} | {ratio:.2f} | "
        f"{part:.1f} |", flush=True,
    )  # fmt: skip


def known(seeds: int) -> None:
    print(HEAD + "\n|---|---|---|---|---|---|---|---|")
    for side, noises in ((60, (0.1, 0.3, 1.0, 2.0)), (30, (0.3,)), (120, (0.3,))):
        for noise in noises:
            row("bent by 5 deg", side, noise, seeds if side < 100 else 1, rival=side == 60)
    row("indexed to 1 deg", 60, 0.3, seeds, hough=1.0, rival=False)
    row("bent by 15 deg", 60, 0.3, seeds, bend=15.0, rival=False)


def faults(seeds: int) -> None:
    print(HEAD + "\n|---|---|---|---|---|---|---|---|")
    for fault in ("20 hot pixels", "20 cosmic rays each", "lower third black", "round screen",
                  "fixed pattern 1 %", "noise correlated"):  # fmt: skip
        row(fault, 60, 0.3, seeds, fault, rival=False)
    row("pattern centre off by 2 %", 60, 0.3, seeds, pc=(0.44, 0.23, 0.62), rival=False)


def steel_scan(folder: Path) -> ebsdml.Scan:
    """Ferrite and martensite, real, with its patterns; orientations as they were indexed."""
    import h5py

    scan = ebsdml.read(folder / "dual_phase_steel.ang").crop(slice(0, 15))
    with h5py.File(folder / "dual_phase_steel_rows00-14.h5") as file:
        patterns = file["patterns"][()]
    lazy = da.from_array(patterns, chunks=(5, 29, 60, 60))
    camera = Camera(shape=(60, 60), pc=np.array((0.5017, 0.7189, 0.5342)), convention="tsl", tilt=5)
    return dataclasses.replace(scan, patterns=lazy, camera=camera)


def nickel_scan(folder: Path) -> ebsdml.Scan:
    """Nine patterns of one grain, real; the pattern centre is the one that kikuchipy tells."""
    scan = ebsdml.read(folder / "bruker_layout_ni.h5")
    camera = Camera(shape=(60, 60), pc=np.array((0.421, 0.221, 0.505)))
    return dataclasses.replace(scan, camera=camera)


def compare(scan: ebsdml.Scan) -> None:
    geometry, found = refine_scan(scan)
    print(scan, {name: round(value, 3) for name, value in found.items()})
    template = refine_orientations(scan, detector=geometry)[0]
    better = ebsdml.improve_orientations(scan, geometry)
    print(better.sentence)
    labels = better.grains
    print("| orientations | noise, deg | GND, 1/m2 | total, 1/m2 |\n|---|---|---|---|")
    for name, one in (("indexed", scan), ("template", template), ("improved", better.scan)):
        gnd = ebsdml.gnd_density(one, grains=np.where(one.is_indexed, labels, 0))
        noise = next(iter(gnd.orientation_noise.values()))
        rho = ebsdml.total_dislocation_density(one, grains=np.where(one.is_indexed, labels, 0))
        low, high = rho.average().interval
        print(
            f"| {name} | {noise:.3f} | {gnd.average().sentence} | {low:.2g} to {high:.2g}, "
            f"{'measurable' if rho.average().measurable else 'not told'} |"
        )


def strain() -> None:
    """Rotation that a fit without strain takes 0.1 % of strain for, by the shifts on the screen.

    All places of the screen weigh the same.
    """
    across = (np.linspace(0, 1, 60) - PC[0]) / PC[2]
    down = -(np.linspace(0, 1, 60) - PC[1]) / PC[2]
    x, y = np.meshgrid(across, down)
    rays = np.stack([x, y, np.ones_like(x)], axis=-1).reshape(-1, 3)

    def shift(change: NDArray) -> NDArray:
        moved = rays @ np.asarray(change, dtype=float).T
        return (moved[:, :2] - rays[:, :2] * moved[:, 2:]).ravel()

    turns = np.stack([shift(np.cross(np.eye(3), axis)) for axis in np.eye(3)], axis=1)
    strains = {
        "xx": np.diag([1, -0.5, -0.5]), "yy": np.diag([-0.5, 1, -0.5]),
        "xy": [[0, 1, 0], [1, 0, 0], [0, 0, 0]], "xz": [[0, 0, 1], [0, 0, 0], [1, 0, 0]],
        "yz": [[0, 0, 0], [0, 0, 1], [0, 1, 0]],
    }  # fmt: skip
    for name, one in strains.items():
        found = np.linalg.lstsq(turns, shift(1e-3 * np.asarray(one)), rcond=None)[0]
        print(f"{name}: {np.degrees(np.linalg.norm(found)):.3f} deg")


def time() -> None:
    rng = np.random.default_rng(0)
    _, true = crystals(rng, (20, 40), 0.2, 5.0)
    for side in (60, 120):
        scan = scan_of(counts(clean(true, side), 0.3, rng), true, (20, 40))
        ebsdml.improve_orientations(scan)
        wall, cpu = perf_counter(), process_time()
        ebsdml.improve_orientations(scan)
        wall, cpu = perf_counter() - wall, process_time() - cpu
        print(f"{side} px: {1e3 * wall / 800:.1f} ms a pattern, {1e3 * cpu / 800:.1f} of a core")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["known", "faults", "strain", "time", "steel", "nickel"])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    if given.what in ("steel", "nickel"):
        compare({"steel": steel_scan, "nickel": nickel_scan}[given.what](given.folder))
    elif given.what in ("time", "strain"):
        {"time": time, "strain": strain}[given.what]()
    else:
        {"known": known, "faults": faults}[given.what](given.seeds)
