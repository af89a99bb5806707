"""Keys on napari's canvas: 1 to 9, E, U, N, T and S."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qtpy.QtCore import QObject, Qt
from qtpy.QtGui import QKeySequence, QShortcut

from napari_ebsdml._napari.segmenter.state import SegmenterState

DIGITS = "123456789"


class Keys(QObject):
    """Binds keys while the dock is open, and gives them back when it closes.

    On strokes all of them work; with another layer selected, and in the dock, the letters that
    `everywhere` holds do.

    Parameters
    ----------
    state
    choose
        Gets the position of a class, from 0, when a digit is pressed.
    on_strokes, everywhere
        Letter -> what it does.
    """

    def __init__(
        self,
        state: SegmenterState,
        choose: Callable[[int], None],
        on_strokes: Mapping[str, Callable[[], object]],
        everywhere: Mapping[str, Callable[[], object]],
    ) -> None:
        super().__init__(state.widget)
        self._state = state
        every = {**on_strokes, **everywhere}
        digits = {key: _with(choose, place) for place, key in enumerate(DIGITS)}
        self._on_layer = digits | {key: _alone(call) for key, call in every.items()}
        self._on_viewer = {key: _alone(call) for key, call in everywhere.items()}
        self._bound: list[Any] = []
        for key, call in self._on_viewer.items():
            state.viewer.bind_key(key, call, overwrite=True)
        for key, plain in every.items():
            shortcut = QShortcut(QKeySequence(key), state.widget)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(plain)
        state.pairs_changed.connect(self._bind)
        self._bind()

    def stop(self) -> None:
        """Give the keys back to napari."""
        for key in self._on_viewer:
            self._state.viewer.bind_key(key, None)
        for layer in self._bound:
            self._unbind(layer)
        self._bound = []

    def _bind(self) -> None:
        there = [pair.layer for pair in self._state.pairs]
        for layer in self._bound:
            if layer not in there:
                self._unbind(layer)
        for layer in there:
            if layer not in self._bound:
                for key, call in self._on_layer.items():
                    layer.bind_key(key, call, overwrite=True)
        self._bound = there

    def _unbind(self, layer: Any) -> None:
        for key in self._on_layer:
            layer.bind_key(key, None)


def _with(call: Callable[[int], None], place: int) -> Callable[[Any], None]:
    return lambda layer: call(place)


def _alone(call: Callable[[], object]) -> Callable[[Any], None]:
    def press(provider: Any) -> None:
        call()

    return press
