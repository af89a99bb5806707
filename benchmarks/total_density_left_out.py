"""Total density on classes of structures that were left out of training; fresh seeds.

python benchmarks/total_density_left_out.py simulate WORK [--structures 10] [--seed 900] [--size 96]
python benchmarks/total_density_left_out.py tables WORK [--previous FILE] [--figure FILE]
python benchmarks/total_density_left_out.py means WORK [--structures 10] [--seed 901]

WORK is the folder of `ebsdml dev train-total-density`: its networks that were trained without a
class, in mixtures neither, are scored on structures of that class alone that were simulated after
the training; intervals take factors of the other classes' answers in training, so that nothing of
the class is known. Rivals are fitted to the same training without that class: GND times one
constant; a power law of the mean squared neighbour difference less noise; least squares on all
statistics.
Rivals are fitted to windows whose truth is above the limit, which no user knows: the last table
sorts windows by what each estimator itself says.
`--previous` is an older model file, which saw all classes; it is scored inside bodies only.
`means` asks whole maps of fresh structures through the public call, the noise told, by pixels and
by the squares of pixels that the product chooses, with the networks that did not see a class.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml.dislocations.structures.generate import KINDS, random_structure
from napari_ebsdml.dislocations.structures.measurement import Errors, add_errors, random_map
from napari_ebsdml.dislocations.structures.simulated_scan import simulated_scan
from napari_ebsdml.dislocations.structures.store import Stored, sections_of
from napari_ebsdml.dislocations.total.examples import (
    CLASSES,
    Examples,
    MeasuredWindow,
    examples_of_windows,
    measured_noise,
)
from napari_ebsdml.dislocations.total.left_out import LeftOut, calibrate, scores
from napari_ebsdml.dislocations.total.model import KIND, Calibration, TotalDensityModel
from napari_ebsdml.dislocations.total.statistics import NAMES
from napari_ebsdml.dislocations.total.train import Kept, WindowNetwork, as_model
from napari_ebsdml.learning.model_file import load_model
from total_density import told

BURGERS, STEP = 3.524e-10 / np.sqrt(2), 0.2
"""In m and um; of the maps of `means`."""
MEANT = 100
"""Lines that have to cross a map of `means`: fewer are no density."""
RATIOS = {3.0: "0.5 to 3", 20.0: "3 to 20", 100.0: "20 to 100", 301.0: "100 to 300"}
"""End of each group of rho (b / sigma)^2."""
RANKS = {name: rank for rank, name in enumerate(RATIOS.values())}
SIZE = 96
SIDES = (16, 32, 64, 128)
"""Pixels of the windows; 128 needs boxes of as many voxels."""
ERRORS: dict[str, Callable[[float], Errors]] = {
    "white": lambda sigma: Errors(sigma),
    "correlated": lambda sigma: Errors(sigma, correlation=0.3),
    "10 % not indexed": lambda sigma: Errors(sigma, missing=0.1),
    "noise measured": lambda sigma: Errors(sigma),
}
COLUMNS = ("lattice", "errors", "stride", "side")
GND, SLOPE = NAMES.index("log GND"), NAMES.index("log (D(1) - noise)")


def simulate(folder: Path, structures: int, seed: int, size: int = SIZE) -> None:
    """Windows of fresh structures of each class: examples, and what the tables are sorted by."""
    folder.mkdir(parents=True, exist_ok=True)
    for which, kind in enumerate(CLASSES):
        path = folder / f"{kind}-{seed}.npz"
        if path.exists():
            continue
        parts, sorted_by = [], []
        for number in range(structures):
            random = np.random.default_rng([seed, which, number])
            structure = random_structure(random, size, [kind], strain=True)
            stored = sections_of(structure, random)
            windows = windows_of(stored, random)
            if windows:
                told, labels = zip(*windows, strict=True)
                kinds = np.array([name == kind for name in KINDS])
                parts.append(examples_of_windows(list(told), kinds, number))
                sorted_by += labels
        Examples.join(parts).write(path)
        np.save(path.with_suffix(".npy"), np.array(sorted_by))
        print(kind, len(sorted_by), flush=True)


def windows_of(
    stored: Stored, random: np.random.Generator
) -> list[tuple[MeasuredWindow, tuple[str, ...]]]:
    """Windows inside the body and at free surfaces, with each kind of errors."""
    found = []
    for name, errors in ERRORS.items():
        for surface in (False, True):
            for _ in range(4):
                sigma = float(np.exp(random.uniform(np.log(0.003), np.log(3))))
                stride = int(random.integers(1, 5))
                one = random_map(stored, random, errors(sigma), stride, surface)
                noise = measured_noise(one) if name == "noise measured" else sigma
                if not noise > 0:
                    continue
                for side in SIDES:
                    if side > one.indexed.shape[0]:
                        continue
                    window = one.window(random, (side, side), ragged=False)
                    if window.lines * window.inside.sum() >= 1:
                        told = MeasuredWindow(window, noise, name == "noise measured")
                        found.append((told, (stored.lattice, name, str(stride), str(side))))
    return found


def fitted(train: Examples) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
    """Rivals that are fitted where training maps tell their density."""
    clear = train.strength > 1.3
    x, y = train.inputs[clear].astype(np.float64), train.lines[clear].astype(np.float64)
    constant = float(np.median(y - x[:, GND]))
    slope, start = np.polyfit(x[:, SLOPE], y, 1)
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-3

    def design(inputs: np.ndarray) -> np.ndarray:
        z = np.clip((inputs - mean) / scale, -5, 5)
        return np.concatenate((z, np.ones((len(z), 1))), axis=1)

    a = design(x)
    solved = np.linalg.solve(a.T @ a + 10 * np.eye(a.shape[1]), a.T @ y)
    return {
        "GND x constant": lambda inputs: inputs[:, GND] + constant,
        "power law": lambda inputs: start + slope * inputs[:, SLOPE],
        "linear": lambda inputs: design(inputs) @ solved,
    }


def previous_model(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Median of an older model, whose inputs are among today's."""
    weights, card = load_model(path, KIND)
    arrays = {name: tensor.numpy() for name, tensor in weights.items()}
    layers = len(card.settings["widths"])
    networks = tuple(
        tuple((arrays[f"{n}.{i}.weight"], arrays[f"{n}.{i}.bias"]) for i in range(layers))
        for n in range(card.settings["networks"])
    )
    names = ("mean", "scale", "low", "high")
    model = TotalDensityModel(networks, *(arrays[n] for n in names), Calibration.none())
    columns = [NAMES.index(name) for name in card.inputs]
    return lambda inputs: model.predict(inputs[:, columns])[0].quantile(0.5)


