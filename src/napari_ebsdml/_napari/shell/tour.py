"""The tour "First map": a dock on a bundled sample, in five steps, with what is meant framed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakKeyDictionary

from qtpy.QtCore import QPoint, QRect, Qt, QTimer
from qtpy.QtGui import QColor, QKeyEvent, QPainter, QPaintEvent, QPen
from qtpy.QtWidgets import (
    QApplication,
    QDockWidget,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.layers.map_key import KEY_DOCK
from napari_ebsdml._napari.layers.of_scans import layers_of, scans_in, show_map
from napari_ebsdml.errors import EbsdmlError
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml._napari.shell.scan_widget import ScanWidget

_PLUGIN = "napari-ebsdml"
_COLOUR = "#ff9f1c"
_WIDTH = 340
_GAP = 12
_FRAME = 3
_FOLLOW_MS = 150

_SAMPLES: WeakKeyDictionary[Any, dict[str, Scan]] = WeakKeyDictionary()
"""Viewer -> name of a sample -> its map, so that a second tour does not open it again."""


@dataclass(frozen=True)
class Step:
    """One step of a tour.

    Attributes
    ----------
    text
        Rich text.
    target
        Gives the widget that is framed; None for none.
    do
        What the button "Show me" does; None: it is not there.
    """

    text: str
    target: Callable[[], QWidget | None]
    do: Callable[[], object] | None = None


class Tour(QFrame):
    """Bubble with the text of a step; Enter or Right goes on, Left back, Escape closes.

    Attributes
    ----------
    steps : list of Step
    at : int
        Number of the present step, from 0.
    """

    running: ClassVar[Tour | None] = None

    def __init__(self, window: QWidget, steps: Sequence[Step], alive: Callable[[], bool]) -> None:
        super().__init__(window)
        self.steps, self.at, self._alive = list(steps), 0, alive
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAutoFillBackground(True)
        self.setStyleSheet(f"Tour {{ border: {_FRAME}px solid {_COLOUR}; border-radius: 6px; }}")
        self.setFixedWidth(_WIDTH)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Tour")
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.back_button = QPushButton("Back")
        self.do_button = QPushButton("Show me")
        self.next_button = QPushButton("Next")
        self.close_button = QPushButton("Close")
        row = QHBoxLayout()
        for button in (self.back_button, self.do_button, self.next_button, self.close_button):
            row.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(12, 10, 12, 10)
        layout.addWidget(self.text)
        layout.addLayout(row)
        self.back_button.clicked.connect(self.back)
        self.next_button.clicked.connect(self.next)
        self.do_button.clicked.connect(self.show_me)
        self.close_button.clicked.connect(self.end)
        self.frame = _Frame(window)
        self._clock = QTimer(self)
        self._clock.setInterval(_FOLLOW_MS)
        self._clock.timeout.connect(self._follow)

    def begin(self) -> None:
        """Show the first step, in place of a tour that is under way."""
        if Tour.running is not None:
            Tour.running.end()
        Tour.running = self
        self._clock.start()
        self.go(0)

    def go(self, at: int) -> None:
        """Show a step."""
        self.at = min(max(at, 0), len(self.steps) - 1)
        step, last = self.steps[self.at], self.at == len(self.steps) - 1
        self.text.setText(f"<b>{self.at + 1} of {len(self.steps)}</b>&nbsp; {step.text}")
        self.back_button.setEnabled(self.at > 0)
        self.next_button.setText("Finish" if last else "Next")
        self.do_button.setVisible(step.do is not None)
        self.close_button.setVisible(not last)
        self.show()
        self._follow()
        self.setFocus(Qt.FocusReason.OtherFocusReason)

    def next(self) -> None:
        """Go on; from the last step, end."""
        if self.at == len(self.steps) - 1:
            self.end()
        else:
            self.go(self.at + 1)

    def back(self) -> None:
        """Go back."""
        self.go(self.at - 1)

    def show_me(self) -> None:
        """Do what the step is about."""
        do = self.steps[self.at].do
        if do is not None:
            do()
        self.setFocus(Qt.FocusReason.OtherFocusReason)

    def end(self) -> None:
        """Close the tour."""
        self._clock.stop()
        self.frame.hide()
        self.frame.deleteLater()
        self.hide()
        self.deleteLater()
        if Tour.running is self:
            Tour.running = None

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Walk through with the keyboard alone."""
        key = event.key() if event is not None else 0
        at = self.focusWidget()
        if key == Qt.Key.Key_Escape:
            self.end()
        elif key == Qt.Key.Key_Left:
            self.back()
        elif key == Qt.Key.Key_Right:
            self.next()
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            at.click() if isinstance(at, QPushButton) else self.next()
        else:
            super().keyPressEvent(event)

    def _follow(self) -> None:
        """Frame the target wherever it is now, and stand beside it."""
        if not self._alive():
            self.end()
            return
        window = self.parentWidget()
        target = self.steps[self.at].target()
        self.adjustSize()
        if window is None:
            return
        if target is None or not target.isVisible():
            self.frame.hide()
            there = window.rect().center() - self.rect().center()
        else:
            corner = target.mapTo(window, QPoint(0, 0))
            around = QRect(corner, target.size()).intersected(window.rect())
            self.frame.setGeometry(around)
            self.frame.show()
            self.frame.raise_()
            there = beside(around, self.size().width(), self.size().height(), window.rect())
        self.move(there)
        self.raise_()


