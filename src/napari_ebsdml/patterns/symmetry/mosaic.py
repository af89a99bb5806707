"""Patterns of one crystal laid beside each other on one sphere, with no symmetry assumed.

A screen sees a fifth to a third of the half sphere, so that some pairs of patterns overlap whatever
the crystal is, and where they do they must show the same. The patterns that overlap best are laid
first; the sphere grows, and the others find their place on it. Each pattern's place is told by the
others alone, so that what an operation does to the sphere can be measured from pattern to
pattern, free of each pattern's own noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_ebsdml._parallel import Progress, available_cores
from napari_ebsdml.patterns.symmetry import _mosaic_kernels as kernels
from napari_ebsdml.patterns.symmetry import _sphere_kernels as sphere_kernels
from napari_ebsdml.patterns.symmetry._kernels import HOLE
from napari_ebsdml.patterns.symmetry.sphere import SIDE, UNKNOWN, rotation_grid, split
from napari_ebsdml.patterns.symmetry.view import View

Floats = NDArray[np.float64]
Cells = NDArray[np.float32]

SHARP, SOFT = 0.7, 1.6
"""Blur in cells of the sphere that places are refined on and searched on."""
_STEP = 5.2
_OVERLAP, _REFINED_OVERLAP = 0.3, 0.1
"""Part of a pattern that must lie on the sphere where its place is searched for, and refined."""
_CANDIDATES = 48
_FOUND, _TAKEN, _NEAR_BEST = 0.5, 0.65, 0.9
"""Correlation, as a part of what the noise allows, of a pattern in its place: at least; of one that
is taken at once; and as a part of the best one's."""
HOLDS, _OF_TYPICAL = 0.6, 0.8
"""Correlation with the others of a pattern in its place: as a part of what the noise allows, and of
what the patterns reach in the median."""
_LOST = 0.7
_GOOD = 0.95
_APART = float(np.cos(np.deg2rad(12.0)))
_ALIKE = 0.6
"""Correlation of two patterns of one orientation, as a part of what the noise allows."""
_LAID_FIRST = 12
"""Patterns, the clearest, that the sphere is laid of; the rest find their place on it."""
LEAST_PATTERNS, LEAST_PART = 4, 0.6
"""Patterns, and part of all, that must hold together; fewer overlap too little."""


@dataclass(frozen=True, eq=False)
class Mosaic:
    """Patterns in one frame.

    Attributes
    ----------
    views : tuple of View
    turns : (n, 3, 3) array
        Rotation of each pattern from the detector's frame to the common one.
    fits : (n,) array
        Correlation of each pattern with the sphere of all others.
    sums : (n, 2, cells) array
        What each pattern adds to the sphere: values and weights of cells.
    asked : (n,) bool array
        Patterns that make the sphere; the others only have their place on it.
    """

    views: tuple[View, ...]
    turns: Floats
    fits: Floats
    sums: Floats
    asked: NDArray[np.bool_]

    @property
    def in_place(self) -> NDArray[np.bool_]:
        """Which patterns agree with the others as far as their noise lets them."""
        reached = self.fits / np.maximum([view.ceiling for view in self.views], 1e-3)
        typical = float(np.median(reached))
        return np.asarray(reached > max(HOLDS, _OF_TYPICAL * typical))

    @property
    def holds(self) -> NDArray[np.bool_]:
        """Which patterns in place make the sphere."""
        return self.in_place & self.asked

    def only(self, which: Sequence[int]) -> Mosaic:
        """The same places, with a sphere of these patterns alone."""
        return replace(self, asked=np.isin(np.arange(len(self.views)), which))

    def turned(self, turns: Floats) -> Mosaic:
        """The same patterns in other places near which they settle, those in place alone."""
        sums, fits, turns = self.sums.copy(), self.fits.copy(), turns.copy()
        which = np.flatnonzero(self.in_place)
        views = [self.views[k] for k in which]
        for k, view in zip(which, views, strict=True):
            sums[k] = _sums(view, turns[k])
        places, laid_sums, reached = turns[which], sums[which], fits[which]
        ceilings = np.array([max(view.ceiling, 1e-3) for view in views])
        _settle(views, places, laid_sums, reached, ceilings)
        turns[which], sums[which], fits[which] = places, laid_sums, reached
        return replace(self, turns=turns, fits=fits, sums=sums)

    def apart(self, rotations: Floats, frame: Floats) -> list[int]:
        """Patterns that hold, of which none lies near another or its images under a group.

        Parameters
        ----------
        rotations : (k, 3, 3) array
            Of the group.
        frame : (3, 3) array
            Columns: the group's axes in the frame of the mosaic.
        """
        operations = frame @ rotations @ frame.T
        kept: list[int] = []
        for k in np.argsort(-self.fits * self.holds, kind="stable")[: int(self.holds.sum())]:
            images = operations @ self.turns[k]
            cosines = [
                (np.einsum("kij,ij->k", images, self.turns[other]).max() - 1) / 2 for other in kept
            ]
            if not cosines or max(cosines) < _APART:
                kept.append(int(k))
        return kept

    @property
    def is_one(self) -> bool:
        """Whether so many patterns agree that they show one crystal."""
        return int(self.holds.sum()) >= max(LEAST_PATTERNS, LEAST_PART * len(self.views))

    @property
    def agreement(self) -> float:
        """Mean correlation with the others of patterns that hold, 0 when none does."""
        return float(self.fits[self.holds].mean()) if self.holds.any() else 0.0

    def cells(self, without: int | None = None, blur: float = SHARP) -> Cells:
        """Cells of the sphere, of all patterns that hold but one."""
        which = self.holds
        if without is not None:
            which[without] = False
        return cells_of(self.sums[which].sum(axis=0), blur)


