"""A map as orix lays it out in an HDF5 group; kikuchipy's files hold the same group."""

from __future__ import annotations

from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import GridError
from napari_ebsdml.io._hdf5 import Node
from napari_ebsdml.io._hdf5_map import check_euler
from napari_ebsdml.io._phase_text import element_symbol
from napari_ebsdml.io._raw import RawMap, RawPhase
from napari_ebsdml.io._row_length import euler_channels, repaired

# Datasets of a map that are no property.
RESERVED = frozenset(
    {"x", "y", "z", "phi1", "Phi", "phi2", "phase_id", "id", "is_in_data", "rotations"}
)
# No specimen is larger, in any unit that is in use.
_FARTHEST = 1e12
_MICROMETRES = {"um": 1.0, "μm": 1.0, "µm": 1.0, "nm": 1e-3, "mm": 1e3, "m": 1e6}


def raw_from_group(crystal_map: Node) -> RawMap:
    """Decode a group ``crystal_map`` of orix or kikuchipy; `RawMap.format` is ``"orix"``."""
    path = crystal_map.path
    data, header = crystal_map.group("data"), crystal_map.group("header")
    warnings: list[str] = []
    if data.dataset("phase_id").dtype.kind not in "iu":
        raise data.error("phase_id", "it holds no whole numbers")
    phase_id = data.values("phase_id").ravel()
    n = phase_id.size
    if n == 0:
        raise GridError(path, "the map holds no point", data.name)
    euler = np.empty((n, 3))
    for k, name in enumerate(("phi1", "Phi", "phi2")):
        values = data.values(name)
        euler[:, k] = _first_of_each(data, name, values, n)
        if k == 0 and values.ndim > 1 and values.shape[-1] > 1:
            warnings.append(
                f"The file holds {values.shape[-1]} orientations per point; the best was taken."
            )
    check_euler(data, "phi1, Phi, phi2", euler, phase_id != -1, "radians")
    scale, unit_warning = unit_scale(header.text("scan_unit"))
    warnings += unit_warning
    x, y = (_coordinate(data, name, n) for name in ("x", "y"))
    if (z := _coordinate(data, "z", n)) is not None and np.ptp(z) > 0:
        raise GridError(path, "the map has three dimensions; save one slice of it", data.name)
    if x is None and y is None and n > 1:
        raise data.error("", "the map has neither x nor y")
    for absent, other, name in ((x, y, "x"), (y, x, "y")):
        # orix leaves out a coordinate that all points share.
        if absent is None and other is not None and np.unique(other).size < n:
            raise data.error(name, "the dataset is missing, and without it points coincide")
    zeros = np.zeros(n)
    x, y = (zeros if x is None else x * scale), (zeros if y is None else y * scale)
    x, y = repaired(path, x, y, euler_channels(*euler.T), warnings)
    dy, dx = (_step(header, name) * scale for name in ("y_step", "x_step"))
    step = (dy or dx, dx or dy)
    measured = data.maybe_array("is_in_data", n)
    return RawMap(
        path=path,
        format="orix",
        frame="map",
        phases=_phases(header, phase_id, warnings),
        phase=phase_id,
        not_indexed=phase_id == -1,
        euler=euler,
        x=x,
        y=y,
        step=step if step[0] > 0 else None,
        hexagonal=False if header.text("grid_type") == "square" else None,
        measured=None if measured is None else measured.astype(np.bool_),
        prop=(prop := _properties(data, n, warnings)),
        units={name: unit for name in prop if (unit := data.attribute(name, "unit"))},
        header=header.header(depth=0),
        warnings=warnings,
    )


def _step(header: Node, name: str) -> float:
    """Step of the header, 0 where it gives none that makes sense."""
    found = header.find(name)
    if not isinstance(found, h5py.Dataset) or found.size != 1 or found.dtype.kind not in "iuf":
        return 0.0
    value = header.number(name, 0.0) or 0.0
    return value if np.isfinite(value) and value > 0 else 0.0


