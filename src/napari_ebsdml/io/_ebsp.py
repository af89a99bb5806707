"""Oxford Instruments' binary pattern file .ebsp.

Minus the version (int64; absent in version 0), one unknown byte from version 4 on, the byte
positions of all patterns (int64, 0 where a pattern was not stored), then the patterns, each with
a header (int32: map x and y from version 5 on, compressed?, rows, columns, bytes) and a footer
(the beam position in um as float64, each with a flag byte from version 2 on). Neither the number
of patterns nor the map size is stored.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import FileFormatError, UnsupportedFormatError
from napari_ebsdml.io._detector import camera_of_file
from napari_ebsdml.io._lazy_patterns import BinaryPatterns, lazy
from napari_ebsdml.io._raw import RawMap

_LARGEST_VERSION = 50
_LARGEST_EDGE = 10_000
# No stage travels farther, in um.
_FARTHEST = 1e7
# Positions of this many patterns are read at a time.
_BATCH = 1 << 16


@dataclass(frozen=True)
class _Layout:
    version: int

    @property
    def table(self) -> int:
        """Byte where the positions start."""
        return 0 if self.version == 0 else 9 if self.version > 3 else 8

    @property
    def head(self) -> str:
        """Header of a pattern, for `struct`."""
        return "<6i" if self.version >= 5 else "<4i"

    @property
    def footer(self) -> tuple[int, int, int] | None:
        """(size, offset of x, offset of y) of the beam position behind the pixels."""
        if self.version == 0:
            return None
        return (16, 0, 8) if self.version == 1 else (18, 1, 10)


def sniff_ebsp(head: bytes) -> bool:
    """Whether the first bytes can be those of an .ebsp."""
    if len(head) < 16:
        return False
    (first,) = struct.unpack("<q", head[:8])
    return -_LARGEST_VERSION <= first < 1 << 48


def read_ebsp(path: Path) -> RawMap:
    """Read positions and sizes; patterns stay in the file.

    Raises
    ------
    FileFormatError
        When positions or headers make no sense, or the file was cut off.
    UnsupportedFormatError
        When the patterns are compressed.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        (first,) = _unpack(path, file, 0, "<q")
        if first < -_LARGEST_VERSION:
            raise FileFormatError(path, f"version {-first} does not exist", "bytes 1-8")
        layout = _Layout(max(0, -first))
        starts = _starts(path, file, layout, size)
        stored = np.flatnonzero(starts)
        rows, columns, n_bytes = _pattern_size(path, file, layout, starts[stored])
        head = struct.calcsize(layout.head)
        last = int(starts.max()) + head + n_bytes
        if last > size:
            whole = int(np.count_nonzero(starts[stored] + head + n_bytes <= size))
            raise FileFormatError(
                path,
                f"only {whole} of {len(stored)} patterns are whole; the file was cut off at byte "
                f"{size}",
            )
        dtype = np.dtype("u1") if n_bytes == rows * columns else np.dtype("<u2")
        raw = RawMap(path=path, format="ebsp", frame="oxford")
        beam = _Beam(path, file, layout, starts[stored] + head + n_bytes)
        places = beam.raster()
        if places is None:
            places = beam.at(np.arange(len(stored)))
    if len(stored) < len(starts):
        raw.warnings.append(
            f"{len(starts) - len(stored)} of {len(starts)} patterns were not stored."
        )
    columns_of_map = None
    if places is not None:
        raw.x, raw.y = places.T.copy()
        jumps = np.flatnonzero(np.diff(raw.x) < 0)
        columns_of_map = int(jumps[0]) + 1 if jumps.size else None
    else:
        raw.shape = (1, len(stored))
        raw.layout_warnings.append("The file has no beam positions: the patterns stand in one row.")
    raw.header = {"version": layout.version, "pattern height": rows, "pattern width": columns}
    raw.patterns = lazy(
        BinaryPatterns(
            path=path.resolve(),
            shape=(len(stored), rows, columns),
            dtype=dtype,
            starts=starts[stored] + head,
        ),
        columns_of_map,
    )

    raw.camera = camera_of_file((rows, columns), raw.warnings)
    return raw


def _unpack(path: Path, file: BinaryIO, at: int, kind: str) -> tuple[Any, ...]:
    file.seek(at)
    content = file.read(struct.calcsize(kind))
    if len(content) < struct.calcsize(kind):
        raise FileFormatError(path, "the file was cut off", f"byte {at + len(content)}")
    return struct.unpack(kind, content)


