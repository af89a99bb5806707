"""Button "Copy as Python": the run as a script on the clipboard."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QApplication, QPushButton

from napari_ebsdml._napari.segmenter.model_files import file_of
from napari_ebsdml._napari.segmenter.run_script import (
    Loaded,
    Painted,
    Run,
    predict_arguments,
    write_script,
)
from napari_ebsdml._napari.segmenter.strokes.annotations_store import default_folder
from napari_ebsdml._napari.shell.background import Background
from napari_ebsdml.errors import EbsdmlError

if TYPE_CHECKING:
    from napari_ebsdml._napari.segmenter.state import SegmenterState
    from napari_ebsdml._napari.shell.workers import Outcome


class ScriptButton(QPushButton):
    """Copies a script that repeats trainings and predictions without napari.

    It keeps the strokes of every training, as they were when it began.

    Attributes
    ----------
    history : list of Run or Loaded
        How the present model came to be; empty when that is not known.
    folder : Path
        Below this each script gets a folder of its own.
    """

    def __init__(self, state: SegmenterState) -> None:
        super().__init__("Copy as Python")
        self.setToolTip(
            "Put a script on the clipboard that repeats this run without napari. The strokes are "
            "saved with it."
        )
        self.state = state
        self.background = Background(self)
        self._snapshot: tuple[Painted, ...] = ()
        self.history: list[Run | Loaded] = []
        self.folder = default_folder().with_name("scripts")
        self.clicked.connect(self.copy)
        state.busy_changed.connect(self._busy_changed)
        state.model_changed.connect(self._model_changed)
        self._model_changed()

    def copy(self) -> None:
        """Save the strokes and put the script on the clipboard."""
        state = self.state
        scans = [(scan, state.prepared(scan)) for scan in state.predictions]
        if not scans and state.scan is not None:
            scans = [(state.scan, state.prepared(state.scan))]
        name = re.sub(r"[^\w.-]+", "_", scans[0][0].name) if scans else "run"
        folder = self.folder / f"{time.strftime('%Y-%m-%d_%H%M%S')}-{name}"
        self.setEnabled(False)
        self.background.start(
            _written, folder, list(self.history), scans, predict_arguments(state.options),
            then=self._copied,
        )  # fmt: skip

    def _copied(self, outcome: Outcome) -> None:
        self.setEnabled(bool(self.history))
        if outcome.error is not None:
            if not isinstance(outcome.error, EbsdmlError):
                raise outcome.error
            self._say(str(outcome.error), "error")
            return
        script, folder = outcome.value
        QApplication.clipboard().setText(script)
        self._say(f"The script is on the clipboard, and with its strokes in {folder}.")

    def _say(self, text: str, kind: str = "info") -> None:
        if not self.state.busy:
            self.state.widget.tasks.say(text, kind)

    def _busy_changed(self, busy: bool) -> None:
        """Keep the strokes as they are when a job, maybe a training, begins."""
        if not busy:
            return
        originals = {self.state.prepared(pair.scan): pair.scan for pair in self.state.pairs}
        self._snapshot = tuple(
            Painted(originals[prepared], prepared, labels)
            for prepared, labels in self.state.training_pairs()
        )

    def _model_changed(self) -> None:
        model = self.state.segmenter
        if model is None:
            self.history = []
        elif self.history and model.record == self.history[-1].model.record:
            last = self.history[-1]
            # The same model with other names of its classes.
            self.history[-1] = (
                Run(last.painted, model) if isinstance(last, Run) else Loaded(last.path, model)
            )
        else:
            before: Any = model.record.get("before")
            path = file_of(model)
            run = Run(self._snapshot, model)
            if path is not None:
                self.history = [Loaded(path, model)]
            elif not self._snapshot:
                self.history = []
            elif before is None:
                self.history = [run]
            elif self.history and before == self.history[-1].model.record:
                self.history.append(run)
            else:
                self.history = []
        self.setEnabled(bool(self.history))


def _written(folder: Path, history: Any, scans: Any, options: Any) -> tuple[str, Path]:
    return write_script(folder, history, scans, options), folder
