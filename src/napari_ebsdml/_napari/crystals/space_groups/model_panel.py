"""The tab "Model": what the chosen model is; save and load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
from napari_ebsdml._napari.shell.background import Background

if TYPE_CHECKING:
    from napari_ebsdml._napari.shell.scan_widget import ScanWidget
    from napari_ebsdml._napari.shell.workers import Outcome
    from napari_ebsdml.learning.model_card import ModelCard


class ModelPanel(QWidget):
    """Card of a model, with buttons to save it and to load another.

    Signals
    -------
    load_clicked
        The user wants to choose a model file.
    """

    load_clicked = Signal()

    def __init__(self, dock: ScanWidget) -> None:
        super().__init__()
        self._dock = dock
        self._entry: ModelEntry | None = None
        self._reading = Background(self)
        self.card = QTextBrowser()
        self.card.setOpenLinks(False)
        self.card.setMinimumHeight(140)
        self.save_button = QPushButton("Save model …")
        self.save_button.setToolTip("Weights (.safetensors) and the model card (.json) beside them")
        self.save_button.clicked.connect(self._ask_and_save)
        self.load_button = QPushButton("Load model …")
        self.load_button.clicked.connect(lambda: self.load_clicked.emit())
        buttons = QHBoxLayout()
        buttons.addWidget(self.save_button)
        buttons.addWidget(self.load_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.card, 1)
        layout.addLayout(buttons)

    def show_entry(self, entry: ModelEntry | None) -> None:
        """Show the card of a model."""
        self._entry = entry
        self._reading.stop()
        self.save_button.setEnabled(entry is not None)
        if entry is None:
            self.card.setText("No model is chosen.")
            return
        self.card.setText(f"Reading the card of {entry.name} …")
        # Off the GUI's thread: the file may lie far away.
        self._reading.start(_card, entry, then=self._show)

    def save(self, path: str | Path) -> None:
        """Save the model under a path; the dock's task bar tells how it went."""
        entry, tasks = self._entry, self._dock.tasks
        if entry is not None and not tasks.running:
            self._dock.run(
                (), lambda: entry.load().save(path), label="Saving the model", uses_torch=True,
                on_result=lambda _: tasks.end_with(f"The model is in {path}."),
            )  # fmt: skip

    def closing(self) -> None:
        """Stop what is under way."""
        self._reading.stop()

    def _show(self, outcome: Outcome) -> None:
        assert self._entry is not None
        if outcome.error is not None:
            self.card.setText(f"{self._entry.name}: {outcome.error}")
        else:
            self.card.setHtml(card_html(self._entry.name, outcome.value, muted(self)))

    def _ask_and_save(self) -> None:
        name = self._entry.name.replace(" ", "-") if self._entry is not None else ""
        path, _ = QFileDialog.getSaveFileName(
            self, "Save model", f"{name}.safetensors", "Models (*.safetensors)"
        )
        if path:
            self.save(path)


def _card(entry: ModelEntry) -> ModelCard | None:
    return entry.card
