"""Orientation relationships between a parent phase and what it transforms to.

An orientation relationship is a turn from the axes of the parent crystal to those of the child,
``q_child = q_relationship * q_parent`` for orientations specimen -> crystal; symmetry of both
crystals makes variants of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._quaternions import from_matrix, multiply
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.symmetry import laue_class, laue_operators

if TYPE_CHECKING:
    from orix.crystal_map import Phase

    from napari_ebsdml.maps.symmetry import CrystalSymmetry

Floats: TypeAlias = NDArray[np.float64]
Miller: TypeAlias = Sequence[float]

CUBIC, HEXAGONAL = "m-3m", "6/mmm"

_RIGHT_ANGLE = 1.0
"""Degrees by which a direction may lie out of its plane."""


@dataclass(frozen=True, eq=False)
class OrientationRelationship:
    """How the axes of a child crystal lie to those of its parent.

    Attributes
    ----------
    name
    quaternion : (4,) float64
        w, x, y, z of the turn parent crystal -> child crystal, in orix's crystal frames.
    parent, child
        Laue classes.
    """

    name: str
    quaternion: Floats
    parent: str = CUBIC
    child: str = CUBIC

    @classmethod
    def from_parallel(
        cls,
        planes: tuple[Miller, Miller],
        directions: tuple[Miller, Miller],
        *,
        name: str = "own",
        parent: Phase | str = CUBIC,
        child: Phase | str = CUBIC,
    ) -> OrientationRelationship:
        """Relationship in which a plane and a direction of the parent are parallel to the child's.

        Parameters
        ----------
        planes
            Miller indices (hkl) of the parent's plane and of the child's; four of a hexagonal one.
        directions
            Indices [uvw] of a direction in each of these planes.
        name
        parent, child
            Phase, which tells the lattice, or point group (cell with edges of 1).

        Raises
        ------
        InputError
            When indices are no indices, or a direction does not lie in its plane.
        """
        frames = [
            _frame(plane, direction, phase)
            for plane, direction, phase in zip(planes, directions, (parent, child), strict=True)
        ]
        q = from_matrix(frames[1].T @ frames[0])
        return cls(name, q, laue_class(parent), laue_class(child))

    @classmethod
    def from_matrix(
        cls,
        matrix: ArrayLike,
        *,
        name: str = "own",
        parent: CrystalSymmetry = CUBIC,
        child: CrystalSymmetry = CUBIC,
    ) -> OrientationRelationship:
        """Relationship of a rotation matrix (3, 3) that turns ``v_child = matrix @ v_parent``.

        Raises
        ------
        InputError
            When it is no rotation matrix.
        """
        m = np.asarray(matrix, dtype=np.float64)
        if m.shape != (3, 3) or not np.allclose(m @ m.T, np.eye(3), atol=1e-3):
            raise InputError("An orientation relationship needs a rotation matrix of 3 x 3.")
        if np.linalg.det(m) < 0:
            raise InputError("The matrix of an orientation relationship must not be a mirror.")
        return cls(name, from_matrix(m), laue_class(parent), laue_class(child))

    @cached_property
    def equivalents(self) -> Floats:
        """All symmetric equivalents, (n, 4)."""
        c, p = laue_operators(self.child), laue_operators(self.parent)
        every = multiply(multiply(c[:, None], self.quaternion), p[None, :])
        return every.reshape(-1, 4)

    @cached_property
    def angle(self) -> float:
        """Smallest angle of the turn from parent to child in degrees."""
        return _degrees(float(np.abs(self.equivalents[:, 0]).max()))

    def deviation(self, other: OrientationRelationship) -> float:
        """Smallest angle between two relationships of the same classes in degrees."""
        if (self.parent, self.child) != (other.parent, other.child):
            raise InputError(
                f"{self.name} is of {self.parent} and {self.child}, {other.name} of "
                f"{other.parent} and {other.child}: they cannot be compared."
            )
        return _degrees(float(np.abs(self.equivalents @ other.quaternion).max()))

    def near(self, target: Floats) -> Floats:
        """The equivalent quaternion that lies nearest to another."""
        dots = self.equivalents @ target
        # The first of equals, whatever the rounding.
        at = int(np.flatnonzero(np.abs(dots) > np.abs(dots).max() - 1e-9)[0])
        return np.asarray(self.equivalents[at] * (1.0 if dots[at] > 0 else -1.0))

    @cached_property
    def variants(self) -> Variants:
        """Every way in which the child can lie in one parent."""
        return _variants(self)


@dataclass(frozen=True, eq=False)
class Variants:
    """The variants of an orientation relationship; number v of a map is row v - 1.

    Attributes
    ----------
    quaternions : (n, 4) float64
        Parent crystal -> child crystal.
    packet : (n,) int32
        Cubic: which {111} plane (from 1, of `packet_planes`) of the parent is parallel, or nearest
        to it, to a {110} plane of the child. Burgers: which {110} plane is parallel to the basal
        one. 0: not defined.
    bain_group : (n,) int32
        Cubic: which <100> axis of the parent becomes one of the child, 1 to 3 in the order in
        which the variants meet them. 0: not defined.
    packet_planes : (packets, 3) float64
        Unit normals in the parent's axes.
    convention
        What the numbers follow.
    """

    quaternions: Floats
    packet: NDArray[np.int32]
    bain_group: NDArray[np.int32]
    packet_planes: Floats
    convention: str


# Austenite plane of each packet and three directions in it, in the order of S. Morito et al.,
# Acta Mater. 51 (2003) 1789, doi:10.1016/S1359-6454(02)00577-3.
_MORITO = {
    (1, 1, 1): ((-1, 0, 1), (0, 1, -1), (1, -1, 0)),
    (1, -1, 1): ((1, 0, -1), (-1, -1, 0), (0, 1, 1)),
    (-1, 1, 1): ((0, -1, 1), (-1, 0, -1), (1, 1, 0)),
    (1, 1, -1): ((-1, 1, 0), (0, -1, -1), (1, 0, 1)),
}
# The order of H. Kitahara et al., Mater. Charact. 54 (2005) 378,
# doi:10.1016/j.matchar.2004.12.015; every direction is parallel to [0 -1 1] of the bcc crystal.
_KITAHARA = {
    (1, 1, 1): ((2, -1, -1), (-1, 2, -1), (-1, -1, 2)),
    (-1, 1, 1): ((-2, -1, -1), (1, 2, -1), (1, -1, 2)),
    (1, -1, 1): ((2, 1, -1), (-1, -2, -1), (-1, 1, 2)),
    (1, 1, -1): ((2, -1, 1), (-1, 2, 1), (-1, -1, -2)),
}
_BURGERS_PLANES = ((1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1))


def _unit(v: ArrayLike) -> Floats:
    a = np.asarray(v, dtype=np.float64)
    return np.asarray(a / np.linalg.norm(a, axis=-1, keepdims=True))


def _turn(
    plane: Miller, direction: Miller, child_plane: ArrayLike, child_direction: ArrayLike
) -> Floats:
    """Parent (cubic) -> child; the child's plane normal and direction in Cartesian axes."""
    parts = []
    for n, d in ((plane, direction), (child_plane, child_direction)):
        n, d = _unit(n), _unit(d)
        parts.append(np.stack([d, np.cross(n, d), n]))
    return from_matrix(parts[1].T @ parts[0])


