"""The tab "Compare": answers of two models for the same map beside each other."""

from __future__ import annotations

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.combo import narrow_combo
from napari_ebsdml._napari.controls.table import DataTable
from napari_ebsdml._napari.crystals.space_groups.classify import Classified
from napari_ebsdml._napari.crystals.space_groups.display import both_columns, cross_columns
from napari_ebsdml.patterns.answers.compare import (
    DIFFERENT,
    MAY_BE,
    ONE_UNKNOWN,
    SAME,
    agreement,
    cross_table,
)

_FEW = (
    "Choose a second model under “Compare with”, and classify: both answers then lie on the map as "
    "layers, with a map of where they agree."
)


class ComparePanel(QWidget):
    """Tallies of both models, their cross table, and how far they agree.

    Signals
    -------
    map_wanted : Classified, Classified
        The user wants a map of where the two agree.
    """

    map_wanted = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self._results: list[Classified] = []
        self.message = QLabel(_FEW)
        self.message.setWordWrap(True)
        self.boxes = (narrow_combo(), narrow_combo())
        self.what = narrow_combo()
        self.what.addItem("Cross table", "cross")
        self.what.addItem("Tally of both", "both")
        self.map_button = QPushButton("Map of agreement")
        self.map_button.clicked.connect(self._want_map)
        self.table = DataTable()
        pair, below = QHBoxLayout(), QHBoxLayout()
        for box in (*self.boxes, self.what):
            (below if box is self.what else pair).addWidget(box, 1)
            box.currentIndexChanged.connect(self._fill)
        below.addWidget(self.map_button, 1)
        self.between = QLabel("and")
        pair.insertWidget(1, self.between)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(pair)
        layout.addWidget(self.message)
        layout.addLayout(below)
        layout.addWidget(self.table, 1)
        layout.addStretch(0)
        self.show_results([])

    @property
    def pair(self) -> tuple[Classified, Classified] | None:
        """The two that are compared."""
        chosen = [box.currentIndex() for box in self.boxes]
        if len(self._results) < 2 or min(chosen) < 0:
            return None
        return self._results[chosen[0]], self._results[chosen[1]]

    def show_results(self, results: list[Classified]) -> None:
        """Offer answers of one map; the last two are compared first."""
        self._results = list(results)
        for number, box in enumerate(self.boxes):
            box.blockSignals(True)
            box.clear()
            for one in results:
                box.addItem(one.name)
            box.setCurrentIndex(max(0, len(results) - 2) + number if len(results) > 1 else -1)
            box.blockSignals(False)
        self._fill()

    def _fill(self, index: int = 0) -> None:
        pair = self.pair
        for widget in (*self.boxes, self.between, self.what, self.map_button, self.table):
            widget.setVisible(pair is not None)
        if pair is None:
            self.message.setText(_FEW)
            return
        one, two = pair
        codes = agreement(one.answers, two.answers)
        total = max(1, int((codes > 0).sum()))
        share = {
            code: 100 * int((codes == code).sum()) / total
            for code in (SAME, MAY_BE, DIFFERENT, ONE_UNKNOWN)
        }
        self.message.setText(
            f"<b>{share[SAME]:.1f} % same</b>, {share[MAY_BE]:.1f} % overlap (one answer is “A or "
            f"B”), {share[DIFFERENT]:.1f} % differ, {share[ONE_UNKNOWN]:.1f} % unknown to one, of "
            f"{int((codes > 0).sum())} pixels."
        )
        if self.what.currentData() == "both":
            self.table.set_columns(both_columns([(one.name, one.answers), (two.name, two.answers)]))
        else:
            pairs = cross_table(one.answers, two.answers)
            self.table.set_columns(cross_columns(pairs, "first", "second"))
        self.map_button.setEnabled(bool(np.any(codes)))

    def _want_map(self) -> None:
        if self.pair is not None:
            self.map_wanted.emit(*self.pair)
