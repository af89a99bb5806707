"""What a figure shows: a quantity by its name, or an array, made ready to be drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._palette import BOUNDARY_COLORS, CLASS_COLORS, NOTHING
from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.maps.settings import MapSettings

if TYPE_CHECKING:
    from napari_ebsdml.maps.ipf import Keys
    from napari_ebsdml.scan import Scan

PER_AREA = "1/m²"
_SHADES = 4096
_DECADES = 4.0
"""Most decades that a logarithmic colour bar spans below its upper end."""


@dataclass(frozen=True, eq=False)
class Content:
    """One quantity of a map.

    Attributes
    ----------
    kind
        "rgb": colours, (rows, columns, 3 or 4); "values": numbers, NaN for none; "classes": whole
        numbers with names; "labels": whole numbers without, 0 for none.
    data
    title
    unit
    log
        Whether its colours go by the logarithm.
    limits
        Of its colours; None: by the data.
    colors
        Name of matplotlib's colour map.
    classes
        Value -> name and colour.
    note
        A few words below the key.
    ground
        Colour of pixels without a value.
    ipf
        Whether the key is that of crystal directions.
    keys
        Phases by colour key, as `phases_by_key` gives them; None: those of the scan.
    """

    kind: str
    data: NDArray[Any]
    title: str = ""
    unit: str = ""
    log: bool = False
    limits: tuple[float, float] | None = None
    colors: str = "viridis"
    classes: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    note: str = ""
    ground: str = NOTHING
    ipf: bool = False
    keys: Keys | None = None


def layers_of(scan: Scan) -> list[str]:
    """Names that `figure` knows for a scan."""
    return [*_TITLES.values(), *scan.prop]


def named(scan: Scan, layer: str, maps: MapSettings) -> Content:
    """The quantity of a name.

    Raises
    ------
    MissingDataError
        When there is none of that name, or the scan lacks what it needs.
    """
    key = layer.strip().casefold()
    for name in scan.prop:
        if name.casefold() == key:
            values = np.asarray(scan.prop[name], dtype=np.float64)
            if scan.prop[name].dtype.kind == "f" or len(np.unique(values)) > 2:
                values = _measured(scan, values)
            return Content("values", values, name, scan.units.get(name, ""), colors="gray")
    make = _QUANTITIES.get(key)
    if make is None:
        raise MissingDataError(
            f"{scan.name} has nothing called {layer!r} to draw; it has "
            f"{', '.join(layers_of(scan))}. An array can be given as well."
        )
    return make(scan, maps)


def of_array(
    scan: Scan,
    data: ArrayLike,
    title: str,
    unit: str,
    classes: Mapping[int, Any] | None,
    log: bool,
) -> Content:
    """An array that fits a scan.

    Raises
    ------
    InputError
        When it does not.
    """
    array = np.asarray(data)
    if array.shape[:2] != scan.shape or array.ndim > 3 or array.dtype.kind not in "biuf":
        raise InputError(
            f"A layer is a name, or numbers of the map's shape {scan.shape} (or colours, with 3 or "
            f"4 more), not an array of {array.dtype} of shape {array.shape}."
        )
    if array.ndim == 3:
        if array.shape[2] not in (3, 4):
            raise InputError(f"Colours have 3 or 4 numbers, not {array.shape[2]}.")
        return Content("rgb", array, title)
    if classes is not None:
        return Content("classes", array.astype(np.int64), title, unit, classes=_named(classes))
    return Content("values", array.astype(np.float64), title, unit, log)


def _named(classes: Mapping[int, Any]) -> dict[int, tuple[str, str]]:
    """Value -> name and colour, of names or pairs of both."""
    spare = cycle(CLASS_COLORS)
    found: dict[int, tuple[str, str]] = {}
    for value, told in classes.items():
        color = next(spare)
        name = told
        if isinstance(told, tuple | list):
            name, given = told
            color = given or color
        found[int(value)] = (str(name), color)
    return found


def limits_of(content: Content) -> tuple[float, float]:
    """Ends of the colour bar: the 1st and 99th percentile where nothing else is said."""
    if content.limits is not None:
        return content.limits
    values = content.data[np.isfinite(content.data)]
    if content.log:
        values = values[values > 0]
    if not values.size:
        return (1.0, 10.0) if content.log else (0.0, 1.0)
    low, high = (float(v) for v in np.percentile(values, (1, 99)))
    if content.log:
        low, high = max(low, high / 10**_DECADES), high
        return (low, high) if high > low else (low / 2, low * 2)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def shades(labels: NDArray[Any]) -> NDArray[np.uint8]:
    """A colour for each label, the same for the same label; 0 transparent."""
    rng = np.random.default_rng(2)
    table = rng.integers(60, 250, (_SHADES, 3), dtype=np.uint8)
    picture = np.empty((*labels.shape, 4), np.uint8)
    picture[..., :3] = table[labels % _SHADES]
    picture[..., 3] = np.where(labels > 0, 255, 0)
    return picture


def _measured(scan: Scan, values: NDArray[Any]) -> NDArray[Any]:
    """NaN where the grid has a cell and the instrument took no point."""
    return values if scan.is_measured is None else np.where(scan.is_measured, values, np.nan)


def _ipf(axis: str) -> Callable[[Scan, MapSettings], Content]:
    def make(scan: Scan, maps: MapSettings) -> Content:
        from napari_ebsdml.maps import ipf_colors
        from napari_ebsdml.maps.settings import DIRECTIONS

        colors = np.nan_to_num(ipf_colors(scan, DIRECTIONS[axis]))[..., :3]
        alpha = scan.is_indexed[..., None].astype(colors.dtype)
        if colors.dtype == np.uint8:
            alpha = alpha * 255
        return Content("rgb", np.concatenate([colors, alpha], -1), f"IPF-{axis.upper()}", ipf=True)

    return make


def _kam(scan: Scan, maps: MapSettings) -> Content:
    from napari_ebsdml.maps import kam

    values = np.where(scan.is_indexed, kam(scan, maps.kam_order, maps.kam_threshold), np.nan)
    known = values[np.isfinite(values)]
    high = float(np.percentile(known, 99)) if known.size else 0.0
    return Content("values", values, "KAM", "°", limits=(0.0, high if high > 1e-4 else 1.0))


def _gnd(scan: Scan, maps: MapSettings) -> Content:
    from napari_ebsdml.dislocations import gnd_density

    found = gnd_density(
        scan, grain_threshold=maps.grain_threshold, min_pixels=maps.grain_min_pixels
    )
    return Content("values", found.total, "GND density", PER_AREA, True, colors="inferno")


def _density(scan: Scan, maps: MapSettings) -> Content:
    from napari_ebsdml.dislocations import total_dislocation_density

    found = total_dislocation_density(scan, grain_threshold=maps.grain_threshold)
    part = 100 * float(np.isfinite(found.density).mean())
    return Content(
        "values", found.density, "dislocation density", PER_AREA, True, colors="inferno",
        note=f"{part:.0f} % of pixels tell it",
    )  # fmt: skip


def _labels(scan: Scan, maps: MapSettings) -> NDArray[np.int32]:
    from napari_ebsdml.maps import segment_grains

    return segment_grains(scan, maps.grain_threshold, maps.grain_min_pixels)


def _grains(scan: Scan, maps: MapSettings) -> Content:
    labels = _labels(scan, maps)
    return Content("labels", labels, "grains", note=f"{int(labels.max(initial=0))} grains")


def _of_grains(name: str) -> Callable[[Scan, MapSettings], Content]:
    def make(scan: Scan, maps: MapSettings) -> Content:
        from napari_ebsdml.maps import gos, grod

        labels = _labels(scan, maps)
        values = grod(scan, labels) if name == "GROD" else gos(scan, labels)[labels]
        values = np.where(labels > 0, values, np.nan)
        known = values[np.isfinite(values)]
        high = float(np.percentile(known, 99)) if known.size else 0.0
        return Content("values", values, name, "°", limits=(0.0, high if high > 1e-4 else 1.0))

    return make


def _phases(scan: Scan, maps: MapSettings) -> Content:
    present = set(np.unique(scan.phase_id).tolist())
    there = [(int(n), str(phase.name)) for n, phase in scan.phases if n >= 0 and n in present]
    colors = islice(cycle(CLASS_COLORS), len(there))
    classes = {n: (name, c) for (n, name), c in zip(there, colors, strict=True)}
    return Content("classes", scan.phase_id.astype(np.int64), "phases", classes=classes)


def _boundaries(scan: Scan, maps: MapSettings) -> Content:
    from napari_ebsdml.maps import boundary_map

    low, high = maps.boundary_low, maps.boundary_high
    kinds = boundary_map(scan, low, high, maps.boundary_sigma3).astype(np.int64)
    present = set(np.unique(kinds).tolist()) - {0}
    names = boundary_names(low, high)
    return Content(
        "classes", np.where(kinds > 0, kinds, -1), "boundaries",
        classes={n: (names[n], BOUNDARY_COLORS[n]) for n in sorted(present)},
        ground="white",
    )  # fmt: skip


def boundary_names(low: float, high: float) -> dict[int, str]:
    """`BoundaryKind` -> name."""
    return {
        1: f"low angle, {low:g}–{high:g}°", 2: f"high angle, ≥ {high:g}°", 3: "Σ3 twin",
        4: "phase boundary",
    }  # fmt: skip


_QUANTITIES: dict[str, Callable[[Scan, MapSettings], Content]] = {
    "ipf-x": _ipf("x"), "ipf-y": _ipf("y"), "ipf-z": _ipf("z"), "ipf": _ipf("z"), "kam": _kam,
    "gnd": _gnd, "density": _density, "grains": _grains, "grod": _of_grains("GROD"),
    "gos": _of_grains("GOS"), "phase": _phases, "phases": _phases, "boundaries": _boundaries,
}  # fmt: skip

_TITLES = {
    "ipf-x": "IPF-X", "ipf-y": "IPF-Y", "ipf-z": "IPF-Z", "kam": "KAM", "gnd": "GND",
    "density": "density", "grains": "grains", "grod": "GROD", "gos": "GOS", "phase": "phase",
    "boundaries": "boundaries",
}  # fmt: skip
