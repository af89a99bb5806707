"""Master patterns that the tables need beyond the training library's: strangers, other voltages.

    python benchmarks/patterns_masters.py --work FOLDER

Needs the extra ``simulate``. Can be stopped and started again.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

from napari_ebsdml.patterns.crystals.master import simulate_sphere
from napari_ebsdml.patterns.crystals.simulate import simulate_folded
from napari_ebsdml.patterns.crystals.table import STRANGERS, find

VOLTAGE_MATERIALS = ("FeAl", "Ni", "Al", "NbC", "Si", "W", "Fe")
VOLTAGES = (10, 15, 30)


def voltage_file(work: Path, name: str, energy: float) -> Path:
    return work / f"{name}@{energy:g}kV.npy"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--only", nargs="*", help="names of strangers, or 'voltages'")
    options = parser.parse_args()
    torch.set_num_threads(1)
    for structure in STRANGERS:
        path = options.work / f"{structure.name}.npy"
        if path.exists() or (options.only and structure.name not in options.only):
            continue
        start = time.perf_counter()
        np.save(path, simulate_sphere(structure).astype(np.float16))
        print(f"{structure.name}: {time.perf_counter() - start:.0f} s", flush=True)
    if options.only and "voltages" not in options.only:
        return
    for energy in VOLTAGES:
        for name in VOLTAGE_MATERIALS:
            path = voltage_file(options.work, name, energy)
            if not path.exists():
                start = time.perf_counter()
                np.save(path, simulate_folded(find(name), energy))
                print(f"{path.stem}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
