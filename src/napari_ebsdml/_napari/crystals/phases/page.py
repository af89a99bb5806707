"""Page "What is in this map?": phases from the patterns alone, with the evidence."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QTabWidget, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.combo import narrow_combo
from napari_ebsdml._napari.controls.form import SettingsForm
from napari_ebsdml._napari.controls.plot import Plot
from napari_ebsdml._napari.controls.tab_page import tab_page
from napari_ebsdml._napari.controls.table import DataTable
from napari_ebsdml._napari.controls.text import pretty
from napari_ebsdml._napari.crystals.missing import NO_PATTERNS
from napari_ebsdml._napari.crystals.page import Page
from napari_ebsdml._napari.crystals.phases import display, work
from napari_ebsdml._napari.crystals.phases.pictures import show_pattern, show_sphere
from napari_ebsdml._napari.crystals.phases.script import phases_script
from napari_ebsdml._napari.files.reader import add_beside
from napari_ebsdml._napari.layers.of_scans import (
    info_of,
    layers_of,
    result_of,
    scans_in,
    show_alone,
)
from napari_ebsdml._napari.shell.background import Background
from napari_ebsdml._napari.shell.help import Help
from napari_ebsdml._napari.shell.scan_widget import scrolling_page
from napari_ebsdml._parallel import available_cores
from napari_ebsdml.maps.elements import element_names
from napari_ebsdml.patterns.phases.estimate import expected_seconds, speed_from
from napari_ebsdml.patterns.settings import PhasesSettings
from napari_ebsdml.scan import Scan
from napari_ebsdml.segmentation.learning.estimate import in_words

if TYPE_CHECKING:
    from napari_ebsdml._napari.shell.scan_widget import ScanWidget
    from napari_ebsdml._napari.shell.workers import Outcome
    from napari_ebsdml.patterns.phases.find import FoundPhases

_PLOT = 180
_MORE = 4
_NONE = 0.5
"""Part of the pixels that fit no phase from which on that is what the answer begins with."""
_START = (
    "Crystal system, Laue group and lattice of every phase, from the patterns alone. Phases and "
    "orientations in the file are checked against them, not used."
)
_SPHERE, _PATTERN = "Stereogram", "Best pattern"
_CAPTIONS = {
    _SPHERE: "The phase's pattern on the half sphere of directions, merged from its best patterns. "
    "Numbers: n-fold axes of the Laue group.",
    _PATTERN: "Without its background. Numbers: n-fold axes of the Laue group that meet the "
    "screen; the bands are alike about them.",
}


class PhasesPage(Page):
    """Finds the phases of a map from its patterns; see `find_phases`.

    Signals
    -------
    name_wanted
        The user wants to name the space groups of the map that is now chosen.

    Attributes
    ----------
    settings_form : SettingsForm
    text : QLabel
        What was found, a line a phase, or why nothing was.
    again_button : QPushButton
        What to try when little or nothing was found.
    table : DataTable
        The phases.
    notes : QLabel
        All that the patterns say of each phase.
    choice, view : QComboBox
        Phase, and which picture of it.
    plot : Plot
        Stereogram of the phase, or its best pattern, with the axes of its symmetry.
    """

    name_wanted = Signal()

    RUN = "Find phases"
    HELP = Help(
        "What is in this map: Laue group and lattice of each phase from the patterns alone, and "
        "the map indexed with them.",
        ("Nothing has to be known: phases and orientations of the file are not used. Enter the "
         "beam energy where the file does not tell it.",
         "Find phases: how long it takes is told above the button.",
         "The first lines say what is supported, and what is not excluded.",
         "The tab Symmetry shows the pattern of a phase with the axes found.",
         "Add indexed map: phases and orientations found, to be saved like any other.",
         "Cubic phases: Name the space groups goes on with the map found."),
        "how-to/crystals.md",
        sample="nickel_patterns",
    )  # fmt: skip

    def __init__(self, dock: ScanWidget) -> None:
        super().__init__(dock)
        self.settings_form: SettingsForm[PhasesSettings] = SettingsForm(PhasesSettings)
        self.settings_form.set_offered("chemistry", False)
        self.form.addWidget(self.settings_form.native)
        self.settings_form.changed.connect(lambda: self.changed.emit())
        self._speed, self._started, self._expected = 1.0, math.nan, 0.0
        self.text = _words()
        self.again_button = QPushButton()
        self.again_button.clicked.connect(self._try_again)
        self.table = DataTable()
        self.add_button = QPushButton("Add indexed map")
        self.add_button.setToolTip("The map with the phases and orientations found, beside this")
        self.add_button.clicked.connect(self.add_map)
        self.name_button = QPushButton("Name the space groups …")
        self.name_button.setToolTip(
            "Add the indexed map, and name space groups on it: six cubic ones can be told apart"
        )
        self.name_button.clicked.connect(self.name_space_groups)
        self.choice, self.view = narrow_combo(), narrow_combo()
        self.view.addItems([_SPHERE, _PATTERN])
        self.plot = Plot(_PLOT, grows=True)
        self.caption, self.notes = _words(), _words()
        self.notes.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.tabs = QTabWidget()
        for name, page in (
            ("Phases", self._table_page()), ("Symmetry", self._symmetry_page()),
            ("Notes", self._notes_page()),
        ):  # fmt: skip
            self.tabs.addTab(tab_page(page), name)
        self.below.addWidget(self.text)
        self.below.addWidget(self.again_button)
        self.below.addWidget(self.tabs, 1)
        self.below.addStretch(0)
        self._pictures = Background(self)
        # Without a phase there is no layer that has the answer.
        self._nothing: dict[Scan, FoundPhases] = dock.per_map()
        self._shown: FoundPhases | None = None
        self.choice.currentIndexChanged.connect(self._draw)
        self.view.currentIndexChanged.connect(self._draw)
        for event in (self.viewer.layers.events.inserted, self.viewer.layers.events.removed):
            event.connect(self._layers_changed)
        self._show_found()

    @property
    def found(self) -> FoundPhases | None:
        """What was found in the chosen map."""
        scan = self.scan
        if scan is None:
            return None
        for layer in reversed(layers_of(self.viewer, scan)):
            if (info_of(layer) or {}).get("quantity") == work.FOUND:
                from napari_ebsdml.patterns.phases.find import FoundPhases

                found = result_of(layer, FoundPhases)
                if found is not None:
                    return found
        return self._nothing.get(scan)

    def hint(self) -> str:
        """What is missing, or how long it takes."""
        scan = self.scan
        if scan is None:
            return ""
        if scan.patterns is None:
            return NO_PATTERNS
        seconds = self._seconds(scan, False) / self._speed
        return f"Takes {in_words(seconds)}; longer where there are many phases."

    def _seconds(self, scan: Scan, search_centre: bool) -> float:
        tells = scan.camera is not None and scan.camera.tells_centre
        sample = self.settings_form.settings().sample
        return expected_seconds(
            scan.phase_id.size, sample, search_centre or not tells, available_cores()
        )

    def ready(self) -> bool:
        """Whether the map has patterns."""
        return self.scan is not None and self.scan.patterns is not None

    def compute(self, search_centre: bool = False) -> None:
        """Find the phases of the chosen map."""
        scan = self.scan
        if scan is not None and self.ready() and not self.tasks.running:
            self._started, self._expected = time.monotonic(), self._seconds(scan, search_centre)
            self.dock.run(
                scan, work.find, scan, self.settings_form.settings(), search_centre,
                label="Finding phases", on_result=lambda answer: self._add(scan, *answer),
            )  # fmt: skip

    def script(self, scan: Scan) -> str:
        """As a script."""
        return phases_script(scan, self.settings_form.settings())

    def step(self) -> Any:
        """As a step of a batch."""
        return "crystals", self.settings_form.settings()

    def scan_chosen(self, scan: Scan | None) -> None:
        """Show what was found in a map, and ask of element counts where it has them."""
        lines = () if scan is None else element_names(scan)
        self.settings_form.set_offered("chemistry", len(lines) > 1)
        self._show_found()

    def closing(self) -> None:
        """Let go of the layers."""
        self._pictures.stop()
        for event in (self.viewer.layers.events.inserted, self.viewer.layers.events.removed):
            event.disconnect(self._layers_changed)

    def add_map(self) -> None:
        """Add the map that was indexed with the phases found, once."""
        found = self.found
        if found is not None and all(one is not found.scan for one in scans_in(self.viewer)):
            add_beside(self.viewer, found.scan)

    def name_space_groups(self) -> None:
        """Add the map found, choose it, and ask for its space groups."""
        found = self.found
        if found is not None:
            self.add_map()
            self.dock.chooser.scan = found.scan
            self.name_wanted.emit()

    def _table_page(self) -> QWidget:
        page, buttons = QWidget(), QHBoxLayout()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        buttons.addWidget(self.add_button)
        buttons.addWidget(self.name_button)
        layout.addWidget(self.table)
        layout.addLayout(buttons)
        layout.addStretch(1)
        return page

    def _symmetry_page(self) -> QWidget:
        page, choices = QWidget(), QHBoxLayout()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(0, 0, 0, 0)
        choices.addWidget(self.choice, 1)
        choices.addWidget(self.view, 1)
        layout.addLayout(choices)
        layout.addWidget(self.plot, 1)
        layout.addWidget(self.caption)
        return page

    def _notes_page(self) -> QWidget:
        scroll, layout = scrolling_page()
        layout.addWidget(self.notes)
        layout.addStretch(1)
        return scroll

    def _add(self, scan: Scan, found: FoundPhases, layers: list[dict[str, Any]]) -> None:
        speed = speed_from(self._expected, time.monotonic() - self._started)
        if math.isfinite(speed):
            self._speed = speed
            self.changed.emit()
        self._nothing.pop(scan, None)
        if not layers:
            self._nothing[scan] = found
        layer = None
        for options in layers:
            layer = self.dock.add_result(scan, **options)
        if layer is not None:
            show_alone(self.viewer, scan, layer)
            self.viewer.layers.selection.active = layer
        self._show_found()

    def _layers_changed(self, event: Any = None) -> None:
        if self.dock.alive and self.found is not self._shown:
            self._show_found()

    def _show_found(self) -> None:
        found = self._shown = self.found
        there = found is not None and bool(found.clusters)
        self.tabs.setVisible(there)
        self.text.setText(_START if found is None else _answer(found))
        offer = self._offer()
        self.again_button.setVisible(bool(offer))
        self.again_button.setText(offer)
        self.choice.blockSignals(True)
        self.choice.clear()
        clusters = found.clusters if found is not None else ()
        self.choice.addItems([one.name for one in clusters])
        self.choice.setVisible(len(clusters) > 1)
        self.choice.blockSignals(False)
        self.name_button.setEnabled(any(one.laue.system == "cubic" for one in clusters))
        self.table.set_columns(display.columns_of(found) if found is not None else {})
        self.table.set_swatches([display.color_of(k) for k in range(len(clusters))])
        # No taller than its rows: the buttons come below it.
        self.table.keep_low(len(clusters))
        self.notes.setText("" if found is None else pretty(_paragraphs(found)))
        self._draw()

    def _offer(self) -> str:
        """What may help where little was found; "" for nothing."""
        found, scan = self.found, self.scan
        if found is None or scan is None:
            return ""
        if found.clusters and display.left_over(found) < _NONE:
            return ""
        more = _MORE * self.settings_form.settings().sample
        if found.clusters and more <= scan.phase_id.size:
            return f"Search {more} patterns"
        return "" if found.is_searched else "Search for the pattern centre, too"

    def _try_again(self) -> None:
        if "centre" in self.again_button.text():
            self.compute(search_centre=True)
        else:
            sample = self.settings_form.settings().sample
            self.settings_form.set_values({"sample": _MORE * sample})
            self.compute()

    def _draw(self, *_: Any) -> None:
        found, at, view = self._shown, self.choice.currentIndex(), self.view.currentText()
        self._pictures.stop()
        self.caption.setText(_CAPTIONS[view])
        if found is None or not 0 <= at < len(found.clusters):
            self.plot.show_with(None)
        elif view == _SPHERE:
            show_sphere(self.plot, found.clusters[at])
        else:
            self._pictures.start(work.axes_on_pattern, found, at, then=self._draw_pattern)

    def _draw_pattern(self, outcome: Outcome) -> None:
        if outcome.value is not None:
            show_pattern(self.plot, outcome.value)
        else:
            self.plot.show_with(None)
            self.caption.setText(f"The pattern cannot be read: {outcome.error}")


def _answer(found: FoundPhases) -> str:
    if not found.clusters:
        return found.sentence
    left = display.left_over(found)
    if left < _NONE:
        return display.headline(found)
    why = (
        f"<b>{100 * left:.0f} % of the pixels fit no phase that was found.</b> Their patterns are "
        "too weak, their phase has few pixels and was missed, or the pattern centre is off."
    )
    return f"{why}<br>{display.headline(found)}"


def _paragraphs(found: FoundPhases) -> str:
    text = found.sentence
    for one in found.clusters:
        text = text.replace(f"{one.sentence} ", f"{one.sentence}<br><br>")
    return text


def _words() -> QLabel:
    label = QLabel()
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
