"""Judging a prediction by a truth layer."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication
from skimage.io import imread
from sklearn.metrics import confusion_matrix, f1_score, jaccard_score, precision_score, recall_score

from napari_ebsdml import WriteError
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.of_scans import add_result
from napari_ebsdml._napari.segmenter.evaluation_panel import EvaluationPanel
from napari_ebsdml._napari.segmenter.truth import meaning_of
from tests.napari.segmenter.panels import make_state, predict, steel, strokes


@pytest.fixture
def panel(qtbot: Any) -> EvaluationPanel:
    state = make_state(ViewerModel(), 3)
    qtbot.addWidget(state.widget)
    panel = EvaluationPanel(state)
    state.widget.form.addWidget(panel)
    return panel


def add_truth(panel: Any, data: Any = None, classes: Any = ()) -> Any:
    return add_result(
        panel.state.viewer, steel().scan, steel().truth if data is None else data, "truth",
        kind="labels", classes=classes,
    )  # fmt: skip


def run(panel: Any, qtbot: Any) -> None:
    panel.run_button.click()
    qtbot.waitUntil(lambda: not panel.background.busy, timeout=20_000)


def columns(panel: Any) -> dict[str, list[Any]]:
    head, *rows = panel.table.rows()
    return {name: [row[n] for row in rows] for n, name in enumerate(head)}


def test_says_what_is_missing(panel: Any) -> None:
    assert not panel.run_button.isEnabled()
    assert "Train" in panel.message.text()
    predict(panel.state)
    assert not panel.run_button.isEnabled()
    assert "Labels layer" in panel.message.text()
    layer = add_truth(panel)
    assert panel.run_button.isEnabled()
    assert panel.truth.layer is layer
    # Without names one should see which class each value is taken for; with names one does.
    assert not panel.truth.table.isHidden()
    panel.state.viewer.layers.remove(layer)
    assert not panel.run_button.isEnabled()
    add_truth(panel, classes=(LabelClass(1, "ferrite"), LabelClass(2, "martensite")))
    assert panel.run_button.isEnabled()
    assert panel.truth.table.isHidden()


@pytest.mark.parametrize("unpainted", [True, False])
def test_figures_are_those_of_scikit_learn(panel: Any, qtbot: Any, unpainted: bool) -> None:
    labels = predict(panel.state).labels
    add_truth(panel)
    panel.unpainted.setChecked(unpainted)
    run(panel, qtbot)
    use = (strokes() == 0) if unpainted else np.ones(labels.shape, bool)
    true, got = steel().truth[use], labels[use]
    table = columns(panel)
    assert table["class"] == ["ferrite", "martensite"]
    options = {"labels": [1, 2], "average": None}
    for name, function in (
        ("precision [%]", precision_score), ("recall [%]", recall_score), ("F1 [%]", f1_score),
        ("IoU [%]", jaccard_score),
    ):  # fmt: skip
        np.testing.assert_allclose(table[name], 100 * function(true, got, **options))
    np.testing.assert_array_equal(
        np.transpose([table["predicted ferrite"], table["predicted martensite"]]),
        confusion_matrix(true, got),
    )
    fraction = 100 * np.array([(got == v).mean() - (true == v).mean() for v in (1, 2)])
    np.testing.assert_allclose(table["error [points]"], fraction, atol=1e-9)
    assert f"{100 * (true == got).mean():.2f} % right" in panel.message.text()


def test_results_can_be_taken_away(
    panel: Any, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels = predict(panel.state).labels
    add_truth(panel)
    run(panel, qtbot)
    panel.table.save(tmp_path / "figures.csv")
    rows = list(csv.DictReader((tmp_path / "figures.csv").read_text("utf-8").splitlines()))
    assert [row["class"] for row in rows] == ["ferrite", "martensite"]
    panel.table.copy()
    assert QApplication.clipboard().text().startswith("class\tprecision [%]")
    panel.save_picture(tmp_path / "confusion.png")
    image = imread(tmp_path / "confusion.png")
    assert min(image.shape[:2]) > 400
    assert len(np.unique(image.reshape(-1, image.shape[-1]), axis=0)) > 20
    with pytest.raises(WriteError, match="xyz"):
        panel.save_picture(tmp_path / "confusion.xyz")
    with pytest.raises(WriteError, match="No such file"):
        panel.save_picture(tmp_path / "none" / "confusion.png")

    panel.map_button.click()
    shown = next(one for one in panel.state.viewer.layers if "accuracy map" in one.name)
    want = np.where(labels == steel().truth, 1, 2)
    want[strokes() > 0] = 0
    np.testing.assert_array_equal(shown.data, want)
    # The map of right and wrong is no truth.
    assert panel.truth.box.count() == 1


def test_other_values_get_a_meaning(panel: Any, qtbot: Any) -> None:
    predict(panel.state)
    names = (LabelClass(10, "Martensite"), LabelClass(20, "ferrite"), LabelClass(30, "dirt"))
    data = np.where(steel().truth == 2, 10, 20)
    data[:5] = 30
    add_truth(panel, data, names)
    assert not panel.truth.table.isHidden()
    chosen = {value: box.currentData() for value, box in panel.truth.meanings.items()}
    assert chosen == {10: 2, 20: 1, 30: 0}
    run(panel, qtbot)
    compared = panel.evaluation.correct >= 0
    assert not compared[:5].any()
    assert compared.sum() == ((strokes() == 0)[5:]).sum()
    accuracy = panel.evaluation.accuracy
    assert accuracy > 0.7
    # Another meaning, another result; the old one is taken away at once.
    box = panel.truth.meanings[10]
    box.setCurrentIndex(box.findData(1))
    assert panel.evaluation is None
    assert panel.results.isHidden()
    run(panel, qtbot)
    assert panel.evaluation.accuracy < accuracy
    for box in panel.truth.meanings.values():
        box.setCurrentIndex(0)
    run(panel, qtbot)
    assert "no pixel" in panel.message.text()


def test_a_map_of_grains_is_no_truth(panel: Any, qtbot: Any) -> None:
    predict(panel.state)
    add_truth(panel, np.arange(64 * 80).reshape(64, 80))
    assert "no map of classes" in panel.truth.note.text()
    assert panel.truth.truth() is None
    panel.run()
    assert panel.evaluation is None


def test_meaning_by_name_before_value() -> None:
    classes = {1: "ferrite", 2: "martensite"}
    assert meaning_of(1, "Martensite", classes) == 2
    assert meaning_of(2, "", classes) == 2
    assert meaning_of(7, "cementite", classes) == 0
