"""OpenXY's HDF5 files: ``patterns`` (rows, columns, height, width) and ``ang`` (rows, columns, 10).

``ang`` holds the columns of an .ang file, in EDAX's order and frame, and the file says nothing
else: no phase, no symmetry, no detector.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from napari_ebsdml.io._ang_columns import EDAX
from napari_ebsdml.io._hdf5 import SIGNATURE, Node, open_h5
from napari_ebsdml.io._hdf5_map import check_euler
from napari_ebsdml.io._hdf5_patterns import h5_patterns
from napari_ebsdml.io._raw import Format, RawMap, RawPhase

_COORDINATES = ("phi1", "Phi", "phi2", "x", "y", "phase")


def sniff(path: Path, head: bytes) -> bool:
    """Whether the file is an HDF5 file with these two datasets at its root."""
    if not head.startswith(SIGNATURE):
        return False
    try:
        with open_h5(path) as root:
            return all(isinstance(root.find(name), h5py.Dataset) for name in ("ang", "patterns"))
    except Exception:
        return False


def read(path: Path, scan_name: str | None = None) -> RawMap:
    """Read map and patterns.

    Raises
    ------
    FileFormatError
        When the two do not fit each other.
    """
    with open_h5(path) as root:
        return _read(root)


def _read(root: Node) -> RawMap:
    table = root.dataset("ang")
    if len(table.shape) != 3 or table.shape[2] < len(EDAX) or 0 in table.shape:
        raise root.error("ang", f"its shape is {table.shape}, not (rows, columns, {len(EDAX)})")
    rows, columns, width = (int(size) for size in table.shape)
    n = rows * columns
    points = root.values("ang").reshape(n, width).astype(np.float64)
    column = {name: points[:, k].copy() for k, name in enumerate(EDAX)}
    column |= {f"unknown{k + 1}": points[:, k].copy() for k in range(len(EDAX), width)}
    euler = points[:, :3].copy()
    not_indexed = (column["CI"] <= -1) | (column["fit"] == 180) | ~np.isfinite(euler).all(axis=1)
    check_euler(root, "ang", euler, ~not_indexed, "radians")
    phase = np.where(np.isfinite(column["phase"]), column["phase"], -1).astype(np.int32)
    return RawMap(
        path=root.path,
        format=FORMAT.name,
        frame="edax",
        phases={int(k): RawPhase(f"phase {k}") for k in np.unique(phase[~not_indexed])[:64]},
        phase=phase,
        not_indexed=not_indexed,
        euler=euler,
        x=column["x"],
        y=column["y"],
        shape=(rows, columns),
        prop={name: values for name, values in column.items() if name not in _COORDINATES},
        patterns=h5_patterns(root, "patterns", n, columns),
        warnings=["The file describes no phase."],
    )


FORMAT = Format(
    name="openxy",
    title="OpenXY HDF5 (.h5)",
    extensions=(".h5", ".hdf5"),
    sniff=sniff,
    read=read,
)
