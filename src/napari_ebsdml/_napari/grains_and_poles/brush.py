"""Pages that link figures with pixels both ways: inverse pole figure and histogram."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_ebsdml._napari.controls.combo import narrow_combo
from napari_ebsdml._napari.controls.plot import Plot
from napari_ebsdml._napari.grains_and_poles.plots import show_histogram, show_inverse_pole_figure
from napari_ebsdml._napari.layers.legend import log_ticks
from napari_ebsdml._napari.layers.of_scans import LOG, info_of, layers_of, scans_of
from napari_ebsdml.errors import EbsdmlError

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ebsdml.scan import Scan

_DEGREES = 5.0
_AXES = {"Z": (0, 0, 1), "X": (1, 0, 0), "Y": (0, 1, 0)}
_BINS = 120
_MOST_VALUES = 2_000_000
Mark = Callable[[NDArray[np.bool_], str], None]
"""Shows pixels on the map under a name."""


class InversePage(QWidget):
    """Which crystal directions lie along an axis of the map; a click shows their pixels.

    Parameters
    ----------
    mark
    """

    def __init__(self, mark: Mark) -> None:
        super().__init__()
        self._mark = mark
        self._scan: Scan | None = None
        self._grain: NDArray[np.bool_] | None = None
        self.phase, self.axis = narrow_combo(), narrow_combo()
        for name, axis in _AXES.items():
            self.axis.addItem(name, axis)
        self.axis.setToolTip("Axis of the map: X right, Y down, Z into the screen")
        self.plot = Plot(230)
        self.text = QLabel()
        self.text.setWordWrap(True)
        row = QHBoxLayout()
        row.addWidget(self.phase, 3)
        row.addWidget(self.axis, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.plot)
        layout.addWidget(self.text)
        layout.addStretch(1)
        self.phase.currentIndexChanged.connect(lambda _: self.draw())
        self.axis.currentIndexChanged.connect(lambda _: self.draw())
        self.plot.clicked.connect(self.show_near)

    def set_scan(self, scan: Scan | None, phases: list[tuple[str, int]]) -> None:
        """Work on another map."""
        self._scan, self._grain = scan, None
        self.phase.blockSignals(True)
        self.phase.clear()
        for name, number in phases:
            self.phase.addItem(name, number)
        self.phase.blockSignals(False)
        self.draw()

    def set_grain(self, pixels: NDArray[np.bool_] | None, phase: int) -> None:
        """Mark the directions of a grain's pixels."""
        self._grain = pixels
        at = self.phase.findData(phase)
        if at >= 0 and at != self.phase.currentIndex():
            self.phase.setCurrentIndex(at)
        else:
            self.draw()

    def draw(self) -> None:
        """Draw the density, where the page is looked at."""
        if not self.isVisible():
            return
        from napari_ebsdml.maps import inverse_pole_density, inverse_poles, ipf_key

        scan, number, axis = self._scan, self.phase.currentData(), self.axis.currentData()
        if scan is None or number is None:
            self.plot.show_with(None)
            self.text.setText("The map has no phase with orientations and a symmetry.")
            return
        try:
            phase = scan.phases[int(number)]
            density, extent = inverse_pole_density(inverse_poles(scan, int(number), axis)[0], phase)
            marked = None
            if self._grain is not None:
                marked = inverse_poles(scan, int(number), axis, self._grain, most=200)[0]
            key = ipf_key(phase, 128)
        except EbsdmlError as error:
            self.plot.show_with(None)
            self.text.setText(str(error))
            return
        show_inverse_pole_figure(self.plot, phase.name, density, extent, key, marked)
        self.text.setText("Click into the figure: which pixels have that direction there?")

    def show_near(self, x: float, y: float) -> None:
        """Mark the pixels that have a crystal direction near a point of the figure."""
        from napari_ebsdml.maps import pixels_along

        scan, number = self._scan, self.phase.currentData()
        if scan is None or number is None:
            return
        found = pixels_along(scan, int(number), (x, y), self.axis.currentData(), _DEGREES)
        axis = self.axis.currentText()
        whole = max(int((scan.is_indexed & (scan.phase_id == int(number))).sum()), 1)
        share = 100 * found.sum() / whole
        self.text.setText(f"{share:.1f} % of the phase have it within {_DEGREES:g}° of {axis}.")
        self._mark(found, f"direction along {axis}")

    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        self.draw()


