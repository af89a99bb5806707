"""The dock "Grains and poles" in a real napari window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from orix.crystal_map import Phase, PhaseList
from qtpy.QtCore import Qt

from napari_ebsdml import Scan, Source, samples
from napari_ebsdml._napari.grains_and_poles.grain import unit_cell
from napari_ebsdml._napari.grains_and_poles.widget import CHOSEN, PROFILE, GrainsAndPolesWidget
from tests.napari.docks import add_map, compute, layer, open_dock


@pytest.fixture
def scan() -> Scan:
    """Left half cube on, right half turned by 40 degrees about z; the last row not indexed."""
    q = np.zeros((10, 12, 4))
    half = np.radians(np.where(np.arange(12) < 6, 0.0, 40.0)) / 2
    q[..., 0], q[..., 3] = np.cos(half), np.sin(half)
    phase_id = np.zeros((10, 12), int)
    q[9], phase_id[9] = 0, -1
    return Scan(
        quaternions=q, phase_id=phase_id, phases=PhaseList({0: Phase("Nickel", space_group=225)}),
        step=(0.5, 0.5), prop={"BC": np.full((10, 12), 7.0)}, source=Source(path=Path("two.ang")),
    )  # fmt: skip


@pytest.fixture
def dock(viewer: Any, scan: Scan) -> GrainsAndPolesWidget:
    add_map(viewer, scan)
    return open_dock(viewer, "Grains and poles", GrainsAndPolesWidget)


def _click(viewer: Any, row: int, column: int) -> None:
    at = layer(viewer, "IPF").data_to_world((row, column))

    class Event:
        button, modifiers, position, type = 1, (), at, "mouse_press"

    for callback in list(viewer.mouse_drag_callbacks):
        event = Event()
        steps = callback(viewer, event)
        next(steps, None)
        event.type = "mouse_release"
        assert next(steps, None) is None


def test_click_tells_of_a_grain(viewer: Any, dock: GrainsAndPolesWidget, qtbot: Any) -> None:
    _click(viewer, 2, 2)  # before there are grains
    assert dock.label == 0
    compute(dock, qtbot)
    assert "2 grains" in dock.text.text()
    _click(viewer, 2, 2)
    assert dock.label == 1
    assert "Nickel" in dock.text.text()
    assert "54 pixels" in dock.text.text()
    header, row = dock.neighbours.rows()
    assert header[0] == "neighbour"
    assert row[1] == pytest.approx(40)
    assert row[2] == pytest.approx(9 * 0.5)
    outline = layer(viewer, CHOSEN)
    assert outline.contour == 1
    assert not outline.editable
    assert (outline.data[:9, :6] == 1).all()
    assert (outline.data[:9, 6:] == 0).all()
    _click(viewer, 9, 3)
    assert "not indexed" in dock.text.text()


def test_pole_figure_is_linked_to_the_map(
    viewer: Any, dock: GrainsAndPolesWidget, scan: Scan, qtbot: Any
) -> None:
    assert dock.phase.currentText() == "Nickel"
    qtbot.waitUntil(lambda: "Click into the figure" in dock.pole_text.text(), timeout=20_000)
    # {100} at the right edge belongs to the left half of the map.
    dock.show_near(0.99, 0.0)
    marked = layer(viewer, "poles near").data
    assert marked[:9, :6].all()
    assert not marked[:, 6:].any()
    assert "50.0 %" in dock.pole_text.text()
    dock.plane.setText("1 1")
    dock.plane.editingFinished.emit()
    assert "three indices" in dock.pole_text.text()
    dock.plane.setText("one")
    dock.plane.editingFinished.emit()
    assert "Give the plane as numbers" in dock.pole_text.text()
    dock.plane.setText("1 1 1")
    dock.plane.editingFinished.emit()
    assert "Drawing" in dock.pole_text.text()
    qtbot.waitUntil(lambda: "Click into the figure" in dock.pole_text.text(), timeout=20_000)


def test_profile_is_two_clicks(viewer: Any, dock: GrainsAndPolesWidget, qtbot: Any) -> None:
    qtbot.mouseClick(dock.line_button, Qt.MouseButton.LeftButton)
    _click(viewer, 4, 1)
    _click(viewer, 4, 10)
    assert "4.5 µm" in dock.line_text.text()
    line = layer(viewer, PROFILE)
    np.testing.assert_allclose(line.data, [[(4, 1), (0, 9)]])
    (axes,) = dock.profile.drawn.axes
    assert np.nanmax(axes.lines[0].get_ydata()) == pytest.approx(40)


def test_closed_dock_leaves_the_mouse_alone(viewer: Any, dock: GrainsAndPolesWidget) -> None:
    number = len(viewer.mouse_drag_callbacks)
    viewer.window.remove_dock_widget(dock)
    assert len(viewer.mouse_drag_callbacks) == number - 1


def test_unit_cell_lies_as_the_crystal_does() -> None:
    cubic = unit_cell(Phase("Ni", space_group=225), np.array([1.0, 0, 0, 0]))
    assert cubic.shape == (12, 2, 3)
    along = np.abs(cubic[:, 1] - cubic[:, 0])
    np.testing.assert_allclose(np.sort(along, axis=1)[:, :2], 0, atol=1e-12)
    titanium = Phase("Ti", space_group=194)
    titanium.structure.lattice.setLatPar(2.95, 2.95, 4.68, 90, 90, 120)
    turn = np.array([np.cos(np.pi / 12), np.sin(np.pi / 12), 0, 0])  # 30 degrees about x
    prism = unit_cell(titanium, turn)
    assert prism.shape == (18, 2, 3)
    c = prism[12:, 1] - prism[12:, 0]
    c /= np.linalg.norm(c, axis=1, keepdims=True)
    # Map -> crystal turns by +30 degrees, so that the crystal lies turned by -30 in the map.
    np.testing.assert_allclose(np.abs(c @ (0, 0.5, np.sqrt(0.75))), 1, atol=1e-12)


def test_figures_and_pixels_are_linked_both_ways(
    viewer: Any, scan: Scan, dock: GrainsAndPolesWidget, qtbot: Any
) -> None:
    from napari_ebsdml._napari.layers.of_scans import add_result

    viewer.window._qt_window.show()
    dock.tabs.setCurrentWidget(dock.inverse.parentWidget())
    qtbot.waitUntil(dock.inverse.isVisible, timeout=5000)
    dock.inverse.axis.setCurrentIndex(1)  # X: the right half is turned against it
    dock.inverse.plot.clicked.emit(0.0, 0.0)  # <100>
    found = layer(viewer, "direction along X").data
    assert (found[:9, :6] == 1).all()
    assert not found[:, 6:].any()
    assert "50.0 %" in dock.inverse.text.text()
    bright = scan.prop["BC"] + np.arange(12)
    add_result(viewer, scan, bright, "BC2")
    dock.tabs.setCurrentWidget(dock.histogram.parentWidget())
    qtbot.waitUntil(dock.histogram.isVisible, timeout=5000)
    assert dock.histogram.layer.currentText().startswith("BC2")
    dock.histogram.plot.dragged.emit(8.5, 10.5)
    marked = layer(viewer, "BC2 in a range").data
    np.testing.assert_array_equal(np.flatnonzero(marked[0]), [2, 3])
    # The other way: the grain that is clicked on appears in both figures.
    compute(dock, qtbot)
    _click(viewer, 2, 2)
    labels = [text.get_text() for text in dock.histogram.plot.drawn.axes[0].get_legend().texts]
    assert labels == ["map", "grain"]
    dock.tabs.setCurrentWidget(dock.inverse.parentWidget())
    qtbot.waitUntil(lambda: bool(dock.inverse.plot.drawn.axes), timeout=5000)
    assert len(dock.inverse.plot.drawn.axes[0].collections) == 1


def test_pole_figure_of_a_hexagonal_crystal_begins_with_the_basal_plane(qtbot: Any) -> None:
    model = ViewerModel()
    add_map(model, samples.alpha_titanium((40, 40), 1).scan)
    dock = GrainsAndPolesWidget(model)
    qtbot.addWidget(dock)
    assert dock.plane.text() == "0 0 0 1"
    dock.closing()
