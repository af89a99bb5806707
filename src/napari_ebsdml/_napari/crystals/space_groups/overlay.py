"""An explanation as a picture to lay over the pattern: heat map, and bands with their {hkl}."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QPointF, QRectF, Qt
from qtpy.QtGui import QColor, QFont, QFontMetricsF, QImage, QPainter, QPen

from napari_ebsdml._napari.crystals.space_groups.classify import PixelExplanation

FOR, AGAINST = "#ff8c1a", "#35a7ff"
"""Colours of what speaks for and against a space group."""

_WIDTH = 480
_MOST_BANDS = 3
_MOST_NAMES = 3
_MOST_ALPHA = 0.6


def heat_map(values: NDArray[np.floating[Any]], most: float | None = None) -> NDArray[np.float32]:
    """Colours of signed values: `FOR` above zero, `AGAINST` below, as opaque as they are large.

    Parameters
    ----------
    values : (rows, columns) array
    most
        Value that is most opaque. Default: the 99th percentile of the magnitude.
    """
    if most is None:
        most = float(np.percentile(np.abs(values), 99))
    share = np.clip(np.abs(values) / max(most, 1e-12), 0, 1)
    out = np.empty((*values.shape, 4), np.float32)
    for sign, color in ((values >= 0, QColor(FOR)), (values < 0, QColor(AGAINST))):
        out[sign, :3] = color.redF(), color.greenF(), color.blueF()
    out[..., 3] = _MOST_ALPHA * share
    return out


def band_name(hkl: tuple[int, int, int]) -> str:
    """Name of a family of planes: {311}."""
    return "{" + "".join(str(index) for index in hkl) + "}"


def band_picture(found: PixelExplanation, space_group: int) -> NDArray[np.uint8]:
    """Traces of the bands that decided about a space group, with their names, (n, m, 4) uint8."""
    rows, columns = found.images[space_group].shape
    width, height = _WIDTH, max(1, round(_WIDTH * rows / columns))
    image = QImage(width, height, QImage.Format.Format_RGBA8888)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    font = QFont()
    font.setPixelSize(17)
    font.setBold(True)
    painter.setFont(font)
    metrics = QFontMetricsF(font)
    taken: list[QRectF] = []
    bands = found.bands.get(space_group, [])[:_MOST_BANDS]
    most = max((abs(value) for _, value in bands), default=1.0) or 1.0
    for hkl, value in bands:
        color = QColor(FOR if value >= 0 else AGAINST)
        color.setAlphaF(0.3 + 0.5 * abs(value) / most)
        names = 0
        for line in found.lines.get(hkl, ()):
            ends = [QPointF(column * width, row * height) for row, column in line]
            painter.setPen(QPen(color, 1.6))
            painter.drawLine(*ends)
            if names < _MOST_NAMES:
                names += _write(
                    painter, metrics, band_name(hkl), color, ends, (width, height), taken
                )
    painter.end()
    line_bytes = image.bytesPerLine()
    bits = image.constBits()
    assert bits is not None
    if hasattr(bits, "setsize"):
        bits.setsize(line_bytes * height)
    flat: NDArray[np.uint8] = np.frombuffer(bits, np.uint8).reshape(height, line_bytes)
    return flat[:, : 4 * width].reshape(height, width, 4).copy()


def _write(
    painter: QPainter, metrics: QFontMetricsF, text: str, color: QColor, ends: list[QPointF],
    size: tuple[int, int], taken: list[QRectF],
) -> bool:  # fmt: skip
    """Name a line at the first place along it where no other name stands; whether there is one."""
    box = QRectF(0, 0, metrics.horizontalAdvance(text) + 6, metrics.height())
    whole = QRectF(0, 0, *size)
    if (ends[1] - ends[0]).manhattanLength() < 4 * box.width():
        return False  # a corner only
    for part in (0.12, 0.88, 0.25, 0.75, 0.5):
        place = QRectF(box)
        place.moveCenter(ends[0] + (ends[1] - ends[0]) * part)
        if whole.contains(place) and not any(place.intersects(other) for other in taken):
            taken.append(place)
            painter.fillRect(place, QColor(16, 18, 22, 185))
            full = QColor(color)
            full.setAlphaF(1.0)
            painter.setPen(full)
            painter.drawText(place, int(Qt.AlignmentFlag.AlignCenter), text)
            return True
    return False
