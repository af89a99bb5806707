"""What closed maps leave free is given back."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import QObject

from napari_ebsdml._napari.files import memory


def test_it_is_given_back_once_after_layers_go(qtbot: Any, model: Any, monkeypatch: Any) -> None:
    calls: list[int] = []
    monkeypatch.setattr(memory, "_LATER_MS", 20)
    monkeypatch.setattr(memory, "_trim", lambda: lambda pad: calls.append(pad) or 1)
    owner = QObject()
    timer = memory.return_when_maps_close(model, owner)
    for _ in range(3):
        model.add_points([[0, 0]])
    assert not timer.isActive()
    model.layers.clear()
    qtbot.waitUntil(lambda: calls == [0])
    qtbot.wait(60)
    assert calls == [0]


def test_where_the_library_cannot_do_it_nothing_happens(monkeypatch: Any) -> None:
    monkeypatch.setattr(memory, "_trim", lambda: None)
    assert memory.return_free_memory() is False


def test_the_real_one_can_be_called() -> None:
    assert memory.return_free_memory() in (True, False)
