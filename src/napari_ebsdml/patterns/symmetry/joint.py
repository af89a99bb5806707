"""Laue groups told from patterns laid beside each other: what operations do to their mosaic.

One screen tests an operation on a small part of the half sphere, and ten screens each by itself
test it ten times on a small part. On the mosaic of all of them each operation of each group meets
nearly the whole half sphere, and each pattern is compared with the others only. So the correlation
of patterns with the turned sphere, over that with the sphere as it lies, is free of noise: near 1
for an operation of the crystal, however noisy, and less for one of pseudo-symmetry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.patterns.symmetry import _mosaic_kernels as kernels
from napari_ebsdml.patterns.symmetry import _sphere_kernels as sphere_kernels
from napari_ebsdml.patterns.symmetry.decision import NAMES, kinds, pairs
from napari_ebsdml.patterns.symmetry.distortion import Distortion, distortion_of
from napari_ebsdml.patterns.symmetry.groups import GROUPS, TURNS, turn
from napari_ebsdml.patterns.symmetry.mosaic import SOFT, Cells, Mosaic
from napari_ebsdml.patterns.symmetry.operators import (
    ANGLES,
    LEAST,
    LEAST_MAIN,
    STILL,
    WEIGHTS,
    candidates,
    embeddings,
    half_cube,
)
from napari_ebsdml.patterns.symmetry.sphere import SIDE, MeasuredSphere, Rays, split
from napari_ebsdml.patterns.symmetry.view import View

Floats = NDArray[np.float64]

MIDDLE, WIDTH = 0.76, 0.04
"""Ratio of a kind of operations that tells nothing, and the scale about it, of many patterns."""
_FEW, _MANY = 2.5, 8.0
"""The scale holds from their sum on. Ratios of fewer patterns scatter more, and patterns of a few
orientations share light and dark sides of bands, which operations of the crystal do not carry
over: they count for less, linearly, to nothing at `_FEW`."""
_ALONE = 0.5
"""Power of the probabilities of patterns judged one by one where the scale holds; 1 where patterns
are few. Within one screen noise, and what the camera adds, is the same for all operations."""
_TESTED = 0.3
_SETTLE = (0.4, 0.1)
_LEAST_PART = 0.05
_SCAN, _ROUGH, _FINE = 20, 16, 45
_STEPS = 45


@dataclass(frozen=True, eq=False)
class Joint:
    """What a mosaic tells of the Laue group.

    Attributes
    ----------
    mosaic : Mosaic
    frames : dict of str -> (3, 3) array
        Columns: each group's axes in the frame of the mosaic.
    ratios, weights : dict of str -> (k,) array
        Of each operation of each group: correlation over that of the identity, and the patterns
        that tell it (the sum of their parts).
    number : int
        Patterns that were asked and lie in place.
    members : tuple of int
        Of each pattern that was given, the pattern of the mosaic in its orientation.
    distortions : tuple of Distortion
        How far the lattice is from those of groups that were the most probable ones.
    alone : (11,) array, optional
        Probabilities that patterns give which are judged one by one, see `decision.probabilities`.
    """

    mosaic: Mosaic
    frames: dict[str, Floats]
    ratios: dict[str, Floats]
    weights: dict[str, Floats]
    number: int
    members: tuple[int, ...] = ()
    distortions: tuple[Distortion, ...] = ()
    alone: Floats | None = None

    @property
    def best(self) -> str:
        """The most probable group."""
        return NAMES[int(self.probabilities().argmax())]

    def ratio(self, name: str, which: NDArray[np.bool_] | NDArray[np.intp]) -> float | None:
        """Mean ratio of some operations of a group; None where patterns hardly test them."""
        weight = self.weights[name][which]
        if weight.sum() < _TESTED:
            return None
        return float((weight * self.ratios[name][which]).sum() / weight.sum())

    def coset_ratio(self, name: str, smaller: str) -> float | None:
        """Mean ratio of the operations outside a subgroup over that of those inside it."""
        inside = pairs()[name, smaller]
        outer, inner = self.ratio(name, ~inside), self.ratio(name, inside)
        if outer is None:
            return None
        return outer / max(inner or 1.0, 0.05)

    def weakest(self, name: str) -> float:
        """Least ratio of a kind of operations of a group that is tested."""
        found = [self.ratio(name, kind) for kind in kinds(name)]
        return min((value for value in found if value is not None), default=0.0)

    def is_tested(self, name: str, best: str) -> bool:
        """Whether patterns test what a group has beyond the best one, at least a little."""
        which = ~pairs()[name, best] if (name, best) in pairs() else slice(None)
        return bool(self.weights[name][which].sum() >= _TESTED)

    def probabilities(self) -> Floats:
        """Probability of each group of `decision.NAMES`, the first of which has no operations.

        Each kind of operations speaks for a group or against it; large kinds say more, few
        patterns less, and what patterns tell one by one counts, too. What speaks for a group whose
        lattice is found distorted speaks for the one that is left.
        """
        score = np.zeros(len(NAMES))
        for k, name in enumerate(NAMES[1:], 1):
            for kind in kinds(name):
                value = self.ratio(name, kind)
                if value is not None:
                    score[k] += np.sqrt(len(kind)) * (value - MIDDLE) / WIDTH
        part = min(1.0, max(self.number - _FEW, 0.0) / _MANY)
        score *= part
        if self.alone is not None:
            alone = np.maximum(self.alone, 1e-3)
            # No symmetry, told one by one, says that little is tested; not so together.
            alone[0] = alone[1:].mean()
            score += (1 - (1 - _ALONE) * part) * np.log(alone)
        chance = np.exp(score - score.max())
        for one in self.distortions:
            at, left = (NAMES.index(name) for name in (one.family.group, one.family.smaller))
            chance[left] += one.chance * chance[at]
            chance[at] *= 1 - one.chance
        return np.asarray(chance / chance.sum())

    def tested(self) -> Joint:
        """The same with the lattice of the most probable group tested for a distortion.

        Patterns that lie on their images under an operation which the crystal lacks are turned
        back, and all groups judged anew.
        """
        found = self
        while found.best not in [one.family.group for one in found.distortions]:
            mosaic, best = found.mosaic, found.best
            which = np.flatnonzero(mosaic.holds)
            turns = found.frames[best].T @ mosaic.turns[which]
            one = distortion_of([mosaic.views[k] for k in which], turns, best)
            if one is None:
                break
            distortions = (*found.distortions, one)
            if one.chance > 0.5:
                back = mosaic.turns.copy()
                back[which] = found.frames[best] @ one.family.turns[one.images] @ turns
                # Of the axes that were alike, one is now another.
                left = {one.family.smaller: found.frames[best] @ one.family.frame}
                found = judged(mosaic.turned(back), near=left)
            found = replace(found, distortions=distortions, members=self.members, alone=self.alone)
        return found

    def sphere_of(self, name: str, views: Sequence[View]) -> MeasuredSphere:
        """The given patterns that lie in place merged, with the symmetry of a group."""
        good = np.flatnonzero(self.mosaic.in_place[list(self.members)])
        return MeasuredSphere.merged(
            [views[int(k)] for k in good], self.frames_of(name)[good], name
        )

    def frames_of(self, name: str) -> Floats:
        """Axes of a group (n, 3, 3) in the detector's frame of each pattern, as columns."""
        turns = self.mosaic.turns[list(self.members)]
        return np.asarray(np.swapaxes(turns, 1, 2) @ self.frames[name])


