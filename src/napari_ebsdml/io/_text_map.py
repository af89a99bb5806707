"""What the readers of text maps share: named columns, and checks of what the rows say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.io._text import Table


def named_columns(path: Path, table: Table, names: list[str]) -> dict[str, NDArray[Any]]:
    """Columns of a table by their names.

    Raises
    ------
    FileFormatError
        When the table has no row.
    """
    if not table.rows:
        raise FileFormatError(path, "the file holds no complete row of data.")
    return dict(zip(names, table.columns, strict=True))


def refuse_angles(
    path: Path,
    euler: NDArray[np.float64],
    not_indexed: NDArray[np.bool_],
    limit: float,
    header_lines: int,
    unit: str,
    remedy: str = "",
) -> None:
    """Refuse indexed points whose Euler angles lie outside -`limit` to `limit`.

    Raises
    ------
    FileFormatError
        The message names the first such line, its angles, the `unit` and the `remedy`.
    """
    # Settles a sound file without a large temporary; a NaN compares false and goes on.
    if euler.max() <= limit and euler.min() >= -limit:
        return
    wrong = (np.abs(euler) > limit).any(axis=1) & ~not_indexed
    if not wrong.any():
        return
    row = int(np.flatnonzero(wrong)[0])
    angles = ", ".join(f"{angle:g}" for angle in euler[row])
    raise FileFormatError(
        path,
        f"Euler angles {angles} are no angles in {unit} ({int(wrong.sum())} points){remedy}.",
        f"line {header_lines + row + 1}",
    )


def note_missing_rows(
    table: Table, expected: int | None, declared: str, warnings: list[str]
) -> None:
    """Add warnings on a file that ends early; `declared` says what the header promises."""
    if table.cut_line:
        warnings.append("The file ends within a line, which was left out.")
    if table.open_line:
        warnings.append("The last line has no line end: its last value may be cut off.")
    if expected and expected != table.rows:
        warnings.append(
            f"The header declares {declared} = {expected} points, the file holds {table.rows}: "
            + ("it ends early, or the header is wrong." if table.rows < expected
               else "the header is wrong.")
        )  # fmt: skip
