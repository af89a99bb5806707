"""EMsoft's HDF5 files: dictionary indexing results and simulated patterns.

Dot-product files (EMEBSDDI, EMEBSDRefine) give a map; EMEBSD gives patterns with the orientations
they were made of. EMsoft works in EDAX's frames unless ``eulerconvention`` is "hkl", where phi1 is
90 degrees larger.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import FileFormatError, UnsupportedFormatError
from napari_ebsdml.io._detector import camera_of_file
from napari_ebsdml.io._hdf5 import SIGNATURE, Node, open_h5
from napari_ebsdml.io._hdf5_map import check_euler
from napari_ebsdml.io._hdf5_patterns import h5_patterns
from napari_ebsdml.io._phase_text import edax_symmetry, element_symbol
from napari_ebsdml.io._raw import Format, RawMap, RawPhase

# Programs whose files hold neither a map nor patterns of one.
_OTHER = {
    "EBSDmaster": "a master pattern (EMEBSDmaster), which is no map",
    "ECPmaster": "an electron channelling master pattern (EMECPmaster), which is no map",
    "TKDmaster": "a transmission Kikuchi master pattern (EMTKDmaster), which is no map",
    "MCOpenCL": "a Monte Carlo simulation (EMMCOpenCL), which is no map",
}
_PROPERTIES = ("CI", "IQ", "ISM", "OSM", "AvDotProductMap", "RefinedDotProducts", "Fit")
_SIMULATED = "NMLparameters/EBSDNameList"


def sniff(path: Path, head: bytes) -> bool:
    """Whether the file is an HDF5 file of EMsoft."""
    if not head.startswith(SIGNATURE):
        return False
    try:
        with open_h5(path) as root:
            return root.find("EMheader") is not None or "EMEBSD" in root.text("Manufacturer")
    except Exception:
        return False


def read(path: Path, scan_name: str | None = None) -> RawMap:
    """Read a dot-product file or a file of simulated patterns.

    Raises
    ------
    UnsupportedFormatError
        When the file is a master pattern or another file of EMsoft without a map.
    FileFormatError
        When a dataset is missing or damaged.
    """
    with open_h5(path) as root:
        if root.find("Scan 1/EBSD/Data") is not None:
            return _read_dot_products(root)
        if root.find("EMData/EBSD/EBSDPatterns") is not None:
            return _read_simulated(root)
        for name, what in _OTHER.items():
            if any(root.find(f"{group}/{name}") is not None for group in ("EMData", "EMheader")):
                raise UnsupportedFormatError(path, f"this file of EMsoft is {what}")
        raise FileFormatError(
            path,
            "this file of EMsoft holds neither indexing results (Scan 1/EBSD/Data) nor patterns "
            "(EMData/EBSD/EBSDPatterns)",
        )


def _read_dot_products(root: Node) -> RawMap:
    ebsd = root.group("Scan 1/EBSD")
    data, header = ebsd.group("Data"), ebsd.group("Header")
    rows, columns = header.count("nRows"), header.count("nColumns")
    n = rows * columns
    warnings: list[str] = []
    if data.find("RefinedEulerAngles") is not None:
        euler = data.values("RefinedEulerAngles")
        if euler.size % 3 or euler.size < 3 * n:
            raise data.error(
                "RefinedEulerAngles", f"its shape is {euler.shape}, which does not fit {n} points"
            )
        euler = euler.reshape(-1, 3)[:n].astype(np.float64)
        warnings.append("Refined orientations were taken.")
    else:
        euler = _best_matches(data, n, warnings)
    check_euler(data, "the Euler angles", euler, np.ones(n, dtype=bool), "radians")
    prop = {}
    for name in _PROPERTIES:
        if data.find(name) is not None and (values := data.values(name).ravel()).size >= n:
            prop[name] = values[:n]
    if data.find("TopDotProductList") is not None:
        values = data.values("TopDotProductList")
        if values.ndim == 2 and len(values) >= n:
            prop["DotProduct"] = values[:n, 0]
    # EMsoft indexes one phase at a time, and numbers it 0 or 1.
    phase = _phase_of_header(header.group("Phase/1"))
    _tell_convention(root, "NMLparameters/EBSDIndexingNameListType", warnings)
    dy, dx = header.number("Step Y", 0.0) or 0.0, header.number("Step X", 0.0) or 0.0
    return RawMap(
        path=root.path,
        format="emsoft",
        frame="edax",
        phases={1: phase},
        phase=np.ones(n, dtype=np.int32),
        not_indexed=np.asarray(~np.isfinite(euler).all(axis=1)),
        euler=euler,
        # "Y Position" of EMsoft's files is wrong: the points are in raster order.
        shape=(rows, columns),
        step=(dy, dx) if min(dy, dx) > 0 else None,
        prop=prop,
        header=header.header(depth=0),
        warnings=warnings,
    )


def _best_matches(data: Node, n: int, warnings: list[str]) -> NDArray[np.float64]:
    """Orientation of the dictionary pattern that fits each point best."""
    matches = data.values("TopMatchIndices")
    dictionary = data.values("DictionaryEulerAngles").astype(np.float64)
    if matches.dtype.kind not in "iu" or matches.ndim != 2 or len(matches) < n:
        raise data.error(
            "TopMatchIndices", f"{matches.dtype} of shape {matches.shape} does not fit {n} points"
        )
    if dictionary.ndim != 2 or dictionary.shape[1] != 3:
        raise data.error("DictionaryEulerAngles", f"its shape is {dictionary.shape}, not (k, 3)")
    # Indices count from 1.
    best = matches[:n, 0].astype(np.int64) - 1
    if best.min() < 0 or best.max() >= len(dictionary):
        raise data.error(
            "TopMatchIndices",
            f"matches run from {best.min() + 1} to {best.max() + 1}, the dictionary has "
            f"{len(dictionary)}",
        )
    warnings.append("Orientations are those of the best match in the dictionary, not refined.")
    # In degrees; of a dictionary in radians no angle would lie above 2 pi, save a damaged one.
    in_degrees = (dictionary > 2 * np.pi + 0.01).mean() > 0.05
    return np.deg2rad(dictionary[best]) if in_degrees else dictionary[best]


def _phase_of_header(phase: Node) -> RawPhase:
    axes = ("a", "b", "c", "alpha", "beta", "gamma")
    try:
        a, b, c, alpha, beta, gamma = (float(phase.text(f"Lattice Constant {x}")) for x in axes)
        lattice = (a, b, c, alpha, beta, gamma)
    except ValueError:
        lattice = None
    name = phase.text("MaterialName") or "phase 1"
    point_group, laue, _ = edax_symmetry(None, phase.text("Point Group"))
    return RawPhase(
        name=Path(name.replace("\\", "/")).name.removesuffix(".xtal"),
        point_group=point_group,
        laue=laue,
        lattice=lattice,
    )


def _read_simulated(root: Node) -> RawMap:
    ebsd = root.group("EMData/EBSD")
    patterns = h5_patterns(ebsd, "EBSDPatterns", None)
    n = len(patterns)
    euler = ebsd.values("EulerAngles").astype(np.float64)
    if euler.shape != (n, 3):
        raise ebsd.error("EulerAngles", f"shape {euler.shape} does not fit {n} patterns")
    check_euler(ebsd, "EulerAngles", euler, np.ones(n, dtype=bool), "radians")
    warnings = ["Simulated patterns have no positions: they stand in one row."]
    _tell_convention(root, _SIMULATED, warnings)
    settings = root.maybe_group(_SIMULATED)
    name = Path(ebsd.text("xtalname")).stem or "phase 1"
    size = patterns.shape[1:]
    camera = (
        camera_of_file(size, warnings) if settings is None else _camera(settings, size, warnings)
    )
    return RawMap(
        path=root.path,
        format="emsoft",
        frame="edax",
        phases={1: _phase_of_crystal(root.group("CrystalData"), name)},
        phase=np.ones(n, dtype=np.int32),
        not_indexed=np.zeros(n, dtype=np.bool_),
        euler=euler,
        shape=(1, n),
        step=(1.0, 1.0),
        header=settings.header(depth=0) if settings is not None else {},
        warnings=warnings,
        patterns=patterns,
        camera=camera,
    )


def _phase_of_crystal(crystal: Node, name: str) -> RawPhase:
    """Phase of a CrystalData group; EMsoft has lengths in nm."""
    values = crystal.values("LatticeParameters").astype(float).ravel()
    lattice = None
    if values.size == 6:
        a, b, c, alpha, beta, gamma = map(float, values)
        lattice = (10 * a, 10 * b, 10 * c, alpha, beta, gamma)
    atoms = []
    data = crystal.values("AtomData")
    for k, number in enumerate(crystal.integers("Atomtypes")):
        if data.ndim == 2 and data.shape[0] >= 4 and k < data.shape[1]:
            x, y, z, occupancy = map(float, data[:4, k])
            atoms.append((element_symbol(int(number)), x, y, z, occupancy))
    return RawPhase(
        name=name,
        space_group=int(crystal.scalar("SpaceGroupNumber")),
        lattice=lattice,
        atoms=atoms,
    )


def _camera(settings: Node, shape: tuple[int, ...], warnings: list[str]) -> Camera | None:
    return camera_of_file(
        shape,
        warnings,
        [settings.scalar(name) for name in ("xpc", "ypc", "L")],
        "emsoft",
        binning=settings.scalar("binning"),
        px_size=settings.scalar("delta"),
        tilt=settings.scalar("thetac"),
    )


def _tell_convention(root: Node, place: str, warnings: list[str]) -> None:
    settings = root.maybe_group(place)
    if settings is not None and settings.text("eulerconvention").lower() == "hkl":
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
