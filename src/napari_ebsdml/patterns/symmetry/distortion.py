"""Whether a crystal's lattice is the one that its Laue group asks for, or a distorted one.

A tetragonal crystal with c/a near 1 repeats its bands under all operations of a cube but for turns
of half a degree, which hardly lower a correlation. Such a distortion moves bands in a way that
neither a turn of the crystal nor a wrong pattern centre does. So its size is fitted: each pattern
is compared with the mean of all patterns under all operations, which has no distortion, and what is
left is explained by the slopes of that mean. Where patterns were laid on their images under an
operation that the crystal lacks, each has its axis of distortion elsewhere; so each pattern may
choose among the images of one distortion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_ebsdml.patterns.symmetry import _distortion_kernels as kernels
from napari_ebsdml.patterns.symmetry.groups import GROUPS
from napari_ebsdml.patterns.symmetry.operators import embeddings
from napari_ebsdml.patterns.symmetry.sphere import SIDE
from napari_ebsdml.patterns.symmetry.view import View

Floats = NDArray[np.float64]

MIDDLE, WIDTH = 1.8, 0.2
"""Gain as a part of what is left that tells nothing of whether there is a distortion, and the scale
of its logarithm about it. Of cubic crystals, simulated or measured, it was at most 0.92; of those
with c/a 1.01 it was 1.3 and 2.4, from 1.016 on at least 7.6."""
LEAST_PATTERNS, _FEW = 4, 5
MIDDLE_ALONE, SINGLE = 3.5, 5.0
"""The same where patterns were placed one by one, and what is added to what one pattern leaves,
divided by their number, there and where fewer than `_FEW` lie together: to one pattern, noise and a
distortion of its own are alike. Of simulated cubic crystals the ratio was at most 1.25, of single
measured ones 2.75, of zirconia 0.1 to 44."""
_MOST_ALONE = 24
_OWN = 0.03
_BLUR, _STEP = 1.0, np.deg2rad(0.7)
_LEAST_COUNT = 0.05
_CENTRE = 0.005
"""Standard deviation of the pattern centre along each axis, in parts of the screen's height."""
_MOST_TURN = 0.01
_PASSES = 2
_STARTS = np.geomspace(0.003, 0.04, 6)
_CLIMBS = 15
_GENERATORS = np.array([
    [[0, 0, 0], [0, 0, -1], [0, 1, 0]], [[0, 0, 1], [0, 0, 0], [-1, 0, 0]],
    [[0, -1, 0], [1, 0, 0], [0, 0, 0]],
], np.float64)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Family:
    """Distortions of one kind that leave of a group's operations those of a subgroup.

    Attributes
    ----------
    group, smaller : str
    frame : (3, 3) array
        Columns: axes of the subgroup in the frame of the group.
    strain : (3, 3) array
        Symmetric, without trace, of norm 1, in the frame of the group.
    images : (m, 3, 3) array
        The strain turned by the group's operations, each image once.
    turns : (m, 3, 3) array
        Operations that turn each image into the strain itself.
    """

    group: str
    smaller: str
    frame: Floats
    strain: Floats
    images: Floats
    turns: Floats


@dataclass(frozen=True, eq=False)
class Distortion:
    """How far from its Laue group's lattice a crystal is.

    Attributes
    ----------
    family : Family
        The kind of distortion that explains most.
    size, error : float
        Norm of the strain of directions, with a sign, and its standard error by noise alone.
    gain, left : float
        Logarithm of the likelihood a pattern: with this distortion over without any, and with one
        of its own for each pattern over with this one. What cameras do to patterns, and the sides
        of bands, are left as well as noise is: a distortion of the crystal is seen where it
        explains more than is left.
    images : (n,) int array
        The image of the distortion that each pattern has.
    is_alone
        Whether patterns were placed one by one, by the symmetry that is in question.
    """

    family: Family
    size: float
    error: float
    gain: float
    left: float
    images: NDArray[np.intp]
    is_alone: bool = False

    @property
    def ratio(self) -> float:
        """Gain as a part of what is left."""
        number = len(self.images)
        left = self.left + (SINGLE / number if self.is_alone or number < _FEW else 0.0)
        return max(self.gain, 1e-3) / max(left, 1e-3)

    @property
    def chance(self) -> float:
        """Probability that the lattice is distorted, 0..1."""
        middle = MIDDLE_ALONE if self.is_alone else MIDDLE
        return float(1 / (1 + (middle / self.ratio) ** (1 / WIDTH)))

    @property
    def axial(self) -> float:
        """The largest difference of two lengths that should be equal, as a part of them.

        For a tetragonal distortion that is c/a - 1.
        """
        # A lattice is stretched where its plane normals draw together.
        stretch = np.linalg.eigvalsh(-self.size * self.family.strain)
        return float(stretch.max() - stretch.min())


