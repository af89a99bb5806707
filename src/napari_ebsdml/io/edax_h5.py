"""EDAX OIM HDF5 (.oh5, .h5): scans with and without patterns.

There is no published specification. Names and codes follow files written by OIM Analysis 7.2 and
what is public on 8.x. Facts that the files state themselves: `Valid` is 0 indexed, 1 no solution,
2 invalid point (then x and y are -1111111), and `Coordinate System` holds schematics of four
settings, chosen by `ID`:

== ============== ==============
ID A1 on the map  A2 on the map
== ============== ==============
1  down           right
2  up             left
3  left           down
4  right          up
== ============== ==============
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import FileFormatError, UnsupportedFormatError
from napari_ebsdml.io._detector import camera_of_file
from napari_ebsdml.io._hdf5 import SIGNATURE, Node, manufacturer, tidy
from napari_ebsdml.io._hdf5_map import check_euler, check_phases, numbered_phases, several_scans
from napari_ebsdml.io._hdf5_patterns import h5_patterns, pattern_shape
from napari_ebsdml.io._phase_text import edax_symmetry, known_space_group
from napari_ebsdml.io._placement import place_points, step_of
from napari_ebsdml.io._raw import Format, RawMap, RawPhase

# Coordinates of points outside the sample; the exact value is -1111111.
_OUTSIDE = -1e6
# OIM gives a point without a solution three Euler angles of 4 pi.
_NO_SOLUTION = 4 * np.pi

# Mean angle in degrees between found and expected bands that OIM writes for "no solution".
_NO_FIT = 180

_FRAME_OF_ID = {1: "edax-1", 2: "edax", 3: "edax-3", 4: "edax-4"}
_DATA = "EBSD/Data"
_HEADER = "EBSD/Header"


def _sniff(path: Path, head: bytes) -> bool:
    if not head.startswith(SIGNATURE):
        return False
    return path.suffix.lower() in (".oh5", ".edaxh5") or "edax" in manufacturer(path, head)


def _scan_nodes(root: Node) -> dict[str, Node]:
    """Groups with EBSD data by their path; newer files nest them below project and sample."""
    found: dict[str, Node] = {}

    def walk(node: Node, depth: int) -> None:
        if node.find(_DATA) is not None and node.name != "/":
            found[node.name.strip("/")] = node
        elif depth:
            for key in node.groups():
                walk(node.group(key), depth - 1)

    walk(root, 5)
    if not found:
        if "ANG" in _names_below(root, 6):
            raise UnsupportedFormatError(
                root.path,
                "it is a project file of EDAX APEX (.edaxh5), which is not supported; "
                "export the map as .ang or .oh5 from OIM Analysis",
            )
        raise FileFormatError(root.path, f"no group holds EBSD data ({_DATA}); it has {root.keys}")
    return found


def _names_below(node: Node, depth: int) -> set[str]:
    names = set(node.keys)
    if depth:
        for key in node.groups():
            names |= _names_below(node.group(key), depth - 1)
    return names


def _read_scan(root: Node, name: str, node: Node) -> RawMap:
    data, header = node.group(_DATA), node.group(_HEADER)
    warnings: list[str] = []
    phases = numbered_phases(
        header.maybe_group("Phase"), lambda node, number: _one_phase(node, number, warnings)
    )
    has_patterns = data.find("Pattern") is not None
    if data.find("Phi1") is None and not has_patterns:
        raise data.error("Phi1", "the dataset is missing: the scan has no orientations")

    n, euler = _euler(data)
    hexagonal = _is_hexagonal(header)
    shape = (header.count("nRows"), header.count("nColumns"))
    expected = shape[0] * shape[1] - (shape[0] // 2 if hexagonal else 0)
    if n > shape[0] * shape[1]:
        raise data.error(
            "Phi1" if euler is not None else "Pattern",
            f"it has {n} points; the header's {shape[0]} rows x {shape[1]} columns make {expected}",
        )
    x, y = data.maybe_array("X Position", n), data.maybe_array("Y Position", n)
    valid = data.maybe_array("Valid", n)
    outside = np.zeros(n, dtype=bool)
    for values in (x, y):
        if values is not None:
            outside |= ~(values > _OUTSIDE)
    if valid is not None:
        outside |= valid == 2
    if outside.all():
        raise data.error("Valid", "all points are marked as invalid; there is no map in it")
    step = step_of(header.number("Step Y"), header.number("Step X"))
    measured = ~outside if outside.any() else None
    if hexagonal:
        shape_hint = None
        placement = place_points(n, None, step, x, y, measured, warnings)
    else:
        shape_hint = shape
        placement = place_points(n, shape, step, x, y, measured, warnings)

    not_indexed, phase = None, None
    if euler is not None:
        phase, not_indexed = _phase(data, n, phases, warnings)
        not_indexed |= (np.abs(euler - _NO_SOLUTION) < 1e-2).all(axis=1)
        if valid is not None:
            not_indexed |= valid != 0
        index, fit = data.maybe_array("CI", n), data.maybe_array("Fit", n)
        if index is not None:
            not_indexed |= index < 0
        if fit is not None:
            not_indexed |= fit >= _NO_FIT
        check_euler(data, "Phi1", euler, ~not_indexed & ~outside, "radians")

    patterns = None
    if has_patterns:
        patterns = h5_patterns(data, "Pattern", n, None if hexagonal else shape[1])
    return RawMap(
        path=root.path,
        format=FORMAT.name,
        frame=_frame(header, warnings),
        phases=phases,
        phase=phase,
        not_indexed=not_indexed,
        euler=euler,
        x=placement.x,
        y=placement.y,
        shape=shape_hint,
        step=placement.step,
        hexagonal=hexagonal,
        measured=measured,
        prop=data.per_point(
            n, {"Phi1", "Phi", "Phi2", "Phase", "X Position", "Y Position", "Valid", "Pattern"}
        ),
        patterns=patterns,
        camera=_camera(header, patterns, warnings),
        header={"Version": root.text("Version"), **header.header()},
        warnings=warnings,
        scan_name=name,
    )


def _euler(data: Node) -> tuple[int, NDArray[np.float64] | None]:
    """Number of points, and Bunge angles (n, 3) in radians if the scan was indexed."""
    first = data.maybe_array("Phi1")
    if first is None:
        patterns = data.dataset("Pattern")
        return int(patterns.shape[0]) if patterns.shape else 0, None
    n = first.size
    if n == 0:
        raise data.error("Phi1", "it holds no point")
    columns = [first, data.array("Phi", n), data.array("Phi2", n)]
    return n, np.column_stack(columns).astype(np.float64)


def _phase(
    data: Node, n: int, phases: dict[int, RawPhase], warnings: list[str]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Phase of each point by the header's numbers, and which have none."""
    phase = data.integers("Phase", n)
    if len(phases) == 1 and 0 not in phases:
        (only,) = phases
        if not np.any(phase == only):
            # OIM numbers the phase of a single-phase scan 0, but files it as 1 in the header.
            phase = np.where(phase == 0, np.int32(only), phase)
    not_indexed = phase < 0
    if 0 not in phases:
        not_indexed |= phase == 0
        if len(phases) > 1 and not np.any(phase > 0):
            warnings.append(
                f"All points have phase 0, though the header lists {len(phases)} phases; "
                "the scan counts as not indexed."
            )
    check_phases(data, phase, ~not_indexed, phases, warnings)
    return phase, not_indexed


