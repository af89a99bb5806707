"""Dislocation structures that no training structure is made like, for `total_density.py`.

Lines come from here, their fields from the package (elastic_field, tested against analytic edges,
screws and walls). For lines that nobody drew see `total_density_atomistic.py`.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.spatial import Voronoi

from napari_ebsdml.dislocations.structures.elasticity import ElasticField, elastic_field
from napari_ebsdml.dislocations.structures.lines import Lines, closed

NORMALS = np.array([[1, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, -1]]) / np.sqrt(3)


def fcc_systems() -> tuple[np.ndarray, np.ndarray]:
    """Burgers vectors and plane normals of the twelve systems."""
    burgers, normals = [], []
    for normal in NORMALS:
        for axis in itertools.product((-1, 0, 1), repeat=3):
            b = np.array(axis)
            first = next((v for v in axis if v), 0)
            if np.abs(b).sum() == 2 and first > 0 and abs(b @ normal) < 1e-9:
                burgers.append(b / np.sqrt(2))
                normals.append(normal)
    return np.array(burgers), np.array(normals)


def _turn(random: np.random.Generator) -> np.ndarray:
    q, r = np.linalg.qr(random.standard_normal((3, 3)))
    q = q * np.sign(np.diag(r))
    return q if np.linalg.det(q) > 0 else q[:, ::-1]


def _loops(random, centres, radius, size, turn, signs) -> Lines:
    burgers, normals = fcc_systems()
    which = random.integers(12, size=len(centres))
    b, n = burgers[which] @ turn.T, normals[which] @ turn.T
    u = b / np.linalg.norm(b, axis=1, keepdims=True)
    v = np.cross(n, u)
    angle = np.linspace(0, 2 * np.pi, int(np.clip(4 * radius, 8, 40)), endpoint=False)[:, None]
    points = centres[:, None] + radius * (np.cos(angle) * u[:, None] + np.sin(angle) * v[:, None])
    return closed(points, b * signs[:, None], size)


def _filled(random, density, size, radius, turn, place, signs) -> Lines:
    number = max(1, int(density * size**3 / (2 * np.pi * radius) + random.random()))
    centres = place(number)
    return _loops(random, centres, radius, size, turn, signs(centres))


def _either(random):
    return lambda centres: random.choice([-1.0, 1.0], len(centres))


def _slip(random, density, size, turn, walls) -> Lines:
    """Slip of one sense here and the other there, smoothly or with narrow walls between."""
    wave = random.integers(-2, 3, 3)
    wave[0] += not wave.any()
    phase = random.uniform(0, 2 * np.pi)

    def signs(centres):
        value = np.sin(2 * np.pi * centres @ wave / size + phase)
        chance = np.sign(value) if walls else value
        return np.where(random.random(len(centres)) < (1 + chance) / 2, 1.0, -1.0)

    return _filled(
        random, density, size, size / 6, turn,
        lambda n: random.uniform(0, size, (n, 3)), signs,
    )  # fmt: skip


def loops(random: np.random.Generator, density: float, size: int) -> Lines:
    """Glide loops of three sizes on twelve systems; half with slip of 1 to 100 % more density."""
    turn = _turn(random)
    extra = float(np.exp(random.uniform(np.log(0.01), 0))) if random.random() < 0.5 else 0.0
    parts = [
        _filled(
            random, density / (1 + extra) / 3, size, radius, turn,
            lambda n: random.uniform(0, size, (n, 3)), _either(random),
        )
        for radius in (size / 24, size / 12, size / 6)
    ]  # fmt: skip
    if extra:
        share = density * extra / (1 + extra)
        parts.append(_slip(random, share, size, turn, bool(random.random() < 0.5)))
    return Lines.join(parts)


def cell_walls(random: np.random.Generator, density: float, size: int) -> Lines:
    """Loops in the walls of cubic cells, a fifth of the lines inside the cells."""
    turn = _turn(random)
    cells = int(random.integers(2, 5))
    edge = size / cells
    width = random.uniform(0.05, 0.2) * edge
    origin = random.uniform(0, edge, 3)

    def walls(number):
        points = random.uniform(0, size, (number, 3))
        axis = random.integers(3, size=number)
        wall = random.integers(cells, size=number) * edge + origin[axis]
        points[np.arange(number), axis] = wall + width * random.standard_normal(number) / 2
        return points

    radius = edge * random.uniform(0.1, 0.3)
    return Lines.join(
        [
            _filled(random, 0.8 * density, size, radius, turn, walls, _either(random)),
            _filled(
                random, 0.2 * density, size, edge / 3, turn,
                lambda n: random.uniform(0, size, (n, 3)), _either(random),
            ),
        ]
    )  # fmt: skip


def voronoi_network(random: np.random.Generator, density: float, size: int) -> Lines:
    """Links along the edges of Voronoi cells; their Burgers vectors add to zero at every node.

    Every face of the tessellation has slipped by a Burgers vector with a chance of one third, and
    the three faces that meet in an edge add up in it.
    """
    burgers, _ = fcc_systems()
    turn = _turn(random)
    # Edge length per volume of a Poisson-Voronoi tessellation of n cells: 5.83 n^(2/3).
    chance = 1 / 3
    used = 1 - (1 - chance) ** 3
    number = max(5, round((density * size**2 / 5.83 / used) ** 1.5))
    seeds = random.uniform(0, size, (number, 3))
    images = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
    images = images[np.argsort(np.abs(images).sum(axis=1), kind="stable")]  # the box itself first
    if number > 300:  # only what lies near the box
        keep = 6 * size / number ** (1 / 3)
        points = (seeds[None] + size * images[:, None]).reshape(-1, 3)
        near = ((points > -keep) & (points < size + keep)).all(axis=1)
        near[:number] = True
        points = points[near]
    else:
        points = (seeds[None] + size * images[:, None]).reshape(-1, 3)
    cells = Voronoi(points)
    slipped: dict[tuple, np.ndarray] = {}
    edges: dict[tuple, np.ndarray] = {}
    where: dict[tuple, tuple] = {}
    vertices = cells.vertices
    for (a, b), face in zip(cells.ridge_points, cells.ridge_vertices, strict=True):
        if -1 in face or (a >= number and b >= number):
            continue
        # The same face seen from either side of the box: count it once.
        middle = (points[a] + points[b]) / 2
        if not ((middle >= 0) & (middle < size)).all():
            continue
        vector = np.zeros(3)
        if random.random() < chance:
            vector = random.choice([-1.0, 1.0]) * burgers[random.integers(12)] @ turn.T
        slipped[a, b] = vector
        if not vector.any():
            continue
        for i, j in zip(face, [*face[1:], face[0]], strict=True):
            start, end = vertices[i], vertices[j]
            key = tuple(np.round(((start + end) / 2 % size) / size * 1e6).astype(int) % 1_000_000)
            flip = 1.0
            if key in edges:
                flip = np.sign((end - start) @ (where[key][1] - where[key][0])) or 1.0
                edges[key] = edges[key] + flip * vector
            else:
                edges[key], where[key] = vector.copy(), (start, end)
    found = [(where[k], v) for k, v in edges.items() if np.abs(v).max() > 1e-6]
    start = np.array([w[0] for w, _ in found])
    along = np.array([w[1] - w[0] for w, _ in found])
    return Lines(start, along, np.array([v for _, v in found]), size)


KINDS = {"loops, three sizes": loops, "cell walls": cell_walls, "Voronoi network": voronoi_network}


def field_of(lines: Lines, strain: bool = False) -> ElasticField:
    """Isotropic field, Poisson's ratio 0.3."""
    return elastic_field(lines, strain=strain)
