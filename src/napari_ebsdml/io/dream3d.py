"""Volumes as .dream3d, the HDF5 files of DREAM.3D 6.5 (file version 7.0).

Groups and attributes are those of the SIMPL library that DREAM.3D writes and reads with
(doi:10.1186/2193-9772-3-5); lengths in um, Bunge angles in radians with respect to the axes of the
voxels: x along a row, y from row to row, z from section to section.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._atomic import replacing
from napari_ebsdml.errors import InputError, WriteError
from napari_ebsdml.io._orient import euler_from_quaternions
from napari_ebsdml.io._phases import laue_of
from napari_ebsdml.io.provenance import KEY, record_of

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

ENDING = ".dream3d"
_GEOMETRY, _CELLS, _PHASES = "_SIMPL_GEOMETRY", "CellData", "CellEnsembleData"
_CELL, _ENSEMBLE = 3, 11
_UNKNOWN = 999
_CRYSTALS = {
    "6/mmm": 0, "m-3m": 1, "6/m": 2, "m-3": 3, "-1": 4, "2/m": 5, "mmm": 6, "4/m": 7,
    "4/mmm": 8, "-3": 9, "-3m": 10,
}  # fmt: skip
"""Laue class -> number of DREAM.3D."""
_TYPES = {
    "float32": "float", "float64": "double", "int32": "int32_t", "int64": "int64_t",
    "uint8": "uint8_t", "uint32": "uint32_t", "bool": "bool",
}  # fmt: skip


def write_dream3d(
    path: str | os.PathLike[str],
    sections: Sequence[Scan],
    grains: ArrayLike,
    step: tuple[float, float, float],
    values: Mapping[str, ArrayLike] | None = None,
    made_with: Mapping[str, Any] | None = None,
) -> Path:
    """Write a volume, whole or not at all.

    Parameters
    ----------
    path
        NAME.dream3d.
    sections
        In their places, of one shape and the same phases.
    grains : (sections, rows, columns) int
        Become FeatureIds.
    step
        (dz, dy, dx) in um.
    values
        Further numbers of each voxel, with their names.
    made_with
        Settings, kept as an attribute of the file.

    Raises
    ------
    InputError
        When shapes do not fit.
    WriteError
        When it cannot be written.
    """
    target = Path(path)
    shape = (len(sections), *sections[0].shape)
    first = sections[0]
    quaternions = np.stack([scan.quaternions for scan in sections])
    ids = np.stack([scan.phase_id for scan in sections])
    used = [(number, phase) for number, phase in first.phases if number >= 0]
    phases = np.zeros(shape, np.int32)
    for place, (number, _) in enumerate(used, 1):
        phases[ids == number] = place
    angles = euler_from_quaternions(quaternions.reshape(-1, 4)).reshape(*shape, 3)
    angles[phases == 0] = 0
    cells: dict[str, NDArray[Any]] = {
        "FeatureIds": _fit("grains", grains, shape).astype(np.int32), "Phases": phases,
        "EulerAngles": angles.astype(np.float32),
        # The vector comes first.
        "Quats": np.roll(quaternions, -1, axis=-1).astype(np.float32),
    }  # fmt: skip
    for name, array in (values or {}).items():
        cells[name.replace("/", " per ")] = _fit(name, array, shape)
    try:
        with replacing(target) as part, h5py.File(part, "w") as file:
            _say(file, "FileVersion", "7.0")
            _say(file, "DREAM3D Version", "6.5.171")
            file.attrs[KEY] = json.dumps(record_of(first, made_with), default=str)
            file.create_group("DataContainerBundles")
            pipeline = file.create_group("Pipeline")
            _say(pipeline, "Current Pipeline", "Pipeline")
            pipeline.attrs["Pipeline Version"] = np.array([2], np.int32)
            pipeline["Pipeline"] = json.dumps(
                {"PipelineBuilder": {"Name": "napari-ebsdml", "Number_Filters": 0, "Version": 6}}
            )
            container = file.create_group("DataContainers/ImageDataContainer")
            _geometry(container, shape, step)
            _matrix(container, _CELLS, _CELL, shape, cells)
            _matrix(container, _PHASES, _ENSEMBLE, (len(used) + 1,), _ensemble(used))
    except OSError as error:
        raise WriteError(f"{target}: {error.strerror or error}.") from None
    return target


def _say(where: Any, name: str, text: str) -> None:
    """An attribute of text as DREAM.3D has it: of fixed length, ending with a zero.

    Readers take it for bytes; h5py's own would be of any length.
    """
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(text) + 1)
    kind.set_strpad(h5py.h5t.STR_NULLTERM)
    where.attrs.create(name, np.bytes_(text), dtype=h5py.Datatype(kind))


def _fit(name: str, array: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
    values = np.asarray(array)
    if values.shape[:3] != shape or values.ndim > 4:
        raise InputError(f"{name!r} has shape {values.shape}, not {shape}.")
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    return values if values.dtype.name in _TYPES else values.astype(np.int32)


def _geometry(container: h5py.Group, shape: tuple[int, ...], step: tuple[float, ...]) -> None:
    group = container.create_group(_GEOMETRY)
    for name in ("GeometryName", "GeometryTypeName"):
        _say(group, name, "ImageGeometry")
    group.attrs["GeometryType"] = np.array([0], np.uint32)
    group.attrs["SpatialDimensionality"] = group.attrs["UnitDimensionality"] = np.array(
        [3], np.uint32
    )
    group["DIMENSIONS"] = np.array(shape[::-1], np.int64)
    group["ORIGIN"] = np.zeros(3, np.float32)
    group["SPACING"] = np.array(step[::-1], np.float32)


def _matrix(
    container: h5py.Group, name: str, kind: int, shape: tuple[int, ...], content: Mapping[str, Any]
) -> None:
    """Arrays of one length, as the file names it: fastest axis first."""
    group = container.create_group(name)
    group.attrs["AttributeMatrixType"] = np.array([kind], np.uint32)
    tuples = np.array(shape[::-1], np.uint64)
    group.attrs["TupleDimensions"] = tuples
    axes = ",".join(f"{axis}={n}" for axis, n in zip("xyz", shape[::-1], strict=False))
    for title, values in content.items():
        if isinstance(values, list):
            coding = "ascii" if all(map(str.isascii, values)) else "utf-8"
            data = group.create_dataset(title, data=values, dtype=h5py.string_dtype(coding))
            kind_name, inner = "StringDataArray", 1
        else:
            inner = values.shape[len(shape)] if values.ndim > len(shape) else 1
            data = group.create_dataset(title, data=values.reshape(*shape, inner))
            kind_name = f"DataArray<{_TYPES[values.dtype.name]}>"
        _say(data, "ObjectType", kind_name)
        data.attrs["ComponentDimensions"] = np.array([inner], np.uint64)
        data.attrs["TupleDimensions"] = tuples
        _say(data, "Tuple Axis Dimensions", axes)
        data.attrs["DataArrayVersion"] = np.array([2], np.int32)


def _ensemble(used: Sequence[tuple[int, Any]]) -> dict[str, Any]:
    """What is known of the phases; the first one of DREAM.3D is no phase."""
    crystals = [_UNKNOWN, *(_CRYSTALS.get(str(laue_of(phase)), _UNKNOWN) for _, phase in used)]
    lattices = [[0.0] * 6, *([float(v) for v in p.structure.lattice.abcABG()] for _, p in used)]
    return {
        "CrystalStructures": np.array(crystals, np.uint32),
        "PhaseTypes": np.array([_UNKNOWN, *(0 for _ in used)], np.uint32),
        "LatticeConstants": np.array(lattices, np.float32),
        "MaterialName": ["Invalid Phase", *(str(phase.name) for _, phase in used)],
    }  # fmt: skip
