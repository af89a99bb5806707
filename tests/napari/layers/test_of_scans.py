"""The helper that writes what every layer carries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels, Layer

from napari_ebsdml import InputError, Scan
from napari_ebsdml._napari.files.map_layers import map_layers, stack_layers
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.lines import add_lines
from napari_ebsdml._napari.layers.of_scans import (
    add_result,
    contrast_limits,
    info_of,
    layer_data,
    layers_of,
    scan_of,
    scans_in,
    scans_of,
)

MakeScan = Callable[..., Scan]


def _add(viewer: ViewerModel, tuples: list[tuple[object, dict[str, object], str]]) -> list[Layer]:
    return [Layer.create(*one) for one in tuples if viewer.add_layer(Layer.create(*one))]


def test_layer_carries_scan_name_scale_and_units(make_scan: MakeScan) -> None:
    scan = make_scan()
    density = np.full(scan.shape, 1e14)
    layer = Layer.create(
        *layer_data(scan, density, "GND density", "1/m²", settings={"norm": "l1"}, model="default")
    )
    assert isinstance(layer, Image)
    assert layer.name == "GND density [1/m²] · steel"
    assert tuple(layer.scale) == (0.5, 0.25)
    assert [str(unit) for unit in layer.units] == ["micrometer", "micrometer"]
    assert layer.axis_labels == ("y", "x")
    assert scan_of(layer) is scan
    info = info_of(layer)
    assert info is not None
    assert (info["quantity"], info["unit"], info["kind"]) == ("GND density", "1/m²", "image")
    assert (info["settings"], info["model"]) == ({"norm": "l1"}, "default")


def test_layers_of_others_have_no_scan() -> None:
    assert scan_of(Image(np.zeros((2, 2)))) is None
    assert scan_of(Image(np.zeros((2, 2)), metadata={"ebsdml": "mine"})) is None


def test_not_indexed_colors_are_transparent_and_rounded(make_scan: MakeScan) -> None:
    scan = make_scan()
    colors = np.full((*scan.shape, 3), 0.5)
    colors[0] = np.nan
    colors[1, 0] = (1.0, 0.0, 1.7)
    data, options, kind = layer_data(scan, colors, "IPF-Z", kind="rgb")
    assert (kind, options["rgb"], data.dtype) == ("image", True, np.uint8)
    assert not data[0].any()
    assert data[1, 0].tolist() == [255, 0, 255, 255]
    assert data[1, 1].tolist() == [128, 128, 128, 255]


def test_big_endian_and_bool_data_are_shown_as_their_values(make_scan: MakeScan) -> None:
    scan = make_scan()
    values = np.arange(scan.phase_id.size, dtype=">f4").reshape(scan.shape)
    data, *_ = layer_data(scan, values, "SEM")
    assert data.dtype.isnative
    np.testing.assert_array_equal(data, values)
    data, *_ = layer_data(scan, scan.is_indexed, "indexed")
    assert data.dtype == np.uint8


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (np.zeros((3, 3)), "image", "shape"),
        (np.zeros((6, 8)), "rgb", "shape"),
        (np.zeros((6, 8, 2)), "rgb", "3 or 4 channels"),
        (np.zeros((6, 8)), "labels", "whole numbers"),
        (np.zeros((6, 8)), "picture", "kind"),
    ],
)
def test_data_that_do_not_fit_are_refused(
    make_scan: MakeScan, data: np.ndarray, kind: str, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        layer_data(make_scan(), data, "x", kind=kind)


def test_contrast_ignores_outliers_and_not_indexed_pixels() -> None:
    values = np.linspace(100, 200, 10_000).reshape(100, 100)
    indexed = np.ones(values.shape, dtype=bool)
    indexed[:10] = False
    values[:10] = -1e9
    values[50, 50], values[60, 60] = 1e12, np.nan
    low, high = contrast_limits(values, indexed)
    assert 109 < low < 113
    assert 198 < high < 200
    assert contrast_limits(np.full((3, 3), 7.0))[1] > 7
    assert contrast_limits(np.full((3, 3), np.nan)) == (0.0, 1.0)


def test_contrast_limits_stay_apart_in_single_precision() -> None:
    low, high = contrast_limits(np.full((3, 3), 1e15))
    assert np.float32(low) < np.float32(high)


def test_class_names_reach_the_features_table(make_scan: MakeScan) -> None:
    scan = make_scan()
    labels = np.ones(scan.shape, dtype=np.uint8)
    classes = [LabelClass(1, "ferrite", "red"), LabelClass(2, "martensite")]
    layer = Layer.create(
        *layer_data(scan, labels, "segmentation", kind="segmentation", classes=classes)
    )
    assert isinstance(layer, Labels)
    assert layer.data.dtype == np.int32
    assert list(layer.features["class"]) == ["none", "ferrite", "martensite"]
    np.testing.assert_allclose(layer.get_color(1), (1, 0, 0, 1))
    assert layer.get_color(0) is None or layer.get_color(0)[3] == 0
    assert "class: ferrite" in layer.get_status((0.5, 0.5), world=True)["value"]


def test_result_lands_on_its_scan_wherever_that_lies(make_scan: MakeScan) -> None:
    viewer = ViewerModel()
    first, second = make_scan(), make_scan(seed=1)
    _add(viewer, map_layers(first))
    _add(viewer, map_layers(second, (0.0, 30.0)))
    viewer.layers.selection.active = viewer.layers[0]
    layer = add_result(viewer, second, np.ones(second.shape), "KAM", "°")
    assert tuple(layer.translate) == (0.0, 30.0)
    assert scan_of(layer) is second
    assert scans_in(viewer) == [first, second]
    assert layers_of(viewer, second)[-1] is layer


def test_result_replaces_the_same_quantity_when_asked(make_scan: MakeScan) -> None:
    viewer = ViewerModel()
    scan = make_scan()
    _add(viewer, map_layers(scan))
    first = add_result(viewer, scan, np.ones(scan.shape), "KAM", "°", settings={"order": 1})
    first.colormap = "magma"
    again = add_result(
        viewer, scan, np.zeros(scan.shape), "KAM", "°", settings={"order": 2}, replace=True
    )
    assert again is first
    assert again.data.max() == 0
    assert again.colormap.name == "magma"
    assert (info_of(again) or {})["settings"] == {"order": 2}
    other = add_result(viewer, scan, np.zeros(scan.shape), "KAM", "°")
    assert other is not first


def test_result_of_one_section_lies_at_its_height(make_scan: MakeScan) -> None:
    viewer = ViewerModel()
    scans: list[Scan] = [make_scan(seed=i) for i in range(4)]
    _add(viewer, stack_layers(scans, (0.0, 7.0)))
    assert scans_in(viewer) == scans
    volume = viewer.layers[0]
    assert volume.data.shape == (4, 6, 8)
    assert scans_of(volume) == tuple(scans)
    viewer.dims.set_point(0, 2 * 0.5)
    assert scan_of(volume, viewer) is scans[2]

    layer = add_result(viewer, scans[2], np.ones(scans[2].shape), "KAM", "°")
    assert layer.data.shape == (1, 6, 8)
    assert tuple(layer.translate) == (1.0, 0.0, 7.0)
    assert scan_of(layer, viewer) is scans[2]
    whole = add_result(viewer, scans, np.ones((4, 6, 8)), "KAM", "°")
    assert tuple(whole.translate) == (0.0, 0.0, 7.0)


def test_lines_keep_their_width_on_the_screen(make_scan: MakeScan, qtbot: Any) -> None:
    model, scan = ViewerModel(), make_scan()
    _add(model, map_layers(scan)[:1])
    model.scene.camera.zoom = 100.0
    lines = np.array([[[0.25, 0.0], [0.25, 1.0]]])
    layer = add_lines(
        model, scan, lines, np.array([1]), "boundaries", [LabelClass(1, "high", "#ffffff")],
        np.zeros(scan.shape, int), width=2.0,
    )  # fmt: skip
    # 2 pixels of the screen are 0.02 um, which are 0.08 pixels of 0.25 um.
    assert layer.edge_width == pytest.approx(2 / 100 / 0.25)
    model.scene.camera.zoom = 200.0
    qtbot.waitUntil(lambda: layer.edge_width == pytest.approx(0.04), timeout=5000)
    model.scene.camera.zoom = 0.1
    qtbot.waitUntil(lambda: layer.edge_width == pytest.approx(2.0), timeout=5000)
    # What the user sets stays.
    layer.edge_width = 0.5
    model.scene.camera.zoom = 50.0
    qtbot.wait(200)
    assert layer.edge_width == 0.5
