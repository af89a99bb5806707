"""Time and memory from 1e4 to 1e7 pixels, in one piece and in bands, beside anchors.

    python benchmarks/scaling.py [--pixels 1e4 1e5 1e6 1e7] [--steps read kam] [--ways bands]
                                 [--band 1e6]

Maps are a synthetic dual-phase steel of 256 x 256 pixels (seed 0), repeated, with new orientation
noise of 0.1 degrees (seed 1). Each measurement is a process of its own: processor seconds of the
step alone, after one call on a small map that compiles, and the most memory above what the
process had before it ("extra", MB): "whole" with the map in memory (for reading: without it, so
that what is read counts), "bands" with the map in a folder, `--band` pixels at a time. The
exponent is the slope of log time over log pixels between the two largest maps: 1 is linear.

"unet" is a small U-Net on BC and KAM, "light" the ready model for recrystallised grains (whose
answers on this steel mean nothing), "forest" one of 100 trees on BC and KAM with Weka's features.
"denoise" (GND density of denoised orientations, with what that loses) and "parents" (parent grains,
on a synthetic martensite of 256 x 256 pixels, seed 20, repeated) need the whole map.

Anchors, of the same number of pixels: "sort", numpy's of random floats; "label", connected areas
of equal numbers by scikit-image on a map of 256 x 256 random labels each of 8 x 8 pixels.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import math
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

STEPS = (
    "read", "kam", "grains", "gnd", "density", "unet", "light", "forest", "denoise", "parents",
    "sort", "label",
)  # fmt: skip
WAYS = ("whole", "bands")
WHOLE = ("denoise", "parents")
ANCHORS = ("sort", "label")


def steel(pixels: int) -> Any:
    import napari_ebsdml as ebsdml

    return repeated(ebsdml.samples.dual_phase_steel((256, 256), 0.3, seed=0).scan, pixels)


def martensite(pixels: int) -> Any:
    from napari_ebsdml import samples

    return repeated(
        samples.martensite((256, 256), seed=20, relationship="Greninger-Troiano").scan, pixels
    )


def repeated(tile: Any, pixels: int) -> Any:
    """A map of 256 x 256 pixels side by side with itself, with new noise."""
    import numpy as np

    side = round(pixels**0.5)
    times = -(-side // 256)

    def many(values: Any) -> Any:
        return np.tile(values, (times, times, *(1,) * (values.ndim - 2)))[:side, :side]

    q = many(tile.quaternions)
    noise = np.random.default_rng(1).normal(scale=math.radians(0.05), size=q.shape)
    q = np.where(q.any(-1, keepdims=True), q + noise, 0)
    length = np.linalg.norm(q, axis=-1, keepdims=True)
    return dataclasses.replace(
        tile, quaternions=q / np.where(length > 0, length, 1), phase_id=many(tile.phase_id),
        prop={name: many(values) for name, values in tile.prop.items()}, is_measured=None,
    )  # fmt: skip


def work(step: str, folder: Path, way: str) -> Callable[[Any], Any]:
    import napari_ebsdml as ebsdml
    from napari_ebsdml.batching import large

    place = large if way == "bands" else ebsdml
    if step == "kam":
        return place.kam
    if step == "grains":
        return place.segment_grains
    if step == "gnd":
        return (
            place.gnd_density
            if way == "bands"
            else partial(place.gnd_density, keep_per_system=False)
        )
    if step == "density":
        return place.total_dislocation_density
    if step == "denoise":
        return partial(ebsdml.gnd_density, denoise=True, keep_per_system=False)
    if step == "parents":
        return ebsdml.parent_grains
    model: Any
    if step == "light":
        model = ebsdml.Segmenter.ready("recrystallised")
    elif step == "forest":
        from napari_ebsdml.segmentation import ForestSegmenter

        model = ForestSegmenter.load(folder / "forest")
    else:
        model = ebsdml.Segmenter.load(folder / "model")
    if way == "bands":
        return lambda held: large.predict(model, held, warn=False)
    return lambda scan: model.predict(scan, warn=False)


def anchor(step: str, pixels: int) -> Callable[[], Any]:
    import numpy as np

    random = np.random.default_rng(0)
    if step == "sort":
        values = random.random(pixels)
        return lambda: np.sort(values)
    from skimage.measure import label

    side = round(pixels**0.5)
    blocks = random.integers(1, 9, (-(-side // 8), -(-side // 8)))
    image = np.kron(blocks, np.ones((8, 8), int))[:side, :side]
    return lambda: label(image, connectivity=1)


def peak() -> float:
    """Most memory of this process so far in MB; Linux."""
    # Not getrusage's, in which the memory of the process that started this one counts.
    lines = Path("/proc/self/status").read_text("ascii", "replace").splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def forget_peak() -> None:
    """Let the most memory so far be what is held now; Linux."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def measure(step: str, pixels: int, folder: Path, way: str, band: int) -> dict[str, float]:
    import napari_ebsdml as ebsdml
    from napari_ebsdml.batching.large import LargeMap, read_large

    call: Callable[[], Any]
    if step in ANCHORS:
        call = anchor(step, pixels)
    elif step == "read":
        ebsdml.read(folder / "small.ctf")
        path = folder / f"{pixels}.ctf"
        call = partial(ebsdml.read, path)
        if way == "bands":
            call = partial(read_large, path, folder / f"read{pixels}", pixels=band)
    else:
        function = work(step, folder, way)
        if way == "bands":
            function(LargeMap.of(steel(10_000), folder / f"small-{step}-{pixels}"))
            held = read_large(
                folder / f"{pixels}.ctf", folder / f"{step}-{pixels}", pixels=band
            )  # fmt: skip
            call = partial(function, held)
        elif step == "parents":
            function(martensite(10_000))
            call = partial(function, martensite(pixels))
        else:
            function(steel(10_000))
            scan = ebsdml.read(folder / f"{pixels}.ctf")
            call = partial(function, scan)
    forget_peak()
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
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--folder", help="for files; default: a temporary one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--band", type=float, default=1e6, help="pixels of a band")
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        step, pixels, folder, way = asked.one
        print(json.dumps(measure(step, int(pixels), Path(folder), way, int(asked.band))))
        return
    sizes = [round(n**0.5) ** 2 for n in asked.pixels]
    env = {**os.environ, "OMP_NUM_THREADS": str(asked.threads)}
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        prepare(folder, sizes, asked.steps)
        print(f"{asked.threads} thread(s)")
        print(
            f"{'':14}{'pixels':>10}{'cpu s':>9}{'wall s':>9}{'us/px':>8}{'extra MB':>10}{'B/px':>7}"
        )
        for step in asked.steps:
            for way in ("anchor",) if step in ANCHORS else asked.ways:
                if way == "bands" and step in WHOLE:
                    continue
                found = []
                for pixels in sizes:
                    done = subprocess.run(
                        [sys.executable, __file__, "--band", str(asked.band), "--one", step,
                         str(pixels), name, way],
                        env=env, capture_output=True, text=True, check=False,
                    )  # fmt: skip
                    if done.returncode:
                        print(f"{step:8}{way:6}{pixels:10}  failed: {done.stderr[-200:]}")
                        break
                    one = json.loads(done.stdout.splitlines()[-1])
                    found.append(one["cpu"])
                    print(
                        f"{step:8}{way:6}{pixels:10}{one['cpu']:9.2f}{one['wall']:9.2f}"
                        f"{1e6 * one['cpu'] / pixels:8.2f}{one['extra']:10.0f}"
                        f"{one['extra'] * 2**20 / pixels:7.0f}", flush=True,
                    )  # fmt: skip
                    for used in folder.glob(f"*{step}*{pixels}"):
                        shutil.rmtree(used)
                if len(found) > 1:
                    slope = math.log(found[-1] / found[-2]) / math.log(sizes[-1] / sizes[-2])
                    print(f"{step:8}{way:6}  exponent {slope:.2f}", flush=True)


def prepare(folder: Path, sizes: list[int], steps: list[str]) -> None:
    """Files to read, and a small model."""
    import napari_ebsdml as ebsdml

    ebsdml.write(folder / "small.ctf", steel(100))
    for pixels in sizes:
        ebsdml.write(folder / f"{pixels}.ctf", steel(pixels))
    sample = ebsdml.samples.dual_phase_steel((64, 64), 0.5, seed=1)
    if "forest" in steps:
        from napari_ebsdml.segmentation import ForestSegmenter

        ForestSegmenter.train([(sample.scan, sample.truth)], ("BC", "KAM")).save(folder / "forest")
    if "unet" in steps:
        model = ebsdml.Segmenter.train(
            [(sample.scan, sample.truth)], ("BC", "KAM"), epochs=1, steps=2, keep="network"
        )
        model.save(folder / "model")


if __name__ == "__main__":
    main()
