"""Masks and background removal: what patterns go through before anything reads them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.frame import _kernels


def find_mask(patterns: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Pixels that carry signal: False outside a circular mask.

    A mask shows as one value in all four corners of all patterns; only pixels that keep that
    value in every pattern, outside the middle of the screen, count as masked. So do pixels that
    are no number in any pattern.
    """
    rows, columns = patterns.shape[-2:]
    stack = patterns.reshape(-1, rows, columns)[:64]
    everywhere = np.ones((rows, columns), dtype=bool)
    if stack.dtype.kind == "f" and len(stack):
        holes = ~np.isfinite(stack).any(axis=0)
        if holes.any() and not holes.all():
            return ~holes & find_mask(np.nan_to_num(stack, posinf=0.0, neginf=0.0))
    corner = stack[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    if not (corner == corner[0, 0]).all():
        return everywhere
    same = (stack == corner[0, 0]).all(axis=0)
    y, x = np.indices((rows, columns))
    far = ((2 * y + 1) / rows - 1) ** 2 + ((2 * x + 1) / columns - 1) ** 2 > 0.6
    masked = same & far
    # A few saturated or dead corner pixels are no mask, nor is a pattern without any signal.
    return ~masked if masked.mean() > 0.02 and same.mean() < 0.6 else everywhere


def fill_gaps(raw: NDArray[np.float32]) -> None:
    """Give pixels that are no number the mean of their pattern, in place: (n, rows, columns)."""
    gaps = ~np.isfinite(raw)
    for k in np.flatnonzero(gaps.any(axis=(1, 2))):
        good = raw[k][~gaps[k]]
        raw[k][gaps[k]] = good.mean() if len(good) else 0.0


def flattener(
    valid: NDArray[np.bool_],
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Function that removes the background of patterns and evens out their contrast.

    Parameters
    ----------
    valid : (rows, columns) bool array
        Pixels that carry signal.

    Returns
    -------
    Callable
        From raw patterns (n, rows, columns), which it overwrites, to flat ones.
    """
    rows, columns = valid.shape
    radius = max(2, round(min(rows, columns) / 8))
    norm = valid.astype(np.float32)
    _kernels.blur(norm, radius, np.empty_like(norm), np.empty((columns, rows), np.float32))
    norm = np.maximum(norm, 1.0)
    inside = valid.ravel()
    smooth = polynomials(valid)

    def flattened(raw: NDArray[np.float32]) -> NDArray[np.float32]:
        fill_gaps(raw)
        lines = raw.reshape(len(raw), -1)
        lines -= lines[:, inside].mean(axis=1, keepdims=True) if inside.any() else 0.0
        # Raw patterns carry bands of one per cent on a hill that a blur alone leaves traces of.
        lines -= (lines @ smooth) @ smooth.T
        flat = np.empty_like(raw)
        _kernels.flatten(raw, valid, norm, radius, flat)
        return flat

    return flattened


def polynomials(valid: NDArray[np.bool_], degree: int = 6) -> NDArray[np.float32]:
    """Orthonormal polynomials over the valid pixels, (pixels, terms); 0 elsewhere."""
    rows, columns = valid.shape
    y = np.polynomial.legendre.legvander(np.linspace(-1, 1, rows), degree)
    x = np.polynomial.legendre.legvander(np.linspace(-1, 1, columns), degree)
    terms = [np.outer(y[:, i], x[:, j]) for i in range(degree + 1) for j in range(degree + 1 - i)]
    table = np.stack([term.ravel() * valid.ravel() for term in terms], axis=1)
    return np.linalg.qr(table)[0].astype(np.float32)
