"""Columns of .ang files that have a fixed meaning, and the names that writers give them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

EDAX = ("phi1", "Phi", "phi2", "x", "y", "IQ", "CI", "phase", "SEM", "fit")
"""EDAX's columns, in order."""

NAMES = {name.casefold(): name for name in EDAX} | {
    "phase index": "phase", "phase_id": "phase", "phase id": "phase", "image_quality": "IQ",
    "confidence_index": "CI", "detector_signal": "SEM", "pattern_fit": "fit", "sem signal": "SEM",
}  # fmt: skip
"""Name of a column in lower case -> EDAX's."""
RESERVED = frozenset(NAMES)
"""Names that columns with a fixed meaning may have, in lower case."""
_FOUR_PI = 4 * np.pi


def without_solution(
    column: dict[str, NDArray[Any]], euler: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Points that EDAX marks: Euler angles of 4 pi in 5 digits, CI of -1, or fit of 180."""
    out = np.zeros(len(euler), dtype=bool)
    marked = np.abs(euler[:, 0] - _FOUR_PI) < 1e-3
    if marked.any():
        out |= marked & (np.abs(euler[:, 1:] - _FOUR_PI) < 1e-3).all(axis=1)
    if "CI" in column:
        out |= column["CI"] <= -1
    if "fit" in column:
        out |= column["fit"] == 180
    return out
