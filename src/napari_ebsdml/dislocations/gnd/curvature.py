"""Lattice curvature of an orientation map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, over_rows
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.symmetry import laue_operators, safe_cosine

STENCILS = {
    "full": "full",
    "central": "full",
    "one-sided": "one-sided",
    "one_sided": "one-sided",
    "onesided": "one-sided",
    "forward": "one-sided",
}
"""Accepted names of the two stencils."""


def check_stencil(stencil: str) -> str:
    """The stencil as ``"full"`` or ``"one-sided"``."""
    name = STENCILS.get(str(stencil).casefold())
    if name is None:
        raise InputError(f"stencil must be 'full' or 'one-sided', not {stencil!r}.")
    return name


def lattice_curvature(
    quaternions: NDArray[Any],
    grain_ids: NDArray[Any],
    step: tuple[float, float],
    stencil: str = "full",
    point_group: Any = "m-3m",
    progress: Progress = None,
) -> NDArray[np.float64]:
    """Lattice curvature tensor of every pixel.

    Parameters
    ----------
    quaternions : (rows, columns, 4) array
        w, x, y, z, crystal -> specimen (the conjugate of `Scan.quaternions`).
    grain_ids : (rows, columns) int array
        Grain of each pixel, 0 for none. No difference is taken between two grains.
    step : (dy, dx)
        In um.
    stencil
        ``"full"``: the plane through the pixel's own orientation that fits those of its up to
        eight neighbours in the grain best (least squares), x and y together. Inside a grain that
        is the mean of three central differences. ``"one-sided"``: right and lower neighbour;
        left or upper one in the last column or row.
    point_group
        Whose proper rotations bring a neighbour next to the pixel: what `laue_operators` takes.
    progress
        Called with the fraction done; what it raises ends the computation.

    Returns
    -------
    (rows, columns, 3, 3) float64 array
        d(theta_i)/d(x_j) in rad/um, index [.., axis i, derivative j], specimen frame. NaN where a
        derivative cannot be taken; the last column (d/dz) is NaN everywhere.

    Raises
    ------
    InputError
        When shapes do not agree or an argument is not usable.

    Notes
    -----
    Pantleon, Scripta Materialia 58 (2008) 994, doi 10.1016/j.scriptamat.2008.01.050.
    """
    operators = laue_operators(point_group)
    curvature, _ = curvature_and_gain(quaternions, grain_ids, step, stencil, operators, progress)
    return curvature


def nye_tensor(curvature: NDArray[Any]) -> NDArray[np.float64]:
    """Nye's tensor alpha = kappa^T - tr(kappa) I of a curvature; NaN where it is not known.

    Parameters
    ----------
    curvature : (..., 3, 3) array
        Index [.., axis, derivative]; the last column may be NaN.

    Returns
    -------
    (..., 3, 3) array
        In the unit of the curvature. alpha_33 needs no trace over z: it is -kappa_11 - kappa_22.
    """
    kappa = np.asarray(curvature, dtype=np.float64)
    alpha = np.swapaxes(kappa, -1, -2).copy()
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        alpha[..., i, i] = -kappa[..., j, j] - kappa[..., k, k]
    return alpha


def curvature_and_gain(
    quaternions: NDArray[Any],
    grain_ids: NDArray[Any],
    step: tuple[float, float],
    stencil: str,
    operators: NDArray[np.float64],
    progress: Progress = None,
    reach: int = 1,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Curvature as in `lattice_curvature`, and how much noise it takes over.

    With a `reach` of 2, 3 ... neighbours are taken at that many steps: what the same map would
    give with that step, at every one of its pixels.

    The gain (rows, columns), in 1/um, is the standard deviation of a curvature component when
    each orientation has an independent error of standard deviation 1 rad about each axis (root
    mean square of the x and the y derivative); NaN where the curvature is.
    """
    quaternions = np.ascontiguousarray(quaternions, dtype=np.float64)
    grain_ids = np.ascontiguousarray(grain_ids)
    if quaternions.ndim != 3 or quaternions.shape[2] != 4 or 0 in quaternions.shape:
        raise InputError(f"quaternions need shape (rows, columns, 4), not {quaternions.shape}.")
    if grain_ids.shape != quaternions.shape[:2] or grain_ids.dtype.kind not in "iub":
        raise InputError(
            f"grain_ids must be integers of shape {quaternions.shape[:2]}, not "
            f"{grain_ids.dtype} of shape {grain_ids.shape}."
        )
    name = check_stencil(stencil)
    try:
        dy, dx = (float(value) for value in step)
    except (TypeError, ValueError):
        raise InputError(f"step must be two numbers (dy, dx) in um, not {step!r}.") from None
    if not (0 < dy < np.inf and 0 < dx < np.inf):
        raise InputError(f"step must be positive and finite, not {step!r} um.")
    rows, columns = grain_ids.shape
    # A writable copy: one memory layout, so that the kernels compile once.
    operators = np.array(operators, dtype=np.float64)
    curvature = np.full((rows, columns, 3, 3), np.nan)
    gain = np.full((rows, columns), np.nan)
    kernel = _full if name == "full" else _one_sided
    labels, limit = grain_ids.astype(np.int64), safe_cosine(operators)
    size = (dy * reach, dx * reach)

    def work(first: int, end: int) -> None:
        kernel(quaternions, labels, operators, limit, *size, reach, first, end, curvature, gain)

    over_rows(work, (rows, columns), progress)
    return curvature, gain


