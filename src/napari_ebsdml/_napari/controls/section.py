"""A part of a form under a heading that folds it."""

from __future__ import annotations

from qtpy.QtCore import QEvent, Qt, Signal
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel


class Section(QWidget):
    """Heading with an arrow, a short summary beside it, and the content below.

    Signals
    -------
    folded : bool
        The content was hidden (True) or shown.

    Attributes
    ----------
    body : QVBoxLayout
        Where the content goes.
    """

    folded = Signal(bool)

    def __init__(self, title: str, unfolded: bool = True, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._content = QWidget()
        self._arrow = QToolButton()
        self._arrow.setAutoRaise(True)
        self._arrow.setFixedSize(18, 18)
        self._arrow.clicked.connect(lambda: self.unfold(self._content.isHidden()))
        heading = QLabel(f"<b>{title}</b>")
        self._summary = QElidingLabel()
        self._summary.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self._head = QWidget()
        row = QHBoxLayout(self._head)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(2)
        row.addWidget(self._arrow)
        row.addWidget(heading)
        # Not as a margin of the label, which elides as if it had none.
        row.addSpacing(8)
        row.addWidget(self._summary, 1)
        self._head.setCursor(Qt.CursorShape.PointingHandCursor)
        self._head.installEventFilter(self)
        line = QFrame()
        line.setFrameShape(QFrame.Shape.HLine)
        self.body = QVBoxLayout(self._content)
        self.body.setContentsMargins(20, 2, 0, 6)
        self.body.setSpacing(4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(line)
        layout.addWidget(self._head)
        layout.addWidget(self._content)
        self.unfold(unfolded)

    @property
    def unfolded(self) -> bool:
        """Whether the content shows."""
        return not self._content.isHidden()

    def unfold(self, unfolded: bool = True) -> None:
        """Show or hide the content."""
        self._content.setVisible(unfolded)
        kind = Qt.ArrowType.DownArrow if unfolded else Qt.ArrowType.RightArrow
        self._arrow.setArrowType(kind)
        self.folded.emit(not unfolded)

    def summarise(self, text: str) -> None:
        """Text beside the heading."""
        self._summary.setText(text)
        self._summary.setToolTip(text)

    def eventFilter(self, watched: object, event: QEvent) -> bool:
        if (
            watched is self._head
            and isinstance(event, QMouseEvent)
            and event.type() == QEvent.Type.MouseButtonRelease
        ):
            self.unfold(not self.unfolded)
            return True
        return bool(super().eventFilter(watched, event))
