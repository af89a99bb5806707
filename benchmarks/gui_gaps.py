"""How long napari's window stands still while a large map opens: a timer's longest gap.

A timer ticks every 10 ms in the event loop of the window; the longest time between two ticks is
how long nothing could be clicked. "reading" ends when the reader has returned the layers,
"adding" when napari has added them; "at once" is the same without the worker thread. The second
figure of each is the processor time that the window's thread took in between two ticks, at most,
which other work on the machine does not change.

With --docks a map is opened, and each dock computes on it, with its defaults; then strokes are
painted with the segmenter open, one every 0.1 s. The rows tell the longest gap of each, by wall
clock and by processor time. --stacks also tells where the thread was in the gap of most processor
time: the functions of this package and of napari that were found there most often.

Run ``tools/with_display.sh python benchmarks/gui_gaps.py [--side 2000] [--docks [--stacks]]``, with
a display.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections import Counter
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


Moment = tuple[float, float]


def now() -> Moment:
    """Wall clock and processor time of this thread, in seconds."""
    return time.perf_counter(), time.thread_time()


class Heartbeat:
    """Times of ticks, and the longest gap between them."""

    def __init__(self) -> None:
        from qtpy.QtCore import QTimer

        self.ticks = [now()]
        self.timer = QTimer()
        self.timer.setInterval(10)
        self.timer.timeout.connect(lambda: self.ticks.append(now()))
        self.timer.start()

    def longest(self, start: Moment, stop: Moment) -> tuple[float, float]:
        """Longest gap between start, the ticks behind it, and stop: wall and processor seconds."""
        ticks = [start, *(tick for tick in self.ticks if start < tick < stop), stop]
        return (
            max(b[0] - a[0] for a, b in pairwise(ticks)),
            max(b[1] - a[1] for a, b in pairwise(ticks)),
        )

    def busiest(self, start: Moment, stop: Moment) -> tuple[float, float]:
        """Wall clock at both ends of the gap with most processor time."""
        ticks = [start, *(tick for tick in self.ticks if start < tick < stop), stop]
        a, b = max(pairwise(ticks), key=lambda ends: ends[1][1] - ends[0][1])
        return a[0], b[0]


class Sampler(threading.Thread):
    """What the window's thread is doing, every 10 ms."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.samples: list[tuple[float, tuple[str, ...]]] = []
        self.watched = threading.get_ident()

    def run(self) -> None:
        """Sample until the program ends."""
        while True:
            frame = sys._current_frames().get(self.watched)
            names = []
            while frame is not None:
                path = Path(frame.f_code.co_filename)
                if "napari" in str(path):
                    names.append(f"{path.parent.name}/{path.stem}.{frame.f_code.co_qualname}")
                frame = frame.f_back
            self.samples.append((time.perf_counter(), tuple(names)))
            time.sleep(0.01)

    def table(self, start: float, stop: float, lines: int = 24) -> str:
        """Functions on the stack between two times, the most frequent first."""
        inside = [names for when, names in self.samples if start <= when <= stop]
        found = Counter(name for names in inside for name in set(names))
        return "\n".join(
            f"    {count / max(len(inside), 1):5.0%} {name}"
            for name, count in found.most_common(lines)
        )


def measure(path: Path, in_worker: bool) -> str:
    """Open a map once; one row of the table."""
    import napari
    from qtpy.QtWidgets import QApplication

    from napari_ebsdml._napari.files import reader

    kept, marks = reader.takes_long, []
    read_layers = reader.read_layers

    def timed(paths: Any) -> list[Any]:
        layers = read_layers(paths)
        marks.append(now())
        return layers

    viewer = napari.Viewer(show=True)
    try:
        reader.takes_long = lambda paths: in_worker
        reader.read_layers = timed
        heart = Heartbeat()
        end = time.perf_counter() + 0.5
        while time.perf_counter() < end:
            QApplication.processEvents()
        start = now()
        viewer.open(path, plugin="napari-ebsdml")
        stop = now()
        end = stop[0] + 3
        while time.perf_counter() < end:
            QApplication.processEvents()
        reading = heart.longest(start, marks[0])
        adding = heart.longest(marks[0], now())
        return (
            f"{'worker' if in_worker else 'at once':8s} {stop[0] - start[0]:8.2f}"
            f"{reading[0]:10.2f}{reading[1]:7.2f}{adding[0]:10.2f}{adding[1]:7.2f}"
        )
    finally:
        reader.takes_long, reader.read_layers = kept, read_layers
        viewer.close()


DOCKS = ("EBSD maps", "Grains and poles", "Grain classes", "GND density", "Dislocation density",
         "Parent grains")  # fmt: skip
_PATIENCE_S = 900


def docks(path: Path, names: tuple[str, ...], stacks: bool) -> None:
    """Print a row for each dock that computes, and for painting."""
    import napari
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer(show=True)
    heart = Heartbeat()
    sampler = Sampler()
    if stacks:
        sampler.start()

    def live(seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            QApplication.processEvents()
            time.sleep(0.002)

    def row(name: str, start: Moment) -> None:
        wall, cpu = heart.longest(start, now())
        print(f"{name:34s} {now()[0] - start[0]:8.2f} {wall:8.2f} {cpu:8.2f}", flush=True)
        if stacks:
            print(sampler.table(*heart.busiest(start, now())), flush=True)
            sampler.samples.clear()

    print(f"{'':34s} whole, s; longest gap: wall, processor s")
    start = now()
    viewer.open(path, plugin="napari-ebsdml")
    live(2)
    row("opening", start)
    for name in names:
        start = now()
        _, dock = viewer.window.add_plugin_dock_widget("napari-ebsdml", name)
        live(1)
        row(f"{name}: dock", start)
        start = now()
        dock.tasks.run_button.click()
        while dock.tasks.running and now()[0] - start[0] < _PATIENCE_S:
            live(0.05)
        live(1)
        row(f"{name}: computing", start)
        viewer.window.remove_dock_widget(dock)
        live(0.5)
    start = now()
    _, dock = viewer.window.add_plugin_dock_widget("napari-ebsdml", "U-Net segmenter")
    live(1)
    row("segmenter: dock", start)
    start = now()
    dock.strokes.paint(1)
    live(1)
    row("segmenter: layer for strokes", start)
    rng, layer = np.random.default_rng(0), dock.strokes.layer
    rows, columns = layer.data.shape
    start = now()
    for n in range(60):
        at = int(rng.integers(rows)), int(rng.integers(columns))
        layer.paint(at, 1 + n // 6 % 2)
        live(0.1)
    while "Live map by" not in dock.live.text.text() and now()[0] - start[0] < _PATIENCE_S:
        live(0.1)
    live(0.5)
    row("painting, first live map", start)
    viewer.close()


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=2000)
    parser.add_argument("--docks", action="store_true")
    parser.add_argument("--only", nargs="*", default=DOCKS, help="docks that compute")
    parser.add_argument("--stacks", action="store_true", help="where the thread was in the gaps")
    given = parser.parse_args()
    side = given.side
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "map.ctf"
        write(path, make(side))
        print(f"{side} x {side} pixels, {path.stat().st_size / 1e6:.0f} MB")
        print("          open, s  reading: wall, processor s; adding: the same")
        if given.docks:
            docks(path, tuple(given.only), given.stacks)
            return
        # The first opening loads libraries and compiles; it is not what is measured here.
        small = Path(folder) / "small.ctf"
        write(small, make(100))
        measure(small, True)
        print("          open, s  reading: wall, processor s; adding: the same")
        for in_worker in (True, False):
            print(measure(path, in_worker), flush=True)


if __name__ == "__main__":
    main()
