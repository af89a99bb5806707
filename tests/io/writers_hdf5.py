"""Write files in the vendors' HDF5 layouts, from the public descriptions of them.

Each function returns what it wrote, so that a test compares with that and not with another reader.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np

STRING = h5py.string_dtype("utf-8")
EMSOFT_SHAPE = (5, 4)
FIELDS_H5OINA = {"flat": (1,), "table": (1, 1)}


def orientations(n: int, seed: int = 0) -> np.ndarray:
    """Bunge angles in radians, (n, 3) float32."""
    random = np.random.default_rng(seed)
    euler = random.uniform(0, 2 * np.pi, (n, 3))
    euler[:, 1] = np.arccos(random.uniform(-1, 1, n))
    return euler.astype(np.float32)


def patterns_of(n: int, shape: tuple[int, int] = (6, 8), dtype: str = "uint8") -> np.ndarray:
    """Distinct patterns: the first pixel of each tells which one it is."""
    out = np.random.default_rng(5).integers(0, 255, (n, *shape)).astype(dtype)
    out[:, 0, 0] = np.arange(n) % 256
    return out


def _put(
    group: h5py.Group, name: str, value: Any, dtype: Any, shape: tuple[int, ...], unit: str = ""
) -> None:
    if dtype is STRING:
        dataset = group.create_dataset(name, shape=shape, dtype=STRING)
        dataset[...] = value
    else:
        dataset = group.create_dataset(name, data=np.full(shape, value, dtype=dtype))
    if unit:
        dataset.attrs["Unit"] = unit


def write_h5oina(
    path: Path,
    version: str = "8.0",
    *,
    rows: int = 4,
    columns: int = 5,
    slices: tuple[str, ...] = ("1",),
    patterns: tuple[str, ...] = ("Processed Patterns",),
    processed: bool = False,
    layout: str = "table",
    omit: tuple[str, ...] = (),
    outside: tuple[int, ...] = (),
    rotation: float = 0.0,
    eds: bool = False,
) -> dict[str, Any]:
    """Oxford's layout after its specification; `layout` "table" has (size, 1), "flat" (size,)."""
    one = FIELDS_H5OINA[layout]
    n = rows * columns
    many = (n,) if layout == "flat" else (n, 1)
    random = np.random.default_rng(1)
    y, x = np.divmod(np.arange(n), columns)
    truth: dict[str, Any] = {
        "euler": orientations(n),
        "phase": np.where(np.arange(n) % 7 == 3, 0, 1 + np.arange(n) % 2).astype(np.uint8),
        "BC": random.integers(1, 255, n).astype(np.uint8),
        "BS": random.integers(1, 255, n).astype(np.uint8),
        "MAD": random.uniform(0.001, 0.02, n).astype(np.float32),
        "patterns": patterns_of(n),
        "raw_patterns": patterns_of(n, dtype="int16") * np.int16(100),
        "pc": np.column_stack((0.50 + 1e-3 * x, 0.60 + 1e-3 * y, np.full(n, 0.65))).astype(
            np.float32
        ),
        "step": (0.25, 0.25),
    }
    truth["euler"][truth["phase"] == 0] = 0
    truth["error"] = np.where(truth["phase"] == 0, 2, 1).astype(np.uint8)
    blank = list(outside)
    truth["phase"][blank], truth["error"][blank], truth["BC"][blank] = 0, 0, 0
    truth["euler"][blank] = np.nan
    with h5py.File(path, "w") as file:
        _put(file, "Manufacturer", "Oxford Instruments", STRING, one)
        _put(file, "Software Version", "6.3.1.1", STRING, one)
        if "Format Version" not in omit:
            _put(file, "Format Version", version, STRING, one)
        index = file.create_dataset("Index", shape=(len(slices), *one[1:]), dtype=STRING)
        index[...] = np.array(slices, dtype=object).reshape(index.shape)
        if float(version) >= 5:
            index.attrs["Type"] = "Single"
        for name in slices:
            data = file.create_group(f"{name}/EBSD/Data")
            columns_of_points: dict[str, tuple[Any, str, str]] = {
                "Phase": (truth["phase"], "uint8", ""),
                "X": (np.where(np.isin(np.arange(n), blank), np.nan, 0.25 * x), "f4", "um"),
                "Y": (np.where(np.isin(np.arange(n), blank), np.nan, 0.25 * y), "f4", "um"),
                "Bands": (np.full(n, 9), "uint8", ""),
                "Error": (truth["error"], "uint8", ""),
                "Mean Angular Deviation": (truth["MAD"], "f4", "rad"),
                "Band Contrast": (truth["BC"], "uint8", ""),
                "Band Slope": (truth["BS"], "uint8", ""),
                "Pattern Quality": (random.uniform(0, 1, n), "f4", ""),
                "Pattern Center X": (truth["pc"][:, 0], "f4", ""),
                "Pattern Center Y": (truth["pc"][:, 1], "f4", ""),
                "Detector Distance": (truth["pc"][:, 2], "f4", ""),
                "Beam Position X": (0.25 * x, "f4", "um"),
                "Beam Position Y": (-0.25 * y, "f4", "um"),
            }
            if float(version) >= 8:
                columns_of_points["LAM Field Index"] = (np.ones(n), "uint16", "")
            for key, (values, dtype, unit) in columns_of_points.items():
                if key not in omit:
                    data.create_dataset(key, data=np.asarray(values, dtype=dtype).reshape(many))
                    if unit:
                        data[key].attrs["Unit"] = unit
            if "Euler" not in omit:
                data.create_dataset("Euler", data=truth["euler"]).attrs["Unit"] = "rad"
            packing = "lzf" if 5 <= float(version) < 8 else None
            for key, values in (
                ("Processed Patterns", truth["patterns"]),
                ("Unprocessed Patterns", truth["raw_patterns"]),
            ):
                if key in patterns and float(version) >= 5:
                    data.create_dataset(
                        key, data=values, chunks=(1, *values.shape[1:]), compression=packing
                    )
            _h5oina_header(
                file.create_group(f"{name}/EBSD/Header"),
                version,
                rows,
                columns,
                one,
                omit,
                rotation,
            )
            if processed:
                truth["clean_euler"] = orientations(n, seed=9)
                truth["clean_phase"] = np.ones(n, dtype=np.uint8)
                clean = file.create_group(f"{name}/Data Processing/Data")
                clean.create_dataset("Phase", data=truth["clean_phase"].reshape(many))
                clean.create_dataset("Euler", data=truth["clean_euler"])
                clean.create_dataset("Error", data=np.full(many, 7, np.uint8))
                header = file.create_group(f"{name}/Data Processing/Header")
                _put(header, "Specimen Symmetry", "Triclinic", STRING, one)
                _h5oina_phases(header, one)
            if eds:
                maps = file.create_group(f"{name}/EDS/Data/Window Integral")
                truth["Fe"] = random.uniform(0, 9, n).astype(np.float32)
                maps.create_dataset("Fe Ka1", data=truth["Fe"].reshape(many))
                file.create_group(f"{name}/EDS/Header")
    return truth


