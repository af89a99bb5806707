"""What a format module hands over: the file's content, decoded but not yet interpreted.

A format module only parses. Grids, reference frames, phases and not-indexed pixels are
made into a `Scan` in one place, `_assemble.scan_from_raw`, the same way for all formats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import dask.array as da

    from napari_ebsdml.camera import Camera
    from napari_ebsdml.scan import Scan


@dataclass
class RawPhase:
    """A phase as the file's header names it; None where the header is silent.

    `lattice` is a, b, c in angstrom and alpha, beta, gamma in degrees. `laue` is the Laue
    class in Hermann-Mauguin notation ("m-3m"), when that is all that the file tells.
    """

    name: str
    space_group: int | None = None
    point_group: str | None = None
    laue: str | None = None
    lattice: tuple[float, float, float, float, float, float] | None = None
    atoms: list[tuple[str, float, float, float, float]] = field(default_factory=list)
    """Element, fractional x, y, z, occupancy."""
    formula: str = ""


@dataclass
class RawMap:
    """Points of one scan, in the order of the file. All arrays have one row per point.

    Parameters
    ----------
    path, format, scan_name
        Where the points come from.
    frame
        Key of `frames.FRAMES`: how the Euler angles relate to the map.
    phases
        By the number that `phase` uses.
    phase : (n,) int
    not_indexed : (n,) bool
        By the vendor's own rule.
    euler : (n, 3) float, optional
        Bunge angles in radians; exactly one of `euler` and `quaternions` unless the file
        holds no orientations at all.
    quaternions : (n, 4) float, optional
        Specimen -> crystal as in orix.
    x, y : (n,) float, optional
        Coordinates in um; None when the points fill `shape` in raster order (x fastest).
    shape : (rows, columns), optional
        What the header says; trusted only when the points agree.
    step : (dy, dx) in um, optional
        What the header says; used when the coordinates cannot tell.
    hexagonal
        What the header says, or None when it is silent.
    measured : (n,) bool, optional
        False for points that the file lists but the instrument never measured.
    prop : name -> (n,) array
    units : name -> unit of a property, where the file tells it
    layout_warnings
        Sentences on points of which the file does not tell the place; a map beside it may.
    patterns : dask array (n, detector rows, detector columns), optional
    camera : Camera, optional
        Its pattern centres may be (n, 3), one for each point.
    """

    path: Path
    format: str
    frame: str
    phases: dict[int, RawPhase] = field(default_factory=dict)
    phase: NDArray[Any] | None = None
    not_indexed: NDArray[np.bool_] | None = None
    euler: NDArray[Any] | None = None
    quaternions: NDArray[Any] | None = None
    x: NDArray[Any] | None = None
    y: NDArray[Any] | None = None
    shape: tuple[int, int] | None = None
    step: tuple[float, float] | None = None
    hexagonal: bool | None = None
    measured: NDArray[np.bool_] | None = None
    prop: dict[str, NDArray[Any]] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    patterns: da.Array | None = None
    camera: Camera | None = None
    header: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    layout_warnings: list[str] = field(default_factory=list)
    scan_name: str = ""


@dataclass(frozen=True)
class Format:
    """One file format: how to recognise, read and write it.

    Parameters
    ----------
    name
        Short name, used in `Source.format` and in messages.
    title
        Full name for file dialogs, e.g. "EDAX/TSL text (.ang)".
    extensions
        Lower case, with the dot.
    sniff
        ``(path, head) -> bool`` from the first 4096 bytes (empty for a folder); must never raise.
    read
        ``(path, scan_name or None) -> RawMap``. None means the first scan of the file.
    scans
        ``(path) -> names`` of the scans in the file, in order; None for single-scan formats.
    write
        ``(path, scan)``; None for formats that are only read.
    """

    name: str
    title: str
    extensions: tuple[str, ...]
    sniff: Callable[[Path, bytes], bool]
    read: Callable[[Path, str | None], RawMap]
    scans: Callable[[Path], list[str]] | None = None
    write: Callable[[Path, Scan], None] | None = None
