"""Input channels of the networks, computed from a `Scan`."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from napari_ebsdml.errors import InputError, MissingDataError
from napari_ebsdml.maps.boundaries import BoundaryKind, boundary_map
from napari_ebsdml.maps.grain_properties import grain_table, grod
from napari_ebsdml.maps.grains import segment_grains
from napari_ebsdml.maps.ipf import ipf_colors
from napari_ebsdml.maps.mean_orientation import variants_and_means
from napari_ebsdml.maps.misorientation import kam
from napari_ebsdml.maps.symmetry import PhaseTable, laue_class, phase_table
from napari_ebsdml.segmentation.inputs.augment import turn_variants
from napari_ebsdml.segmentation.inputs.local import LOCAL_NAMES, local_misorientation
from napari_ebsdml.segmentation.inputs.planes import ChannelStack, Plane
from napari_ebsdml.segmentation.inputs.relations import (
    RELATION_NAMES,
    Pairs,
    boundary_kinds,
    boundary_relations,
)
from napari_ebsdml.segmentation.inputs.relative import (
    PARTNER_NAMES,
    QUALITY_NAMES,
    SIZE_NAMES,
    MapMeasures,
    relative_quality,
    relative_sizes,
    twin_partners,
)

if TYPE_CHECKING:
    from napari_ebsdml._parallel import Progress
    from napari_ebsdml.scan import Scan

GRAIN_THRESHOLD = 3.0
"""Degrees; boundary of the grains that channels refer to."""

GRAIN_MEAN = "@grain"
"""``"BC@grain"`` is the mean of BC over each grain."""

NEIGHBOURHOODS = {"@near": 3.0, "@far": 9.0}
"""``"KAM@near"`` is the mean of KAM around each pixel, weighted by a Gaussian of so many pixels:
what tells deformed from undeformed parts of one grain, where single pixels are noise."""

_UNITS = {"BC": "grey level", "BS": "grey level", "MAD": "degree", "IQ": "grey level", "CI": "1"}


class _Maps:
    """What several channels need, computed once."""

    def __init__(self, scan: Scan, measures: MapMeasures | None = None) -> None:
        self.scan, self.measures = scan, measures
        self.made: dict[str, NDArray[np.float32]] = {}

    @functools.cached_property
    def grains(self) -> NDArray[np.int32]:
        return segment_grains(self.scan, GRAIN_THRESHOLD)

    @functools.cached_property
    def table(self) -> dict[str, NDArray[Any]]:
        return grain_table(self.scan, self.grains, properties=())

    @functools.cached_property
    def relations(self) -> NDArray[np.float32]:
        return boundary_relations(self.scan, self.grains, self.pairs)

    @functools.cached_property
    def pairs(self) -> Pairs:
        return boundary_kinds(self.scan, self.grains)

    @functools.cached_property
    def kam(self) -> NDArray[np.float64]:
        return kam(self.scan)

    @functools.cached_property
    def phases(self) -> PhaseTable:
        return phase_table(self.scan)

    @functools.cached_property
    def homogenised(self) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
        return variants_and_means(self.scan, self.grains, self.phases)

    def of_grains(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Map of a column of the grain table; 0 where not indexed."""
        column = np.zeros(int(self.grains.max()) + 1)
        column[self.table["id"]] = values
        return column[self.grains]


def _kam(m: _Maps) -> Any:
    return m.kam


def _grod(m: _Maps) -> Any:
    return grod(m.scan, m.grains)


def _gos(m: _Maps) -> Any:
    return m.of_grains(m.table["gos"])


def _size(m: _Maps) -> Any:
    return m.of_grains(np.log10(m.table["equivalent_diameter"]))


def _width(m: _Maps) -> Any:
    # Twice area over perimeter: the width of a long lath, a quarter of a disc's diameter x 2.
    return m.of_grains(np.log10(2 * m.table["area"] / np.maximum(m.table["perimeter"], 1e-9)))


def _aspect(m: _Maps) -> Any:
    return m.of_grains(np.log10(m.table["aspect_ratio"]))


