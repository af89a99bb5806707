"""Numeric text tables, fast: bytes of a file to columns, several threads, one compiled kernel.

Small tables of plain numbers go through numpy, which has nothing to compile.

A value is read as an integer mantissa and divided by an exact power of ten, which is
correctly rounded for up to 15 digits; longer ones and extreme exponents are right to 2e-15.
"""

from __future__ import annotations

import mmap
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import available_cores
from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.io._text_kernel import COMMA, NOT_A_NUMBER, REMARKS, parse
from napari_ebsdml.io._text_plain import (
    after_last_newline,
    after_newline,
    count_lines,
    kind_needed,
    plain_values,
    with_newlines,
)

UINT8, INT32, FLOAT32, FLOAT64 = range(4)
"""Kinds of columns, each able to hold what the one before it holds (read from text)."""

_DTYPES = (np.uint8, np.int32, np.float32, np.float64)
_NEWLINE = 10
_BLOCK = 1 << 20
_MOST_PLAIN = 6_000_000
"""Bytes up to which a table is read without the kernel, where it can be."""
_SAMPLE_ROWS = 64
_MOST_THREADS = 16


class NoRowsError(FileFormatError):
    """A text file whose table never begins."""


@dataclass
class TextFile:
    """A text file split into header lines and the bytes of its table.

    Attributes
    ----------
    path
    header : list of str
        Lines before the table, without line ends.
    buffer : (n,) uint8
        The whole file, mapped into memory.
    start
        Where the table begins.
    """

    path: Path
    header: list[str]
    buffer: NDArray[np.uint8]
    start: int

    def line_at(self, position: int) -> int:
        """Line number, from 1, of a byte."""
        return len(self.header) + 1 + count_lines(self.buffer, self.start, position)


def map_bytes(path: Path) -> NDArray[np.uint8]:
    """Map a file into memory as bytes.

    Raises
    ------
    FileFormatError
        When the file cannot be opened or is empty.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                raise FileFormatError(path, "the file is empty.")
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise FileFormatError(path, f"the file cannot be read: {error.strerror}.") from error
    buffer = np.frombuffer(mapped, dtype=np.uint8)
    return with_newlines(buffer)


def decode(raw: bytes) -> str:
    """Text of header bytes: UTF-8 with or without a byte order mark, else Latin-1."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


@dataclass
class Table:
    """Columns of a text table.

    Attributes
    ----------
    columns : list of (rows,) arrays
        In the order of the file; each row of `floats` that belongs to a float64 column is a
        view of it.
    floats : (number of float64 columns, rows) float64
    cut_line
        The last line has no line end and too few values; it was left out.
    open_line
        The last line has no line end, but is complete.
    """

    columns: list[NDArray[Any]]
    floats: NDArray[np.float64]
    cut_line: bool = False
    open_line: bool = False

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0])


def first_row(text: TextFile) -> list[bytes]:
    """Values in the first line of the table that is not blank; none without any."""
    position, size = text.start, len(text.buffer)
    while position < size:
        stop = after_newline(text.buffer, position, size)
        values = text.buffer[position:stop].tobytes().split()
        if values:
            return values
        position = stop
    return []


def with_numbers(text: TextFile, numbers: dict[str, int]) -> TextFile:
    """The table with whole numbers in place of words; words may hold single blanks."""
    words = sorted(numbers, key=len, reverse=True)
    pattern = b"|".join(re.escape(word.encode("utf-8")) for word in words)
    by_word = {word.encode("utf-8"): str(number).encode() for word, number in numbers.items()}
    table = re.sub(
        rb"(?<=[\s,])(?:" + pattern + rb")(?=[\s,])",
        lambda match: by_word[match[0]],
        text.buffer[text.start :].tobytes(),
    )
    return TextFile(text.path, text.header, np.frombuffer(table, dtype=np.uint8), 0)


def kind_of(word: bytes) -> int:
    """Narrowest kind of a column of numbers that a program wrote in one format."""
    return UINT8 if word.lstrip(b"-").isdigit() else FLOAT32


