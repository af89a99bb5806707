"""The button that does with all maps of a folder what a dock does with one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QFileDialog, QPushButton, QWidget

from napari_ebsdml._parallel import Report

if TYPE_CHECKING:
    from napari_ebsdml.batching.run import BatchResult

RESULTS = "ebsdml-results"
"""Folder of results that is offered, within that of the maps."""


class FolderButton(QPushButton):
    """Asks for a folder of maps and one for the results, then calls ``chosen(maps, results)``."""

    def __init__(self, chosen: Callable[[Path, Path], None], parent: QWidget | None = None) -> None:
        super().__init__("Apply to a folder …", parent)
        self.setToolTip(
            "Do the same with every map of a folder: tables, arrays and a contact sheet of all. "
            "What is done already is kept; the same as the command line."
        )
        self._chosen = chosen
        self.clicked.connect(self.ask)

    def ask(self) -> None:
        """Ask for both folders."""
        maps = QFileDialog.getExistingDirectory(self, "Folder of maps")
        if not maps:
            return
        start = str(Path(maps) / RESULTS)
        results = QFileDialog.getSaveFileName(self, "Folder for the results", start)[0]
        if results:
            self._chosen(Path(maps), Path(results))


def apply_to_folder(maps: Path, step: Any, results: Path, progress: Report) -> BatchResult:
    """A batch with what is done already kept; `progress` raises to cancel it."""
    from napari_ebsdml.batching.run import batch

    return batch(maps, step, results, resume=True, on_event=lambda event: progress(event.fraction))


def in_short(done: BatchResult) -> str:
    """What a batch did, in a sentence."""
    good = len(done.rows) - len(done.failed)
    text = f"{good} maps are in {done.output}; index.html shows all."
    if done.failed:
        first = done.failed[0]
        text += f" {len(done.failed)} failed, such as {first['map']}: {first['error']}"
    return text
