"""The pattern viewer in a real napari window."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QApplication

from napari_ebsdml import InputError, Scan
from napari_ebsdml._napari.files.map_layers import stack_layers
from napari_ebsdml._napari.layers.of_scans import layers_of
from napari_ebsdml._napari.pattern_viewer.picker import MARKER
from napari_ebsdml._napari.pattern_viewer.save import pixels
from napari_ebsdml._napari.pattern_viewer.viewer import PatternViewer
from tests.napari.docks import PLUGIN, add_map, open_dock

MakeScan = Callable[..., Scan]
Opener = Callable[[], PatternViewer]


@pytest.fixture
def viewer(registered: None, make_napari_viewer: Callable[..., Any]) -> Any:
    return make_napari_viewer(show=True)


@pytest.fixture
def undocked(qtbot: Any, model: ViewerModel) -> Opener:
    """Opens the widget on the viewer without a window."""

    def make() -> PatternViewer:
        widget = PatternViewer(model)
        qtbot.addWidget(widget, before_close_func=PatternViewer.closing)
        widget.resize(340, 900)
        widget.show()
        return widget

    return make


@pytest.fixture
def scan(make_scan: MakeScan) -> Scan:
    return with_patterns(make_scan)


def with_patterns(make_scan: MakeScan, seed: int = 0, **changes: Any) -> Scan:
    rng = np.random.default_rng(seed)
    patterns = rng.integers(0, 250, (6, 8, 12, 15)).astype(np.uint8)
    return make_scan(patterns=da.from_array(patterns, chunks=(1, 8, 12, 15)), **changes)


def open_widget(viewer: Any) -> PatternViewer:
    widget = open_dock(viewer, "Pattern viewer", PatternViewer)
    # The dock takes its place, and the canvas what is left.
    for _ in range(10):
        QApplication.processEvents()
    viewer.reset_view()
    return widget


def wait_for(qtbot: Any, widget: PatternViewer, scan: Scan, row: int, column: int) -> None:
    def arrived() -> None:
        pattern = widget.pattern
        assert pattern is not None
        assert (pattern.scan, pattern.pixel) == (scan, (row, column))
        assert pattern.processing == widget.panel.processing

    qtbot.waitUntil(lambda: _holds(arrived), timeout=20_000)


def _holds(check: Callable[[], None]) -> bool:
    try:
        check()
    except AssertionError:
        return False
    return True


def at(viewer: Any, y: float, x: float) -> QPoint:
    """Point of the canvas widget that shows a place in um."""
    canvas = viewer.window._qt_viewer.canvas
    height, width = canvas.size
    _, cy, cx = viewer.scene.camera.center
    zoom = viewer.scene.camera.zoom
    ratio = canvas.native.devicePixelRatioF()
    return QPoint(
        round((width / 2 + (x - cx) * zoom) / ratio), round((height / 2 + (y - cy) * zoom) / ratio)
    )


def mouse(qtbot: Any, viewer: Any, *places: tuple[float, float]) -> None:
    """Press at the first place, drag through the others, release at the last."""
    native = viewer.window._qt_viewer.canvas.native
    points = [at(viewer, *place) for place in places]
    qtbot.mouseMove(native, points[0])
    qtbot.mousePress(native, Qt.MouseButton.LeftButton, pos=points[0])
    for point in points[1:]:
        qtbot.mouseMove(native, point)
        qtbot.wait(5)
    qtbot.mouseRelease(native, Qt.MouseButton.LeftButton, pos=points[-1])


def press_key(viewer: Any, key: str) -> None:
    """What the key does on napari's canvas."""
    from app_model.types import KeyBinding

    viewer.keymap[KeyBinding.from_str(key)](viewer)


