"""What a user chooses for a total density: model, plane thickness, Taylor's constants."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from napari_ebsdml._napari.gnd.form import narrow, phases_in
from napari_ebsdml._napari.shell.fields import Choice, Field, Flag, Form, Number
from napari_ebsdml.dislocations.averages import material_of_phase
from napari_ebsdml.dislocations.taylor import MATERIALS, taylor_material
from napari_ebsdml.dislocations.uncertainty import INFORMATION_DEPTH
from napari_ebsdml.scan import Scan

_FILE = "file"

MODEL_FIELDS: tuple[Field, ...] = (
    Choice(
        "model", "Model", "default",
        (("default", "default, 7 × 7 px"), ("wide", "wide, 11 × 11 px"), (_FILE, "from a file …")),
        "The network that tells how many dislocations hide behind a GND map",
    ),
    Number(
        "plane_thickness", "Plane thickness", 1000 * INFORMATION_DEPTH, 0.1, 10_000, "nm", 1, 5.0,
        "Thickness of the layer whose lines a pixel shows: the depth that patterns come from, "
        "about 20 nm. One line across a pixel is 1 / (step × thickness), so that it sets the "
        "scale of the answer; no value of it is rigorous.",
    ),
    Number(
        "level", "Interval", 90, 50, 99, "%", 0, 5,
        "Probability that the interval holds, by the model",
    ),
    Flag(
        "symmetric", "Average 16 equivalent maps", False,
        "Turned and mirrored: somewhat better, and 16 times slower",
    ),
)  # fmt: skip

TAYLOR_FIELDS: tuple[Field, ...] = (
    Number(
        "friction", "Friction stress", 0, 0, 2000, "MPa", 0, 10,
        "σ* in σ = σ* + M α μ b √ρ; it drops out of the increment between two maps",
    ),
)  # fmt: skip


class ModelForm(QWidget):
    """Model and how to use it."""

    def __init__(self) -> None:
        super().__init__()
        self.fields = Form(MODEL_FIELDS)
        narrow(self.fields)
        box = self.fields.editor("model")
        assert isinstance(box, QComboBox)
        self.models = box
        box.activated.connect(self._picked)
        self.extrapolate = QCheckBox("Show values out of range")
        self.extrapolate.setToolTip(
            "Layers and averages then hold what the network says outside of its training too"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(QLabel("<b>Model</b>"))
        layout.addWidget(self.fields)
        layout.addWidget(self.extrapolate)

    def set_model(self, model: str | Path) -> None:
        """Choose a model by name, or a model file."""
        index = self.models.findData(str(model))
        if index < 0:
            index = self.models.count() - 1
            self.models.insertItem(index, Path(model).stem, str(model))
        self.models.setCurrentIndex(index)

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `total_dislocation_density`."""
        values = self.fields.values()
        return {
            **values,
            "plane_thickness": values["plane_thickness"] / 1000,
            "level": values["level"] / 100,
        }

    def _picked(self, index: int) -> None:
        if self.models.itemData(index) != _FILE:
            return
        path, _ = QFileDialog.getOpenFileName(self, "Model", "", "Models (*.safetensors)")
        self.set_model(path or "default")


class TaylorForm(QWidget):
    """Metal of each phase for Taylor's formula.

    Signals
    -------
    changed
        Another metal or friction stress is chosen.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.boxes: dict[int, QComboBox] = {}
        self.fields = Form(TAYLOR_FIELDS)
        self.fields.changed.connect(self.changed)
        self._rows = QFormLayout()
        self._rows.setVerticalSpacing(4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(QLabel("<b>Taylor stress</b>"))
        layout.addLayout(self._rows)
        layout.addWidget(self.fields)
        self.note = QLabel()
        self.note.setWordWrap(True)
        layout.addWidget(self.note)

    def show_scan(self, scan: Scan | None) -> None:
        """Offer the metals for the scan's phases; the phase's own where it is known."""
        while self._rows.rowCount():
            self._rows.removeRow(0)
        self.boxes = {}
        for number in phases_in(scan):
            assert scan is not None
            box = QComboBox()
            box.addItem("none", None)
            for name in MATERIALS:
                box.addItem(name, name)
            own = material_of_phase(scan.phases[number])
            box.setCurrentIndex(max(0, box.findData(own)) if own else 0)
            box.currentIndexChanged.connect(self._chosen)
            self.boxes[number] = box
            self._rows.addRow(scan.phases[number].name, box)
        self._tips()

    @property
    def materials(self) -> dict[int, str]:
        """Phase id -> metal, of the phases that have one."""
        return {n: box.currentData() for n, box in self.boxes.items() if box.currentData()}

    @property
    def friction(self) -> float:
        """Friction stress in MPa."""
        return float(self.fields.values()["friction"])

    def _chosen(self, index: int = 0) -> None:
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
        for box in self.boxes.values():
            name = box.currentData()
            if name is None:
                box.setToolTip("No constants of this metal are known: no stress is computed.")
                continue
            metal = taylor_material(name)
            box.setToolTip(
                f"M = {metal.taylor_factor:g}, α = {metal.alpha:g}, μ = {metal.shear_modulus:g} "
                f"GPa, b = {metal.burgers:g} Å\n{metal.source}"
            )
