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
from napari_ebsdml.patterns.phases.agreement import agreement
from napari_ebsdml.patterns.phases.averages import Averages
from napari_ebsdml.patterns.symmetry._kernels import HOLE
from napari_ebsdml.patterns.symmetry.decision import NAMES, Pool, probabilities
from napari_ebsdml.patterns.symmetry.joint import Joint
from napari_ebsdml.patterns.symmetry.laue import joint_of, place_all
from napari_ebsdml.patterns.symmetry.operators import Placement
from napari_ebsdml.patterns.symmetry.sphere import MeasuredSphere, SphereSearch
from napari_ebsdml.patterns.symmetry.straight import bands_in
from napari_ebsdml.patterns.symmetry.view import View, views_of

Floats = NDArray[np.float64]

MOST_PHASES = 8
_SEEDS = 3
_POOLED = 10
_MERGED = 25
_PART_OF_TYPICAL = 0.62
"""Part of a cluster's typical fit that a pattern of it must reach."""
_LEAST_FIT = 0.3
_LEAST_OF_PART = 3
SAME = 0.97
"""Agreement of two clusters' spheres from which they are one phase: of simulated crystals, spheres
of one reach 0.98, those of W and Ta 0.96, of Fe and FeAl 0.95, of Ni and Fe 0.40; but Ni and
austenite 0.98, which no pattern tells apart."""


@dataclass(frozen=True, eq=False)
class Cluster:
    """Patterns of one phase.

    Attributes
    ----------
    sphere
        Merged from the best of them.
    placed
        Placements of all Laue groups in the `best` patterns; these tell the sphere's group.
    members : (n,) int array
        Places of the patterns, the best first.
    best : (m,) int array
        Places of the best ones in distinct orientations.
    joint, seen
        What the `best` tell together, None where they do not hold together, and their views.
    typical
        Fit of a good member to the sphere.
    bands
        Whether the best patterns show straight bands, see `straight.bands_in`.
    turn : (3, 3) array
        Rotation from the sphere's frame to the crystal's, whose x lies along a.
    single
        Merged from all members as they are: averages of like neighbours blur the edges of bands
        where the orientation changes within a grain. None until the cluster is settled.
    is_of_whole
        Whether all but the members is that of the cluster that this is a part of.
    """

    sphere: MeasuredSphere
    placed: tuple[dict[str, Placement], ...]
    members: NDArray[np.intp]
    best: NDArray[np.intp]
    typical: float
    joint: Joint | None = None
    seen: tuple[View, ...] = ()
    bands: int = 2
    turn: Floats = field(default_factory=lambda: np.eye(3))
    single: MeasuredSphere | None = None
    is_of_whole: bool = False

    @property
    def least_fit(self) -> float:
        """Fit below which a pattern is not of this phase."""
        return max(_LEAST_FIT, _PART_OF_TYPICAL * self.typical)


class _Placed:
    """Placements of patterns, averaged with like ones beside them, made when asked for."""

    def __init__(self, views: Sequence[View], averages: Averages, searched: bool) -> None:
        self._views, self._averages, self._searched = views, averages, searched
        self._known: dict[int, dict[str, Placement]] = {}

    def of(self, which: Sequence[int] | NDArray[np.intp]) -> list[dict[str, Placement]]:
        missing = [int(k) for k in which if int(k) not in self._known]
        for k, placed in zip(missing, place_all(self.views(missing)), strict=True):
            self._known[k] = placed
        return [self._known[int(k)] for k in which]

    def views(self, which: Sequence[int] | NDArray[np.intp]) -> list[View]:
        """Views of the averages."""
        if not len(which):
            return []
        bounds = np.stack([self._views[int(k)].bounds for k in which])
        return views_of(self._averages.of(which), self._averages.valid, bounds)

    def best(self, members: NDArray[np.intp]) -> NDArray[np.intp]:
        """The first of a cluster's patterns, none in the orientation of another."""
        return self._averages.distinct(members, _POOLED)

    def merged(self, members: NDArray[np.intp], search: SphereSearch) -> MeasuredSphere:
        """The sphere again, from averages of a cluster's patterns in distinct orientations.

        The noise of single patterns, merged in orientations that it disturbs, hides which bands
        are missing: the centring of the lattice.
        """
        views = self.views(self._averages.distinct(members, _MERGED))
        turns, fits = search.find(views)
        good = fits >= _PART_OF_TYPICAL * _typical(fits)
        frames = np.swapaxes(turns[good], 1, 2)
        chosen = [view for view, is_good in zip(views, good, strict=True) if is_good]
        return MeasuredSphere.merged(chosen, frames, search.sphere.group)

    def told(self, best: NDArray[np.intp]) -> tuple[str | None, int]:
        """The Laue group that these patterns tell, None for none; and whether bands show."""
        images = [view.fine for view in self.views(best)]
        bands = bands_in(images, images[0] < HOLE / 10)
        chances = probabilities(Pool(self.of(best)), self._searched, bands)
        name = NAMES[int(chances.argmax())]
        return (None if name == "-1" else name), bands


