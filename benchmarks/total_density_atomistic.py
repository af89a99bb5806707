"""Total density of networks of molecular dynamics, through the public call.

python benchmarks/atomistic_networks.py deform WORK      (needs LAMMPS; half an hour)
python benchmarks/atomistic_networks.py lines WORK       (needs OVITO)
python benchmarks/total_density_atomistic.py fields WORK
python benchmarks/total_density_atomistic.py scans WORK [--maps 6] [--seed 700] [--model FILE]
python benchmarks/total_density_atomistic.py show WORK IMAGE

Lines and rotations come from another world than the training: nobody put the lines there, and the
rotations are those of atoms. `scans` makes maps of 32 x 32 pixels on planes of any direction
through the periodic box, the steps of which are parts of its edge, twice: of rotations that the
package computes from the lines, and of those of the atoms. Lengths and rotations are then scaled
to a step of 0.2 um: elasticity knows no length but b. A point averages over a Gaussian of 0.4
steps. True is the line length around the map, as for the training's windows, where partial
dislocations count by the length of their Burgers vector: a pair of 1/6<112> as 1.15 lines.
`fields` compares the two kinds of rotations, atom by atom; `show` draws lines, and a section of
both.
"""

from __future__ import annotations

import argparse
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, uniform_filter

import napari_ebsdml as ebsdml
from napari_ebsdml.dislocations.structures.elasticity import ElasticField, elastic_field
from napari_ebsdml.dislocations.structures.network_file import Network, read_network
from napari_ebsdml.dislocations.structures.sections import SLAB, oblique_map
from napari_ebsdml.dislocations.structures.simulated_scan import simulated_scan
from total_density import told
from total_density_foreign import SIDE, STEP, rms

SIZE = 96
PARTS = (32, 16, 8, 4)
"""Steps along the edge of the box."""
NOISE = (0.01, 1.0)
"""Of the orientations about each axis, in b / step."""
FINEST = 1.5
"""A step of fewer Burgers vectors than this is finer than atoms can show."""
BLUR = 0.4
"""What a point averages over: standard deviation in steps."""
FAR = 0.35
"""An atom turned by more than this, in radians, is one of a core and left out."""
ORDERED = 0.8
"""Part of the atoms that belong to the lattice of a network that is scored."""
BURGERS = {"fcc": 3.524e-10 * 0.5**0.5, "bcc": 2.866e-10 * 0.75**0.5}
"""Of the phases that `simulated_scan` makes, in m."""


def networks(work: Path, every: bool = True) -> list[tuple[str, Network, np.ndarray, np.ndarray]]:
    """Name, network, atoms' places as parts of the edge, their rotations in radians.

    Without `every`: those only in which most atoms are still of the crystal's lattice.
    """
    found = []
    for path in sorted(work.glob("*.data")):
        with np.load(path.with_suffix(".npz")) as file:
            places, turns = file["places"], file["turns"].astype(np.float64)
            if not every and file["lattice"] < ORDERED:
                print(f"{path.stem} left out: too few atoms of its lattice", file=sys.stderr)
                continue
        turns -= np.median(turns, axis=0)
        near = np.linalg.norm(turns, axis=1) < FAR
        turns = turns[near] - turns[near].mean(axis=0)
        found.append((path.stem, read_network(path), places[near], turns))
    if not found:
        raise SystemExit(f"No network in {work}: make some with atomistic_networks.py.")
    return found


def weight(net: Network) -> float:
    """Line length times length of the Burgers vector in b, over line length."""
    length = np.linalg.norm(net.along, axis=1)
    return float((length * np.linalg.norm(net.burgers, axis=1)).sum() / length.sum())


def atoms_field(net: Network, places: np.ndarray, turns: np.ndarray, blur: float) -> ElasticField:
    """Rotations of the atoms as a field in b / h: means over a Gaussian of `blur` voxels."""
    at = tuple((np.rint(places * SIZE).astype(int) % SIZE).T)
    total = np.zeros((SIZE, SIZE, SIZE, 4))
    np.add.at(total, at, np.column_stack([turns, np.ones(len(turns))]))
    for k in range(4):
        total[..., k] = gaussian_filter(total[..., k], blur, mode="wrap", truncate=5)
    rotation = total[..., :3] / np.maximum(total[..., 3:], 1e-12) * (net.edge / SIZE)
    nothing = np.zeros((3, 3))
    return ElasticField(rotation.astype(np.float32), np.zeros((0,)), np.zeros((0,)), nothing)


