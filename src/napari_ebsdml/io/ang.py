"""EDAX/TSL text files (.ang), also as EMsoft, ASTAR, EMSphInx, MTEX and orix write them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.io._ang_columns import EDAX, NAMES
from napari_ebsdml.io._phase_text import edax_laue, modern_symbol
from napari_ebsdml.io._raw import Format, RawMap, RawPhase
from napari_ebsdml.io._text import (
    FLOAT32,
    FLOAT64,
    INT32,
    count_values,
    parse_table,
    split_header,
)
from napari_ebsdml.io._text_map import named_columns, note_missing_rows, refuse_angles

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

# Point groups as others write them; those that are also an EDAX code are left out.
_LAUE_OF_GROUP = {
    "-1": "-1", "m": "2/m", "2/m": "2/m", "121": "2/m", "222": "mmm", "mm2": "mmm", "mmm": "mmm",
    "-4": "4/m", "4/m": "4/m", "422": "4/mmm", "4mm": "4/mmm", "-42m": "4/mmm", "4/mmm": "4/mmm",
    "-3": "-3", "321": "-3m", "312": "-3m", "3m": "-3m", "-3m": "-3m", "-3m1": "-3m",
    "-6": "6/m", "6/m": "6/m", "622": "6/mmm", "6mm": "6/mmm", "-6m2": "6/mmm", "6/mmm": "6/mmm",
    "m-3": "m-3", "m3": "m-3", "432": "m-3m", "-43m": "m-3m", "m-3m": "m-3m", "m3m": "m-3m",
}  # fmt: skip

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
    phases, header, column_line = _parse_header(path, lines)
    writer = _writer(lines, phases)
    warnings: list[str] = []
    n_columns = count_values(text)
    names = _column_names(path, writer, n_columns, column_line, warnings)
    kinds = [FLOAT64 if name in _NEEDED else FLOAT32 for name in names]
    phase_column = names.index("phase")
    kinds[phase_column] = INT32
    table = parse_table(text, kinds, whole={phase_column: "the phase"})
    column = named_columns(path, table, names)
    euler = np.stack([column[a] for a in _NEEDED[:3]], axis=-1)
    phase = column["phase"]
    not_indexed = _not_indexed(writer, column, euler, phase)
    phase = _number_phases(phase, phases, writer, not_indexed, warnings)
    remedy = "; .ang files have radians, convert them from degrees"
    refuse_angles(path, euler, not_indexed, _FOUR_PI + 1e-3, len(lines), "radians", remedy)

    x, y = column["x"], column["y"]
    step = (_number(header, "YSTEP"), _number(header, "XSTEP"))
    if writer == "astar":
        # Lengths are in nm, as orix reads these files.
        x, y, step = x / 1000, y / 1000, (step[0] / 1000, step[1] / 1000)
        warnings.append("ASTAR does not document its frame; that of EDAX is assumed.")
    shape, expected = _declared_size(header)
    note_missing_rows(table, expected, _describe_size(header), warnings)
    grid = str(header.get("GRID", "")).casefold()
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
        header={"writer": writer, **header},
        warnings=warnings,
    )


def _is_comment(line: str) -> bool:
    return line.lstrip("\ufeff \t").startswith("#")


def _parse_header(
    path: Path, lines: list[str]
) -> tuple[dict[int, RawPhase], dict[str, Any], list[str]]:
    """Phases, everything else by its name, and the names of the columns, if given."""
    phases: dict[int, RawPhase] = {}
    header: dict[str, Any] = {}
    columns: list[str] = []
    current: RawPhase | None = None
    numbered = False
    in_notes = False
    for number, line in enumerate(lines, 1):
        if match := re.match(r"(COLUMN_)?NOTES:\s*(Start|End)", line):
            in_notes = match[2] == "Start"
            continue
        if in_notes or not line:
            continue
        if match := re.fullmatch(r"Phase\s+(\d+)", line):
            current = phases[int(match[1])] = RawPhase("")
            numbered = True
            continue
        key, value = _key_value(line)
        if key == "MaterialName" and not numbered:
            current = phases[max(phases, default=0) + 1] = RawPhase("")
        numbered = numbered and key != "MaterialName"
        if key in ("COLUMN_HEADERS", "Column names"):
            columns = [name.strip() for name in value.split(",")]
        elif current is not None and _set_phase(path, number, current, key, value):
            continue
        elif not key.startswith(("hklFamilies", "ElasticConstants", "Categories")):
            header.setdefault(key, _value(value))
    for number, phase in phases.items():
        phase.name = phase.name or phase.formula or f"phase {number}"
    return phases, header, columns


def _key_value(line: str) -> tuple[str, str]:
    if match := re.match(r"(Column names|[^\s:]+):?\s*(.*)", line):
        return match[1], match[2].strip().rstrip("#").strip()
    return line, ""


def _set_phase(path: Path, line: int, phase: RawPhase, key: str, value: str) -> bool:
    """Put a line of a phase's block into `phase`; False when it says something else."""
    if key == "MaterialName":
        phase.name = value
    elif key == "Formula":
        phase.formula = value
    elif key == "Symmetry":
        code = edax_laue(value)
        phase.laue = code or _LAUE_OF_GROUP.get(value)
        if code is None and value in _LAUE_OF_GROUP:
            phase.point_group = modern_symbol(value)
        elif phase.laue is None and value:
            phase.point_group = value
    elif key == "LatticeConstants":
        try:
            lattice = tuple(float(v.replace(",", ".")) for v in value.split())
        except ValueError:
            lattice = ()
        if len(lattice) != 6:
            raise FileFormatError(
                path,
                f"LatticeConstants needs six numbers, not {value!r}.",
                f"line {line}",
            )
        a, b, c, alpha, beta, gamma = lattice
        phase.lattice = (a, b, c, alpha, beta, gamma)
    else:
        return key in ("Info", "NumberFamilies")
    return True


