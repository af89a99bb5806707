"""Page "Train and check" of the segmenter, below: phase fractions, and how the result is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.controls.combo import narrow_combo
from napari_ebsdml._napari.controls.form import KeptAs, SettingsForm
from napari_ebsdml._napari.controls.table import DataTable
from napari_ebsdml._napari.segmenter.prediction_layers import draw, show_prediction
from napari_ebsdml._napari.segmenter.state import Display, SegmenterState
from napari_ebsdml._napari.segmenter.training_run import Predicted, predict, vote
from napari_ebsdml._napari.shell.background import Background
from napari_ebsdml._napari.shell.workers import Outcome
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation.settings import PredictSettings

# As earlier versions kept it.
_KEPT_AS: dict[str, KeptAs] = {"turns": ("average", {1: False, 8: True})}
_NOTHING = "Train a model, or load one on the page More: the map then gets its classes here."
_TABLE_ROWS = 5


class ResultPanel(QWidget):
    """Phase fractions of the chosen map, what to show, and how to predict.

    Signals
    -------
    described : str
        The result in a few words, for the heading.
    """

    described = Signal(str)

    def __init__(self, state: SegmenterState) -> None:
        super().__init__()
        self.state = state
        self._background = Background(self)
        self._fractions: WeakKeyDictionary[Any, list[Any]] = WeakKeyDictionary()
        self._watched: list[Any] = []
        self.note = QLabel(_NOTHING)
        self.note.setWordWrap(True)
        self.show_labels = QCheckBox("Segmentation")
        self.show_labels.setToolTip("Hide or show it (S)")
        self.show_uncertainty = QCheckBox("Uncertainty")
        self.show_uncertainty.setToolTip("Chance that the class is wrong, by the model")
        self.display = narrow_combo()
        for one in Display:
            self.display.addItem(one.value, one)
        self.display.setToolTip(
            "Classes over the grey quality image, in the full colours of the table, or their "
            "outlines alone"
        )
        self.table = DataTable()
        self.form = SettingsForm(PredictSettings, kept_as=_KEPT_AS)
        self.button = QPushButton("Segment this map")
        self.button.setToolTip("Apply the present model to the map chosen on top of the dock")
        self.report_button = QPushButton("Report …")
        self.report_button.setToolTip(
            "Map, strokes, fractions and settings on a page (HTML, PDF) or as a table (CSV)"
        )
        # Two rows: a dock in a small window has no room for all three side by side.
        shown = QGridLayout()
        shown.addWidget(self.show_labels, 0, 0)
        shown.addWidget(self.show_uncertainty, 0, 1)
        shown.addWidget(QLabel("Shown as"), 1, 0)
        shown.addWidget(self.display, 1, 1)
        self._shown = QWidget()
        shown.setContentsMargins(0, 0, 0, 0)
        self._shown.setLayout(shown)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for part in (self.note, self._shown, self.table):
            layout.addWidget(part)
        buttons = QHBoxLayout()
        buttons.addWidget(self.button)
        buttons.addWidget(self.report_button)
        layout.addLayout(buttons)
        self.show_labels.toggled.connect(lambda on: self._set_visible("labels", on))
        self.show_uncertainty.toggled.connect(lambda on: self._set_visible("uncertainty", on))
        self.display.activated.connect(self._draw)
        self.form.changed.connect(self._options_changed)
        self.button.clicked.connect(self.segment)
        self.report_button.clicked.connect(self._ask_and_report)
        state.prediction_changed.connect(self._prediction_changed)
        state.model_changed.connect(self._refresh)
        state.busy_changed.connect(self._refresh)
        state.classes_changed.connect(self._fill)
        state.widget.chooser.scan_changed.connect(self._refresh)
        state.viewer.layers.events.removed.connect(self._refresh)
        self._options_changed()
        self._refresh()

    def segment(self) -> None:
        """Apply the present model to the chosen map."""
        scan, model = self.state.scan, self.state.segmenter
        if scan is None or model is None or self.state.busy:
            return
        self.state.run(
            scan, predict, model, scan, self.state.prepared(scan), self.state.options,
            label=f"Segmenting {scan.name}", uses_torch=True, on_result=self.show_result,
        )  # fmt: skip

    def report(self, path: str) -> None:
        """Write a report on what is shown of the chosen map, in the background."""
        scan = self.state.scan
        result = self.state.predictions.get(scan) if scan is not None else None
        if scan is None or result is None or self.state.busy:
            return
        pairs = self.state.pairs_of(scan)
        strokes = pairs[-1].labels() if pairs else None
        self.state.run(
            scan, _report, path, scan, result, self.state.segmenter, strokes,
            label="Writing the report",
        )  # fmt: skip

    def _ask_and_report(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Report", "segmentation.html", "Page (*.html);;PDF (*.pdf);;Table (*.csv)"
        )
        if path:
            self.report(path)

    def show_result(self, found: Predicted) -> None:
        """Show a prediction in its layers and in the table."""
        self._fractions[found.shown] = found.fractions
        show_prediction(self.state, found.scan, found.shown, found.raw)

    def toggle_labels(self) -> None:
        """Hide the segmentation, or show it again."""
        if self._shown.isVisibleTo(self):
            self.show_labels.setChecked(not self.show_labels.isChecked())

    def stop(self) -> None:
        """Let go of the viewer."""
        self._background.stop()
        self._watch({})
        self.state.viewer.layers.events.removed.disconnect(self._refresh)

    def _options_changed(self) -> None:
        before = self.state.options
        options = self.form.settings()
        self.state.options = options
        without = replace(before, grain_vote=options.grain_vote)
        if replace(without, grain_threshold=options.grain_threshold) != options:
            # Other probabilities: the model has to be asked again.
            self._refresh()
        elif options != before and not self.state.busy:
            self._vote_again()
        elif options != before:
            self._refresh()

    def _vote_again(self) -> None:
        scan = self.state.scan
        raw = self.state.raw_prediction(scan) if scan is not None else None
        if scan is not None and raw is not None:
            self.state.run(
                scan, vote, scan, raw, self.state.options,
                label="One class per grain", on_result=self.show_result,
            )  # fmt: skip

    def _prediction_changed(self, scan: Scan) -> None:
        if scan is self.state.scan:
            self._refresh()

    def _refresh(self, event: Any = None) -> None:
        scan, model = self.state.scan, self.state.segmenter
        result = self.state.predictions.get(scan) if scan is not None else None
        layers = self.state.prediction_layers(scan) if scan is not None else {}
        self._watch(layers)
        there = result is not None and bool(layers)
        self.button.setEnabled(model is not None and scan is not None and not self.state.busy)
        self._shown.setVisible(there)
        self.report_button.setEnabled(there and not self.state.busy)
        self.table.setVisible(there)
        for name, box in (("labels", self.show_labels), ("uncertainty", self.show_uncertainty)):
            box.blockSignals(True)
            box.setEnabled(name in layers)
            box.setChecked(name in layers and bool(layers[name].visible))
            box.blockSignals(False)
        if not there:
            ready = "Press the button to segment this map." if model is not None else _NOTHING
            self.note.setText(ready)
            self.described.emit("")
        else:
            assert result is not None
            self.note.setText("\n".join(result.warnings))
            self.note.setStyleSheet("font-weight: bold;" if result.foreign else "")
            self._fill()
        self.note.setVisible(bool(self.note.text()))

    def _watch(self, layers: dict[str, Any]) -> None:
        """Follow the eye of the layers in napari's list."""
        for layer in self._watched:
            layer.events.visible.disconnect(self._refresh)
        self._watched = list(layers.values())
        for layer in self._watched:
            layer.events.visible.connect(self._refresh)

    def _set_visible(self, name: str, visible: bool) -> None:
        scan = self.state.scan
        layer = self.state.prediction_layers(scan).get(name) if scan is not None else None
        if layer is not None:
            layer.visible = visible

    def _draw(self, index: int) -> None:
        self.state.display = self.display.itemData(index)
        for scan in self.state.predictions:
            layer = self.state.prediction_layers(scan).get("labels")
            if layer is not None:
                draw(layer, self.state.display)

    def _fill(self) -> None:
        scan = self.state.scan
        result = self.state.predictions.get(scan) if scan is not None else None
        if result is None:
            return
        if result not in self._fractions:
            # A result from elsewhere: counting takes too long for the GUI's thread.
            self._background.start(
                result.fractions, then=lambda outcome: self._counted(result, outcome)
            )
            return
        names = self.state.names
        rows = self._fractions[result]
        self.table.set_columns(
            {
                "class": [names.get(f.value, f.name) for f in rows],
                "area [%]": [100 * f.fraction for f in rows],
                "95 % from": [100 * f.low for f in rows],
                "to": [100 * f.high for f in rows],
            }
        )
        self.table.keep_low(_TABLE_ROWS)
        told = [
            f"{names.get(f.value, f.name)} {100 * f.fraction:.1f} %"
            f"{' (may be none)' if f.may_be_none else ''}"
            for f in rows[:3]
        ]
        self.described.emit("not like the training maps" if result.foreign else ", ".join(told))

    def _counted(self, result: Any, outcome: Outcome) -> None:
        if outcome.error is None:
            self._fractions[result] = outcome.value
            self._fill()


def _report(path: str, scan: Scan, result: Any, model: Any, strokes: Any) -> Any:
    """`write_report`, loaded when it is needed; for a worker thread."""
    from napari_ebsdml.segmentation.results.report import write_report

    return write_report(path, scan, result, model, strokes)
