"""Writer of maps in orix's HDF5 layout.

The layout is written here and not by orix, whose Euler angles are wrong where Phi = pi: an
Oxford or EDAX crystal with its c axis along the map's normal stands there.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from napari_ebsdml._atomic import replacing
from napari_ebsdml.errors import WriteError
from napari_ebsdml.io._orient import euler_from_quaternions
from napari_ebsdml.io._orix_map import RESERVED
from napari_ebsdml.io.provenance import KEY, text_of

if TYPE_CHECKING:
    from orix.crystal_map import Phase

    from napari_ebsdml.scan import Scan

OWN_GROUP = "napari_ebsdml"
"""Group of what orix has no place for; orix ignores it."""


def write_orix(path: Path, scan: Scan) -> None:
    """Write a map that `orix.io.load` reads; the identity stands where not indexed.

    Raises
    ------
    WriteError
        When the place cannot be written; an existing file is then left as it was.
    """
    try:
        with replacing(path) as temporary, h5py.File(temporary, "w") as file:
            _put(file, {"manufacturer": "orix", "version": version("orix")})
            _put(file, {"crystal_map": {"data": _data(scan), "header": _header(scan)}})
            for name, unit in scan.units.items():
                file[f"crystal_map/data/{_stored_name(name)}"].attrs["unit"] = unit
            own = file.create_group(OWN_GROUP)
            own.attrs["reference_frame"] = "Euler angles refer to the map: x right, y down, z in"
            own.attrs["source"] = scan.source.path.name if scan.source.path else ""
            own.attrs["warnings"] = "\n".join(scan.source.warnings)[:30_000]
            if text := text_of(scan):
                own.attrs[KEY] = text
            if scan.is_measured is not None:
                own.create_dataset("is_measured", data=scan.is_measured.ravel())
    except OSError as error:
        # HDF5 buries the system's word in a long line of its own.
        buried = re.search(r"error message = '([^']+)'", str(error))
        reason = buried[1] if buried else error.strerror or error
        raise WriteError(f"{path} could not be written: {reason}.") from error


def _put(group: h5py.Group, content: dict[str, Any]) -> None:
    for name, value in content.items():
        if isinstance(value, dict):
            _put(group.create_group(name), value)
        elif isinstance(value, str):
            group[name] = np.array([value.encode()], dtype="S")
        else:
            group[name] = np.atleast_1d(value)


def _data(scan: Scan) -> dict[str, Any]:
    y, x = np.indices(scan.shape).reshape(2, -1)
    angles = euler_from_quaternions(scan.quaternions.reshape(-1, 4))
    data: dict[str, Any] = {
        "y": y * scan.step[0],
        "x": x * scan.step[1],
        **{name: angles[:, k] for k, name in enumerate(("phi1", "Phi", "phi2"))},
        "phase_id": scan.phase_id.ravel(),
        "id": np.arange(x.size),
        "is_in_data": np.ones(x.size, dtype=np.bool_),
    }
    for name, values in scan.prop.items():
        data[_stored_name(name)] = values.ravel()
    return data


def _stored_name(name: str) -> str:
    """Name of a property in the file, which may not overwrite orientations, nor nest groups."""
    if name in RESERVED or name == ".":
        return f"{name}_"
    return name.replace("/", "_")


def _header(scan: Scan) -> dict[str, Any]:
    rows, columns = scan.shape
    phases = {str(number): _phase(phase) for number, phase in scan.phases}
    if not scan.is_indexed.all() and "-1" not in phases:
        phases["-1"] = _phase_entry("not_indexed", "None", "None", "white", None)
    return {
        "grid_type": "square",
        "ny": rows,
        "nx": columns,
        "y_step": scan.step[0],
        "x_step": scan.step[1],
        "rotations_per_point": 1,
        "scan_unit": "um",
        "phases": phases,
    }


def _phase(phase: Phase) -> dict[str, Any]:
    group = phase.point_group
    told = phase.space_group is not None
    return _phase_entry(
        phase.name,
        phase.space_group.number if told else "None",
        # Of P3121, orix reads the point group 32 as 321 and drops the space group over it.
        "None" if told or group is None else group.name,
        str(phase.color),
        phase.structure,
    )


def _phase_entry(
    name: str, space_group: int | str, point_group: str, color: str, structure: Any
) -> dict[str, Any]:
    lattice = structure.lattice if structure is not None else None
    return {
        "name": name,
        "space_group": space_group,
        "point_group": point_group,
        "color": color,
        "structure": {
            "lattice": {
                "abcABG": (1, 1, 1, 90, 90, 90) if lattice is None else lattice.abcABG(),
                "baserot": np.eye(3) if lattice is None else lattice.baserot,
            },
            "atoms": {
                str(k): {
                    "element": str(atom.element),
                    "label": str(atom.label),
                    "occupancy": float(atom.occupancy),
                    "xyz": np.asarray(atom.xyz, dtype=np.float64),
                    "U": np.asarray(atom.U, dtype=np.float64),
                }
                for k, atom in enumerate(structure if structure is not None else ())
            },
        },
    }
