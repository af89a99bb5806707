"""Layers one by one: the window draws each, and takes clicks, before the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from types import GeneratorType
from typing import TYPE_CHECKING

from qtpy.QtCore import QEventLoop, QObject, QTimer
from qtpy.QtWidgets import QApplication

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

_LARGE = 1_000_000
"""Pixels from which on a layer takes a tenth of a second and more."""


def let_draw(scan: Scan) -> None:
    """Let the window draw what is new of a large map; clicks and keys wait."""
    if scan.phase_id.size >= _LARGE and QApplication.instance() is not None:
        QApplication.processEvents(QEventLoop.ProcessEventsFlag.ExcludeUserInputEvents)


class Turns(QObject):
    """Steps of the window's thread, one after the other, a turn of its event loop each.

    `run` shows a map anew and drops what was still to come of it; a small map is shown at once.
    `add` is for layers that do not replace each other: napari takes a tenth of a second for each,
    ten at once would freeze the window.
    """

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._steps: Iterator[None] = iter(())
        self._then: Callable[[], None] | None = None
        self._taking = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(1)
        self._timer.timeout.connect(self._next)

    @property
    def busy(self) -> bool:
        """Whether there are steps to come."""
        return self._timer.isActive()

    def run(
        self, scan: Scan, steps: Iterable[None], then: Callable[[], None] | None = None
    ) -> None:
        """Take steps, and call ``then()`` behind the last; the first is taken at once."""
        self.stop()
        self._steps, self._then = iter(steps), then
        if scan.phase_id.size >= _LARGE:
            self._next()
            return
        while self._step():
            pass

    def add(self, *steps: Callable[[], object]) -> None:
        """Append steps to those to come; the first is taken at once where there are none."""
        waiting = self._timer.isActive()
        self._steps = chain(self._steps, _taken(steps))
        if self._taking:
            self._timer.start()
        elif not waiting:
            self._next()

    def stop(self) -> None:
        """Drop what is to come."""
        self._timer.stop()
        steps = self._steps
        self._steps, self._then = iter(()), None
        if isinstance(steps, GeneratorType) and not steps.gi_running:
            steps.close()

    def _next(self) -> None:
        if self._step():
            self._timer.start()

    def _step(self) -> bool:
        steps = self._steps
        outer, self._taking = self._taking, True
        try:
            next(steps)
        except StopIteration:
            then = self._then
            self.stop()
            if then is not None:
                then()
            return False
        finally:
            self._taking = outer
        # The step may have begun others, or closed what they belong to.
        return steps is self._steps


def _taken(steps: Iterable[Callable[[], object]]) -> Iterator[None]:
    for step in steps:
        step()
        yield
