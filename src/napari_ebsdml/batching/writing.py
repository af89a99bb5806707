"""Folders, tables, arrays and label images, each written whole or not at all."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from napari_ebsdml import _atomic
from napari_ebsdml.errors import WriteError

Row = Mapping[str, object]
"""Column -> value."""


def make_folder(path: Path) -> None:
    """Make a folder for results.

    Raises
    ------
    WriteError
        When that is not possible.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{path}: {error.strerror}.") from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """As `_atomic.replacing`, with a `WriteError` of one sentence."""
    try:
        with _atomic.replacing(path) as part:
            yield part
    except OSError as error:
        raise WriteError(f"{path}: {error.strerror or error}.") from None


_LAST = ("note", "error")


def columns_of(rows: Sequence[Row]) -> list[str]:
    """Columns of all rows, in the order in which they come up; notes and errors last."""
    found = dict.fromkeys(key for row in rows for key in row)
    return [k for k in found if k not in _LAST] + [k for k in _LAST if k in found]


def rows_of_columns(table: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Columns as rows."""
    number = len(next(iter(table.values()), []))
    return [{column: values[n] for column, values in table.items()} for n in range(number)]


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV; a row may lack columns.

    Raises
    ------
    WriteError
        When the file cannot be written.
    """
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns_of(rows))
        writer.writeheader()
        writer.writerows(rows)


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write arrays as an .npz.

    Raises
    ------
    WriteError
        When the file cannot be written.
    """
    import numpy as np

    # numpy appends .npz to a name, but not to an open file.
    with replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def write_image(
    path: Path, labels: Any, step: tuple[float, float] | None = None, told: str = ""
) -> None:
    """Write labels as an image whose grey levels are the labels; with the step (dy, dx) in um.

    `told` becomes the image's description, such as what it was made with.

    Raises
    ------
    WriteError
        When the file cannot be written.
    """
    import numpy as np
    import tifffile

    # A map of three columns is no colour image.
    kind = np.uint8 if labels.max(initial=0) < 256 else np.uint16
    with replacing(path) as part:
        size: dict[str, Any] = {}
        if step is not None:
            # Pixels in a centimetre, x first, which programs for images read as the scale.
            size = {"resolution": (1e4 / step[1], 1e4 / step[0]), "resolutionunit": "CENTIMETER"}
        if told:
            size["description"] = told
        tifffile.imwrite(part, labels.astype(kind), photometric="minisblack", **size)