@njit(cache=True, nogil=True, inline="always")
def _usable(q, grain_ids, r, c):  # type: ignore[no-untyped-def]
    if grain_ids[r, c] <= 0:
        return False
    norm = q[r, c, 0] ** 2 + q[r, c, 1] ** 2 + q[r, c, 2] ** 2 + q[r, c, 3] ** 2
    return norm > 0.5 and norm < 2.0


@njit(cache=True, nogil=True)
def rotation_vector(q1, q2, operators, limit, out):  # type: ignore[no-untyped-def]
    """Smallest rotation from q1 to a symmetry variant of q2, in radians, specimen frame.

    q1, q2 : (4,) crystal -> specimen; out (3,) is the rotation vector of q2 S q1^-1.
    """
    # The scalar part of q2 S q1^-1 is that of S (q1^-1 q2): one product serves all S.
    w = q1[0] * q2[0] + q1[1] * q2[1] + q1[2] * q2[2] + q1[3] * q2[3]
    b0, b1, b2, b3 = q2[0], q2[1], q2[2], q2[3]
    if abs(w) < limit:
        x = q1[0] * q2[1] - q1[1] * q2[0] - q1[2] * q2[3] + q1[3] * q2[2]
        y = q1[0] * q2[2] + q1[1] * q2[3] - q1[2] * q2[0] - q1[3] * q2[1]
        z = q1[0] * q2[3] - q1[1] * q2[2] + q1[2] * q2[1] - q1[3] * q2[0]
        best, largest = 0, -1.0
        for k in range(operators.shape[0]):
            s = operators[k]
            size = abs(s[0] * w - s[1] * x - s[2] * y - s[3] * z)
            if size > largest:
                best, largest = k, size
        s = operators[best]
        b0 = q2[0] * s[0] - q2[1] * s[1] - q2[2] * s[2] - q2[3] * s[3]
        b1 = q2[0] * s[1] + q2[1] * s[0] + q2[2] * s[3] - q2[3] * s[2]
        b2 = q2[0] * s[2] - q2[1] * s[3] + q2[2] * s[0] + q2[3] * s[1]
        b3 = q2[0] * s[3] + q2[1] * s[2] - q2[2] * s[1] + q2[3] * s[0]
        w = q1[0] * b0 + q1[1] * b1 + q1[2] * b2 + q1[3] * b3
    # Vector part of (q2 S) q1^-1.
    x = -b0 * q1[1] + b1 * q1[0] - b2 * q1[3] + b3 * q1[2]
    y = -b0 * q1[2] + b1 * q1[3] + b2 * q1[0] - b3 * q1[1]
    z = -b0 * q1[3] - b1 * q1[2] + b2 * q1[1] + b3 * q1[0]
    if w < 0:
        w, x, y, z = -w, -x, -y, -z
    sine = np.sqrt(x * x + y * y + z * z)
    scale = 2.0 if sine < 1e-12 else 2.0 * np.arctan2(sine, w) / sine
    out[0] = scale * x
    out[1] = scale * y
    out[2] = scale * z


