"""`report`: what is known of a map on one page, with figures and tables."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ebsdml._page import Page, made
from napari_ebsdml.errors import EbsdmlError, InputError, MissingDataError, WriteError
from napari_ebsdml.figures.making import figure
from napari_ebsdml.figures.settings import FigureSettings
from napari_ebsdml.maps.settings import MapSettings
from napari_ebsdml.scan import NOT_INDEXED

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from napari_ebsdml._parallel import Progress
    from napari_ebsdml.scan import Scan

ENDINGS = (".html", ".pdf")
_QUALITY = ("BC", "IQ", "BS")
_MOST_HEADER = 40
_MOST_PHASES = 30


def report(
    scan: Scan,
    path: str | os.PathLike[str],
    layers: Sequence[str | Figure] | None = None,
    *,
    tables: Mapping[str, Mapping[str, Sequence[Any]]] | None = None,
    notes: Iterable[str] = (),
    settings: FigureSettings | None = None,
    maps: MapSettings | None = None,
    progress: Progress = None,
) -> Path:
    """Write a page on a map: where it comes from, phases, figures with keys, grains, boundaries.

    Parameters
    ----------
    scan
    path
        ``.html`` (one file, pictures inside) or ``.pdf`` (A4).
    layers
        Names as `figure` takes them, or figures that it made. Default: pattern quality, IPF-Z,
        phases where there are several, KAM and boundaries.
    tables
        Further tables: title -> name of a column -> its values.
    notes
        Further sentences.
    settings
        How the figures look.
    maps
        How named maps, grains and boundaries are computed.
    progress
        Called with the fraction done; may raise to cancel.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        When the ending is another, or columns of a table differ in length.
    MissingDataError
        When the map has nothing of a name that was asked for.
    WriteError
        When the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in ENDINGS:
        raise InputError(f"A report is a {' or '.join(ENDINGS)} file, not {target.name!r}.")
    for name, columns in (tables or {}).items():
        if len({len(values) for values in columns.values()}) > 1:
            raise InputError(f"The columns of the table {name!r} differ in length.")
    how, chosen = settings or FigureSettings(), maps or MapSettings()
    page, missing = Page(f"EBSD map {scan.name}"), []
    wanted = list(layers) if layers is not None else usual_layers(scan)
    drawn: list[tuple[str, Any]] = []
    for n, layer in enumerate(wanted):
        if progress is not None:
            progress(n / (len(wanted) + 1))
        if not isinstance(layer, str):
            drawn.append((f"figure {n + 1}", layer))
            continue
        try:
            drawn.append((layer, figure(scan, layer, settings=how, maps=chosen)))
        except MissingDataError as error:
            if layers is not None:
                raise
            missing.append(str(error))
    told = [("warning", text) for text in scan.source.warnings]
    told += [("note", text) for text in (*notes, *missing)]
    page.add_facts([*_facts(scan, chosen), *told, made()])
    page.add_table("Phases", _phases(scan))
    for title, columns in {**_measured(scan, chosen), **(tables or {})}.items():
        page.add_table(title, columns)
    if scan.source.header:
        page.add_facts(_header(scan), "Header of the file")
    for name, one in drawn:
        page.add_picture(name, one, how.dpi)
    if progress is not None:
        progress(len(wanted) / (len(wanted) + 1))
    try:
        page.write(target)
    except OSError as error:
        raise WriteError(f"{target}: the report could not be written: {error.strerror}.") from None
    if progress is not None:
        progress(1.0)
    return target


def usual_layers(scan: Scan) -> list[str]:
    """What a report shows when nothing else is asked for."""
    names = {name.casefold(): name for name in scan.prop}
    quality = next((names[q.casefold()] for q in _QUALITY if q.casefold() in names), None)
    found = [] if quality is None else [quality]
    if not scan.is_indexed.any():
        return found
    several = len(np.unique(scan.phase_id[scan.is_indexed])) > 1
    return [*found, "IPF-Z", *(["phase"] if several else []), "KAM", "boundaries"]


