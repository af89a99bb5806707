"""The tab "Model": what the chosen model is; save and load."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.controls.theme import muted
from napari_ebsdml._napari.crystals.space_groups.models import ModelEntry, card_html
from napari_ebsdml._napari.shell.task_bar import TaskBar


class ModelPanel(QWidget):
    """Card of a model, with buttons to save it and to load another.

    Signals
    -------
    load_clicked
        The user wants to choose a model file.
    saved : str
        A model was saved under this path.
    """

    load_clicked = Signal()
    saved = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self._entry: ModelEntry | None = None
        self._where = ""
        self.card = QTextBrowser()
        self.card.setOpenLinks(False)
        self.card.setMinimumHeight(140)
        self.save_button = QPushButton("Save model …")
        self.save_button.setToolTip("Weights (.safetensors) and the model card (.json) beside them")
        self.save_button.clicked.connect(self._ask_and_save)
        self.load_button = QPushButton("Load model …")
        self.load_button.clicked.connect(lambda: self.load_clicked.emit())
        self.tasks = TaskBar("")
        self.tasks.stopped.connect(self._over)
        # One short step: only its messages are of interest.
        for widget in (self.tasks.run_button, self.tasks.cancel_button, self.tasks.progress_bar):
            widget.setVisible(False)
        buttons = QHBoxLayout()
        buttons.addWidget(self.save_button)
        buttons.addWidget(self.load_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.card, 1)
        layout.addLayout(buttons)
        layout.addWidget(self.tasks)

    def show_entry(self, entry: ModelEntry | None) -> None:
        """Show the card of a model."""
        self._entry = entry
        self.save_button.setEnabled(entry is not None)
        if entry is None:
            self.card.setText("No model is chosen.")
            return
        self.card.setText(f"Reading the card of {entry.name} …")
        if not self.tasks.running:
            self._read(entry)

    def save(self, path: str | Path) -> None:
        """Save the model under a path; errors are shown in the panel."""
        entry = self._entry
        if entry is None or self.tasks.running:
            return

        def work() -> str:
            entry.load().save(path)
            return str(path)

        self.tasks.start(work, label="Saving", on_result=self._saved, uses_torch=True)

    def closing(self) -> None:
        """Stop what is under way."""
        self.tasks.stop()

    def _read(self, entry: ModelEntry) -> None:
        def work() -> tuple[ModelEntry, Any]:
            # Off the GUI's thread: the file may lie far away.
            return entry, entry.card

        self.tasks.start(work, label="Reading the model card", on_result=self._show)

    def _saved(self, where: str) -> None:
        self._where = where
        self.saved.emit(where)

    def _over(self, how: str) -> None:
        """How long it took to read a card is of no interest; where a model went is."""
        if how == "done":
            self.tasks.say(f"Saved {self._where}." if self._where else "")
        self._where = ""

    def _show(self, answer: tuple[ModelEntry, Any]) -> None:
        entry, card = answer
        if entry is self._entry:
            self.card.setHtml(card_html(entry.name, card, muted(self)))
        elif self._entry is not None:
            self._again(self._entry)

    def _again(self, entry: ModelEntry) -> None:
        """Another model was chosen meanwhile: read that one's once this job is over."""

        def over(how: str) -> None:
            self.tasks.stopped.disconnect(over)
            self.show_entry(entry)

        self.tasks.stopped.connect(over)

    def _ask_and_save(self) -> None:
        name = self._entry.name.replace(" ", "-") if self._entry is not None else ""
        path, _ = QFileDialog.getSaveFileName(
            self, "Save model", f"{name}.safetensors", "Models (*.safetensors)"
        )
        if path:
            self.save(path)
