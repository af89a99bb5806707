"""Panel that saves and loads models, tells what they are, and applies them to scans."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.controls.table import DataTable
from napari_ebsdml._napari.segmenter import model_files
from napari_ebsdml._napari.segmenter.prediction_layers import show_prediction
from napari_ebsdml._napari.segmenter.state import SegmentClass
from napari_ebsdml._napari.segmenter.training_run import Predicted, predict
from napari_ebsdml._parallel import nth_of
from napari_ebsdml.errors import EbsdmlError
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation.models.ready_names import READY_TITLES, ready_path
from napari_ebsdml.segmentation.settings import PredictSettings

if TYPE_CHECKING:
    from napari_ebsdml._napari.segmenter.state import SegmenterState
    from napari_ebsdml.segmentation import Segmenter

_FILTER = "Segmentation model (*.safetensors)"
_NO_MODEL = (
    "No model yet: train one, take a ready one, or load one (a .safetensors file with its card)."
)
_TABLE_HEIGHT = 150


@dataclass(frozen=True, eq=False)
class Failed:
    """A scan that a model cannot be applied to, and why."""

    scan: Scan
    reason: str


class ModelPanel(QWidget):
    """Saves, loads and applies models.

    Attributes
    ----------
    outcomes : list of Predicted or Failed
        Of the last "apply", one for each scan.
    """

    def __init__(self, state: SegmenterState) -> None:
        super().__init__()
        self.state = state
        self.outcomes: list[Predicted | Failed] = []
        self.setAcceptDrops(True)
        self.load_button = QPushButton("Load …")
        self.load_button.setToolTip("Load a model from a file; or drop the file here")
        self.ready_button = QPushButton("Ready …")
        self.ready_button.setToolTip("Models that come with the package and need no stroke")
        menu = QMenu(self.ready_button)
        for name, title in READY_TITLES.items():
            action = menu.addAction(title)
            action.triggered.connect(lambda *_, name=name: self.load(ready_path(name)))
        self.ready_button.setMenu(menu)
        self.save_button = QPushButton("Save …")
        self.save_button.setToolTip("Save the model and its card: NAME.safetensors and NAME.json")
        self.card = QLabel(_NO_MODEL)
        self.card.setWordWrap(True)
        self.card.setTextFormat(Qt.TextFormat.RichText)
        self.card.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.one_button = QPushButton("Apply to this scan")
        self.all_button = QPushButton("Apply to all open scans")
        self.message = QLabel()
        self.message.setWordWrap(True)
        self.message.setTextFormat(Qt.TextFormat.RichText)
        self.table = DataTable()
        self.table.setFixedHeight(_TABLE_HEIGHT)
        self.message.hide()
        self.table.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        files = (self.ready_button, self.load_button, self.save_button)
        for pair in (files, (self.one_button, self.all_button)):
            row = QHBoxLayout()
            for button in pair:
                row.addWidget(button)
            layout.addLayout(row)
        # The card is long: what is clicked next stands above it.
        for part in (self.message, self.table, self.card):
            layout.addWidget(part)

        self.load_button.clicked.connect(self._ask_and_load)
        self.save_button.clicked.connect(self._ask_and_save)
        self.one_button.clicked.connect(self.apply_to_scan)
        self.all_button.clicked.connect(self.apply_to_all)
        for signal in (state.model_changed, state.busy_changed, state.widget.chooser.scans_changed):
            signal.connect(self._refresh)
        self._refresh()

    def load(self, path: str | Path) -> None:
        """Load a model in the background; its classes and channels become those of the dock."""
        if not self.state.busy:
            self.state.run(
                (), model_files.load, path, label="Loading the model", uses_torch=True,
                on_result=self._loaded,
            )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Save the present model in the background, with the present names and colours."""
        model = self.state.segmenter
        if model is not None and not self.state.busy:
            self.state.run(
                (), model_files.save, model, path, label="Saving the model", on_result=self._saved
            )

    def apply_to_scan(self) -> None:
        """Segment the chosen scan."""
        if self.state.scan is not None:
            self._apply([self.state.scan])

    def apply_to_all(self) -> None:
        """Segment every scan of the viewer; what fails is told, and the others go on."""
        self._apply(self.state.widget.chooser.scans)

    def _apply(self, scans: Sequence[Scan]) -> None:
        state, model = self.state, self.state.segmenter
        if model is None or state.busy or not scans:
            return
        self.outcomes = []
        self._fill()
        work = [(scan, state.prepared(scan)) for scan in scans]
        # Nothing is bound: a scan that is closed meanwhile must not stop the others.
        state.run(
            (), apply_model, model, work, state.options, label="Segmenting", uses_torch=True,
            on_event=self._one_done, on_result=lambda _: self._fill(), on_cancel=self._fill,
        )  # fmt: skip

    def _one_done(self, outcome: Predicted | Failed) -> None:
        self.outcomes.append(outcome)
        if isinstance(outcome, Predicted):
            model = self.state.segmenter
            path = model_files.file_of(model) if model is not None else None
            name = path.stem if path is not None else "U-Net"
            show_prediction(self.state, outcome.scan, outcome.shown, outcome.raw, name)
        self._fill()

    def _fill(self) -> None:
        done = [one for one in self.outcomes if isinstance(one, Predicted)]
        failed = [one for one in self.outcomes if isinstance(one, Failed)]
        notes = [f"<b>{_html(one.scan.name)}</b>: {_html(one.reason)}" for one in failed]
        for one in done:
            for warning in one.shown.warnings:
                notes.append(f"{_html(one.scan.name)}: {_html(warning)}")
        self.message.setText("<br>".join(notes))
        self.message.setVisible(bool(notes))
        several = len(self.outcomes) > 1
        self.table.setVisible(several)
        if several:
            self.table.set_columns(table_of(self.outcomes))

    def _loaded(self, model: Segmenter) -> None:
        state = self.state
        loaded = {
            value: SegmentClass(value, name, color)
            for value, name, color in zip(
                model.classes.values, model.classes.names, model.classes.colors, strict=True
            )
        }
        # Classes that somebody painted stay, though the model does not know them.
        used = {int(v) for _, labels in state.training_pairs() for v in set(labels[labels > 0])}
        kept = [c for c in state.classes if c.value in used and c.value not in loaded]
        state.classes = (*loaded.values(), *kept)
        state.channels = tuple(c for c in model.channels if c != "Indexed")
        state.segmenter = model

    def _saved(self, path: Path) -> None:
        self._refresh()
        self.message.setText(f"Saved {_html(path.name)} and {_html(path.stem)}.json.")
        self.message.show()

    def _refresh(self, *_: Any) -> None:
        state, model = self.state, self.state.segmenter
        self.card.setText(_NO_MODEL if model is None else model_files.card_in_words(model))
        free = not state.busy
        self.load_button.setEnabled(free)
        self.ready_button.setEnabled(free)
        self.save_button.setEnabled(free and model is not None)
        number = len(state.widget.chooser.scans)
        self.one_button.setEnabled(free and model is not None and number > 0)
        self.all_button.setEnabled(free and model is not None and number > 1)
        self.all_button.setText(f"Apply to all {number} scans" if number > 1 else "Apply to all")

    def _ask_and_load(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load model", "", _FILTER)
        if path:
            self.load(path)

    def _ask_and_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save model", "segmenter", _FILTER)
        if path:
            self.save(path)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        """Take model files."""
        if _model_in(event) is not None:
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:
        """Load the model file that was dropped."""
        path = _model_in(event)
        if path is not None:
            event.acceptProposedAction()
            self.load(path)


def apply_model(
    model: Segmenter,
    work: Sequence[tuple[Scan, Scan]],
    options: PredictSettings,
    progress: Callable[[float], None],
) -> Generator[Any, None, None]:
    """Segment scans one after the other; for a worker thread.

    Parameters
    ----------
    model
    work
        Scans as they are in the viewer, and with the properties to predict them from.
    options, progress

    Yields
    ------
    str, Predicted, Failed
        Status texts, and the outcome for each scan.
    """
    for number, (scan, prepared) in enumerate(work):
        yield f"Segmenting {scan.name} ({number + 1} of {len(work)})"
        part = nth_of(progress, number, len(work))
        try:
            outcome: Predicted | Failed = predict(model, scan, prepared, options, part)
        except MemoryError:
            outcome = Failed(scan, "There is not enough memory for this scan.")
        except EbsdmlError as error:
            if type(error).__name__ == "Cancelled":
                raise
            outcome = Failed(scan, str(error))
        yield outcome


def table_of(outcomes: Sequence[Predicted | Failed]) -> dict[str, list[Any]]:
    """Phase fractions of scans in %, remarks, and the 95 % intervals of the fractions."""
    names = list(
        dict.fromkeys(f.name for one in outcomes if isinstance(one, Predicted)
                      for f in one.fractions)
    )  # fmt: skip
    nan = float("nan")
    columns: dict[str, list[Any]] = {"scan": [one.scan.name for one in outcomes]}
    remarks = [
        f"failed: {one.reason}" if isinstance(one, Failed) else " ".join(one.shown.warnings)
        for one in outcomes
    ]
    # What is looked at first stands first.
    columns |= {f"{name} [%]": [] for name in names}
    columns["remark"] = list(remarks)
    columns |= {f"{name} {end}": [] for name in names for end in ("low", "high")}
    for name in names:
        for one in outcomes:
            fractions = one.fractions if isinstance(one, Predicted) else []
            mine = next((f for f in fractions if f.name == name), None)
            for title, key in (("[%]", "fraction"), ("low", "low"), ("high", "high")):
                value = nan if mine is None else 100 * float(getattr(mine, key))
                columns[f"{name} {title}"].append(value)
    if not any(remarks):
        del columns["remark"]
    return columns


def _model_in(event: QDropEvent) -> str | None:
    data = event.mimeData()
    for url in data.urls() if data is not None else ():
        if url.isLocalFile() and url.toLocalFile().endswith((".safetensors", ".json")):
            return str(url.toLocalFile())
    return None


def _html(text: str) -> str:
    from html import escape

    return escape(text)
