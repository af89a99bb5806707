"""A second opinion where noise is low: the tail of the distribution of lattice rotations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit
from numpy.typing import NDArray

from napari_ebsdml.dislocations.gnd.curvature import rotation_vector
from napari_ebsdml.dislocations.gnd.phase_choice import choose_systems
from napari_ebsdml.dislocations.total.segments import WINDOW, cut_grains
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.symmetry import laue_operators, safe_cosine

if TYPE_CHECKING:
    from napari_ebsdml.dislocations.total.average import AverageDensity
    from napari_ebsdml.dislocations.total.density import TotalDensity

WEIGHT = 0.75 / (4 * np.pi)
"""Half edge, half screw. The rotation at a distance r of an edge is b cos(phi) / (2 pi r) about the
line, whatever Poisson's ratio, at a screw b / (4 pi r) away from it: an edge has 1 / (4 pi), a
screw half of that."""
PROBE = 0.05
"""Size in um of what a pattern sees, of good instruments in metals."""
_CLEAR = 4.0
"""Standard deviations of the noise from which on it has no part in the tail."""
_MOST = 0.2
"""Part of the rotations in a tail: beyond, fields of neighbouring lines overlap everywhere."""
_FEWEST = 30
_STEEPNESS = 0.15
"""How far the part of the tail beyond sqrt(2) of its start may lie from one half."""
_SCATTER = 0.2
"""Standard deviation of log10 on simulated structures: lines are not half edge, half screw, lie in
pairs and groups, and bending is left."""
_SIDE = 1.6448536269514722


@dataclass(frozen=True)
class TailDensity:
    """Result of `tail_density`.

    Attributes
    ----------
    density
        In 1/m^2; NaN where there is no tail.
    interval
        Low and high end in 1/m^2 that hold 90 % of the probability; NaN where there is no tail.
    measurable
        Whether the distribution has a tail that falls as those of dislocations do.
    start
        Rotation in degrees where the tail starts.
    exponent
        Of the tail, p ~ x^-exponent; 3 for dislocations.
    values
        Rotations in the tail, three for each pixel counted.
    sentence
        The answer for people.
    """

    density: float
    interval: tuple[float, float]
    measurable: bool
    start: float
    exponent: float
    values: int
    sentence: str

    def agreement(self, average: AverageDensity) -> str:
        """Whether another answer agrees, in a sentence; "" where one of the two is missing."""
        if not (self.measurable and average.measurable):
            return ""
        low = max(self.interval[0], average.interval[0])
        high = min(self.interval[1], average.interval[1])
        if low <= high:
            return "Both agree within their intervals."
        factor = max(self.density / average.density, average.density / self.density)
        return (
            f"The two differ by a factor of {factor:.1f}, more than their intervals allow: trust "
            "neither without a reason."
        )


def tail_density(total: TotalDensity, probe: float = PROBE) -> TailDensity:
    """Total dislocation density from the largest rotations alone, without anything learned.

    Close to a line the lattice is turned by b / (2 pi r), so that rotations larger than x are found
    at a part of all places that falls with 1 / x^2, in proportion to the density of lines and
    whatever their arrangement. For maps with noise of 0.006 degrees or less and fewer lines
    than about one in twenty probed areas.

    Parameters
    ----------
    total
        The other answer, whose map, windows and noise are used.
    probe
        Size in um of what a pattern sees: rotations of places nearer to a line than twice that
        are not counted on.

    Returns
    -------
    TailDensity

    Raises
    ------
    InputError
        When the probe is not a positive size.

    Notes
    -----
    The restricted second moment of the distribution grows with the logarithm of its limit (Groma,
    doi:10.1103/PhysRevB.57.7535, of X-ray profiles; Kalacska, Groma, Borbely and Ispanovity,
    arXiv:1610.08915, of stresses from HR-EBSD): its slope, and the height of the tail, are
    b^2 rho / (4 pi) for edges here. From each window its mean and linear slope are taken off
    first. Counted are the rotations beyond the smallest start from which on the tail falls as
    1 / x^2 must, four standard deviations of the noise at least.
    """
    if not 0 < float(probe) < 100:
        raise InputError(f"probe must be a size in um above 0, not {probe!r}.")
    nothing = float("nan")
    windows = total.windows
    if not len(windows):
        return _none("No second opinion: there is no window.")
    numbers, sizes = np.unique(windows.phase, return_counts=True)
    number = int(numbers[sizes.argmax()])
    scan = total.scan
    systems = choose_systems(scan, "auto", [number])[0][number]
    burgers = float(systems.burgers_lengths.min()) * 1e-10
    x = _rotations(total, number)
    if not x.size:
        return _none("No second opinion: there is no window.")
    sigma = np.radians(total.orientation_noise.get(number, nothing))
    largest = burgers / (4 * np.pi * probe * 1e-6)
    first = _CLEAR * sigma
    if not first < largest:
        return _none(
            f"No second opinion from the tail of rotations: beyond the noise of "
            f"{np.degrees(sigma):.2g} deg it holds places nearer than "
            f"{1e3 * burgers / (2 * np.pi * first) * 1e6:.1g} nm to a line only, and a pattern "
            f"sees {1e3 * probe:.0f} nm. It needs {np.degrees(largest / _CLEAR):.1g} deg."
        )
    # Three components: their squares add up to that of the rotation.
    sizes_all = np.sort(np.abs(x).ravel())
    whole = sizes_all.size / 3
    best: tuple[float, int, float] | None = None
    for start in np.geomspace(first, largest, max(2, int(np.ceil(np.log2(largest / first) * 4)))):
        there = sizes_all.size - int(np.searchsorted(sizes_all, start))
        beyond = sizes_all.size - int(np.searchsorted(sizes_all, np.sqrt(2) * start))
        if there > _MOST * sizes_all.size:
            continue
        if there < _FEWEST:
            break
        share = beyond / there
        if abs(share - 0.5) < _STEEPNESS + 1 / np.sqrt(there):
            best = float(start), there, float(1 - 2 * np.log2(max(share, 1e-6)))
            break
    if best is None:
        return _none(
            "No second opinion: the rotations beyond the noise fall off unlike those around "
            "single lines (too many lines for the probed size, bending, or too few pixels)."
        )
    start, there, exponent = best
    density = 2 * there / whole * (start / burgers) ** 2 / WEIGHT
    area = whole * float(np.prod(scan.step)) * 1e-12
    error = np.hypot(np.sqrt(1 / there + 1.5 / max(density * area, 1e-9)) / np.log(10), _SCATTER)
    low, high = density * 10 ** (-_SIDE * error), density * 10 ** (_SIDE * error)
    return TailDensity(
        float(density), (float(low), float(high)), True, float(np.degrees(start)), exponent, there,
        f"Second opinion from the tail of rotations beyond {np.degrees(start):.2g} deg: "
        f"{density:.2g} 1/m^2 (90 %: {low:.2g} to {high:.2g}).",
    )  # fmt: skip


def _none(text: str) -> TailDensity:
    nan = float("nan")
    return TailDensity(nan, (nan, nan), False, nan, nan, 0, text)


def _rotations(total: TotalDensity, phase: int) -> NDArray[np.float64]:
    """Rotations in radians (n, 3) of the pixels of a phase's windows, less mean and slope."""
    # Windows of pixels, whatever the density was read from.
    labels = np.where(total.scan.phase_id == phase, total.grains, 0).astype(np.int64)
    cut = cut_grains(labels, WINDOW)
    pieces = cut.segments(labels)
    q = np.ascontiguousarray(total.scan.quaternions * np.array([1.0, -1.0, -1.0, -1.0]))
    operators = np.array(laue_operators(total.scan.phases[phase]), dtype=np.float64)
    number = len(cut)
    out = np.zeros((*pieces.shape, 3))
    _turn(q, pieces, number, operators, safe_cosine(operators), out)
    rows, columns = np.nonzero(pieces >= 0)
    if not len(rows):
        return np.zeros((0, 3))
    at, v = pieces[rows, columns], out[rows, columns]
    size = np.bincount(at, minlength=number)
    many = np.maximum(size, 1)
    place = np.stack((rows, columns), axis=1).astype(np.float64)
    for k in range(2):
        place[:, k] -= (np.bincount(at, place[:, k], number) / many)[at]
    for k in range(3):
        v[:, k] -= (np.bincount(at, v[:, k], number) / many)[at]
    normal = np.empty((number, 2, 2))
    for i in range(2):
        for j in range(2):
            normal[:, i, j] = np.bincount(at, place[:, i] * place[:, j], number)
    normal += 1e-9 * np.eye(2)
    for k in range(3):
        right = np.stack([np.bincount(at, place[:, i] * v[:, k], number) for i in range(2)], axis=1)
        slope = np.linalg.solve(normal, right[..., None])[..., 0]
        v[:, k] -= (slope[at] * place).sum(axis=1)
    return v


@njit(cache=True, nogil=True)
def _turn(q, pieces, number, operators, limit, out):  # type: ignore[no-untyped-def]
    """Rotation vectors from the first pixel of each piece."""
    first = np.full((number, 2), -1, dtype=np.int64)
    rows, columns = pieces.shape
    for r in range(rows):
        for c in range(columns):
            s = pieces[r, c]
            if s < 0:
                continue
            if first[s, 0] < 0:
                first[s, 0], first[s, 1] = r, c
            rotation_vector(q[first[s, 0], first[s, 1]], q[r, c], operators, limit, out[r, c])
