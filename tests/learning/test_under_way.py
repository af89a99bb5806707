"""What every training under way does: threads, cancelling, the model so far."""

from __future__ import annotations

from collections.abc import Generator

import pytest
import torch

from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.loop import TrainingEvent
from napari_ebsdml.learning.under_way import UnderWay, run


class Counting(UnderWay[TrainingEvent, int]):
    """Its model is the number of epochs that are done."""

    def __init__(self, epochs: int, n_threads: int | None = None) -> None:
        super().__init__(n_threads)
        self.epochs = 0
        self.threads: set[int] = set()
        self.was_closed = False
        self._steps = self._go(epochs)

    def _go(self, epochs: int) -> Generator[TrainingEvent, None, None]:
        try:
            for epoch in range(epochs):
                self.threads.add(torch.get_num_threads())
                yield TrainingEvent("step", epoch, epochs, 0.5)
                self.epochs += 1
                yield TrainingEvent("epoch", epoch + 1, epochs, 1.0)
        finally:
            self.was_closed = True
            self.threads.add(torch.get_num_threads())

    def _model(self) -> int | None:
        self.threads.add(torch.get_num_threads())
        return self.epochs or None


def test_steps_are_seen_but_not_kept() -> None:
    training = Counting(2)
    seen: list[str] = []
    assert run(training, lambda event: seen.append(event.kind)) == 2
    assert seen == ["step", "epoch"] * 2
    assert [event.kind for event in training.events] == ["epoch", "epoch"]


def test_cancelling_keeps_the_model_so_far() -> None:
    training = Counting(5)
    for event in training:
        if event.kind == "epoch":
            break
    training.close()
    assert training.was_closed
    assert training.model == 1
    with pytest.raises(StopIteration):
        next(training)


def test_an_error_of_the_listener_closes_the_training() -> None:
    training = Counting(5)

    def stop(event: TrainingEvent) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"):
        run(training, stop)
    assert training.was_closed


def test_no_epoch_is_an_error() -> None:
    with pytest.raises(InputError, match="before its first epoch"):
        run(Counting(0))


def test_threads_are_set_inside_only() -> None:
    before = torch.get_num_threads()
    training = Counting(1, n_threads=before + 1)
    next(training)
    assert torch.get_num_threads() == before
    training.close()
    assert training.model is None
    assert training.threads == {before + 1}
    assert torch.get_num_threads() == before
