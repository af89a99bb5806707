"""Oxford Instruments HKL CHANNEL5 projects: .cpr (header) with .crc (records).

A record is the phase (one byte, 0 = not indexed) and the fields that the .cpr lists, without
padding, little endian. Euler angles are in radians, MAD in degrees. Layout: MTEX's
``loadEBSD_crc`` and DefDAP's reader; checked against a .ctf export of the same map.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.io._cpr import Cpr, phases, read_cpr, record_type
from napari_ebsdml.io._grid import refuse_point_list
from napari_ebsdml.io._raw import Format, RawMap
from napari_ebsdml.io._row_length import euler_channels, find_row_length

# Bunge angles beyond +-4 pi do not occur; records that are decoded wrongly are full of them.
_LARGEST_ANGLE = 4 * np.pi + 0.01
_NO_PROPERTY = frozenset({"Phase", "phi1", "Phi", "phi2", "X", "Y"})
# Points that are read to check a header's row length.
_CHECKED_POINTS = 1 << 17


def sniff(path: Path, head: bytes) -> bool:
    """Whether the file is a .cpr, or carries the name of a .crc (which has no signature)."""
    if not head:
        return False
    suffix = path.suffix.lower()
    if suffix == ".crc":
        return True
    text = head.lower().replace(b" ", b"")
    if suffix == ".cpr":
        return any(name in text for name in (b"[fields]", b"[job]", b"[general]"))
    return b"[general]" in text and b"jobmode=" in text


def read(path: Path, scan_name: str | None = None) -> RawMap:
    """Read a project; `path` may be its .cpr or its .crc.

    Raises
    ------
    FileFormatError
        When the other file is missing, the records do not fit the header, or the row length
        cannot be found.
    """
    cpr_path, crc_path = _both(path)
    cpr = read_cpr(cpr_path)
    dtype = record_type(cpr)
    found, warnings = phases(cpr)
    shape = _header_shape(cpr)
    declared = shape[0] * shape[1] if shape else cpr.integer("job", "noofpoints")
    records = _records(crc_path, dtype, warnings)
    missing = [name for name in ("phi1", "Phi", "phi2") if name not in (dtype.names or ())]
    if missing:
        raise FileFormatError(
            cpr_path, f"the records hold no Euler angle {', '.join(missing)}", "[Fields]"
        )
    broken = _check(
        records, crc_path, max(found, default=0), warnings, whole=len(records) == declared
    )

    raw = RawMap(
        path=path,
        format="channel5",
        frame="oxford",
        phases=found,
        phase=records["Phase"],
        not_indexed=(records["Phase"] == 0) | broken,
        euler=_euler(records),
        step=_step(cpr),
        header=dict(cpr.header),
        warnings=warnings,
        prop={
            name: np.ascontiguousarray(records[name])
            for name in dtype.names or ()
            if name not in _NO_PROPERTY
        },
    )
    if {"X", "Y"} <= set(dtype.names or ()):
        raw.x = records["X"].astype(np.float64)
        raw.y = records["Y"].astype(np.float64)
        raw.shape = shape
        mode = cpr.text("job", "jobmode") or cpr.text("general", "jobmode")
        if shape is None and mode.casefold() == "interactive":
            refuse_point_list(cpr_path, raw.x, raw.y, f"JobMode {mode}")
    else:
        raw.shape, n = _lay_out(records, cpr, crc_path, shape, warnings)
        if n < len(records):
            raw.phase, raw.not_indexed = raw.phase[:n], raw.not_indexed[:n]  # type: ignore[index]
            raw.euler = raw.euler[:n]  # type: ignore[index]
            raw.prop = {name: values[:n] for name, values in raw.prop.items()}
    _tell_acquisition(cpr, records, warnings)
    return raw


def _both(path: Path) -> tuple[Path, Path]:
    """The .cpr and the .crc that belong together, whatever the case of their names."""
    wanted = ".cpr" if path.suffix.lower() == ".crc" else ".crc"
    name = (path.stem + wanted).lower()
    exact = path.with_suffix(wanted)
    other = exact if exact.is_file() else None
    if other is None:
        try:
            siblings = sorted(path.parent.iterdir())
        except OSError:
            siblings = []
        other = next((p for p in siblings if p.name.lower() == name and p.is_file()), None)
    if other is None:
        raise FileFormatError(
            path,
            f"there is no {path.stem}{wanted} beside it; a CHANNEL5 map is a .cpr and a .crc "
            "of the same name in one folder",
        )
    return (other, path) if wanted == ".cpr" else (path, other)


def _header_shape(cpr: Cpr) -> tuple[int, int] | None:
    columns, rows = cpr.integer("job", "xcells"), cpr.integer("job", "ycells")
    if columns is None or rows is None:
        return None
    if columns <= 0 or rows <= 0:
        return None
    return rows, columns


def _step(cpr: Cpr) -> tuple[float, float] | None:
    both = cpr.number("job", "griddist") or 0.0
    dx = cpr.number("job", "griddistx") or both
    dy = cpr.number("job", "griddisty") or both
    return (dy, dx) if dx > 0 and dy > 0 else None


def _records(path: Path, dtype: np.dtype[Any], warnings: list[str]) -> NDArray[Any]:
    """Records of the .crc, decoded."""
    try:
        content = np.fromfile(path, dtype=np.uint8)
    except OSError as error:
        raise FileFormatError(path, f"the file cannot be opened: {error.strerror}") from error
    n, rest = divmod(content.size, dtype.itemsize)
    if n == 0:
        raise FileFormatError(
            path, f"the file has {content.size} bytes, less than one record of {dtype.itemsize}"
        )
    if rest:
        warnings.append(
            f"The .crc ends with {rest} bytes that are no whole record of {dtype.itemsize}; "
            "they were dropped."
        )
    return content[: n * dtype.itemsize].view(dtype)


def _euler(records: NDArray[Any]) -> NDArray[np.float64]:
    euler = np.empty((len(records), 3))
    for k, name in enumerate(("phi1", "Phi", "phi2")):
        # Signalling NaNs of damaged records would warn when they are widened.
        with np.errstate(invalid="ignore"):
            euler[:, k] = records[name]
    return euler


def _check(
    records: NDArray[Any], path: Path, highest: int, warnings: list[str], *, whole: bool
) -> NDArray[np.bool_]:
    """Which records have no possible orientation; refuse a file where that is no rare accident.

    Another field list than the .cpr says, or bytes lost on the way, fill a file with nonsense.
    """
    phase = records["Phase"]
    unknown = phase > highest
    broken = np.zeros(len(records), dtype=np.bool_)
    for name in ("phi1", "Phi", "phi2"):
        # A NaN compares false on purpose: it marks a broken record as well.
        with np.errstate(invalid="ignore"):
            broken |= ~(np.abs(records[name]) <= _LARGEST_ANGLE) & (phase != 0)
    n_broken = int(np.count_nonzero(broken))
    if unknown.any():
        first = int(np.argmax(unknown))
        what = f"phase {phase[first]}, but the .cpr describes phases up to {highest}"
    elif n_broken and not (whole and n_broken <= 0.01 * len(records)):
        first = int(np.argmax(broken))
        what = f"Euler angles that are no angles in radians, as in {n_broken} records"
    else:
        if n_broken:
            warnings.append(f"{n_broken} records hold no possible Euler angles: not indexed.")
        return broken
    raise FileFormatError(
        path,
        f"of {len(records)} records this one has {what}; the file is damaged, or [Fields] of the "
        f".cpr is not what the records of {records.dtype.itemsize} bytes hold",
        f"record {first + 1}",
    )


def _lay_out(
    records: NDArray[Any],
    cpr: Cpr,
    path: Path,
    shape: tuple[int, int] | None,
    warnings: list[str],
) -> tuple[tuple[int, int], int]:
    """(rows, columns), and how many records they hold; raster order."""
    n = len(records)
    if shape is not None and n == shape[0] * shape[1]:
        _doubt(records, shape, warnings)
        return shape, n
    mode = cpr.text("job", "jobmode") or cpr.text("general", "jobmode")
    says = f"{shape[0]} x {shape[1]} cells" if shape else "no xCells and yCells"
    problem = f"the .cpr says {says} but the .crc holds {n} records"
    beside = _ctf_cells(path)
    if beside is not None and beside[0] * beside[1] == n:
        warnings.append(
            f"{problem[0].upper()}{problem[1:]}; {beside[0]} x {beside[1]} cells were taken from "
            "the .ctf of the same name."
        )
        return beside, n
    found = find_row_length(_channels(records, n))
    advice = "correct xCells and yCells in the .cpr, or export the map as .ctf"
    if found is None or not found.is_clear:
        if mode.lower() not in {"", "regulargrid", "grid"}:
            problem += f" without coordinates (JobMode {mode})"
        raise FileFormatError(
            path, f"{problem}, and the points do not tell how long a row is; {advice}"
        )
    columns = found.columns
    margin = (
        f"rows of {columns} agree best, peak {found.prominence:.2f} against at most "
        f"{found.rival:.2f} elsewhere"
    )
    if shape is not None and columns == shape[1]:
        kept = min(n, shape[0] * shape[1])
        if n > kept:
            warnings.append(
                f"{problem[0].upper()}{problem[1:]}; the last {n - kept} were dropped ({margin})."
            )
            return shape, kept
        # `raster_grid` tells about the missing rows.
        warnings.append(f"The rows that are there fit the header ({margin}).")
        return shape, n
    if n % columns:
        raise FileFormatError(
            path, f"{problem}; {margin}, but that does not divide the number of records; {advice}"
        )
    warnings.append(
        f"{problem[0].upper()}{problem[1:]}; {n // columns} x {columns} cells were found from the "
        f"points themselves ({margin})."
    )
    return (n // columns, columns), n


def _doubt(records: NDArray[Any], shape: tuple[int, int], warnings: list[str]) -> None:
    """Warn when the number of records is right but another row length fits far better."""
    rows, columns = shape
    if rows < 6 or columns < 6 or columns > _CHECKED_POINTS // 6:
        return
    found = find_row_length(_channels(records, _CHECKED_POINTS))
    if found is None or not found.is_clear or found.prominence < 0.3:
        return
    off = found.columns % columns
    if min(off, columns - off) > 1 and len(records) % found.columns == 0:
        warnings.append(
            f"The .cpr says {rows} x {columns} cells, but rows of {found.columns} would fit the "
            "points better; look at the map, and correct xCells and yCells if it is sheared."
        )


def _channels(records: NDArray[Any], most: int) -> list[NDArray[np.float64]]:
    """What is alike in neighbouring rows, free of the jumps of Euler angles."""
    part = records[:most]
    names = part.dtype.names or ()
    channels = [part[name].astype(np.float64) for name in ("BC", "BS") if name in names]
    indexed = part["Phase"] != 0
    # A few records may be damaged: their NaN and infinities count as not indexed.
    with np.errstate(all="ignore"):
        angles = euler_channels(part["phi1"], part["Phi"], part["phi2"])
    channels += [np.where(indexed & np.isfinite(values), values, 0.0) for values in angles]
    return channels


def _ctf_cells(path: Path) -> tuple[int, int] | None:
    """(rows, columns) that a .ctf of the same name declares, or None."""
    for suffix in (".ctf", ".CTF"):
        beside = path.with_suffix(suffix)
        cells: dict[str, int] = {}
        try:
            with beside.open(encoding="latin-1") as file:
                for _, line in zip(range(40), file, strict=False):
                    words = line.split()
                    if len(words) == 2 and words[0].lower() in {"xcells", "ycells"}:
                        cells[words[0].lower()] = int(words[1])
        except (OSError, ValueError):
            continue
        if cells.get("xcells", 0) > 0 and cells.get("ycells", 0) > 0:
            return cells["ycells"], cells["xcells"]
    return None


def _tell_acquisition(cpr: Cpr, records: NDArray[Any], warnings: list[str]) -> None:
    angles = [cpr.number("acquisitionsurface", f"euler{k}") or 0.0 for k in (1, 2, 3)]
    if any(abs(angle) > 1e-6 for angle in angles):
        warnings.append(
            "The acquisition surface is turned by Euler angles "
            f"{', '.join(f'{angle:g}' for angle in angles)}; orientations stay in the frame CS0 of "
            "the file."
        )
    if "Bands" in (records.dtype.names or ()) and "Error" in (records.dtype.names or ()):
        filled = (records["Phase"] != 0) & (records["Bands"] == 0) & (records["Error"] != 0)
        n = int(np.count_nonzero(filled))
        if n:
            warnings.append(
                f"{n} points had no solution (Error {records['Error'][filled][0]}, no bands) but "
                "carry an orientation: noise reduction filled them from their neighbours."
            )


FORMAT = Format(
    name="channel5",
    title="Oxford CHANNEL5 (.cpr, .crc)",
    extensions=(".cpr", ".crc"),
    sniff=sniff,
    read=read,
)
