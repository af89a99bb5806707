"""Run and Cancel buttons, progress and status line of a widget: one job at a time."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.theme import is_light
from napari_ebsdml._napari.shell.workers import Job, Outcome, Relay
from napari_ebsdml.errors import EbsdmlError

_GRACE_MS = 800
_STEPS = 1000

# On a dark and on a light theme.
_COLORS = {"info": ("", ""), "warning": ("#e3b617", "#8a6d00"), "error": ("#ff7070", "#b00020")}


class TaskBar(QWidget):
    """Runs functions in a worker thread and says how they fare.

    Signals
    -------
    run_clicked
        The Run button was pressed.
    started
        A job has begun.
    stopped : str
        A job is over: "done", "cancelled", "failed" or "dropped".
    """

    run_clicked = Signal()
    started = Signal()
    stopped = Signal(str)

    def __init__(self, run_text: str = "Compute", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.run_button = QPushButton(run_text)
        self.run_button.clicked.connect(self.run_clicked)
        self.cancel_button = QPushButton("Cancel")
        self.cancel_button.clicked.connect(lambda: self.cancel())
        self.progress_bar = QProgressBar()
        self.progress_bar.setRange(0, _STEPS)
        self.progress_bar.setTextVisible(False)
        self.progress_bar.setMaximumHeight(8)
        self.status = QLabel()
        self.status.setWordWrap(True)
        self.status.setMinimumHeight(self.status.fontMetrics().height() + 4)

        buttons = QHBoxLayout()
        buttons.addWidget(self.run_button, 2)
        buttons.addWidget(self.cancel_button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(buttons)
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.status)

        self._relay = Relay()
        self._relay.progressed.connect(self._hear_progress)
        self._relay.happened.connect(self._hear_event)
        self._relay.ended.connect(self._hear_end)
        # Each result has a turn of its own, so that the window draws and answers in between; Qt
        # would also deliver the next one while a callback lets the window draw.
        self._waiting: deque[tuple[Callable[[int, Any], None], int, Any]] = deque()
        self._at_work = False
        self._last_words: tuple[str, str] | None = None
        self._turn = QTimer(self)
        self._turn.setSingleShot(True)
        self._turn.setInterval(0)
        self._turn.timeout.connect(self._take)
        self._job: Job | None = None
        self._allowed = True
        self._cancelling = False
        self._patient = False
        self._step = ""
        self._started = 0.0
        self._on_event: Callable[[Any], None] | None = None
        self._on_result: Callable[[Any], None] | None = None
        self._on_cancel: Callable[[], None] | None = None
        self._clock = QTimer(self)
        self._clock.setInterval(500)
        self._clock.timeout.connect(self._show_time)
        self._grace = QTimer(self)
        self._grace.setSingleShot(True)
        self._grace.setInterval(_GRACE_MS)
        self._grace.timeout.connect(self._give_up)
        self._refresh()

    @property
    def running(self) -> bool:
        """Whether a job is under way."""
        return self._job is not None

    def allow(self, allowed: bool) -> None:
        """Whether the Run button may be pressed when no job is running."""
        self._allowed = allowed
        self._refresh()

    def start(
        self,
        function: Callable[..., Any],
        *arguments: Any,
        label: str = "",
        on_result: Callable[[Any], None] | None = None,
        on_event: Callable[[Any], None] | None = None,
        on_cancel: Callable[[], None] | None = None,
        uses_torch: bool = False,
        patient: bool = False,
        **options: Any,
    ) -> None:
        """Call a function in a worker thread; the callbacks are called in the GUI's.

        Parameters
        ----------
        function, *arguments, **options
            What to call. A parameter named ``progress`` gets a callable that takes the fraction
            done and raises `Cancelled` when the user cancels. A generator function is drained:
            each value goes to `on_event`; a string becomes the status text, and a number
            ``value.fraction`` moves the bar. Cancelling closes the generator in the worker.
        label
            What it does, e.g. "Computing maps".
        on_result
            Gets what the function returned.
        on_event
            Gets every value of a generator but strings.
        on_cancel
            Called when the user has cancelled the job, not when the widget goes away.
        uses_torch
            Whether the function computes with torch.
        patient
            After Cancel wait for the job to end, however long its current step takes, because
            `on_cancel` needs what it leaves behind. Otherwise the job is let go after a
            second: what it still computes is thrown away.

        Raises
        ------
        RuntimeError
            When a job is running already.
        """
        if self._job is not None:
            raise RuntimeError("A job is running in this task bar already.")
        self._on_event, self._on_result, self._on_cancel = on_event, on_result, on_cancel
        self._cancelling, self._patient = False, patient
        self._step = label or "Computing"
        self._started = time.perf_counter()
        job = Job(function, self._relay, arguments, options, label=label, uses_torch=uses_torch)
        self._job = job
        # The bar swings until the first report.
        self.progress_bar.setRange(0, 0)
        self._show_time()
        self._clock.start()
        self._refresh()
        self.started.emit()
        job.start()

    def cancel(self) -> None:
        """Ask the running job to stop."""
        if self._job is None or self._cancelling:
            return
        self._cancelling = True
        self._job.quit()
        self.say("Cancelling: the step under way has to end …" if self._patient else "Cancelling …")
        if not self._patient:
            self._grace.start()
        self._refresh()

    def drop(self, reason: str) -> None:
        """Stop the running job and throw its results away, and say why."""
        if self._job is not None:
            self._job.quit()
            self._finish("dropped", reason, "warning")
            from napari.utils.notifications import show_warning

            show_warning(reason)

    def stop(self) -> None:
        """Stop the running job without a word: the widget is going away."""
        if self._job is not None:
            self._job.quit()
            self._finish("cancelled", "")

    def say(self, text: str, kind: str = "info") -> None:
        """Show a text in the status line; `kind` is "info", "warning" or "error"."""
        color = _COLORS[kind][is_light(self)]
        self.status.setStyleSheet(f"color: {color};" if color else "")
        self.status.setText(text)
        self.status.setToolTip(text if kind == "error" else "")

    def end_with(self, text: str, kind: str = "info") -> None:
        """What to say when the running job is done, in place of how long it took."""
        self._last_words = text, kind

    def _is_current(self, number: int) -> bool:
        return self._job is not None and self._job.number == number

    def _hear_progress(self, number: int, fraction: float) -> None:
        # Only the newest counts, and the bar draws the whole window at once: without a GPU that
        # takes as long as a layer.
        if self._waiting and self._waiting[-1][0] == self._progressed:
            self._waiting.pop()
        self._queue(self._progressed, number, fraction)

    def _progressed(self, number: int, fraction: float) -> None:
        if self._is_current(number):
            self.progress_bar.setRange(0, _STEPS)
            self.progress_bar.setValue(round(_STEPS * min(max(fraction, 0.0), 1.0)))

    def _hear_event(self, number: int, event: Any) -> None:
        self._queue(self._happened, number, event)

    def _hear_end(self, number: int, outcome: Outcome) -> None:
        self._queue(self._ended, number, outcome)

    def _queue(self, what: Callable[[int, Any], None], number: int, value: Any) -> None:
        if self._is_current(number):
            self._waiting.append((what, number, value))
            if not self._at_work:
                self._turn.start()

    def _take(self) -> None:
        if self._at_work or not self._waiting:
            return
        what, number, value = self._waiting.popleft()
        self._at_work = True
        try:
            what(number, value)
        finally:
            self._at_work = False
            if self._waiting:
                self._turn.start()

    def _happened(self, number: int, event: Any) -> None:
        if not self._is_current(number) or self._cancelling:
            return
        if isinstance(event, str):
            self._step = event
            self._show_time()
        elif self._on_event is not None:
            self._guarded(self._on_event, event)

    def _ended(self, number: int, outcome: Outcome) -> None:
        if not self._is_current(number):
            return
        used = _seconds(outcome.seconds)
        if outcome.error is not None and not (self._cancelling and not self._patient):
            self._fail(outcome.error, used)
        elif outcome.cancelled or self._cancelling:
            on_cancel = self._on_cancel
            self._finish("cancelled", f"Cancelled after {used}.")
            if on_cancel is not None:
                on_cancel()
        else:
            if self._on_result is not None and not self._guarded(self._on_result, outcome.value):
                return
            if self._is_current(number):
                # In a turn of its own: the bar draws the whole window once more.
                self._waiting.append((self._done, number, used))

    def _done(self, number: int, used: str) -> None:
        if self._is_current(number):
            text, kind = self._last_words or (f"Done in {used}.", "info")
            self._finish("done", text, kind)

    def _guarded(self, callback: Callable[[Any], None], value: Any) -> bool:
        """Call back; an error there ends the job as one in the worker would."""
        try:
            callback(value)
        except Exception as error:  # shown to the user
            if self._job is not None:
                self._job.quit()
            self._fail(error, _seconds(time.perf_counter() - self._started))
            return False
        return True

    def _fail(self, error: Exception, used: str) -> None:
        from napari.utils.notifications import notification_manager, show_error

        if isinstance(error, EbsdmlError):
            self._finish("failed", str(error), "error")
            if not self.isVisible():
                show_error(str(error))
            return
        self._finish(
            "failed",
            f"Stopped after {used} by an unexpected {type(error).__name__}; napari's notification "
            "has the details.",
            "error",
        )
        notification_manager.receive_error(type(error), error, error.__traceback__)

    def _give_up(self) -> None:
        if self._job is not None and self._cancelling:
            on_cancel = self._on_cancel
            self._finish("cancelled", "Cancelled; the step under way ends in the background.")
            if on_cancel is not None:
                on_cancel()

    def _finish(self, how: str, text: str, kind: str = "info") -> None:
        self._job = None
        self._waiting.clear()
        self._last_words = None
        self._cancelling = False
        self._on_event = self._on_result = self._on_cancel = None
        self._clock.stop()
        self._grace.stop()
        self.progress_bar.setRange(0, _STEPS)
        self.progress_bar.setValue(_STEPS if how == "done" else 0)
        self.say(text, kind)
        self._refresh()
        self.stopped.emit(how)

    def _show_time(self) -> None:
        if self._job is not None and not self._cancelling:
            self.say(f"{self._step} … {_seconds(time.perf_counter() - self._started)}")

    def _refresh(self) -> None:
        self.run_button.setEnabled(self._allowed and self._job is None)
        self.cancel_button.setEnabled(self._job is not None and not self._cancelling)


def _seconds(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02} s"
