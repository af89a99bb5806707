"""Saving, loading and applying models from the dock."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

from napari_ebsdml import Segmenter, Source
from napari_ebsdml._napari.layers.of_scans import add_result, info_of
from napari_ebsdml._napari.segmenter.model_files import file_of
from napari_ebsdml._napari.segmenter.model_panel import Failed, ModelPanel
from napari_ebsdml._napari.segmenter.state import SegmentClass
from napari_ebsdml._napari.segmenter.widget import SegmenterWidget
from napari_ebsdml.segmentation.models.ready_names import READY_TITLES
from tests.napari.docks import run
from tests.napari.segmenter.panels import make_state, model, steel


@pytest.fixture
def panel(qtbot: Any) -> ModelPanel:
    state = make_state(ViewerModel(), 3, 4)
    qtbot.addWidget(state.widget)
    panel = ModelPanel(state)
    state.widget.form.addWidget(panel)
    return panel


def finish(panel: Any, qtbot: Any, start: Any, expect: str = "done") -> None:
    run(start, panel.state.widget.tasks, qtbot, expect)


def test_save_and_load(panel: Any, qtbot: Any, tmp_path: Path) -> None:
    state = panel.state
    assert not panel.save_button.isEnabled()
    assert "No model yet" in panel.card.text()
    state.segmenter = model()
    assert "not saved yet" in panel.card.text()
    finish(panel, qtbot, lambda: panel.save(tmp_path / "steel"))
    assert (tmp_path / "steel.safetensors").is_file()
    assert "Saved steel.safetensors" in panel.message.text()
    assert "steel.safetensors" in panel.card.text()

    state.segmenter = None
    state.classes = (SegmentClass(1, "a", "#000000"), SegmentClass(5, "b", "#ffffff"))
    state.channels = ("BC",)
    finish(panel, qtbot, lambda: panel.load(tmp_path / "steel.safetensors"))
    assert isinstance(state.segmenter, Segmenter)
    assert file_of(state.segmenter) == tmp_path / "steel.safetensors"
    assert [(c.value, c.name, c.color) for c in state.classes] == [
        (1, "ferrite", "#3182bd"), (2, "martensite", "#e6550d"),
    ]  # fmt: skip
    assert state.channels == ("BS", "KAM")
    text = panel.card.text()
    assert "ferrite" in text
    assert "BS, KAM" in text
    assert "0.1 to 0.2 µm" in text
    assert f"{100 * model().metrics['accuracy']:.1f} %" in text


def test_a_painted_class_outlives_a_model_that_lacks_it(
    panel: Any, qtbot: Any, tmp_path: Path
) -> None:
    state = panel.state
    model().save(tmp_path / "steel")
    state.classes = (*state.classes, SegmentClass(3, "dirt", "#aaaaaa"))
    layer = state.pairs[0].layer
    data = layer.data.copy()
    data[0, 0] = 3
    layer.data = data
    finish(panel, qtbot, lambda: panel.load(tmp_path / "steel"))
    assert [c.name for c in state.classes] == ["ferrite", "martensite", "dirt"]


def test_bad_files_are_one_sentence(panel: Any, qtbot: Any, tmp_path: Path) -> None:
    state = panel.state
    finish(panel, qtbot, lambda: panel.load(tmp_path / "none.safetensors"), "failed")
    assert "none.json: no such file" in state.widget.tasks.status.text()
    model().save(tmp_path / "other")
    card = json.loads((tmp_path / "other.json").read_text("utf-8"))
    card["kind"] = "dislocation-density"
    (tmp_path / "other.json").write_text(json.dumps(card), "utf-8")
    finish(panel, qtbot, lambda: panel.load(tmp_path / "other"), "failed")
    assert "dislocation-density" in state.widget.tasks.status.text()
    assert state.segmenter is None
    state.segmenter = model()
    (tmp_path / "file").write_text("")
    finish(panel, qtbot, lambda: panel.save(tmp_path / "file" / "steel"), "failed")
    assert str(tmp_path / "file") in state.widget.tasks.status.text()


def test_drop_loads(panel: Any, qtbot: Any, tmp_path: Path) -> None:
    model().save(tmp_path / "steel")
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / "steel.safetensors"))])
    event = QDropEvent(
        QPointF(5, 5), Qt.DropAction.CopyAction, data, Qt.MouseButton.LeftButton,
        Qt.KeyboardModifier.NoModifier,
    )  # fmt: skip
    finish(panel, qtbot, lambda: panel.dropEvent(event))
    assert panel.state.segmenter is not None


def test_apply_to_all_goes_on_after_a_bad_scan(panel: Any, qtbot: Any) -> None:
    state = panel.state
    state.segmenter = dataclasses.replace(model())
    # A scan without BS between two good ones, and one of another step.
    bad = dataclasses.replace(
        steel(3).scan, prop={"BC": steel(3).scan.get("BC")}, source=Source(path=Path("bad.ctf"))
    )
    coarse = dataclasses.replace(
        steel(3).scan, step=(0.7, 0.7), source=Source(path=Path("coarse.ctf"))
    )
    for scan in (bad, coarse):
        add_result(state.viewer, scan, scan.get("BC"), "BC")
    assert panel.all_button.text() == "Apply to all 4 scans"
    finish(panel, qtbot, panel.all_button.click)
    assert set(state.predictions) == {steel(3).scan, steel(4).scan, coarse}
    assert [type(one) is Failed for one in panel.outcomes].count(True) == 1
    text = panel.message.text()
    assert "<b>bad</b>: The model needs the channels BS, KAM" in text
    assert "coarse: The step is 0.7 um" in text
    want = model().predict(steel(4).scan).labels
    shown = state.prediction_layers(steel(4).scan)["labels"]
    np.testing.assert_array_equal(shown.data, want)
    assert info_of(shown)["model"] == "U-Net"

    head, *rows = panel.table.rows()
    by_scan = {row[0]: dict(zip(head, row, strict=True)) for row in rows}
    assert by_scan["steel4"]["ferrite [%]"] == pytest.approx(100 * (want == 1).mean())
    assert by_scan["steel4"]["ferrite low"] < by_scan["steel4"]["ferrite [%]"]
    assert np.isnan(by_scan["bad"]["ferrite [%]"])
    assert by_scan["bad"]["remark"].startswith("failed: ")


def test_apply_to_one_and_cancel(panel: Any, qtbot: Any) -> None:
    state = panel.state
    state.segmenter = model()
    state.widget.chooser.scan = steel(4).scan
    finish(panel, qtbot, panel.one_button.click)
    assert set(state.predictions) == {steel(4).scan}
    assert panel.table.isHidden()

    def start() -> None:
        panel.all_button.click()
        assert not panel.all_button.isEnabled()
        assert not panel.load_button.isEnabled()
        state.widget.tasks.cancel()

    finish(panel, qtbot, start, "cancelled")
    assert panel.all_button.isEnabled()


def test_a_ready_model(panel: Any, qtbot: Any) -> None:
    """The menu offers the shipped models, whose classes and channels become the dock's."""
    actions = panel.ready_button.menu().actions()
    assert [a.text() for a in actions] == list(READY_TITLES.values())
    finish(panel, qtbot, actions[0].trigger)
    state = panel.state
    assert [c.name for c in state.classes][:3] == ["ferrite", "martensite", "bainite"]
    assert "boosted trees" in panel.card.text()
    assert "Quality" in state.channels


@pytest.mark.parametrize("by_code", [False, True])
def test_the_class_table_has_the_names_of_a_ready_model(
    by_code: bool, viewer: Any, qtbot: Any
) -> None:
    widget = SegmenterWidget(viewer)
    qtbot.addWidget(widget)
    table = widget.strokes.table
    assert [table.text(row, 1) for row in range(2)] == ["class 1", "class 2"]
    if by_code:
        widget.state.segmenter = Segmenter.ready("martensite")
    else:
        title = READY_TITLES["martensite"]
        action = next(a for a in widget.model.ready_button.menu().actions() if a.text() == title)
        run(action.trigger, widget.tasks, qtbot)
    names = [table.text(row, 1) for row in range(table.view.rowCount())]
    assert names == ["ferrite", "martensite", "bainite"]


def test_a_model_that_is_set_leaves_named_classes_alone(panel: Any) -> None:
    state = panel.state
    state.change_class(2, name="class 2")
    state.segmenter = Segmenter.ready("recrystallised")
    assert [c.name for c in state.classes] == ["ferrite", "recovered"]
