"""Round screens: is the edge found in one pattern, and is none found where there is none?

``python benchmarks/round_screens.py [--number 200] [--seed 0] [--folder FOLDER]``

Single patterns of the library's crystals (60 to 180 pixels a side) behind simulated screens, with
and without a round edge, and what lies outside it: dark with the camera's noise, grey, or a halo
that falls off outwards. FOLDER holds measured images (``single``, ``public``) and the measured
steel.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from napari_ebsdml.patterns.crystals.library import Library
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.frame.round_screen import inside_circle
from napari_ebsdml.patterns.simulated.screen import expose
from napari_ebsdml.patterns.simulated.synthetic import project_bands, random_quaternions
from patterns_common import show

OUTSIDE = ("dark, noisy", "grey, noisy", "halo")


def corners(kind: str, image: NDArray, radius: NDArray, rng: np.random.Generator) -> NDArray:
    """Counts outside a round screen; `radius` in its own."""
    noise = rng.normal(0, rng.uniform(0.5, 3), image.shape)
    if kind == "dark, noisy":
        return np.maximum(rng.uniform(0, 0.3) * np.median(image) + noise, 0)
    if kind == "grey, noisy":
        return rng.uniform(0.3, 0.8) * np.median(image) + noise
    fall = np.exp(-(np.maximum(radius - 1, 0)) / rng.uniform(0.1, 0.4))
    return rng.uniform(0.8, 1.4) * np.median(image) * fall + noise


def made(library: Library, rng: np.random.Generator) -> NDArray:
    """One pattern as a camera counts it."""
    size = int(rng.integers(60, 181))
    wide = int(size * rng.uniform(1, 1.35))
    centre = rng.uniform((0.4, 0.1, 0.45), (0.6, 0.6, 0.85))
    camera = Geometry.from_angles(centre, (size, wide), 70, 5)
    which = rng.integers(0, len(library.masters), 1)
    clean = project_bands(library.masters, which, random_quaternions(rng, 1), camera)
    return expose(clean, rng, (0.3, 1.5), 0.5)[0].astype(np.float32)


def behind(image: NDArray, kind: str, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """The pattern behind a round screen, and which pixels see it."""
    rows, columns = image.shape
    side = min(rows, columns)
    radius = side * rng.uniform(0.47, 0.56)
    row = rows / 2 + side * rng.uniform(-0.04, 0.04)
    column = columns / 2 + side * rng.uniform(-0.04, 0.04)
    y, x = np.indices(image.shape)
    distance = np.hypot(y - row, x - column) / radius
    inside = distance <= 1
    return np.where(inside, image, corners(kind, image, distance, rng)), inside


def simulated(number: int, seed: int) -> None:
    library, rng = Library.load(), np.random.default_rng(seed)
    rows = []
    for kind in ("none", *OUTSIDE):
        found, outside, kept, seconds = 0, [], [], time.process_time()
        for _ in range(number):
            image = made(library, rng)
            truth = np.ones(image.shape, bool)
            if kind != "none":
                image, truth = behind(image, kind, rng)
            mask = inside_circle(image)
            found += mask is not None
            if mask is not None:
                kept.append(mask[truth].mean())
                if kind != "none":
                    outside.append(mask[~truth].mean())
        spent = (time.process_time() - seconds) / number
        rows.append((kind, number, f"{100 * found / number:.1f}",
                     f"{100 * np.mean(kept):.1f}" if kept else "-",
                     f"{100 * np.mean(outside):.1f}" if outside else "-",
                     f"{1000 * spent:.0f}"))  # fmt: skip
    show(f"Simulated, seed {seed}", rows,
         ("outside", "n", "edge found %", "of the screen kept %", "of outside kept %",
          "processor ms"))  # fmt: skip


def measured(folder: Path) -> None:
    rows = []
    for path in sorted((*(folder / "public").iterdir(), *(folder / "single").iterdir())):
        if path.suffix != ".md":
            mask = inside_circle(np.asarray(Image.open(path).convert("F")))
            rows.append((path.name, "none" if mask is None else f"{100 * mask.mean():.1f}"))
    with h5py.File(folder / "dual_phase_steel_rows00-14.h5") as file:
        steel = file["patterns"][()].reshape(-1, 60, 60).astype(np.float32)
    found = sum(inside_circle(image) is not None for image in steel)
    rows.append(("steel, 60 x 60, full screen", f"{found} of {len(steel)} have an edge"))
    show("Measured", rows, ("image", "inside the edge %"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    simulated(given.number, given.seed)
    if given.folder:
        measured(given.folder)


if __name__ == "__main__":
    main()
