"""What the tests of docks share: a map in a viewer, a dock on it, its work from start to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from qtpy.QtWidgets import QWidget

from napari_ebsdml import Scan
from napari_ebsdml._napari.files.map_layers import map_layers

PLUGIN = "napari-ebsdml"
Dock = TypeVar("Dock", bound=QWidget)


def add_map(viewer: Any, scan: Scan, *where: float) -> None:
    """Add the layers that opening the map's file gives, with their corner at `where` in um."""
    for data, options, kind in map_layers(scan, where or (0.0, 0.0)):
        getattr(viewer, f"add_{kind}")(data, **options)


def open_dock(viewer: Any, name: str, kind: type[Dock]) -> Dock:
    """Dock of the plugin's menu."""
    _, widget = viewer.window.add_plugin_dock_widget(PLUGIN, name)
    assert isinstance(widget, kind)
    return widget


def run(
    start: Callable[[], object],
    tasks: Any,
    qtbot: Any,
    expect: str = "done",
    timeout: int = 300_000,
) -> None:
    """Start some work of a task bar and wait until it has ended in the way that is expected."""
    with qtbot.waitSignal(tasks.stopped, timeout=timeout) as over:
        start()
    assert over.args == [expect], tasks.status.text()


def compute(widget: Any, qtbot: Any, expect: str = "done") -> None:
    """Compute what a dock computes."""
    run(widget.compute, widget.tasks, qtbot, expect)


def wait_until_done(widget: Any, qtbot: Any, expect: str = "done") -> None:
    """Wait for work that is under way, if any."""
    if widget.tasks.running:
        run(lambda: None, widget.tasks, qtbot, expect, timeout=60_000)


def layer(viewer: Any, part: str) -> Any:
    """First layer whose name holds `part`."""
    return next(one for one in viewer.layers if part in one.name)
