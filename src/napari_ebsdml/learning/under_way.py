"""A training under way: an iterator of its events that knows the best model so far."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic, Protocol, TypeVar

from napari_ebsdml.errors import InputError
from napari_ebsdml.learning.device import OwnRandom, threads


class _Event(Protocol):
    @property
    def kind(self) -> str: ...


Event = TypeVar("Event", bound=_Event)
Model = TypeVar("Model")


class UnderWay(Iterator[Event], Generic[Event, Model]):
    """A training under way: iterate over its events; ``close()`` cancels.

    Subclasses say how the model is made, and which name it goes by.

    Attributes
    ----------
    events
        All events so far but those of kind ``"step"`` and ``"note"``: the learning curve.
    """

    def __init__(self, n_threads: int | None, seed: int | None = None) -> None:
        self.events: list[Event] = []
        self._n_threads = n_threads
        # None: as the subclass does it.
        self._random: AbstractContextManager[Any] = (
            nullcontext() if seed is None else OwnRandom(seed)
        )
        self._steps: Generator[Event, None, None]

    def __next__(self) -> Event:
        # Threads are set for each step: the caller's own torch work is left alone in between.
        with threads(self._n_threads), self._random:
            event = next(self._steps)
        if event.kind not in ("step", "note"):
            self._keep(event)
        return event

    def close(self) -> None:
        """Cancel; `model` then is the best so far."""
        with threads(self._n_threads), self._random:
            self._steps.close()

    @property
    def model(self) -> Model | None:
        """Best model so far, for the caller to take once the training has ended or was closed.

        None when no epoch has ended yet.
        """
        with threads(self._n_threads), self._random:
            return self._model()

    def _keep(self, event: Event) -> None:
        """Remember an event of the learning curve."""
        self.events.append(event)

    @abstractmethod
    def _model(self) -> Model | None:
        """Make the model, unless that is done already."""


def run(
    training: UnderWay[Event, Model], on_event: Callable[[Event], object] | None = None
) -> Model:
    """Run a training to its end and return the model.

    Parameters
    ----------
    training
    on_event
        Called with every event; an exception from it cancels.

    Raises
    ------
    InputError
        When it ended before its first epoch.
    """
    try:
        for event in training:
            if on_event is not None:
                on_event(event)
    finally:
        training.close()
    result = training.model
    if result is None:
        raise InputError("The training ended before its first epoch.")
    return result
