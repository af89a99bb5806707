"""What every layer of the plugin carries, and the only code that writes it.

A layer shows one quantity of one scan. Its ``metadata["ebsdml"]`` is a dict:

=========== =================================================================================
scan        the `Scan` (shared, not copied); of a stack of sections the first one
scans       tuple of the scans along the first axis; one entry for a flat map
quantity    what the layer shows, e.g. "BC" or "GND density"
unit        its unit, "" for none
kind        "image", "rgb", "labels", "phases", "segmentation", or "lines" (see `lines.add_lines`)
classes     label -> name for the three kinds of labels, else {}
settings    what the result was computed with
model       name of the trained model that made it, or None
result      the whole result that it shows a part of, e.g. a `GndDensity`, or None
level       a `Level`: which layers of its map lie below and above it
pixels      of lines: the same as a map of labels, which a file can hold
colours     of lines: label -> colour
=========== =================================================================================
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml._napari.layers.classes import (
    LabelClass,
    class_colormap,
    class_features,
)
from napari_ebsdml.errors import InputError
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

SEPARATOR = " · "
"""Between the quantity and the map in the name of a layer."""

LOG = "log10 "
"""Unit of layers that show a logarithm begins so; keys and plots tell the numbers themselves."""

KEY = "ebsdml"
"""Key of `Layer.metadata` under which the plugin keeps its own."""

LABEL_KINDS = frozenset({"labels", "phases", "segmentation"})
PICTURES = frozenset({"image", "rgb"})
KINDS = PICTURES | LABEL_KINDS


class Level(enum.IntEnum):
    """What lies on what among the layers of a map."""

    BASE = 0
    CLASSES = 1
    LINES = 2
    STROKES = 3


Result = TypeVar("Result")

LayerTuple = tuple[Any, dict[str, Any], str]
"""Data, keyword arguments and type of a layer, as napari's readers return them."""


def layer_name(scan: Scan | Sequence[Scan], quantity: str, unit: str = "") -> str:
    """Name of a layer: ``<quantity> [unit] · <scan>``.

    The list of layers leaves out the middle of a long name, so what tells the layers of one map
    apart comes first.
    """
    scans = _as_scans(scan)
    of = scans[0].name
    if len(scans) > 1:
        of = f"{of} … {scans[-1].name}"
    return quantity + (f" [{unit}]" if unit else "") + SEPARATOR + of


