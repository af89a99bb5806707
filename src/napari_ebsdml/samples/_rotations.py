"""Rotations for the synthetic samples.

Quaternions are those of `napari_ebsdml._quaternions`.
"""

from __future__ import annotations

import numba as nb
import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import over_rows
from napari_ebsdml.maps.relationships import PACKET_PLANES, kurdjumov_sachs_variants

__all__ = ["PACKET_PLANES"]

Floats = NDArray[np.float64]


def conjugate(q: Floats) -> Floats:
    """Inverse of unit quaternions (..., 4)."""
    return q * np.array([1.0, -1.0, -1.0, -1.0])


def from_rotation_vector(v: Floats) -> Floats:
    """Unit quaternions (..., 4) of rotation vectors (..., 3) in radians."""
    angle = np.sqrt((v**2).sum(-1, keepdims=True))
    # np.sinc takes care of angle 0: sin(a/2)/a = sinc(a / 2 pi) / 2.
    return np.concatenate([np.cos(angle / 2), v * (np.sinc(angle / (2 * np.pi)) / 2)], axis=-1)


def from_matrix(m: Floats) -> Floats:
    """Unit quaternions (..., 4) of rotation matrices (..., 3, 3), ``v' = m v``."""
    m = np.asarray(m, dtype=np.float64)
    d = np.diagonal(m, axis1=-2, axis2=-1)
    # Four times the squares of the components; the sign follows from the off-diagonal terms.
    trace = d.sum(-1, keepdims=True)
    squares = np.concatenate([1 + trace, 1 + 2 * d - trace], axis=-1)
    sums = {(i, j): m[..., i, j] + m[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2))}
    differences = (
        m[..., 2, 1] - m[..., 1, 2],
        m[..., 0, 2] - m[..., 2, 0],
        m[..., 1, 0] - m[..., 0, 1],
    )
    table = np.empty((*m.shape[:-2], 4, 4))
    for i in range(4):
        table[..., i, i] = squares[..., i]
    for i in range(3):
        table[..., 0, i + 1] = table[..., i + 1, 0] = differences[i]
    for (i, j), values in sums.items():
        table[..., i + 1, j + 1] = table[..., j + 1, i + 1] = values
    # The row of the largest component divides by no small number.
    row = np.take_along_axis(table, squares.argmax(-1)[..., None, None], axis=-2)[..., 0, :]
    return row / np.linalg.norm(row, axis=-1, keepdims=True)


def uniform(rng: np.random.Generator, n: int) -> Floats:
    """Random orientations (n, 4), uniform over all rotations."""
    q = rng.normal(size=(n, 4))
    return q / np.linalg.norm(q, axis=-1, keepdims=True)


def scatter(rng: np.random.Generator, n: int, degrees: float) -> Floats:
    """Small random rotations (n, 4) about random axes, `degrees` (one sigma) per component."""
    return from_rotation_vector(np.deg2rad(degrees) * rng.normal(size=(n, 3)))


def _cubic_operations() -> Floats:
    matrices = []
    for permutation in ((0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1), (2, 1, 0), (1, 0, 2)):
        for signs in np.ndindex(2, 2, 2):
            matrix = np.eye(3)[list(permutation)] * (1 - 2 * np.array(signs))[:, None]
            if np.linalg.det(matrix) > 0:
                matrices.append(matrix)
    return from_matrix(np.array(matrices))


CUBIC: Floats = _cubic_operations()
"""The 24 rotations of the cubic point group, (24, 4)."""


def reduce_cubic(q: Floats, operations: Floats) -> None:
    """Replace each quaternion of (n, 4) by the equivalent of smallest angle, in place."""
    over_rows(lambda first, end: _reduce_cubic(q[first:end], operations), (len(q), 1))


@nb.njit(cache=True, nogil=True)
def _reduce_cubic(q: Floats, operations: Floats) -> None:
    for i in range(q.shape[0]):
        w, x, y, z = q[i, 0], q[i, 1], q[i, 2], q[i, 3]
        best, at = -1.0, 0
        for k in range(operations.shape[0]):
            o = operations[k]
            size = abs(o[0] * w - o[1] * x - o[2] * y - o[3] * z)
            if size > best + 1e-12:
                best, at = size, k
        o = operations[at]
        nw = o[0] * w - o[1] * x - o[2] * y - o[3] * z
        sign = 1.0 if nw >= 0 else -1.0
        q[i, 0] = sign * nw
        q[i, 1] = sign * (o[0] * x + o[1] * w + o[2] * z - o[3] * y)
        q[i, 2] = sign * (o[0] * y - o[1] * z + o[2] * w + o[3] * x)
        q[i, 3] = sign * (o[0] * z + o[1] * y - o[2] * x + o[3] * w)


KS_VARIANTS: Floats = kurdjumov_sachs_variants()
"""Austenite crystal -> bcc crystal for variants V1..V24 (24, 4).

Numbered as in S. Morito et al., Acta Mater. 51 (2003) 1789, doi:10.1016/S1359-6454(02)00577-3:
packet k (0..3) holds variants 6k+1 .. 6k+6, which share ``PACKET_PLANES[k]`` || (011) of bcc.
"""
