"""What the demo does with a map after opening it: each dock at work, as a user would use it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import MissingDataError
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    import napari

Step = Callable[["napari.Viewer", Scan], None]

EXAMPLE = "dual_phase_steel"
EXAMPLE_SHAPE = (214, 285)
EXAMPLE_SEED = 0

_PLUGIN = "napari-ebsdml"
_PATIENCE_S = 600
_READY_S = 10
_STROKES = 10
_STROKE_LENGTH = 8


def show_gnd(viewer: napari.Viewer, scan: Scan) -> None:
    """The dock "GND density" at work."""
    widget = _dock(viewer, "GND density", scan)
    _work(widget, widget.compute)


def show_density(viewer: napari.Viewer, scan: Scan) -> None:
    """The dock "Dislocation density" at work."""
    widget = _dock(viewer, "Dislocation density", scan)
    _work(widget, widget.compute)


def show_maps(viewer: napari.Viewer, scan: Scan) -> None:
    """The dock "EBSD maps" at work: the maps that its settings name."""
    widget = _dock(viewer, "EBSD maps", scan)
    _work(widget, widget.compute)


def show_space_groups(viewer: napari.Viewer, scan: Scan) -> None:
    """The dock "Crystals" names space groups: of the map's patterns, or else of nickel's."""
    from napari_ebsdml._napari.layers.of_scans import layers_of, scans_in
    from napari_ebsdml.samples import fetch

    if scan.patterns is None:
        before = len(scans_in(viewer))
        try:
            viewer.open(fetch("nickel_patterns"), plugin=_PLUGIN)
        except MissingDataError:
            return
        # The first of the file's scans; the others would lie beside it.
        known = scans_in(viewer)[:before]
        scan, *others = [one for one in scans_in(viewer) if one not in known]
        for other in others:
            for layer in layers_of(viewer, other):
                viewer.layers.remove(layer)
        _dismiss_notes()
    widget = _dock(viewer, "Crystals", scan)
    widget.show_part("space_groups")
    _work(widget, widget.compute)


def show_segmenter(viewer: napari.Viewer, scan: Scan) -> None:
    """The dock "U-Net segmenter": paint strokes, train, segment.

    Only the synthetic steel is painted; on a map of their own, users paint themselves.
    """
    widget = _dock(viewer, "U-Net segmenter", scan)
    truth = example_truth(scan)
    if truth is None:
        return
    for chosen, name in zip(widget.state.classes, ("ferrite", "martensite"), strict=True):
        widget.state.change_class(chosen.value, name=name)
    widget.strokes.new_layer()
    layer = widget.strokes.layer
    layer.brush_size = 2
    for row, column, value in strokes(truth):
        layer.paint((row, column), value)
    widget.training.form.set_saved({"effort": "quick"})
    _work(widget, widget.training.train)


class Chapter(NamedTuple):
    """One job of the story."""

    picture: str
    """Name of its picture."""
    show: Step


STORY: list[Chapter] = [
    Chapter("maps", show_maps),
    Chapter("gnd", show_gnd),
    Chapter("dislocations", show_density),
    Chapter("space-groups", show_space_groups),
    Chapter("segmenter", show_segmenter),
]
"""What the demo does after opening the map, in this order."""


def show_chapter(viewer: napari.Viewer, scan: Scan, chapter: Chapter) -> None:
    """A job at work; in view is afterwards what it has made, on the picture of its map."""
    from napari_ebsdml._napari.layers.of_scans import layers_of, scan_of, show_map

    before = list(viewer.layers)
    chapter.show(viewer, scan)
    made = [layer for layer in viewer.layers if layer not in before]
    if not made:
        return
    shown = scan_of(made[0]) or scan
    for layer in before:
        layer.visible = False
    # Lines and classes lie on a picture of their map.
    if not any(layer.visible and layer._type_string == "image" for layer in made):
        layers_of(viewer, shown)[0].visible = True
    viewer.canvas.overlays.scale_bar.visible = True
    show_map(viewer, shown)


def example_truth(scan: Scan) -> NDArray[np.integer] | None:
    """Classes of the synthetic steel that the demo makes; None for another map."""
    from napari_ebsdml.samples import dual_phase_steel

    if scan.name != EXAMPLE or scan.shape != EXAMPLE_SHAPE:
        return None
    sample = dual_phase_steel(shape=EXAMPLE_SHAPE, seed=EXAMPLE_SEED)
    if not np.array_equal(sample.scan.is_indexed, scan.is_indexed):
        return None
    return np.asarray(sample.truth)


def strokes(truth: NDArray[np.integer], seed: int = 0) -> list[tuple[int, int, int]]:
    """Short strokes within each class as (row, column, class) of their points."""
    rng = np.random.default_rng(seed)
    points: list[tuple[int, int, int]] = []
    for value in (1, 2):
        places = np.argwhere(truth == value)
        for row, column in places[rng.integers(len(places), size=_STROKES)]:
            angle = rng.uniform(0, np.pi)
            for reach in range(_STROKE_LENGTH):
                i = round(row + reach * np.sin(angle))
                j = round(column + reach * np.cos(angle))
                inside = 0 <= i < truth.shape[0] and 0 <= j < truth.shape[1]
                if not inside or truth[i, j] != value:
                    break
                points.append((i, j, value))
    return points


def _dismiss_notes() -> None:
    """Close what napari says about the sample's file; it would lie on the scale bar."""
    from napari._qt.dialogs.qt_notification import NapariQtNotification
    from qtpy.QtWidgets import QApplication

    for widget in QApplication.allWidgets():
        if isinstance(widget, NapariQtNotification):
            widget.close()


def _dock(viewer: napari.Viewer, name: str, scan: Scan) -> Any:
    """Open a dock on a scan."""
    _, widget = viewer.window.add_plugin_dock_widget(_PLUGIN, name, tabify=True)
    widget.chooser.scan = scan
    return widget


def _work(widget: Any, begin: Callable[[], None]) -> None:
    """Press a dock's button and let the window live until the work is done."""
    end = time.monotonic() + _READY_S
    while not widget.tasks.running and time.monotonic() < end:
        # A dock may still be looking at the scan that it was given.
        _let_live(0.1)
        begin()
    end = time.monotonic() + _PATIENCE_S
    # The dock of space groups adds its layers one by one after the work.
    while (widget.tasks.running or getattr(widget, "adding", False)) and time.monotonic() < end:
        _let_live(0.02)
    _let_live(0.1)


def _let_live(seconds: float) -> None:
    from qtpy.QtWidgets import QApplication

    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QApplication.processEvents()
        time.sleep(0.005)
