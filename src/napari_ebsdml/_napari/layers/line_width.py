"""Lines keep their width on the screen when one zooms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QObject, QTimer
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Vectors

_DELAY_MS = 80
"""After the last turn of the wheel: a million lines take some tenths of a second."""
_LEAST_CHANGE = 1.1
_MOST = 2.0
"""Pixels of the map: of a large map seen whole, lines would cover what they bound."""


def width_on_map(viewer: ViewerModel, scale: Sequence[float], pixels: float) -> float:
    """Width in pixels of the map, which is what napari takes, of one in pixels of the screen."""
    zoom = float(viewer.scene.camera.zoom)
    return min(pixels / max(zoom * float(min(scale[-2:])), 1e-9), _MOST)


class ScreenWidths(QObject):
    """Sets the width of layers of lines again after every zoom.

    A width that the user chose in the layer controls is left alone.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._kept: WeakKeyDictionary[Any, tuple[float, float]] = WeakKeyDictionary()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_DELAY_MS)
        self._timer.timeout.connect(self.apply)
        viewer.scene.camera.events.zoom.connect(self._later)

    def keep(self, layer: Vectors, pixels: float) -> None:
        """Keep the lines of a layer so many pixels of the screen wide."""
        wanted = width_on_map(self._viewer, layer.scale, pixels)
        if abs(wanted - float(layer.edge_width)) > 1e-6 * wanted:
            layer.edge_width = wanted  # napari builds all lines anew
        self._kept[layer] = (pixels, float(layer.edge_width))

    def apply(self) -> None:
        """Set the widths for the present zoom."""
        for layer in list(self._viewer.layers):
            if layer not in self._kept:
                continue
            pixels, before = self._kept[layer]
            now = float(layer.edge_width)
            if abs(now - before) > 1e-6 * before:
                del self._kept[layer]
                continue
            wanted = width_on_map(self._viewer, layer.scale, pixels)
            if max(wanted / now, now / wanted) > _LEAST_CHANGE:
                self.keep(layer, pixels)

    def _later(self, event: Any = None) -> None:
        if self._kept:
            self._timer.start()


_of_viewers: WeakKeyDictionary[Any, ScreenWidths] = WeakKeyDictionary()


def keep_width(viewer: ViewerModel, layer: Vectors, pixels: float) -> None:
    """Keep the lines of a layer so many pixels of the screen wide, whatever the zoom."""
    if QApplication.instance() is None:
        return
    if viewer not in _of_viewers:
        _of_viewers[viewer] = ScreenWidths(viewer)
    _of_viewers[viewer].keep(layer, pixels)
