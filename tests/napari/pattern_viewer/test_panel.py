"""The pattern on display: slow disks, corrections, copying and saving. Needs no napari window."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from napari.utils.notifications import notification_manager
from qtpy.QtGui import QGuiApplication
from skimage.io import imread

import napari_ebsdml as ebsdml
from napari_ebsdml import InputError, Scan, WriteError
from napari_ebsdml._napari.pattern_viewer import feed as pattern_feed
from napari_ebsdml._napari.pattern_viewer.info import describe_pixel
from napari_ebsdml._napari.pattern_viewer.panel import PatternPanel
from napari_ebsdml._napari.pattern_viewer.picker import Pixel
from napari_ebsdml._napari.pattern_viewer.processing import Processing, load_pattern, process
from napari_ebsdml._napari.pattern_viewer.save import pixels
from napari_ebsdml.samples import fetch

MakeScan = Callable[..., Scan]


@pytest.fixture
def panel(qtbot: Any, plugin_settings: None) -> PatternPanel:
    panel = PatternPanel()
    qtbot.addWidget(panel, before_close_func=lambda panel: panel.feed.forget())
    return panel


@pytest.fixture
def scan(make_scan: MakeScan) -> Scan:
    patterns = np.random.default_rng(0).integers(0, 250, (6, 8, 12, 15)).astype(np.uint8)
    return make_scan(patterns=da.from_array(patterns, chunks=(1, 8, 12, 15)))


class SlowPatterns:
    """Patterns on a disk that answers only when it is told to."""

    shape, dtype, ndim = (6, 8, 12, 15), np.dtype(np.uint8), 4

    def __init__(self) -> None:
        self.gates = {row: threading.Event() for row in range(6)}
        self.asked: list[int] = []

    def __getitem__(self, key: Any) -> Any:
        row = key[0].start or 0
        self.asked.append(row)
        assert threading.current_thread() is not threading.main_thread()
        assert self.gates[row].wait(20)
        block = np.arange(12 * 15, dtype=np.uint8).reshape(12, 15) + np.uint8(row)
        return np.broadcast_to(block, (1, 8, 12, 15))[:, key[1]]


@pytest.fixture
def slow(make_scan: MakeScan) -> Iterator[tuple[Scan, SlowPatterns]]:
    source = SlowPatterns()
    patterns = da.from_array(
        source, chunks=(1, 8, 12, 15), name=False, meta=np.empty((0,) * 4, np.uint8)
    )
    yield make_scan(patterns=patterns), source
    for gate in source.gates.values():
        gate.set()


def wait_for(qtbot: Any, panel: PatternPanel, pixel: Pixel) -> None:
    def shown() -> bool:
        pattern = panel.pattern
        return (
            pattern is not None
            and (pattern.scan, *pattern.pixel) == pixel
            and pattern.processing == panel.processing
        )

    qtbot.waitUntil(shown, timeout=20_000)


def test_slow_disk_never_blocks_and_the_latest_click_wins(
    qtbot: Any, panel: PatternPanel, slow: tuple[Scan, SlowPatterns]
) -> None:
    scan, source = slow
    source.gates[3].set()
    panel.show_pixel(Pixel(scan, 3, 4))
    wait_for(qtbot, panel, Pixel(scan, 3, 4))
    started = time.perf_counter()
    for row in (0, 1, 2, 4, 5):
        panel.show_pixel(Pixel(scan, row, 0))
    assert time.perf_counter() - started < 0.5
    # The first read hangs, so after a moment the latest begins; those between are forgotten.
    qtbot.waitUntil(lambda: 5 in source.asked, timeout=5000)
    assert source.asked == [3, 0, 5]
    qtbot.waitUntil(lambda: "Reading the pattern of row 5" in panel.caption.text())
    assert panel.pattern is not None
    assert panel.pattern.pixel == (3, 4)
    source.gates[5].set()
    wait_for(qtbot, panel, Pixel(scan, 5, 0))
    # The one that hung comes late, and nobody wants it any more.
    source.gates[0].set()
    qtbot.waitUntil(lambda: not panel.feed.running, timeout=5000)
    assert panel.pattern.pixel == (5, 0)
    assert not panel.feed.waiting


def test_a_crowd_of_clicks_starts_few_reads(
    qtbot: Any, panel: PatternPanel, slow: tuple[Scan, SlowPatterns]
) -> None:
    scan, source = slow
    panel.feed._patience.setInterval(10)
    for row in (0, 1, 2, 3, 4, 5):
        panel.show_pixel(Pixel(scan, row, 0))
        qtbot.wait(50)
    assert source.asked == [0, 1, 2]
    for gate in source.gates.values():
        gate.set()
    wait_for(qtbot, panel, Pixel(scan, 5, 0))
    assert source.asked == [0, 1, 2, 5]


def test_another_map_is_not_shown_under_the_name_of_this_one(
    qtbot: Any, panel: PatternPanel, slow: tuple[Scan, SlowPatterns], make_scan: MakeScan
) -> None:
    scan, source = slow
    panel.show_pixel(Pixel(scan, 1, 1))
    qtbot.waitUntil(lambda: source.asked == [1], timeout=5000)
    panel.show_pixel(Pixel(make_scan(), 1, 1))  # without patterns
    source.gates[1].set()
    qtbot.waitUntil(lambda: not panel.feed.running, timeout=5000)
    assert panel.pattern is None
    assert panel.canvas.picture() is None
    assert "This map has no patterns" in panel.canvas.hint


def test_patterns_that_cannot_be_read(
    qtbot: Any, panel: PatternPanel, make_scan: MakeScan, scan: Scan
) -> None:
    def vanish(block: Any) -> Any:
        raise OSError("the share is gone")

    zeros = da.zeros((6, 8, 12, 15), dtype=np.uint8)
    lost = zeros.map_blocks(vanish, dtype=np.uint8, meta=np.empty((0,) * 4, np.uint8))
    notification_manager.records.clear()
    panel.show_pixel(Pixel(make_scan(patterns=lost), 2, 2))
    qtbot.waitUntil(lambda: "the share is gone" in panel.canvas.hint, timeout=5000)
    assert panel.canvas.hint.startswith("steel.ang: patterns could not be read")
    assert panel.pattern is None
    assert not notification_manager.records
    assert not panel.copy_button.isEnabled()
    # The next one works again.
    panel.show_pixel(Pixel(scan, 2, 2))
    wait_for(qtbot, panel, Pixel(scan, 2, 2))
    assert panel.copy_button.isEnabled()


def test_background_is_removed_off_the_gui_thread(
    qtbot: Any, panel: PatternPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With kikuchipy not imported yet: the raw pattern comes first, with a word to the user."""
    gate, threads = threading.Event(), []
    load = pattern_feed.load

    def slow_load() -> Any:
        threads.append(threading.current_thread())
        assert gate.wait(20)
        return load()

    monkeypatch.setattr(pattern_feed, "is_loaded", lambda: gate.is_set())
    monkeypatch.setattr(pattern_feed, "load", slow_load)
    scan = ebsdml.read(fetch("nickel_patterns"))
    pixel = Pixel(scan, 0, 2)
    finished: list[Any] = []
    panel.pattern_changed.connect(finished.append)
    panel.display.set_values({"static": True, "dynamic": True})
    panel.show_pixel(pixel)
    qtbot.waitUntil(lambda: "Loading kikuchipy" in panel.caption.text(), timeout=5000)
    assert panel.pattern is not None
    assert panel.pattern.processing == Processing()
    assert finished == []
    gate.set()
    wait_for(qtbot, panel, pixel)
    assert threads
    assert threading.main_thread() not in threads
    expected = process(load_pattern(*pixel), Processing(static=True, dynamic=True))
    np.testing.assert_array_equal(panel.pattern.image, expected.image)
    assert finished == [panel.pattern]
    assert "static background of the file removed" in panel.caption.text()
    # Contrast needs no new reading.
    before, grey = panel.pattern, pixels(panel.canvas.picture())
    panel.display.set_values({"gamma": 0.5})
    assert panel.pattern is before
    assert pixels(panel.canvas.picture()).mean() > grey.mean() + 10


