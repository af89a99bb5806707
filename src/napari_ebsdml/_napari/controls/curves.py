"""Live curves of a training: series of points, in panels one above the other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from qtpy.QtCore import QEvent, QTimer
from qtpy.QtGui import QHideEvent, QShowEvent, QWheelEvent
from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_ebsdml._napari.controls.theme import changes_theme, shades

# A drawing costs some hundredths of a second on the GUI's thread.
_REDRAW_MS = 250
_PANEL_HEIGHT = 120

Points = Sequence[tuple[float, float]]


@dataclass
class _Series:
    panel: str
    x: list[float] = field(default_factory=list)
    y: list[float] = field(default_factory=list)


class CurvesWidget(FigureCanvasQTAgg):
    """Curves that grow while something runs; made to be cheap when points come often.

    Parameters
    ----------
    x_label
        Below the lowest panel.
    parent
    panel_height
        Least height of a panel in pixels of the screen.
    """

    def __init__(
        self, x_label: str = "epoch", parent: QWidget | None = None,
        panel_height: int = _PANEL_HEIGHT,
    ) -> None:  # fmt: skip
        self._panel_height = panel_height
        self._figure = Figure(figsize=(3.2, 2.2), layout="constrained")
        super().__init__(self._figure)
        if parent is not None:
            self.setParent(parent)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        # The dock's own background shows through: dark and light themes both work.
        self.setStyleSheet("background: transparent;")
        self._figure.patch.set_alpha(0.0)
        self._x_label = x_label
        self._series: dict[str, _Series] = {}
        self._marks: dict[str, float] = {}
        self._clock = QTimer(self)
        self._clock.setSingleShot(True)
        self._clock.setInterval(_REDRAW_MS)
        self._clock.timeout.connect(self._redraw)
        self._resize()

    @property
    def series(self) -> dict[str, list[tuple[float, float]]]:
        """Points of every series, by name."""
        return {
            name: [(x, y) for x, y in zip(one.x, one.y, strict=True) if math.isfinite(y)]
            for name, one in self._series.items()
        }

    def add_point(self, name: str, x: float, y: float, panel: str = "") -> None:
        """Append a point to a series; a new name begins a new series.

        Parameters
        ----------
        name
            As the legend is to show it.
        x, y
            Points that are not finite are left out.
        panel
            Label of the panel's y axis; panels stand one above the other as they come.
        """
        if not (math.isfinite(x) and math.isfinite(y)):
            return
        one = self._series.setdefault(name, _Series(panel))
        one.x.append(float(x))
        one.y.append(float(y))
        self._later()

    def gap(self) -> None:
        """End the lines here: points that come later are not joined to those before."""
        for one in self._series.values():
            if one.x:
                one.x.append(one.x[-1])
                one.y.append(math.nan)

    def set_series(self, series: Mapping[str, Points], panel: str = "") -> None:
        """Replace or add whole series of one panel."""
        for name, points in series.items():
            self._series[name] = _Series(
                panel, [float(x) for x, _ in points], [float(y) for _, y in points]
            )
        self._later()

    def mark(self, name: str, x: float | None) -> None:
        """Mark a place by a dashed line in all panels, e.g. the best epoch; None removes it."""
        if x is None:
            self._marks.pop(name, None)
        else:
            self._marks[name] = float(x)
        self._later()

    def clear(self) -> None:
        """Forget everything."""
        self._series, self._marks = {}, {}
        self._later()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the dock, which scrolls."""
        event.ignore()

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if changes_theme(event):
            self._later()

    def showEvent(self, event: QShowEvent | None) -> None:
        super().showEvent(event)
        self._later()

    def hideEvent(self, event: QHideEvent | None) -> None:
        self._clock.stop()
        super().hideEvent(event)

    def _later(self) -> None:
        """Draw soon, once for all points until then, and not at all while nobody sees it."""
        if self.isVisible() and not self._clock.isActive():
            self._clock.start()

    def _panels(self) -> list[str]:
        return list(dict.fromkeys(one.panel for one in self._series.values()))

    def _resize(self) -> None:
        self.setMinimumHeight(max(1, len(self._panels())) * self._panel_height)

    def _redraw(self) -> None:
        self._figure.clear()
        self._resize()
        panels = self._panels()
        if panels:
            every = self._figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
            for panel, axes in zip(panels, every, strict=True):
                self._paint(axes, panel)
            ink = self._ink()
            every[-1].set_xlabel(self._x_label, color=ink, fontsize=8)
        self.draw_idle()

    def _paint(self, axes: Any, panel: str) -> None:
        ink = self._ink()
        mine = {name: one for name, one in self._series.items() if one.panel == panel}
        for (name, one), shade in zip(mine.items(), cycle(shades(self))):
            few = len(one.x) < 20
            axes.plot(
                one.x, one.y, color=shade, label=name, linewidth=1.5,
                marker="o" if few else None, markersize=3,
            )  # fmt: skip
        for name, x in self._marks.items():
            axes.axvline(x, color=ink, linestyle="--", linewidth=0.8, label=name)
        axes.set_ylabel(panel, color=ink, fontsize=8)
        axes.set_facecolor("none")
        axes.tick_params(colors=ink, labelsize=8)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.margins(x=0.03, y=0.1)
        for side, spine in axes.spines.items():
            spine.set_color(ink)
            spine.set_visible(side in ("left", "bottom"))
        axes.legend(
            loc="lower center", bbox_to_anchor=(0.5, 0.98), ncols=3, fontsize=7, frameon=False,
            labelcolor=ink, borderaxespad=0.1, handlelength=1.2, columnspacing=1.0,
        )  # fmt: skip

    def _ink(self) -> str:
        return str(self.palette().windowText().color().name())