def discover(
    views: Sequence[View], averages: Averages, searched: bool = False, progress: Progress = None
) -> list[Cluster]:
    """Find the phases among patterns.

    Parameters
    ----------
    views
        Of one camera, or nearly.
    averages
        Of the same patterns.
    searched
        Whether the camera was searched for, see `decision.probabilities`.
    progress
        Called with the part done; may raise to cancel.

    Returns
    -------
    list of Cluster
        The largest first.
    """
    placed = _Placed(views, averages, searched)
    order = averages.order
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
    kept = _sorted_out(views, found, part_of(progress, 0.9))
    settled = [_settled(views, cluster, placed) for cluster in kept]
    return _joined(views, [cluster for cluster in settled if cluster is not None], placed)


def _next(views: Sequence[View], left: NDArray[np.intp], placed: _Placed) -> Cluster | None:
    """The best cluster that a few of the sharpest patterns begin."""
    best: Cluster | None = None
    value = 0.0
    tried = placed.best(left)[: 2 * _SEEDS]
    seeds = sorted(tried, key=lambda k: -max(p.score for p in placed.of([k])[0].values()))
    for seed in seeds[:_SEEDS]:
        one = placed.of([seed])
        chances = probabilities(Pool(one))
        for name in (NAMES[k] for k in np.argsort(-chances)[:2]):
            if name == "-1" or chances[NAMES.index(name)] < 0.1:
                continue
            seen = placed.views([seed])
            sphere = MeasuredSphere.merged(seen, one[0][name].frame[None], name)
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
    members = left[:0]
    typical = 0.0
    for turn in range(3):
        search = SphereSearch(sphere, chosen[0])
        fits = search.find(chosen)[1]
        ranked = np.argsort(-fits)
        typical = _typical(fits)
        inside = fits >= max(_LEAST_FIT, (0.75 if turn == 0 else _PART_OF_TYPICAL) * typical)
        members = left[ranked[inside[ranked]]]
        if not len(members) or typical < _LEAST_FIT:
            return None
        if turn == 2:
            break
        if turn == 1:
            told, _ = placed.told(placed.best(members))
            if told is None:
                return None
            if told != sphere.group:
                # A seed alone can mislead: its group gives way to that of many.
                search = SphereSearch(_first(placed, members, told), chosen[0])
        sphere = placed.merged(members, search)
    return Cluster(sphere, (), members, members[:0], typical)