def test_the_middle_is_shown_at_once_and_a_click_shows_another(
    qtbot: Any, viewer: Any, scan: Scan
) -> None:
    add_map(viewer, scan, 2.0, 3.0)
    active = viewer.layers.selection.active
    widget = open_widget(viewer)
    wait_for(qtbot, widget, scan, 3, 4)
    chosen: list[Any] = []
    widget.pixel_changed.connect(lambda *pixel: chosen.append(pixel))

    mouse(qtbot, viewer, (2.0 + 5 * 0.5, 3.0 + 1 * 0.25))
    wait_for(qtbot, widget, scan, 5, 1)
    assert chosen == [(scan, 5, 1)]
    raw = np.asarray(scan.patterns[5, 1])
    np.testing.assert_array_equal(widget.pattern.raw, raw)
    shown = pixels(widget.canvas.picture())
    low, high = np.percentile(raw, (0.5, 99.5))
    np.testing.assert_allclose(shown, np.clip((raw - low) / (high - low), 0, 1) * 255, atol=0.51)

    text = widget.details.text()
    assert "row 5, column 1 · x 0.25, y 2.5 µm" in text
    assert "Austenite Fm-3m" in text
    assert "(map frame)" in text
    assert f"BC {scan.get('BC')[5, 1]}" in text
    assert f"MAD {scan.get('MAD')[5, 1]:.4g}°" in text
    assert "x to the right, y down" in widget.details.toolTip()

    # The marker is where the click was, and nobody's selection changed.
    marker = viewer.layers[MARKER]
    np.testing.assert_allclose(marker.data, [[4.5, 3.25]])
    assert viewer.layers.selection.active is active
    # Outside the map nothing happens.
    mouse(qtbot, viewer, (1.0, 2.9))
    assert widget.pixel == (scan, 5, 1)


def test_drag_browses_and_does_not_move_the_map(qtbot: Any, viewer: Any, scan: Scan) -> None:
    add_map(viewer, scan)
    widget = open_widget(viewer)
    chosen: list[Any] = []
    widget.pixel_changed.connect(lambda _, row, column: chosen.append((row, column)))
    centre = tuple(viewer.scene.camera.center)
    mouse(qtbot, viewer, (1.0, 0.25), (1.0, 0.5), (1.0, 0.75), (1.5, 1.0))
    assert chosen == [(2, 1), (2, 2), (2, 3), (3, 4)]
    assert tuple(viewer.scene.camera.center) == centre
    assert viewer.scene.camera.mouse_pan
    wait_for(qtbot, widget, scan, 3, 4)

    # Switched off, dragging moves the map, and a click still chooses.
    widget.display.set_values({"browse": False})
    mouse(qtbot, viewer, (1.0, 0.25), (1.0, 0.5), (1.0, 1.0))
    assert len(chosen) == 4
    assert tuple(viewer.scene.camera.center) != centre
    mouse(qtbot, viewer, (2.0, 0.75))
    assert chosen[4:] == [(4, 3)]
    widget.display.set_values({"browse": True})


def test_painting_is_left_alone(qtbot: Any, viewer: Any, scan: Scan) -> None:
    add_map(viewer, scan)
    widget = open_widget(viewer)
    strokes = viewer.add_labels(np.zeros((6, 8), dtype=np.int32), scale=scan.step)
    strokes.mode = "paint"
    mouse(qtbot, viewer, (1.0, 0.25))
    assert widget.pixel == (scan, 3, 4)
    assert strokes.data.any()
    strokes.mode = "pan_zoom"
    # The marker stays above what is added later, without becoming active.
    assert viewer.layers[-1].name == MARKER
    assert viewer.layers.selection.active is strokes
    mouse(qtbot, viewer, (1.0, 0.25))
    assert widget.pixel == (scan, 2, 1)