def _h5oina_header(
    header: h5py.Group,
    version: str,
    rows: int,
    columns: int,
    one: tuple[int, ...],
    omit: tuple[str, ...],
    rotation: float,
) -> None:
    mode = "Camera Mode" if float(version) >= 7 else "Camera Binning Mode"
    entries: list[tuple[str, Any, Any, str]] = [
        ("Project Label", "Größe", STRING, ""),
        ("Beam Voltage", 20, "f4", "kV"),
        ("Tilt Angle", np.deg2rad(69.9), "f4", "rad"),
        ("X Cells", columns, "i4", "px"),
        ("Y Cells", rows, "i4", "px"),
        ("X Step", 0.25, "f4", "um"),
        ("Y Step", 0.25 if rows > 1 else 0.0, "f4", "um"),
        ("Pattern Width", 8, "i4", "px"),
        ("Pattern Height", 6, "i4", "px"),
        (mode, "Speed 2 (156x128 px)", STRING, ""),
        ("Scanning Rotation Angle", rotation, "f4", "rad"),
    ]
    for name, value, dtype, unit in entries:
        if name not in omit:
            _put(header, name, value, dtype, one, unit)
    header.create_dataset("Specimen Orientation Euler", data=np.zeros((1, 3), "f4"))
    header.create_dataset(
        "Detector Orientation Euler", data=np.deg2rad([[0, 91.5, 0]]).astype("f4")
    )
    header.create_group("Stage Position")
    _h5oina_phases(header, one)


