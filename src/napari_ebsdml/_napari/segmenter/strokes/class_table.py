"""Table of the classes: colour, name, and how many pixels are painted."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QIcon, QPixmap
from qtpy.QtWidgets import (
    QAbstractItemView,
    QColorDialog,
    QHBoxLayout,
    QHeaderView,
    QPushButton,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.segmenter.state import MOST_CLASSES, SegmenterState
from napari_ebsdml._napari.segmenter.strokes.annotation_layers import erase_class
from napari_ebsdml._napari.segmenter.strokes.class_names import NameDelegate
from napari_ebsdml._napari.segmenter.strokes.painted import PaintedPixels

_COLOR, _NAME, _PIXELS = range(3)
_ROW, _HEADER = 26, 34
_MOST_ROWS = 6
FEW_PIXELS = 30
UNEVEN = 10
"""A class with so many times the pixels of another draws a warning."""


class ClassTable(QWidget):
    """Shows and edits the classes of a state.

    Signals
    -------
    chosen : int
        The user wants to paint the class with this value.
    """

    chosen = Signal(int)

    def __init__(self, state: SegmenterState, painted: PaintedPixels) -> None:
        super().__init__()
        self.state, self._painted = state, painted
        self.view = QTableWidget(0, 3)
        self.view.setHorizontalHeaderLabels(["", "class", "painted pixels"])
        self.view.verticalHeader().setVisible(False)
        self.view.verticalHeader().setDefaultSectionSize(_ROW)
        self.view.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.view.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.view.setShowGrid(False)
        self.view.setItemDelegateForColumn(_NAME, NameDelegate(state, self.view))
        header = self.view.horizontalHeader()
        header.setSectionResizeMode(_COLOR, QHeaderView.ResizeMode.Fixed)
        header.setSectionResizeMode(_NAME, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(_PIXELS, QHeaderView.ResizeMode.Fixed)
        header.resizeSection(_COLOR, 32)
        header.resizeSection(_PIXELS, 130)
        self.add_button = QPushButton("Add class")
        self.remove_button = QPushButton("Remove class")
        self.remove_button.setToolTip("Remove the selected class and erase its strokes")
        buttons = QHBoxLayout()
        buttons.addWidget(self.add_button)
        buttons.addWidget(self.remove_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.view)
        layout.addLayout(buttons)

        self.view.cellClicked.connect(self._clicked)
        self.view.itemChanged.connect(self._edited)
        self.add_button.clicked.connect(self._add)
        self.remove_button.clicked.connect(self._remove)
        state.classes_changed.connect(self._fill)
        painted.counted.connect(self._count)
        self._fill()

    @property
    def selected(self) -> int:
        """Value of the selected class; 0 when there is none."""
        row = self.view.currentRow()
        classes = self.state.classes
        return classes[row].value if 0 <= row < len(classes) else 0

    def select(self, value: int) -> None:
        """Select the class with a value, without painting."""
        values = [c.value for c in self.state.classes]
        if value in values and value != self.selected:
            self.view.blockSignals(True)
            self.view.setCurrentCell(values.index(value), _NAME)
            self.view.blockSignals(False)

    def text(self, row: int, column: int) -> str:
        """What a cell says."""
        item = self.view.item(row, column)
        return item.text() if item is not None else ""

    def _fill(self) -> None:
        selected = self.selected or 1
        self.view.blockSignals(True)
        self.view.setRowCount(len(self.state.classes))
        fixed = Qt.ItemFlag.ItemIsSelectable | Qt.ItemFlag.ItemIsEnabled
        for row, one in enumerate(self.state.classes):
            color = QTableWidgetItem()
            color.setIcon(_swatch(one.color))
            color.setFlags(fixed)
            color.setToolTip("Click to choose another colour")
            name = QTableWidgetItem(one.name)
            name.setToolTip(
                f"Label {one.value}. Click to paint it (key {row + 1}), double-click to rename it"
            )
            pixels = QTableWidgetItem()
            pixels.setFlags(fixed)
            pixels.setTextAlignment(
                int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
            )
            for column, item in ((_COLOR, color), (_NAME, name), (_PIXELS, pixels)):
                self.view.setItem(row, column, item)
        self.view.blockSignals(False)
        rows = min(max(len(self.state.classes), 2), _MOST_ROWS)
        self.view.setFixedHeight(rows * _ROW + _HEADER)
        self.select(selected)
        self.add_button.setEnabled(len(self.state.classes) < MOST_CLASSES)
        self.remove_button.setEnabled(len(self.state.classes) > 2)
        self._count()

    def _count(self) -> None:
        total = self._painted.total()
        whole = sum(total.values())
        self.view.blockSignals(True)
        for row, one in enumerate(self.state.classes):
            item = self.view.item(row, _PIXELS)
            number = total.get(one.value, 0)
            if item is not None:
                share = f"  ({100 * number / whole:.0f} %)" if number else ""
                item.setText(f"{number:,}{share}".replace(",", "\u202f"))
        self.view.blockSignals(False)

    def _clicked(self, row: int, column: int) -> None:
        one = self.state.classes[row]
        if column == _COLOR:
            color = QColorDialog.getColor(QColor(one.color), self, f"Colour of {one.name}")
            if color.isValid():
                self.state.change_class(one.value, color=color.name())
            return
        self.chosen.emit(one.value)

    def _edited(self, item: QTableWidgetItem) -> None:
        if item.column() != _NAME:
            return
        one = self.state.classes[item.row()]
        name = item.text().strip()
        others = {c.name for c in self.state.classes if c is not one}
        if name and name not in others:
            self.state.change_class(one.value, name=name)
        else:
            # Two classes of one name could not be told apart in a table.
            self.view.blockSignals(True)
            item.setText(one.name)
            self.view.blockSignals(False)

    def _add(self) -> None:
        new = self.state.add_class()
        self.select(new.value)
        self.chosen.emit(new.value)

    def _remove(self) -> None:
        value = self.selected
        if value and len(self.state.classes) > 2:
            self.state.remove_class(value)
            for pair in self.state.pairs:
                erase_class(pair, value)
            self._painted.count()


def advice(state: SegmenterState, painted: PaintedPixels) -> tuple[str, bool]:
    """What to do next about the strokes, and whether a training can begin as they are."""
    if painted.crowded:
        names = ", ".join(pair.layer.name for pair in painted.crowded)
        return (
            f"{names} holds more labels than there can be classes ({MOST_CLASSES}): a map of "
            "grains, perhaps? Take it out of the list.",
            False,
        )
    total = painted.total()
    empty = [c.name for c in state.classes if not total[c.value]]
    if len(empty) == len(total):
        text = "Choose a class in the table and paint a few strokes of it on the map."
        if all(c.name == f"class {c.value}" for c in state.classes):
            text = f"Double-click a class to name it. {text}"
        return text, False
    if len(total) - len(empty) < 2:
        return f"Now paint some strokes of {' or '.join(empty)}.", False
    if empty:
        return (
            f"Nothing is painted of {', '.join(empty)}: without strokes it is not learned.",
            True,
        )
    by_number = sorted(state.classes, key=lambda c: total[c.value])
    least, most = by_number[0], by_number[-1]
    if total[least.value] < FEW_PIXELS:
        return f"Paint more of {least.name}: {total[least.value]} pixels are very few.", True
    ratio = total[most.value] / total[least.value]
    if ratio > UNEVEN:
        return (
            f"{most.name} has {ratio:.0f} times as many pixels as {least.name}. Paint more of "
            f"{least.name}, or the result will lean towards {most.name}.",
            True,
        )
    return "", True


def _swatch(color: str) -> QIcon:
    pixmap = QPixmap(16, 16)
    pixmap.fill(QColor(color))
    icon = QIcon(pixmap)
    # The chosen row must not tint the colour.
    icon.addPixmap(pixmap, QIcon.Mode.Selected)
    return icon
