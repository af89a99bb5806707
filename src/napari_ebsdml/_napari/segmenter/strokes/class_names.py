"""Names that are offered for a class: the phases of the map, and what steels are made of."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QModelIndex
from qtpy.QtWidgets import QComboBox, QStyledItemDelegate, QStyleOptionViewItem, QWidget

from napari_ebsdml._napari.segmenter.state import SegmenterState
from napari_ebsdml.scan import Scan

USUAL = (
    "ferrite", "austenite", "martensite", "bainite", "pearlite", "tempered martensite",
    "recrystallised", "deformed", "twin", "precipitate",
)  # fmt: skip


def offered(scan: Scan | None, taken: set[str]) -> list[str]:
    """Names for a class of a map that other classes do not have, the phases of the map first."""
    phases = [phase.name for n, phase in scan.phases if n >= 0] if scan is not None else []
    # Many maps write "Ferrite/Ferrite" or a name with blanks around it.
    plain = [name.split("/")[0].strip() for name in phases]
    every = dict.fromkeys([name for name in plain if name] + list(USUAL))
    lower = {name.casefold() for name in taken}
    seen: set[str] = set()
    found = []
    for name in every:
        if name.casefold() not in lower | seen:
            seen.add(name.casefold())
            found.append(name)
    return found


class NameDelegate(QStyledItemDelegate):
    """Editor of a class's name: type it, or choose one that is offered."""

    def __init__(self, state: SegmenterState, parent: QWidget) -> None:
        super().__init__(parent)
        self._state = state

    def createEditor(
        self, parent: QWidget | None, option: QStyleOptionViewItem, index: QModelIndex
    ) -> QWidget:
        """A combo box that takes any text."""
        box = QComboBox(parent)
        box.setEditable(True)
        present = str(index.data())
        taken = {c.name for c in self._state.classes} - {present}
        box.addItems(offered(self._state.scan, taken))
        box.activated.connect(lambda _: self._chosen(box))
        return box

    def setEditorData(self, editor: QWidget | None, index: QModelIndex) -> None:
        """Begin with the present name, selected."""
        assert isinstance(editor, QComboBox)
        editor.setCurrentText(str(index.data()))
        line = editor.lineEdit()
        if line is not None:
            line.selectAll()

    def setModelData(self, editor: QWidget | None, model: Any, index: QModelIndex) -> None:
        """Take the name over."""
        assert isinstance(editor, QComboBox)
        model.setData(index, editor.currentText().strip())

    def _chosen(self, box: QComboBox) -> None:
        self.commitData.emit(box)
        self.closeEditor.emit(box)
