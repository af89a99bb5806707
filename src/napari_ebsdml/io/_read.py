"""`read`, `read_all`, `write`: any supported file to a `Scan` and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._paths import as_path
from napari_ebsdml.errors import (
    EbsdmlError,
    FileFormatError,
    InputError,
    WriteError,
)
from napari_ebsdml.io._assemble import scan_from_raw
from napari_ebsdml.io._companion import maps_beside
from napari_ebsdml.io._phase_labels import with_phase_labels
from napari_ebsdml.io._raw import Format, RawMap
from napari_ebsdml.io._registry import format_of, formats, writer_of
from napari_ebsdml.io.frames import ReferenceFrame
from napari_ebsdml.io.provenance import record_of, with_provenance
from napari_ebsdml.scan import Scan, Source, checked_scan

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap


def scan_names(path: str | PathLike[str]) -> list[str]:
    """Names of the scans in a file, in order; ``[""]`` for a format that holds one.

    Raises
    ------
    FileFormatError
        When the file cannot be read.
    """
    path = as_path(path)
    fmt = format_of(path)
    return _scan_names(path, fmt)


def _scan_names(path: Path, fmt: Format) -> list[str]:
    if fmt.scans is None:
        return [""]
    with _errors_name_the_file(path, fmt):
        return fmt.scans(path)


def read(
    path: str | PathLike[str],
    scan: str | int | None = None,
    ref_frame: str | ReferenceFrame | None = None,
) -> Scan:
    """Read an EBSD map, patterns, or both, from any supported file.

    Parameters
    ----------
    path
        File, or folder of pattern images.
    scan
        Which scan of a file that holds several, by name or position. Default: the first one,
        and `Source.warnings` names the others.
    ref_frame
        Frame of the file's Euler angles, a key of `napari_ebsdml.io.frames.FRAMES` ("edax",
        "oxford", "map") or a `ReferenceFrame`, for a file that does not follow its vendor's
        convention. "map" takes the angles as they stand.

    Returns
    -------
    Scan
        `Scan.source` says what was done: format, frame, warnings, original hexagonal points.

    Raises
    ------
    FileFormatError
        When the file is damaged, with the place and the reason.
    UnsupportedFormatError
        When no reader knows the file.
    InputError
        When the file has no scan `scan`, or `ref_frame` is unknown.
    """
    path = as_path(path)
    fmt = format_of(path)
    names = _scan_names(path, fmt)
    name, others = _choose(path, names, scan)
    result = _read_one(path, fmt, name, ref_frame)
    if scan is None and others:
        note = f"The file holds further scans: {', '.join(others)} (read them by `scan=`)."
        source = dataclasses.replace(result.source, warnings=(*result.source.warnings, note))
        result = dataclasses.replace(result, source=source)
    return result


def read_all(
    path: str | PathLike[str], ref_frame: str | ReferenceFrame | None = None
) -> list[Scan]:
    """Read every scan of a file; parameters and errors as for `read`."""
    path = as_path(path)
    fmt = format_of(path)
    names = _scan_names(path, fmt)
    return [_read_one(path, fmt, name or None, ref_frame) for name in names]


def _choose(path: Path, names: list[str], scan: str | int | None) -> tuple[str | None, list[str]]:
    if not names:
        raise FileFormatError(path, "the file holds no scan")
    if scan is None:
        return names[0] or None, names[1:]
    if isinstance(scan, str) and scan in names:
        return scan, []
    if isinstance(scan, int) and -len(names) <= scan < len(names):
        return names[scan] or None, []
    listed = ", ".join(repr(name) for name in names if name) or "one scan without a name"
    raise InputError(f"{path} has no scan {scan!r}; it holds {listed}.")


def _read_one(
    path: Path, fmt: Format, name: str | None, ref_frame: str | ReferenceFrame | None
) -> Scan:
    with _errors_name_the_file(path, fmt):
        raw = fmt.read(path, name)
        if raw.euler is None and raw.quaternions is None and raw.patterns is not None:
            raw = _with_map_beside(raw)
        return scan_from_raw(raw, ref_frame)


def _with_map_beside(raw: RawMap) -> RawMap:
    """Patterns without orientations take them from a map of the same name beside the file."""
    patterns = raw.patterns
    if patterns is None:
        return raw
    told = []
    for beside in maps_beside(raw.path):
        fmt = format_of(beside)
        try:
            names: list[str] = fmt.scans(beside) if fmt.scans is not None else [""]
            for name in names:
                other = fmt.read(beside, name or None)
                if other.phase is not None and len(other.phase) == len(patterns):
                    return _joined(raw, other, beside)
                n = 0 if other.phase is None else len(other.phase)
                scan = f" (scan {name})" if len(names) > 1 else ""
                told.append(
                    f"{beside.name}{scan} beside the patterns has {n} points, not {len(patterns)}; "
                    "it was not used."
                )
        except EbsdmlError as error:
            told.append(f"The map beside the patterns could not be read: {error}")
    raw.warnings += told
    return raw


def _joined(raw: RawMap, other: RawMap, beside: Path) -> RawMap:
    """Patterns with the orientations of another file."""
    return dataclasses.replace(
        other,
        path=raw.path,
        format=raw.format,
        patterns=raw.patterns,
        camera=raw.camera or other.camera,
        shape=other.shape or raw.shape,
        prop={**raw.prop, **other.prop},
        units={**raw.units, **other.units},
        header={**raw.header, **other.header},
        warnings=[*raw.warnings, *other.warnings, f"Orientations come from {beside.name}."],
        scan_name=raw.scan_name,
    )


def from_xmap(xmap: CrystalMap, source: Source | None = None) -> Scan:
    """Make a `Scan` of a two-dimensional orix `CrystalMap`, whose axes are taken for the map's.

    Parameters
    ----------
    xmap
        Of several rotations per point the first, the best match, is taken.
    source
        What `Scan.source` shall say. Default: made in memory, with the warnings.

    Raises
    ------
    GridError
        When the map is empty, or its points form no map of two dimensions.
    """
    from napari_ebsdml.io.orix_h5 import raw_from_xmap

    scan = scan_from_raw(raw_from_xmap(xmap, Path("memory")))
    return dataclasses.replace(scan, source=source or Source(warnings=scan.source.warnings))


class _errors_name_the_file:
    """Turn whatever a parser stumbles over into a `FileFormatError`."""

    def __init__(self, path: Path, fmt: Format) -> None:
        self.path, self.fmt = path, fmt

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, EbsdmlError | MemoryError):
            raise FileFormatError(
                self.path,
                f"the content could not be decoded as {self.fmt.title}: "
                f"{type(error).__name__}: {error}",
            ) from error


def write(
    path: str | PathLike[str],
    scan: Scan,
    phase_labels: NDArray[np.integer] | None = None,
    phase_names: Mapping[int, str] | None = None,
    made_with: Mapping[str, Any] | None = None,
) -> None:
    """Write a map as .ang (EDAX), .ctf (Oxford) or .h5 (orix); an existing file is replaced.

    NAME.ome.zarr writes its properties and phases as OME-Zarr, which programs for images open.

    Parameters
    ----------
    path
        The extension chooses the format.
    scan
        Orientations go back into the format's own reference frame.
    phase_labels : (rows, columns) int, optional
        A segmentation to write in place of the phases, 0 where a pixel has no class.
    phase_names
        Class -> name, for `phase_labels`.
    made_with
        What its results were computed with, such as settings. Every file tells it, with versions
        and the hash of the map's own file; see `provenance_of`.

    Raises
    ------
    WriteError
        When the extension is unknown or the place cannot be written; no file is left half done.
    InputError
        When `phase_labels` does not fit the map.
    """
    path = as_path(path)
    scan = checked_scan(scan)
    if path.name.endswith(".ome.zarr"):
        from napari_ebsdml.io.ome_zarr import write_ome_zarr

        if phase_labels is not None:
            scan = with_phase_labels(scan, phase_labels, phase_names)
        write_ome_zarr(path, scan, made_with=record_of(scan, made_with))
        return
    fmt = writer_of(path)
    if fmt is None or fmt.write is None:
        known = ", ".join(sorted({e for f in formats() if f.write for e in f.extensions}))
        raise WriteError(f"{path}: cannot write this format; choose one of {known}, .ome.zarr.")
    if phase_labels is not None:
        scan = with_phase_labels(scan, phase_labels, phase_names)
    scan = with_provenance(scan, made_with)
    try:
        fmt.write(path, scan)
    except OSError as error:
        raise WriteError(f"{path} could not be written: {error.strerror or error}.") from error
