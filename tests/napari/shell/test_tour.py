"""The tour "First map"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from qtpy.QtCore import QRect, Qt

from napari_ebsdml._napari.layers.of_scans import scans_in
from napari_ebsdml._napari.maps.widget import MapsWidget
from napari_ebsdml._napari.segmenter.example import paint_example
from napari_ebsdml._napari.segmenter.widget import SegmenterWidget
from napari_ebsdml._napari.shell import tour as tours
from napari_ebsdml._napari.shell.help import TOUR
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from tests.napari.docks import add_map, open_dock, run
from tests.napari.segmenter.panels import steel


@pytest.fixture
def samples(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the samples that were opened: a small map comes in their place."""
    opened: list[str] = []

    def open_sample(viewer: Any, plugin: str, name: str) -> None:
        opened.append(name)
        from napari_ebsdml._napari.files.samples import truth_layer

        add_map(viewer, steel(3).scan)
        data, options, kind = truth_layer(steel(3).scan, steel(3).truth)
        getattr(viewer, f"add_{kind}")(data, **options)

    from napari.components import ViewerModel

    monkeypatch.setattr(ViewerModel, "open_sample", open_sample)
    return opened


@pytest.fixture
def window(make_napari_viewer: Callable[..., Any]) -> Iterator[Any]:
    viewer = make_napari_viewer(show=True)
    yield viewer
    if tours.Tour.running is not None:
        tours.Tour.running.end()


def begin(dock: ScanWidget) -> tours.Tour:
    dock.start_tour()
    assert tours.Tour.running is not None
    return tours.Tour.running


def test_walks_through_with_the_keyboard(window: Any, samples: list[str], qtbot: Any) -> None:
    dock = open_dock(window, "EBSD maps", MapsWidget)
    bar = [b for b in dock.findChildren(tours.QWidget) if getattr(b, "menu", None)]
    titles = [a.text() for b in bar if b.menu() for a in b.menu().actions()]
    assert TOUR in titles
    tour = begin(dock)
    assert samples == ["dual_phase_steel"]
    assert dock.scan is steel(3).scan
    assert len(tour.steps) == 5
    seen = []
    for at in range(5):
        assert tour.at == at
        seen.append(tour.text.text())
        if at != 1:  # a map key is there only where a file was opened
            qtbot.waitUntil(tour.frame.isVisible, timeout=5000)
        if at < 4:
            qtbot.keyClick(tour, Qt.Key.Key_Right)
    assert len(set(seen)) == 5
    qtbot.keyClick(tour, Qt.Key.Key_Left)
    assert tour.at == 3
    with qtbot.waitSignal(dock.tasks.stopped, timeout=60_000) as over:
        tour.do_button.click()
    assert over.args == ["done"]
    qtbot.keyClick(tour, Qt.Key.Key_Escape)
    assert tours.Tour.running is None
    # A second one finds the sample, and takes the place of the first.
    first = begin(dock)
    second = begin(dock)
    assert tours.Tour.running is second is not first
    assert samples == ["dual_phase_steel"]
    assert len(scans_in(window)) == 1


def test_ends_with_its_dock(window: Any, samples: list[str], qtbot: Any) -> None:
    dock = open_dock(window, "EBSD maps", MapsWidget)
    begin(dock)
    window.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: tours.Tour.running is None, timeout=5000)


def test_paints_and_trains_in_the_segmenter(window: Any, samples: list[str], qtbot: Any) -> None:
    dock = open_dock(window, "U-Net segmenter", SegmenterWidget)
    tour = begin(dock)
    tour.go(2)
    tour.show_me()
    layer = dock.strokes.layer
    painted = layer.data > 0
    assert (layer.data == steel(3).truth)[painted].mean() > 0.8
    assert set(dock.state.names.values()) == {"ferrite", "martensite"}
    tour.go(3)
    qtbot.waitUntil(dock.tasks.run_button.isEnabled, timeout=10_000)
    run(lambda: (tour.show_me(), dock.tasks.cancel()), dock.tasks, qtbot, "cancelled")
    # Where nothing is known to be true nothing is painted.
    window.layers.remove(next(one for one in window.layers if one.name.startswith("truth")))
    assert paint_example(dock.state, layer) == 0


@pytest.mark.parametrize(
    ("target", "left"), [((800, 100, 200, 300), 448), ((0, 100, 200, 300), 211)]
)
def test_stands_beside_what_is_framed(target: tuple[int, ...], left: int) -> None:
    area = QRect(0, 0, 1000, 700)
    there = tours.beside(QRect(*target), 340, 120, area)
    assert there.x() == left
    assert not QRect(there.x(), there.y(), 340, 120).intersects(QRect(*target))
    # A wide target leaves no side, a full one no place at all: then inside, never outside.
    wide = tours.beside(QRect(0, 0, 1000, 100), 340, 120, area)
    assert wide.y() > 100
    full = tours.beside(area, 340, 120, area)
    assert area.contains(QRect(full.x(), full.y(), 340, 120))