@cache
def families(group: str) -> tuple[Family, ...]:
    """The one-parameter distortions of a group's lattice, of the subgroups that it may leave."""
    found: list[Family] = []
    rotations = GROUPS[group].rotations
    pairs = [(smaller, place.T) for smaller, place in embeddings(group)]
    if group == "mmm":
        # Twofold axes along each of the three.
        pairs = [("2/m", np.roll(np.eye(3), k, axis=0)) for k in range(3)]
    for smaller, frame in pairs:
        left = frame @ GROUPS[smaller].rotations @ frame.T
        free = _invariant(left) - _invariant(rotations)
        size, parts = np.linalg.eigh(free)
        if (size > 0.5).sum() != 1:
            continue
        strain = np.einsum("i,iab->ab", parts[:, int(size.argmax())], _basis())
        images: list[Floats] = []
        turns: list[Floats] = []
        for rotation in rotations:
            image = rotation @ strain @ rotation.T
            if all(np.abs(image - one).max() > 1e-6 for one in images):
                images.append(image)
                turns.append(rotation.T)
        if any(np.abs(abs(np.sum(one.images * strain, axis=(1, 2))) - 1).min() < 1e-6
               for one in found):  # fmt: skip
            continue
        found.append(Family(group, smaller, frame, strain, np.array(images), np.array(turns)))
    return tuple(found)


@cache
def _basis() -> Floats:
    """Symmetric matrices (5, 3, 3) without trace, orthogonal and of norm 1."""
    found = [np.diag([-1.0, -1.0, 2.0]) / np.sqrt(6), np.diag([1.0, -1.0, 0.0]) / np.sqrt(2)]
    for p, q in ((0, 1), (0, 2), (1, 2)):
        one = np.zeros((3, 3))
        one[p, q] = one[q, p] = 1 / np.sqrt(2)
        found.append(one)
    return np.array(found)


def _invariant(rotations: Floats) -> Floats:
    """Projection (5, 5) of strains on those that rotations leave as they are."""
    turned = np.einsum("nab,ibc,ndc->niad", rotations, _basis(), rotations)
    return np.asarray(np.einsum("niad,jad->nij", turned, _basis()).mean(axis=0))


def distortion_of(
    views: Sequence[View], turns: Floats, group: str, is_alone: bool = False
) -> Distortion | None:
    """The distortion of a group's lattice that patterns show; None for few, and for groups of
    which no kind of distortion is known.

    Parameters
    ----------
    views
        Of one crystal.
    turns : (n, 3, 3) array
        From each pattern's detector frame to that of the group.
    group
    is_alone
        Whether these come of each pattern by itself. Then one pattern is enough.
    """
    if not families(group) or len(views) < (1 if is_alone else LEAST_PATTERNS):
        return None
    if is_alone:
        views, turns = views[:_MOST_ALONE], turns[:_MOST_ALONE]
    normal = _normal_equations(views, turns, group)
    found = [replace(_fitted(normal, family), is_alone=is_alone) for family in families(group)]
    return max(found, key=lambda one: one.ratio)


@dataclass(frozen=True, eq=False)
class _Normal:
    """Of each pattern, in units of its noise: matrix (8, 8) and vector (8) of the least squares.

    Unknown are five parts of the strain and three of the pattern centre, `centre` of which are
    already put in.
    """

    matrices: Floats
    vectors: Floats
    centre: Floats


