"""Where the weights that come with the package lie; loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from napari_ebsdml._paths import as_path
from napari_ebsdml.errors import InputError

WEIGHTS = Path(str(files("napari_ebsdml"))) / "weights"
"""Folder of everything that is shipped."""


def shipped_path(given: str | Path, names: Mapping[str, str]) -> Path:
    """Path of a model: of a shipped one by its name, else of the file that is given.

    Parameters
    ----------
    given
        A key of `names`, or a path.
    names
        Name of a shipped model -> stem of its file in `WEIGHTS`.

    Raises
    ------
    InputError
        When a bare word is neither a shipped model nor a file's name with its ending.
    """
    if isinstance(given, str) and given in names:
        return WEIGHTS / names[given]
    path = as_path(given)
    if isinstance(given, str) and path.name == given and not path.suffix:
        raise InputError(
            f"No model {given!r}; there is {', '.join(names)}, or give a .safetensors file."
        )
    return path
