"""Steps of showing a map: those of a large one let the window work in between."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from orix.crystal_map import Phase, PhaseList
from qtpy.QtCore import QObject, QTimer

from napari_ebsdml import Scan
from napari_ebsdml._napari.layers import turns


def blank(side: int) -> Scan:
    turned = np.zeros((side, side, 4))
    turned[..., 0] = 1
    phases = PhaseList({1: Phase("nickel", space_group=225)})
    phase_id = np.ones((side, side), int)
    return Scan(quaternions=turned, phase_id=phase_id, phases=phases, step=(1.0, 1.0))


@pytest.fixture
def seen() -> list[str]:
    return []


def steps(seen: list[str], name: str, number: int = 3) -> Iterator[None]:
    for n in range(number):
        seen.append(f"{name}{n}")
        yield


def test_a_small_map_is_shown_at_once(qapp: Any, seen: list[str]) -> None:
    owner = QObject()
    shown = turns.Turns(owner)
    shown.run(blank(4), steps(seen, "a"), lambda: seen.append("end"))
    assert seen == ["a0", "a1", "a2", "end"]
    assert not shown.busy


def test_a_large_map_lets_others_in(qtbot: Any, monkeypatch: Any, seen: list[str]) -> None:
    monkeypatch.setattr(turns, "_LARGE", 16)
    owner = QObject()
    shown = turns.Turns(owner)
    tick = QTimer(owner)
    tick.timeout.connect(lambda: seen.append("tick"))
    tick.start(0)
    shown.run(blank(4), steps(seen, "a"), lambda: seen.append("end"))
    assert seen == ["a0"]
    assert shown.busy
    qtbot.waitUntil(lambda: "end" in seen)
    places = [seen.index(name) for name in ("a0", "a1", "a2", "end")]
    assert places == sorted(places)
    assert all("tick" in seen[a:b] for a, b in pairwise(places))


def test_others_and_stop_drop_what_is_to_come(
    qtbot: Any, monkeypatch: Any, seen: list[str]
) -> None:
    monkeypatch.setattr(turns, "_LARGE", 16)
    owner = QObject()
    shown = turns.Turns(owner)
    shown.run(blank(4), steps(seen, "a"), lambda: seen.append("end of a"))
    shown.run(blank(4), steps(seen, "b"), lambda: seen.append("end of b"))
    qtbot.waitUntil(lambda: "end of b" in seen)
    assert seen == ["a0", "b0", "b1", "b2", "end of b"]
    shown.run(blank(4), steps(seen, "c"))
    shown.stop()
    qtbot.wait(50)
    assert seen[-1] == "c0"
    assert not shown.busy


def test_added_steps_come_one_a_turn_and_are_kept(qtbot: Any, seen: list[str]) -> None:
    owner = QObject()
    shown = turns.Turns(owner)
    tick = QTimer(owner)
    tick.timeout.connect(lambda: seen.append("tick"))
    tick.start(0)

    def more() -> None:
        seen.append("b")
        shown.add(lambda: seen.append("d"))  # by a step itself

    shown.add(lambda: seen.append("a"), more)
    assert seen == ["a"]
    shown.add(lambda: seen.append("c"))
    assert shown.busy
    qtbot.waitUntil(lambda: not shown.busy)
    assert [name for name in seen if name != "tick"] == ["a", "b", "c", "d"]
    assert "tick" in seen[1 : seen.index("b")]
    shown.add(lambda: seen.append("e"), lambda: seen.append("f"))
    shown.stop()
    qtbot.wait(50)
    assert "e" in seen
    assert "f" not in seen
