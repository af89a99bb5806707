"""Labels layers that hold strokes: made, coloured like the classes, and ready to paint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.layers.classes import class_colormap, class_features
from napari_ebsdml._napari.layers.of_scans import Level, add_result, info_of, scans_of
from napari_ebsdml._napari.segmenter.prediction_layers import SEGMENTATION, only_grey
from napari_ebsdml._napari.segmenter.state import MOST_CLASSES, Pair, SegmentClass, SegmenterState

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels, Layer

    from napari_ebsdml.scan import Scan

STROKES = "strokes"
"""Quantity of the layers that are made here."""

_OPACITY = 1.0
"""Strokes have the colours of their swatches."""


def new_annotation_layer(
    state: SegmenterState, scan: Scan, labels: NDArray[np.integer] | None = None
) -> Pair:
    """Add an empty annotation layer to a scan, ready to paint the first class.

    Parameters
    ----------
    state, scan
    labels : (rows, columns) int, optional
        What is painted already.
    """
    data = np.zeros(scan.shape, np.int32) if labels is None else labels
    layer = add_result(
        state.viewer, scan, np.array(data), STROKES, kind="labels",
        classes=state.label_classes(), level=Level.STROKES, opacity=_OPACITY,
    )  # fmt: skip
    layer.brush_size = brush_size(scan)
    pair = Pair(scan, layer)
    state.pairs = (*state.pairs, pair)
    if state.classes:
        paint(state.viewer, layer, state.classes[0].value)
    state.turns.run(scan, _grey_next(state.viewer, scan))
    return pair


def _grey_next(viewer: ViewerModel, scan: Scan) -> Iterator[None]:
    yield
    only_grey(viewer, scan)


def brush_size(scan: Scan) -> int:
    """Brush in pixels that suits a map: about a sixtieth of its shorter side."""
    return int(np.clip(round(min(scan.shape) / 60), 3, 25))


def paint(viewer: ViewerModel, layer: Labels, value: int, mode: str = "paint") -> None:
    """Select a layer and a class to paint."""
    # napari draws a layer anew whenever it is told, even what it knows.
    if not layer.visible:
        layer.visible = True
    # A result that was taken for strokes could only be looked at before.
    layer.editable = True
    viewer.layers.selection.active = layer
    layer.selected_label = value
    layer.mode = mode


def own_strokes(viewer: ViewerModel) -> list[Pair]:
    """Annotation layers that are in the viewer, with their scans."""
    found = []
    for layer in viewer.layers:
        info = info_of(layer)
        if info is not None and info["quantity"] == STROKES and info["kind"] == "labels":
            found += [Pair(scan, layer) for scan in scans_of(layer)]
    return found


def other_labels(state: SegmenterState, scan: Scan) -> list[Labels]:
    """Labels layers that could hold strokes of a scan and do not do so yet."""
    from napari.layers import Labels

    used = {pair.layer for pair in state.pairs_of(scan)}
    found = []
    for layer in state.viewer.layers:
        if not isinstance(layer, Labels) or layer in used or not _fits(layer, scan):
            continue
        info = info_of(layer)
        if info is None or info["quantity"] != SEGMENTATION:
            found.append(layer)
    return found


def _fits(layer: Labels, scan: Scan) -> bool:
    shape = tuple(layer.data.shape)
    scans = scans_of(layer)
    if scans and scan not in scans:
        return False
    return shape[-2:] == scan.shape and (len(shape) == 2 or (len(shape) == 3 and bool(scans)))


def dress(layer: Labels, state: SegmenterState) -> None:
    """Give an annotation layer the names and colours of the classes.

    Layers that others made keep their colours: they may show something else as well.
    """
    info = info_of(layer)
    if info is None or info["quantity"] != STROKES:
        return
    classes = state.label_classes()
    names = {int(c.label): c.name for c in classes}
    if info["classes"] == names and _colors(layer) == state.colors:
        return
    info["classes"] = names
    layer.features = class_features(classes, STROKES)
    if _colors(layer) != state.colors:
        layer.colormap = class_colormap(classes)


def _colors(layer: Labels) -> dict[int, str]:
    colors = getattr(layer.colormap, "color_dict", {})
    return {int(v): _hex(c) for v, c in colors.items() if v}


def _hex(color: Any) -> str:
    red, green, blue = (round(255 * float(part)) for part in list(color)[:3])
    return f"#{red:02x}{green:02x}{blue:02x}"


def class_of_label(layer: Layer, value: int) -> SegmentClass:
    """Class for a label that was found in a layer, with the name and colour that it has there."""
    info = info_of(layer)
    name = info["classes"].get(value, "") if info is not None else ""
    color = layer.get_color(value)
    return SegmentClass(value, name or f"class {value}", _hex(color))


def erase_class(pair: Pair, value: int) -> int:
    """Erase the strokes of a class, so that undo brings them back; how many pixels they were."""
    places = np.nonzero(np.asarray(pair.layer.data) == value)
    if len(places[0]):
        pair.layer.data_setitem(places, 0)
    return len(places[0])


def count_labels(labels: NDArray[np.integer]) -> dict[int, int]:
    """Number of pixels of each label but 0; at most one more than the number of classes."""
    painted = labels[labels > 0]
    if not painted.size:
        return {}
    if int(painted.max()) < 10_000:
        number = np.bincount(painted)
        values = np.flatnonzero(number)[: MOST_CLASSES + 1]
        return {int(v): int(number[v]) for v in values}
    found, each = np.unique(painted, return_counts=True)
    few = slice(MOST_CLASSES + 1)
    return {int(v): int(n) for v, n in zip(found[few], each[few], strict=True)}