def _typical(fits: NDArray[np.float32]) -> float:
    """Fit of a good pattern."""
    return float(np.median(np.sort(fits)[::-1][: max(3, min(10, len(fits) // 5))]))


def _first(placed: _Placed, members: NDArray[np.intp], group: str) -> MeasuredSphere:
    """A sphere of a group from the best pattern of a cluster."""
    frame = placed.of(members[:1])[0][group].frame
    return MeasuredSphere.merged(placed.views(members[:1]), frame[None], group)


def _settled(views: Sequence[View], cluster: Cluster, placed: _Placed) -> Cluster | None:
    """The cluster with the group that its best patterns tell, and the sphere of that group.

    What patterns tell together goes before what each tells by itself.
    """
    best = placed.best(cluster.members)
    seen = tuple(placed.views(best))
    group, bands = placed.told(best)
    joint = joint_of(seen)
    if joint is not None:
        group = joint.best
    if group is None:
        return None
    sphere, turns = cluster.sphere, 1
    if group != sphere.group and joint is not None:
        sphere = joint.sphere_of(group, seen)
    elif group != sphere.group:
        sphere, turns = _first(placed, cluster.members, group), 2
    chosen = [views[k] for k in cluster.members]
    for _ in range(turns):
        sphere = placed.merged(cluster.members, SphereSearch(sphere, chosen[0]))
    turns_of, fits = SphereSearch(sphere, chosen[0]).find(chosen)
    good = np.flatnonzero(fits >= _PART_OF_TYPICAL * _typical(fits))
    single = MeasuredSphere.merged(
        [chosen[k] for k in good], np.swapaxes(turns_of[good], 1, 2), group
    )
    return replace(
        cluster, sphere=sphere, single=single, typical=_typical(fits), best=best,
        placed=tuple(placed.of(best)), joint=joint, seen=seen, bands=bands,
    )  # fmt: skip


def part_of_cluster(
    views: Sequence[View], averages: Averages, cluster: Cluster, among: NDArray[np.bool_],
    searched: bool = False,
) -> Cluster:  # fmt: skip
    """A part of a cluster's patterns as a cluster, in the frame and with the group of the whole.

    Parameters
    ----------
    views, averages
        Of the patterns that the cluster was found among.
    cluster
    among : (n,) bool array
        Which of these patterns may be of the part.
    searched
        Whether the camera was searched for.
    """
    members = cluster.members[among[cluster.members]]
    whole = replace(cluster, members=members, is_of_whole=True)
    if len(members) < _LEAST_OF_PART:
        return whole
    placed = _Placed(views, averages, searched)
    part = _settled(views, replace(cluster, members=members), placed)
    # A sphere of another group would have another frame.
    return whole if part is None or part.sphere.group != cluster.sphere.group else part


def _joined(views: Sequence[View], clusters: Sequence[Cluster], placed: _Placed) -> list[Cluster]:
    """Clusters, those whose spheres show one crystal made one."""
    found: list[Cluster] = []
    for cluster in clusters:
        same = [agreement(other.sphere, cluster.sphere)[0] for other in found]
        if not same or max(same) < SAME:
            found.append(cluster)
            continue
        at = int(np.argmax(same))
        members = np.concatenate([found[at].members, cluster.members])
        chosen = [views[k] for k in members]
        fits = SphereSearch(found[at].sphere, chosen[0]).find(chosen)[1]
        both = replace(found[at], members=members[np.argsort(-fits)])
        found[at] = _settled(views, both, placed) or found[at]
    return sorted(found, key=lambda cluster: -len(cluster.members))


def _sorted_out(views: Sequence[View], found: list[Cluster], progress: Progress) -> list[Cluster]:
    """Give each pattern to the sphere that it fits best; drop clusters that this empties."""
    if len(found) < 2:
        return found
    every = np.unique(np.concatenate([cluster.members for cluster in found]))
    chosen = [views[k] for k in every]
    fits = []
    for number, cluster in enumerate(found):
        fit = SphereSearch(cluster.sphere, chosen[0]).find(chosen)[1]
        # By what all patterns reach: two that were left over fit their sphere so badly that,
        # measured by them, it suits all others best, of whatever phase.
        fits.append(fit / max(_typical(fit), cluster.typical))
        if progress is not None:
            progress((number + 1) / len(found))
    owner = np.argmax(fits, axis=0)
    kept = []
    for number, cluster in enumerate(found):
        mine = np.flatnonzero(owner == number)
        if len(mine) < max(1, len(every) // 100) or len(mine) < 0.3 * len(cluster.members):
            continue
        members = every[mine[np.argsort(-np.asarray(fits[number])[mine])]]
        kept.append(replace(cluster, members=members))
    return sorted(kept, key=lambda cluster: -len(cluster.members))
