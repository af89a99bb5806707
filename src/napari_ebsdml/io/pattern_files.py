"""Pattern files without orientations: EDAX .up1/.up2, Oxford .ebsp, NORDIF .dat.

Layouts: kikuchipy's readers, with which the tests compare. Only headers are read here; patterns
stay in their file.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import numpy as np

from napari_ebsdml.errors import FileFormatError, UnsupportedFormatError
from napari_ebsdml.io._detector import camera_of_file
from napari_ebsdml.io._ebsp import read_ebsp, sniff_ebsp
from napari_ebsdml.io._lazy_patterns import BinaryPatterns, lazy
from napari_ebsdml.io._raw import Format, RawMap

_UP_TYPES: dict[str, np.dtype[Any]] = {".up1": np.dtype("u1"), ".up2": np.dtype("<u2")}
# AZtec 5.5 and later write unprocessed patterns to .uebsp, in the same layout.
_EBSP = (".ebsp", ".uebsp")
# No detector has more pixels along an edge.
_LARGEST_EDGE = 10_000


def sniff(path: Path, head: bytes) -> bool:
    """Whether the file is one of these; none has a signature, so the header must make sense."""
    suffix = path.suffix.lower()
    if suffix in _UP_TYPES:
        if len(head) < 16:
            return False
        version, width, height, offset = struct.unpack("<4I", head[:16])
        return bool(
            1 <= version < 100
            and 0 < width <= _LARGEST_EDGE
            and 0 < height <= _LARGEST_EDGE
            and 16 <= offset < 1 << 20
        )
    if suffix in _EBSP:
        return sniff_ebsp(head)
    return suffix == ".dat" and bool(head) and _setting_file(path) is not None


def read(path: Path, scan_name: str | None = None) -> RawMap:
    """Read the header of a pattern file.

    Raises
    ------
    FileFormatError
        When the file is shorter than its header says, or the header makes no sense.
    UnsupportedFormatError
        When the patterns are compressed, or the version cannot be decoded.
    """
    suffix = path.suffix.lower()
    try:
        if suffix in _UP_TYPES:
            return _read_up(path, _UP_TYPES[suffix])
        if suffix in _EBSP:
            return read_ebsp(path)
        return _read_nordif(path)
    except OSError as error:
        raise FileFormatError(path, f"the file cannot be opened: {error.strerror}") from error


def _read_up(path: Path, dtype: np.dtype[Any]) -> RawMap:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(42)
    if len(head) < 16:
        raise FileFormatError(path, f"the file has only {size} bytes; the header is cut off")
    version, width, height, offset = struct.unpack("<4I", head[:16])
    if version == 2:
        raise UnsupportedFormatError(path, "version 2 of this format is not documented")
    pattern_bytes = width * height * dtype.itemsize
    if pattern_bytes == 0 or max(width, height) > _LARGEST_EDGE or offset > size:
        raise FileFormatError(
            path,
            f"the header speaks of {width} x {height} pixels from byte {offset} on, in a file of "
            f"{size} bytes",
            "bytes 5-16",
        )
    held, rest = divmod(size - offset, pattern_bytes)
    warnings: list[str] = []
    raw = RawMap(path=path, format="edax patterns", frame="edax", warnings=warnings)
    if version == 1:
        n = held
        raw.shape = (1, n)
        raw.layout_warnings.append(
            "The file does not say how long a row is: the patterns stand in one row."
        )
    else:
        if len(head) < 42:
            raise FileFormatError(path, f"the file has only {size} bytes; the header is cut off")
        columns, rows, is_hexagonal, dx, dy = struct.unpack("<IIBdd", head[17:42])
        n = _lay_out_up(raw, rows, columns, bool(is_hexagonal), (dy, dx), held)
    if n == 0:
        raise FileFormatError(path, "the file holds no whole pattern")
    if held < n:
        raise FileFormatError(
            path,
            f"the header announces {n} patterns of {width} x {height} pixels, the file holds only "
            f"{held}; it was cut off",
            f"pattern {held + 1}",
        )
    if version == 1 and rest:
        warnings.append(f"The file ends with {rest} bytes that are no whole pattern.")
    source = BinaryPatterns(
        path=path.resolve(), shape=(n, height, width), dtype=dtype, offset=offset
    )
    raw.patterns = lazy(source, raw.shape[1] if raw.shape else None)
    raw.camera = camera_of_file((height, width), warnings)
    raw.header = {"version": version, "pattern width": width, "pattern height": height}
    return raw


def _lay_out_up(
    raw: RawMap, rows: int, columns: int, hexagonal: bool, step: tuple[float, float], held: int
) -> int:
    """Put shape, step and, on a hexagonal grid, coordinates into `raw`; number of patterns."""
    if rows < 1 or columns < 1:
        raise FileFormatError(
            raw.path, f"the header speaks of {rows} x {columns} points", "bytes 18-25"
        )
    if np.isfinite(step).all() and min(step) > 0:
        raw.step = step
    if not hexagonal:
        raw.shape = (rows, columns)
        return rows * columns
    # The second row, the fourth ... has one point less or, in some files, one more.
    for odd in (-1, 1):
        n = rows * columns + odd * (rows // 2)
        if n == held and raw.step and abs(raw.step[0] / raw.step[1] - np.sqrt(0.75)) < 0.03:
            lengths = columns + odd * (np.arange(rows) % 2)
            row = np.repeat(np.arange(rows), lengths)
            column = np.arange(n) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            raw.x = (column - 0.5 * odd * (row % 2)) * raw.step[1]
            raw.y = row * raw.step[0]
            raw.hexagonal = True
            return n
    raw.shape = (1, held)
    raw.layout_warnings.append(
        f"The header speaks of a hexagonal grid of {rows} rows, which {held} patterns do not fill: "
        "they stand in one row."
    )
    return held


def _setting_file(path: Path) -> Path | None:
    """NORDIF's description of the patterns, in the same folder."""
    try:
        siblings = sorted(path.parent.iterdir())
    except OSError:
        return None
    for sibling in siblings:
        if sibling.name.lower() == "setting.txt":
            with sibling.open("rb") as file:
                return sibling if b"[NORDIF]" in file.read(200) else None
    return None


