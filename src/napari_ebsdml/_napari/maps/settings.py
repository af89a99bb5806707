"""What to compute for the widget "EBSD maps", and a computed map with its looks; no Qt here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.shell.classes import LabelClass
from napari_ebsdml._napari.shell.layers import contrast_limits

DIRECTIONS = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}

REGIONS = {
    "whole": "whole detector",
    "top": "top third",
    "middle": "middle third",
    "bottom": "bottom third",
    "rgb": "RGB: top, middle, bottom",
}
"""Parts of the detector for virtual backscatter images."""

_ROUNDING = 1e-4
"""Angles in degrees below this are rounding errors of a perfect crystal."""


@dataclass(frozen=True)
class MapSettings:
    """Which maps to compute, and how; angles in degrees.

    Attributes
    ----------
    ipf, kam, misorientation, boundaries, grains, grod, gos, grain_ipf, virtual
        Whether to compute IPF colours, kernel average misorientation, misorientation to the next
        pixel, grain boundaries, grains with their table, grain reference orientation deviation,
        grain orientation spread, IPF colours of grain mean orientations, a virtual backscatter
        image.
    direction
        Specimen direction of IPF colours: "x" right, "y" down, "z" into the screen, or "own":
        `direction_x`, `direction_y`, `direction_z`.
    """

    ipf: bool = False
    direction: str = "z"
    direction_x: float = 1.0
    direction_y: float = 1.0
    direction_z: float = 0.0
    kam: bool = True
    kam_order: int = 1
    kam_threshold: float = 3.0
    misorientation: bool = False
    boundaries: bool = True
    boundary_low: float = 2.0
    boundary_high: float = 15.0
    boundary_sigma3: bool = True
    grains: bool = True
    grod: bool = False
    gos: bool = False
    grain_ipf: bool = False
    grain_threshold: float = 5.0
    grain_min_pixels: int = 5
    virtual: bool = False
    virtual_region: str = "whole"

    @property
    def vector(self) -> tuple[float, float, float]:
        """Specimen direction of IPF colours."""
        own = (self.direction_x, self.direction_y, self.direction_z)
        return DIRECTIONS.get(self.direction, own)

    @property
    def direction_name(self) -> str:
        """Name of that direction: "Z" or "[1 1 0]"."""
        if self.direction in DIRECTIONS:
            return self.direction.upper()
        return "[" + " ".join(f"{v:g}" for v in self.vector) + "]"

    @property
    def needs_grains(self) -> bool:
        """Whether any map is made of grains."""
        return self.grains or self.grod or self.gos or self.grain_ipf


@dataclass(frozen=True, eq=False)
class MapResult:
    """One map as a layer: arguments of `layers.add_result`.

    Attributes
    ----------
    data, quantity, unit, kind, classes, settings
        As `layers.add_result` takes them.
    display
        How it looks: colormap, contrast limits ...
    table
        Columns to show beside it, by the title of the table.
    """

    data: NDArray[Any]
    quantity: str
    unit: str = ""
    kind: str = "image"
    classes: tuple[LabelClass, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    display: Mapping[str, Any] = field(default_factory=dict)
    table: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def masked(values: NDArray[Any], where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Values with NaN, which napari leaves transparent, where there is nothing to tell."""
    return np.where(where, values, np.nan).astype(np.float32)


def from_zero(values: NDArray[Any], highest: float = math.inf) -> tuple[float, float]:
    """Limits from 0 to a round number that hardly any pixel exceeds."""
    high = contrast_limits(values)[1]
    if not high > _ROUNDING:
        return 0.0, min(1.0, highest)
    power = 10.0 ** math.floor(math.log10(high))
    round_up = next(n for n in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if n * power >= high * (1 - 1e-6))
    return 0.0, min(round_up * power, highest)
