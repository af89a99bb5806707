"""Steps for the GUI's thread, one in each turn of the event loop."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import QObject, QTimer


class StepQueue(QObject):
    """Calls functions one after the other and lets the window live between two of them.

    napari takes a tenth of a second for each layer that it is given: ten at once would freeze
    the window.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._steps: list[Callable[[], object]] = []
        self._clock = QTimer(self)
        self._clock.setSingleShot(True)
        self._clock.setInterval(0)
        self._clock.timeout.connect(self._next)

    @property
    def pending(self) -> bool:
        """Whether steps are still to come."""
        return bool(self._steps)

    def add(self, *steps: Callable[[], object]) -> None:
        """Append steps; the first one is called at once where none is waiting."""
        waiting = self._clock.isActive()
        self._steps += steps
        if not waiting:
            self._next()

    def clear(self) -> None:
        """Forget all steps."""
        self._steps.clear()
        self._clock.stop()

    def _next(self) -> None:
        if self._steps:
            self._steps.pop(0)()
            self._clock.start()
