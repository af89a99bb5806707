"""Maps of every pixel, and grains, of a large map; equal to those of the whole in one piece."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_ebsdml import maps
from napari_ebsdml._parallel import Progress, part_of
from napari_ebsdml.batching.large.bands import over_bands
from napari_ebsdml.batching.large.store import Band, LargeMap
from napari_ebsdml.maps.compute import Ways
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD, MapSettings

if TYPE_CHECKING:
    from distributed import Client


def kam(
    large: LargeMap,
    order: int = MapSettings.kam_order,
    threshold: float = MapSettings.kam_threshold,
    progress: Progress = None,
    client: Client | None = None,
) -> NDArray[np.float64]:
    """Kernel average misorientation in degrees; see `napari_ebsdml.kam`.

    Returns
    -------
    (rows, columns) float64
        Mapped from a file in the map's folder, as all results of this module.
    """
    out = large.new(np.float64)
    return _mapped(large, _kam, order, out, (order, threshold), progress, client)


def _kam(large: LargeMap, band: Band, out: str, order: int, threshold: float) -> None:
    _keep(large, band, out, maps.kam(large.band(band.read), order, threshold))


def misorientation_map(
    large: LargeMap, progress: Progress = None, client: Client | None = None
) -> NDArray[np.float64]:
    """Misorientations to the right and to the lower pixel (2, rows, columns) in degrees."""
    found = _mapped(large, _misorientation, 1, large.new(np.float64, (2,)), (), progress, client)
    return np.moveaxis(found, -1, 0)


def _misorientation(large: LargeMap, band: Band, out: str) -> None:
    both = maps.misorientation_map(large.band(band.read))
    _keep(large, band, out, np.moveaxis(both, 0, -1))


def boundary_map(
    large: LargeMap,
    low: float = MapSettings.boundary_low,
    high: float = MapSettings.boundary_high,
    sigma3: bool = MapSettings.boundary_sigma3,
    progress: Progress = None,
    client: Client | None = None,
) -> NDArray[np.uint8]:
    """Boundaries by kind; see `napari_ebsdml.maps.boundary_map`."""
    how = (low, high, sigma3)
    return _mapped(large, _boundaries, 1, large.new(np.uint8), how, progress, client)


def _boundaries(large: LargeMap, band: Band, out: str, *how: Any) -> None:
    _keep(large, band, out, maps.boundary_map(large.band(band.read), *how))


def ipf_colors(
    large: LargeMap,
    direction: tuple[float, float, float] = (0.0, 0.0, 1.0),
    progress: Progress = None,
    client: Client | None = None,
) -> NDArray[Any]:
    """IPF colours (rows, columns, 3); see `napari_ebsdml.ipf_colors`."""
    kind = maps.ipf_colors(large.band(slice(0, 1)), direction).dtype
    return _mapped(large, _ipf, 0, large.new(kind, (3,)), (direction,), progress, client)


def _ipf(large: LargeMap, band: Band, out: str, direction: tuple[float, float, float]) -> None:
    _keep(large, band, out, maps.ipf_colors(large.band(band.read), direction))


def ways_of(large: LargeMap, client: Client | None = None) -> Ways:
    """Functions for `compute_maps`, whose scan is that of the large map."""

    def banded(function: Callable[..., Any]) -> Callable[..., Any]:
        def compute(scan: Any, *arguments: Any, **named: Any) -> Any:
            return function(large, *arguments, **named, client=client)

        return compute

    return Ways(
        kam=banded(kam), misorientation_map=banded(misorientation_map),
        ipf_colors=banded(ipf_colors), boundary_map=banded(boundary_map),
        segment_grains=banded(segment_grains), boundary_segments=None,
    )  # fmt: skip


def _mapped(
    large: LargeMap, work: Callable[..., None], halo: int, out: str, how: tuple[Any, ...],
    progress: Progress, client: Any,
) -> NDArray[Any]:  # fmt: skip
    over_bands(work, large, large.bands(halo), (out, *how), progress, client)
    return large.array(out)


def _keep(large: LargeMap, band: Band, out: str, values: NDArray[Any]) -> None:
    large.write(out, band.write.start, values[band.keep])


def segment_grains(
    large: LargeMap,
    threshold: float = GRAIN_THRESHOLD,
    min_pixels: int = MapSettings.grain_min_pixels,
    progress: Progress = None,
    client: Client | None = None,
) -> NDArray[np.int32]:
    """Labels of the grains, joined across bands; see `napari_ebsdml.segment_grains`.

    Returns
    -------
    (rows, columns) int32
        The same numbers as for the map in one piece.
    """
    name = labelled(large, threshold, min_pixels, progress, client)
    found: NDArray[np.int32] = large.array(name)
    return found


def labelled(
    large: LargeMap, threshold: float, min_pixels: int, progress: Progress = None,
    client: Client | None = None,
) -> str:  # fmt: skip
    """As `segment_grains`; the name of the array."""
    maps.segment_grains(large.band(slice(0, 1)), threshold, min_pixels)  # the arguments
    parts, out = large.new(np.int32), large.new(np.int32)
    bands = large.bands()
    first = part_of(progress, 0.0, 0.8)
    sizes = over_bands(_grains, large, bands, (parts, threshold), first, client)
    # Grains of all bands one after the other; those that go on across a seam are one.
    starts = np.cumsum([0, *(len(size) for size in sizes)])
    pairs = [
        _seam(large, parts, band.write.stop, threshold, starts[n], starts[n + 1])
        for n, band in enumerate(bands[:-1])
    ]
    number = _numbered(np.concatenate(sizes), pairs, min_pixels)
    # Label 0 of a band stays 0.
    luts = [(np.r_[np.int32(0), number[a:b]],) for a, b in pairwise(starts)]
    over_bands(
        _relabel, large, bands, (parts, out), part_of(progress, 0.8), client, each=luts
    )  # fmt: skip
    large.remove(parts)
    return out


def _grains(large: LargeMap, band: Band, out: str, threshold: float) -> NDArray[np.int64]:
    labels = maps.segment_grains(large.band(band.write), threshold, 1)
    large.write(out, band.write.start, labels)
    return np.bincount(labels.ravel())[1:]


def _seam(
    large: LargeMap, out: str, row: int, threshold: float, above: int, below: int
) -> NDArray[np.int64]:
    """Pairs (k, 2) of grains of two bands, by position in the list of all, that are connected."""
    rows = slice(row - 1, row + 1)
    # Within these two rows a grain is a part of a grain of the map.
    shared = maps.segment_grains(large.band(rows), threshold, 1)
    local = large.read(out, rows).astype(np.int64) - 1 + np.array([[above], [below]])
    inside = shared > 0
    both = np.stack((shared[inside].astype(np.int64), local[inside]), axis=1)
    both = np.unique(both, axis=0)
    if not len(both):
        return both
    # Each with the first of its part.
    first = np.r_[True, both[1:, 0] != both[:-1, 0]]
    leader = both[first, 1][np.cumsum(first) - 1]
    return np.stack((leader, both[:, 1]), axis=1)[~first]


def _numbered(
    sizes: NDArray[np.int64], pairs: list[NDArray[np.int64]], min_pixels: int
) -> NDArray[np.int32]:
    """Number of each part of a grain, from 1 in the order of first pixels; 0 of small grains."""
    count = len(sizes)
    if not count:
        return np.zeros(0, np.int32)
    a, b = np.concatenate([np.zeros((0, 2), np.int64), *pairs]).T
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(count, count))
    group = connected_components(graph, directed=False)[1]
    total = np.bincount(group, sizes)
    # Parts are in the order of their first pixels: so are groups by their first part.
    _, first, group = np.unique(group, return_index=True, return_inverse=True)
    kept = total >= min_pixels
    order = np.argsort(first[kept], kind="stable")
    number = np.zeros(len(first), np.int32)
    number[np.flatnonzero(kept)[order]] = np.arange(1, kept.sum() + 1)
    return number[group.ravel()]


def _relabel(large: LargeMap, band: Band, parts: str, out: str, lut: NDArray[np.int32]) -> None:
    large.write(out, band.write.start, lut[large.read(parts, band.write)])
