"""How densities are computed. Light: a command line reads it before anything is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.options import Option

INFORMATION_DEPTH = 0.02
"""Depth in um that Kikuchi patterns come from, some tens of nanometres in metals (Dingley,
doi:10.1111/j.0022-2720.2004.01321.x): the thickness of the layer whose lines a map shows."""


@dataclass(frozen=True)
class GndSettings:
    """How a GND density is computed; see `gnd_density`.

    Attributes
    ----------
    slip_systems
        As `gnd_density` takes them.
    norm, stencil, grain_threshold, min_pixels
        Likewise.
    orientation_noise
        Degrees about each axis; 0: measured in the map.
    denoise, radius, passes
        Whether to denoise orientations first, and how; see `Denoise`.
    """

    slip_systems: Any = "auto"
    norm: Annotated[
        str,
        Option(
            "Fit",
            "A curvature can be made by many mixtures of slip systems. L1 takes the one with the "
            "least line energy, the usual choice; L2 the one with the least sum of squares, which "
            "spreads the density over many systems and is faster.",
            choices={"l1": "L1, least energy", "l2": "L2, pseudo-inverse"},
        ),
    ] = "l1"
    stencil: Annotated[
        str,
        Option(
            "Differences",
            "All neighbours of the same grain: less noise. Right and below only: as simple "
            "programs do.",
            choices={"full": "all neighbours", "one-sided": "right and below only"},
        ),
    ] = "full"
    grain_threshold: Annotated[
        float,
        Option("Grain threshold", "No curvature is taken across larger misorientations.",
               "°", 0.1, 180, 0.5, 1),
    ] = GRAIN_THRESHOLD  # fmt: skip
    min_pixels: Annotated[
        int,
        Option("Smallest grain",
               "Smaller grains get no density: wrongly indexed specks look like dislocations.",
               "px", 1, 100_000),
    ] = 1  # fmt: skip
    orientation_noise: Annotated[
        float,
        Option("Orientation noise",
               "Standard deviation of the orientations about each axis: noise floor and averages "
               "follow it. 0: measured in the map, which cannot tell noise from the finest "
               "structure; give it where it is known.",
               "°", 0.0, 5.0, 0.01, 3, at_minimum="measured"),
    ] = 0.0  # fmt: skip
    denoise: Annotated[
        bool,
        Option("Denoise orientations first",
               "Filter inside grains that keeps gradients and sharp subgrain boundaries. It "
               "lowers the noise floor and blurs details of the size of its window."),
    ] = False  # fmt: skip
    radius: Annotated[
        int,
        Option("Window radius",
               "Of denoising; 1: the window has 3 × 3 pixels. Two passes of it leave more of the "
               "density than one of a larger window that leaves as much noise.",
               "px", 1, 5, when="denoise"),
    ] = 1  # fmt: skip
    passes: Annotated[
        int, Option("Passes", "How often to denoise", "", 1, 10, when="denoise")
    ] = 2  # fmt: skip

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `gnd_density`."""
        return {
            "slip_systems": self.slip_systems,
            "norm": self.norm,
            "stencil": self.stencil,
            "grain_threshold": self.grain_threshold,
            "min_pixels": self.min_pixels,
            "orientation_noise": self.orientation_noise or None,
            "denoise": Denoise(self.radius, passes=self.passes) if self.denoise else None,
        }


@dataclass(frozen=True)
class StepSettings:
    """At which step GND densities of several maps are compared; see `GndDensity.step_dependence`.

    Attributes
    ----------
    step
        In um; 0: each map at its own.
    """

    step: Annotated[
        float,
        Option("Compare at a step of",
               "GND densities fall with the step: maps compare at one step only. A map tells its "
               "density at its own step and up to six times that.",
               "µm", 0.0, 1e4, 0.1, 3, at_minimum="the map's own"),
    ] = 0.0  # fmt: skip


@dataclass(frozen=True)
class Denoise:
    """Settings of `denoise_orientations`.

    Parameters
    ----------
    radius
        Half width of the window in pixels; 1 means 3 x 3.
    sigma
        Orientation noise in degrees (standard deviation about each axis); None measures it.
    passes
        How often to apply the filter.
    """

    radius: int = GndSettings.radius
    sigma: float | None = None
    passes: int = GndSettings.passes

    def __post_init__(self) -> None:
        for name, value, high in (("radius", self.radius, 5), ("passes", self.passes, 10)):
            if not isinstance(value, int | np.integer) or not 1 <= value <= high:
                raise InputError(f"denoise: {name} must be an integer 1 to {high}, not {value!r}.")
        if self.sigma is not None and not 0 <= float(self.sigma) < 30:
            raise InputError(f"denoise: sigma must be 0 to 30 degrees or None, not {self.sigma!r}.")


