"""Rotations of a simulated structure as a map that the rest of the package takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_ebsdml.errors import InputError
from napari_ebsdml.scan import Scan, Source

if TYPE_CHECKING:
    from orix.crystal_map import Phase

_CRYSTALS = {
    "fcc": ("nickel", 225, (3.524, 3.524, 3.524, 90, 90, 90)),
    "bcc": ("iron", 229, (2.866, 2.866, 2.866, 90, 90, 90)),
    "hcp": ("magnesium", 194, (3.209, 3.209, 5.211, 90, 90, 120)),
}


def simulated_scan(
    rotation: NDArray[Any],
    step: float,
    phase: str | Phase = "fcc",
    noise: float = 0.0,
    seed: int = 0,
) -> Scan:
    """Map of one crystal whose lattice is turned from pixel to pixel.

    Parameters
    ----------
    rotation : (rows, columns, 3) array
        Lattice rotation vectors in radians, map frame: rotations in b / h of a section, times
        b over the voxel's length.
    step
        In um.
    phase
        ``"fcc"`` (nickel), ``"bcc"`` (iron), ``"hcp"`` (magnesium) or an orix `Phase`.
    noise
        Orientation noise in degrees about each axis.
    seed
        Of the noise and the crystal's orientation.
    """
    from diffpy.structure import Lattice, Structure
    from orix.crystal_map import Phase, PhaseList

    turns = np.asarray(rotation, dtype=np.float64)
    if turns.ndim != 3 or turns.shape[2] != 3:
        raise InputError(f"rotation needs the shape (rows, columns, 3), not {turns.shape}.")
    if isinstance(phase, str):
        if phase not in _CRYSTALS:
            raise InputError(f"phase must be {', '.join(_CRYSTALS)} or a Phase, not {phase!r}.")
        name, group, cell = _CRYSTALS[phase]
        phase = Phase(name, space_group=group, structure=Structure(lattice=Lattice(*cell)))
    random = np.random.default_rng(seed)
    start = Rotation.random(rng=random)
    error = np.radians(noise) * random.standard_normal(turns.shape)
    to_specimen = (
        Rotation.from_rotvec(error.reshape(-1, 3))
        * Rotation.from_rotvec(turns.reshape(-1, 3))
        * start
    )
    quaternions = to_specimen.inv().as_quat(canonical=True, scalar_first=True)
    return Scan(
        quaternions=quaternions.reshape(*turns.shape[:2], 4),
        phase_id=np.zeros(turns.shape[:2], dtype=np.int32),
        phases=PhaseList(phases=[phase]),
        step=(step, step),
        source=Source(format="synthetic", scan_name="simulated structure"),
    )