def cells_of(sums: Floats, blur: float) -> Cells:
    """Normalised cells of a sphere from sums of values and weights (2, cells)."""
    total, count = (
        np.concatenate([gaussian_filter(face, blur).ravel() for face in v.reshape(3, SIDE, SIDE)])
        for v in sums
    )
    known = count > 0.02 * (SHARP / blur) ** 2
    if not known.any():
        return np.full(len(total), UNKNOWN)
    values = total / np.maximum(count, 1e-9)
    inside = values[known]
    values = (values - inside.mean()) / max(float(inside.std()), 1e-6)
    return np.where(known, values, UNKNOWN).astype(np.float32)


@cache
def _grid() -> NDArray[np.float32]:
    return rotation_grid("-1", _STEP).astype(np.float32)


def orientations_of(views: Sequence[View]) -> NDArray[np.intp]:
    """For each pattern the clearest one in the same orientation, itself where there is none."""
    images = [np.where(view.fine < HOLE / 10, view.fine, 0.0).ravel() for view in views]
    found = np.arange(len(views))
    kept: list[int] = []
    for k in np.argsort([-view.ceiling for view in views], kind="stable"):
        for other in kept:
            both = np.linalg.norm(images[k]) * np.linalg.norm(images[other])
            alike = float(images[k] @ images[other]) / max(float(both), 1e-9)
            if alike > _ALIKE * np.sqrt(views[k].ceiling * views[other].ceiling):
                found[k] = other
                break
        else:
            kept.append(int(k))
    return found


def laid(views: Sequence[View], progress: Progress = None) -> Mosaic:
    """Lay patterns beside each other.

    Parameters
    ----------
    views
        Of one crystal, in different orientations.
    progress
        Called with the part done; may raise to cancel.

    Returns
    -------
    Mosaic
        Of all of them; `Mosaic.holds` tells which have found their place.
    """
    number = len(views)
    turns, fits = np.zeros((number, 3, 3)), np.zeros(number)
    sums = np.zeros((number, 2, 3 * SIDE**2))
    ceilings = np.array([max(view.ceiling, 1e-3) for view in views])
    first, *others = (int(k) for k in np.argsort(-ceilings, kind="stable"))
    turns[first] = np.eye(3)
    sums[first] = _sums(views[first], turns[first])
    left, later = others[: _LAID_FIRST - 1], others[_LAID_FIRST - 1 :]
    with ThreadPoolExecutor(available_cores(), thread_name_prefix="ebsdml-mosaic") as pool:
        while left or later:
            if not left:
                left, later = later, []
            whole = sums.sum(axis=0)
            cells, soft = cells_of(whole, SHARP), cells_of(whole, SOFT)
            jobs = [pool.submit(_place, views[k], cells, soft) for k in left]
            found = dict(zip(left, (job.result() for job in jobs), strict=True))
            # A part of the overlap that is small may agree by chance.
            value = {
                k: fit / ceilings[k] * min(1.0, 2 * part) ** 0.25
                for k, (fit, part, _) in found.items()
            }
            best = max(value.values())
            if best < _FOUND:
                break
            is_last = number - len(left) >= _LAID_FIRST
            least = -np.inf if is_last else min(best, max(_TAKEN, _NEAR_BEST * best))
            taken = [k for k in left if value[k] >= least]
            for k in taken:
                turns[k] = found[k][2]
                sums[k] = _sums(views[k], turns[k])
                left.remove(k)
            if progress is not None:
                progress(0.8 * (number - len(left) - len(later)) / number)
    turns[~turns.any(axis=(1, 2))] = np.eye(3)
    asked = np.ones(number, bool)
    if number - len(left) - len(later) < LEAST_PATTERNS:
        return Mosaic(tuple(views), turns, fits, sums, asked)
    _settle(views, turns, sums, fits, ceilings)
    for part in (0.9, 1.0):
        _move_to_the_best(views, turns, sums, fits / ceilings)
        _settle(views, turns, sums, fits, ceilings)
        if progress is not None:
            progress(part)
    return Mosaic(tuple(views), turns, fits, sums, asked)