def rms(error: np.ndarray) -> str:
    """As a cell."""
    return f"{np.sqrt(np.mean(error**2)):.2f}" if len(error) >= 10 else ""


def trained_on(work: Path) -> Examples:
    """All windows of a training."""
    return Examples.join([Examples.read(p) for p in sorted((work / "examples").glob("*.npz"))])


def trained_without(work: Path) -> dict[str, WindowNetwork]:
    """The networks that did not see a class."""
    width = TotalDensityModel.load("default").networks[0][0][0].shape[0]
    found = {}
    for kind in CLASSES:
        (path,) = work.glob(f"network-{kind}-*.ckpt")
        network = Kept(work, path.stem.removeprefix(f"network-{kind}-"), width).get(kind)
        assert network is not None
        found[kind] = network
    return found


def answers(network: WindowNetwork, windows: Examples) -> LeftOut:
    """What a network says of windows."""
    return LeftOut(windows, as_model([network], windows).predict(windows.inputs)[0])


def factors_of(trained: dict[str, LeftOut]) -> dict[str, Calibration]:
    """Calibration for each class, on all others."""
    return {
        kind: calibrate({name: one for name, one in trained.items() if name != kind})
        for kind in CLASSES
    }


def means(work: Path, structures: int, seed: int) -> None:
    """Maps of classes that the answering network did not see, by pixels and by means."""
    train, networks = trained_on(work), trained_without(work)
    factors = factors_of(
        {kind: answers(networks[kind], train.select(train.of(kind))) for kind in CLASSES}
    )
    unit = BURGERS / (STEP * 1e-6)
    rows: dict[tuple[str, str, str], list[list[float]]] = {}
    for which, kind in enumerate(CLASSES):
        rest = train.select(train.without(kind))
        model = as_model([networks[kind]], rest, factors[kind])
        for number in range(structures):
            random = np.random.default_rng([seed, which, number])
            stored = sections_of(random_structure(random, SIZE, [kind], strain=True), random)
            for surface in (False, True):
                clean = random_map(
                    stored, random, Errors(), int(random.integers(1, 3)), surface, scale_up=False
                )
                lines = float(clean.density.mean())
                if lines * clean.density.size < MEANT:
                    continue
                ratio = float(np.exp(random.uniform(np.log(0.5), np.log(300))))
                sigma = np.sqrt(lines / ratio)
                noisy = add_errors(clean.rotation, Errors(sigma), random)
                true = np.log10(lines / (STEP * 1e-6) ** 2)
                scan = simulated_scan(noisy * unit, STEP, "fcc", 0.0, number)
                degrees = float(np.degrees(sigma * unit))
                gnd = ebsdml.gnd_density(scan, orientation_noise=degrees).average()
                rival = gnd.density if gnd.density > 0 else gnd.raw_mean
                for way, side in (("pixels", 1), ("as chosen", None)):
                    one, _ = told(scan, degrees, model=model, surface=surface, average_over=side)
                    found = [one.middle - true, one.low <= true <= one.high, one.measurable,
                             one.high - one.low, np.log10(rival) - true]  # fmt: skip
                    clear = next(name for end, name in RATIOS.items() if ratio < end)
                    for group in (kind, "all"):
                        rows.setdefault((clear, group, way), []).append(found)
    print("| rho (b / sigma)^2 | class left out | read | n | told, % | RMS of told | bias | 90 % "
          "holds of told, % | of all, % | width of told | GND x constant of the row |")  # fmt: skip
    print("|---" * 11 + "|")
    for (clear, group, way), each in sorted(rows.items(), key=lambda item: RANKS[item[0][0]]):
        a = np.array(each, dtype=float)
        sure = a[:, 2] > 0
        cells = ["", "", "", ""]
        if sure.any():
            error, held, width = a[sure, 0], 100 * a[sure, 1].mean(), 10 ** np.median(a[sure, 3])
            size = np.sqrt(np.mean(error**2))
            cells = [f"{size:.2f}", f"{error.mean():+.2f}", f"{held:.0f}", f"x{width:.1f}"]
        print(f"| {clear} | {group} | {way} | {len(a)} | {100 * sure.mean():.0f} | {cells[0]} | "
              f"{cells[1]} | {cells[2]} | {100 * a[:, 1].mean():.0f} | {cells[3]} | "
              f"{np.nanstd(a[:, 4]):.2f} |")  # fmt: skip


