"""Maps of a scan one after the other, each with how it is best shown; no Qt here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from napari_ebsdml._napari.maps.grains import GrainMaps
from napari_ebsdml._napari.maps.settings import REGIONS, MapResult, MapSettings, from_zero, masked
from napari_ebsdml._napari.shell.classes import LabelClass
from napari_ebsdml._napari.shell.layers import contrast_limits
from napari_ebsdml.errors import InputError
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml._parallel import Progress


def compute_maps(
    scan: Scan, settings: MapSettings, progress: Callable[[float], None] | None = None
) -> Iterator[str | MapResult]:
    """Compute the chosen maps; yields what it is at (a string) and each map when it is ready.

    Parameters
    ----------
    scan
    settings
    progress
        Called with the fraction done; may raise to cancel.

    Raises
    ------
    InputError
        When nothing is chosen or an argument is out of range.
    MissingDataError
        When the scan lacks what a map needs.
    """
    steps = _steps(scan, settings)
    if not steps:
        raise InputError("Nothing is ticked: choose at least one map.")
    for number, (text, step) in enumerate(steps):
        yield text
        result = step(_part(progress, number / len(steps), 1 / len(steps)))
        if result is not None:
            yield result
        if progress is not None:
            progress((number + 1) / len(steps))


_Step = Callable[["Progress"], MapResult | None]


def _steps(scan: Scan, chosen: MapSettings) -> list[tuple[str, _Step]]:
    """What to do in which order: the layers come to lie in this order, bottom to top."""
    steps: list[tuple[str, _Step]] = []
    if chosen.virtual:
        steps.append(("Virtual backscatter image", lambda p: _virtual(scan, chosen, p)))
    if chosen.misorientation:
        steps.append(("Misorientation", lambda p: _misorientation(scan, p)))
    if chosen.ipf:
        steps.append(("IPF colours", lambda p: _ipf(scan, chosen, p)))
    if chosen.kam:
        steps.append(("KAM", lambda p: _kam(scan, chosen, p)))
    if chosen.needs_grains:
        grains = GrainMaps(scan, chosen)
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
        steps.append(("Boundaries", lambda p: _boundaries(scan, chosen, p)))
    return steps


def _part(progress: Progress, start: float, share: float) -> Progress:
    return None if progress is None else lambda fraction: progress(start + share * fraction)


def _virtual(scan: Scan, chosen: MapSettings, progress: Progress) -> MapResult:
    from napari_ebsdml.maps import virtual_backscatter, virtual_backscatter_grid

    settings = {"region": REGIONS[chosen.virtual_region]}
    name = f"virtual backscatter, {REGIONS[chosen.virtual_region]}"
    if chosen.virtual_region == "rgb":
        thirds = virtual_backscatter_grid(scan, (3, 1), progress)[:, 0]
        channels = []
        for third in thirds:
            low, high = contrast_limits(third)
            channels.append(np.clip((third - low) / (high - low), 0, 1))
        return MapResult(np.stack(channels, axis=-1), name, kind="rgb", settings=settings)
    region = None
    if scan.patterns is not None and chosen.virtual_region != "whole":
        height, width = scan.patterns.shape[2:]
        third = ("top", "middle", "bottom").index(chosen.virtual_region)
        region = (height * third // 3, height * (third + 1) // 3, 0, width)
    return MapResult(virtual_backscatter(scan, region, progress), name, settings=settings)


def _misorientation(scan: Scan, progress: Progress) -> MapResult:
    from napari_ebsdml.maps import misorientation_map

    right, down = misorientation_map(scan, progress)
    return MapResult(
        np.fmax(right, down).astype(np.float32),
        "misorientation to next pixel",
        "°",
        display={"colormap": "inferno", "contrast_limits": (0.0, 15.0)},
    )


def _ipf(scan: Scan, chosen: MapSettings, progress: Progress) -> MapResult:
    from napari_ebsdml.maps import ipf_colors

    colors = ipf_colors(scan, chosen.vector, progress)
    settings = {"direction": chosen.vector}
    return MapResult(colors, f"IPF-{chosen.direction_name}", kind="rgb", settings=settings)


def _kam(scan: Scan, chosen: MapSettings, progress: Progress) -> MapResult:
    from napari_ebsdml.maps import kam

    order, threshold = chosen.kam_order, chosen.kam_threshold
    values = masked(kam(scan, order, threshold, progress), scan.is_indexed)
    return MapResult(
        values,
        "KAM",
        "°",
        settings={"order": order, "threshold": threshold},
        display={"colormap": "viridis", "contrast_limits": from_zero(values, threshold)},
    )


def _boundaries(scan: Scan, chosen: MapSettings, progress: Progress) -> MapResult:
    from napari_ebsdml.maps import BoundaryKind, boundary_map, boundary_segments, laue_class

    low, high, sigma3 = chosen.boundary_low, chosen.boundary_high, chosen.boundary_sigma3
    kinds = boundary_map(scan, low, high, sigma3, _part(progress, 0.0, 0.6))
    classes = [
        LabelClass(BoundaryKind.NONE, "no boundary", "transparent"),
        LabelClass(BoundaryKind.LOW_ANGLE, f"low angle, {low:g}–{high:g}°", "#ffe14d"),
        LabelClass(BoundaryKind.HIGH_ANGLE, f"high angle, ≥ {high:g}°", "#000000"),
    ]
    present = np.unique(scan.phase_id[scan.is_indexed]).tolist()
    if sigma3 and any(laue_class(scan.phases[n]) in ("m-3", "m-3m") for n in present):
        classes.append(LabelClass(BoundaryKind.SIGMA3, "Σ3 (twin)", "#ff2d2d"))
    if len(present) > 1:
        classes.append(LabelClass(BoundaryKind.PHASE, "phase boundary", "#ff4dff"))
    segments = boundary_segments(scan, low, high, sigma3, _part(progress, 0.6, 0.4))
    lengths = [segments.length(BoundaryKind(c.label)) for c in classes[1:]]
    total = sum(lengths) or math.nan
    table = {
        "kind": [c.name for c in classes[1:]],
        "length [µm]": lengths,
        "share [%]": [100 * length / total for length in lengths],
    }
    return MapResult(
        kinds,
        "boundaries",
        kind="labels",
        classes=tuple(classes),
        settings={"low": low, "high": high, "sigma3": sigma3},
        display={"opacity": 1.0},
        table={"Boundaries": table},
    )
