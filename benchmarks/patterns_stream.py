"""A million patterns streamed: speed, peak memory, and how soon a cancel is heeded.

    python benchmarks/patterns_stream.py [--rows 1000 --columns 1000] [--model FILE]

The source is a lazy dask array: each chunk is made when it is read, from a few thousand patterns
of a simulated map, so that only the stream itself can fill memory.
"""

from __future__ import annotations

import argparse
import resource
import threading
import time

import dask.array as da
import numpy as np
import torch

from napari_ebsdml.errors import Cancelled
from napari_ebsdml.patterns import CrystalFrameClassifier
from napari_ebsdml.patterns.simulated.two_phase import two_phase_map


def peak() -> float:
    """Largest resident memory of this process so far, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--columns", type=int, default=1000)
    parser.add_argument("--model", default="default")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows, columns = options.rows, options.columns
    sample = two_phase_map((40, 50), size=60)
    tile = np.asarray(sample.scan.patterns).reshape(-1, 60, 60)
    turns = sample.scan.quaternions.reshape(-1, 4)
    truth = sample.truth.ravel()

    def make(block_info=None) -> np.ndarray:
        (r0, r1), (c0, c1) = block_info[None]["array-location"][:2]
        index = (np.arange(r0, r1)[:, None] * columns + np.arange(c0, c1)) % len(tile)
        return tile[index]

    heights = (8,) * (rows // 8) + ((rows % 8,) if rows % 8 else ())
    patterns = da.map_blocks(
        make, chunks=(heights, (columns,), (60,), (60,)), dtype=np.uint8,
        meta=np.empty((0, 0, 0, 0), np.uint8),
    )  # fmt: skip
    index = np.arange(rows * columns).reshape(rows, columns) % len(tile)
    model = CrystalFrameClassifier.load(options.model)
    model.predict(tile[:600], turns[:600], sample.scan.detector)
    before = peak()
    print(f"{rows * columns} patterns, {rows * columns * 3600 / 1e9:.2f} GB; {before:.0f} MB first")

    asked: list[float] = []

    def stop(part: float) -> None:
        if asked:
            raise Cancelled("enough")

    timer = threading.Timer(3.0, lambda: asked.append(time.perf_counter()))
    timer.start()
    try:
        model.predict(patterns, turns[index], sample.scan.detector, progress=stop)
    except Cancelled:
        print(f"cancelled {time.perf_counter() - asked[0]:.2f} s after it was asked")
    timer.cancel()
    marks: list[tuple[float, float]] = []
    start = time.perf_counter()

    def tell(part: float) -> None:
        if part >= 0.1 * (len(marks) + 1) - 1e-9:
            marks.append((part, peak()))
            took = time.perf_counter() - start
            print(f"{100 * part:3.0f} %  {took:6.0f} s  peak {peak():.0f} MB", flush=True)

    result = model.predict(patterns, turns[index], sample.scan.detector, progress=tell)
    took = time.perf_counter() - start
    held = sum(
        getattr(result, name).nbytes
        for name in ("space_group", "family", "probability", "family_probability", "is_known",
                     "known_score", "ambiguous_with", "probabilities")
    )  # fmt: skip
    print(f"{rows * columns / took:.0f} patterns/s, {took:.0f} s, peak {peak():.0f} MB (+"
          f"{peak() - before:.0f}), of which the answers {held / 1e6:.0f} MB")  # fmt: skip
    right = (result.space_group == truth[index]).mean()
    print(f"right {100 * right:.1f} %, answered {100 * (result.space_group > 0).mean():.1f} %")


if __name__ == "__main__":
    main()
