"""Saves one pattern as an image file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_ebsdml._atomic import replacing
from napari_ebsdml.errors import WriteError

FILTERS = {
    "PNG, as shown (*.png)": (".png", False),
    "TIFF, as shown (*.tif *.tiff)": (".tif", False),
    "TIFF, values as measured (*.tif *.tiff)": (".tif", True),
}
"""What a file dialog offers: suffix, and whether values are saved as measured."""


def ask_path(parent: QWidget, name: str) -> tuple[Path, bool] | None:
    """Ask where to save; path and whether values are saved as measured, None when cancelled."""
    path, chosen = QFileDialog.getSaveFileName(
        parent, "Save the pattern", f"{name}.png", ";;".join(FILTERS)
    )
    if not path:
        return None
    suffix, as_measured = FILTERS.get(chosen, (".png", False))
    # A name typed with a suffix means that format; the suggested one follows the filter.
    target = Path(path)
    if not target.suffix or (target.name == f"{name}.png" and suffix != ".png"):
        target = target.with_suffix(suffix)
    return target, as_measured


def save_pattern(path: Path, picture: QImage, measured: NDArray[Any] | None = None) -> None:
    """Save a pattern.

    Parameters
    ----------
    path
        .png, .tif or .tiff.
    picture
        What is shown.
    measured : (detector rows, detector columns)
        Save these values, in their own data type, instead of the picture; TIFF only.

    Raises
    ------
    WriteError
        When the format does not fit, or the file cannot be written.
    """
    from imageio.v3 import imwrite
    from tifffile import imwrite as write_tiff

    suffix = path.suffix.lower()
    if suffix not in {".png", ".tif", ".tiff"}:
        raise WriteError(f"{path}: patterns are saved as .png, .tif or .tiff.")
    if measured is not None and suffix == ".png":
        raise WriteError(f"{path}: values as measured need a .tif file; a .png shows grey levels.")
    data = pixels(picture) if measured is None else measured
    try:
        with replacing(path) as part:
            if suffix == ".png":
                imwrite(part, data, extension=".png")
            else:
                write_tiff(part, data, photometric="rgb" if data.ndim == 3 else "minisblack")
    except (OSError, ValueError) as error:
        raise WriteError(f"{path}: the pattern could not be saved: {error}") from error


def pixels(picture: QImage) -> NDArray[np.uint8]:
    """Pixels of a QImage: (rows, columns) when it is grey, else (rows, columns, 3)."""
    grey = picture.format() == QImage.Format.Format_Grayscale8
    kind = QImage.Format.Format_Grayscale8 if grey else QImage.Format.Format_RGB888
    image = picture.convertToFormat(kind)
    height, width, line = image.height(), image.width(), image.bytesPerLine()
    bits = image.constBits()
    # PyQt needs to be told the size, PySide returns a memoryview that knows it.
    if hasattr(bits, "setsize"):
        bits.setsize(height * line)
    lines = np.frombuffer(bits, dtype=np.uint8).reshape(height, line)
    channels = 1 if grey else 3
    data = lines[:, : width * channels].reshape(height, width, channels).copy()
    return data[..., 0] if grey else data