@lru_cache(maxsize=1)
def kurdjumov_sachs_variants() -> Floats:
    """Variants V1 .. V24 of Kurdjumov-Sachs in Morito's order, (24, 4), read-only."""
    found = np.array(
        [
            _turn(plane, direction, (0, 1, 1), ferrite)
            for plane, directions in _MORITO.items()
            for direction in directions
            for ferrite in ((-1, -1, 1), (-1, 1, -1))
        ]
    )
    found.flags.writeable = False
    return found


@lru_cache(maxsize=1)
def nishiyama_wassermann_variants() -> Floats:
    """Variants V1 .. V12 of Nishiyama-Wassermann in Kitahara's order, (12, 4), read-only."""
    found = np.array(
        [
            _turn(plane, direction, (0, 1, 1), (0, -1, 1))
            for plane, directions in _KITAHARA.items()
            for direction in directions
        ]
    )
    found.flags.writeable = False
    return found


@lru_cache(maxsize=1)
def burgers_variants() -> Floats:
    """Twelve variants of Burgers, two for each {110} plane of the parent, (12, 4), read-only."""
    found = []
    for plane in _BURGERS_PLANES:
        inside = [
            d for d in ((1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1)) if np.dot(plane, d) == 0
        ]
        found += [_turn(plane, d, (0, 0, 1), (1, 0, 0)) for d in inside]
    table = np.array(found)
    table.flags.writeable = False
    return table