def judged(
    mosaic: Mosaic, which: Sequence[int] | None = None, near: dict[str, Floats] | None = None
) -> Joint:
    """Put all Laue groups where they fit a mosaic best, and measure their operations.

    Parameters
    ----------
    mosaic
    which
        Patterns to ask, in distinct orientations. Default: all that hold.
    near : dict of str -> (3, 3) array, optional
        Frames of groups that are known to some tenths of a degree; the others are searched for.
    """
    mosaic = mosaic if which is None else mosaic.only(which)
    frames = _placed(mosaic, near or {})
    ratios = {name: np.zeros(len(GROUPS[name].operations[1])) for name in NAMES}
    weights = {name: np.zeros_like(ratios[name]) for name in NAMES}
    identity = np.zeros(2)
    for k in np.flatnonzero(mosaic.holds):
        sphere = mosaic.cells(without=int(k))
        part, value = _compared(mosaic.views[k], mosaic.turns[k].copy(), sphere)
        identity += part * value, part
        for name, frame in frames.items():
            axes, turns = GROUPS[name].operations
            for j, (axis, t) in enumerate(zip(axes, turns, strict=True)):
                for sign in (1, -1) if t else (1,):
                    place = turn(frame @ axis, sign * TURNS[t]) @ mosaic.turns[k]
                    part, value = _compared(mosaic.views[k], place, sphere)
                    part /= 2 if t else 1
                    ratios[name][j] += part * value
                    weights[name][j] += part
    reference = max(identity[0] / max(identity[1], 1e-9), 1e-3)
    for name in NAMES:
        ratios[name] /= np.maximum(weights[name], 1e-9) * reference
    number = int(mosaic.holds.sum())
    return Joint(mosaic, frames | {NAMES[0]: np.eye(3)}, ratios, weights, number)


