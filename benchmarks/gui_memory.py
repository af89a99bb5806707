"""What napari keeps of maps that were opened, computed on and closed again.

    tools/with_display.sh python benchmarks/gui_memory.py [--maps 10] [--side 500] [--train]

Each round opens a map, computes with two docks, paints and, with --train, trains a segmenter;
then it closes the docks and clears the layers. Told after each: resident memory (six seconds after
the last layer went, so that what is free was given back; not so with --keep-free), what the C
library has handed out, and how many of the maps are still alive. With --train it is also the hunt
for the crash in paintGL after `layers.clear()` that was seen in long sessions: faulthandler writes
the stack if it comes.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import gc
import os
import tempfile
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np


def resident() -> float:
    """Resident memory of this process in MB."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


class _Handed(ctypes.Structure):
    """What glibc's ``mallinfo2`` tells, in bytes."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            *("arena", "ordblks", "smblks", "hblks", "hblkhd"),
            *("usmblks", "fsmblks", "uordblks", "fordblks", "keepcost"),
        )
    ]


def handed_out() -> float:
    """What the C library counts as in use, in MB; NaN where it does not tell."""
    try:
        library = ctypes.CDLL("libc.so.6")
        library.mallinfo2.restype = _Handed
        told = library.mallinfo2()
    except (OSError, AttributeError):
        return float("nan")
    return (told.uordblks + told.hblkhd) / 1e6


def main() -> None:
    faulthandler.enable()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", type=int, default=10)
    parser.add_argument("--side", type=int, default=500)
    parser.add_argument("--train", action="store_true")
    parser.add_argument("--keep-free", action="store_true", help="as the C library does alone")
    given = parser.parse_args()
    import napari
    from qtpy.QtCore import QEvent
    from qtpy.QtWidgets import QApplication

    from napari_ebsdml import write
    from napari_ebsdml._napari.files import memory
    from napari_ebsdml._napari.layers.of_scans import scans_in
    from napari_ebsdml.samples import dual_phase_steel

    if given.keep_free:
        memory.return_free_memory = lambda: False
    viewer = napari.Viewer(show=True)
    alive: weakref.WeakSet[Any] = weakref.WeakSet()

    def live(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            # A window's own event loop deletes what is to be deleted; this call alone does not.
            QApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
            time.sleep(0.005)

    def compute(name: str) -> None:
        _, dock = viewer.window.add_plugin_dock_widget("napari-ebsdml", name)
        live(0.3)
        dock.tasks.run_button.click()
        while dock.tasks.running:
            live(0.05)
        live(0.3)
        viewer.window.remove_dock_widget(dock)

    def row(name: Any) -> None:
        print(f"{name:4} {resident():12.0f} {handed_out():15.0f} {len(alive):12}", flush=True)

    print("map  resident, MB  handed out, MB   maps alive", flush=True)
    row("none")
    with tempfile.TemporaryDirectory() as folder:
        for number in range(given.maps):
            path = Path(folder) / f"map{number}.ctf"
            write(path, dual_phase_steel((given.side, given.side), seed=number).scan)
            viewer.open(path, plugin="napari-ebsdml")
            while not scans_in(viewer):
                live(0.1)
            live(1)
            scan = scans_in(viewer)[0]
            alive.add(scan)
            for name in ("EBSD maps", "GND density"):
                compute(name)
            _, dock = viewer.window.add_plugin_dock_widget("napari-ebsdml", "U-Net segmenter")
            dock.strokes.paint(1)
            rng = np.random.default_rng(number)
            for n in range(24):
                at = tuple(int(v) for v in rng.integers(given.side, size=2))
                dock.strokes.layer.paint(at, 1 + n % 2)
            live(1)
            if given.train:
                dock.training.form.set_saved({"effort": "quick"})
                live(0.3)
                dock.tasks.run_button.click()
                while dock.tasks.running:
                    live(0.1)
            viewer.window.remove_dock_widget(dock)
            del dock, scan, _
            viewer.layers.clear()
            # Longer than what is kept against a crash takes to look at the window again.
            live(6)
            gc.collect()
            row(number + 1)
    print("came to its end")
    os._exit(0)


if __name__ == "__main__":
    main()
