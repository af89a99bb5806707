"""Panel that tells what the answer rests on: on the whole map, or for one grain."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.table import DataTable
from napari_ebsdml._napari.layers.clicks import MapClicks
from napari_ebsdml._napari.layers.of_scans import Level, add_result, layers_of
from napari_ebsdml._napari.layers.ring import Ring
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml._napari.segmenter.state import SegmenterState
    from napari_ebsdml.segmentation.explanation import Explanation

LAYER = "where a channel counts"
_WHAT = (
    "Hides one channel after the other from the model, and tells how many pixels get another "
    "class and how much of its chance the answer loses."
)
_NO_MODEL = "Train a model, or take a ready one, to ask what its answer rests on."
_CLICK = "Click on a grain of the map."
_TABLE_HEIGHT = 190


class ExplanationPanel(QWidget):
    """Asks the model what it looks at.

    Attributes
    ----------
    explanation : Explanation or None
        The last answer.
    """

    def __init__(self, state: SegmenterState) -> None:
        super().__init__()
        self.state = state
        self.explanation: Explanation | None = None
        self._scan: Scan | None = None
        self._asked: tuple[int, int] | None = None
        self.map_button = QPushButton("For this map")
        self.map_button.setToolTip(_WHAT)
        self.grain_button = QPushButton("For a grain")
        self.grain_button.setCheckable(True)
        self.grain_button.setToolTip(
            "Then click on a grain: what its class rests on, its surroundings among it"
        )
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.table = DataTable()
        self.table.setFixedHeight(_TABLE_HEIGHT)
        self.table.setToolTip(
            "Part of the pixels that get another class, and points of chance that are lost, when "
            "it is hidden"
        )
        self.table.hide()
        self.layer_button = QPushButton("Show as layer")
        self.layer_button.setToolTip(
            "Of each pixel, the largest part of its chance that it loses when a channel is hidden"
        )
        self.table.buttons.addWidget(self.layer_button)
        row = QHBoxLayout()
        row.addWidget(self.map_button)
        row.addWidget(self.grain_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(row)
        layout.addWidget(self.message)
        layout.addWidget(self.table)
        self.ring = Ring(state.viewer, "explained grain")
        self._clicks = MapClicks(
            state.viewer, lambda: state.scan if self.grain_button.isChecked() else None, self._pick
        )
        self.map_button.clicked.connect(lambda: self.explain())
        self.grain_button.toggled.connect(self._picking)
        self.layer_button.clicked.connect(self.show_layer)
        state.model_changed.connect(self._forget)
        state.busy_changed.connect(self._refresh)
        state.widget.chooser.scan_changed.connect(self._forget)
        self._forget()

    def explain(self, where: tuple[int, int] | None = None) -> None:
        """Ask for the whole map, or for the grain at (row, column)."""
        state, scan = self.state, self.state.scan
        if scan is None or state.segmenter is None or state.busy:
            return
        self._scan, self._asked = scan, where
        state.run(
            scan, run_explanation, state.segmenter, state.prepared(scan), where,
            label="Hiding one channel after the other", uses_torch=True, on_result=self._done,
        )  # fmt: skip

    def show_layer(self) -> None:
        """Add the loss of chance of each pixel as a layer."""
        scan, viewer = self._scan, self.state.viewer
        if self.explanation is None or scan is None or not layers_of(viewer, scan):
            return
        active = viewer.layers.selection.active
        loss = self.explanation.loss
        add_result(
            viewer, scan, np.clip(loss, 0, None), LAYER, settings={"grain": self._asked},
            model="U-Net", replace=True, level=Level.CLASSES, colormap="magma",
            contrast_limits=(0.0, 1.0), opacity=0.8,
        )  # fmt: skip
        if active is not None:
            viewer.layers.selection.active = active

    def stop(self) -> None:
        """Let go of the mouse and the viewer."""
        self._clicks.stop()
        self.ring.hide()

    def _picking(self, on: bool) -> None:
        active = self.state.viewer.layers.selection.active
        if on and active is not None and hasattr(active, "mode"):
            # A brush would paint where the grain is clicked.
            active.mode = "pan_zoom"
        if on:
            self.message.setText(_CLICK)
        elif self.message.text() == _CLICK:
            self.message.setText(_WHAT)

    def _pick(self, row: int, column: int) -> None:
        scan = self.state.scan
        if scan is not None and not scan.is_indexed[row, column]:
            self.message.setText(f"That pixel is not indexed, it lies in no grain. {_CLICK}")
            return
        self.grain_button.setChecked(False)
        self.explain((row, column))

    def _done(self, found: Explanation) -> None:
        self.explanation = found
        self.table.set_columns(
            {
                "other [%]": [100 * r.changed for r in found.rows],
                "lost [pt]": [100 * r.lost for r in found.rows],
                "hidden": [r.what for r in found.rows],
            }
        )
        self.table.show()
        what = "The map"
        if self._asked is not None and self._scan is not None:
            row, column = self._asked
            what = f"The grain at row {row}, column {column} ({found.pixels} pixels)"
            self.ring.show(self._scan, row, column, max(np.sqrt(found.pixels / np.pi), 4.0))
        else:
            self.ring.hide()
        self.message.setText(
            f"{what}: mean chance of its class {100 * found.chance:.0f} %. {escape(found.sentence)}"
        )
        self._refresh()

    def _forget(self, *_: Any) -> None:
        """Another map, or another model: what was told is of the one before."""
        self.explanation = None
        self.table.hide()
        self.ring.hide()
        self.grain_button.setChecked(False)
        self.message.setText(_NO_MODEL if self.state.segmenter is None else _WHAT)
        self._refresh()

    def _refresh(self, *_: Any) -> None:
        ready = self.state.segmenter is not None and self.state.scan is not None
        for button in (self.map_button, self.grain_button):
            button.setEnabled(ready and not self.state.busy)


def run_explanation(
    model: Any, scan: Scan, where: tuple[int, int] | None, progress: Any
) -> Explanation:
    """`explain`, for a worker thread."""
    from napari_ebsdml.segmentation.explanation import explain

    return explain(model, scan, where, progress=progress)
