"""Euler angles of a file to quaternions of a `Scan` and back, band by band.

Without a kernel: numpy is as fast here, and nothing is compiled before the first map shows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import over_rows
from napari_ebsdml._quaternions import multiply

_BLOCK = 1 << 13
"""Points that are turned at a time, so that what stands between stays near the processor."""


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
    out = np.empty((len(euler), 4))

    # Both products are linear in the angles' quaternion; a turn by nothing leaves every bit.
    both = multiply(left, multiply(np.eye(4), right)).T if len(left) == 1 else None

    def work(first: int, end: int) -> None:
        for start in range(first, end, _BLOCK):
            here = slice(start, min(start + _BLOCK, end))
            phi1, polar, phi2 = 0.5 * np.asarray(euler[here], dtype=np.float64).T
            sigma, delta = phi1 + phi2, phi1 - phi2
            with np.errstate(invalid="ignore"):  # no angles where they are to be passed over
                c, s = np.cos(polar), -np.sin(polar)
                q = np.stack(
                    (c * np.cos(sigma), s * np.cos(delta), s * np.sin(delta), -c * np.sin(sigma))
                )
            q = multiply(left[here], multiply(q.T, right)).T if both is None else both @ q
            q *= np.where(q[0] < 0, -1.0, 1.0)
            q[:, skip[here]] = 0
            out[here] = q.T

    over_rows(work, (len(euler), 1))
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
    turn = 2 * np.pi

    def work(first: int, end: int) -> None:
        w, x, y, z = np.asarray(quaternions[first:end], dtype=np.float64).T
        across, along = np.hypot(x, y), np.hypot(w, z)
        sigma, delta = np.arctan2(-z, w), np.arctan2(-y, -x)
        # Below this, x and y (or w and z) are rounding errors.
        delta = np.where(across < 1e-12, sigma, delta)
        sigma = np.where((along < 1e-12) & ~(across < 1e-12), delta, sigma)
        # The remainder of a tiny negative angle rounds to a full turn.
        out[first:end, 0] = (sigma + delta) % turn % turn
        out[first:end, 1] = 2 * np.arctan2(across, along)
        out[first:end, 2] = (sigma - delta) % turn % turn

    over_rows(work, (len(quaternions), 1))
    return out