def tables(work: Path, seed: int, previous: Path | None, figure: Path | None) -> None:
    """Print all tables, draw the limit."""
    train = trained_on(work)
    networks = trained_without(work)
    old = None if previous is None else previous_model(previous)
    left, others, labels, trained = {}, {}, {}, {}
    for kind in CLASSES:
        own = Examples.read(work / "fresh" / f"{kind}-{seed}.npz")
        rest = train.select(train.without(kind))
        left[kind] = answers(networks[kind], own)
        trained[kind] = answers(networks[kind], train.select(train.of(kind)))
        others[kind] = {name: rule(own.inputs) for name, rule in fitted(rest).items()}
        if old is not None:
            others[kind]["previous"] = np.where(own.free_surface, np.nan, old(own.inputs))
        labels[kind] = np.load(work / "fresh" / f"{kind}-{seed}.npy")
    names = list(others[CLASSES[0]])
    factors = factors_of(trained)
    for title, first, end in (("above 100", 2.0, np.inf), ("20 to 100", 1.3, 2.0)):
        print(f"\n| rho (b / sigma)^2 {title} | n | RMS | bias | within factor 2, % | 90 % holds, %"
              f" | width | {' | '.join(names)} |")  # fmt: skip
        print("|---" * (7 + len(names)) + "|")
        for kind, one in left.items():
            found = scores(one, factors[kind]).get(title)
            rows = (one.examples.strength >= first) & (one.examples.strength < end)
            if found is None:
                continue
            cells = []
            for name in names:
                error = (others[kind][name] - one.examples.lines)[rows]
                cells.append(rms(error[np.isfinite(error)]))
            print(f"| {kind} | {found['windows']} | {found['rms']:.2f} | {found['bias']:+.2f} | "
                  f"{100 * found['within factor 2']:.0f} | {100 * found['coverage']:.0f} | "
                  f"x{found['width']:.0f} | {' | '.join(cells)} |")  # fmt: skip
    print("\n| above 100: class left out | N < 1 | 1 to 10 | 10 to 100 | above 100 |")
    print("|---|---|---|---|---|")
    for kind, one in left.items():
        own = one.examples
        error = one.posterior.quantile(0.5) - own.lines
        cells = [
            rms(error[(own.strength > 2) & (own.lines >= a) & (own.lines < b)])
            for a, b in ((-9, 0), (0, 1), (1, 2), (2, 9))
        ]
        print(f"| {kind} | {' | '.join(cells)} |")
    all_examples = Examples.join([one.examples for one in left.values()])
    label = np.concatenate([labels[kind] for kind in left])
    error = np.concatenate([o.posterior.quantile(0.5) - o.examples.lines for o in left.values()])
    inside = np.concatenate([_covered(o, factors[kind]) for kind, o in left.items()])
    clear = all_examples.strength > 2
    print("\n| above 100, all classes | n | RMS | 90 % holds, % | RMS, N < 10 |")
    print("|---|---|---|---|---|")
    groups = {f"{c}: {v}": label[:, k] == v for k, c in enumerate(COLUMNS)
              for v in sorted(set(label[:, k]))}  # fmt: skip
    finest = label[:, 2] == "1"
    groups |= {f"step of one voxel, side: {v}": finest & (label[:, 3] == v)
               for v in sorted(set(label[:, 3]), key=int)}  # fmt: skip
    groups["free surface"] = all_examples.free_surface
    groups["inside a body"] = ~all_examples.free_surface
    for name, rows in groups.items():
        rows = rows & clear
        few = rows & (all_examples.lines < 1)
        print(f"| {name} | {rows.sum()} | {rms(error[rows])} | {100 * inside[rows].mean():.0f} | "
              f"{rms(error[few])} |")  # fmt: skip
    as_said(left, others)
    limit(all_examples, label, error, figure)


