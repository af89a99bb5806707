"""Names of the shipped models. Light: the command line reads it."""

from __future__ import annotations

import os
from pathlib import Path

from napari_ebsdml.learning.model_card import model_paths
from napari_ebsdml.learning.shipped import shipped_path

READY: dict[str, str] = {
    "martensite": "segment-martensite",
    "recrystallised": "segment-recrystallised",
    "twins": "segment-twins",
}
"""Name -> stem of the file: ferrite, martensite and bainite; recrystallised, recovered and
deformed grains; twins and the matrix."""


READY_TITLES: dict[str, str] = {
    "martensite": "Ferrite, martensite, bainite",
    "recrystallised": "Recrystallised, recovered, deformed",
    "twins": "Matrix, twin",
}
"""What people read in menus."""


def ready_path(given: str | os.PathLike[str]) -> Path:
    """Path of a ready model by its name, or of the file that is given.

    Raises
    ------
    InputError
        When a bare word is neither.
    """
    if model_paths(given)[0].is_file():
        return Path(given)
    names = {**READY, **{stem: stem for stem in READY.values()}}
    return shipped_path(os.fspath(given), names)
