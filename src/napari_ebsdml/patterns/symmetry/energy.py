"""Energy of the beam, where a map's file tells it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

ASSUMED = 20.0
_NAMES = ("KV", "Job.kV", "Beam Voltage", "beam_energy", "SEM KV")
"""Of Bruker's and CHANNEL 5's files, .cpr, .h5oina and kikuchipy's."""


def energy_of(scan: Scan) -> float | None:
    """Energy of the beam in keV that the header of a map tells; None when it tells none."""
    for name in _NAMES:
        try:
            energy = float(scan.source.header[name])
        except (KeyError, TypeError, ValueError):
            continue
        # Programs write 0 where nobody told.
        if 1 <= energy <= 100:
            return energy
    return None
