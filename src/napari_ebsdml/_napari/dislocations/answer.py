"""The answer on a total density: one card, then tables, plot and comparison with another map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtWidgets import (
    QFrame,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.controls.combo import narrow_combo
from napari_ebsdml._napari.controls.histogram import DensityHistogram
from napari_ebsdml._napari.controls.tab_page import tab_page
from napari_ebsdml._napari.controls.table import DataTable, upright
from napari_ebsdml._napari.dislocations import total
from napari_ebsdml._napari.dislocations.total import TotalResult
from napari_ebsdml.scan import Scan

_NOTHING = (
    "How the lattice's rotation scatters from pixel to pixel tells how many dislocations there "
    "are, where orientations are known well enough. The answer comes with its limit."
)
_HIGH, _FRAME = 150, 12


class _Card(QScrollArea):
    """As high as its text, so that all of it is in sight where the window is high enough."""

    def sizeHint(self) -> QSize:
        width = self.viewport().width()
        inside = self.widget().layout() if self.widget() is not None else None
        high = inside.totalHeightForWidth(width) if inside is not None else 0
        return QSize(super().sizeHint().width(), max(_HIGH, high + _FRAME))

    def resizeEvent(self, event: Any) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.updateGeometry()


class Answer(QWidget):
    """Card and pages of a `TotalResult`.

    Signals
    -------
    improve_clicked
        The user wants better orientations from the patterns.
    add_clicked
        The user wants them as a map.
    compared
        Another map is chosen to compare with.

    Attributes
    ----------
    headline, next : QLabel
        What the map says, and what to do next.
    improve : QPushButton
        Shown for maps whose patterns can improve their orientations.
    add_improved : QPushButton
        Shown once they have.
    tabs : QTabWidget
        Phases, grains, plot, increase.
    tables : dict of str to DataTable
        "phase" and "grain".
    histogram : DensityHistogram
    before : QComboBox
        Scan to compare with.
    rise : DataTable
    """

    improve_clicked = Signal()
    add_clicked = Signal()
    compared = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.headline, self.next = QLabel(_NOTHING), QLabel()
        for label in (self.headline, self.next):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            label.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.improve = QPushButton("Improve orientations")
        self.improve.setToolTip(
            "Measure how the patterns of each grain are turned against each other, and compute "
            "again: five to thirty times less noise, and it is known"
        )
        self.improve.clicked.connect(lambda: self.improve_clicked.emit())
        self.add_improved = QPushButton("Add the improved map")
        self.add_improved.setToolTip(
            "As a map of its own beside this one, for the other docks and to be saved"
        )
        self.add_improved.clicked.connect(lambda: self.add_clicked.emit())
        self.tables = {"phase": DataTable(), "grain": DataTable()}
        self.histogram = DensityHistogram()
        self.before = narrow_combo()
        self.before.currentIndexChanged.connect(lambda index: self.compared.emit())
        self.rise, self.rise_note = DataTable(), QLabel()
        self.rise_note.setWordWrap(True)
        self.tabs = QTabWidget()
        self.tabs.addTab(tab_page(self.tables["phase"]), "Phases")
        self.tabs.addTab(tab_page(self.tables["grain"]), "Grains")
        self._plot = tab_page(self.histogram)
        self.tabs.addTab(self._plot, "Plot")
        self.tabs.addTab(self._increase(), "Increase")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        self._scroll = self._card()
        layout.addWidget(self._scroll)
        layout.addWidget(self.improve)
        layout.addWidget(self.add_improved)
        layout.addWidget(self.tabs, 1)
        self.show_result(None, {}, 0.0)

    def show_result(
        self, result: TotalResult | None, materials: Mapping[int, Any], friction: float
    ) -> None:
        """Fill the card and the pages; None empties them."""
        self.tabs.setVisible(result is not None)
        self.next.setVisible(result is not None)
        if result is None:
            self.headline.setText(_NOTHING)
            self.histogram.clear()
            self.rise.set_columns({})
            return
        self.headline.setText(total.card(result, materials))
        self.headline.setToolTip(result.total.average().sentence)
        self.next.setText(total.next_step(result))
        self._scroll.updateGeometry()
        for by, table in self.tables.items():
            found = result.total.averages(by, materials, friction)
            table.set_columns(upright(found) if by == "phase" else found)
        parts, each = total.window_densities(result.total)
        self.tabs.setTabVisible(self.tabs.indexOf(self._plot), bool(parts))
        if parts:
            marks = {"limit of the map": result.total.limit}
            self.histogram.show_values("total dislocation density [1/m²]", parts, marks, each)
        else:
            self.histogram.clear()

    def offer(self, scans: Sequence[Scan]) -> None:
        """Offer scans to compare with; the choice stays where it can."""
        if list(scans) == [self.before.itemData(n) for n in range(len(self.before))]:
            return
        chosen = self.before.currentData()
        self.before.blockSignals(True)
        self.before.clear()
        for scan in scans:
            self.before.addItem(scan.name, scan)
        if chosen is not None and self.before.findData(chosen) >= 0:
            self.before.setCurrentIndex(self.before.findData(chosen))
        self.before.blockSignals(False)
        self.compared.emit()

    def show_rise(
        self, before: TotalResult | None, after: TotalResult | None, materials: Mapping[int, Any]
    ) -> None:
        """Compare two maps."""
        self.rise.set_columns({})
        if before is None or after is None:
            self.rise_note.setText(
                "Compute the density of a second map, such as one before the deformation, and "
                "choose it here."
            )
            return
        table, text = total.increments(before, after, materials)
        self.rise_note.setText(text)
        if table:
            self.rise.set_columns(upright(table))

    def _card(self) -> QWidget:
        frame = QFrame()
        frame.setFrameShape(QFrame.Shape.StyledPanel)
        inside = QVBoxLayout(frame)
        inside.setContentsMargins(6, 4, 6, 4)
        inside.addWidget(self.headline)
        inside.addWidget(self.next)
        inside.addStretch(1)
        scroll = _Card()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QFrame.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(frame)
        scroll.setMinimumHeight(_HIGH)
        scroll.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        return scroll

    def _increase(self) -> QWidget:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(QLabel("Map before:"))
        layout.addWidget(self.before)
        layout.addWidget(self.rise_note)
        layout.addWidget(self.rise, 1)
        return tab_page(content)
