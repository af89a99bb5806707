"""Explains the latest pixel in a thread of its own."""

from __future__ import annotations

import threading
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_ebsdml._napari.crystals.space_groups.classify import (
    Classified,
    PixelExplanation,
    explain,
)
from napari_ebsdml._napari.shell.workers import Job, Outcome, Relay
from napari_ebsdml.scan import Scan

Question = tuple[Scan, int, int, Classified]


class Explainer(QObject):
    """One explanation at a time; of the questions that come meanwhile only the last is answered.

    Threads of napari's pool are as many as cores, and a training may hold them all.

    Signals
    -------
    explained : PixelExplanation
    failed : str
        Why the last question cannot be answered.
    """

    explained = Signal(object)
    failed = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._relay = Relay()
        self._relay.ended.connect(self._ended)
        self._running: Question | None = None
        self._wanted: Question | None = None
        self._stale: Question | None = None

    @property
    def busy(self) -> bool:
        """Whether an answer is under way."""
        return self._running is not None

    def ask(self, question: Question) -> None:
        """Explain a pixel of a map as soon as possible."""
        self._wanted = question
        if self._running is None:
            self._start()

    def forget(self) -> None:
        """Nothing is emitted any more until the next question."""
        self._wanted = None
        self._stale = self._running

    def _start(self) -> None:
        if self._wanted is None:
            return
        self._running, self._wanted = self._wanted, None
        job = Job(explain, self._relay, self._running, label="Explaining", uses_torch=True)
        threading.Thread(target=job, name="ebsdml-explain", daemon=True).start()

    def _ended(self, number: int, outcome: Outcome) -> None:
        stale = self._running is self._stale
        self._running = self._stale = None
        if self._wanted is not None:
            self._start()
        elif stale:
            return
        elif isinstance(outcome.value, PixelExplanation):
            self.explained.emit(outcome.value)
        elif outcome.error is not None:
            self.failed.emit(_text(outcome.error))


def _text(error: Any) -> str:
    from napari_ebsdml.errors import EbsdmlError

    if isinstance(error, EbsdmlError):
        return str(error)
    return f"The answer cannot be explained: {type(error).__name__}: {error}"
