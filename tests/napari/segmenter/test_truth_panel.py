"""A ground truth made of an annotation layer, with undo."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.components import ViewerModel

from napari_ebsdml._napari.segmenter.prediction_layers import show_prediction
from napari_ebsdml._napari.segmenter.truth_panel import TruthPanel
from napari_ebsdml.segmentation.truth import TruthSettings, label_by_threshold, refined_truth
from tests.napari.docks import run
from tests.napari.segmenter.panels import make_state, model, steel


def test_refine_take_and_undo(qtbot: Any) -> None:
    state = make_state(ViewerModel(), 3)
    qtbot.addWidget(state.widget)
    scan = steel(3).scan
    layer = state.pairs_of(scan)[-1].layer
    panel = TruthPanel(state, lambda: layer)
    state.widget.form.addWidget(panel)
    layer.data = np.zeros(scan.shape, np.int32)
    panel.refine()
    assert "nothing to refine" in panel.message.text()
    first = label_by_threshold(scan, "BS", 150).astype(np.int32)
    layer.data = first.copy()
    panel.form.set_values({"not_indexed": 2})
    run(panel.refine, state.widget.tasks, qtbot)
    expected = refined_truth(scan, first, TruthSettings(not_indexed=2))
    np.testing.assert_array_equal(layer.data, expected)
    assert f"{(expected != first).sum()} pixels" in panel.message.text()
    layer.undo()
    np.testing.assert_array_equal(layer.data, first)
    layer.redo()
    np.testing.assert_array_equal(layer.data, expected)
    assert not panel.take_button.isEnabled()
    show_prediction(state, scan, model().predict(scan))
    labels = state.prediction_layers(scan)["labels"]
    panel.take_button.click()
    np.testing.assert_array_equal(layer.data, labels.data)
    # The map is seen through the labels, which are drawn once.
    assert layer.opacity < 1
    assert not labels.visible
