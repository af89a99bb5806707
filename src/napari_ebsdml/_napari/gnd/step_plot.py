"""Plot of a GND density against the step, with the noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from qtpy.QtCore import QEvent
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QSizePolicy

from napari_ebsdml._napari.controls.theme import changes_theme, shades

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.gnd.step_dependence import StepDependence


class StepPlot(FigureCanvasQTAgg):
    """Mean density at multiples of the step, both axes logarithmic.

    The density without the noise with its interval (an arrow down where only its upper end is
    known) and its slope; the mean with the noise; what noise alone would show.
    """

    _found: StepDependence | None = None
    _at: tuple[float, float] | None = None

    def __init__(self) -> None:
        self._figure = Figure(figsize=(3.2, 2.2), layout="constrained")
        super().__init__(self._figure)
        self.setMinimumHeight(165)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        # The dock's own background shows through: dark and light themes both work.
        self.setStyleSheet("background: transparent;")
        self._figure.patch.set_alpha(0.0)

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if changes_theme(event) and self._found is not None:
            self._redraw()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the dock, which scrolls."""
        event.ignore()

    def show_steps(
        self, found: StepDependence | None, at: tuple[float, float] | None = None
    ) -> None:
        """Draw; None clears. `at` is a step in um and the density there, to be marked."""
        self._found, self._at = found, at
        self._redraw()

    def _redraw(self) -> None:
        self._figure.clear()
        if self._found is not None:
            self._paint(self._found)
        self.draw_idle()

    def _paint(self, found: StepDependence) -> None:
        ink = self.palette().windowText().color().name()
        blue, orange, green, red = shades(self)[:4]
        axes = self._figure.subplots()
        steps = found.steps
        mean = np.array([a.density for a in found.averages])
        low, high = np.array([a.interval for a in found.averages]).T
        bound = np.array([a.is_bound for a in found.averages])
        raw = np.array([a.raw_mean for a in found.averages])
        axes.plot(steps, raw, "s--", color=orange, markerfacecolor="none", markersize=4,
                  linewidth=0.9, label="with noise")  # fmt: skip
        axes.plot(steps, found.noise, ":", color=red, linewidth=1.4, label="noise alone")
        told = ~bound & np.isfinite(mean) & (mean > 0)
        if told.any():
            down = np.minimum(mean - low, 0.98 * mean)[told]
            axes.errorbar(steps[told], mean[told], (down, (high - mean)[told]), fmt="o",
                          color=blue, markersize=4, linewidth=1.4, capsize=2,
                          label="without noise")  # fmt: skip
        only = bound & np.isfinite(high) & (high > 0)
        if only.any():
            axes.plot(steps[only], high[only], "v", color=blue, markersize=5, label="below this")
        if np.isfinite(found.slope):
            x = steps[told]
            level = np.exp(np.log(mean[told] / x**found.slope).mean())
            axes.plot(x, level * x**found.slope, color=blue, linewidth=0.9,
                      label=f"slope {found.slope:.2f}".replace("-", "−"))  # fmt: skip
        if self._at is not None:
            axes.plot(*self._at, "D", color=green, markersize=6, label=f"{self._at[0]:.3g} µm")
        axes.set_xscale("log")
        axes.set_yscale("log")
        shown = np.concatenate((raw, mean[told], found.noise))
        shown = shown[np.isfinite(shown) & (shown > 0)]
        if shown.size:  # an interval that goes down to nothing would hide the rest
            bottom = max(float(shown.min()) / 2, float(shown.max()) / 1e3)
            axes.set_ylim(bottom, float(np.nanmax([shown.max(), high[told].max(initial=0)])) * 1.5)
        axes.set_xticks(steps, [f"{step:.3g}" for step in steps])
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.minorticks_off()
        axes.yaxis.set_major_locator(LogLocator(10, subs=(1, 2, 5), numticks=9))
        axes.yaxis.set_major_formatter(FuncFormatter(_power))
        axes.set_xlabel("step [µm]", color=ink, fontsize=8)
        axes.set_ylabel("mean GND [1/m²]", color=ink, fontsize=8)
        axes.set_facecolor("none")
        axes.tick_params(colors=ink, labelsize=8)
        for side, spine in axes.spines.items():
            spine.set_color(ink)
            spine.set_visible(side in ("left", "bottom"))
        handles, names = axes.get_legend_handles_labels()
        self._figure.legend(
            handles, names, loc="outside upper center", ncols=3, fontsize=7, frameon=False,
            labelcolor=ink, borderaxespad=0.1, handlelength=1.2, columnspacing=1.0,
        )  # fmt: skip


def _power(value: float, _: Any = None) -> str:
    """A tick such as 2·10¹³."""
    power = int(np.floor(np.log10(value) + 1e-9))
    digits = str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    factor = f"{value / 10.0**power:.0f}"
    return f"10{digits}" if factor == "1" else f"{factor}·10{digits}"