PACKET_PLANES: Floats = _unit(list(_MORITO))
"""{111} normals of the parent for Morito's packets 1 to 4, (4, 3)."""


@lru_cache(maxsize=1)
def known_relationships() -> dict[str, OrientationRelationship]:
    """The relationships that are known by name, in the order in which they are tried."""
    cubic = {
        "Kurdjumov-Sachs": kurdjumov_sachs_variants()[0],
        "Nishiyama-Wassermann": nishiyama_wassermann_variants()[0],
        # Verbeken, Barbe and Raabe, ISIJ Int. 49 (2009) 1601, doi:10.2355/isijinternational.49.1601
        "Greninger-Troiano": _turn((1, 1, 1), (1, 2, -3), (1, 1, 0), (-3, 3, 1)),
        "Pitsch": _turn((1, 0, 0), (0, 1, 1), (1, 1, 0), (1, -1, 1)),
    }
    found = {name: OrientationRelationship(name, q) for name, q in cubic.items()}
    found["Burgers"] = OrientationRelationship("Burgers", burgers_variants()[0], CUBIC, HEXAGONAL)
    return found


SHORT_NAMES = {
    "ks": "Kurdjumov-Sachs", "k-s": "Kurdjumov-Sachs", "nw": "Nishiyama-Wassermann",
    "n-w": "Nishiyama-Wassermann", "gt": "Greninger-Troiano", "g-t": "Greninger-Troiano",
    "nishiyama-wasserman": "Nishiyama-Wassermann", "greninger-trojano": "Greninger-Troiano",
    "kurdjumow-sachs": "Kurdjumov-Sachs",
}  # fmt: skip


def named_relationship(name: str) -> OrientationRelationship:
    """A known relationship by its name or the usual short one, such as "K-S".

    Raises
    ------
    InputError
        When nothing is known by this name.
    """
    key = " ".join(str(name).split()).casefold().replace(" ", "-").replace("_", "-")
    key = SHORT_NAMES.get(key, key).casefold()
    for known, relationship in known_relationships().items():
        if known.casefold() == key:
            return relationship
    raise InputError(
        f"{name!r} is no orientation relationship; choose one of "
        f"{', '.join(known_relationships())}, or make your own with "
        "OrientationRelationship.from_parallel."
    )


_NEAR_KURDJUMOV_SACHS = 8.0
"""Degrees from it up to which bcc variants keep Morito's numbers."""
_NEAR_BURGERS = 8.0


def _variants(relationship: OrientationRelationship) -> Variants:
    kind = (relationship.parent, relationship.child)
    known = known_relationships()
    if kind == (CUBIC, CUBIC):
        if relationship.deviation(known["Nishiyama-Wassermann"]) < 1e-3:
            table = nishiyama_wassermann_variants()
            return _cubic(table, "Kitahara 2005, V1 to V12")
        if relationship.deviation(known["Kurdjumov-Sachs"]) < _NEAR_KURDJUMOV_SACHS:
            table = _like(relationship, kurdjumov_sachs_variants())
            if len(_distinct(table, CUBIC)) == len(table):
                return _cubic(table, "Morito 2003, V1 to V24")
    if kind == (CUBIC, HEXAGONAL) and relationship.deviation(known["Burgers"]) < _NEAR_BURGERS:
        table = _like(relationship, burgers_variants())
        packet = np.repeat(np.arange(1, 7, dtype=np.int32), 2)
        planes = _unit(_BURGERS_PLANES)
        nothing = np.zeros(12, dtype=np.int32)
        return Variants(table, packet, nothing, planes, "two for each {110} plane, V1 to V12")
    every = multiply(relationship.quaternion, laue_operators(relationship.parent))
    table = every[_distinct(every, relationship.child)]
    if kind == (CUBIC, CUBIC):
        return _cubic(table, "in the order of the parent's symmetry operators")
    none = np.zeros(len(table), dtype=np.int32)
    text = "in the order of the parent's symmetry operators"
    return Variants(table, none, none, np.zeros((0, 3)), text)


