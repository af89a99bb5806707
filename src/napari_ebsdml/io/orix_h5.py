"""Crystal maps in orix's own HDF5 layout, read and written.

The file stores Bunge angles in radians (specimen -> crystal) and no reference frame: they are
taken to refer to the axes of the map. Files written here say so in a group of their own, which
orix ignores.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import GridError
from napari_ebsdml.io._hdf5 import SIGNATURE, open_h5
from napari_ebsdml.io._orix_map import RESERVED, first_of_each, raw_from_group, unit_scale
from napari_ebsdml.io._orix_write import OWN_GROUP, write_orix
from napari_ebsdml.io._phase_text import element_symbol
from napari_ebsdml.io._raw import Format, RawMap, RawPhase
from napari_ebsdml.io._row_length import quaternion_channels, repaired
from napari_ebsdml.io.provenance import KEY

if TYPE_CHECKING:
    from orix.crystal_map import CrystalMap

    from napari_ebsdml.scan import Scan


def sniff(path: Path, head: bytes) -> bool:
    """Whether the file is an HDF5 file of orix."""
    if not head.startswith(SIGNATURE):
        return False
    try:
        with open_h5(path) as root:
            return root.find("crystal_map") is not None and root.find("EBSD") is None
    except Exception:
        return False


def read(path: Path, scan_name: str | None = None) -> RawMap:
    """Read a map.

    Raises
    ------
    FileFormatError
        When a dataset is missing or damaged.
    GridError
        When the map has three dimensions.
    """
    with open_h5(path) as root:
        raw = raw_from_group(root.group("crystal_map"))
        raw.header = {**root.header(depth=0), **raw.header}
        if text := root.attribute(OWN_GROUP, KEY):
            raw.header[KEY] = text
        measured = root.find(f"{OWN_GROUP}/is_measured")
        if isinstance(measured, h5py.Dataset) and raw.phase is not None:
            raw.measured = root.array(f"{OWN_GROUP}/is_measured", len(raw.phase)).astype(np.bool_)
    return raw


def raw_from_xmap(xmap: CrystalMap, path: Path) -> RawMap:
    """Points of an orix map, those outside `CrystalMap.is_in_data` left out.

    Parameters
    ----------
    xmap
        A map of one or two dimensions; of several rotations per point the first is taken.
    path
        Names the map in messages.

    Raises
    ------
    GridError
        When the map is empty.
    """
    if xmap.size == 0:
        raise GridError(path, "the map holds no point")
    warnings: list[str] = []
    rotations = xmap.rotations
    if xmap.rotations_per_point > 1:
        warnings.append(
            f"The map holds {xmap.rotations_per_point} orientations per point; the best was taken."
        )
        rotations = rotations[:, 0]
    n = int(xmap.size)
    scale, unit_warning = unit_scale(str(xmap.scan_unit))
    zeros = np.zeros(n)
    prop = {}
    for name, values in xmap.prop.items():
        values = np.asarray(values)
        # orix takes whatever else a file holds for a property, such as a z of one value.
        if name in RESERVED or values.dtype.kind not in "biuf":
            continue
        if (first := first_of_each(values, n)) is not None:
            prop[name] = np.array(first)
    phases = {}
    for number, phase in xmap.phases:
        if number < 0:
            continue
        name = phase.name or f"phase {number}"
        phases[number] = RawPhase(
            name=name,
            space_group=phase.space_group.number if phase.space_group else None,
            point_group=phase.point_group.name if phase.point_group else None,
            lattice=phase.structure.lattice.abcABG(),
            atoms=[
                (element_symbol(atom.element), *_three(atom.xyz), float(atom.occupancy))
                for atom in phase.structure
            ],
        )
    dy, dx = float(xmap.dy), float(xmap.dx)
    quaternions = np.array(rotations.data, dtype=np.float64).reshape(n, 4)
    x = zeros if xmap.x is None else np.asarray(xmap.x, dtype=np.float64) * scale
    y = zeros if xmap.y is None else np.asarray(xmap.y, dtype=np.float64) * scale
    x, y = repaired(path, x, y, quaternion_channels(quaternions), warnings)
    return RawMap(
        path=path,
        format="orix",
        frame="map",
        phases=phases,
        phase=np.array(xmap.phase_id),
        not_indexed=np.asarray(xmap.phase_id) == -1,
        quaternions=quaternions,
        x=x,
        y=y,
        step=((dy or dx) * scale, (dx or dy) * scale) if dx or dy else None,
        prop=prop,
        warnings=warnings + unit_warning,
    )


def _three(xyz: NDArray[Any]) -> tuple[float, float, float]:
    return float(xyz[0]), float(xyz[1]), float(xyz[2])


def write(path: Path, scan: Scan) -> None:
    """Write a map; see `napari_ebsdml.io._orix_write.write_orix`."""
    write_orix(path, scan)


FORMAT = Format(
    name="orix",
    title="orix HDF5 (.h5)",
    extensions=(".h5", ".hdf5"),
    sniff=sniff,
    read=read,
    write=write,
)
