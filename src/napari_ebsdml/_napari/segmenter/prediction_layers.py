"""Layers that show what a segmenter says of a scan."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

import numpy as np

from napari_ebsdml._napari.layers.classes import LabelClass
from napari_ebsdml._napari.layers.of_scans import (
    Level,
    add_result,
    info_of,
    layers_of,
    level_of,
    same_quantity,
    scans_of,
)
from napari_ebsdml._napari.layers.turns import let_draw
from napari_ebsdml._napari.segmenter.state import Display
from napari_ebsdml.learning.digest import model_digest

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_ebsdml._napari.segmenter.state import SegmenterState
    from napari_ebsdml.scan import Scan
    from napari_ebsdml.segmentation import SegmentationResult

SEGMENTATION = "segmentation"
LINEAR = "linear discriminant"
UNCERTAINTY = "uncertainty"
OPACITY = {Display.TINT: 0.6, Display.FILLED: 1.0, Display.OUTLINES: 1.0}
_OUTLINE = 1
"""Width of outlines in pixels of the map."""


def show_prediction(
    state: SegmenterState,
    scan: Scan,
    result: SegmentationResult,
    raw: SegmentationResult | None = None,
    model: str = "U-Net",
) -> dict[str, Layer]:
    """Show a prediction in the layers of its scan, below its strokes, and tell the state.

    The layers are refreshed in place where they are there. What is selected stays so: the user
    may be painting. A scan that is no longer in the viewer gets nothing.

    Parameters
    ----------
    state, scan, result
    raw
        The result before the grain vote.
    model
        Name for the layers' metadata.
    """
    for _ in prediction_steps(state, scan, result, raw, model):
        let_draw(scan)
    return state.prediction_layers(scan) if layers_of(state.viewer, scan) else {}


def prediction_steps(
    state: SegmenterState,
    scan: Scan,
    result: SegmentationResult,
    raw: SegmentationResult | None = None,
    model: str = "U-Net",
) -> Iterator[None]:
    """`show_prediction` in steps, between which the window may draw and take clicks."""
    viewer = state.viewer
    if not layers_of(viewer, scan):
        return
    colors = dict(zip(result.classes.values, result.classes.colors, strict=True))
    colors.update({v: c for v, c in state.colors.items() if v in colors})
    names = dict(zip(result.classes.values, result.classes.names, strict=True))
    names.update({v: n for v, n in state.names.items() if v in names})
    classes = [LabelClass(0, "none", "transparent")]
    classes += [LabelClass(v, names[v], colors[v]) for v in result.classes.values]
    settings = asdict(state.options)
    if state.segmenter is not None and model != LINEAR:
        settings["model_sha256"] = model_digest(state.segmenter)

    if same_quantity(viewer, (scan,), SEGMENTATION, "segmentation") is None:
        only_grey(viewer, scan)
        yield
        if not layers_of(viewer, scan):
            return
    with _under_the_strokes(state, scan) as before:
        labels = add_result(
            viewer, scan, result.labels, SEGMENTATION, kind="segmentation", classes=classes,
            settings=settings, model=model, replace=True,
        )  # fmt: skip
    if labels not in before:
        draw(labels, state.display)
        yield
        if not layers_of(viewer, scan):
            return
    with _under_the_strokes(state, scan):
        uncertainty = add_result(
            viewer, scan, result.uncertainty, UNCERTAINTY, settings=settings, model=model,
            replace=True, level=Level.CLASSES, visible=False, colormap="magma",
            contrast_limits=(0.0, 1 - 1 / max(len(result.classes), 2)), opacity=0.8,
        )  # fmt: skip
    state.set_prediction(scan, result, {"labels": labels, "uncertainty": uncertainty}, raw)


@contextmanager
def _under_the_strokes(state: SegmenterState, scan: Scan) -> Iterator[set[Layer]]:
    """Move layers that are new below the strokes, and keep the selection; gives those before."""
    layers = state.viewer.layers
    before, chosen, active = set(layers), set(layers.selection), layers.selection.active
    yield before
    new = [layer for layer in layers if layer not in before]
    for layer in new:
        _below_strokes(state, scan, layer)
    if new and active is not None:
        layers.selection = chosen
        layers.selection.active = active


def draw(layer: Layer, display: Display) -> None:
    """Draw a segmentation in one of the ways there are."""
    layer.opacity = OPACITY[display]
    layer.contour = _OUTLINE if display is Display.OUTLINES else 0


def only_grey(viewer: ViewerModel, scan: Scan) -> None:
    """Show a scan's classes and strokes on its grey quality image alone.

    On other colours, and below lines, those of the classes cannot be told.
    """
    layers = layers_of(viewer, scan)
    lowest = info_of(layers[0]) if layers else None
    if lowest is None or lowest["kind"] != "image":
        return
    # napari draws a layer anew whenever it is told, even what it knows.
    if not layers[0].visible:
        layers[0].visible = True
    for layer in layers[1:]:
        info = info_of(layer)
        if info is None or len(scans_of(layer)) > 1 or level_of(layer) is Level.STROKES:
            continue
        if layer.visible and info["quantity"] not in (SEGMENTATION, UNCERTAINTY):
            layer.visible = False


def _below_strokes(state: SegmenterState, scan: Scan, layer: Layer) -> None:
    layers = state.viewer.layers
    strokes = [layers.index(p.layer) for p in state.pairs_of(scan) if p.layer in layers]
    if strokes and min(strokes) < layers.index(layer):
        layers.move(layers.index(layer), min(strokes))


def agreement(labels: np.ndarray, strokes: np.ndarray) -> float:
    """Part of the painted pixels that a result gives their class; NaN when there are none."""
    painted = strokes > 0
    return float((labels[painted] == strokes[painted]).mean()) if painted.any() else float("nan")
