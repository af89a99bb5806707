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


def test_keys_do_what_their_buttons_do_and_go_with_the_dock(
    viewer: Any, qtbot: Any, painted: tuple[Any, Any, Any]
) -> None:
    scan, truth, widget = painted
    paint(widget, truth)
    wait_live(widget, qtbot)
    layer = widget.strokes.layer
    own = {str(key): action for key, action in layer.keymap.items()}
    everywhere = {str(key): action for key, action in viewer.keymap.items()}
    own["E"](layer)
    assert str(layer.mode) == "erase"
    own["E"](layer)
    assert str(layer.mode) == "paint"
    before = np.array(layer.data)
    layer.data_setitem((np.arange(5), np.arange(5)), 1 + (before[0, 0] == 1))
    own["U"](layer)
    np.testing.assert_array_equal(layer.data, before)
    shown = widget.state.prediction_layers(scan)["labels"]
    everywhere["S"](viewer)
    assert not shown.visible
    everywhere["S"](viewer)
    assert shown.visible
    layer.data = np.where(np.arange(truth.shape[1]) < 40, truth, 0)
    qtbot.waitUntil(lambda: scan in widget.state.predictions, timeout=10_000)
    widget.show_page("more")
    everywhere["N"](viewer)
    assert widget.pages.tabText(widget.pages.currentIndex()) == "Paint"
    assert widget.uncertain.message.text()
    widget.state.settings = TINY
    run(lambda: everywhere["T"](viewer), widget.tasks, qtbot)
    assert widget.state.segmenter is not None
    assert widget.pages.tabText(widget.pages.currentIndex()) == "Train and check"
    viewer.window.remove_dock_widget(widget)
    assert not {"E", "U", "N", "T", "S", "1"} & {str(key) for key in layer.keymap}
    assert not {"N", "T", "S"} & {str(key) for key in viewer.keymap}


def test_a_segmentation_as_tint_in_full_colours_or_as_outlines(
    viewer: Any, qtbot: Any, painted: tuple[Any, Any, Any]
) -> None:
    scan, truth, widget = painted
    paint(widget, truth)
    wait_live(widget, qtbot)
    layer = widget.state.prediction_layers(scan)["labels"]
    assert layer.opacity < 1
    box = widget.result.display
    for text, opacity, contour in (("outlines", 1.0, 1), ("filled", 1.0, 0)):
        box.setCurrentText(text)
        box.activated.emit(box.currentIndex())
        assert (layer.opacity, layer.contour) == (opacity, contour)
    # Then the canvas shows the colours of the table, for strokes as for areas.
    for shown in (layer, widget.strokes.layer):
        drawn = np.asarray(shown.colormap.map(np.array([1])))[0]
        assert shown.opacity == 1.0
        red, green, blue = (round(255 * part) for part in drawn[:3])
        assert f"#{red:02x}{green:02x}{blue:02x}" == widget.state.colors[1]


@pytest.mark.parametrize("name", ["paint", "train"])
def test_a_page_fits_a_small_window(
    viewer: Any, qtbot: Any, painted: tuple[Any, Any, Any], name: str
) -> None:
    _, truth, widget = painted
    window = viewer.window._qt_window
    window.resize(1280, 720)
    window.show()
    paint(widget, truth)
    wait_live(widget, qtbot)
    widget.show_page(name)
    qtbot.wait(200)
    page = widget.pages.currentWidget()
    assert page.verticalScrollBar().maximum() == 0, "it has to be scrolled"
    assert page.widget().minimumSizeHint().width() <= page.viewport().width(), "it is cut off"


def test_the_time_of_a_training_is_told_before_and_learned_from(
    viewer: Any, qtbot: Any, painted: tuple[Any, Any, Any]
) -> None:
    _, truth, widget = painted
    assert not widget.training.time_text.text()
    paint(widget, truth)
    qtbot.waitUntil(lambda: "about" in widget.training.time_text.text(), timeout=5000)
    time = widget.training.time
    time.begin(False, 2)
    time._started -= 600
    time.ended("finished")
    # As slow as that: the same training is told to take as long.
    assert "10 min" in time.text(False, 2)
    rate = time.rate
    time.ended("early stop")
    assert time.rate == rate


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
