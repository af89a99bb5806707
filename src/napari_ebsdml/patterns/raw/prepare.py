"""From patterns of any size to a network's input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.frame import _kernels
from napari_ebsdml.patterns.frame.flatten import polynomials
from napari_ebsdml.patterns.frame.resize import resize_matrix

LIMIT = 3.5
"""Prepared patterns lie between minus and plus this: local standard deviations."""
_CHUNK = 256


def square(shape: tuple[int, int]) -> tuple[slice, slice]:
    """The square in the middle of an image; stretching would bend the angles between bands."""
    rows, columns = shape
    side = min(rows, columns)
    top, left = (rows - side) // 2, (columns - side) // 2
    return slice(top, top + side), slice(left, left + side)


def prepare(
    patterns: NDArray[np.generic], size: int, mask: NDArray[np.bool_] | None = None
) -> NDArray[np.float32]:
    """Cut to a square, resize, remove the background, even out the local contrast.

    Parameters
    ----------
    patterns : (n, rows, columns) array
        Raw or background-corrected; both come out nearly alike.
    size
        Side of the result in pixels.
    mask : (rows, columns) bool array, optional
        Pixels that carry signal.

    Returns
    -------
    (n, size, size) float32 array
        Within +-`LIMIT`; 0 where there is no signal.

    Raises
    ------
    InputError
        When shapes do not fit.
    """
    if patterns.ndim != 3:
        raise InputError(f"Need patterns (n, rows, columns), not {patterns.shape}.")
    shape = (int(patterns.shape[1]), int(patterns.shape[2]))
    if mask is None:
        mask = np.ones(shape, dtype=bool)
    if mask.shape != shape:
        raise InputError(f"The mask has shape {mask.shape}, not {shape}.")
    cut = square(shape)
    seen = np.asarray(mask, dtype=np.float32)[cut]
    resize = resize_matrix(len(seen), size)
    share = resize @ seen @ resize.T
    valid = share > 0.5
    if not valid.any():
        raise InputError("The mask leaves no pixel of the patterns.")
    radius = max(2, round(size / 8))
    norm = valid.astype(np.float32)
    _kernels.blur(norm, radius, np.empty_like(norm), np.empty((size, size), np.float32))
    norm = np.maximum(norm, 1.0)
    inside = valid.ravel()
    smooth = polynomials(valid)
    out = np.empty((len(patterns), size, size), np.float32)
    for start in range(0, len(patterns), _CHUNK):
        raw: NDArray[Any] = np.asarray(
            patterns[start : start + _CHUNK][(slice(None), *cut)], dtype=np.float32
        )
        if not np.isfinite(raw).all():
            raw = np.nan_to_num(raw, nan=0.0, posinf=0.0, neginf=0.0)
        if seen.all():
            raw = resize @ raw @ resize.T
        else:
            raw = (resize @ (raw * seen) @ resize.T) / np.maximum(share, 0.5)
        lines = raw.reshape(len(raw), -1)
        lines -= lines[:, inside].mean(axis=1, keepdims=True)
        lines -= (lines @ smooth) @ smooth.T
        _kernels.flatten(
            np.ascontiguousarray(lines.reshape(raw.shape)), valid, norm, radius,
            out[start : start + _CHUNK],
        )  # fmt: skip
    return out
