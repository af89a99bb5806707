"""XDMF with HDF5, which ParaView and VisIt open: maps and volumes of cells with their values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml import __version__
from napari_ebsdml._atomic import replacing, write_atomic
from napari_ebsdml.errors import InputError, WriteError

ENDING = ".xdmf"
_TYPES = {"f": "Float", "i": "Int", "u": "UInt"}


def write_xdmf(
    path: str | os.PathLike[str],
    values: Mapping[str, ArrayLike],
    step: tuple[float, float, float],
    made_with: Mapping[str, Any] | None = None,
) -> Path:
    """Write NAME.xdmf and NAME.h5 beside it; the first appears when the second is whole.

    Parameters
    ----------
    path
    values
        Name -> (sections, rows, columns) numbers, or with 3 more for vectors and colours.
    step
        (dz, dy, dx) in um.
    made_with
        Kept as attributes of the HDF5 file.

    Raises
    ------
    InputError
        When shapes do not fit.
    WriteError
        When it cannot be written.
    """
    target = Path(path).with_suffix(ENDING)
    arrays = {name: _plain(name, array) for name, array in values.items()}
    if not arrays:
        raise InputError("There is nothing to write.")
    shape = next(iter(arrays.values())).shape[:3]
    for name, array in arrays.items():
        if array.shape[:3] != shape:
            raise InputError(f"{name!r} has shape {array.shape}, not {shape}.")
    data = target.with_suffix(".h5")
    try:
        with replacing(data) as part, h5py.File(part, "w") as file:
            file.attrs["program"] = f"napari-ebsdml {__version__}"
            file.attrs["step_um"] = step
            for name, value in (made_with or {}).items():
                file.attrs[name] = str(value)
            for number, array in enumerate(arrays.values()):
                file.create_dataset(f"values/{number}", data=array, compression="gzip",
                                    compression_opts=1)  # fmt: skip
        write_atomic(target, _xml(data.name, arrays, shape, step).encode())
    except OSError as error:
        raise WriteError(f"{target}: {error.strerror or error}.") from None
    return target


def _plain(name: str, values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    if array.ndim == 2:
        array = array[np.newaxis]
    fits = array.ndim == 3 or (array.ndim == 4 and array.shape[-1] == 3)
    if not fits or array.dtype.kind not in "biuf":
        raise InputError(f"{name!r} has shape {array.shape}; it must be 3 axes, or 3 and 3 values.")
    return array.astype(np.uint8) if array.dtype.kind == "b" else array


def _xml(
    data: str,
    arrays: Mapping[str, NDArray[Any]],
    shape: tuple[int, ...],
    step: tuple[float, float, float],
) -> str:
    nodes = " ".join(str(n + 1) for n in shape)
    lines = [
        '<?xml version="1.0" ?>', '<Xdmf Version="3.0">', "<Domain>",
        '<Grid Name="map" GridType="Uniform">',
        f'<Topology TopologyType="3DCoRectMesh" Dimensions="{nodes}"/>',
        '<Geometry GeometryType="ORIGIN_DXDYDZ">',
        '<DataItem Format="XML" Dimensions="3" NumberType="Float">0 0 0</DataItem>',
        '<DataItem Format="XML" Dimensions="3" NumberType="Float">'
        f"{step[0]!r} {step[1]!r} {step[2]!r}</DataItem>", "</Geometry>",
    ]  # fmt: skip
    for number, (name, array) in enumerate(arrays.items()):
        kind = "Vector" if array.ndim == 4 else "Scalar"
        size = " ".join(map(str, array.shape))
        number_type = f'NumberType="{_TYPES[array.dtype.kind]}" Precision="{array.dtype.itemsize}"'
        lines += [
            f'<Attribute Name={quoteattr(name)} AttributeType="{kind}" Center="Cell">',
            f'<DataItem Format="HDF" Dimensions="{size}" {number_type}>'
            f"{data}:/values/{number}</DataItem>", "</Attribute>",
        ]  # fmt: skip
    return "\n".join([*lines, "</Grid>", "</Domain>", "</Xdmf>", ""])
