"""Long work off the GUI thread: progress, events, cancelling, errors as values."""

from __future__ import annotations

import atexit
import inspect
import itertools
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from qtpy.QtCore import QObject, Signal

from napari_ebsdml._parallel import available_cores
from napari_ebsdml.errors import Cancelled

# Each report has the bar drawn, and with it, without a GPU, the whole window.
_MIN_INTERVAL_S = 0.1
# For the step under way of a job that the program's end stops.
_PATIENCE_AT_EXIT_MS = 30_000

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes
    ----------
    value
        What the function returned; None unless it came to its end.
    error
        What it raised, other than `Cancelled`.
    cancelled
    seconds
        Time used.
    """

    value: Any = None
    error: Exception | None = None
    cancelled: bool = False
    seconds: float = 0.0


class Relay(QObject):
    """Carries what a job says from its thread to the GUI; the first argument is `Job.number`."""

    progressed = Signal(int, float)
    happened = Signal(int, object)
    ended = Signal(int, object)


@dataclass(eq=False)
class Job:
    """A function and its arguments, to be called in a worker thread.

    A generator function's values become events. A parameter named ``progress`` gets a callable
    that takes the fraction done and raises `Cancelled` once the job is to stop.

    Parameters
    ----------
    function, arguments, options
        What to call.
    relay
        Where to report to.
    label
        What the job does, for napari's list of tasks.
    uses_torch
        Whether the function computes with torch, which may not be imported yet.
    """

    function: Callable[..., Any]
    relay: Relay
    arguments: Sequence[Any] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    uses_torch: bool = False
    number: int = field(default_factory=lambda: next(_numbers), init=False)
    worker: Any = field(default=None, init=False)
    _reported: float = field(default=0.0, init=False)

    def start(self) -> None:
        """Begin in a thread of napari's pool; napari stops it when the window is closed."""
        from napari.qt.threading import create_worker

        _stop_jobs_at_exit()
        # superqt keeps the worker alive while it runs, whatever becomes of the widget.
        self.worker = create_worker(self, _start_thread=False, _ignore_errors=True)
        self.worker.start()

    def quit(self) -> None:
        """Ask the job to stop at its next report."""
        if self.worker is not None:
            self.worker.quit()

    def __repr__(self) -> str:
        return self.label or "computation"

    def __call__(self) -> None:
        started = time.perf_counter()
        error: Exception | None = None
        value, cancelled = None, False
        try:
            set_threads(self.uses_torch)
            self._check()
            value = self._run()
        except Cancelled:
            cancelled = True
        except Exception as problem:  # shown to the user by whoever started the job
            error = problem
        finally:
            # napari's list of tasks keeps the job, and with it every map ever computed on.
            self.function, self.arguments, self.options = _nothing, (), {}
        seconds = time.perf_counter() - started
        self._emit("ended", Outcome(value, error, cancelled, seconds))

    def _run(self) -> Any:
        options = dict(self.options)
        if _takes_progress(self.function):
            options.setdefault("progress", self._progress)
        result = self.function(*self.arguments, **options)
        return self._drain(result) if isinstance(result, Generator) else result

    def _drain(self, events: Generator[Any, None, Any]) -> Any:
        try:
            while True:
                try:
                    event = next(events)
                except StopIteration as end:
                    return end.value
                self._emit("happened", event)
                fraction = getattr(event, "fraction", None)
                if isinstance(fraction, float | int):
                    self._progress(float(fraction))
                self._check()
        finally:
            # Here, not when the garbage collector finds it: closing may restore best weights.
            events.close()

    def _progress(self, fraction: float) -> None:
        self._check()
        now = time.perf_counter()
        if now - self._reported >= _MIN_INTERVAL_S:
            self._reported = now
            self._emit("progressed", float(fraction))

    def _check(self) -> None:
        if self.worker is not None and self.worker.abort_requested:
            raise Cancelled("Cancelled by the user.")

    def _emit(self, signal: str, content: Any) -> None:
        try:
            getattr(self.relay, signal).emit(self.number, content)
        except RuntimeError:
            # Qt has torn the relay down at exit: nobody is left to tell.
            self.quit()


def _nothing() -> None:
    """What a job calls that has been called."""


@cache
def _stop_jobs_at_exit() -> None:
    """Let jobs end before Qt goes: a thread that reports to what is gone ends in an abort.

    A program that never runs the event loop, such as a script that opens docks, has no window
    whose closing would wait for them.
    """
    atexit.register(_stop_jobs)


def _stop_jobs() -> None:
    from qtpy.QtCore import QThreadPool
    from superqt.utils import WorkerBase

    for worker in list(WorkerBase._worker_set):
        worker.quit()
    QThreadPool.globalInstance().waitForDone(_PATIENCE_AT_EXIT_MS)


def _takes_progress(function: Callable[..., Any]) -> bool:
    try:
        return "progress" in inspect.signature(function).parameters
    except ValueError:  # a function written in C need not tell
        return False


def set_threads(uses_torch: bool = False) -> None:
    """Set torch's and numba's thread counts in the calling thread.

    napari's first Labels layer starts numba's pool, which resets the OpenMP count that torch
    shares with it; both counts belong to a thread, so they are set in the one that computes.
    """
    number = available_cores()
    if uses_torch or "torch" in sys.modules:
        import torch

        torch.set_num_threads(number)
    if "numba" in sys.modules:
        import numba

        numba.set_num_threads(min(number, numba.config.NUMBA_NUM_THREADS))
