"""What a user chooses for a GND density: slip systems of each phase, fit, grains, denoising."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from qtpy.QtWidgets import QComboBox, QGridLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from napari_ebsdml._napari.shell.fields import Choice, Field, Flag, Form, Number
from napari_ebsdml.dislocations.denoise import Denoise
from napari_ebsdml.dislocations.slip_systems import FAMILIES, for_phase
from napari_ebsdml.errors import MissingDataError
from napari_ebsdml.scan import Scan

LEAVE_OUT = "none"
"""Choice of a phase that gets no density."""

GND_FIELDS: tuple[Field, ...] = (
    Choice(
        "norm", "Fit", "l1",
        (("l1", "L1, least energy"), ("l2", "L2, pseudo-inverse")),
        "A curvature can be made by many mixtures of slip systems. L1 takes the one with the "
        "least line energy, the usual choice; L2 the one with the least sum of squares, which "
        "spreads the density over many systems and is faster.",
    ),
    Choice(
        "stencil", "Differences", "full",
        (("full", "all neighbours"), ("one-sided", "right and below only")),
        "All neighbours of the same grain: less noise. Right and below only: as simple "
        "programs do.",
    ),
    Number(
        "grain_threshold", "Grain threshold", 3.0, 0.5, 60.0, "°", 1, 0.5,
        "No curvature is taken across larger misorientations.",
    ),
    Number(
        "min_pixels", "Smallest grain", 1, 1, 100_000, "px", 0, 1,
        "Smaller grains get no density: wrongly indexed specks look like dislocations.",
    ),
    Flag(
        "denoise", "Denoise orientations first", False,
        "Filter inside grains that keeps gradients and sharp subgrain boundaries. It lowers the "
        "noise floor and blurs details of the size of its window.",
    ),
    Number(
        "radius", "Window radius", 2, 1, 5, "px", 0, 1,
        "2: the window has 5 × 5 pixels", lambda values: values["denoise"],
    ),
    Number(
        "passes", "Passes", 1, 1, 10, "", 0, 1,
        "How often to filter", lambda values: values["denoise"],
    ),
)  # fmt: skip
"""The names are arguments of `gnd_density` and `Denoise`, and keys of the manifest."""


class GndForm(QWidget):
    """Slip systems of each phase that a scan holds, and how to compute its GND density."""

    def __init__(self) -> None:
        super().__init__()
        self.fields = Form(GND_FIELDS)
        self.choices: dict[int, QComboBox] = {}
        narrow(self.fields)
        self._rows = QWidget()
        self._grid = QGridLayout(self._rows)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(4)
        self._grid.setColumnStretch(1, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(QLabel("<b>Slip systems</b>"))
        layout.addWidget(self._rows)
        layout.addWidget(QLabel("<b>Method</b>"))
        layout.addWidget(self.fields)

    def show_scan(self, scan: Scan | None) -> None:
        """Offer the slip systems of the scan's phases."""
        while (item := self._grid.takeAt(0)) is not None:
            if (old := item.widget()) is not None:
                old.hide()
                old.deleteLater()
        self.choices = {}
        for row, number in enumerate(phases_in(scan)):
            assert scan is not None
            phase = scan.phases[number]
            box = QComboBox()
            box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(10)
            tip, own = "", ""
            try:
                found = for_phase(phase)
                edges = int(found.is_edge.sum())
                own = found.name
                box.addItem(f"auto: {own}", "auto")
                lengths = ", ".join(f"{b:.3g}" for b in np.unique(found.burgers_lengths.round(4)))
                tip = (
                    f"{edges} edge and {len(found) - edges} screw systems, from the phase's space "
                    f"group and lattice; Burgers vector {lengths} Å."
                )
            except MissingDataError as error:
                tip = str(error)
            for lattice in FAMILIES:
                if lattice != own:
                    box.addItem(lattice, lattice)
            box.addItem("leave this phase out", LEAVE_OUT)
            if box.itemData(0) != "auto":
                box.setCurrentIndex(box.count() - 1)
            box.setToolTip(tip)
            name = QLabel(phase.name)
            name.setToolTip(tip)
            self._grid.addWidget(name, row, 0)
            self._grid.addWidget(box, row, 1)
            self.choices[number] = box

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `gnd_density`."""
        values = self.fields.values()
        radius, passes = values.pop("radius"), values.pop("passes")
        denoise = Denoise(radius=radius, passes=passes) if values.pop("denoise") else None
        systems = {
            number: None if box.currentData() == LEAVE_OUT else str(box.currentData())
            for number, box in self.choices.items()
        }
        return {"slip_systems": systems, "denoise": denoise, **values}


def narrow(form: Form) -> None:
    """Let the combo boxes of a form be as narrow as the dock; open, they show the whole text."""
    for name, field in form.fields.items():
        box = form.editor(name)
        if isinstance(field, Choice) and isinstance(box, QComboBox):
            box.setSizeAdjustPolicy(
                QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
            )
            box.setMinimumContentsLength(8)


def phases_in(scan: Scan | None) -> list[int]:
    """Ids of the phases that a scan's pixels have."""
    if scan is None:
        return []
    return [int(number) for number in np.unique(scan.phase_id) if number >= 0]


def plain_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of a result as plain values, for the layer."""
    return {key: value if not isinstance(value, Denoise) else repr(value)
            for key, value in settings.items()}  # fmt: skip
