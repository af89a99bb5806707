"""Channel text files (.ctf) of Oxford/HKL, and as Bruker, ASTAR, EMsoft and MTEX write them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import FileFormatError, UnsupportedFormatError
from napari_ebsdml.io._ctf_write import TITLES, write_ctf
from napari_ebsdml.io._grid import refuse_point_list
from napari_ebsdml.io._phase_text import oxford_laue
from napari_ebsdml.io._raw import Format, RawMap, RawPhase
from napari_ebsdml.io._text import (
    FLOAT32,
    FLOAT64,
    INT32,
    UINT8,
    NoRowsError,
    Table,
    first_row,
    kind_of,
    parse_table,
    split_header,
)
from napari_ebsdml.io._text_map import named_columns, note_missing_rows, refuse_angles
from napari_ebsdml.io._text_write import without_unit
from napari_ebsdml.io.provenance import KEY

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

_NEEDED = ("Phase", "X", "Y", "Euler1", "Euler2", "Euler3")
_KINDS = {"Phase": INT32, "Bands": UINT8, "Error": UINT8, "BC": UINT8, "BS": UINT8}
# This package as a writer of files.
OWN = "napari-ebsdml"
_NUMBERS = ("XCells", "YCells", "ZCells", "XStep", "YStep", "AcqE1", "AcqE2", "AcqE3")
# EMsoft puts other quantities into the columns, and says so in its header.
_EMSOFT_NAMES = {"Bands": "pattern_index", "MAD": "DP", "BC": "OSM", "BS": "IQ"}


def sniff(path: Path, head: bytes) -> bool:
    """Whether the file begins as a Channel text file does."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith(b"Channel Text File") or (
        path.suffix.lower() == ".ctf" and b"XCells" in text and b"XStep" in text
    )


def read(path: Path, scan_name: str | None = None) -> RawMap:
    """Decode a .ctf file. Points of phase 0 are not indexed.

    Raises
    ------
    FileFormatError
        When the file is damaged; the message names the line.
    UnsupportedFormatError
        When the file holds a volume.
    """
    names: list[str] = []
    titles_seen = False

    def after_titles(line: str) -> bool:
        nonlocal titles_seen
        if titles_seen and line.strip():
            return True
        words = [word.strip() for word in line.split("\t" if "\t" in line.strip() else None)]
        words = [word.lstrip("\ufeff") for word in words if word]
        if {"phase", "euler1"} <= {word.casefold() for word in words}:
            titles_seen = True
            names.extend(words)
        return False

    try:
        text = split_header(path, after_titles)
    except NoRowsError:
        if titles_seen:
            raise
        reason = "no line names the columns (Phase, X, Y, ... Euler1 ...); the file is cut off."
        raise FileFormatError(path, reason) from None
    lines = [line.lstrip("\ufeff") for line in text.header]
    header, phases, warnings = _parse_header(path, lines)
    names = _column_names(path, names, len(text.header))
    writer = _writer(lines)
    units: dict[str, str] = {}
    if writer == OWN:
        pairs = [without_unit(name) for name in names]
        names, units = [name for name, _ in pairs], dict(pairs)
    # Some programs name all columns and leave the last ones out, or all behind the Euler angles.
    row = first_row(text)
    needed = 1 + max(names.index(name) for name in _NEEDED)
    present = names[: max(len(row), needed)]
    if len(present) < len(names) and len(row) != 8:
        absent = ", ".join(names[len(present) :])
        warnings.append(
            f"The header names {len(names)} columns and the rows have {len(row)} values: {absent} "
            "is taken to be left out."
        )
    kinds = [FLOAT64 if n in _NEEDED else FLOAT32 for n in present]
    kinds = [_KINDS.get(name, kind) for name, kind in zip(present, kinds, strict=True)]
    if writer == OWN:
        further = range(len(TITLES), min(len(present), len(row)))
        kinds = [kind_of(row[i]) if i in further else kind for i, kind in enumerate(kinds)]
    table = parse_table(
        text, kinds, whole={present.index("Phase"): "the phase"}, decimal_comma=True
    )
    column = named_columns(path, table, present)
    phase = column["Phase"]
    euler = np.stack([column[name] for name in _NEEDED[3:]], axis=-1)
    not_indexed = phase <= 0
    refuse_angles(path, euler, not_indexed, 720, len(lines), "degrees")
    _warn_of_radians(euler, not_indexed, warnings)
    np.deg2rad(euler, out=euler)

    cells = (int(header.get("YCells", 0)), int(header.get("XCells", 0)))
    if header.get("ZCells", 1) > 1:
        raise UnsupportedFormatError(
            path, f"a volume of {header['ZCells']:g} slices; export each slice to a file."
        )
    expected = cells[0] * cells[1] or None
    note_missing_rows(table, expected, f"{cells[0]} x {cells[1]} cells", warnings)
    step = (float(header.get("YStep", 0)), float(header.get("XStep", 0)))
    _warn_of_frames(writer, header, phases, warnings)
    x, y = _coordinates(column, table, cells, step)
    if not expected and str(header.get("JobMode", "")).casefold() == "interactive":
        refuse_point_list(path, x, y, "JobMode Interactive")
    rename = _EMSOFT_NAMES if writer == "emsoft" else {}
    return RawMap(
        path=path,
        format="ctf",
        # All writers of .ctf aim at HKL's frames: MTEX takes x || a* for every one (its
        # loadEBSD_ctf, and its notes on Bruker); EMsoft turns its angles by -90 and, for
        # hexagonal phases, -30 degrees "from TSL to Oxford convention" (its mod_vendors).
        frame="oxford",
        phases=phases,
        phase=phase,
        not_indexed=not_indexed,
        euler=euler,
        x=x,
        y=y,
        shape=cells if min(cells) > 0 else None,
        step=step if min(step) > 0 else None,
        hexagonal=None,
        prop={rename.get(n, n): v for n, v in column.items() if n not in _NEEDED},
        units=units,
        header={"writer": writer, **header},
        warnings=warnings,
    )


