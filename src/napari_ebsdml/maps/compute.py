"""Several maps of a scan one after the other, as `MapSettings` ask for them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.boundaries import boundary_map, boundary_segments
from napari_ebsdml.maps.grain_properties import gos, grain_table, grod
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.maps.ipf import ipf_colors
from napari_ebsdml.maps.mean_orientation import grain_mean_orientation
from napari_ebsdml.maps.misorientation import kam, misorientation_map
from napari_ebsdml.maps.virtual import virtual_backscatter, virtual_backscatter_grid
from napari_ebsdml.scan import NOT_INDEXED

if TYPE_CHECKING:
    from napari_ebsdml.maps.settings import MapSettings
    from napari_ebsdml.scan import Scan

_BOUNDARY_SHARE = 0.6


@dataclass(frozen=True, eq=False)
class ComputedMap:
    """One map of a scan.

    Attributes
    ----------
    name
        As in `MapSettings`: "kam", "grains" ...
    data : (rows, columns) array, for colours (rows, columns, 3)
        Of "virtual" in three colours: mean brightness of the top, middle and bottom third.
    arguments
        What it was computed with.
    grains : (rows, columns) int32, or None
        Labels of the grains that it is made of.
    measured
        The `grain_table` of "grains", the `BoundarySegments` of "boundaries"; else None.
    """

    name: str
    data: NDArray[Any]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    grains: NDArray[np.int32] | None = None
    measured: Any = None


@dataclass(frozen=True)
class Ways:
    """Functions that compute maps: those of this package, or the same for maps out of memory.

    Attributes
    ----------
    kam, misorientation_map, ipf_colors, boundary_map, segment_grains
        As the functions of these names.
    boundary_segments
        None leaves the segments out.
    """

    kam: Callable[..., NDArray[Any]] = kam
    misorientation_map: Callable[..., NDArray[Any]] = misorientation_map
    ipf_colors: Callable[..., NDArray[Any]] = ipf_colors
    boundary_map: Callable[..., NDArray[Any]] = boundary_map
    segment_grains: Callable[..., NDArray[Any]] = segment_grains
    boundary_segments: Callable[..., Any] | None = boundary_segments


HERE = Ways()
"""In memory."""


def compute_maps(
    scan: Scan, settings: MapSettings, progress: Progress = None, ways: Ways = HERE
) -> Iterator[str | ComputedMap]:
    """Compute the chosen maps; yields what it is at (a string) and each map when it is ready.

    Parameters
    ----------
    scan
        Map with orientations; with patterns for a virtual backscatter image.
    settings
        Which maps, and how.
    progress
        Called with the fraction done; may raise to cancel.
    ways
        Functions to compute with.

    Yields
    ------
    str or ComputedMap

    Raises
    ------
    InputError
        When no map is chosen or an argument is out of range.
    MissingDataError
        When the scan lacks what a map needs.
    """
    steps = _steps(scan, settings, ways)
    if not steps:
        raise InputError("Nothing is ticked: choose at least one map.")
    for number, (text, step) in enumerate(steps):
        yield text
        result = step(part_of(progress, number / len(steps), (number + 1) / len(steps)))
        if result is not None:
            yield result
        if progress is not None:
            progress((number + 1) / len(steps))


_Step = Callable[[Progress], ComputedMap | None]


def _steps(scan: Scan, chosen: MapSettings, by: Ways) -> list[tuple[str, _Step]]:
    """What to do in which order: as layers, the maps lie upon each other in this order."""
    steps: list[tuple[str, _Step]] = []
    if chosen.virtual:
        steps.append(("Virtual backscatter image", lambda p: _virtual(scan, chosen, p)))
    if chosen.misorientation:
        steps.append(("Misorientation", lambda p: _misorientation(scan, by, p)))
    if chosen.ipf:
        steps.append(("IPF colours", lambda p: _ipf(scan, chosen, by, p)))
    if chosen.kam:
        steps.append(("KAM", lambda p: _kam(scan, chosen, by, p)))
    if chosen.needs_grains:
        grains = _GrainMaps(scan, chosen, by)
        steps.append(("Grains", grains.segment))
        if chosen.grain_ipf:
            steps.append(("Grain mean orientations", grains.ipf))
        if chosen.gos:
            steps.append(("GOS", grains.gos))
        if chosen.grod:
            steps.append(("GROD", grains.grod))
        if chosen.grains:
            steps.append(("Grain statistics", grains.measure))
    if chosen.boundaries:
        steps.append(("Boundaries", lambda p: _boundaries(scan, chosen, by, p)))
    return steps


def _virtual(scan: Scan, chosen: MapSettings, progress: Progress) -> ComputedMap:
    arguments = {"region": chosen.virtual_region}
    if chosen.virtual_region == "rgb":
        thirds = virtual_backscatter_grid(scan, (3, 1), progress)[:, 0]
        return ComputedMap("virtual", np.moveaxis(thirds, 0, -1), arguments)
    region = None
    if scan.patterns is not None and chosen.virtual_region != "whole":
        height, width = scan.patterns.shape[2:]
        third = ("top", "middle", "bottom").index(chosen.virtual_region)
        region = (height * third // 3, height * (third + 1) // 3, 0, width)
    return ComputedMap("virtual", virtual_backscatter(scan, region, progress), arguments)


def _misorientation(scan: Scan, by: Ways, progress: Progress) -> ComputedMap:
    right, down = by.misorientation_map(scan, progress)
    return ComputedMap("misorientation", np.fmax(right, down).astype(np.float32))


def _ipf(scan: Scan, chosen: MapSettings, by: Ways, progress: Progress) -> ComputedMap:
    colors = by.ipf_colors(scan, chosen.vector, progress)
    return ComputedMap("ipf", colors, {"direction": chosen.vector})


def _kam(scan: Scan, chosen: MapSettings, by: Ways, progress: Progress) -> ComputedMap:
    order, threshold = chosen.kam_order, chosen.kam_threshold
    found = by.kam(scan, order, threshold, progress)
    return ComputedMap("kam", found, {"order": order, "threshold": threshold})


def _boundaries(scan: Scan, chosen: MapSettings, by: Ways, progress: Progress) -> ComputedMap:
    arguments: dict[str, Any] = {
        "low": chosen.boundary_low,
        "high": chosen.boundary_high,
        "sigma3": chosen.boundary_sigma3,
    }
    first = part_of(progress, 0.0, _BOUNDARY_SHARE)
    second = part_of(progress, _BOUNDARY_SHARE)
    kinds = by.boundary_map(scan, **arguments, progress=first)
    segments = None
    if by.boundary_segments is not None:
        segments = by.boundary_segments(scan, **arguments, progress=second)
    return ComputedMap("boundaries", kinds, arguments, measured=segments)


class _GrainMaps:
    """Maps made of grains, which are segmented once."""

    def __init__(self, scan: Scan, chosen: MapSettings, by: Ways) -> None:
        self.scan, self.chosen, self.by = scan, chosen, by
        self.labels = np.zeros(scan.shape, dtype=np.int32)
        self.arguments = {
            "threshold": chosen.grain_threshold,
            "min_pixels": chosen.grain_min_pixels,
        }

    def segment(self, progress: Progress) -> None:
        """Find the grains; comes before all others."""
        self.labels = self.by.segment_grains(
            self.scan, self.chosen.grain_threshold, self.chosen.grain_min_pixels, progress
        )

    def grod(self, progress: Progress) -> ComputedMap:
        return self._made("grod", grod(self.scan, self.labels, progress))

    def gos(self, progress: Progress) -> ComputedMap:
        return self._made("gos", gos(self.scan, self.labels)[self.labels])

    def ipf(self, progress: Progress) -> ComputedMap:
        means = grain_mean_orientation(self.scan, self.labels)
        mean_scan = dataclasses.replace(
            self.scan,
            quaternions=means[self.labels],
            phase_id=np.where(self.labels > 0, self.scan.phase_id, NOT_INDEXED),
        )
        direction = self.chosen.vector
        return ComputedMap(
            "grain_ipf",
            ipf_colors(mean_scan, direction, progress),
            {**self.arguments, "direction": direction},
            self.labels,
        )

    def measure(self, progress: Progress) -> ComputedMap:
        table = grain_table(self.scan, self.labels, progress=progress)
        return ComputedMap("grains", self.labels, self.arguments, self.labels, table)

    def _made(self, name: str, values: NDArray[Any]) -> ComputedMap:
        return ComputedMap(name, values, self.arguments, self.labels)
