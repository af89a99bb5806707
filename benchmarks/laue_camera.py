"""Laue groups and pattern centres of patterns of which nothing is known, camera included.

``python benchmarks/laue_camera.py --masters FOLDER [--every 2] [--patterns 1] [--shared FOLDER]``

Dynamically simulated crystals (120 pixels, noise 0.3 to 1 times the bands, seed 4); nothing was
chosen on them. ``--shared`` holds the measured steel, whose pattern centre is known; nickel comes
with kikuchipy.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from laue_crystals import dynamical, patterns
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.symmetry.groups import SYSTEMS
from napari_ebsdml.patterns.symmetry.laue import laue_group
from patterns_common import show

SIZE = 120
HEAD = ("patterns", "true", "told", "p", "set", "in set", "centre told", "centre true", "seconds")


def row(name: str, group: str, images: np.ndarray, true: tuple[float, ...]) -> tuple:
    start = time.process_time()
    result = laue_group(images)
    took = time.process_time() - start
    told = ", ".join(f"{v:.3f}" for v in result.camera.centre or ())
    line = (
        name, group, result.best or "none", f"{result.probability:.2f}",
        " ".join(sorted(result.group)), group in result.group, told,
        ", ".join(f"{v:.3f}" for v in true), f"{took:.1f}",
    )  # fmt: skip
    print(*line, sep=" | ", flush=True)
    return line


def simulated(masters: Path, every: int, number: int) -> list[tuple]:
    rows = []
    for at, (name, group, master) in enumerate(dynamical(masters)):
        if at % every:
            continue
        rng = np.random.default_rng([4, at])
        noise = float(np.exp(rng.uniform(np.log(0.3), 0.0)))
        images, true, _ = patterns(master, number, SIZE, noise, 0.0, rng)
        x0, x1, y0, y1 = true.bounds[0]
        centre = (-x0 / (x1 - x0), y1 / (y1 - y0), 1 / (y1 - y0))
        rows.append(row(name, group, images, centre))
    return rows


def measured(folder: Path) -> list[tuple]:
    import h5py
    import kikuchipy

    with h5py.File(folder / "dual_phase_steel_rows00-14.h5") as file:
        images = file["patterns"][()].reshape(-1, 60, 60)
        confidence = file["ang"][()].reshape(-1, 10)[:, 6]
    images = images[confidence > 0.3]
    rng = np.random.default_rng(0)
    rows = [
        row(f"steel, {n} (draw {k})", "m-3m", images[rng.permutation(len(images))[:n]],
            (0.5017, 1 - 0.7189, 0.5342))
        for n in (1, 5, 10) for k in range(3)
    ]  # fmt: skip
    nickel = kikuchipy.data.nickel_ebsd_small()
    x0, x1, y0, y1 = Geometry.of(nickel.detector).bounds[0]
    centre = (-x0 / (x1 - x0), y1 / (y1 - y0), 1 / (y1 - y0))
    rows.append(row("nickel, 9", "m-3m", nickel.data.reshape(-1, 60, 60), centre))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--masters", type=Path, default=Path("masters"))
    parser.add_argument("--every", type=int, default=2)
    parser.add_argument("--patterns", type=int, default=1)
    parser.add_argument("--shared", type=Path)
    given = parser.parse_args()
    if given.every:
        rows = simulated(given.masters, given.every, given.patterns)
        right = sum(one[1] == one[2] for one in rows)
        system = sum(one[2] != "none" and SYSTEMS[one[1]] == SYSTEMS[one[2]] for one in rows)
        none = sum(one[2] == "none" for one in rows)
        sure = np.mean([float(one[3]) for one in rows if one[2] != "none"])
        show("Nothing known, simulated", rows, HEAD)
        print(
            f"{len(rows)}: group right {right}, system right {system}, no answer {none}, in the "
            f"set {sum(one[5] for one in rows)}; mean p of answers {sure:.2f}"
        )
    if given.shared is not None:
        show("Nothing known, measured", measured(given.shared), HEAD)


if __name__ == "__main__":
    main()
