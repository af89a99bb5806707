"""Crystal axes in Cartesian form, and Miller indices."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError


def direct_basis(lattice: Sequence[float]) -> NDArray[np.float64]:
    """Columns a, b, c in angstrom, x along a and z along c*."""
    try:
        cell = np.asarray(lattice, dtype=np.float64)
        if cell.shape != (6,) or not np.isfinite(cell).all() or (cell <= 0).any():
            raise ValueError
        (a, b, c), (alpha, beta, gamma) = cell[:3], np.radians(cell[3:])
        cx = np.cos(beta)
        cy = (np.cos(alpha) - np.cos(beta) * np.cos(gamma)) / np.sin(gamma)
        rest = 1 - cx**2 - cy**2
        if rest <= 0:
            raise ValueError
    except (TypeError, ValueError):
        raise InputError(
            "A lattice needs six positive numbers that span a cell, a, b, c in angstrom and alpha, "
            f"beta, gamma in degrees, not {lattice!r}."
        ) from None
    return np.array(
        [
            [a, b * np.cos(gamma), c * cx],
            [0, b * np.sin(gamma), c * cy],
            [0, 0, c * np.sqrt(rest)],
        ]
    )


def three_indices(indices: Sequence[int], plane: bool) -> NDArray[np.float64]:
    """Three-index form of (hkl), (hkil), [uvw] or [UVTW]."""
    values = np.asarray(indices, dtype=np.float64)
    if values.shape == (3,):
        return values
    if values.shape != (4,) or abs(values[:3].sum()) > 1e-9:
        raise InputError(f"{tuple(indices)} are no Miller or Miller-Bravais indices.")
    if plane:
        return np.asarray(values[[0, 1, 3]])
    return np.array([2 * values[0] + values[1], 2 * values[1] + values[0], values[3]])


def first_positive(indices: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same axis with its first non-zero index positive."""
    first = float(indices[np.abs(indices) > 1e-6][0])
    return np.asarray(np.round(indices * np.sign(first), 6) + 0.0)


def index_label(indices: NDArray[np.float64], brackets: str) -> str:
    """The indices in their brackets, the smallest that is not 0 scaled to 1."""
    scaled = indices / np.abs(indices[np.abs(indices) > 1e-6]).min()
    text = "".join(f"{value:g}" for value in np.round(scaled, 3) + 0.0)
    return brackets[0] + re.sub(r"-0(?![.\d])", "0", text) + brackets[1]
