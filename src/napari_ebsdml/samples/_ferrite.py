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

# Lengths are in um for austenite grains of 25 um and grow with them (`Canvas.scale`). No source is
# recorded for any of these figures: taken as chosen by eye. Angles are standard deviations in
# degrees.

# Waviness of the transformation front, long and short: amplitude and length.
_FRONT, _FRONT_FINE = (0.55, 2.2), (0.10, 0.5)
# Nucleation: mesh on which boundaries are sought, margin round the map, distance of nuclei, and
# of the boundary points that tell its direction.
_MESH, _MARGIN, _APART, _NEAR = 0.4, 12.0, (3.5, 7.5), 1.6
# How much faster a grain grows along a straight boundary; spread of growth rates (logarithm).
_ALONG_BOUNDARY, _RATE_SPREAD = 0.7, 0.18
# Nucleation times: mean of the exponential; how much later than corners faces are.
_DELAY, _FACE_DELAY = 1.4, 0.8
# Inside grains: number to that on boundaries, and one for each square of this side; their times.
_INSIDE_SHARE, _INSIDE_APART, _INSIDE_DELAY = 0.25, 15.0, (2.0, 8.0)
# Depth of nuclei below or above the surface.
_DEPTH = 1.5
# Part of the allotriomorphs with Kurdjumov-Sachs to a neighbour, and its scatter.
_RELATED, _RELATED_SCATTER = 0.75, 1.6
# Small grains in martensite: part of the ferrite, waviness of their edge (amplitude, length), part
# that is related, radius and its spread (logarithm), longest shape.
_SMALL_SHARE, _SMALL_EDGE, _SMALL_RELATED = 0.012, (0.22, 0.6), 0.6
_SMALL_RADIUS, _SMALL_RADIUS_SPREAD, _SMALL_ASPECT = 0.75, 0.35, 2.0
# Plates: smallest area (um^2), turn against the allotriomorph, flattest that shows a wedge (sine
# of the angle to the surface), number in a colony, lean, shift of the root, length, half width
# and its spread (logarithm; it grows with the root of the scale), distance, taper.
_PLATE_AREA, _PLATE_SCATTER, _FLATTEST, _COLONY, _LEAN = 0.3, 0.5, 0.35, (2, 7), 2.5
_ROOT_SHIFT, _PLATE_LENGTH, _HALF_WIDTH, _HALF_WIDTH_SPREAD = 0.6, (6.0, 20.0), 0.55, 0.3
_PLATE_APART, _TAPER = (1.3, 3.2), 0.55
# Part of the austenite's bend that plates keep.
_PLATE_BEND = 0.2


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
    time += _FRONT[0] * s * smooth_field(rng, shape, canvas.step, _FRONT[1] * s)
    time += _FRONT_FINE[0] * s * smooth_field(rng, shape, canvas.step, _FRONT_FINE[1] * s)

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
            is_small = len(hit) * canvas.step**2 < _PLATE_AREA * s**2
            if is_small or stamped + len(hit) > wanted:
                continue
            grain.ravel()[hit] = len(kinds)
            kinds.append(WIDMANSTAETTEN)
            near = multiply(scatter(rng, 1, _PLATE_SCATTER), orientation[plate.grain])
            orientations.append(near)
            plates.append(plate)
            stamped += len(hit)
        budget = stamped + _SMALL_SHARE * wanted
        edge = smooth_field(rng, shape, canvas.step, _SMALL_EDGE[1] * s)
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
            is_related = rng.random() < _SMALL_RELATED
            related = rng.integers(24, size=1) if is_related else np.array([-1])
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
    h, margin = _MESH * s, _MARGIN * s
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
            taken[tree.query_ball_point(points[k], rng.uniform(*_APART) * s)] = True
    chosen = np.array(sites, dtype=np.intp)
    metric = np.empty((len(chosen), 3, 3))
    for i, k in enumerate(chosen):
        around = points[tree.query_ball_point(points[k], _NEAR * s)]
        tangent, aspect = np.array([1.0, 0.0]), 1.0
        if len(around) > 2:
            values, vectors = np.linalg.eigh(np.cov(around.T))
            tangent = vectors[:, 1]
            # Growth along the boundary is faster; at a corner there is no single boundary.
            aspect = 1 + _ALONG_BOUNDARY * (values[1] - values[0]) / values.sum()
        rate = rng.lognormal(0.0, _RATE_SPREAD)
        along = np.array([*tangent, 0.0])
        across = np.array([-tangent[1], tangent[0], 0.0])
        metric[i] = np.outer(along, along) / aspect**2 + np.outer(across, across)
        metric[i, 2, 2] = 1 / aspect**2
        metric[i] /= rate**2
    later = np.where(is_corner[chosen], 0.0, _FACE_DELAY)
    delay = s * (rng.exponential(_DELAY, len(chosen)) + later)
    row, column = on_face[chosen].T
    side = rng.integers(4, size=len(chosen))
    parent = np.stack(corners)[side, row, column]
    place = points[chosen]

    by_area = round(width * height / (_INSIDE_APART * s) ** 2)
    inner = max(1, int(_INSIDE_SHARE * len(chosen)), by_area)
    place = np.concatenate([place, rng.uniform((-margin, -margin), (width, height), (inner, 2))])
    metric = np.concatenate([metric, np.broadcast_to(np.eye(3), (inner, 3, 3))])
    delay = np.concatenate([delay, s * rng.uniform(*_INSIDE_DELAY, inner)])
    column = np.clip(((place[-inner:, 0] + margin) / h).astype(int), 0, x.shape[1] - 1)
    row = np.clip(((place[-inner:, 1] + margin) / h).astype(int), 0, x.shape[0] - 1)
    parent = np.concatenate([parent, grains[row, column]]).astype(np.int32)
    n = len(place)
    depth = _DEPTH * s * rng.normal(size=n)
    position = np.concatenate([place, depth[:, None]], axis=1)
    # Most allotriomorphs keep the orientation relationship with one of the grains they touch.
    variant = np.where(rng.random(n) < _RELATED, rng.integers(24, size=n), -1).astype(np.int32)
    return Nuclei(position, metric, delay, np.zeros(n, dtype=np.int32)), parent, variant