def parse_table(
    text: TextFile,
    kinds: list[int],
    *,
    whole: dict[int, str] | None = None,
    decimal_comma: bool = False,
    remarks: bool = False,
    threads: int | None = None,
) -> Table:
    """Read all rows of a table.

    Parameters
    ----------
    text
    kinds
        Narrowest kind (`UINT8` ... `FLOAT64`) of each column; a column whose values need more
        gets a wider one.
    whole
        Index and name of columns that must hold whole numbers (of kind `INT32`).
    decimal_comma
        Values may have a comma where others have a point.
    remarks
        Lines that begin with "#" are passed over.
    threads
        Default: one for each core.

    Raises
    ------
    FileFormatError
        For a line with too few or too many values, or one that is not a number; the message
        names the line.
    """
    kinds, whole = list(kinds), whole or {}
    buffer, size = text.buffer, len(text.buffer)
    end = after_last_newline(buffer, text.start, size)
    if size - text.start <= _MOST_PLAIN:
        plain = _plain_table(text, end, kinds, whole)
        if plain is not None:
            return plain
    dialect = COMMA * decimal_comma | REMARKS * remarks
    tail = _Tail.of(buffer[end:], len(kinds), dialect)

    sample = text.start
    for _ in range(_SAMPLE_ROWS):
        sample = after_newline(buffer, sample, end) if sample < end else sample
    for first_stop in (sample, end):
        # The first pass over a few lines settles nearly all kinds before the long one.
        while True:
            result = _parse_blocks(text, first_stop, kinds, dialect, threads)
            wider = np.maximum(result.needed, tail.needed)
            for column, name in whole.items():
                if wider[column] > INT32:
                    _raise_not_whole(text, result, tail, end, column, name)
            if not (wider > kinds).any():
                break
            kinds = [int(max(pair)) for pair in zip(wider, kinds, strict=True)]
    if tail.complete:
        result.append(tail, kinds, dialect)
    columns: list[NDArray[Any]] = [result.arrays[kind][slot] for kind, slot in result.places]
    return Table(columns, result.arrays[FLOAT64], tail.cut, tail.complete)


def _plain_table(text: TextFile, end: int, kinds: list[int], whole: dict[int, str]) -> Table | None:
    """The table of a file of plain numbers whose lines end at `end`; None: see `plain_values`."""
    last = np.append(text.buffer[end:], np.uint8(_NEWLINE))
    complete = len(last.tobytes().split()) == len(kinds)
    cut = not complete and bool(last.tobytes().strip())
    rows = text.buffer[text.start : end]
    values = plain_values(np.append(rows, last) if complete else rows, len(kinds))
    if values is None:
        return None
    kinds = [max(kind, kind_needed(values[:, n])) for n, kind in enumerate(kinds)]
    if any(kinds[column] > INT32 for column in whole):
        return None
    arrays, places = _allocate(kinds, len(values)), _places(kinds)
    for column, (kind, slot) in enumerate(places):
        arrays[kind][slot] = values[:, column]
    columns: list[NDArray[Any]] = [arrays[kind][slot] for kind, slot in places]
    return Table(columns, arrays[FLOAT64], cut, complete)


class _Tail:
    """The last line when it has no line end; the kernel only sees lines that have one."""

    def __init__(self, columns: int) -> None:
        self.buffer = np.zeros(0, dtype=np.uint8)
        self.needed = np.zeros(columns, dtype=np.int64)
        self.complete = self.cut = False

    @classmethod
    def of(cls, raw: NDArray[np.uint8], columns: int, dialect: int) -> _Tail:
        tail = cls(columns)
        if not raw.tobytes().strip():
            return tail
        tail.buffer = np.append(raw, np.uint8(_NEWLINE))
        kinds = [UINT8] * columns
        _, code, *_, needed, _ = _run(
            tail.buffer, 0, len(tail.buffer), kinds, dialect, _allocate(kinds, 1), 0
        )
        tail.complete = code == 0
        # Cut off in the middle of a value, a line may even end in what is no number ("-", "1e").
        tail.cut = not tail.complete
        if tail.complete:
            tail.needed = needed
        return tail


@dataclass
class _Parsed:
    arrays: list[NDArray[Any]]
    places: list[tuple[int, int]]
    needed: NDArray[np.int64]
    where: NDArray[np.int64]

    def append(self, tail: _Tail, kinds: list[int], dialect: int) -> None:
        one = _allocate(kinds, 1)
        _run(tail.buffer, 0, len(tail.buffer), kinds, dialect, one, 0)
        self.arrays = [np.concatenate(pair, axis=1) for pair in zip(self.arrays, one, strict=True)]


def _places(kinds: list[int]) -> list[tuple[int, int]]:
    return [(kind, kinds[:column].count(kind)) for column, kind in enumerate(kinds)]


def _allocate(kinds: list[int], rows: int) -> list[NDArray[Any]]:
    return [np.empty((kinds.count(k), rows), dtype=t) for k, t in enumerate(_DTYPES)]


