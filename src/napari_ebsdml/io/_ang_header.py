"""The header of an .ang file: phases, grid, names of columns, and who wrote it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.io._phase_text import edax_symmetry
from napari_ebsdml.io._raw import RawPhase
from napari_ebsdml.io._text_write import without_unit

OWN_MARK = "Written by napari-ebsdml"
"""What the package writes into the remarks on a phase."""

# Lines of a phase's block that are left out.
_SKIPPED = ("hklFamilies", "ElasticConstants", "Categories")


@dataclass
class AngHeader:
    """What the header says.

    Attributes
    ----------
    writer
        "edax", "emsoft", "astar", "orix" or "emsphinx".
    phases
        By their number.
    entries
        Everything else by its name.
    columns
        Names of the columns; empty when it names none.
    notes
        Names and units of columns by their number, from 1, as this package writes them.
    is_own
        Whether this package wrote the file: it marks every point that is not indexed.
    warnings
    """

    writer: str = "edax"
    phases: dict[int, RawPhase] = field(default_factory=dict)
    entries: dict[str, Any] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    notes: dict[int, tuple[str, str]] = field(default_factory=dict)
    is_own: bool = False
    warnings: list[str] = field(default_factory=list)

    def number(self, key: str) -> float:
        """An entry that is a number; 0 when there is none."""
        value = self.entries.get(key)
        return float(value) if isinstance(value, int | float) else 0.0

    @property
    def size(self) -> tuple[tuple[int, int] | None, int | None]:
        """(rows, columns) and number of points, None where the header does not tell."""
        rows, odd = int(self.number("NROWS")), int(self.number("NCOLS_ODD"))
        even = int(self.number("NCOLS_EVEN")) or odd
        if min(rows, odd, even) <= 0:
            return None, None
        return (rows, odd), (rows - rows // 2) * odd + rows // 2 * even

    @property
    def size_in_words(self) -> str:
        """The size as the header has it."""
        odd, even = self.entries.get("NCOLS_ODD"), self.entries.get("NCOLS_EVEN")
        columns = f"{odd}" if odd == even else f"{odd} or {even}"
        return f"{self.entries.get('NROWS')} rows x {columns} columns"


def parse_header(path: Path, lines: list[str]) -> AngHeader:
    """Decode header lines, which come without their "#".

    Raises
    ------
    FileFormatError
        When a lattice is not six numbers.
    """
    header = AngHeader()
    phases = header.phases
    symmetry: dict[int, dict[str, str]] = {}
    current: int | None = None
    numbered = False
    in_notes = False
    for number, line in enumerate(lines, 1):
        if match := re.match(r"(COLUMN_)?NOTES:\s*(Start|End)", line):
            in_notes = match[2] == "Start"
            continue
        if match := re.fullmatch(r"Column (\d+): (.+)", line) if in_notes else None:
            header.notes[int(match[1])] = without_unit(match[2])
        if in_notes or not line:
            continue
        if match := re.fullmatch(r"Phase\s+(\d+)", line):
            current, numbered = int(match[1]), True
            phases[current] = RawPhase("")
            continue
        key, value = _key_value(line)
        if key == "MaterialName" and not numbered:
            current = max(phases, default=0) + 1
            phases[current] = RawPhase("")
        numbered = numbered and key != "MaterialName"
        if key in ("COLUMN_HEADERS", "Column names"):
            header.columns = [name.strip() for name in value.split(",")]
        elif current is not None and key in ("Symmetry", "PointGroupID"):
            symmetry.setdefault(current, {})[key] = value
        elif current is not None and _set_phase(path, number, phases[current], key, value):
            continue
        elif not key.startswith(_SKIPPED):
            header.entries.setdefault(key, _value(value))
    for number, phase in phases.items():
        phase.name = phase.name or phase.formula or f"phase {number}"
        codes = symmetry.get(number, {})
        phase.point_group, phase.laue, problem = edax_symmetry(
            codes.get("Symmetry"), codes.get("PointGroupID")
        )
        if problem:
            header.warnings.append(f"Phase {phase.name!r}: {problem}.")
    header.writer = _writer(lines, phases)
    header.is_own = any(line.endswith(OWN_MARK) for line in lines)
    return header


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
    if re.fullmatch(r"[-+]?\d+,\d+", text):
        text = text.replace(",", ".")
    try:
        return float(text) if re.search(r"[.eE]", text) else int(text)
    except ValueError:
        return text


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
