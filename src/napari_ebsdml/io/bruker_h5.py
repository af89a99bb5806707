"""Bruker ESPRIT HDF5 (.h5): scans with and without patterns, regions of any outline.

There is no published specification. Names follow public files (e.g. doi:10.5281/zenodo.1288431)
and the schematic "ESPRIT Coordinates" that each file carries: on the map, X BEAM runs right and
Y BEAM down, while X SAMPLE runs left, Y SAMPLE down and Z out of the screen. Angles are degrees,
lattice constants angstrom.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import FileFormatError, GridError, UnsupportedFormatError
from napari_ebsdml.io._detector import camera_of_file
from napari_ebsdml.io._hdf5 import SIGNATURE, Node, manufacturer, tidy
from napari_ebsdml.io._hdf5_map import check_euler, check_phases, numbered_phases, several_scans
from napari_ebsdml.io._hdf5_patterns import h5_patterns, pattern_shape
from napari_ebsdml.io._phase_text import known_space_group
from napari_ebsdml.io._placement import Placement, has_repeats, step_of
from napari_ebsdml.io._raw import Format, RawMap, RawPhase

_DATA = "EBSD/Data"
_HEADER = "EBSD/Header"
_PATTERNS = "RawPatterns"
_EULER = ("phi1", "PHI", "phi2")
_NOT_PROPERTIES = {
    *_EULER,
    "Phase",
    _PATTERNS,
    "PCX",
    "PCY",
    "DD",
    "IX",
    "IY",
    "X BEAM",
    "Y BEAM",
    "X SAMPLE",
    "Y SAMPLE",
    "Z SAMPLE",
}
# The only coordinate system known so far; its schematic gives the axes above.
_KNOWN_SYSTEM = 5


def _sniff(path: Path, head: bytes) -> bool:
    return head.startswith(SIGNATURE) and manufacturer(path, head).startswith("bruker")


def _scan_nodes(root: Node) -> dict[str, Node]:
    nodes = {key.strip(): root.group(key) for key in root.groups()}
    nodes = {key: node for key, node in nodes.items() if node.find("EBSD") is not None}
    if not nodes:
        raise FileFormatError(root.path, f"no group holds EBSD data ({_DATA}); it has {root.keys}")
    return nodes


def _read_scan(root: Node, name: str, node: Node) -> RawMap:
    path = root.path
    data, header = node.group(_DATA), node.group(_HEADER)
    grid = header.text("Grid Type", "isometric")
    if grid.casefold() != "isometric":
        raise UnsupportedFormatError(
            path,
            f"the grid is {grid!r}; only 'isometric' (square) is known. Export the map as .ctf",
            f"{header.name}/Grid Type",
        )
    warnings: list[str] = []
    n, euler = _euler(data)
    placement = _place(path, node, data, header, n, warnings)
    phases = numbered_phases(
        header.maybe_group("Phases"), lambda group, number: _one_phase(group, number, warnings)
    )
    phase, not_indexed = None, None
    if euler is not None:
        phase, not_indexed = _phase(data, n, euler, phases, warnings)
    patterns = None
    if data.find(_PATTERNS) is not None:
        assert placement.shape is not None
        columns = placement.shape[1] if placement.x is None else None
        patterns = h5_patterns(data, _PATTERNS, n, columns)
    return RawMap(
        path=path,
        format=FORMAT.name,
        frame=_frame(header, warnings),
        phases=phases,
        phase=phase,
        not_indexed=not_indexed,
        euler=euler,
        x=placement.x,
        y=placement.y,
        shape=placement.shape,
        step=placement.step,
        hexagonal=False,
        prop=data.per_point(n, _NOT_PROPERTIES),
        patterns=patterns,
        camera=_camera(data, header, n, patterns, warnings),
        header={"Version": root.text("Version"), **header.header()},
        warnings=warnings,
        scan_name=name,
    )


def _euler(data: Node) -> tuple[int, NDArray[np.float64] | None]:
    """Number of points, and Bunge angles (n, 3) in radians if the scan was indexed."""
    if data.find("phi1") is None and data.find(_PATTERNS) is not None:
        dataset = data.dataset(_PATTERNS)
        return int(dataset.shape[0]) if dataset.shape else 0, None
    first = data.array("phi1")
    if first.size == 0:
        raise data.error("phi1", "it holds no point")
    others = [data.array(name, first.size) for name in _EULER[1:]]
    return first.size, np.deg2rad(np.column_stack([first, *others]).astype(np.float64))


def _phase(
    data: Node,
    n: int,
    euler: NDArray[np.float64],
    phases: dict[int, RawPhase],
    warnings: list[str],
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    phase = data.integers("Phase", n)
    not_indexed = phase <= 0
    bands = data.maybe_array("NIndexedBands", n)
    if bands is not None:
        # ESPRIT writes zeros for a point without a solution.
        not_indexed |= (bands == 0) & (euler == 0).all(axis=1)
    check_phases(data, phase, ~not_indexed, phases, warnings)
    check_euler(data, "phi1", euler, ~not_indexed, "degrees")
    return phase, not_indexed


def _place(
    path: Path, node: Node, data: Node, header: Node, n: int, warnings: list[str]
) -> Placement:
    """Rows and columns of the points, as the file numbers them, or else in raster order."""
    shape = (header.count("NROWS"), header.count("NCOLS"))
    step = step_of(header.number("YSTEP"), header.number("XSTEP"))
    if step is None:
        warnings.append("The file gives no step size; 1 um is assumed.")
        step = (1.0, 1.0)
    index = _indices(node, n) or _beam_indices(data, n, shape)
    if index is None:
        if n != shape[0] * shape[1]:
            raise GridError(
                path,
                f"it has {n} points for {shape[0]} rows x {shape[1]} columns, but neither IY and "
                "IX nor beam positions say where they belong",
                data.name,
            )
        return Placement(None, None, shape, step)
    row, column = index[0] - index[0].min(), index[1] - index[1].min()
    rows, columns = int(row.max()) + 1, int(column.max()) + 1
    if rows * columns > 100 * n + 10_000:
        raise GridError(path, f"IY and IX span {rows} x {columns} cells for {n} points", node.name)
    pixel = (row * columns + column).astype(np.intp)
    if has_repeats(pixel, rows * columns):
        raise GridError(path, "IY and IX put several points into one cell", node.name)
    if n == rows * columns and np.array_equal(pixel, np.arange(n)):
        return Placement(None, None, (rows, columns), step)
    return Placement(column * step[1], row * step[0], (rows, columns), step)


def _indices(node: Node, n: int) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None:
    """Row and column of each point in a region of interest.

    Depending on the version they stand in different groups; a file without a region of interest
    may have entries of another length, which mean nothing.
    """
    for place in ("EBSD/SEM", "SEM", _DATA):
        group = node.maybe_group(place)
        for row, column in (("IY", "IX"), ("SEM IY", "SEM IX")):
            if group is None or group.find(row) is None or group.find(column) is None:
                continue
            found = group.array(row), group.array(column)
            if all(values is not None and values.size == n for values in found) and n > 1:
                return group.integers(row, n), group.integers(column, n)
    return None


def _beam_indices(
    data: Node, n: int, shape: tuple[int, int]
) -> tuple[NDArray[np.int32], NDArray[np.int32]] | None:
    """Row and column by the beam position in pixels of the SEM image, if that is on a grid."""
    index = []
    for name, length in (("Y BEAM", shape[0]), ("X BEAM", shape[1])):
        if data.find(name) is None:
            return None
        values = data.integers(name, n)
        if values.min() == values.max():
            if length != 1:
                return None
            index.append(np.zeros(n, dtype=np.int32))
            continue
        offset = values - values.min()
        position = offset // int(np.gcd.reduce(offset))
        if position.max() >= length:
            return None
        index.append(position.astype(np.int32))
    if has_repeats(index[0].astype(np.intp) * shape[1] + index[1], shape[0] * shape[1]):
        return None
    return index[0], index[1]


def _frame(header: Node, warnings: list[str]) -> str:
    """Bruker's frame: the map's turned by 180 degrees about y, hexagonal crystals with x along a*.

    Evidence: the schematic in the files (`Coordinate Systems`), and MTEX, which turns by 180
    degrees about y for ID 5 and has x along a* (interfaces/hdf5_config/info.md there).
    """
    number = header.number("Coordinate Systems/ID", _KNOWN_SYSTEM)
    if number != _KNOWN_SYSTEM:
        warnings.append(
            f"The file gives coordinate system {number:g}; only {_KNOWN_SYSTEM} is known and "
            "assumed. Compare with the schematic in the file."
        )
    return "bruker"


def _one_phase(node: Node, number: int, warnings: list[str]) -> RawPhase:
    name = node.text("Name") or node.text("Formula") or f"phase {number}"
    constants = node.numbers("LatticeConstants")
    lattice = None
    if constants is not None:
        if constants.size != 6:
            raise node.error("LatticeConstants", f"it has {constants.size} numbers, not 6")
        a, b, c, *angles = map(tidy, constants)
        lattice = (a, b, c, angles[0], angles[1], angles[2])
    atoms = node.maybe_group("AtomPositions")
    return RawPhase(
        name=name,
        space_group=known_space_group(node.number("IT")),
        lattice=lattice,
        atoms=_atoms(atoms) if atoms is not None else [],
        formula=node.text("Formula"),
    )


def _atoms(group: Node) -> list[tuple[str, float, float, float, float]]:
    """Atoms from strings "element,x,y,z,occupancy,B"; those that cannot be read are left out."""
    atoms = []
    for key in sorted(group.keys, key=lambda key: (len(key), key)):
        parts = [part.strip() for part in group.text(key).split(",")]
        try:
            x, y, z, occupancy = (float(part) for part in parts[1:5])
        except ValueError:
            continue
        if re.fullmatch(r"[A-Z][a-z]?\d*[+-]?", parts[0]):
            atoms.append((parts[0], x, y, z, occupancy))
    return atoms


def _camera(data: Node, header: Node, n: int, patterns: Any, warnings: list[str]) -> Camera | None:
    centres = [data.maybe_array(name, n) for name in ("PCX", "PCY", "DD")]
    known = [values for values in centres if values is not None]
    height = header.number("UnClippedPatternHeight")
    full = header.number("DetectorFullHeightMicrons")
    return camera_of_file(
        pattern_shape(patterns, header, "PatternHeight", "PatternWidth"),
        warnings,
        np.column_stack(known) if len(known) == 3 else None,
        "bruker",
        sample_tilt=header.number("SampleTilt", 70.0) or 0.0,
        tilt=header.number("CameraTilt", 0.0) or 0.0,
        px_size=full / height if full and height and full > 0 and height > 0 else 1.0,
    )


_read, _scans = several_scans(_scan_nodes, _read_scan)

FORMAT = Format(
    name="bruker-h5",
    title="Bruker ESPRIT HDF5 (.h5)",
    extensions=(".h5", ".hdf5", ".h5ebsd"),
    sniff=_sniff,
    read=_read,
    scans=_scans,
)