def _read_nordif(path: Path) -> RawMap:
    setting = _setting_file(path)
    if setting is None:
        raise FileFormatError(path, "there is no Setting.txt of NORDIF beside it")
    sections: dict[str, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in setting.read_text(encoding="latin-1").splitlines():
        words = [word.strip() for word in line.split("\t")]
        if words[0].startswith("["):
            current = sections.setdefault(words[0].strip("[]").lower(), {})
        elif words[0] and len(words) > 1:
            current.setdefault(words[0].lower(), words[1])
    # Both sizes are written "height x width".
    height, width = _pair(setting, sections, "acquisition settings", "resolution")
    rows, columns = _pair(setting, sections, "area", "number of samples")
    n = rows * columns
    size = path.stat().st_size
    if size < n * height * width:
        raise FileFormatError(
            path,
            f"Setting.txt announces {n} patterns of {height} x {width} pixels, the file holds only "
            f"{size // (height * width)}; it was cut off",
            f"pattern {size // (height * width) + 1}",
        )
    warnings: list[str] = []
    if size > n * height * width:
        warnings.append(
            f"The file holds {size - n * height * width} bytes more than the {rows} x {columns} "
            "patterns that Setting.txt announces; they were left out."
        )
    step = _number(sections, "area", "step size")
    source = BinaryPatterns(
        path=path.resolve(), shape=(n, height, width), dtype=np.dtype("u1"), offset=0
    )
    return RawMap(
        path=path,
        format="nordif",
        frame="edax",
        shape=(rows, columns),
        step=(step, step) if step and step > 0 else None,
        patterns=lazy(source, columns),
        camera=camera_of_file(
            (height, width),
            warnings,
            sample_tilt=_number(sections, "microscope", "tilt angle") or None,
            # NORDIF counts the elevation of the camera the other way round.
            tilt=0.0 - (_number(sections, "detector angles", "elevation") or 0.0),
            azimuthal=_number(sections, "detector angles", "azimuthal"),
        ),
        header={f"{title}.{key}": v for title, part in sections.items() for key, v in part.items()},
        warnings=warnings,
    )


def _pair(
    setting: Path, sections: dict[str, dict[str, str]], section: str, key: str
) -> tuple[int, int]:
    value = sections.get(section, {}).get(key, "")
    found = re.fullmatch(r"\s*(\d+)\s*x\s*(\d+)\s*", value)
    if not found or 0 in (pair := (int(found[1]), int(found[2]))) or max(pair) > 1 << 24:
        raise FileFormatError(
            setting, f"{key} should be two numbers such as 60x60, not {value!r}", f"[{section}]"
        )
    return pair


def _number(sections: dict[str, dict[str, str]], section: str, key: str) -> float | None:
    found = re.match(r"\s*([-+]?[\d.,]+)", sections.get(section, {}).get(key, ""))
    try:
        return float(found[1].replace(",", ".")) if found else None
    except ValueError:
        return None


FORMAT = Format(
    name="patterns",
    title="pattern file (.up1, .up2, .ebsp, .uebsp, NORDIF .dat)",
    extensions=(".up1", ".up2", *_EBSP, ".dat"),
    sniff=sniff,
    read=read,
)
