"""Dislocation lines in a periodic box, as straight segments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.errors import InputError


@dataclass(frozen=True, eq=False)
class Lines:
    """Dislocation segments in a periodic cube.

    Attributes
    ----------
    start : (n, 3) float32
        Where each segment starts, in voxels (x, y, z); may lie outside the box, which repeats.
    along : (n, 3) float32
        From start to end, in voxels: the line's sense.
    burgers : (n, 3) float32
        Burgers vectors in units of the lattice's shortest, frame of the box.
    size
        Voxels along each edge of the box.
    """

    start: NDArray[np.float32]
    along: NDArray[np.float32]
    burgers: NDArray[np.float32]
    size: int

    def __post_init__(self) -> None:
        for name in ("start", "along", "burgers"):
            array = np.ascontiguousarray(getattr(self, name), dtype=np.float32)
            object.__setattr__(self, name, array)
            if array.ndim != 2 or array.shape != (len(self.start), 3):
                raise InputError(f"{name} of dislocation lines needs shape (n, 3).")
            if not np.isfinite(array).all():
                raise InputError(f"{name} of dislocation lines is not finite.")
        if self.size < 8:
            raise InputError(f"A box of {self.size} voxels is too small for dislocation lines.")

    def __len__(self) -> int:
        return len(self.start)

    @property
    def density(self) -> float:
        """Line length per volume, in lines per voxel area."""
        length = np.linalg.norm(self.along.astype(np.float64), axis=1).sum()
        return float(length) / self.size**3

    @property
    def mean_nye(self) -> NDArray[np.float64]:
        """Nye's tensor averaged over the box, (3, 3): [Burgers vector, line], per voxel."""
        total = self.burgers.astype(np.float64).T @ self.along.astype(np.float64)
        return np.asarray(total / self.size**3)

    @classmethod
    def join(cls, parts: Sequence[Lines]) -> Lines:
        """All lines of several structures in one box."""
        if not parts or len({part.size for part in parts}) != 1:
            raise InputError("Lines are joined from one box, and from at least one structure.")
        return cls(
            np.concatenate([part.start for part in parts]),
            np.concatenate([part.along for part in parts]),
            np.concatenate([part.burgers for part in parts]),
            parts[0].size,
        )


def closed(points: NDArray[Any], burgers: NDArray[Any], size: int) -> Lines:
    """Closed lines from their corners.

    Parameters
    ----------
    points : (n, corners, 3) array
        In voxels.
    burgers : (n, 3) array
        One Burgers vector a line.
    size
        Voxels along each edge of the box.
    """
    corners = np.asarray(points, dtype=np.float64)
    along = np.roll(corners, -1, axis=1) - corners
    each = np.repeat(np.asarray(burgers)[:, None], corners.shape[1], axis=1)
    return Lines(_flat(corners), _flat(along), _flat(each), size)


def straight(start: NDArray[Any], periods: NDArray[Any], burgers: NDArray[Any], size: int) -> Lines:
    """Infinite straight lines, which close through the faces of the box.

    Parameters
    ----------
    start : (n, 3) array
        A point of each line, in voxels.
    periods : (n, 3) int array
        Edges of the box that a line goes through before it meets itself: its direction.
    burgers : (n, 3) array
    size
        Voxels along each edge of the box.
    """
    along = np.asarray(periods, dtype=np.float64) * size
    return Lines(_flat(start), _flat(along), _flat(burgers), size)


def _flat(values: Any) -> NDArray[np.float32]:
    return np.asarray(values, dtype=np.float32).reshape(-1, 3)
