"""Counts of painted pixels that follow every way to change a layer."""

from __future__ import annotations

from typing import Any

import numpy as np
from qtpy.QtCore import QObject, QTimer, Signal

from napari_ebsdml._napari.segmenter.state import MOST_CLASSES, Pair, SegmenterState
from napari_ebsdml._napari.segmenter.strokes.annotation_layers import (
    class_of_label,
    count_labels,
    dress,
)

_DELAY_MS = 100
# Painting, filling and erasing emit the first two; undo and redo only the third; other programs
# that put a new array in, the last.
_EVENTS = ("paint", "labels_update", "set_data", "data")


class PaintedPixels(QObject):
    """Watches the layers of all pairs.

    Labels that belong to no class become classes, so that strokes of a removed class that undo
    brings back, or a layer from elsewhere, can be trained on.

    Signals
    -------
    counted
        Numbers of painted pixels changed.
    repainted : Pair
        Something was painted or erased on a pair, whether the numbers changed or not.

    Attributes
    ----------
    counts : dict
        Pair -> label -> number of pixels.
    crowded : list of Pair
        Pairs whose layers hold more labels than there can be classes.
    """

    counted = Signal()
    repainted = Signal(object)

    def __init__(self, state: SegmenterState) -> None:
        super().__init__(state)
        self.state = state
        self.counts: dict[Pair, dict[int, int]] = {}
        self.crowded: list[Pair] = []
        self._watched: dict[Pair, Any] = {}
        self._changed: set[Pair] = set()
        self.timer = QTimer(self)
        self.timer.setSingleShot(True)
        self.timer.setInterval(_DELAY_MS)
        self.timer.timeout.connect(self.count)
        state.pairs_changed.connect(self._pairs_changed)
        state.classes_changed.connect(self._dress)
        self._pairs_changed()

    def total(self) -> dict[int, int]:
        """Painted pixels of each class over all pairs."""
        total = {c.value: 0 for c in self.state.classes}
        for counts in self.counts.values():
            for value, number in counts.items():
                if value in total:
                    total[value] += number
        return total

    def of(self, pair: Pair) -> int:
        """Painted pixels of a pair that belong to a class."""
        known = {c.value for c in self.state.classes}
        return sum(n for value, n in self.counts.get(pair, {}).items() if value in known)

    def count(self) -> None:
        """Count what was changed since the last time."""
        self.timer.stop()
        changed, self._changed = self._changed, set()
        before = (dict(self.counts), list(self.crowded))
        for pair in changed:
            if pair in self._watched:
                self.counts[pair] = count_labels(np.asarray(pair.layer.data))
        self.crowded = [p for p, c in self.counts.items() if len(c) > MOST_CLASSES]
        self._add_classes()
        if (self.counts, self.crowded) != before:
            self.counted.emit()
            self.state.painted.emit()
        for pair in changed:
            if pair in self._watched:
                self.repainted.emit(pair)

    def stop(self) -> None:
        """Let go of all layers."""
        self.timer.stop()
        for pair in list(self._watched):
            self._unwatch(pair)

    def _pairs_changed(self) -> None:
        for pair in list(self._watched):
            if pair not in self.state.pairs:
                self._unwatch(pair)
                self.counts.pop(pair, None)
        for pair in self.state.pairs:
            if pair not in self._watched:
                self._watch(pair)
                self._changed.add(pair)
        self._dress()
        self.count()
        # A pair that went changes the totals as well.
        self.counted.emit()
        self.state.painted.emit()

    def _watch(self, pair: Pair) -> None:
        def mark(event: Any = None) -> None:
            self._changed.add(pair)
            if not self.timer.isActive():
                self.timer.start()

        for name in _EVENTS:
            getattr(pair.layer.events, name).connect(mark)
        self._watched[pair] = mark

    def _unwatch(self, pair: Pair) -> None:
        mark = self._watched.pop(pair)
        for name in _EVENTS:
            getattr(pair.layer.events, name).disconnect(mark)

    def _add_classes(self) -> None:
        known = {c.value for c in self.state.classes}
        new = {}
        for pair, counts in self.counts.items():
            if pair not in self.crowded:
                new.update({v: class_of_label(pair.layer, v) for v in counts if v not in known})
        if new and len(known) + len(new) <= MOST_CLASSES:
            self.state.classes = (*self.state.classes, *new.values())

    def _dress(self) -> None:
        for pair in self.state.pairs:
            dress(pair.layer, self.state)
