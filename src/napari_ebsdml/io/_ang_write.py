"""Writer of .ang files in EDAX's layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ebsdml.io._ang_columns import RESERVED
from napari_ebsdml.io._ang_header import OWN_MARK
from napari_ebsdml.io._phases import laue_of
from napari_ebsdml.io._text_write import (
    FurtherProperty,
    Properties,
    TextColumn,
    VendorOrientations,
    coordinate_columns,
    exact_column,
    lattice_of,
    one_line,
    property_column,
    with_unit,
    write_text,
)
from napari_ebsdml.io.frames import FRAMES
from napari_ebsdml.io.provenance import KEY, text_of

if TYPE_CHECKING:
    from orix.crystal_map import Phase

    from napari_ebsdml.scan import Scan

_CODE_OF_LAUE = {
    "-1": "1", "2/m": "20", "mmm": "22", "4/m": "4", "4/mmm": "42", "-3": "3", "-3m": "32",
    "6/m": "6", "6/mmm": "62", "m-3": "23", "m-3m": "43",
}  # fmt: skip
_PROPERTIES = {
    "IQ": ("IQ", "image_quality"),
    "CI": ("CI", "confidence_index"),
    "SEM": ("SEM", "SEM Signal", "detector_signal"),
    "fit": ("fit", "pattern_fit"),
}


def write_ang(path: Path, scan: Scan) -> None:
    """Write a map as EDAX does: 10 columns, and one more for each further property.

    Points that are not indexed get Euler angles of 4 pi, CI -1, phase 0 and fit 180. A property
    that the scan lacks is 0; where one of IQ, CI, SEM and fit is NaN, 0 is written. A map that
    came from an .ang file keeps its CI and fit everywhere. Further properties keep all their
    values; names and units stand in the header as OIM 7 writes them. A hexagonal map is written
    as the square grid that the scan has.

    Raises
    ------
    WriteError
        When the file cannot be written.
    """
    vendor = VendorOrientations(scan, FRAMES["edax"])
    indexed = vendor.indexed
    single = len(vendor.phases) <= 1

    def angle(which: int) -> TextColumn:
        def get(first: int, stop: int) -> Any:
            return np.where(indexed[first:stop], vendor.euler(first, stop)[:, which], 4 * np.pi)

        return TextColumn(get, 5, 9)

    def phase(first: int, stop: int) -> Any:
        # 0 for a single phase; 1, 2, ... for several, where 0 is not indexed.
        numbers = vendor.phase_numbers(first, stop)
        return np.zeros_like(numbers) if single else numbers

    x, y = coordinate_columns(scan, 5, 12)
    prop = Properties(path, scan, _PROPERTIES, RESERVED)
    # Values that EDAX itself gave to points without a solution stay.
    keep = scan.source.format == "ang"
    columns = [
        angle(0), angle(1), angle(2), x, y,
        property_column(prop.get("IQ"), indexed, 1, 8),
        property_column(prop.get("CI"), indexed, 3, 6, otherwise=-1, keep=keep),
        TextColumn(phase, 0, 2),
        property_column(prop.get("SEM"), indexed, 0, 6),
        property_column(prop.get("fit"), indexed, 3, 6, otherwise=180, keep=keep),
        *(exact_column(further.values, 6 if further.values.dtype.kind == "f" else 0, 9)
          for further in prop.other),
    ]  # fmt: skip
    header = _header(scan, vendor.phases, prop.other)
    write_text(path, header, columns, indexed.size, " ", "\n")


def _header(scan: Scan, phases: list[tuple[int, Phase]], extra: list[FurtherProperty]) -> str:
    rows, columns = scan.shape
    own = scan.source.header if scan.source.format == "ang" else {}
    lines = ["TEM_PIXperUM          1.000000"]
    for key in ("x-star", "y-star", "z-star", "WorkingDistance"):
        value = own.get(key)
        lines.append(f"{key:<21} {value if isinstance(value, int | float) else 0.0:.6f}")
    if text := text_of(scan):
        lines += ["", f"{KEY}: {text}"]
    lines.append("")
    # OIM lists phases from the last to the first.
    for number, phase in reversed(phases):
        lattice = lattice_of(phase)
        lengths, angles = (" ".join(map(_number, part)) for part in (lattice[:3], lattice[3:]))
        name = one_line(phase.name)
        lines += [
            f"Phase {number}",
            f"MaterialName  \t{name}",
            f"Formula     \t{name.replace(' ', '_')}",
            f"Info \t\t{OWN_MARK}",
            f"Symmetry              {_CODE_OF_LAUE.get(laue_of(phase) or '-1', '1')}",
            f"LatticeConstants      {lengths}  {angles}",
            "NumberFamilies        0",
            "Categories 0 0 0 0 0",
            "",
        ]
    lines += [
        "GRID: SqrGrid",
        f"XSTEP: {_number(scan.step[1], 6)}",
        f"YSTEP: {_number(scan.step[0], 6)}",
        f"NCOLS_ODD: {columns}",
        f"NCOLS_EVEN: {columns}",
        f"NROWS: {rows}",
        "",
    ]
    for key in ("OPERATOR", "SAMPLEID", "SCANID"):
        lines += [f"{key}: \t{one_line(own.get(key, ''))}", ""]
    if extra:
        # A comma would end a name; the notes below have it as it is.
        names = [further.title.replace(",", ";") for further in extra]
        units = [one_line(further.unit).replace(",", ";") for further in extra]
        lines += [
            f"COLUMN_COUNT: {10 + len(names)}",
            "Column names: phi1, Phi, phi2, x, y, image_quality, confidence_index, phase_id, "
            + ", ".join(["detector_signal", "pattern_fit", *names]),
            "COLUMN_HEADERS: phi1, PHI, phi2, x, y, IQ, CI, Phase index, SEM, Fit, "
            + ", ".join(names),
            "COLUMN_UNITS: radians, radians, radians, microns, microns, , , , , degrees, "
            + ", ".join(units),
            "COLUMN_NOTES: Start",
            *(f"Column {number}: {with_unit(further.title, further.unit)}"
              for number, further in enumerate(extra, 11)),
            "COLUMN_NOTES: End",
        ]  # fmt: skip
    return "".join(f"# {line}".rstrip(" ") + "\n" for line in lines)


def _number(value: float, fewest: int = 3) -> str:
    """Fixed digits, as many as the value has, up to 9."""
    text = f"{value:.9f}".rstrip("0")
    return text if len(text.partition(".")[2]) > fewest else f"{value:.{fewest}f}"
