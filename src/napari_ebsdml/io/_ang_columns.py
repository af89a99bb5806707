"""Columns of .ang files that have a fixed meaning, and the names that writers give them."""

from __future__ import annotations

EDAX = ("phi1", "Phi", "phi2", "x", "y", "IQ", "CI", "phase", "SEM", "fit")
"""EDAX's columns, in order."""

NAMES = {name.casefold(): name for name in EDAX} | {
    "phase index": "phase", "phase_id": "phase", "phase id": "phase", "image_quality": "IQ",
    "confidence_index": "CI", "detector_signal": "SEM", "pattern_fit": "fit", "sem signal": "SEM",
}  # fmt: skip
"""Name of a column in lower case -> EDAX's."""
RESERVED = frozenset(NAMES)
"""Names that columns with a fixed meaning may have, in lower case."""
