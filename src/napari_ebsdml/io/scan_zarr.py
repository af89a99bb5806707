"""A whole `Scan` in a zarr group, and back: what sessions and OME-Zarr files keep of maps.

Patterns are not copied: they are read again, lazily, from the file that the scan came from.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import EbsdmlError, FileFormatError
from napari_ebsdml.scan import HexagonalPoints, Scan, Source

if TYPE_CHECKING:
    from orix.crystal_map import Phase, PhaseList

VERSION = 1
_HEXAGONAL = ("x", "y", "nearest", "quaternions", "phase_id")


def write_scan(group: Any, scan: Scan) -> None:
    """Write a scan into an empty zarr group, which then holds all that it is but its patterns."""
    _put(group, "quaternions", scan.quaternions)
    _put(group, "phase_id", scan.phase_id)
    if scan.is_measured is not None:
        _put(group, "is_measured", scan.is_measured)
    # Names of properties may hold what no path can.
    names = list(scan.prop)
    for number, name in enumerate(names):
        _put(group, f"prop/{number}", scan.prop[name])
    hexagonal = scan.source.hexagonal
    told: dict[str, Any] = {
        "version": VERSION, "step": list(scan.step), "prop": names, "units": dict(scan.units),
        "phases": {str(n): phase_entry(phase) for n, phase in scan.phases if n >= 0},
        "source": {
            "path": str(scan.source.path) if scan.source.path is not None else None,
            "format": scan.source.format, "scan_name": scan.source.scan_name,
            "reference_frame": scan.source.reference_frame,
            "header": _plain(scan.source.header), "warnings": list(scan.source.warnings),
        },
        "patterns": None if scan.patterns is None else list(scan.patterns.shape),
    }  # fmt: skip
    if hexagonal is not None:
        for name in _HEXAGONAL:
            _put(group, f"hexagonal/{name}", getattr(hexagonal, name))
        for number, values in enumerate(hexagonal.prop.values()):
            _put(group, f"hexagonal/prop/{number}", values)
        told["hexagonal"] = {"step": list(hexagonal.step), "prop": list(hexagonal.prop)}
    if scan.camera is not None:
        camera = {f.name: getattr(scan.camera, f.name) for f in dataclasses.fields(Camera)}
        pc = camera.pop("pc")
        if pc is not None:
            _put(group, "pattern_centre", pc)
        told["camera"] = _plain(camera)
    group.attrs.update({"ebsdml_scan": told})


def read_scan(group: Any, read: Callable[..., Scan] | None = None) -> Scan:
    """The scan that `write_scan` wrote.

    Parameters
    ----------
    group
        Of zarr.
    read
        `napari_ebsdml.read`, by which the patterns are read again; without it there are none.

    Raises
    ------
    FileFormatError
        When the group holds none, a later version, or is damaged.
    """
    where = Path(str(group.store_path))
    told = group.attrs.get("ebsdml_scan")
    if not isinstance(told, dict):
        raise FileFormatError(where, "there is no scan in this zarr group.")
    if told.get("version") != VERSION:
        raise FileFormatError(
            where, f"the scan has version {told.get('version')}, of a later napari-ebsdml: update."
        )
    try:
        return _read(group, told, read)
    except EbsdmlError:
        raise
    except Exception as error:  # a damaged file raises anything
        raise FileFormatError(where, f"the scan is damaged ({error}).") from None


def _read(group: Any, told: Mapping[str, Any], read: Callable[..., Scan] | None) -> Scan:
    source = dict(told["source"])
    path = Path(source["path"]) if source["path"] is not None else None
    hexagonal = None
    if "hexagonal" in told:
        kept = {name: group[f"hexagonal/{name}"][...] for name in _HEXAGONAL}
        prop = {
            name: group[f"hexagonal/prop/{n}"][...]
            for n, name in enumerate(told["hexagonal"]["prop"])
        }
        step = told["hexagonal"]["step"]
        hexagonal = HexagonalPoints(**kept, step=(step[0], step[1]), prop=prop)
    notes = tuple(source["warnings"])
    patterns = None
    shape = np.shape(group["phase_id"])
    if told["patterns"] is not None:
        patterns, note = _patterns(path, source, tuple(told["patterns"]), read)
        notes += (note,) if note else ()
    camera = None
    if "camera" in told:
        given = dict(told["camera"])
        pc = group["pattern_centre"][...] if "pattern_centre" in group else None
        camera = Camera(**{**given, "shape": tuple(given["shape"])}, pc=pc)
    return Scan(
        quaternions=group["quaternions"][...], phase_id=group["phase_id"][...],
        phases=_phases(told["phases"]), step=(told["step"][0], told["step"][1]),
        prop={name: group[f"prop/{n}"][...] for n, name in enumerate(told["prop"])},
        units=told["units"],
        is_measured=group["is_measured"][...].reshape(shape) if "is_measured" in group else None,
        patterns=patterns, camera=camera,
        source=Source(
            path, source["format"], source["scan_name"], source["reference_frame"],
            source["header"], notes, hexagonal,
        ),
    )  # fmt: skip


def _patterns(
    path: Path | None,
    source: Mapping[str, Any],
    shape: tuple[int, ...],
    read: Callable[..., Scan] | None,
) -> tuple[Any, str]:
    """Patterns of the file that the scan came from, or why there are none."""
    if path is None or not path.exists() or read is None:
        return None, f"The patterns are not there: {path or 'they were in no file'}."
    try:
        found = read(path, scan=source["scan_name"] or None).patterns
    except EbsdmlError as error:
        return None, f"The patterns cannot be read: {error}"
    if found is None or found.shape != shape:
        return None, f"The patterns in {path} are others than before."
    return found, ""


def _put(group: Any, name: str, values: Any) -> None:
    group.create_array(name, data=np.ascontiguousarray(values))


def phase_entry(phase: Phase) -> dict[str, Any]:
    """What is kept of a phase, as JSON holds it."""
    return {
        "name": str(phase.name), "color": str(phase.color),
        "space_group": phase.space_group.number if phase.space_group is not None else None,
        "point_group": phase.point_group.name if phase.point_group is not None else None,
        "lattice": [float(v) for v in phase.structure.lattice.abcABG()],
        "atoms": [
            [str(atom.element), *(float(v) for v in atom.xyz), float(atom.occupancy)]
            for atom in phase.structure
        ],
    }  # fmt: skip


def phase_of_entry(told: Mapping[str, Any]) -> Phase:
    """The phase that `phase_entry` described."""
    from napari_ebsdml._orix import prepare_orix

    prepare_orix()
    from diffpy.structure import Atom, Lattice, Structure
    from orix.crystal_map import Phase

    atoms = [Atom(element, xyz, occupancy=share) for element, *xyz, share in told["atoms"]]
    structure = Structure(title=told["name"], lattice=Lattice(*told["lattice"]), atoms=atoms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        phase = Phase(told["name"], told["space_group"], structure=structure, color=told["color"])
        if told["space_group"] is None and told["point_group"] is not None:
            phase.point_group = told["point_group"]
    return phase


def _phases(entries: Mapping[str, Any]) -> PhaseList:
    from napari_ebsdml._orix import prepare_orix

    prepare_orix()
    from orix.crystal_map import PhaseList

    found = {int(number): phase_of_entry(told) for number, told in entries.items()}
    return PhaseList(found) if found else PhaseList()


def _plain(value: Any) -> Any:
    """A value as JSON holds it; what it cannot hold is left out."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.ndarray | np.generic):
        return _array(value)
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)


def _array(value: NDArray[Any] | np.generic) -> Any:
    most = 1000
    return _plain(value.tolist()) if value.size <= most else f"{value.size} values"
