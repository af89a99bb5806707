"""A map as orix lays it out in an HDF5 group; kikuchipy's files hold the same group."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import FileFormatError, GridError
from napari_ebsdml.io._h5_access import array, element_symbol, flat_header, group, text
from napari_ebsdml.io._raw import RawMap, RawPhase
from napari_ebsdml.io._row_length import euler_channels, repaired

# Datasets of a map that are no property.
RESERVED = frozenset(
    {"x", "y", "z", "phi1", "Phi", "phi2", "phase_id", "id", "is_in_data", "rotations"}
)
# No crystal has all three lattice lengths below this, in angstrom, except one given in nm. 1.0 is
# left alone: it stands for an unknown lattice.
_SHORTEST_LATTICE = 0.999
# No specimen is larger, in any unit that is in use.
_FARTHEST = 1e12
_MICROMETRES = {"um": 1.0, "μm": 1.0, "µm": 1.0, "nm": 1e-3, "mm": 1e3, "m": 1e6}


def raw_from_group(path: Path, crystal_map: h5py.Group) -> RawMap:
    """Decode a group ``crystal_map`` of orix or kikuchipy; `RawMap.format` is ``"orix"``."""
    data, header = group(path, crystal_map, "data"), group(path, crystal_map, "header")
    warnings: list[str] = []
    phase_id = array(path, data, "phase_id", "iu").ravel()
    n = phase_id.size
    if n == 0:
        raise GridError(path, "the map holds no point", data.name)
    euler = np.empty((n, 3))
    for k, name in enumerate(("phi1", "Phi", "phi2")):
        values = array(path, data, name)
        euler[:, k] = first_of_each(path, values, n, f"{data.name}/{name}")
        if k == 0 and values.ndim > 1 and values.shape[-1] > 1:
            warnings.append(
                f"The file holds {values.shape[-1]} orientations per point; the best was taken."
            )
    scale, unit_warning = unit_scale(text(header, "scan_unit"))
    warnings += unit_warning
    x, y = (_coordinate(path, data, name, n) for name in ("x", "y"))
    if (z := _coordinate(path, data, "z", n)) is not None and np.ptp(z) > 0:
        raise GridError(path, "the map has three dimensions; save one slice of it", data.name)
    if x is None and y is None and n > 1:
        raise FileFormatError(path, "the map has neither x nor y", data.name)
    zeros = np.zeros(n)
    x, y = (zeros if x is None else x * scale), (zeros if y is None else y * scale)
    x, y = repaired(path, x, y, euler_channels(*euler.T), warnings)
    step = tuple(
        float(value) * scale if np.isfinite(value) and value > 0 else 0.0
        for value in (_step(header, "y_step"), _step(header, "x_step"))
    )
    if 0.0 in step:
        step = (max(step), max(step))
    measured = None
    if "is_in_data" in data:
        measured = array(path, data, "is_in_data").astype(np.bool_).ravel()
        if measured.size != n:
            raise FileFormatError(
                path, f"{measured.size} values for {n} points", f"{data.name}/is_in_data"
            )
    return RawMap(
        path=path,
        format="orix",
        frame="map",
        phases=_phases(path, header, phase_id, warnings),
        phase=phase_id,
        not_indexed=phase_id == -1,
        euler=euler,
        x=x,
        y=y,
        step=step if step[0] > 0 else None,  # type: ignore[arg-type]
        hexagonal=False if text(header, "grid_type") == "square" else None,
        measured=measured,
        prop=_properties(path, data, n, warnings),
        header=flat_header(header),
        warnings=warnings,
    )


def _step(header: h5py.Group, name: str) -> float:
    found = header.get(name)
    if not isinstance(found, h5py.Dataset) or found.size != 1 or found.dtype.kind not in "iuf":
        return 0.0
    return float(np.ravel(found[()])[0])


def unit_scale(unit: str) -> tuple[float, list[str]]:
    """Micrometres per unit of the coordinates."""
    if unit in _MICROMETRES:
        return _MICROMETRES[unit], []
    return 1.0, [f"The unit of the coordinates is {unit or 'not given'!r}; um are assumed."]


def first_of_each(path: Path, values: NDArray[Any], n: int, where: str) -> NDArray[Any]:
    """First column of (n,) or (n, k) values: the best match comes first."""
    if values.ndim == 0 or len(values) != n or values.size == 0:
        raise FileFormatError(path, f"shape {values.shape} does not fit {n} points", where)
    return values if values.ndim == 1 else values.reshape(n, -1)[:, 0]


def _coordinate(path: Path, data: h5py.Group, name: str, n: int) -> NDArray[np.float64] | None:
    """Coordinates of the points, None where the map does not extend along this axis."""
    if name not in data:
        return None
    values = array(path, data, name).astype(np.float64).ravel()
    if values.size == n:
        if np.abs(values[np.isfinite(values)]).max(initial=0) > _FARTHEST:
            raise FileFormatError(
                path, "coordinates reach beyond any specimen", f"{data.name}/{name}"
            )
        return values
    if values.size == 1:
        return None
    raise FileFormatError(path, f"{values.size} values for {n} points", f"{data.name}/{name}")


def _properties(
    path: Path, data: h5py.Group, n: int, warnings: list[str]
) -> dict[str, NDArray[Any]]:
    prop: dict[str, NDArray[Any]] = {}
    for name, item in data.items():
        if name in RESERVED or not isinstance(item, h5py.Dataset):
            continue
        if item.dtype.kind not in "biuf" or not item.shape or item.shape[0] != n or not item.size:
            warnings.append(f"Property {name!r} is not one number per point; it was left out.")
            continue
        values = array(path, data, name)
        prop[name] = np.ascontiguousarray(first_of_each(path, values, n, f"{data.name}/{name}"))
        if values.size > n:
            warnings.append(f"Property {name!r} has several values per point; the first was taken.")
    return prop


def _phases(
    path: Path, header: h5py.Group, phase_id: NDArray[Any], warnings: list[str]
) -> dict[int, RawPhase]:
    phases = {}
    for key, item in group(path, header, "phases").items():
        try:
            number = int(key)
        except ValueError:
            raise FileFormatError(path, f"{key!r} is no phase number", item.name) from None
        if number < 0:
            continue
        if not isinstance(item, h5py.Group):
            raise FileFormatError(path, "the phase is no group", item.name)
        lattice, atoms = None, []
        if "structure/lattice/abcABG" in item:
            values = array(path, item, "structure/lattice/abcABG").ravel()
            if values.size != 6:
                raise FileFormatError(
                    path, f"{values.size} lattice parameters, not 6", f"{item.name}/structure"
                )
            lattice = in_angstrom(values, number, warnings)
        if "structure/atoms" in item:
            for atom in group(path, item, "structure/atoms").values():
                xyz = array(path, atom, "xyz").ravel()
                if xyz.size == 3:
                    occupancy = array(path, atom, "occupancy").ravel()
                    atoms.append(
                        (
                            element_symbol(text(atom, "element")),
                            *map(float, xyz),
                            float(occupancy[0]) if occupancy.size else 1.0,
                        )
                    )
        space_group, point_group = text(item, "space_group"), text(item, "point_group")
        phases[number] = RawPhase(
            name=text(item, "name") or f"phase {number}",
            space_group=int(space_group) if space_group.isdigit() else None,
            point_group=point_group if point_group not in {"", "None"} else None,
            lattice=lattice,
            atoms=atoms,  # type: ignore[arg-type]
        )
    if not phases and np.any(phase_id >= 0):
        raise FileFormatError(path, "the file describes no phase", f"{header.name}/phases")
    return phases


def in_angstrom(
    values: Iterable[float], number: int, warnings: list[str]
) -> tuple[float, float, float, float, float, float]:
    """Lattice a, b, c, alpha, beta, gamma with lengths in angstrom."""
    a, b, c, alpha, beta, gamma = map(float, values)
    if 0 < max(a, b, c) < _SHORTEST_LATTICE:
        # EMsoft's lengths are in nm, and kikuchipy hands them on as they are.
        a, b, c = 10 * a, 10 * b, 10 * c
        warnings.append(f"Lattice of phase {number}: nm were turned into angstrom.")
    return a, b, c, alpha, beta, gamma
