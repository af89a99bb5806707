"""The baselines beside the U-Net, with one click."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_ebsdml._napari.layers.of_scans import add_result, info_of
from napari_ebsdml._napari.segmenter.comparison import ComparisonPanel
from napari_ebsdml.segmentation.comparison import FOREST, LINEAR, THRESHOLD, UNET
from tests.napari.docks import run
from tests.napari.segmenter.panels import make_state, model, predict, steel, strokes


@pytest.fixture
def panel(qtbot: Any) -> ComparisonPanel:
    state = make_state(ViewerModel(), 3)
    qtbot.addWidget(state.widget)
    panel = ComparisonPanel(state)
    state.widget.form.addWidget(panel)
    return panel


def compare(panel: Any, qtbot: Any, expect: str = "done") -> None:
    run(panel.run_button.click, panel.state.widget.tasks, qtbot, expect)


def columns(panel: Any) -> dict[str, list[Any]]:
    head, *rows = panel.table.rows()
    return {name: [row[n] for row in rows] for n, name in enumerate(head)}


def test_all_methods_in_one_table(panel: Any, qtbot: Any) -> None:
    state = panel.state
    predict(state)
    compare(panel, qtbot)
    table = columns(panel)
    assert table["method"] == [UNET, LINEAR, THRESHOLD, FOREST]
    held = table["held-out [%]"]
    first = np.array(model().metrics["first_fold"])
    assert held[0] == pytest.approx(100 * np.trace(first) / first.sum())
    assert all(50 < value <= 100 for value in held)
    agree = table["like the model [%]"]
    assert agree[0] == 100
    assert "truth [%]" not in table
    assert "is best" in panel.message.text()
    assert "held-out pixels" in panel.message.text()

    # Layers come on demand, next to the prediction, and leave the selection alone.
    before = len(state.viewer.layers)
    active = state.viewer.layers.selection.active
    panel.layers_button.click()
    assert len(state.viewer.layers) == before + 6
    assert state.viewer.layers.selection.active is active
    forest = next(one for one in state.viewer.layers if one.name.startswith(f"{FOREST} ·"))
    assert info_of(forest)["model"] == FOREST
    differs = next(one for one in state.viewer.layers if f"{FOREST} differs" in one.name)
    same = 100 * float((differs.data == 0).mean())
    assert same == pytest.approx(agree[3])
    panel.layers_button.click()
    assert len(state.viewer.layers) == before + 6
    # Results are not offered as truth.
    assert panel.truth.box.count() == 1


def test_a_truth_layer_judges_too(panel: Any, qtbot: Any) -> None:
    state = panel.state
    truth = add_result(state.viewer, steel().scan, steel().truth, "truth", kind="labels")
    panel.truth.box.setCurrentIndex(panel.truth.box.findText(truth.name))
    compare(panel, qtbot)
    table = columns(panel)
    assert table["method"] == [LINEAR, THRESHOLD, FOREST]
    assert "like the model [%]" not in table
    for row, value in zip(panel.compared, table["truth [%]"], strict=True):
        assert value == pytest.approx(100 * float((row.result.labels == steel().truth).mean()))
    assert "By the truth" in panel.message.text()


def test_cancel_and_errors(panel: Any, qtbot: Any) -> None:
    state = panel.state
    with qtbot.waitSignal(state.widget.tasks.stopped, timeout=60_000) as over:
        panel.run_button.click()
        assert not panel.run_button.isEnabled()
        state.widget.tasks.cancel()
    assert over.args == ["cancelled"]
    assert panel.run_button.isEnabled()
    # One class alone cannot be told apart: one sentence, no traceback.
    layer = state.pairs[0].layer
    layer.data = np.where(strokes() == 1, 1, 0)
    compare(panel, qtbot, "failed")
    assert "at least two classes" in state.widget.tasks.status.text()
    state.pairs = ()
    assert not panel.run_button.isEnabled()
