"""Reference frames: how a vendor's Euler angles relate to the axes of the map.

A `Scan` has x to the right, y down and z into the screen, and crystal axes as orix has them
(x along a, z along c*). A vendor may use another specimen frame, and another crystal frame
for hexagonal and trigonal phases. With O the orientation as the file has it, and vectors
turned by ``v_crystal = O v_specimen``, the orientation in a `Scan` is ``C O S``: S turns the
map's axes into the vendor's specimen axes, C the vendor's crystal axes into orix's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply as multiply


@dataclass(frozen=True)
class ReferenceFrame:
    """A vendor's convention.

    Parameters
    ----------
    name
        Key in `FRAMES`.
    specimen_turn
        Unit quaternion w, x, y, z that takes a vector's components in the map frame to those in
        the vendor's specimen frame (S).
    hexagonal_x
        What the crystal x axis of a hexagonal or trigonal phase is parallel to: "a" or "a*".
    description
        One sentence for people.
    """

    name: str
    specimen_turn: tuple[float, float, float, float]
    hexagonal_x: str
    description: str


_HALF = float(np.sqrt(0.5))

FRAMES: dict[str, ReferenceFrame] = {
    frame.name: frame
    for frame in (
        ReferenceFrame(
            "map",
            (1.0, 0.0, 0.0, 0.0),
            "a",
            "Euler angles refer to the map's axes as they stand.",
        ),
        ReferenceFrame(
            "edax",
            (0.0, _HALF, -_HALF, 0.0),
            "a",
            "EDAX: specimen axes turned by 180 degrees about [1 -1 0] against the map "
            "(A1 up, A2 to the left, A3 out of the screen).",
        ),
        ReferenceFrame(
            "edax-1",
            (0.0, _HALF, _HALF, 0.0),
            "a",
            "EDAX coordinate system 1: A1 down, A2 to the right, A3 out of the screen.",
        ),
        ReferenceFrame(
            "edax-3",
            (0.0, 0.0, 1.0, 0.0),
            "a",
            "EDAX coordinate system 3: A1 to the left, A2 down, A3 out of the screen.",
        ),
        ReferenceFrame(
            "edax-4",
            (0.0, 1.0, 0.0, 0.0),
            "a",
            "EDAX coordinate system 4: A1 to the right, A2 up, A3 out of the screen.",
        ),
        # Traces of twin boundaries on real maps tell the axes: in a CHANNEL5 map of nickel those
        # of {111} twins lie 4 degrees from the planes this way, 43 degrees without the turn.
        ReferenceFrame(
            "oxford",
            (0.0, 1.0, 0.0, 0.0),
            "a*",
            "Oxford: X to the right, Y up, Z out of the screen; hexagonal and trigonal crystals "
            "have x along a*.",
        ),
        ReferenceFrame(
            "oxford-180",
            (0.0, 0.0, 1.0, 0.0),
            "a*",
            "Oxford with a scanning rotation of 180 degrees: X to the left, Y down, Z out.",
        ),
        ReferenceFrame(
            "bruker",
            (0.0, 0.0, 1.0, 0.0),
            "a*",
            "Bruker ESPRIT: X to the left, Y down, Z out of the screen; hexagonal and trigonal "
            "crystals have x along a*.",
        ),
    )
}
"""Known frames by name."""


def crystal_turn(frame: ReferenceFrame) -> NDArray[np.float64]:
    """Quaternion C of a hexagonal or trigonal phase: the vendor's crystal axes to orix's."""
    if frame.hexagonal_x == "a*":
        # a* lies 30 degrees from a towards b.
        return np.array([np.cos(np.pi / 12), 0.0, 0.0, np.sin(np.pi / 12)])
    return np.array([1.0, 0.0, 0.0, 0.0])
