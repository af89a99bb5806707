"""Time the feature maps, and what orix takes for the same, in one run.

    python benchmarks/feature_maps.py [--size 1000] [--large 2000] [--no-orix]

The map: cubic grains from random seeds, half a degree of noise within a grain, a random
symmetry variant at every pixel (the worst case for shortcuts), and 2 % not indexed. Compile
times are those of a first call on a small map; 0.0 when numba finds its cache.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Callable

import numpy as np
from orix.crystal_map import Phase, PhaseList
from orix.quaternion import Orientation, Rotation

from napari_ebsdml import maps
from napari_ebsdml.scan import Scan


def make_map(size: int, scrambled: bool = True) -> Scan:
    rng = np.random.default_rng(0)
    grain = 40
    cells = -(-size // grain)
    seeds = Rotation.random((cells, cells)).data
    q = np.repeat(np.repeat(seeds, grain, 0), grain, 1)[:size, :size]
    noise = np.concatenate(
        (np.ones((size, size, 1)), rng.normal(0, np.deg2rad(0.25), (size, size, 3))), axis=-1
    )
    q = maps.disorientation.product.py_func(*np.moveaxis(noise, -1, 0), *np.moveaxis(q, -1, 0))
    if scrambled:
        operators = maps.laue_operators("m-3m")
        chosen = operators[rng.integers(24, size=(size, size))]
        q = maps.disorientation.product.py_func(*np.moveaxis(chosen, -1, 0), *q)
    q = np.stack(q, axis=-1)
    q /= np.linalg.norm(q, axis=-1, keepdims=True)
    phase_id = np.where(rng.random((size, size)) < 0.02, -1, 0)
    q[phase_id < 0] = 0
    phases = PhaseList([Phase("iron", point_group="m-3m")])
    return Scan(quaternions=q, phase_id=phase_id, phases=phases, step=(0.1, 0.1))


def jobs(scan: Scan, labels: np.ndarray) -> dict[str, Callable[[], object]]:
    return {
        "ipf_colors": lambda: maps.ipf_colors(scan),
        "kam, order 1": lambda: maps.kam(scan),
        "segment_grains": lambda: maps.segment_grains(scan),
        "misorientation_map": lambda: maps.misorientation_map(scan),
        "boundary_map": lambda: maps.boundary_map(scan),
        "homogenise": lambda: maps.homogenise(scan, labels),
        "grod": lambda: maps.grod(scan, labels),
        "grain_table": lambda: maps.grain_table(scan, labels),
    }


def orix_ipf(scan: Scan) -> np.ndarray:
    from orix.plot import IPFColorKeyTSL

    q = Orientation(scan.quaternions[scan.is_indexed], symmetry=scan.phases[0].point_group)
    return IPFColorKeyTSL(q.symmetry).orientation2color(q)


def orix_pairs(scan: Scan, offsets: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Neighbour angles with `angle_with`; every pair once, nothing else that KAM needs."""
    angles = []
    for dy, dx in offsets:
        rows, columns = scan.shape
        a = (slice(0, rows - dy), slice(max(0, -dx), columns - max(0, dx)))
        b = (slice(dy, rows), slice(max(0, dx), columns + min(0, dx)))
        both = scan.is_indexed[a] & scan.is_indexed[b]
        group = scan.phases[0].point_group
        first = Orientation(scan.quaternions[a][both], symmetry=group)
        second = Orientation(scan.quaternions[b][both], symmetry=group)
        angles.append(first.angle_with(second, degrees=True))
    return np.concatenate(angles)


def seconds(work: Callable[[], object], repeats: int = 1) -> float:
    best = np.inf
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=1000, help="rows and columns")
    parser.add_argument("--large", type=int, default=0, help="time once more at this size")
    parser.add_argument("--no-orix", action="store_true", help="leave the comparison out")
    arguments = parser.parse_args()

    small = make_map(50)
    first = {name: seconds(job) for name, job in jobs(small, maps.segment_grains(small)).items()}
    orix: dict[str, float] = {}
    for size, compare in ((arguments.size, not arguments.no_orix), (arguments.large, False)):
        if not size:
            continue
        scan = make_map(size)
        labels = maps.segment_grains(scan)
        if compare:
            orix_ipf(small)
            orix["ipf_colors"] = seconds(lambda: orix_ipf(scan))  # noqa: B023
            orix["segment_grains"] = seconds(lambda: orix_pairs(scan, ((0, 1), (1, 0))))  # noqa: B023
            orix["misorientation_map"] = orix["segment_grains"]
            four = ((0, 1), (1, 0), (1, 1), (1, -1))
            orix["kam, order 1"] = seconds(lambda: orix_pairs(scan, four))  # noqa: B023
        print(
            f"\n{size} x {size} pixels, {labels.max()} grains, {scan.is_indexed.mean():.0%} indexed"
        )
        print(f"{'':20}{'first call':>11}{'time':>9}{'Mpx/s':>8}{'orix':>9}{'ratio':>8}")
        for name, job in jobs(scan, labels).items():
            t = seconds(job, 3)
            line = f"{name:20}{first[name]:9.2f} s{t:7.3f} s{size * size / t / 1e6:8.1f}"
            if compare and name in orix:
                line += f"{orix[name]:7.2f} s{orix[name] / t:8.0f}"
            print(line, flush=True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(f"peak memory of the process so far: {peak:.0f} MiB; the map itself "
              f"{scan.quaternions.nbytes / 2**20:.0f} MiB")  # fmt: skip


if __name__ == "__main__":
    main()
