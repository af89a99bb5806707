"""Which maps to compute, and how. Light: a command line reads it before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from napari_ebsdml.options import Option

GRAIN_THRESHOLD = 3.0
"""Disorientation in degrees at which a grain ends, wherever no other one is asked for."""

DIRECTIONS = {"x": (1.0, 0.0, 0.0), "y": (0.0, 1.0, 0.0), "z": (0.0, 0.0, 1.0)}
"""Specimen directions by their names."""

REGIONS = {
    "whole": "whole detector",
    "top": "top third",
    "middle": "middle third",
    "bottom": "bottom third",
    "rgb": "RGB: top, middle, bottom",
}
"""Parts of the detector for virtual backscatter images."""

_AXES = "Specimen direction in the axes of the map: x right, y down, z into the screen"
_COLORS = ("ipf", "grain_ipf")
_OF_GRAINS = ("grains", "grod", "gos", "grain_ipf")


def _angle(label: str, tip: str, when: str | tuple[str, ...]) -> Option:
    return Option(label, tip, "°", 0.1, 180, 0.5, 1, when=when)


def _component(letter: str, where: str) -> Option:
    tip = f"Own specimen direction of the IPF colours: {where}"
    return Option(letter, tip, "", -999, 999, 0.1, 2, when="direction=own")


@dataclass(frozen=True)
class MapSettings:
    """Which maps to compute, and how; angles in degrees.

    Attributes
    ----------
    ipf, grain_ipf
        Whether to compute IPF colours, of pixels and of the mean orientations of grains.
    direction
        Specimen direction of IPF colours: "x" right, "y" down, "z" into the screen, or "own":
        `direction_x`, `direction_y`, `direction_z`.
    kam, kam_order, kam_threshold
        Kernel average misorientation; see `kam`.
    misorientation
        Misorientation to the next pixel, to the right and below.
    boundaries, boundary_low, boundary_high, boundary_sigma3
        Boundaries; see `boundary_map`.
    grains, grod, gos
        Grains with their table, grain reference orientation deviation, and grain orientation
        spread.
    grain_threshold, grain_min_pixels
        Of all maps that are made of grains; see `segment_grains`.
    virtual, virtual_region
        Virtual backscatter image, of the detector's part of this name in `REGIONS`.
    """

    ipf: Annotated[
        bool, Option("IPF colours", "Which crystal direction lies along a specimen direction")
    ] = False
    grain_ipf: Annotated[
        bool, Option("IPF colours of grain means", "Each grain in the colour of its mean")
    ] = False
    direction: Annotated[
        str,
        Option(
            "Direction", _AXES, when=_COLORS,
            choices={"x": "X (right)", "y": "Y (down)", "z": "Z (into the screen)", "own": "own …"},
        ),
    ] = "z"  # fmt: skip
    direction_x: Annotated[float, _component("x", "to the right")] = 1.0
    direction_y: Annotated[float, _component("y", "down")] = 1.0
    direction_z: Annotated[float, _component("z", "into the screen")] = 0.0
    kam: Annotated[
        bool, Option("KAM (kernel average misorientation)", "Mean misorientation to the neighbours")
    ] = True
    kam_order: Annotated[
        int,
        Option("Order", "1: the square of 3 × 3 pixels, 2: 5 × 5, ...", "", 1, 10, when="kam"),
    ] = 1
    kam_threshold: Annotated[
        float, _angle("Threshold", "Neighbours across larger misorientations do not count", "kam")
    ] = 3.0
    misorientation: Annotated[
        bool, Option("Misorientation to the next pixel", "To the right and below")
    ] = False
    boundaries: Annotated[
        bool, Option("Boundaries", "Low and high angle, twin and phase boundaries")
    ] = True
    boundary_low: Annotated[
        float,
        _angle("Low angle from", "Smallest misorientation of low-angle boundaries", "boundaries"),
    ] = 2.0
    boundary_high: Annotated[
        float,
        _angle("High angle from", "Smallest misorientation of high-angle boundaries", "boundaries"),
    ] = 15.0
    boundary_sigma3: Annotated[
        bool,
        Option(
            "Mark Σ3 twins (cubic phases)",
            "60° about <111>, within 8.66° (Brandon's criterion)", when="boundaries",
        ),
    ] = True  # fmt: skip
    grains: Annotated[bool, Option("Grains", "Labels, and a table of sizes and shapes")] = True
    grod: Annotated[
        bool, Option("GROD (deviation from grain mean)", "Grain reference orientation deviation")
    ] = False
    gos: Annotated[
        bool, Option("GOS (grain orientation spread)", "Mean of the GROD of a grain")
    ] = False
    grain_threshold: Annotated[
        float, _angle("Grain threshold", "Smallest misorientation between grains", _OF_GRAINS)
    ] = GRAIN_THRESHOLD
    grain_min_pixels: Annotated[
        int,
        Option("Smallest grain", "Smaller grains are left out", "px", 1, 1_000_000,
               when=_OF_GRAINS),
    ] = 1  # fmt: skip
    virtual: Annotated[
        bool, Option("Virtual backscatter image", "Brightness of a part of the detector")
    ] = False
    virtual_region: Annotated[
        str,
        Option("Detector", "Part of the detector that is averaged", choices=REGIONS,
               when="virtual"),
    ] = "whole"  # fmt: skip

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
