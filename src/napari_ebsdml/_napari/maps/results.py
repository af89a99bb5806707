"""Computed maps as layers: how each is shown, and what stands in its table; no Qt here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.lines import add_lines, line_layer
from napari_ebsdml._napari.layers.of_scans import Level, add_result, contrast_limits
from napari_ebsdml._napari.maps.grains import every_grain, grain_features, grain_summary
from napari_ebsdml._palette import BOUNDARIES_ON_DARK
from napari_ebsdml.maps.settings import REGIONS, MapSettings
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer, Vectors

    from napari_ebsdml._parallel import Progress
    from napari_ebsdml.maps import ComputedMap

_ROUNDING = 1e-4
"""Angles in degrees below this are rounding errors of a perfect crystal."""


@dataclass(frozen=True, eq=False)
class MapResult:
    """One map as a layer: arguments of `layers.add_result`.

    Attributes
    ----------
    data, quantity, unit, kind, classes, settings
        As `layers.add_result` takes them.
    display
        How it looks: colormap, contrast limits ...
    table
        Columns to show beside it, by the title of the table.
    lines
        Shown instead of the pixels: ends (n, 2, 2) in um and class (n,).
    made
        The layer of these lines.
    """

    data: NDArray[Any]
    quantity: str
    unit: str = ""
    kind: str = "image"
    classes: tuple[LabelClass, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    display: Mapping[str, Any] = field(default_factory=dict)
    table: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    lines: tuple[NDArray[Any], NDArray[Any]] | None = None
    made: Vectors | None = None

    def add_to(self, viewer: ViewerModel, scan: Scan, replace: bool = True) -> Layer:
        """Show it on a scan; the same quantity is replaced."""
        if self.lines is not None:
            return add_lines(
                viewer, scan, *self.lines, self.quantity, self.classes, self.data,
                self.settings, made=self.made,
            )  # fmt: skip
        return add_result(
            viewer, scan, self.data, self.quantity, self.unit, kind=self.kind,
            classes=self.classes, settings=self.settings, replace=replace, **self.display,
        )  # fmt: skip


def map_results(
    scan: Scan, settings: MapSettings, progress: Progress = None
) -> Iterator[str | MapResult]:
    """`compute_maps`, each map ready to be shown."""
    from napari_ebsdml.maps import compute_maps

    for event in compute_maps(scan, settings, progress):
        yield event if isinstance(event, str) else as_result(scan, settings, event)


def as_result(scan: Scan, settings: MapSettings, found: ComputedMap) -> MapResult:
    """A computed map, ready to be shown."""
    return _LOOKS[found.name](scan, settings, found)


def masked(values: NDArray[Any], where: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Values with NaN, which napari leaves transparent, where there is nothing to tell."""
    return np.where(where, values, np.nan).astype(np.float32)


def from_zero(values: NDArray[Any], highest: float = math.inf) -> tuple[float, float]:
    """Limits from 0 to a round number that hardly any pixel exceeds."""
    high = contrast_limits(values)[1]
    if not high > _ROUNDING:
        return 0.0, min(1.0, highest)
    power = 10.0 ** math.floor(math.log10(high))
    round_up = next(n for n in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if n * power >= high * (1 - 1e-6))
    return 0.0, min(round_up * power, highest)


def _virtual(scan: Scan, settings: MapSettings, found: ComputedMap) -> MapResult:
    region = REGIONS[settings.virtual_region]
    name, made = f"virtual backscatter, {region}", {"region": region}
    if settings.virtual_region != "rgb":
        return MapResult(found.data, name, settings=made)
    channels = []
    for third in np.moveaxis(found.data, -1, 0):
        low, high = contrast_limits(third)
        channels.append(np.clip((third - low) / (high - low), 0, 1))
    return MapResult(np.stack(channels, axis=-1), name, kind="rgb", settings=made)