def _h5oina_phases(header: h5py.Group, one: tuple[int, ...]) -> None:
    for number, name, group, symbol, laue, lengths, angles in (
        ("1", "Iron fcc", 225, "m-3m", 11, (3.65, 3.65, 3.65), (90, 90, 90)),
        ("2", "Titanium", 194, "6/mmm", 9, (2.9506, 2.9506, 4.6788), (90, 90, 120)),
    ):
        phase = header.create_group(f"Phases/{number}")
        _put(phase, "Phase Name", name, STRING, one)
        _put(phase, "Reference", "", STRING, one)
        phase.create_dataset("Lattice Angles", data=np.deg2rad([angles]).astype("f4"))
        phase["Lattice Angles"].attrs["Unit"] = "rad"
        phase.create_dataset("Lattice Dimensions", data=np.array([lengths], "f4"))
        _put(phase, "Laue Group", laue, "i4", one)
        phase["Laue Group"].attrs["Symbol"] = symbol
        _put(phase, "Space Group", group, "i4", one)
        phase.create_dataset("Color", data=np.array([[255, 0, 0]], "u1"))


def write_edax(
    path: Path,
    *,
    rows: int = 5,
    columns: int = 6,
    hexagonal: bool = False,
    outside: tuple[int, ...] = (),
    patterns: bool = True,
    order: str = ">",
    system: int | None = 2,
    phases: int = 1,
    scans: tuple[str, ...] = ("Scan_1",),
) -> dict[str, Any]:
    """EDAX's layout as OIM Analysis 7.2 writes it, big-endian header by default."""
    step_x, step_y = 1.5, 1.5 * np.sqrt(0.75) if hexagonal else 1.5
    xy = [
        (step_x * (column + 0.5 * (row % 2 if hexagonal else 0)), step_y * row)
        for row in range(rows)
        for column in range(columns - (row % 2 if hexagonal else 0))
    ]
    x, y = np.array(xy, dtype=np.float32).T
    n = x.size
    random = np.random.default_rng(2)
    truth: dict[str, Any] = {
        "euler": orientations(n, seed=3),
        "IQ": random.uniform(100, 5000, n).astype(np.float32),
        "CI": random.uniform(0, 1, n).astype(np.float32),
        "Fit": random.uniform(0.3, 1.5, n).astype(np.float32),
        "phase": (np.zeros(n) if phases == 1 else 1 + np.arange(n) % phases).astype(np.int8),
        "valid": np.zeros(n, np.int8),
        "patterns": patterns_of(n),
    }
    blank = list(outside)
    x, y = x.copy(), y.copy()
    x[blank] = y[blank] = -1111111
    truth["valid"][blank] = 2
    with h5py.File(path, "w") as file:
        file[" Manufacturer"] = np.array([b"EDAX"], "S5")
        file[" Version"] = np.array([b"OIM Analysis 7.2.1 x64  [01-23-15]"])
        for name in scans:
            data = file.create_group(f"{name}/EBSD/Data")
            for i, key in enumerate(("Phi1", "Phi", "Phi2")):
                data[key] = truth["euler"][:, i]
            for key in ("IQ", "CI", "Fit"):
                data[key] = truth[key]
            data["Phase"], data["Valid"] = truth["phase"], truth["valid"]
            data["X Position"], data["Y Position"] = x, y
            data["SEM Signal"] = np.arange(n, dtype="<i4")
            if patterns:
                data.create_dataset("Pattern", data=truth["patterns"], chunks=(4, 6, 8))
            header = file.create_group(f"{name}/EBSD/Header")
            for key, value in (
                ("nRows", rows),
                ("nColumns", columns),
                ("Pattern Height", 6),
                ("Pattern Width", 8),
            ):
                header[key] = np.array([value], f"{order}i4")
            for key, number in (
                ("Step X", step_x),
                ("Step Y", step_y),
                ("Sample Tilt", -70.0),
                ("Camera Elevation Angle", 5.0),
                ("Camera Azimuthal Angle", 1.0),
                ("Pattern Center Calibration/x-star", 0.5),
                ("Pattern Center Calibration/y-star", 0.7),
                ("Pattern Center Calibration/z-star", 0.6),
            ):
                header[key] = np.array([number], f"{order}f4")
            header["Grid Type"] = np.array([b"HexGrid" if hexagonal else b"SqrGrid"], "S8")
            if system is not None:
                header["Coordinate System/ID"] = np.array([system], f"{order}i4")
            for number in range(1, phases + 1):
                phase = header.create_group(f"Phase/{number}")
                phase["MaterialName"] = np.array([b"Nickel" if number == 1 else b"Zinc"], "S16")
                phase["Formula"] = np.array([b"Ni" if number == 1 else b"Zn"], "S3")
                phase["Point Group"] = np.array(
                    [b"Cubic (Oh) [m3m]" if number == 1 else b"Hexagonal (D6h) [6/mmm]"], "S32"
                )
                phase["Symmetry"] = np.array([43 if number == 1 else 62], f"{order}i4")
                cell = (
                    (3.56, 3.56, 3.56, 90, 90, 90)
                    if number == 1
                    else (2.66, 2.66, 4.95, 90, 90, 120)
                )
                for axis, length in zip(
                    ("a", "b", "c", "alpha", "beta", "gamma"), cell, strict=True
                ):
                    phase[f"Lattice Constant {axis}"] = np.array([length], f"{order}f4")
    return truth


