"""`improve_orientations`: how far a grain's patterns are turned against each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, nth_of, part_of
from napari_ebsdml._quaternions import multiply
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD
from napari_ebsdml.maps.symmetry import laue_operators
from napari_ebsdml.patterns.frame.checks import check_mask
from napari_ebsdml.patterns.frame.geometry import Geometry
from napari_ebsdml.patterns.frame.pieces import some_patterns
from napari_ebsdml.patterns.frame.scans import indexed_camera
from napari_ebsdml.patterns.relative.engine import (
    MEMORY,
    Stack,
    Turns,
    align_zones,
    first_turns,
    turned_orientations,
)
from napari_ebsdml.patterns.relative.links import link_zones, to_indexed
from napari_ebsdml.patterns.relative.views import Views
from napari_ebsdml.patterns.relative.zones import Zones, find_zones
from napari_ebsdml.scan import NOT_INDEXED, ORIENTATION_NOISE

if TYPE_CHECKING:
    from kikuchipy.detectors import EBSDDetector

    from napari_ebsdml.camera import Camera
    from napari_ebsdml.scan import Scan

FIT = "pattern fit"
"""Property with the correlation of each pattern and the average that it was turned onto."""
_LOOKED_AT = 64
_POOR = 0.5
"""Part of its zone's median correlation below which a pattern counts as another crystal's."""
_APART = 6.0
"""Standard deviations between the answers of the two halves beyond which there is none."""
_SHARED = 20
"""Patterns of a zone from which on what their halves have in common is taken off."""
_MEDIAN_SQUARE = 2.3659738843753377
"""Median of chi squared with three degrees of freedom."""


@dataclass(frozen=True, eq=False, repr=False)
class ImprovedOrientations:
    """Result of `improve_orientations`. Maps have the shape (rows, columns) of the scan.

    Attributes
    ----------
    scan
        The map with the new orientations, and the properties `FIT` and ``"orientation noise"``
        (degrees about each axis), which densities take their noise from.
    orientation_noise
        Phase id -> degrees about each axis that are left, as the two halves of the screen tell.
    noise_before
        Phase id -> degrees about each axis that the orientations had before.
    improved : bool
        Pixels with a new orientation.
    failed : bool
        Pixels of large enough grains whose pattern fits no average: other crystals, overlaps.
    grains
        Grain labels in use.
    """

    scan: Scan
    orientation_noise: Mapping[int, float]
    noise_before: Mapping[int, float]
    improved: NDArray[np.bool_]
    failed: NDArray[np.bool_]
    grains: NDArray[Any]

    @property
    def worthwhile(self) -> bool:
        """Whether the new orientations have less noise than the old ones, in most pixels."""
        phase, inside = self.scan.phase_id, self.improved
        gained = [n for n, after in self.orientation_noise.items() if after < self.noise_before[n]]
        return bool(inside.any() and np.isin(phase[inside], gained).mean() > 0.5)

    @property
    def sentence(self) -> str:
        """What was gained, for people."""
        if not self.improved.any():
            return (
                "No orientation could be improved: no grain has five patterns that fit each other. "
                "Check the camera's pattern centre and the grain threshold."
            )
        parts = []
        for number, after in self.orientation_noise.items():
            before = self.noise_before[number]
            name = f"{self.scan.phases[number].name}: " if len(self.orientation_noise) > 1 else ""
            parts.append(f"{name}{before:.2g} deg before, {after:.2g} deg after")
        inside = int(self.improved.sum() + self.failed.sum())
        share = 100 * self.improved.sum() / inside
        text = (
            f"Orientation noise about each axis within grains: {'; '.join(parts)}. New "
            f"orientations in {share:.0f} % of {inside} pixels of grains with five pixels or more."
        )
        if not self.worthwhile:
            text += (
                " The orientations of the file are as good (refined, or averages of many "
                "patterns): keep them."
            )
        return text

    def __repr__(self) -> str:
        return f"ImprovedOrientations of {self.scan.name!r}: {self.sentence}"


def improve_orientations(
    scan: Scan,
    detector: EBSDDetector | Camera | Geometry | None = None,
    *,
    grains: NDArray[Any] | None = None,
    grain_threshold: float = GRAIN_THRESHOLD,
    mask: NDArray[np.bool_] | None = None,
    keep_failed: bool = False,
    progress: Progress = None,
) -> ImprovedOrientations:
    """Measure how a grain's patterns are turned against each other, far below what indexing tells.

    Every pattern is turned onto the average of its grain's others, by least squares over all its
    pixels. No master pattern and no phase is needed, only orientations that are right within
    about 3 degrees. Grains keep the orientation that indexing gave them on the whole.

    Parameters
    ----------
    scan
        With patterns and orientations.
    detector
        Default: the scan's. An error of the pattern centre of 1 % makes rotations wrong by about
        1 % of themselves. Refine it first where it may be wrong: `refine_scan`.
    grains : (rows, columns) int array
        Grain labels, 0 for none. Default: `segment_grains` with `grain_threshold`.
    grain_threshold
        Degrees.
    mask : (detector rows, detector columns) bool array
        Pixels of the screen that carry signal. Default: told by the patterns themselves.
    keep_failed
        Whether pixels whose pattern fits no average keep their orientation. Default: they count
        as not indexed, so that all orientations of a grain are equally good. Pixels of grains with
        fewer than five always keep theirs.
    progress
        Called with the fraction done; what it raises ends the work.

    Returns
    -------
    ImprovedOrientations

    Raises
    ------
    MissingDataError
        When the scan has no patterns or orientations, or a phase has no symmetry.
    NoCameraError
        When there is no detector.
    InputError
        When an argument does not fit the scan.

    Notes
    -----
    As HR-EBSD (Wilkinson, Meaden and Dingley, doi:10.1016/j.ultramic.2005.10.001) it compares
    measured patterns, but with one rotation for the whole screen in place of shifts of regions, as
    global methods do (Vermeij and Hoefnagels, doi:10.1016/j.ultramic.2018.05.001), and with the
    average of the grain as reference, less the pattern's own part. Elastic strain is not fitted:
    0.1 % of it is taken for a rotation of up to about 0.03 degrees. Over a large map the pattern
    centre moves with the beam; where `detector` does not tell that, it looks like a bending of
    about 1 / 15 mm.

    The noise is measured without any assumption on the crystal: the screen is parted into two
    halves like a chessboard, each gives a rotation of its own, and half of their difference has
    the error of the whole in it, but nothing of what the crystal does. What both halves have in
    common stays unseen: strain, the pattern centre, noise that is correlated over 4 pixels.
    """
    geometry = indexed_camera(scan, detector)
    patterns = scan.patterns
    assert patterns is not None
    check_mask(mask, patterns)
    if grains is None:
        grains = segment_grains(scan, grain_threshold, progress=part_of(progress, 0.0, 0.05))
    if np.shape(grains) != scan.shape or np.asarray(grains).dtype.kind not in "iu":
        raise InputError(f"grains must be integers of shape {scan.shape}.")
    oriented = scan.is_indexed & scan.quaternions.any(axis=-1)
    labels = np.where(oriented, np.asarray(grains), 0)
    views = Views.of(some_patterns(patterns, _LOOKED_AT)[1], mask)
    geometry = _binned(geometry, views, (int(patterns.shape[-2]), int(patterns.shape[-1])))
    q = np.array(scan.quaternions, dtype=np.float64).reshape(-1, 4)
    fit = np.full(len(q), np.nan)
    sigma = np.full(len(q), np.nan)
    failed = np.zeros(len(q), dtype=bool)
    after: dict[int, float] = {}
    before: dict[int, float] = {}
    present = [int(number) for number in np.unique(scan.phase_id[oriented])]
    for index, number in enumerate(present):
        own = nth_of(part_of(progress, 0.05, 1.0), index, len(present))
        inside = np.where(scan.phase_id == number, labels, 0).reshape(-1)
        zones = find_zones(q, inside, laue_operators(scan.phases[number]))
        if not len(zones.grain):
            continue
        stack = Stack(patterns, views, geometry, zones.owner)
        new, found, root = _turned(stack, zones, own)
        members = np.flatnonzero(zones.owner >= 0)
        scale, good = _judged(found, zones, members)
        failed[members[~good]] = True
        members = members[good]
        if not len(members):
            continue
        # Only now, so that patterns that fit nothing have no say.
        old = zones.quaternions[members]
        new = to_indexed(new[members], old, root[zones.owner[members]])
        q[members] = new
        fit[members] = found.fit[members]
        sigma[members] = scale * found.error[members]
        after[number] = float(np.sqrt(np.square(sigma[members]).mean()))
        before[number] = _noise_before(old, new, after[number])
    improved = np.isfinite(sigma)
    if not keep_failed:
        q[failed] = 0.0
    result = _scan(scan, q, failed & (not keep_failed), fit, sigma)
    if progress is not None:
        progress(1.0)
    return ImprovedOrientations(
        result, after, before, improved.reshape(scan.shape), failed.reshape(scan.shape), grains
    )


def _binned(geometry: Geometry, views: Views, shape: tuple[int, int]) -> Geometry:
    """Geometry of the views, which may lack some rows and columns of the screen."""
    height, width = views.part_of_screen(shape)
    bounds = np.array(geometry.bounds)
    bounds[:, 1] = bounds[:, 0] + width * (bounds[:, 1] - bounds[:, 0])
    bounds[:, 2] = bounds[:, 3] - height * (bounds[:, 3] - bounds[:, 2])
    return Geometry(bounds, geometry.to_sample, views.shape)


def _turned(
    stack: Stack, zones: Zones, progress: Progress
) -> tuple[NDArray[np.float64], Turns, NDArray[np.int64]]:
    """Orientations (pixels, 4) up to one turn for each linked group of zones."""
    number = len(stack.owner)
    turns = first_turns(stack.geometry, zones.quaternions, zones.owner, zones.middle)
    found = Turns(turns, np.zeros(number), np.full(number, np.nan), np.full((number, 3), np.nan))
    new = zones.quaternions.copy()
    size = np.bincount(zones.owner[zones.owner >= 0], minlength=len(zones.grain))
    middle = zones.middle.copy()
    root = np.arange(len(zones.grain))
    done, whole = 0, int(size.sum())
    for some in _batches(stack, zones):
        pixels = int(size[some].sum())
        own = part_of(progress, done / whole, (done + pixels) / whole)
        total, count, bounds = align_zones(stack, some, found, own)
        local = middle[some]
        at = link_zones(stack.geometry, zones.grain[some], local, size[some], total, count, bounds)
        middle[some], root[some] = local, some[at]
        done += pixels
    members = np.flatnonzero(zones.owner >= 0)
    members = members[np.isfinite(found.fit[members])]
    new[members] = turned_orientations(
        stack.geometry, found.turns[members], middle[zones.owner[members]]
    )
    same = np.einsum("ij,ij->i", new[members], zones.quaternions[members]) < 0
    new[members[same]] *= -1
    return new, found, root


def _batches(stack: Stack, zones: Zones) -> Iterator[NDArray[np.intp]]:
    """Zones whose averages fit into memory together, from top to bottom, whole grains."""
    most = max(1, MEMORY // (8 * int(np.prod(stack.views.shape))))
    members = np.flatnonzero(zones.owner >= 0)
    first = np.full(len(zones.grain), len(stack.owner))
    np.minimum.at(first, zones.owner[members], members)
    top: dict[int, int] = {}
    for zone, grain in enumerate(zones.grain):
        top[int(grain)] = min(top.get(int(grain), len(stack.owner)), int(first[zone]))
    order = sorted(range(len(zones.grain)), key=lambda z: (top[int(zones.grain[z])], z))
    some: list[int] = []
    for zone in order:
        # A grain of more zones than fit is still taken whole: its averages must be linked.
        if len(some) >= most and zones.grain[zone] != zones.grain[some[-1]]:
            yield np.array(some)
            some = []
        some.append(zone)
    yield np.array(some)


def _judged(
    found: Turns, zones: Zones, members: NDArray[np.intp]
) -> tuple[float, NDArray[np.bool_]]:
    """Degrees of noise for one radian of `Turns.error`, and which of the members to trust."""
    fit = found.fit[members]
    owner = zones.owner[members]
    halves = found.halves[members]
    good = np.isfinite(fit) & np.isfinite(halves).all(axis=1) & (found.error[members] > 0)
    if not good.any():
        return 1.0, good
    for part in _groups(owner, good):
        good[part] &= fit[part] >= _POOR * np.median(fit[part])
    # What the halves of all patterns of a zone differ by is no noise between its pixels.
    for part in _groups(owner, good):
        if len(part) >= _SHARED:
            halves[part] -= np.median(halves[part], axis=0)
    relative = (halves / (2 * found.error[members][:, None])) ** 2
    square = relative.sum(axis=1)
    typical = float(np.median(square[good])) / _MEDIAN_SQUARE
    good &= square < 3 * _APART**2 * typical
    # The mean square of those that count, not the median: averages of squares need it.
    scale = float(np.sqrt(relative[good].mean())) if good.any() else 1.0
    return float(np.degrees(scale)), good


def _groups(owner: NDArray[np.int64], chosen: NDArray[np.bool_]) -> Iterator[NDArray[np.intp]]:
    """Places of the chosen ones of each owner."""
    places = np.flatnonzero(chosen)
    places = places[np.argsort(owner[places], kind="stable")]
    cuts = np.flatnonzero(np.diff(owner[places])) + 1
    yield from np.split(places, cuts) if len(places) else []


def _noise_before(old: NDArray[np.float64], new: NDArray[np.float64], after: float) -> float:
    """Degrees about each axis by which old orientations scatter around new ones."""
    away = multiply(old, new * np.array([1.0, -1.0, -1.0, -1.0]))
    square = 4 * np.square(away[:, 1:]).sum(axis=1) / 3
    return float(np.sqrt(max(np.degrees(np.degrees(square.mean())) - after**2, 0.0)))


def _scan(
    scan: Scan, q: NDArray[np.float64], dropped: NDArray[np.bool_], fit: NDArray[np.float64],
    sigma: NDArray[np.float64],
) -> Scan:  # fmt: skip
    """The map with new orientations and what is known of them."""
    shape = scan.shape
    phase = np.where(dropped.reshape(shape), NOT_INDEXED, scan.phase_id)
    points = scan.source.hexagonal
    if points is not None:
        at = points.nearest.reshape(-1)
        shown = np.full(len(points.x), NOT_INDEXED, dtype=np.int32)
        shown[at] = phase.reshape(-1)
        turned = np.zeros((len(points.x), 4))
        turned[at] = q
        points = replace(points, quaternions=turned, phase_id=shown)
    note = "Orientations within grains were improved from the patterns."
    source = replace(scan.source, hexagonal=points, warnings=(*scan.source.warnings, note))
    new = replace(scan, quaternions=q.reshape(*shape, 4), phase_id=phase, source=source)
    new = new.with_property(FIT, fit.reshape(shape).astype(np.float32))
    return new.with_property(ORIENTATION_NOISE, sigma.reshape(shape).astype(np.float32), "°")
