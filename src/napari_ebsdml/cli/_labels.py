"""Label images in files: strokes and ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import FileFormatError, InputError

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

PHASES = "phases"
"""In place of a label file: the phases of the map's own file, 1 for the first."""

_IMAGES = (".tif", ".tiff", ".png", ".bmp")


def read_labels(path: Path, scan: Scan) -> NDArray[np.integer]:
    """Labels of a scan from .npy, .npz (its array "labels") or an image, or its own phases.

    Raises
    ------
    FileFormatError
        When the file cannot be read, or holds no label image.
    InputError
        When it does not fit the scan.
    """
    if str(path) == PHASES:
        out = np.zeros(scan.shape, dtype=np.int32)
        for position, (number, _) in enumerate(_phases(scan)):
            out[scan.phase_id == number] = position + 1
        return out
    array = _read(path)
    if array.dtype.kind not in "bui":
        raise FileFormatError(path, f"labels must be whole numbers, not {array.dtype}.")
    if array.ndim != 2:
        raise FileFormatError(
            path, f"labels must be one image (rows, columns), not of shape {array.shape}."
        )
    if array.shape != scan.shape:
        raise InputError(f"{path} has shape {array.shape}; {scan.name} has {scan.shape}.")
    return array.astype(np.int32)


def phase_names(scan: Scan) -> dict[int, str]:
    """Names of the labels that `read_labels` gives for "phases"."""
    return {n + 1: str(phase.name) for n, (_, phase) in enumerate(_phases(scan))}


def _phases(scan: Scan) -> list[tuple[int, Any]]:
    return [(number, phase) for number, phase in scan.phases if number >= 0]


def _read(path: Path) -> NDArray[Any]:
    if not path.is_file():
        raise FileFormatError(path, "there is no such file.")
    if path.suffix.lower() not in (".npy", ".npz", *_IMAGES):
        raise FileFormatError(
            path, f"labels must be .npy, .npz or an image ({', '.join(_IMAGES)})."
        )
    try:
        if path.suffix == ".npy":
            return np.asarray(np.load(path, allow_pickle=False))
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as arrays:
                if "labels" not in arrays:
                    raise FileFormatError(path, f"there is no array 'labels' in {list(arrays)}.")
                return np.asarray(arrays["labels"])
        from skimage.io import imread

        return np.asarray(imread(path))
    except FileFormatError:
        raise
    except Exception as error:  # image libraries raise anything
        raise FileFormatError(path, f"it cannot be read as labels ({error}).") from None


def pairs_of(arguments: Sequence[Path]) -> list[tuple[Path, Path]]:
    """MAP LABELS MAP LABELS ... as pairs.

    Raises
    ------
    InputError
        When a map has no labels.
    """
    if len(arguments) % 2 or not arguments:
        raise InputError(
            f"Give a label file after each map (MAP LABELS MAP LABELS ...); there are "
            f"{len(arguments)} files."
        )
    return list(zip(arguments[::2], arguments[1::2], strict=True))


def assignments(texts: Sequence[str], option: str) -> dict[int, str]:
    """``["1=ferrite", "2=martensite"]`` as a dict.

    Raises
    ------
    InputError
        When a text is no such pair.
    """
    found: dict[int, str] = {}
    for text in texts:
        value, equals, name = text.partition("=")
        if not equals or not value.strip().isdecimal() or not name.strip():
            raise InputError(f"{option} takes VALUE=NAME, for example 1=ferrite, not {text!r}.")
        found[int(value)] = name.strip()
    return found
