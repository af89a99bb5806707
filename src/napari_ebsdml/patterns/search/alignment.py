"""Orientations and pattern centres fitted to patterns: Gauss-Newton steps on templates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.search import _kernels as _search_kernels

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

_LONGEST = np.deg2rad(2.5)
_LONGEST_SHIFT = 0.04
_NEAREST = 0.3
"""Smallest distance of the pattern centre, parts of the height, that a fit may reach."""


def align(
    patterns: Floats, owner: NDArray[np.intp], places: Doubles, bounds: Doubles, turns: Doubles,
    tables: Floats, which: NDArray[np.intp], steps: int,
) -> tuple[Doubles, Doubles]:  # fmt: skip
    """Turn crystals to where their templates fit the patterns best.

    Parameters
    ----------
    patterns : (patterns, p) float32 array
        Flattened, see `sheet.flattened`.
    owner : (n,) int array
        Pattern of each of n fits.
    places : (p, 2) array
        Place of the pixels, 0..1 from the left and from the top.
    bounds : (1 or patterns, 4) array
        See `Geometry`.
    turns : (n, 3, 3) array
        Detector's frame -> crystal, to start from; right within some degrees.
    tables, which
        Templates on square tables, and that of each fit.
    steps
        Of Gauss and Newton.

    Returns
    -------
    turns : (n, 3, 3) array
    fit : (n,) array
        Correlation of each pattern with its template.
    """
    products = np.zeros((len(turns), 9, 9))
    best, fit = turns, np.full(len(turns), -2.0)
    for step in range(steps + 1):
        _search_kernels.moments(
            patterns, owner, places, bounds, turns, tables, which, 6, products
        )  # fmt: skip
        now = correlation(products)
        better = now > fit
        best = np.where(better[:, None, None], turns, best)
        fit = np.where(better, now, fit)
        if step < steps:
            normal, right = _normal(products)
            turns = _turned(turns, np.linalg.solve(normal, right[..., None])[..., 0])
    return best, fit


def align_camera(
    patterns: Floats, places: Doubles, geometry: Geometry, turns: Doubles, tables: Floats,
    which: NDArray[np.intp], steps: int,
) -> tuple[Geometry, Doubles, Doubles]:  # fmt: skip
    """As `align`, while the pattern centre that all patterns share moves too.

    Every pattern has one fit. Their own unknowns (level, contrast, turn) are eliminated from the
    normal equations first, so that three remain.

    Returns
    -------
    geometry, turns, fit
        Where the mean squared fit was highest.
    """
    n = len(turns)
    owner = np.arange(n)
    products = np.zeros((n, 9, 9))
    best: tuple[float, Geometry, Doubles, Doubles] | None = None
    for step in range(steps + 1):
        _search_kernels.moments(
            patterns, owner, places, geometry.bounds, turns, tables, which, 9, products
        )  # fmt: skip
        fit = correlation(products)
        value = float((np.maximum(fit, 0) ** 2).mean())
        if best is None or value > best[0]:
            best = value, geometry, turns, fit
        if step == steps:
            break
        normal, right = _normal(products)
        shared = products[:, 1:6, 6:9]
        alone = np.linalg.solve(normal, right[..., None])[..., 0]
        contrast = np.maximum(alone[:, 1], 0)
        square = products[:, 6:9, 6:9] - shared.transpose(0, 2, 1) @ np.linalg.solve(normal, shared)
        left = products[:, 6:9, 0] - np.einsum("nij,ni->nj", shared, alone)
        square = (contrast[:, None, None] ** 2 * square).sum(axis=0)
        square += np.eye(3) * max(1e-3 * np.trace(square) / 3, 1e-9)
        shift = np.linalg.solve(square, (contrast[:, None] * left).sum(axis=0))
        shift *= min(1.0, _LONGEST_SHIFT / max(float(np.abs(shift).max()), 1e-9))
        distance = 1 / (geometry.bounds[0, 3] - geometry.bounds[0, 2])
        shift[2] = max(shift[2], _NEAREST - distance)
        right = right - contrast[:, None] * (shared @ shift)
        turns = _turned(turns, np.linalg.solve(normal, right[..., None])[..., 0])
        geometry = geometry.moved(*shift)
    assert best is not None
    return best[1:]


def correlation(products: Doubles) -> Doubles:
    """Of patterns and fits, (n,), from `_search_kernels.moments`."""
    number = np.maximum(products[:, 1, 1], 1)
    both = products[:, 0, 2] - products[:, 0, 1] * products[:, 1, 2] / number
    one = products[:, 0, 0] - products[:, 0, 1] ** 2 / number
    two = products[:, 2, 2] - products[:, 1, 2] ** 2 / number
    return both / np.sqrt(np.maximum(one * two, 1e-12))


def _normal(products: Doubles) -> tuple[Doubles, Doubles]:
    """Normal equations of: pattern = level + contrast * (fit + turn . derivatives)."""
    normal = products[:, 1:6, 1:6].copy()
    place = np.arange(2, 5)
    normal[:, place, place] *= 1 + 1e-3
    # A pattern or a template without any contrast has no best turn, and must not end the search.
    normal += np.eye(5) * (1e-9 * np.trace(normal, axis1=1, axis2=2) + 1e-12)[:, None, None]
    return normal, products[:, 1:6, 0]


def _turned(turns: Doubles, solved: NDArray[np.floating]) -> Doubles:
    contrast = solved[:, 1:2]
    vector = np.where(contrast > 0, solved[:, 2:] / np.maximum(contrast, 1e-6), 0.0)
    length = np.linalg.norm(vector, axis=1, keepdims=True)
    vector *= np.minimum(1, _LONGEST / np.maximum(length, 1e-12))
    return Rotation.from_rotvec(vector).as_matrix() @ turns
