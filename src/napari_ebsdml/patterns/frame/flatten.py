"""Background removal: what patterns go through before anything reads them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.frame import _kernels

_SPIKE = 7.0
"""Standard deviations from the background beyond which a pixel shows no band."""
_ROUNDS = 4


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
        hill = ((lines @ smooth) @ smooth.T).astype(np.float32, copy=False)
        if inside.any():
            _cut_spikes(lines, hill, inside, smooth)
        lines -= hill
        flat = np.empty_like(raw)
        _kernels.flatten(raw, valid, norm, radius, flat)
        return flat

    return flattened


def _cut_spikes(
    lines: NDArray[np.float32], hill: NDArray[np.float32], inside: NDArray[np.bool_],
    smooth: NDArray[np.float32],
) -> None:  # fmt: skip
    """Put pixels far above or below their pattern's hill on it, and fit that hill anew, in place.

    A cosmic ray, or one of a camera's hot pixels, bends the hill and dims all bands. Spikes hide
    smaller ones, so that it takes some rounds; no band reaches `_SPIKE`.
    """
    spread = (lines - hill)[:, inside].std(axis=1)
    for _ in range(_ROUNDS):
        far = (np.abs(lines - hill) > _SPIKE * np.maximum(spread, 1e-9)[:, None]) & inside
        rows = np.flatnonzero(far.any(axis=1))
        if not len(rows):
            return
        lines[rows] = np.where(far[rows], hill[rows], lines[rows])
        hill[rows] = (lines[rows] @ smooth) @ smooth.T
        spread[rows] = (lines[rows] - hill[rows])[:, inside].std(axis=1)


def polynomials(valid: NDArray[np.bool_], degree: int = 6) -> NDArray[np.float32]:
    """Orthonormal polynomials over the valid pixels, (pixels, terms); 0 elsewhere."""
    rows, columns = valid.shape
    y = np.polynomial.legendre.legvander(np.linspace(-1, 1, rows), degree)
    x = np.polynomial.legendre.legvander(np.linspace(-1, 1, columns), degree)
    terms = [np.outer(y[:, i], x[:, j]) for i in range(degree + 1) for j in range(degree + 1 - i)]
    table = np.stack([term.ravel() * valid.ravel() for term in terms], axis=1)
    return np.linalg.qr(table)[0].astype(np.float32)
