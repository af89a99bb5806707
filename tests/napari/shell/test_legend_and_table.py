"""Legend of the selected layer, and tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication

from napari_ebsdml import InputError, Scan, WriteError
from napari_ebsdml._napari.files.map_layers import map_layers
from napari_ebsdml._napari.shell.classes import LabelClass
from napari_ebsdml._napari.shell.layers import add_result
from napari_ebsdml._napari.shell.legend import LayerLegend, nice_ticks
from napari_ebsdml._napari.shell.table import DataTable


def _colors(widget: Any) -> np.ndarray:
    image = widget.grab().toImage().convertToFormat(widget.grab().toImage().Format.Format_RGBA8888)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    return np.frombuffer(bytes(bits), np.uint8).reshape(image.height(), image.width(), 4)[..., :3]


def test_legend_shows_what_the_colours_mean(qtbot: Any, make_scan: Callable[..., Scan]) -> None:
    model, scan = ViewerModel(), make_scan()
    for data, options, kind in map_layers(scan):
        getattr(model, f"add_{kind}")(data, **options)
    legend = LayerLegend(model)
    qtbot.addWidget(legend)
    legend.resize(320, 220)

    def has(color: tuple[int, int, int], near: int = 12) -> bool:
        distance = np.abs(_colors(legend).astype(int) - color).max(axis=-1)
        return bool((distance <= near).sum() >= 4)

    # The corners of a cubic colour key.
    model.layers.selection.active = model.layers["steel · IPF-Z"]
    qtbot.waitUntil(
        lambda: has((255, 0, 0)) and has((0, 255, 0)) and has((0, 0, 255)), timeout=20_000
    )
    labels = np.ones(scan.shape, dtype=int)
    classes = [LabelClass(1, "first", "#ff2d2d"), LabelClass(2, "second", "#2dff2d")]
    model.layers.selection.active = add_result(
        model, scan, labels, "classes", kind="labels", classes=classes
    )
    assert has((255, 45, 45))
    assert has((45, 255, 45))
    assert not has((0, 0, 255))
    kam = add_result(model, scan, labels, "KAM", "°", colormap="viridis", contrast_limits=(0, 2))
    model.layers.selection.active = kam
    top = tuple(int(255 * v) for v in kam.colormap.map(np.array([1.0]))[0, :3])
    assert has(top)
    kam.colormap = "gray"
    assert not has(top)
    # Nothing selected: the last legend stays until its layer is gone.
    model.layers.selection.clear()
    assert legend.layer is kam
    model.layers.remove(kam)
    assert legend.layer is None


def test_ticks_are_round_numbers() -> None:
    assert nice_ticks(0, 3) == [0, 1, 2, 3]
    assert nice_ticks(0, 0.5) == [0, 0.1, 0.2, 0.3, 0.4, 0.5]
    assert nice_ticks(80, 200) == [100, 125, 150, 175, 200]
    assert nice_ticks(1, 1) == []


def test_table_is_copied_and_saved(qtbot: Any, tmp_path: Path) -> None:
    table = DataTable()
    qtbot.addWidget(table)
    table.set_columns({"name": ["a, b", "c"], "value": np.array([1 / 3, np.nan])})
    table.copy_button.click()
    assert QApplication.clipboard().text() == f"name\tvalue\na, b\t{1 / 3}\nc\tnan\n"
    table.save(tmp_path / "table.csv")
    first, second, _ = (tmp_path / "table.csv").read_text().splitlines()
    assert (first, second) == ("name,value", f'"a, b",{1 / 3}')
    assert table.view.model().index(0, 1).data() == "0.3333"
    assert table.view.model().index(1, 1).data() == ""
    with pytest.raises(InputError, match="one length"):
        table.set_columns({"a": [1], "b": []})
    with pytest.raises(WriteError, match="could not be saved"):
        table.save(tmp_path)


def test_orientations_that_were_found_have_the_cubic_key(
    qtbot: Any, make_scan: Callable[..., Scan]
) -> None:
    model, scan = ViewerModel(), make_scan()
    lost = dataclasses.replace(scan, phase_id=np.full(scan.shape, -1))
    legend = LayerLegend(model)
    qtbot.addWidget(legend)
    legend.resize(320, 220)
    colors = np.zeros((*scan.shape, 3), np.float32)
    model.layers.selection.active = add_result(
        model, lost, colors, "IPF-Z of found orientations", kind="rgb",
        settings={"orientations": "searched for"},
    )  # fmt: skip
    qtbot.waitUntil(
        lambda: bool((np.abs(_colors(legend).astype(int) - (255, 0, 0)).max(axis=-1) < 12).any()),
        timeout=20_000,
    )
