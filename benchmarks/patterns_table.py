"""Tables of the space-group classifier: real patterns, unseen crystals, strangers, noise, speed.

    python benchmarks/patterns_table.py real speed
    python benchmarks/patterns_table.py unseen strangers noise --work FOLDER

FOLDER holds the simulated master patterns (``python -m napari_ebsdml.patterns.library``). "unseen"
trains a model without the 18 materials of doi:10.1038/s41598-021-87557-5 and then asks for them.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch

import napari_ebsdml as ebsdml
from napari_ebsdml.patterns.answer import answer, joint_and_match
from napari_ebsdml.patterns.classifier import SpaceGroupClassifier
from napari_ebsdml.patterns.fold import Folded
from napari_ebsdml.patterns.library import Library, collect
from napari_ebsdml.patterns.result import no_answers
from napari_ebsdml.patterns.structures import PAPER
from napari_ebsdml.patterns.synthetic import CLEAN, Reality, folded_many
from napari_ebsdml.patterns.train import Recipe

TRAINED_ON = ("Zr", "Co", "rutile", "TiB2")
TESTED_ON = ("Ti", "Mg", "Zn", "WC", "GaN")
TWINS = {"Ni3Al", "Fe3Ni"}


def ask(model: SpaceGroupClassifier, folded: Folded):
    result = no_answers((len(folded),), model.space_groups)
    answer(model, folded, result, np.arange(len(folded)))
    return result


def show(title: str, rows: list[tuple], head: tuple) -> None:
    print(f"\n{title}")
    table = [tuple(str(c) for c in row) for row in (head, *rows)]
    widths = [max(len(row[k]) for row in table) for k in range(len(head))]
    for row in table:
        print("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)))


def real(model: SpaceGroupClassifier, data: Path) -> None:
    """Measured patterns; nothing was tuned on them."""
    import kikuchipy

    rows = []
    # With their orientations, as far as the file has them; the nine patterns are the same in all.
    folder = Path(kikuchipy.__file__).parent / "data"
    signal = kikuchipy.data.nickel_ebsd_small()
    from napari_ebsdml.patterns.geometry import from_kikuchipy

    q = from_kikuchipy(signal.xmap.rotations.data).reshape(3, 3, 4)
    names = (
        "kikuchipy_h5ebsd/patterns.h5", "edax_h5ebsd/patterns.h5", "edax_binary/edax_binary.up1",
        "edax_binary/edax_binary.up2", "oxford_binary/patterns.ebsp", "nordif/Pattern.dat",
    )  # fmt: skip
    paths = [folder / name for name in names] + [data / "patterns" / "bruker_layout_ni.h5"]
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
    for by in ("pixel", "grain", "map"):
        result = model.predict_scan(scan, by=by, detector=detector)
        groups = len(np.unique(result.labels)) if result.labels is not None else ""
        note = f"{groups} grains" if by == "grain" else ""
        rows.append(report(f"steel by {by}", result, 229, note))
    show(
        "Real patterns", rows,
        ("data", "n", "right %", "right or not separable %", "known %", "note"),
    )  # fmt: skip


def report(name: str, result, truth: int, note: str = "") -> tuple:
    asked = result.space_group > 0
    right = (result.space_group == truth)[asked]
    also = np.array([truth in other for other in result.ambiguous_with[asked]])
    return (
        name, int(asked.sum()), f"{100 * right.mean():.1f}", f"{100 * (right | also).mean():.1f}",
        f"{100 * result.is_known[asked].mean():.1f}", note,
    )  # fmt: skip


def train_without_paper(library: Library, work: Path, recipe: Recipe) -> SpaceGroupClassifier:
    paper = {s.name for s in PAPER}
    keep = np.array([name not in paper for name in library.names])
    return SpaceGroupClassifier.train(library.take(keep), recipe, strangers(work, TRAINED_ON))


def strangers(work: Path, names: tuple[str, ...]):
    return np.stack([np.load(work / f"{name}.npy") for name in names])


def unseen(model: SpaceGroupClassifier, library: Library) -> None:
    """Materials that the model never saw, one pattern at a time and averaged over 20."""
    paper = {s.name for s in PAPER}
    test = library.take(np.array([name in paper for name in library.names]))
    for label, reality in (("noise 0.3", CLEAN), ("noise 0.1-1.5", Reality(noise=(0.1, 1.5)))):
        which = np.tile(np.arange(len(test)), 60)
        folded = folded_many(test.masters, which, 5, reality)
        groups = which * 3 + np.arange(len(which)) // len(test) % 3
        averaged = folded.grouped(groups, 3 * len(test))
        single, grain = ask(model, folded), ask(model, averaged)
        grain_which = np.repeat(np.arange(len(test)), 3)
        _, match = joint_and_match(model, folded)
        nearest = model.templates.space_groups[match.argmax(axis=1)]
        rows = []
        kinds = [(name, [k]) for k, name in enumerate(test.names)]
        everything = list(range(len(test)))
        apart = [k for k, name in enumerate(test.names) if name not in TWINS]
        kinds += [("all 18", everything), ("without Ni3Al, Fe3Ni", apart)]
        for name, members in kinds:
            mine, mine_grain = np.isin(which, members), np.isin(grain_which, members)
            truth = test.space_groups[which]
            also = np.array([t in a for t, a in zip(truth, single.ambiguous_with, strict=True)])
            right = single.space_group == truth
            family = single.family == np.array(test.families)[which]
            right_grain = grain.space_group == test.space_groups[grain_which]
            rows.append(
                (
                    name, test.space_groups[members[0]] if len(members) == 1 else "",
                    int(mine.sum()), f"{100 * right[mine].mean():.1f}",
                    f"{100 * (right | also)[mine].mean():.1f}", f"{100 * family[mine].mean():.1f}",
                    f"{100 * right_grain[mine_grain].mean():.1f}",
                    f"{100 * (nearest == truth)[mine].mean():.1f}",
                    f"{100 * single.is_known[mine].mean():.1f}",
                )
            )  # fmt: skip
        show(
            f"Unseen materials, 60 x 60 to 80 x 80 pixels, {label}", rows,
            ("material", "group", "n", "right %", "or not separable %", "family %", "by 20 %",
             "correlation %", "known %"),
        )  # fmt: skip


def unknown(model: SpaceGroupClassifier, library: Library, work: Path) -> None:
    """Crystals outside m-3m that the score was not fitted on; noise; wrong orientations."""
    moderate = Reality((60,), (0.1, 1.3), 0.5, 0.5, 0.005, 0.8)
    rows = []
    real_ones = library.take(library.is_real)
    which = np.random.default_rng(1).integers(0, len(real_ones), 1500)
    for kind in ("known", "noise", "misindexed", "overlap"):
        result = ask(model, folded_many(real_ones.masters, which, 21, moderate, kind))
        rows.append((kind, len(which), f"{100 * (1 - result.is_known.mean()):.1f}"))
    for name in TESTED_ON:
        if (work / f"{name}.npy").exists():
            sphere = strangers(work, (name,))
            folded = folded_many(sphere, np.zeros(300, int), 22, moderate)
            result = ask(model, folded)
            rows.append((name, 300, f"{100 * (1 - result.is_known.mean()):.1f}"))
    show("Called unknown", rows, ("patterns", "n", "unknown %"))


def noise(model: SpaceGroupClassifier, library: Library) -> None:
    """How accuracy falls with noise, screen size, wrong orientation and pattern centre."""
    test = library.take(library.is_real)
    which = np.tile(np.arange(len(test)), 15)
    base = {"sizes": (60,), "noise": (0.3, 0.3), "orientation_error": 0.0, "tilt_error": 0.0,
            "centre_error": 0.0, "blur": 0.4}  # fmt: skip
    trials = [("noise", {"noise": (v, v)}, v) for v in (0.1, 0.5, 1.0, 2.0, 3.0)]
    trials += [("pixels", {"sizes": (v,)}, v) for v in (60, 120, 240)]
    angles = (0.5, 1.0, 2.0, 3.0)
    trials += [("orientation error, deg", {"orientation_error": v}, v) for v in angles]
    trials += [("pattern-centre error", {"centre_error": v}, v) for v in (0.005, 0.01, 0.02, 0.03)]
    rows = []
    for name, change, value in trials:
        folded = folded_many(test.masters, which, 31, Reality(**{**base, **change}))
        result = ask(model, folded)
        right = result.space_group == test.space_groups[which]
        family = result.family == np.array(test.families)[which]
        rows.append(
            (name, value, len(which), f"{100 * right.mean():.1f}", f"{100 * family.mean():.1f}",
             f"{100 * result.is_known.mean():.1f}")
        )  # fmt: skip
    show(
        "Real materials, simulated (the shipped model has seen their master patterns)", rows,
        ("what", "value", "n", "right %", "family %", "known %"),
    )  # fmt: skip


def speed(model: SpaceGroupClassifier, number: int = 6000) -> None:
    rng = np.random.default_rng(0)
    patterns = rng.integers(0, 255, (number, 60, 60), dtype=np.uint8)
    q = rng.normal(size=(number, 4))
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    from napari_ebsdml.patterns.geometry import Geometry

    camera = Geometry.from_angles((0.5, 0.3, 0.5), (60, 60))
    model.predict(patterns[:300], q[:300], camera)
    start = time.perf_counter()
    model.predict(patterns, q, camera)
    took = time.perf_counter() - start
    print(f"\nSpeed: {number / took:.0f} patterns/s of 60 x 60 ({torch.get_num_threads()} threads)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    choices = ["real", "unseen", "strangers", "noise", "speed"]
    parser.add_argument("tables", nargs="+", choices=choices)
    parser.add_argument("--work", type=Path, help="folder of simulated master patterns")
    parser.add_argument("--data", type=Path, help="folder of real data: maps, patterns ...")
    parser.add_argument("--model", default="default")
    parser.add_argument("--epochs", type=int, default=Recipe.epochs)
    parser.add_argument("--patterns", type=int, default=Recipe.patterns)
    parser.add_argument("--members", type=int, default=Recipe.members)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    library = collect(options.work) if options.work else None
    tables = set(options.tables)
    if tables & {"unseen", "strangers", "noise"} and library is None:
        parser.error("unseen, strangers and noise need --work")
    if tables - {"unseen"}:
        model = SpaceGroupClassifier.load(options.model)
        if "real" in tables:
            root = Path(__file__).resolve().parents[2]
            real(model, options.data or root / "shared" / "data")
        if "strangers" in tables and library is not None:
            unknown(model, library, options.work)
        if "noise" in tables and library is not None:
            noise(model, library)
        if "speed" in tables:
            speed(model)
    if "unseen" in tables and library is not None:
        recipe = Recipe(options.patterns, options.members, options.epochs)
        unseen(train_without_paper(library, options.work, recipe), library)


if __name__ == "__main__":
    main()
