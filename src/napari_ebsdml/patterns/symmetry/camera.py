"""The pattern centre of patterns of which nothing is known: where their symmetry is best.

Symmetry calibrates a camera without knowing the material: with a wrong pattern centre, the angles
between bands are wrong, and no rotation carries a pattern onto itself. Tilts need not be known,
because each crystal may be turned in any way.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, available_cores
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.symmetry.groups import GROUPS
from napari_ebsdml.patterns.symmetry.operators import Placement, place, refined
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
_LEADING = ("m-3m", "6/mmm", "4/mmm", "-3m", "mmm", "2/m")


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
        Mean over the patterns of the best group's evidence.
    group
        The Laue group that it was found with.
    """

    bounds: Floats
    centre: tuple[float, float, float]
    evidence: float
    group: str


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

    def tried(centre: tuple[float, ...]) -> tuple[float, Floats]:
        bounds = Geometry.from_angles(centre, shape).bounds[0]
        total = [
            _best(place(view.seen_by(bounds), _LEADING, _ROUGH_SIDE, False)).score for view in rough
        ]
        return float(np.sum(total)), bounds

    starts = list(product(*CENTRES))
    found: list[tuple[float, Floats]] = []
    threads = min(len(starts), available_cores())
    with ThreadPoolExecutor(threads, thread_name_prefix="ebsdml-camera") as pool:
        jobs = [pool.submit(tried, centre) for centre in starts]
        try:
            for job in jobs:
                found.append(job.result())
                if progress is not None:
                    progress(0.6 * len(found) / len(jobs))
        except BaseException:
            for job in jobs:
                job.cancel()
            raise
    found.sort(key=lambda pair: -pair[0])
    climbed: list[SymmetryCamera] = []
    for number, (_, bounds) in enumerate(found[:_FINALISTS]):
        climbed.append(climb(rough, bounds, 0.03, 0.006, 3))
        if progress is not None:
            progress(0.6 + 0.2 * (number + 1) / _FINALISTS)
    best = max(climbed, key=lambda camera: camera.evidence)
    best = climb(views, best.bounds, 0.008, 0.0015, 2)
    if progress is not None:
        progress(1.0)
    return best


def climb(
    views: list[View], bounds: Floats, first: float, last: float, rays: int = 1
) -> SymmetryCamera:
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
    """
    placed = [_best(place(view.seen_by(bounds), _LEADING, 36, False)) for view in views]

    def moved(at: Floats) -> tuple[float, list[Placement]]:
        new = [
            refined(view.seen_by(at), GROUPS[one.group], one.frame, rays, 0.5, 0.2)
            for view, one in zip(views, placed, strict=True)
        ]
        return float(np.sum([one.score for one in new])), new

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


def sharpness(image: NDArray[np.float32], valid: NDArray[np.bool_]) -> float:
    """How much of a flat pattern's variance neighbouring pixels share: bands, not noise."""
    both = valid[:, 1:] & valid[:, :-1]
    if not both.any():
        return 0.0
    one, other = image[:, 1:][both], image[:, :-1][both]
    spread = float(one.std() * other.std())
    return float(((one - one.mean()) * (other - other.mean())).mean()) / spread if spread else 0.0
