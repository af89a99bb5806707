"""Combo boxes that are as narrow as a dock."""

from __future__ import annotations

from typing import TypeVar

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QComboBox, QSizePolicy, QStyle, QStyleOptionComboBox, QStylePainter

Box = TypeVar("Box", bound=QComboBox)


def narrow(box: Box) -> Box:
    """Let a combo box leave out the middle of a long text; open, it shows all of it.

    Otherwise the longest entry would make the whole dock wider.
    """
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    box.setMinimumContentsLength(8)
    box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    box.installEventFilter(_Painter(box))
    return box


def narrow_combo() -> QComboBox:
    """A new combo box of this kind."""
    return narrow(QComboBox())


def shown_text(box: QComboBox) -> str:
    """What a narrow box shows of its text: Qt itself cuts the end off, unseen."""
    option = QStyleOptionComboBox()
    box.initStyleOption(option)
    style = box.style()
    assert style is not None
    room = style.subControlRect(
        QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, box
    )
    # The label keeps a pixel at each end, and the style sheet two more.
    width = room.width() - 6
    return box.fontMetrics().elidedText(box.currentText(), Qt.TextElideMode.ElideMiddle, width)


class _Painter(QObject):
    """Draws a combo box with its text elided."""

    def eventFilter(self, box: QObject | None, event: QEvent | None) -> bool:
        if event is None or event.type() != QEvent.Type.Paint or not isinstance(box, QComboBox):
            return False
        painter, option = QStylePainter(box), QStyleOptionComboBox()
        box.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        option.currentText = shown_text(box)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
        painter.end()
        return True
