"""EDAX/TSL text files (.ang), also as EMsoft, ASTAR, EMSphInx, MTEX and orix write them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.io._ang_columns import EDAX, NAMES, without_solution
from napari_ebsdml.io._ang_header import AngHeader, parse_header
from napari_ebsdml.io._raw import Format, RawMap, RawPhase
from napari_ebsdml.io._text import (
    FLOAT32,
    FLOAT64,
    INT32,
    Table,
    TextFile,
    first_row,
    kind_of,
    parse_table,
    split_header,
    with_numbers,
)
from napari_ebsdml.io._text_map import named_columns, note_missing_rows, refuse_angles

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

_COLUMNS = {
    "edax": EDAX,
    "emsphinx": EDAX,
    "orix": EDAX,
    # Columns as EMsoft's ang writer and orix's ang reader name them.
    "emsoft": ["phi1", "Phi", "phi2", "x", "y", "IQ", "DP", "phase"],
    "astar": ["phi1", "Phi", "phi2", "x", "y", "ind", "rel", "phase", "relx100"],
}
_NEEDED = ("phi1", "Phi", "phi2", "x", "y", "phase")
_FOUR_PI = 4 * np.pi


def sniff(path: Path, head: bytes) -> bool:
    """Whether the file begins as an .ang file does."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"#"):
        keys = (b"x-star", b"MaterialName", b"TEM_PIXperUM", b"ACOM RES", b"GRID:", b"Column names")
        return path.suffix.lower() == ".ang" or any(key in head for key in keys)
    # Some programs leave the header out; then only the name tells.
    return path.suffix.lower() == ".ang" and len(text[:400].split(b"\n")[0].split()) >= 8


def read(path: Path, scan_name: str | None = None) -> RawMap:
    """Decode an .ang file.

    Points count as not indexed by EDAX's rules (CI of -1, Euler angles of 4 pi, fit of 180) or
    when they belong to no phase; EMsoft and ASTAR give every point an orientation.

    Raises
    ------
    FileFormatError
        When the file is damaged; the message names the line.
    """
    text = split_header(path, lambda line: bool(line.strip()) and not _is_comment(line))
    lines = [line.lstrip("\ufeff").lstrip().removeprefix("#").strip() for line in text.header]
    header = parse_header(path, lines)
    writer, phases, warnings = header.writer, header.phases, header.warnings
    try:
        names, units, table = _parse(path, text, header)
    except FileFormatError:
        numbered = _numbered(text, header)
        if np.array_equal(numbered.buffer, text.buffer[text.start :]):
            raise
        names, units, table = _parse(path, numbered, header)
    column = named_columns(path, table, names)
    euler = np.stack([column[a] for a in _NEEDED[:3]], axis=-1)
    phase = column["phase"]
    not_indexed = _not_indexed(writer, column, euler, phase)
    if not header.is_own:
        not_indexed |= _zero_filled(column, euler, phase, not_indexed, warnings)
    phase = _number_phases(phase, phases, writer, not_indexed, warnings)
    remedy = "; .ang files have radians, convert them from degrees"
    refuse_angles(path, euler, not_indexed, _FOUR_PI + 1e-3, len(lines), "radians", remedy)

    x, y = column["x"], column["y"]
    step = (header.number("YSTEP"), header.number("XSTEP"))
    if writer == "astar":
        # Lengths are in nm, as orix reads these files.
        x, y, step = x / 1000, y / 1000, (step[0] / 1000, step[1] / 1000)
        warnings.append("ASTAR does not document its frame; that of EDAX is assumed.")
    shape, expected = header.size
    note_missing_rows(table, expected, header.size_in_words, warnings)
    grid = str(header.entries.get("GRID", "")).casefold()
    return RawMap(
        path=path,
        format="ang",
        # EMsoft computes in TSL's frame too (EMsoft issue 155); orix and MTEX write it.
        frame="edax",
        phases=phases,
        phase=phase,
        not_indexed=not_indexed,
        euler=euler,
        x=x,
        y=y,
        shape=shape,
        step=step if min(step) > 0 else None,
        hexagonal=True if "hex" in grid else False if "sqr" in grid else None,
        prop={name: values for name, values in column.items() if name not in _NEEDED},
        units=units,
        header={"writer": writer, **header.entries},
        warnings=warnings,
    )


def _parse(
    path: Path, text: TextFile, header: AngHeader
) -> tuple[list[str], dict[str, str], Table]:
    """Names of the columns, units of those that have one, and the columns."""
    row = first_row(text)
    names = _column_names(path, header.writer, len(row), header.columns, header.warnings)
    kinds = [FLOAT64 if name in _NEEDED else FLOAT32 for name in names]
    units = {}
    if header.is_own:
        for number, (name, unit) in header.notes.items():
            if len(EDAX) < number <= len(names):
                names[number - 1], kinds[number - 1] = name, kind_of(row[number - 1])
                units[name] = unit
    phase_column = names.index("phase")
    kinds[phase_column] = INT32
    table = parse_table(
        text, kinds, whole={phase_column: "the phase"}, decimal_comma=True, remarks=True
    )
    return names, units, table


