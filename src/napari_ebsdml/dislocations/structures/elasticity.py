"""Elastic field of dislocation lines in a periodic box, by Fourier transform.

Units: lengths in voxels h, Burgers vectors in b. Distortions and rotations come in b / h.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy import fft

from napari_ebsdml.dislocations.structures.lines import Lines
from napari_ebsdml.errors import InputError

SUBSTEP = 0.5
"""Longest piece of a line, in voxels, that is laid onto the grid as one."""
PROBE = 0.7
"""Standard deviation in voxels of the Gaussian that a measured point averages over.

It also keeps the steep field of a line from ringing through the grid."""


@dataclass(frozen=True, eq=False)
class ElasticField:
    """Field of dislocation lines on a periodic grid, first index x, then y and z.

    Attributes
    ----------
    rotation : (n, n, n, 3) float32
        Lattice rotation vector in b / h, without the part of `curvature`.
    density : (n, n, n) float32
        Line length per volume, in lines per voxel area.
    nye : (3, 3, n, n, n) float32
        Nye's tensor, [Burgers vector, line], in b / h^2.
    curvature : (3, 3) array
        Uniform curvature d(rotation_i)/d(x_j) in b / h^2 of lines that do not cancel over the
        box: a field that is not periodic, to be added to `rotation`.
    strain : (n, n, n, 6) float32 or None
        xx, yy, zz, yz, xz, xy (tensor components) in b / h.
    """

    rotation: NDArray[np.float32]
    density: NDArray[np.float32]
    nye: NDArray[np.float32]
    curvature: NDArray[np.float64]
    strain: NDArray[np.float32] | None = None


def isotropic_stiffness(poisson: float = 0.3) -> NDArray[np.float64]:
    """Stiffness tensor (3, 3, 3, 3) of an isotropic body with a shear modulus of 1."""
    if not -1 < poisson < 0.5:
        raise InputError(f"Poisson's ratio must lie between -1 and 0.5, not {poisson}.")
    return _cubic(2 * poisson / (1 - 2 * poisson), 1.0, 0.0, np.eye(3))


def cubic_stiffness(
    c11: float, c12: float, c44: float, to_box: NDArray[Any] | None = None
) -> NDArray[np.float64]:
    """Stiffness tensor (3, 3, 3, 3) of a cubic crystal.

    Parameters
    ----------
    c11, c12, c44
        In one unit; only their ratios matter here.
    to_box : (3, 3) array
        Rotation matrix from the crystal's axes to those of the box; None: they are the same.

    Raises
    ------
    InputError
        When no crystal with these constants is stable.
    """
    if not (c44 > 0 and c11 > abs(c12) and c11 + 2 * c12 > 0):
        raise InputError(f"Cubic constants {c11:g}, {c12:g}, {c44:g} are not stable.")
    turn = np.eye(3) if to_box is None else np.asarray(to_box, dtype=np.float64)
    return _cubic(c12, c44, c11 - c12 - 2 * c44, turn)


def _cubic(c12: float, c44: float, extra: float, turn: NDArray[np.float64]) -> NDArray[np.float64]:
    one = np.eye(3)
    stiffness = c12 * np.einsum("ij,kl->ijkl", one, one)
    stiffness += c44 * (np.einsum("ik,jl->ijkl", one, one) + np.einsum("il,jk->ijkl", one, one))
    for axis in turn.T:
        stiffness += extra * np.einsum("i,j,k,l->ijkl", axis, axis, axis, axis)
    return stiffness


def elastic_field(
    lines: Lines,
    stiffness: NDArray[Any] | None = None,
    strain: bool = False,
    probe: float = PROBE,
) -> ElasticField:
    """Lattice rotation around dislocation lines, and their strain where it is asked for.

    Parameters
    ----------
    lines
    stiffness : (3, 3, 3, 3) array
        In the frame of the box; None: isotropic with Poisson's ratio 0.3.
    strain
        Whether to return the elastic strain, too.
    probe
        Standard deviation in voxels of the Gaussian that rotations and strains are averaged over.

    Notes
    -----
    The elastic distortion beta has the curl alpha, Nye's tensor: closing round a line gives its
    Burgers vector. Its part without divergence is i k x alpha / k^2; a gradient added to it brings
    the stress into equilibrium (Mura, Micromechanics of Defects in Solids, 1987, chapter 1).
    """
    n = lines.size
    # The components of a point lie side by side: laying lines is a matter of memory access.
    grid = np.zeros((n, n, n, 10), dtype=np.float32)
    _deposit(lines.start, lines.along, lines.burgers, grid)
    nye = np.ascontiguousarray(np.moveaxis(grid[..., :9], -1, 0))
    density = np.ascontiguousarray(grid[..., 9])
    spectrum = np.stack([fft.rfftn(component) for component in nye])
    mean = spectrum[:, 0, 0, 0].real.astype(np.float64).reshape(3, 3) / n**3
    tensor = isotropic_stiffness() if stiffness is None else np.asarray(stiffness, np.float64)
    waves = 2 * np.pi * fft.fftfreq(n)
    _solve(spectrum, waves, np.ascontiguousarray(tensor), float(probe))
    beta = spectrum.reshape(3, 3, *spectrum.shape[1:])

    def real(component: NDArray[Any]) -> NDArray[np.float32]:
        return np.asarray(fft.irfftn(component, s=(n, n, n)), dtype=np.float32)

    rotation = np.empty((n, n, n, 3), dtype=np.float32)
    for k in range(3):
        i, j = (k + 1) % 3, (k + 2) % 3
        rotation[..., k] = real((beta[j, i] - beta[i, j]) / 2)
    parts = None
    if strain:
        parts = np.empty((n, n, n, 6), dtype=np.float32)
        for index, (i, j) in enumerate(((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))):
            parts[..., index] = real((beta[i, j] + beta[j, i]) / 2)
    curvature = np.trace(mean) / 2 * np.eye(3) - mean.T
    return ElasticField(rotation, density, nye.reshape(3, 3, n, n, n), curvature, parts)


@njit(cache=True, nogil=True)
def _deposit(start, along, burgers, grid):  # type: ignore[no-untyped-def]
    """Lay lines onto the eight grid points around each of their pieces (trilinear shares)."""
    n = grid.shape[0]
    value = np.empty(10, dtype=np.float32)
    for s in range(start.shape[0]):
        length = np.sqrt(along[s, 0] ** 2 + along[s, 1] ** 2 + along[s, 2] ** 2)
        if length == 0.0:
            continue
        pieces = int(np.ceil(length / SUBSTEP))
        share = 1.0 / pieces
        for i in range(3):
            for j in range(3):
                value[3 * i + j] = share * burgers[s, i] * along[s, j]
        value[9] = share * length
        for p in range(pieces):
            middle = (p + 0.5) * share
            x = start[s, 0] + middle * along[s, 0]
            y = start[s, 1] + middle * along[s, 1]
            z = start[s, 2] + middle * along[s, 2]
            fx, fy, fz = np.floor(x), np.floor(y), np.floor(z)
            ix, iy, iz = int(fx), int(fy), int(fz)
            for a in range(2):
                wx = x - fx if a else 1.0 - (x - fx)
                gx = (ix + a) % n
                for b in range(2):
                    wy = y - fy if b else 1.0 - (y - fy)
                    gy = (iy + b) % n
                    for c in range(2):
                        wz = z - fz if c else 1.0 - (z - fz)
                        gz = (iz + c) % n
                        weight = np.float32(wx * wy * wz)
                        for i in range(10):
                            grid[gx, gy, gz, i] += weight * value[i]


@njit(cache=True, nogil=True)
def _solve(spectrum, waves, stiffness, probe):  # type: ignore[no-untyped-def]
    """Nye's tensor -> elastic distortion, in place, for every wave but the mean's."""
    n = waves.shape[0]
    k = np.empty(3)
    acoustic = np.empty((3, 3))
    inverse = np.empty((3, 3))
    beta = np.empty((3, 3), dtype=np.complex128)
    force = np.empty(3, dtype=np.complex128)
    for x in range(n):
        for y in range(n):
            for z in range(spectrum.shape[3]):
                k[0], k[1], k[2] = waves[x], waves[y], abs(waves[z])
                square = k[0] * k[0] + k[1] * k[1] + k[2] * k[2]
                # The highest wave of an even grid has no sign, and so no derivative.
                if square == 0.0 or 2 * x == n or 2 * y == n or 2 * z == n:
                    for component in range(9):
                        spectrum[component, x, y, z] = 0.0
                    continue
                for i in range(3):
                    for j in range(3):
                        l, m = (j + 1) % 3, (j + 2) % 3  # noqa: E741
                        beta[i, j] = (
                            1j
                            * (
                                k[l] * spectrum[3 * i + m, x, y, z]
                                - k[m] * spectrum[3 * i + l, x, y, z]
                            )
                            / square
                        )
                        total = 0.0
                        for p in range(3):
                            for q in range(3):
                                total += stiffness[i, p, j, q] * k[p] * k[q]
                        acoustic[i, j] = total
                for i in range(3):
                    value = 0.0 + 0.0j
                    for j in range(3):
                        if k[j] != 0.0:
                            part = 0.0 + 0.0j
                            for p in range(3):
                                for q in range(3):
                                    part += stiffness[i, j, p, q] * beta[p, q]
                            value += k[j] * part
                    force[i] = value
                determinant = 0.0
                for i in range(3):
                    a, b = (i + 1) % 3, (i + 2) % 3
                    for j in range(3):
                        c, d = (j + 1) % 3, (j + 2) % 3
                        inverse[j, i] = (
                            acoustic[a, c] * acoustic[b, d] - acoustic[a, d] * acoustic[b, c]
                        )
                determinant = (
                    acoustic[0, 0] * inverse[0, 0]
                    + acoustic[0, 1] * inverse[1, 0]
                    + acoustic[0, 2] * inverse[2, 0]
                )
                blur = np.exp(-0.5 * square * probe * probe)
                for i in range(3):
                    gradient = 0.0 + 0.0j
                    for j in range(3):
                        gradient += inverse[i, j] * force[j]
                    gradient /= determinant
                    for j in range(3):
                        spectrum[3 * i + j, x, y, z] = blur * (beta[i, j] - gradient * k[j])
