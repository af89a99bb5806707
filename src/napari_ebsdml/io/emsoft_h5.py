"""EMsoft's HDF5 files: dictionary indexing results and simulated patterns.

Dot-product files (EMEBSDDI, EMEBSDRefine) give a map; EMEBSD gives patterns with the orientations
they were made of. EMsoft works in EDAX's frames unless ``eulerconvention`` is "hkl", where phi1 is
90 degrees larger.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import FileFormatError, UnsupportedFormatError
from napari_ebsdml.io._h5_access import (
    SIGNATURE,
    array,
    element_symbol,
    flat_header,
    group,
    open_h5,
    scalar,
    text,
)
from napari_ebsdml.io._lazy_patterns import H5Patterns, lazy
from napari_ebsdml.io._raw import Format, RawMap, RawPhase

if TYPE_CHECKING:
    from collections.abc import Callable

    from kikuchipy.detectors import EBSDDetector

# Programs whose files hold neither a map nor patterns of one.
_OTHER = {
    "EBSDmaster": "a master pattern (EMEBSDmaster), which is no map",
    "ECPmaster": "an electron channelling master pattern (EMECPmaster), which is no map",
    "TKDmaster": "a transmission Kikuchi master pattern (EMTKDmaster), which is no map",
    "MCOpenCL": "a Monte Carlo simulation (EMMCOpenCL), which is no map",
}
_PROPERTIES = ("CI", "IQ", "ISM", "OSM", "AvDotProductMap", "RefinedDotProducts", "Fit")
# "Cubic (Oh) [m3m]": EMsoft's short names of point groups that orix writes otherwise.
_POINT_GROUPS = {"m3m": "m-3m", "m3": "m-3", "-43m": "-43m", "43m": "-43m"}


def sniff(path: Path, head: bytes) -> bool:
    """Whether the file is an HDF5 file of EMsoft."""
    if not head.startswith(SIGNATURE):
        return False
    try:
        with h5py.File(path, "r") as file:
            return "EMheader" in file or "EMEBSD" in _manufacturer(file)
    except Exception:
        return False


def _manufacturer(file: h5py.File) -> str:
    return text(file, "Manufacturer") or text(file, " Manufacturer")


def read(path: Path, scan_name: str | None = None) -> RawMap:
    """Read a dot-product file or a file of simulated patterns.

    Raises
    ------
    UnsupportedFormatError
        When the file is a master pattern or another file of EMsoft without a map.
    FileFormatError
        When a dataset is missing or damaged.
    """
    with open_h5(path) as file:
        if "Scan 1/EBSD/Data" in file:
            return _read_dot_products(path, file)
        if "EMData/EBSD/EBSDPatterns" in file:
            return _read_simulated(path, file)
        for name, what in _OTHER.items():
            if f"EMData/{name}" in file or f"EMheader/{name}" in file:
                raise UnsupportedFormatError(path, f"this file of EMsoft is {what}")
        raise FileFormatError(
            path,
            "this file of EMsoft holds neither indexing results (Scan 1/EBSD/Data) nor patterns "
            "(EMData/EBSD/EBSDPatterns)",
        )


def _read_dot_products(path: Path, file: h5py.File) -> RawMap:
    ebsd = group(path, file, "Scan 1/EBSD")
    data, header = group(path, ebsd, "Data"), group(path, ebsd, "Header")
    rows, columns = (int(scalar(path, header, name)) for name in ("nRows", "nColumns"))
    if rows < 1 or columns < 1:
        raise FileFormatError(path, f"{rows} x {columns} points are no map", header.name)
    n = rows * columns
    warnings: list[str] = []
    if "RefinedEulerAngles" in data:
        euler = array(path, data, "RefinedEulerAngles").reshape(-1, 3)[:n].astype(np.float64)
        warnings.append("Refined orientations were taken.")
    else:
        euler = _best_matches(path, data, n, warnings)
    if len(euler) != n:
        raise FileFormatError(path, f"{len(euler)} orientations for {n} points", data.name)
    prop = {}
    for name in _PROPERTIES:
        if name in data and (values := array(path, data, name).ravel()).size >= n:
            prop[name] = values[:n]
    if "TopDotProductList" in data:
        values = array(path, data, "TopDotProductList")
        if values.ndim == 2 and len(values) >= n:
            prop["DotProduct"] = values[:n, 0]
    # EMsoft indexes one phase at a time, and numbers it 0 or 1.
    phase = _phase_of_header(path, group(path, header, "Phase/1"))
    _tell_convention(file, "NMLparameters/EBSDIndexingNameListType", warnings)
    steps = tuple(
        scalar(path, header, name) if name in header else 0.0 for name in ("Step Y", "Step X")
    )
    return RawMap(
        path=path,
        format="emsoft",
        frame="edax",
        phases={1: phase},
        phase=np.ones(n, dtype=np.int32),
        not_indexed=np.asarray(~np.isfinite(euler).all(axis=1)),
        euler=euler,
        # "Y Position" of EMsoft's files is wrong: the points are in raster order.
        shape=(rows, columns),
        step=steps if min(steps) > 0 else None,  # type: ignore[arg-type]
        prop=prop,
        header=flat_header(header),
        warnings=warnings,
    )


def _best_matches(
    path: Path, data: h5py.Group, n: int, warnings: list[str]
) -> NDArray[np.float64]:
    """Orientation of the dictionary pattern that fits each point best."""
    matches = array(path, data, "TopMatchIndices", "iu")
    dictionary = array(path, data, "DictionaryEulerAngles").astype(np.float64)
    if matches.ndim != 2 or len(matches) < n or dictionary.ndim != 2 or dictionary.shape[1] != 3:
        raise FileFormatError(
            path,
            f"shapes {matches.shape} and {dictionary.shape} of TopMatchIndices and "
            f"DictionaryEulerAngles do not fit {n} points",
            data.name,
        )
    # Indices count from 1.
    best = matches[:n, 0].astype(np.int64) - 1
    if best.min() < 0 or best.max() >= len(dictionary):
        raise FileFormatError(
            path,
            f"matches run from {best.min() + 1} to {best.max() + 1}, the dictionary has "
            f"{len(dictionary)}",
            f"{data.name}/TopMatchIndices",
        )
    warnings.append("Orientations are those of the best match in the dictionary, not refined.")
    # In degrees; a dictionary in radians would stay below 2 pi throughout.
    return np.deg2rad(dictionary[best]) if dictionary.max() > 2 * np.pi + 0.01 else dictionary[best]


def _phase_of_header(path: Path, phase: h5py.Group) -> RawPhase:
    lattice: tuple[float, ...] | None = None
    names = [f"Lattice Constant {name}" for name in ("a", "b", "c", "alpha", "beta", "gamma")]
    try:
        lattice = tuple(float(text(phase, name)) for name in names)
    except ValueError:
        lattice = None
    found = re.search(r"\[([^\]]+)\]", text(phase, "Point Group"))
    point_group = found.group(1) if found else None
    name = text(phase, "MaterialName") or "phase 1"
    return RawPhase(
        name=Path(name.replace("\\", "/")).name.removesuffix(".xtal"),
        point_group=_POINT_GROUPS.get(point_group or "", point_group),
        lattice=lattice,  # type: ignore[arg-type]
    )


def _read_simulated(path: Path, file: h5py.File) -> RawMap:
    ebsd = group(path, file, "EMData/EBSD")
    patterns = ebsd["EBSDPatterns"]
    place = "/EMData/EBSD/EBSDPatterns"
    if (
        not isinstance(patterns, h5py.Dataset) or patterns.ndim != 3 or 0 in patterns.shape
        or patterns.dtype.kind not in "uif"
    ):
        raise FileFormatError(path, "the dataset is no stack of patterns", place)
    n = patterns.shape[0]
    euler = array(path, ebsd, "EulerAngles").astype(np.float64)
    if euler.shape != (n, 3):
        raise FileFormatError(
            path, f"shape {euler.shape} does not fit {n} patterns", "/EMData/EBSD/EulerAngles"
        )
    warnings = ["Simulated patterns have no positions: they stand in one row."]
    settings = "NMLparameters/EBSDNameList"
    _tell_convention(file, settings, warnings)
    name = Path(text(ebsd, "xtalname")).stem or "phase 1"
    return RawMap(
        path=path,
        format="emsoft",
        frame="edax",
        phases={1: _phase_of_crystal(path, group(path, file, "CrystalData"), name)},
        phase=np.ones(n, dtype=np.int32),
        not_indexed=np.zeros(n, dtype=np.bool_),
        euler=euler,
        shape=(1, n),
        step=(1.0, 1.0),
        header=flat_header(file[settings]) if settings in file else {},
        warnings=warnings,
        patterns=lazy(
            H5Patterns(
                path=path.resolve(), shape=patterns.shape, dtype=patterns.dtype, dataset=place
            )
        ),
        detector=_detector(path, file[settings], patterns.shape[1:]) if settings in file else None,
    )


def _phase_of_crystal(path: Path, crystal: h5py.Group, name: str) -> RawPhase:
    """Phase of a CrystalData group; EMsoft has lengths in nm."""
    values = array(path, crystal, "LatticeParameters").astype(float).ravel()
    lattice = None
    if values.size == 6:
        lattice = (*(10 * values[:3]), *values[3:])
    atoms = []
    data = array(path, crystal, "AtomData")
    for k, number in enumerate(array(path, crystal, "Atomtypes", "iu").ravel()):
        if data.ndim == 2 and data.shape[0] >= 4 and k < data.shape[1]:
            atoms.append((element_symbol(int(number)), *map(float, data[:4, k])))
    return RawPhase(
        name=name,
        space_group=int(scalar(path, crystal, "SpaceGroupNumber")),
        lattice=lattice,
        atoms=atoms,  # type: ignore[arg-type]
    )


def _detector(
    path: Path, settings: h5py.Group, shape: tuple[int, int]
) -> Callable[[], EBSDDetector]:
    values: dict[str, Any] = {"shape": tuple(shape), "convention": "emsoft"}
    for key, name in (("binning", "binning"), ("px_size", "delta"), ("tilt", "thetac")):
        values[key] = scalar(path, settings, name)
    values["pc"] = tuple(scalar(path, settings, name) for name in ("xpc", "ypc", "L"))

    def make() -> EBSDDetector:
        from kikuchipy.detectors import EBSDDetector

        return EBSDDetector(**values)

    return make


def _tell_convention(file: h5py.File, place: str, warnings: list[str]) -> None:
    settings = file.get(place)
    if isinstance(settings, h5py.Group) and text(settings, "eulerconvention").lower() == "hkl":
        warnings.append(
            "The file says eulerconvention 'hkl'; its angles were read in EDAX's frame. "
            'Read it with ref_frame="oxford" if directions come out turned by 90 degrees.'
        )


FORMAT = Format(
    name="emsoft",
    title="EMsoft HDF5 (.h5)",
    extensions=(".h5", ".hdf5"),
    sniff=sniff,
    read=read,
)
