"""Disorientation: the smallest misorientation among all symmetric equivalents.

Orientations are specimen -> crystal. The misorientation from a to b is ``m = b * conj(a)``, a
turn of crystal axes; its angle is smallest over ``S m``, S a proper rotation of the Laue class
(operators on the other side reach the same angles). All angles come from ``atan2(|v|, w)``: the
arc cosine of a number near 1 loses half of its digits.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._quaternion_kernels import product
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.symmetry import laue_operators, safe_cosine

if TYPE_CHECKING:
    from napari_ebsdml.maps.symmetry import CrystalSymmetry

_ROOT_HALF = math.sqrt(0.5)


@njit(cache=True, nogil=True)
def half_angle(
    w: float, x: float, y: float, z: float, operators: Any, count: int, safe: float
) -> Any:
    """Squared sine and cosine of half the disorientation angle of misorientation w, x, y, z."""
    if abs(w) >= safe:
        return x * x + y * y + z * z, abs(w)
    if count == 24:
        return _half_angle_cubic(w, x, y, z)
    best, at = -1.0, 0
    for k in range(count):
        c = abs(
            operators[k, 0] * w - operators[k, 1] * x - operators[k, 2] * y - operators[k, 3] * z
        )
        if c > best:
            best, at = c, k
    _, x, y, z = product(
        operators[at, 0], operators[at, 1], operators[at, 2], operators[at, 3], w, x, y, z
    )
    return x * x + y * y + z * z, best


@njit(cache=True, nogil=True)
def _half_angle_cubic(w: float, x: float, y: float, z: float) -> tuple[float, float]:
    # With |components| sorted a >= b >= c >= d the largest w is one of three, for the identity,
    # a quarter turn (or a half turn about <110>) and a third of a turn.
    a, b, c, d = abs(w), abs(x), abs(y), abs(z)
    if a < b:
        a, b = b, a
    if c < d:
        c, d = d, c
    if a < c:
        a, c = c, a
    if b < d:
        b, d = d, b
    if b < c:
        b, c = c, b
    quarter = (a + b) * _ROOT_HALF
    third = (a + b + c + d) * 0.5
    if a >= quarter and a >= third:
        return b * b + c * c + d * d, a
    if quarter >= third:
        return 0.5 * (a - b) ** 2 + c * c + d * d, quarter
    return (
        0.25 * ((a + b - c - d) ** 2 + (a - b + c - d) ** 2 + (a - b - c + d) ** 2),
        third,
    )


@njit(cache=True, nogil=True)
def nearest_operator(q: Any, reference: Any, operators: Any, count: int) -> tuple[int, float]:
    """Which operator k brings S_k q closest to `reference`, and the sign of their dot product."""
    # <S q, r> is the scalar part of S * (q * conj(r)), with all signs of the conjugate sorted out.
    w, x, y, z = product(
        q[0], q[1], q[2], q[3], reference[0], -reference[1], -reference[2], -reference[3]
    )
    best, at = 0.0, 0
    for k in range(count):
        c = operators[k, 0] * w - operators[k, 1] * x - operators[k, 2] * y - operators[k, 3] * z
        # The first of equals wins, whatever the rounding: variants then stay put.
        if abs(c) > abs(best) + 1e-12:
            best, at = c, k
    return at, (1.0 if best >= 0 else -1.0)


@njit(cache=True, nogil=True)
def rotate_to_variant(q: Any, operators: Any, k: int, sign: float, out: Any) -> None:
    """Write ``sign * S_k * q`` to `out`; `out` may be `q`."""
    w, x, y, z = product(
        operators[k, 0], operators[k, 1], operators[k, 2], operators[k, 3], q[0], q[1], q[2], q[3]
    )
    out[0], out[1], out[2], out[3] = sign * w, sign * x, sign * y, sign * z


@njit(cache=True, nogil=True)
def _angles(first: Any, second: Any, operators: Any, safe: float, out: Any) -> None:
    for i in range(len(out)):
        a, b = first[i], second[i]
        w, x, y, z = product(b[0], b[1], b[2], b[3], a[0], -a[1], -a[2], -a[3])
        s2, c = half_angle(w, x, y, z, operators, len(operators), safe)
        out[i] = 2 * math.atan2(math.sqrt(s2), c)


@njit(cache=True, nogil=True)
def _vectors(first: Any, second: Any, operators: Any, specimen: bool, out: Any) -> None:
    turned = np.empty(4)
    for i in range(len(out)):
        a = first[i]
        k, sign = nearest_operator(second[i], a, operators, len(operators))
        rotate_to_variant(second[i], operators, k, sign, turned)
        b = turned
        if specimen:
            # Turn of the lattice in the specimen: crystal -> specimen b times its inverse of a.
            w, x, y, z = product(b[0], -b[1], -b[2], -b[3], a[0], a[1], a[2], a[3])
        else:
            # The same turn with its axis in the axes of the first crystal.
            w, x, y, z = product(a[0], a[1], a[2], a[3], b[0], -b[1], -b[2], -b[3])
        if w < 0:
            w, x, y, z = -w, -x, -y, -z
        sine = math.sqrt(x * x + y * y + z * z)
        # 2 atan(s / c) / s tends to 2 as s tends to 0.
        factor = 2 * math.atan2(sine, w) / sine if sine > 1e-12 else 2.0
        out[i, 0], out[i, 1], out[i, 2] = factor * x, factor * y, factor * z


def disorientation_angle(
    first: ArrayLike, second: ArrayLike, symmetry: CrystalSymmetry
) -> NDArray[np.float64]:
    """Disorientation angle of pairs of orientations of one phase.

    Parameters
    ----------
    first, second : (..., 4) array_like
        Unit quaternions, specimen -> crystal; the shapes broadcast.
    symmetry
        Phase, point group or space-group number; see `laue_operators`.

    Returns
    -------
    (...) float64
        Degrees; NaN where one of the two is 0 (not indexed).

    Raises
    ------
    InputError
        When the arrays are not quaternions or their shapes do not fit.
    """
    operators = laue_operators(symmetry)
    a, b, shape, missing = _pairs(first, second)
    out = np.empty(len(a))
    _angles(a, b, operators, safe_cosine(operators), out)
    out[missing] = np.nan
    return np.rad2deg(out).reshape(shape)


def disorientation_vector(
    first: ArrayLike,
    second: ArrayLike,
    symmetry: CrystalSymmetry,
    frame: Literal["specimen", "crystal"] = "specimen",
) -> NDArray[np.float64]:
    """Smallest turn of the lattice from the first to the second orientation.

    Parameters
    ----------
    first, second : (..., 4) array_like
        Unit quaternions, specimen -> crystal; the shapes broadcast.
    symmetry
        Phase, point group or space-group number; see `laue_operators`.
    frame
        Axes that the vector refers to: of the specimen, or of the first crystal as given.

    Returns
    -------
    (..., 3) float64
        Rotation axis times angle in degrees; NaN where one of the two is 0 (not indexed).

    Raises
    ------
    InputError
        When the arrays are not quaternions, their shapes do not fit or the frame is unknown.
    """
    if frame not in ("specimen", "crystal"):
        raise InputError(f'frame must be "specimen" or "crystal", not {frame!r}.')
    a, b, shape, missing = _pairs(first, second)
    out = np.empty((len(a), 3))
    _vectors(a, b, laue_operators(symmetry), frame == "specimen", out)
    out[missing] = np.nan
    return np.rad2deg(out).reshape(*shape, 3)


def _pairs(
    first: ArrayLike, second: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], tuple[int, ...], NDArray[np.bool_]]:
    try:
        a, b = np.broadcast_arrays(
            np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"The two sets of quaternions do not fit together: {error}") from None
    if a.ndim == 0 or a.shape[-1] != 4:
        raise InputError(f"Quaternions need a last axis of 4, not shape {a.shape}.")
    shape = a.shape[:-1]
    a = np.ascontiguousarray(a).reshape(-1, 4)
    b = np.ascontiguousarray(b).reshape(-1, 4)
    # Angles come from ratios but for the shortcut of small angles, which needs unit length.
    norms = np.linalg.norm(a, axis=1), np.linalg.norm(b, axis=1)
    missing = ~((norms[0] > 0) & (norms[1] > 0))
    if any((np.abs(n[~missing] - 1) > 1e-3).any() for n in norms):
        raise InputError("Quaternions must be of unit length (or 0 where not indexed).")
    return a, b, shape, missing