def _normal_equations(views: Sequence[View], turns: Floats, group: str) -> _Normal:
    turns, centre = turns.copy(), np.zeros(3)
    rotations = GROUPS[group].rotations
    heights = [float(view.bounds[3] - view.bounds[2]) for view in views]
    matrices, vectors = np.zeros((len(views), 8, 8)), np.zeros((len(views), 8))
    for last in (*(False,) * _PASSES, True):
        rays = [
            _moved(view.fine_rays.astype(np.float64), centre, height)
            for view, height in zip(views, heights, strict=True)
        ]
        faces = _mean_sphere(rays, views, turns, rotations)
        systems = [
            _system(own, view, turn, height, faces)
            for own, view, turn, height in zip(rays, views, turns, heights, strict=True)
        ]
        for k, one in enumerate(systems):
            matrices[k], vectors[k] = one.matrix, one.vector
        if last:
            break
        prior = np.eye(3) / _CENTRE**2
        shift = np.linalg.solve(
            matrices[:, 5:, 5:].sum(axis=0) + prior, vectors[:, 5:].sum(axis=0) - prior @ centre
        )
        for k, one in enumerate(systems):
            small = np.clip(one.turn_at(shift), -_MOST_TURN, _MOST_TURN)
            u, _, vt = np.linalg.svd(
                (np.eye(3) + np.einsum("i,iab->ab", small, _GENERATORS)) @ turns[k]
            )
            turns[k] = u @ vt
        centre = centre + shift
    return _Normal(matrices, vectors, centre)


def _moved(rays: Floats, centre: Floats, height: float) -> Floats:
    """Rays with the pattern centre moved by parts of the screen, of this height in gnomonic."""
    flat = rays / rays[:, 2:]
    flat[:, :2] = (flat[:, :2] + centre[:2] * height) * (1 + centre[2] * height)
    return np.asarray(flat / np.linalg.norm(flat, axis=1, keepdims=True))


def _mean_sphere(
    rays: Sequence[Floats], views: Sequence[View], turns: Floats, rotations: Floats
) -> Floats:
    """Padded faces of all patterns merged under all rotations; NaN where none looked."""
    total, count = np.zeros((2, 3, SIDE, SIDE))
    for own, view, place in zip(rays, views, turns, strict=True):
        kernels.spread(
            own, view.fine_values, np.ascontiguousarray(rotations @ place), SIDE, total, count
        )
    at = _border()
    sums = [gaussian_filter(v.ravel()[at], (0, _BLUR, _BLUR)) for v in (total, count)]
    return np.where(sums[1] > _LEAST_COUNT, sums[0] / np.maximum(sums[1], 1e-9), np.nan)


@cache
def _border() -> NDArray[np.intp]:
    """Cell that each cell of the padded faces is, or lies on where it is beyond an edge."""
    side = SIDE + 2 * kernels.PAD
    angle = (np.arange(side) - kernels.PAD + 0.5) / SIDE * np.pi / 2 - np.pi / 4
    u, v = np.meshgrid(np.tan(angle), np.tan(angle), indexing="ij")
    one = np.ones_like(u)
    directions = (np.stack([u, v, one], -1), np.stack([one, u, v], -1), np.stack([v, one, u], -1))
    found = np.empty((3, side, side), np.intp)
    for index in np.ndindex(found.shape):
        x, y, z = directions[index[0]][index[1:]]
        face, p, q = kernels.on_face(x, y, z, SIDE)
        p, q = (min(max(round(value), 0), SIDE - 1) for value in (p, q))
        found[index] = (face * SIDE + p) * SIDE + q
    return found


@dataclass(frozen=True, eq=False)
class _System:
    """Least squares of one pattern, its gain, offset and turn (`local`) taken out."""

    matrix: Floats
    vector: Floats
    base: Floats
    upper: Floats
    columns: Floats
    values: Floats
    scale: float

    def turn_at(self, shift: Floats) -> Floats:
        """The small turn (3,) that fits best once the pattern centre has moved by `shift`."""
        left = self.values - self.columns[:, 5:] @ shift
        return np.asarray(np.linalg.solve(self.upper, self.base.T @ left)[2:] / self.scale)


