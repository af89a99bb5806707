"""Settings dataclasses: what their annotations tell forms, command line and scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest

from napari_ebsdml.options import Option, changes, matters, settings_of


@dataclass(frozen=True)
class Baking:
    bread: Annotated[bool, Option("Bread")] = True
    kind: Annotated[str, Option("Kind", choices={"rye": "rye", "own": "own …"}, when="bread")] = (
        "rye"
    )
    rye: Annotated[float, Option("Rye", "", "", 0, 1, shown_as=("%", 100), when="kind=own")] = 0.29
    cake: Annotated[bool, Option("Cake")] = False
    eggs: Annotated[int, Option("Eggs", "", "", 1, 12, when=("cake", "bread"))] = 3
    time: Annotated[float | None, Option("Time", "", "s", 0, shown_as=("min", 1 / 60))] = None
    note: str = "not a setting for people"


def test_settings_of_a_dataclass() -> None:
    known = settings_of(Baking)
    assert list(known) == ["bread", "kind", "rye", "cake", "eggs", "time"]
    assert [s.kind for s in known.values()] == [bool, str, float, bool, int, float]
    assert known["eggs"].default == 3


@pytest.mark.parametrize("value", [0.0, 0.07, 0.29, 0.55, 1.0])
def test_numbers_shown_in_another_unit_come_back_the_same(value: float) -> None:
    rye, time = settings_of(Baking)["rye"], settings_of(Baking)["time"]
    assert rye.shown(value) == pytest.approx(100 * value, abs=1e-12)
    assert rye.meant(rye.shown(value)) == value
    assert time.meant(7) == 420


def test_a_setting_matters_when_what_it_needs_is_on_and_matters() -> None:
    known = settings_of(Baking)
    values = {name: setting.default for name, setting in known.items()}
    assert matters(known, values, "eggs")
    assert not matters(known, values, "rye")
    assert matters(known, {**values, "kind": "own"}, "rye")
    # Of a kind of bread that is not baked.
    assert not matters(known, {**values, "kind": "own", "bread": False}, "rye")
    assert not matters(known, {**values, "bread": False}, "eggs")
    assert matters(known, {**values, "bread": False, "cake": True}, "eggs")


def test_changes_are_what_a_script_has_to_say() -> None:
    assert changes(Baking()) == {}
    assert changes(Baking(eggs=4, rye=0.5)) == {"eggs": 4}
    assert changes(Baking(kind="own", rye=0.5)) == {"kind": "own", "rye": 0.5}


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("kind", ["rye", "own"], ["wheat", None]),
        ("eggs", [1, 12], [0, 13, "3", True, None]),
        ("time", [0, 1e9], [-1, "soon"]),
        ("cake", [True], ["yes", 1]),
    ],
)
def test_what_a_setting_allows(name: str, allowed: list[object], refused: list[object]) -> None:
    setting = settings_of(Baking)[name]
    assert all(setting.allows(value) for value in allowed)
    assert not any(setting.allows(value) for value in refused)
