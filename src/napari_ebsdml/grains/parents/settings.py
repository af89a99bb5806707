"""Settings of parent grain reconstruction. Light: forms read it before anything is computed."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

from napari_ebsdml.options import Option

RELATIONSHIPS = {
    "auto": "best known",
    "Kurdjumov-Sachs": "Kurdjumov-Sachs",
    "Nishiyama-Wassermann": "Nishiyama-Wassermann",
    "Greninger-Troiano": "Greninger-Troiano",
    "Pitsch": "Pitsch",
    "Burgers": "Burgers (alpha and beta titanium)",
}


@dataclass(frozen=True)
class ParentSettings:
    """How parent grains are reconstructed.

    Attributes
    ----------
    orientation_relationship
        Name of a known one, or "auto".
    refine
        Whether it is refined from the map itself.
    threshold
        Disorientation in degrees at which a child grain ends.
    min_pixels
        Smaller child grains take the parent of their neighbours.
    tolerance
        Misfit in degrees above which a child grain belongs to no parent.
    smallest_parent
        Smaller parents, in pixels, are given to their neighbours.
    fill
        Reach in pixels over which pixels without a parent take the nearest one's.
    """

    orientation_relationship: Annotated[
        str,
        Option("Relationship", "How the child's lattice lies to the parent's",
               choices=RELATIONSHIPS),
    ] = "auto"  # fmt: skip
    refine: Annotated[
        bool, Option("Refine from the map", "Fit the relationship to neighbouring child grains")
    ] = True
    threshold: Annotated[
        float,
        Option("Child grain threshold", "Misorientation at which a child grain ends", "°",
               0.5, 15, 0.5, 1),
    ] = 3.0  # fmt: skip
    min_pixels: Annotated[
        int, Option("Smallest child grain", "Smaller ones follow their neighbours", "px", 1, 10_000)
    ] = 3
    tolerance: Annotated[
        float,
        Option("Largest misfit", "A child grain further off belongs to no parent", "°",
               1, 30, 0.5, 1),
    ] = 8.0  # fmt: skip
    smallest_parent: Annotated[
        int, Option("Smallest parent", "Smaller ones go to their neighbours", "px", 1, 1_000_000)
    ] = 50
    fill: Annotated[
        int,
        Option("Fill gaps up to", "Pixels without a parent take the nearest one's", "px", 0, 99),
    ] = 5

    def arguments(self) -> dict[str, Any]:
        """Keyword arguments of `parent_grains`."""
        return dataclasses.asdict(self)
