"""What a free surface changes: the rotations that a map of it shows, from those inside a body."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from napari_ebsdml.dislocations.structures.elasticity import ElasticField
from napari_ebsdml.errors import InputError


def surface_rotation(
    field: ElasticField, normal: int, at: int, poisson: float = 0.3
) -> NDArray[np.float32]:
    """Rotations on a plane of the box when the body ends there, in b / h and the map's frame.

    Parameters
    ----------
    field
        With strain.
    normal
        0, 1 or 2: the axis that goes into the map.
    at
        Grid plane: the surface. What lies beyond it is away; lines that cross it end there.
    poisson
        Poisson's ratio of the body, which is taken as isotropic here.

    Returns
    -------
    (n, n, 3) array
        As `Section.rotation`.

    Raises
    ------
    InputError
        When the field has no strain.

    Notes
    -----
    The field inside an infinite body leaves tractions on the plane. The field of the opposite
    tractions on a half-space is added, which has no dislocations; for one wave of the tractions
    it is a sum of three terms that fall off with depth (Papkovich and Neuber's solution, for
    tractions normal to the surface that of Boussinesq), and its rotation at the surface depends
    on the wave's direction only.
    """
    if field.strain is None:
        raise InputError("A free surface needs a field with strain: elastic_field(strain=True).")
    if normal not in (0, 1, 2):
        raise InputError(f"The normal of a surface is axis 0, 1 or 2 of the box, not {normal}.")
    n = field.density.shape[0]
    x, y = (normal + 1) % 3, (normal + 2) % 3
    frame = [x, y, normal]
    # Index of the components xx, yy, zz, yz, xz, xy of a pair of axes.
    pair = {(0, 0): 0, (1, 1): 1, (2, 2): 2, (1, 2): 3, (0, 2): 4, (0, 1): 5}

    def plane(values: NDArray[np.float32]) -> NDArray[np.float32]:
        cut = np.take(values, at % n, axis=normal)
        return cut if y < x else cut.swapaxes(0, 1)

    strain = plane(field.strain)
    trace = strain[..., :3].sum(axis=-1)
    # Over the shear modulus. z goes into the map: the body's outward normal is -z.
    shear = [2 * strain[..., pair[min(a, normal), max(a, normal)]] for a in (x, y)]
    pull = 2 * strain[..., normal] + 2 * poisson / (1 - 2 * poisson) * trace
    tx, ty, tz = (fft.fft2(value) for value in (shear[0], shear[1], pull))
    wave = fft.fftfreq(n)
    kx, ky = wave[None, :], wave[:, None]
    length = np.hypot(kx, ky)
    length[0, 0] = 1.0
    cx, cy = kx / length, ky / length
    along, across = cx * tx + cy * ty, cx * ty - cy * tx
    # The body is at z > 0: fields fall off as exp(-k z).
    bend = (1 - poisson) * (along + 1j * tz)
    twist = across / 2
    parts = (cx * twist + cy * bend, cy * twist - cx * bend, 1j * twist)
    for part in parts:
        part[0, 0] = 0.0
    added = np.stack([fft.ifft2(part).real for part in parts], axis=-1)
    return np.asarray(plane(field.rotation)[..., frame] + added, dtype=np.float32)
