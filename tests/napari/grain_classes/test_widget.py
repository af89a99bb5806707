"""The dock "Grain classes"."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_ebsdml import samples
from napari_ebsdml._napari.grain_classes.widget import GrainClassesWidget
from tests.napari.docks import add_map, compute, layer, wait_until_done

STEEL = samples.dual_phase_steel((100, 140), 0.5, seed=2)


@pytest.fixture
def widget(qtbot: Any, model: ViewerModel) -> Any:
    add_map(model, STEEL.scan)
    widget = GrainClassesWidget(model)
    qtbot.addWidget(widget)
    widget.show()
    compute(widget, qtbot)
    yield widget
    widget.tasks.stop()


def click(model: ViewerModel, row: int, column: int) -> None:
    at = model.layers[0].data_to_world((row, column))

    class Event:
        button, modifiers, position, type = 1, (), at, "mouse_press"

    for callback in list(model.mouse_drag_callbacks):
        event = Event()
        steps = callback(model, event)
        if steps is None:
            continue
        next(steps, None)
        event.type = "mouse_release"
        next(steps, None)


def click_some(widget: GrainClassesWidget, model: ViewerModel, qtbot: Any, number: int) -> None:
    """Click three large grains that are of one class in truth."""
    labels = widget.features.labels
    n = len(widget.features.pixels)
    second = np.bincount(labels.ravel(), STEEL.truth.ravel() == number, n)
    share = second / np.maximum(widget.features.pixels, 1)
    pure = np.flatnonzero((share > 0.95) & widget.features.exists)
    for label in pure[np.argsort(-widget.features.pixels[pure])][:3]:
        click(model, *np.argwhere(labels == label)[0])
        wait_until_done(widget, qtbot)


def test_clicks_give_classes(widget: GrainClassesWidget, model: ViewerModel, qtbot: Any) -> None:
    widget.class_box.setEditText("ferrite")
    click_some(widget, model, qtbot, 1)
    assert widget.found is None  # one class tells nothing
    widget.class_box.setCurrentIndex(1)
    click_some(widget, model, qtbot, 2)
    assert widget.found is not None
    assert widget.names[1] == "ferrite"
    assert len(widget.examples) == 6
    shown = np.asarray(layer(model, "grain classes").data)
    at = shown > 0
    # The larger class alone would be right for about half of the map.
    assert (shown == STEEL.truth)[at].mean() > 0.8
    assert widget.class_table.rows()[1][0] == "ferrite"
    assert "ferrite" in widget.told.text()
    label = next(iter(widget.examples))
    number = widget.examples[label]
    widget.class_box.setCurrentIndex(number - 1)
    click(model, *np.argwhere(widget.features.labels == label)[0])
    wait_until_done(widget, qtbot)
    assert label not in widget.examples


def test_forget_and_new_class(widget: GrainClassesWidget, model: ViewerModel) -> None:
    widget.add_class()
    assert widget.class_box.currentData() == 3
    click(model, *np.argwhere(widget.features.labels > 0)[0])
    assert list(widget.examples.values()) == [3]
    widget.forget()
    assert not widget.examples
    assert not np.asarray(layer(model, "named grains").data).any()
