"""Dock "Map key": what the colours of everything that is seen of a map mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import QFrame, QScrollArea, QVBoxLayout, QWidget

from napari_ebsdml._napari.layers.legend import MapLegend

if TYPE_CHECKING:
    from napari.components import ViewerModel

KEY_DOCK = "Map key (napari-ebsdml)"
"""How napari calls the dock when it opens it from its menu."""

_WIDTH = 180


class MapKey(QWidget):
    """Colour keys, scales and class names of the layers that are seen of the chosen map.

    Attributes
    ----------
    legend : MapLegend
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__()
        self.legend = MapLegend(napari_viewer)
        scroll = QScrollArea()
        scroll.setWidget(self.legend)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(scroll)

    def sizeHint(self) -> QSize:
        return QSize(_WIDTH, min(self.legend.minimumHeight() + 4, 260))

    def minimumSizeHint(self) -> QSize:
        return QSize(_WIDTH, 60)
