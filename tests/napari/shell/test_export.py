"""Figures of layers, as every dock exports them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from PIL import Image

import napari_ebsdml as ebsdml
from napari_ebsdml import InputError, Scan
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.layer_figure import draw_layer, layer_to_export
from napari_ebsdml._napari.layers.of_scans import Level, add_result
from napari_ebsdml._napari.shell.export import FigureDialog
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from napari_ebsdml.figures import FigureSettings
from tests.napari.docks import add_map


@pytest.fixture
def scan(make_scan: Callable[..., Scan]) -> Scan:
    return make_scan()


def texts(drawn: Any) -> set[str]:
    drawn.canvas.draw()
    found = {text.get_text() for ax in drawn.axes for text in ax.texts}
    return found | {t.get_text() for ax in drawn.axes for t in ax.get_yticklabels()}


def test_a_log_layer_gets_real_numbers(model: ViewerModel, scan: Scan) -> None:
    values = 10.0 ** np.linspace(12, 15, scan.phase_id.size).reshape(scan.shape)
    layer = add_result(
        model, scan, np.log10(values), "GND density", "log10 1/m²", contrast_limits=(12.0, 15.0),
        colormap="inferno",
    )  # fmt: skip
    drawn = draw_layer(layer)
    np.testing.assert_allclose(drawn.axes[0].images[0].get_array(), values, rtol=1e-5)
    assert {"GND density (1/m²)", "$10^{13}$", "$10^{14}$"} <= texts(drawn)


def test_classes_keep_names_and_colors(model: ViewerModel, scan: Scan) -> None:
    labels = np.ones(scan.shape, int)
    labels[0] = 2
    classes = (LabelClass(1, "ferrite", "#0072b2"), LabelClass(2, "martensite", "#e69f00"))
    layer = add_result(model, scan, labels, "segmentation", kind="segmentation", classes=classes)
    drawn = draw_layer(layer)
    assert {"ferrite", "martensite"} <= texts(drawn)
    assert drawn.axes[0].images[0].get_array()[0, 0].tolist() == [0xE6, 0x9F, 0x00, 255]


def test_the_button_writes_what_is_selected(
    qtbot: Any, model: ViewerModel, scan: Scan, tmp_path: Path
) -> None:
    add_map(model, scan)
    widget = ScanWidget(model)
    qtbot.addWidget(widget)
    widget.show()
    kam = add_result(model, scan, ebsdml.kam(scan), "KAM", "°")
    model.layers.selection.active = kam
    widget.export.export(tmp_path / "kam", FigureSettings(width=60, dpi=100))
    with Image.open(tmp_path / "kam.png") as image:
        assert image.width == pytest.approx(60 / 25.4 * 100, abs=1)
    # Where nothing of the map is selected, what is seen of it on top.
    model.layers.selection.clear()
    assert layer_to_export(model, scan) is kam
    kam.visible = False
    assert layer_to_export(model, scan) is not kam
    model.layers.clear()
    with pytest.raises(InputError, match="Select an image"):
        layer_to_export(model, scan)


def test_the_dialog_gives_what_is_set(qtbot: Any) -> None:
    dialog = FigureDialog("KAM", FigureSettings(width=120, boundaries=True))
    qtbot.addWidget(dialog)
    assert dialog.form.settings() == FigureSettings(width=120, boundaries=True)
    dialog.form["dpi"].value = 600
    assert dialog.form.settings().dpi == 600


def test_a_report_holds_the_layers_of_the_map(
    qtbot: Any, model: ViewerModel, scan: Scan, tmp_path: Path
) -> None:
    add_map(model, scan)
    labels = np.ones(scan.shape, int)
    classes = (LabelClass(1, "ferrite", "#0072b2"),)
    add_result(model, scan, labels, "segmentation", kind="segmentation", classes=classes)
    add_result(model, scan, labels, "strokes", kind="labels", level=Level.STROKES)
    dock = ScanWidget(model)
    qtbot.addWidget(dock)
    actions = [action.text() for action in dock.export.menu().actions()]
    assert actions == ["Figure of the selected layer …", "Report of the map …"]
    with qtbot.waitSignal(dock.tasks.stopped, timeout=60_000) as over:
        dock.export.report(tmp_path / "map")
    assert over.args == ["done"], dock.tasks.status.text()
    text = (tmp_path / "map.html").read_text()
    # Layers but the strokes, and the boundaries.
    assert text.count("data:image/png;base64,") == len(model.layers)
    assert scan.name in text


def test_after_painting_the_result_is_drawn_and_not_the_strokes(
    model: ViewerModel, scan: Scan
) -> None:
    add_map(model, scan)
    labels = np.ones(scan.shape, int)
    result = add_result(model, scan, labels, "segmentation", kind="segmentation")
    strokes = add_result(model, scan, labels, "strokes", kind="labels", level=Level.STROKES)
    model.layers.selection.active = strokes
    assert layer_to_export(model, scan) is result
    for layer in model.layers:
        layer.visible = layer is strokes
    assert layer_to_export(model, scan) is strokes
