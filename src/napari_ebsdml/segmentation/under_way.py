"""A training of a segmenter under way."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING

from napari_ebsdml.learning.under_way import UnderWay
from napari_ebsdml.segmentation.training import SegmentationEvent

if TYPE_CHECKING:
    from napari_ebsdml.segmentation.segmenter import Segmenter

Steps = Generator[SegmentationEvent, None, None]


class Training(UnderWay[SegmentationEvent, "Segmenter"]):
    """A training under way: iterate over its events; ``close()`` cancels.

    Attributes
    ----------
    events
        All events so far but those of kind ``"step"``, without their previews.
    started
        `time.monotonic` when it began.
    """

    def __init__(self, make: Callable[[Training], Steps], n_threads: int | None) -> None:
        super().__init__(n_threads)
        self.started = time.monotonic()
        self._steps = make(self)
        self._finish: Callable[[], Segmenter] | None = None
        self._done: Segmenter | None = None

    def finish_with(self, finish: Callable[[], Segmenter]) -> None:
        """Say how the model is made of what was trained."""
        self._finish = finish

    @property
    def segmenter(self) -> Segmenter | None:
        """Best model once the training has ended or was closed, None before; None, too, when it
        was closed before its first epoch ended.
        """
        return self.model

    def _keep(self, event: SegmentationEvent) -> None:
        self.events.append(dataclasses.replace(event, preview=None))

    def _model(self) -> Segmenter | None:
        if self._done is None and self._finish is not None:
            self._done = self._finish()
        return self._done