def test_arrow_keys_and_overlays(
    qtbot: Any, model: ViewerModel, undocked: Opener, scan: Scan
) -> None:
    add_map(model, scan)
    widget = undocked()
    widget.show_pixel(scan, 0, 7)
    press_key(model, "Down")
    press_key(model, "Right")  # the edge of the map
    assert widget.pixel == (scan, 1, 7)
    press_key(model, "Left")
    qtbot.keyClick(widget.canvas, Qt.Key.Key_Down)
    qtbot.keyClick(widget.canvas, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert widget.pixel == (scan, 2, 0)
    np.testing.assert_allclose(model.layers[MARKER].data, [[1.0, 0.0]])

    # What explains one pattern is gone on the next, unless it was to be kept.
    widget.set_overlay("explanation", np.ones((12, 15, 4)))
    widget.set_overlay("bands", np.zeros((2, 2, 4), dtype=np.uint8), keep=True)
    widget.show_pixel(scan, 1, 1)
    assert widget.canvas.overlays() == ["bands"]
    widget.set_overlay("bands", None)
    assert widget.canvas.overlays() == []


def test_stack_follows_the_slider(
    qtbot: Any, model: ViewerModel, undocked: Opener, make_scan: MakeScan
) -> None:
    scans = [with_patterns(make_scan, seed, path=Path(f"s{seed}.ang")) for seed in range(3)]
    for data, options, kind in stack_layers(scans, (0.0, 5.0)):
        getattr(model, f"add_{kind}")(data, **options)
    model.dims.set_current_step(0, 0)
    widget = undocked()
    widget.show_pixel(scans[0], 1, 2)
    model.dims.set_current_step(0, 2)
    wait_for(qtbot, widget, scans[2], 1, 2)
    np.testing.assert_array_equal(widget.pattern.raw, np.asarray(scans[2].patterns[1, 2]))
    assert widget.chooser.scan is scans[2]
    np.testing.assert_allclose(model.layers[MARKER].data, [[1.0, 0.5, 5.5]])
    # What is under the mouse is the section in sight.
    click = widget.picker.pixel_at((*model.dims.point[:1], 2.0, 5.75))
    assert click == (scans[2], 4, 3)
    widget.picker.picked.emit(click)
    # On the map the keys go through the sections.
    press_key(model, "Left")
    assert widget.pixel == (scans[1], 4, 3)
    # Choosing a section by its name moves the slider.
    widget.chooser.scan = scans[0]
    assert model.dims.current_step[0] == 0


def test_maps_side_by_side(qtbot: Any, viewer: Any, make_scan: MakeScan) -> None:
    left, right = (with_patterns(make_scan, seed, path=Path(f"{seed}.ang")) for seed in (1, 2))
    add_map(viewer, left, 0.0, 0.0)
    add_map(viewer, right, 0.0, 3.0)
    widget = open_widget(viewer)
    mouse(qtbot, viewer, (1.0, 3.5))
    assert widget.pixel == (right, 2, 2)
    assert widget.chooser.scan is right
    wait_for(qtbot, widget, right, 2, 2)
    mouse(qtbot, viewer, (1.5, 1.5))
    wait_for(qtbot, widget, left, 3, 6)
    # Each map remembers its pixel.
    widget.chooser.scan = right
    assert widget.pixel == (right, 2, 2)


def test_maps_without_patterns_say_how_to_get_them(
    qtbot: Any, model: ViewerModel, undocked: Opener, make_scan: MakeScan
) -> None:
    bare = make_scan()
    add_map(model, bare)
    widget = undocked()
    assert widget.pixel == (bare, 3, 4)
    assert widget.pattern is None
    assert "This map has no patterns" in widget.canvas.hint
    assert ".up1" in widget.canvas.hint
    assert "Ferrite" in widget.details.text()
    assert not widget.tasks.run_button.isEnabled()
    assert not widget.panel.save_button.isEnabled()
    # A map with patterns is what one wants to see here once it is open.
    other = with_patterns(make_scan, path=Path("b.ang"))
    add_map(model, other, 0.0, 4.0)
    wait_for(qtbot, widget, other, 3, 4)
    assert widget.tasks.run_button.isEnabled()


def test_nothing_open_and_everything_removed(
    qtbot: Any, model: ViewerModel, undocked: Opener, scan: Scan
) -> None:
    widget = undocked()
    assert widget.pixel is None
    assert "Open an EBSD map" in widget.canvas.hint
    add_map(model, scan)
    wait_for(qtbot, widget, scan, 3, 4)
    for layer in layers_of(model, scan):
        model.layers.remove(layer)
    assert widget.pixel is None
    assert widget.pattern is None
    assert MARKER not in model.layers
    assert widget.details.text() == ""
    # A map that is closed does not stay in memory for its last patterns.
    assert not widget.panel.feed._cache._patterns
    with pytest.raises(InputError, match="No layer"):
        widget.show_pixel(scan, 0, 0)


def test_settings_are_remembered(viewer: Any, scan: Scan) -> None:
    from napari.settings import _clear_plugin_settings_cache

    add_map(viewer, scan)
    widget = open_widget(viewer)
    widget.display.set_values({"average": True, "gamma": 0.75, "browse": False})
    viewer.window.remove_dock_widget(widget)
    # As after a restart: settings come from the file.
    _clear_plugin_settings_cache()
    anew = open_widget(viewer)
    assert anew is not widget
    values = anew.display.values()
    assert (values["average"], values["gamma"], values["browse"]) == (True, 0.75, False)
    assert not anew.picker.drag_browses


def test_closing_leaves_the_viewer_as_it_was(viewer: Any, scan: Scan) -> None:
    add_map(viewer, scan)
    callbacks, keys = list(viewer.mouse_drag_callbacks), dict(viewer.keymap)
    dock, widget = viewer.window.add_plugin_dock_widget(PLUGIN, "Pattern viewer")
    assert MARKER in viewer.layers
    assert len(viewer.mouse_drag_callbacks) == len(callbacks) + 1
    viewer.window.remove_dock_widget(dock)
    assert MARKER not in viewer.layers
    assert viewer.mouse_drag_callbacks == callbacks
    assert dict(viewer.keymap) == keys
    viewer.add_image(np.zeros((3, 3)))
    widget.deleteLater()


def test_virtual_images_land_on_their_map(
    qtbot: Any,
    model: ViewerModel,
    undocked: Opener,
    make_scan: MakeScan,
    scan: Scan,
) -> None:
    add_map(model, make_scan(path=Path("other.ang")))
    add_map(model, scan, 0.0, 4.0)
    widget = undocked()
    assert widget.scan is scan
    widget.virtual_group.unfold()
    with qtbot.waitSignal(widget.tasks.stopped, timeout=10_000) as stopped:
        widget.tasks.run_button.click()
    assert stopped.args == ["done"]
    layer = next(one for one in model.layers if "left, middle, right" in one.name)
    assert tuple(layer.translate) == (0.0, 4.0)
    assert layer.rgb

    # Drawn on the pattern with the mouse: from detector pixel (2, 3) to (7, 9).
    widget.virtual.set_values({"what": "region"})
    wait_for(qtbot, widget, scan, 3, 4)
    place = widget.canvas.target()
    cell = place.width() / 15
    first = QPoint(round(place.left() + 3.5 * cell), round(place.top() + 2.5 * cell))
    last = QPoint(round(place.left() + 9.5 * cell), round(place.top() + 7.5 * cell))
    qtbot.mousePress(widget.canvas, Qt.MouseButton.LeftButton, pos=first)
    qtbot.mouseMove(widget.canvas, last)
    qtbot.mouseRelease(widget.canvas, Qt.MouseButton.LeftButton, pos=last)
    with qtbot.waitSignal(widget.tasks.stopped, timeout=10_000):
        widget.tasks.run_button.click()
    layer = next(one for one in model.layers if "rows 2–7, columns 3–9" in one.name)
    expected = np.asarray(scan.patterns)[:, :, 2:8, 3:10].mean(axis=(2, 3))
    np.testing.assert_allclose(layer.data, expected, rtol=1e-5)
    assert "virtual backscatter, detector rows 2–7" in widget.details.text()

    # The cells of a grid come as layers one after the other, only the middle one in sight.
    widget.virtual.set_values({"what": "grid", "rows": 2, "columns": 3})
    widget.tasks.run_button.click()

    def cells() -> list[Any]:
        return [one for one in model.layers if "cell" in one.name]

    qtbot.waitUntil(lambda: len(cells()) == 6, timeout=10_000)
    assert [one.visible for one in cells()] == [False] * 4 + [True, False]
    expected = np.asarray(scan.patterns)[:, :, 6:, 5:10].mean(axis=(2, 3))
    np.testing.assert_allclose(cells()[4].data, expected, rtol=1e-5)


def test_virtual_images_can_be_cancelled(
    qtbot: Any, model: ViewerModel, undocked: Opener, make_scan: MakeScan
) -> None:
    gate = threading.Event()

    def wait(block: Any) -> Any:
        assert gate.wait(20)
        return block

    zeros = da.zeros((6, 8, 12, 15), dtype=np.uint8)
    scan = make_scan(patterns=zeros.map_blocks(wait, meta=np.empty((0,) * 4, np.uint8)))
    add_map(model, scan)
    widget = undocked()
    n = len(model.layers)
    widget.compute_virtual()
    started = time.perf_counter()
    with qtbot.waitSignal(widget.tasks.stopped, timeout=5000) as stopped:
        widget.tasks.cancel_button.click()
    assert stopped.args == ["cancelled"]
    assert time.perf_counter() - started < 1.5
    gate.set()
    qtbot.wait(50)
    assert len(model.layers) == n
