"""How long the next training will take, told beside the button, and learned from the last one."""

from __future__ import annotations

import math
import time

from napari_ebsdml._napari.controls.settings import remember, remembered
from napari_ebsdml._napari.segmenter.state import SegmenterState
from napari_ebsdml._napari.segmenter.strokes.painted import PaintedPixels
from napari_ebsdml._napari.segmenter.training_form import to_train_on
from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation.learning.estimate import (
    RATE,
    expected_seconds,
    in_words,
    rate_from,
    training_work,
)
from napari_ebsdml.segmentation.settings import TrainingSettings, UNetSettings

_SECTION, _KEY = "segmenter", "speed"
_PLANES_A_CHANNEL = 1.5
_DENSE = 0.2


class TrainingTime:
    """Estimates the time of the training that the dock would start now.

    Parameters
    ----------
    state, painted
    """

    def __init__(self, state: SegmenterState, painted: PaintedPixels) -> None:
        self._state, self._painted = state, painted
        kept = float(remembered(_SECTION).get(_KEY) or 0.0)
        self.rate = kept * 1e9 if kept > 0 else RATE
        self._started = math.nan
        self._work = self._pixels = 0.0

    def text(self, goes_on: bool, preview_every: int) -> str:
        """The estimate in words; empty where there is nothing to train on."""
        work, pixels, limit = self._of(goes_on, preview_every)
        if not pixels:
            return ""
        words = in_words(expected_seconds(work, int(pixels), self.rate, limit))
        return f"Takes {words} on this computer, or less."

    def begin(self, goes_on: bool, preview_every: int) -> None:
        """A training starts."""
        self._work, self._pixels, _ = self._of(goes_on, preview_every)
        self._started = time.monotonic()

    def ended(self, reason: str) -> None:
        """It is over; the speed of one that went through all epochs is kept."""
        rate = rate_from(self._work, int(self._pixels), time.monotonic() - self._started)
        if reason == "finished" and math.isfinite(rate):
            self.rate = rate
            remember(_SECTION, {_KEY: round(rate / 1e9, 2)})

    def _of(self, goes_on: bool, preview_every: int) -> tuple[float, float, float]:
        state = self._state
        pairs = [pair for pair in state.pairs if self._painted.of(pair)]
        shapes = list(dict.fromkeys(pair.scan for pair in pairs))
        # The map that is looked at comes first: it is previewed.
        shapes.sort(key=lambda scan: scan is not state.scan)
        sizes = [scan.shape for scan in shapes]
        pixels = sum(rows * columns for rows, columns in sizes)
        if not pixels:
            return 0.0, 0.0, 0.0
        changes = state.settings
        if goes_on:
            changes = to_train_on(changes)
        try:
            network = UNetSettings(**state.network) if state.network else None
            settings = TrainingSettings(network=network, **changes)
        except InputError:
            # The training says so.
            return 0.0, 0.0, 0.0
        painted = sum(self._painted.of(pair) for pair in pairs)
        work = training_work(
            sizes, math.ceil(_PLANES_A_CHANNEL * max(len(state.channels), 1)),
            max(len(state.classes), 2), settings, dense=painted > _DENSE * pixels,
            preview_every=preview_every,
        )  # fmt: skip
        return work, float(pixels), settings.seconds
