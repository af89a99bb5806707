"""Faulty screens on measured patterns: are they left out, told, and is the answer still right?

    python benchmarks/patterns_faults.py FOLDER [MODEL]

FOLDER holds dual_phase_steel.ang and dual_phase_steel_rows00-14.h5 (435 patterns of 60 x 60 of bcc
steel). The faults are put into these patterns; right is space group 229, of the pixels with CI
above 0.3.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dask.array as da
import h5py
import numpy as np
import torch
from kikuchipy.detectors import EBSDDetector

from napari_ebsdml import read
from napari_ebsdml.patterns import SpaceGroupClassifier

FULL = 255
Fault = Callable[[np.ndarray], None]
"""Changes (n, 60, 60) patterns in place."""


def pixels(number: int, value: float) -> Fault:
    """The same pixels in all patterns."""

    def change(stack: np.ndarray) -> None:
        at = np.random.default_rng(1).choice(3600, number, replace=False)
        stack.reshape(len(stack), -1)[:, at] = value * FULL

    return change


def spikes(stack: np.ndarray) -> None:
    """Five pixels of 20 x full scale, others in each pattern, as of cosmic rays."""
    rng = np.random.default_rng(2)
    for pattern in stack.reshape(len(stack), -1):
        pattern[rng.choice(3600, 5, replace=False)] = 20 * FULL


def factor(rows: slice, columns: slice, by: float) -> Fault:
    """A part of the screen that gets less light."""

    def change(stack: np.ndarray) -> None:
        stack[:, rows, columns] *= by

    return change


def soft(stack: np.ndarray) -> None:
    """A shadow whose edge is four pixels wide."""
    light = np.ones(60)
    light[:9], light[9:13] = 0.3, np.linspace(0.3, 1, 4)
    stack *= light[:, None]


ALL = slice(None)
FAULTS: dict[str, Fault] = {
    "as they are": lambda stack: None,
    "5 hot pixels of 20 x full scale": pixels(5, 20), "20 of them": pixels(20, 20),
    "60 of them": pixels(60, 20), "20 of twice full scale": pixels(20, 2),
    "20 saturated": pixels(20, 1), "20 dead": pixels(20, 0),
    "5 spikes of 20 x, elsewhere in each pattern": spikes,
    "lower half black": factor(slice(30, 60), ALL, 0),
    "right half black": factor(ALL, slice(30, 60), 0),
    "upper fifth x 0.3": factor(slice(12), ALL, 0.3),
    "upper fifth x 0.6": factor(slice(12), ALL, 0.6),
    "upper fifth x 0.3, soft edge": soft, "left third x 0.5": factor(ALL, slice(20), 0.5),
}  # fmt: skip


def rows(folder: Path, model: str) -> Iterator[str]:
    """A line a fault."""
    classifier = SpaceGroupClassifier.load(model)
    scan = read(folder / "dual_phase_steel.ang").crop(slice(0, 15))
    with h5py.File(folder / "dual_phase_steel_rows00-14.h5") as file:
        measured = file["patterns"][()].astype(np.float32)
    camera = EBSDDetector(
        shape=(60, 60), pc=(0.5017, 0.7189, 0.5342), convention="tsl", sample_tilt=70, tilt=5
    )
    good = scan.get("CI") > 0.3
    for name, fault in FAULTS.items():
        patterns = measured.copy()
        fault(patterns.reshape(-1, 60, 60))
        lazy = da.from_array(patterns, chunks=(5, 29, 60, 60))
        result = classifier.predict_scan(
            dataclasses.replace(scan, patterns=lazy, camera=None), detector=camera
        )
        right = 100 * (result.space_group[good] == 229).mean()
        known = 100 * result.is_known[good].mean()
        yield f"{name:44s}{right:7.1f}{known:7.1f}  {' '.join(result.warnings)}"


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"{'fault':44s}{'right':>7s}{'known':>7s} %, and what is told")
    for line in rows(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "default"):
        print(line, flush=True)