def as_said(left: dict[str, LeftOut], others: dict[str, dict[str, np.ndarray]]) -> None:
    """RMS errors where an estimator itself says that a map is so far above the limit."""
    print(
        "\n| each where it says | n: network | network | worst class | n: linear | linear | worst |"
    )
    print("|---|---|---|---|---|---|---|")
    for title, first, end in (("above 100", 2.0, np.inf), ("20 to 100", 1.3, 2.0)):
        cells = []
        for name in ("network", "linear"):
            number, values = 0, []
            for kind, one in left.items():
                own = one.examples
                said = one.posterior.quantile(0.5) if name == "network" else others[kind][name]
                strength = said - 2 * own.inputs[:, NAMES.index("log noise")]
                rows = (strength >= first) & (strength < end)
                number += int(rows.sum())
                if rows.sum() >= 10:
                    values.append(float(np.sqrt(np.mean((said - own.lines)[rows] ** 2))))
            cells += [str(number), f"{np.mean(values):.2f}", f"{max(values):.2f}"]
        print(f"| {title} | {' | '.join(cells)} |")


def _covered(one: LeftOut, calibration: Calibration) -> np.ndarray:
    noise = 10.0 ** one.examples.inputs[:, NAMES.index("log noise")].astype(np.float64)
    _, low, high = calibration.interval(one.posterior, noise)
    return (low <= one.examples.lines) & (one.examples.lines <= high)


def limit(examples: Examples, label: np.ndarray, error: np.ndarray, figure: Path | None) -> None:
    """RMS error by rho (b / sigma)^2, for three steps; N below 10, noise that is told."""
    edges = np.arange(-0.5, 5.1, 0.5)
    curves = {}
    print("\n| rho (b / sigma)^2 from | " + " | ".join(f"{10**e:.0f}" for e in edges[:-1]) + " |")
    print("|---" * len(edges) + "|")
    for stride in ("1", "2", "3"):
        rows = (label[:, 2] == stride) & (label[:, 1] != "noise measured")
        rows = rows & (examples.lines < 1)
        place = np.digitize(examples.strength, edges) - 1
        values = [
            np.sqrt(np.mean(error[rows & (place == k)] ** 2))
            if (rows & (place == k)).sum() >= 30
            else np.nan
            for k in range(len(edges) - 1)
        ]
        curves[stride] = values
        print(f"| step {stride} | " + " | ".join(f"{v:.2f}" for v in values) + " |")
    if figure is None:
        return
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(5, 3.4), dpi=110, layout="constrained")
    axes = canvas.subplots()
    for (stride, values), marker in zip(curves.items(), "osv", strict=True):
        axes.plot(10 ** (edges[:-1] + 0.25), values, marker=marker, label=f"step {stride}")
    axes.axvline(20, color="0.5", linestyle=":")
    axes.set(xscale="log", xlabel="ρ (b / σ)²", ylabel="RMS error, decades", ylim=(0, None))
    axes.legend(frameon=False)
    canvas.savefig(figure)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("simulate", "tables", "means"))
    parser.add_argument("work", type=Path)
    parser.add_argument("--structures", type=int, default=10)
    parser.add_argument("--seed", type=int, default=900)
    parser.add_argument("--size", type=int, default=SIZE, help="voxels along an edge of the box")
    parser.add_argument("--previous", type=Path)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args()
    if given.command == "simulate":
        simulate(given.work / "fresh", given.structures, given.seed, given.size)
    elif given.command == "means":
        means(given.work, given.structures, given.seed)
    else:
        tables(given.work, given.seed, given.previous, given.figure)
