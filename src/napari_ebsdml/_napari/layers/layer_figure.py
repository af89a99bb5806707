"""A layer of napari as a figure for a paper; no Qt here."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.layers.ipf_keys import keys_of
from napari_ebsdml._napari.layers.of_scans import (
    LOG,
    Level,
    info_of,
    layers_of,
    level_of,
    scan_of,
    scans_of,
)
from napari_ebsdml.errors import InputError
from napari_ebsdml.figures.content import Content
from napari_ebsdml.figures.settings import FigureSettings
from napari_ebsdml.maps.settings import MapSettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_ebsdml.scan import Scan

_MOST = 16
"""Most layers in a report."""


def layer_to_export(viewer: ViewerModel, scan: Any) -> Layer:
    """The selected layer where it shows the scan, else the uppermost one that is seen of it.

    Strokes are a means: after painting they are selected, and what they led to is meant.

    Raises
    ------
    InputError
        When no layer that can be drawn shows it.
    """

    def fits(layer: Layer) -> bool:
        info = info_of(layer)
        return info is not None and scan in scans_of(layer) and hasattr(layer, "colormap")

    chosen = viewer.layers.selection.active
    seen = [layer for layer in reversed(viewer.layers) if layer.visible and fits(layer)]
    results = [layer for layer in seen if level_of(layer) is not Level.STROKES]
    if chosen is not None and fits(chosen):
        return results[0] if level_of(chosen) is Level.STROKES and results else chosen
    if seen:
        return (results or seen)[0]
    raise InputError("Select an image or labels layer of the map, or make one visible.")


def draw_layer(
    layer: Layer,
    viewer: ViewerModel | None = None,
    settings: FigureSettings | None = None,
    path: Path | None = None,
) -> Figure:
    """Draw what a layer shows as it shows it: its colours, limits and classes.

    Parameters
    ----------
    layer
        Of the plugin. Of a stack of sections the one at the viewer's slider is drawn.
    viewer
    settings
    path
        To write to; see `napari_ebsdml.figure`.

    Raises
    ------
    InputError
        When the layer is none of the plugin's.
    WriteError
        When the file cannot be written.
    """
    from napari_ebsdml import __version__
    from napari_ebsdml.figures.drawing import draw
    from napari_ebsdml.figures.making import save

    scan, content = content_of(layer, viewer)
    how = settings or FigureSettings()
    drawn = draw(scan, content, how, MapSettings())
    if path is not None:
        info = info_of(layer) or {}
        told = {
            "layer": layer.name, "made with": _plain(info.get("settings")),
            "model": info.get("model"), "figure": dataclasses.asdict(how),
            "napari_ebsdml": __version__,
        }  # fmt: skip
        save(drawn, path, how.dpi, json.dumps(told, default=str))
    return drawn


def content_of(layer: Layer, viewer: ViewerModel | None = None) -> tuple[Scan, Content]:
    """The map of a layer and what it shows, as figures are drawn of.

    Raises
    ------
    InputError
        When the layer is none of the plugin's.
    """
    info, scan = info_of(layer), scan_of(layer, viewer)
    if info is None or scan is None:
        raise InputError(f"{layer.name} is no layer of an EBSD map.")
    data = np.asarray(layer.data)
    flat = 3 if info["kind"] == "rgb" else 2
    if data.ndim > flat:
        data = data[scans_of(layer).index(scan)] if len(data) > 1 else data[0]
    return scan, _content(layer, info, data, viewer)


def contents_to_report(viewer: ViewerModel, scan: Scan) -> list[Content]:
    """What a report shows of a map: its layers from the bottom up, but for strokes."""
    found: list[Content] = []
    for layer in layers_of(viewer, scan):
        info = info_of(layer)
        if info is None or not hasattr(layer, "colormap") or level_of(layer) is Level.STROKES:
            continue
        if len(scans_of(layer)) == 1 and len(found) < _MOST:
            found.append(content_of(layer, viewer)[1])
    return found


def report_contents(
    scan: Scan, contents: Sequence[Content], path: Path, settings: FigureSettings,
    progress: Callable[[float], None] | None = None,
) -> Path:  # fmt: skip
    """Draw contents and write them as a report; for a worker thread. See `report`."""
    from napari_ebsdml.figures.drawing import draw
    from napari_ebsdml.figures.report import report

    drawn = [draw(scan, content, settings, MapSettings()) for content in contents]
    every: list[Any] = [*drawn, *(["boundaries"] if scan.is_indexed.any() else [])]
    return report(scan, path, every, settings=settings, progress=progress)


def _plain(settings: Any) -> Any:
    is_settings = dataclasses.is_dataclass(settings) and not isinstance(settings, type)
    return dataclasses.asdict(settings) if is_settings else settings


def _content(
    layer: Any, info: dict[str, Any], data: NDArray[Any], viewer: ViewerModel | None
) -> Content:
    title, unit = info["quantity"], info["unit"]
    if info["kind"] == "rgb":
        ipf = "IPF" in title
        return Content("rgb", data, title, ipf=ipf, keys=keys_of(layer, viewer) if ipf else None)
    if info["kind"] == "image":
        low, high = (float(v) for v in layer.contrast_limits)
        values = data.astype(np.float64)
        log = unit.startswith(LOG)
        if log:
            values, low, high = 10.0**values, 10.0**low, 10.0**high
            unit = unit.removeprefix(LOG)
        return Content("values", values, title, unit, log, (low, high), _colors(layer))
    named = {int(n): str(name) for n, name in (info["classes"] or {}).items() if n}
    if not named:
        count = len(np.unique(data[data > 0]))
        picture = np.asarray(layer.colormap.map(data))
        return Content("rgb", picture, title, note=f"{count} {title}")
    classes = {n: (name, _hex(layer.get_color(n))) for n, name in named.items()}
    return Content("classes", data.astype(np.int64), title, classes=classes)


def _colors(layer: Any) -> Any:
    """The layer's colour map as matplotlib's."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    name = str(layer.colormap.name)
    if name in colormaps:
        return name
    return ListedColormap(np.clip(layer.colormap.map(np.linspace(0, 1, 256)), 0, 1), name)


def _hex(color: Any) -> str:
    from matplotlib.colors import to_hex

    return str(to_hex("#7f7f7f" if color is None else tuple(color)[:3]))