def _misorientation(scan: Scan, settings: MapSettings, found: ComputedMap) -> MapResult:
    display = {"colormap": "inferno", "contrast_limits": (0.0, 15.0)}
    return MapResult(found.data, "misorientation to next pixel", "°", display=display)


def _ipf(scan: Scan, settings: MapSettings, found: ComputedMap) -> MapResult:
    name = f"IPF-{settings.direction_name}"
    if found.grains is not None:
        name = f"grain mean {name}"
    return MapResult(found.data, name, kind="rgb", settings=found.arguments)


def _kam(scan: Scan, settings: MapSettings, found: ComputedMap) -> MapResult:
    values = masked(found.data, scan.is_indexed)
    limits = from_zero(values, settings.kam_threshold)
    display = {"colormap": "viridis", "contrast_limits": limits}
    return MapResult(values, "KAM", "°", settings=found.arguments, display=display)


def _of_grains(quantity: str, colormap: str) -> _Look:
    def look(scan: Scan, settings: MapSettings, found: ComputedMap) -> MapResult:
        assert found.grains is not None
        values = masked(found.data, found.grains > 0)
        display = {"colormap": colormap, "contrast_limits": from_zero(values)}
        return MapResult(values, quantity, "°", settings=found.arguments, display=display)

    return look


def _grains(scan: Scan, settings: MapSettings, found: ComputedMap) -> MapResult:
    table = found.measured
    return MapResult(
        found.data,
        "grains",
        kind="labels",
        settings=found.arguments,
        display={"features": grain_features(scan, table), "level": Level.LINES},
        table={"Grains": grain_summary(scan, table), "Every grain": every_grain(scan, table)},
    )


def _boundaries(scan: Scan, settings: MapSettings, found: ComputedMap) -> MapResult:
    from napari_ebsdml.maps import BoundaryKind, laue_class

    low, high = settings.boundary_low, settings.boundary_high
    colours = BOUNDARIES_ON_DARK
    classes = [
        LabelClass(BoundaryKind.NONE, "no boundary", "transparent"),
        LabelClass(BoundaryKind.LOW_ANGLE, f"low angle, {low:g}–{high:g}°", colours[1]),
        LabelClass(BoundaryKind.HIGH_ANGLE, f"high angle, ≥ {high:g}°", colours[2]),
    ]
    present = np.unique(scan.phase_id[scan.is_indexed]).tolist()
    cubic = any(laue_class(scan.phases[n]) in ("m-3", "m-3m") for n in present)
    if settings.boundary_sigma3 and cubic:
        classes.append(LabelClass(BoundaryKind.SIGMA3, "Σ3 (twin)", colours[3]))
    if len(present) > 1:
        classes.append(LabelClass(BoundaryKind.PHASE, "phase boundary", colours[4]))
    lengths = [found.measured.length(BoundaryKind(c.label)) for c in classes[1:]]
    total = sum(lengths) or math.nan
    table = {
        "kind": [c.name for c in classes[1:]],
        "length [µm]": lengths,
        "share [%]": [100 * length / total for length in lengths],
    }
    quantity = "boundaries"
    ends, kinds = found.measured.runs()
    return MapResult(
        found.data,
        quantity,
        kind="labels",
        classes=tuple(classes),
        settings=found.arguments,
        table={"Boundaries": table},
        lines=(ends, kinds),
        made=line_layer(scan, ends, kinds, quantity, classes, found.data, found.arguments),
    )


_Look = Callable[[Scan, MapSettings, "ComputedMap"], MapResult]

_LOOKS: dict[str, _Look] = {
    "virtual": _virtual,
    "misorientation": _misorientation,
    "ipf": _ipf,
    "grain_ipf": _ipf,
    "kam": _kam,
    "grod": _of_grains("GROD", "plasma"),
    "gos": _of_grains("GOS", "magma"),
    "grains": _grains,
    "boundaries": _boundaries,
}
