"""How a figure looks. Light: a form or a command line reads it first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from napari_ebsdml.options import Option


@dataclass(frozen=True)
class FigureSettings:
    """How a figure looks.

    Attributes
    ----------
    width
        Of the whole figure in mm: 85 is a column of most journals, 170 a page.
    dpi
        Of pictures, and of the map within vector graphics.
    font
        Size of texts in points.
    boundaries
        Whether grain boundaries are drawn over the map.
    scale_bar, key, title, step
        Whether there is a scale bar; what the colours mean; the name of what is shown; the step
        of the measurement.
    """

    width: Annotated[float, Option("Width", "A column is 85 mm, a page 170", "mm", 20, 1000, 5)] = (
        85.0
    )
    dpi: Annotated[int, Option("Resolution", "Dots per inch", "dpi", 50, 2400, 50)] = 300
    font: Annotated[float, Option("Text", "Size of all texts", "pt", 3, 40, 0.5, 1)] = 7.0
    boundaries: Annotated[
        bool, Option("Boundaries", "Low- and high-angle, twin and phase boundaries over the map")
    ] = False
    scale_bar: Annotated[bool, Option("Scale bar")] = True
    key: Annotated[bool, Option("Key", "Colour key, colour bar or names of classes")] = True
    title: Annotated[bool, Option("Title", "What is shown")] = True
    step: Annotated[bool, Option("Step", "Of the measurement, beside the scale bar")] = True