def write_bruker(
    path: Path,
    *,
    rows: int = 5,
    columns: int = 6,
    region: np.ndarray | None = None,
    shuffle: bool = False,
    index_in: str = "EBSD/SEM",
    beam: bool = True,
    system: int = 5,
    scale: float = 1.0,
    scans: tuple[str, ...] = ("Scan 0",),
) -> dict[str, Any]:
    """Bruker's layout; `region` (rows, columns) bool is a region of interest."""
    at = np.argwhere(np.ones((rows, columns), bool) if region is None else region)
    if shuffle:
        at = np.random.default_rng(4).permutation(at)
    n = len(at)
    truth: dict[str, Any] = {
        "at": at,
        "euler": orientations(n, seed=6),
        "MAD": np.linspace(0.2, 0.9, n, dtype=np.float32),
        "phase": np.where(np.arange(n) % 6 == 2, 0, 1).astype(np.int32),
        "patterns": patterns_of(n),
        "pc": np.column_stack(
            (0.5 + 1e-3 * at[:, 1], 0.3 + 1e-3 * at[:, 0], np.full(n, 0.7))
        ).astype(np.float32),
    }
    truth["euler"][truth["phase"] == 0] = 0
    with h5py.File(path, "w") as file:
        file["Manufacturer"] = np.array([b"Bruker Nano"], "S11")
        file["Version"] = np.array([b"Esprit 2.X"], "S10")
        for name in scans:
            data = file.create_group(f"{name}/EBSD/Data")
            for i, key in enumerate(("phi1", "PHI", "phi2")):
                data[key] = np.rad2deg(truth["euler"][:, i])
            data["Phase"], data["MAD"] = truth["phase"], truth["MAD"]
            data["NIndexedBands"] = np.where(truth["phase"] == 0, 0, 8).astype(np.int32)
            data["RadonQuality"] = np.linspace(0, 1, n, dtype=np.float32)
            for i, key in enumerate(("PCX", "PCY", "DD")):
                data[key] = truth["pc"][:, i]
            if beam:
                data["X BEAM"] = (40 + 3 * at[:, 1]).astype(np.int32)
                data["Y BEAM"] = (70 + 3 * at[:, 0]).astype(np.int32)
            data["X SAMPLE"] = (-0.5 * at[:, 1]).astype(np.float32)
            data["Y SAMPLE"] = (0.5 * at[:, 0]).astype(np.float32)
            data["RawPatterns"] = truth["patterns"]
            header = file.create_group(f"{name}/EBSD/Header")
            for key, value in (
                ("NROWS", rows),
                ("NCOLS", columns),
                ("NPoints", rows * columns),
                ("PatternHeight", 6),
                ("PatternWidth", 8),
                ("UnClippedPatternHeight", 6),
                ("DetectorFullHeightMicrons", 24000),
            ):
                header[key] = np.int32(value)
            for key, number in (
                ("XSTEP", 0.5),
                ("YSTEP", 0.5),
                ("SampleTilt", 70.0),
                ("CameraTilt", 3.0),
            ):
                header[key] = np.float64(number)
            header["Grid Type"] = np.array([b"isometric"], "S9")
            header["Coordinate Systems/ID"] = np.int32(system)
            phase = header.create_group("Phases/1")
            phase["Name"], phase["Formula"] = np.array([b"Nickel"]), np.array([b"Ni"])
            phase["IT"], phase["Setting"] = np.int32(225), np.int32(1)
            phase["LatticeConstants"] = np.array([3.56 * scale] * 3 + [90] * 3, np.float32)
            phase["AtomPositions/1"] = np.array([b"Ni,0,0,0,1,0.0035"])
            if region is not None:
                group = file.require_group(f"{name}/{index_in}")
                group["IY"], group["IX"] = (at[:, 0] + 11).astype("i4"), (at[:, 1] + 7).astype("i4")
    return truth


