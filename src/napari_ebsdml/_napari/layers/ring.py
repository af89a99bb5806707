"""A ring around a place of a map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ebsdml._napari.layers.of_scans import SEPARATOR, layers_of, scans_of
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel

_COLOUR = "white"
_WIDTH = 0.03
"""Part of the ring's diameter."""


class Ring:
    """Shows one place at a time; the selection of layers stays as it is.

    Parameters
    ----------
    viewer
    name
        Of its layer, before the map's.
    """

    def __init__(self, viewer: ViewerModel, name: str) -> None:
        self._viewer, self._name = viewer, name
        self.layer: Any = None

    def show(self, scan: Scan, row: int, column: int, radius: float) -> None:
        """Put the ring around a pixel, with a radius in pixels."""
        from napari.layers import Points

        there = layers_of(self._viewer, scan)
        if not there:
            return
        home = there[0]
        at: tuple[int, ...] = (row, column)
        if home.ndim == 3:
            at = (scans_of(home).index(scan) if len(scans_of(home)) > 1 else 0, *at)
        data = np.atleast_2d(np.asarray(at, float))
        self.hide()
        self.layer = Points(
            data, name=f"{self._name}{SEPARATOR}{scan.name}", scale=home.scale,
            translate=home.translate, units=home.units, axis_labels=home.axis_labels,
            size=2 * radius, symbol="disc", face_color="transparent", border_color=_COLOUR,
            border_width=_WIDTH, border_width_is_relative=True,
        )  # fmt: skip
        # A place to look at, not to move.
        self.layer.editable = False
        layers = self._viewer.layers
        chosen, active = set(layers.selection), layers.selection.active
        layers.append(self.layer)
        layers.selection = chosen
        layers.selection.active = active

    def hide(self) -> None:
        """Take it away."""
        layers = self._viewer.layers
        if self.layer is not None and self.layer in layers:
            chosen = set(layers.selection) - {self.layer}
            active = layers.selection.active
            layers.remove(self.layer)
            layers.selection = chosen
            layers.selection.active = active if active is not self.layer else None
        self.layer = None