def layer_data(
    scan: Scan | Sequence[Scan],
    data: ArrayLike,
    quantity: str,
    unit: str = "",
    *,
    kind: str = "image",
    classes: Sequence[LabelClass] = (),
    settings: Mapping[str, Any] | None = None,
    model: str | None = None,
    result: Any = None,
    level: Level | None = None,
    translate: Sequence[float] | None = None,
    **display: Any,
) -> LayerTuple:
    """Everything napari needs to show one quantity of a scan.

    Parameters
    ----------
    scan
        The map, or the maps of a stack of sections in order.
    data : (rows, columns), for a stack (sections, rows, columns); for "rgb" one axis more
        For "rgb" float 0..1 with 3 channels, NaN where there is nothing to show (becomes
        transparent), or uint8 with 3 or 4 channels.
    quantity, unit
        What it is, e.g. ``"GND density", "1/m²"``.
    kind
        "image", "rgb", "labels" (any classes), "phases" (label = position of the phase in
        ``scan.phases`` plus 1) or "segmentation" (classes that may be written as phases).
    classes
        Classes of a Labels layer. Without any, napari colours labels by number.
    settings, model
        What made the data.
    result
        What the data are a part of; see `result_of`.
    level
        What it lies on. Default: pictures and phases are the base, other labels lie on them.
    translate
        Place of the first pixel in um, (y, x) or (z, y, x). Default: the origin.
    **display
        Further arguments of the layer: ``visible``, ``colormap``, ``contrast_limits`` ...

    Raises
    ------
    InputError
        When the kind is unknown or the data do not fit the map.
    """
    scans = _as_scans(scan)
    if kind not in KINDS:
        raise InputError(f"No kind of layer {kind!r}; there are {', '.join(sorted(KINDS))}.")
    array = np.asarray(data)
    rows, columns = scans[0].shape
    shape = (rows, columns) if len(scans) == 1 else (len(scans), rows, columns)
    expected = (*shape, array.shape[-1]) if kind == "rgb" and array.ndim else shape
    if array.shape != expected:
        raise InputError(
            f"{quantity} of {scans[0].name} has shape {array.shape}, not {expected} as the map."
        )
    dy, dx = scans[0].step
    if level is None:
        level = Level.BASE if kind in PICTURES | {"phases"} else Level.CLASSES
    options: dict[str, Any] = {
        "name": layer_name(scans, quantity, unit),
        # The distance of sections is in no file: one step, so that a voxel is near a cube.
        "scale": (dy, dx) if len(scans) == 1 else (dy, dy, dx),
        "units": ("um",) * len(shape),
        "axis_labels": ("z", "y", "x")[-len(shape) :],
        "metadata": {
            KEY: {
                "scan": scans[0],
                "scans": scans,
                "quantity": quantity,
                "unit": unit,
                "kind": kind,
                "classes": {int(c.label): c.name for c in classes},
                "settings": dict(settings or {}),
                "model": model,
                "result": result,
                "level": level,
            }
        },
    }
    if translate is not None:
        options["translate"] = tuple(translate)
    if kind in LABEL_KINDS:
        return (*_labels(array, quantity, classes, options, display), "labels")
    if kind == "rgb":
        return _rgba(array), {**options, "rgb": True, **display}, "image"
    array = _plain(array)
    if "contrast_limits" not in display:
        options["contrast_limits"] = contrast_limits(array, _indexed(scans))
    return array, {**options, "colormap": "gray", **display}, "image"


def add_result(
    viewer: ViewerModel,
    scan: Scan | Sequence[Scan],
    data: ArrayLike,
    quantity: str,
    unit: str = "",
    *,
    kind: str = "image",
    replace: bool = False,
    **options: Any,
) -> Layer:
    """Add a result to the scan that it was computed from, wherever that lies in the viewer.

    Parameters
    ----------
    viewer, scan, data, quantity, unit, kind, **options
        As for `layer_data`. A scan that is one section of a stack gets its result at the
        height of that section.
    replace
        Put the result into the layer that shows the same quantity of the same scan, if there
        is one; else a layer is added: above its like, below what lies on it (see `Level`).

    Returns
    -------
    napari.layers.Layer

    Raises
    ------
    InputError
        When the kind is unknown or the data do not fit the map.
    """
    array, arguments, layer_type = layer_data(scan, data, quantity, unit, kind=kind, **options)
    scans = _as_scans(scan)
    if "translate" not in arguments and at_home(viewer, scans, arguments):
        array = array[np.newaxis]
    old = same_quantity(viewer, scans, quantity, kind) if replace else None
    if old is not None and old.data.shape == array.shape:
        old.data = array
        old.metadata = arguments["metadata"]
        for name in ("features", "colormap"):
            if layer_type == "labels" and name in arguments:
                setattr(old, name, arguments[name])
        protect(old)
        return old
    added: Layer = getattr(viewer, f"add_{layer_type}")(array, **arguments)
    protect(added)
    put_in_place(viewer, scans[0], added)
    return added


def protect(layer: Layer) -> None:
    """Let a layer that is no annotation be looked at only: a stray stroke would change it."""
    info = info_of(layer)
    if info is not None and info["kind"] in LABEL_KINDS:
        layer.editable = info["kind"] == "segmentation" or level_of(layer) is Level.STROKES


def level_of(layer: Layer) -> Level:
    """What a layer of the plugin lies on."""
    info = info_of(layer)
    return Level(info.get("level", Level.BASE)) if info is not None else Level.BASE


