"""Arithmetic of quaternions w, x, y, z, for whole arrays.

A quaternion turns vectors as ``v' = q v q*``, as in orix; ``multiply(p, q)`` is the rotation q
followed by p.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def multiply(p: NDArray[np.floating[Any]], q: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Hamilton product of quaternions (..., 4), w first."""
    p, q = np.broadcast_arrays(np.asarray(p, dtype=np.float64), np.asarray(q, dtype=np.float64))
    pw, px, py, pz = np.moveaxis(p, -1, 0)
    qw, qx, qy, qz = np.moveaxis(q, -1, 0)
    return np.stack(
        (
            pw * qw - px * qx - py * qy - pz * qz,
            pw * qx + px * qw + py * qz - pz * qy,
            pw * qy - px * qz + py * qw + pz * qx,
            pw * qz + px * qy - py * qx + pz * qw,
        ),
        axis=-1,
    )


def to_matrix(q: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Rotation matrices (..., 3, 3) of unit quaternions (..., 4)."""
    w, x, y, z = np.moveaxis(np.asarray(q, dtype=np.float64), -1, 0)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return np.stack([np.stack(row, axis=-1) for row in rows], axis=-2)


def from_matrix(matrix: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Unit quaternion (4,), w >= 0, of a rotation matrix (3, 3) that turns ``v' = matrix @ v``."""
    m = np.asarray(matrix, dtype=np.float64)
    # 4 q q^T of the quaternion q; its longest row loses the least to rounding.
    xx, yy, zz = m.diagonal()
    outer = np.array(
        [
            [1 + xx + yy + zz, m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], 1 + xx - yy - zz, m[0, 1] + m[1, 0], m[0, 2] + m[2, 0]],
            [m[0, 2] - m[2, 0], m[0, 1] + m[1, 0], 1 - xx + yy - zz, m[1, 2] + m[2, 1]],
            [m[1, 0] - m[0, 1], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], 1 - xx - yy + zz],
        ]
    )
    q = outer[int(outer.diagonal().argmax())]
    q = q / np.linalg.norm(q)
    return np.asarray(-q if q[0] < 0 else q)
