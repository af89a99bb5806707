"""Lines between the pixels of a map, such as boundaries, as a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.layers.classes import LabelClass, rgba
from napari_ebsdml._napari.layers.of_scans import (
    KEY,
    Level,
    at_home,
    layer_data,
    put_in_place,
    same_quantity,
)
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Vectors

_LINE_WIDTH = 1.5
"""In pixels of the screen."""
_LINES_IN_THUMBNAIL = 200


def add_lines(
    viewer: ViewerModel,
    scan: Scan,
    lines: NDArray[np.floating],
    labels: NDArray[np.integer],
    quantity: str,
    classes: Sequence[LabelClass],
    pixels: NDArray[np.integer],
    settings: Mapping[str, Any] | None = None,
    width: float = _LINE_WIDTH,
    made: Vectors | None = None,
) -> Vectors:
    """Show lines between pixels, coloured by class; those of the same quantity go.

    Parameters
    ----------
    viewer, scan, quantity, settings
        As for `add_result`.
    lines : (n, 2, 2)
        Ends as (y, x) in um; (0, 0) is the centre of the first pixel.
    labels : (n,)
        Class of each line.
    classes
        Names and colours.
    pixels : (rows, columns)
        The same as labels of pixels, for files.
    width
        In pixels of the screen: it stays so when one zooms.
    made
        What `line_layer` made of the same arguments, in a worker, say.

    Returns
    -------
    napari.layers.Vectors
    """
    arguments = _arguments(scan, quantity, classes, pixels, settings)
    is_in_stack = at_home(viewer, (scan,), arguments)
    old = same_quantity(viewer, (scan,), quantity, "lines")
    if old is not None:
        arguments.update(opacity=old.opacity, visible=old.visible)
        viewer.layers.remove(old)
    # Qt is loaded where there are viewers only.
    from napari_ebsdml._napari.layers.line_width import keep_width, width_on_map

    if made is None or made in viewer.layers or is_in_stack:
        made = _made(scan, lines, labels, classes, quantity, arguments, is_in_stack)
    else:
        for name in ("translate", "opacity", "visible"):
            if name in arguments:
                setattr(made, name, arguments[name])
    made.edge_width = width_on_map(viewer, arguments["scale"], width)
    viewer.add_layer(made)
    keep_width(viewer, made, width)
    put_in_place(viewer, scan, made)
    return made


def line_layer(
    scan: Scan,
    lines: NDArray[np.floating],
    labels: NDArray[np.integer],
    quantity: str,
    classes: Sequence[LabelClass],
    pixels: NDArray[np.integer],
    settings: Mapping[str, Any] | None = None,
) -> Vectors:
    """The layer that `add_lines` adds, to be made in a worker; of many lines it takes long."""
    arguments = _arguments(scan, quantity, classes, pixels, settings)
    return _made(scan, lines, labels, classes, quantity, arguments, False)


def _arguments(
    scan: Scan,
    quantity: str,
    classes: Sequence[LabelClass],
    pixels: NDArray[np.integer],
    settings: Mapping[str, Any] | None,
) -> dict[str, Any]:
    _, arguments, _ = layer_data(
        scan, pixels, quantity, kind="labels", classes=classes, settings=settings,
        level=Level.LINES,
    )  # fmt: skip
    del arguments["colormap"]
    arguments["metadata"][KEY].update(
        kind="lines", pixels=pixels, colors={c.label: c.color for c in classes}
    )
    return arguments


def _made(
    scan: Scan,
    lines: NDArray[np.floating],
    labels: NDArray[np.integer],
    classes: Sequence[LabelClass],
    quantity: str,
    arguments: Mapping[str, Any],
    is_in_stack: bool,
) -> Vectors:
    from napari.layers import Vectors

    ends = np.asarray(lines, np.float32) / np.asarray(scan.step, np.float32)
    if is_in_stack:
        ends = np.concatenate((np.zeros((*ends.shape[:2], 1), np.float32), ends), axis=-1)
    colors = np.zeros((max((c.label for c in classes), default=0) + 1, 4), np.float32)
    names = np.full(len(colors), "", dtype=object)
    for one in classes:
        colors[one.label], names[one.label] = rgba(one.color), one.name
    options = {"opacity": 1.0, **arguments, "features": {quantity: names[labels]}}
    layer = Vectors(
        np.stack((ends[:, 0], ends[:, 1] - ends[:, 0]), axis=1), vector_style="line",
        edge_color=colors[labels] if len(labels) else "white", **options,
    )  # fmt: skip
    # napari draws the small picture line by line, several times while it adds the layer.
    layer._max_vectors_thumbnail = _LINES_IN_THUMBNAIL
    return layer