def _is_hexagonal(header: Node) -> bool | None:
    grid = header.text("Grid Type")
    if not grid:
        return None
    if grid.casefold().startswith("hex"):
        return True
    if grid.casefold().startswith("sqr") or grid.casefold().startswith("square"):
        return False
    raise header.error("Grid Type", f"it is {grid!r}; SqrGrid and HexGrid are known")


def _frame(header: Node, warnings: list[str]) -> str:
    number = header.number("Coordinate System/ID")
    if number is None:
        return "edax"
    name = _FRAME_OF_ID.get(int(number))
    if name is None:
        # OIM 8 and later may write -1 for "not set".
        warnings.append(
            f"The file gives coordinate system {number:g}, which is none of EDAX's four; "
            "the most common one (2) is assumed."
        )
        return "edax"
    return name


def _one_phase(node: Node, number: int, warnings: list[str]) -> RawPhase:
    formula = node.text("Formula")
    name = node.text("MaterialName") or formula or f"phase {number}"
    point_group, laue, problem = edax_symmetry(
        node.number("Symmetry", node.number("LGsymID")),
        node.text("Point Group") or node.number("PGsymID"),
    )
    if problem:
        warnings.append(f"Phase {name!r}: {problem}.")
    lattice = [node.number(f"Lattice Constant {axis}") for axis in _AXES]
    return RawPhase(
        name=name,
        space_group=known_space_group(node.number("SpaceGroupNumber")),
        point_group=point_group,
        laue=laue,
        lattice=None if None in lattice else _lattice(lattice),
        formula=formula,
    )


_AXES = ("a", "b", "c", "alpha", "beta", "gamma")


def _lattice(values: list[Any]) -> tuple[float, float, float, float, float, float]:
    a, b, c, alpha, beta, gamma = (tidy(value) for value in values)
    return a, b, c, alpha, beta, gamma


def _camera(header: Node, patterns: Any, warnings: list[str]) -> Camera | None:
    centre = [header.number(f"Pattern Center Calibration/{axis}-star") for axis in "xyz"]
    return camera_of_file(
        pattern_shape(patterns, header, "Pattern Height", "Pattern Width"),
        warnings,
        None if None in centre else np.array(centre, dtype=np.float64),
        "edax",
        # The sign only tells which way the stage turns.
        sample_tilt=abs(header.number("Sample Tilt", 70.0) or 0.0),
        tilt=header.number("Camera Elevation Angle", 0.0) or 0.0,
        azimuthal=header.number("Camera Azimuthal Angle", 0.0) or 0.0,
    )


_read, _scans = several_scans(_scan_nodes, _read_scan)


def _read_at(path: Path, scan: str | None = None) -> RawMap:
    # Names are paths inside the file; slashes around them mean nothing.
    return _read(path, scan.strip("/") if scan is not None else None)


FORMAT = Format(
    name="edax-h5",
    title="EDAX OIM HDF5 (.oh5, .h5)",
    extensions=(".oh5", ".h5", ".hdf5", ".edaxh5"),
    sniff=_sniff,
    read=_read_at,
    scans=_scans,
)