def _like(relationship: OrientationRelationship, ideal: Floats) -> Floats:
    """Variants of a relationship in the order of those of an ideal one near to it."""
    base = relationship.near(ideal[0])
    c, p = laue_operators(relationship.child), laue_operators(relationship.parent)
    # The symmetry operators that turn variant 1 of the ideal one into each of its others do the
    # same with the relationship as it is.
    left = multiply(c[:, None], ideal[0])
    pairs = multiply(left[:, :, None, :], p[None, None, :, :]).reshape(-1, 4)
    table = []
    for target in ideal:
        at = int(np.abs(pairs @ target).argmax())
        i, j = divmod(at, len(p))
        table.append(multiply(multiply(c[i], base), p[j]))
    return np.array(table)


def _distinct(quaternions: Floats, child: str) -> NDArray[np.intp]:
    """Rows that no symmetry of the child turns into an earlier one."""
    operators = laue_operators(child)
    kept: list[int] = []
    for i, q in enumerate(quaternions):
        turned = multiply(operators, q)
        if all(np.abs(turned @ quaternions[k]).max() < 1 - 1e-9 for k in kept):
            kept.append(i)
    return np.array(kept, dtype=np.intp)


def _cubic(table: Floats, convention: str) -> Variants:
    """Packets and Bain groups from the geometry of bcc variants in an fcc parent."""
    from napari_ebsdml._quaternions import to_matrix

    matrix = to_matrix(table)
    faces = _unit([[1, 1, 0], [1, -1, 0], [1, 0, 1], [1, 0, -1], [0, 1, 1], [0, 1, -1]])
    # Child's {110} normals in the axes of the parent.
    inside = np.einsum("vij,fi->vfj", matrix, faces)
    nearest = np.abs(inside @ PACKET_PLANES.T).max(axis=1)
    packet = nearest.argmax(axis=1).astype(np.int32) + 1
    # The child's axes in the parent: one of them lies near <100>, the other two near <110>.
    closeness = np.abs(matrix)
    axis = closeness.max(axis=1).argmax(axis=1)
    order = {int(a): n for n, a in enumerate(dict.fromkeys(axis.tolist()))}
    groups = np.array([order[int(a)] + 1 for a in axis], dtype=np.int32)
    return Variants(table, packet, groups, PACKET_PLANES, convention)


def _degrees(cosine: float) -> float:
    return float(np.degrees(2 * np.arccos(min(1.0, cosine))))


def _frame(plane: Miller, direction: Miller, phase: Phase | str) -> Floats:
    """Rows: the direction, their cross product, the plane's normal; unit vectors."""
    base = np.eye(3)
    hexagonal = laue_class(phase) in ("6/mmm", "6/m", "-3m", "-3")
    if not isinstance(phase, str):
        # Rows of diffpy's base are a, b, c in its frame; orix has turned it to e1 || a, e3 || c*.
        base = np.asarray(phase.structure.lattice.base, dtype=np.float64)
    elif hexagonal:
        base = np.array([[1.0, 0, 0], [-0.5, np.sqrt(0.75), 0], [0, 0, 1.0]])
    hkl, uvw = _three(plane, hexagonal, True), _three(direction, hexagonal, False)
    normal, along = _unit(np.linalg.inv(base) @ hkl), _unit(uvw @ base)
    tilt = float(np.degrees(np.arcsin(min(1.0, abs(float(normal @ along))))))
    if tilt > _RIGHT_ANGLE:
        raise InputError(
            f"The direction {list(direction)} lies {tilt:.1f} degrees out of the plane "
            f"{list(plane)}; an orientation relationship needs one that lies in it."
        )
    along = _unit(along - normal * (normal @ along))
    return np.stack([along, np.cross(normal, along), normal])


def _three(indices: Miller, hexagonal: bool, is_plane: bool) -> Floats:
    try:
        v = np.asarray(indices, dtype=np.float64)
    except (TypeError, ValueError):
        v = np.zeros(0)
    if v.shape == (4,) and hexagonal and abs(v[:3].sum()) < 1e-9:
        if is_plane:
            return np.asarray(v[[0, 1, 3]])
        return np.array([2 * v[0] + v[1], v[0] + 2 * v[1], v[3]])
    if v.shape != (3,) or not np.isfinite(v).all() or not v.any():
        kind = "a plane" if is_plane else "a direction"
        raise InputError(
            f"{indices!r} are no Miller indices of {kind}: give three, or four (h k i l with "
            "i = -h - k) of a hexagonal crystal."
        )
    return v
