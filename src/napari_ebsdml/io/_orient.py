"""Euler angles of a file to quaternions of a `Scan` and back, in one compiled pass each."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import over_rows
from napari_ebsdml._quaternion_kernels import product


def quaternions_from_euler(
    euler: NDArray[np.float64],
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    skip: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """Orientations ``left * O(euler) * right`` with w >= 0; 0 where `skip`.

    Parameters
    ----------
    euler : (n, 3)
        Bunge angles phi1, Phi, phi2 in radians.
    left : (n or 1, 4)
        Turn of the crystal axes, per point or the same for all.
    right : (4,)
        Turn of the specimen axes.
    skip : (n,) bool

    Notes
    -----
    O follows Rowenhorst et al. 2015, doi:10.1088/0965-0393/23/8/083501, with P = -1, as orix.
    """
    out = np.zeros((len(euler), 4))
    over_rows(
        lambda first, end: _turn_all(
            euler[first:end],
            left if len(left) == 1 else left[first:end],
            right,
            skip[first:end],
            out[first:end],
        ),
        (len(euler), 1),
    )
    return out


def euler_from_quaternions(quaternions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Bunge angles (n, 3) in radians of unit quaternions (n, 4), specimen -> crystal.

    phi1 and phi2 lie in 0..2 pi without the end, Phi in 0..pi. At Phi = 0 only the sum of phi1 and
    phi2 is defined, at Phi = pi only their difference; phi2 is 0 then.

    Notes
    -----
    Rowenhorst et al. 2015, doi:10.1088/0965-0393/23/8/083501, with P = -1, as orix.
    """
    out = np.empty((len(quaternions), 3))
    over_rows(
        lambda first, end: _angles_all(quaternions[first:end], out[first:end]),
        (len(quaternions), 1),
    )
    return out


@numba.njit(cache=True, nogil=True)
def _angles_all(quaternions: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    turn = 2 * np.pi
    for i in range(len(quaternions)):
        w, x, y, z = quaternions[i, 0], quaternions[i, 1], quaternions[i, 2], quaternions[i, 3]
        across, along = np.hypot(x, y), np.hypot(w, z)
        sigma, delta = np.arctan2(-z, w), np.arctan2(-y, -x)
        # Below this, x and y (or w and z) are rounding errors.
        if across < 1e-12:
            delta = sigma
        elif along < 1e-12:
            sigma = delta
        # The remainder of a tiny negative angle rounds to a full turn.
        out[i, 0] = (sigma + delta) % turn % turn
        out[i, 1] = 2 * np.arctan2(across, along)
        out[i, 2] = (sigma - delta) % turn % turn


@numba.njit(cache=True, nogil=True)
def _turn_all(
    euler: NDArray[np.float64],
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    skip: NDArray[np.bool_],
    out: NDArray[np.float64],
) -> None:
    same = len(left) == 1
    for i in range(len(euler)):
        if not skip[i]:
            _turn(euler[i], left[0] if same else left[i], right, out[i])


@numba.njit(cache=True, nogil=True)
def _turn(
    euler: NDArray[np.float64],
    left: NDArray[np.float64],
    right: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    sigma, delta = 0.5 * (euler[0] + euler[2]), 0.5 * (euler[0] - euler[2])
    c, s = np.cos(0.5 * euler[1]), np.sin(0.5 * euler[1])
    w, x, y, z = c * np.cos(sigma), -s * np.cos(delta), -s * np.sin(delta), -c * np.sin(sigma)
    w, x, y, z = product(w, x, y, z, right[0], right[1], right[2], right[3])
    w, x, y, z = product(left[0], left[1], left[2], left[3], w, x, y, z)
    sign = -1.0 if w < 0 else 1.0
    out[0], out[1], out[2], out[3] = sign * w, sign * x, sign * y, sign * z