def at_home(viewer: ViewerModel, scans: tuple[Scan, ...], arguments: dict[str, Any]) -> bool:
    """Give a layer the place of its map; whether it is one section of a stack."""
    home = next((layer for layer in viewer.layers if scans[0] in scans_of(layer)), None)
    if home is None:
        return False
    origin = tuple(float(t) for t in home.translate)
    in_stack = len(origin) == 3 and len(scans) == 1
    if in_stack:
        dy, dx = arguments["scale"]
        height = float(home.scale[0])
        arguments["scale"] = (height, dy, dx)
        arguments["units"] = ("um",) * 3
        arguments["axis_labels"] = ("z", "y", "x")
        origin = (origin[0] + scans_of(home).index(scans[0]) * height, *origin[1:])
    arguments["translate"] = origin
    return in_stack


def put_in_place(viewer: ViewerModel, scan: Scan, layer: Layer) -> None:
    """Move a layer that was added on top below what lies on it."""
    higher = [other for other in layers_of(viewer, scan) if level_of(other) > level_of(layer)]
    places = [viewer.layers.index(other) for other in higher]
    if places and min(places) < viewer.layers.index(layer):
        viewer.layers.move(viewer.layers.index(layer), min(places))


def info_of(layer: Layer) -> dict[str, Any] | None:
    """What the plugin wrote on a layer, or None for a layer that is not its own."""
    info = layer.metadata.get(KEY)
    return info if isinstance(info, dict) and isinstance(info.get("scan"), Scan) else None


def result_of(layer: Layer | None, kind: type[Result]) -> Result | None:
    """The result of some kind that a layer shows a part of, or None."""
    info = info_of(layer) if layer is not None else None
    result = info.get("result") if info is not None else None
    return result if isinstance(result, kind) else None


def scans_of(layer: Layer) -> tuple[Scan, ...]:
    """Scans that a layer shows: none, one, or the sections of a stack in order."""
    info = info_of(layer)
    return tuple(info.get("scans", (info["scan"],))) if info else ()


def scan_of(layer: Layer, viewer: ViewerModel | None = None) -> Scan | None:
    """The scan that a layer shows, or None.

    Of a stack of sections it is the one at the viewer's slider, without a viewer the first.
    """
    scans = scans_of(layer)
    if len(scans) > 1 and viewer is not None:
        point = viewer.dims.point[-layer.ndim :]
        section = round(float(layer.world_to_data(point)[0]))
        return scans[min(max(section, 0), len(scans) - 1)]
    return scans[0] if scans else None


def scans_in(viewer: ViewerModel) -> list[Scan]:
    """Scans that layers of the viewer show, each once, in the order of the layers."""
    # `Scan` compares by identity, so a dict keeps each object once.
    return list(dict.fromkeys(scan for layer in viewer.layers for scan in scans_of(layer)))


def layers_of(viewer: ViewerModel, scan: Scan) -> list[Layer]:
    """Layers that show a scan, bottom to top."""
    return [layer for layer in viewer.layers if scan in scans_of(layer)]


def show_map(viewer: ViewerModel, *scans: Scan) -> None:
    """Fit the view to maps; of a stack of sections, show the first of them."""
    layers = [layer for scan in scans for layer in layers_of(viewer, scan)]
    if not layers:
        return
    stack = scans_of(layers[0])
    if len(stack) > 1:
        height = float(layers[0].translate[0]) + stack.index(scans[0]) * float(layers[0].scale[0])
        viewer.dims.set_point(viewer.dims.ndim - layers[0].ndim, height)
    viewer.fit_to_view(layers=layers)


def show_alone(viewer: ViewerModel, scan: Scan, layer: Layer) -> None:
    """Show one layer on the quality image of its map, which is the map's lowest layer.

    A picture takes the place of other pictures, and outlines stay on top of it. A layer of
    labels lies among the outlines, so that it takes the place of all. Volumes stay: a map is
    that of one section.
    """
    info = info_of(layer)
    replaces = KINDS if info is not None and info["kind"] in LABEL_KINDS else PICTURES
    for other in layers_of(viewer, scan)[1:]:
        shows = info_of(other)
        if other is layer or shows is None or len(scans_of(other)) > 1:
            continue
        if shows["kind"] in replaces and other.visible:
            other.visible = False
    # napari draws a layer anew whenever it is told, even what it knows.
    if not layer.visible:
        layer.visible = True


