"""Panel that sets the U-Net beside a random forest and a grain threshold."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QLabel, QPushButton, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.table import DataTable
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.of_scans import add_result, layers_of
from napari_ebsdml._napari.segmenter.truth import TruthChooser
from napari_ebsdml._palette import DIFFERS_ON_CLASSES
from napari_ebsdml._parallel import available_cores
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml._napari.segmenter.state import SegmenterState
    from napari_ebsdml.segmentation.comparison import Compared

_NOTHING = (
    "Trains a random forest and a grain threshold on the same strokes and channels, and judges "
    "all methods by the same held-out grains."
)
_TABLE_HEIGHT = 150


class ComparisonPanel(QWidget):
    """Trains the baselines with one click and tells how all methods fare.

    Attributes
    ----------
    compared : list of Compared
        Methods that are ready, of the scan that was chosen at the start.
    """

    def __init__(self, state: SegmenterState) -> None:
        super().__init__()
        self.state = state
        self.compared: list[Compared] = []
        self._scan: Scan | None = None
        self.truth = TruthChooser(state, optional=True)
        self.run_button = QPushButton("Compare with baselines")
        self.run_button.setToolTip(_NOTHING)
        self.message = QLabel(_NOTHING)
        self.message.setWordWrap(True)
        self.table = DataTable()
        self.table.setFixedHeight(_TABLE_HEIGHT)
        self.layers_button = QPushButton("Show as layers")
        self.layers_button.setToolTip(
            "Add what the baselines say, and where they differ from the U-Net, as layers"
        )
        self.table.buttons.addWidget(self.layers_button)
        self.table.hide()

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(QLabel("Truth, if there is one:"))
        layout.addWidget(self.truth)
        layout.addWidget(self.run_button)
        layout.addWidget(self.message)
        layout.addWidget(self.table)

        self.run_button.clicked.connect(self.run)
        self.layers_button.clicked.connect(self.show_layers)
        for signal in (state.pairs_changed, state.painted, state.busy_changed):
            signal.connect(self._refresh)
        state.widget.chooser.scan_changed.connect(self._refresh)
        state.widget.maps_gone.connect(self._forget)
        self._refresh()

    def run(self) -> None:
        """Train the baselines and predict the chosen scan."""
        state, scan = self.state, self.state.scan
        if scan is None or state.busy:
            return
        pairs = state.training_pairs()
        prepared = state.prepared(scan)
        settings = state.settings
        options = state.options
        self.compared, self._scan = [], scan
        self.table.hide()
        state.run(
            [scan, *(pair.scan for pair in state.pairs)], run_comparison, pairs, prepared,
            state.channels, settings, state.names, state.colors, state.segmenter,
            self.truth.truth(), options.grain_vote,
            label="Comparing", uses_torch=True, on_event=self._ready, on_result=self._done,
            on_cancel=self._done,
        )  # fmt: skip
        self.message.setText("Training the baselines …")

    def show_layers(self) -> None:
        """Add the baselines' labels, and where they differ from the U-Net's, as layers."""
        from napari_ebsdml.segmentation.comparison import LINEAR, UNET

        scan, viewer = self._scan, self.state.viewer
        if scan is None or not layers_of(viewer, scan):
            return
        own = UNET if any(row.method == UNET for row in self.compared) else LINEAR
        base = next((row.result for row in self.compared if row.method == own), None)
        active = viewer.layers.selection.active
        for row in self.compared:
            if row.method == own:
                continue
            shown = [(row.method, row.result.labels, self.state.label_classes(), True)]
            if base is not None:
                differs = (row.result.labels != base.labels).astype(np.int32)
                classes = (
                    LabelClass(0, "same", "transparent"),
                    LabelClass(1, "differs", DIFFERS_ON_CLASSES),
                )  # fmt: skip
                shown.append((f"{row.method} differs from {own}", differs, classes, False))
            for name, data, classes_, visible in shown:
                add_result(
                    viewer, scan, data, name, kind="labels", classes=classes_, model=row.method,
                    settings={"channels": row.detail}, replace=True, visible=visible, opacity=0.45,
                )  # fmt: skip
        if active is not None:
            viewer.layers.selection.active = active

    def _ready(self, event: Any) -> None:
        self.compared.append(event)
        self._fill()

    def _done(self, *_: Any) -> None:
        self._fill()
        if not self.compared:
            self.message.setText(_NOTHING)

    def _fill(self) -> None:
        rows = self.compared
        self.table.setVisible(bool(rows))
        if not rows:
            return
        percent = {
            "truth [%]": [100 * row.truth_accuracy for row in rows],
            "held-out [%]": [100 * row.held_out_accuracy for row in rows],
            "like the model [%]": [100 * row.agreement for row in rows],
            "class mean [%]": [100 * row.balanced_accuracy for row in rows],
        }
        # A column without a single figure says nothing.
        kept = {name: v for name, v in percent.items() if np.isfinite(v).any()}
        self.table.set_columns(
            {
                "method": [row.method for row in rows],
                **kept,
                "time [s]": [row.seconds for row in rows],
                "channels": [row.detail for row in rows],
            }
        )
        self.message.setText(in_words(rows))

    def _forget(self) -> None:
        if self._scan is not None and not layers_of(self.state.viewer, self._scan):
            self.compared, self._scan = [], None
            self.table.hide()
            self.message.setText(_NOTHING)

    def _refresh(self, *_: Any) -> None:
        ready = self.state.scan is not None and bool(self.state.pairs)
        self.run_button.setEnabled(ready and not self.state.busy)


def run_comparison(
    pairs: Any, scan: Scan, channels: Any, settings: Any, names: Any, colors: Any, model: Any,
    truth: Any, grain_vote: bool,
) -> Any:  # fmt: skip
    """`compare` for a worker thread, with settings as the state holds them."""
    from napari_ebsdml.segmentation import TrainingSettings
    from napari_ebsdml.segmentation.comparison import compare

    known = {field.name for field in dataclasses.fields(TrainingSettings)}
    chosen = TrainingSettings(**{k: v for k, v in settings.items() if k in known})
    return (
        yield from compare(
            pairs,
            scan,
            channels or None,
            classes=names,
            colors=colors,
            settings=chosen,
            model=model,
            truth=truth,
            grain_vote=grain_vote,
            n_jobs=available_cores(),
        )
    )


def in_words(rows: list[Compared]) -> str:
    """What the table says, in one or two sentences."""
    by_truth = any(np.isfinite(row.truth_accuracy) for row in rows)
    figure = {row.method: row.truth_accuracy if by_truth else row.held_out_accuracy for row in rows}
    known = {method: value for method, value in figure.items() if np.isfinite(value)}
    against = "the truth" if by_truth else f"{rows[0].held_out_pixels} held-out pixels"
    parts = []
    if len(known) > 1:
        order = sorted(known, key=lambda method: -known[method])
        lead = 100 * (known[order[0]] - known[order[1]])
        parts.append(
            f"By {against}, <b>{order[0]}</b> is best: {100 * known[order[0]]:.1f} %, "
            f"{lead:.1f} points ahead of {order[1]}."
        )
    elif not known:
        parts.append("Too few strokes to hold grains out: paint more, or choose a truth.")
    notes = [f"{row.method}: {row.note}." for row in rows if row.note]
    return " ".join([*parts, *notes])
