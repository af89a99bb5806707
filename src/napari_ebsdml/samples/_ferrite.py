"""Ferrite: allotriomorphs along austenite boundaries, Widmanstaetten plates, small grains."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from napari_ebsdml._quaternions import multiply, to_matrix

from ._austenite import Austenite, Canvas
from ._fields import smooth_field
from ._growth import Nuclei, grow
from ._rotations import KS_VARIANTS, PACKET_PLANES, scatter, uniform

Floats = NDArray[np.float64]
Ints = NDArray[np.int32]

ALLOTRIOMORPH, WIDMANSTAETTEN, SMALL_GRAIN = 1, 2, 3


class Plate(NamedTuple):
    """A Widmanstaetten plate cut by the surface: a wedge."""

    root: Floats
    direction: Floats
    length: float
    half_width: float
    domain: int
    grain: int
    normal: Floats


class Ferrite(NamedTuple):
    """Where the ferrite is."""

    grain: Ints
    """(rows, columns) index of the ferrite grain, -1 in martensite."""
    orientation: Floats
    """(n, 4) specimen -> crystal of each grain."""
    kind: Ints
    """(n,) ALLOTRIOMORPH, WIDMANSTAETTEN or SMALL_GRAIN."""
    plates: list[Plate]


def make_ferrite(
    rng: np.random.Generator,
    canvas: Canvas,
    austenite: Austenite,
    fraction: float,
    plate_share: float,
) -> Ferrite:
    """Transform `fraction` of the austenite to ferrite, to the pixel.

    `plate_share` is the part of the ferrite that grows as Widmanstaetten plates.
    """
    s, shape = canvas.scale, canvas.x.shape
    wanted = round(fraction * canvas.x.size)
    nuclei, parent, variant = _nuclei(rng, canvas, austenite)
    orientation = _orientations(rng, austenite, parent, variant)
    everywhere = np.zeros(shape, dtype=np.int32)
    owner, time = grow(canvas.bent_x, canvas.bent_y, everywhere, nuclei)
    # The transformation front is not a smooth arc: ledges and pinning make it wavy.
    time += 0.55 * s * smooth_field(rng, shape, canvas.step, 2.2 * s)
    time += 0.10 * s * smooth_field(rng, shape, canvas.step, 0.5 * s)

    grain = np.full(shape, -1, dtype=np.int32)
    kinds = [ALLOTRIOMORPH] * len(nuclei.delay)
    orientations = [orientation]
    plates: list[Plate] = []
    stamped = 0
    if 0 < wanted < canvas.x.size:
        front = np.partition(time, wanted - 1, axis=None)[wanted - 1]
        free = time > (1 - plate_share) * front
        budget = plate_share * wanted
        for plate in _plates(rng, canvas, austenite, nuclei, parent, variant):
            if stamped >= budget:
                break
            if not _starts_on_ferrite(canvas, plate, free):
                continue
            hit = _wedge(canvas, plate)
            hit = hit[free.ravel()[hit] & (austenite.domain.ravel()[hit] == plate.domain)]
            hit = hit[grain.ravel()[hit] < 0]
            if len(hit) * canvas.step**2 < 0.3 * s**2 or stamped + len(hit) > wanted:
                continue
            grain.ravel()[hit] = len(kinds)
            kinds.append(WIDMANSTAETTEN)
            near = multiply(scatter(rng, 1, 0.5), orientation[plate.grain])
            orientations.append(near)
            plates.append(plate)
            stamped += len(hit)
        budget = stamped + 0.012 * wanted
        edge = smooth_field(rng, shape, canvas.step, 0.6 * s)
        remote = np.flatnonzero((time > front).ravel())
        for at in rng.permutation(remote)[:1000]:
            if stamped >= budget:
                break
            hit = _blob(rng, canvas, int(at), edge)
            hit = hit[free.ravel()[hit] & (grain.ravel()[hit] < 0)]
            if len(hit) == 0 or stamped + len(hit) > wanted:
                continue
            grain.ravel()[hit] = len(kinds)
            kinds.append(SMALL_GRAIN)
            domain = austenite.domain.ravel()[hit[:1]]
            related = rng.integers(24, size=1) if rng.random() < 0.6 else np.array([-1])
            orientations.append(_orientations(rng, austenite, domain, related))
            stamped += len(hit)
    missing = wanted - int((grain >= 0).sum())
    if missing > 0:
        # Exact count: the pixels that the fronts of the allotriomorphs reach first.
        open_pixels = np.flatnonzero((grain < 0).ravel())
        first = np.argpartition(time.ravel()[open_pixels], missing - 1)[:missing]
        grain.ravel()[open_pixels[first]] = owner.ravel()[open_pixels[first]]
    return Ferrite(grain, np.concatenate(orientations), np.array(kinds, dtype=np.int32), plates)


def _nuclei(
    rng: np.random.Generator, canvas: Canvas, austenite: Austenite
) -> tuple[Nuclei, Ints, Ints]:
    """Nuclei on corners and faces of the austenite grains, and a few inside."""
    s = canvas.scale
    width, height = canvas.size
    h, margin = 0.4 * s, 12.0 * s
    x, y = np.meshgrid(
        np.arange(-margin, width + margin, h), np.arange(-margin, height + margin, h)
    )
    grains, _ = grow(x, y, np.zeros(x.shape, dtype=np.int32), austenite.nuclei)
    corners = [grains[:-1, :-1], grains[:-1, 1:], grains[1:, :-1], grains[1:, 1:]]
    quads = np.sort(np.stack(corners), axis=0)
    distinct = 1 + (np.diff(quads, axis=0) != 0).sum(axis=0)
    on_face = np.argwhere(distinct >= 2)
    points = np.stack([x[0, on_face[:, 1]], y[on_face[:, 0], 0]], axis=1) + h / 2
    is_corner = distinct[tuple(on_face.T)] >= 3
    # Corners first: they nucleate more easily. Then faces, at random, not too close.
    order = np.lexsort((rng.random(len(points)), ~is_corner))
    tree, taken, sites = cKDTree(points), np.zeros(len(points), dtype=bool), []
    for k in order:
        if not taken[k]:
            sites.append(k)
            taken[tree.query_ball_point(points[k], rng.uniform(3.5, 7.5) * s)] = True
    chosen = np.array(sites, dtype=np.intp)
    metric = np.empty((len(chosen), 3, 3))
    for i, k in enumerate(chosen):
        around = points[tree.query_ball_point(points[k], 1.6 * s)]
        tangent, aspect = np.array([1.0, 0.0]), 1.0
        if len(around) > 2:
            values, vectors = np.linalg.eigh(np.cov(around.T))
            tangent = vectors[:, 1]
            # Growth along the boundary is faster; at a corner there is no single boundary.
            aspect = 1 + 0.7 * (values[1] - values[0]) / values.sum()
        rate = rng.lognormal(0.0, 0.18)
        along = np.array([*tangent, 0.0])
        across = np.array([-tangent[1], tangent[0], 0.0])
        metric[i] = np.outer(along, along) / aspect**2 + np.outer(across, across)
        metric[i, 2, 2] = 1 / aspect**2
        metric[i] /= rate**2
    delay = s * (rng.exponential(1.4, len(chosen)) + np.where(is_corner[chosen], 0.0, 0.8))
    row, column = on_face[chosen].T
    side = rng.integers(4, size=len(chosen))
    parent = np.stack(corners)[side, row, column]
    place = points[chosen]

    inner = max(1, int(0.25 * len(chosen)), round(width * height / (15 * s) ** 2))
    place = np.concatenate([place, rng.uniform((-margin, -margin), (width, height), (inner, 2))])
    metric = np.concatenate([metric, np.broadcast_to(np.eye(3), (inner, 3, 3))])
    delay = np.concatenate([delay, s * rng.uniform(2.0, 8.0, inner)])
    column = np.clip(((place[-inner:, 0] + margin) / h).astype(int), 0, x.shape[1] - 1)
    row = np.clip(((place[-inner:, 1] + margin) / h).astype(int), 0, x.shape[0] - 1)
    parent = np.concatenate([parent, grains[row, column]]).astype(np.int32)
    n = len(place)
    depth = 1.5 * s * rng.normal(size=n)
    position = np.concatenate([place, depth[:, None]], axis=1)
    # Most allotriomorphs keep the orientation relationship with one of the grains they touch.
    variant = np.where(rng.random(n) < 0.75, rng.integers(24, size=n), -1).astype(np.int32)
    return Nuclei(position, metric, delay, np.zeros(n, dtype=np.int32)), parent, variant


def _orientations(
    rng: np.random.Generator, austenite: Austenite, parent: Ints, variant: NDArray[np.integer]
) -> Floats:
    """Kurdjumov-Sachs with a few degrees of scatter, or any orientation for variant -1."""
    n = len(parent)
    related = multiply(KS_VARIANTS[variant], austenite.orientation[parent])
    related = multiply(scatter(rng, n, 1.6), related)
    return np.where((variant >= 0)[:, None], related, uniform(rng, n))


def _plates(
    rng: np.random.Generator,
    canvas: Canvas,
    austenite: Austenite,
    nuclei: Nuclei,
    parent: Ints,
    variant: Ints,
) -> list[Plate]:
    """Colonies of side plates that grow from allotriomorphs into the grain they are related to."""
    s = canvas.scale
    width, height = canvas.size
    found: list[Plate] = []
    place = nuclei.position[:, :2]
    inside = np.all((place > -5 * s) & (place < np.array([width, height]) + 5 * s), axis=1)
    for k in rng.permutation(np.flatnonzero((variant >= 0) & inside)):
        turn = to_matrix(austenite.orientation[parent[k]]).T
        normal = turn @ PACKET_PLANES[variant[k] // 6]
        if np.hypot(*normal[:2]) < 0.35:
            continue  # a plate nearly parallel to the surface shows no wedge
        direction = np.array([-normal[1], normal[0]]) / np.hypot(*normal[:2])
        direction *= rng.choice([-1.0, 1.0])
        across = np.array([-direction[1], direction[0]])
        place = nuclei.position[k, :2].copy()
        for _ in range(int(rng.integers(2, 7))):
            tilt = np.deg2rad(rng.normal(0.0, 2.5))
            leaning = np.cos(tilt) * direction + np.sin(tilt) * across
            found.append(
                Plate(
                    place + direction * rng.normal(0.0, 0.6 * s),
                    leaning,
                    float(s * rng.uniform(6.0, 20.0)),
                    float(s**0.5 * rng.lognormal(np.log(0.55), 0.3)),
                    int(parent[k]),
                    int(k),
                    normal,
                )
            )
            place = place + across * s * rng.uniform(1.3, 3.2)
    return found


def _window(canvas: Canvas, centre: Floats, reach: float) -> tuple[slice, slice]:
    rows, columns = canvas.x.shape
    low = np.floor((centre - reach) / canvas.step).astype(int)
    high = np.ceil((centre + reach) / canvas.step).astype(int) + 1
    return (
        slice(int(np.clip(low[1], 0, rows)), int(np.clip(high[1], 0, rows))),
        slice(int(np.clip(low[0], 0, columns)), int(np.clip(high[0], 0, columns))),
    )


def _flat(canvas: Canvas, window: tuple[slice, slice], hit: NDArray[np.bool_]) -> NDArray[np.intp]:
    row, column = np.nonzero(hit)
    flat: NDArray[np.intp] = (row + window[0].start) * canvas.x.shape[1] + column + window[1].start
    return flat


def _starts_on_ferrite(canvas: Canvas, plate: Plate, free: NDArray[np.bool_]) -> bool:
    column, row = np.rint(plate.root / canvas.step).astype(int)
    rows, columns = free.shape
    if not (0 <= row < rows and 0 <= column < columns):
        return True  # its root lies beside the map
    return not free[row, column]


def _wedge(canvas: Canvas, plate: Plate) -> NDArray[np.intp]:
    window = _window(canvas, plate.root, plate.length + plate.half_width)
    # Half of the bend keeps plates nearly straight, but not ruled with a ruler.
    dx = 0.8 * canvas.x[window] + 0.2 * canvas.bent_x[window] - plate.root[0]
    dy = 0.8 * canvas.y[window] + 0.2 * canvas.bent_y[window] - plate.root[1]
    along = dx * plate.direction[0] + dy * plate.direction[1]
    across = -dx * plate.direction[1] + dy * plate.direction[0]
    inside = (along > 0) & (along < plate.length)
    taper = np.clip(1 - along / plate.length, 0.0, 1.0) ** 0.55
    return _flat(canvas, window, inside & (np.abs(across) < plate.half_width * taper))


def _blob(
    rng: np.random.Generator, canvas: Canvas, centre: int, edge: NDArray[np.float32]
) -> NDArray[np.intp]:
    s = canvas.scale
    at = np.array([canvas.x.ravel()[centre], canvas.y.ravel()[centre]])
    radius = s * rng.lognormal(np.log(0.75), 0.35)
    aspect, turn = rng.uniform(1.0, 2.0), rng.uniform(0.0, np.pi)
    window = _window(canvas, at, radius * 2.5)
    dx, dy = canvas.x[window] - at[0], canvas.y[window] - at[1]
    u = (dx * np.cos(turn) + dy * np.sin(turn)) / (radius * aspect**0.5)
    v = (dy * np.cos(turn) - dx * np.sin(turn)) / (radius / aspect**0.5)
    return _flat(canvas, window, np.hypot(u, v) < 1 + 0.22 * edge[window])
