"""Structures with junctions and with polarised cells."""

from __future__ import annotations

import itertools

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml.dislocations.structures.lines import Lines, closed
from napari_ebsdml.dislocations.structures.slip import Slip


def junction_network(random: np.random.Generator, slip: Slip, density: float, size: int) -> Lines:
    """A net of bowed links between nodes, whose Burgers vectors sum to zero at every node.

    Each face of a jittered cubic net may hold a loop; where loops meet, their Burgers vectors
    add to that of a junction or cancel.
    """
    part = random.uniform(0.05, 0.35)
    link = np.sqrt(3 * (1 - (1 - part) ** 4) / density)
    side = int(np.clip(round(size / link), 2, size // 2))
    edges = np.zeros((3, side, side, side, 3))
    for normal in range(3):
        a, b = (normal + 1) % 3, (normal + 2) % 3
        number = side**3
        burgers = slip.burgers[slip.choose(random, number)]
        burgers = burgers * random.choice([-1.0, 1.0], (number, 1))
        burgers[random.random(number) >= part] = 0
        face = burgers.reshape(side, side, side, 3)
        edges[a] += face - np.roll(face, 1, axis=b)
        edges[b] += np.roll(face, 1, axis=a) - face
    spacing = size / side
    nodes = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1) * spacing
    shift = spacing * random.uniform(0, 0.8) * random.uniform(-0.5, 0.5, nodes.shape)
    bow = spacing * random.uniform(0, 0.4)
    starts, alongs, vectors = [], [], []
    pieces = 1 if spacing < 1.5 else 4
    step = np.arange(pieces + 1) / pieces
    for axis in range(3):
        used = np.abs(edges[axis]).max(axis=-1) > 1e-3
        begin = (nodes + shift)[used]
        end = nodes[used] + np.roll(shift, -1, axis=axis)[used]
        end[:, axis] += spacing
        belly = bow * random.standard_normal(begin.shape)
        path = begin[:, None] + step[:, None] * (end - begin)[:, None]
        path += (4 * step * (1 - step))[:, None] * belly[:, None]
        starts.append(path[:, :-1].reshape(-1, 3))
        alongs.append(np.diff(path, axis=1).reshape(-1, 3))
        vectors.append(np.repeat(edges[axis][used], pieces, axis=0))
    return Lines(
        np.concatenate(starts).astype(np.float32),
        np.concatenate(alongs).astype(np.float32),
        np.concatenate(vectors).astype(np.float32),
        size,
    )


def slipped_cells(random: np.random.Generator, slip: Slip, density: float, size: int) -> Lines:
    """Cells that have slipped each in its own way, and left their loops in the walls between.

    Each slip plane of a cell holds one loop, the outline of the cell's cut with it. Where two
    cells differ, their wall is a low-angle boundary.
    """
    seeds = random.uniform(0, size, (int(random.integers(2, 17)), 3))
    spacing = size / len(seeds) ** (1 / 3)
    images = np.array(list(itertools.product((-1, 0, 1), repeat=3))) * size
    others = (seeds[None] + images[:, None]).reshape(-1, 3)
    systems = int(random.integers(1, 4))
    apart = 4 * systems / (spacing * density)
    # Crystals do not bear the stress of cells that slip to one side only.
    same_sign = random.uniform(0.5, 0.8)
    points: list[NDArray[np.float64]] = []
    burgers: list[NDArray[np.float64]] = []
    for seed in seeds:
        offset = others - seed
        distance = np.linalg.norm(offset, axis=1)
        near = offset[(distance > 1e-9) & (distance < 3.5 * spacing)]
        for system in slip.choose(random, systems):
            sign = random.choice([-1.0, 1.0])
            normal = slip.normals[system]
            u, v = slip.planes(np.array([system]))
            reach = 1.5 * spacing
            number = max(1, int(2 * reach / apart * random.uniform(0.5, 1.5)))
            for height in random.uniform(-reach, reach, number):
                outline = _cut(near, normal, u[0], v[0], height, 4 * spacing)
                if len(outline) >= 3:
                    points.append(seed + outline)
                    flip = 1.0 if random.random() < same_sign else -1.0
                    burgers.append(flip * sign * slip.burgers[system])
    if not points:  # a few planes that miss all cells: one loop of a cell's size
        ring = np.linspace(0, 2 * np.pi, 12, endpoint=False)[:, None]
        u, v = slip.planes(np.array([0]))
        points.append(seeds[0] + spacing / 2 * (np.cos(ring) * u + np.sin(ring) * v))
        burgers.append(slip.burgers[0])
    parts = [closed(p[None], b[None], size) for p, b in zip(points, burgers, strict=True)]
    return Lines.join(parts)


@njit(cache=True, nogil=True)
def _cut(near, normal, u, v, height, reach):  # type: ignore[no-untyped-def]
    """Outline (n, 3) of a Voronoi cell round the origin in the plane at a height."""
    polygon = np.empty((64, 2))
    clipped = np.empty((64, 2))
    polygon[0, 0], polygon[0, 1] = -reach, -reach
    polygon[1, 0], polygon[1, 1] = reach, -reach
    polygon[2, 0], polygon[2, 1] = reach, reach
    polygon[3, 0], polygon[3, 1] = -reach, reach
    count = 4
    for k in range(near.shape[0]):
        # Inside: x . o < |o|^2 / 2 for every neighbour o.
        a = u[0] * near[k, 0] + u[1] * near[k, 1] + u[2] * near[k, 2]
        b = v[0] * near[k, 0] + v[1] * near[k, 1] + v[2] * near[k, 2]
        c = normal[0] * near[k, 0] + normal[1] * near[k, 1] + normal[2] * near[k, 2]
        square = near[k, 0] ** 2 + near[k, 1] ** 2 + near[k, 2] ** 2
        limit = square / 2 - height * c
        kept = 0
        for i in range(count):
            j = (i + 1) % count
            first = limit - a * polygon[i, 0] - b * polygon[i, 1]
            second = limit - a * polygon[j, 0] - b * polygon[j, 1]
            if first >= 0 and kept < 64:
                clipped[kept, 0], clipped[kept, 1] = polygon[i, 0], polygon[i, 1]
                kept += 1
            if (first < 0) != (second < 0) and kept < 64:
                share = first / (first - second)
                for d in range(2):
                    clipped[kept, d] = polygon[i, d] + share * (polygon[j, d] - polygon[i, d])
                kept += 1
        polygon, clipped = clipped, polygon
        count = kept
        if count < 3:
            break
    out = np.empty((count if count >= 3 else 0, 3))
    for i in range(out.shape[0]):
        for d in range(3):
            out[i, d] = polygon[i, 0] * u[d] + polygon[i, 1] * v[d] + height * normal[d]
    return out
