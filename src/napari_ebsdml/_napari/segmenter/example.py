"""Strokes that the tour paints, on a sample whose truth is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from napari_ebsdml._napari.layers.of_scans import info_of, layers_of

if TYPE_CHECKING:
    from napari.layers import Labels

    from napari_ebsdml._napari.segmenter.state import SegmenterState

TRUTH = "truth"
_A_CLASS = 8
_HALF_LENGTH = 4


def paint_example(state: SegmenterState, layer: Labels, seed: int = 0) -> int:
    """Paint some short strokes of each class where the hidden layer "truth" has it.

    Parameters
    ----------
    state, layer
        Where to paint.
    seed
        Of the places.

    Returns
    -------
    int
        Number of strokes; 0 where no truth is known.
    """
    scan = state.scan
    found = [] if scan is None else [
        one for one in layers_of(state.viewer, scan)
        if (info_of(one) or {}).get("quantity") == TRUTH
    ]  # fmt: skip
    if not found:
        return 0
    truth = np.asarray(found[0].data)
    names = (info_of(found[0]) or {}).get("classes", {})
    rng, number = np.random.default_rng(seed), 0
    rows, columns, values = [], [], []
    for one in state.classes:
        if names.get(one.value):
            state.change_class(one.value, name=names[one.value])
        inside = ndimage.binary_erosion(truth == one.value, iterations=_HALF_LENGTH)
        places = np.argwhere(inside)
        for row, column in places[rng.integers(len(places), size=_A_CLASS if len(places) else 0)]:
            along = np.arange(-_HALF_LENGTH, _HALF_LENGTH + 1)
            for wide in (-1, 0, 1):
                rows.append(np.full(len(along), row + wide))
                columns.append(column + along)
                values.append(np.full(len(along), one.value))
            number += 1
    if number:
        at = np.concatenate(rows), np.concatenate(columns)
        layer.data_setitem(at, np.concatenate(values))
    return number
