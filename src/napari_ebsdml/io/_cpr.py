"""The .cpr file of a CHANNEL5 project: an INI file that describes the records of the .crc."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.io._phase_text import oxford_laue
from napari_ebsdml.io._raw import RawPhase

# Number in [Fields] -> name and type of the value in a record. Number 9 is never documented but
# takes one byte.
FIELDS = {
    1: ("X", "<f4"),
    2: ("Y", "<f4"),
    3: ("phi1", "<f4"),
    4: ("Phi", "<f4"),
    5: ("phi2", "<f4"),
    6: ("MAD", "<f4"),
    7: ("BC", "u1"),
    8: ("BS", "u1"),
    9: ("Unknown9", "u1"),
    10: ("Bands", "u1"),
    11: ("Error", "u1"),
    12: ("ReliabilityIndex", "<f4"),
}
_LAST_KNOWN = max(FIELDS)


@dataclass(frozen=True)
class Cpr:
    """Content of a .cpr file; section and key names in lower case without blanks.

    Parameters
    ----------
    path
    sections
        Section -> key -> (value, line number).
    header
        ``"Section.Key"`` as written -> value.
    """

    path: Path
    sections: dict[str, dict[str, tuple[str, int]]]
    header: dict[str, str]

    def text(self, section: str, key: str, default: str = "") -> str:
        """Value as text."""
        return self.sections.get(section, {}).get(key, (default, 0))[0]

    def number(self, section: str, key: str) -> float | None:
        """Value as a finite number, None where it is absent or empty.

        Raises
        ------
        FileFormatError
            When the value is no number.
        """
        value, line = self.sections.get(section, {}).get(key, ("", 0))
        if not value:
            return None
        try:
            # Some countries' settings write decimal commas.
            result = float(value.replace(",", "."))
        except ValueError:
            result = np.nan
        if not np.isfinite(result):
            raise FileFormatError(
                self.path, f"[{section}] {key} is {value[:40]!r}, not a number", f"line {line}"
            )
        return result

    def integer(self, section: str, key: str) -> int | None:
        """Value as a whole number, None where it is absent."""
        value = self.number(section, key)
        return None if value is None else int(value)

    def line(self, section: str, key: str) -> str | None:
        """Where the value stands, for messages."""
        line = self.sections.get(section, {}).get(key, ("", 0))[1]
        return f"line {line}" if line else None


def read_cpr(path: Path) -> Cpr:
    """Read a .cpr file.

    Raises
    ------
    FileFormatError
        When it cannot be opened or is no .cpr file.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FileFormatError(path, f"the file cannot be opened: {error.strerror}") from error
    text = content.decode("latin-1").removeprefix("ï»¿").replace("\x00", "")
    sections: dict[str, dict[str, tuple[str, int]]] = {}
    header: dict[str, str] = {}
    title = ""
    current: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped.startswith("[") and stripped.endswith("]"):
            title = stripped[1:-1].strip()
            current = sections.setdefault(_key(title), {})
        elif "=" in stripped and title and not stripped.startswith(";"):
            key, value = (part.strip() for part in stripped.split("=", 1))
            current[_key(key)] = (value, number)
            header[f"{title}.{key}"] = value
    for needed in ("fields", "job"):
        if not sections.get(needed):
            raise FileFormatError(
                path, f"there is no [{needed.capitalize()}] section; the file is damaged or no .cpr"
            )
    return Cpr(path, sections, header)


def _key(text: str) -> str:
    return "".join(text.lower().split())


def record_type(cpr: Cpr) -> np.dtype[Any]:
    """Type of one .crc record: the phase and then the fields in the order of the .cpr.

    Raises
    ------
    FileFormatError
        When a field is missing, unknown or listed twice.
    """
    count = cpr.integer("fields", "count")
    listed = [k for k in cpr.sections["fields"] if k.startswith("field") and k[5:].isdigit()]
    if count is None:
        count = len(listed)
    if not 1 <= count <= 200:
        raise FileFormatError(
            cpr.path,
            f"[Fields] Count is {count}; a record has at least one field",
            cpr.line("fields", "count"),
        )
    windows = cpr.integer("edxwindows", "count") or 0
    types: list[tuple[str, str]] = [("Phase", "u1")]
    extra = 0
    for k in range(1, count + 1):
        number = cpr.integer("fields", f"field{k}")
        where = cpr.line("fields", f"field{k}")
        if number is None:
            raise FileFormatError(cpr.path, f"[Fields] has Count={count} but no Field{k}", where)
        if number in FIELDS:
            name, kind = FIELDS[number]
        elif number > _LAST_KNOWN and extra < windows:
            # Counts of energy-dispersive X-ray windows follow the fixed fields, 4 bytes each.
            extra += 1
            name, kind = cpr.text("edxwindows", f"window{extra}") or f"EDX {extra}", "<f4"
        else:
            raise FileFormatError(
                cpr.path,
                f"Field{k}={number} is no field type that is known, so the records cannot be "
                "decoded; export the map as .ctf",
                where,
            )
        if name in (n for n, _ in types):
            if number <= _LAST_KNOWN:
                raise FileFormatError(
                    cpr.path, f"Field{k}={number} ({name}) is listed twice in [Fields]", where
                )
            name = f"{name} {number}"
            if name in (n for n, _ in types):
                name = f"{name} ({k})"
        types.append((name, kind))
    return np.dtype(types)


def phases(cpr: Cpr) -> tuple[dict[int, RawPhase], list[str]]:
    """Phases by their number, and warnings on those that are announced but not described."""
    count = cpr.integer("phases", "count")
    if count is None:
        count = sum(name[5:].isdigit() for name in cpr.sections if name.startswith("phase"))
    if not 0 <= count <= 255:
        raise FileFormatError(
            cpr.path,
            f"[Phases] Count is {count}; .crc files hold at most 255 phases",
            cpr.line("phases", "count"),
        )
    found: dict[int, RawPhase] = {}
    missing = []
    for k in range(1, count + 1):
        section = f"phase{k}"
        if section not in cpr.sections:
            missing.append(k)
            continue
        lengths = [cpr.number(section, key) for key in ("a", "b", "c")]
        angles = [cpr.number(section, key) for key in ("alpha", "beta", "gamma")]
        lattice = None
        if None not in lengths and None not in angles:
            lattice = tuple(value for value in lengths + angles if value is not None)
        found[k] = RawPhase(
            name=cpr.text(section, "structurename") or f"phase {k}",
            space_group=cpr.integer(section, "spacegroup") or None,
            laue=oxford_laue(cpr.integer(section, "lauegroup")),
            lattice=lattice,  # type: ignore[arg-type]
            formula=cpr.text(section, "composition"),
        )
    warnings = []
    if missing:
        numbers = ", ".join(map(str, missing))
        warnings.append(f"The .cpr announces {count} phases but does not describe {numbers}.")
    return found, warnings
