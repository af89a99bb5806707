"""A map that follows the brush, by the linear discriminant, until a model is trained."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QCheckBox, QLabel, QVBoxLayout, QWidget

from napari_ebsdml._napari.layers.turns import Turns
from napari_ebsdml._napari.segmenter.prediction_layers import LINEAR, prediction_steps
from napari_ebsdml._napari.segmenter.state import SegmenterState
from napari_ebsdml._napari.segmenter.strokes.painted import PaintedPixels
from napari_ebsdml._napari.shell.background import Background
from napari_ebsdml._napari.shell.workers import Outcome
from napari_ebsdml.scan import Scan


class LivePanel(QWidget):
    """Shows what the strokes on the chosen map mean for the rest of it, while they are painted.

    It rests while a job is under way, once there is a trained model, and with strokes of fewer than
    two classes.

    Attributes
    ----------
    box
        Whether the user wants it.
    seconds : float
        From the last stroke to its map.
    """

    def __init__(self, state: SegmenterState, painted: PaintedPixels) -> None:
        super().__init__()
        self.state = state
        self.box = QCheckBox("Live map while painting")
        self.box.setToolTip("By a linear discriminant, until a model is trained")
        self.box.setChecked(True)
        self.text = QLabel()
        self.text.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.box)
        layout.addWidget(self.text)
        self._tell("")
        self.seconds = float("nan")
        self._background = Background(self)
        self._turns = Turns(self)
        self._live: Any = None
        self._key: tuple[Any, ...] = ()
        self._again = False
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self.refresh)
        painted.repainted.connect(lambda pair: self._timer.start())
        self.box.toggled.connect(self._changed)
        for signal in (
            state.model_changed, state.busy_changed, state.classes_changed, state.channels_changed,
            state.widget.chooser.scan_changed,
        ):  # fmt: skip
            signal.connect(self._changed)
        state.widget.maps_gone.connect(self._forget)

    def _forget(self) -> None:
        self._background.stop()
        self._turns.stop()
        self._live, self._key = None, ()

    def stop(self) -> None:
        """Let go of the planes."""
        self._timer.stop()
        self._background.stop()
        self._turns.stop()
        self._live, self._key = None, ()

    def refresh(self) -> None:
        """Answer the present strokes."""
        scan = self.state.scan
        labels = None if scan is None else self._labels(scan)
        if scan is None or labels is None:
            self._tell("")
            return
        if self._background.busy or self._turns.busy:
            # The one under way comes first, so that a fast painter sees something, too.
            self._again = True
            return
        self._again = False
        prepared = self.state.prepared(scan)
        key = (prepared, self.state.channels)
        live = self._live if key == self._key else None
        if live is None:
            self._tell("Preparing the live map …")
        values = [int(v) for v in np.unique(labels[labels > 0])]
        names, colors = self.state.names, self.state.colors
        classes = [(v, names[v], colors[v]) for v in values]
        self._background.start(
            answer, live, prepared, self.state.channels, labels, classes,
            then=lambda outcome: self._show(outcome, scan, key),
        )  # fmt: skip

    def _labels(self, scan: Scan) -> Any:
        """What is painted on a scan; None where there is nothing to answer."""
        state = self.state
        if not self.box.isChecked() or state.busy or state.segmenter is not None:
            return None
        found = np.zeros(scan.shape, np.int32)
        known = np.array([c.value for c in state.classes])
        for pair in state.pairs_of(scan):
            labels = pair.labels()
            if labels.shape == scan.shape:
                found = np.where(np.isin(labels, known), labels, found)
        return found if len(np.unique(found[found > 0])) > 1 else None

    def _show(self, outcome: Outcome, scan: Scan, key: tuple[Any, ...]) -> None:
        if outcome.error is not None:
            self._tell(f"No live map: {outcome.error}")
            return
        live, result, seconds = outcome.value
        self._live, self._key, self.seconds = live, key, seconds
        # Meanwhile a training may have begun, or the map been closed.
        if self._labels(scan) is None or self.state.scan is not scan:
            return
        steps = prediction_steps(self.state, scan, result, model=LINEAR)
        self._turns.run(scan, steps, self._shown)

    def _shown(self) -> None:
        self._tell("Live map by a linear discriminant. Train improves it.")
        if self._again:
            self._timer.start()

    def _changed(self, *_: Any) -> None:
        if self._labels_possible():
            self._timer.start()
        else:
            self._background.stop()
            self._turns.stop()
            self._tell("")
            if self.state.segmenter is not None:
                # The planes of a large map are large.
                self._live, self._key = None, ()

    def _tell(self, text: str) -> None:
        self.text.setText(text)
        self.text.setVisible(bool(text))

    def _labels_possible(self) -> bool:
        return self.box.isChecked() and not self.state.busy and self.state.segmenter is None


def answer(live: Any, scan: Scan, channels: Any, labels: Any, classes: Any) -> Any:
    """The live map, its answer, and the seconds that it took; for a worker thread."""
    from napari_ebsdml.segmentation.labels.data import Classes
    from napari_ebsdml.segmentation.models.live import LiveMap

    if live is None:
        live = LiveMap.prepare(scan, channels or None)
    start = time.perf_counter()
    values, names, colors = zip(*classes, strict=True)
    known = Classes.of(values, names, colors)
    result = live.answer(live.fit(labels, known), known)
    return live, result, time.perf_counter() - start