def unit_scale(unit: str) -> tuple[float, list[str]]:
    """Micrometres per unit of the coordinates."""
    if unit in _MICROMETRES:
        return _MICROMETRES[unit], []
    return 1.0, [f"The unit of the coordinates is {unit or 'not given'!r}; um are assumed."]


def first_of_each(values: NDArray[Any], n: int) -> NDArray[Any] | None:
    """First column of (n,) or (n, k) values, for the best match comes first; None for others."""
    if values.ndim == 0 or len(values) != n or values.size == 0:
        return None
    return values if values.ndim == 1 else values.reshape(n, -1)[:, 0]


def _first_of_each(data: Node, name: str, values: NDArray[Any], n: int) -> NDArray[Any]:
    first = first_of_each(values, n)
    if first is None:
        raise data.error(name, f"shape {values.shape} does not fit {n} points")
    return first


def _coordinate(data: Node, name: str, n: int) -> NDArray[np.float64] | None:
    """Coordinates of the points, None where the map does not extend along this axis."""
    if data.find(name) is None:
        return None
    values = data.values(name).astype(np.float64).ravel()
    if values.size == n:
        if np.abs(values[np.isfinite(values)]).max(initial=0) > _FARTHEST:
            raise data.error(name, "coordinates reach beyond any specimen")
        return values
    if values.size == 1:
        return None
    raise data.error(name, f"{values.size} values for {n} points")


def _properties(data: Node, n: int, warnings: list[str]) -> dict[str, NDArray[Any]]:
    prop: dict[str, NDArray[Any]] = {}
    for name in data.keys:
        item = None if name in RESERVED else data.find(name)
        if not isinstance(item, h5py.Dataset):
            continue
        if item.dtype.kind not in "biuf" or not item.shape or item.shape[0] != n or not item.size:
            warnings.append(f"Property {name!r} is not one number per point; it was left out.")
            continue
        values = data.values(name)
        prop[name] = np.ascontiguousarray(_first_of_each(data, name, values, n))
        if values.size > n:
            warnings.append(f"Property {name!r} has several values per point; the first was taken.")
    return prop


def _phases(header: Node, phase_id: NDArray[Any], warnings: list[str]) -> dict[int, RawPhase]:
    group = header.group("phases")
    phases = {}
    for key in group.keys:
        try:
            number = int(key)
        except ValueError:
            raise group.error(key, f"{key!r} is no phase number") from None
        if number >= 0:
            phases[number] = _one_phase(group.group(key), number, warnings)
    if not phases and np.any(phase_id >= 0):
        raise group.error("", "the file describes no phase")
    return phases


def _one_phase(node: Node, number: int, warnings: list[str]) -> RawPhase:
    name = node.text("name") or f"phase {number}"
    lattice, atoms = None, []
    if node.find("structure/lattice/abcABG") is not None:
        values = node.values("structure/lattice/abcABG").ravel()
        if values.size != 6:
            raise node.error("structure/lattice/abcABG", f"it has {values.size} numbers, not 6")
        a, b, c, *angles = map(float, values)
        lattice = (a, b, c, angles[0], angles[1], angles[2])
    structure = node.maybe_group("structure/atoms")
    for key in structure.keys if structure is not None else []:
        assert structure is not None
        atom = structure.group(key)
        xyz, occupancy = atom.values("xyz").ravel(), atom.values("occupancy").ravel()
        if xyz.size == 3:
            x, y, z = map(float, xyz)
            share = float(occupancy[0]) if occupancy.size else 1.0
            atoms.append((element_symbol(atom.text("element")), x, y, z, share))
    space_group, point_group = node.text("space_group"), node.text("point_group")
    return RawPhase(
        name=name,
        space_group=int(space_group) if space_group.isdigit() else None,
        point_group=point_group if point_group not in {"", "None"} else None,
        lattice=lattice,
        atoms=atoms,
    )