def write_emsoft(path: Path, *, refined: bool = False) -> Path:
    """What EMEBSDDI writes, as far as orix's reader and its tests tell."""
    rows, columns = EMSOFT_SHAPE
    rng = np.random.default_rng(0)
    n, kept, size = rows * columns, 6, 500
    with h5py.File(path, "w") as file:
        file["Manufacturer"] = "EMEBSDDictionaryIndexing.f90"
        file["NMLparameters/EBSDIndexingNameListType/nnk"] = np.array([kept], np.int32)
        ebsd = file.create_group("Scan 1/EBSD")
        header, data = ebsd.create_group("Header"), ebsd.create_group("Data")
        header["nRows"] = np.array([rows], np.int32)
        header["nColumns"] = np.array([columns], np.int32)
        header["Step X"] = header["Step Y"] = np.array([1.5], np.float32)
        phase = header.create_group("Phase/1")
        for name, value in {
            "Point Group": "Cubic (Oh) [m3m]", "MaterialName": "ni/ni.xtal",
            "Lattice Constant a": "3.524", "Lattice Constant b": "3.524",
            "Lattice Constant c": "3.524", "Lattice Constant alpha": "90.0",
            "Lattice Constant beta": "90.0", "Lattice Constant gamma": "90.0",
        }.items():  # fmt: skip
            phase[name] = np.array([value], dtype="S")
        data["X Position"] = np.tile(np.arange(columns) * 1.5, rows)
        # EMsoft's mistake: y runs as fast as x.
        data["Y Position"] = np.tile(np.arange(columns) * 1.5, rows)
        data["Phase"] = np.zeros(n, np.uint8)
        data["CI"] = rng.random(n).astype(np.float32)
        data["AvDotProductMap"] = rng.random((rows, columns))
        data["FZcnt"] = np.array([size], np.int32)
        data["DictionaryEulerAngles"] = rng.uniform(0, 360, (size + 12, 3)).astype(np.float32)
        data["TopMatchIndices"] = rng.integers(1, size + 1, (n + 3, kept)).astype(np.int32)
        data["TopDotProductList"] = rng.random((n + 3, kept)).astype(np.float32)
        if refined:
            data["RefinedEulerAngles"] = rng.uniform(0, 3, (n, 3)).astype(np.float32)
            data["RefinedDotProducts"] = rng.random(n).astype(np.float32)
    return path
