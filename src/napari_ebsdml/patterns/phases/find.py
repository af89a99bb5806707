"""What phases a map holds, from its patterns alone, and the map indexed with them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, available_cores, part_of
from napari_ebsdml._quaternions import from_matrix
from napari_ebsdml.camera import Camera
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.elements import ElementCounts, element_counts
from napari_ebsdml.patterns.frame.geometry import Geometry, from_kikuchipy
from napari_ebsdml.patterns.frame.masks import find_mask
from napari_ebsdml.patterns.frame.pieces import blocks, some_patterns
from napari_ebsdml.patterns.frame.scans import patterns_of
from napari_ebsdml.patterns.lattices.lattice import Lattice, find_lattice, rank_space_groups
from napari_ebsdml.patterns.lattices.space_groups import SpaceGroups
from napari_ebsdml.patterns.phases.averages import Averages
from napari_ebsdml.patterns.phases.clusters import Cluster, discover
from napari_ebsdml.patterns.phases.parting import (
    element_shares,
    of_chemistry,
    of_shares,
    parted,
)
from napari_ebsdml.patterns.phases.words import (
    against_file,
    nothing,
    of_lattice,
    of_relatives,
)
from napari_ebsdml.patterns.symmetry.camera import MOST, search_camera
from napari_ebsdml.patterns.symmetry.energy import ASSUMED, energy_of
from napari_ebsdml.patterns.symmetry.even import evened
from napari_ebsdml.patterns.symmetry.laue import LaueResult, Trial, told
from napari_ebsdml.patterns.symmetry.sphere import MeasuredSphere, SphereSearch
from napari_ebsdml.patterns.symmetry.view import View, bounds_of, flat_images, views_of

if TYPE_CHECKING:
    from orix.crystal_map import PhaseList

    from napari_ebsdml.scan import Scan

Floats = NDArray[np.float64]

_PIECE = 64
_COUNTED_AS_ONE = (
    "Phases of one structure type whose lattices differ by 2 % or less, as nickel and austenite, "
    "are counted as one: their patterns are alike."
)
"""`clusters.SAME`, `benchmarks/spheres_apart.py`: Ni and austenite are made one, Ni and Cu not."""


@dataclass(frozen=True, eq=False)
class FoundPhase:
    """A phase that was found in a map.

    Attributes
    ----------
    name
        Such as ``"phase 1, cubic"``.
    laue : LaueResult
        Symmetry, from the best patterns.
    lattice : Lattice or None
        From bands; None for monoclinic and triclinic crystals, and where too few bands tell.
    space_groups : tuple of SpaceGroups
        Sets of space groups that patterns do not tell apart, the likeliest first; empty where
        there is no lattice.
    sphere : MeasuredSphere
        Its pattern on the half sphere, merged from the best patterns.
    share
        Part of the map's indexed pixels that it takes.
    number
        Patterns of the sample that the phase was found from.
    patterns : (n,) int array
        Places in the map, in the flat order, of the best patterns.
    fit
        Typical correlation of its patterns with the sphere.
    in_file
        Names of the file's phases that its pixels had, the most frequent first.
    contradiction
        What the file says otherwise; "" when it agrees or says nothing.
    sentence
        All this in words.
    elements : mapping of str to float
        Mean shares of its X-ray counts, by lines such as ``"Fe K"``, the largest first; they sum
        up to 1. Empty where the map has no element counts, or they were not asked for.
    """

    name: str
    laue: LaueResult
    lattice: Lattice | None
    space_groups: tuple[SpaceGroups, ...]
    sphere: MeasuredSphere
    share: float
    number: int
    patterns: NDArray[np.intp]
    fit: float
    in_file: tuple[str, ...]
    contradiction: str
    sentence: str
    elements: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class FoundPhases:
    """What `find_phases` found.

    Attributes
    ----------
    scan : Scan
        The map with the phases and orientations that were found; property ``"fit"`` is the
        correlation of each pattern with its phase's sphere. It saves like any other.
    clusters : tuple of FoundPhase
        The largest first.
    camera : Camera
        That was given, or found.
    is_searched
        Whether the camera was searched for.
    sentence
        What the map holds; why nothing was found, where nothing was.
    """

    scan: Scan
    clusters: tuple[FoundPhase, ...]
    camera: Camera
    is_searched: bool
    sentence: str

    @property
    def phases(self) -> PhaseList:
        """The phases of `scan`, as orix has them."""
        return self.scan.phases


def find_phases(
    scan: Scan,
    detector: Any = None,
    *,
    sample: int = 200,
    energy: float | None = None,
    mask: NDArray[np.bool_] | None = None,
    chemistry: Literal["auto"] | None = "auto",
    progress: Progress = None,
) -> FoundPhases:
    """Find the phases of a map from its patterns, and index the map with them.

    Phases and orientations in the file are not used; where the patterns contradict them, the
    answer says so. Patterns that still show the static background of their file are divided by it;
    where the file has none and different patterns are alike, by their mean.

    Parameters
    ----------
    scan
        With patterns.
    detector : kikuchipy EBSDDetector, Camera or (3,) array, optional
        Default: the map's own; where nobody told the pattern centre, it is searched for.
    sample
        Patterns from all over the map that the phases are found from.
    energy
        Of the beam in keV, for the size of the lattices. Default: the file's; where that does not
        tell it, 20 is assumed, which the sentence says.
    mask : (rows, columns) bool array, optional
        True where the patterns' pixels carry signal. Default: found from the patterns.
    chemistry
        ``"auto"``: where the map has X-ray counts of two elements or more (EDS; see
        `maps.elements`), phases of one structure are parted by their shares where these differ by
        a jump. None: patterns alone tell.
    progress
        Called with the part done; may raise to cancel.

    Returns
    -------
    FoundPhases

    Raises
    ------
    MissingDataError
        When the map has no patterns.
    InputError
        When the detector does not fit them, `sample` is not positive, or `chemistry` is neither
        "auto" nor None.
    """
    if chemistry not in ("auto", None):
        raise InputError(f'chemistry must be "auto" or None, not {chemistry!r}.')
    patterns = patterns_of(scan)
    told_energy = energy_of(scan) if energy is None else energy
    energy = ASSUMED if told_energy is None else told_energy
    if sample < 1:
        raise InputError(f"sample must be positive, not {sample}.")
    shape = (int(patterns.shape[-2]), int(patterns.shape[-1]))
    places, stack = some_patterns(patterns, sample)
    stack = np.asarray(stack)
    if mask is None:
        mask = find_mask(stack)
    even, divided = evened(scan, stack, mask)
    if even is not None:
        patterns = even
        stack = np.asarray(some_patterns(even, sample)[1])
    images, valid = flat_images(stack, mask)
    averages = Averages(patterns, places, images, valid, mask)
    camera, searched = _camera(scan, detector, averages, shape, progress)
    bounds = _bounds(camera, shape, scan.phase_id.size)
    views = views_of(images, valid, bounds if len(bounds) == 1 else bounds[places])
    clusters = discover(views, averages, searched, part_of(progress, 0.2, 0.4))
    if not clusters:
        text = nothing(len(stack), searched) + divided
        return FoundPhases(scan, (), camera, searched, text)
    known: list[tuple[Cluster, Told]] = []
    for cluster in clusters:
        known.append(_measured(cluster, energy, told_energy is not None))
        if progress is not None:
            progress(0.4 + 0.2 * len(known) / len(clusters))
    indexed, fit, owner = _index(
        patterns, [one for one, _ in known], views[0], bounds, camera, mask, part_of(progress, 0.6)
    )
    counts = None if chemistry is None else element_counts(scan)
    if counts is not None and len(counts.lines) < 2:
        counts = None
    one_structure: list[list[int]] = []
    if counts is not None:
        known, owner, indexed, one_structure = parted(
            scan, counts, known, owner, indexed, (places, views, averages),
            lambda cluster: _measured(cluster, energy, told_energy is not None), searched,
        )  # fmt: skip
    text = _COUNTED_AS_ONE if counts is None else of_chemistry(counts, one_structure)
    return _result(
        scan, known, places, indexed, fit, owner, camera, searched, counts, text + divided
    )


Told = tuple[Lattice, tuple[SpaceGroups, ...]] | None
"""Lattice and space groups, None where they are not measured."""


def _measured(cluster: Cluster, energy: float, is_energy_told: bool) -> tuple[Cluster, Told]:
    """The cluster in the frame of its lattice."""
    found = find_lattice(cluster.sphere, energy, cluster.single)
    if found is None:
        return cluster, None
    ranked = rank_space_groups(cluster.sphere, *found, energy)
    lattice = dataclasses.replace(found[0], is_energy_told=is_energy_told)
    return dataclasses.replace(cluster, turn=found[1]), (lattice, ranked)


def _camera(
    scan: Scan, detector: Any, averages: Averages, shape: tuple[int, int], progress: Progress
) -> tuple[Camera, bool]:  # fmt: skip
    given = scan.camera if detector is None else detector
    if isinstance(given, Camera) and given.tells_centre:
        return given, False
    if given is not None and not isinstance(given, Camera):
        if hasattr(given, "gnomonic_bounds"):
            return Camera.of(given, scan.shape), False
        bounds_of(given, shape, scan.phase_id.size)
        return Camera(shape=shape, pc=np.asarray(given, dtype=np.float64)), False
    images = averages.of(averages.distinct(averages.order, MOST))
    found = search_camera(images, averages.valid, shape, part_of(progress, 0.0, 0.2))
    if given is not None:
        # Tilts that the file tells stay.
        return dataclasses.replace(given, pc=np.array(found.centre), convention="bruker"), True
    return Camera(shape=shape, pc=np.array(found.centre)), True


def _bounds(camera: Camera, shape: tuple[int, int], number: int) -> Floats:
    """Gnomonic bounds (1 or number, 4)."""
    bounds = Geometry.of(camera, shape).bounds
    if len(bounds) not in (1, number):
        raise InputError(f"There are {len(bounds)} pattern centres for {number} patterns.")
    return bounds


def _index(
    patterns: Any, clusters: list[Cluster], view: View, bounds: Floats, camera: Camera,
    mask: NDArray[np.bool_], progress: Progress,
) -> tuple[Floats, NDArray[np.float32], NDArray[np.int32]]:  # fmt: skip
    """Quaternions (n, 4), fits (n,) and the phases (n,), -1 where none fits."""
    number = int(np.prod(patterns.shape[:-2], dtype=int))
    searches = [SphereSearch(cluster.sphere, view) for cluster in clusters]
    least = np.array([cluster.least_fit for cluster in clusters])
    typical = np.array([cluster.typical for cluster in clusters])
    to_sample = Geometry.of(camera).to_sample
    quaternions = np.zeros((number, 4))
    fit = np.zeros(number, np.float32)
    owner = np.full(number, -1, np.int32)

    def work(part: slice, block: NDArray[Any]) -> None:
        images, valid = flat_images(block, mask)
        views = views_of(images, valid, bounds if len(bounds) == 1 else bounds[part])
        answers = [search.find(views) for search in searches]
        fits = np.stack([one[1] for one in answers])
        best = (fits / typical[:, None]).argmax(axis=0)
        for k, which in enumerate(best):
            at = part.start + k
            fit[at] = fits[which, k]
            if fit[at] >= least[which]:
                owner[at] = which
                matrix = clusters[which].turn @ answers[which][0][k] @ to_sample.T
                quaternions[at] = from_kikuchipy(from_matrix(matrix))

    done = 0
    with ThreadPoolExecutor(available_cores(), thread_name_prefix="ebsdml-phases") as pool:
        for start, block in blocks(patterns):
            jobs = [
                pool.submit(
                    work, slice(start + at, start + min(at + _PIECE, len(block))),
                    block[at : at + _PIECE],
                )
                for at in range(0, len(block), _PIECE)
            ]  # fmt: skip
            try:
                for job in jobs:
                    job.result()
                    done += _PIECE
                    if progress is not None:
                        progress(min(1.0, done / number))
            except BaseException:
                for job in jobs:
                    job.cancel()
                raise
    return quaternions, fit, owner


def _result(
    scan: Scan, known: Sequence[tuple[Cluster, Told]], places: NDArray[np.intp],
    quaternions: Floats, fit: NDArray[np.float32], owner: NDArray[np.int32], camera: Camera,
    searched: bool, counts: ElementCounts | None, of_all: str,
) -> FoundPhases:  # fmt: skip
    from diffpy.structure import Structure
    from orix.crystal_map import Phase, PhaseList

    number = max(1, int((owner >= 0).sum()))
    found: list[FoundPhase] = []
    made: list[Any] = []
    for k, (cluster, measured) in enumerate(known):
        # The lattice is told already: a distortion decides where patterns hold together alone.
        seen = cluster.seen if cluster.joint else ()
        trial = Trial(cluster.placed, camera, cluster.joint, seen)
        laue = told([trial], searched, cluster.bands)
        name = f"phase {k + 1}, {laue.system or 'unknown'}"
        lattice, groups = measured or (None, ())
        made.append(Phase(
            name, point_group=cluster.sphere.group,
            structure=None if lattice is None else Structure(lattice=lattice.diffpy()),
        ))  # fmt: skip
        mine = owner == k
        may_be_cubic = lattice is not None and lattice.cubic is not None
        in_file, contradiction = against_file(scan, mine, laue, may_be_cubic)
        share = float(mine.sum() / number)
        told_of = f"phase {k + 1}: {100 * share:.0f} % of the indexed pixels; {laue.sentence}"
        told_of += f" {of_lattice(cluster.sphere.group, lattice, groups)}"
        shares = {} if counts is None else element_shares(counts, mine.reshape(scan.shape))
        told_of += f"{of_relatives(scan, mine)}{of_shares(shares, cluster.is_of_whole)}"
        found.append(FoundPhase(
            name, laue, lattice, groups, cluster.sphere, share, len(cluster.members),
            places[cluster.best], cluster.typical, in_file, contradiction,
            f"{told_of} {contradiction}".strip(), shares,
        ))  # fmt: skip
    indexed = dataclasses.replace(
        scan,
        quaternions=quaternions.reshape(*scan.shape, 4),
        phase_id=owner.reshape(scan.shape),
        phases=PhaseList(made),
        camera=camera,
    ).with_property("fit", fit.reshape(scan.shape))
    lost = 100 * float((owner < 0).mean())
    text = " ".join(phase.sentence for phase in found)
    text += f" {lost:.0f} % of the pixels fit no phase found. {of_all}"
    if searched:
        x, y, z = camera.centre or (0.0, 0.0, 0.0)
        text += f" Pattern centre found: {x:.3f}, {y:.3f}, {z:.3f} (Bruker)."
    return FoundPhases(indexed, tuple(found), camera, searched, text)
