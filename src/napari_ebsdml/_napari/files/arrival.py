"""What happens in the window once the layers of a file are there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from qtpy.QtCore import Qt, QTimer

from napari_ebsdml._napari.controls.settings import remembered
from napari_ebsdml._napari.files.memory import return_when_maps_close
from napari_ebsdml._napari.layers.of_scans import (
    Level,
    info_of,
    layers_of,
    level_of,
    protect,
    show_map,
)
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel

_KEY_HEIGHT = 240
_LOW_WINDOW = 850

_met: WeakSet[Any] = WeakSet()
"""Windows that have shown a map."""


def settle(scans: Sequence[Scan]) -> None:
    """Bring maps into view as soon as napari has added what the reader returned."""
    import napari
    from qtpy.QtCore import QThread
    from qtpy.QtWidgets import QApplication

    viewer = napari.current_viewer()
    app = QApplication.instance()
    if viewer is None or app is None or QThread.currentThread() is not app.thread():
        return
    model = getattr(viewer, "__wrapped__", viewer)
    QTimer.singleShot(0, lambda: arrived(model, scans))


def settle_one_by_one(scans: Sequence[Scan], number: int) -> None:
    """As `settle`, and let the window live on between the `number` layers that napari adds.

    Each takes some tenths of a second of a large map. Clicks wait until all are there.
    """
    import napari
    from qtpy.QtCore import QEventLoop, QThread
    from qtpy.QtWidgets import QApplication

    viewer = napari.current_viewer()
    app = QApplication.instance()
    if viewer is None or app is None or QThread.currentThread() is not app.thread():
        return
    waiting = QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents
    inserted = getattr(viewer, "__wrapped__", viewer).layers.events.inserted
    left = [number]

    def added(_event: object = None) -> None:
        left[0] -= 1
        if left[0] <= 0:
            inserted.disconnect(added)
        QApplication.processEvents(waiting)
        if left[0] <= 0:
            settle(scans)

    # What napari itself does with a new layer comes first.
    inserted.connect(added, position="last")


def arrived(viewer: ViewerModel, scans: Sequence[Scan]) -> None:
    """Fit the view to new maps, select their IPF colours, show a scale bar, protect labels."""
    there = [scan for scan in scans if layers_of(viewer, scan)]
    if not there:
        return
    for scan in there:
        for layer in layers_of(viewer, scan):
            protect(layer)
    pictures = [
        layer
        for layer in layers_of(viewer, there[0])
        if layer.visible and (info_of(layer) or {}).get("kind") in ("image", "rgb")
    ]
    if pictures:
        viewer.layers.selection.active = pictures[-1]
    viewer.canvas.overlays.scale_bar.visible = True
    show_map(viewer, *there)
    # In a later turn, as the window draws in between.
    QTimer.singleShot(0, lambda: _accompany(viewer))


def _accompany(viewer: ViewerModel) -> None:
    """Show the key, and keep the window's state from now on."""
    from napari_ebsdml._napari.files.recovery import keep

    if not viewer.layers:
        return
    window = getattr(viewer, "window", None)
    if window is not None and window not in _met:
        _met.add(window)
        return_when_maps_close(viewer, window._qt_window)
        _show_key(viewer, window)
    keep(viewer)
    # napari takes its time over the first question; docks ask while they open.
    QTimer.singleShot(0, lambda: remembered(""))


def _show_key(viewer: ViewerModel, window: Any) -> None:
    """Open the dock "Map key" with the first map of a window; once closed it stays so."""
    from napari_ebsdml._napari.layers.map_key import KEY_DOCK, MapKey

    if KEY_DOCK not in window.dock_widgets:
        key = window.add_dock_widget(
            MapKey(viewer), name=KEY_DOCK, area="left", add_vertical_stretch=False
        )
        _make_room(viewer, key)


def _make_room(viewer: Any, key: Any) -> None:
    """Give the key some height; where there is none, the layer controls' place, as a tab."""
    main = viewer.window._qt_window
    controls = getattr(viewer.window._qt_viewer, "dockLayerControls", None)
    if main.height() >= _LOW_WINDOW or controls is None:
        # Only once Qt has laid them out do docks take a size.
        QTimer.singleShot(
            0, lambda: main.resizeDocks([key], [_KEY_HEIGHT], Qt.Orientation.Vertical)
        )
        return
    main.tabifyDockWidget(controls, key)
    # Qt brings a tab to the front only once it is laid out.
    QTimer.singleShot(0, key.raise_)

    def back(event: Any) -> None:
        # Brush and class are chosen there.
        layer = viewer.layers.selection.active
        if layer is not None and (info_of(layer) is None or level_of(layer) is Level.STROKES):
            controls.raise_()

    viewer.layers.selection.events.active.connect(back)
