"""The main functions as magicgui widgets of their own, in the console."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from magicgui.widgets import Container
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication
from superqt.utils import WorkerBase

import napari_ebsdml as ebsdml
from napari_ebsdml import InputError
from napari_ebsdml._napari.gnd.layers import gnd_of
from napari_ebsdml._napari.layers.of_scans import info_of
from napari_ebsdml.samples import deformed
from tests.napari.docks import add_map


@pytest.fixture
def viewer() -> ViewerModel:
    return ViewerModel()


def shown(viewer: Any) -> dict[str, Any]:
    found = {}
    for layer in viewer.layers:
        info = info_of(layer)
        if info is not None:
            found[info["quantity"]] = layer
    return found


def test_maps_from_the_console(viewer: Any, make_scan: Any, qtbot: Any) -> None:
    scan = make_scan()
    add_map(viewer, scan)
    widget = ebsdml.widgets.maps(viewer)
    qtbot.addWidget(widget.native)
    assert isinstance(widget, Container)
    widget.settings.set_values({"boundaries": False, "kam_order": 2})
    found = {one.name: one for one in widget()}
    assert set(found) == {"kam", "grains"}
    np.testing.assert_array_equal(found["kam"].data, ebsdml.kam(scan, 2))
    layer = shown(viewer)["KAM"]
    assert tuple(layer.scale) == scan.step
    assert str(layer.units[0]) in ("um", "micrometer", "µm")
    assert info_of(layer)["settings"] == {"order": 2, "threshold": 3.0}  # type: ignore[index]
    assert widget.result == list(found.values())


def test_the_button_computes_in_the_background(viewer: Any, qtbot: Any) -> None:
    scan, *_ = deformed.bent_crystal((12, 14), 0.5, step=0.5, noise=0.1, seed=3)
    add_map(viewer, scan)
    widget = ebsdml.widgets.gnd_density(viewer)
    qtbot.addWidget(widget.native)
    widget.settings.norm.value = "l2"
    with qtbot.waitSignal(widget.tasks.stopped, timeout=60_000) as over:
        widget.tasks.run_button.click()
    assert over.args == ["done"], widget.tasks.status.text()
    gnd = gnd_of(viewer, scan)
    assert gnd is widget.result
    assert gnd.settings["norm"] == "l2"
    WorkerBase.await_workers(5000)
    QApplication.processEvents()


def test_without_a_map_it_says_what_to_do(viewer: Any, make_scan: Any, qtbot: Any) -> None:
    widget = ebsdml.widgets.maps(viewer)
    qtbot.addWidget(widget.native)
    with pytest.raises(InputError, match="Open an EBSD map first"):
        widget()
    widget.tasks.run_button.click()
    assert "Open an EBSD map first" in widget.tasks.status.text()
    # A map that is opened later is found.
    scan = make_scan()
    add_map(viewer, scan)
    widget.settings.set_values({"boundaries": False, "grains": False})
    assert [one.name for one in widget()] == ["kam"]


@pytest.mark.parametrize("name", ["total_dislocation_density", "segmenter", "space_groups"])
def test_every_job_has_a_widget(name: str, viewer: Any, qtbot: Any) -> None:
    assert name in ebsdml.widgets.__all__
    widget = getattr(ebsdml.widgets, name)(viewer)
    qtbot.addWidget(widget.native)
    assert isinstance(widget, Container)
    assert widget["settings"].settings() == type(widget["settings"].settings())()
