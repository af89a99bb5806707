"""Forms made from settings dataclasses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from magicgui.widgets import Container
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QApplication, QLabel

from napari_ebsdml._napari.controls.form import ChoicesForm, Offer, SettingsForm
from napari_ebsdml.options import Option

LONG = "a text that is far too long for a dock of three hundred and twenty pixels, and then some"


@dataclass(frozen=True)
class Cooking:
    fast: Annotated[bool, Option("Fast", "In a hurry")] = False
    heat: Annotated[float, Option("Heat", "", "K", 273, 500, 5, 1, when="fast")] = 300.0
    depth: Annotated[float, Option("Depth", "", "µm", 1e-4, 10, 0.005, 1, ("nm", 1000))] = 0.02
    eggs: Annotated[int, Option("Eggs", "", "px", 0, 1_000_000)] = 3
    pan: Annotated[str, Option("Pan", choices={"iron": "iron", "tin": LONG})] = "iron"
    cook: Annotated[
        int | None, Option("Cook", choices={None: "whoever is free", 1: "first", 2: "second"})
    ] = None


@pytest.fixture
def form(qtbot: Any) -> Iterator[SettingsForm[Cooking]]:
    form: SettingsForm[Cooking] = SettingsForm(Cooking)
    qtbot.addWidget(form.native)
    form.native.show()
    return form


def test_a_form_says_its_settings(form: SettingsForm[Cooking]) -> None:
    assert isinstance(form, Container)
    assert form.settings() == Cooking()
    form.heat.value = 311.5
    form.depth.value = 0.05
    form.cook.value = 2
    assert form.settings() == Cooking(heat=311.5, depth=0.05, cook=2)
    form.cook.value = None
    assert form.settings().cook is None
    assert isinstance(form.settings().eggs, int)


def test_units_and_numbers_as_people_read_them(form: SettingsForm[Cooking]) -> None:
    assert form.heat.native.text() == "300.0 K"
    assert form.depth.native.text() == "20.0 nm"
    assert form.eggs.native.text() == "3 px"
    assert form.eggs.native.maximum() == 1_000_000
    assert form.cook.native.currentText() == "whoever is free"


def test_changed_is_emitted_once_for_each_change(form: SettingsForm[Cooking]) -> None:
    told: list[Any] = []
    form.changed.connect(told.append)
    form.eggs.native.setValue(4)
    assert len(told) == 1
    form.set_values({"eggs": 5, "heat": 400.0, "pan": "tin"})
    assert len(told) == 2
    form.set_values({"eggs": 5, "heat": 9.0, "pan": "gold", "fork": 1})
    assert len(told) == 2
    assert form.settings() == Cooking(eggs=5, heat=400.0, pan="tin")


def test_settings_that_do_not_matter_are_not_shown(form: SettingsForm[Cooking]) -> None:
    label = next(w for w in form.native.findChildren(QLabel) if w.text() == "Heat")
    assert form.heat.native.isHidden()
    assert label.isHidden()
    form.fast.native.click()
    assert not form.heat.native.isHidden()
    assert not label.isHidden()
    # It is indented, and its editor stands below the others all the same.
    QApplication.processEvents()
    assert label.x() > form.fast.native.x()
    assert form.heat.native.x() == form.eggs.native.x()


def test_a_check_box_that_is_not_available_is_false(form: SettingsForm[Cooking]) -> None:
    form.set_values({"fast": True})
    form.set_available("fast", False, "The stove is broken.")
    assert form.fast.tooltip == "The stove is broken."
    assert not form.settings().fast
    assert form.heat.native.isHidden()
    form.set_available("fast", True)
    assert form.fast.tooltip == "In a hurry"
    assert form.settings().fast


def test_a_setting_that_is_not_offered_is_hidden_and_stays(form: SettingsForm[Cooking]) -> None:
    form.eggs.value = 5
    form.set_offered("eggs", False)
    assert not form.eggs.native.isVisible()
    form.pan.value = "tin"
    assert not form.eggs.native.isVisible()
    assert form.settings().eggs == 5
    form.set_offered("eggs", True)
    assert form.eggs.native.isVisible()


def test_the_wheel_changes_only_what_has_the_focus(form: SettingsForm[Cooking]) -> None:
    def turn(native: Any) -> None:
        at = QPointF(native.rect().center())
        event = QWheelEvent(
            at, QPointF(native.mapToGlobal(at.toPoint())), QPoint(), QPoint(0, 120),
            Qt.MouseButton.NoButton, Qt.KeyboardModifier.NoModifier,
            Qt.ScrollPhase.NoScrollPhase, False,
        )  # fmt: skip
        QApplication.sendEvent(native, event)

    for name, native in (("eggs", form.eggs.native), ("pan", form.pan.native)):
        native.clearFocus()
        before = form[name].value
        turn(native)
        assert form[name].value == before
    form.native.activateWindow()
    form.eggs.native.setFocus()
    if form.eggs.native.hasFocus():  # where the window manager grants it
        turn(form.eggs.native)
        assert form.eggs.value == 4


def test_a_long_text_does_not_widen_the_form(form: SettingsForm[Cooking]) -> None:
    before = form.native.minimumSizeHint().width()
    assert before < 320
    form.pan.value = "tin"
    assert form.native.minimumSizeHint().width() == before


def test_saved_values_come_back(qtbot: Any, form: SettingsForm[Cooking]) -> None:
    assert form.saved() == {
        "fast": False, "heat": 300.0, "depth": 20.0, "eggs": 3, "pan": "iron", "cook": None,
    }  # fmt: skip
    form.set_values({"depth": 0.035, "eggs": 7, "fast": True})
    other: SettingsForm[Cooking] = SettingsForm(Cooking)
    qtbot.addWidget(other.native)
    other.set_saved(form.saved())
    assert other.settings() == form.settings() == Cooking(fast=True, depth=0.035, eggs=7)
    other.set_saved({"depth": "deep", "eggs": -1, "unknown": 1})
    assert other.settings() == form.settings()


def test_part_of_the_settings(qtbot: Any) -> None:
    form: SettingsForm[Cooking] = SettingsForm(Cooking, only=("eggs", "heat"))
    qtbot.addWidget(form.native)
    form.set_values({"eggs": 9, "fast": True})
    assert form.values() == {"eggs": 9, "heat": 300.0}
    # What it depends on is elsewhere: off.
    assert form.heat.native.isHidden()
    assert form.settings() == Cooking(eggs=9)


def test_choices_follow_what_is_offered(qtbot: Any) -> None:
    form = ChoicesForm()
    qtbot.addWidget(form.native)
    told: list[Any] = []
    form.changed.connect(told.append)
    choices = {"auto": "auto: fcc", "bcc": "bcc", None: "leave out"}
    form.offer({1: Offer("Austenite", choices, "auto", "fcc"), 5: Offer("Ferrite", choices, None)})
    assert form.values() == {1: "auto", 5: None}
    assert form.box(1).tooltip == "fcc"
    told.clear()
    form.box(5).native.setCurrentIndex(1)
    assert form.values() == {1: "auto", 5: "bcc"}
    assert told == [form]
    form.offer({2: Offer("Martensite", {"bcc": "bcc"}, "bcc")})
    assert form.values() == {2: "bcc"}
    names = [label.text() for label in form.native.findChildren(QLabel) if not label.isHidden()]
    assert names == ["Martensite"]
    form.offer({})
    assert form.values() == {}
