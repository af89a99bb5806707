"""Widget "GND density": geometrically necessary dislocations of a map, and what noise hides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHBoxLayout, QLabel, QPushButton, QTabWidget, QVBoxLayout, QWidget

from napari_ebsdml._napari.gnd import layers as gnd_layers
from napari_ebsdml._napari.gnd.form import GndForm
from napari_ebsdml._napari.gnd.layers import (
    compute_gnd,
    gnd_layer_of,
    gnd_of,
    known_text,
    plain_settings,
    show_layer,
)
from napari_ebsdml._napari.gnd.script import gnd_script
from napari_ebsdml._napari.shell.combo import narrow_combo
from napari_ebsdml._napari.shell.help import Help
from napari_ebsdml._napari.shell.histogram import DensityHistogram
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from napari_ebsdml._napari.shell.settings import remember, remembered
from napari_ebsdml._napari.shell.tab_page import tab_page
from napari_ebsdml._napari.shell.table import DataTable
from napari_ebsdml._napari.shell.text import pretty
from napari_ebsdml.dislocations.noise import RESOLUTION
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_ebsdml.dislocations.gnd import GndDensity

SECTION = "gnd"
"""Where napari keeps the settings of this widget."""

_NOTHING = "Compute a GND density to see its histogram, the grains and further layers here."


class GndWidget(ScanWidget):
    """Computes the GND density of a scan; shows the density, its noise, grains and systems.

    Attributes
    ----------
    settings_form : GndForm
    histogram : DensityHistogram
    grain_table : DataTable
    """

    HELP = Help(
        "The density of geometrically necessary dislocations: those that bend the lattice over "
        "the step of the map. It depends on the step; compare maps at the same step only.",
        ("Choose the slip systems of each phase, or leave them at auto.",
         "Compute. The text tells the mean without the orientation noise, and its interval.",
         "More layers: slip systems, curvature, Nye's tensor, noise floor."),
        "gnd.md",
        (("10.1016/j.scriptamat.2008.01.050", "Pantleon 2008, curvature to GND density"),),
    )  # fmt: skip

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer, "Compute GND density")
        self.settings_form = GndForm()
        self.settings_form.method.set_saved(remembered(SECTION))
        self.form.addWidget(self.settings_form)
        self.offer_script(lambda scan: gnd_script(scan, self.settings_form.settings()))
        self.form.addStretch(1)

        self.message = QLabel(_NOTHING)
        self.message.setWordWrap(True)
        self.message.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.histogram = DensityHistogram()
        self.grain_table = DataTable()
        self.more = narrow_combo()
        self.more.setMaxVisibleItems(20)
        self.add_button = QPushButton("Add layer")
        self.add_button.clicked.connect(self.add_further)
        self.tabs = QTabWidget()
        self.tabs.addTab(tab_page(self.histogram), "Histogram")
        self.tabs.addTab(tab_page(self.grain_table), "Grains")
        self.tabs.addTab(self._further_page(), "More layers")
        self.tabs.setVisible(False)
        self.below.addWidget(self.message)
        self.below.addWidget(self.tabs, 1)

        self.result: GndDensity | None = None
        self.tasks.run_clicked.connect(self.compute)
        napari_viewer.layers.events.removed.connect(self._removed)
        self.begin()

    def compute(self) -> None:
        """Compute the density of the chosen scan."""
        scan = self.scan
        if scan is None or self.tasks.running:
            return
        remember(SECTION, self.settings_form.method.saved())
        self.run(
            scan, compute_gnd, scan, self.settings_form.settings(),
            label="Computing the GND density", on_result=self._show,
        )  # fmt: skip

    def add_further(self) -> None:
        """Add the layer that is chosen under "More layers"."""
        key = self.more.currentData()
        if self.result is not None and key is not None:
            show_layer(self, self.result.scan, gnd_layers.further_layer(self.result, key),
                       self.result.settings, self.result)  # fmt: skip

    def scan_chosen(self, scan: Scan | None) -> None:
        """Show the phases of a scan, and its result where there is one."""
        self.settings_form.show_scan(scan)
        self._show_result(gnd_layer_of(self.viewer, scan) if scan is not None else None)

    def closing(self) -> None:
        """Let go of the layer."""
        self.histogram.clear()

    def _show(self, gnd: GndDensity) -> None:
        scan = gnd.scan
        total = show_layer(
            self, scan, gnd_layers.density_layer(gnd.total, gnd_layers.TOTAL), gnd.settings, gnd
        )
        if np.isfinite(gnd.noise_floor).any():
            self.add_result(
                scan, gnd_layers.below_noise(gnd), gnd_layers.BELOW_NOISE, kind="labels",
                classes=gnd_layers.BELOW_NOISE_CLASSES, settings=plain_settings(gnd.settings),
                opacity=0.55, blending="translucent", visible=False,
            )  # fmt: skip
        self.viewer.layers.selection.active = total
        if self.scan is scan:
            self._show_result(total)

    def _show_result(self, layer: Layer | None) -> None:
        scan = self.scan
        gnd = gnd_of(self.viewer, scan) if layer is not None and scan is not None else None
        self.result = gnd
        self.tabs.setVisible(gnd is not None)
        self.more.clear()
        if gnd is None:
            self.message.setText(_NOTHING)
            self.histogram.clear()
            return
        from napari_ebsdml.dislocations.averages import gnd_averages

        self.message.setText(in_words(gnd))
        known = np.isfinite(gnd.total)
        floor = gnd.noise_floor[np.isfinite(gnd.noise_floor)]
        self.histogram.follow(layer)
        self.histogram.show_values(
            "GND density [1/m²]",
            {"within noise": gnd.total[known & ~gnd.above_noise],
             "above noise": gnd.total[gnd.above_noise]},
            {"noise floor": float(np.median(floor)) if floor.size else np.nan},
        )  # fmt: skip
        self.grain_table.set_columns(gnd_averages(gnd, "grain"))
        for key, text in gnd_layers.further_layers(gnd).items():
            self.more.addItem(text, key)

    def _removed(self, event: Any) -> None:
        if self.result is not None and gnd_layer_of(self.viewer, self.result.scan) is None:
            self._show_result(None)

    def _further_page(self) -> QWidget:
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(0, 0, 0, 0)
        text = QLabel(
            "Signed density of each slip system, lattice curvature, Nye's tensor, noise floor. "
            "Index 1 is x (right), 2 is y (down), 3 is z (into the screen)."
        )
        text.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(self.more, 1)
        row.addWidget(self.add_button)
        layout.addWidget(text)
        layout.addLayout(row)
        layout.addStretch(1)
        return tab_page(content)


def in_words(gnd: GndDensity) -> str:
    """The result in a few sentences: density, and what noise hides."""
    known = gnd.total[np.isfinite(gnd.total)]
    if not known.size:
        return (
            "No pixel has a known curvature: grains are too small, or every phase with "
            "orientations was left out."
        )
    share = 100 * float(gnd.above_noise.sum()) / known.size
    text = (
        f"<b>Median {known_text(float(np.median(known)))}, mean "
        f"{known_text(float(known.mean()))}</b>; {share:.0f} % of {known.size} pixels lie above "
        f"noise. {pretty(gnd.average().sentence)} {pretty(gnd.noise_sentence)}"
    )
    measured = [sigma for sigma in gnd.orientation_noise.values() if sigma >= RESOLUTION]
    if share < 50 and measured:
        text += " Most of what the map shows is noise: denoise, or measure with a larger step."
    return " ".join((text, *gnd.notes))
