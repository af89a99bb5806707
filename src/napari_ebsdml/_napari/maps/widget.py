"""Widget "EBSD maps": IPF colours, KAM, grains, boundaries and the like as layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from qtpy.QtWidgets import QCheckBox, QTabWidget

from napari_ebsdml._napari.controls.form import SettingsForm
from napari_ebsdml._napari.controls.settings import remember, remembered
from napari_ebsdml._napari.controls.tab_page import tab_page
from napari_ebsdml._napari.controls.table import DataTable
from napari_ebsdml._napari.layers.of_scans import PICTURES, show_alone
from napari_ebsdml._napari.maps.columns import ColumnsPage
from napari_ebsdml._napari.maps.results import MapResult, map_results
from napari_ebsdml._napari.maps.script import maps_script
from napari_ebsdml._napari.shell.help import Help
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from napari_ebsdml.maps.settings import MapSettings
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

SECTION = "maps"
"""Where napari keeps the settings of this widget."""


class MapsWidget(ScanWidget):
    """Computes maps of a scan and adds them as layers; see `MapSettings`.

    Attributes
    ----------
    settings_form : SettingsForm
    """

    HELP = Help(
        "Orientation colours, local misorientation, grains and boundaries of a map.",
        ("Tick the maps you want; hover over a name for what it is.",
         "Compute. Every map is a layer; the Map key tells its colours.",
         "Grains and Boundaries below hold the figures; Save writes them as CSV."),
        "tutorials/deformation.md",
    )  # fmt: skip

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer, "Compute")
        self.settings_form = SettingsForm(MapSettings)
        self.settings_form.set_saved(remembered(SECTION))
        self.form.addWidget(self.settings_form.native)
        self.offer_script(lambda scan: maps_script(scan, self.settings))
        self.offer_batch(lambda: ("maps", [self.settings, {"gnd": False}]))
        self.form.addStretch(1)

        self.grain_table = DataTable()
        self.every_grain = QCheckBox("Every grain")
        self.every_grain.toggled.connect(lambda _: self._show_tables())
        self.grain_table.buttons.addWidget(self.every_grain)
        self.boundary_table = DataTable()
        self.tabs = QTabWidget()
        self.columns = ColumnsPage(self.viewer)
        self.tabs.addTab(tab_page(self.columns), "More layers")
        for title, table in (("Grains", self.grain_table), ("Boundaries", self.boundary_table)):
            self.tabs.setTabVisible(self.tabs.addTab(tab_page(table), title), False)
        self.below.addWidget(self.tabs)

        self._tables: dict[Scan, dict[str, Any]] = self.per_map()
        self._pictures: list[Layer] = []
        self._limits: WeakKeyDictionary[Layer, tuple[float, float]] = WeakKeyDictionary()
        self.tasks.run_clicked.connect(self.compute)
        self.begin()

    @property
    def settings(self) -> MapSettings:
        """What the form says."""
        return self.settings_form.settings()

    def compute(self) -> None:
        """Compute what is ticked, for the chosen scan."""
        scan = self.scan
        if scan is None or self.tasks.running:
            return
        settings = self.settings
        remember(SECTION, self.settings_form.saved())
        self._pictures = []
        self.run(
            scan, map_results, scan, settings, label="Computing maps",
            on_event=lambda result: self._show(scan, settings, result),
            on_result=lambda _: self._select_picture(),
        )  # fmt: skip

    def scan_chosen(self, scan: Scan | None) -> None:
        patterns = scan is None or scan.patterns is not None
        self.settings_form.set_available("virtual", patterns, "This scan has no patterns.")
        self.columns.show_scan(scan)
        self._show_tables()

    def _show(self, scan: Scan, settings: MapSettings, result: MapResult) -> None:
        before = set(self.viewer.layers)
        layer = result.add_to(self.viewer, scan)
        if layer in before:
            self._update_display(layer, result.display)
        elif result.quantity == "grains" and self._pictures:
            # Outlines leave the map below to be seen; boundaries outline the grains as well.
            layer.contour, layer.visible = 1, not settings.boundaries
        if result.kind in PICTURES:
            self._pictures.append(layer)
            show_alone(self.viewer, scan, layer)
        limits = result.display.get("contrast_limits")
        if limits is not None:
            self._limits[layer] = limits
        if result.table:
            self._tables.setdefault(scan, {}).update(result.table)
            self._show_tables()

    def _select_picture(self) -> None:
        """Select the map that is on top, whose looks one may want to change."""
        shown = [layer for layer in self._pictures if layer in self.viewer.layers]
        if shown:
            self.viewer.layers.selection.active = shown[-1]
        self._pictures = []

    def _update_display(self, layer: Layer, display: Mapping[str, Any]) -> None:
        """Follow new settings where the user has not changed what was set before."""
        limits = display.get("contrast_limits")
        ours = self._limits.get(layer)
        if limits is not None and ours is not None and np.allclose(layer.contrast_limits, ours):
            layer.contrast_limits_range = limits
            layer.contrast_limits = limits
        if "features" in display:
            layer.features = display["features"]

    def _show_tables(self) -> None:
        """Show the figures of the chosen scan."""
        tables = self._tables.get(self.scan, {}) if self.scan is not None else {}
        fresh = bool(tables) and not self.tabs.isTabVisible(1) and not self.tabs.isTabVisible(2)
        grains = "Every grain" if self.every_grain.isChecked() else "Grains"
        self.grain_table.set_columns(tables.get(grains, {}))
        self.boundary_table.set_columns(tables.get("Boundaries", {}))
        self.tabs.setTabVisible(1, grains in tables)
        self.tabs.setTabVisible(2, "Boundaries" in tables)
        if fresh:
            # What was asked for comes first, not what else the file holds.
            self.tabs.setCurrentIndex(1 if grains in tables else 2)
