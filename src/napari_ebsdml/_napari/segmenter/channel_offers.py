"""Which channels the scans of a training offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_ebsdml._napari.segmenter.inputs import GND
from napari_ebsdml.scan import Scan

PROPERTY, ORIENTATION = "Measured", "From orientations"

_MEANING = {
    "KAM": "Kernel average misorientation, 3 × 3 pixels, 3°",
    "GROD": "Deviation from the grain's mean orientation",
    "GOS": "Mean of that deviation over the grain",
    "GrainSize": "Logarithm of the grain's equivalent diameter",
    "GrainWidth": "Logarithm of twice area over perimeter: the width of a lath",
    "GrainAspect": "Logarithm of the grain's aspect ratio",
    "Relations": "How the grain lies to its neighbours: shares of its boundary by misorientation",
    "Twins": "Part of the grain's boundary that is a twin boundary",
    "IPF": "IPF-Z colours, 3 planes; they change when the specimen is turned",
    "Boundary": "Low angle, high angle, Σ3 and phase boundaries, 4 planes",
    "Quaternions": "Orientations, one symmetry variant per grain, 4 planes; the article finds "
    "them the poorest channel",
    "Local": "Disorientation to neighbours at 1, 2 and 4 pixels, 9 planes; no symmetry or "
    "rotation changes it",
}
_PROPERTIES = {
    "BC": "Band contrast",
    "BS": "Band slope",
    "MAD": "Mean angular deviation",
    "BANDS": "Number of detected bands",
    "IQ": "Image quality",
    "CI": "Confidence index",
    "FIT": "Fit of the indexing",
    "ERROR": "Error code of the indexing",
    GND: "GND density that is shown on the map",
}
# The same all over a grain already, or without a plain mean; no mean around a pixel either.
_WITHOUT_MEAN = ("Quaternions", "GOS", "GrainSize", "GrainWidth", "GrainAspect", "Relations")

_AROUND = ("@near", "@far")


@dataclass(frozen=True)
class Offer:
    """A channel that some scan offers.

    Attributes
    ----------
    name
        As `Segmenter.train` takes it.
    group, meaning
    missing
        Why it cannot be used with all scans; empty when it can.
    endings
        What can follow the name: "", "@grain", "@near", "@far".
    """

    name: str
    group: str
    meaning: str
    missing: str = ""
    endings: tuple[str, ...] = ("",)


def offers(scans: Sequence[Scan]) -> list[Offer]:
    """Channels of some scans together: measured ones as they come, then computed ones.

    Parameters
    ----------
    scans
        Scans to train on, with the properties that were added to them.
    """
    from napari_ebsdml.segmentation.inputs.channels import COMPUTED_CHANNELS

    names: dict[str, str] = {}
    for scan in scans:
        for name in scan.prop:
            names.setdefault(name.casefold(), name)
    flat = [scan for scan in scans if not scan.quaternions.any()]
    found = []
    for folded, name in names.items():
        without = [s for s in scans if folded not in {n.casefold() for n in s.prop}]
        missing = f"not in {_names(without)}" if without else ""
        if not missing:
            missing = _useless([s.get(name) for s in scans])
        meaning = _PROPERTIES.get(name.upper(), "Property of the file")
        grain = () if flat else ("@grain",)
        found.append(Offer(name, PROPERTY, meaning, missing, ("", *grain, *_AROUND)))
    missing = f"no orientations in {_names(flat)}" if flat else ""
    for name in COMPUTED_CHANNELS:
        if name != "Indexed":  # always added
            meaning = _MEANING.get(name, "Computed from orientations")
            plain = name in _WITHOUT_MEAN or flat
            endings = ("",) if plain else ("", "@grain", *_AROUND)
            found.append(Offer(name, ORIENTATION, meaning, missing, endings))
    return found


def _names(scans: Sequence[Scan]) -> str:
    first = ", ".join(scan.name for scan in scans[:2])
    return first + (f" and {len(scans) - 2} more" if len(scans) > 2 else "")


def _useless(values: Sequence[np.ndarray]) -> str:
    if any(v.dtype.kind not in "buif" for v in values):
        return "no numbers"
    if all(v.size == 0 or np.ptp(np.nan_to_num(v.astype(np.float32))) == 0 for v in values):
        return "the same value everywhere"
    return ""
