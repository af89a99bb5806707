"""Pictures of every dock with its answer for one map, at two sizes and in two themes.

    tools/with_display.sh python benchmarks/dock_screens.py MAP OUT [--docks "GND density" ...]

Each dock is opened, computes with its defaults, and is taken with every page of its answer. A row
tells the status line and what does not fit: widgets whose text is wider than they are.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZES = ((1280, 720), (1600, 1000))
THEMES = ("dark", "light")
DOCKS = ("EBSD maps", "Grains and poles", "GND density", "Dislocation density", "Parent grains",
         "Grain classes", "U-Net segmenter", "Crystals", "Pattern viewer")  # fmt: skip
_PATIENCE_S = 900


def live(seconds: float) -> None:
    """Let the window work."""
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.005)


def cut_off(dock: Any) -> list[str]:
    """Texts of buttons and labels in sight that are wider than their places."""
    from qtpy.QtWidgets import QLabel, QPushButton
    from superqt import QElidingLabel

    found = []
    for kind in (QLabel, QPushButton):
        for widget in dock.findChildren(kind):
            text = widget.text()
            if isinstance(widget, QElidingLabel):
                continue
            if not text or "<" in text or widget.visibleRegion().isEmpty():
                continue
            if isinstance(widget, QLabel) and widget.wordWrap():
                short = widget.heightForWidth(widget.width()) > widget.height() + 2
            else:
                short = widget.sizeHint().width() > widget.width() + 2
            if short:
                found.append(text[:40])
    return found


def pages(dock: Any, name: str, picture: Callable[[str], None]) -> None:
    """Call with the name of every page of the dock while it is in sight."""
    from qtpy.QtWidgets import QTabWidget

    tabs = [tab for tab in dock.findChildren(QTabWidget) if not tab.visibleRegion().isEmpty()]
    outer = [tab for tab in tabs if not any(o is not tab and o.isAncestorOf(tab) for o in tabs)]
    if not outer:
        picture(name)
    for tab in outer:
        for k in range(tab.count()):
            if tab.isTabVisible(k):
                tab.setCurrentIndex(k)
                live(0.4)
                pages(tab.widget(k), f"{name}-{tab.tabText(k)}", picture)


def take(viewer: Any, dock: Any, out: Path, name: str) -> None:
    """A picture of each page, size and theme."""
    from napari.settings import get_settings

    window = viewer.window._qt_window

    def picture(label: str) -> None:
        label = "".join(c if c.isalnum() or c == "-" else "_" for c in label)
        label += f"-{get_settings().appearance.theme}-{window.width()}"
        window.grab().save(str(out / f"{label}.png"))
        for text in cut_off(dock):
            print(f"    cut off in {label}: {text!r}", flush=True)

    for theme in THEMES:
        get_settings().appearance.theme = theme
        for size in SIZES:
            window.resize(*size)
            live(0.6)
            pages(dock, name, picture)


def main() -> None:
    """Take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("map", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--docks", nargs="*", default=DOCKS)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    import napari

    viewer = napari.Viewer(show=True)
    live(1)
    viewer.open(given.map, plugin="napari-ebsdml")
    live(4)
    viewer.window._qt_window.grab().save(str(given.out / "opened.png"))
    for name in given.docks:
        outer, dock = viewer.window.add_plugin_dock_widget("napari-ebsdml", name)
        live(2)
        tasks, bar = getattr(dock, "tasks", None), getattr(dock, "bar", None)
        for page in range(1 if bar is None else bar.count()):
            label = name.replace(" ", "_")
            if bar is not None:
                bar.setCurrentIndex(page)
                label += f"-{bar.tabText(page)}"
                live(2)
            if tasks is not None and tasks.run_button.isEnabled():
                tasks.run_button.click()
                end = time.monotonic() + _PATIENCE_S
                while tasks.running and time.monotonic() < end:
                    live(0.2)
                live(2)
            print(label, "|", tasks.status.text() if tasks is not None else "", flush=True)
            take(viewer, dock, given.out, label)
        viewer.window.remove_dock_widget(dock if isinstance(dock, type(outer)) else outer)
        live(0.5)
    viewer.close()


if __name__ == "__main__":
    main()
