"""Checks of GND maps, and the criterion that lines neither begin nor end in a window."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import binary_erosion, uniform_filter

from napari_ebsdml.errors import InputError


def square_step(step: float | tuple[float, float]) -> float:
    """One step in um from a number or (dy, dx).

    Raises
    ------
    InputError
        When pixels are not square: lines would change their length under rotation.
    """
    values = np.atleast_1d(np.asarray(step, dtype=np.float64))
    if values.size not in (1, 2) or not np.isfinite(values).all() or values.min() <= 0:
        raise InputError(f"step must be a positive length in um or (dy, dx), not {step!r}.")
    if values.max() > 1.02 * values.min():
        raise InputError(
            f"The network needs square pixels, not {values[0]:g} x {values[1]:g} um. "
            "Resample the map."
        )
    return float(values.mean())


def gnd_planes(gnd: ArrayLike) -> NDArray[np.float32]:
    """Check a stack of GND maps and make it (planes, rows, columns, 2) float32.

    Raises
    ------
    InputError
        When the shape is another, or nothing is there.
    """
    try:
        array = np.asarray(gnd)
        if array.dtype.kind not in "fiu":
            raise TypeError
    except (TypeError, ValueError):
        raise InputError("gnd must be an array of real numbers in 1/m^2.") from None
    if array.ndim == 3:
        array = array[None]
    if array.ndim != 4 or array.shape[-1] != 2 or 0 in array.shape:
        raise InputError(
            "gnd must have the shape (planes, rows, columns, 2), components x (along columns) "
            f"and y (along rows), not {array.shape}."
        )
    return array


def divergence_free(
    gnd: ArrayLike,
    step: float | tuple[float, float],
    window: int = 7,
    criterion: Literal["relative", "paper"] = "relative",
    threshold: float | None = None,
) -> NDArray[np.bool_]:
    """Where lines neither begin nor end within the window: its divergence is small.

    Parameters
    ----------
    gnd : (planes, rows, columns, 2) array
        GND vectors in 1/m^2, NaN where not known.
    step
        Pixel side in um, or (dy, dx).
    window
        Odd side of the window in pixels.
    criterion
        ``"paper"``: sum of |div| over the window is below `threshold` / step, default
        2e11 1/m^2 as in the article. Being absolute, it mostly picks windows without any GND.
        ``"relative"``: sum of |div| x step is below `threshold` (default 0.5) times the sum of
        |GND| over the window, and the window's middle holds GND.
    threshold
        See `criterion`.

    Returns
    -------
    (planes, rows, columns) bool array
        False where the window is not wholly on the map and known.

    Raises
    ------
    InputError
        When an argument is out of range.

    Notes
    -----
    Finite differences are central. The threshold of the article, "2 x 10^11 m^-2 / step size",
    is read as a sum of divergences in 1/m^3.
    """
    fields = gnd_planes(gnd).astype(np.float64)
    square_step(step)
    if window < 3 or window % 2 == 0:
        raise InputError(f"window must be odd and at least 3, not {window}.")
    if criterion not in ("relative", "paper"):
        raise InputError(f"criterion must be 'relative' or 'paper', not {criterion!r}.")
    limit = {"relative": 0.5, "paper": 2e11}[criterion] if threshold is None else threshold
    if not limit > 0:
        raise InputError(f"threshold must be positive, not {threshold}.")
    if min(fields.shape[1:3]) < 2:
        raise InputError("Divergence needs at least 2 x 2 pixels.")
    known = np.asarray(np.isfinite(fields).all(axis=-1))
    filled = np.where(known[..., None], fields, 0)
    # Per step, not per metre: times the step of both sides of the article's criterion.
    divergence = np.abs(np.gradient(filled[..., 0], axis=2) + np.gradient(filled[..., 1], axis=1))
    box = (1, window, window)
    total = uniform_filter(divergence, box, mode="constant") * window**2
    whole = binary_erosion(known, np.ones(box, bool))
    if criterion == "paper":
        # sum |div| < 2e11 / step, both sides multiplied by the step: the step drops out.
        return np.asarray(whole & (total < limit))
    size = np.hypot(filled[..., 0], filled[..., 1])
    around = uniform_filter(size, box, mode="constant") * window**2
    strongest = around.max(axis=(1, 2), keepdims=True, initial=0)
    # Running sums leave rounding errors where the window is empty.
    return np.asarray(whole & (size > 1e-9 * strongest) & (total < limit * around))


def looks_transposed(gnd: NDArray[np.float32]) -> bool:
    """Whether components seem to be (y, x) in place of (x, y).

    Lines that run on make little divergence (0.4 of |GND| per step, for they wind from pixel to
    pixel); with components in the wrong order they make half as much again. Fields that are no
    lines, such as noise, have the same both ways.

    Parameters
    ----------
    gnd : (planes, rows, columns, 2) array
        From `gnd_planes`.
    """
    if min(gnd.shape[1:3]) < 8:
        return False
    filled = np.nan_to_num(gnd.astype(np.float64))
    size = np.hypot(filled[..., 0], filled[..., 1]).sum()
    if not size > 0:
        return False
    given, other = (
        np.abs(np.gradient(a, axis=2) + np.gradient(b, axis=1)).sum() / size
        for a, b in ((filled[..., 0], filled[..., 1]), (filled[..., 1], filled[..., 0]))
    )
    return bool(other < 0.75 * given and other < 0.6)