def _numbered(text: TextFile, header: AngHeader) -> TextFile:
    """The table with numbers where a phase is given by its name, as MTEX takes it."""
    numbers = {phase.name: number for number, phase in header.phases.items()}
    return with_numbers(text, {"notIndexed": -1, **numbers})


def _is_comment(line: str) -> bool:
    return line.lstrip("\ufeff \t").startswith("#")


def _column_names(
    path: Path, writer: str, n: int, listed: list[str], warnings: list[str]
) -> list[str]:
    if listed:
        known = [NAMES.get(name.casefold(), name) for name in listed]
        complete = all(name in known for name in _NEEDED) and all(known)
        if len(known) == n and complete and len(set(known)) == n:
            return known
        warnings.append(
            f"The header names {len(listed)} columns and the rows have {n} values; "
            "EDAX's order of columns is assumed."
        )
    names = list(_COLUMNS[writer])
    if writer == "emsoft" and n == 10:  # EMsoft's later writers follow EDAX
        names = list(EDAX)
    if n < 8:
        raise FileFormatError(
            path,
            f"rows have {n} values; an .ang file has at least 8 "
            "(phi1, Phi, phi2, x, y, IQ, CI, phase).",
        )
    return names[:n] + [f"unknown{i + 1}" for i in range(n - len(names))]


def _not_indexed(
    writer: str, column: dict[str, NDArray[Any]], euler: NDArray[np.float64], phase: NDArray[Any]
) -> NDArray[np.bool_]:
    out: NDArray[np.bool_] = phase < 0
    if writer in ("edax", "orix"):
        out |= without_solution(column, euler)
    return out


def _zero_filled(
    column: dict[str, NDArray[Any]],
    euler: NDArray[np.float64],
    phase: NDArray[Any],
    not_indexed: NDArray[np.bool_],
    warnings: list[str],
) -> NDArray[np.bool_]:
    """Points for which MTEX's export, or EMSphInx outside its region, had only zeros to write.

    A column that is the same everywhere, such as the detector signal that MTEX makes up, tells
    nothing. Where all of them are, as in a made-up map, an orientation of 0 is one.
    """
    empty = (phase == 0) & ~not_indexed
    empty[empty] = ~euler[empty].any(axis=1)
    rest = ~empty & ~not_indexed
    if not empty.any() or not rest.any():
        return np.zeros_like(empty)
    telling = [
        values
        for name, values in column.items()
        if name not in _NEEDED and (values[rest] != 0).mean() > 0.5 and (values != values[0]).any()
    ]
    for values in telling:
        empty &= values == 0
    if not telling or not empty.any():
        return np.zeros_like(empty)
    warnings.append(
        f"{int(empty.sum())} points have 0 in every column, as MTEX writes where it has no data; "
        "they count as not indexed."
    )
    return empty


def _number_phases(
    phase: NDArray[np.int32],
    phases: dict[int, RawPhase],
    writer: str,
    not_indexed: NDArray[np.bool_],
    warnings: list[str],
) -> NDArray[np.int32]:
    """Phases by the header's numbers; phase 0 has a meaning only where all points have it."""
    used = phase[~not_indexed]
    if not phases:
        for number in np.unique(used)[:64].tolist():
            phases[number] = RawPhase(f"phase {number}")
        warnings.append("The header describes no phase.")
        return phase
    if writer == "emsphinx":
        # EMSphInx counts phases from 0; larger numbers mean that there is no solution.
        not_indexed |= phase >= len(phases)
        return np.asarray([*sorted(phases), -1], dtype=np.int32)[np.clip(phase, -1, len(phases))]
    if not used.size or used.min() > 0 or 0 in phases:
        return phase
    if used.max() == 0 and len(phases) == 1:
        # "Phase index: 0 for single phase, starting at 1 for multiphase" (OIM's own header).
        return np.where(phase == 0, next(iter(phases)), phase).astype(np.int32)
    if used.max() == 0:
        warnings.append(
            f"All points have phase 0 although the header describes {len(phases)} phases; "
            "they count as not indexed."
        )
    not_indexed |= phase == 0
    return phase


def write(path: Path, scan: Scan) -> None:
    """Write a map as an .ang file; see `napari_ebsdml.io._ang_write.write_ang`."""
    from napari_ebsdml.io._ang_write import write_ang

    write_ang(path, scan)


FORMAT = Format("ang", "EDAX/TSL text (.ang)", (".ang",), sniff, read, write=write)
