"""Channels that scans offer, and the list that chooses among them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QTreeWidgetItem

from napari_ebsdml import Scan
from napari_ebsdml._napari.layers.of_scans import add_result
from napari_ebsdml._napari.segmenter.channel_offers import _WITHOUT_MEAN, offers
from napari_ebsdml._napari.segmenter.channels_panel import ChannelsPanel
from napari_ebsdml._napari.segmenter.state import SegmenterState
from napari_ebsdml._napari.segmenter.strokes.annotation_layers import new_annotation_layer
from napari_ebsdml.maps import kam
from napari_ebsdml.segmentation import COMPUTED_CHANNELS, compute_channels, default_channels


def found(scans: list[Scan]) -> dict[str, Any]:
    return {offer.name: offer for offer in offers(scans)}


def test_offers_are_what_all_scans_have(make_scan: Callable[..., Scan]) -> None:
    scan = make_scan()
    alone = found([scan])
    assert set(alone) == {"MAD", "BC", *COMPUTED_CHANNELS} - {"Indexed"}
    assert not any(offer.missing for offer in alone.values())
    assert all(offer.meaning for offer in alone.values())
    # Everything that is offered can be computed, with the means that are offered.
    halves = np.zeros((6, 8, 4))
    halves[:, :4, 0] = 1.0
    halves[:, 4:] = np.array([np.cos(0.2), 0, 0, np.sin(0.2)])
    grained = make_scan(quaternions=halves, phase_id=np.ones((6, 8), np.int32))
    for name, offer in alone.items():
        compute_channels(grained, [name + ending for ending in offer.endings])
    assert "Quaternions" in _WITHOUT_MEAN

    less = make_scan(prop={"bc": scan.prop["BC"]}, path=Path("less.ang"), seed=1)
    both = found([scan, less])
    assert both["MAD"].missing == "not in less"
    assert both["BC"].missing == ""
    flat = make_scan(quaternions=np.zeros((6, 8, 4)), path=Path("flat.ang"))
    with_flat = found([scan, flat])
    assert with_flat["KAM"].missing == "no orientations in flat"
    assert with_flat["BC"].endings == ("", "@near", "@far")
    same = dataclasses.replace(scan, prop={"X": np.full(scan.shape, 3.0), "BC": scan.prop["BC"]})
    assert found([same])["X"].missing == "the same value everywhere"
    assert offers([same, scan])[0].name == "X"


@pytest.fixture
def viewer(make_scan: Callable[..., Scan]) -> ViewerModel:
    viewer = ViewerModel()
    for number, scan in enumerate((make_scan((12, 16)), make_scan((10, 12), path=Path("b.ang")))):
        if number:
            scan = dataclasses.replace(scan, prop={"BC": scan.prop["BC"]})
        add_result(viewer, scan, scan.prop["BC"], "BC")
    return viewer


@pytest.fixture
def panel(viewer: ViewerModel, qtbot: Any) -> Any:
    state = SegmenterState(viewer)
    qtbot.addWidget(state.widget)
    panel = ChannelsPanel(state)
    state.widget.form.addWidget(panel)
    yield panel
    panel.stop()


def item(panel: ChannelsPanel, name: str) -> QTreeWidgetItem:
    return next(i for i in panel.items() if i.data(0, Qt.ItemDataRole.UserRole) == name)


def test_default_is_the_packages(panel: Any) -> None:
    scan = panel.state.scan
    assert panel.state.channels == default_channels(scan)
    item(panel, "MAD").setCheckState(1, Qt.CheckState.Checked)
    item(panel, "BC").setCheckState(2, Qt.CheckState.Unchecked)
    item(panel, "BC").setCheckState(1, Qt.CheckState.Unchecked)
    assert "MAD" in panel.state.channels
    assert not {"BC", "BC@grain"} & set(panel.state.channels)
    assert set(default_channels(scan)) - {"BC", "BC@grain"} < set(panel.state.channels)
    panel.state.channels = ("KAM@grain",)
    assert item(panel, "KAM").checkState(2) == Qt.CheckState.Checked
    assert item(panel, "KAM").checkState(1) == Qt.CheckState.Unchecked
    panel.default_button.click()
    assert panel.state.channels == default_channels(scan)
    # Means around a pixel tell parts of one grain; another tick leaves them chosen.
    item(panel, "KAM").setCheckState(4, Qt.CheckState.Checked)
    assert {"KAM", "KAM@far"} < set(panel.state.channels)
    panel.state.channels = ("BC@near", "KAM")
    assert item(panel, "BC").checkState(3) == Qt.CheckState.Checked
    item(panel, "MAD").setCheckState(1, Qt.CheckState.Checked)
    assert set(panel.state.channels) == {"BC@near", "KAM", "MAD"}
    for one in panel.items():
        for column in (1, 2, 3, 4):
            one.setCheckState(column, Qt.CheckState.Unchecked)
    assert "at least one channel" in panel.problem


def test_channel_that_one_map_lacks_is_greyed(panel: Any) -> None:
    state = panel.state
    item(panel, "MAD").setCheckState(1, Qt.CheckState.Checked)
    first, second = state.widget.chooser.scans
    assert panel.problem == ""
    new_annotation_layer(state, first)
    assert not item(panel, "MAD").isDisabled()
    new_annotation_layer(state, second)
    greyed = item(panel, "MAD")
    assert greyed.isDisabled()
    assert "not in b" in greyed.text(0)
    assert "MAD" in panel.problem
    # The default leaves out what a map lacks.
    panel.default_button.click()
    assert panel.problem == ""


def test_picture_is_the_channel(panel: Any, qtbot: Any) -> None:
    scan = panel.state.scan
    assert not panel.layer_button.isEnabled()
    panel.tree.setCurrentItem(item(panel, "KAM"))
    qtbot.waitUntil(panel.layer_button.isEnabled, timeout=60_000)
    assert not panel.picture.pixmap().isNull()
    panel.layer_button.click()
    shown = panel.state.viewer.layers["channel KAM · steel"]
    np.testing.assert_allclose(shown.data, np.nan_to_num(kam(scan)), rtol=1e-6)
    panel.tree.setCurrentItem(item(panel, "IPF"))
    qtbot.waitUntil(panel.layer_button.isEnabled, timeout=60_000)
    assert "IPF-Z red" in panel.picture.toolTip()


def test_channel_that_cannot_be_computed_is_told(
    panel: Any, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import napari_ebsdml.segmentation.inputs.channels as module
    from napari_ebsdml import MissingDataError

    def fail(*_: Any) -> None:
        raise MissingDataError("There is no such thing.")

    monkeypatch.setattr(module, "compute_channels", fail)
    panel.tree.setCurrentItem(item(panel, "MAD"))
    qtbot.waitUntil(lambda: panel.picture.text() == "There is no such thing.", timeout=30_000)
    assert not panel.layer_button.isEnabled()
