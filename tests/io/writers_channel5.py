"""Write CHANNEL5 projects, and maps that look like a microstructure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

TYPES = {
    1: "<f4", 2: "<f4", 3: "<f4", 4: "<f4", 5: "<f4", 6: "<f4", 7: "u1", 8: "u1", 9: "u1",
    10: "u1", 11: "u1", 12: "<f4",
}  # fmt: skip
NAMES = {
    1: "X", 2: "Y", 3: "phi1", 4: "Phi", 5: "phi2", 6: "MAD", 7: "BC", 8: "BS", 10: "Bands",
    11: "Error", 12: "ReliabilityIndex",
}  # fmt: skip
USUAL = (3, 4, 5, 6, 7, 8, 10, 11, 12)


def grains(rows: int, columns: int, seed: int = 0, size: float = 8.0) -> dict[str, NDArray[Any]]:
    """Voronoi grains with noise: points in raster order, fields by their CHANNEL5 names."""
    rng = np.random.default_rng(seed)
    n_grains = max(3, round(rows * columns / size**2))
    seeds = rng.uniform((0, 0), (rows, columns), (n_grains, 2))
    y, x = np.indices((rows, columns)).reshape(2, -1)
    squared = (y[:, None] - seeds[:, 0]) ** 2 + (x[:, None] - seeds[:, 1]) ** 2
    grain = squared.argmin(axis=1)
    two = np.sqrt(np.sort(squared, axis=1)[:, :2])
    edge = np.clip((two[:, 1] - two[:, 0]) / 3, 0, 1)
    n = rows * columns
    angles = np.column_stack(
        (
            rng.uniform(0, 2 * np.pi, n_grains),
            np.arccos(rng.uniform(-1, 1, n_grains)),
            rng.uniform(0, 2 * np.pi, n_grains),
        )
    )[grain] + rng.normal(0, 0.003, (n, 3))
    phase = np.where(rng.random(n) < 0.05, 0, 1)
    return {
        "Phase": phase,
        "X": x * 0.25,
        "Y": y * 0.25,
        "phi1": np.where(phase, angles[:, 0] % (2 * np.pi), 0),
        "Phi": np.where(phase, np.abs(angles[:, 1]), 0),
        "phi2": np.where(phase, angles[:, 2] % (2 * np.pi), 0),
        "MAD": np.where(phase, rng.uniform(0.2, 1.2, n), 0),
        "BC": np.clip(60 + 120 * edge + rng.normal(0, 8, n), 0, 255),
        "BS": np.clip(90 + 100 * edge + rng.normal(0, 8, n), 0, 255),
        "Bands": np.where(phase, 8, 0),
        "Error": np.where(phase, 0, 3),
        "ReliabilityIndex": np.zeros(n),
    }


@dataclass
class Project:
    """What goes into a .cpr; `write` makes both files."""

    shape: tuple[int, int]
    values: dict[str, NDArray[Any]]
    fields: tuple[int, ...] = USUAL
    windows: tuple[str, ...] = ()
    extra: dict[int, str] = field(default_factory=dict)
    """Number of a field of 4 bytes beyond the known ones -> name in `values`."""
    header_shape: tuple[int, int] | None = None
    job: str = "RegularGrid"
    step: str = "0.2500"
    trailing: bytes = b""

    def record(self) -> NDArray[Any]:
        names = {**NAMES, **self.extra}
        dtype = [("Phase", "u1")] + [(names[k], TYPES.get(k, "<f4")) for k in self.fields]
        out = np.zeros(len(self.values["Phase"]), dtype=dtype)
        for name in out.dtype.names or ():
            out[name] = self.values[name]
        return out

    def cpr(self) -> str:
        rows, columns = self.header_shape or self.shape
        lines = ["[General]", "Version=5.0", f"JobMode={self.job}", "[Job]"]
        if rows and columns:
            lines += [f"xCells={columns}", f"yCells={rows}"]
        else:
            lines += [f"NoOfPoints={len(self.values['Phase'])}"]
        lines += [f"GridDistX={self.step}", f"GridDistY={self.step}", "kV=20.00"]
        lines += ["[Acquisition Surface]", "Euler1=0.0", "Euler2=0.0", "Euler3=0.0"]
        lines += ["[Fields]", f"Count={len(self.fields)}"]
        lines += [f"Field{k}={number}" for k, number in enumerate(self.fields, start=1)]
        lines += ["[Phases]", "Count=1", "[Phase1]", "StructureName=Nickel é", "a=3.5240"]
        lines += ["b=3.5240", "c=3.5240", "alpha=90.00", "beta=90.00", "gamma=90.00"]
        lines += ["LaueGroup=11", "SpaceGroup=225", "[EDX Windows]", f"Count={len(self.windows)}"]
        lines += [f"Window{k}={name}" for k, name in enumerate(self.windows, start=1)]
        return "\r\n".join(lines) + "\r\n"

    def write(self, folder: Path, stem: str = "map") -> Path:
        (folder / f"{stem}.crc").write_bytes(self.record().tobytes() + self.trailing)
        path = folder / f"{stem}.cpr"
        path.write_bytes(self.cpr().encode("latin-1"))
        return path
