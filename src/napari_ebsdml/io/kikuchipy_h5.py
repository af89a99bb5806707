"""Patterns, crystal map and detector in kikuchipy's HDF5 layout.

Read directly with h5py: kikuchipy takes seconds to import and is needed only to make the
detector. kikuchipy's sample frame (RD up, TD to the left, ND out of the screen) is EDAX's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_ebsdml.camera import Camera, is_kikuchipys_default
from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.io._detector import camera_of_file
from napari_ebsdml.io._hdf5 import Node, manufacturer, open_h5
from napari_ebsdml.io._hdf5_map import chosen_scan
from napari_ebsdml.io._hdf5_patterns import h5_patterns
from napari_ebsdml.io._orix_map import raw_from_group
from napari_ebsdml.io._raw import Format, RawMap


def sniff(path: Path, head: bytes) -> bool:
    """Whether the file is an HDF5 file of kikuchipy."""
    return manufacturer(path, head) == "kikuchipy"


def _scan_names(root: Node) -> list[str]:
    names = [name for name in root.groups() if root.group(name).find("EBSD") is not None]
    if not names:
        raise FileFormatError(root.path, "the file holds no scan (a group with EBSD/Data)")
    # "Scan 10" comes after "Scan 9".
    return sorted(names, key=lambda name: (len(name), name))


def scans(path: Path) -> list[str]:
    """Names of the scans in the file."""
    with open_h5(path) as root:
        return _scan_names(root)


def read(path: Path, scan_name: str | None = None) -> RawMap:
    """Read one scan.

    Raises
    ------
    FileFormatError
        When a dataset is missing or damaged, or patterns and map disagree.
    InputError
        When the file has no such scan.
    """
    with open_h5(path) as root:
        name = chosen_scan(path, scan_name, _scan_names(root))
        ebsd = root.group(name).group("EBSD")
        header, data = ebsd.group("Header"), ebsd.group("Data")
        rows, columns = header.count("n_rows"), header.count("n_columns")
        patterns = h5_patterns(data, "patterns", None, columns)
        n = rows * columns
        if len(patterns) != n:
            raise data.error(
                "patterns", f"{len(patterns)} patterns do not fill {rows} x {columns} points"
            )
        raw = RawMap(path=path, format="kikuchipy", frame="edax", shape=(rows, columns))
        crystal_map = ebsd.maybe_group("CrystalMap/crystal_map")
        if crystal_map is not None:
            raw = _with_map(raw, raw_from_group(crystal_map))
        if raw.phase is not None and len(raw.phase) != n:
            raise data.error(
                "patterns", f"{n} patterns, but the crystal map has {len(raw.phase)} points"
            )
        dy, dx = header.number("step_y", 0.0) or 0.0, header.number("step_x", 0.0) or 0.0
        if min(dy, dx) > 0:
            raw.step = (dy, dx)
        raw.scan_name = name
        raw.header = {**header.header(depth=0), **raw.header}
        raw.patterns = patterns
        raw.camera = _camera(header, patterns.shape[1:], n, raw.warnings)
        microscope = root.group(name).maybe_group("SEM/Header")
        if microscope is not None:
            raw.header |= microscope.header(depth=0)
    return raw


def _with_map(raw: RawMap, crystal_map: RawMap) -> RawMap:
    """The crystal map, without orientations when it is the placeholder that kikuchipy writes."""
    crystal_map.format, crystal_map.frame = raw.format, raw.frame
    crystal_map.shape = raw.shape
    if crystal_map.step != (1.0, 1.0):
        # A step that somebody set is in um, though kikuchipy leaves the unit at its default, px.
        crystal_map.warnings = [w for w in crystal_map.warnings if "unit of the coord" not in w]
    assert crystal_map.euler is not None
    if not crystal_map.phases or np.all(crystal_map.not_indexed) or not crystal_map.euler.any():
        crystal_map.euler = None
        crystal_map.phase = None
        crystal_map.not_indexed = None
        crystal_map.x = crystal_map.y = None
        crystal_map.measured = None
    return crystal_map


def _camera(
    header: Node, pattern_shape: tuple[int, ...], n: int, warnings: list[str]
) -> Camera | None:
    """The camera, with a pattern centre (Bruker convention) per point or for all.

    A file of a detector that nobody calibrated holds kikuchipy's default centre, the middle of
    the screen at half its height: it counts as not told.
    """
    settings: dict[str, Any] = {}
    for key, name in (
        ("px_size", "detector_pixel_size"),
        ("binning", "binning"),
        ("tilt", "elevation_angle"),
        ("azimuthal", "azimuth_angle"),
        ("twist", "twist_angle"),
        ("sample_tilt", "sample_tilt"),
    ):
        if header.find(name) is not None:
            settings[key] = header.scalar(name)
    names = ("pcx", "pcy", "pcz")
    pc = None
    if all(header.find(name) is not None for name in names):
        centres = [header.values(name).astype(np.float64).ravel() for name in names]
        sizes = {centre.size for centre in centres}
        if sizes in ({1}, {n}):
            stacked = np.stack(centres, axis=-1)
            if not is_kikuchipys_default(stacked):
                pc = stacked[0] if sizes == {1} else stacked
    return camera_of_file(pattern_shape, warnings, pc, **settings)


FORMAT = Format(
    name="kikuchipy",
    title="kikuchipy HDF5 (.h5)",
    extensions=(".h5", ".hdf5"),
    sniff=sniff,
    read=read,
    scans=scans,
)