def _orientations(
    rng: np.random.Generator, austenite: Austenite, parent: Ints, variant: NDArray[np.integer]
) -> Floats:
    """Kurdjumov-Sachs with a few degrees of scatter, or any orientation for variant -1."""
    n = len(parent)
    related = multiply(KS_VARIANTS[variant], austenite.orientation[parent])
    related = multiply(scatter(rng, n, _RELATED_SCATTER), related)
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
        if np.hypot(*normal[:2]) < _FLATTEST:
            continue  # a plate nearly parallel to the surface shows no wedge
        direction = np.array([-normal[1], normal[0]]) / np.hypot(*normal[:2])
        direction *= rng.choice([-1.0, 1.0])
        across = np.array([-direction[1], direction[0]])
        place = nuclei.position[k, :2].copy()
        for _ in range(int(rng.integers(*_COLONY))):
            tilt = np.deg2rad(rng.normal(0.0, _LEAN))
            leaning = np.cos(tilt) * direction + np.sin(tilt) * across
            found.append(
                Plate(
                    place + direction * rng.normal(0.0, _ROOT_SHIFT * s),
                    leaning,
                    float(s * rng.uniform(*_PLATE_LENGTH)),
                    float(s**0.5 * rng.lognormal(np.log(_HALF_WIDTH), _HALF_WIDTH_SPREAD)),
                    int(parent[k]),
                    int(k),
                    normal,
                )
            )
            place = place + across * s * rng.uniform(*_PLATE_APART)
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
    # A part of the bend keeps plates nearly straight, but not ruled with a ruler.
    straight = 1 - _PLATE_BEND
    dx = straight * canvas.x[window] + _PLATE_BEND * canvas.bent_x[window] - plate.root[0]
    dy = straight * canvas.y[window] + _PLATE_BEND * canvas.bent_y[window] - plate.root[1]
    along = dx * plate.direction[0] + dy * plate.direction[1]
    across = -dx * plate.direction[1] + dy * plate.direction[0]
    inside = (along > 0) & (along < plate.length)
    taper = np.clip(1 - along / plate.length, 0.0, 1.0) ** _TAPER
    return _flat(canvas, window, inside & (np.abs(across) < plate.half_width * taper))


def _blob(
    rng: np.random.Generator, canvas: Canvas, centre: int, edge: NDArray[np.float32]
) -> NDArray[np.intp]:
    s = canvas.scale
    at = np.array([canvas.x.ravel()[centre], canvas.y.ravel()[centre]])
    radius = s * rng.lognormal(np.log(_SMALL_RADIUS), _SMALL_RADIUS_SPREAD)
    aspect, turn = rng.uniform(1.0, _SMALL_ASPECT), rng.uniform(0.0, np.pi)
    window = _window(canvas, at, radius * 2.5)
    dx, dy = canvas.x[window] - at[0], canvas.y[window] - at[1]
    u = (dx * np.cos(turn) + dy * np.sin(turn)) / (radius * aspect**0.5)
    v = (dy * np.cos(turn) - dx * np.sin(turn)) / (radius / aspect**0.5)
    return _flat(canvas, window, np.hypot(u, v) < 1 + _SMALL_EDGE[0] * edge[window])