def _unit(info: dict[str, Any]) -> tuple[str, bool]:
    """Unit of a layer's quantity, and whether the layer shows its logarithm."""
    unit = str(info.get("unit") or "")
    return unit.removeprefix(LOG), unit.startswith(LOG)


class HistogramPage(QWidget):
    """Values of a layer of the map; dragging over a range shows its pixels.

    Parameters
    ----------
    viewer, mark
    """

    def __init__(self, viewer: ViewerModel, mark: Mark) -> None:
        super().__init__()
        self._viewer, self._mark = viewer, mark
        self._scan: Scan | None = None
        self._grain: NDArray[np.bool_] | None = None
        self.range: tuple[float, float] | None = None
        self.layer = narrow_combo()
        self.plot = Plot(210)
        self.text = QLabel()
        self.text.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for part in (self.layer, self.plot, self.text):
            layout.addWidget(part)
        layout.addStretch(1)
        self.layer.activated.connect(lambda _: self._other())
        self.plot.dragged.connect(self.show_range)

    def set_scan(self, scan: Scan | None) -> None:
        """Work on another map."""
        self._scan, self._grain, self.range = scan, None, None
        # Offered layers hold their map.
        self.layer.clear()
        self.draw()

    def set_grain(self, pixels: NDArray[np.bool_] | None) -> None:
        """Show the values of a grain beside those of the map."""
        self._grain = pixels
        self.draw()

    def values(self) -> NDArray[np.floating] | None:
        """What the chosen layer shows: (rows, columns); None where there is none."""
        layer = self.layer.currentData()
        if layer is None or layer not in self._viewer.layers or self._scan is None:
            return None
        data = np.asarray(layer.data)
        return data.reshape(self._scan.shape) if data.size == self._scan.phase_id.size else None

    def draw(self) -> None:
        """Draw the histogram, where the page is looked at."""
        if not self.isVisible():
            return
        self._offer()
        values = self.values()
        if values is None:
            self.plot.show_with(None)
            self.text.setText("No layer with numbers: compute one, KAM for instance.")
            return
        info = info_of(self.layer.currentData()) or {}
        unit, logarithmic = _unit(info)
        title = info["quantity"] + (f" [{unit}]" if unit else "")
        flat = values[np.isfinite(values)]
        flat = flat[:: max(1, flat.size // _MOST_VALUES)]
        if not flat.size:
            self.plot.show_with(None)
            self.text.setText(f"{title} has no values.")
            return
        low, high = (float(v) for v in np.percentile(flat, (0.1, 99.9)))
        edges = np.linspace(low, high if high > low else low + 1, _BINS + 1)
        own = None
        if self._grain is not None:
            inside = values[self._grain]
            own = np.histogram(inside[np.isfinite(inside)], edges)[0]
        ticks = log_ticks(float(edges[0]), float(edges[-1])) if logarithmic else []
        show_histogram(
            self.plot, title, edges, np.histogram(flat, edges)[0], own, self.range, ticks
        )
        self.text.setText("Drag over a range: which pixels have these values?")

    def show_range(self, low: float, high: float) -> None:
        """Mark the pixels with values in a range."""
        values = self.values()
        if values is None:
            return
        self.range = (low, high)
        found = (values >= low) & (values <= high)
        info = info_of(self.layer.currentData()) or {}
        name, (unit, logarithmic) = info["quantity"], _unit(info)
        ends = [f"{10**end:.3g}" if logarithmic else f"{end:.4g}" for end in (low, high)]
        self.draw()
        self.text.setText(
            f"{100 * found.mean():.1f} % of the pixels have {name} from {ends[0]} to {ends[1]}"
            + (f" {unit}." if unit else ".")
        )
        self._mark(found, f"{name} in a range")

    def showEvent(self, event: Any) -> None:
        super().showEvent(event)
        self.draw()

    def _other(self) -> None:
        self.range = None
        self.draw()

    def _offer(self) -> None:
        """Layers of the map that show numbers."""
        chosen = self.layer.currentData()
        found = []
        for layer in layers_of(self._viewer, self._scan) if self._scan is not None else []:
            info = info_of(layer)
            if info is not None and info["kind"] == "image" and len(scans_of(layer)) == 1:
                found.append(layer)
        self.layer.clear()
        for layer in reversed(found):
            self.layer.addItem(layer.name, layer)
        offered = found[::-1]
        seen = next((layer for layer in offered if layer.visible), None)
        wanted = chosen if chosen in offered else seen
        self.layer.setCurrentIndex(offered.index(wanted) if wanted is not None else 0)
