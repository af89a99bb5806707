"""Reading HDF5 files that may be damaged: every failure becomes one `FileFormatError`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import EbsdmlError, FileFormatError

SIGNATURE = b"\x89HDF\r\n\x1a\n"

# fmt: off
_ELEMENTS = (
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl",
    "Ar", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn", "Ga", "Ge", "As",
    "Se", "Br", "Kr", "Rb", "Sr", "Y", "Zr", "Nb", "Mo", "Tc", "Ru", "Rh", "Pd", "Ag", "Cd", "In",
    "Sn", "Sb", "Te", "I", "Xe", "Cs", "Ba", "La", "Ce", "Pr", "Nd", "Pm", "Sm", "Eu", "Gd", "Tb",
    "Dy", "Ho", "Er", "Tm", "Yb", "Lu", "Hf", "Ta", "W", "Re", "Os", "Ir", "Pt", "Au", "Hg", "Tl",
    "Pb", "Bi", "Po", "At", "Rn", "Fr", "Ra", "Ac", "Th", "Pa", "U", "Np", "Pu", "Am", "Cm",
)
# fmt: on


@contextmanager
def open_h5(path: Path) -> Iterator[h5py.File]:
    """Open a file for reading.

    Raises
    ------
    FileFormatError
        When the file cannot be opened, or when what is done with it fails.
    """
    try:
        with h5py.File(path, "r") as file:
            yield file
    except (EbsdmlError, MemoryError):
        raise
    except Exception as error:
        # Damaged files make h5py raise anything from KeyError to SystemError.
        text = str(error).strip("'\"") or type(error).__name__
        raise FileFormatError(path, f"the HDF5 content is damaged: {text}") from error


def group(path: Path, parent: h5py.Group, name: str) -> h5py.Group:
    """Group `name` of `parent`."""
    found = parent.get(name)
    if not isinstance(found, h5py.Group):
        raise FileFormatError(path, "the group is missing", _place(parent, name))
    return found


def array(path: Path, parent: h5py.Group, name: str, kinds: str = "biuf") -> NDArray[Any]:
    """Values of dataset `name` of `parent`, of one of the numpy kinds `kinds`."""
    found = parent.get(name)
    if not isinstance(found, h5py.Dataset):
        raise FileFormatError(path, "the dataset is missing", _place(parent, name))
    try:
        values = np.asarray(found[()])
    except Exception as error:
        raise FileFormatError(
            path, f"the dataset cannot be read: {error}", _place(parent, name)
        ) from error
    if values.dtype.kind not in kinds:
        raise FileFormatError(
            path, f"the dataset holds {values.dtype} and no numbers", _place(parent, name)
        )
    return values


def scalar(path: Path, parent: h5py.Group, name: str) -> float:
    """The one number in dataset `name`."""
    values = array(path, parent, name).ravel()
    if values.size != 1 or not np.isfinite(values[0]):
        raise FileFormatError(path, "the dataset is not one finite number", _place(parent, name))
    return float(values[0])


def text(parent: h5py.Group, name: str, default: str = "") -> str:
    """The first string in dataset `name`, or `default`."""
    found = parent.get(name)
    if not isinstance(found, h5py.Dataset):
        return default
    value: Any = found[()]
    if isinstance(value, np.ndarray):
        if value.size == 0:
            return default
        value = value.ravel()[0]
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return str(value).strip("\x00 ")


def flat_header(parent: h5py.Group) -> dict[str, Any]:
    """Small datasets of a group, strings decoded, by name."""
    header: dict[str, Any] = {}
    for name, item in parent.items():
        if isinstance(item, h5py.Dataset) and item.size == 1:
            value = item[()]
            value = value.ravel()[0] if isinstance(value, np.ndarray) else value
            header[name] = value.decode("latin-1") if isinstance(value, bytes) else value
    return header


def element_symbol(element: str | int) -> str:
    """Chemical symbol; some programs write the atomic number."""
    word = str(element).strip()
    if word.isdigit() and 1 <= int(word) <= len(_ELEMENTS):
        return _ELEMENTS[int(word) - 1]
    return word


def _place(parent: h5py.Group, name: str) -> str:
    return f"{(parent.name or '').rstrip('/')}/{name}"
