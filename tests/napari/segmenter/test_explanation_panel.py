"""What the answer rests on, for a map and for a grain that is clicked on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_ebsdml._napari.segmenter.explanation_panel import LAYER, ExplanationPanel
from napari_ebsdml.segmentation.explanation import SURROUNDINGS, explain
from tests.napari.docks import run
from tests.napari.segmenter.panels import make_state, model, steel


@pytest.fixture
def panel(qtbot: Any) -> ExplanationPanel:
    state = make_state(ViewerModel(), 3)
    qtbot.addWidget(state.widget)
    panel = ExplanationPanel(state)
    state.widget.form.addWidget(panel)
    return panel


def columns(panel: Any) -> dict[str, list[Any]]:
    head, *rows = panel.table.rows()
    return {name: [row[n] for row in rows] for n, name in enumerate(head)}


def click(panel: Any, row: int, column: int) -> None:
    """A click of the mouse, as napari tells it."""
    step = steel().scan.step
    at = (row * step[0], column * step[1])
    press = SimpleNamespace(type="mouse_press", button=1, modifiers=(), position=at)
    for callback in list(panel.state.viewer.mouse_drag_callbacks):
        going = callback(panel.state.viewer, press)
        next(going, None)
        press.type = "mouse_release"
        next(going, None)


def test_of_the_map(panel: Any, qtbot: Any) -> None:
    state = panel.state
    assert not panel.map_button.isEnabled()
    assert "ready one" in panel.message.text()
    state.segmenter = model()
    run(panel.map_button.click, state.widget.tasks, qtbot)
    expected = explain(model(), steel().scan, device="cpu")
    table = columns(panel)
    assert table["hidden"] == [row.what for row in expected.rows]
    assert table["lost [pt]"] == pytest.approx([100 * r.lost for r in expected.rows])
    assert SURROUNDINGS not in table["hidden"]
    assert expected.rows[0].what in panel.message.text()
    panel.layer_button.click()
    layer = next(one for one in state.viewer.layers if one.name.startswith(LAYER))
    np.testing.assert_allclose(layer.data, np.clip(expected.loss, 0, None), atol=1e-6)
    # Another model has another answer: what was told goes.
    state.segmenter = None
    assert panel.explanation is None
    assert panel.table.isHidden()


def test_of_a_grain(panel: Any, qtbot: Any) -> None:
    state, scan = panel.state, steel().scan
    state.segmenter = model()
    row, column = map(int, np.argwhere(scan.is_indexed)[1000])
    click(panel, row, column)
    assert panel.explanation is None
    layer = state.pairs[0].layer
    state.viewer.layers.selection.active = layer
    layer.mode = "paint"
    panel.grain_button.click()
    assert layer.mode == "pan_zoom"
    assert panel.message.text() == "Click on a grain of the map."
    run(lambda: click(panel, row, column), state.widget.tasks, qtbot)
    assert not panel.grain_button.isChecked()
    assert SURROUNDINGS in columns(panel)["hidden"]
    expected = explain(model(), scan, (row, column), device="cpu")
    assert panel.explanation.pixels == expected.pixels < scan.phase_id.size
    assert f"row {row}, column {column} ({expected.pixels} pixels)" in panel.message.text()
    np.testing.assert_allclose(panel.ring.layer.data[0][-2:], (row, column))
    panel.stop()
    assert panel.ring.layer is None or panel.ring.layer not in state.viewer.layers


def test_a_pixel_that_lies_in_no_grain(panel: Any) -> None:
    state, scan = panel.state, steel().scan
    state.segmenter = model()
    gone = np.argwhere(~scan.is_indexed)
    assert len(gone)
    panel.grain_button.click()
    click(panel, *map(int, gone[0]))
    assert "not indexed" in panel.message.text()
    assert panel.grain_button.isChecked()
