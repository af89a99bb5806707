"""Time reading a large .ctf and .ang map into a `Scan` against orix's readers.

Run ``python benchmarks/read_speed.py [side] [repeats]``; the map has side x side points. Times
are medians of full reads in one process; the first read of ours is shown apart, because it may
compile. Peak memory is that of a fresh process that reads the file once.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ANG_HEADER = """\
# TEM_PIXperUM          1.000000
# x-star                0.500000
# y-star                0.700000
# z-star                0.600000
# WorkingDistance       15.000000
#
# Phase 1
# MaterialName  	Nickel
# Formula     	Ni
# Info
# Symmetry              43
# LatticeConstants      3.520 3.520 3.520  90.000  90.000  90.000
# NumberFamilies        0
#
# GRID: SqrGrid
# XSTEP: 0.250000
# YSTEP: 0.250000
# NCOLS_ODD: {side}
# NCOLS_EVEN: {side}
# NROWS: {side}
#
# OPERATOR:
#
# SAMPLEID:
#
# SCANID:
#
"""
CTF_HEADER = (
    "Channel Text File\nPrj\tbenchmark\nAuthor\t\nJobMode\tGrid\nXCells\t{side}\nYCells\t{side}\n"
    "XStep\t0.25\nYStep\t0.25\nAcqE1\t0\nAcqE2\t0\nAcqE3\t0\n"
    "Euler angles refer to Sample Coordinate system (CS0)!\tMag\t400\tCoverage\t100\tDevice\t0"
    "\tKV\t20\tTiltAngle\t70\tTiltAxis\t0\nPhases\t1\n"
    "3.52;3.52;3.52\t90;90;90\tNickel\t11\t225\t\t\t\n"
    "Phase\tX\tY\tBands\tError\tEuler1\tEuler2\tEuler3\tMAD\tBC\tBS\n"
)
PEAK = """
import resource, sys
from napari_ebsdml import read
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
read(sys.argv[1])
print(before, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def write_maps(folder: Path, side: int) -> tuple[Path, Path]:
    """Random maps in the layouts of EDAX and Oxford, written without this package."""
    rng = np.random.default_rng(0)
    n = side * side
    y, x = (axis.ravel() * 0.25 for axis in np.indices((side, side)))
    euler = rng.uniform(0, (2 * np.pi, np.pi, 2 * np.pi), (n, 3))
    quality = rng.uniform(500, 3000, n)
    ang, ctf = folder / "map.ang", folder / "map.ctf"
    np.savetxt(
        ang,
        np.column_stack([euler, x, y, quality, rng.uniform(0, 1, n), np.zeros(n),
                         rng.integers(0, 99, n), rng.uniform(0.3, 2, n)]),
        fmt="%9.5f %9.5f %9.5f %12.5f %12.5f %6.1f %6.3f %2d %6d %7.3f",
        header=ANG_HEADER.format(side=side), comments="",
    )  # fmt: skip
    np.savetxt(
        ctf,
        np.column_stack([np.ones(n), x, y, rng.integers(5, 11, n), np.zeros(n),
                         np.degrees(euler), rng.uniform(0.2, 1.3, n),
                         rng.integers(0, 256, (n, 2))]),
        fmt="%d\t%.4f\t%.4f\t%d\t%d\t%.4f\t%.4f\t%.4f\t%.4f\t%d\t%d",
        header=CTF_HEADER.format(side=side).rstrip("\n"), comments="",
    )  # fmt: skip
    return ang, ctf


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        call()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("side", type=int, nargs="?", default=1000)
    parser.add_argument("repeats", type=int, nargs="?", default=5)
    arguments = parser.parse_args()
    import orix.io

    from napari_ebsdml import read

    print(f"{'':6}{'MB':>6}{'orix s':>9}{'ours s':>9}{'first s':>9}{'ratio':>8}{'peak MB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for path in write_maps(Path(folder), arguments.side):
            first = seconds(lambda path=path: read(path))
            # Taken in turns, so that a load on the machine hits both.
            times = [
                (
                    seconds(lambda path=path: orix.io.load(path)),
                    seconds(lambda path=path: read(path)),
                )
                for _ in range(arguments.repeats)
            ]
            orix_s, ours_s = (statistics.median(column) for column in zip(*times, strict=True))
            _, peak = map(
                int, subprocess.check_output([sys.executable, "-c", PEAK, str(path)]).split()[-2:]
            )
            print(
                f"{path.suffix:6}{path.stat().st_size / 1e6:6.0f}{orix_s:9.3f}{ours_s:9.3f}"
                f"{first:9.2f}{orix_s / ours_s:8.1f}{peak / 1024:9.0f}"
            )


if __name__ == "__main__":
    main()
