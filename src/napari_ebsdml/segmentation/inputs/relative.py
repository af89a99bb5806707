"""Quality and size in measures of the map itself: what models for maps of any laboratory see.

Grey levels depend on the detector's settings, sizes on the material; what tells one kind of grain
from another is that it is darker, or smaller, than the rest of the same map.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

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


def relative_quality(scan: Scan) -> NDArray[np.float32]:
    """Pattern quality within its map.

    Returns
    -------
    (3, rows, columns) float32
        Distance from the median in units of the range from 5 to 95 %; part of the pixels below
        (0..1); 1 where there is a property at all. 0 in all three where there is none.
    """
    out = np.zeros((3, *scan.shape), np.float32)
    name = quality_of(scan)
    if name is None:
        return out
    values = np.asarray(scan.prop[name], dtype=np.float64)
    finite = np.isfinite(values)
    flat = values[finite]
    flat = np.sort(flat[:: max(flat.size // _SAMPLE, 1)])
    low, middle, high = np.percentile(flat, [5, 50, 95])
    span = high - low if high > low else max(flat[-1] - flat[0], 1e-12)
    values = np.where(finite, values, middle)
    out[0] = np.clip((values - middle) / span, -5, 5)
    # Of equal values, whole numbers above all, the middle of their ranks.
    below = np.searchsorted(flat, values, side="left") + np.searchsorted(flat, values, "right")
    out[1] = below / (2 * len(flat))
    out[2] = 1
    return out


def relative_sizes(
    table: Mapping[str, NDArray[Any]], labels: int, step: tuple[float, float]
) -> NDArray[np.float32]:
    """Size of each grain within its map.

    Parameters
    ----------
    table
        Of `grain_table`.
    labels
        One more than the largest label.
    step
        um.

    Returns
    -------
    (3, labels) float32
        log10 of the equivalent diameter, and of twice area over perimeter, less their means over
        the map's area; log10 of the equivalent diameter in pixels. 0 for labels without a grain.
    """
    out = np.zeros((3, labels), np.float32)
    if not len(table["id"]):
        return out
    size = np.log10(table["equivalent_diameter"])
    width = np.log10(2 * table["area"] / np.maximum(table["perimeter"], 1e-9))
    weight = table["area"] / table["area"].sum()
    out[0, table["id"]] = size - (weight * size).sum()
    out[1, table["id"]] = width - (weight * width).sum()
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
