"""Widget "Parent grains": prior austenite, beta titanium, from the orientations of the child."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtWidgets import QFormLayout, QLabel

from napari_ebsdml._napari.controls.combo import narrow_combo
from napari_ebsdml._napari.controls.form import SettingsForm
from napari_ebsdml._napari.controls.settings import remember, remembered
from napari_ebsdml._napari.controls.table import DataTable
from napari_ebsdml._napari.layers.of_scans import layers_of, result_of, show_alone
from napari_ebsdml._napari.parent_grains.results import (
    parent_table,
    parents_found,
)
from napari_ebsdml._napari.parent_grains.script import parents_script
from napari_ebsdml._napari.shell.help import Help
from napari_ebsdml._napari.shell.scan_widget import ScanWidget
from napari_ebsdml.grains.parents.result import ParentGrains
from napari_ebsdml.grains.parents.settings import ParentSettings
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel

SECTION = "parent_grains"
"""Where napari keeps the settings of this widget."""


class ParentGrainsWidget(ScanWidget):
    """Reconstructs parent grains and shows them as layers; see `parent_grains`.

    Attributes
    ----------
    settings_form : SettingsForm
    child_box : QComboBox
        Child phase; its data are a phase's number or None.
    table : DataTable
        The parents.
    """

    HELP = Help(
        "Grains before the transformation: prior austenite, beta titanium.",
        ("Choose the relationship, or leave it to the map: the best known one is fitted.",
         "Compute. Parents, variants, packets, misfit and confidence are layers.",
         "Low confidence: few neighbours agree. Retained parent phase helps where there is some."),
        "how-to/parent_grains.md",
        sample="martensite",
    )  # fmt: skip

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer, "Compute")
        self.child_box = narrow_combo()
        self.child_box.setToolTip("Phase that the parent transformed to")
        phase = QFormLayout()
        phase.setContentsMargins(0, 0, 0, 0)
        phase.addRow("Child phase", self.child_box)
        self.form.addLayout(phase)
        self.settings_form = SettingsForm(ParentSettings)
        self.settings_form.set_saved(remembered(SECTION))
        self.form.addWidget(self.settings_form.native)
        self.offer_script(lambda scan: parents_script(scan, self.settings, self.child))
        # By its name: other files may number their phases otherwise.
        self.offer_batch(lambda: ("parents", [self.settings, {"child_phase": self._child_name()}]))
        self.form.addStretch(1)

        self.told = QLabel()
        self.told.setWordWrap(True)
        self.told.setVisible(False)
        self.below.addWidget(self.told)
        self.table = DataTable()
        self.table.setVisible(False)
        self.below.addWidget(self.table)

        self._found: dict[Scan, ParentGrains] = self.per_map()
        self.tasks.run_clicked.connect(self.compute)
        self.begin()

    @property
    def settings(self) -> ParentSettings:
        """What the form says."""
        return self.settings_form.settings()

    @property
    def child(self) -> int | None:
        """The chosen child phase, None where it is to be found."""
        chosen = self.child_box.currentData()
        return None if chosen is None else int(chosen)

    def _child_name(self) -> str | None:
        return None if self.child is None else self.child_box.currentText()

    def compute(self) -> None:
        """Reconstruct the parents of the chosen scan."""
        scan = self.scan
        if scan is None or self.tasks.running:
            return
        remember(SECTION, self.settings_form.saved())
        self.run(
            scan, parents_found, scan, self.settings, self.child, label="Parent grains",
            on_result=lambda found: self._show(scan, *found),
        )  # fmt: skip

    def scan_chosen(self, scan: Scan | None) -> None:
        self.child_box.clear()
        self.child_box.addItem("automatic", None)
        if scan is not None:
            present = set(np.unique(scan.phase_id).tolist())
            for number, phase in scan.phases:
                if number in present and number >= 0:
                    self.child_box.addItem(phase.name, int(number))
        self.child_box.setEnabled(self.child_box.count() > 2)
        self._show_table()

    def _show(
        self, scan: Scan, found: ParentGrains, layers: list[tuple[Any, dict[str, Any]]]
    ) -> None:
        self._found[scan] = found
        self._show_table()
        picture = None
        for data, options in layers:
            layer = self.add_result(scan, data, options.pop("quantity"), **options)
            if options.get("kind") == "rgb":
                picture = layer
            if options.get("level") is not None:
                layer.contour = 1
        if picture is not None:
            show_alone(self.viewer, scan, picture)
            self.viewer.layers.selection.active = picture

    def _show_table(self) -> None:
        """Show what was found in the chosen scan."""
        found = None
        if self.scan is not None:
            results = [result_of(one, ParentGrains) for one in layers_of(self.viewer, self.scan)]
            found = self._found.get(self.scan, next(filter(None, results), None))
        self.told.setText("" if found is None else found.sentence)
        self.told.setVisible(found is not None)
        self.table.setVisible(found is not None and found.count > 0)
        self.table.set_columns({} if found is None else parent_table(found))
