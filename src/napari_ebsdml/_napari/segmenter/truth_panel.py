"""Panel that makes a ground truth of an annotation layer; every step can be undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.form import SettingsForm
from napari_ebsdml._napari.segmenter.prediction_layers import OPACITY
from napari_ebsdml._napari.segmenter.state import Display
from napari_ebsdml._napari.segmenter.strokes.annotation_layers import new_annotation_layer
from napari_ebsdml.segmentation.truth.recipe import TruthSettings

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_ebsdml._napari.segmenter.state import SegmenterState
    from napari_ebsdml.scan import Scan

_NOTE = (
    "Label first (a model, or the brush), refine, then correct grains by hand. Works on the "
    "annotation layer of the map; Ctrl+Z takes a step back."
)


class TruthPanel(QWidget):
    """Takes labels from the segmentation, and refines those of the annotation layer.

    Parameters
    ----------
    state
    layer_of
        Gives the annotation layer of the chosen map, or None.
    """

    def __init__(self, state: SegmenterState, layer_of: Callable[[], Labels | None]) -> None:
        super().__init__()
        self.state = state
        self._layer_of = layer_of
        self.form = SettingsForm(TruthSettings)
        self.take_button = QPushButton("Take the segmentation")
        self.take_button.setToolTip("Label the whole map as it was segmented")
        self.refine_button = QPushButton("Refine labels")
        self.refine_button.setToolTip("Vote per grain, pixels not indexed, sizes: as set above")
        self.message = QLabel(_NOTE)
        self.message.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.form.native)
        row = QHBoxLayout()
        row.addWidget(self.take_button)
        row.addWidget(self.refine_button)
        layout.addLayout(row)
        layout.addWidget(self.message)
        self.take_button.clicked.connect(self.take)
        self.refine_button.clicked.connect(self.refine)
        for signal in (state.busy_changed, state.prediction_changed,
                       state.widget.chooser.scans_changed):  # fmt: skip
            signal.connect(self._refresh)
        self._refresh()

    def take(self) -> None:
        """Put the labels of the segmentation into the annotation layer."""
        scan = self.state.scan
        result = self.state.predictions.get(scan) if scan is not None else None
        if scan is None or result is None:
            return
        layer = self._layer_of()
        if layer is None:
            layer = new_annotation_layer(self.state, scan).layer
        self._write(layer, result.labels)
        # Grains are corrected by hand next: they must be seen, and the same labels but once.
        layer.opacity = min(layer.opacity, OPACITY[Display.TINT])
        shown = self.state.prediction_layers(scan).get("labels")
        if shown is not None:
            shown.visible = False

    def refine(self) -> None:
        """Refine the labels of the annotation layer in the background."""
        scan, layer = self.state.scan, self._layer_of()
        if scan is None or self.state.busy:
            return
        if layer is None or layer.data.shape != scan.shape or not np.any(layer.data):
            self.message.setText("There is nothing to refine: label the map first.")
            return
        self.state.run(
            scan, _refined, scan, np.array(layer.data), self.form.settings(),
            label="Refining labels", on_result=lambda labels: self._write(layer, labels),
        )  # fmt: skip

    def _write(self, layer: Labels, labels: NDArray[np.integer]) -> None:
        if layer.data.shape != labels.shape:
            self.message.setText("The annotation layer holds several maps: refine single ones.")
            return
        number = write_labels(layer, labels)
        self.message.setText(
            f"{number:,} pixels got another label; Ctrl+Z takes them back."
            if number
            else "No pixel got another label."
        )

    def _refresh(self, *_: Any) -> None:
        scan, free = self.state.scan, not self.state.busy
        self.refine_button.setEnabled(free and scan is not None)
        self.take_button.setEnabled(free and scan is not None and scan in self.state.predictions)


def write_labels(layer: Labels, labels: NDArray[np.integer]) -> int:
    """Change the pixels of a layer that differ, in one step of its history; how many."""
    changed = np.nonzero(np.asarray(layer.data) != labels)
    if len(changed[0]):
        layer.data_setitem(changed, labels[changed].astype(layer.data.dtype))
    return len(changed[0])


def _refined(
    scan: Scan, labels: NDArray[np.integer], settings: TruthSettings, progress: Any = None
) -> NDArray[np.integer]:
    """`refined_truth`, loaded when it is needed; for a worker thread."""
    from napari_ebsdml.segmentation.truth import refined_truth

    return refined_truth(scan, labels, settings, progress)
