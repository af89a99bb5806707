"""`figure`: a map with scale bar and key, at the size that a page has."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from napari_ebsdml import __version__, _atomic
from napari_ebsdml.errors import InputError, WriteError
from napari_ebsdml.figures.content import Content, named, of_array
from napari_ebsdml.figures.settings import FigureSettings
from napari_ebsdml.maps.settings import MapSettings
from napari_ebsdml.options import settings_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from napari_ebsdml.scan import Scan

FORMATS = {".png": "png", ".tif": "tiff", ".tiff": "tiff", ".svg": "svg", ".pdf": "pdf"}
"""Endings of names -> formats that figures are written in."""


def figure(
    scan: Scan,
    layer: str | ArrayLike,
    path: str | os.PathLike[str] | None = None,
    *,
    settings: FigureSettings | None = None,
    maps: MapSettings | None = None,
    title: str | None = None,
    unit: str | None = None,
    classes: Mapping[int, Any] | None = None,
    limits: tuple[float, float] | None = None,
    log: bool | None = None,
    colors: str | None = None,
    **look: Any,
) -> Figure:
    """Draw a map for a paper: with scale bar, key or colour bar, and step.

    Parameters
    ----------
    scan
    layer
        Name: "IPF-Z", "KAM", "GND", "density", "grains", "GROD", "GOS", "phase", "boundaries", or
        one of the scan's properties ("BC"). Or an array: numbers (rows, columns), NaN where there
        are none, or colours (rows, columns, 3 or 4).
    path
        .png, .tif, .svg or .pdf to write, whole or not at all.
    settings, **look
        How it looks; single values can be given as keyword arguments: ``width`` in mm, ``dpi``,
        ``font`` in points, ``boundaries`` (drawn over the map), ``scale_bar``, ``key``, ``step``.
    maps
        How named maps are computed: order and threshold of the KAM, threshold of grains,
        boundaries.
    title
        In place of the name; "" for none.
    unit
        Of the numbers of an array.
    classes
        Value -> name, or (name, colour), of an array of labels.
    limits
        Of the colours; default: by the data.
    log
        Whether colours go by the logarithm of the numbers, which the bar shows as they are.
    colors
        Name of matplotlib's colour map.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingDataError
        When the scan has no layer of that name, or lacks what it needs.
    InputError
        When an array does not fit the scan, or a setting is out of range.
    WriteError
        When the file cannot be written.

    Notes
    -----
    Pixels that are not indexed, or have no value, are light grey, and the key says so. A hexagonal
    grid is shown on the square grid that it was read on.
    """
    from napari_ebsdml.figures.drawing import draw

    if title == "":
        look = {**look, "title": False}
    how = _settings(settings, look)
    target = None if path is None else Path(path)
    if target is not None and target.suffix.lower() not in FORMATS:
        raise InputError(f"{target}: a figure is written as {', '.join(FORMATS)}.")
    chosen = maps or MapSettings()
    if isinstance(layer, str):
        content = named(scan, layer, chosen)
    else:
        content = of_array(scan, layer, title or "", unit or "", classes, bool(log))
    content = _changed(content, title, unit, limits, log, colors)
    drawn = draw(scan, content, how, chosen)
    if target is not None:
        told = {
            "layer": layer if isinstance(layer, str) else content.title or "array",
            "source": scan.source.path.name if scan.source.path is not None else scan.name,
            "figure": dataclasses.asdict(how), "maps": dataclasses.asdict(chosen),
            "napari_ebsdml": __version__,
        }  # fmt: skip
        save(drawn, target, how.dpi, json.dumps(told))
    return drawn


def _settings(settings: FigureSettings | None, look: Mapping[str, Any]) -> FigureSettings:
    known = settings_of(FigureSettings)
    for name, value in look.items():
        if name not in known:
            raise InputError(f"figure has no argument {name!r}; it has {', '.join(known)}.")
        if not known[name].allows(value):
            option = known[name].option
            raise InputError(f"{name} must be {option.minimum} to {option.maximum}, not {value!r}.")
    return dataclasses.replace(settings or FigureSettings(), **look)


def _changed(
    content: Content,
    title: str | None,
    unit: str | None,
    limits: tuple[float, float] | None,
    log: bool | None,
    colors: str | None,
) -> Content:
    """With what the caller wants otherwise."""
    changes: dict[str, Any] = {
        "title": title, "unit": unit, "limits": limits, "log": log, "colors": colors,
    }  # fmt: skip
    if limits is not None and not limits[0] < limits[1]:
        raise InputError(f"limits must be a lower and a higher number, not {limits}.")
    if colors is not None:
        from matplotlib import colormaps

        if colors not in colormaps:
            raise InputError(f"matplotlib has no colour map {colors!r}.")
    found = dataclasses.replace(
        content, **{name: value for name, value in changes.items() if value is not None}
    )
    if found.log and found.limits is not None and not found.limits[0] > 0:
        raise InputError(f"Limits of a logarithm must be above 0, not {found.limits}.")
    return found


def save(drawn: Figure, path: Path, dpi: float, told: str = "") -> None:
    """Write a figure, whole or not at all, with what made it.

    Raises
    ------
    WriteError
        When the file cannot be written.
    """
    from matplotlib import rc_context

    kind = FORMATS[path.suffix.lower()]
    creator = f"napari-ebsdml {__version__}"
    every: dict[str, dict[str, Any]] = {
        "png": {"metadata": {"Software": creator, "Description": told}},
        "svg": {"metadata": {"Creator": creator, "Description": told, "Date": None}},
        "pdf": {"metadata": {"Creator": creator, "Subject": told, "CreationDate": None}},
        "tiff": {"pil_kwargs": {"compression": "tiff_lzw", "tiffinfo": {270: told, 305: creator}}},
    }
    # Texts stay texts, which editors of vector graphics can change.
    looks = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "napari-ebsdml"}
    try:
        with rc_context(looks), _atomic.replacing(path) as part:
            drawn.savefig(part, format=kind, dpi=dpi, **every[kind])
    except OSError as error:
        raise WriteError(f"{path}: {error.strerror or error}.") from None
