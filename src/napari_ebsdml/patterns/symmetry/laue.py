"""Laue group and crystal system of a crystal, from its patterns alone."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, available_cores, part_of
from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import InputError
from napari_ebsdml.patterns.frame.masks import find_mask
from napari_ebsdml.patterns.symmetry.decision import (
    LEAST_CEILING,
    NAMES,
    SAME_LATTICE,
    Pool,
    of_one_lattice,
    pairs,
    probabilities,
)
from napari_ebsdml.patterns.symmetry.distortion import Distortion, distortion_of, families
from napari_ebsdml.patterns.symmetry.even import DIVIDED, common_background
from napari_ebsdml.patterns.symmetry.groups import GROUPS, SYSTEMS
from napari_ebsdml.patterns.symmetry.joint import Joint, judged
from napari_ebsdml.patterns.symmetry.laue_words import nothing, words, words_together
from napari_ebsdml.patterns.symmetry.mosaic import LEAST_PATTERNS, laid, orientations_of
from napari_ebsdml.patterns.symmetry.operators import Placement, place, refined
from napari_ebsdml.patterns.symmetry.straight import bands_in
from napari_ebsdml.patterns.symmetry.view import View, bounds_of, flat_images, stack_of, views_of

Floats = NDArray[np.float64]

_ORDERS = (2, 3, 4, 6)


@dataclass(frozen=True, eq=False)
class Axis:
    """An axis of symmetry as one pattern shows it.

    Attributes
    ----------
    order
        2, 3, 4 or 6. A twofold axis stands for the mirror normal to it too: a pattern cannot
        tell them apart (Friedel).
    direction : (3,) array
        Unit vector in the detector's frame: x right, y up, z from the sample to the screen.
    correlation
        Of the pattern with itself carried by the axis; NaN where this view cannot test it.
    part
        Part of the screen that tells it.
    pattern
        Number of the pattern.
    """

    order: int
    direction: Floats
    correlation: float
    part: float
    pattern: int = 0


@dataclass(frozen=True, eq=False)
class LaueResult:
    """What the patterns of one crystal tell of its symmetry.

    Attributes
    ----------
    group : frozenset of str
        Laue groups that the patterns leave: the most probable ones, of together at least 90 per
        cent. Empty when nothing is supported.
    system
        Crystal system of the most probable group; None when no symmetry is supported: noise, an
        amorphous or overlapped pattern, a wrong camera, or a triclinic crystal of which too few
        patterns are there to hold together.
    probability
        Of the most probable Laue group, 0..1.
    probabilities : dict of str -> float
        Of each of the 11 Laue groups; ``"-1"`` stands for no symmetry at all.
    state : dict of str -> str
        Of each Laue group: ``"supported"``, ``"contradicted"`` by an operation that these views
        test, or ``"not tested"`` beyond a group that it contains.
    axes : tuple of Axis
        Axes of the most probable group in each pattern; empty when nothing is supported.
    frames : (n, 3, 3) array
        Columns: the axes x, y, z of the most probable group in each pattern's detector frame.
    camera : Camera
        The pattern centres that were given or found.
    is_searched
        Whether the camera was searched for.
    sentence
        All this in words.
    """

    group: frozenset[str]
    system: str | None
    probability: float
    probabilities: dict[str, float]
    state: dict[str, str]
    axes: tuple[Axis, ...]
    frames: Floats
    camera: Camera
    is_searched: bool
    sentence: str

    @property
    def best(self) -> str | None:
        """Most probable Laue group, None when nothing is supported."""
        if self.system is None:
            return None
        return max(self.probabilities, key=lambda name: self.probabilities[name])


def laue_group(
    patterns: Any,
    detector: Any = None,
    *,
    mask: NDArray[np.bool_] | None = None,
    progress: Progress = None,
) -> LaueResult:
    """Tell the Laue group of a crystal from its patterns, with no phase, library or orientation.

    Parameters
    ----------
    patterns : ([n,] rows, columns) array
        Patterns of one crystal in unknown, different orientations; their evidence is added. A
        dozen tells far more than one. Without the background of the camera: what all patterns
        share passes for symmetry. Raw patterns, where they are five or more, are divided by their
        mean; fewer have to be divided by the mean of their map first.
    detector : kikuchipy EBSDDetector, Camera or (3,) or (n, 3) array, optional
        One pattern centre or n of them; an array in Bruker's convention. None: it is searched
        for, one for all patterns.
    mask : (rows, columns) bool array, optional
        True where pixels carry signal. Default: found from the patterns.
    progress
        Called with the part done; may raise to cancel.

    Returns
    -------
    LaueResult

    Raises
    ------
    InputError
        When the arguments are no patterns or no detector.
    NoCameraError
        When a detector is given that tells no pattern centre.

    Notes
    -----
    A pattern shows its crystal's Laue group on the half sphere of directions. For a rotation R,
    c(R) is the correlation of the pattern with itself carried by R, where the screen sees both.
    Each Laue group is put where it fits a pattern best; its evidence and the correlation of its
    operations within and without its subgroups are pooled over patterns and turned into
    probabilities, fitted on simulated crystals of all groups (`benchmarks/laue_groups.py`).
    Four patterns and more, in distinct orientations, that agree where they overlap are judged
    together as well, see `symmetry.joint`.
    """
    stack = stack_of(patterns)
    common = common_background(stack, mask)
    if common is None:
        return _told_by(stack, detector, mask, progress)
    inside = find_mask(stack) if mask is None else mask
    answer = _told_by(stack / common, detector, inside, progress)
    return replace(answer, sentence=f"{answer.sentence} {DIVIDED}")


def _told_by(
    stack: NDArray[Any], detector: Any, mask: NDArray[np.bool_] | None, progress: Progress
) -> LaueResult:
    """The answer that patterns without a background give."""
    images, valid = flat_images(stack, mask)
    shape = (int(stack.shape[1]), int(stack.shape[2]))
    bands = bands_in(list(images), valid)
    if detector is not None:
        bounds = bounds_of(detector, shape, len(stack))
        views = views_of(images, valid, bounds)
        joint = joint_of(views, part_of(progress, 0.0, 0.5))
        placed = [] if joint else place_all(views, part_of(progress, 0.5))
        if progress is not None:
            progress(1.0)
        return told([Trial(placed, camera_of(detector, bounds, shape), joint, views)], False, bands)
    from napari_ebsdml.patterns.symmetry.camera import rival_cameras

    rivals = rival_cameras(images, valid, shape, part_of(progress, 0.0, 0.8))
    trials: list[Trial] = []
    for number, rival in enumerate(rivals):
        bounds = rival.bounds[None]
        first, last = (0.8 + 0.2 * (number + k) / len(rivals) for k in (0, 1))
        views = views_of(images, valid, bounds)
        joint = joint_of(views)
        placed = [] if joint else place_all(views, part_of(progress, first, last))
        trials.append(Trial(placed, camera_of(None, bounds, shape), joint, views))
    return told(trials, True, bands)


_CUBIC = "m-3m"
_MOST_ALONE = 12
"""Patterns that hold together which are judged one by one as well, at most."""
MOST_CUBIC = 0.88
"""Probability of a cubic group, at most, where patterns are judged one by one: of lattices within
some 2 % of a cube, sides of bands may hide the distortion, and within some 8 % a camera that was
searched for."""
FEW, NOT_CONTRADICTED = 4, 0.45
"""Patterns that are few, and the coset ratio from which m-3m is not contradicted by them."""


@dataclass(frozen=True, eq=False)
class Trial:
    """Placements of all groups in the patterns of one crystal with one camera.

    Attributes
    ----------
    placed
        Of each pattern by itself, the placements of all groups; not needed with `joint`, which
        holds what they say.
    camera
    joint
        What the patterns tell together; None where they do not hold together.
    views
        The patterns; needed with `joint`.
    """

    placed: Sequence[dict[str, Placement]]
    camera: Camera
    joint: Joint | None = None
    views: Sequence[View] = ()


def joint_of(views: Sequence[View], progress: Progress = None) -> Joint | None:
    """What patterns of one crystal tell together; None for few, for noise, and for several.

    Patterns in nearly one orientation share what the camera adds to them, and the light and dark
    sides that bands have in its frame. They hold together without any symmetry, so that each
    operation looks worse than it is: only patterns apart from each other are asked. What they tell
    one by one counts, too.
    """
    if np.mean([view.ceiling for view in views]) < LEAST_CEILING:
        return None
    of = orientations_of(views)
    distinct = [view for k, view in enumerate(views) if of[k] == k]
    if len(distinct) < LEAST_PATTERNS:
        return None
    mosaic = laid(distinct, progress)
    if not mosaic.is_one:
        return None
    joint = judged(mosaic)
    apart = mosaic.apart(GROUPS[joint.best].rotations, joint.frames[joint.best])
    alone = probabilities(Pool(place_all([distinct[k] for k in apart[:_MOST_ALONE]])))
    likely = NAMES[int(alone.argmax())]
    if likely != joint.best:
        # As few as they are under the group that the patterns show one by one.
        other = mosaic.apart(GROUPS[likely].rotations, joint.frames[likely])
        apart = min(apart, other, key=len)
    if len(apart) < LEAST_PATTERNS:
        return None
    if len(apart) < len(distinct):
        joint = judged(mosaic, apart)
    number = {k: n for n, k in enumerate(np.unique(of))}
    members = tuple(number[k] for k in of)
    return replace(joint, members=members, alone=alone).tested()


def place_all(views: Sequence[View], progress: Progress = None) -> list[dict[str, Placement]]:
    """Placements of all groups in each view, on all cores."""
    found: list[dict[str, Placement]] = []
    threads = min(len(views), available_cores())
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="ebsdml-symmetry") as pool:
        jobs = [pool.submit(place, view) for view in views]
        try:
            for job in jobs:
                found.append(job.result())
                if progress is not None:
                    progress(len(found) / len(jobs))
        except BaseException:
            for job in jobs:
                job.cancel()
            raise
    return found


def told(trials: Sequence[Trial], searched: bool, bands: int = 2) -> LaueResult:
    """The answer that placements of all groups in the patterns of one crystal give.

    Parameters
    ----------
    trials
        With the camera that was given, or with each of rival cameras.
    searched
        Whether the cameras were searched for.
    bands
        Whether the patterns show straight lines, see `straight.bands_in`.
    """
    together = [(trial, trial.joint) for trial in trials if trial.joint is not None]
    if together:
        # Of rival cameras the one with which the patterns agree best.
        return _told_together(*max(together, key=lambda one: one[1].mosaic.agreement), searched)
    if not trials or not trials[0].placed:
        raise InputError("There is no pattern.")
    pools = [Pool(trial.placed) for trial in trials]
    chances = _named(probabilities(pools, searched, bands))
    best = max(chances, key=lambda name: chances[name])
    suits = {name: int(np.argmax([pool.merit(name) for pool in pools])) for name in NAMES[1:]}
    if best == "-1":
        state = {name: "contradicted" if name != "-1" else "supported" for name in NAMES}
        first = suits[max(suits, key=lambda name: pools[suits[name]].merit(name))]
        return LaueResult(
            frozenset(), None, chances[best], chances, state, (), np.zeros((0, 3, 3)),
            trials[first].camera, searched, nothing(pools, suits, searched, bands),
        )  # fmt: skip
    trial, pool = trials[suits[best]], pools[suits[best]]
    distortion = None if searched else _distortion(trial, best)
    if SYSTEMS[best] == "cubic":
        chances = _nearly(chances, best, distortion)
        best = max(chances, key=lambda name: chances[name])
    kept = kept_of(chances, pool)
    state = {name: _state(pool, best, name, kept) for name in NAMES}
    frames = np.stack([one[best].frame for one in trial.placed])
    axes = tuple(axis for k, one in enumerate(trial.placed) for axis in _axes(one[best], k))
    return LaueResult(
        frozenset(kept), SYSTEMS[best], chances[best], chances, state, axes, frames, trial.camera,
        searched, words(
                pools, [one.camera for one in trials], suits, kept, chances, distortion
            ),
    )  # fmt: skip


def _distortion(trial: Trial, best: str) -> Distortion | None:
    """How far the lattice is from a cube, where that is told; for no other is it tried."""
    if SYSTEMS[best] != "cubic" or len(trial.views) != len(trial.placed):
        return None
    turns = np.stack([one[best].frame.T for one in trial.placed])
    return distortion_of(trial.views, turns, best, is_alone=True)


def _nearly(chances: dict[str, float], group: str, one: Distortion | None) -> dict[str, float]:
    """Probabilities with that of a cubic group shared with the subgroup that a distortion leaves.

    Also where none is seen: one that is small enough is not told from none.
    """
    shared = dict(chances)
    if one is not None:
        shared[one.family.smaller] += one.chance * chances[group]
        shared[group] *= 1 - one.chance
    for family in families(group)[:1]:
        more = max(0.0, shared[group] - MOST_CUBIC)
        shared[family.smaller] += more
        shared[group] -= more
    return shared


def _named(chances: Floats) -> dict[str, float]:
    return dict(zip(NAMES, (float(p) for p in chances), strict=True))


def _told_together(trial: Trial, joint: Joint, searched: bool) -> LaueResult:
    """The answer of patterns that hold together: they have one frame."""
    chances = _named(joint.probabilities())
    best = max(chances, key=lambda name: chances[name])
    kept = kept_of(chances, joint)
    state = {name: _state(joint, best, name, kept) for name in NAMES}
    frames = joint.frames_of(best)
    axes: list[Axis] = []
    for k, view in enumerate(trial.views):
        placed = refined(view, GROUPS[best], frames[k], 1, 0.4, 0.12)
        frames[k] = placed.frame
        axes += _axes(placed, k)
    return LaueResult(
        frozenset(kept), SYSTEMS[best], chances[best], chances, state, tuple(axes), frames,
        trial.camera, searched, words_together(joint, kept, chances),
    )  # fmt: skip


def kept_of(chances: dict[str, float], judge: Pool | Joint) -> list[str]:
    """The groups that together have 90 per cent, the likeliest first.

    None for no symmetry, unless patterns that hold together say so.

    Few patterns may show one axis of a cubic crystal well and the rest badly: then m-3m stays in
    the set unless its further operations fail where they are tested. A subgroup of the same lattice
    stays, however small its probability, where what the likeliest group has beyond it correlates
    less than operations of true holohedries do: pseudo-symmetry looks like that.
    """
    best = max(chances, key=lambda name: chances[name])
    kept: list[str] = []
    together = isinstance(judge, Joint)
    if best == "-1" and not together:
        return kept
    for name in sorted(chances, key=lambda name: -chances[name]):
        if sum(chances[k] for k in kept) >= 0.9:
            break
        if name != "-1" or together:
            kept.append(name)
    if isinstance(judge, Pool) and judge.number <= FEW and _CUBIC not in kept:
        ratio = judge.coset_ratio(_CUBIC, best) if GROUPS[_CUBIC].contains(GROUPS[best]) else 0.0
        if ratio is None or ratio >= NOT_CONTRADICTED:
            kept.append(_CUBIC)
    for group, smaller in pairs():
        if group == best and smaller not in kept and of_one_lattice(best, smaller):
            ratio = judge.coset_ratio(best, smaller)
            if ratio is not None and ratio < SAME_LATTICE[0]:
                kept.append(smaller)
    return kept


def _state(judge: Pool | Joint, best: str, name: str, kept: Sequence[str]) -> str:
    if name in kept or GROUPS[best].contains(GROUPS[name]):
        return "supported"
    return "contradicted" if judge.is_tested(name, best) else "not tested"


def _axes(placed: Placement, pattern: int) -> list[Axis]:
    """The axes of a placement, each with the operation of its highest order."""
    axes, turns = GROUPS[placed.group].operations
    found: dict[tuple[float, ...], int] = {}
    for k, axis in enumerate(axes):
        key = tuple(np.round(axis, 3))
        if key not in found or turns[k] > turns[found[key]]:
            found[key] = k
    made = []
    for k in found.values():
        tested = placed.part[k] > 0
        made.append(Axis(
            _ORDERS[turns[k]], placed.frame @ axes[k],
            float(placed.correlation[k]) if tested else float("nan"), float(placed.part[k]),
            pattern,
        ))  # fmt: skip
    return made


def camera_of(detector: Any, bounds: Floats, shape: tuple[int, int]) -> Camera:
    """The camera that was given, or one of the pattern centres of gnomonic bounds (n, 4)."""
    if isinstance(detector, Camera):
        return detector
    if hasattr(detector, "gnomonic_bounds"):
        return Camera.of(detector)
    x0, x1, y0, y1 = bounds.T
    centres = np.stack([-x0 / (x1 - x0), y1 / (y1 - y0), 1 / (y1 - y0)], axis=1)
    return Camera(shape=shape, pc=centres[0] if np.ptp(centres, axis=0).max() < 1e-9 else centres)
