"""Oxford Instruments .h5oina: maps by AZtec and AZtecCrystal, with and without patterns.

After the published specification, versions 1.0 to 8.0
(https://github.com/oinanoanalysis/h5oina, doi:10.1017/S1431927621006103). A slice "1" may hold
the map as measured ("EBSD") and as cleaned ("Data Processing"); both are offered, the measured
one first, for the specification keeps it so that cleaning never replaces it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.io._detector import camera_of_file
from napari_ebsdml.io._hdf5 import SIGNATURE, Node, manufacturer, tidy
from napari_ebsdml.io._hdf5_map import check_euler, check_phases, numbered_phases, several_scans
from napari_ebsdml.io._hdf5_patterns import h5_patterns, pattern_shape
from napari_ebsdml.io._phase_text import known_space_group, modern_symbol, oxford_laue
from napari_ebsdml.io._placement import Placement, place_points, step_of
from napari_ebsdml.io._raw import Format, RawMap, RawPhase

_NEWEST = 8.0
_PROCESSED = "Data Processing"
_PATTERNS = ("Processed Patterns", "Unprocessed Patterns")
# Short names that every Oxford format shares.
_SHORT = {"Band Contrast": "BC", "Band Slope": "BS", "Mean Angular Deviation": "MAD"}
_NOT_PROPERTIES = {
    "Phase",
    "Euler",
    "X",
    "Y",
    "Pattern Center X",
    "Pattern Center Y",
    "Detector Distance",
}
_NOT_ANALYSED = 0


def _sniff(path: Path, head: bytes) -> bool:
    if not head.startswith(SIGNATURE):
        return False
    return path.suffix.lower() == ".h5oina" or manufacturer(path, head).startswith("oxford")


def _slices(root: Node) -> list[str]:
    """Names of the acquisitions, from the Index or else from the groups."""
    listed = [name for name in root.texts("Index") if isinstance(root.find(name), h5py.Group)]
    numbered = sorted((key for key in root.groups() if key.isdigit()), key=int)
    return list(dict.fromkeys(listed + numbered))


def _scan_places(root: Node) -> dict[str, tuple[str, str]]:
    """(slice, technique) of each scan by its name."""
    found: dict[str, tuple[str, str]] = {}
    techniques: set[str] = set()
    for name in _slices(root):
        node = root.group(name)
        techniques |= set(node.groups())
        if node.find("EBSD") is not None:
            found[name] = (name, "EBSD")
            if _is_cleaned(node):
                found[f"{name} {_PROCESSED}"] = (name, _PROCESSED)
    if not found:
        holds = ", ".join(sorted(techniques)) or "no acquisition"
        raise FileFormatError(
            root.path,
            f"the file holds no EBSD map, but {holds}; export the map data that contain EBSD",
        )
    return found


def _is_cleaned(node: Node) -> bool:
    """Whether a slice holds its map as cleaned, too."""
    return node.find(f"{_PROCESSED}/Data/Euler") is not None


def _version_warnings(root: Node) -> list[str]:
    text = root.text("Format Version")
    match = re.match(r"\d+(\.\d+)?", text)
    if not match:
        return ["The file does not say which version of the format it follows; 8.0 is assumed."]
    if float(match[0]) > _NEWEST:
        return [f"The file follows version {text} of the format; known are 1.0 to {_NEWEST}."]
    return []


def _read_scan(root: Node, name: str, place: tuple[str, str]) -> RawMap:
    slice_name, technique = place
    node = root.group(slice_name)
    warnings = _version_warnings(root)
    if technique == "EBSD" and _is_cleaned(node):
        warnings.append(
            f"The file also holds this map as cleaned: scan '{slice_name} {_PROCESSED}'."
        )
    measured_data, header = node.group("EBSD/Data"), node.group("EBSD/Header")
    own = node.group(f"{technique}/Data")
    own_header = node.maybe_group(f"{technique}/Header")
    rows, columns = header.count("Y Cells"), header.count("X Cells")
    n = rows * columns

    patterns_name = next((p for p in _PATTERNS if measured_data.find(p) is not None), None)
    euler, phase = None, None
    if own.find("Euler") is not None or own.find("Phase") is not None or patterns_name is None:
        euler = _euler(own, n)
        phase = own.integers("Phase", n)
    outside = _outside(measured_data, n, euler, phase)
    if outside.all():
        raise own.error("Euler", "no point of the map was measured")
    measured = ~outside if outside.any() else None
    placement = _place(measured_data, header, rows, columns, measured, warnings)

    phases = _phases(own_header, header)
    not_indexed = None
    if euler is not None and phase is not None:
        not_indexed = phase <= 0
        check_phases(own, phase, ~not_indexed, phases, warnings)
        check_euler(own, "Euler", euler, ~not_indexed, "radians")

    patterns = None
    if patterns_name is not None:
        patterns = h5_patterns(measured_data, patterns_name, n, columns)
        if all(measured_data.find(p) is not None for p in _PATTERNS):
            warnings.append("The file also holds unprocessed patterns; processed ones are read.")
    prop = measured_data.per_point(n, _NOT_PROPERTIES)
    if own.name != measured_data.name:
        prop |= own.per_point(n, _NOT_PROPERTIES)
    prop = {_SHORT.get(key, key): values for key, values in prop.items()}
    if "MAD" in prop:
        unit = own.attribute("Mean Angular Deviation", "Unit") or measured_data.attribute(
            "Mean Angular Deviation", "Unit"
        )
        if not unit.casefold().startswith("deg"):
            prop["MAD"] = np.rad2deg(prop["MAD"])
    prop |= _element_maps(node, n)
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
        shape=(rows, columns),
        step=placement.step,
        hexagonal=False,
        measured=measured,
        prop=prop,
        patterns=patterns,
        camera=_camera(own, measured_data, header, n, patterns, warnings),
        header={
            **{key: root.text(key) for key in ("Format Version", "Software Version")},
            **header.header(),
            **({_PROCESSED: own_header.header()} if technique != "EBSD" and own_header else {}),
        },
        warnings=warnings,
        scan_name=name,
    )


def _euler(data: Node, n: int) -> NDArray[np.float64]:
    euler = data.array("Euler", n, columns=3)
    unit = data.attribute("Euler", "Unit").casefold()
    return np.deg2rad(euler) if unit.startswith("deg") else euler.astype(np.float64)


def _outside(
    data: Node, n: int, euler: NDArray[Any] | None, phase: NDArray[Any] | None
) -> NDArray[np.bool_]:
    """Points outside the acquisition area: the specification sets them to NaN.

    Whole numbers cannot be NaN, so without coordinates an unknown orientation alone is no proof:
    the point must also have no band contrast and not be analysed.
    """
    outside = np.zeros(n, dtype=bool)
    for name in ("X", "Y"):
        values = data.maybe_array(name, n)
        if values is not None:
            outside |= np.isnan(values)
    if euler is not None and phase is not None:
        blank = np.isnan(euler).all(axis=1) & (phase <= 0)
        for name, empty in (("Band Contrast", 0), ("Error", _NOT_ANALYSED)):
            values = data.maybe_array(name, n)
            if values is not None:
                blank &= values == empty
        outside |= blank
    return outside


def _place(
    data: Node,
    header: Node,
    rows: int,
    columns: int,
    measured: NDArray[np.bool_] | None,
    warnings: list[str],
) -> Placement:
    n = rows * columns
    step = step_of(header.number("Y Step"), header.number("X Step"))
    if rows == 1:
        # A line scan may run at any angle; its coordinates are those of the line on the specimen.
        warnings.append("The file holds one row of points (a line scan); it is read as such.")
        return place_points(n, (1, columns), step, None, None, measured, warnings)
    x, y = data.maybe_array("X", n), data.maybe_array("Y", n)
    return place_points(n, (rows, columns), step, x, y, measured, warnings)


def _frame(header: Node, warnings: list[str]) -> str:
    """Frame by the Scanning Rotation Angle: the turn of the map against the Euler axes.

    "Angle between the specimen tilt axis and the scanning tilt axis": with 0 the map's x runs
    along the specimen's X, with pi against it. Known files have one of the two; NaN stands for
    unknown. MTEX applies the angle too (interfaces/hdf5_config/info.md there). No file shows
    which way another angle turns.
    """
    angle = header.number("Scanning Rotation Angle")
    if angle is None:
        return "oxford"
    turn = abs((np.rad2deg(angle) + 180) % 360 - 180)
    if turn > 179.5:
        return "oxford-180"
    if turn > 0.5:
        warnings.append(
            f"The scan was turned by {np.rad2deg(angle):.1f} degrees against the specimen axes "
            "(Scanning Rotation Angle); the orientations are left as they are."
        )
    return "oxford"


def _phases(own: Node | None, header: Node) -> dict[int, RawPhase]:
    group = own.maybe_group("Phases") if own is not None else None
    if group is None:
        group = header.maybe_group("Phases")
    return numbered_phases(group, _one_phase)


def _one_phase(node: Node, number: int) -> RawPhase:
    lengths, angles = node.numbers("Lattice Dimensions"), node.numbers("Lattice Angles")
    lattice = None
    if lengths is not None and angles is not None:
        if lengths.size != 3 or angles.size != 3:
            raise node.error("Lattice Dimensions", "a lattice has three lengths and three angles")
        if not node.attribute("Lattice Angles", "Unit").casefold().startswith("deg"):
            angles = np.rad2deg(angles)
        # pi / 2 in single precision is 90.0000025 degrees.
        a, b, c = (tidy(value) for value in lengths)
        alpha, beta, gamma = (round(float(value), 4) for value in angles)
        lattice = (a, b, c, alpha, beta, gamma)
    return RawPhase(
        name=node.text("Phase Name") or f"phase {number}",
        space_group=known_space_group(node.number("Space Group")),
        laue=_laue(node),
        lattice=lattice,
    )


def _laue(node: Node) -> str | None:
    """Laue class by its symbol, an attribute that old files may lack, or else by its number."""
    symbol = node.attribute("Laue Group", "Symbol")
    if symbol:
        return modern_symbol(symbol)
    return oxford_laue(node.number("Laue Group"))


def _element_maps(node: Node, n: int) -> dict[str, NDArray[Any]]:
    """EDS maps that were measured with the EBSD map, as "Window Integral Fe Ka1"."""
    maps: dict[str, NDArray[Any]] = {}
    for technique in (key for key in node.keys if re.fullmatch(r"EDS\d*", key)):
        data = node.maybe_group(f"{technique}/Data")
        for kind in ("Window Integral", "Peak Area", "Composition"):
            group = data.maybe_group(kind) if data is not None else None
            if group is not None:
                prefix = kind if technique == "EDS" else f"{technique} {kind}"
                found = group.per_point(n, set())
                maps |= {f"{prefix} {element}": values for element, values in found.items()}
    return maps


def _camera(
    own: Node,
    data: Node,
    header: Node,
    n: int,
    patterns: Any,
    warnings: list[str],
) -> Camera | None:
    centres = []
    for name in ("Pattern Center X", "Pattern Center Y", "Detector Distance"):
        values = own.maybe_array(name, n)
        centres.append(data.maybe_array(name, n) if values is None else values)
    known = [values for values in centres if values is not None]
    tilt = header.numbers("Detector Orientation Euler")
    return camera_of_file(
        pattern_shape(patterns, header, "Pattern Height", "Pattern Width"),
        warnings,
        np.column_stack(known) if len(known) == 3 else None,
        "oxford",
        sample_tilt=float(np.rad2deg(header.number("Tilt Angle", np.deg2rad(70.0)) or 0.0)),
        # The second Euler angle is 90 degrees for an upright detector.
        tilt=float(np.rad2deg(tilt[1]) - 90) if tilt is not None and tilt.size == 3 else 0.0,
        binning=_binning(header),
    )


def _binning(header: Node) -> int:
    """Binning by the pattern height in the camera mode, "Speed 2 (156x128 px)".

    The full sensor has 1024 rows; Speed 3 cuts 20 rows off top and bottom of 128
    (https://github.com/oinanoanalysis/h5oina/issues/5).
    """
    mode = header.text("Camera Mode") or header.text("Camera Binning Mode")
    match = re.search(r"\((\d+)x(\d+) px\)", mode)
    if not match or int(match[2]) == 0:
        return 1
    height = 128 if int(match[2]) == 88 else int(match[2])
    return max(1, round(1024 / height))


_read, _scans = several_scans(_scan_places, _read_scan)

FORMAT = Format(
    name="h5oina",
    title="Oxford Instruments HDF5 (.h5oina)",
    extensions=(".h5oina",),
    sniff=_sniff,
    read=_read,
    scans=_scans,
)
