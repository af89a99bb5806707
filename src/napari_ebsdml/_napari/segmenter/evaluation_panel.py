"""Panel that judges a prediction by the truth: confusion matrix, figures per class, error map."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.controls.table import DataTable
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.of_scans import add_result, layers_of
from napari_ebsdml._napari.segmenter.truth import TruthChooser
from napari_ebsdml._napari.shell.background import Background
from napari_ebsdml._palette import RIGHT, WRONG
from napari_ebsdml.errors import EbsdmlError
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml._napari.segmenter.state import SegmenterState
    from napari_ebsdml._napari.shell.workers import Outcome
    from napari_ebsdml.segmentation import Evaluation

ACCURACY_MAP = "accuracy map"
_MAP_CLASSES = (
    LabelClass(0, "not compared", "transparent"),
    LabelClass(1, "right", RIGHT),
    LabelClass(2, "wrong", WRONG),
)
_NO_PREDICTION = "Train, or apply a model to this scan, to have something to judge."
_NO_TRUTH = (
    "Open or paint a Labels layer with the true classes on this scan; the vendor's phase map "
    "will do, too."
)
_TABLE_HEIGHT = 150


class EvaluationPanel(QWidget):
    """Compares the prediction of the chosen scan with a ground-truth layer.

    Attributes
    ----------
    evaluation : Evaluation or None
        The last comparison.
    """

    def __init__(self, state: SegmenterState) -> None:
        super().__init__()
        self.state = state
        self.evaluation: Evaluation | None = None
        self._scan: Scan | None = None
        self.background = Background(self)
        self.truth = TruthChooser(state)
        self.unpainted = QCheckBox("Leave painted pixels out")
        self.unpainted.setChecked(True)
        self.unpainted.setToolTip(
            "The model was trained on the painted pixels: it knows them better than the rest"
        )
        self.run_button = QPushButton("Evaluate")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.picture = ConfusionPicture()
        self.table = DataTable()
        self.table.setFixedHeight(_TABLE_HEIGHT)
        self.map_button = QPushButton("Show accuracy map")
        self.map_button.setToolTip("Add a layer that shows which pixels are right and wrong")
        self.picture_button = QPushButton("Save picture …")
        buttons = QHBoxLayout()
        buttons.addWidget(self.map_button)
        buttons.addWidget(self.picture_button)
        self.results = QWidget()
        inner = QVBoxLayout(self.results)
        inner.setContentsMargins(0, 0, 0, 0)
        inner.setSpacing(4)
        inner.addWidget(self.picture)
        inner.addWidget(self.table)
        inner.addLayout(buttons)
        self.results.hide()

        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(QLabel("True classes:"))
        layout.addWidget(self.truth)
        layout.addWidget(self.unpainted)
        layout.addWidget(self.run_button)
        layout.addWidget(self.message)
        layout.addWidget(self.results)

        self.run_button.clicked.connect(self.run)
        self.map_button.clicked.connect(self.show_map)
        self.picture_button.clicked.connect(self._ask_and_save)
        self.truth.changed.connect(self._outdated)
        self.unpainted.toggled.connect(self._outdated)
        state.prediction_changed.connect(self._prediction_changed)
        state.widget.chooser.scan_changed.connect(self._outdated)
        state.widget.maps_gone.connect(self._forget)
        self._outdated()

    def run(self) -> None:
        """Compare the prediction that is shown with the truth."""
        scan, truth = self.state.scan, self.truth.truth()
        result = self.state.predictions.get(scan) if scan is not None else None
        if scan is None or result is None or truth is None:
            self._outdated()
            return
        painted = self._painted(scan) if self.unpainted.isChecked() else None
        self._scan = scan
        self.run_button.setEnabled(False)
        self.background.start(
            compare_with_truth, result.labels, truth, self.truth.classes, painted, then=self._done
        )

    def _forget(self) -> None:
        if self._scan is not None and not layers_of(self.state.viewer, self._scan):
            self._scan = None

    def show_map(self) -> None:
        """Add the layer of right and wrong pixels."""
        if self.evaluation is None or self._scan is None:
            return
        viewer = self.state.viewer
        if not layers_of(viewer, self._scan):
            return
        active = viewer.layers.selection.active
        correct = self.evaluation.correct
        add_result(
            viewer, self._scan, np.where(correct < 0, 0, 2 - correct).astype(np.int32),
            ACCURACY_MAP, kind="labels", classes=_MAP_CLASSES, model="U-Net",
            settings={"accuracy": self.evaluation.accuracy}, replace=True, opacity=0.8,
        )  # fmt: skip
        if active is not None:
            viewer.layers.selection.active = active

    def save_picture(self, path: str | Path) -> None:
        """Write the confusion matrix as a picture, black on white.

        Raises
        ------
        WriteError
            When the file cannot be written.
        """
        from napari_ebsdml.segmentation.results.confusion_picture import save_confusion

        if self.evaluation is not None:
            save_confusion(self.evaluation, path)

    def _painted(self, scan: Scan) -> NDArray[np.bool_] | None:
        painted: NDArray[np.bool_] | None = None
        for pair in self.state.pairs_of(scan):
            here = pair.labels() > 0
            painted = here if painted is None else painted | here
        return painted

    def _done(self, outcome: Outcome) -> None:
        self._ready()
        if outcome.error is not None:
            if not isinstance(outcome.error, EbsdmlError):
                raise outcome.error
            self._show(None, str(outcome.error))
            return
        self._show(outcome.value)

    def _show(self, evaluation: Evaluation | None, text: str = "") -> None:
        self.evaluation = evaluation
        self.results.setVisible(evaluation is not None)
        if evaluation is None:
            self.message.setText(text)
            return
        rows = evaluation.rows()
        percent = {
            "precision [%]": "precision", "recall [%]": "recall", "F1 [%]": "f1", "IoU [%]": "iou",
            "true fraction [%]": "true_fraction", "error [points]": "fraction_error",
        }  # fmt: skip
        self.table.set_columns(
            {
                "class": [row["class"] for row in rows],
                **{title: [100 * row[key] for row in rows] for title, key in percent.items()},
                "pixels": [row["pixels"] for row in rows],
                **{
                    f"predicted {name}": [row[f"predicted {name}"] for row in rows]
                    for name in evaluation.names
                },
            }
        )
        self.picture.show_evaluation(evaluation)
        worst = max(rows, key=lambda row: abs(row["fraction_error"]))
        self.message.setText(
            f"<b>{100 * evaluation.accuracy:.2f} % right</b> of {int(evaluation.confusion.sum())} "
            f"pixels. Largest error of a phase fraction: {worst['class']} "
            f"{100 * worst['fraction_error']:+.2f} points."
        )

    def _prediction_changed(self, scan: Scan) -> None:
        if scan is self.state.scan:
            self._outdated()

    def _outdated(self, *_: Any) -> None:
        """What was compared is no longer what is shown."""
        self.background.stop()
        self._show(None, self._ready())

    def _ready(self) -> str:
        """Enable the button where it can work; returns what is missing."""
        scan = self.state.scan
        predicted = scan is not None and scan in self.state.predictions
        has_truth = self.truth.layer is not None
        self.run_button.setEnabled(predicted and has_truth)
        self.unpainted.setVisible(bool(self.state.pairs_of(scan)))
        return _NO_PREDICTION if not predicted else "" if has_truth else _NO_TRUTH

    def _ask_and_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save confusion matrix", "confusion.png", "Pictures (*.png *.pdf *.svg)"
        )
        if not path:
            return
        try:
            self.save_picture(path if Path(path).suffix else f"{path}.png")
        except EbsdmlError as error:
            from napari.utils.notifications import show_error

            show_error(str(error))


class ConfusionPicture(FigureCanvasQTAgg):
    """Confusion matrix in the dock's colours."""

    def __init__(self) -> None:
        self._figure = Figure(figsize=(3.2, 2.6), layout="constrained")
        super().__init__(self._figure)
        self.setMinimumHeight(230)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setStyleSheet("background: transparent;")
        self._figure.patch.set_alpha(0.0)

    def show_evaluation(self, evaluation: Evaluation) -> None:
        """Draw the matrix."""
        from napari_ebsdml.segmentation.results.confusion_picture import draw_confusion

        ink = str(self.palette().windowText().color().name())
        draw_confusion(self._figure, evaluation, ink)
        self.setMinimumHeight(230 if len(evaluation.values) <= 4 else 320)
        self.draw_idle()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the dock, which scrolls."""
        event.ignore()


def compare_with_truth(
    labels: NDArray[np.integer],
    truth: NDArray[np.integer],
    names: dict[int, str],
    leave_out: NDArray[np.bool_] | None,
) -> Evaluation:
    """`evaluate` for a worker thread, without the pixels of `leave_out`."""
    from napari_ebsdml.segmentation import evaluate

    return evaluate(labels, truth, names, None if leave_out is None else ~leave_out)
