"""Slip systems of a crystal that lies in the box at some orientation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from napari_ebsdml.dislocations.slip_systems import for_lattice

LATTICES = ("fcc", "bcc", "hcp")
_CELLS = {"fcc": (1.0, None), "bcc": (1.0, None), "hcp": (1.0, 1.6)}
# How often a family is active next to the others; what is not named counts once.
_WEIGHTS = {"{123}<111>": 0.3, "pyramidal <a>": 0.3, "pyramidal I <c+a>": 0.2}
_WEIGHTS["pyramidal II <c+a>"] = 0.2


@dataclass(frozen=True, eq=False)
class Slip:
    """Active slip systems in the frame of the box.

    Attributes
    ----------
    burgers : (n, 3) array
        In units of the lattice's shortest Burgers vector.
    normals : (n, 3) array
        Unit normals of the slip planes.
    shares : (n,) array
        Part of the lines that each has; they sum to 1.
    """

    burgers: NDArray[np.float64]
    normals: NDArray[np.float64]
    shares: NDArray[np.float64]

    def choose(self, random: np.random.Generator, number: int) -> NDArray[np.intp]:
        """Systems of `number` lines, drawn by their shares."""
        return random.choice(len(self.shares), size=number, p=self.shares)

    def planes(self, which: NDArray[np.intp]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Two unit vectors in the slip plane: along the Burgers vector, and across it."""
        along = self.burgers[which]
        along = along / np.linalg.norm(along, axis=-1, keepdims=True)
        return along, np.cross(self.normals[which], along)

    def directions(
        self, which: NDArray[np.intp], random: np.random.Generator
    ) -> NDArray[np.float64]:
        """A line direction in the slip plane of each system, at any angle to Burgers vector."""
        along, across = self.planes(which)
        angle = random.uniform(0, 2 * np.pi, len(which))[:, None]
        return np.asarray(np.cos(angle) * along + np.sin(angle) * across)


def random_slip(
    lattice: str, random: np.random.Generator, to_box: NDArray[Any] | None = None
) -> Slip:
    """Some slip systems of a lattice, with random shares.

    Parameters
    ----------
    lattice
        ``"fcc"``, ``"bcc"`` or ``"hcp"``.
    random
    to_box : (3, 3) array
        Rotation matrix from the crystal's axes to those of the box; None: a random one.
    """
    a, c = _CELLS[lattice]
    systems = for_lattice(lattice, a, c, screws=False)
    turn = Rotation.random(rng=random).as_matrix() if to_box is None else np.asarray(to_box)
    weight = np.array([_WEIGHTS.get(name, 1.0) for name in systems.families])
    number = int(np.ceil(np.exp(random.uniform(0, np.log(len(weight))))))
    active = random.choice(len(weight), size=number, replace=False, p=weight / weight.sum())
    shares = random.dirichlet(np.full(number, 2.0))
    burgers = systems.burgers / systems.burgers_lengths.min()
    return Slip(burgers[active] @ turn.T, systems.normals[active] @ turn.T, shares)