def compare(work: Path) -> None:
    """Rotations of atoms against those that the package computes from the lines."""
    print("| network | edge, b | lines through a face | length of partials, % | RMS turn, deg | "
          "correlation about x, y, z | computed / atoms, RMS |")  # fmt: skip
    print("|---" * 7 + "|")
    for name, net, places, turns in networks(work):
        length = np.linalg.norm(net.along, axis=1)
        partial = np.linalg.norm(net.burgers, axis=1) < 0.9
        field = elastic_field(net.lines(SIZE)).rotation * (SIZE / net.edge)
        where = (places.astype(np.float64) * SIZE).T
        there = np.stack(
            [map_coordinates(field[..., k], where, order=1, mode="grid-wrap") for k in range(3)], 1
        )
        alike = ", ".join(f"{np.corrcoef(turns[:, k], there[:, k])[0, 1]:.3f}" for k in range(3))
        print(
            f"| {name} | {net.edge:.0f} | {net.density * net.edge**2:.1f} | "
            f"{100 * length[partial].sum() / length.sum():.0f} | {np.degrees(turns.std()):.2f} | "
            f"{alike} | {there.std() / turns.std():.3f} |",
            flush=True,
        )


@dataclass(frozen=True)
class Answer:
    """What was said of one map, densities as log10 of 1/m^2; `strength` is rho (b / sigma)^2."""

    name: str
    source: str
    part: int
    lines: float
    strength: float
    true: float
    middle: float
    low: float
    high: float
    measurable: bool
    gnd: float


def answers(work: Path, maps: int, seed: int, model: str) -> list[Answer]:
    """What is said of every map under three noises each."""
    found = []
    for name, net, places, turns in networks(work, every=False):
        lines = net.lines(SIZE)
        for part in PARTS:
            step = SIZE / part
            computed = elastic_field(lines, probe=BLUR * step)
            layer = uniform_filter(computed.density, SLAB, mode="wrap") * weight(net)
            sources = {"lines": computed}
            if net.edge / part > FINEST:
                sources["atoms"] = atoms_field(net, places, turns, BLUR * step)
            for number in range(maps):
                random = np.random.default_rng([seed, zlib.crc32(name.encode()), part, number])
                axes = np.linalg.qr(random.standard_normal((3, 3)))[0]
                axes[2] *= np.linalg.det(axes)
                origin = random.uniform(0, SIZE, 3)
                pixel = _density(layer, axes, origin, step) * step**2
                hats = np.exp(random.uniform(*np.log(NOISE), size=3))
                keys = random.integers(1 << 30, size=3)
                for source, field in sources.items():
                    turn = oblique_map(field, axes, origin, (SIDE, SIDE), step) * step
                    for hat, key in zip(hats, keys, strict=True):
                        said = _ask(turn, name[:3], float(hat), int(key), model)
                        true = np.log10(pixel / (STEP * 1e-6) ** 2)
                        found.append(Answer(name, source, part, pixel, pixel / hat**2, true, *said))
        print(name, len(found), file=sys.stderr, flush=True)
    return found


def _density(layer: np.ndarray, axes: np.ndarray, origin: np.ndarray, step: float) -> float:
    """Mean of the map's surroundings in lines per voxel area, at every voxel that it crosses."""
    side = int(np.ceil(SIDE * step))
    u, v = np.meshgrid(np.arange(side), np.arange(side))
    points = origin + u[..., None] * axes[0] + v[..., None] * axes[1]
    where = np.moveaxis(points, -1, 0)
    return float(map_coordinates(layer, where, order=1, mode="grid-wrap").mean())


def _ask(
    turn: np.ndarray, lattice: str, hat: float, seed: int, model: str
) -> tuple[float, float, float, bool, float]:
    """Middle, ends of the interval, whether it is told, and GND."""
    unit = BURGERS[lattice] / (STEP * 1e-6)
    sigma = float(np.degrees(hat * unit))
    scan = simulated_scan(turn * unit, STEP, lattice, sigma, seed)
    said, _ = told(scan, sigma, model=model, surface=False)
    gnd = float(np.log10(np.nanmean(ebsdml.gnd_density(scan).total)))
    return said.middle, said.low, said.high, said.measurable, gnd


def span(one: Answer) -> str:
    """Where rho (b / sigma)^2 lies."""
    return "above 100" if one.strength > 100 else "20 to 100" if one.strength > 20 else "below 20"


