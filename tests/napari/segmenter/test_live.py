"""The map that follows the brush, keys for classes, and what outlives the dock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_ebsdml._napari.segmenter.widget import SegmenterWidget
from tests.napari.docks import add_map, open_dock, run
from tests.napari.segmenter.test_training import TINY, bands, dock, paint, train


@pytest.fixture
def painted(viewer: Any, qtbot: Any) -> tuple[Any, Any, Any]:
    scan, truth = bands()
    add_map(viewer, scan)
    return scan, truth, dock(viewer)


def wait_live(widget: SegmenterWidget, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: "Live map by" in widget.live.text.text(), timeout=30_000)


def test_follows_the_brush_until_a_model_is_trained(
    viewer: Any, qtbot: Any, painted: tuple[Any, Any, Any]
) -> None:
    scan, truth, widget = painted
    paint(widget, np.where(truth == 1, 1, 0))
    qtbot.wait(300)
    # One class says nothing about the rest.
    assert scan not in widget.state.predictions
    paint(widget, truth)
    wait_live(widget, qtbot)
    result = widget.state.predictions[scan]
    assert (result.labels == truth).mean() > 0.9
    layer = viewer.layers["segmentation · bands"]
    np.testing.assert_array_equal(layer.data, result.labels)
    # Only the grey quality image lies below.
    shown = [one.name for one in viewer.layers if one.visible]
    assert shown == ["BC · bands", "segmentation · bands", "strokes · bands"]
    strokes = widget.strokes.layer
    strokes.data_setitem((np.arange(30), np.arange(30)), 1)
    qtbot.waitUntil(lambda: widget.state.predictions[scan] is not result, timeout=30_000)
    widget.state.settings = TINY
    train(widget, qtbot)
    kept = widget.state.predictions[scan]
    strokes.data_setitem((np.arange(20), np.arange(20) + 5), 2)
    qtbot.wait(400)
    assert widget.state.predictions[scan] is kept
    assert not widget.live.text.text()


def test_a_report_of_what_is_shown(
    qtbot: Any, tmp_path: Path, painted: tuple[Any, Any, Any]
) -> None:
    _, truth, widget = painted
    assert not widget.result.report_button.isEnabled()
    paint(widget, truth)
    wait_live(widget, qtbot)
    assert widget.result.report_button.isEnabled()
    path = tmp_path / "bands.html"
    run(lambda: widget.result.report(str(path)), widget.tasks, qtbot)
    assert "class 1" in path.read_text()


def test_can_be_switched_off(viewer: Any, qtbot: Any, painted: tuple[Any, Any, Any]) -> None:
    scan, truth, widget = painted
    widget.live.box.setChecked(False)
    paint(widget, truth)
    qtbot.wait(400)
    assert scan not in widget.state.predictions
    widget.live.box.setChecked(True)
    wait_live(widget, qtbot)


def test_keys_choose_classes(viewer: Any, painted: tuple[Any, Any, Any]) -> None:
    _, truth, widget = painted
    paint(widget, truth)
    layer = widget.strokes.layer
    keys = {str(key): action for key, action in layer.keymap.items()}
    keys["2"](layer)
    assert layer.selected_label == 2
    assert str(layer.mode) == "paint"
    assert widget.strokes.table.selected == 2
    keys["9"](layer)
    assert layer.selected_label == 2


def test_classes_and_model_outlive_the_dock(
    viewer: Any, qtbot: Any, painted: tuple[Any, Any, Any]
) -> None:
    _, truth, widget = painted
    widget.state.change_class(2, name="bright")
    paint(widget, truth)
    train(widget, qtbot)
    model = widget.state.segmenter
    viewer.window.remove_dock_widget(widget)
    again = open_dock(viewer, "U-Net segmenter", SegmenterWidget)
    assert again.state.segmenter is model
    assert again.state.names[2] == "bright"
    assert again.state.channels == ("BC",)


def test_a_model_is_saved_beside_its_strokes(
    viewer: Any, qtbot: Any, painted: tuple[Any, Any, Any]
) -> None:
    scan, truth, widget = painted
    paint(widget, truth)
    train(widget, qtbot)
    widget.strokes.autosave.flush()
    path = widget.strokes.autosave.model_of(scan)
    assert path is not None
    before = widget.state.segmenter
    # As a new session would find it: no dock, no layers, nothing kept in the viewer.
    widget.state.segmenter = None
    viewer.layers.remove(widget.strokes.layer)
    viewer.window.remove_dock_widget(widget)
    again = open_dock(viewer, "U-Net segmenter", SegmenterWidget)
    qtbot.waitUntil(lambda: again.strokes.offer.isVisibleTo(again.strokes), timeout=10_000)
    with qtbot.waitSignal(again.state.model_changed, timeout=60_000):
        again.strokes.restore()
    assert again.state.segmenter.record["data_sha256"] == before.record["data_sha256"]
