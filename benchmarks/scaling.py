"""Time and memory from 1e4 to 1e7 pixels: reading, KAM, grains, GND, and U-Net prediction.

    python benchmarks/scaling.py [--pixels 1e4 1e5 1e6] [--steps read kam grains gnd unet]

Maps are a synthetic dual-phase steel of 256 x 256 pixels (seed 0), repeated, with new orientation
noise of 0.1 degrees (seed 1). Each measurement is a process of its own: processor seconds of the
step alone, after one call on a small map that compiles, and the most memory above what the
process had with the map in it ("extra", MB; for reading: with the map). The exponent is the slope
of log time over log pixels between the two largest maps: 1 is linear.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

STEPS = ("read", "kam", "grains", "gnd", "unet")


def steel(pixels: int) -> Any:
    import numpy as np

    import napari_ebsdml as ebsdml

    tile = ebsdml.samples.dual_phase_steel((256, 256), 0.3, seed=0).scan
    side = round(pixels**0.5)
    times = -(-side // 256)

    def repeated(values: Any) -> Any:
        return np.tile(values, (times, times, *(1,) * (values.ndim - 2)))[:side, :side]

    q = repeated(tile.quaternions)
    noise = np.random.default_rng(1).normal(scale=math.radians(0.05), size=q.shape)
    q = np.where(q.any(-1, keepdims=True), q + noise, 0)
    length = np.linalg.norm(q, axis=-1, keepdims=True)
    return dataclasses.replace(
        tile, quaternions=q / np.where(length > 0, length, 1), phase_id=repeated(tile.phase_id),
        prop={name: repeated(values) for name, values in tile.prop.items()}, is_measured=None,
    )  # fmt: skip


def work(step: str, folder: Path) -> Callable[[Any], Any]:
    import napari_ebsdml as ebsdml

    if step == "kam":
        return ebsdml.kam
    if step == "grains":
        return ebsdml.segment_grains
    if step == "gnd":
        return ebsdml.gnd_density
    model = ebsdml.Segmenter.load(folder / "model")
    return lambda scan: model.predict(scan, warn=False)


def peak() -> float:
    """Most memory of this process so far in MB; Linux."""
    # Not getrusage's, in which the memory of the process that started this one counts.
    lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def measure(step: str, pixels: int, folder: Path) -> dict[str, float]:
    import napari_ebsdml as ebsdml

    if step == "read":
        ebsdml.read(folder / "small.ctf")
        scan, call = None, lambda: ebsdml.read(folder / f"{pixels}.ctf")
    else:
        function = work(step, folder)
        function(steel(10_000))
        scan = steel(pixels)
        call = lambda: function(scan)  # noqa: E731
    before, most = resource.getrusage(resource.RUSAGE_SELF), peak()
    begun = time.perf_counter()
    call()
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": cpu, "wall": wall, "extra": peak() - most}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pixels", nargs="+", type=float, default=[1e4, 1e5, 1e6])
    parser.add_argument("--steps", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        step, pixels, folder = asked.one
        print(json.dumps(measure(step, int(pixels), Path(folder))))
        return
    sizes = [round(n**0.5) ** 2 for n in asked.pixels]
    env = {**os.environ, "OMP_NUM_THREADS": str(asked.threads)}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, sizes, asked.steps)
        print(f"{asked.threads} thread(s)")
        print(
            f"{'':8}{'pixels':>10}{'cpu s':>9}{'wall s':>9}{'us/px':>8}{'extra MB':>10}{'B/px':>7}"
        )
        for step in asked.steps:
            found = []
            for pixels in sizes:
                done = subprocess.run(
                    [sys.executable, __file__, "--one", step, str(pixels), name], env=env,
                    capture_output=True, text=True, check=True,
                )  # fmt: skip
                one = json.loads(done.stdout.splitlines()[-1])
                found.append(one["cpu"])
                print(
                    f"{step:8}{pixels:10}{one['cpu']:9.2f}{one['wall']:9.2f}"
                    f"{1e6 * one['cpu'] / pixels:8.2f}{one['extra']:10.0f}"
                    f"{one['extra'] * 2**20 / pixels:7.0f}", flush=True,
                )  # fmt: skip
            if len(sizes) > 1:
                slope = math.log(found[-1] / found[-2]) / math.log(sizes[-1] / sizes[-2])
                print(f"{step:8}  exponent {slope:.2f}")


def prepare(folder: Path, sizes: list[int], steps: list[str]) -> None:
    """Files to read, and a small model."""
    import napari_ebsdml as ebsdml

    if "read" in steps:
        ebsdml.write(folder / "small.ctf", steel(100))
        for pixels in sizes:
            ebsdml.write(folder / f"{pixels}.ctf", steel(pixels))
    if "unet" in steps:
        sample = ebsdml.samples.dual_phase_steel((64, 64), 0.5, seed=1)
        model = ebsdml.Segmenter.train(
            [(sample.scan, sample.truth)], ("BC", "KAM"), epochs=1, steps=2
        )
        model.save(folder / "model")


if __name__ == "__main__":
    main()
