"""How long trainings take, and how long the dock says before they begin.

    python benchmarks/training_time.py [--cases 4]

Processor seconds of one thread (the machine may be shared). The rival is "as long as the mean of
all cases". The default rate was set from the first case; the others judge it.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

CASES = (
    ((60, 100), {"epochs": 8}), ((60, 100), {"epochs": 15}), ((200, 300), {"epochs": 8}),
    ((600, 800), {"epochs": 4}),
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=len(CASES))
    wanted = parser.parse_args().cases
    from napari_ebsdml import Segmenter
    from napari_ebsdml._napari.demo.steps import strokes
    from napari_ebsdml.samples import dual_phase_steel
    from napari_ebsdml.segmentation.learning.estimate import (
        expected_seconds,
        rate_from,
        training_work,
    )
    from napari_ebsdml.segmentation.settings import TrainingSettings

    print("map          epochs  CPU s   told   told/true   rate 1e9/s")
    rows = []
    for shape, changes in CASES[:wanted]:
        sample = dual_phase_steel(shape=shape, seed=0)
        labels = np.zeros(shape, np.int32)
        for row, column, value in strokes(sample.truth):
            labels[row, column] = value
        settings = TrainingSettings(patience=0, **changes)
        start = time.process_time()
        training = Segmenter.training(
            [(sample.scan, labels)], settings=settings, n_threads=1, device="cpu",
            preview=sample.scan, preview_every=2,
        )  # fmt: skip
        for _ in training:
            pass
        model = training.segmenter
        model.predict(sample.scan, n_threads=1)
        used = time.process_time() - start
        pixels = shape[0] * shape[1]
        planes = len(model.normaliser.planes)
        work = training_work([shape], planes, 2, settings)
        told = expected_seconds(work, pixels)
        rows.append((used, told))
        rate = rate_from(work, pixels, used) / 1e9
        size = f"{shape[0]} x {shape[1]}"
        epochs = settings.epochs
        print(f"{size:12} {epochs:6} {used:6.1f} {told:6.1f} {told / used:9.2f} {rate:12.2f}")
    used, told = np.array(rows).T
    error = np.exp(np.abs(np.log(told / used)).mean())
    rival = np.exp(np.abs(np.log(used.mean() / used)).mean())
    print(f"off by a factor of {error:.2f} in the mean; the mean of all cases: {rival:.2f}")


if __name__ == "__main__":
    main()