def show(found: list[Answer]) -> None:
    """Print tables: by network, by step, and by lines in a pixel."""
    groups: dict[tuple[str, str, str], list[Answer]] = {}
    for one in found:
        lines = "N < 0.1" if one.lines < 0.1 else "N 0.1 to 1" if one.lines < 1 else "N > 1"
        for name in ("all", f"all, {lines}", one.name):
            groups.setdefault((span(one), one.source, name), []).append(one)
    constant = {
        key[:2]: -np.mean([one.gnd - one.true for one in each])
        for key, each in groups.items()
        if key[2] == "all"
    }
    for strength in ("above 100", "20 to 100", "below 20"):
        print(f"\n| rho (b / sigma)^2 {strength} | rotations of | n | RMS | bias | "
              "within factor 2, % | 90 % holds, % | width | told, % | RMS of those | GND | "
              "GND x constant of all | GND x constant of the row |")  # fmt: skip
        print("|---" * 13 + "|")
        for (where, source, name), each in sorted(groups.items()):
            if where != strength:
                continue
            a = np.array([(one.middle, one.low, one.high, one.measurable, one.gnd, one.true)
                          for one in each], dtype=float)  # fmt: skip
            error, gnd, true = a[:, 0] - a[:, 5], a[:, 4] - a[:, 5], a[:, 5]
            sure = error[a[:, 3] > 0]
            width = np.median(a[:, 2] - a[:, 1])
            print(
                f"| {name} | {source} | {len(a)} | {rms(error):.2f} | {error.mean():+.2f} | "
                f"{100 * np.mean(np.abs(error) < np.log10(2)):.0f} | "
                f"{100 * np.mean((a[:, 1] <= true) & (true <= a[:, 2])):.0f} | "
                f"{f'x{10**width:.0f}' if width < 3 else 'a bound'} | {100 * a[:, 3].mean():.0f} | "
                f"{rms(sure):.2f} | {rms(gnd):.2f} | {rms(gnd + constant[where, source]):.2f} | "
                f"{gnd.std():.2f} |"
            )


def draw(work: Path, image: Path) -> None:
    """Lines of each network, and one component of both rotations on a face of its box."""
    import matplotlib.pyplot as plt
    from mpl_toolkits.mplot3d.art3d import Line3DCollection

    each = networks(work)
    figure = plt.figure(figsize=(9, 3 * len(each)), layout="constrained")
    for row, (name, net, places, turns) in enumerate(each):
        axes = figure.add_subplot(len(each), 3, 3 * row + 1, projection="3d")
        pieces = np.stack([net.start, net.start + net.along], axis=1) / net.edge
        size = np.linalg.norm(net.burgers, axis=1)
        for low, high, colour, label in ((0, 0.9, "tab:blue", "partial"), (0.9, 1.1, "k", "b"),
                                         (1.1, 9, "tab:red", "longer")):  # fmt: skip
            some = pieces[(size > low) & (size <= high)]
            if len(some):
                axes.add_collection3d(Line3DCollection(some, colors=colour, lw=0.8, label=label))
        axes.set(xlim=(0, 1), ylim=(0, 1), zlim=(0, 1), xticks=[], yticks=[], zticks=[])
        axes.legend(fontsize=6)
        axes.set_title(f"{name}, {net.density * net.edge**2:.0f} lines a face", fontsize=8)
        blur = BLUR * SIZE / 16
        fields = (elastic_field(net.lines(SIZE), probe=blur), atoms_field(net, places, turns, blur))
        for k, (field, title) in enumerate(zip(fields, ("lines", "atoms"), strict=True)):
            axes = figure.add_subplot(len(each), 3, 3 * row + 2 + k)
            flat = np.degrees(field.rotation[:, :, SIZE // 2, 2].T * SIZE / net.edge)
            shown = axes.imshow(flat, cmap="RdBu", vmin=-4, vmax=4, origin="lower")
            axes.set(xticks=[], yticks=[])
            axes.set_title(f"turn about z of the {title}, deg", fontsize=8)
            figure.colorbar(shown, ax=axes)
    figure.savefig(image, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("fields", "scans", "show"))
    parser.add_argument("work", type=Path)
    parser.add_argument("image", type=Path, nargs="?", default=Path("atomistic.png"))
    parser.add_argument("--maps", type=int, default=6, help="per network and step")
    parser.add_argument("--seed", type=int, default=700)
    parser.add_argument("--model", default="default")
    given = parser.parse_args()
    if given.command == "fields":
        compare(given.work)
    elif given.command == "show":
        draw(given.work, given.image)
    else:
        show(answers(given.work, given.maps, given.seed, given.model))
