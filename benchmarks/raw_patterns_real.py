"""The shipped raw-pattern network on measured patterns, and its speed.

No measured pattern is in its training, but the simulated screens were changed after a look at
these.

python benchmarks/raw_patterns_real.py [--model FILE] [--data FOLDER]

Without a folder, the nickel patterns alone, which come with kikuchipy.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import napari_ebsdml as ebsdml
from napari_ebsdml.patterns.raw import RawClassifier

SINGLES = (("BCC_steel", 229), ("FCC_steel", 225), ("Si_BAM", 227))
NICKEL = (
    "kikuchipy_h5ebsd/patterns.h5", "edax_h5ebsd/patterns.h5", "edax_binary/edax_binary.up1",
    "edax_binary/edax_binary.up2", "oxford_binary/patterns.ebsp", "nordif/Pattern.dat",
)  # fmt: skip
FAMILY = {225: "fcc", 229: "bcc", 227: "diamond"}


def report(name: str, result, truth: int) -> None:
    right = result.space_group == truth
    also = np.array([truth in other for other in result.ambiguous_with.ravel()])
    groups, counts = np.unique(result.space_group, return_counts=True)
    tally = ", ".join(f"{g}: {n}" for g, n in zip(groups, counts, strict=True))
    print(
        f"{name} | {right.size} | {truth} | {100 * right.mean():.1f} | "
        f"{100 * (right.ravel() | also).mean():.1f} | "
        f"{100 * (result.family == FAMILY[truth]).mean():.1f} | "
        f"{100 * result.is_known.mean():.1f} | {tally}",
        flush=True,
    )


def others(model: RawClassifier, folder: Path) -> None:
    """What nothing fetches: single patterns, and the dual-phase steel."""
    for path in sorted((folder / "single").glob("*")):
        for start, truth in SINGLES:
            if path.name.startswith(start):
                image = np.asarray(ebsdml.read(path).patterns)[0, 0]
                report(path.name, model.predict(image[None]), truth)
    import h5py

    with h5py.File(folder / "dual_phase_steel_rows00-14.h5") as file:
        steel = file["patterns"][()]
    result = model.predict(steel)
    report("steel, dual phase", result, 229)
    mean = result.probabilities.reshape(-1, len(model.space_groups)).mean(axis=0)
    print(
        "steel, all averaged:", dict(zip(model.space_groups, mean.round(3).tolist(), strict=True))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="raw")
    parser.add_argument("--data", type=Path, help="folder of the rest (docs/measurements/data.md)")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = RawClassifier.load(options.model)
    print("data | n | truth | right % | right or ambiguous % | family % | known % | answers")
    import kikuchipy

    data = Path(kikuchipy.__file__).parent / "data"
    for name in NICKEL:
        if (data / name).exists():
            patterns = np.asarray(ebsdml.read(data / name).patterns)
            report(f"Ni {name}", model.predict(patterns), 225)
    if options.data is not None:
        others(model, options.data / "patterns")
    noise = np.random.default_rng(0).integers(90, 160, (500, 60, 60), dtype=np.uint8)
    print("noise called unknown:", 100 * (1 - model.predict(noise).is_known.mean()))
    many = np.tile(noise, (6, 1, 1))
    wall, cpu = time.perf_counter(), time.process_time()
    model.predict(many)
    print(f"speed: {3000 / (time.perf_counter() - wall):.0f} patterns/s of 60 x 60 by the clock, "
          f"{3000 / (time.process_time() - cpu):.0f} per second of processor time; "
          f"{options.threads} thread")  # fmt: skip


if __name__ == "__main__":
    main()
