"""Quality and size in measures of the map itself: what models for maps of any laboratory see.

Grey levels depend on the detector's settings, sizes on the material; what tells one kind of grain
from another is that it is darker, or smaller, than the rest of the same map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml.segmentation.inputs.relations import Pairs

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

QUALITY_NAMES = ("relative quality", "rank of quality", "has quality")
SIZE_NAMES = ("relative grain size", "relative grain width", "grain size in pixels")
PARTNER_NAMES = ("width to twin partner", "area to twin partners", "twin partners")

_PROPERTIES = ("bc", "iq", "bs")
_SAMPLE = 100_000


class QualityScale(NamedTuple):
    """What quality is measured by within a map."""

    name: str
    """Of the property."""
    middle: float
    span: float
    sample: NDArray[np.float64]
    """Values of the map, rising."""

    @classmethod
    def of_sample(cls, name: str, values: NDArray[np.float64]) -> QualityScale:
        """Of values, of which one in `every_nth` stands for the map."""
        flat = np.sort(values)
        low, middle, high = np.percentile(flat, [5, 50, 95])
        span = high - low if high > low else max(flat[-1] - flat[0], 1e-12)
        return cls(name, float(middle), float(span), flat)

    @classmethod
    def of(cls, scan: Scan) -> QualityScale | None:
        """Of a map; None where nothing tells quality."""
        name = quality_of(scan)
        if name is None:
            return None
        values = np.asarray(scan.prop[name], dtype=np.float64)
        flat = values[np.isfinite(values)]
        return cls.of_sample(name, flat[:: every_nth(flat.size)])


class MapMeasures(NamedTuple):
    """What relative planes are measured by, of a map that is seen in bands."""

    quality: QualityScale | None
    sizes: tuple[float, float]
    """Means of log10 of the equivalent diameter, and of twice area over perimeter, over area."""


def every_nth(values: int) -> int:
    """One of how many of so many finite values is looked at."""
    return max(values // _SAMPLE, 1)


def size_and_width(
    area: NDArray[np.float64], perimeter: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """log10 of the equivalent diameter and of twice area over perimeter, um."""
    width: NDArray[np.float64] = np.log10(2 * area / np.maximum(perimeter, 1e-9))
    return np.log10(np.sqrt(4 * area / np.pi)), width


def quality_of(scan: Scan) -> str | None:
    """Name of the property that says most of pattern quality: BC, else IQ, else BS."""
    have = {name.casefold(): name for name in scan.prop}
    for wanted in _PROPERTIES:
        if wanted in have:
            values = np.asarray(scan.prop[have[wanted]])
            if (
                values.dtype.kind in "buif"
                and values.size
                and np.nanmin(values) < np.nanmax(values)
            ):
                return have[wanted]
    return None


def relative_quality(scan: Scan, measures: MapMeasures | None = None) -> NDArray[np.float32]:
    """Pattern quality within its map.

    Parameters
    ----------
    scan
    measures
        Of the map, where the scan is a part of it.

    Returns
    -------
    (3, rows, columns) float32
        Distance from the median in units of the range from 5 to 95 %; part of the pixels below
        (0..1); 1 where there is a property at all. 0 in all three where there is none.
    """
    out = np.zeros((3, *scan.shape), np.float32)
    scale = QualityScale.of(scan) if measures is None else measures.quality
    if scale is None:
        return out
    values = np.asarray(scan.prop[scale.name], dtype=np.float64)
    values = np.where(np.isfinite(values), values, scale.middle)
    out[0] = np.clip((values - scale.middle) / scale.span, -5, 5)
    # Of equal values, whole numbers above all, the middle of their ranks.
    flat = scale.sample
    below = np.searchsorted(flat, values, side="left") + np.searchsorted(flat, values, "right")
    out[1] = below / (2 * len(flat))
    out[2] = 1
    return out


def relative_sizes(
    table: Mapping[str, NDArray[Any]], labels: int, step: tuple[float, float],
    measures: MapMeasures | None = None,
) -> NDArray[np.float32]:  # fmt: skip
    """Size of each grain within its map.

    Parameters
    ----------
    table
        Of `grain_table`.
    labels
        One more than the largest label.
    step
        um.
    measures
        Of the map, where the table is of a part of it.

    Returns
    -------
    (3, labels) float32
        log10 of the equivalent diameter, and of twice area over perimeter, less their means over
        the map's area; log10 of the equivalent diameter in pixels. 0 for labels without a grain.
    """
    out = np.zeros((3, labels), np.float32)
    if not len(table["id"]):
        return out
    size, width = size_and_width(table["area"], table["perimeter"])
    weight = table["area"] / table["area"].sum()
    means = ((weight * size).sum(), (weight * width).sum())
    if measures is not None:
        means = measures.sizes
    out[0, table["id"]] = size - means[0]
    out[1, table["id"]] = width - means[1]
    out[2, table["id"]] = size - 0.5 * np.log10(step[0] * step[1])
    return out


def twin_partners(table: Mapping[str, NDArray[Any]], pairs: Pairs) -> NDArray[np.float32]:
    """How each grain compares with those that it shares twin boundaries with.

    Returns
    -------
    (3, labels) float32
        log10 of its width over that of its partners (mean weighted by boundary); log10 of its area
        over all of theirs; log10 of one more than their number. 0 for grains without a partner.
    """
    out = np.zeros((3, pairs.labels), np.float32)
    twins = pairs.kinds[:, 1] > 0
    a, b = pairs.first[twins], pairs.second[twins]
    if not len(a):
        return out
    ends, other = np.concatenate([a, b]), np.concatenate([b, a])
    length = np.tile(pairs.length[twins], 2)
    width, area = np.zeros(pairs.labels), np.full(pairs.labels, 1e-12)
    ids = table["id"]
    width[ids] = np.log10(2 * table["area"] / np.maximum(table["perimeter"], 1e-9))
    area[ids] = table["area"]
    held = np.bincount(ends, length, pairs.labels)
    has = held > 0
    around = np.bincount(ends, length * width[other], pairs.labels)[has] / held[has]
    out[0, has] = width[has] - around
    out[1, has] = np.log10(area[has] / np.bincount(ends, area[other], pairs.labels)[has])
    out[2] = np.log10(1 + np.bincount(ends, minlength=pairs.labels))
    return out
