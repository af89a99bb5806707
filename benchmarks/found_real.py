"""Phases, lattice and pattern centre of measured maps of which nothing is told.

``python benchmarks/found_real.py FOLDER [--only steel] [--singles]``

FOLDER holds the measured steel (15 rows of a map of 60 x 60 pixel patterns, and its .ang); the
bundled nickel has nine patterns. Neither phases nor orientations nor the pattern centre of the
files are used; the tilt of the screen is told, for orientations alone. ``--singles`` adds the
single images of FOLDER/public and FOLDER/single.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
import time
from pathlib import Path

import dask.array as da
import h5py
import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml.camera import Camera
from napari_ebsdml.maps import disorientation_angle
from napari_ebsdml.patterns.frame.geometry import Geometry
from patterns_common import show


def steel(folder: Path) -> tuple[ebsdml.Scan, tuple[float, float, float]]:
    scan = ebsdml.read(folder / "dual_phase_steel.ang").crop(slice(0, 15))
    with h5py.File(folder / "dual_phase_steel_rows00-14.h5") as file:
        patterns = da.from_array(file["patterns"][()], chunks=(5, -1, 60, 60))
    camera = Camera(shape=(60, 60), pc=None, sample_tilt=70.0, tilt=5.0)
    return dataclasses.replace(scan, patterns=patterns, camera=camera), (0.5017, 0.2811, 0.5342)


def nickel() -> tuple[ebsdml.Scan, tuple[float, float, float]]:
    scan = ebsdml.read(ebsdml.samples.fetch("nickel_patterns"))
    x0, x1, y0, y1 = Geometry.of(scan.camera).bounds[0]
    camera = Camera(shape=(60, 60), pc=None, sample_tilt=70.0, tilt=scan.camera.tilt)
    centre = (-x0 / (x1 - x0), y1 / (y1 - y0), 1 / (y1 - y0))
    return dataclasses.replace(scan, camera=camera), centre


def row(name: str, scan: ebsdml.Scan, centre: tuple[float, float, float]) -> tuple:
    start = time.process_time()
    found = ebsdml.find_phases(scan)
    took = time.process_time() - start
    print(f"{name}: {found.sentence}\n", flush=True)
    told = found.camera.centre or (np.nan,) * 3
    ids = found.scan.phase_id
    near = []
    for k, one in enumerate(found.clusters):
        mine = (ids == k) & scan.is_indexed
        if one.laue.best == "m-3m" and mine.any():
            q = scan.quaternions[mine], found.scan.quaternions[mine]
            near.append(disorientation_angle(*q, scan.phases[int(scan.phase_id[mine][0])]))
    angles = np.concatenate(near) if near else np.array([np.nan])
    return (
        name, ids.size, len(found.clusters),
        "; ".join(f"{c.laue.best} {100 * c.laue.probability:.0f} %" for c in found.clusters),
        "; ".join(c.lattice.sentence if c.lattice else "none" for c in found.clusters),
        ", ".join(f"{c.share:.3f}" for c in found.clusters), f"{100 * (ids < 0).mean():.1f}",
        ", ".join(f"{v:.3f}" for v in told), ", ".join(f"{v:.3f}" for v in centre),
        f"{np.median(angles):.1f}", f"{100 * (angles < 3).mean():.0f}", f"{took:.0f}",
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f}",
    )  # fmt: skip


HEAD = ("map", "patterns", "phases", "told", "lattices", "shares", "fits none %", "centre told",
        "centre of the file", "median deg. from the file", "below 3 deg. %", "processor s",
        "MB")  # fmt: skip


def singles(folder: Path) -> list[tuple]:
    from PIL import Image

    rows = []
    for path in sorted((*(folder / "public").iterdir(), *(folder / "single").iterdir())):
        if path.suffix == ".md":
            continue
        image = np.asarray(Image.open(path).convert("F"))
        start = time.process_time()
        result = ebsdml.laue_group(image)
        rows.append((
            path.name, "x".join(map(str, image.shape)), result.best or "none",
            f"{100 * result.probability:.0f}", " ".join(sorted(result.group)),
            ", ".join(f"{v:.3f}" for v in result.camera.centre or ()),
            f"{time.process_time() - start:.0f}",
        ))  # fmt: skip
        print(*rows[-1], sep=" | ", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=("steel", "nickel"))
    parser.add_argument("--singles", action="store_true")
    given = parser.parse_args()
    maps = {"steel": lambda: steel(given.folder), "nickel": nickel}
    rows = [row(name, *made()) for name, made in maps.items() if given.only in (None, name)]
    show("Measured maps", rows, HEAD)
    if given.singles:
        show("Single images", singles(given.folder),
             ("image", "pixels", "told", "p %", "set", "centre", "processor s"))  # fmt: skip


if __name__ == "__main__":
    main()