def _compared(view: View, place: Floats, cells: Cells) -> tuple[float, float]:
    """Part of a pattern on a sphere near a place, and its correlation there.

    Patterns lie where they fit the sphere best; so they may settle after operations, too.
    """
    rays, values = split(view.fine_rays[::2]), view.fine_values[::2].copy()
    first, last = np.deg2rad(_SETTLE)
    number, value = sphere_kernels.climb(place, rays, values, cells, SIDE, first, last, _LEAST_PART)
    return number / len(values), value


def _placed(mosaic: Mosaic, near: dict[str, Floats]) -> dict[str, Floats]:
    """Frames of all groups but the first where they fit the mosaic best, some near known ones."""
    cells, soft = mosaic.cells(), mosaic.cells(blur=SOFT)
    rays, values = _samples(soft, _SCAN)
    axes = half_cube(_STEPS)
    correlation, part = np.zeros((2, len(TURNS), len(axes)))
    for t in range(len(TURNS)):
        which = np.full(len(axes), t)
        kernels.scan_sphere(
            axes, which, ANGLES, rays, values, soft, SIDE, STILL, LEAST, correlation[t], part[t]
        )
    weight = np.ascontiguousarray(part.T) * WEIGHTS
    table = weight * correlation.T
    least = LEAST_MAIN * float(np.quantile(correlation, 0.999))
    rough, fine = (soft, *_samples(soft, _ROUGH)), (cells, *_samples(cells, _FINE))
    found: dict[str, Floats] = {}
    for name in NAMES[1:]:
        if name in near:
            found[name] = _refined(name, near[name], *fine, 0.3, 0.15)[1]
            continue
        frames = candidates(GROUPS[name], table, weight, _STEPS, least)
        frames += [found[h] @ q for h, q in embeddings(name) if h in found]
        tried = [_refined(name, frame, *rough, 2.0, 0.6) for frame in frames]
        best = max(tried, key=lambda one: one[0])[1]
        found[name] = _refined(name, best, *fine, 0.6, 0.15)[1]
    return found


def _samples(cells: Cells, side: int) -> tuple[Rays, Cells]:
    """Directions evenly over a sphere where it is known, and its values."""
    directions = half_cube(side)
    out = np.empty((1, len(directions)), np.float32)
    sphere_kernels.project(directions, np.eye(3)[None], cells, SIDE, out)
    known = out[0] < 1e8
    return split(directions[known].astype(np.float32)), out[0][known]


def _score(name: str, frame: Floats, cells: Cells, rays: Rays, values: Cells) -> float:
    """S |S| / 2N over the operations of a group, see `_kernels.search_frames`."""
    axes, turns = GROUPS[name].operations
    correlation, part = np.zeros((2, len(turns)))
    kernels.scan_sphere(
        np.ascontiguousarray(axes @ frame.T), turns, ANGLES, rays, values, cells, SIDE, STILL,
        LEAST, correlation, part,
    )  # fmt: skip
    weight = WEIGHTS[turns] * part
    total = float(weight.sum())
    s = float((weight * correlation).sum())
    return s * abs(s) / (2 * total) if total > 0 else -1e9


def _refined(
    name: str, frame: Floats, cells: Cells, rays: Rays, values: Cells,
    first: float, last: float,
) -> tuple[float, Floats]:  # fmt: skip
    """Score and frame of a group after turns of the frame, from `first` to `last` degrees."""
    best = _score(name, frame, cells, rays, values)
    size = first
    while size > last:
        moved = False
        for axis in np.eye(3):
            for sign in (1, -1):
                trial = frame @ turn(axis, sign * size)
                value = _score(name, trial, cells, rays, values)
                if value > best + 1e-7:
                    best, frame, moved = value, trial, True
                    break
        if not moved:
            size /= 2
    return best, frame