def _starts(path: Path, file: BinaryIO, layout: _Layout, size: int) -> NDArray[np.int64]:
    """Byte position of every pattern, 0 where it was not stored.

    The patterns follow the table of positions, so the first pattern in the file (the smallest
    position) tells where the table ends.
    """
    table = layout.table
    parts: list[NDArray[np.int64]] = []
    end = size
    count = 0
    file.seek(table)
    while table + 8 * count < end:
        wanted = min(_BATCH, (end - table) // 8 - count)
        part = np.frombuffer(file.read(8 * wanted), dtype="<i8").astype(np.int64)
        if part.size == 0:
            break
        places = table + 8 * (count + np.arange(part.size))
        # Where the table ends as known after each entry; what lies behind that is pixels.
        ends = np.minimum(end, np.minimum.accumulate(np.where(part == 0, size, part)))
        behind = np.flatnonzero(places >= np.concatenate(([end], ends[:-1])))
        part = part[: behind[0]] if behind.size else part
        wrong = np.flatnonzero((part != 0) & ((part < places[: part.size] + 8) | (part >= size)))
        if wrong.size:
            k = int(wrong[0])
            raise FileFormatError(
                path,
                f"pattern {count + k + 1} is said to start at byte {part[k]}, the file has {size}: "
                "it is damaged or was cut off",
                f"byte {places[k]}",
            )
        if part.size:
            end = int(ends[part.size - 1])
        parts.append(part)
        count += part.size
        if behind.size:
            break
    starts = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    if not starts.any():
        raise FileFormatError(path, "the file holds no pattern")
    if (end - table) % 8 or count != (end - table) // 8:
        raise FileFormatError(path, "the table of pattern positions is damaged or cut off")
    return starts


def _pattern_size(
    path: Path, file: BinaryIO, layout: _Layout, starts: NDArray[np.int64]
) -> tuple[int, int, int]:
    """(rows, columns, bytes), which must be the same for all patterns that are looked at."""
    seen: tuple[int, ...] | None = None
    # All headers would mean a page of the disk for each pattern.
    for k in np.unique(np.linspace(0, len(starts) - 1, min(len(starts), 64)).astype(int)):
        where = f"byte {starts[k]}"
        *_, compressed, rows, columns, n_bytes = _unpack(path, file, int(starts[k]), layout.head)
        if compressed not in (0, 1):
            raise FileFormatError(path, "the header of a pattern makes no sense", where)
        if compressed:
            raise UnsupportedFormatError(
                path, "the patterns are compressed; export them uncompressed", where
            )
        if (
            not (0 < rows <= _LARGEST_EDGE and 0 < columns <= _LARGEST_EDGE)
            or n_bytes not in (rows * columns, 2 * rows * columns)
            or (seen is not None and seen != (rows, columns, n_bytes))
        ):
            raise FileFormatError(
                path,
                f"the header of pattern {k + 1} speaks of {rows} x {columns} pixels in {n_bytes} "
                "bytes",
                where,
            )
        seen = (rows, columns, n_bytes)
    assert seen is not None
    return seen[0], seen[1], seen[2]


class _Beam:
    """Beam positions behind the pixels of patterns."""

    def __init__(
        self, path: Path, file: BinaryIO, layout: _Layout, ends: NDArray[np.int64]
    ) -> None:
        self.path, self.file, self.layout, self.ends = path, file, layout, ends

    def at(self, points: NDArray[np.intp]) -> NDArray[np.float64] | None:
        """Positions (x, y) of these points in um, (n, 2); None when the file has none."""
        if self.layout.footer is None:
            return None
        length, at_x, at_y = self.layout.footer
        out = np.empty((len(points), 2))
        for k, end in enumerate(self.ends[points]):
            self.file.seek(int(end))
            footer = self.file.read(length)
            if length == 18 and not (len(footer) > 9 and footer[0] and footer[9]):
                return None
            if len(footer) < length:
                raise FileFormatError(
                    self.path, "the file was cut off behind a pattern", f"byte {end + len(footer)}"
                )
            out[k] = struct.unpack_from("<d", footer, at_x) + struct.unpack_from("<d", footer, at_y)
        if not np.isfinite(out).all():
            return None
        if np.abs(out).max() > _FARTHEST:
            raise FileFormatError(self.path, "beam positions lie metres away; the file is damaged")
        return out

    def raster(self) -> NDArray[np.float64] | None:
        """Positions of all points when a sample of them lies on a complete grid, row by row.

        Reading every position would mean reading a page of the disk for every pattern.
        """
        n = len(self.ends)
        if n < 1000:
            return None
        corners = self.at(np.array([0, 1, n - 1]))
        if corners is None:
            return None
        first, second, last = corners
        dx = second[0] - first[0]
        if dx <= 0:
            return None
        columns = round((last[0] - first[0]) / dx) + 1
        if not 1 < columns <= n or n % columns:
            return None
        rows = n // columns
        dy = (last[1] - first[1]) / (rows - 1) if rows > 1 else dx
        point = np.arange(n)
        ideal = first + np.stack(((point % columns) * dx, (point // columns) * dy), axis=-1)
        sample = np.unique(np.linspace(0, n - 1, 499).astype(np.intp))
        sample = np.union1d(sample, np.array([columns - 1, columns, n - columns]))
        found = self.at(sample)
        if found is None or np.abs(found - ideal[sample]).max() > 0.2 * min(dx, abs(dy)):
            return None
        return ideal
