"""Saves strokes soon after they are painted, off the GUI thread."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from qtpy.QtCore import QObject, QTimer, Signal

from napari_ebsdml._napari.segmenter.state import Pair, SegmentClass, SegmenterState
from napari_ebsdml._napari.segmenter.strokes.annotation_layers import new_annotation_layer
from napari_ebsdml._napari.segmenter.strokes.annotations_store import (
    Annotations,
    AnnotationsStore,
    Saved,
    scan_key,
)
from napari_ebsdml._napari.segmenter.strokes.painted import PaintedPixels
from napari_ebsdml.errors import ModelError, WriteError
from napari_ebsdml.scan import Scan

DELAY_MS = 1500


class Autosave(QObject):
    """Saves the strokes of each scan at most `DELAY_MS` after they were painted.

    Signals
    -------
    failed : str
        Strokes could not be saved; told once until saving works again.
    """

    failed = Signal(str)
    _written = Signal(str)

    def __init__(
        self, state: SegmenterState, painted: PaintedPixels, store: AnnotationsStore | None = None
    ) -> None:
        super().__init__(state)
        self.state = state
        self.store = store if store is not None else AnnotationsStore()
        self._painted = painted
        self._keys: WeakKeyDictionary[Scan, str] = WeakKeyDictionary()
        self._parts: WeakKeyDictionary[Scan, int] = WeakKeyDictionary()
        self._pairs: set[Pair] = set(state.pairs)
        self._due: set[Scan] = set()
        self._failing = self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="strokes")
        self._last: Future[None] | None = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(DELAY_MS)
        self._timer.timeout.connect(self.save)
        self._written.connect(self._tell)
        painted.repainted.connect(self._mark)
        state.classes_changed.connect(self._mark_all)
        state.pairs_changed.connect(self._pairs_changed)

    def key(self, scan: Scan) -> str:
        """Name of a scan in the store."""
        if scan not in self._keys:
            self._keys[scan] = scan_key(scan)
        return self._keys[scan]

    def offer(self, scan: Scan) -> Saved | None:
        """Saved strokes of a scan on which nothing is painted; None when there are none."""
        if any(self._painted.of(pair) for pair in self.state.pairs_of(scan)):
            return None
        # What is still to be written is part of what can be offered.
        self.flush()
        return next((saved for saved in self.store.saved(self.key(scan)) if saved.pixels), None)

    def restore(self, scan: Scan, saved: Saved) -> None:
        """Bring saved strokes back as annotation layers, with their classes.

        Raises
        ------
        FileFormatError
            When the file is gone or damaged.
        """
        strokes = self.store.load(saved.path)
        painted = {v for v, n in self._painted.total().items() if n}
        old = {v: SegmentClass(v, name, color) for v, name, color in strokes.classes}
        kept = {c.value: c for c in self.state.classes if c.value in painted}
        self.state.classes = tuple((old | kept).values())
        empty = [p for p in self.state.pairs_of(scan) if not self._painted.of(p)]
        for _, labels in strokes.layers:
            if labels.shape == scan.shape and labels.any():
                new_annotation_layer(self.state, scan, labels)
        for pair in empty:
            if pair.layer in self.state.viewer.layers:
                self.state.viewer.layers.remove(pair.layer)

    def save_model(self, scan: Scan, model: Any) -> None:
        """Write a trained model beside the strokes of a scan, in the background."""
        if not self._closed:
            self._last = self._thread.submit(self._write_model, self.key(scan), model)

    def model_of(self, scan: Scan) -> Path | None:
        """File of the last model that was trained on a scan; None where there is none."""
        path = self.store.model_path(self.key(scan))
        return path if path.exists() else None

    def save(self) -> None:
        """Write in the background what is due."""
        self._timer.stop()
        due, self._due = self._due, set()
        for scan in due:
            self._submit(scan, self.state.pairs_of(scan))

    def flush(self) -> None:
        """Write what is due, and wait for it."""
        self.save()
        if self._last is not None:
            self._last.result()

    def close(self) -> None:
        """Write what is due, and end."""
        self.flush()
        self._closed = True
        self._thread.shutdown()

    def _submit(self, scan: Scan, pairs: Iterable[Pair]) -> None:
        strokes = Annotations(
            tuple((pair.layer.name, pair.labels()) for pair in pairs),
            tuple((c.value, c.name, c.color) for c in self.state.classes),
            scan.name,
            str(scan.source.path or ""),
        )
        if strokes.pixels and not self._closed:
            part = self._parts.get(scan, 0)
            self._last = self._thread.submit(self._write, self.key(scan), strokes, part)

    def _write(self, key: str, strokes: Annotations, part: int) -> None:
        try:
            self.store.save(key, strokes, part)
        except WriteError as error:
            self._written.emit(str(error))
        else:
            self._written.emit("")

    def _write_model(self, key: str, model: Any) -> None:
        try:
            self.store.folder.mkdir(parents=True, exist_ok=True)
            model.save(self.store.model_path(key))
        except (ModelError, OSError) as error:
            self._written.emit(str(error))

    def _tell(self, problem: str) -> None:
        if problem and not self._failing:
            self.failed.emit(problem)
        self._failing = bool(problem)

    def _mark(self, pair: Pair) -> None:
        self._due.add(pair.scan)
        if not self._timer.isActive():
            self._timer.start()

    def _mark_all(self) -> None:
        for pair in self.state.pairs:
            if self._painted.of(pair):
                self._mark(pair)

    def _pairs_changed(self) -> None:
        before, self._pairs = self._pairs, set(self.state.pairs)
        for scan in {pair.scan for pair in before - self._pairs}:
            # A layer that was removed by mistake can still be restored: what is painted from
            # now on goes to another file.
            if scan in self._due:
                self._submit(scan, [pair for pair in before if pair.scan is scan])
                self._due.discard(scan)
            self._parts[scan] = self._parts.get(scan, 0) + 1