def _system(rays: Floats, view: View, place: Floats, height: float, faces: Floats) -> _System:
    directions = np.ascontiguousarray(rays @ place.T)
    values, gradient = np.empty(len(rays)), np.empty((len(rays), 3))
    kernels.slopes(directions, _STEP, SIDE, faces, values, gradient)
    strains = np.einsum("na,iab,nb->ni", gradient, _basis(), directions)
    turned = np.einsum("na,iab,nb->ni", gradient, _GENERATORS, directions)
    # What a move of the pattern centre does to rays (x, y, 1), here of length 1.
    own = gradient @ place
    centre = height * np.stack([
        own[:, 0] * rays[:, 2], own[:, 1] * rays[:, 2],
        own[:, 0] * rays[:, 0] + own[:, 1] * rays[:, 1],
    ], axis=1)  # fmt: skip
    columns = np.concatenate([strains, centre], axis=1)
    local = np.concatenate([values[:, None], np.ones((len(rays), 1)), turned], axis=1)
    known = np.isfinite(columns).all(axis=1) & np.isfinite(local).all(axis=1)
    columns, local, shown = columns[known], local[known], view.fine_values[known].astype(float)
    base, upper = np.linalg.qr(local)
    rest = shown - base @ (base.T @ shown)
    scale = float(np.linalg.solve(upper, base.T @ shown)[0])
    columns *= scale
    free = columns - base @ (base.T @ columns)
    noise = max(float((rest**2).mean()), 1e-6)
    return _System(
        free.T @ free / noise, free.T @ rest / noise, base, upper, columns, shown,
        scale if abs(scale) > 1e-3 else 1e-3,
    )  # fmt: skip


def _fitted(normal: _Normal, family: Family) -> Distortion:
    """The size of a distortion, and each pattern's image of it, that explain the patterns best."""
    matrices, vectors = normal.matrices, normal.vectors
    number = len(vectors)
    images = np.einsum("mab,iab->mi", family.images, _basis())
    prior = np.eye(3) / _CENTRE**2
    # Size of the strain, and the pattern centre: what they do to strain and centre, an image each.
    maps = np.zeros((len(images), 8, 4))
    maps[:, :5, 0], maps[:, 5:, 1:] = images, np.eye(3)
    projected = np.einsum("mpi,kpq,mqj->mkij", maps, matrices, maps)
    pulled = np.einsum("mpi,kp->mki", maps, vectors)
    at = np.arange(number)

    def solved(chosen: NDArray[np.intp]) -> tuple[float, Floats, float]:
        matrix, vector = projected[chosen, at].sum(axis=0), pulled[chosen, at].sum(axis=0)
        matrix[1:, 1:] += prior
        vector[1:] -= prior @ normal.centre
        found = np.linalg.solve(matrix, vector)
        inverse = np.linalg.inv(matrix)
        return float(vector @ found / 2), found, float(np.sqrt(inverse[0, 0]))

    matrix = matrices[:, 5:, 5:].sum(axis=0) + prior
    vector = vectors[:, 5:].sum(axis=0) - prior @ normal.centre
    centre = np.linalg.solve(matrix, vector)
    without = float(vector @ centre / 2)
    best: tuple[float, Floats, float] | None = None
    best_images = np.zeros(number, np.intp)
    for start in (*-_STARTS, *_STARTS):
        x = np.concatenate([[start], centre])
        for _ in range(_CLIMBS):
            worth = np.einsum("mki,i->mk", pulled, x)
            worth -= np.einsum("mkij,i,j->mk", projected, x, x) / 2
            chosen = worth.argmax(axis=0)
            value = solved(chosen)
            if np.allclose(value[1], x, atol=1e-7):
                break
            x = value[1]
        if best is None or value[0] > best[0]:
            best, best_images = value, chosen
    assert best is not None
    gain = (best[0] - without) / number
    put = np.einsum("kij,kj->ki", maps[best_images], np.tile(best[1], (number, 1)))
    rest = (vectors - np.einsum("kij,kj->ki", matrices, put))[:, :5]
    own = matrices[:, :5, :5] + np.eye(5) / _OWN**2
    left = float(np.einsum("ki,ki->k", rest, np.linalg.solve(own, rest[..., None])[..., 0]).mean())
    return Distortion(family, float(best[1][0]), best[2], gain, max(left / 2, 1e-3), best_images)
