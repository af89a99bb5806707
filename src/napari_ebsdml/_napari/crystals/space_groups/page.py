"""Page "Name the space groups": the space group of every Kikuchi pattern of a map."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtWidgets import (
    QDockWidget,
    QLabel,
    QMainWindow,
    QPushButton,
    QSizePolicy,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.controls.settings import remember, remembered
from napari_ebsdml._napari.controls.tab_page import tab_page
from napari_ebsdml._napari.controls.table import DataTable
from napari_ebsdml._napari.crystals.page import Page
from napari_ebsdml._napari.crystals.space_groups import classify as work
from napari_ebsdml._napari.crystals.space_groups import results
from napari_ebsdml._napari.crystals.space_groups.cameras import (
    FILE,
    OWN,
    SEARCH,
    CameraChoice,
    tells_centre,
)
from napari_ebsdml._napari.crystals.space_groups.classify import Classified
from napari_ebsdml._napari.crystals.space_groups.compare_panel import ComparePanel
from napari_ebsdml._napari.crystals.space_groups.display import tally_colors, tally_columns
from napari_ebsdml._napari.crystals.space_groups.form import ClassifyForm
from napari_ebsdml._napari.crystals.space_groups.found_orientations import announcement, outcome
from napari_ebsdml._napari.crystals.space_groups.model_panel import ModelPanel
from napari_ebsdml._napari.crystals.space_groups.models import ModelEntry, store_of
from napari_ebsdml._napari.crystals.space_groups.pixel_panel import PixelPanel
from napari_ebsdml._napari.crystals.space_groups.script import classify_script
from napari_ebsdml._napari.crystals.space_groups.train_panel import TrainPanel
from napari_ebsdml._napari.layers.of_scans import layers_of, result_of, show_alone
from napari_ebsdml._napari.layers.turns import Turns
from napari_ebsdml._napari.shell.help import Help
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.answers.compare import answers_of, right_share
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml._napari.pattern_viewer.viewer import PatternViewer
    from napari_ebsdml._napari.shell.scan_widget import ScanWidget

SECTION = "space_groups"
"""Where napari keeps the settings of this widget."""

_PLUGIN, _VIEWER = "napari-ebsdml", "Pattern viewer"
_SIDE_BY_SIDE = 1400
_TABS_HEIGHT, _EMPTY_HEIGHT = 300, 110
_UNKNOWN = 0.5
"""Part of the patterns that are unknown from which on that is what the answer begins with."""
_REFINE, _PHASES = "Refine the geometry and classify again", "What is in this map?"
_NOTHING = (
    "Six cubic space groups are told apart: 221, 223, 225, 227, 229 and 230. Patterns of other "
    "crystals are unknown."
)

_WHY = {
    _REFINE: "most often the pattern centre is off.",
    _PHASES: "most often the crystals are of another Laue group than m-3m, or the patterns weak.",
}


class SpaceGroupsPage(Page):
    """Classifies patterns, explains and compares answers, trains models.

    Signals
    -------
    phases_wanted
        The user wants to know what is in the map.

    Attributes
    ----------
    store : ModelStore
        Of the viewer.
    classify_form : ClassifyForm
    tally : DataTable
    pixel_panel : PixelPanel
    compare_panel : ComparePanel
    train_panel : TrainPanel
    model_panel : ModelPanel
    """

    phases_wanted = Signal()

    RUN = "Classify"
    USES_TORCH = True
    HELP = Help(
        "Which of six cubic space groups (Laue group m-3m) each pattern of a map is of.",
        ("Answer for each grain where the map is indexed: averaged patterns tell more than one.",
         "Classify. The tally counts the answers; the layer shows them on the map.",
         "Click on the map with the tab Pixel open: the bands that decided are drawn.",
         "Unknown patterns say why: most often the pattern centre is off, so refine the geometry; "
         "crystals of another Laue group are unknown here, and What is in this map? names them."),
        "tutorials/crystal.md",
        (("10.1038/s41598-021-87557-5", "Kaufmann, Lane, Liu and Vecchio 2021"),),
        "nickel_patterns",
    )  # fmt: skip

    def __init__(self, dock: ScanWidget) -> None:
        super().__init__(dock)
        self._window = getattr(self.viewer, "window", None)
        self._cameras: dict[Scan, CameraChoice] = dock.per_map()
        self._last: tuple[Scan | None, list[Classified], list[str]] | None = None
        self._adding = Turns(self)
        self.store = store_of(self.viewer)
        self.classify_form = ClassifyForm(self.store)
        self.classify_form.answers.set_saved(remembered(SECTION))
        self.form.addWidget(self.classify_form)

        self.message = QLabel(_NOTHING)
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.again_button = QPushButton()
        self.again_button.clicked.connect(self._try_again)
        self.tally = DataTable()
        first = QWidget()
        column = QVBoxLayout(first)
        column.setContentsMargins(0, 4, 0, 0)
        column.addWidget(self.message)
        column.addWidget(self.again_button)
        column.addWidget(self.tally, 1)
        column.addStretch(0)
        self.pixel_panel = PixelPanel()
        self.compare_panel = ComparePanel()
        self.train_panel = TrainPanel(self.store, dock)
        self.model_panel = ModelPanel(dock)
        self.tabs = QTabWidget()
        for name, page in (
            ("Tally", first), ("Pixel", self.pixel_panel), ("Compare", self.compare_panel),
            ("Train", self.train_panel), ("Model", self.model_panel),
        ):  # fmt: skip
            self.tabs.addTab(tab_page(page), name)
        # The tallest tab must not take height from the form while another one is shown.
        self.tabs.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Ignored)
        self.below.addWidget(self.tabs, 1)
        self._connect()
        self._model_chosen()

    # -- classify ------------------------------------------------------------------------------

    def hint(self) -> str:
        """What is missing, or what will be searched for."""
        form = self.classify_form
        return self._problem() or announcement(self.scan, form.entries, form.camera_setting())

    def remedy(self) -> str:
        """A search, where the geometry is missing."""
        scan = self.scan
        missing = bool(self._problem()) and scan is not None and scan.patterns is not None
        return "Search for the pattern centre" if missing else ""

    def help_out(self) -> None:
        """Choose that search."""
        self.classify_form.camera.set_values({"camera": SEARCH})

    def ready(self) -> bool:
        """Whether there is a model, and all that it needs."""
        return bool(self.classify_form.entries) and not self._problem()

    def compute(self) -> None:
        """Classify the chosen map."""
        scan = self.scan
        if scan is None or self.tasks.running or self._problem():
            return
        form = self.classify_form
        remember(SECTION, form.answers.saved())
        self.dock.run(
            scan, work.classify, scan, form.entries, form.answers.settings(),
            form.camera_setting(),
            label="Classifying patterns", uses_torch=True,
            on_result=lambda found: self._show(scan, found),
        )  # fmt: skip

    def step(self) -> Any:
        """With the first model, and each map with its own geometry."""
        form = self.classify_form
        if not form.entries:
            raise InputError("Choose a model first.")
        return "spacegroups", [form.answers.settings(), {"model": form.entries[0].source}]

    def refine(self) -> None:
        """Refine the detector's geometry on the chosen map."""
        scan = self.scan
        if scan is None or self.tasks.running:
            return
        start = self.classify_form.camera_setting(refined=False)
        self.dock.run(
            scan, work.refine, scan, start, label="Refining the geometry",
            on_result=lambda found: self.classify_form.set_refined(scan, *found),
        )  # fmt: skip

    @property
    def results(self) -> list[Classified]:
        """Answers for the chosen map, those of the model in the form first."""
        found = results.results_of(self.viewer, self.scan)
        names = [entry.name for entry in self.classify_form.entries]
        rank = {name: n for n, name in enumerate(names)}
        return sorted(found, key=lambda one: rank.get(one.name, len(names)))

    # -- pattern viewer ------------------------------------------------------------------------

    def open_pattern_viewer(self) -> PatternViewer | None:
        """Open the pattern viewer beside this dock, or find it, and follow its clicks."""
        if self._window is None:
            return None
        known = self._find_viewer()
        if known is None:
            dock, known = self._window.add_plugin_dock_widget(_PLUGIN, _VIEWER)
            mine: QObject | None = self.dock
            while mine is not None and not isinstance(mine, QDockWidget):
                mine = mine.parent()
            main = dock.parent()
            if (
                isinstance(main, QMainWindow) and isinstance(mine, QDockWidget)
                and main.width() >= _SIDE_BY_SIDE and not mine.isFloating()
            ):  # fmt: skip
                # A pattern and its probabilities are read together.
                main.splitDockWidget(mine, dock, Qt.Orientation.Horizontal)
        self.pixel_panel.connect_viewer(known)
        return known

    def _find_viewer(self) -> PatternViewer | None:
        from napari_ebsdml._napari.pattern_viewer.viewer import PatternViewer

        for widget in getattr(self._window, "dock_widgets", {}).values():
            if isinstance(widget, PatternViewer):
                return widget
        return None

    # -- inside --------------------------------------------------------------------------------

    def scan_chosen(self, scan: Scan | None) -> None:
        """Show what is known of a scan."""
        self.classify_form.show_scan(scan)
        self._show_results()
        self._form_changed()

    def closing(self) -> None:
        """Stop everything and leave other docks as they were."""
        self._adding.stop()
        for panel in (self.pixel_panel, self.model_panel):
            panel.closing()
        for event in (self.viewer.layers.events.inserted, self.viewer.layers.events.removed):
            event.disconnect(self._layers_changed)

    def _connect(self) -> None:
        self.classify_form.changed.connect(self._form_changed)
        self.classify_form.refine_clicked.connect(self.refine)
        self.classify_form.model.entry_changed.connect(self._model_chosen)
        self.classify_form.second.entry_changed.connect(self._show_results)
        self.pixel_panel.open_clicked.connect(self.open_pattern_viewer)
        self.compare_panel.map_wanted.connect(self._add_agreement)
        self.train_panel.trained.connect(self._choose)
        self.model_panel.load_clicked.connect(self._load)
        self.tabs.currentChanged.connect(self._tab_changed)
        for event in (self.viewer.layers.events.inserted, self.viewer.layers.events.removed):
            event.connect(self._layers_changed)
        self.dock.chooser.scans_changed.connect(self._offer_scans)
        self._offer_scans()

    def _problem(self) -> str:
        form = self.classify_form
        return work.problem(self.scan, form.entries, form.camera_setting())

    def _form_changed(self) -> None:
        scan, form = self.scan, self.classify_form
        if scan is not None:
            self._cameras[scan] = form.camera_setting()
            form.refine_button.setEnabled(self._can_refine(scan))
        self.changed.emit()

    def _can_refine(self, scan: Scan) -> bool:
        """Whether there is a geometry to start from."""
        start = self.classify_form.camera_setting(refined=False).source
        return (
            scan.patterns is not None and bool(scan.is_indexed.any())
            and (start == OWN or (start == FILE and tells_centre(scan)))
        )  # fmt: skip

    def _model_chosen(self) -> None:
        entry = self.classify_form.model.entry
        self.model_panel.show_entry(entry)
        self.train_panel.show_entry(entry)
        self._show_results()
        if self.scan is not None and not self.tasks.running:
            for one in self.results:
                if entry is not None and one.name == entry.name:
                    self._raise(self.scan, one)

    def _choose(self, entry: ModelEntry) -> None:
        self.classify_form.model.entry = entry

    def _load(self) -> None:
        entry = self.classify_form.model.ask_for_file()
        if entry is not None:
            self._choose(entry)

    def _offer_scans(self) -> None:
        self.train_panel.show_scans(self.dock.chooser.scans, dict(self._cameras))

    def _share_height(self) -> None:
        """The form's where there is nothing to see yet, the answers' once there are some."""
        empty = self.tabs.currentIndex() == 0 and self._last is not None and not self._last[1]
        self.tabs.setMinimumHeight(_EMPTY_HEIGHT if empty else _TABS_HEIGHT)

    def _tab_changed(self, index: int) -> None:
        self._share_height()
        if self.tabs.tabText(index) == "Train":
            self._offer_scans()
        elif self.tabs.tabText(index) == "Pixel":
            self.pixel_panel.connect_viewer(self._find_viewer())

    def _show(self, scan: Scan, found: list[Classified]) -> None:
        steps: list[Callable[[], object]] = []
        for one in found:
            steps.append(partial(results.remove_found, self.viewer, scan, one))
            for arguments in results.layers_to_add(one):
                steps.append(partial(results.add, self.dock, scan, arguments, one))
        if len(found) > 1:
            arguments = results.agreement_layer(found[0], found[1])
            steps.append(partial(results.add, self.dock, scan, arguments, None))
            # The first model's map is what is looked at first.
            steps.append(partial(self._raise, scan, found[0]))
        self._adding.add(*steps, self._show_results)

    def script(self, scan: Scan) -> str:
        """As a script."""
        form = self.classify_form
        return classify_script(
            scan, form.entries, form.answers.settings(), form.camera_setting(),
            form.camera_setting(refined=False),
        )  # fmt: skip

    @property
    def adding(self) -> bool:
        """Whether layers of the last answers are still to come."""
        return self._adding.busy

    def _raise(self, scan: Scan, one: Classified) -> None:
        for layer in layers_of(self.viewer, scan):
            if result_of(layer, Classified) is one:
                show_alone(self.viewer, scan, layer)
                self.viewer.layers.selection.active = layer

    def _add_agreement(self, one: Classified, two: Classified) -> None:
        scan = self.scan
        if scan is not None:
            layer = results.add(self.dock, scan, results.agreement_layer(one, two), None)
            show_alone(self.viewer, scan, layer)
            self.viewer.layers.selection.active = layer

    def _layers_changed(self, event: Any = None) -> None:
        if self.dock.alive and not self._adding.busy:
            self._show_results()

    def _show_results(self) -> None:
        found = self.results
        scan = self.scan
        names = [entry.name for entry in self.classify_form.entries]
        self.pixel_panel.connect_viewer(self._find_viewer())
        if self._last == (scan, found, names):
            return  # another layer came or went
        self._last = (scan, found, names)
        chosen = [one for one in found if one.name in names] or found[:1]
        self.tally.setVisible(bool(chosen))
        self._share_height()
        if not chosen or scan is None:
            self.message.setText(_NOTHING)
            self.again_button.setVisible(False)
        else:
            self._show_tally(scan, chosen[0])
        self.pixel_panel.show_results(scan, chosen)
        self.compare_panel.show_results(found)

    def _may_refine(self, scan: Scan, one: Classified) -> bool:
        """Whether answers were given with a geometry that can still be refined."""
        refined = one.settings.get("refine") or self.classify_form.use_refined.isChecked()
        return one.entry.needs_orientations and not refined and self._can_refine(scan)

    def _try_again(self) -> None:
        if self.again_button.text() == _REFINE:
            self.classify_form.answers.set_values({"refine": True})
            self.compute()
        else:
            self.phases_wanted.emit()

    def _show_tally(self, scan: Scan, one: Classified) -> None:
        phases = [
            (phase.name, scan.phase_id == number) for number, phase in scan.phases
            if number >= 0 and (scan.phase_id == number).any()
        ]  # fmt: skip
        self.tally.set_columns(tally_columns(one.answers, one.result.probability, phases))
        self.tally.set_swatches(tally_colors(one.answers))
        told = " ".join([outcome(one.result, one.way), *one.result.warnings])
        text = f"<b>{one.name}</b>, by {one.by}. {told}".rstrip()
        asked = int(one.result.asked.sum())
        unknown = int((one.result.asked & ~one.result.is_known).sum()) / max(asked, 1)
        self.again_button.setVisible(unknown > _UNKNOWN)
        if unknown > _UNKNOWN:
            offer = _REFINE if self._may_refine(scan, one) else _PHASES
            self.again_button.setText(offer)
            text = f"<b>{100 * unknown:.0f} % are unknown:</b> {_WHY[offer]} {text}"
        lookup = np.zeros(scan.phase_id.max() + 2, np.int64)
        for number, phase in scan.phases:
            if 0 <= number < len(lookup) - 1 and phase.space_group is not None:
                lookup[number] = int(phase.space_group.number)
        truth = lookup[scan.phase_id]
        right, _ = right_share(answers_of(one.result, ambiguous=False), truth)
        if right == right:
            text += f" Against the phases in the file: {100 * right:.1f} % right"
            alone, compatible = right_share(one.answers, truth)
            if compatible > alone:
                text += f", {100 * compatible:.1f} % if “or” answers that include it count too"
            text += "."
        self.message.setText(text)