def test_overlays(qtbot: Any, panel: PatternPanel, scan: Scan) -> None:
    panel.show_pixel(Pixel(scan, 3, 4))
    wait_for(qtbot, panel, Pixel(scan, 3, 4))
    plain = pixels(panel.canvas.picture())
    heat = np.zeros((12, 15, 4))
    heat[:6] = (1, 0, 0, 1)
    panel.canvas.set_overlay("explanation", heat)
    panel.canvas.set_overlay("bands", np.zeros((2, 2, 4), dtype=np.uint8))
    shown = pixels(panel.canvas.picture())
    assert (shown[:6] == (255, 0, 0)).all()
    np.testing.assert_array_equal(shown[6:], np.repeat(plain[6:, :, None], 3, axis=2))
    for bad in (np.zeros((3, 3)), np.zeros((3, 3, 4), dtype=int)):
        with pytest.raises(InputError, match="An overlay needs"):
            panel.canvas.set_overlay("bad", bad)


def test_copy_and_save(qtbot: Any, panel: PatternPanel, scan: Scan, tmp_path: Path) -> None:
    panel.show_pixel(Pixel(scan, 3, 4))
    wait_for(qtbot, panel, Pixel(scan, 3, 4))
    raw, shown = np.asarray(scan.patterns[3, 4]), pixels(panel.canvas.picture())
    panel.copy()
    np.testing.assert_array_equal(
        pixels(QGuiApplication.clipboard().image()).reshape(12, 15, -1)[..., 0], shown
    )
    panel.save(tmp_path / "shown.png")
    np.testing.assert_array_equal(imread(tmp_path / "shown.png"), shown)
    panel.save(tmp_path / "shown.tif")
    np.testing.assert_array_equal(imread(tmp_path / "shown.tif"), shown)
    panel.save(tmp_path / "raw.tif", as_measured=True)
    saved = imread(tmp_path / "raw.tif")
    np.testing.assert_array_equal(saved, raw)
    assert saved.dtype == raw.dtype
    with pytest.raises(WriteError, match=r"\.jpg: patterns are saved as"):
        panel.save(tmp_path / "a.jpg")
    with pytest.raises(WriteError, match="could not be saved"):
        panel.save(tmp_path / "no" / "such" / "folder.png")


def test_what_is_said_about_a_pixel(make_scan: MakeScan) -> None:
    from orix.quaternion import Rotation

    angles = np.broadcast_to((12.25, 34.5, 56.75), (48, 3))
    quaternions = Rotation.from_euler(angles, degrees=True).data.reshape(6, 8, 4)
    measured = np.ones((6, 8), dtype=bool)
    measured[0, 0] = False
    phase_id = np.full((6, 8), 2)
    phase_id[0, :2] = -1
    scan = make_scan(quaternions=quaternions, phase_id=phase_id, is_measured=measured)
    entries = {entry.name: entry for entry in describe_pixel(scan, 2, 3)}
    assert entries["position"].text == "row 2, column 3 · x 0.75, y 1 µm"
    assert entries["phase"].text == "Ferrite Im-3m"
    assert entries["Euler angles"].text == "φ1 12.25° · Φ 34.50° · φ2 56.75° (map frame)"
    assert "x to the right, y down" in entries["Euler angles"].tip
    assert f"BC {scan.get('BC')[2, 3]}" in entries["values"].text
    assert [e.text for e in describe_pixel(scan, 0, 1)][1] == "not indexed"
    assert [e.text for e in describe_pixel(scan, 0, 0)][1] == "not measured"
