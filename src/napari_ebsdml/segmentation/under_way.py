"""A training under way, and how to run it to its end."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.device import threads
from napari_ebsdml.segmentation.training import SegmentationEvent

if TYPE_CHECKING:
    from napari_ebsdml.segmentation.segmenter import Segmenter


class Training(Iterator[SegmentationEvent]):
    """A training under way: iterate over its events.

    Attributes
    ----------
    events
        All events so far but those of kind ``"step"``: the learning curve.
    """

    def __init__(
        self, make: Callable[[Training], Iterator[SegmentationEvent]], n_threads: int | None
    ) -> None:
        self.events: list[SegmentationEvent] = []
        self.started = time.monotonic()
        self._n_threads = n_threads
        self._events = make(self)
        self._finish: Callable[[], Segmenter] | None = None
        self._done: Segmenter | None = None

    def __next__(self) -> SegmentationEvent:
        # Threads are set for each step: the caller's own torch work is left alone in between.
        with threads(self._n_threads):
            event = next(self._events)
        if event.kind != "step":
            self.events.append(dataclasses.replace(event, preview=None))
        return event

    def close(self) -> None:
        """Cancel; `segmenter` then holds the best model so far."""
        self._events.close()  # type: ignore[attr-defined]

    def finish_with(self, finish: Callable[[], Segmenter]) -> None:
        """Say how the model is made of what was trained."""
        self._finish = finish

    @property
    def segmenter(self) -> Segmenter | None:
        """Best model once the training has ended or was closed, None before; None, too, when it
        was closed before its first epoch ended.
        """
        if self._done is None and self._finish is not None:
            with threads(self._n_threads):
                self._done = self._finish()
        return self._done


def run(training: Training, on_event: Callable[[SegmentationEvent], None] | None) -> Segmenter:
    """Run a training to its end and return the model."""
    try:
        for event in training:
            if on_event is not None:
                on_event(event)
    finally:
        training.close()
    result = training.segmenter
    if result is None:
        raise InputError("The training ended before its first epoch.")
    return result
