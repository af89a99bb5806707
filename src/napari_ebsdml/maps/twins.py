"""Deformation twins of hexagonal close-packed metals, for any axial ratio."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.maps.symmetry import laue_class, laue_operators

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

HCP_TWIN_PLANES: dict[str, tuple[int, int, int, int]] = {
    "{10-12}": (1, 0, -1, 2), "{11-21}": (1, 1, -2, 1), "{10-11}": (1, 0, -1, 1),
    "{10-13}": (1, 0, -1, 3), "{11-22}": (1, 1, -2, 2), "{11-24}": (1, 1, -2, 4),
}  # fmt: skip
"""Planes K1 of the named twins: the first two lengthen the c axis of most metals, the others
shorten it."""

HEXAGONAL = "6/mmm"

USUAL_RATIO = 1.6
"""c/a where the file does not tell: it is 1.57 (Be) to 1.63 (Co), but for Zn and Cd."""

_CHUNK = 4096


def hcp_twin(plane: tuple[int, int, int, int], ratio: float) -> NDArray[np.float64]:
    """Misorientation of a twin: half a turn about the normal of its plane K1.

    Parameters
    ----------
    plane
        Miller-Bravais indices.
    ratio
        c/a.

    Returns
    -------
    (4,) float64
        Unit quaternion in the crystal's frame: x along a, z along c.

    Notes
    -----
    J. W. Christian, S. Mahajan, Prog. Mater. Sci. 39 (1995) 1, doi:10.1016/0079-6425(94)00007-7:
    in these compound twins half a turn about the normal of K1 and one about eta1 are equivalent.
    """
    h, k, _, m = plane
    # Sum of the reciprocal axes, for a = 1.
    normal = np.array([h, (h + 2 * k) / math.sqrt(3), m / ratio])
    return np.concatenate(([0.0], normal / np.linalg.norm(normal)))


def axial_ratio(scan: Scan, phase: int) -> float:
    """c/a of a phase as the file has it; `USUAL_RATIO` where it tells none that can be."""
    lattice = scan.phases[phase].structure.lattice
    ratio = float(lattice.c) / float(lattice.a) if lattice.a else 0.0
    # A lattice that nobody filled in is a cube of side 1.
    return ratio if 1.2 < ratio < 2.2 else USUAL_RATIO


@functools.cache
def twin_forms(ratio: float) -> NDArray[np.float64]:
    """All forms (n, 4) that the misorientations of the named twins take by symmetry."""
    operators = laue_operators(HEXAGONAL)
    twins = np.stack([hcp_twin(plane, ratio) for plane in HCP_TWIN_PLANES.values()])
    every = multiply(multiply(operators[:, None, None], twins[:, None]), operators).reshape(-1, 4)
    first = np.argmax(np.abs(every) > 1e-9, axis=1)
    every = every * np.sign(every[np.arange(len(every)), first])[:, None]
    return np.unique(np.round(every, 9), axis=0)


def hexagonal_ratios(scan: Scan) -> dict[int, float]:
    """c/a of the phases of Laue class 6/mmm, by their number."""
    out = {}
    for number, phase in scan.phases:
        try:
            if laue_class(phase) == HEXAGONAL:
                out[int(number)] = axial_ratio(scan, number)
        except (InputError, MissingDataError):
            continue
    return out


def are_twins(
    first: NDArray[np.floating], second: NDArray[np.floating], ratio: float, tolerance: float
) -> NDArray[np.bool_]:
    """Whether pairs of orientations (n, 4) of hexagonal crystals are twins within a tolerance.

    Parameters
    ----------
    first, second
        Specimen -> crystal.
    ratio
        c/a.
    tolerance
        Degrees.
    """
    forms = twin_forms(round(float(ratio), 4))
    least = math.cos(math.radians(tolerance) / 2)
    inverse = np.array([1.0, -1.0, -1.0, -1.0])
    out = np.zeros(len(first), dtype=bool)
    for start in range(0, len(first), _CHUNK):
        part = slice(start, start + _CHUNK)
        between = multiply(second[part], first[part] * inverse)
        out[part] = (np.abs(between @ forms.T) >= least).any(axis=1)
    return out
