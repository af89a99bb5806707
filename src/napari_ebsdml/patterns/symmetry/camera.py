"""The pattern centre of patterns of which nothing is known: where their symmetry is best.

Symmetry calibrates a camera without knowing the material: with a wrong pattern centre, the angles
between bands are wrong, and no rotation carries a pattern onto itself. Tilts need not be known,
because each crystal may be turned in any way.

One pattern leaves much open: with some wrong pattern centre it may look as symmetric as with the
right one, only of another group. So each group gets the pattern centre that suits it best, and all
are handed on (`rival_cameras`); patterns of many crystals tell one centre (`search_camera`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, available_cores, part_of
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.symmetry.groups import GROUPS
from napari_ebsdml.patterns.symmetry.operators import Placement, place, refined
from napari_ebsdml.patterns.symmetry.straight import sharpness
from napari_ebsdml.patterns.symmetry.view import View, views_of

Floats = NDArray[np.float64]

CENTRES: tuple[tuple[float, ...], ...] = (
    (0.4, 0.5, 0.6), (0.15, 0.27, 0.39, 0.51), (0.45, 0.53, 0.62, 0.73, 0.86),
)  # fmt: skip
"""Pattern centres to start from: Bruker's x, y and z."""
MOST = 10
"""Patterns that take part, at most."""
_ROUGH_PATTERNS = 3
_FINALISTS = 5
_ROUGH_SIDE = 24
_RIVALS = 3
_LEADING = ("m-3m", "6/mmm", "4/mmm", "-3m", "mmm", "2/m")
_STARTS = 2
_SOFT = 3
_ALONG = (-0.06, -0.03, 0.0, 0.03, 0.06)
_SAME = 0.004
_REACHED = 0.8


@dataclass(frozen=True, eq=False)
class SymmetryCamera:
    """A pattern centre found by symmetry.

    Attributes
    ----------
    bounds : (4,) array
        Gnomonic x_min, x_max, y_min, y_max.
    centre
        Pattern centre in Bruker's convention.
    evidence
        Mean over the patterns of the best group's evidence: plain from `search_camera`, see
        `_merit` else.
    group
        The Laue group that it was found with.
    """

    bounds: Floats
    centre: tuple[float, float, float]
    evidence: float
    group: str


Value = Callable[[Sequence[Placement]], float]


def _merit(placed: Sequence[Placement]) -> float:
    """Evidence of one group in all patterns, less where its operations do not reach the ceiling.

    Many operations that correlate weakly add up to much evidence, but are none of the crystal.
    """
    total = sum(one.score for one in placed)
    reached = float(np.mean([one.agreement for one in placed]))
    return total * min(1.0, max(reached, 0.0) / _REACHED) ** 2


def _plain(placed: Sequence[Placement]) -> float:
    """Evidence as it is: many patterns do not agree by chance on one pattern centre."""
    return sum(one.score for one in placed)


def search_camera(
    images: NDArray[np.float32],
    valid: NDArray[np.bool_],
    shape: tuple[int, int],
    progress: Progress = None,
) -> SymmetryCamera:
    """Find the one pattern centre with which patterns are most symmetric.

    Parameters
    ----------
    images : (n, rows, columns) array
        Flat patterns of one or of several crystals, see `view.flat_images`.
    valid : (rows, columns) bool array
    shape
        Rows and columns of the screen as the pattern centre means it.
    progress
        Called with the part done; may raise to cancel.

    Returns
    -------
    SymmetryCamera

    Notes
    -----
    From each pattern centre of a coarse grid the groups are placed roughly in the few sharpest
    patterns; from the best of these, the pattern centre climbs in shrinking steps, the frames of
    all patterns with it.
    """
    order = np.argsort([-sharpness(image, valid) for image in images], kind="stable")
    images = images[order[:MOST]]
    start = Geometry.from_angles((0.5, 0.3, 0.6), shape).bounds
    views = views_of(images, valid, np.broadcast_to(start, (len(images), 4)))
    rough = views[:_ROUGH_PATTERNS]

    starts = [Geometry.from_angles(centre, shape).bounds[0] for centre in product(*CENTRES)]
    placed = _everywhere(rough, starts, part_of(progress, 0.0, 0.6))
    total = [sum(_best(one).score for one in all_views) for all_views in placed]
    climbed: list[SymmetryCamera] = []
    for number, at in enumerate(np.argsort(total)[::-1][:_FINALISTS]):
        climbed.append(climb(rough, starts[at], 0.03, 0.006, 3, value_of=_plain))
        if progress is not None:
            progress(0.6 + 0.2 * (number + 1) / _FINALISTS)
    climbed.sort(key=lambda camera: -camera.evidence)
    # The few sharpest patterns may agree on a wrong centre, with which all agree less.
    ends = _apart([camera.bounds for camera in climbed])[:_RIVALS]
    last = [climb(views, bounds, 0.012, 0.0015, 2, value_of=_plain) for bounds in ends]
    best = max(last, key=lambda camera: camera.evidence)
    if progress is not None:
        progress(1.0)
    return best


