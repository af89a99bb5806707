"""Processes that compile orix's ufuncs at the same moment: does the cache they leave work?

    python benchmarks/compile_at_once.py [--trials 12] [--processes 3] [--no-turns]

Each trial begins with a cache of numba without two of the ufuncs, which all processes then call at
once; one more process loads what they left. With --no-turns they do not wait for each other.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CALLS = """
import contextlib, sys, time
from pathlib import Path
import numpy as np
from napari_ebsdml import _orix
if sys.argv[3] == "no turns":
    _orix._one_process = contextlib.nullcontext
_orix.prepare_orix()
from orix.quaternion.quaternion import qu_conj_gufunc, qu_rotate_vec_gufunc
Path(sys.argv[1]).touch()
while not Path(sys.argv[2]).exists():
    time.sleep(0.001)
out, vector = np.empty(4), np.empty(3)
qu_conj_gufunc(np.array([1.0, 2, 3, 4]), out)
qu_rotate_vec_gufunc(np.array([1.0, 0, 0, 0]), np.array([1.0, 2, 3]), vector)
assert (out == [1, -2, -3, -4]).all() and (vector == [1, 2, 3]).all()
"""


def main() -> None:
    """Print a row for each trial."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--processes", type=int, default=3)
    parser.add_argument("--no-turns", action="store_true")
    given = parser.parse_args()
    spoiled = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        there = folder / "there"
        there.touch()

        def start(cache: Path, ready: Path, go: Path) -> subprocess.Popen[bytes]:
            turns = "no turns" if given.no_turns else "turns"
            return subprocess.Popen(
                [sys.executable, "-c", CALLS, str(ready), str(go), turns],
                env={**os.environ, "NUMBA_CACHE_DIR": str(cache)}, stderr=subprocess.DEVNULL,
            )  # fmt: skip

        warm = folder / "warm"
        if start(warm, folder / "ready", there).wait():
            raise SystemExit("orix does not work here.")
        for trial in range(given.trials):
            cache, go = folder / f"cache{trial}", folder / f"go{trial}"
            shutil.copytree(warm, cache)
            for path in cache.rglob("*"):
                if "qu_conj" in path.name or "qu_rotate" in path.name:
                    path.unlink()
            ready = [folder / f"ready{trial}-{k}" for k in range(given.processes)]
            processes = [start(cache, one, go) for one in ready]
            while not all(one.exists() for one in ready):
                time.sleep(0.01)
            go.touch()
            first = [process.wait() for process in processes]
            later = start(cache, folder / "ready", there).wait()
            spoiled += bool(later)
            print(f"{trial:3d}  at once {first}  later {later}", flush=True)
            shutil.rmtree(cache)
    print(f"spoiled {spoiled} of {given.trials}")


if __name__ == "__main__":
    main()