def _column_names(path: Path, names: list[str], line: int) -> list[str]:
    known = {name.casefold(): name for name in (*_NEEDED, "Bands", "Error", "MAD", "BC", "BS")}
    out = [known.get(name.casefold(), name) for name in names]
    missing = [name for name in _NEEDED if name not in out]
    if missing or len(set(out)) < len(out):
        reason = f"lacks {', '.join(missing)}" if missing else "has a name twice"
        where = f"before line {line + 1}"
        raise FileFormatError(path, f"the line of column names {reason}.", where)
    return out


def _parse_header(
    path: Path, lines: list[str]
) -> tuple[dict[str, Any], dict[int, RawPhase], list[str]]:
    header: dict[str, Any] = {}
    phases: dict[int, RawPhase] = {}
    warnings: list[str] = []
    skip_to = 0
    for number, line in enumerate(lines, 1):
        if number <= skip_to:
            continue
        key, *values = [part.strip() for part in line.split("\t")]
        if not values and (match := re.match(r"(\w+)\s+(.*)", key)):
            key, values = match[1], [match[2].strip()]
        if key == "Phases":
            count = _whole(path, number, key, values[0] if values else "")
            skip_to = number + count
            if skip_to > len(lines):
                raise FileFormatError(
                    path, f"{count} phases are announced, but the header ends.", f"line {number}"
                )
            for i in range(count):
                phases[i + 1] = _parse_phase(path, number + i + 1, lines[number + i], warnings)
        elif key.startswith("Euler angles refer"):
            header["Euler angles"] = key
            header.update(
                (name, _number_or_text(value))
                for name, value in zip(values[::2], values[1::2], strict=False)
                if name
            )
        elif key in _NUMBERS:
            value = _number_or_text(values[0] if values else "")
            if isinstance(value, str) or not np.isfinite(value):
                raise FileFormatError(path, f"{key} must be a number, not {value!r}.",
                                      f"line {number}")  # fmt: skip
            header[key] = value
        elif values and key not in ("", "Phase", "Channel"):
            header.setdefault(key, values[0])
    author, mark, text = str(header.get("Author", "")).partition(f"{KEY}: {{")
    if mark:
        header["Author"], header[KEY] = author.removesuffix(" | "), "{" + text
    return header, phases, warnings


def _whole(path: Path, line: int, key: str, text: str) -> int:
    if not re.fullmatch(r"\d{1,4}", text):
        raise FileFormatError(
            path, f"{key} must be followed by a whole number, not {text!r}.", f"line {line}"
        )
    return int(text)


def _number_or_text(text: str) -> float | str:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return text


