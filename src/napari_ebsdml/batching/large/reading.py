"""Read a file band by band into a `LargeMap`, so that it never is in memory as a whole."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ebsdml._atomic import replacing
from napari_ebsdml._parallel import Progress
from napari_ebsdml._paths import as_path
from napari_ebsdml.batching.large.store import BAND_PIXELS, LargeMap
from napari_ebsdml.errors import EbsdmlError, InputError
from napari_ebsdml.io import format_of, read

if TYPE_CHECKING:
    from napari_ebsdml.io.frames import ReferenceFrame

_HEADER = 1 << 20
_ROWS = {"ctf": rb"(?m)^(YCells\s+)(\d+)", "ang": rb"(?m)^(#\s*NROWS:\s*)(\d+)"}
_COLUMNS = {
    "ctf": (rb"(?m)^XCells\s+(\d+)",),
    "ang": (rb"(?m)^#\s*NCOLS_ODD:\s*(\d+)", rb"(?m)^#\s*NCOLS_EVEN:\s*(\d+)"),
}


def read_large(
    path: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    ref_frame: str | ReferenceFrame | None = None,
    pixels: int = BAND_PIXELS,
    progress: Progress = None,
) -> LargeMap:
    """Read a map into a folder.

    Parameters
    ----------
    path
        Text files (.ctf, .ang) of square grids whose header tells the size are read band by band;
        any other file as a whole, and then put down: about 170 bytes a pixel for a moment.
    folder
        For the arrays, about 32 bytes a pixel and those of its properties; is made.
    ref_frame
        See `napari_ebsdml.read`.
    pixels
        Of a band.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    LargeMap
        Without patterns.

    Raises
    ------
    FileFormatError, UnsupportedFormatError, InputError
        As of `napari_ebsdml.read`.
    WriteError
        When there is no room in the folder.
    """
    path, folder = as_path(path), Path(folder)
    plan = _plan(path)
    if plan is not None:
        try:
            return _in_bands(path, folder, plan, ref_frame, pixels, progress)
        except (_OtherPartError, EbsdmlError):
            # Rows are missing, cut off or of different kinds: reading the whole knows what to do,
            # and its errors name the right lines.
            pass
    return LargeMap.of(read(path, ref_frame=ref_frame), folder, pixels)


def known_size(path: Path) -> int:
    """Pixels of a file that can be read in bands, as its header tells; 0 of others."""
    plan = _plan(path)
    return 0 if plan is None else plan.rows * plan.columns


@dataclasses.dataclass(frozen=True)
class _Plan:
    header: bytes
    rows: int
    columns: int
    pattern: bytes


class _OtherPartError(Exception):
    """A part of the file does not go with the first one."""


def _plan(path: Path) -> _Plan | None:
    """Size and header of a text file of a full square grid; None of any other."""
    try:
        kind = format_of(path).name
        if kind not in _ROWS:
            return None
        with path.open("rb") as file:
            head = _header(file, kind)
    except (OSError, EbsdmlError):
        return None
    rows = re.search(_ROWS[kind], head)
    columns = [match for p in _COLUMNS[kind] if (match := re.search(p, head)) is not None]
    if rows is None or len(columns) != len(_COLUMNS[kind]):
        return None
    widths = {int(match[1]) for match in columns}
    if len(widths) != 1 or (kind == "ang" and b"hex" in head.lower()):
        return None
    size = int(rows[2]), widths.pop()
    return _Plan(head, *size, _ROWS[kind]) if min(size) > 0 else None


def _header(file: Any, kind: str) -> bytes:
    """Lines before the table."""
    lines = []
    for line in islice(file, 10_000):
        if kind == "ang" and line.strip() and not line.lstrip().startswith(b"#"):
            break
        lines.append(line)
        words = line.lower().split()
        if kind == "ctf" and b"phase" in words and b"euler1" in words:
            break
        if sum(map(len, lines)) > _HEADER:
            break
    return b"".join(lines)


def _parts(path: Path, plan: _Plan, folder: Path, height: int) -> Iterator[tuple[int, Path]]:
    """Files of some rows each, which the format's own reader reads; with their first rows."""
    part = folder / f"part{path.suffix}"
    firsts = list(range(0, plan.rows, height))
    # A last band of a single row would not tell its step.
    if len(firsts) > 1 and plan.rows - firsts[-1] < 2:
        del firsts[-1]
    with path.open("rb") as file:
        file.seek(len(plan.header))
        for first, end in zip(firsts, [*firsts[1:], plan.rows], strict=True):
            rows = end - first
            with replacing(part) as own, own.open("wb") as out:
                out.write(re.sub(plan.pattern, rb"\g<1>%d" % rows, plan.header, count=1))
                out.writelines(islice(file, rows * plan.columns))
            yield first, part
        if file.read(1 << 16).strip():
            raise _OtherPartError
    part.unlink()


def _in_bands(
    path: Path, folder: Path, plan: _Plan, frame: Any, pixels: int, progress: Progress
) -> LargeMap:
    folder.mkdir(parents=True, exist_ok=True)
    height = max(2, pixels // plan.columns)
    large: LargeMap | None = None
    warnings: dict[str, None] = {}
    for first, part in _parts(path, plan, folder, height):
        scan = read(part, ref_frame=frame)
        rows = min(height, plan.rows - first)
        rows = rows + 1 if first + rows == plan.rows - 1 else rows
        if scan.shape != (rows, plan.columns) or scan.is_measured is not None:
            raise _OtherPartError
        warnings |= dict.fromkeys(scan.source.warnings)
        if large is None:
            large = LargeMap.empty(folder, (plan.rows, plan.columns), scan, pixels)
        elif scan.step != large.head.step and not _near(scan.step, large.head.step):
            raise _OtherPartError
        try:
            large.fill(first, scan)
        except InputError:
            raise _OtherPartError from None
        del scan  # before the next one is read
        if progress is not None:
            progress((first + rows) / plan.rows)
    assert large is not None
    header = dict(large.head.source.header)
    for key in ("YCells", "NROWS"):
        if key in header:
            header[key] = type(header[key])(plan.rows)
    source = dataclasses.replace(
        large.head.source, path=path, header=header, warnings=tuple(warnings)
    )
    return dataclasses.replace(large, head=dataclasses.replace(large.head, source=source))


def _near(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return all(abs(x - y) < 1e-3 * y for x, y in zip(a, b, strict=True))
