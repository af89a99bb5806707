"""What a user chooses for a GND density: slip systems of each phase, and the method."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable
from typing import Any

import numpy as np
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.form import ChoicesForm, Offer, SettingsForm
from napari_ebsdml.dislocations.settings import GndSettings
from napari_ebsdml.dislocations.slip_systems import FAMILIES, for_phase
from napari_ebsdml.errors import MissingDataError
from napari_ebsdml.scan import Scan


class GndForm(QWidget):
    """Slip systems of each phase that a scan holds, and how to compute its GND density.

    Attributes
    ----------
    systems : ChoicesForm
        Phase id -> slip systems; None leaves the phase out.
    method : SettingsForm
    """

    def __init__(self) -> None:
        super().__init__()
        self.systems = ChoicesForm()
        self.method = SettingsForm(GndSettings)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(QLabel("<b>Slip systems</b>"))
        layout.addWidget(self.systems.native)
        layout.addWidget(QLabel("<b>Method</b>"))
        layout.addWidget(self.method.native)

    def show_scan(self, scan: Scan | None) -> None:
        """Offer the slip systems of the scan's phases."""
        self.systems.offer({n: _offer(scan.phases[n]) for n in phases_in(scan) if scan is not None})

    def settings(self) -> GndSettings:
        """What the form says."""
        return dataclasses.replace(self.method.settings(), slip_systems=self.systems.values())


def _offer(phase: Any) -> Offer:
    """Slip systems of one phase."""
    choices: dict[Hashable, str] = {}
    own = ""
    try:
        found = for_phase(phase)
        own = found.name
        edges = int(found.is_edge.sum())
        choices["auto"] = f"auto: {own}"
        lengths = ", ".join(f"{b:.3g}" for b in np.unique(found.burgers_lengths.round(4)))
        tip = (
            f"{edges} edge and {len(found) - edges} screw systems, from the phase's space group "
            f"and lattice; Burgers vector {lengths} Å."
        )
    except MissingDataError as error:
        tip = str(error)
    choices |= {lattice: lattice for lattice in FAMILIES if lattice != own}
    choices[None] = "leave this phase out"
    return Offer(phase.name, choices, "auto" if own else None, tip)


def phases_in(scan: Scan | None) -> list[int]:
    """Ids of the phases that a scan's pixels have."""
    if scan is None:
        return []
    return [int(number) for number in np.unique(scan.phase_id) if number >= 0]