@njit(cache=True, nogil=True)
def _full(q, grain_ids, operators, limit, dy, dx, reach, first, end, curvature, gain):  # type: ignore[no-untyped-def]
    rows, columns = grain_ids.shape
    v = np.empty(3)
    along_x = np.empty(3)
    along_y = np.empty(3)
    for r in range(first, end):
        for c in range(columns):
            if not _usable(q, grain_ids, r, c):
                continue
            sxx = syy = sxy = sx = sy = 0
            along_x[:] = 0.0
            along_y[:] = 0.0
            for y in range(-1, 2):
                for x in range(-1, 2):
                    j, i = r + y * reach, c + x * reach
                    if j < 0 or i < 0 or j >= rows or i >= columns or (x == 0 and y == 0):
                        continue
                    if grain_ids[j, i] != grain_ids[r, c] or not _usable(q, grain_ids, j, i):
                        continue
                    rotation_vector(q[r, c], q[j, i], operators, limit, v)
                    sxx += x * x
                    syy += y * y
                    sxy += x * y
                    sx += x
                    sy += y
                    for k in range(3):
                        along_x[k] += x * v[k]
                        along_y[k] += y * v[k]
            determinant = sxx * syy - sxy * sxy
            if determinant == 0:
                continue
            for k in range(3):
                curvature[r, c, k, 0] = (syy * along_x[k] - sxy * along_y[k]) / (determinant * dx)
                curvature[r, c, k, 1] = (sxx * along_y[k] - sxy * along_x[k]) / (determinant * dy)
            # The neighbours' errors are independent, the pixel's own is in every difference.
            own_x = (syy * sx - sxy * sy) / determinant
            own_y = (sxx * sy - sxy * sx) / determinant
            variance_x = (syy / determinant + own_x * own_x) / (dx * dx)
            variance_y = (sxx / determinant + own_y * own_y) / (dy * dy)
            gain[r, c] = np.sqrt((variance_x + variance_y) / 2)


@njit(cache=True, nogil=True)
def _one_sided(q, grain_ids, operators, limit, dy, dx, reach, first, end, curvature, gain):  # type: ignore[no-untyped-def]
    rows, columns = grain_ids.shape
    along_x = np.empty(3)
    along_y = np.empty(3)
    for r in range(first, end):
        for c in range(columns):
            down = 1 if r + reach < rows else -1
            right = 1 if c + reach < columns else -1
            j, i = r + down * reach, c + right * reach
            if j < 0 or i < 0 or not _usable(q, grain_ids, r, c):
                continue
            if grain_ids[j, c] != grain_ids[r, c] or grain_ids[r, i] != grain_ids[r, c]:
                continue
            if not (_usable(q, grain_ids, j, c) and _usable(q, grain_ids, r, i)):
                continue
            rotation_vector(q[r, c], q[r, i], operators, limit, along_x)
            rotation_vector(q[r, c], q[j, c], operators, limit, along_y)
            for k in range(3):
                curvature[r, c, k, 0] = along_x[k] / (dx * right)
                curvature[r, c, k, 1] = along_y[k] / (dy * down)
            gain[r, c] = np.sqrt(1 / (dx * dx) + 1 / (dy * dy))
