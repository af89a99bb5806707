"""Grains of a large map: where each lies, and what models measure by them and the whole map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.batching.large.bands import over_bands
from napari_ebsdml.batching.large.store import Band, LargeMap
from napari_ebsdml.maps.grain_properties import grain_sizes
from napari_ebsdml.segmentation.inputs.relative import (
    MapMeasures,
    QualityScale,
    every_nth,
    quality_of,
    size_and_width,
)

if TYPE_CHECKING:
    from distributed import Client

BRIDGED = 10
"""Rows within which two grains count as neighbours: seams of up to 8 pixels are bridged."""


def grain_extents(large: LargeMap, grains: str, client: Client | None) -> NDArray[np.int32]:
    """First row, and that after the last one, of each grain (n + 1, 2); of none: the last, 0."""
    found = over_bands(_extents, large, large.bands(), (grains,), None, client)
    most = max(int(number[-1]) for number, _, _ in found)
    table = np.zeros((most + 1, 2), np.int32)
    table[:, 0] = large.shape[0]
    for number, low, high in found:
        np.minimum.at(table[:, 0], number, low)
        np.maximum.at(table[:, 1], number, high)
    return table


def _extents(
    large: LargeMap, band: Band, grains: str
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    labels = large.read(grains, band.write)
    number, place = np.unique(labels, return_inverse=True)
    row = np.repeat(np.arange(len(labels), dtype=np.int32), labels.shape[1])
    low = np.full(len(number), len(labels), np.int32)
    high = np.zeros(len(number), np.int32)
    np.minimum.at(low, place.ravel(), row)
    np.maximum.at(high, place.ravel(), row + 1)
    return number, low + np.int32(band.write.start), high + np.int32(band.write.start)


def rows_of_grains(
    large: LargeMap, grains: str, extents: NDArray[np.int32] | None, rows: slice, rings: int
) -> slice:
    """Rows with all of the grains that lie in some; with two rings those of their neighbours."""
    last = large.shape[0]
    low, high = rows.start, rows.stop
    for ring in range(rings):
        assert extents is not None
        near = BRIDGED if ring else 0
        seen = slice(max(0, low - near), min(last, high + near))
        inside = np.unique(large.read(grains, seen))
        inside = inside[inside > 0]
        if inside.size:
            low = min(low, int(extents[inside, 0].min()))
            high = max(high, int(extents[inside, 1].max()))
        # What lies beside a grain is part of its outline.
        low, high = max(0, low - 1), min(last, high + 1)
    return slice(low, high)


def map_measures(
    large: LargeMap, grains: str, extents: NDArray[np.int32] | None,
    changes: dict[str, tuple[float, float]], client: Client | None,
) -> MapMeasures:  # fmt: skip
    """Measures of the whole map.

    Parameters
    ----------
    large
    grains, extents
        Their labels, and `grain_extents`; None: no grains are asked for.
    changes
        Slope and shift of properties, see `domain.matched`.
    client
        See `over_bands`.
    """
    if extents is None:
        return MapMeasures(_quality(large, changes), (0.0, 0.0))
    parts = over_bands(_sizes, large, large.bands(), (grains, extents), None, client)
    area, size, width = np.sum(parts, axis=0)
    area = max(float(area), 1e-300)
    return MapMeasures(_quality(large, changes), (float(size) / area, float(width) / area))


def _sizes(
    large: LargeMap, band: Band, grains: str, extents: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Area, and area times size and width, of the grains that begin in a band."""
    own = np.unique(large.read(grains, band.write))
    own = own[(own > 0) & (extents[own, 0] >= band.write.start)]
    if not own.size:
        return np.zeros(3)
    low, high = band.write.start, int(extents[own, 1].max())
    labels = large.read(grains, slice(max(0, low - 1), min(large.shape[0], high + 1)))
    numbers, place = np.unique(labels, return_inverse=True)
    # 0 stays 0: of a map without a pixel outside grains it is not among the labels.
    shift = int(numbers[0] > 0)
    ids, area, perimeter = grain_sizes(
        (place.reshape(labels.shape) + shift).astype(np.int32), large.head.step
    )
    begun = np.isin(numbers[ids - shift], own)
    area, perimeter = area[begun], perimeter[begun]
    size, width = size_and_width(area, perimeter)
    return np.array([area.sum(), (area * size).sum(), (area * width).sum()])


def _quality(large: LargeMap, changes: dict[str, tuple[float, float]]) -> QualityScale | None:
    """As `QualityScale.of` of the whole, which is not in memory."""
    name = quality_of(large.scan)
    if name is None:
        return None
    number = list(large.head.prop).index(name)
    slope, shift = changes.get(name, (1.0, 0.0))

    def finite(band: Band) -> NDArray[Any]:
        values = large.read(f"prop{number}", band.write)
        return values[np.isfinite(values)]

    bands = large.bands()
    counts = [len(finite(band)) for band in bands]
    every = every_nth(sum(counts))
    seen, some = 0, []
    for band, count in zip(bands, counts, strict=True):
        some.append(finite(band)[-seen % every :: every].astype(np.float64))
        seen += count
    return QualityScale.of_sample(name, np.concatenate(some) * slope + shift)
