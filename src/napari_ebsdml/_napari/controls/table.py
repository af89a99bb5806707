"""A table to look at, copy and save."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtCore import QAbstractTableModel, QModelIndex, Qt
from qtpy.QtGui import QColor, QResizeEvent
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFileDialog,
    QHBoxLayout,
    QPushButton,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._atomic import replacing
from napari_ebsdml._napari.controls.text import superscript
from napari_ebsdml.errors import InputError, WriteError

Columns = Mapping[str, Sequence[Any]]

_ROWS = 50
"""So many rows tell how wide a column is."""
_FEW = 3
"""Up to so many columns share the width; more of them scroll."""


class DataTable(QWidget):
    """Columns of numbers and texts, with buttons for the clipboard and a CSV file.

    Without columns nothing is seen of it: an empty frame asks what is missing.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._model = _Model()
        self.view = _View()
        self.view.setModel(self._model)
        self.view.setSelectionMode(QAbstractItemView.SelectionMode.ContiguousSelection)
        # Columns as wide as their first rows: a map of millions of pixels has a thousand grains.
        self.view.horizontalHeader().setResizeContentsPrecision(_ROWS)
        self.view.verticalHeader().setVisible(False)
        self.view.verticalHeader().setDefaultSectionSize(22)
        self.view.horizontalHeader().setDefaultAlignment(
            Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter
        )
        self.copy_button = QPushButton("Copy")
        self.copy_button.setToolTip("Copy the table to the clipboard, separated by tabs")
        self.copy_button.clicked.connect(self.copy)
        self.save_button = QPushButton("Save CSV …")
        self.save_button.clicked.connect(self._ask_and_save)
        self.buttons = QHBoxLayout()
        self.buttons.addWidget(self.copy_button)
        self.buttons.addWidget(self.save_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.addWidget(self.view)
        layout.addLayout(self.buttons)
        self._show(False)

    def _show(self, there: bool) -> None:
        for widget in (self.view, self.copy_button, self.save_button):
            widget.setVisible(there)

    def set_columns(self, columns: Columns) -> None:
        """Show columns of equal length.

        Raises
        ------
        InputError
            When their lengths differ.
        """
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise InputError(f"The columns of a table must be of one length, not {lengths}.")
        self._model.set_columns(columns)
        self._show(bool(columns))
        self.view.fit()

    def set_swatches(self, colors: Sequence[str]) -> None:
        """Put a patch of colour before the first value of each row; "transparent": none."""
        self._model.set_swatches(colors)

    def keep_low(self, most: int) -> None:
        """Make the view no taller than its rows, of which `most` are in sight at once."""
        view = self.view
        rows = min(self._model.rowCount(), most)
        # The bar under the columns is there or not; its place is kept, else it hides a row.
        bar = view.horizontalScrollBar().sizeHint().height()
        head = view.horizontalHeader().sizeHint().height()
        each = view.verticalHeader().defaultSectionSize()
        view.setFixedHeight(head + rows * each + bar + 2 * view.frameWidth())

    def rows(self) -> list[list[Any]]:
        """Header and rows, with numbers as they are (not rounded)."""
        names, values = self._model.names, self._model.values
        return [list(names), *(list(row) for row in zip(*values, strict=True))]

    def to_text(self, delimiter: str = "\t") -> str:
        """The table as text, one row a line."""
        text = io.StringIO()
        csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(self.rows())
        return text.getvalue()

    def copy(self) -> None:
        """Put the table on the clipboard, separated by tabs."""
        QApplication.clipboard().setText(self.to_text())

    def save(self, path: str | Path) -> None:
        """Write the table as CSV.

        Raises
        ------
        WriteError
            When the file cannot be written.
        """
        try:
            with replacing(Path(path)) as part:
                part.write_text(self.to_text(","), encoding="utf-8")
        except OSError as error:
            raise WriteError(f"{path}: the table could not be saved: {error.strerror}.") from None

    def _ask_and_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save table", "", "CSV (*.csv)")
        if not path:
            return
        try:
            self.save(path if Path(path).suffix else f"{path}.csv")
        except WriteError as error:
            from napari.utils.notifications import show_error

            show_error(str(error))


class _View(QTableView):
    """Columns as wide as they need; no column is cut by the edge before somebody scrolls.

    Half a number reads as another number: 7.70·10¹³ without its last digits is 7.70·10¹.
    """

    def fit(self) -> None:
        """Set the widths: whole columns, which share what is left of the view."""
        header, room = self.horizontalHeader(), self.viewport().width()
        columns = header.count()
        if not columns:
            return
        self.resizeColumnsToContents()
        # Qt shortens a title of two lines as if it were one.
        short = columns <= _FEW
        header.setTextElideMode(
            Qt.TextElideMode.ElideRight if short else Qt.TextElideMode.ElideNone
        )
        needed = np.array([header.sectionSize(column) for column in range(columns)])
        if short and needed.sum() > room:
            # Long titles of few columns are shortened, so that all columns stay in sight.
            rest = max((room - needed[0]) // max(columns - 1, 1), header.minimumSectionSize())
            needed[1:] = np.minimum(needed[1:], rest)
        whole = int(np.searchsorted(np.cumsum(needed), room, side="right"))
        if whole:
            spare = room - int(needed[:whole].sum())
            needed[:whole] += spare // whole
            needed[whole - 1] += spare % whole
        for column, width in enumerate(needed):
            header.resizeSection(column, int(width))

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit again."""
        super().resizeEvent(event)
        self.fit()


class _Model(QAbstractTableModel):
    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.values: list[list[Any]] = []
        self._swatches: list[QColor | None] = []

    def set_columns(self, columns: Columns) -> None:
        self.beginResetModel()
        self.names = list(columns)
        self.values = [np.asarray(v, dtype=object).tolist() for v in columns.values()]
        self._swatches = []
        self.endResetModel()

    def set_swatches(self, colors: Sequence[str]) -> None:
        self.beginResetModel()
        self._swatches = [None if c == "transparent" else QColor(c) for c in colors]
        self.endResetModel()

    def rowCount(self, parent: QModelIndex | None = None) -> int:
        return len(self.values[0]) if self.values else 0

    def columnCount(self, parent: QModelIndex | None = None) -> int:
        return len(self.names)

    def headerData(self, section: int, orientation: Any, role: int = 0) -> Any:
        roles = (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole)
        if role in roles and orientation == Qt.Orientation.Horizontal:
            # The unit below the quantity: a dock is narrow.
            return self.names[section].replace(" [", "\n[")
        return None

    def data(self, index: QModelIndex, role: int = 0) -> Any:
        value = self.values[index.column()][index.row()]
        if role == Qt.ItemDataRole.DisplayRole:
            return shown(value)
        if role == Qt.ItemDataRole.DecorationRole and index.column() == 0:
            return self._swatches[index.row()] if index.row() < len(self._swatches) else None
        if role == Qt.ItemDataRole.TextAlignmentRole and not isinstance(value, str):
            return int(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        return None


def shown(value: Any) -> str:
    """A value as a table shows it: four significant digits, "–" for NaN, powers of ten."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, float | np.floating):
        text = "–" if np.isnan(value) else f"{value:.4g}"
        if "e" not in text:
            return text
        factor, power = f"{value:.2e}".split("e")
        return f"{factor}·10{superscript(int(power))}"
    return str(value)


def upright(table: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """A table with one column a phase in place of one row: a dock is narrow, its titles long."""
    titles = [title for title in table if title != "phase"]
    columns: dict[str, list[Any]] = {"": titles}
    for n, name in enumerate(table["phase"]):
        columns[name if name not in columns else f"{name} ({n})"] = [table[t][n] for t in titles]
    return columns
