"""Maps that other docks computed, as properties of a scan that can be channels."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from napari_ebsdml._napari.layers.of_scans import scans_in
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ebsdml.dislocations.gnd.density import GndDensity

GND = "GND"
"""Name of the property with the GND density in 1/m^2."""


class Inputs:
    """Scans of a viewer with the GND density that is shown on them as a property."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        # With the density itself, so that a new one is noticed; no id() that could be reused.
        self._made: dict[Scan, tuple[GndDensity, Scan]] = {}

    def forget(self) -> None:
        """Let go of maps that the viewer shows no more."""
        there = scans_in(self._viewer)
        self._made = {scan: made for scan, made in self._made.items() if scan in there}

    def gnd(self, scan: Scan) -> GndDensity | None:
        """GND density that is shown on the scan."""
        from napari_ebsdml._napari.gnd.layers import gnd_of

        return gnd_of(self._viewer, scan)

    def prepared(self, scan: Scan) -> Scan:
        """The scan with the property "GND" where it has a GND density; else the scan itself."""
        density = self.gnd(scan)
        if density is None:
            return scan
        known = self._made.get(scan)
        if known is None or known[0] is not density:
            more = dataclasses.replace(scan, prop={**scan.prop, GND: density.total})
            known = self._made[scan] = (density, more)
        return known[1]
