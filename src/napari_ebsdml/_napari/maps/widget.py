"""Widget "EBSD maps": IPF colours, KAM, grains, boundaries and the like as layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from qtpy.QtWidgets import QCheckBox, QTabWidget

from napari_ebsdml._napari.maps.results import compute_maps
from napari_ebsdml._napari.maps.settings import REGIONS, MapResult, MapSettings
from napari_ebsdml._napari.shell.fields import Choice, Field, Flag, Form, Number
from napari_ebsdml._napari.shell.layers import info_of, layers_of, scans_of
from napari_ebsdml._napari.shell.legend import LayerLegend
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from napari_ebsdml._napari.shell.settings import remember, remembered
from napari_ebsdml._napari.shell.tab_page import tab_page
from napari_ebsdml._napari.shell.table import DataTable
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

SECTION = "maps"
"""Where napari keeps the settings of this widget."""

_DEFAULT = MapSettings()


def _any(*names: str) -> Any:
    return lambda values: any(values[name] for name in names)


def _angle(name: str, label: str, tip: str, highest: float, *when: str) -> Number:
    default = getattr(_DEFAULT, name)
    return Number(name, label, default, 0.1, highest, "°", 1, 0.5, tip, _any(*when))


def _flag(name: str, label: str, tip: str) -> Flag:
    return Flag(name, label, getattr(_DEFAULT, name), tip)


def _component(letter: str) -> Number:
    name = f"direction_{letter}"
    return Number(
        name, letter, getattr(_DEFAULT, name), -999, 999, "", 2, 0.1, _AXES,
        lambda v: (v["ipf"] or v["grain_ipf"]) and v["direction"] == "own",
    )  # fmt: skip


_AXES = "Specimen direction in the axes of the map: x right, y down, z into the screen"
_OF_GRAINS = ("grains", "grod", "gos", "grain_ipf")

FIELDS: tuple[Field, ...] = (
    _flag("ipf", "IPF colours", "Which crystal direction lies along a specimen direction"),
    _flag("grain_ipf", "IPF colours of grain means", "Each grain in the colour of its mean"),
    Choice(
        "direction", "Direction", _DEFAULT.direction,
        (("x", "X (right)"), ("y", "Y (down)"), ("z", "Z (into the screen)"), ("own", "own …")),
        _AXES, _any("ipf", "grain_ipf"),
    ),
    *(_component(letter) for letter in "xyz"),
    _flag("kam", "KAM (kernel average misorientation)", "Mean misorientation to the neighbours"),
    Number(
        "kam_order", "Order", _DEFAULT.kam_order, 1, 10, "", 0, 1,
        "1: the square of 3 × 3 pixels, 2: 5 × 5, ...", _any("kam"),
    ),
    _angle("kam_threshold", "Threshold", "Larger misorientations are left out", 180, "kam"),
    _flag("misorientation", "Misorientation to the next pixel", "To the right and below"),
    _flag("boundaries", "Boundaries", "Low and high angle, twin and phase boundaries"),
    _angle("boundary_low", "Low angle from", "Smallest misorientation", 180, "boundaries"),
    _angle("boundary_high", "High angle from", "Smallest misorientation", 180, "boundaries"),
    Flag(
        "boundary_sigma3", "Tell Σ3 twins (cubic phases)", _DEFAULT.boundary_sigma3,
        "60° about <111>, within 8.66° (Brandon's criterion)", _any("boundaries"),
    ),
    _flag("grains", "Grains", "Labels, and a table of sizes and shapes"),
    _flag("grod", "GROD (deviation from grain mean)",
          "Grain reference orientation deviation"),
    _flag("gos", "GOS (grain orientation spread)", "Mean of the GROD of a grain"),
    _angle("grain_threshold", "Grain threshold", "Misorientation at which a grain ends", 180,
           *_OF_GRAINS),
    Number(
        "grain_min_pixels", "Smallest grain", _DEFAULT.grain_min_pixels, 1, 1_000_000, "px", 0, 1,
        "Smaller grains are left out", _any(*_OF_GRAINS),
    ),
    _flag("virtual", "Virtual backscatter image", "Brightness of a part of the detector"),
    Choice(
        "virtual_region", "Detector", _DEFAULT.virtual_region, tuple(REGIONS.items()),
        "Part of the detector that is averaged", _any("virtual"),
    ),
)  # fmt: skip
"""What the form asks for; the names are those of `MapSettings` and of the manifest."""


class MapsWidget(ScanWidget):
    """Computes maps of a scan and adds them as layers; see `MapSettings`."""

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer, "Compute")
        self.fields = Form(FIELDS)
        self.fields.set_values(remembered(SECTION))
        self.form.addWidget(self.fields)
        self.form.addStretch(1)

        self.legend = LayerLegend(self.viewer)
        self.grain_table = DataTable()
        self.every_grain = QCheckBox("Every grain")
        self.every_grain.toggled.connect(lambda _: self._show_tables())
        self.grain_table.buttons.addWidget(self.every_grain)
        self.boundary_table = DataTable()
        self.tabs = QTabWidget()
        self.tabs.addTab(tab_page(self.legend), "Legend")
        for title, table in (("Grains", self.grain_table), ("Boundaries", self.boundary_table)):
            self.tabs.setTabVisible(self.tabs.addTab(tab_page(table), title), False)
        self.below.addWidget(self.tabs)

        self._tables: WeakKeyDictionary[Scan, dict[str, Any]] = WeakKeyDictionary()
        self._pictures: list[Layer] = []
        self._limits: WeakKeyDictionary[Layer, tuple[float, float]] = WeakKeyDictionary()
        self.tasks.run_clicked.connect(self.compute)
        self.scan_chosen(self.scan)

    @property
    def settings(self) -> MapSettings:
        """What the form says."""
        return MapSettings(**self.fields.values())

    def compute(self) -> None:
        """Compute what is ticked, for the chosen scan."""
        scan = self.scan
        if scan is None or self.tasks.running:
            return
        settings = self.settings
        remember(SECTION, self.fields.values())
        self._pictures = []
        self.run(
            scan, compute_maps, scan, settings, label="Computing maps",
            on_event=lambda result: self._show(scan, settings, result),
            on_result=lambda _: self._select_picture(),
        )  # fmt: skip

    def scan_chosen(self, scan: Scan | None) -> None:
        patterns = scan is None or scan.patterns is not None
        self.fields.set_available("virtual", patterns, "This scan has no patterns.")
        self._show_tables()

    def _show(self, scan: Scan, settings: MapSettings, result: MapResult) -> None:
        before = set(self.viewer.layers)
        pictures = [
            layer for layer in layers_of(self.viewer, scan) if _kind(layer) in ("image", "rgb")
        ]
        layer = self.add_result(
            scan, result.data, result.quantity, result.unit, kind=result.kind,
            classes=result.classes, settings=result.settings, **result.display,
        )  # fmt: skip
        if layer in before:
            self._update_display(layer, result.display)
        elif result.quantity == "grains" and self._pictures:
            # Outlines leave the map below to be seen; where boundaries are drawn as well, faintly.
            layer.contour, layer.opacity = 1, 0.3 if settings.boundaries else 1.0
        if result.kind in ("image", "rgb"):
            self._pictures.append(layer)
            if layer not in before:
                # One map at a time, on the quality image: pixels without a value are transparent.
                for other in pictures[1:]:
                    # A volume stays: the map is that of one section.
                    if len(scans_of(other)) == 1:
                        other.visible = False
        limits = result.display.get("contrast_limits")
        if limits is not None:
            self._limits[layer] = limits
        if result.table:
            self._tables.setdefault(scan, {}).update(result.table)
            self._show_tables()

    def _select_picture(self) -> None:
        """Select the map that is on top, so that the legend tells its colours."""
        shown = [layer for layer in self._pictures if layer in self.viewer.layers]
        if shown:
            self.viewer.layers.selection.active = shown[-1]

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
        grains = "Every grain" if self.every_grain.isChecked() else "Grains"
        self.grain_table.set_columns(tables.get(grains, {}))
        self.boundary_table.set_columns(tables.get("Boundaries", {}))
        self.tabs.setTabVisible(1, grains in tables)
        self.tabs.setTabVisible(2, "Boundaries" in tables)


def _kind(layer: Layer) -> str:
    info = info_of(layer)
    return str(info["kind"]) if info is not None else ""
