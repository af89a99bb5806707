"""Evidence of a phase: axes of symmetry on the half sphere of its pattern, and on one pattern."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ebsdml.maps.poles import project, unproject
from napari_ebsdml.patterns.symmetry.groups import GROUPS

if TYPE_CHECKING:
    from napari_ebsdml._napari.controls.plot import Plot
    from napari_ebsdml._napari.crystals.phases.work import AxesOnPattern
    from napari_ebsdml.patterns.phases.find import FoundPhase

_SIZE = 181
_ORDERS = (2, 3, 4, 6)
_COLORS = {2: "#56b4e9", 3: "#e69f00", 4: "#d55e00", 6: "#cc79a7"}
_GREY = {"cmap": "gray", "vmin": -2, "vmax": 2.5}


def show_sphere(plot: Plot, phase: FoundPhase) -> None:
    """Draw the measured sphere of a phase, along the axes of its symmetry, with their orders."""
    axis = np.linspace(-1, 1, _SIZE)
    points = np.stack(np.meshgrid(axis, axis), axis=-1)
    inside = (points**2).sum(axis=-1) <= 1
    picture = np.full(inside.shape, np.nan)
    picture[inside] = phase.sphere.at(unproject(points[inside]))
    marks = [(*project(direction), order) for direction, order in axes_of(phase.sphere.group)]

    def paint(axes: Any) -> None:
        axes.imshow(picture, extent=(-1, 1, 1, -1), **_GREY)
        for x, y, order in marks:
            _mark(axes, x, y, order)
        axes.set_title(f"{phase.sphere.group}, stereogram", color=plot.ink(), fontsize=9)
        axes.set_xlim(-1.08, 1.08)
        axes.set_ylim(1.08, -1.08)
        axes.set_aspect("equal")
        axes.set_axis_off()

    plot.show_with(paint)


def show_pattern(plot: Plot, shown: AxesOnPattern) -> None:
    """Draw a pattern with the axes of symmetry that meet the screen."""
    picture = np.where(shown.valid, shown.image, np.nan)
    rows, columns = picture.shape

    def paint(axes: Any) -> None:
        axes.imshow(picture, extent=(0, columns, rows, 0), **_GREY)
        for across, down, order in shown.axes:
            _mark(axes, across * columns, down * rows, order)
        row, column = shown.at
        axes.set_title(f"pattern at row {row}, column {column}", color=plot.ink(), fontsize=9)
        axes.set_axis_off()

    plot.show_with(paint)


def _mark(axes: Any, x: float, y: float, order: int) -> None:
    axes.text(
        x, y, str(order), color="black", fontsize=8, ha="center", va="center",
        bbox={"boxstyle": "circle,pad=0.15", "fc": _COLORS[order], "ec": "none"},
    )  # fmt: skip


def axes_of(group: str) -> list[tuple[np.ndarray[Any, Any], int]]:
    """Axes of a Laue group, one of each opposite pair, with their highest order."""
    axes, turns = GROUPS[group].operations
    found: list[tuple[np.ndarray[Any, Any], int]] = []
    for axis, turn in zip(axes, turns, strict=True):
        order = _ORDERS[turn]
        if axis[2] > 0 or (abs(axis[2]) < 1e-9 and (axis[0] < 0 or (axis[0] == 0 > axis[1]))):
            axis = -axis
        for k, (other, known) in enumerate(found):
            if abs(axis @ other) > 1 - 1e-6:
                found[k] = (other, max(known, order))
                break
        else:
            found.append((axis, order))
    return found
