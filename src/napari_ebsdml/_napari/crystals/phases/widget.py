"""Widget "Crystals": what is in this map? Phases from the patterns alone, with the evidence."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QLabel, QPushButton, QWidget

from napari_ebsdml._napari.controls.combo import narrow_combo
from napari_ebsdml._napari.controls.plot import Plot
from napari_ebsdml._napari.controls.table import DataTable
from napari_ebsdml._napari.crystals.phases.stereogram import show_sphere
from napari_ebsdml._napari.files.reader import add_beside
from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.of_scans import scans_in, show_alone
from napari_ebsdml._napari.shell.help import Help
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from napari_ebsdml._palette import LABEL_COLORS
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ebsdml._parallel import Progress
    from napari_ebsdml.patterns.symmetry.phases import FoundPhases

FOUND = "phases found"
_NO_PATTERNS = "This map has no patterns. Open the file that holds them beside the map."
_START = (
    "Tells the Laue group and the lattice of every phase from the patterns, without being told "
    "any. What the file calls its phases is checked, not believed."
)


class PhasesWidget(ScanWidget):
    """Finds the phases of a map from its patterns; see `find_phases`.

    Attributes
    ----------
    table : DataTable
        The phases.
    plot : Plot
        Stereogram of the chosen phase: its measured sphere and the axes of its symmetry.
    """

    HELP = Help(
        "What is in this map: Laue group and lattice of each phase from the patterns alone, and "
        "the map indexed with them.",
        ("Open a map with patterns. Find phases: some minutes for 10,000 patterns.",
         "Read the sentence: what is supported, what is not excluded.",
         "The stereogram shows the pattern of a phase with the axes found: bands follow them.",
         "Add as a map: phases and orientations found, to be saved like any other.",
         "Cubic phases: Name the space groups opens the dock that does, with the map found."),
        "how-to/crystals.md",
        sample="nickel_patterns",
    )  # fmt: skip

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer, "Find phases")
        self.text = QLabel(_START)
        self.text.setWordWrap(True)
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.table = DataTable()
        self.choice = narrow_combo()
        self.choice.currentIndexChanged.connect(lambda _: self._draw())
        self.plot = Plot(230)
        self.add_button = QPushButton("Add as a map")
        self.add_button.setToolTip("The map with the phases and orientations found, beside this")
        self.add_button.clicked.connect(self.add_map)
        self.name_button = QPushButton("Name the space groups …")
        self.name_button.setToolTip(
            "Add the map found, and open the dock that tells six cubic space groups apart on it"
        )
        self.name_button.clicked.connect(self.name_space_groups)
        self._results = (
            self.table, self.choice, self.plot, self.add_button, self.name_button,
        )  # fmt: skip
        for widget in (self.text, *self._results):
            self.form.addWidget(widget)
        self.offer_batch(lambda: "crystals")
        self.form.addStretch(1)
        self._found: dict[Scan, FoundPhases] = self.per_map()
        self.tasks.run_clicked.connect(self.compute)
        self.begin()

    @property
    def found(self) -> FoundPhases | None:
        """What was found in the chosen map."""
        return self._found.get(self.scan) if self.scan is not None else None

    def compute(self) -> None:
        """Find the phases of the chosen map."""
        scan = self.scan
        if scan is not None and scan.patterns is not None and not self.tasks.running:
            self.run(
                scan, _find, scan, label="Finding phases",
                on_result=lambda found: self._show(scan, found),
            )  # fmt: skip

    def tour_actions(self) -> dict[int, Callable[[], object]]:
        """The first step presses the button."""
        return {2: self.tasks.run_button.click}

    def tour_target(self, step: int) -> QWidget | None:
        """The button, then the dock."""
        return self.tasks if step == 2 else self

    def scan_chosen(self, scan: Scan | None) -> None:
        """Show what was found in a map."""
        self.tasks.allow(scan is not None and scan.patterns is not None)
        self._show_found()

    def add_map(self) -> None:
        """Add the map that was indexed with the phases found."""
        if self.found is not None:
            add_beside(self.viewer, self.found.scan)

    def name_space_groups(self) -> None:
        """Add the map found, and open the dock "Space groups" on it."""
        if self.found is None:
            return
        if all(one is not self.found.scan for one in scans_in(self.viewer)):
            self.add_map()
        window = getattr(self.viewer, "window", None)
        if window is not None:
            _, dock = window.add_plugin_dock_widget("napari-ebsdml", "Space groups", tabify=True)
            dock.chooser.scan = self.found.scan

    def _show(self, scan: Scan, found: FoundPhases) -> None:
        self._found[scan] = found
        if found.clusters:
            from napari_ebsdml.maps import ipf_colors

            number = {phase: k + 1 for k, phase in enumerate(found.phases.ids)}
            labels = np.zeros(scan.shape, np.int32)
            for phase, label in number.items():
                labels[found.scan.phase_id == phase] = label
            classes = [LabelClass(0, "not indexed", "transparent")]
            classes += [
                LabelClass(k + 1, one.name, LABEL_COLORS[k % len(LABEL_COLORS)])
                for k, one in enumerate(found.clusters)
            ]
            self.add_result(scan, ipf_colors(found.scan), "IPF-Z found", kind="rgb", visible=False)
            layer = self.add_result(
                scan, labels, FOUND, kind="labels", classes=classes, result=found, opacity=1.0
            )
            show_alone(self.viewer, scan, layer)
            self.viewer.layers.selection.active = layer
        if self.scan is scan:
            self._show_found()

    def _show_found(self) -> None:
        found, scan = self.found, self.scan
        clusters = found.clusters if found is not None else ()
        if found is not None:
            text = found.sentence
            for one in clusters:
                # A phase a paragraph.
                text = text.replace(f"{one.sentence} ", f"{one.sentence}\n")
            self.text.setText(text)
        else:
            lacks = scan is not None and scan.patterns is None
            self.text.setText(_NO_PATTERNS if lacks else _START)
        self.choice.blockSignals(True)
        self.choice.clear()
        self.choice.addItems([one.name for one in clusters])
        self.choice.blockSignals(False)
        for widget in self._results:
            widget.setVisible(bool(clusters))
        self.name_button.setEnabled(any(one.laue.system == "cubic" for one in clusters))
        self.table.set_columns(columns_of(clusters) if clusters else {})
        # No taller than its rows: the stereogram comes below it.
        self.table.keep_low(len(clusters))
        self._draw()

    def _draw(self) -> None:
        found, at = self.found, self.choice.currentIndex()
        if found is None or not 0 <= at < len(found.clusters):
            self.plot.show_with(None)
            return
        show_sphere(self.plot, found.clusters[at])


def columns_of(clusters: Any) -> dict[str, list[Any]]:
    """Figures of the phases found, a row each."""

    def of_lattice(name: str) -> list[Any]:
        return [getattr(one.lattice, name) if one.lattice is not None else "" for one in clusters]

    # Short ones first: they are seen without scrolling.
    return {
        "phase": list(range(1, len(clusters) + 1)),
        "Laue": [one.laue.best or "none" for one in clusters],
        "sure %": [round(100 * one.laue.probability) for one in clusters],
        "cell": of_lattice("bravais"),
        "a Å": [round(a, 2) if a != "" else "" for a in of_lattice("a")],
        "share %": [round(100 * one.share, 1) for one in clusters],
        "c Å": [round(c, 2) if c != "" else "" for c in of_lattice("c")],
        "space groups": [
            ", ".join(str(n) for n in one.space_groups[0].numbers) if one.space_groups else ""
            for one in clusters
        ],
    }


def _find(scan: Scan, progress: Progress = None) -> FoundPhases:
    from napari_ebsdml.patterns.symmetry.phases import find_phases

    return find_phases(scan, progress=progress)