def _value(text: str) -> Any:
    try:
        return float(text) if re.search(r"[.eE]", text) else int(text)
    except ValueError:
        return text


def _number(header: dict[str, Any], key: str) -> float:
    value = header.get(key)
    return float(value) if isinstance(value, int | float) else 0.0


def _writer(lines: list[str], phases: dict[int, RawPhase]) -> str:
    everything = "\n".join(lines)
    if "EMsoft" in everything:
        return "emsoft"
    if "ACOM" in everything:
        return "astar"
    if "Column names: phi1, Phi, phi2" in everything:
        return "orix"
    names_nothing = all(re.match(r"phase \d+$", phase.name) for phase in phases.values())
    if phases and names_nothing and "VERSION" not in everything and "hklFamilies" not in everything:
        return "emsphinx"
    return "edax"


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
        # EDAX marks points without a solution by Euler angles of 4 pi, in 5 digits.
        marked = np.abs(euler[:, 0] - _FOUR_PI) < 1e-3
        if marked.any():
            out |= marked & (np.abs(euler[:, 1:] - _FOUR_PI) < 1e-3).all(axis=1)
        if "CI" in column:
            out |= column["CI"] <= -1
        if "fit" in column:
            out |= column["fit"] == 180
    return out


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


def _declared_size(header: dict[str, Any]) -> tuple[tuple[int, int] | None, int | None]:
    rows, odd = int(_number(header, "NROWS")), int(_number(header, "NCOLS_ODD"))
    even = int(_number(header, "NCOLS_EVEN")) or odd
    if min(rows, odd, even) <= 0:
        return None, None
    return (rows, odd), (rows - rows // 2) * odd + rows // 2 * even


def _describe_size(header: dict[str, Any]) -> str:
    odd, even = header.get("NCOLS_ODD"), header.get("NCOLS_EVEN")
    return f"{header.get('NROWS')} rows x {odd}{'' if odd == even else f' or {even}'} columns"


def write(path: Path, scan: Scan) -> None:
    """Write a map as an .ang file; see `napari_ebsdml.io._ang_write.write_ang`."""
    from napari_ebsdml.io._ang_write import write_ang

    write_ang(path, scan)


FORMAT = Format("ang", "EDAX/TSL text (.ang)", (".ang",), sniff, read, write=write)
