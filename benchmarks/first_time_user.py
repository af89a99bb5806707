"""A first-time user, scripted: each job from an empty window to a saved figure, clicks counted.

    tools/with_display.sh python benchmarks/first_time_user.py [--map FILE] [--size 1280x720]

Buttons are clicked with the mouse where they are seen in the window: one that is hidden, disabled
or has to be scrolled to ends the job, and the row says so. A menu entry counts as two clicks
(Plugins, entry), a file dialog as two (name, Save), a stroke or a drag as one, typing not. Without
--map the map is synthetic steel of 150 x 200 pixels, and the patterns are kikuchipy's nickel.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

_PATIENCE_S = 600
_STROKES = 12


class StuckError(Exception):
    """The user cannot go on."""


class User:
    """Clicks, and counts the clicks."""

    def __init__(self, viewer: Any, folder: Path) -> None:
        self.viewer, self.folder = viewer, folder
        self.clicks = 0

    def live(self, seconds: float) -> None:
        """Let the window work."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.005)

    def click(self, button: Any) -> None:
        """Click on what can be seen."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        name = button.text() or button.accessibleName()
        if not button.isEnabled():
            raise StuckError(f"“{name}” is disabled")
        region = button.visibleRegion()
        if region.isEmpty():
            raise StuckError(f"“{name}” cannot be seen")
        self.clicks += 1
        at = region.boundingRect().center()
        QTest.mouseClick(button, Qt.MouseButton.LeftButton, pos=at)
        self.live(0.3)

    def tab(self, tabs: Any, index: int) -> None:
        """Click on a tab."""
        from qtpy.QtCore import Qt
        from qtpy.QtTest import QTest

        self.clicks += 1
        bar = tabs.tabBar()
        QTest.mouseClick(bar, Qt.MouseButton.LeftButton, pos=bar.tabRect(index).center())
        self.live(0.3)
        if tabs.currentIndex() != index:
            raise StuckError(f"the tab {tabs.tabText(index)} cannot be clicked")

    def open(self, path: Path) -> None:
        """File > Open, name, Open: as a drop it would be one."""
        self.clicks += 3
        self.viewer.open(path, plugin="napari-ebsdml")
        self.live(2)

    def dock(self, name: str) -> Any:
        """Plugins > the dock."""
        self.clicks += 2
        _, dock = self.viewer.window.add_plugin_dock_widget("napari-ebsdml", name)
        self.live(0.7)
        return dock

    def wait(self, dock: Any) -> None:
        """Until the work is done."""
        end = time.monotonic() + _PATIENCE_S
        while dock.tasks.running and time.monotonic() < end:
            self.live(0.05)
        if dock.tasks.running or "unexpected" in dock.tasks.status.text():
            raise StuckError(dock.tasks.status.text())
        self.live(0.5)

    def figure(self, dock: Any, name: str) -> int:
        """Fig., Save, name, Save; its size in bytes."""
        from qtpy.QtCore import QTimer
        from qtpy.QtWidgets import QDialog, QFileDialog

        from napari_ebsdml._napari.shell import export

        path = self.folder / name
        kept = QFileDialog.getSaveFileName
        export.QFileDialog.getSaveFileName = lambda *_: (str(path), "")  # type: ignore

        def accept() -> None:
            for dialog in dock.export.findChildren(QDialog):
                dialog.accept()

        QTimer.singleShot(400, accept)
        try:
            self.click(dock.export)
        finally:
            export.QFileDialog.getSaveFileName = kept  # type: ignore[method-assign]
        self.clicks += 3
        self.live(0.5)
        if not path.exists():
            raise StuckError(dock.tasks.status.text() or "no figure")
        return path.stat().st_size


def computing(name: str) -> Callable[[User], Any]:
    """The job of a dock that has one button."""

    def job(user: User) -> Any:
        dock = user.dock(name)
        user.click(dock.tasks.run_button)
        user.wait(dock)
        return dock

    return job


def grain(user: User) -> Any:
    """A grain's card, and the pole figure with it."""
    dock = computing("Grains and poles")(user)
    user.clicks += 1
    dock.choose(dock.scan.shape[0] // 2, dock.scan.shape[1] // 2)
    user.live(0.5)
    user.tab(dock.tabs, 1)
    return dock


def segment(user: User) -> Any:
    """Strokes of two classes, a live map, a trained map."""
    dock = user.dock("U-Net segmenter")
    scan = dock.scan
    quality = next(np.asarray(v, float) for k, v in scan.prop.items() if k in ("BC", "IQ", "BS"))
    bright = quality > np.median(quality)
    user.click(dock.strokes.tools["paint"])
    rng = np.random.default_rng(0)
    for n in range(_STROKES):
        if n == _STROKES // 2:
            user.clicks += 1  # the second row of the table
            dock.strokes.paint(2)
        places = np.argwhere(bright if n < _STROKES // 2 else ~bright)
        row, column = (int(v) for v in places[rng.integers(len(places))])
        layer = dock.strokes.layer
        if layer is None or str(layer.mode) != "paint":
            raise StuckError("there is nothing to paint on")
        layer.paint((row, column), layer.selected_label)
        user.clicks += 1
        user.live(0.1)
    user.live(2)
    user.click(dock.tasks.run_button)
    user.wait(dock)
    return dock


def crystals(user: User) -> Any:
    """What is in the map, its stereogram, and the indexed map."""
    from qtpy.QtWidgets import QTabWidget

    dock = computing("Crystals")(user)
    seen = [t for t in dock.findChildren(QTabWidget) if not t.visibleRegion().isEmpty()]
    user.tab(seen[0], 1)
    user.tab(seen[0], 0)
    user.click(dock.phases.add_button)
    return dock


JOBS: dict[str, Callable[[User], Any]] = {
    "maps": computing("EBSD maps"), "GND density": computing("GND density"),
    "total density": computing("Dislocation density"), "grain and poles": grain,
    "segmentation": segment, "parent grains": computing("Parent grains"), "crystals": crystals,
}  # fmt: skip


def main() -> None:
    """Print a row for each job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--map", type=Path)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--only", nargs="*", default=list(JOBS))
    given = parser.parse_args()
    import napari

    from napari_ebsdml import write
    from napari_ebsdml.samples import dual_phase_steel, fetch

    width, height = (int(n) for n in given.size.split("x"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = given.map
        if path is None:
            path = folder / "steel.ctf"
            write(path, dual_phase_steel((150, 200), seed=0).scan)
        print(f"{path.name} at {given.size}")
        print("job              clicks  seconds  figure")
        for job in given.only:
            viewer = napari.Viewer(show=True)
            viewer.window._qt_window.resize(width, height)
            user = User(viewer, folder)
            start = time.monotonic()
            try:
                patterns = job == "crystals" and given.map is None
                user.open(Path(fetch("nickel_patterns")) if patterns else path)
                dock = JOBS[job](user)
                told = f"{user.figure(dock, job.replace(' ', '_') + '.png') / 1000:.0f} kB"
            except StuckError as error:
                told = f"stuck: {error}"
            took = time.monotonic() - start
            print(f"{job:16} {user.clicks:6} {took:8.1f}  {told}", flush=True)
            viewer.close()


if __name__ == "__main__":
    main()
