"""Damaged files: what the tests of several formats do to a sound one, and what must come of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hypothesis import strategies as st

from napari_ebsdml import EbsdmlError, read
from napari_ebsdml.io._assemble import scan_from_raw


def same_rotation(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-9) -> bool:
    """Equal up to the sign of each quaternion."""
    a, b = a.reshape(-1, 4), b.reshape(-1, 4)
    off = np.minimum(abs(a - b).max(-1), abs(a + b).max(-1))
    return bool(off.max(initial=0) < tolerance)


def read_or_error(path: Path) -> Any:
    """Scan of a file, or the error that the package raised; any other error is one of ours."""
    try:
        return read(path)
    except EbsdmlError as error:
        return error


def edit(path: Path, name: str, values: object) -> None:
    """Replace a dataset or group of an HDF5 file; None deletes it."""
    with h5py.File(path, "a") as file:
        del file[name]
        if values is not None:
            file[name] = values


def odd_values(points: int) -> list[object]:
    """Values that no EBSD file should hold, some with the right number of points."""
    return [
        np.float32("nan"),
        np.int64(-5),
        np.zeros(0),
        np.full(points, np.inf),
        np.full(points, 1e30),
        np.full((points, 1), np.inf),
        np.full((points, 3), 1e30),
        np.full(points, 3, "i4"),
        b"text",
        np.zeros((2, 3, 4, 5)),
        h5py.Empty("f4"),
        np.uint64(2**63),
    ]


def hurt_hdf5(path: Path, sound: bytes, data: Any, points: int, group: str = "/") -> None:
    """Write a sound file cut off somewhere, or with one object below `group` gone or replaced.

    Parameters
    ----------
    path
        File to write.
    sound
        Content of the sound file.
    data
        Hypothesis' drawer of values.
    points
        Number of points of the map.
    group
        The objects below it are those that can be hurt.
    """
    path.write_bytes(sound)
    how = data.draw(st.sampled_from(["delete", "replace", "cut"]))
    if how == "cut":
        path.write_bytes(sound[: data.draw(st.integers(0, len(sound) - 1))])
        return
    names: list[str] = []
    with h5py.File(path) as file:
        file[group].visit(names.append)
    name = data.draw(st.sampled_from(sorted(names)))
    value = data.draw(st.sampled_from(odd_values(points))) if how == "replace" else None
    edit(path, f"{group}/{name}", value)


def check_map_or_error(form: Any, path: Path) -> None:
    """Every scan of the file can be read, or one error of the package names the file."""
    message = str(path)
    try:
        for name in form.scans(path):
            assert scan_from_raw(form.read(path, name), None).shape[0] >= 1
    except EbsdmlError as error:
        message = str(error)
    assert str(path) in message
