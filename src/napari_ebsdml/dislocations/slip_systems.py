"""Dislocation types of a lattice: edge and screw dislocations of the slip systems it glides on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._quaternions import to_matrix
from napari_ebsdml.dislocations._cell import (
    direct_basis,
    first_positive,
    index_label,
    three_indices,
)
from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.maps.symmetry import laue_operators
from napari_ebsdml.materials import named_structure, recognise

if TYPE_CHECKING:
    from orix.crystal_map import Phase

POISSON = 0.3
"""Poisson's ratio behind the line energy of a screw, 1 - nu, relative to an edge."""


@dataclass(frozen=True)
class SlipFamily:
    """One family of slip systems.

    Parameters
    ----------
    name
        Key to select it by.
    plane
        Miller indices (hkl), or Miller-Bravais (hkil) for hexagonal lattices.
    direction
        Indices [uvw], or [UVTW] for hexagonal lattices, of the Burgers vector.
    fraction
        Burgers vector = fraction x direction; 1/2 for a/2<111>.
    """

    name: str
    plane: tuple[int, ...]
    direction: tuple[int, ...]
    fraction: float = 1.0


FAMILIES: dict[str, tuple[SlipFamily, ...]] = {
    "fcc": (SlipFamily("{111}<110>", (1, 1, 1), (1, -1, 0), 0.5),),
    "bcc": (
        SlipFamily("{110}<111>", (1, -1, 0), (1, 1, 1), 0.5),
        SlipFamily("{112}<111>", (1, 1, -2), (1, 1, 1), 0.5),
        SlipFamily("{123}<111>", (1, 2, -3), (1, 1, 1), 0.5),
    ),
    "hcp": (
        SlipFamily("basal", (0, 0, 0, 1), (1, 1, -2, 0), 1 / 3),
        SlipFamily("prismatic", (1, -1, 0, 0), (1, 1, -2, 0), 1 / 3),
        SlipFamily("pyramidal <a>", (1, -1, 0, 1), (1, 1, -2, 0), 1 / 3),
        SlipFamily("pyramidal I <c+a>", (-1, 0, 1, 1), (1, 1, -2, 3), 1 / 3),
        SlipFamily("pyramidal II <c+a>", (-1, -1, 2, 2), (1, 1, -2, 3), 1 / 3),
    ),
}
"""Slip families by lattice, the first index a representative of each."""

_SPACE_GROUPS = {225: "fcc", 229: "bcc", 194: "hcp"}
_POINT_GROUPS = {"fcc": "m-3m", "bcc": "m-3m", "hcp": "6/mmm"}


