"""Going from one uncertain place to the next, brush in hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_ebsdml._napari.layers.of_scans import layers_of
from napari_ebsdml._napari.segmenter.strokes.uncertain import UncertainPanel
from tests.napari.segmenter.panels import make_state, predict, steel, strokes


@pytest.fixture
def panel(qtbot: Any) -> UncertainPanel:
    state = make_state(ViewerModel(), 3, 4)
    qtbot.addWidget(state.widget)
    state.widget.chooser.scan = steel(3).scan
    panel = UncertainPanel(state)
    state.widget.form.addWidget(panel)
    return panel


def strokes_layer(panel: Any) -> Any:
    return panel.state.pairs[0].layer


def test_nothing_to_go_to_before_a_prediction(panel: Any) -> None:
    assert not panel.next_button.isEnabled()
    assert not panel.go_next()
    assert "Train first" in panel.message.text()


def test_next_place_is_in_view_and_ready_to_paint(panel: Any) -> None:
    result = predict(panel.state)
    viewer = panel.state.viewer
    home = layers_of(viewer, steel(3).scan)[0]
    home.translate = (100.0, 50.0)
    assert panel.go_next()
    place = panel.places[0]
    layer = strokes_layer(panel)
    assert viewer.layers.selection.active is layer
    assert layer.mode == "paint"
    assert 3 <= layer.brush_size <= 15
    step = steel(3).scan.step
    center = viewer.scene.camera.center[-2:]
    assert center == pytest.approx((100 + place.row * step[0], 50 + place.column * step[1]))
    # So many pixels of the map fit into the canvas.
    shown = min(viewer.canvas.size) / viewer.scene.camera.zoom / step[0]
    assert 40 < shown < 200
    assert panel.message.text().startswith(f"<b>1 of {len(panel.places)}</b>")
    chance = 100 * float(result.probability[place.row, place.column, 0])
    assert f"ferrite {chance:.0f} %" in panel.message.text()
    assert strokes()[place.row, place.column] == 0


def test_painted_places_are_passed_over_and_back_works(panel: Any) -> None:
    predict(panel.state)
    assert panel.go_next()
    assert len(panel.places) > 3
    second, third = panel.places[1:3]
    strokes_layer(panel).data_setitem((np.array([second.row]), np.array([second.column])), 1)
    assert panel.go_next()
    assert panel.message.text().startswith("<b>3 of")
    assert panel.state.viewer.scene.camera.center[-2] == pytest.approx(
        third.row * steel(3).scan.step[0]
    )
    assert panel.back_button.isEnabled()
    assert panel.go_back()
    assert panel.message.text().startswith("<b>2 of")
    while panel.go_next():
        pass
    assert "Every uncertain place" in panel.message.text()
    # A new prediction asks anew, and leaves out what was painted.
    predict(panel.state)
    assert panel.go_next()
    assert all((p.row, p.column) != (second.row, second.column) for p in panel.places)


def test_layer_of_the_scan(panel: Any) -> None:
    state = panel.state
    predict(state, 4)
    assert not panel.next_button.isEnabled()
    state.widget.chooser.scan = steel(4).scan
    assert panel.next_button.isEnabled()
    assert panel.go_next()
    assert state.viewer.layers.selection.active is state.pairs[1].layer
    # Without an annotation layer it says what to do.
    state.pairs = state.pairs[:1]
    assert not panel.go_next()
    assert "annotation layer" in panel.message.text()


def test_a_ring_marks_the_place_and_leaves_the_selection(panel: Any) -> None:
    predict(panel.state)
    viewer = panel.state.viewer
    panel.go_next()
    place, layer = panel.places[0], panel.ring.layer
    assert layer in viewer.layers
    np.testing.assert_allclose(layer.data, [(place.row, place.column)])
    np.testing.assert_allclose(layer.scale, steel(3).scan.step)
    assert float(layer.size[0]) >= 2 * place.radius
    assert not layer.editable
    assert viewer.layers.selection.active is strokes_layer(panel)
    panel.go_next()
    assert sum(one.name.startswith("uncertain place") for one in viewer.layers) == 1
    # Another prediction has other places.
    predict(panel.state)
    assert not any(one.name.startswith("uncertain place") for one in viewer.layers)
    assert viewer.layers.selection.active is strokes_layer(panel)


def test_uncertainty_is_shown_on_demand(panel: Any) -> None:
    assert not panel.show_button.isEnabled()
    predict(panel.state)
    layer = panel.state.prediction_layers(steel(3).scan)["uncertainty"]
    assert not layer.visible
    panel.show_button.click()
    assert layer.visible
    panel.show_button.click()
    assert not layer.visible
