"""The 11 Laue groups: their operations as a pattern can show them, and which contains which."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

TURNS: tuple[float, ...] = (180.0, 120.0, 90.0, 60.0)
"""Angles of the operations in degrees. A pattern cannot tell an operation from its product with
inversion (Friedel), so that these stand for axes of order 2, 3, 4, 6, and 2 for mirrors too."""

_Z, _X, _D = (0.0, 0.0, 1.0), (1.0, 0.0, 0.0), (1.0, 1.0, 1.0)
_GENERATORS: dict[str, tuple[tuple[tuple[float, float, float], float], ...]] = {
    "-1": (),
    "2/m": ((_Z, 180.0),),
    "mmm": ((_Z, 180.0), (_X, 180.0)),
    "4/m": ((_Z, 90.0),),
    "4/mmm": ((_Z, 90.0), (_X, 180.0)),
    "-3": ((_Z, 120.0),),
    "-3m": ((_Z, 120.0), (_X, 180.0)),
    "6/m": ((_Z, 60.0),),
    "6/mmm": ((_Z, 60.0), (_X, 180.0)),
    "m-3": ((_Z, 180.0), (_X, 180.0), (_D, 120.0)),
    "m-3m": ((_Z, 90.0), (_D, 120.0)),
}

SYSTEMS: dict[str, str] = {
    "-1": "triclinic", "2/m": "monoclinic", "mmm": "orthorhombic", "4/m": "tetragonal",
    "4/mmm": "tetragonal", "-3": "trigonal", "-3m": "trigonal", "6/m": "hexagonal",
    "6/mmm": "hexagonal", "m-3": "cubic", "m-3m": "cubic",
}  # fmt: skip
"""Crystal system of each Laue group, lowest symmetry first."""

HOLOHEDRY: dict[str, str] = {
    "4/m": "4/mmm", "-3": "-3m", "6/m": "6/mmm", "m-3": "m-3m",
}  # fmt: skip
"""The Laue group of the same lattice that has further mirrors."""


def turn(axis: NDArray[np.floating], degrees: float) -> NDArray[np.float64]:
    """Rotation matrix about a unit vector (Rodrigues)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=np.float64)
    angle = np.deg2rad(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


@dataclass(frozen=True, eq=False)
class LaueGroup:
    """One Laue group.

    Attributes
    ----------
    name
        Symbol such as ``"m-3m"``.
    rotations : (n, 3, 3) array
        Its proper rotations, the identity first. The main axis lies along z; secondary twofold
        axes along x.
    """

    name: str
    rotations: NDArray[np.float64]

    @property
    def system(self) -> str:
        """Crystal system."""
        return SYSTEMS[self.name]

    @property
    def order(self) -> int:
        """Number of proper rotations."""
        return len(self.rotations)

    @cached_property
    def operations(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Axes (k, 3) and turns (k,) (places in `TURNS`), one of each operation and its inverse."""
        axes: list[NDArray[np.float64]] = []
        turns: list[int] = []
        for matrix in self.rotations[1:]:
            angle = np.rad2deg(np.arccos(np.clip((np.trace(matrix) - 1) / 2, -1, 1)))
            which = int(np.argmin(np.abs(np.array(TURNS) - angle)))
            values, vectors = np.linalg.eig(matrix)
            axis = np.real(vectors[:, np.argmin(np.abs(values - 1))])
            axis = axis / np.linalg.norm(axis)
            leading = axis[np.abs(axis) > 1e-6][-1]
            axis = axis * np.sign(leading)
            known = (
                abs(axis @ a) > 1 - 1e-6 and which == t for a, t in zip(axes, turns, strict=True)
            )
            if not any(known):
                axes.append(axis)
                turns.append(which)
        if not axes:
            return np.zeros((0, 3)), np.zeros(0, np.int64)
        return np.array(axes), np.array(turns, dtype=np.int64)

    def contains(self, other: LaueGroup) -> bool:
        """Whether `other`, in the same setting, is a subgroup."""
        return all(
            np.abs(self.rotations - matrix).max(axis=(1, 2)).min() < 1e-6
            for matrix in other.rotations
        )


def _closed(name: str) -> LaueGroup:
    found = [np.eye(3)]
    generators = [
        turn(np.array(axis) / np.linalg.norm(axis), angle) for axis, angle in _GENERATORS[name]
    ]
    grew = True
    while grew:
        grew = False
        for generator in generators:
            for matrix in list(found):
                product = generator @ matrix
                if all(np.abs(product - known).max() > 1e-6 for known in found):
                    found.append(product)
                    grew = True
    return LaueGroup(name, np.array(found))


GROUPS: dict[str, LaueGroup] = {name: _closed(name) for name in _GENERATORS}
"""All of them by name, lowest symmetry first."""