def _run(
    buffer: NDArray[np.uint8], start: int, stop: int, kinds: list[int], dialect: int,
    arrays: list[NDArray[Any]], row: int,
) -> tuple[int, int, int | np.int64, int, NDArray[np.int64], NDArray[np.int64]]:  # fmt: skip
    """Rows read, error code, its place and column, kinds needed, and where."""
    needed = np.zeros(len(kinds), dtype=np.int64)
    where = np.zeros(len(kinds), dtype=np.int64)
    places = np.array(_places(kinds), dtype=np.int64)
    outcome = parse(buffer, start, stop, dialect, places, *arrays, row, needed, where)
    return (*outcome, needed, where)


def _parse_blocks(
    text: TextFile, stop: int, kinds: list[int], dialect: int, threads: int | None
) -> _Parsed:
    buffer, start = text.buffer, text.start
    threads = threads or min(_MOST_THREADS, available_cores())
    block = max(_BLOCK, -(-(stop - start) // (4 * threads)))
    edges = [start]
    while edges[-1] < stop:
        edges.append(after_newline(buffer, min(edges[-1] + block, stop - 1), stop))
    with ThreadPoolExecutor(threads) as pool:
        spans = list(pairwise(edges))
        lines = list(pool.map(lambda span: count_lines(buffer, *span), spans))
        first = np.concatenate(([0], np.cumsum(lines, dtype=np.int64)))
        arrays = _allocate(kinds, int(first[-1]))
        outcomes = list(
            pool.map(
                lambda span, row: _run(buffer, span[0], span[1], kinds, dialect, arrays, int(row)),
                spans,
                first[:-1],
            )
        )
    for _, code, position, column, *_ in outcomes:
        if code:
            _raise_bad_line(text, int(code), int(position), int(column), len(kinds))
    rows = [outcome[0] for outcome in outcomes]
    if rows != lines:  # blank lines among the rows: close the gaps
        keep = np.concatenate(
            [np.arange(at, at + n) for at, n in zip(first[:-1], rows, strict=True)]
        ).astype(np.intp)
        arrays = [array[:, keep] for array in arrays]
    needed = np.array([o[4] for o in outcomes]).reshape(-1, len(kinds))
    where = np.array([o[5] for o in outcomes]).reshape(-1, len(kinds))
    if not len(needed):
        none = np.zeros(len(kinds), dtype=np.int64)
        return _Parsed(arrays, _places(kinds), none, none)
    widest = needed.argmax(axis=0)
    pick = np.arange(len(kinds))
    return _Parsed(arrays, _places(kinds), needed[widest, pick], where[widest, pick])


def _raise_bad_line(text: TextFile, code: int, position: int, column: int, expected: int) -> None:
    line_start, line_stop = _line_around(text.buffer, position)
    values = text.buffer[line_start:line_stop].tobytes().split()
    where = f"line {text.line_at(line_start)}"
    if code == NOT_A_NUMBER:
        word = decode(values[column][:40]) if column < len(values) else ""
        reason = f"{word!r} in column {column + 1} is not a number."
    else:
        reason = f"{len(values)} values where {expected} are expected."
    raise FileFormatError(text.path, f"{reason} Export the map again, or mend the line.", where)


def _raise_not_whole(
    text: TextFile, result: _Parsed, tail: _Tail, end: int, column: int, name: str
) -> None:
    in_table = result.needed[column] > INT32
    position = int(result.where[column]) if in_table else end
    values = text.buffer[slice(*_line_around(text.buffer, position))].tobytes().split()
    raise FileFormatError(
        text.path,
        f"{name} must be a whole number, not {decode(values[column][:40])!r}; "
        "are the columns in another order?",
        f"line {text.line_at(position)}",
    )


def _line_around(buffer: NDArray[np.uint8], position: int) -> tuple[int, int]:
    start = position
    while start > 0 and buffer[start - 1] != _NEWLINE:
        start -= 1
    return start, after_newline(buffer, position, len(buffer))


def split_header(path: Path, is_data: Callable[[str], bool], most_lines: int = 100_000) -> TextFile:
    """Split a file before the first line of which `is_data` is true.

    Raises
    ------
    FileFormatError
        When the file cannot be read or is UTF-16.
    NoRowsError
        When no such line comes.
    """
    buffer = map_bytes(path)
    if bytes(buffer[:2]) in (b"\xff\xfe", b"\xfe\xff"):
        raise FileFormatError(path, "the text is UTF-16; save it as plain text (UTF-8).")
    header: list[str] = []
    position, size = 0, len(buffer)
    while position < size and len(header) < most_lines:
        stop = after_newline(buffer, position, min(size, position + 65_536))
        line = decode(buffer[position:stop].tobytes())
        if is_data(line):
            return TextFile(path, header, buffer, position)
        header.append(line.rstrip("\r\n"))
        position = stop
    raise NoRowsError(
        path, "no rows of data follow the header; the file is cut off, or of another format."
    )