def _ipf(m: _Maps) -> Any:
    return np.moveaxis(np.nan_to_num(ipf_colors(m.scan), nan=0.0), -1, 0)


def _boundary(m: _Maps) -> Any:
    kinds = boundary_map(m.scan)
    return np.stack([kinds == kind for kind in BoundaryKind if kind > 0])


def _quaternions(m: _Maps) -> Any:
    return np.moveaxis(m.homogenised[0], -1, 0)


def _quality(m: _Maps) -> Any:
    return relative_quality(m.scan, m.measures)


def _relative_size(m: _Maps) -> Any:
    found = relative_sizes(m.table, int(m.grains.max()) + 1, m.scan.step, m.measures)
    return found[:, m.grains]


def _partner(m: _Maps) -> Any:
    return twin_partners(m.table, m.pairs)[:, m.grains]


def _indexed(m: _Maps) -> Any:
    return m.scan.is_indexed


_D = "derived"
_Maker = Callable[[_Maps], Any]
_COMPUTED: dict[str, tuple[_Maker, tuple[Plane, ...]]] = {
    "KAM": (_kam, (Plane("KAM", "degree", _D),)),
    "GROD": (_grod, (Plane("GROD", "degree", _D),)),
    "GOS": (_gos, (Plane("GOS", "degree", _D),)),
    "GrainSize": (_size, (Plane("grain size", "log10 um", _D),)),
    "GrainWidth": (_width, (Plane("grain width", "log10 um", _D),)),
    "IPF": (_ipf, tuple(Plane(f"IPF-Z {c}", "1", "flag") for c in ("red", "green", "blue"))),
    "Boundary": (
        _boundary,
        tuple(Plane(f"boundary {k.name.lower()}", "1", "flag") for k in BoundaryKind if k > 0),
    ),
    "Quaternions": (
        _quaternions,
        tuple(Plane(f"quaternion {c}", "1", "quaternion") for c in "wxyz"),
    ),
    "Local": (
        lambda m: local_misorientation(m.scan),
        tuple(Plane(n, "degree" if n.startswith("orient") else "1", _D) for n in LOCAL_NAMES),
    ),
    "Relations": (
        lambda m: m.relations[:, m.grains],
        tuple(Plane(n, "log10 number" if n == "neighbours" else "1", _D) for n in RELATION_NAMES),
    ),
    "Twins": (
        lambda m: m.relations[1:2, m.grains],
        (Plane(RELATION_NAMES[1], "1", _D),),
    ),
    "GrainAspect": (_aspect, (Plane("grain aspect ratio", "log10", _D),)),
    "RelativeSize": (_relative_size, tuple(Plane(n, "log10", _D) for n in SIZE_NAMES)),
    "TwinPartner": (_partner, tuple(Plane(n, "log10", _D) for n in PARTNER_NAMES)),
    "Quality": (
        _quality,
        (*(Plane(n, "1", _D) for n in QUALITY_NAMES[:2]), Plane(QUALITY_NAMES[2], "1", "flag")),
    ),
    "Indexed": (_indexed, (Plane("indexed", "1", "flag"),)),
}  # fmt: skip

_OF_GRAINS = {
    "GROD",
    "GOS",
    "GrainSize",
    "GrainWidth",
    "GrainAspect",
    "RelativeSize",
    "Quaternions",
}
_OF_NEIGHBOURS = {"Relations", "Twins", "TwinPartner"}
_OF_MAPS = {"RelativeSize", "Quality"}

_WITHOUT_ORIENTATIONS = ("Indexed", "Quality")

COMPUTED_CHANNELS = tuple(_COMPUTED)
"""Channels that are computed, most from orientations; other names are properties of the scan."""

ORIENTATION_CHANNELS = (
    "KAM", "KAM@grain", "Local", "GROD", "GOS", "GrainSize", "GrainWidth", "Relations",
)  # fmt: skip
"""Orientations in a form that no symmetry changes: what to use instead of quaternions."""


