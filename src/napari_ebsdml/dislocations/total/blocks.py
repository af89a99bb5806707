"""Mean orientations of squares of pixels within grains: the noise falls, the step grows.

Whether a map tells its density rests on rho (b / sigma)^2 and hardly on the step: the mean square
of what lines turn the lattice by grows with the logarithm of the distance only. The mean of n x n
pixels with independent errors has sigma / n, and tells densities n^2 times smaller.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, over_rows
from napari_ebsdml.dislocations.gnd.curvature import rotation_vector
from napari_ebsdml.maps.symmetry import safe_cosine

FULL = 2 / 3
"""Part of the pixels of a square that have to be of its grain."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Squares of pixels and their mean orientations.

    Attributes
    ----------
    turns : (rows, columns, 4) array
        Crystal -> specimen, where there is a label.
    labels : (rows, columns) int64 array
        Grain that most pixels of the square are of; 0 where fewer than `FULL` are of one.
    members : (rows, columns) int32 array
        Pixels that the mean is of.
    side
        Of the squares, in pixels.
    """

    turns: NDArray[np.float64]
    labels: NDArray[np.int64]
    members: NDArray[np.int32]
    side: int

    def noise(self, correlation: float = 0.0) -> float:
        """Standard deviation of the means' errors over that of the pixels' errors.

        Parameters
        ----------
        correlation
            Of the errors of neighbouring pixels; those farther apart are independent.
        """
        return noise_of_means(self.side, *self.inverse, correlation)

    @property
    def inverse(self) -> tuple[float, int]:
        """Sum of 1 / members over the squares with a label, and their number."""
        members = self.members[self.labels > 0].astype(np.float64)
        return float((1 / members).sum()), members.size


def noise_of_means(side: int, inverse: float, number: int, correlation: float) -> float:
    """Noise of means over that of pixels: see `Blocks.noise` and `Blocks.inverse`."""
    # n (n - 1) pairs of neighbours along each of the axes of n x n pixels.
    share = 1 + 4 * correlation * (1 - 1 / side)
    return float(np.sqrt(share * inverse / number)) if number else float("nan")


def block_means(
    turns: NDArray[np.float64],
    labels: NDArray[np.int64],
    operators: NDArray[np.float64],
    side: int,
    progress: Progress = None,
) -> Blocks:
    """Mean orientations of squares within grains.

    Parameters
    ----------
    turns : (rows, columns, 4) array
        Crystal -> specimen.
    labels : (rows, columns) int array
        Of grains, 0 for none; all others have an orientation.
    operators
        Of `laue_operators`.
    side
        In pixels. Squares at the end of rows and columns that the map cuts count as they are.
    progress
        Called with the fraction done; what it raises ends the work.
    """
    rows, columns = (-(-size // side) for size in labels.shape)
    found = Blocks(
        np.zeros((rows, columns, 4)), np.zeros((rows, columns), dtype=np.int64),
        np.zeros((rows, columns), dtype=np.int32), side,
    )  # fmt: skip
    q = np.ascontiguousarray(turns, dtype=np.float64)
    symmetry = np.array(operators, dtype=np.float64)
    limit, least = safe_cosine(symmetry), int(np.ceil(FULL * side**2))

    def work(first: int, end: int) -> None:
        _means(
            q, labels, symmetry, limit, side, least, first, end,
            found.turns, found.labels, found.members,
        )  # fmt: skip

    over_rows(work, (rows, columns), progress)
    return found


def of_pixels(
    segments: NDArray[np.int32],
    owner: NDArray[np.int64],
    labels: NDArray[np.int64],
    side: int,
    above: int = 0,
) -> NDArray[np.int32]:
    """Window of each pixel from that of each square, -1 for none.

    Parameters
    ----------
    segments : (rows, columns) int array
        Windows of squares.
    owner : (n,) int array
        Grain of each window.
    labels : (rows, columns) int array
        Grains of the pixels.
    side
        Of the squares, in pixels.
    above
        Rows of pixels of the first squares that are not among the labels.
    """
    wide = segments.repeat(side, axis=0).repeat(side, axis=1)
    wide = wide[above : above + labels.shape[0], : labels.shape[1]]
    if not len(owner):
        return wide
    return np.where((wide >= 0) & (owner[wide] == labels), wide, np.int32(-1))


@njit(cache=True, nogil=True)
def _means(q, labels, operators, limit, side, least, first, end, turns, owner, members):  # type: ignore[no-untyped-def]
    rows, columns = labels.shape
    v = np.empty(3)
    mean = np.empty(3)
    start = np.empty(4)
    for i in range(first, end):
        for j in range(owner.shape[1]):
            bottom, right = min((i + 1) * side, rows), min((j + 1) * side, columns)
            grain, most = 0, 0
            for r in range(i * side, bottom):
                for c in range(j * side, right):
                    if labels[r, c] <= 0 or labels[r, c] == grain:
                        continue
                    count = 0
                    for y in range(i * side, bottom):
                        for x in range(j * side, right):
                            count += labels[y, x] == labels[r, c]
                    if count > most:
                        grain, most = labels[r, c], count
            if most < least:
                continue
            number = 0
            mean[:] = 0.0
            for r in range(i * side, bottom):
                for c in range(j * side, right):
                    if labels[r, c] != grain:
                        continue
                    number += 1
                    if number == 1:
                        start[:] = q[r, c]
                        continue
                    rotation_vector(start, q[r, c], operators, limit, v)
                    mean += v
            mean /= number
            angle = np.sqrt((mean * mean).sum())
            w = np.cos(angle / 2)
            scale = 0.5 if angle < 1e-12 else np.sin(angle / 2) / angle
            x, y, z = scale * mean[0], scale * mean[1], scale * mean[2]
            turns[i, j, 0] = w * start[0] - x * start[1] - y * start[2] - z * start[3]
            turns[i, j, 1] = w * start[1] + x * start[0] + y * start[3] - z * start[2]
            turns[i, j, 2] = w * start[2] - x * start[3] + y * start[0] + z * start[1]
            turns[i, j, 3] = w * start[3] + x * start[2] - y * start[1] + z * start[0]
            owner[i, j] = grain
            members[i, j] = number
