"""Further columns of a map's file, which are layers only when asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.combo import narrow_combo
from napari_ebsdml._napari.files.map_layers import add_column, columns
from napari_ebsdml._napari.layers.of_scans import layers_of, scans_of, show_alone
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel


class ColumnsPage(QWidget):
    """Chooses a column of the file and shows it as a layer."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self._viewer = viewer
        self._scan: Scan | None = None
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.choice = narrow_combo()
        self.button = QPushButton("Add layer")
        self.button.clicked.connect(self.add)
        row = QHBoxLayout()
        row.addWidget(self.choice, 1)
        row.addWidget(self.button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addLayout(row)
        layout.addStretch(1)

    def show_scan(self, scan: Scan | None) -> None:
        """Offer the columns of a scan, or of the stack of sections that it is one of."""
        self._scan = scan
        names = columns(self._sections()) if scan is not None else []
        self.choice.clear()
        self.choice.addItems(names)
        self.choice.setEnabled(bool(names))
        self.button.setEnabled(bool(names))
        self.text.setText(
            "Columns of the file that are not shown yet."
            if names
            else "The file has no further columns."
        )

    def add(self) -> None:
        """Show the chosen column."""
        name = self.choice.currentText()
        if self._scan is None or not name:
            return
        layer = add_column(self._viewer, self._sections(), name)
        show_alone(self._viewer, self._scan, layer)
        self._viewer.layers.selection.active = layer

    def _sections(self) -> tuple[Scan, ...]:
        assert self._scan is not None
        shown = layers_of(self._viewer, self._scan)
        return scans_of(shown[0]) if shown else (self._scan,)