def channel_names(channels: Sequence[str]) -> tuple[str, ...]:
    """Names as the package spells them, without repeats, ``"Indexed"`` added at the end.

    Raises
    ------
    InputError
        When `channels` is empty or no sequence of names.
    """
    if isinstance(channels, str):
        channels = (channels,)
    known = {name.casefold(): name for name in COMPUTED_CHANNELS}
    names: list[str] = []
    for name in channels:
        if not isinstance(name, str) or not name.strip():
            raise InputError(f"A channel is a name such as 'BC' or 'KAM', not {name!r}.")
        base, at, rest = name.strip().partition("@")
        ending = f"@{rest.casefold()}" if at else ""
        if ending not in ("", GRAIN_MEAN, *NEIGHBOURHOODS):
            raise InputError(
                f"Channel {name!r}: only '{GRAIN_MEAN}', '@near' or '@far' can follow a name."
            )
        spelled = known.get(base.casefold(), base) + ending
        if spelled.casefold() not in {n.casefold() for n in names}:
            names.append(spelled)
    if not names:
        raise InputError("Give at least one channel, for example channels=('BC', 'KAM').")
    return (*(n for n in names if n != "Indexed"), "Indexed")


def with_property(scan: Scan, name: str, values: ArrayLike) -> Scan:
    """The scan with one more property, which can then be a channel (GND density, for example).

    Raises
    ------
    InputError
        When `values` does not have the shape of the map.
    """
    return dataclasses.replace(scan, prop={**scan.prop, name: np.asarray(values)})


def grain_rings(channels: Sequence[str]) -> int:
    """What of its grains a pixel's planes depend on.

    0: none of them; 1: all of the grain that it lies in; 2: its grain and the neighbours of that.
    """
    base = {name.partition("@")[0] for name in channels}
    if base & _OF_NEIGHBOURS:
        return 2
    return int(bool(base & _OF_GRAINS) or any(name.endswith(GRAIN_MEAN) for name in channels))


def needs_measures(channels: Sequence[str]) -> bool:
    """Whether some planes are measured by the whole map (`MapMeasures`)."""
    return bool({name.partition("@")[0] for name in channels} & _OF_MAPS)


def default_channels(scan: Scan) -> tuple[str, ...]:
    """Channels that suit most maps: pattern quality, its grain mean, and orientations."""
    have = {name.casefold(): name for name in scan.prop}
    quality = [have[n] for n in ("bs", "bc", "iq") if n in have]
    quality = [q for q in quality if np.ptp(scan.prop[q]) > 0][:2]
    if not scan.quaternions.any():
        return tuple(quality)
    return (*quality, *(q + GRAIN_MEAN for q in quality[:1]), *ORIENTATION_CHANNELS)


def _mean_of_grains(m: _Maps, values: NDArray[Any]) -> NDArray[np.float64]:
    """Mean over each grain; pixels of no grain keep their value."""
    values = np.asarray(values, dtype=np.float64)
    use = np.isfinite(values) & (m.grains > 0)
    length = int(m.grains.max()) + 1
    count = np.bincount(m.grains[use], minlength=length)
    mean = np.bincount(m.grains[use], weights=values[use], minlength=length) / np.maximum(count, 1)
    return np.where(m.grains > 0, mean[m.grains], values)


def _channel(m: _Maps, name: str) -> tuple[NDArray[np.float32], tuple[Plane, ...]]:
    """Planes of one channel: (planes, rows, columns) and what they are."""
    if name.endswith(GRAIN_MEAN):
        values, planes = _channel(m, name.removesuffix(GRAIN_MEAN))
        if any(plane.role == "quaternion" for plane in planes):
            raise InputError(f"Channel {name!r}: quaternions have no plain mean.")
        means = np.stack([_mean_of_grains(m, plane) for plane in values])
        return means.astype(np.float32), tuple(
            dataclasses.replace(plane, name=plane.name + GRAIN_MEAN) for plane in planes
        )
    for ending, sigma in NEIGHBOURHOODS.items():
        if name.endswith(ending):
            return _around(m, name.removesuffix(ending), ending, sigma)
    if name in _COMPUTED:
        maker, described = _COMPUTED[name]
        if name not in m.made:
            values = np.asarray(maker(m), dtype=np.float32)
            m.made[name] = values if values.ndim == 3 else values[None]
        return m.made[name], described
    try:
        found = m.scan.get(name)
    except MissingDataError as error:
        raise MissingDataError(
            f"{str(error).rstrip('.')}. Channels that can be computed: "
            f"{', '.join(COMPUTED_CHANNELS)}."
        ) from None
    if found.dtype.kind not in "buif":
        raise InputError(f"Property {name!r} holds {found.dtype}, which is not a number.")
    plane = Plane(name, _UNITS.get(name.upper(), ""), "measured")
    return np.asarray(found, dtype=np.float32)[None], (plane,)


