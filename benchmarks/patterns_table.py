"""The space-group classifier on real patterns, and its speed.

    python benchmarks/patterns_table.py real speed [--data FOLDER]

Without a folder, the nickel patterns alone, which come with kikuchipy.

The other tables: patterns_unseen.py, patterns_unknown.py, patterns_geometry.py,
patterns_two_phase.py and patterns_stream.py.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import napari_ebsdml as ebsdml
from napari_ebsdml.patterns import CrystalFrameClassifier
from patterns_common import show


def real(model: CrystalFrameClassifier, data: Path | None) -> None:
    """Measured patterns; nothing was tuned on them."""
    import kikuchipy

    rows = []
    # With their orientations, as far as the file has them; the nine patterns are the same in all.
    folder = Path(kikuchipy.__file__).parent / "data"
    signal = kikuchipy.data.nickel_ebsd_small()
    from napari_ebsdml.patterns.frame.geometry import from_kikuchipy

    q = from_kikuchipy(signal.xmap.rotations.data).reshape(3, 3, 4)
    names = (
        "kikuchipy_h5ebsd/patterns.h5", "edax_h5ebsd/patterns.h5", "edax_binary/edax_binary.up1",
        "edax_binary/edax_binary.up2", "oxford_binary/patterns.ebsp", "nordif/Pattern.dat",
    )  # fmt: skip
    paths = [folder / name for name in names]
    if data is not None:
        paths.append(data / "patterns" / "bruker_layout_ni.h5")
    for path in paths:
        if not path.exists():
            rows.append((f"Ni {path.name}", "-", "-", "-", "-", "file absent"))
            continue
        try:
            scan = ebsdml.read(path)
            patterns = np.asarray(scan.patterns).reshape(-1, *scan.patterns.shape[2:])
            nine = patterns[:9].reshape(3, 3, *patterns.shape[1:])
            if len(patterns) < 9:
                rows.append((f"Ni {path.name}", len(patterns), "-", "-", "-", "not nine patterns"))
                continue
            result = model.predict(nine, q, signal.detector)
            own = ""
            if scan.is_indexed.all() and scan.detector is not None:
                mine = model.predict_scan(scan)
                hits = (mine.space_group == 225).sum()
                own = f"own orientations: {hits} of {mine.space_group.size}"
            rows.append(report(f"Ni {path.name}", result, 225, own))
        except ebsdml.EbsdmlError as error:
            rows.append((f"Ni {path.name}", "-", "-", "-", "-", str(error)[:60]))
    if data is not None:
        rows += steel(model, data)
    show(
        "Real patterns", rows,
        ("data", "n", "right %", "right or not separable %", "known %", "note"),
    )  # fmt: skip


def steel(model: CrystalFrameClassifier, data: Path) -> list[tuple]:
    """Rows of the dual-phase steel, by pattern, grain and map."""
    import h5py
    from kikuchipy.detectors import EBSDDetector

    scan = ebsdml.read(data / "patterns" / "dual_phase_steel.ang").crop(slice(0, 15))
    with h5py.File(data / "patterns" / "dual_phase_steel_rows00-14.h5") as file:
        patterns = file["patterns"][()]
    detector = EBSDDetector(
        shape=(60, 60), pc=(0.5017, 0.7189, 0.5342), convention="tsl", sample_tilt=70, tilt=5
    )
    import dataclasses

    import dask.array as da

    scan = dataclasses.replace(scan, patterns=da.from_array(patterns, chunks=(5, 29, 60, 60)))
    rows = []
    for by in ("pixel", "grain", "map"):
        result = model.predict_scan(scan, by=by, detector=detector)
        groups = len(np.unique(result.labels)) if result.labels is not None else ""
        note = f"{groups} grains" if by == "grain" else ""
        rows.append(report(f"steel by {by}", result, 229, note))
    return rows


def report(name: str, result, truth: int, note: str = "") -> tuple:
    asked = result.space_group > 0
    right = (result.space_group == truth)[asked]
    also = np.array([truth in other for other in result.ambiguous_with[asked]])
    return (
        name, int(asked.sum()), f"{100 * right.mean():.1f}", f"{100 * (right | also).mean():.1f}",
        f"{100 * result.is_known[asked].mean():.1f}", note,
    )  # fmt: skip


def speed(model: CrystalFrameClassifier, number: int = 6000) -> None:
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 255, (number, 60, 60), dtype=np.uint8)
    q = rng.normal(size=(number, 4))
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    from napari_ebsdml.patterns.frame.geometry import Geometry

    camera = Geometry.from_angles((0.5, 0.3, 0.5), (60, 60))
    model.predict(patterns[:300], q[:300], camera)
    start = time.perf_counter()
    model.predict(patterns, q, camera)
    took = time.perf_counter() - start
    print(f"\nSpeed: {number / took:.0f} patterns/s of 60 x 60 ({torch.get_num_threads()} threads)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tables", nargs="+", choices=["real", "speed"])
    parser.add_argument(
        "--data",
        type=Path,
        help="folder of the rest (docs/measurements/data.md)",
    )
    parser.add_argument("--model", default="default")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    model = CrystalFrameClassifier.load(options.model)
    if "real" in options.tables:
        real(model, options.data)
    if "speed" in options.tables:
        speed(model)


if __name__ == "__main__":
    main()
