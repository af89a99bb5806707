"""The static background that some files hold beside their patterns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

# Vendors' names, compared without case, spaces and underscores. Oxford has one for processed and
# one for unprocessed patterns.
_NAMES = ("staticbackground", "processedstaticbackground", "unprocessedstaticbackground")
_NORDIF = "background acquisition pattern.bmp"


def static_background(scan: Scan) -> NDArray[np.float32] | None:
    """Static background of the patterns, as their file has it.

    Parameters
    ----------
    scan
        Map that was read from a file.

    Returns
    -------
    (detector rows, detector columns) float32 or None
        None when the file has none, or one that does not fit the patterns: of another size, or
        the same everywhere.

    Notes
    -----
    Known are Bruker's, Oxford's and kikuchipy's HDF5 files, and the image that NORDIF saves
    beside its patterns. A file that is gone or damaged has no background: the patterns can
    give one themselves, by their mean.
    """
    path = scan.source.path
    if path is None or scan.patterns is None:
        return None
    shape = scan.patterns.shape[2:]
    try:
        if scan.source.format == "nordif":
            found = _from_folder(path.parent)
        elif path.suffix.lower() in {".h5", ".hdf5", ".h5oina", ".oh5", ".h5ebsd"}:
            found = _from_hdf5(path, scan.source.scan_name)
        else:
            found = []
    except (OSError, KeyError, ValueError):
        return None
    for image in found:
        if image.shape == shape and np.isfinite(image).all() and image.min() < image.max():
            return np.ascontiguousarray(image, dtype=np.float32)
    return None


def _from_hdf5(path: Path, scan_name: str) -> list[NDArray[np.generic]]:
    import h5py

    with h5py.File(path, "r") as file:
        groups = [group for key, group in file.items() if isinstance(group, h5py.Group)]
        wanted = [group for group in groups if group.name.strip("/ ") == scan_name.strip()]
        # A file of one scan may be read without naming it.
        group = wanted[0] if wanted else groups[0] if len(groups) == 1 else None
        header = group.get("EBSD/Header") if group is not None else None
        if not isinstance(header, h5py.Group):
            return []
        known = {"".join(c for c in name.lower() if c.isalnum()): name for name in header}
        names = [known[name] for name in _NAMES if name in known]
        return [
            item[()]
            for item in map(header.get, names)
            if isinstance(item, h5py.Dataset) and item.ndim == 2
        ]


def _from_folder(folder: Path) -> list[NDArray[np.generic]]:
    from skimage.io import imread

    return [
        np.asarray(imread(path))
        for path in folder.iterdir()
        if path.name.lower() == _NORDIF and path.is_file()
    ]
