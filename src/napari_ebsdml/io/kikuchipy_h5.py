"""Patterns, crystal map and detector in kikuchipy's HDF5 layout.

Read directly with h5py: kikuchipy takes seconds to import and is needed only to make the
detector. kikuchipy's sample frame (RD up, TD to the left, ND out of the screen) is EDAX's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

from napari_ebsdml.errors import FileFormatError
from napari_ebsdml.io._h5_access import SIGNATURE, array, flat_header, group, open_h5, scalar, text
from napari_ebsdml.io._lazy_patterns import H5Patterns, lazy
from napari_ebsdml.io._orix_map import raw_from_group
from napari_ebsdml.io._raw import Format, RawMap

if TYPE_CHECKING:
    from collections.abc import Callable

    from kikuchipy.detectors import EBSDDetector


def sniff(path: Path, head: bytes) -> bool:
    """Whether the file is an HDF5 file of kikuchipy."""
    if not head.startswith(SIGNATURE):
        return False
    try:
        with h5py.File(path, "r") as file:
            return text(file, "manufacturer").lower() == "kikuchipy"
    except Exception:
        return False


def scans(path: Path) -> list[str]:
    """Names of the scans in the file."""
    with open_h5(path) as file:
        names = [
            name for name, item in file.items() if isinstance(item, h5py.Group) and "EBSD" in item
        ]
    if not names:
        raise FileFormatError(path, "the file holds no scan (a group with EBSD/Data)")
    # "Scan 10" comes after "Scan 9".
    return sorted(names, key=lambda name: (len(name), name))


def read(path: Path, scan_name: str | None = None) -> RawMap:
    """Read one scan.

    Raises
    ------
    FileFormatError
        When a dataset is missing or damaged, or patterns and map disagree.
    """
    name = scan_name or scans(path)[0]
    with open_h5(path) as file:
        ebsd = group(path, group(path, file, name), "EBSD")
        header, data = group(path, ebsd, "Header"), group(path, ebsd, "Data")
        rows, columns = (int(scalar(path, header, key)) for key in ("n_rows", "n_columns"))
        place = f"/{name}/EBSD/Data/patterns"
        patterns = data.get("patterns")
        if not isinstance(patterns, h5py.Dataset):
            raise FileFormatError(path, "the dataset is missing", place)
        shape = patterns.shape
        if patterns.ndim != 3 or 0 in shape or patterns.dtype.kind not in "uif":
            raise FileFormatError(
                path, f"shape {shape} of {patterns.dtype} is no stack of patterns", place
            )
        if rows < 1 or columns < 1 or rows * columns != shape[0]:
            raise FileFormatError(
                path, f"{shape[0]} patterns do not fill {rows} x {columns} points", place
            )
        steps = [
            scalar(path, header, key) if key in header else 0.0 for key in ("step_y", "step_x")
        ]
        raw = RawMap(path=path, format="kikuchipy", frame="edax", shape=(rows, columns))
        if "CrystalMap/crystal_map" in ebsd:
            raw = _with_map(raw, raw_from_group(path, group(path, ebsd, "CrystalMap/crystal_map")))
        if raw.phase is not None and len(raw.phase) != shape[0]:
            raise FileFormatError(
                path, f"{shape[0]} patterns, but the crystal map has {len(raw.phase)} points", place
            )
        if min(steps) > 0:
            raw.step = (steps[0], steps[1])
        raw.scan_name = name
        raw.header = {**flat_header(header), **raw.header}
        source = H5Patterns(
            path=path.resolve(), shape=shape, dtype=patterns.dtype, dataset=place
        )
        raw.patterns = lazy(source, columns)
        raw.detector = _detector(path, header, (shape[1], shape[2]), (rows, columns))
        if "SEM/Header" in file[name]:
            raw.header |= flat_header(group(path, file[name], "SEM/Header"))
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


def _detector(
    path: Path, header: h5py.Group, pattern_shape: tuple[int, int], map_shape: tuple[int, int]
) -> Callable[[], EBSDDetector]:
    """Maker of the detector, with a pattern centre (Bruker convention) per point or for all."""
    settings: dict[str, Any] = {"shape": pattern_shape}
    for key, name in (
        ("px_size", "detector_pixel_size"),
        ("binning", "binning"),
        ("tilt", "elevation_angle"),
        ("azimuthal", "azimuth_angle"),
        ("twist", "twist_angle"),
        ("sample_tilt", "sample_tilt"),
    ):
        if name in header:
            settings[key] = scalar(path, header, name)
    n = map_shape[0] * map_shape[1]
    names = ("pcx", "pcy", "pcz")
    if all(name in header for name in names):
        centres = [array(path, header, name).astype(float).ravel() for name in names]
        sizes = {centre.size for centre in centres}
        if sizes == {n}:
            settings["pc"] = np.stack(centres, axis=-1).reshape(*map_shape, 3)
        elif sizes == {1}:
            settings["pc"] = np.concatenate(centres)

    def make() -> EBSDDetector:
        from kikuchipy.detectors import EBSDDetector

        return EBSDDetector(**settings)

    return make


FORMAT = Format(
    name="kikuchipy",
    title="kikuchipy HDF5 (.h5)",
    extensions=(".h5", ".hdf5"),
    sniff=sniff,
    read=read,
    scans=scans,
)
