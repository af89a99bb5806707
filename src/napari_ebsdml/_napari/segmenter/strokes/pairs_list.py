"""List of the maps that strokes are painted on."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QLabel,
    QToolButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.segmenter.state import SegmenterState
from napari_ebsdml._napari.segmenter.strokes.painted import PaintedPixels

_ROW = 20
_MOST_ROWS = 5


class PairsList(QWidget):
    """Shows which layers are trained on, with a button to take each out.

    Signals
    -------
    chosen : Pair
        The user clicked a pair.
    """

    chosen = Signal(object)

    def __init__(self, state: SegmenterState, painted: PaintedPixels) -> None:
        super().__init__()
        self.state, self._painted = state, painted
        self.tree = QTreeWidget()
        self.tree.setColumnCount(3)
        self.tree.setHeaderHidden(True)
        self.tree.setRootIsDecorated(False)
        self.tree.setUniformRowHeights(True)
        self.tree.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        header = self.tree.header()
        header.setStretchLastSection(False)
        header.setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        header.setSectionResizeMode(1, QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(2, QHeaderView.ResizeMode.Fixed)
        header.resizeSection(2, 28)
        title = QLabel("Trained on")
        title.setToolTip("To add a map, choose it on top of the dock and make a layer for it")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(title)
        layout.addWidget(self.tree)
        self.tree.itemClicked.connect(self._clicked)
        state.pairs_changed.connect(self._fill)
        state.viewer.layers.events.renamed.connect(self._count)
        painted.counted.connect(self._count)
        self._fill()

    def rows(self) -> list[tuple[str, str]]:
        """Name and number of pixels of each pair, as they are shown."""
        items = [self.tree.topLevelItem(n) for n in range(self.tree.topLevelItemCount())]
        return [(item.text(0), item.text(1)) for item in items if item is not None]

    def remove(self, row: int) -> None:
        """Take a pair out of the training; its layer stays in the viewer."""
        self.state.pairs = [pair for n, pair in enumerate(self.state.pairs) if n != row]

    def _fill(self) -> None:
        self.tree.clear()
        for pair in self.state.pairs:
            item = QTreeWidgetItem(["", "", ""])
            item.setTextAlignment(1, int(Qt.AlignmentFlag.AlignRight))
            self.tree.addTopLevelItem(item)
            button = QToolButton()
            button.setText("×")
            button.setAutoRaise(True)
            button.setToolTip("Do not train on this layer; it stays in the viewer")
            button.clicked.connect(lambda checked=False, pair=pair: self._take_out(pair))
            self.tree.setItemWidget(item, 2, button)
        rows = min(max(len(self.state.pairs), 1), _MOST_ROWS)
        self.tree.setFixedHeight(rows * _ROW + 6)
        self._count()

    def _count(self, event: object = None) -> None:
        for row, pair in enumerate(self.state.pairs):
            item = self.tree.topLevelItem(row)
            if item is not None:
                item.setText(0, pair.layer.name)
                item.setToolTip(0, f"{pair.layer.name}, on {pair.scan.name}")
                item.setText(1, f"{self._painted.of(pair):,} px".replace(",", "\u202f"))

    def _take_out(self, pair: object) -> None:
        self.state.pairs = [one for one in self.state.pairs if one != pair]

    def _clicked(self, item: QTreeWidgetItem, column: int) -> None:
        row = self.tree.indexOfTopLevelItem(item)
        if 0 <= row < len(self.state.pairs):
            self.chosen.emit(self.state.pairs[row])
