"""What a user chooses for a total density: model, plane thickness, Taylor's constants."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QLabel, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.form import ChoicesForm, Offer, SettingsForm
from napari_ebsdml._napari.gnd.form import phases_in
from napari_ebsdml.dislocations.averages import material_of_phase
from napari_ebsdml.dislocations.settings import DensitySettings, TaylorSettings
from napari_ebsdml.dislocations.taylor import MATERIALS, taylor_material
from napari_ebsdml.scan import Scan

_FILE = "from a file …"


class ModelForm(SettingsForm[DensitySettings]):
    """Model and how to use it; a model file can be chosen, too."""

    def __init__(self) -> None:
        super().__init__(DensitySettings)
        self.model.set_choice(_FILE, _FILE)
        # Only what the user does: a program that sets a value wants no dialogue.
        self.model.native.activated.connect(self._picked)

    def set_model(self, model: str | Path) -> None:
        """Choose a model by name, or a model file."""
        if str(model) not in self.model.choices:
            self.model.set_choice(Path(model).stem, str(model))
        self.model.value = str(model)

    def _picked(self, index: int) -> None:
        if self.model.value == _FILE:
            path, _ = QFileDialog.getOpenFileName(
                self.native, "Model", "", "Models (*.safetensors)"
            )
            self.set_model(path or DensitySettings.model)


class TaylorForm(QWidget):
    """Metal of each phase for Taylor's formula.

    Signals
    -------
    changed
        Another metal or friction stress is chosen.

    Attributes
    ----------
    metals : ChoicesForm
        Phase id -> metal, or None.
    constants : SettingsForm
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.metals = ChoicesForm()
        self.constants = SettingsForm(TaylorSettings)
        self.note = QLabel()
        self.note.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(QLabel("<b>Taylor stress</b>"))
        layout.addWidget(self.metals.native)
        layout.addWidget(self.constants.native)
        layout.addWidget(self.note)
        self.metals.changed.connect(self._chosen)
        self.constants.changed.connect(lambda: self.changed.emit())

    def show_scan(self, scan: Scan | None) -> None:
        """Offer the metals for the scan's phases; the phase's own where it is known."""
        choices: dict[Hashable, str] = {None: "none", **{name: name for name in MATERIALS}}
        offers: dict[Hashable, Offer] = {}
        for number in phases_in(scan):
            assert scan is not None
            phase = scan.phases[number]
            offers[number] = Offer(phase.name, choices, material_of_phase(phase))
        self.metals.offer(offers)
        self._tips()

    def settings(self) -> TaylorSettings:
        """What the form says."""
        return TaylorSettings(self.materials, self.constants.settings().friction)

    @property
    def materials(self) -> dict[int, str]:
        """Phase id -> metal, of the phases that have one."""
        return {n: name for n, name in self.metals.values().items() if name}

    @property
    def friction(self) -> float:
        """Friction stress in MPa."""
        return self.settings().friction

    def _chosen(self, *_: Any) -> None:
        self._tips()
        self.changed.emit()

    def _tips(self) -> None:
        assumed = {
            name: taylor_material(name).alpha
            for name in self.materials.values()
            if "alpha" in taylor_material(name).assumed
        }
        values = " and ".join(f"{value:g} for {name}" for name, value in assumed.items())
        self.note.setText(f"α is assumed: {values}. The stress goes with it." if values else "")
        self.note.setVisible(bool(values))
        for number, name in self.metals.values().items():
            self.metals.box(number).tooltip = _tip(name)


def _tip(name: str | None) -> str:
    if name is None:
        return "No constants of this metal are known: no stress is computed."
    metal = taylor_material(name)
    return (
        f"M = {metal.taylor_factor:g}, α = {metal.alpha:g}, μ = {metal.shear_modulus:g} GPa, "
        f"b = {metal.burgers:g} Å\n{metal.source}"
    )
