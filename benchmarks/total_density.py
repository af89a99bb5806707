"""Total density from orientations: measured maps, and the time of a large one.

python benchmarks/total_density.py maps FILE ... [--strides 1 2 3]
python benchmarks/total_density.py time [--side 1000]

Figures on classes left out are made by the training, `ebsdml dev train-total-density`, and lie in
the model card.
"""

from __future__ import annotations

import argparse
import dataclasses
import resource
from time import perf_counter

import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml.dislocations.structures.generate import random_structure
from napari_ebsdml.dislocations.structures.sections import section
from napari_ebsdml.dislocations.structures.simulated_scan import simulated_scan


def every(scan: ebsdml.Scan, stride: int) -> ebsdml.Scan:
    """Every n-th pixel of a map, both ways."""
    part = (slice(None, None, stride), slice(None, None, stride))
    return dataclasses.replace(
        scan,
        quaternions=np.ascontiguousarray(scan.quaternions[part]),
        phase_id=np.ascontiguousarray(scan.phase_id[part]),
        step=(scan.step[0] * stride, scan.step[1] * stride),
        prop={},
        patterns=None,
    )


def maps(files: list[str], strides: list[int]) -> None:
    print("| map | step, um | noise, deg | windows | low | high | measurable | limit |")
    print("|---|---|---|---|---|---|---|---|")
    for path in files:
        try:
            scan = ebsdml.read(path)
        except ebsdml.EbsdmlError as error:
            print(f"| {path} | | | | {error} | | | |")
            continue
        noise = None
        for stride in strides:
            part = every(scan, stride) if stride > 1 else scan
            try:
                rho = ebsdml.total_dislocation_density(part, noise)
            except ebsdml.EbsdmlError as error:
                print(f"| {scan.name} | {part.step[1]:.3g} | | | {error} | | | |")
                continue
            # The full map measures the noise; its parts have the same.
            noise = noise or {n: s for n, s in rho.orientation_noise.items() if s > 0} or None
            a = rho.average()
            sigma = ", ".join(f"{s:.3f}" for s in rho.orientation_noise.values())
            print(
                f"| {scan.name} | {part.step[1]:.3g} | {sigma} | {a.windows} | "
                f"{a.interval[0]:.2g} | {a.interval[1]:.2g} | {a.measurable} | {a.limit:.2g} |"
            )


def time(side: int) -> None:
    field = random_structure(np.random.default_rng(0), 64, ["loops"], 0.5, "fcc").field
    tile = section(field, 2, 0).rotation
    repeats = -(-side // 64)
    turn = np.tile(tile, (repeats, repeats, 1))[:side, :side] * 2.5e-10 / 1e-7
    scan = simulated_scan(turn, 0.1, "fcc", 0.05)
    ebsdml.total_dislocation_density(scan)  # compiles
    start = perf_counter()
    rho = ebsdml.total_dislocation_density(scan)
    seconds = perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{side} x {side}: {seconds:.1f} s, {len(rho.windows)} windows, {peak:.1f} GiB at most")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("maps")
    one.add_argument("files", nargs="+")
    one.add_argument("--strides", nargs="+", type=int, default=[1, 2, 3])
    two = commands.add_parser("time")
    two.add_argument("--side", type=int, default=1000)
    given = parser.parse_args()
    if given.command == "maps":
        maps(given.files, given.strides)
    else:
        time(given.side)
