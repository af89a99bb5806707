"""Speed of the GND fit against scipy's HiGHS in the same run.

    python benchmarks/gnd_speed.py [--pixels 200000] [--highs 200] [--map FILE] [--whole FILE]

The problems are those of a bent crystal with orientation noise, or of a map given by --map.
Prints pixels per second of wall time and of CPU time, and the largest relative difference of
the optimum from HiGHS. With --whole also the CPU time of all of `gnd_density` on a map, the least
of six. Compilation is not counted. Two versions compare by PYTHONPATH, one after the other.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
from scipy.optimize import linprog
from scipy.spatial.transform import Rotation

from napari_ebsdml._parallel import available_cores
from napari_ebsdml.dislocations.gnd.curvature import lattice_curvature
from napari_ebsdml.dislocations.gnd.density import fit_slip_systems
from napari_ebsdml.dislocations.slip_systems import SlipSystems, for_lattice

LATTICES = (("fcc", 3.52, None), ("bcc", 2.87, None), ("hcp", 3.21, 5.21))


def bent_crystal(pixels: int) -> tuple[np.ndarray, np.ndarray]:
    side = max(4, round(pixels**0.5))
    y, x = np.indices((side, side)) * 1.0
    turn = 0.1 * np.stack((np.sin(x / 30), np.cos(y / 50), np.sin((x + y) / 40)), axis=-1)
    turn += np.random.default_rng(0).standard_normal(turn.shape) * np.radians(0.1)
    start = Rotation.from_euler("ZXZ", (33, 47, 71), degrees=True)
    q = (Rotation.from_rotvec(turn.reshape(-1, 3)) * start).as_quat(scalar_first=True)
    q = q.reshape(side, side, 4)
    return lattice_curvature(q, np.ones((side, side), int), (1.0, 1.0)), q


def from_map(path: str, pixels: int) -> tuple[np.ndarray, np.ndarray]:
    import napari_ebsdml as ebsdml
    from napari_ebsdml.maps.grains import segment_grains

    scan = ebsdml.read(path)
    q = scan.quaternions * np.array([1, -1, -1, -1])
    kappa = lattice_curvature(q, segment_grains(scan), scan.step)
    copies = max(1, round(pixels / scan.phase_id.size))
    return np.concatenate([kappa] * copies), np.concatenate([q] * copies)


def highs(systems: SlipSystems, q: np.ndarray, kappa: np.ndarray) -> float:
    turn = Rotation.from_quat(q, scalar_first=True).as_matrix()
    tensors = np.einsum("ij,sj,kl,sl->sik", turn, systems.lines, turn, systems.burgers)
    tensors -= np.trace(tensors, axis1=1, axis2=2)[:, None, None] / 2 * np.eye(3)
    matrix = tensors[:, :, :2].reshape(len(systems), 6).T
    size = np.abs(kappa[:, :2]).max()
    costs = np.tile(systems.energies, 2)
    right = kappa[:, :2].ravel() / size
    return float(linprog(costs, A_eq=np.hstack((matrix, -matrix)), b_eq=right).fun * size * 1e16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pixels", type=int, default=200_000)
    parser.add_argument("--highs", type=int, default=200)
    parser.add_argument("--map")
    parser.add_argument("--whole")
    arguments = parser.parse_args()
    n = arguments.pixels
    kappa, q = from_map(arguments.map, n) if arguments.map else bent_crystal(n)
    known = np.argwhere(np.isfinite(kappa[..., 0, 0]) & (np.abs(kappa[..., 0, 0]) > 1e-9))
    some = known[np.random.default_rng(1).integers(len(known), size=arguments.highs)]
    print(f"{kappa[..., 0, 0].size} pixels, {available_cores()} cores")
    print("lattice norm      px/s    px/CPU-s   HiGHS px/s   max difference")
    for lattice, a, c in LATTICES:
        systems = for_lattice(lattice, a, c)
        start = time.perf_counter()
        optima = [highs(systems, q[tuple(i)], kappa[tuple(i)]) for i in some]
        slow = len(some) / (time.perf_counter() - start)
        for norm in ("l1", "l2"):
            fit_slip_systems(kappa[:2], q[:2], systems, norm)
            wall, cpu = time.perf_counter(), time.process_time()
            fit = fit_slip_systems(kappa, q, systems, norm)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            n = fit.total.size
            text = f"{lattice:7s} {norm:4s} {n / wall:9.0f}  {n / cpu:9.0f}"
            if norm == "l1":
                ours = fit.energy[tuple(some.T)]
                error = np.max(np.abs(ours / optima - 1))
                text += f"   {slow:9.0f}      {error:.1e}"
            print(text)
    if arguments.whole:
        import napari_ebsdml as ebsdml

        scan, times = ebsdml.read(arguments.whole), []
        for _ in range(7):
            cpu = time.process_time()
            ebsdml.gnd_density(scan)
            times.append(time.process_time() - cpu)
        print(f"gnd_density of {scan.phase_id.size} pixels: {min(times[1:]):.3f} CPU s")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")


if __name__ == "__main__":
    main()