@dataclass(frozen=True)
class TotalSettings:
    """How a total density is read from orientations; see `total_dislocation_density`.

    Attributes
    ----------
    orientation_noise
        Degrees about each axis; 0: measured on the map.
    grain_threshold
        As `total_dislocation_density` takes it.
    average_over
        As `total_dislocation_density` takes it; 0: chosen for each phase.
    improve
        Whether `improve_orientations` goes first where the map has patterns.
    """

    orientation_noise: Annotated[
        float,
        Option("Orientation noise",
               "Standard deviation of the orientations about each axis. 0: measured on the map, "
               "which cannot tell noise from the finest structure; give it where it is known.",
               "°", 0.0, 5.0, 0.01, 3, at_minimum="measured"),
    ] = 0.0  # fmt: skip
    grain_threshold: Annotated[
        float,
        Option("Grain threshold", "Windows lie within grains bounded by larger misorientations.",
               "°", 0.1, 180, 0.5, 1),
    ] = GRAIN_THRESHOLD  # fmt: skip
    average_over: Annotated[
        int,
        Option("Average over",
               "Side of the squares of pixels within grains whose mean orientations are read: "
               "they have less noise, and larger windows. Chosen: the smallest that tell the "
               "density.",
               "px", 0, 16, 1, at_minimum="chosen"),
    ] = 0  # fmt: skip
    improve: Annotated[
        bool,
        Option("Improve orientations first",
               "Where the map has patterns and tells its pattern centre, measure how those of a "
               "grain are turned against each other: noise falls five- to thirtyfold, and is "
               "known. Takes some milliseconds a pattern."),
    ] = False  # fmt: skip

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `total_dislocation_density`."""
        return {
            "orientation_noise": self.orientation_noise or None,
            "grain_threshold": self.grain_threshold,
            "average_over": self.average_over or None,
        }


@dataclass(frozen=True)
class DensitySettings:
    """How a total density is computed the article's way; see `article_density`.

    Attributes
    ----------
    model, plane_thickness, level, symmetric
        As `article_density` takes them.
    extrapolate
        Whether maps and averages count pixels out of the model's range; see `density_averages`.
    """

    model: Annotated[
        str,
        Option(
            "Model", "The network that tells how many dislocations hide behind a GND map",
            choices={"default": "default, 7 × 7 px", "wide": "wide, 11 × 11 px"}, more_choices=True,
        ),
    ] = "default"  # fmt: skip
    plane_thickness: Annotated[
        float,
        Option(
            "Plane thickness",
            "Thickness of the layer whose lines a pixel shows: the depth that patterns come from, "
            "about 20 nm. One line across a pixel is 1 / (step × thickness), so that it sets the "
            "scale of the answer; no value of it is rigorous.",
            "µm", 1e-4, 10, 0.005, 1, ("nm", 1000),
        ),
    ] = INFORMATION_DEPTH  # fmt: skip
    level: Annotated[
        float,
        Option("Interval", "Probability that the interval holds, by the model", "", 0.5, 0.99,
               0.05, 0, ("%", 100)),
    ] = 0.9  # fmt: skip
    symmetric: Annotated[
        bool,
        Option("Average 16 equivalent maps",
               "Turned and mirrored: somewhat better, and 16 times slower"),
    ] = False  # fmt: skip
    extrapolate: Annotated[
        bool,
        Option("Show values out of range",
               "Maps and averages then hold what the network says outside of its training too"),
    ] = False  # fmt: skip

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `article_density`."""
        return {
            "model": self.model,
            "plane_thickness": self.plane_thickness,
            "symmetric": self.symmetric,
            "level": self.level,
        }


@dataclass(frozen=True)
class TaylorSettings:
    """How a density becomes a flow stress; see `density_averages`.

    Attributes
    ----------
    materials
        Phase id -> name of a metal, as `taylor_stress` takes it.
    friction
        MPa.
    """

    materials: Mapping[int, str] | None = None
    friction: Annotated[
        float,
        Option("Friction stress",
               "σ* in σ = σ* + M α μ b √ρ; it drops out of the increment between two maps",
               "MPa", 0, 2000, 10),
    ] = 0.0  # fmt: skip
