"""The tail of rotations against the density of simulated structures, and beside the network.

python benchmarks/tail_density.py [--seed 2]

Nine sections of a box of 96^3 voxels of each class and density; a voxel is 50 nm, the simulation
blurs about 0.7 of one. The estimator's limits were chosen on seed 1.
"""

from __future__ import annotations

import argparse

import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml.dislocations import tail_density
from napari_ebsdml.dislocations.structures.generate import KINDS, random_structure
from napari_ebsdml.dislocations.structures.sections import section
from napari_ebsdml.dislocations.structures.simulated_scan import simulated_scan

VOXEL, BURGERS = 0.05, 2.492e-10
DENSITIES = (0.003, 0.02, 0.1)
"""Lines per voxel area: 1.2e12, 8e12, 4e13 1/m2."""


def main(seed: int) -> None:
    print(
        "| class | lines per voxel | step, nm | noise, deg | tail / true | covers | net / true | "
        "covers |\n|---|---|---|---|---|---|---|---|"
    )
    kept = []
    for name in KINDS:
        for lines in DENSITIES:
            random = np.random.default_rng([seed, 15])
            field = random_structure(random, 96, [name], lines, "fcc").field
            parts = [section(field, axis, at) for axis in range(3) for at in (10, 42, 74)]
            rows = [np.concatenate([p.rotation for p in parts[i : i + 3]], 1) for i in (0, 3, 6)]
            rotation = np.concatenate(rows)
            labels = np.kron(np.arange(1, 10).reshape(3, 3), np.ones((96, 96), int))
            true = float(np.mean([p.density.mean() for p in parts])) / (VOXEL * 1e-6) ** 2
            unit = BURGERS / (VOXEL * 1e-6)
            for stride, sigma in ((1, 0.002), (3, 0.002), (1, 0.006)):
                noise = float(np.degrees(sigma * unit))
                turn = rotation[::stride, ::stride].astype(float) * unit
                scan = simulated_scan(turn, VOXEL * stride, "fcc", noise, seed)
                rho = ebsdml.total_dislocation_density(
                    scan, noise, grains=labels[::stride, ::stride]
                )
                tail, net = tail_density(rho, 0.7 * VOXEL), rho.average()
                covers = [low <= true <= high for low, high in (tail.interval, net.interval)]
                kept.append((tail.density / true, covers[0], net.density / true, covers[1]))
                shown = "-" if not tail.measurable else f"{tail.density / true:.2f}"
                other = "-" if not net.measurable else f"{net.density / true:.2f}"
                print(
                    f"| {name} | {lines} | {1e3 * VOXEL * stride:.0f} | {noise:.5f} | {shown} | "
                    f"{covers[0]} | {other} | {covers[1]} |", flush=True,
                )  # fmt: skip
    table = np.array(kept, dtype=float)
    for name, ratio, covers in (("tail", 0, 1), ("network", 2, 3)):
        told = np.isfinite(table[:, ratio])
        away = np.log10(table[told, ratio])
        print(
            f"{name}: {told.sum()} of {len(table)} answered, RMS {np.sqrt((away**2).mean()):.2f} "
            f"decades, bias {away.mean():+.2f}, within a factor 2 "
            f"{100 * (np.abs(away) < np.log10(2)).mean():.0f} %, interval covers "
            f"{100 * table[told, covers].mean():.0f} %"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=2)
    main(parser.parse_args().seed)