@dataclass(frozen=True, eq=False)
class SlipSystems:
    """Dislocation types: n straight dislocations, edges first, then screws.

    Attributes
    ----------
    burgers : (n, 3) array
        Burgers vectors in angstrom, Cartesian crystal frame (x along a, z along c*, as in orix).
    lines : (n, 3) array
        Unit line vectors. Edges: b x n / |b x n|, with n the slip plane normal; screws: along b.
    normals : (n, 3) array
        Unit slip plane normals; NaN for screws, which belong to no single plane.
    energies : (n,) array
        Line energies relative to the edge with the shortest Burgers vector: proportional to
        b^2, and to 1 - nu for screws.
    is_edge : (n,) bool array
    labels : tuple of str
        For people, "(1-10)[111] edge".
    families : tuple of str
        Family name of each; "screw" for screws.
    name : str
        "fcc", "bcc", "hcp" or "user".
    """

    burgers: NDArray[np.float64]
    lines: NDArray[np.float64]
    normals: NDArray[np.float64]
    energies: NDArray[np.float64]
    is_edge: NDArray[np.bool_]
    labels: tuple[str, ...]
    families: tuple[str, ...]
    name: str = "user"

    def __post_init__(self) -> None:
        n = len(self.labels)
        for key in ("burgers", "lines", "normals"):
            array = np.asarray(getattr(self, key), dtype=np.float64)
            object.__setattr__(self, key, array)
            if array.shape != (n, 3):
                raise InputError(f"{key} of slip systems has shape {array.shape}, not {(n, 3)}.")
        object.__setattr__(self, "energies", np.asarray(self.energies, dtype=np.float64))
        object.__setattr__(self, "is_edge", np.asarray(self.is_edge, dtype=bool))
        if n == 0 or self.energies.shape != (n,) or self.is_edge.shape != (n,):
            raise InputError("Slip systems need one energy and one is_edge per label.")
        if not (np.isfinite(self.burgers).all() and (self.burgers_lengths > 0).all()):
            raise InputError("A Burgers vector is zero or not finite.")
        if not np.allclose(np.linalg.norm(self.lines, axis=1), 1, atol=1e-6):
            raise InputError("Line vectors of slip systems must be unit vectors.")
        if not (np.isfinite(self.energies).all() and (self.energies > 0).all()):
            raise InputError("Line energies of slip systems must be positive and finite.")

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        edges = int(self.is_edge.sum())
        lengths = sorted({round(float(b), 3) for b in self.burgers_lengths})
        screws = len(self) - edges
        return f"SlipSystems {self.name!r}: {edges} edge + {screws} screw, |b| {lengths} A"

    @property
    def burgers_lengths(self) -> NDArray[np.float64]:
        """|b| in angstrom, (n,)."""
        return np.asarray(np.linalg.norm(self.burgers, axis=1))

    def select(self, which: NDArray[Any] | slice) -> SlipSystems:
        """Some of the systems, by index, slice or mask; energies stay as they are."""
        index = np.arange(len(self))[which]
        return SlipSystems(
            self.burgers[index],
            self.lines[index],
            self.normals[index],
            self.energies[index],
            self.is_edge[index],
            tuple(self.labels[i] for i in index),
            tuple(self.families[i] for i in index),
            self.name,
        )

    @classmethod
    def join(cls, parts: Sequence[SlipSystems]) -> SlipSystems:
        """Systems of several phases one after the other."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.burgers for part in parts]),
            np.concatenate([part.lines for part in parts]),
            np.concatenate([part.normals for part in parts]),
            np.concatenate([part.energies for part in parts]),
            np.concatenate([part.is_edge for part in parts]),
            tuple(label for part in parts for label in part.labels),
            tuple(family for part in parts for family in part.families),
            "+".join(part.name for part in parts),
        )


def for_lattice(
    lattice: str,
    a: float,
    c: float | None = None,
    families: Iterable[str] | None = None,
    screws: bool = True,
    poisson: float = POISSON,
) -> SlipSystems:
    """Slip systems of an fcc, bcc or hcp lattice.

    Parameters
    ----------
    lattice
        ``"fcc"``: 12 edge + 6 screw, {111}<110>. ``"bcc"``: 48 edge + 4 screw, {110}, {112} and
        {123}<111>. ``"hcp"``: 30 edge + 9 screw, basal, prismatic and pyramidal <a>,
        pyramidal I and II <c+a>.
    a, c
        Lattice parameters in angstrom; c for hcp only.
    families
        Names from `FAMILIES` to use; all by default.
    screws
        Whether to add one screw for each Burgers vector.
    poisson
        Poisson's ratio nu: a screw has 1 - nu times the line energy of an edge.

    Raises
    ------
    InputError
        When the lattice, a family or a lattice parameter is not usable.

    Notes
    -----
    Pantleon, Scripta Materialia 58 (2008) 994, doi 10.1016/j.scriptamat.2008.01.050.
    """
    key = str(lattice).casefold()
    if key not in FAMILIES:
        raise InputError(
            f"slip systems are known for {', '.join(FAMILIES)}, not for {lattice!r}; "
            "give others with slip_systems.from_families."
        )
    if key == "hcp" and c is None:
        raise InputError("hcp slip systems need the lattice parameter c as well as a.")
    if key != "hcp" and c is not None and abs(c - a) > 1e-3 * a:
        raise InputError(f"{key} is cubic, but c = {c:g} differs from a = {a:g} angstrom.")
    chosen = FAMILIES[key]
    if families is not None:
        wanted = [families] if isinstance(families, str) else list(families)
        known = {family.name: family for family in chosen}
        known |= {family.name.split("<")[0].strip(): family for family in chosen if key != "hcp"}
        if not wanted or not set(wanted) <= set(known):
            raise InputError(
                f"families of {key} are {', '.join(f.name for f in chosen)}, not {wanted}."
            )
        chosen = tuple(dict.fromkeys(known[name] for name in wanted))
    angle = 120.0 if key == "hcp" else 90.0
    cell = (a, a, a if c is None else c, 90.0, 90.0, angle)
    return from_families(chosen, cell, _POINT_GROUPS[key], screws, poisson, key)


def from_families(
    families: Iterable[SlipFamily],
    lattice: Sequence[float],
    point_group: str,
    screws: bool = True,
    poisson: float = POISSON,
    name: str = "user",
) -> SlipSystems:
    """Slip systems of any lattice from a table of families.

    Parameters
    ----------
    families
        Each is expanded by the symmetry operations of `point_group`.
    lattice
        a, b, c in angstrom, alpha, beta, gamma in degrees.
    point_group
        Hermann-Mauguin symbol, e.g. "4/mmm".
    screws, poisson
        As in `for_lattice`.
    name
        What to call them.

    Raises
    ------
    InputError
        When a direction does not lie in its plane, or a number is not usable.
    """
    basis = direct_basis(lattice)
    if not (np.isfinite(poisson) and -1 < poisson < 1):
        raise InputError(f"Poisson's ratio must lie between -1 and 1, not {poisson}.")
    turns = to_matrix(laue_operators(point_group))
    to_direct = np.linalg.inv(basis)
    to_reciprocal = basis.T
    edges: dict[tuple[Any, ...], tuple[NDArray[Any], NDArray[Any], str, str]] = {}
    burgers: dict[tuple[float, ...], tuple[NDArray[Any], str]] = {}
    for family in families:
        hkl = three_indices(family.plane, plane=True)
        uvw = three_indices(family.direction, plane=False)
        if not (np.any(hkl) and np.any(uvw) and family.fraction > 0):
            raise InputError(f"Slip family {family.name!r}: plane, direction or fraction is zero.")
        if abs(hkl @ uvw) > 1e-6:
            raise InputError(
                f"Slip family {family.name!r}: direction {family.direction} does not lie in "
                f"plane {family.plane}."
            )
        for turn in turns:
            direction = first_positive(to_direct @ turn @ basis @ uvw)
            plane = first_positive(to_reciprocal @ turn @ to_direct.T @ hkl)
            b = basis @ direction * family.fraction
            normal = to_direct.T @ plane
            normal = normal / np.linalg.norm(normal)
            key = (*np.round(b, 4), *np.round(normal, 4))
            uvw_label = index_label(direction, "[]")
            edges.setdefault(key, (b, normal, index_label(plane, "()") + uvw_label, family.name))
            burgers.setdefault(tuple(np.round(b, 4)), (b, uvw_label))
    if not edges:
        raise InputError("No slip family was given.")
    b_edge = np.array([edge[0] for edge in edges.values()])
    normals = np.array([edge[1] for edge in edges.values()])
    lines = np.cross(b_edge, normals)
    b_screw = np.array([b for b, _ in burgers.values()]) if screws else np.empty((0, 3))
    vectors = np.concatenate((b_edge, b_screw))
    is_edge = np.arange(len(vectors)) < len(b_edge)
    squared = (vectors**2).sum(axis=1)
    screw_labels = [f"{label} screw" for _, label in burgers.values()] if screws else []
    return SlipSystems(
        burgers=vectors,
        lines=np.concatenate(
            (
                lines / np.linalg.norm(lines, axis=1, keepdims=True),
                b_screw / np.linalg.norm(b_screw, axis=1, keepdims=True),
            )
        ),
        normals=np.concatenate((normals, np.full_like(b_screw, np.nan))),
        energies=squared / squared.min() * np.where(is_edge, 1.0, 1.0 - poisson),
        is_edge=is_edge,
        labels=(*(f"{edge[2]} edge" for edge in edges.values()), *screw_labels),
        families=(*(edge[3] for edge in edges.values()), *("screw" for _ in screw_labels)),
        name=name,
    )


def for_phase(phase: Phase, lattice: str = "auto") -> SlipSystems:
    """Slip systems of an orix `Phase`, with Burgers vectors from its lattice parameters.

    Parameters
    ----------
    phase
        Its space group decides: 225 fcc, 229 bcc, 194 hcp. Where a file names no space group, a
        well-known material is recognised by name and lattice together, and a name that tells the
        structure ("Iron fcc") is believed. Lattice parameters below
        1.5 are taken as nm, as EMsoft writes them: no crystal has so small a cell in angstrom.
    lattice
        "fcc", "bcc" or "hcp" to decide otherwise.

    Raises
    ------
    MissingDataError
        When the systems, or the lattice parameters, cannot be told.
    """
    cell = tuple(float(value) for value in phase.structure.lattice.abcABG())
    if cell[:3] == (1.0, 1.0, 1.0):
        cell = ()  # diffpy's default lattice: the file gave none
    elif max(cell[:3]) < 1.5:
        cell = (*(10 * length for length in cell[:3]), *cell[3:])
    number = phase.space_group.number if phase.space_group is not None else None
    key = lattice
    if key == "auto":
        if number is None and cell:
            known = recognise(phase.name, cell)
            number = known.space_group if known else named_structure(phase.name)
        if number not in _SPACE_GROUPS:
            what = "no space group" if number is None else f"space group {number}"
            raise MissingDataError(
                f"Phase {phase.name!r} has {what}: its slip systems are not known "
                "(known: 225 fcc, 229 bcc, 194 hcp). Give slip_systems='fcc', 'bcc' or 'hcp', a "
                "table made by slip_systems.from_families, or a dict with one entry per phase."
            )
        key = _SPACE_GROUPS[number]
    if not cell:
        raise MissingDataError(
            f"Phase {phase.name!r} has no lattice parameters, which give the Burgers vectors. Give "
            f"the systems, e.g. slip_systems.for_lattice({key!r}, a=...)."
        )
    return for_lattice(key, cell[0], cell[2] if key.casefold() == "hcp" else None)
