"""Panel that leads from one uncertain, unpainted place to the next, ready to paint."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_ebsdml._napari.layers.of_scans import layers_of, scans_of
from napari_ebsdml._napari.layers.ring import Ring
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

    from napari_ebsdml._napari.segmenter.state import SegmenterState
    from napari_ebsdml.segmentation.results.uncertain_places import UncertainPlace

_VIEW = (48, 160)
_BRUSH = (3, 15)
_NEAR_PAINT = 3
_LEAST_RING = 4.0
_DONE = "Every uncertain place has a stroke: press “Continue training”, then look for new ones."


class UncertainPanel(QWidget):
    """Goes to the places where the prediction is least sure and nothing is painted yet.

    Attributes
    ----------
    places : list of UncertainPlace
        Of the prediction that is shown, the most uncertain first.
    """

    def __init__(self, state: SegmenterState) -> None:
        super().__init__()
        self.state = state
        self.places: list[UncertainPlace] = []
        self._scan: Scan | None = None
        self._at = -1
        self._found = False

        self.ring = Ring(state.viewer, "uncertain place")
        self.next_button = QPushButton("Next uncertain place")
        self.next_button.setToolTip(
            "Go where the model is least sure and nothing is painted, with the brush ready "
            "(N). A stroke there teaches it most."
        )
        self.back_button = QPushButton("Back")
        self.back_button.setToolTip("Go to the place before")
        self.show_button = QPushButton("Show uncertainty")
        self.show_button.setCheckable(True)
        self.show_button.setToolTip("Lay the uncertainty over the map: bright is uncertain")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setAlignment(Qt.AlignmentFlag.AlignTop)
        # Room for what it says later on: a form must not jump under the mouse.
        self.message.setMinimumHeight(3 * self.message.fontMetrics().lineSpacing() + 4)

        row = QHBoxLayout()
        row.addWidget(self.back_button, 1)
        row.addWidget(self.next_button, 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self.show_button)
        layout.addWidget(self.message)

        self.next_button.clicked.connect(self.go_next)
        self.back_button.clicked.connect(self.go_back)
        self.show_button.clicked.connect(self._show_uncertainty)
        state.prediction_changed.connect(self._prediction_changed)
        state.widget.chooser.scan_changed.connect(self._forget)
        self._forget()

    def go_next(self) -> bool:
        """Go to the next place without a stroke; False when there is none."""
        return self._go(1)

    def go_back(self) -> bool:
        """Go to the place before."""
        return self._go(-1)

    def _go(self, by: int) -> bool:
        scan, layer = self.state.scan, self._annotation()
        result = self.state.predictions.get(scan) if scan is not None else None
        if scan is None or result is None:
            self._refresh()
            return False
        if layer is None:
            self.message.setText("This scan has no annotation layer: make one first (Paint).")
            return False
        painted = self._painted(scan)
        if not self._found or self._scan is not scan:
            from napari_ebsdml.segmentation.results.uncertain_places import uncertain_places

            where = scan.is_indexed if scan.is_indexed.any() else None
            self.places = uncertain_places(result.uncertainty, painted, where)
            self._scan, self._at, self._found = scan, -1, True
        at = self._at + by
        while 0 <= at < len(self.places) and by > 0 and _has_stroke(painted, self.places[at]):
            at += by
        if not 0 <= at < len(self.places):
            if by > 0:
                self.message.setText(
                    _DONE if self.places else "The model is sure of all that is not painted."
                )
                self.ring.hide()
                # From the top again: places that were passed over may still want a stroke.
                self._at = -1
            return False
        self._at = at
        place = self.places[at]
        look_at(self.state.viewer, scan, place)
        self.ring.show(scan, place.row, place.column, max(1.2 * place.radius, _LEAST_RING))
        self._ready_to_paint(layer, place)
        chances = [
            f"{escape(name)} {100 * float(result.probability[place.row, place.column, i]):.0f} %"
            for i, name in enumerate(result.classes.names)
        ]
        self.message.setText(
            f"<b>{at + 1} of {len(self.places)}</b> · in the ring the model says "
            f"{', '.join(chances)}. Paint what it is."
        )
        self._refresh()
        return True

    def stop(self) -> None:
        """Take the ring away."""
        self.ring.hide()

    def _ready_to_paint(self, layer: Labels, place: UncertainPlace) -> None:
        layer.visible = True
        self.state.viewer.layers.selection.active = layer
        layer.editable = True
        layer.mode = "paint"
        layer.brush_size = int(np.clip(round(0.8 * place.radius), *_BRUSH))

    def _annotation(self) -> Labels | None:
        """Layer to paint on: the active one of the scan's, else the newest."""
        there = [p.layer for p in self.state.pairs_of(self.state.scan)]
        there = [layer for layer in there if layer in self.state.viewer.layers]
        active = self.state.viewer.layers.selection.active
        return active if active in there else there[-1] if there else None

    def _painted(self, scan: Scan) -> np.ndarray:
        painted = np.zeros(scan.shape, dtype=bool)
        for pair in self.state.pairs_of(scan):
            painted |= pair.labels() > 0
        return painted

    def _prediction_changed(self, scan: Scan) -> None:
        if scan is self.state.scan:
            self._forget()

    def _forget(self, scan: Any = None) -> None:
        self.places, self._scan, self._at, self._found = [], None, -1, False
        self.ring.hide()
        self._refresh()
        there = self.state.scan is not None and self.state.scan in self.state.predictions
        self.message.setText(
            "" if there else "Train first: then this leads to the most uncertain places."
        )

    def _refresh(self) -> None:
        scan = self.state.scan
        there = scan is not None and scan in self.state.predictions
        self.next_button.setEnabled(there)
        self.back_button.setEnabled(there and self._at > 0)
        layer = self._uncertainty_layer()
        self.show_button.setEnabled(layer is not None)
        self.show_button.setChecked(layer is not None and bool(layer.visible))

    def _uncertainty_layer(self) -> Any:
        scan = self.state.scan
        return self.state.prediction_layers(scan).get("uncertainty") if scan is not None else None

    def _show_uncertainty(self, checked: bool) -> None:
        layer = self._uncertainty_layer()
        if layer is not None:
            layer.visible = checked


def look_at(viewer: ViewerModel, scan: Scan, place: UncertainPlace) -> None:
    """Move the camera so that a place lies in the middle, with its surroundings."""
    there = layers_of(viewer, scan)
    if not there:
        return
    home = there[0]
    point: tuple[int, ...] = (place.row, place.column)
    if home.ndim == 3:
        point = (scans_of(home).index(scan), *point)
    world = [float(c) for c in home.data_to_world(point)]
    if len(world) == 3:
        viewer.dims.set_point(0, world[0])
    camera = viewer.scene.camera
    camera.center = (0.0, *world[-2:]) if len(camera.center) == 3 else tuple(world[-2:])
    side = float(np.clip(8 * place.radius, *_VIEW))
    height, width = viewer.canvas.viewbox_size(viewer.layers)
    camera.zoom = min(height / (side * scan.step[0]), width / (side * scan.step[1]))


def _has_stroke(painted: np.ndarray, place: UncertainPlace) -> bool:
    n = _NEAR_PAINT
    part = painted[
        max(place.row - n, 0) : place.row + n + 1, max(place.column - n, 0) : place.column + n + 1
    ]
    return bool(part.any())
