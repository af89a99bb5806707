"""What all widgets share: scan chooser, jobs in worker threads, remembered settings."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from napari.components import ViewerModel
from napari.utils.notifications import notification_manager
from npe2 import PluginManifest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication
from superqt.utils import WorkerBase

from napari_ebsdml import InputError, Scan
from napari_ebsdml._napari.controls.settings import remember, remembered
from napari_ebsdml._napari.layers.of_scans import layers_of, scans_of
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from tests.napari.docks import PLUGIN, add_map, wait_until_done


@pytest.fixture
def scan(make_scan: Callable[..., Scan]) -> Scan:
    return make_scan()


@pytest.fixture
def widget(qtbot: Any, model: ViewerModel, scan: Scan) -> Iterator[ScanWidget]:
    add_map(model, scan)
    widget = ScanWidget(model)
    qtbot.addWidget(widget)
    widget.show()
    yield widget
    widget.tasks.stop()


def test_errors_of_the_package_are_one_clear_message(
    qtbot: Any, widget: ScanWidget, scan: Scan
) -> None:
    def work() -> None:
        raise InputError("The threshold must be positive, not -1.")

    widget.run(scan, work)
    assert widget.tasks.running
    assert not widget.tasks.run_button.isEnabled()
    wait_until_done(widget, qtbot, "failed")
    assert widget.tasks.status.text() == "The threshold must be positive, not -1."
    assert widget.tasks.run_button.isEnabled()
    assert not widget.tasks.cancel_button.isEnabled()
    assert notification_manager.records == []
    # Where nobody sees the status line the message is a notification.
    widget.hide()
    widget.run(scan, work)
    wait_until_done(widget, qtbot, "failed")
    (record,) = notification_manager.records
    assert record.message == "The threshold must be positive, not -1."


def test_unexpected_errors_are_notifications_with_a_traceback(
    qtbot: Any, widget: ScanWidget, scan: Scan
) -> None:
    widget.run(scan, lambda: 1 / 0, label="Dividing")
    wait_until_done(widget, qtbot, "failed")
    assert "unexpected ZeroDivisionError" in widget.tasks.status.text()
    (record,) = notification_manager.records
    assert "ZeroDivisionError" in record.as_text()
    # An error in what is done with the result counts as well.
    widget.run(scan, lambda: 1, on_result=lambda value: [].index(value))
    wait_until_done(widget, qtbot, "failed")
    assert len(notification_manager.records) == 2
    assert widget.tasks.run_button.isEnabled()


def test_cancel(qtbot: Any, widget: ScanWidget, scan: Scan) -> None:
    ended = threading.Event()

    def work(progress: Callable[[float], None]) -> None:
        try:
            for step in range(10_000):
                progress(step / 10_000)
                time.sleep(0.005)
        finally:
            ended.set()

    told = []
    widget.run(scan, work, on_cancel=lambda: told.append(True), on_result=told.append)
    qtbot.waitUntil(lambda: widget.tasks.progress_bar.value() > 0, timeout=3000)
    started = time.perf_counter()
    widget.tasks.cancel_button.click()
    assert "Cancelling" in widget.tasks.status.text()
    wait_until_done(widget, qtbot, "cancelled")
    assert time.perf_counter() - started < 1
    assert ended.is_set()
    assert told == [True]
    assert widget.tasks.status.text().startswith("Cancelled after ")


def test_cancel_does_not_wait_for_a_step_without_reports(
    qtbot: Any, widget: ScanWidget, scan: Scan
) -> None:
    release = threading.Event()
    results: list[Any] = []
    widget.run(scan, lambda: release.wait(10), on_result=results.append)
    started = time.perf_counter()
    widget.tasks.cancel()
    wait_until_done(widget, qtbot, "cancelled")
    assert time.perf_counter() - started < 1.5
    # The next job may start; what the first one still says is nobody's business.
    widget.run(scan, lambda: "second", on_result=results.append)
    release.set()
    wait_until_done(widget, qtbot)
    qtbot.wait(50)
    assert results == ["second"]


def test_generators_give_events_and_are_closed_in_the_worker(
    qtbot: Any, widget: ScanWidget, scan: Scan
) -> None:
    closed_in: list[Any] = []

    def train() -> Iterator[Any]:
        try:
            for epoch in range(1000):
                yield "Training"
                yield SimpleNamespace(epoch=epoch, fraction=epoch / 10)
                time.sleep(0.01)
        finally:
            closed_in.append(threading.current_thread())

    events: list[Any] = []
    done = []
    widget.run(
        scan, train, on_event=events.append, on_cancel=lambda: done.append(list(closed_in)),
        patient=True, uses_torch=True,
    )  # fmt: skip
    qtbot.waitUntil(lambda: len(events) >= 4, timeout=10_000)
    qtbot.waitUntil(lambda: widget.tasks.progress_bar.value() > 0, timeout=3000)
    assert [event.epoch for event in events[:4]] == [0, 1, 2, 3]
    widget.tasks.cancel()
    wait_until_done(widget, qtbot, "cancelled")
    # `on_cancel` comes after the generator has cleaned up.
    assert done == [closed_in]
    assert closed_in[0] is not threading.main_thread()


def test_threads_are_set_where_the_work_is_done(
    qtbot: Any, widget: ScanWidget, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    seen: list[int] = []
    widget.run(scan, torch.get_num_threads, on_result=seen.append, uses_torch=True)
    wait_until_done(widget, qtbot)
    assert seen == [1]
    torch.set_num_threads(before)


@pytest.mark.parametrize("what", ["dock", "window"])
def test_closing_the_dock_or_the_window_stops_the_worker(
    qtbot: Any, make_napari_viewer: Callable[..., Any], scan: Scan, what: str
) -> None:
    viewer = make_napari_viewer()
    add_map(viewer, scan)
    widget = ScanWidget(viewer)
    viewer.window.add_dock_widget(widget)
    ended = threading.Event()
    results: list[Any] = []
    widget.run(scan, _until_stopped, ended, on_result=results.append)
    qtbot.waitUntil(lambda: widget.tasks.progress_bar.maximum() > 0, timeout=3000)
    if what == "dock":
        viewer.window.remove_dock_widget(widget)
        assert not widget.tasks.running
    else:
        viewer.close()
    assert ended.wait(2)
    WorkerBase.await_workers(5000)
    QApplication.processEvents()
    assert results == []


def _until_stopped(ended: threading.Event, progress: Callable[[float], None]) -> None:
    try:
        for step in range(10_000):
            progress(step / 10_000)
            time.sleep(0.005)
    finally:
        ended.set()


def test_results_are_dropped_when_the_scan_is_gone(
    qtbot: Any, model: ViewerModel, widget: ScanWidget, scan: Scan
) -> None:
    ended = threading.Event()
    results: list[Any] = []
    widget.run(scan, _until_stopped, ended, on_result=results.append)
    qtbot.waitUntil(lambda: widget.tasks.progress_bar.maximum() > 0, timeout=3000)
    stops: list[str] = []
    widget.tasks.stopped.connect(stops.append)
    for layer in layers_of(model, scan):
        model.layers.remove(layer)
    assert stops == ["dropped"]
    assert ended.wait(2)
    assert [r.message for r in notification_manager.records] == [
        "The layers of steel were removed, so the computation was stopped."
    ]
    assert results == []
    assert widget.scan is None
    assert not widget.tasks.run_button.isEnabled()
    assert "Open an EBSD map first" in widget.info.text()


def test_chooser_follows_the_layers(model: ViewerModel, widget: ScanWidget, scan: Scan) -> None:
    again = scan.crop(slice(0, 3))
    add_map(model, again)
    chooser = widget.chooser
    assert [chooser.itemText(i) for i in range(2)] == ["steel (1)", "steel (2)"]
    chooser.scan = again
    layers_of(model, again)[0].name = "upper half"
    assert [chooser.itemText(i) for i in range(2)] == ["steel", "upper half"]
    assert widget.scan is again
    assert "8 × 3 pixels" in widget.info.text()
    for layer in layers_of(model, scan):
        model.layers.remove(layer)
    assert chooser.scans == [again]
    assert widget.scan is again
    model.add_image(scan.get("BC"))
    assert chooser.count() == 1


def test_settings_without_the_plugin_and_with_bad_values(
    plugin_settings: None, npe2pm: Any
) -> None:
    assert remembered("maps") == {}
    remember("maps", {"kam_order": 3})
    npe2pm.register(PluginManifest.from_distribution(PLUGIN))
    assert remembered("maps")["kam_order"] == 1
    notification_manager.records.clear()
    remember("maps", {"kam_order": 1000})
    assert len(notification_manager.records) == 1
    assert remembered("maps")["kam_order"] == 1
    assert remembered("no such section") == {}


def test_choosing_a_map_goes_there_and_can_show_it_alone(
    model: ViewerModel, widget: ScanWidget, scan: Scan, make_scan: Callable[..., Scan]
) -> None:
    other = make_scan(seed=1)
    add_map(model, other, 0.0, 500.0)
    model.fit_to_view(layers=[model.layers[0]])
    before = model.scene.camera.center
    # A choice that a program makes leaves the view alone.
    widget.chooser.scan = other
    assert model.scene.camera.center == before
    widget.chooser.activated.emit(widget.chooser.currentIndex())
    assert model.scene.camera.center[-1] == pytest.approx(500 + 0.25 * 7 / 2, abs=1)
    seen = [layer.visible for layer in model.layers]
    widget.only.setChecked(True)
    assert not any(layer.visible for layer in layers_of(model, scan))
    assert any(layer.visible for layer in layers_of(model, other))
    widget.chooser.scan = scan
    assert any(layer.visible for layer in layers_of(model, scan))
    assert not any(layer.visible for layer in layers_of(model, other))
    widget.only.setChecked(False)
    assert [layer.visible for layer in model.layers] == seen


def test_enter_computes_and_escape_cancels(qtbot: Any, widget: ScanWidget) -> None:
    pressed = []
    widget.tasks.run_clicked.connect(lambda: pressed.append(True))
    qtbot.keyClick(widget, Qt.Key.Key_Return)
    assert pressed == [True]
    stop = threading.Event()

    def work(progress: Any) -> None:
        while not stop.wait(0.01):
            progress(0.5)

    with qtbot.waitSignal(widget.tasks.stopped, timeout=10_000) as over:
        widget.run((), work)
        qtbot.keyClick(widget, Qt.Key.Key_Escape)
    stop.set()
    assert over.args == ["cancelled"]


def test_a_job_that_is_over_lets_go_of_its_map(
    qtbot: Any, widget: ScanWidget, make_scan: Callable[..., Scan]
) -> None:
    scan = make_scan()
    alive = weakref.ref(scan)
    with qtbot.waitSignal(widget.tasks.stopped, timeout=10_000):
        widget.run((), lambda one, two: None, scan, two=scan)
        job = widget.tasks._job  # napari's list of tasks keeps it

    del scan
    gc.collect()
    assert job is not None
    assert alive() is None


@pytest.mark.parametrize("name", ["GND density", "Grain classes", "U-Net segmenter"])
def test_a_dock_that_is_closed_lets_go_of_its_map(
    qtbot: Any, viewer: Any, make_scan: Callable[..., Scan], name: str
) -> None:
    def work() -> tuple[Any, weakref.ref[Scan]]:
        scan = make_scan(shape=(30, 40))
        add_map(viewer, scan)
        frame, dock = viewer.window.add_plugin_dock_widget(PLUGIN, name)
        if name == "U-Net segmenter":
            dock.strokes.paint(1)
        else:
            with qtbot.waitSignal(dock.tasks.stopped, timeout=60_000):
                dock.tasks.run_button.click()
        del frame
        return dock, weakref.ref(scan)

    dock, alive = work()
    assert alive() is not None
    with qtbot.waitSignal(dock.destroyed):
        viewer.window.remove_dock_widget(dock)
    viewer.layers.clear()

    def gone() -> bool:
        gc.collect()
        return alive() is None

    # What holds the old dock does not hold its map.
    qtbot.waitUntil(gone, timeout=9000)
    assert not dock.alive
    # Opened again it is a new one, and works.
    again, alive = work()
    assert again is not dock
    assert again.scan is alive()


@pytest.mark.parametrize(
    "name",
    ["EBSD maps", "Grains and poles", "Parent grains", "Grain classes", "GND density",
     "Dislocation density", "U-Net segmenter", "Crystals"],
)  # fmt: skip
def test_an_open_dock_lets_go_of_maps_that_are_removed(
    qtbot: Any, viewer: Any, make_scan: Callable[..., Scan], name: str
) -> None:
    stays = make_scan(shape=(20, 30), seed=1)
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, name)

    def work() -> weakref.ref[Scan]:
        # Parents of orientations by chance take long to look for.
        scan = make_scan(shape=(8, 10) if name == "Parent grains" else (30, 40))
        add_map(viewer, scan)
        dock.chooser.scan = scan
        if name == "U-Net segmenter":
            dock.strokes.paint(1)
            for n in range(10):
                dock.strokes.layer.paint((2 + 2 * n, 2 + 3 * n), 1 + n % 2)
            qtbot.waitUntil(lambda: scan in dock.state.predictions, timeout=60_000)
        elif scan.patterns is not None or name != "Crystals":
            with qtbot.waitSignal(dock.tasks.stopped, timeout=300_000):
                dock.tasks.run_button.click()
        return weakref.ref(scan)

    alive = work()
    add_map(viewer, stays)
    for layer in list(viewer.layers):
        if stays not in scans_of(layer):
            viewer.layers.remove(layer)
    assert dock.scan is stays

    def gone() -> bool:
        gc.collect()
        return alive() is None

    qtbot.waitUntil(gone, timeout=30_000)
    assert dock.alive
