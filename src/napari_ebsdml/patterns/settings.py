"""How maps are classified. Light: a command line reads it before anything is computed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.options import Option


@dataclass(frozen=True)
class ClassifySettings:
    """How the patterns of a map get their answers.

    Attributes
    ----------
    by, threshold, refine
        As `SpaceGroupClassifier.predict_scan` takes them.
    ambiguous
        Whether space groups that cannot be told apart are an answer of their own; see
        `answers_of`.
    """

    by: Annotated[
        str,
        Option(
            "Answer for each",
            "The patterns of a grain are averaged in the crystal's frame: much surer than one "
            "pattern",
            choices={"pixel": "pixel", "grain": "grain (averaged)", "map": "whole map"},
        ),
    ] = "pixel"
    threshold: Annotated[
        float,
        Option("Grain threshold", "Disorientation that parts two grains", "°", 0.1, 180, 0.5, 1,
               when="by=grain"),
    ] = GRAIN_THRESHOLD  # fmt: skip
    refine: Annotated[
        bool,
        Option("Refine the geometry first",
               "Move pattern centre and camera tilt to where the map's patterns fit best, which "
               "takes seconds. Needs orientations"),
    ] = False  # fmt: skip
    ambiguous: Annotated[
        bool,
        Option("Show ambiguous answers",
               "Patterns of some space groups are too alike: “Pm-3m or Fm-3m” is then an answer "
               "of its own. Off: always the most probable one, as the paper counts"),
    ] = True  # fmt: skip


@dataclass(frozen=True)
class PhasesSettings:
    """How the phases of a map are found; see `find_phases`.

    Attributes
    ----------
    sample
        As `find_phases` takes it.
    energy
        In keV; 0: that of the file, and where it tells none, 20.
    chemistry
        Whether element counts are used where the map has them.
    """

    sample: Annotated[
        int,
        Option("Patterns searched",
               "Phases are found from so many patterns from all over the map, and all patterns are "
               "indexed with them. A phase of few pixels takes more patterns to be found",
               "", 1, 100_000, 100),
    ] = 200  # fmt: skip
    energy: Annotated[
        float,
        Option("Beam energy",
               "The width of bands goes with it: lattice parameters that are told are as right as "
               "it is. Where the file tells none, 20 keV are taken",
               "keV", 0, 400, 1, 1, at_minimum="as in the file"),
    ] = 0.0  # fmt: skip
    chemistry: Annotated[
        bool,
        Option("Use element counts (EDS)",
               "Where the map has X-ray counts, phases of one structure, as nickel and austenite, "
               "are told apart by what they are made of. Neither noise nor a slow change parts a "
               "phase"),
    ] = True  # fmt: skip

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `find_phases`."""
        return {
            "sample": self.sample, "energy": self.energy or None,
            "chemistry": "auto" if self.chemistry else None,
        }  # fmt: skip


@dataclass(frozen=True)
class ImproveSettings:
    """How orientations are improved from patterns; see `improve_orientations`.

    Attributes
    ----------
    grain_threshold, keep_failed
        As `improve_orientations` takes them.
    """

    grain_threshold: Annotated[
        float,
        Option("Grain threshold", "Patterns of a grain are compared with each other", "°", 0.1,
               180, 0.5, 1),
    ] = GRAIN_THRESHOLD  # fmt: skip
    keep_failed: Annotated[
        bool,
        Option("Keep orientations that failed",
               "Pixels whose pattern fits no other of its grain keep the orientation of the file; "
               "off: they count as not indexed, so that all of a grain are equally good"),
    ] = False  # fmt: skip

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `improve_orientations`."""
        return {"grain_threshold": self.grain_threshold, "keep_failed": self.keep_failed}
