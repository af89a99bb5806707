"""Writer of .ctf files in Oxford's layout."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ebsdml.io._phase_text import LAUE_CLASSES
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

TITLES = (
    "Phase", "X", "Y", "Bands", "Error", "Euler1", "Euler2", "Euler3", "MAD", "BC", "BS",
)  # fmt: skip
"""Oxford's columns, in order."""
_PROPERTIES = {
    "Bands": ("Bands",),
    "Error": ("Error",),
    "MAD": ("MAD", "Mean Angular Deviation"),
    "BC": ("BC", "Band Contrast"),
    "BS": ("BS", "Band Slope"),
}
_RESERVED = frozenset(title.casefold() for title in TITLES)
_NO_SOLUTION, _NOT_ANALYSED = 3, 5
_ACQUISITION = {
    "Mag": 0, "Coverage": 100, "Device": 0, "KV": 0, "TiltAngle": 0, "TiltAxis": 0,
}  # fmt: skip


def write_ctf(path: Path, scan: Scan) -> None:
    """Write a map as Oxford does, and one more column for each further property.

    Points that are not indexed get phase 0 and Euler angles of 0. A property that the scan
    lacks is 0, except Error: 3 (no solution) where not indexed, 5 (not analysed) where
    nothing was measured. Where one of Bands, MAD, BC and BS is NaN, 0 is written. Further
    properties keep all their values and have their unit in the title: "KAM [°]".

    Raises
    ------
    WriteError
        When the file cannot be written.
    """
    vendor = VendorOrientations(scan, FRAMES["oxford"])
    indexed = vendor.indexed

    def angle(which: int) -> TextColumn:
        def get(first: int, stop: int) -> Any:
            degrees = np.degrees(vendor.euler(first, stop)[:, which])
            return np.where(indexed[first:stop], degrees, 0.0)

        return TextColumn(get, 4)

    x, y = coordinate_columns(scan, 4)
    # Error codes of other formats mean other things.
    foreign = frozenset() if scan.source.format in ("ctf", "channel5") else frozenset({"Error"})
    prop = Properties(path, scan, _PROPERTIES, _RESERVED, foreign)
    error = prop.get("Error")
    if error is None:
        error = np.where(indexed, 0, _NO_SOLUTION)
        if scan.is_measured is not None:
            error[~scan.is_measured.ravel()] = _NOT_ANALYSED

    columns = [
        TextColumn(vendor.phase_numbers, 0), x, y,
        property_column(prop.get("Bands"), indexed, 0),
        property_column(error, indexed, 0),
        angle(0), angle(1), angle(2),
        property_column(prop.get("MAD"), indexed, 4),
        property_column(prop.get("BC"), indexed, 0),
        property_column(prop.get("BS"), indexed, 0),
        *(exact_column(further.values, 0) for further in prop.other),
    ]  # fmt: skip
    header = _header(scan, path, vendor.phases, prop.other)
    write_text(path, header, columns, indexed.size, "\t", "\r\n")


def _header(
    scan: Scan, path: Path, phases: list[tuple[int, Phase]], extra: list[FurtherProperty]
) -> str:
    rows, columns = scan.shape
    own = scan.source.header if scan.source.format == "ctf" else {}
    acquisition = "".join(
        f"\t{key}\t{_plain(own.get(key, value))}" for key, value in _ACQUISITION.items()
    )
    lines = [
        "Channel Text File",
        f"Prj\t{one_line(own.get('Prj', path.name))}",
        # No program minds what stands there, as it may further lines of a header.
        f"Author\t{' | '.join(filter(None, (one_line(own.get('Author', '')), _made(scan))))}",
        "JobMode\tGrid",
        f"XCells\t{columns}",
        f"YCells\t{rows}",
        f"XStep\t{scan.step[1]:.9g}",
        f"YStep\t{scan.step[0]:.9g}",
        *(f"AcqE{i}\t{_plain(own.get(f'AcqE{i}', 0))}" for i in (1, 2, 3)),
        f"Euler angles refer to Sample Coordinate system (CS0)!{acquisition}",
        f"Phases\t{len(phases)}",
    ]
    for _, phase in phases:
        lattice = [f"{v:.7g}" for v in lattice_of(phase)]
        laue = laue_of(phase)
        # Without symmetry is what the lowest Laue class says.
        group = LAUE_CLASSES.index(laue) + 1 if laue in LAUE_CLASSES else 1
        space_group = phase.space_group.number if phase.space_group is not None else 0
        lines.append(
            f"{';'.join(lattice[:3])}\t{';'.join(lattice[3:])}\t{one_line(phase.name)}"
            f"\t{group}\t{space_group}\t\t\tWritten by napari-ebsdml"
        )
    titles = [with_unit(further.title, further.unit) for further in extra]
    lines.append("\t".join([*TITLES, *titles]))
    return "".join(line + "\r\n" for line in lines)


def _made(scan: Scan) -> str:
    text = text_of(scan)
    return f"{KEY}: {text}" if text else ""


def _plain(value: Any) -> str:
    return f"{value:.9g}" if isinstance(value, int | float) else one_line(value)
