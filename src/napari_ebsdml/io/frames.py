"""Reference frames: how a vendor's Euler angles relate to the axes of the map.

A `Scan` has x to the right, y down and z into the screen, and crystal axes as orix has them
(x along a, z along c*). A vendor may use another specimen frame, and other crystal axes, which
differ where a cell has other than right angles. With O the orientation as the file has it, and
vectors turned by ``v_crystal = O v_specimen``, the orientation in a `Scan` is ``C O S``: S turns
the map's axes into the vendor's specimen axes, C the vendor's crystal axes into orix's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import from_matrix
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
    crystal_x
        What the crystal x axis is parallel to: "a", with z along c*, or "a*", with z along c.
    description
        One sentence for people.
    """

    name: str
    specimen_turn: tuple[float, float, float, float]
    crystal_x: str
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
            "Oxford: X to the right, Y up, Z out of the screen; crystals have x along a* and z "
            "along c.",
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
            "Bruker ESPRIT: X to the left, Y down, Z out of the screen; crystals have x along a* "
            "and z along c.",
        ),
    )
}
"""Known frames by name."""


HEXAGONAL = (1.0, 1.0, 1.0, 90.0, 90.0, 120.0)
"""A lattice with a 30 degrees from a*, whatever its edges are."""


def crystal_turn(
    frame: ReferenceFrame, lattice: Sequence[float] = HEXAGONAL
) -> NDArray[np.float64]:
    """Unit quaternion C that takes a vector's components in the vendor's crystal axes to orix's.

    Parameters
    ----------
    frame
    lattice
        a, b, c and the angles alpha, beta, gamma in degrees.

    Notes
    -----
    Axes of Oxford (its CS2) as the specification of .h5oina gives them: z along c, x at right
    angles to b and c, that is along a*.
    """
    if frame.crystal_x == "a":
        return np.array([1.0, 0.0, 0.0, 0.0])
    cos_a, cos_b, cos_c = np.cos(np.radians(lattice[3:6]))
    sin_a = np.sqrt(1 - cos_a**2)
    # Unit vectors along a and b in axes x along a*, z along c.
    y = (cos_c - cos_a * cos_b) / sin_a
    a = np.array([np.sqrt(1 - y**2 - cos_b**2), y, cos_b])
    b = np.array([0.0, sin_a, cos_a])
    normal = np.cross(a, b)
    normal /= np.linalg.norm(normal)
    return from_matrix(np.stack((a, np.cross(normal, a), normal)))