def _parse_phase(path: Path, number: int, line: str, warnings: list[str]) -> RawPhase:
    """A line ``a;b;c <tab> alpha;beta;gamma <tab> name <tab> Laue class <tab> space group ...``."""
    parts = [part.strip() for part in line.split("\t")]
    try:
        lattice = [float(v.replace(",", ".")) for part in parts[:2] for v in part.split(";")]
        a, b, c, alpha, beta, gamma = lattice
        name = parts[2]
        laue = int(parts[3]) if len(parts) > 3 and parts[3] else 0
        space_group = int(parts[4]) if len(parts) > 4 and parts[4] else 0
    except (ValueError, IndexError):
        raise FileFormatError(
            path,
            "a phase needs a;b;c, alpha;beta;gamma, a name, a Laue group and a space group, "
            f"with tabs between, not {line[:80]!r}.",
            f"line {number}",
        ) from None
    if match := re.match(r"_mineral\s+'([^']+)'", name):  # ASTAR
        name = match[1]
    laue_class = oxford_laue(laue)
    if laue_class is None:
        warnings.append(f"Phase {name!r}: there is no Laue group {laue}; it is left out.")
    return RawPhase(
        name,
        space_group=space_group or None,
        laue=laue_class,
        lattice=(a, b, c, alpha, beta, gamma),
    )


def _writer(lines: list[str]) -> str:
    everything = "\n".join(lines)
    for mark, name in (
        ("EMsoft v", "emsoft"),
        ("ACOM RES", "astar"),
        ("Created from mtex", "mtex"),
        (OWN, OWN),
    ):
        if mark in everything:
            return name
    return "oxford or bruker"


def _warn_of_radians(
    euler: NDArray[np.float64], not_indexed: NDArray[np.bool_], warnings: list[str]
) -> None:
    largest = np.abs(euler).max(axis=0)
    indexed = int(np.count_nonzero(~not_indexed))
    if indexed >= 100 and (largest < (6.29, 3.15, 6.29)).all() and largest.max() > 1:
        warnings.append(
            "All Euler angles are below 2 pi: they may be in radians, but a .ctf file has degrees, "
            "and they were read as such."
        )


def _coordinates(
    column: dict[str, NDArray[Any]], table: Table, cells: tuple[int, int], step: tuple[float, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coordinates free of rounding where the header's grid explains them.

    Bruker and ASTAR round coordinates to few digits: 0.0019 for a step of 0.00192.
    """
    x, y = column["X"], column["Y"]
    rows, columns = cells
    if rows * columns != table.rows or min(*step, *cells) <= 0:
        return x, y
    off = []
    for values, size, delta, at in (
        (x.reshape(cells)[0], columns, step[1], x[0]),
        (y.reshape(cells)[:, 0], rows, step[0], y[0]),
    ):
        deviation = np.abs(values - at - delta * np.arange(size)).max()
        if not deviation < 0.5 * delta:
            return x, y
        off.append(deviation / delta)
    if max(off) < 0.02:
        return x, y
    exact_y, exact_x = np.indices(cells, dtype=np.float64)
    exact_x = x[0] + step[1] * exact_x.ravel()
    exact_y = y[0] + step[0] * exact_y.ravel()
    in_order = (np.abs(x - exact_x) < 0.5 * step[1]) & (np.abs(y - exact_y) < 0.5 * step[0])
    return (exact_x, exact_y) if in_order.all() else (x, y)


def _warn_of_frames(
    writer: str, header: dict[str, Any], phases: dict[int, RawPhase], warnings: list[str]
) -> None:
    acquisition = [header.get(f"AcqE{i}", 0.0) for i in (1, 2, 3)]
    if any(acquisition):
        angles = ", ".join(f"{angle:g}" for angle in acquisition)
        warnings.append(
            f"The acquisition surface is turned by Euler angles {angles} degrees (AcqE1-3). A .ctf "
            "file's orientations refer to CS0 and are taken as they stand; check the frame."
        )
    oblique = [p.name for p in phases.values() if p.laue in ("-1", "2/m")]
    trigonal = [p.name for p in phases.values() if p.laue in ("-3", "-3m")]
    hexagonal = [p.name for p in phases.values() if p.laue in ("6/m", "6/mmm")]
    if writer == "astar" and (turned := oblique + trigonal + hexagonal):
        warnings.append(
            "ASTAR does not document its frames; those of Oxford are assumed, which matters for "
            f"the crystal axes of {', '.join(turned)}."
        )
    if writer == "emsoft" and (turned := oblique + trigonal):
        warnings.append(
            "EMsoft turns only hexagonal crystals into Oxford's axes (x along a*, z along c): "
            f"check {', '.join(turned)}."
        )


def write(path: Path, scan: Scan) -> None:
    """Write a map as a .ctf file; see `napari_ebsdml.io._ctf_write.write_ctf`."""
    write_ctf(path, scan)


FORMAT = Format("ctf", "Oxford/HKL Channel text (.ctf)", (".ctf",), sniff, read, write=write)
