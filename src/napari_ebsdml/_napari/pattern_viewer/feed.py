"""Brings patterns from disk to the GUI: off its thread, and the latest request wins."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal

from napari_ebsdml._napari.pattern_viewer.kikuchipy import is_loaded, load
from napari_ebsdml._napari.pattern_viewer.processing import (
    Pattern,
    Processing,
    has_background,
    load_pattern,
    process,
)
from napari_ebsdml._napari.shell.workers import Job, Outcome, Relay
from napari_ebsdml._parallel import Progress
from napari_ebsdml.scan import Scan

# A read that hangs on a slow disk must not hold up the next click for long, but a crowd of
# threads would make the disk slower still.
_PATIENCE_MS = 700
_AT_ONCE = 3

_KEPT_BYTES = 64 << 20


@dataclass(frozen=True)
class Request:
    """Whose pattern is wanted, and how."""

    scan: Scan
    row: int
    column: int
    processing: Processing


class _Stop:
    """What a `Job` asks whether to go on."""

    abort_requested = False

    def quit(self) -> None:
        self.abort_requested = True


class PatternFeed(QObject):
    """Loads and processes patterns in threads of its own.

    Threads of napari's pool are as many as cores, and a training may hold them all for hours.

    Signals
    -------
    arrived : Pattern
        The pattern of the latest request, or of one before it that nobody was shown yet.
    failed : Request, Exception
        The latest request cannot be fulfilled.
    said : str
        What takes long at present.
    """

    arrived = Signal(object)
    failed = Signal(object, object)
    said = Signal(str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._relay = Relay()
        self._relay.happened.connect(self._happened)
        self._relay.ended.connect(self._ended)
        self.running: OrderedDict[int, tuple[Job, Request]] = OrderedDict()
        self._wanted: Request | None = None
        self._latest: Request | None = None
        self._shown = 0
        self._cache = _Cache()
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(_PATIENCE_MS)
        self._patience.timeout.connect(self._start)

    @property
    def waiting(self) -> bool:
        """Whether the latest request has neither been fulfilled nor failed."""
        return self._latest is not None

    def request(self, request: Request) -> None:
        """Ask for a pattern; requests that have not begun by then are forgotten."""
        self._latest = self._wanted = request
        if not self.running:
            self._start()
        elif not self._patience.isActive():
            self._patience.start()

    def forget(self) -> None:
        """Drop all requests; nothing arrives any more until the next one."""
        self._wanted = self._latest = None
        self._patience.stop()
        for job, _ in self.running.values():
            job.quit()
            self._shown = max(self._shown, job.number)

    def keep_only(self, scans: list[Scan]) -> None:
        """Let go of what is remembered of other scans, so that closed maps free their memory."""
        self._cache.keep_only(scans)

    def _start(self) -> None:
        if self._wanted is None or len(self.running) >= _AT_ONCE:
            return
        request, self._wanted = self._wanted, None
        job = Job(_work, self._relay, (request, self._cache), label="Reading a pattern")
        job.worker = _Stop()
        self.running[job.number] = (job, request)
        threading.Thread(target=job, name="ebsdml-pattern", daemon=True).start()

    def _happened(self, number: int, event: Any) -> None:
        if number not in self.running or number < self._shown:
            return
        if isinstance(event, Pattern):
            self._shown = number
            self.arrived.emit(event)
        elif self.running[number][1] is self._latest:
            self.said.emit(str(event))

    def _ended(self, number: int, outcome: Outcome) -> None:
        job_and_request = self.running.pop(number, None)
        if job_and_request is not None:
            request = job_and_request[1]
            is_latest = request is self._latest
            if is_latest:
                self._latest = None
            if outcome.error is not None:
                if is_latest:
                    self.failed.emit(request, outcome.error)
            elif not outcome.cancelled and number >= self._shown and outcome.value is not None:
                self._shown = number
                self.arrived.emit(outcome.value)
        self._start()


class _Cache:
    """Patterns as read, the last few, so that a changed background correction reads nothing."""

    def __init__(self) -> None:
        self._patterns: OrderedDict[tuple[Scan, int, int, bool], Pattern] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, request: Request) -> Pattern:
        key = request.scan, request.row, request.column, request.processing.average
        with self._lock:
            if key in self._patterns:
                self._patterns.move_to_end(key)
                return self._patterns[key]
        pattern = load_pattern(*key)
        with self._lock:
            self._patterns[key] = pattern
            while len(self._patterns) * pattern.raw.nbytes > _KEPT_BYTES:
                self._patterns.popitem(last=False)
        return pattern

    def keep_only(self, scans: list[Scan]) -> None:
        with self._lock:
            for key in [key for key in self._patterns if key[0] not in scans]:
                del self._patterns[key]


def _work(
    request: Request, cache: _Cache, progress: Progress = None
) -> Generator[Any, None, Pattern]:
    """Yields what takes long, and the pattern as measured when its correction takes long."""
    wanted = request.processing
    pattern = cache.get(request)
    if wanted.needs_kikuchipy and not is_loaded():
        yield pattern
        yield "Loading kikuchipy for the background; the first time takes up to a minute …"
        load()
    if wanted.static and not has_background(request.scan):
        yield pattern
        yield "Looking for the static background …"
    return process(pattern, wanted, progress)