def _settle(
    views: Sequence[View], turns: Floats, sums: Floats, fits: Floats, ceilings: Floats
) -> None:
    """Turn each pattern, in place, to where it fits the sphere of all others; its fit there."""
    whole = sums.sum(axis=0)
    for k, view in enumerate(views):
        rest = whole - sums[k]
        cells = cells_of(rest, SHARP)
        place = turns[k].copy()
        fit, part = _climbed(place, view, cells, 1, 0.6, 0.08, _REFINED_OVERLAP)
        if fit < _LOST * ceilings[k]:
            other_fit, other_part, other = _place(view, cells, cells_of(rest, SOFT))
            if other_fit * np.sqrt(other_part) > fit * np.sqrt(part):
                fit, place = other_fit, other
        turns[k], fits[k] = place, fit
        sums[k] = _sums(view, place)
        whole = rest + sums[k]


def _move_to_the_best(views: Sequence[View], turns: Floats, sums: Floats, reached: Floats) -> None:
    """Place again, in place, what fits worse than the better half, on the sphere of that half.

    Patterns in a wrong place that looks nearly right (a twin of pseudo-symmetry) hold each other
    there.
    """
    better = reached >= np.median(reached)
    core = sums[better].sum(axis=0)
    cells, soft = cells_of(core, SHARP), cells_of(core, SOFT)
    worse = ~better & (reached < _GOOD * reached[better].max())
    for k in (int(k) for k in np.flatnonzero(worse)):
        fit, part, place = _place(views[k], cells, soft)
        trial = turns[k].copy()
        own, own_part = _climbed(trial, views[k], cells, 1, 0.6, 0.08, _OVERLAP)
        if fit * np.sqrt(part) > own * np.sqrt(own_part):
            turns[k], sums[k] = place, _sums(views[k], place)


def _sums(view: View, turn: Floats) -> Floats:
    sums = np.zeros((2, 3 * SIDE**2))
    sphere_kernels.gather(
        view.fine_rays, view.fine_values, np.ascontiguousarray(turn[None]), 1.0, SIDE, *sums
    )
    return sums


def _place(view: View, cells: Cells, soft: Cells) -> tuple[float, float, Floats]:
    """Where a pattern fits a sphere best: fit, part of it on the sphere, turn."""
    grid = _grid()
    score = np.empty(len(grid))
    rays, values = split(view.coarse_rays[::4]), view.coarse_values[::4].copy()
    kernels.search_turns(grid, rays, values, soft, SIDE, _OVERLAP, score)
    best, place = -np.inf, np.eye(3)
    for at in np.argpartition(-score, _CANDIDATES)[:_CANDIDATES]:
        trial = grid[at].astype(np.float64)
        fit, part = _climbed(trial, view, cells, 4, 2.0, 0.5, _OVERLAP)
        if fit * np.sqrt(part) > best:
            best, place = fit * np.sqrt(part), trial
    fit, part = _climbed(place, view, cells, 1, 0.6, 0.08, _OVERLAP)
    return fit, part, place


def _climbed(
    turn: Floats, view: View, cells: Cells, step: int, first: float, last: float, least: float
) -> tuple[float, float]:
    """Climb with a turn, in place, by steps of degrees; fit, and part on the sphere."""
    rays, values = split(view.fine_rays[::step]), view.fine_values[::step].copy()
    number, fit = sphere_kernels.climb(
        turn, rays, values, cells, SIDE, np.deg2rad(first), np.deg2rad(last), least
    )
    return float(fit), number / len(values)
