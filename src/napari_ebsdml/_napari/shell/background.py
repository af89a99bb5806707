"""Small computations off the GUI thread, of which only the last one counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QObject

from napari_ebsdml._napari.shell.workers import Job, Outcome, Relay


class Background(QObject):
    """Calls a function in a worker thread; a later call makes the earlier one void."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._relay = Relay(self)
        self._relay.ended.connect(self._ended)
        self._job: Job | None = None
        self._then: Callable[[Outcome], None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a computation is under way."""
        return self._job is not None

    def start(
        self, function: Callable[..., Any], *arguments: Any, then: Callable[[Outcome], None]
    ) -> None:
        """Call ``function(*arguments)``, then ``then(outcome)`` in the GUI's thread."""
        self.stop()
        self._then = then
        self._job = Job(function, self._relay, arguments)
        self._job.start()

    def stop(self) -> None:
        """Forget the computation under way."""
        if self._job is not None:
            self._job.quit()
        self._job = self._then = None

    def _ended(self, number: int, outcome: Outcome) -> None:
        if self._job is not None and self._job.number == number:
            then = self._then
            self._job = self._then = None
            if then is not None and not outcome.cancelled:
                then(outcome)
