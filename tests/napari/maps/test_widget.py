"""The widget "EBSD maps" in a real napari window, and what all widgets share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from orix.crystal_map import Phase, PhaseList

import napari_ebsdml as ebsdml
from napari_ebsdml import Scan, Source
from napari_ebsdml._napari.files.map_layers import stack_layers
from napari_ebsdml._napari.layers.of_scans import layers_of
from napari_ebsdml._napari.maps.results import MapResult, map_results
from napari_ebsdml._napari.maps.widget import MapsWidget
from napari_ebsdml.maps import MapSettings
from tests.napari.docks import PLUGIN, add_map, open_dock, wait_until_done

ROWS, COLUMNS = 12, 16


def _about(axis: tuple[float, float, float], degrees: Any) -> np.ndarray:
    half = np.radians(np.asarray(degrees, dtype=float)) / 2
    unit = np.asarray(axis) / np.linalg.norm(axis)
    return np.concatenate((np.cos(half)[..., None], np.sin(half)[..., None] * unit), axis=-1)


@pytest.fixture
def scan() -> Scan:
    """Nickel with a gradient of 0.2 degrees a row, its twin, and a strip of iron below.

    Columns 0-7 are one grain, 8-15 its twin (60 degrees about <111>), rows 9-11 are ferrite; the
    first row is not indexed.
    """
    bend = _about((0, 0, 1), 0.2 * np.arange(ROWS))
    quaternions = np.repeat(bend[:, None], COLUMNS, axis=1)
    twin = _about((1, 1, 1), 60.0)
    w, (x, y, z) = twin[0], twin[1:]
    left = np.array([[w, -x, -y, -z], [x, w, -z, y], [y, z, w, -x], [z, -y, x, w]])
    quaternions[:, 8:] = quaternions[:, 8:] @ left.T
    quaternions[9:] = (1, 0, 0, 0)
    phase_id = np.zeros((ROWS, COLUMNS), dtype=np.int32)
    phase_id[9:] = 1
    phase_id[0], quaternions[0] = -1, 0
    phases = PhaseList(
        {0: Phase(name="Nickel", space_group=225), 1: Phase(name="Ferrite", space_group=229)}
    )
    rng = np.random.default_rng(0)
    prop = {"BC": rng.integers(80, 200, (ROWS, COLUMNS)).astype(np.uint8)}
    return Scan(
        quaternions=quaternions, phase_id=phase_id, phases=phases, step=(0.5, 0.5), prop=prop,
        source=Source(path=Path("bicrystal.ctf")),
    )  # fmt: skip


def _dock(viewer: Any) -> MapsWidget:
    return open_dock(viewer, "EBSD maps", MapsWidget)


@pytest.fixture
def docked(viewer: Any, scan: Scan) -> MapsWidget:
    add_map(viewer, scan)
    return _dock(viewer)


@pytest.fixture
def widget(qtbot: Any, model: ViewerModel, scan: Scan) -> Iterator[MapsWidget]:
    add_map(model, scan)
    widget = MapsWidget(model)
    qtbot.addWidget(widget)
    widget.show()
    yield widget
    widget.tasks.stop()


def _compute(qtbot: Any, widget: MapsWidget, how: str = "done", **values: Any) -> None:
    form = widget.settings_form
    nothing = {name: False for name, value in form.values().items() if isinstance(value, bool)}
    form.set_values({**nothing, "boundary_sigma3": True, **values})
    widget.tasks.run_button.click()
    assert widget.tasks.running
    assert not widget.tasks.run_button.isEnabled()
    wait_until_done(widget, qtbot, how)
    assert widget.tasks.run_button.isEnabled()
    assert not widget.tasks.cancel_button.isEnabled()


def _layer(viewer: Any, quantity: str) -> Any:
    (layer,) = [x for x in viewer.layers if x.metadata["ebsdml"]["quantity"] == quantity]
    return layer


def _status(viewer: Any, layer: Any, row: int, column: int) -> str:
    viewer.layers.selection.active = layer
    viewer.mouse_over_canvas = True
    viewer.cursor.position = layer.data_to_world((row, column))
    viewer.update_status_from_cursor()
    status = viewer.status
    return status if isinstance(status, str) else " ".join(map(str, status.values()))


def test_maps_become_layers_of_the_scan(
    qtbot: Any, viewer: Any, docked: MapsWidget, scan: Scan
) -> None:
    widget = docked
    n = len(viewer.layers)
    _compute(qtbot, widget, kam=True, grains=True, boundaries=True, grain_min_pixels=2)
    assert len(viewer.layers) == n + 3
    assert widget.tasks.status.text().startswith("Done in ")
    indexed = scan.is_indexed

    kam = _layer(viewer, "KAM")
    assert kam.name == "KAM [°] · bicrystal"
    np.testing.assert_allclose(kam.data[indexed], ebsdml.kam(scan)[indexed], rtol=1e-6)
    # Rows differ by 0.2 degrees; of the eight neighbours of a pixel six lie in another row.
    assert kam.data[4, 3] == pytest.approx(0.2 * 6 / 8, rel=1e-4)
    assert np.isnan(kam.data[~indexed]).all()
    assert tuple(kam.contrast_limits) == (0.0, 0.2)
    assert kam.metadata["ebsdml"]["settings"] == {"order": 1, "threshold": 3.0}

    grains = _layer(viewer, "grains")
    np.testing.assert_array_equal(np.unique(grains.data), [0, 1, 2, 3])
    assert grains.contour == 1
    # The boundaries outline the grains as well.
    assert not grains.visible
    grains.visible = True
    text = _status(viewer, grains, 5, 12)
    assert "phase: Nickel" in text
    assert "area [µm²]: 16" in text  # 8 x 8 pixels of 0.25 um2
    assert "phase: no grain" in _status(viewer, grains, 0, 3)

    boundaries = _layer(viewer, "boundaries")
    kinds = boundaries.features["boundaries"]
    # One line down the twin boundary, from the first indexed row to the ferrite.
    (twin,) = boundaries.data[kinds == "Σ3 (twin)"]
    np.testing.assert_allclose(twin, [(0.5, 7.5), (8, 0)])
    (phase,) = boundaries.data[kinds == "phase boundary"]
    np.testing.assert_allclose(phase, [(8.5, -0.5), (0, 16)])
    assert boundaries.metadata["ebsdml"]["pixels"][5, 7] == 3

    # One map at a time, on the quality image, with outlines on top.
    shown = [layer.metadata["ebsdml"]["quantity"] for layer in viewer.layers if layer.visible]
    assert shown == ["BC", "KAM", "grains", "boundaries"]

    header, *rows = widget.grain_table.rows()
    assert header == ["", "Nickel", "Ferrite"]
    assert rows[0] == ["grains", 2, 1]
    assert rows[2][1] == pytest.approx(np.sqrt(4 * 16 / np.pi))
    widget.every_grain.setChecked(True)
    assert len(widget.grain_table.rows()) == 1 + 3
    lengths = {row[0]: row[1] for row in widget.boundary_table.rows()[1:]}
    assert lengths["Σ3 (twin)"] == pytest.approx(8 * 0.5)
    assert lengths["phase boundary"] == pytest.approx(16 * 0.5)

    # The second time nothing is added, and the display follows the new settings unless the user
    # has changed it.
    _compute(qtbot, widget, kam=True, kam_threshold=0.1)
    assert len(viewer.layers) == n + 3
    assert _layer(viewer, "KAM") is kam
    assert kam.metadata["ebsdml"]["settings"]["threshold"] == pytest.approx(0.1)
    assert tuple(kam.contrast_limits) == pytest.approx((0.0, 0.1))
    kam.contrast_limits = (0.05, 0.15)
    _compute(qtbot, widget, kam=True, kam_threshold=3.0)
    assert tuple(kam.contrast_limits) == pytest.approx((0.05, 0.15))


def test_all_other_maps(qtbot: Any, viewer: Any, scan: Scan) -> None:
    rng = np.random.default_rng(1)
    patterns = rng.integers(0, 255, (ROWS, COLUMNS, 9, 6)).astype(np.uint8)
    with_patterns = Scan(
        quaternions=scan.quaternions, phase_id=scan.phase_id, phases=scan.phases, step=scan.step,
        prop=scan.prop, patterns=da.from_array(patterns), source=scan.source,
    )  # fmt: skip
    add_map(viewer, with_patterns)
    widget = _dock(viewer)
    _compute(
        qtbot, widget, ipf=True, direction="own", direction_x=1, direction_y=1, direction_z=0,
        grain_ipf=True, grod=True, gos=True, misorientation=True, virtual=True,
        virtual_region="bottom", grain_min_pixels=1,
    )  # fmt: skip
    expected = np.rint(255 * np.nan_to_num(ebsdml.ipf_colors(scan, (1, 1, 0))))
    colors = _layer(viewer, "IPF-[1 1 0]").data
    np.testing.assert_array_equal(colors[..., :3], expected)
    assert set(colors[0, :, 3]) == {0}
    labels = ebsdml.segment_grains(scan)
    inside = labels > 0
    gos = ebsdml.gos(scan, labels)[labels]
    np.testing.assert_allclose(_layer(viewer, "GOS").data[inside], gos[inside], rtol=1e-5)
    grod = _layer(viewer, "GROD")
    np.testing.assert_allclose(grod.data[inside], ebsdml.grod(scan, labels)[inside], rtol=1e-5)
    assert not grod.visible or grod is viewer.layers[-1]
    misorientation = _layer(viewer, "misorientation to next pixel").data
    assert misorientation[5, 7] == pytest.approx(60, abs=1e-3)
    assert misorientation[5, 3] == pytest.approx(0.2, abs=1e-3)
    mean = _layer(viewer, "grain mean IPF-[1 1 0]").data
    assert len(np.unique(mean[1:9, :8].reshape(-1, 4), axis=0)) == 1
    bottom = _layer(viewer, "virtual backscatter, bottom third").data
    np.testing.assert_allclose(bottom, patterns[:, :, 6:].mean(axis=(2, 3)), rtol=1e-6)
    _compute(qtbot, widget, virtual=True, virtual_region="rgb")
    assert _layer(viewer, "virtual backscatter, RGB: top, middle, bottom").rgb


def test_virtual_images_need_patterns(widget: MapsWidget) -> None:
    box = widget.settings_form.virtual
    assert not box.enabled
    assert box.tooltip == "This scan has no patterns."
    widget.settings_form.set_values({"virtual": True})
    assert not widget.settings.virtual


def test_spin_boxes_appear_when_ticked(widget: MapsWidget) -> None:
    form = widget.settings_form
    form.set_values({"kam": False, "ipf": False, "grain_ipf": False})
    assert form.kam_threshold.native.isHidden()
    assert form.direction.native.isHidden()
    form.set_values({"kam": True, "ipf": True, "direction": "own"})
    for name in ("kam_threshold", "direction", "direction_x"):
        assert not form[name].native.isHidden()
    assert form.kam_threshold.native.suffix() == "°"
    form.set_values({"kam_threshold": 500.0, "direction": "up"})
    assert form.values()["kam_threshold"] == 3.0
    assert form.values()["direction"] == "own"


def test_one_clear_message_for_bad_input(
    qtbot: Any, model: ViewerModel, widget: MapsWidget
) -> None:
    n = len(model.layers)
    _compute(qtbot, widget, "failed", kam=True, boundaries=True, boundary_low=20.0)
    assert "low must be above 0 and at most high; got low 20, high 15" in widget.tasks.status.text()
    # What was ready stays.
    assert len(model.layers) == n + 1
    _compute(qtbot, widget, "failed")
    assert "Nothing is ticked" in widget.tasks.status.text()


def test_results_belong_to_the_scan_chosen_at_the_start(
    qtbot: Any, model: ViewerModel, widget: MapsWidget, scan: Scan
) -> None:
    other = Scan(
        quaternions=scan.quaternions, phase_id=scan.phase_id, phases=scan.phases, step=scan.step,
        prop=scan.prop, source=Source(path=Path("other.ctf")),
    )  # fmt: skip
    add_map(model, other)
    chooser = widget.chooser
    assert [chooser.itemText(i) for i in range(2)] == ["bicrystal", "other"]
    widget.settings_form.set_values({"grains": False, "boundaries": False})
    widget.tasks.run_button.click()
    chooser.setCurrentIndex(1)
    assert widget.scan is other
    wait_until_done(widget, qtbot)
    assert _layer(model, "KAM") in layers_of(model, scan)
    # The figures shown are those of the chosen scan.
    _compute(qtbot, widget, grains=True)
    assert widget.tabs.isTabVisible(1)
    assert not widget.tabs.isTabVisible(2)
    chooser.scan = scan
    assert not widget.tabs.isTabVisible(1)
    chooser.scan = other
    assert widget.grain_table.rows()[1] == ["grains", 2, 1]


def test_one_section_of_a_volume(qtbot: Any, model: ViewerModel, scan: Scan) -> None:
    sections = [scan, scan.crop(), scan.crop()]
    for data, options, kind in stack_layers(sections):
        getattr(model, f"add_{kind}")(data, **options)
    widget = MapsWidget(model)
    qtbot.addWidget(widget)
    widget.chooser.scan = sections[2]
    _compute(qtbot, widget, kam=True, grains=True)
    kam = _layer(model, "KAM")
    assert kam.data.shape == (1, ROWS, COLUMNS)
    assert kam.translate[0] == pytest.approx(2 * 0.5)
    assert _layer(model, "IPF-Z").visible


def test_settings_are_remembered(qtbot: Any, viewer: Any, docked: MapsWidget) -> None:
    widget = docked
    from napari.settings import _clear_plugin_settings_cache, get_plugin_settings

    _compute(qtbot, widget, kam=True, kam_order=2, direction="y", gos=True, grain_threshold=7.5)
    path = get_plugin_settings(PLUGIN).config_path
    assert "kam_order: 2" in Path(path).read_text()
    viewer.window.remove_dock_widget(widget)
    # As after a restart: settings come from the file.
    _clear_plugin_settings_cache()
    anew = _dock(viewer)
    assert anew is not widget
    settings = anew.settings
    assert (settings.kam_order, settings.direction, settings.grain_threshold) == (2, "y", 7.5)
    assert settings.gos
    assert not settings.grains


def test_maps_without_any_grain(scan: Scan) -> None:
    chosen = MapSettings(
        kam=False, boundaries=False, grod=True, gos=True, grain_ipf=True, grain_min_pixels=1000
    )
    results = [r for r in map_results(scan, chosen) if isinstance(r, MapResult)]
    assert [r.quantity for r in results] == ["grain mean IPF-Z", "GOS", "GROD", "grains"]
    assert results[-1].table["Grains"]["none"][0] == 0
