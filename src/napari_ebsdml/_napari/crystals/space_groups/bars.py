"""Probabilities of space groups as bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import QRectF, QSize, Qt, Signal
from qtpy.QtGui import QColor, QMouseEvent, QPainter, QPaintEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

_ROW = 20
_SECOND = 6


@dataclass(frozen=True)
class Bar:
    """One row: a space group, its name and colour, and its probability by one or two models."""

    space_group: int
    name: str
    color: str
    values: tuple[float, ...]


class ProbabilityBars(QWidget):
    """Bars, of which one may be clicked.

    Signals
    -------
    clicked : int
        Space group of the row.
    """

    clicked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.bars: list[Bar] = []
        self._chosen = 0
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)

    def show_bars(self, bars: list[Bar], chosen: int = 0) -> None:
        """Show bars; the space group `chosen` is framed."""
        self.bars, self._chosen = list(bars), chosen
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(300, sum(self._height(bar) for bar in self.bars) + 2)

    def minimumSizeHint(self) -> QSize:
        return QSize(180, self.sizeHint().height())

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        y = event.position().y()
        for bar in self.bars:
            y -= self._height(bar)
            if y < 0:
                self.clicked.emit(bar.space_group)
                return

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        ink = self.palette().windowText().color()
        metrics = painter.fontMetrics()
        left = max((metrics.horizontalAdvance(bar.name) for bar in self.bars), default=0) + 12
        right = metrics.horizontalAdvance("100 % · 100 %") + 10
        room = max(10.0, self.width() - left - right)
        track = QColor(ink)
        track.setAlpha(26)
        top = 0.0
        for bar in self.bars:
            height = self._height(bar)
            if bar.space_group == self._chosen:
                painter.setPen(QColor(bar.color))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRoundedRect(QRectF(0.5, top + 0.5, self.width() - 1, height - 1), 3, 3)
            painter.setPen(ink)
            middle = int(Qt.AlignmentFlag.AlignVCenter)
            painter.drawText(QRectF(6, top, left - 8, height), middle, bar.name)
            painter.setPen(Qt.PenStyle.NoPen)
            at = top + 4
            for number, value in enumerate(bar.values):
                thick = _ROW - 8 if number == 0 else _SECOND
                color = QColor(bar.color)
                if number:
                    color.setAlpha(140)
                painter.setBrush(track)
                painter.drawRect(QRectF(left, at, room, thick))
                painter.setBrush(color)
                painter.drawRect(QRectF(left, at, room * min(max(value, 0.0), 1.0), thick))
                at += thick + 2
            painter.setPen(ink)
            text = " · ".join(_percent(value) for value in bar.values)
            flags = int(Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignRight)
            painter.drawText(QRectF(left + room, top, right - 4, height), flags, text)
            top += height

    def _height(self, bar: Bar) -> int:
        return _ROW + (_SECOND + 2) * (len(bar.values) - 1)


def _percent(value: Any) -> str:
    return f"{100 * value:.0f} %" if value == value else "–"
