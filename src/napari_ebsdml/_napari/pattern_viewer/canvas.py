"""Draws one Kikuchi pattern: grey levels, overlays on top, a region, a hint instead."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from qtpy.QtCore import QPointF, QRectF, QSize, Qt, Signal
from qtpy.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
)
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_ebsdml.errors import InputError

Region = tuple[int, int, int, int]
"""First row, end row, first column, end column on the detector."""

_BACKGROUND = QColor("#16181c")
_TEXT = QColor("#c9ccd1")
_GUIDE = QColor(255, 221, 51)

_ARROWS = {
    Qt.Key.Key_Up: (-1, 0),
    Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Left: (0, -1),
    Qt.Key.Key_Right: (0, 1),
}
_FAR = 10
_USUAL_WIDTH = 340


class PatternCanvas(QWidget):
    """A pattern, as large as the widget allows, with square detector pixels.

    Signals
    -------
    stepped : int, int
        An arrow key was pressed: rows and columns to go; with Shift ten times as far.
    hovered : object
        Row and column of the detector pixel under the cursor, or None.
    region_drawn : object
        A `Region` was drawn with the mouse, while `drawing` is on.
    """

    stepped = Signal(int, int)
    hovered = Signal(object)
    region_drawn = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.drawing = False
        self._image: QImage | None = None
        self.hint = ""
        self._stale = False
        self._overlays: dict[str, QImage] = {}
        self._guides: list[Region] = []
        self._press: tuple[int, int] | None = None
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(160, 160)
        self.setMaximumHeight(_USUAL_WIDTH)

    def sizeHint(self) -> QSize:
        """As wide as the dock usually is, as high as the pattern needs."""
        return QSize(_USUAL_WIDTH, min(self.maximumHeight(), 2 * max(self.width(), _USUAL_WIDTH)))

    def set_grey(self, levels: NDArray[np.uint8] | None) -> None:
        """Show a pattern, (detector rows, detector columns) uint8; None shows the hint."""
        self._image = None if levels is None else grey_image(levels)
        self._stale = False
        self._fit()
        self.update()

    def set_hint(self, text: str) -> None:
        """Text to show while there is no pattern."""
        self.hint = text
        self.update()

    def set_stale(self, stale: bool) -> None:
        """Dim the pattern while that of another pixel is on its way."""
        if stale != self._stale:
            self._stale = stale
            self.update()

    def set_overlay(self, name: str, rgba: ArrayLike | None) -> None:
        """Draw an image over the pattern, or take it away; see `PatternViewer.set_overlay`."""
        if rgba is None:
            self._overlays.pop(name, None)
        else:
            self._overlays[name] = rgba_image(rgba)
        self.update()

    def overlays(self) -> list[str]:
        """Names of the overlays, bottom to top."""
        return list(self._overlays)

    def set_guides(self, regions: list[Region]) -> None:
        """Outline parts of the detector."""
        self._guides = list(regions)
        self.update()

    def picture(self) -> QImage | None:
        """What is shown, with its overlays, one pixel for each detector pixel."""
        if self._image is None:
            return None
        if not self._overlays:
            return self._image.copy()
        picture = self._image.convertToFormat(QImage.Format.Format_RGB32)
        painter = QPainter(picture)
        for overlay in self._overlays.values():
            painter.drawImage(QRectF(picture.rect()), overlay, QRectF(overlay.rect()))
        painter.end()
        return picture

    def target(self) -> QRectF:
        """Where the pattern lies in the widget."""
        if self._image is None:
            return QRectF(self.rect())
        width, height = self._image.width(), self._image.height()
        factor = min(self.width() / width, self.height() / height)
        left = (self.width() - width * factor) / 2
        top = (self.height() - height * factor) / 2
        return QRectF(left, top, width * factor, height * factor)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        """Take no more height than the pattern fills, and leave it to the rest of the dock."""
        shape = (1, 1) if self._image is None else (self._image.height(), self._image.width())
        height = max(self.minimumHeight(), round(self.width() * shape[0] / shape[1]))
        if height != self.maximumHeight():
            self.setMaximumHeight(height)
            self.updateGeometry()

    def detector_pixel(self, point: QPointF) -> tuple[int, int] | None:
        """Detector row and column at a point of the widget."""
        place = self.target()
        if self._image is None or not place.contains(point):
            return None
        row = int((point.y() - place.top()) / place.height() * self._image.height())
        column = int((point.x() - place.left()) / place.width() * self._image.width())
        return min(row, self._image.height() - 1), min(column, self._image.width() - 1)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.fillRect(self.rect(), _BACKGROUND)
        if self._image is None:
            painter.setPen(_TEXT)
            room = self.rect().adjusted(16, 16, -16, -16)
            flags = Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap
            painter.drawText(room, int(flags), self.hint)
            return
        place = self.target()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.drawImage(place, self._image, QRectF(self._image.rect()))
        for overlay in self._overlays.values():
            painter.drawImage(place, overlay, QRectF(overlay.rect()))
        if self._stale:
            painter.fillRect(place, QColor(22, 24, 28, 110))
        painter.setPen(QPen(_GUIDE, 1))
        for region in self._guides:
            painter.drawRect(self._rectangle(region))

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        step = _ARROWS.get(Qt.Key(event.key())) if event is not None else None
        if step is None or event is None:
            super().keyPressEvent(event)
            return
        far = _FAR if event.modifiers() & Qt.KeyboardModifier.ShiftModifier else 1
        self.stepped.emit(step[0] * far, step[1] * far)

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and self.drawing and event.button() == Qt.MouseButton.LeftButton:
            self._press = self.detector_pixel(event.position())
        super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        if event is None:
            return
        if self._press is not None:
            self.set_guides([self._region_to(event.position())])
        self.hovered.emit(self.detector_pixel(event.position()))

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        if event is not None and self._press is not None:
            region = self._region_to(event.position())
            self._press = None
            self.set_guides([region])
            self.region_drawn.emit(region)
        super().mouseReleaseEvent(event)

    def leaveEvent(self, event: Any) -> None:
        self.hovered.emit(None)

    def _region_to(self, point: QPointF) -> Region:
        """Region from the pressed pixel to the one nearest to a point, both included."""
        assert self._press is not None
        place = self.target()
        inside = QPointF(
            min(max(point.x(), place.left()), place.right() - 1e-6),
            min(max(point.y(), place.top()), place.bottom() - 1e-6),
        )
        row, column = self.detector_pixel(inside) or self._press
        rows, columns = sorted((self._press[0], row)), sorted((self._press[1], column))
        return rows[0], rows[1] + 1, columns[0], columns[1] + 1

    def _rectangle(self, region: Region) -> QRectF:
        assert self._image is not None
        place = self.target()
        scale = place.width() / self._image.width()
        first, end, left, right = region
        return QRectF(
            place.left() + left * scale,
            place.top() + first * scale,
            (right - left) * scale - 1,
            (end - first) * scale - 1,
        )


def grey_image(levels: NDArray[np.uint8]) -> QImage:
    """QImage of 8-bit grey levels; owns its memory."""
    levels = np.ascontiguousarray(levels, dtype=np.uint8)
    height, width = levels.shape
    image = QImage(levels.data, width, height, width, QImage.Format.Format_Grayscale8)
    return image.copy()


def rgba_image(rgba: ArrayLike) -> QImage:
    """QImage of (rows, columns, 4) colours, uint8 or float 0..1; owns its memory.

    Raises
    ------
    InputError
        When the array has another shape.
    """
    colors = np.asarray(rgba)
    if colors.ndim != 3 or colors.shape[2] != 4 or 0 in colors.shape:
        raise InputError(f"An overlay needs shape (rows, columns, 4), not {colors.shape}.")
    if colors.dtype != np.uint8:
        if colors.dtype.kind != "f":
            raise InputError(f"An overlay needs uint8 or float colours, not {colors.dtype}.")
        colors = np.rint(255 * np.clip(np.nan_to_num(colors), 0, 1)).astype(np.uint8)
    colors = np.ascontiguousarray(colors)
    height, width, _ = colors.shape
    image = QImage(colors.data, width, height, 4 * width, QImage.Format.Format_RGBA8888)
    return image.copy()