def _around(
    m: _Maps, base: str, ending: str, sigma: float
) -> tuple[NDArray[np.float32], tuple[Plane, ...]]:
    """Gaussian means of a channel; of what needs orientations, over indexed pixels alone."""
    values, planes = _channel(m, base)
    if any(plane.role == "quaternion" for plane in planes):
        raise InputError(f"Channel {base + ending!r}: quaternions have no plain mean.")
    out = np.empty_like(values)
    for number, (plane, given) in enumerate(zip(planes, values, strict=True)):
        there = np.isfinite(given)
        if plane.role != "measured":
            there = there & m.scan.is_indexed
        weight = gaussian_filter(there.astype(np.float32), sigma, mode="nearest")
        total = gaussian_filter(np.where(there, given, 0).astype(np.float32), sigma, mode="nearest")
        # Far from any value there is none.
        out[number] = np.where(weight > 1e-3, total / np.maximum(weight, 1e-3), 0)
    return out, tuple(dataclasses.replace(p, name=p.name + ending) for p in planes)


def compute_channels(
    scan: Scan, channels: Sequence[str], progress: Progress = None, turns: bool = False,
    measures: MapMeasures | None = None,
) -> ChannelStack:  # fmt: skip
    """Compute the input planes of a scan.

    Parameters
    ----------
    scan
        Map.
    channels
        Names: of `COMPUTED_CHANNELS`, of a property of the scan, or either with ``"@grain"``
        for its mean over each grain (3 degrees), ``"@near"`` or ``"@far"`` for the mean around
        each pixel (`NEIGHBOURHOODS`). ``"Indexed"`` is always added.
    progress
        Called with the fraction done; may raise to cancel.
    turns
        Also prepare `ChannelStack.variants`, which augmentation needs.
    measures
        Of the whole map, where the scan is a part of it.

    Raises
    ------
    InputError
        When a name cannot be used.
    MissingDataError
        When the scan lacks a property, or orientations that a channel needs.
    """
    names = channel_names(channels)
    shared = _Maps(scan, measures)
    arrays: list[NDArray[np.float32]] = []
    planes: list[Plane] = []
    groups = []
    for number, name in enumerate(names):
        base = name.partition("@")[0]
        computed = base in _COMPUTED
        if computed and base not in _WITHOUT_ORIENTATIONS and not scan.quaternions.any():
            raise MissingDataError(f"Channel {name!r} needs orientations; {scan.name} has none.")
        values, described = _channel(shared, name)
        arrays.append(values)
        planes.extend(described)
        groups.append((name, len(described)))
        if progress is not None:
            progress((number + 1) / len(names))
    variants = None
    if turns and "Quaternions" in names:
        variants = turn_variants(shared.homogenised[1], shared.homogenised[2], shared.phases)
    grains = shared.grains if "grains" in vars(shared) else None
    return ChannelStack(np.concatenate(arrays), tuple(planes), grains, variants, tuple(groups))


def laue_classes(scan: Scan) -> tuple[str, ...]:
    """Laue classes of the phases that occur; those without a point group are left out."""
    used = {int(i) for i in np.unique(scan.phase_id)} - {-1}
    found = set()
    for i in sorted(used):
        try:
            found.add(laue_class(scan.phases[i]))
        except InputError:
            continue
    return tuple(sorted(found))
