"""Paths that a user gives."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from napari_ebsdml.errors import InputError


def as_path(given: Any) -> Path:
    """A path, of a string or a path.

    Raises
    ------
    InputError
        When it is neither, or no system can have such a path.
    """
    if not isinstance(given, str | os.PathLike):
        raise InputError(f"A path must be a string or a Path, not {type(given).__name__}.")
    name = os.fspath(given)
    if not isinstance(name, str) or "\0" in name:
        raise InputError(f"{name!r} is no path.")
    return Path(name)
