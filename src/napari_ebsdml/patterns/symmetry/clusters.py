"""Which patterns of a map belong together, told by how well they fit each other's spheres.

No features are clustered. The symmetry of one sharp pattern makes a measured sphere of it; patterns
of the same crystal fit that sphere in some orientation, others do not. Those that fit make the
sphere better, and what is left begins the next cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.patterns.symmetry._kernels import HOLE
from napari_ebsdml.patterns.symmetry.decision import NAMES, Pool, probabilities
from napari_ebsdml.patterns.symmetry.laue import place_all
from napari_ebsdml.patterns.symmetry.operators import Placement
from napari_ebsdml.patterns.symmetry.sphere import MeasuredSphere, SphereSearch
from napari_ebsdml.patterns.symmetry.straight import bands_in
from napari_ebsdml.patterns.symmetry.view import View

Floats = NDArray[np.float64]

MOST_PHASES = 8
_SEEDS = 3
_POOLED = 10
_MERGED = 25
_PART_OF_TYPICAL = 0.62
"""Part of a cluster's typical fit that a pattern of it must reach."""
_LEAST_FIT = 0.3


@dataclass(frozen=True, eq=False)
class Cluster:
    """Patterns of one phase.

    Attributes
    ----------
    sphere
        Merged from the best of them.
    placed
        Placements of all Laue groups in the `best` patterns.
    members : (n,) int array
        Places of the patterns, the best first.
    best : (m,) int array
        Places of those that `placed` are of.
    typical
        Fit of a good member to the sphere.
    turn : (3, 3) array
        Rotation from the sphere's frame to the crystal's, whose x lies along a.
    """

    sphere: MeasuredSphere
    placed: tuple[dict[str, Placement], ...]
    members: NDArray[np.intp]
    best: NDArray[np.intp]
    typical: float
    turn: Floats = field(default_factory=lambda: np.eye(3))

    @property
    def least_fit(self) -> float:
        """Fit below which a pattern is not of this phase."""
        return max(_LEAST_FIT, _PART_OF_TYPICAL * self.typical)


class _Placed:
    """Placements of patterns, made when asked for."""

    def __init__(self, views: Sequence[View]) -> None:
        self._views = views
        self._known: dict[int, dict[str, Placement]] = {}

    def of(self, which: Sequence[int] | NDArray[np.intp]) -> list[dict[str, Placement]]:
        missing = [int(k) for k in which if int(k) not in self._known]
        for k, placed in zip(missing, place_all([self._views[k] for k in missing]), strict=True):
            self._known[k] = placed
        return [self._known[int(k)] for k in which]


def discover(
    views: Sequence[View], order: NDArray[np.intp], progress: Progress = None
) -> list[Cluster]:
    """Find the phases among patterns.

    Parameters
    ----------
    views
        Of one camera, or nearly.
    order : (n,) int array
        Places of the patterns, the sharpest first.
    progress
        Called with the part done; may raise to cancel.

    Returns
    -------
    list of Cluster
        The largest first.
    """
    placed = _Placed(views)
    found: list[Cluster] = []
    left = np.array(order)
    while len(left) and len(found) < MOST_PHASES:
        cluster = _next(views, left, placed)
        if cluster is None:
            break
        found.append(cluster)
        left = left[~np.isin(left, cluster.members)]
        if len(left) < max(1, len(order) // 100):
            break
        if progress is not None:
            progress(0.9 * (1 - len(left) / len(order)))
    return _sorted_out(views, found, placed, part_of(progress, 0.9))


def _next(views: Sequence[View], left: NDArray[np.intp], placed: _Placed) -> Cluster | None:
    """The best cluster that a few of the sharpest patterns begin."""
    best: Cluster | None = None
    value = 0.0
    tried = left[: 2 * _SEEDS]
    seeds = sorted(tried, key=lambda k: -max(p.score for p in placed.of([k])[0].values()))
    for seed in seeds[:_SEEDS]:
        one = placed.of([seed])
        chances = probabilities(Pool(one))
        for name in (NAMES[k] for k in np.argsort(-chances)[:2]):
            if name == "-1" or chances[NAMES.index(name)] < 0.1:
                continue
            sphere = MeasuredSphere.merged([views[seed]], one[0][name].frame[None], name)
            cluster = _grown(views, left, sphere, placed)
            if cluster is not None and cluster.typical * len(cluster.members) ** 0.5 > value:
                best, value = cluster, cluster.typical * len(cluster.members) ** 0.5
        if best is not None and len(best.members) > 0.6 * len(left):
            break
    return best


def _grown(
    views: Sequence[View], left: NDArray[np.intp], sphere: MeasuredSphere, placed: _Placed
) -> Cluster | None:
    """The cluster that a first sphere leads to; None when its patterns show no symmetry."""
    chosen = [views[k] for k in left]
    group = sphere.group
    members = left[:0]
    typical = 0.0
    for turn in range(3):
        turns, fits = SphereSearch(sphere, chosen[0]).find(chosen)
        ranked = np.argsort(-fits)
        typical = float(np.median(fits[ranked[: max(3, min(10, len(left) // 5))]]))
        inside = fits >= max(_LEAST_FIT, (0.75 if turn == 0 else _PART_OF_TYPICAL) * typical)
        good = ranked[inside[ranked]]
        if not len(good):
            return None
        members = left[good]
        if turn == 2:
            break
        if turn == 1:
            told = _told(placed.of(members[:_POOLED]), [views[k] for k in members[:_POOLED]])
            if told is None:
                return None
            if told != group:
                # A seed alone can mislead: its group gives way to that of many.
                group = told
                first = placed.of(members[:1])[0][group]
                sphere = MeasuredSphere.merged([views[members[0]]], first.frame[None], group)
                turns, fits = SphereSearch(sphere, chosen[0]).find(chosen)
                good = np.argsort(-fits)[: len(good)]
        part = good[:_MERGED]
        sphere = MeasuredSphere.merged(
            [chosen[k] for k in part], np.swapaxes(turns[part], 1, 2), group
        )
    best = members[:_POOLED]
    return Cluster(sphere, tuple(placed.of(best)), members, best, typical)


def _told(placed: Sequence[dict[str, Placement]], views: Sequence[View]) -> str | None:
    images = [view.fine for view in views]
    chances = probabilities(Pool(placed), bands=bands_in(images, images[0] < HOLE / 10))
    name = NAMES[int(chances.argmax())]
    return None if name == "-1" else name


def _sorted_out(
    views: Sequence[View], found: list[Cluster], placed: _Placed, progress: Progress
) -> list[Cluster]:
    """Give each pattern to the sphere that it fits best; drop clusters that this empties."""
    if len(found) < 2:
        return found
    every = np.unique(np.concatenate([cluster.members for cluster in found]))
    chosen = [views[k] for k in every]
    fits = []
    for number, cluster in enumerate(found):
        fits.append(SphereSearch(cluster.sphere, chosen[0]).find(chosen)[1] / cluster.typical)
        if progress is not None:
            progress((number + 1) / len(found))
    owner = np.argmax(fits, axis=0)
    kept = []
    for number, cluster in enumerate(found):
        mine = np.flatnonzero(owner == number)
        if len(mine) < max(1, len(every) // 100) or len(mine) < 0.3 * len(cluster.members):
            continue
        members = every[mine[np.argsort(-np.asarray(fits[number])[mine])]]
        best = members[:_POOLED]
        kept.append(replace(cluster, members=members, best=best, placed=tuple(placed.of(best))))
    return sorted(kept, key=lambda cluster: -len(cluster.members))
