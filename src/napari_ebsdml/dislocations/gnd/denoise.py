"""Denoising of orientations inside grains before they are differentiated."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, nth_of, over_rows
from napari_ebsdml.dislocations.gnd.curvature import rotation_vector
from napari_ebsdml.dislocations.gnd.grid import Grid, square_grid
from napari_ebsdml.dislocations.settings import Denoise, GndSettings
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.symmetry import laue_operators, safe_cosine

CUT = 4.7
"""Residuals beyond this many standard deviations per axis get no weight (Tukey's biweight)."""
ROBUST_STEPS = 4


def checked_grid(
    quaternions: NDArray[Any], grain_ids: NDArray[Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Quaternions (rows, columns, 4) and grains (rows, columns) as the kernels take them.

    Raises
    ------
    InputError
        When a shape is wrong.
    """
    q = np.ascontiguousarray(quaternions, dtype=np.float64)
    grains = np.ascontiguousarray(grain_ids).astype(np.int64)
    if q.ndim != 3 or q.shape[2] != 4 or grains.shape != q.shape[:2]:
        raise InputError(
            f"quaternions {q.shape} and grain_ids {grains.shape} need shapes (rows, columns, 4) "
            "and (rows, columns)."
        )
    return q, grains


def as_denoise(value: Any) -> Denoise | None:
    """Settings from what a user may give: None, False, True, "plane" or `Denoise`."""
    if value is None or value is False:
        return None
    if value is True or value == "plane":
        return Denoise()
    if isinstance(value, Denoise):
        return value
    raise InputError(f"denoise must be None, True, 'plane' or a Denoise object, not {value!r}.")


def denoise_orientations(
    quaternions: NDArray[Any],
    grain_ids: NDArray[Any],
    sigma: float,
    radius: int = GndSettings.radius,
    passes: int = GndSettings.passes,
    point_group: Any = "m-3m",
    progress: Progress = None,
) -> NDArray[np.float64]:
    """Edge-preserving filter for orientations that leaves uniform gradients as they are.

    In a window round each pixel a plane is fitted to the rotation vectors from the pixel to the
    others of its grain, and the pixel takes the plane's value at its place. Tukey's biweight
    leaves out what lies far from the plane, so a subgrain boundary or a wrongly indexed pixel
    is not smeared; where one plane does not fit the whole window, the fit starts from the half
    of it that fits best (the idea of Kuwahara's filter, with planes instead of means), or from
    all of it but the pixel itself.

    Parameters
    ----------
    quaternions : (rows, columns, 4) array
        Crystal -> specimen.
    grain_ids : (rows, columns) int array
        0 for none; pixels without a grain, or without an orientation, stay as they are.
    sigma
        Orientation noise in degrees, standard deviation about each axis.
    radius, passes
        See `Denoise`.
    point_group
        What `laue_operators` takes.
    progress
        Called with the fraction done; what it raises ends the filter.

    Returns
    -------
    (rows, columns, 4) float64 array
        Unit quaternions, crystal -> specimen.

    Raises
    ------
    InputError
        When an argument is out of range or of the wrong shape.
    """
    settings = Denoise(radius, sigma, passes)
    q, grains = checked_grid(quaternions, grain_ids)
    rows, columns = grains.shape
    smooth = denoise_points(
        square_grid((rows, columns), (1.0, 1.0)), q.reshape(-1, 4), grains.ravel(), sigma,
        settings, laue_operators(point_group), progress,
    )  # fmt: skip
    return smooth.reshape(q.shape)


def denoise_points(
    grid: Grid,
    quaternions: NDArray[np.float64],
    labels: NDArray[np.int64],
    sigma: float,
    settings: Denoise,
    operators: NDArray[np.float64],
    progress: Progress = None,
) -> NDArray[np.float64]:
    """`denoise_orientations` on the points (n, 4) of a grid, whose grains are `labels` (n,)."""
    result = np.ascontiguousarray(quaternions, dtype=np.float64)
    norm = (result * result).sum(axis=1)
    grains = np.where((norm > 0.5) & (norm < 2.0), labels, 0).astype(np.int64)
    index = np.ascontiguousarray(grid.index, dtype=np.int64)
    operators = np.array(operators, dtype=np.float64)
    # Without noise there is nothing to remove; a floor keeps the weights defined.
    scale = max(np.radians(float(sigma)), 1e-7)
    limit, offsets = safe_cosine(operators), grid.window(settings.radius)
    place = offsets * np.array(grid.cell) / grid.step
    for number in range(settings.passes):
        source, result = result, result.copy()

        def work(first: int, end: int, q: Any = source, out: Any = result) -> None:
            _filter(q, grains, index, offsets, place, operators, limit, scale, first, end, out)

        over_rows(work, index.shape, nth_of(progress, number, settings.passes))
    return result


@njit(cache=True, nogil=True)
def _plane(x, y, v, weight, n, plane):  # type: ignore[no-untyped-def]
    """Weighted least squares v = plane[0] + plane[1] x + plane[2] y; False when degenerate."""
    sw = sx = sy = sxx = sxy = syy = 0.0
    for k in range(n):
        w = weight[k]
        sw += w
        sx += w * x[k]
        sy += w * y[k]
        sxx += w * x[k] * x[k]
        sxy += w * x[k] * y[k]
        syy += w * y[k] * y[k]
    if sw < 3.5:
        return False
    mx, my = sx / sw, sy / sw
    cxx, cxy, cyy = sxx - sw * mx * mx, sxy - sw * mx * my, syy - sw * my * my
    determinant = cxx * cyy - cxy * cxy
    if determinant < 1e-3 * (cxx + cyy) ** 2 or determinant <= 0:
        return False
    for i in range(3):
        mean = vx = vy = 0.0
        for k in range(n):
            mean += weight[k] * v[k, i]
            vx += weight[k] * v[k, i] * (x[k] - mx)
            vy += weight[k] * v[k, i] * (y[k] - my)
        plane[1, i] = (cyy * vx - cxy * vy) / determinant
        plane[2, i] = (cxx * vy - cxy * vx) / determinant
        plane[0, i] = mean / sw - plane[1, i] * mx - plane[2, i] * my
    return True


@njit(cache=True, nogil=True)
def _squared_residuals(x, y, v, n, plane, out):  # type: ignore[no-untyped-def]
    for k in range(n):
        out[k] = 0.0
        for i in range(3):
            out[k] += (v[k, i] - plane[0, i] - plane[1, i] * x[k] - plane[2, i] * y[k]) ** 2


@njit(cache=True, nogil=True)
def _filter(  # type: ignore[no-untyped-def]
    q, grains, index, offsets, place, operators, limit, sigma, first, end, out
):
    rows, columns = index.shape
    most = offsets.shape[0]
    # Mean squared residual of pure noise: 3 sigma^2; twice that is too much for one plane.
    too_much = 6.0 * sigma * sigma
    cut = (CUT * sigma) ** 2
    x = np.empty(most)
    y = np.empty(most)
    v = np.empty((most, 3))
    weight = np.empty(most)
    squared = np.empty(most)
    plane = np.zeros((3, 3))
    trial = np.zeros((3, 3))
    for r in range(first, end):
        for c in range(columns):
            p = index[r, c]
            if p < 0 or grains[p] <= 0:
                continue
            n = 0
            for k in range(most):
                j, i = r + offsets[k, 0], c + offsets[k, 1]
                if j < 0 or i < 0 or j >= rows or i >= columns or index[j, i] < 0:
                    continue
                if grains[index[j, i]] == grains[p]:
                    rotation_vector(q[p], q[index[j, i]], operators, limit, v[n])
                    y[n] = place[k, 0]
                    x[n] = place[k, 1]
                    n += 1
            if n < 5:
                continue
            weight[:n] = 1.0
            if not _plane(x, y, v, weight, n, plane):
                continue
            _squared_residuals(x, y, v, n, plane, squared)
            best = squared[:n].sum() / (n - 3) if n > 3 else np.inf
            if best > too_much:
                best *= 0.8  # a half is taken only when it is clearly better
                for half in range(9):
                    cosine, sine = np.cos(half * np.pi / 4), np.sin(half * np.pi / 4)
                    count = 0
                    for k in range(n):
                        if half == 8:  # the pixel itself may be the wrong one
                            inside = x[k] != 0 or y[k] != 0
                        else:
                            inside = x[k] * cosine + y[k] * sine > -0.1
                        weight[k] = 1.0 if inside else 0.0
                        count += inside
                    if count < 6 or not _plane(x, y, v, weight, n, trial):
                        continue
                    _squared_residuals(x, y, v, n, trial, squared)
                    mean = (squared[:n] * weight[:n]).sum() / (count - 3)
                    if mean < best:
                        best = mean
                        plane[:] = trial
            fitted = True
            for _ in range(ROBUST_STEPS):
                _squared_residuals(x, y, v, n, plane, squared)
                for k in range(n):
                    weight[k] = (1 - squared[k] / cut) ** 2 if squared[k] < cut else 0.0
                trial[:] = plane
                if not _plane(x, y, v, weight, n, plane):
                    fitted = False
                    break
                change = 0.0
                for i in range(3):
                    change += (trial[0, i] - plane[0, i]) ** 2
                if change < 1e-6 * sigma * sigma:
                    break
            if fitted:
                _turn(plane[0], q[p], out[p])


@njit(cache=True, nogil=True)
def _turn(vector, q, out):  # type: ignore[no-untyped-def]
    """Turn q by a rotation vector given in the specimen frame."""
    angle = np.sqrt(vector[0] ** 2 + vector[1] ** 2 + vector[2] ** 2)
    w = np.cos(angle / 2)
    s = np.sin(angle / 2) / angle if angle > 1e-12 else 0.5
    x, y, z = s * vector[0], s * vector[1], s * vector[2]
    a = w * q[0] - x * q[1] - y * q[2] - z * q[3]
    b = w * q[1] + x * q[0] + y * q[3] - z * q[2]
    c = w * q[2] - x * q[3] + y * q[0] + z * q[1]
    d = w * q[3] + x * q[2] - y * q[1] + z * q[0]
    norm = np.sqrt(a * a + b * b + c * c + d * d)
    out[0] = a / norm
    out[1] = b / norm
    out[2] = c / norm
    out[3] = d / norm
