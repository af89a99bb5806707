"""Points of a map that EDAX OIM exports as text (.txt): grain file type 1 and its relatives."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.io._ang_columns import without_solution
from napari_ebsdml.io._raw import Format, RawMap, RawPhase
from napari_ebsdml.io._text import (
    FLOAT32,
    FLOAT64,
    INT32,
    TextFile,
    first_row,
    kind_of,
    parse_table,
    split_header,
)
from napari_ebsdml.io._text_map import named_columns, note_missing_rows, refuse_angles

_COLUMN = re.compile(r"#\s*Column\s+(\d+)(?:\s*-\s*(\d+))?\s*:\s*(.+?)\s*")
_NAMES: dict[str, tuple[str, ...]] = {
    "phi1, phi, phi2": ("phi1", "Phi", "phi2"), "x, y": ("x", "y"), "iq": ("IQ",), "ci": ("CI",),
    "fit": ("fit",), "grain id": ("grain ID",), "edge": ("edge",), "phase name": ("phase name",),
    "phase": ("phase",), "sem": ("SEM",),
}  # fmt: skip
"""How a description of a column begins, in lower case, and what it holds."""
_NEEDED = ("phi1", "Phi", "phi2", "x", "y")
_NO_MAP = {
    "integer identifying grain": "a list of grains (grain file type 2)",
    "right hand average orientation": "a list of reconstructed boundaries",
}


@dataclass(frozen=True)
class _Columns:
    """Names of the columns, and whether the file says that angles are in degrees."""

    names: list[str]
    degrees: bool


def sniff(_path: Path, head: bytes) -> bool:
    """Whether the file describes its columns as OIM's exports do."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    return text.startswith(b"#") and any(
        re.search(rb"#\s*column\s+1\b[^\n]*:\s*" + re.escape(start.encode()), text)
        for start in ("phi1, phi, phi2", *_NO_MAP)
    )


def read(path: Path, scan_name: str | None = None) -> RawMap:
    """Decode a grain file of type 1, or another list of points with its columns in the header.

    The file tells neither lattice nor symmetry. Phases are known by name, see
    `materials.recognise_name`; points that are not indexed as in .ang files.

    Raises
    ------
    FileFormatError
        When the file is damaged, or is a list of grains or boundaries.
    """
    text = split_header(path, lambda line: bool(line.strip()) and not _is_comment(line))
    columns = _columns(path, text)
    names = columns.names
    phases: dict[int, RawPhase] = {}
    if names[-1] == "phase name":
        text, phases = _numbered(text, len(names) - 1)
        names = [*names[:-1], "phase"]
    row = first_row(text)
    if len(row) != len(names):
        raise FileFormatError(
            path,
            f"the header describes {len(names)} columns, the rows have {len(row)}.",
            f"line {len(text.header) + 1}",
        )
    kinds = [FLOAT64 if n in _NEEDED else kind_of(v) for n, v in zip(names, row, strict=True)]
    kinds = [FLOAT32 if n in ("IQ", "CI", "fit") else k for n, k in zip(names, kinds, strict=True)]
    whole = {}
    if "phase" in names:
        kinds[names.index("phase")] = INT32
        whole = {names.index("phase"): "the phase"}
    table = parse_table(text, kinds, whole=whole, decimal_comma=True, remarks=True)
    column = named_columns(path, table, names)
    euler = np.stack([column[a] for a in _NEEDED[:3]], axis=-1)
    warnings: list[str] = []
    not_indexed = without_solution(column, np.radians(euler) if columns.degrees else euler)
    limit, unit = (720.0, "degrees") if columns.degrees else (4 * np.pi, "radians")
    refuse_angles(path, euler, not_indexed, limit + 1e-3, len(text.header), unit)
    phase = column.get("phase", np.ones(len(euler), np.int32))
    not_indexed |= phase < 0
    for number in np.unique(phase[~not_indexed])[:64].tolist():
        phases.setdefault(number, RawPhase(f"phase {number}"))
    note_missing_rows(table, None, "", warnings)
    return RawMap(
        path=path,
        format="oim",
        frame="edax",
        phases=phases,
        phase=phase,
        not_indexed=not_indexed,
        euler=np.radians(euler) if columns.degrees else euler,
        x=column["x"],
        y=column["y"],
        prop={n: v for n, v in column.items() if n not in (*_NEEDED, "phase")},
        units={"fit": "\N{DEGREE SIGN}"} if "fit" in column else {},
        warnings=warnings,
    )


def _is_comment(line: str) -> bool:
    return line.lstrip("\ufeff \t").startswith("#")


def _columns(path: Path, text: TextFile) -> _Columns:
    """What the columns hold, in order.

    Raises
    ------
    FileFormatError
        When the header describes no map.
    """
    found: list[str] = []
    degrees = False
    for at, line in enumerate(text.header, 1):
        match = _COLUMN.fullmatch(line.lstrip("\ufeff \t"))
        if match is None:
            continue
        words = match[3]
        what = next((w for start, w in _NO_MAP.items() if words.casefold().startswith(start)), "")
        if what:
            raise FileFormatError(
                path, f"this is {what}, not a map; export an .ang file or a grain file of type 1."
            )
        first, last = int(match[1]), int(match[2] or match[1])
        names = list(_meaning(words))
        if first != len(found) + 1 or last - first + 1 != len(names):
            raise FileFormatError(path, f"the columns {line!r} are out of order.", f"line {at}")
        found += (name if name not in found else f"{name} ({first})" for name in names)
        degrees |= "phi1" in names and "degrees" in words.casefold()
    missing = [name for name in _NEEDED if name not in found]
    if missing:
        raise FileFormatError(path, f"the header describes no column {', '.join(missing)}.")
    if "phase name" in found[:-1]:
        raise FileFormatError(path, "the column of phase names is not the last one.")
    return _Columns(found, degrees)


def _meaning(words: str) -> Iterator[str]:
    """Names of the columns that a description is of."""
    short = re.split(r"\s*\(", words)[0].strip()
    for start, names in _NAMES.items():
        if short.casefold() == start:
            yield from names
            return
    # Descriptions of several columns that are not known are taken apart at their commas.
    yield from (part.strip() or "unknown" for part in short.split(","))


def _numbered(text: TextFile, values: int) -> tuple[TextFile, dict[int, RawPhase]]:
    """The table with numbers from 1 in place of names after `values` numbers; -1: no name."""
    numbers: dict[bytes, bytes] = {b"": b"-1"}

    def number(match: re.Match[bytes]) -> bytes:
        name = match[2]
        return match[1] + b" " + numbers.setdefault(name, str(len(numbers)).encode())

    line = rb"(?m)^((?:[ \t]*[^\s#]\S*){%d})[ \t]*([^\r\n]*?)[ \t]*(?=\r?$)" % values
    table = re.sub(line, number, text.buffer[text.start :].tobytes())
    phases = {
        int(value): RawPhase(name.decode("utf-8", errors="replace"))
        for name, value in numbers.items()
        if name
    }
    return TextFile(text.path, text.header, np.frombuffer(table, dtype=np.uint8), 0), phases


FORMAT = Format("oim", "EDAX OIM points (grain file type 1, .txt)", (".txt",), sniff, read)
