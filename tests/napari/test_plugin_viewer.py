"""The plugin in a real napari window."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.errors import ReaderPluginError
from napari.utils.notifications import Notification, notification_manager

import napari_ebsdml as ebsdml
from napari_ebsdml import FileFormatError, Scan, WriteError
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.of_scans import add_result, scan_of, scans_in

MakeScan = Callable[..., Scan]
PLUGIN = "napari-ebsdml"


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    return make_napari_viewer()


def _status(viewer: Any, layer: Any, y: float, x: float) -> str:
    viewer.layers.selection.active = layer
    viewer.mouse_over_canvas = True
    viewer.cursor.position = (y, x)
    viewer.update_status_from_cursor()
    status = viewer.status
    return status if isinstance(status, str) else " ".join(map(str, status.values()))


def test_open_show_save_and_open_again(
    make_napari_viewer: Callable[..., Any], tmp_path: Path, make_scan: MakeScan
) -> None:
    viewer = make_napari_viewer(show=True)
    path = tmp_path / "steel.ctf"
    ebsdml.write(path, make_scan())
    layers = viewer.open(path, plugin=PLUGIN)
    names = [layer.name for layer in layers]
    assert names[0] == "BC · steel"
    assert names[-2:] == ["IPF-Z · steel", "phase · steel"]
    assert [layer.name for layer in viewer.layers if layer.visible] == [names[0], names[-2]]
    (scan,) = scans_in(viewer)
    for layer in layers:
        assert scan_of(layer) is scan
        assert tuple(layer.scale) == (0.5, 0.25)
        assert [str(u) for u in layer.units] == ["micrometer"] * 2
        assert layer.axis_labels == ("y", "x")

    # The status bar names the phase, whichever pixel the cursor is on.
    phases = layers[-1]
    phases.visible = True
    assert "phase: Austenite" in _status(viewer, phases, 1.0, 0.25)
    assert "phase: Ferrite" in _status(viewer, phases, 1.0, 1.75)
    assert "phase: not indexed" in _status(viewer, phases, 0.0, 0.25)

    # What is drawn is what the scan says: an IPF colour at an indexed pixel.
    viewer.reset_view()
    picture = viewer.screenshot(canvas_only=True, flash=False)
    assert len(np.unique(picture.reshape(-1, 4), axis=0)) > 20

    # A segmentation is written as phases, by the route that the menu takes.
    labels = np.ones(scan.shape, dtype=np.int32)
    labels[:, :2] = 2
    segmentation = add_result(
        viewer,
        scan,
        labels,
        "segmentation",
        kind="segmentation",
        classes=[LabelClass(1, "ferrite"), LabelClass(2, "martensite")],
    )
    viewer.layers.selection = {segmentation}
    target = tmp_path / "segmented.ang"
    assert viewer.layers.save(str(target), selected=True) == [str(target)]
    written = ebsdml.read(target)
    assert written.phases.names == ["ferrite", "martensite"]
    seen = written.is_indexed
    np.testing.assert_array_equal(seen, scan.is_indexed)
    np.testing.assert_array_equal(written.phase_id[seen], labels[seen])

    # All layers together: still one map, with the segmentation as its phases.
    everything = tmp_path / "all.h5"
    assert viewer.layers.save(str(everything)) == [str(everything)]
    assert sorted(ebsdml.read(everything).phases.names) == ["ferrite", "martensite"]

    # A second map lies beside the first; saving both into one file is refused.
    more = viewer.open(target, plugin=PLUGIN)
    assert more[0].translate[1] > 8 * 0.25
    with pytest.raises(WriteError, match=r"several maps \(steel, segmented\)"):
        viewer.layers.save(str(tmp_path / "both.ang"))
    assert not (tmp_path / "both.ang").exists()


def test_drop_on_the_canvas_and_bad_files(viewer: Any, tmp_path: Path, make_scan: MakeScan) -> None:
    good, bad = tmp_path / "good.ang", tmp_path / "bad.ang"
    ebsdml.write(good, make_scan())
    viewer.window._qt_viewer._qt_open([str(good)], stack=False)
    assert [layer.name for layer in viewer.layers][-1] == "phase · good"

    bad.write_text("# TEM_PIXperUM 1.0\n# GRID: SqrGrid\nthis is no number\n")
    n = len(viewer.layers)
    with pytest.raises(FileFormatError, match=r"bad\.ang"):
        viewer.open(bad, plugin=PLUGIN)
    # Dropped on the canvas the same error ends in a notification, which names file and reason.
    with pytest.raises(ReaderPluginError) as caught:
        viewer.window._qt_viewer._qt_open([str(bad)], stack=False)
    message = Notification.from_exception(caught.value).message
    assert "FileFormatError: " in message
    assert "bad.ang" in message
    assert len(viewer.layers) == n


def test_warnings_of_the_reader_are_notifications(
    viewer: Any, tmp_path: Path, make_scan: MakeScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = ebsdml.Source(path=tmp_path / "a.ang", warnings=("The header's step is wrong.",))
    monkeypatch.setattr(ebsdml, "read_all", lambda path: [make_scan(source=source)], raising=False)
    (tmp_path / "a.ang").write_text("")
    notification_manager.records.clear()
    viewer.open(tmp_path / "a.ang", plugin=PLUGIN)
    assert [r.message for r in notification_manager.records] == ["a: The header's step is wrong."]


def test_both_halves_of_a_channel5_map_open_once(viewer: Any, shared: Path) -> None:
    paths = [shared / "maps" / name for name in ("ni_small.cpr", "ni_small.crc")]
    viewer.open(paths, plugin=PLUGIN)
    assert len(scans_in(viewer)) == 1


def test_samples_open(viewer: Any) -> None:
    layers = viewer.open_sample(PLUGIN, "nickel_patterns")
    scan = scan_of(layers[0])
    assert scan is not None
    assert scan.patterns is not None
    assert scan.patterns.shape == (3, 3, 60, 60)

    layers = viewer.open_sample(PLUGIN, "dual_phase_steel", shape=(60, 80))
    truth = layers[-1]
    assert truth.name.startswith("truth")
    assert not truth.visible
    assert truth.data.shape == (60, 80)
    assert set(np.unique(truth.data)) == {1, 2}
    truth.visible = True
    name = {1: "ferrite", 2: "martensite"}[truth.data[5, 7]]
    assert f"truth: {name}" in _status(viewer, truth, *truth.data_to_world((5, 7)))


def test_a_map_comes_into_view_with_its_key(
    viewer: Any, tmp_path: Path, make_scan: MakeScan, qtbot: Any
) -> None:
    for name in ("first", "second"):
        ebsdml.write(tmp_path / f"{name}.ang", make_scan())
    viewer.open(tmp_path / "first.ang", plugin=PLUGIN)
    qtbot.waitUntil(lambda: viewer.canvas.overlays.scale_bar.visible)
    # The key comes in a later turn than the view.
    name = "Map key (napari-ebsdml)"
    qtbot.waitUntil(lambda: name in viewer.window.dock_widgets)
    key = viewer.window.dock_widgets[name]
    assert key.legend.scan is scans_in(viewer)[0]
    # Away, and a second map: the view goes there.
    viewer.scene.camera.center, viewer.scene.camera.zoom = (500.0, 500.0), 50.0
    *_, phases = viewer.open(tmp_path / "second.ang", plugin=PLUGIN)
    middle = phases.extent.world.mean(axis=0)
    qtbot.waitUntil(lambda: np.allclose(viewer.scene.camera.center[-2:], middle, atol=0.3))
    active = viewer.layers.selection.active
    assert active.name == "IPF-Z · second"
    # A stray stroke must not change the phases.
    assert not phases.editable
    # What the user has closed stays closed.
    key.parent().destroyOnClose()
    viewer.open(tmp_path / "first.ang", plugin=PLUGIN)
    qtbot.wait(300)
    assert name not in viewer.window.dock_widgets
