"""A matplotlib figure on a dock's own ground."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from qtpy.QtCore import QEvent, Signal
from qtpy.QtGui import QWheelEvent
from qtpy.QtWidgets import QSizePolicy

from napari_ebsdml._napari.controls.theme import changes_theme

_LEAST_DRAG = 4
"""Pixels of the screen."""


class Plot(FigureCanvasQTAgg):
    """A figure on the dock's own ground, drawn anew when the theme changes.

    Parameters
    ----------
    height
        In pixels.
    grows
        Whether it takes more where there is room.

    Signals
    -------
    clicked : float, float
        Place of a click in the data of the axes.
    dragged : float, float
        Lower and upper end, along x, of a drag.
    """

    clicked = Signal(float, float)
    dragged = Signal(float, float)
    # Qt may ask before the constructor is through.
    _paint: Callable[[Any], None] | None = None

    def __init__(self, height: int, grows: bool = False) -> None:
        self.drawn = Figure(figsize=(3, height / 100), layout="constrained")
        super().__init__(self.drawn)
        self.setMinimumHeight(height)
        if not grows:
            self.setMaximumHeight(height)
        policy = QSizePolicy.Policy
        self.setSizePolicy(policy.Expanding, policy.Expanding if grows else policy.Fixed)
        self.setStyleSheet("background: transparent;")
        self.drawn.patch.set_alpha(0.0)
        self._from: tuple[float, float] | None = None
        self.mpl_connect("button_press_event", self._pressed)
        self.mpl_connect("button_release_event", self._released)

    def show_with(self, paint: Callable[[Any], None] | None) -> None:
        """Draw on empty axes; None for nothing."""
        self._paint = paint
        self._redraw()

    def changeEvent(self, event: QEvent | None) -> None:
        super().changeEvent(event)
        if changes_theme(event) and self._paint is not None:
            self._redraw()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Leave the wheel to the dock, which scrolls."""
        event.ignore()

    def ink(self) -> str:
        """Colour of lines and texts."""
        return str(self.palette().windowText().color().name())

    def _redraw(self) -> None:
        self.drawn.clear()
        if self._paint is not None:
            axes = self.drawn.subplots()
            axes.set_facecolor("none")
            self._paint(axes)
            axes.tick_params(colors=self.ink(), labelsize=8)
            for spine in axes.spines.values():
                spine.set_color(self.ink())
        self.draw_idle()

    def _pressed(self, event: Any) -> None:
        if event.button == 1 and event.xdata is not None:
            self._from = (float(event.x), float(event.xdata))
            self.clicked.emit(float(event.xdata), float(event.ydata))

    def _released(self, event: Any) -> None:
        start, self._from = self._from, None
        if start is None or not self.drawn.axes or abs(event.x - start[0]) < _LEAST_DRAG:
            return
        # Beside the axes the drag ends at their edge.
        axes = self.drawn.axes[0]
        low, high = sorted(axes.get_xlim())
        at = float(axes.transData.inverted().transform((event.x, event.y))[0])
        ends = sorted((start[1], min(max(at, low), high)))
        self.dragged.emit(*ends)
