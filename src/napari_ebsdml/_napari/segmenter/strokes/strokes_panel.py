"""Page "Paint" of the segmenter: classes, tools to paint them, and the maps that are painted."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.controls.combo import narrow_combo
from napari_ebsdml._napari.segmenter.state import Pair, SegmenterState
from napari_ebsdml._napari.segmenter.strokes.annotation_layers import (
    new_annotation_layer,
    other_labels,
    own_strokes,
    paint,
)
from napari_ebsdml._napari.segmenter.strokes.annotations_store import AnnotationsStore, Saved
from napari_ebsdml._napari.segmenter.strokes.autosave import Autosave
from napari_ebsdml._napari.segmenter.strokes.class_table import ClassTable, advice
from napari_ebsdml._napari.segmenter.strokes.painted import PaintedPixels
from napari_ebsdml._napari.segmenter.strokes.pairs_list import PairsList
from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.scan import Scan

_TOOLS = (
    ("paint", "Paint", "Paint the selected class; the keys 1 to 9 choose it"),
    ("fill", "Fill", "Fill an area that strokes enclose, or give a stroke another class"),
    ("erase", "Erase", "Erase strokes (E; again to paint)"),
    ("pan_zoom", "Move", "Move and zoom the map; holding the space bar does so while painting"),
)


class StrokesPanel(QWidget):
    """Classes, paint tools, annotated maps, and the offer to restore saved strokes.

    Signals
    -------
    restored : Scan
        Saved strokes of a scan were brought back.

    Attributes
    ----------
    painted : PaintedPixels
    autosave : Autosave
    table : ClassTable
    pairs : PairsList
    """

    restored = Signal(object)

    def __init__(self, state: SegmenterState, store: AnnotationsStore | None = None) -> None:
        super().__init__()
        self.state = state
        self.painted = PaintedPixels(state)
        self.autosave = Autosave(state, self.painted, store)
        self.autosave.failed.connect(_complain)
        self.table = ClassTable(state, self.painted)
        self.pairs = PairsList(state, self.painted)
        self.new_button = QPushButton("New layer of strokes")
        self.new_button.setToolTip("Add an empty layer for strokes to the map chosen on top")
        self.layers_row = QWidget()
        self.use_box = narrow_combo()
        self.use_box.setToolTip("Train on a Labels layer that is there already")
        self.tools = {name: _tool(text, tip) for name, text, tip in _TOOLS}
        self.undo_button = _tool(
            "Undo", "Take the last stroke back (U, or Ctrl+Z on the canvas)", False
        )
        self.advice = QLabel()
        self.advice.setWordWrap(True)
        self._saved: Saved | None = None
        self._dismissed: set[Saved] = set()
        self.offer = QFrame()
        self.offer.setVisible(False)
        self.offer_text = QLabel()
        self.offer_text.setWordWrap(True)
        self.restore_button = QPushButton("Restore")
        self.dismiss_button = QPushButton("Not now")
        self._followed: Any = None
        # A layer that the user took out of the list is not taken in again.
        self._seen: set[Pair] = set()
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(0)
        self._soon.timeout.connect(self._offer)
        self._build()

        self.table.chosen.connect(self.paint)
        self.pairs.chosen.connect(self._pair_chosen)
        self.new_button.clicked.connect(self.new_layer)
        self.use_box.activated.connect(self._use)
        for name, button in self.tools.items():
            button.clicked.connect(lambda checked=False, name=name: self._tool_clicked(name))
        self.undo_button.clicked.connect(self.undo)
        self.restore_button.clicked.connect(self.restore)
        self.dismiss_button.clicked.connect(self._dismiss)
        self.painted.counted.connect(self._refresh)
        state.classes_changed.connect(self._refresh)
        state.pairs_changed.connect(self._refresh)
        state.widget.chooser.scan_changed.connect(self._scan_changed)
        events = state.viewer.layers.events
        events.inserted.connect(self._layers_changed)
        events.removed.connect(self._layers_changed)
        events.renamed.connect(self._layers_changed)
        state.viewer.layers.selection.events.active.connect(self._follow)
        self._layers_changed()
        self._scan_changed()

    @property
    def layer(self) -> Any:
        """Annotation layer of the chosen map: the selected one, else the newest; or None."""
        pairs = self.state.pairs_of(self.state.scan)
        active = self.state.viewer.layers.selection.active
        for pair in pairs:
            if pair.layer is active:
                return pair.layer
        return pairs[-1].layer if pairs else None

    def new_layer(self) -> None:
        """Add an annotation layer to the chosen map."""
        if self.state.scan is not None:
            value = self.table.selected
            pair = new_annotation_layer(self.state, self.state.scan)
            if value:
                paint(self.state.viewer, pair.layer, value)

    def paint(self, value: int = 0, mode: str = "paint") -> None:
        """Make the map ready to paint a class; adds an annotation layer where there is none."""
        if self.layer is None:
            self.new_layer()
        if self.layer is not None:
            paint(self.state.viewer, self.layer, value or self.table.selected or 1, mode)
            self._show_mode()

    def paint_nth(self, place: int) -> None:
        """Paint the class at a position of the table, from 0; nothing where there is none."""
        if place < len(self.state.classes):
            self.paint(self.state.classes[place].value)

    def erase(self) -> None:
        """Erase strokes; once more: paint again."""
        erasing = self.layer is not None and str(self.layer.mode) == "erase"
        self.paint(mode="paint" if erasing else "erase")

    def undo(self) -> None:
        """Take the last stroke back."""
        if self.layer is not None:
            self.layer.undo()

    def restore(self) -> None:
        """Bring the strokes back that are offered."""
        scan, saved = self.state.scan, self._saved
        if scan is None or saved is None:
            return
        try:
            self.autosave.restore(scan, saved)
        except FileFormatError as error:
            _complain(str(error))
            self._dismissed.add(saved)
        else:
            self.restored.emit(scan)
        self._offer()

    def stop(self) -> None:
        """Save what is due, and let go of all layers."""
        self._soon.stop()
        self.painted.count()
        self.autosave.close()
        self.painted.stop()
        events = self.state.viewer.layers.events
        for event in (events.inserted, events.removed, events.renamed):
            event.disconnect(self._layers_changed)
        self.state.viewer.layers.selection.events.active.disconnect(self._follow)
        self._unfollow()

    def _build(self) -> None:
        offer = QVBoxLayout(self.offer)
        self.offer.setFrameShape(QFrame.Shape.StyledPanel)
        offer.setContentsMargins(6, 4, 6, 4)
        offer.addWidget(self.offer_text)
        row = QHBoxLayout()
        row.addWidget(self.restore_button)
        row.addWidget(self.dismiss_button)
        offer.addLayout(row)
        layers = QHBoxLayout(self.layers_row)
        layers.setContentsMargins(0, 0, 0, 0)
        layers.addWidget(self.new_button, 1)
        layers.addWidget(self.use_box, 1)
        tools = QHBoxLayout()
        tools.setSpacing(2)
        for button in (*self.tools.values(), self.undo_button):
            tools.addWidget(button, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.offer)
        layout.addWidget(self.table)
        layout.addLayout(tools)
        layout.addWidget(self.advice)

    def _refresh(self) -> None:
        text, _ = advice(self.state, self.painted)
        self.advice.setText(text)
        self.advice.setVisible(bool(text) and self.state.scan is not None)
        self.pairs.setVisible(bool(self.state.pairs))
        if self.offer.isVisibleTo(self) and any(
            self.painted.of(pair) for pair in self.state.pairs_of(self.state.scan)
        ):
            self.offer.setVisible(False)

    def _layers_changed(self, event: Any = None) -> None:
        layers = self.state.viewer.layers
        there = [pair for pair in self.state.pairs if pair.layer in layers]
        own = own_strokes(self.state.viewer)
        new = [pair for pair in own if pair not in there and pair not in self._seen]
        self._seen = {*own, *there}
        self.state.pairs = (*there, *new)
        scan = self.state.scan
        others = other_labels(self.state, scan) if scan is not None else []
        self.use_box.clear()
        self.use_box.addItem("Use a layer …", None)
        for layer in others:
            self.use_box.addItem(layer.name, layer)
        self.use_box.setEnabled(bool(others))
        self.new_button.setEnabled(scan is not None)
        # After the viewer has told everybody of the layer that came or went.
        self._soon.start()

    def _scan_changed(self, scan: Scan | None = None) -> None:
        self._layers_changed()
        self._refresh()
        self._follow()

    def _use(self, index: int) -> None:
        layer, scan = self.use_box.itemData(index), self.state.scan
        if layer is not None and scan is not None:
            self.state.pairs = (*self.state.pairs, Pair(scan, layer))
            self._layers_changed()
        self.use_box.setCurrentIndex(0)

    def _pair_chosen(self, pair: Pair) -> None:
        self.state.widget.chooser.scan = pair.scan
        self.state.viewer.layers.selection.active = pair.layer

    def _offer(self) -> None:
        scan = self.state.scan
        saved = self.autosave.offer(scan) if scan is not None else None
        self._saved = None if saved in self._dismissed else saved
        self.offer.setVisible(self._saved is not None)
        if self._saved is not None:
            when = f"{self._saved.time.astimezone():%d %B %Y, %H:%M}"
            pixels = f"{self._saved.pixels:,}".replace(",", "\u202f")
            self.offer_text.setText(f"Strokes of {when} were saved for this map ({pixels} pixels).")

    def _dismiss(self) -> None:
        if self._saved is not None:
            self._dismissed.add(self._saved)
        self._offer()

    def _tool_clicked(self, name: str) -> None:
        if name == "pan_zoom" and self.layer is None:
            self._show_mode()
        else:
            self.paint(mode=name)

    def _follow(self, event: Any = None) -> None:
        """Show mode and class of the layer that strokes go to, whoever changes them."""
        if self.layer is not self._followed:
            self._unfollow()
            self._followed = self.layer
            if self._followed is not None:
                self._followed.events.mode.connect(self._show_mode)
                self._followed.events.selected_label.connect(self._show_mode)
        self._show_mode()

    def _unfollow(self) -> None:
        if self._followed is not None:
            self._followed.events.mode.disconnect(self._show_mode)
            self._followed.events.selected_label.disconnect(self._show_mode)
        self._followed = None

    def _show_mode(self, event: Any = None) -> None:
        layer = self._followed
        active = layer is not None and layer is self.state.viewer.layers.selection.active
        for name, button in self.tools.items():
            button.setChecked(active and str(layer.mode) == name)
        self.undo_button.setEnabled(layer is not None)
        if layer is not None:
            self.table.select(int(layer.selected_label))


def _tool(text: str, tip: str, checkable: bool = True) -> QPushButton:
    button = QPushButton(text)
    button.setToolTip(tip)
    button.setCheckable(checkable)
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    # Narrow enough for five in a row, and plain to see which one is on.
    button.setMinimumWidth(20)
    button.setStyleSheet(
        "QPushButton { padding: 3px 2px; }"
        "QPushButton:checked { background: palette(highlight); color: palette(highlighted-text); }"
    )
    return button


def _complain(text: str) -> None:
    from napari.utils.notifications import show_warning

    show_warning(text)