def _facts(scan: Scan, maps: MapSettings) -> list[tuple[str, str]]:
    source, (rows, columns), (dy, dx) = scan.source, scan.shape, scan.step
    grid = "hexagonal, read on a square grid" if source.hexagonal is not None else "square"
    file = str(source.path.name) if source.path is not None else "made in memory"
    facts = [
        ("file", file + (f", scan {source.scan_name}" if source.scan_name else "")),
        ("format, frame", f"{source.format}, {source.reference_frame}"),
        ("size", f"{columns} x {rows} pixels, {columns * dx:.4g} x {rows * dy:.4g} µm"),
        ("step", f"{dx:.4g} x {dy:.4g} µm, {grid}"),
        ("indexed", f"{100 * float(scan.is_indexed.mean()):.2f} % of {rows * columns} pixels"),
        ("measured beside the orientations", ", ".join(scan.prop) or "nothing"),
    ]  # fmt: skip
    if scan.patterns is not None:
        facts.append(("patterns", " x ".join(str(n) for n in scan.patterns.shape[-2:]) + " pixels"))
    facts.append(
        (
            "computed with",
            f"KAM of order {maps.kam_order} below {maps.kam_threshold:g}°, grains from "
            f"{maps.grain_threshold:g}° and {maps.grain_min_pixels} pixels, boundaries from "
            f"{maps.boundary_low:g}°, high angle from {maps.boundary_high:g}°",
        )
    )
    return facts


def _phases(scan: Scan) -> dict[str, list[Any]]:
    pixel = scan.step[0] * scan.step[1]
    table: dict[str, list[Any]] = {
        "phase": [], "point group": [], "space group": [], "pixels": [], "area [µm²]": [],
        "share of the indexed [%]": [],
    }  # fmt: skip
    indexed = max(int(scan.is_indexed.sum()), 1)
    numbers, counts = np.unique(scan.phase_id[scan.is_indexed], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:_MOST_PHASES]
    for number, count in zip(numbers[order].tolist(), counts[order].tolist(), strict=True):
        phase = scan.phases[number]
        group, space = phase.point_group, phase.space_group
        row = (
            phase.name, group.name if group is not None else "unknown",
            space.short_name if space is not None else "unknown", count, count * pixel,
            100 * count / indexed,
        )  # fmt: skip
        for column, value in zip(table.values(), row, strict=True):
            column.append(value)
    return table


def _measured(scan: Scan, maps: MapSettings) -> dict[str, dict[str, Sequence[Any]]]:
    """Tables of grains and boundaries; none where the map has no orientations."""
    if not bool(((scan.phase_id != NOT_INDEXED) & scan.is_indexed).any()):
        return {}
    from napari_ebsdml.figures.content import boundary_names
    from napari_ebsdml.maps import BoundaryKind, boundary_segments, grain_table, segment_grains

    try:
        grains = segment_grains(scan, maps.grain_threshold, maps.grain_min_pixels)
        table = grain_table(scan, grains)
        lines = boundary_segments(scan, maps.boundary_low, maps.boundary_high, maps.boundary_sigma3)
    except EbsdmlError as error:
        # A phase of unknown symmetry has neither.
        return {"Grains": {"why there are none": [str(error)]}}
    names = {number: phase.name for number, phase in scan.phases}
    columns: dict[str, list[Any]] = {
        "phase": [], "grains": [], "area [µm²]": [], "mean size [µm]": [],
        "by area [µm]": [], "aspect ratio": [], "GOS [°]": [],
    }  # fmt: skip
    for number in np.unique(table["phase"]).tolist():
        here = table["phase"] == number
        area, size = table["area"][here], table["equivalent_diameter"][here]
        row = (
            names.get(int(number), "not indexed"), int(here.sum()), area.sum(), size.mean(),
            (area * size).sum() / area.sum(), np.nanmedian(table["aspect_ratio"][here]),
            (area * table["gos"][here]).sum() / area.sum(),
        )  # fmt: skip
        for column, value in zip(columns.values(), row, strict=True):
            column.append(value)
    kinds = boundary_names(maps.boundary_low, maps.boundary_high)
    lengths = {name: lines.length(BoundaryKind(kind)) for kind, name in kinds.items()}
    lengths = {name: length for name, length in lengths.items() if length}
    total = sum(lengths.values()) or np.nan
    area = scan.shape[0] * scan.shape[1] * scan.step[0] * scan.step[1]
    return {
        f"Grains, {maps.grain_threshold:g}°": dict(columns),
        "Boundaries": {
            "kind": list(lengths), "length [µm]": list(lengths.values()),
            "share [%]": [100 * length / total for length in lengths.values()],
            "length by area [1/µm]": [length / area for length in lengths.values()],
        },
    }  # fmt: skip


def _header(scan: Scan) -> list[tuple[str, str]]:
    rows = [(str(name), str(value)[:200]) for name, value in scan.source.header.items()]
    left = len(rows) - _MOST_HEADER
    return rows[:_MOST_HEADER] + ([("…", f"{left} more lines")] if left > 0 else [])
