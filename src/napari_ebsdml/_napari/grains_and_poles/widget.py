"""Widget "Grains and poles": a grain's card, pole figures linked to the map, profiles."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.controls.combo import narrow_combo
from napari_ebsdml._napari.controls.plot import Plot
from napari_ebsdml._napari.controls.tab_page import tab_page
from napari_ebsdml._napari.controls.table import DataTable
from napari_ebsdml._napari.grains_and_poles.brush import HistogramPage, InversePage
from napari_ebsdml._napari.grains_and_poles.grain import (
    GrainMap,
    card,
    find_grains,
    neighbours,
    unit_cell,
)
from napari_ebsdml._napari.grains_and_poles.plots import show_cell, show_pole_figure, show_profile
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.clicks import MapClicks
from napari_ebsdml._napari.layers.of_scans import Level
from napari_ebsdml._napari.shell.background import Background
from napari_ebsdml._napari.shell.help import Help
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from napari_ebsdml._napari.shell.workers import Outcome
from napari_ebsdml.errors import EbsdmlError, InputError
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel

CHOSEN = "chosen grain"
NEAR_POLE = "poles near"
PROFILE = "profile line"

_NEAR_DEGREES = 10.0
_Wanted = tuple[Scan, int, tuple[float, ...]]
"""Of a pole figure: map, phase, plane."""
_START = "Find the grains, then click on one in the map."


class GrainsAndPolesWidget(ScanWidget):
    """Tells of the grain that is clicked on, draws pole figures and profiles.

    Attributes
    ----------
    grains : GrainMap or None
        Of the chosen scan, once they are found.
    label : int
        The grain that was clicked on; 0 for none.
    """

    HELP = Help(
        "Looks into the crystals: a grain's figures, neighbours and unit cell, the pole figure of "
        "the map with the grain marked, misorientation along a line.",
        ("Find grains, then click on one in the map.",
         "Poles and IPF: click into a figure to see which pixels have a pole or direction there; "
         "Values: drag over a range of a layer's histogram. The chosen grain is marked in each.",
         "Profile: press New line and draw it with two clicks on the map."),
        "tutorials/deformation.md",
        (("10.1107/S0021889808030112", "Hielscher and Schaeben 2008, pole figures"),),
    )  # fmt: skip

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer, "Find grains")
        self.grains: GrainMap | None = None
        self.label = 0
        self._ends: list[tuple[int, int]] | None = None
        self._density: tuple[_Wanted, NDArray[np.float64]] | None = None
        self._background = Background(self)

        self.tabs = QTabWidget()
        self.tabs.addTab(tab_page(self._grain_page()), "Grain")
        self.tabs.addTab(tab_page(self._pole_page()), "Poles")
        self.inverse = InversePage(self._mark)
        self.tabs.addTab(tab_page(self.inverse), "IPF")
        self.histogram = HistogramPage(self.viewer, self._mark)
        self.tabs.addTab(tab_page(self.histogram), "Values")
        self.tabs.addTab(tab_page(self._profile_page()), "Profile")
        self.form.addWidget(self.tabs)

        self.tasks.run_clicked.connect(self.compute)
        self._clicks = MapClicks(self.viewer, lambda: self.scan, self._clicked)
        self.begin()

    def compute(self) -> None:
        """Find the grains of the chosen scan."""
        scan = self.scan
        if scan is not None and not self.tasks.running:
            self.run(scan, find_grains, scan, label="Finding grains", on_event=self._found)

    def scan_chosen(self, scan: Scan | None) -> None:
        """Forget what belongs to another scan."""
        self.grains, self.label, self._ends = None, 0, None
        self._density = None
        self.text.setText(_START)
        self.neighbours.set_columns({})
        self.cell.show_with(None)
        self.profile.show_with(None)
        self.phase.blockSignals(True)
        self.phase.clear()
        if scan is not None:
            present = set(np.unique(scan.phase_id).tolist())
            for number, phase in scan.phases:
                if number in present and phase.point_group is not None:
                    self.phase.addItem(phase.name, number)
        self.phase.blockSignals(False)
        offered = [(self.phase.itemText(n), self.phase.itemData(n))
                   for n in range(self.phase.count())]  # fmt: skip
        self.inverse.set_scan(scan, offered)
        self.histogram.set_scan(scan)
        self._phase_chosen()

    def tour_actions(self) -> dict[int, Callable[[], object]]:
        """Grains, then the pole figure of one in the middle of the map."""

        def poles() -> None:
            if self.scan is not None and self.grains is not None:
                self.choose(self.scan.shape[0] // 2, self.scan.shape[1] // 2)
            self.tabs.setCurrentIndex(1)

        return {2: self.tasks.run_button.click, 3: poles}

    def tour_target(self, step: int) -> QWidget | None:
        """The tabs, for both."""
        return self.tasks if step == 2 else self.scroll

    def closing(self) -> None:
        """Let go of the mouse."""
        self._clicks.stop()
        self._background.stop()

    def choose(self, row: int, column: int) -> None:
        """Tell of the grain at a pixel."""
        if self.grains is None:
            return
        self.label = int(self.grains.labels[row, column])
        if self.label == 0:
            self.text.setText("No grain there: the pixel is not indexed.")
            self.neighbours.set_columns({})
            self.cell.show_with(None)
            self._draw_poles()
            return
        rows = "".join(
            f"<tr><td>{name}&nbsp;&nbsp;</td><td>{value}</td></tr>"
            for name, value in card(self.grains, self.label)
        )
        self.text.setText(f"<b>Grain {self.label}</b><table>{rows}</table>")
        self.neighbours.set_columns(neighbours(self.grains, self.label))
        number = int(self.grains.table["phase"][self.grains.row(self.label)])
        scan = self.grains.scan
        if number >= 0:
            show_cell(self.cell, unit_cell(scan.phases[number], self.grains.mean(self.label)))
            self.phase.setCurrentIndex(self.phase.findData(number))
        active = self.viewer.layers.selection.active
        self.add_result(
            scan, (self.grains.labels == self.label).astype(np.int32), CHOSEN, kind="labels",
            classes=[LabelClass(0, "others", "transparent"), LabelClass(1, CHOSEN, "white")],
            level=Level.LINES, opacity=1.0,
        ).contour = 1  # fmt: skip
        self.viewer.layers.selection.active = active
        self._draw_poles()
        pixels = self.grains.labels == self.label
        self.inverse.set_grain(pixels, number)
        self.histogram.set_grain(pixels)

    def draw_profile(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """Show the misorientation along a line."""
        from napari_ebsdml._napari.layers.lines import add_lines
        from napari_ebsdml.maps import misorientation_profile

        scan = self.scan
        if scan is None:
            return
        try:
            found = misorientation_profile(scan, start, end)
        except EbsdmlError as error:
            self.tasks.say(str(error), "error")
            return
        show_profile(self.profile, found)
        on_line = np.zeros(scan.shape, np.int32)
        on_line[tuple(found.pixels.T)] = 1
        ends = np.array([[start, end]], float) * scan.step
        classes = [LabelClass(1, PROFILE, "white")]
        active = self.viewer.layers.selection.active
        add_lines(self.viewer, scan, ends, np.array([1]), PROFILE, classes, on_line, width=3.0)
        self.viewer.layers.selection.active = active if active in self.viewer.layers else None
        self.line_text.setText(
            f"{found.distance[-1]:.4g} µm from row {start[0]}, column {start[1]} to row {end[0]}, "
            f"column {end[1]}."
        )

    def show_near(self, x: float, y: float) -> None:
        """Show the pixels that have a pole near a point of the pole figure."""
        from napari_ebsdml.maps.poles import poles, unproject

        scan, number = self.scan, self.phase.currentData()
        if scan is None or number is None or x * x + y * y > 1:
            return
        directions, pixels = poles(scan, int(number), self._plane(), most=None)
        near = np.abs(directions @ unproject((x, y))) > np.cos(np.radians(_NEAR_DEGREES))
        marked = np.zeros(scan.shape, np.int32)
        marked.flat[pixels[near.any(axis=1)]] = 1
        share = 100 * float(marked.sum()) / max(pixels.size, 1)
        name = f"{NEAR_POLE} ({self.plane.text()})"
        self.pole_text.setText(
            f"{share:.1f} % of the phase have a pole within {_NEAR_DEGREES:g}° of there."
        )
        self._mark(marked.astype(bool), name)

    def _mark(self, pixels: NDArray[np.bool_], name: str) -> None:
        """Show pixels that were chosen in a figure; the selection of layers stays."""
        scan = self.scan
        if scan is None:
            return
        active = self.viewer.layers.selection.active
        self.add_result(
            scan, pixels.astype(np.int32), name, kind="labels", opacity=0.6,
            classes=[LabelClass(0, "elsewhere", "transparent"), LabelClass(1, name, "#ff8c42")],
        )  # fmt: skip
        if active is not None and active in self.viewer.layers:
            self.viewer.layers.selection.active = active

    def _found(self, event: Any) -> None:
        if isinstance(event, GrainMap):
            self.grains = event
            self.text.setText(f"{len(event.table['id'])} grains. Click on one in the map.")

    def _plane(self) -> tuple[float, ...]:
        try:
            return tuple(float(v) for v in self.plane.text().replace(",", " ").split())
        except ValueError:
            raise InputError("Give the plane as numbers, such as 1 1 1 or 0 0 0 2.") from None

    def _suit_plane(self, scan: Scan, number: int) -> None:
        """Begin with the plane that one looks at first, until the user names one."""
        from napari_ebsdml.maps import laue_class

        if not self.plane.isModified():
            hexagonal = laue_class(scan.phases[number]) in ("-3", "-3m", "6/m", "6/mmm")
            self.plane.setText("0 0 0 1" if hexagonal else "1 0 0")

    def _phase_chosen(self) -> None:
        number = self.phase.currentData()
        if self.scan is not None and number is not None:
            self._suit_plane(self.scan, int(number))
        self._draw_poles()

    def _draw_poles(self) -> None:
        from napari_ebsdml.maps.poles import crystal_directions

        scan, number = self.scan, self.phase.currentData()
        self._background.stop()
        if scan is None or number is None:
            self._density = None
            self.poles.show_with(None)
            self.pole_text.setText("The map has no phase with orientations and a symmetry.")
            return
        try:
            plane = self._plane()
            crystal_directions(scan.phases[int(number)], plane)
        except EbsdmlError as error:
            self.poles.show_with(None)
            self.pole_text.setText(str(error))
            return
        wanted = (scan, int(number), plane)
        if self._density is not None and self._density[0] == wanted:
            self._show_poles(self._density[1])
            return
        self.pole_text.setText("Drawing the pole figure …")
        self._background.start(_pole_density, *wanted, then=partial(self._poles_found, wanted))

    def _poles_found(self, wanted: _Wanted, outcome: Outcome) -> None:
        if outcome.error is not None:
            self.poles.show_with(None)
            self.pole_text.setText(str(outcome.error))
            return
        self._density = wanted, outcome.value
        self._show_poles(outcome.value)

    def _show_poles(self, density: NDArray[np.float64]) -> None:
        from napari_ebsdml.maps.poles import poles, project

        assert self._density is not None
        scan, number, plane = self._density[0]
        marked = None
        if self.grains is not None and self.label:
            of_grain = self.grains.labels == self.label
            if np.any(scan.phase_id[of_grain] == number):
                marked = project(poles(scan, number, plane, of_grain, most=1)[0].reshape(-1, 3))
        show_pole_figure(
            self.poles, f"{{{self.plane.text()}}} {self.phase.currentText()}", density, marked
        )
        self.pole_text.setText("Click into the figure: which pixels have a pole there?")

    def _clicked(self, row: int, column: int) -> None:
        if self._ends is None:
            self.choose(row, column)
            return
        self._ends.append((row, column))
        if len(self._ends) == 2:
            (start, end), self._ends = self._ends, None
            self.draw_profile(start, end)
        else:
            self.line_text.setText("Now click where the line ends.")

    def _new_line(self) -> None:
        self._ends = []
        self.line_text.setText("Click on the map where the line begins.")

    def _grain_page(self) -> QWidget:
        self.text = QLabel(_START)
        self.text.setWordWrap(True)
        self.cell = Plot(110)
        self.text.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.neighbours = DataTable()
        return _page(self.text, self.cell, self.neighbours)

    def _pole_page(self) -> QWidget:
        self.phase: QComboBox = narrow_combo()
        self.phase.currentIndexChanged.connect(lambda _: self._phase_chosen())
        self.plane = QLineEdit("1 0 0")
        self.plane.setToolTip("Plane (h k l), of hexagonal crystals also (h k i l)")
        self.plane.setMaximumWidth(90)
        self.plane.editingFinished.connect(self._draw_poles)
        row = QWidget()
        line = QHBoxLayout(row)
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self.phase, 1)
        line.addWidget(QLabel("Plane"))
        line.addWidget(self.plane)
        self.poles = Plot(250)
        self.poles.clicked.connect(self.show_near)
        self.pole_text = QLabel()
        self.pole_text.setWordWrap(True)
        return _page(row, self.poles, self.pole_text)

    def _profile_page(self) -> QWidget:
        self.line_button = QPushButton("New line")
        self.line_button.clicked.connect(self._new_line)
        self.line_text = QLabel("Press New line, then click on the map where it begins and ends.")
        self.line_text.setWordWrap(True)
        self.profile = Plot(220)
        return _page(self.line_button, self.line_text, self.profile)


def _pole_density(scan: Scan, number: int, plane: tuple[float, ...]) -> NDArray[np.float64]:
    from napari_ebsdml.maps.poles import pole_density, poles

    return pole_density(poles(scan, number, plane)[0])


def _page(*widgets: QWidget) -> QWidget:
    page = QWidget()
    layout = QVBoxLayout(page)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    if not isinstance(widgets[-1], DataTable):
        layout.addStretch(1)
    return page
