"""Kinds of classifiers: who reads a model file, told by its card; loads no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A kind of classifier.

    Attributes
    ----------
    where
        Module and name of its class.
    needs_orientations
        Whether its models work in the frame of the crystal.
    """

    where: str
    needs_orientations: bool


CRYSTAL_FRAME, RAW = "space-groups", "space-groups-raw"

# Named and not imported, as entry points are: each kind is a subclass of the face that asks here,
# and the face must not know its subclasses. A new kind is one more line.
KINDS: dict[str, Kind] = {
    CRYSTAL_FRAME: Kind(
        "napari_ebsdml.patterns.crystal_frame.classifier:CrystalFrameClassifier", True
    ),
    RAW: Kind("napari_ebsdml.patterns.raw.classifier:RawClassifier", False),
}
"""By the kind that a model card tells."""

SHIPPED = {"default": "space-groups-default", "raw": "space-groups-raw"}
"""Models that come with the package: name -> stem of their files."""