def rival_cameras(
    images: NDArray[np.float32],
    valid: NDArray[np.bool_],
    shape: tuple[int, int],
    progress: Progress = None,
) -> list[SymmetryCamera]:
    """Pattern centres with which patterns of one crystal are most symmetric, for each group one.

    Arguments as of `search_camera`.

    Returns
    -------
    list of SymmetryCamera
        The most convincing first, none of them alike.

    Notes
    -----
    For each group the pattern centre climbs from its two best places on a coarse grid. A mirror
    that a pattern shows holds along a whole line of pattern centres, so that all groups are tried
    where others ended, and about the best of these places up and down.
    """
    order = np.argsort([-sharpness(image, valid) for image in images], kind="stable")
    images = images[order[:MOST]]
    start = Geometry.from_angles((0.5, 0.3, 0.6), shape).bounds
    views = views_of(images, valid, np.broadcast_to(start, (len(images), 4)))
    rough = views[:_ROUGH_PATTERNS]
    starts = [Geometry.from_angles(centre, shape).bounds[0] for centre in product(*CENTRES)]
    placed = _everywhere(rough, starts, part_of(progress, 0.0, 0.5))
    ends: list[Floats] = []
    for number, name in enumerate(_LEADING):
        value = [_merit([one[name] for one in all_views]) for all_views in placed]
        for at in np.argsort(value)[::-1][:_STARTS]:
            ends.append(climb(rough, starts[at], 0.03, 0.006, 3, (name,)).bounds)
        if progress is not None:
            progress(0.5 + 0.2 * (number + 1) / len(_LEADING))
    first = np.array([_merits(one) for one in _everywhere(rough, ends)])
    best_first = [ends[at] for at in np.argsort(-first.max(axis=1))]
    ends += [
        Geometry(bounds[None], np.eye(3), (1, 1)).moved(0.0, dy, dz).bounds[0]
        for bounds in _apart(best_first)[:_SOFT]
        for dy, dz in product(_ALONG, _ALONG)
        if dy or dz
    ]
    again = _everywhere(rough, ends, part_of(progress, 0.7, 0.85))
    merits = np.array([_merits(one) for one in again])
    found: list[SymmetryCamera] = []
    for number, name in enumerate(_LEADING):
        at = int(merits[:, number].argmax())
        found.append(climb(views, ends[at], 0.012, 0.0015, 2, (name,)))
        if progress is not None:
            progress(0.85 + 0.15 * (number + 1) / len(_LEADING))
    found.sort(key=lambda camera: -camera.evidence)
    distinct = _apart([one.bounds for one in found], _SAME)
    return [one for one in found if any(one.bounds is bounds for bounds in distinct)]


def _apart(ends: Sequence[Floats], least: float = 0.03) -> list[Floats]:
    """Those bounds that are none of an earlier one."""
    kept: list[Floats] = []
    for bounds in ends:
        if all(np.abs(bounds - other).max() > least for other in kept):
            kept.append(bounds)
    return kept


def _merits(placed: list[dict[str, Placement]]) -> list[float]:
    return [_merit([one[name] for one in placed]) for name in _LEADING]


def _everywhere(
    views: list[View], places: list[Floats], progress: Progress = None
) -> list[list[dict[str, Placement]]]:
    """Rough placements of the leading groups in each view, for each pattern centre."""

    def tried(bounds: Floats) -> list[dict[str, Placement]]:
        return [place(view.seen_by(bounds), _LEADING, _ROUGH_SIDE, False) for view in views]

    found: list[list[dict[str, Placement]]] = []
    threads = min(len(places), available_cores())
    with ThreadPoolExecutor(threads, thread_name_prefix="ebsdml-camera") as pool:
        jobs = [pool.submit(tried, bounds) for bounds in places]
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


def climb(
    views: list[View], bounds: Floats, first: float, last: float, rays: int = 1,
    names: tuple[str, ...] = _LEADING, value_of: Value = _merit,
) -> SymmetryCamera:  # fmt: skip
    """Move a pattern centre to where patterns are most symmetric.

    Parameters
    ----------
    views
    bounds : (4,) array
        Gnomonic bounds to start from.
    first, last
        Largest and smallest step, parts of the screen's height.
    rays
        Every how manieth ray takes part.
    names
        Groups, of which each pattern takes the best.
    value_of
        What is to be high.
    """
    placed = [_best(place(view.seen_by(bounds), names, 36, False)) for view in views]

    def moved(at: Floats) -> tuple[float, list[Placement]]:
        new = [
            refined(view.seen_by(at), GROUPS[one.group], one.frame, rays, 0.5, 0.2)
            for view, one in zip(views, placed, strict=True)
        ]
        return value_of(new), new

    value, placed = moved(bounds)
    size = first
    while size > last:
        better = False
        for axis in range(3):
            for sign in (1, -1):
                step = np.zeros(3)
                step[axis] = sign * size
                at = Geometry(bounds[None], np.eye(3), (1, 1)).moved(*step).bounds[0]
                trial, new = moved(at)
                if trial > value + 1e-6:
                    value, bounds, placed, better = trial, at, new, True
                    break
        if not better:
            size /= 2
    x0, x1, y0, y1 = bounds
    groups = [one.group for one in placed]
    return SymmetryCamera(
        bounds, (float(-x0 / (x1 - x0)), float(y1 / (y1 - y0)), float(1 / (y1 - y0))),
        value / len(views), max(set(groups), key=groups.count),
    )  # fmt: skip


def _best(placed: dict[str, Placement]) -> Placement:
    return max(placed.values(), key=lambda one: one.score)