def contrast_limits(
    values: NDArray[Any], indexed: NDArray[np.bool_] | None = None
) -> tuple[float, float]:
    """Limits that a few outliers and the not-indexed pixels do not stretch: 1 and 99 per cent."""
    flat = values.reshape(-1)
    chosen = flat
    if indexed is not None and indexed.shape == values.shape and indexed.any():
        chosen = flat[indexed.reshape(-1)]
    # A part of a large map tells the percentiles as well as the whole.
    chosen = chosen[:: max(1, chosen.size // 500_000)]
    chosen = chosen[np.isfinite(chosen)]
    if chosen.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.percentile(chosen, (1, 99)))
    if high <= low:
        low, high = float(chosen.min()), float(chosen.max())
    if high <= low:
        # The relative part keeps the limits apart in float32, which the display uses.
        high = low + max(1.0, abs(low) * 1e-3)
    return low, high


def _as_scans(scan: Scan | Sequence[Scan]) -> tuple[Scan, ...]:
    scans = (scan,) if isinstance(scan, Scan) else tuple(scan)
    if not scans or len({s.shape for s in scans}) > 1:
        raise InputError("A layer needs one scan, or several of the same size.")
    return scans


def _indexed(scans: Sequence[Scan]) -> NDArray[np.bool_]:
    return scans[0].is_indexed if len(scans) == 1 else np.stack([s.is_indexed for s in scans])


def same_quantity(
    viewer: ViewerModel, scans: tuple[Scan, ...], quantity: str, kind: str
) -> Layer | None:
    """The layer that shows a quantity of the same scans, the topmost; None for none."""
    for layer in reversed(viewer.layers):
        info = info_of(layer)
        shows = (info["quantity"], info["kind"]) if info else None
        if shows == (quantity, kind) and scans_of(layer) == scans:
            return layer
    return None


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Array that the display can take."""
    if array.dtype == bool:
        return array.view(np.uint8)
    if not array.dtype.isnative:
        # Big-endian values, as some HDF5 files hold them, show as noise.
        return array.astype(array.dtype.newbyteorder("="))
    return array


def _rgba(colors: NDArray[Any]) -> NDArray[np.uint8]:
    """Colours as bytes; pixels with NaN become black and transparent."""
    if colors.shape[-1] not in (3, 4):
        raise InputError(f"Colours need 3 or 4 channels, not {colors.shape[-1]}.")
    result = np.zeros((*colors.shape[:-1], 4), dtype=np.uint8)
    channels = colors.shape[-1]
    if colors.dtype == np.uint8:
        result[..., :channels] = colors
        if channels == 3:
            result[..., 3] = 255
        return result
    seen = np.isfinite(colors).all(axis=-1)
    scaled = np.clip(np.where(seen[..., np.newaxis], colors, 0), 0, 1) * 255
    result[..., :channels] = np.rint(scaled)
    if channels == 3:
        result[..., 3] = 255 * seen
    return result


def _labels(
    array: NDArray[Any],
    quantity: str,
    classes: Sequence[LabelClass],
    options: dict[str, Any],
    display: dict[str, Any],
) -> tuple[NDArray[np.integer], dict[str, Any]]:
    if array.dtype.kind not in "iub":
        raise InputError(f"{quantity}: labels must be whole numbers, not {array.dtype}.")
    info = options["metadata"][KEY]
    painted = info["kind"] == "segmentation" or info["level"] is Level.STROKES
    # Bytes are drawn as they are: of larger numbers napari makes bytes whenever it draws, with
    # code that it compiles for seconds first. But it refuses to paint labels above 255 on them.
    few = bool(classes) and not painted and 0 <= array.min(initial=0) <= array.max(initial=0) < 256
    labels: NDArray[np.integer] = array.astype(np.uint8 if few else np.int32, copy=False)
    if classes:
        # "phase", "class": the word that the status bar puts before the name.
        column = quantity if info["kind"] != "segmentation" else "class"
        options = {**options, "colormap": class_colormap(classes)}
        options["features"] = class_features(classes, column)
    return labels, {**options, **display}
