"""Chooser of a layer with the true classes, and of what its values mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.combo import narrow_combo
from napari_ebsdml._napari.layers.of_scans import info_of, scans_of
from napari_ebsdml._napari.segmenter.state import MOST_CLASSES, Pair
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_ebsdml._napari.segmenter.state import SegmenterState

_LEAVE_OUT = "leave out"


class TruthChooser(QWidget):
    """Chooses a Labels layer of the scan as the truth; asks what its values mean if need be.

    Signals
    -------
    changed
        Another layer, or another meaning of its values.
    """

    changed = Signal()

    def __init__(self, state: SegmenterState, optional: bool = False) -> None:
        super().__init__()
        self.state = state
        self._optional = optional
        self.box = narrow_combo()
        self.box.setToolTip(
            "A Labels layer of this scan that says what each pixel really is: drawn by hand, "
            "loaded, or the vendor's phase map. Strokes that trained the model are not offered."
        )
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.note.hide()
        self.table = QWidget()
        self._grid = QGridLayout(self.table)
        self._grid.setContentsMargins(12, 0, 0, 0)
        self._grid.setVerticalSpacing(2)
        self._grid.setColumnStretch(1, 1)
        self.meanings: dict[int, QComboBox] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.box)
        layout.addWidget(self.table)
        layout.addWidget(self.note)
        self.box.currentIndexChanged.connect(self._chosen)
        events = state.viewer.layers.events
        for event in (events.inserted, events.removed, events.renamed):
            event.connect(self.refresh)
        state.pairs_changed.connect(self.refresh)
        state.classes_changed.connect(self._chosen)
        state.model_changed.connect(self._chosen)
        state.widget.chooser.scan_changed.connect(self.refresh)
        self.refresh()

    @property
    def layer(self) -> Labels | None:
        """The chosen layer."""
        return self.box.currentData()

    @property
    def classes(self) -> dict[int, str]:
        """Value -> name of the classes that truth and prediction are compared by."""
        model = self.state.segmenter
        if model is None:
            return self.state.names
        own = dict(zip(model.classes.values, model.classes.names, strict=True))
        return {value: self.state.names.get(value, name) for value, name in own.items()}

    def truth(self) -> NDArray[np.int32] | None:
        """True class of each pixel of the scan, 0 where unknown or left out."""
        scan, layer = self.state.scan, self.layer
        if scan is None or layer is None or self.note.text():
            return None
        data = Pair(scan, layer).labels()
        out = np.zeros(data.shape, dtype=np.int32)
        for value, box in self.meanings.items():
            if box.currentData():
                out[data == value] = box.currentData()
        return out

    def refresh(self, event: Any = None) -> None:
        """Offer the layers that fit the scan; the choice stays where it is still there."""
        scan, chosen = self.state.scan, self.layer
        offers = [] if scan is None else truth_layers(self.state, scan)
        there = [self.box.itemData(n) for n in range(self.box.count())]
        wanted = [None, *offers] if self._optional or not offers else list(offers)
        names = [layer.name if layer is not None else self._nothing(bool(offers))
                 for layer in wanted]  # fmt: skip
        texts = [self.box.itemText(n) for n in range(self.box.count())]
        if (
            texts == names
            and len(there) == len(wanted)
            and all(a is b for a, b in zip(there, wanted, strict=True))
        ):
            return
        self.box.blockSignals(True)
        self.box.clear()
        for layer, name in zip(wanted, names, strict=True):
            self.box.addItem(name, layer)
        for n, layer in enumerate(wanted):
            if layer is not None and layer is chosen:
                self.box.setCurrentIndex(n)
        self.box.blockSignals(False)
        self._chosen()

    def _nothing(self, offers: bool) -> str:
        return "no truth" if offers or self._optional else "no other Labels layer on this scan"

    def _chosen(self, *_: Any) -> None:
        for box in self.meanings.values():
            box.blockSignals(True)
        while self._grid.count():
            item = self._grid.takeAt(0)
            if item is not None and item.widget() is not None:
                item.widget().hide()
                item.widget().deleteLater()
        self.meanings = {}
        text = ""
        if self.layer is not None:
            text = self._ask_meanings(self.layer)
        self.note.setText(text)
        self.note.setVisible(bool(text))
        # Rows that only say "ferrite is ferrite" would be clutter.
        trivial = all(box.currentText() == _name(label) for label, box in self._rows())
        self.table.setVisible(bool(self.meanings) and not trivial)
        self.changed.emit()

    def _rows(self) -> list[tuple[QLabel, QComboBox]]:
        return [
            (self._grid.itemAtPosition(n, 0).widget(), box)
            for n, box in enumerate(self.meanings.values())
        ]

    def _ask_meanings(self, layer: Labels) -> str:
        scan = self.state.scan
        assert scan is not None
        values = [int(v) for v in np.unique(Pair(scan, layer).labels()) if v]
        if not values:
            return f"{layer.name} is empty."
        if len(values) > MOST_CLASSES:
            return f"{layer.name} holds {len(values)} values: it is no map of classes."
        names = label_names(layer)
        for row, value in enumerate(values):
            label = QLabel(names.get(value, f"label {value}"))
            box = QComboBox()
            box.addItem(_LEAVE_OUT, 0)
            for number, name in self.classes.items():
                box.addItem(name, number)
            meaning = meaning_of(value, names.get(value, ""), self.classes)
            box.setCurrentIndex(max(box.findData(meaning), 0))
            box.currentIndexChanged.connect(self.changed)
            self._grid.addWidget(label, row, 0)
            self._grid.addWidget(box, row, 1)
            self.meanings[value] = box
        return ""


def truth_layers(state: SegmenterState, scan: Scan) -> list[Labels]:
    """Labels layers that may hold the truth of a scan: of its shape, not strokes, no prediction."""
    from napari.layers import Labels

    out = []
    strokes = [pair.layer for pair in state.pairs]
    for layer in state.viewer.layers:
        if not isinstance(layer, Labels) or any(layer is one for one in strokes):
            continue
        info = info_of(layer)
        if info is not None and (scan not in scans_of(layer) or info["model"] is not None):
            continue
        shape = tuple(layer.data.shape)
        if shape[-2:] == scan.shape and (
            len(shape) == 2 or (len(shape) == 3 and (shape[0] == 1 or info is not None))
        ):
            out.append(layer)
    return out


def label_names(layer: Labels) -> dict[int, str]:
    """Names of a layer's values, as the plugin or its features table give them."""
    info = info_of(layer)
    if info is not None and info["classes"]:
        return dict(info["classes"])
    table = layer.features
    columns = [c for c in table.columns if c != "index"]
    if "index" in table.columns and columns:
        pairs = zip(table["index"], table[columns[0]], strict=True)
        return {int(value): str(name) for value, name in pairs}
    return {}


def meaning_of(value: int, name: str, classes: Mapping[int, str]) -> int:
    """Class that a value of the truth stands for: of the same name, else of the same value."""
    for number, own in classes.items():
        if name and own.casefold() == name.casefold():
            return number
    return value if value in classes else 0


def _name(label: QLabel) -> str:
    return str(label.text())