class _Frame(QWidget):
    """Draws a frame and lets the mouse through."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.hide()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(QPen(QColor(_COLOUR), _FRAME))
        half = _FRAME // 2 + 1
        painter.drawRoundedRect(self.rect().adjusted(half, half, -half, -half), 5, 5)
        painter.end()


def beside(target: QRect, width: int, height: int, area: QRect) -> QPoint:
    """Where a bubble stands: left or right of a target, below or above it, or in its middle."""
    top = min(max(target.top(), area.top() + _GAP), area.bottom() - height - _GAP)
    left = min(max(target.left(), area.left() + _GAP), area.right() - width - _GAP)
    if target.left() - width - _GAP >= area.left():
        return QPoint(target.left() - width - _GAP, top)
    if target.right() + width + _GAP <= area.right():
        return QPoint(target.right() + _GAP, top)
    if target.bottom() + height + _GAP <= area.bottom():
        return QPoint(left, target.bottom() + _GAP)
    if target.top() - height - _GAP >= area.top():
        return QPoint(left, target.top() - height - _GAP)
    middle = target.center()
    return QPoint(middle.x() - width // 2, middle.y() - height // 2)


def start_tour(dock: ScanWidget) -> Tour | None:
    """Open the sample of a dock and begin its tour; None where there is no window."""
    help_text, window = dock.help, dock.window()
    if help_text is None or window is None:
        return None
    try:
        scan = sample_map(dock.viewer, help_text.sample)
    except EbsdmlError as error:
        dock.tasks.say(str(error), "error")
        return None
    if scan is not None:
        dock.chooser.scan = scan
        # Later than what arriving maps do of themselves.
        QTimer.singleShot(0, lambda: show_map(dock.viewer, scan))
    tour = Tour(window, steps_of(dock), lambda: dock.alive)
    tour.begin()
    return tour


def sample_map(viewer: Any, name: str) -> Scan | None:
    """The map of a sample of the plugin, opened where it is not open yet.

    Raises
    ------
    EbsdmlError
        When the sample cannot be had.
    """
    known = _SAMPLES.setdefault(viewer, {})
    if name in known and layers_of(viewer, known[name]):
        return known[name]
    before = set(scans_in(viewer))
    QApplication.setOverrideCursor(Qt.CursorShape.WaitCursor)
    try:
        viewer.open_sample(_PLUGIN, name)
    finally:
        QApplication.restoreOverrideCursor()
    scan = next((scan for scan in scans_in(viewer) if scan not in before), None)
    if scan is not None:
        known[name] = scan
    return scan


def steps_of(dock: ScanWidget) -> list[Step]:
    """The five steps of a dock's tour: map, key, settings, work, result."""
    told = dock.help
    assert told is not None
    first, second, *rest = (*told.steps, "")
    shown = dock.tour_actions()
    return [
        Step(
            f"{told.what}<br><br>This is a sample that comes with the plugin. Move the map by "
            "dragging, zoom with the wheel; the eye in the layer list hides and shows what was "
            "measured.",
            lambda: _canvas(dock),
        ),
        Step(
            "The map key says what every colour means that is seen now. The selected layer is "
            "the one whose contrast the layer controls change.",
            lambda: _key(dock),
        ),
        Step(first, lambda: dock.tour_target(2), shown.get(2)),
        Step(second, lambda: dock.tour_target(3), shown.get(3)),
        Step(
            " ".join(text for text in rest if text)
            + "<br><br><b>Fig.</b> on top writes the map with scale bar and key, <b>?</b> has the "
            "documentation. Now open a map of your own: drop the file on the canvas.",
            lambda: dock.tour_target(4),
            shown.get(4),
        ),
    ]


def _canvas(dock: ScanWidget) -> QWidget | None:
    window = getattr(dock.viewer, "window", None)
    widget = window._qt_viewer.canvas.native if window is not None else None
    return widget if isinstance(widget, QWidget) else None


def _key(dock: ScanWidget) -> QWidget | None:
    window = getattr(dock.viewer, "window", None)
    widget = window.dock_widgets.get(KEY_DOCK) if window is not None else None
    if not isinstance(widget, QWidget):
        return None
    around: QWidget | None = widget
    while around is not None and not isinstance(around, QDockWidget):
        around = around.parentWidget()
    if around is not None and widget.visibleRegion().isEmpty():
        # In a low window it is a tab behind the layer controls.
        around.raise_()
    return around or widget
