"""Histogram of a density on a logarithmic axis, with the layer's colours below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from numpy.typing import NDArray
from qtpy.QtCore import QEvent
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QSizePolicy

from napari_ebsdml._napari.controls.theme import changes_theme, shades

_BINS = 90
_MOST_DECADES = 8


class DensityHistogram(FigureCanvasQTAgg):
    """How often each density occurs, and which colour it has on the map.

    The colour bar follows the contrast limits and the colormap of the layer.
    """

    # Qt may ask before the constructor is through.
    _drawn: tuple[Any, ...] = ()

    def __init__(self) -> None:
        self._figure = Figure(figsize=(3.2, 2.2), layout="constrained")
        super().__init__(self._figure)
        self.setMinimumHeight(170)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        # The dock's own background shows through: dark and light themes both work.
        self.setStyleSheet("background: transparent;")
        self._figure.patch.set_alpha(0.0)
        self._layer: Any = None

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if changes_theme(event) and self._drawn:
            self._redraw()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the dock, which scrolls."""
        event.ignore()

    def follow(self, layer: Any) -> None:
        """Take the colour bar from a layer that shows log10 of the density."""
        for one, method in ((self._layer, "disconnect"), (layer, "connect")):
            if one is not None:
                for name in ("contrast_limits", "colormap"):
                    getattr(getattr(one.events, name), method)(self._redraw)
        self._layer = layer
        self._redraw()

    def show_values(
        self,
        title: str,
        parts: Mapping[str, NDArray[Any]],
        marks: Mapping[str, float] | None = None,
        each: int = 1,
    ) -> None:
        """Draw a histogram.

        Parameters
        ----------
        title
            Quantity and unit, below the axis.
        parts
            Name -> densities; stacked. Zeros and NaN have no place on a logarithmic axis.
        marks
            Name -> density marked by a line.
        each
            Pixels that a value stands for, where the values are a sample.
        """
        logs = {name: _logarithms(values) for name, values in parts.items()}
        self._drawn = (title, logs, dict(marks or {}), each)
        self._redraw()

    def clear(self) -> None:
        """Show nothing, and let go of the layer."""
        self._drawn = ()
        self.follow(None)

    def _redraw(self, event: Any = None) -> None:
        self._figure.clear()
        if self._drawn:
            self._paint(*self._drawn)
        self.draw_idle()

    def _paint(
        self,
        title: str,
        logs: Mapping[str, NDArray[np.float64]],
        marks: Mapping[str, float],
        each: int,
    ) -> None:
        ink = self.palette().windowText().color().name()
        every = np.concatenate(list(logs.values()))
        low, high = _range(every, self._limits(), _logarithms(np.array(list(marks.values()))))
        bar_height = 0.09 if self._layer is not None else 0.001
        axes, bar = self._figure.subplots(
            2, 1, sharex=True, height_ratios=(1, bar_height), gridspec_kw={"hspace": 0.02}
        )
        edges = np.linspace(low, high, _BINS + 1)
        colors = ("#7a8290", *shades(self)[:3])
        red = shades(self)[3]
        below = np.zeros(_BINS)
        for (name, values), shade in zip(logs.items(), colors, strict=False):
            if not values.size:
                continue
            counts = each * np.histogram(np.clip(values, low, high), edges)[0]
            axes.stairs(below + counts, 10**edges, baseline=below, fill=True, color=shade,
                        label=name)  # fmt: skip
            below = below + counts
        for (name, value), style in zip(marks.items(), ("--", ":", "-."), strict=False):
            if np.isfinite(value) and value > 0:
                axes.axvline(value, color=red if style == "--" else ink, linestyle=style,
                             linewidth=1.4, label=name)  # fmt: skip
        axes.set_xscale("log")
        axes.set_xlim(10**low, 10**high)
        axes.set_ylabel("pixels", color=ink, fontsize=8)
        handles, names = axes.get_legend_handles_labels()
        if handles:
            self._figure.legend(
                handles, names, loc="outside upper center", ncols=len(names), fontsize=7,
                frameon=False, labelcolor=ink, borderaxespad=0.1, handlelength=1.2,
                columnspacing=1.0,
            )  # fmt: skip
        bar.set_yticks([])
        if self._layer is not None:
            at = np.linspace(low, high, 257)
            first, last = self._limits() or (low, high)
            share = np.clip((0.5 * (at[1:] + at[:-1]) - first) / (last - first), 0, 1)
            strip = np.asarray(self._layer.colormap.map(share))[np.newaxis]
            bar.pcolormesh(10**at, [0, 1], strip, rasterized=True)
        bar.xaxis.set_major_locator(LogLocator(10, numticks=7))
        bar.xaxis.set_minor_locator(LogLocator(10, subs=range(2, 10), numticks=99))
        bar.xaxis.set_minor_formatter(NullFormatter())
        bar.set_xlabel(title, color=ink, fontsize=8)
        for one in (axes, bar):
            one.set_facecolor("none")
            one.tick_params(colors=ink, labelsize=8)
            for side, spine in one.spines.items():
                spine.set_color(ink)
                spine.set_visible(one is bar or side in ("left", "bottom"))
        axes.tick_params(axis="x", which="both", bottom=False, labelbottom=False)

    def _limits(self) -> tuple[float, float] | None:
        if self._layer is None:
            return None
        low, high = (float(v) for v in self._layer.contrast_limits)
        return low, high


def _logarithms(values: NDArray[Any]) -> NDArray[np.float64]:
    flat = np.asarray(values, dtype=np.float64).ravel()
    return np.log10(flat[np.isfinite(flat) & (flat > 0)])


def _range(
    logs: NDArray[np.float64], limits: tuple[float, float] | None, marks: NDArray[np.float64]
) -> tuple[float, float]:
    """Powers of ten between which nearly all values, the colours and the marks lie."""
    low, high = limits or (12.0, 16.0)
    if logs.size:
        ends = np.percentile(logs, (0.2, 99.8))
        low, high = min(low, float(ends[0])), max(high, float(ends[1]))
    if marks.size:
        low, high = min(low, float(marks.min())), max(high, float(marks.max()))
    return max(low, high - _MOST_DECADES) - 0.1, high + 0.1
