"""How long napari's window stands still while a large map opens: a timer's longest gap.

A timer ticks every 10 ms in the event loop of the window; the longest time between two ticks is
how long nothing could be clicked. "reading" ends when the reader has returned the layers,
"adding" when napari has added them; "at once" is the same without the worker thread.

Run ``tools/with_display.sh python benchmarks/gui_gaps.py [--side 2000]``, with a display.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from napari_ebsdml import Scan, write
from napari_ebsdml.samples import dual_phase_steel


def make(side: int) -> Scan:
    """A map of `side` x `side` pixels, tiles of a small one."""
    part = dual_phase_steel(shape=(250, 250))[0]
    times = -(-side // 250)

    def tiled(values: Any) -> Any:
        repeats = (times, times, *(1,) * (values.ndim - 2))
        return np.tile(values, repeats)[:side, :side]

    return Scan(
        quaternions=tiled(part.quaternions),
        phase_id=tiled(part.phase_id),
        phases=part.phases,
        step=part.step,
        prop={name: tiled(values) for name, values in part.prop.items()},
    )


class Heartbeat:
    """Times of ticks, and the longest gap between them."""

    def __init__(self) -> None:
        from qtpy.QtCore import QTimer

        self.ticks = [time.perf_counter()]
        self.timer = QTimer()
        self.timer.setInterval(10)
        self.timer.timeout.connect(lambda: self.ticks.append(time.perf_counter()))
        self.timer.start()

    def longest(self, start: float, stop: float) -> float:
        """Longest gap in seconds between start, the ticks behind it, and stop."""
        ticks = [start, *(tick for tick in self.ticks if start < tick < stop), stop]
        return max(b - a for a, b in pairwise(ticks))


def measure(path: Path, in_worker: bool) -> str:
    """Open a map once; one row of the table."""
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_ebsdml._napari.files import reader

    kept, marks = reader.takes_long, []
    read_layers = reader.read_layers

    def timed(paths: Any) -> list[Any]:
        layers = read_layers(paths)
        marks.append(time.perf_counter())
        return layers

    viewer = napari.Viewer(show=True)
    try:
        reader.takes_long = lambda paths: in_worker
        reader.read_layers = timed
        heart = Heartbeat()
        end = time.perf_counter() + 0.5
        while time.perf_counter() < end:
            QApplication.processEvents()
        start = time.perf_counter()
        viewer.open(path, plugin="napari-ebsdml")
        stop = time.perf_counter()
        end = stop + 3
        while time.perf_counter() < end:
            QApplication.processEvents()
        read = marks[0]
        return (
            f"{'worker' if in_worker else 'at once':8s} {stop - start:8.2f} "
            f"{heart.longest(start, read):8.2f} {heart.longest(read, stop + 3):8.2f}"
        )
    finally:
        reader.takes_long, reader.read_layers = kept, read_layers
        viewer.close()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2000)
    side = parser.parse_args().side
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.ctf"
        write(path, make(side))
        print(f"{side} x {side} pixels, {path.stat().st_size / 1e6:.0f} MB")
        print("          open, s  longest gap, s: reading, adding")
        # The first opening loads libraries and compiles; it is not what is measured here.
        small = Path(folder) / "small.ctf"
        write(small, make(100))
        measure(small, True)
        for in_worker in (True, False):
            print(measure(path, in_worker), flush=True)


if __name__ == "__main__":
    main()
