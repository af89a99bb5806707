"""Small pictures of results for the contact sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

SIDE = 240
"""Pixels of the longer side."""

_NOTHING = (96, 96, 96)
_SHADES = 997
_RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


def of_values(title: str, values: ArrayLike, unit: str = "", log: bool = False) -> Any:
    """Picture of numbers, from the 2nd to the 98th percentile; its title tells the range.

    Returns
    -------
    (str, (rows, columns, 3) uint8)
        Grey where there is no number.
    """
    small = _thin(np.asarray(values, dtype=np.float64))
    known = np.isfinite(small) & ((small > 0) if log else True)
    if not known.any():
        return f"{title}: nothing", np.full((*small.shape, 3), _NOTHING, np.uint8)
    shown = np.log10(np.where(known, small, 1)) if log else np.where(known, small, 0)
    low, high = np.percentile(shown[known], (2, 98))
    part = np.clip((shown - low) / max(high - low, 1e-12), 0, 1)
    from matplotlib import colormaps

    picture = (255 * colormaps["viridis"](part)[..., :3]).astype(np.uint8)
    picture[~known] = _NOTHING
    ends = (10**low, 10**high) if log else (low, high)
    return f"{title} {_number(ends[0])} to {_number(ends[1])} {unit}".rstrip(), picture


def _number(value: float) -> str:
    """Two digits; powers of ten as they are written by hand."""
    digits, _, power = f"{value:.2g}".partition("e")
    return f"{digits}·10{str(int(power)).translate(_RAISED)}" if power else digits


def of_labels(title: str, labels: ArrayLike, colors: list[str] | None = None) -> Any:
    """Picture of labels: of classes in their colours, else in chance ones; 0 is grey."""
    from matplotlib.colors import to_rgb

    small = _thin(np.asarray(labels))
    if colors:
        table = np.array([_NOTHING, *(255 * np.array([to_rgb(c) for c in colors]))], np.uint8)
        return title, table[np.where((small > 0) & (small <= len(colors)), small, 0)]
    shades = np.random.default_rng(0).integers(60, 256, (_SHADES, 3), dtype=np.uint8)
    picture = shades[small % _SHADES]
    picture[small <= 0] = _NOTHING
    return title, picture


def of_ipf(scan: Scan) -> Any:
    """IPF colours of the specimen's normal."""
    from napari_ebsdml.maps import ipf_colors

    every = max(1, max(scan.shape) // SIDE)
    small = scan.crop(slice(None, None, every), slice(None, None, every))
    colors = np.asarray(ipf_colors(small))
    if colors.dtype != np.uint8:
        colors = (255 * np.nan_to_num(colors)).astype(np.uint8)
    picture = colors[..., :3].copy()
    picture[~small.is_indexed] = _NOTHING
    return "IPF-Z", picture


def _thin(values: NDArray[Any]) -> NDArray[Any]:
    every = max(1, max(values.shape[:2]) // SIDE)
    return values[::every, ::every]
