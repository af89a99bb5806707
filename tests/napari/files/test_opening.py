"""Reading in a worker thread, waited for by an event loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QThread, QTimer
from qtpy.QtWidgets import QApplication, QProgressDialog

import napari_ebsdml as ebsdml
from napari_ebsdml import FileFormatError, Scan
from napari_ebsdml._napari.files import arrival, opening, reader
from napari_ebsdml._napari.files.opening import wait_for

MakeScan = Callable[..., Scan]


@pytest.fixture
def viewer(make_napari_viewer: Callable[..., Any]) -> Any:
    return make_napari_viewer()


def test_the_window_lives_while_work_goes_on(qtbot: Any) -> None:
    ticks: list[float] = []
    timer = QTimer()
    timer.setInterval(5)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start()
    threads = []

    def work(progress: Callable[[float], None]) -> str:
        threads.append(QThread.currentThread())
        for k in range(10):
            time.sleep(0.03)
            progress(k / 10)
        return "done"

    assert wait_for(work, "Working …") == "done"
    assert threads[0] is not QApplication.instance().thread()
    assert len(ticks) > 5


def test_cancel_comes_back_at_once_and_the_result_is_thrown_away(qtbot: Any) -> None:
    seen: list[str] = []

    def work(progress: Callable[[float], None]) -> str:
        time.sleep(0.5)
        progress(0.5)  # raises: the user has cancelled
        seen.append("went on")
        return "done"

    def cancel() -> None:
        for widget in QApplication.topLevelWidgets():
            if isinstance(widget, QProgressDialog):
                widget.canceled.emit()  # as its button does

    QTimer.singleShot(50, cancel)
    assert wait_for(work, "Working …") is None
    qtbot.wait(700)
    assert seen == []


def test_errors_come_through(qtbot: Any) -> None:
    def work(progress: object) -> None:
        raise FileFormatError("a.ang", "it is no map")

    with pytest.raises(FileFormatError, match="no map"):
        wait_for(work, "Working …")


def test_large_files_give_their_layers_as_small_ones_do(
    viewer: Any, tmp_path: Path, make_scan: MakeScan, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "steel.ctf"
    ebsdml.write(path, make_scan())
    small = [layer.name for layer in viewer.open(path, plugin="napari-ebsdml")]
    viewer.layers.clear()
    monkeypatch.setattr(opening, "_SMALL_BYTES", 0)
    threads = []
    read_all = ebsdml.read_all

    def noted(file: Path) -> list[Scan]:
        threads.append(QThread.currentThread())
        return read_all(file)

    monkeypatch.setattr(ebsdml, "read_all", noted, raising=False)
    layers = viewer.open(path, plugin="napari-ebsdml")
    assert [layer.name for layer in layers] == small
    assert threads[0] is not QApplication.instance().thread()
    np.testing.assert_array_equal(layers[0].data, read_all(path)[0].get("BC"))

    monkeypatch.setattr(reader, "wait_for", lambda work, label, viewer: None)
    assert viewer.open(path, plugin="napari-ebsdml") == []
    assert len(viewer.layers) == len(small)


def test_the_window_lives_between_the_layers_of_a_large_map(
    viewer: Any, make_scan: MakeScan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qtbot: Any
) -> None:
    path = tmp_path / "map.ctf"
    ebsdml.write(path, make_scan((8, 9), prop={"BC": np.arange(72.0).reshape(8, 9)}))
    monkeypatch.setattr(reader, "takes_long", lambda paths: True)
    happened: list[str] = []
    monkeypatch.setattr(arrival, "arrived", lambda model, scans: happened.append("arrived"))
    timer = QTimer()
    timer.setInterval(0)
    timer.timeout.connect(lambda: happened.append("tick"))
    viewer.layers.events.inserted.connect(lambda event: happened.append("layer"), position="first")
    timer.start()
    layers = viewer.open(path, plugin="napari-ebsdml")
    qtbot.waitUntil(lambda: "arrived" in happened)
    timer.stop()
    shown = happened[happened.index("layer") :]
    assert shown.count("layer") == len(layers) == 3
    first, second = (k for k, what in enumerate(shown[:-1]) if what == "layer" and k > 0)
    assert "tick" in shown[:first]
    assert "tick" in shown[first:second]
    # The view is settled once, when all are there.
    assert shown.count("arrived") == 1
    assert "arrived" in shown[second:]


def test_folders_and_both_halves_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_SMALL_BYTES", 100)
    import orix.crystal_map  # noqa: F401  (else the first opening is one that takes long)

    (tmp_path / "a.cpr").write_text("x")
    assert not opening.takes_long([tmp_path / "a.cpr"])
    (tmp_path / "a.crc").write_bytes(b"0" * 101)
    assert opening.takes_long([tmp_path / "a.cpr"])
    assert opening.takes_long([tmp_path])
    assert not opening.takes_long([tmp_path / "absent.ang"])
