"""Key of the layers that are seen, and tables."""

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
from napari_ebsdml._napari.controls.table import DataTable, shown
from napari_ebsdml._napari.files.map_layers import map_layers
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.legend import MapLegend, log_ticks, nice_ticks
from napari_ebsdml._napari.layers.lines import add_lines
from napari_ebsdml._napari.layers.of_scans import add_result


def _colors(widget: Any) -> np.ndarray:
    image = widget.grab().toImage().convertToFormat(widget.grab().toImage().Format.Format_RGBA8888)
    bits = image.constBits()
    bits.setsize(image.sizeInBytes())
    return np.frombuffer(bytes(bits), np.uint8).reshape(image.height(), image.width(), 4)[..., :3]


def test_key_of_everything_that_is_seen(qtbot: Any, make_scan: Callable[..., Scan]) -> None:
    model, scan = ViewerModel(), make_scan()
    for data, options, kind in map_layers(scan):
        getattr(model, f"add_{kind}")(data, **options)
    legend = MapLegend(model)
    qtbot.addWidget(legend)
    legend.resize(320, 600)

    def has(color: tuple[int, int, int], near: int = 12) -> bool:
        distance = np.abs(_colors(legend).astype(int) - color).max(axis=-1)
        return bool((distance <= near).sum() >= 4)

    def seen() -> list[str]:
        return [layer.metadata["ebsdml"]["quantity"] for layer in legend.layers]

    assert seen() == ["IPF-Z"]
    # The corners of a cubic colour key.
    qtbot.waitUntil(
        lambda: has((255, 0, 0)) and has((0, 255, 0)) and has((0, 0, 255)), timeout=20_000
    )
    small = legend.minimumHeight()
    labels = np.ones(scan.shape, dtype=int)
    classes = [LabelClass(1, "first", "#ff2d2d"), LabelClass(2, "second", "#2dff2d")]
    add_result(model, scan, labels, "classes", kind="labels", classes=classes)
    kam = add_result(model, scan, labels, "KAM", "°", colormap="magma", contrast_limits=(0, 2))
    lines = np.array([[[0.25, 0.0], [0.25, 1.0]]])
    add_lines(
        model, scan, lines, np.array([1]), "boundaries", [LabelClass(1, "high angle", "#56b4e9")],
        labels,
    )  # fmt: skip
    # The picture, then what lies on it.
    assert seen() == ["KAM", "classes", "boundaries"]
    kam.opacity = 0.5
    assert seen() == ["KAM", "IPF-Z", "classes", "boundaries"]
    kam.opacity = 1
    assert legend.minimumHeight() != small
    legend.resize(320, legend.minimumHeight())
    assert has((255, 45, 45))
    assert has((45, 255, 45))
    assert has((86, 180, 233))
    top = tuple(int(255 * v) for v in kam.colormap.map(np.array([1.0]))[0, :3])
    assert has(top)
    kam.colormap = "gray"
    assert not has(top)
    model.layers["IPF-Z · steel"].visible = False
    assert not has((0, 0, 255))
    # Another map is selected, then nothing, then it is gone.
    other = make_scan(seed=1)
    layer = add_result(model, other, labels, "GOS", "°", visible=False)
    model.layers.selection.active = layer
    assert legend.scan is other
    assert seen() == []
    model.layers.selection.clear()
    assert legend.scan is other
    model.layers.remove(layer)
    assert legend.scan is scan


def test_ticks_of_logarithms_are_the_numbers_themselves() -> None:
    assert log_ticks(12, 16)[:2] == [(12.0, "10¹²"), (13.0, "10¹³")]
    narrow = [text for _, text in log_ticks(13.9, 14.8)]
    assert narrow == ["10¹⁴", "2·10¹⁴", "5·10¹⁴"]
    assert len(log_ticks(-12, 18)) <= 8
    assert log_ticks(1, 1) == []


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
    assert table.view.model().index(1, 1).data() == "–"
    assert shown(7.905e13) == "7.90·10¹³"
    assert shown(-2e-7) == "-2.00·10⁻⁷"
    with pytest.raises(InputError, match="one length"):
        table.set_columns({"a": [1], "b": []})
    with pytest.raises(WriteError, match="could not be saved"):
        table.save(tmp_path)


def test_orientations_that_were_found_have_the_cubic_key(
    qtbot: Any, make_scan: Callable[..., Scan]
) -> None:
    model, scan = ViewerModel(), make_scan()
    lost = dataclasses.replace(scan, phase_id=np.full(scan.shape, -1))
    legend = MapLegend(model)
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


def test_no_column_of_a_table_is_cut(qtbot: Any) -> None:
    table = DataTable()
    qtbot.addWidget(table)
    table.resize(260, 200)
    table.show()
    qtbot.waitExposed(table)
    table.set_columns({f"mean {n} [1/m²]": [7.70e13, 1.0] for n in range(8)})
    header = table.view.horizontalHeader()

    def ends() -> list[int]:
        return np.cumsum([header.sectionSize(column) for column in range(8)]).tolist()

    assert table.view.viewport().width() in ends()
    assert ends()[-1] > table.view.viewport().width()
    table.resize(330, 200)
    qtbot.waitUntil(lambda: table.view.viewport().width() in ends())
    table.set_columns({"": ["diameter by area"], "a phase with a very long name [µm]": [1.0],
                       "another phase with a long name [µm]": [2.0]})  # fmt: skip
    assert sum(header.sectionSize(c) for c in range(3)) == table.view.viewport().width()
