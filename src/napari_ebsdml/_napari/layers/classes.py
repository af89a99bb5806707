"""Classes of a Labels layer: their names and colours, as napari takes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._palette import LABEL_COLORS


class LabelClass(NamedTuple):
    """One class of a Labels layer: its label, name and colour (name, hex or RGB; None: any)."""

    label: int
    name: str
    color: Any = None


def class_colormap(classes: Iterable[LabelClass]) -> Any:
    """`DirectLabelColormap` of classes: 0 transparent, labels without a class grey."""
    from napari.utils.colormaps import DirectLabelColormap

    spare = cycle(LABEL_COLORS)
    colors: dict[int | None, Any] = {None: "gray", 0: "transparent"}
    for entry in classes:
        default = next(spare)
        if entry.label:
            colors[int(entry.label)] = entry.color if entry.color is not None else default
    return DirectLabelColormap(color_dict=colors)


def rgba(color: Any) -> NDArray[np.float32]:
    """Red, green, blue and opacity (0 to 1) of a colour that a class may have."""
    from napari.utils.colormaps.standardize_color import transform_color

    return np.asarray(transform_color("gray" if color is None else color)[0], np.float32)


def class_features(classes: Sequence[LabelClass], column: str = "class") -> dict[str, list[Any]]:
    """Features table by which the status bar names the class under the cursor."""
    named = {int(c.label): c.name for c in classes}
    named.setdefault(0, "none")
    return {"index": sorted(named), column: [named[label] for label in sorted(named)]}
