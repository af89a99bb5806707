"""Stereogram of a phase: its pattern on the half sphere and the axes of its symmetry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ebsdml.maps.poles import project, unproject
from napari_ebsdml.patterns.symmetry.groups import GROUPS

if TYPE_CHECKING:
    from napari_ebsdml._napari.controls.plot import Plot
    from napari_ebsdml.patterns.symmetry.phases import FoundPhase

_SIZE = 181
_ORDERS = ("2", "3", "4", "6")
_COLORS = ("#56b4e9", "#e69f00", "#d55e00", "#cc79a7")


def show_sphere(plot: Plot, phase: FoundPhase) -> None:
    """Draw the measured sphere of a phase, along the axes of its symmetry, with their orders."""
    axis = np.linspace(-1, 1, _SIZE)
    points = np.stack(np.meshgrid(axis, axis), axis=-1)
    inside = (points**2).sum(axis=-1) <= 1
    picture = np.full(inside.shape, np.nan)
    picture[inside] = phase.sphere.at(unproject(points[inside]))
    marks = axes_of(phase.sphere.group)

    def paint(axes: Any) -> None:
        ink = plot.ink()
        axes.imshow(picture, extent=(-1, 1, 1, -1), cmap="gray", vmin=-2, vmax=2.5)
        for direction, order in marks:
            x, y = project(direction)
            axes.text(
                x, y, _ORDERS[order], color="black", fontsize=8, ha="center", va="center",
                bbox={"boxstyle": "circle,pad=0.15", "fc": _COLORS[order], "ec": "none"},
            )  # fmt: skip
        axes.set_title(f"{phase.name}: axes of {phase.sphere.group}", color=ink, fontsize=9)
        axes.set_xlim(-1.1, 1.1)
        axes.set_ylim(1.1, -1.1)
        axes.set_aspect("equal")
        axes.set_axis_off()

    plot.show_with(paint)


def axes_of(group: str) -> list[tuple[np.ndarray[Any, Any], int]]:
    """Axes of a Laue group, one of each opposite pair, with the place of their highest order."""
    axes, turns = GROUPS[group].operations
    found: list[tuple[np.ndarray[Any, Any], int]] = []
    for axis, turn in zip(axes, turns, strict=True):
        if axis[2] > 0 or (abs(axis[2]) < 1e-9 and (axis[0] < 0 or (axis[0] == 0 > axis[1]))):
            axis = -axis
        for k, (other, order) in enumerate(found):
            if abs(axis @ other) > 1 - 1e-6:
                found[k] = (other, max(order, int(turn)))
                break
        else:
            found.append((axis, int(turn)))
    return found
