"""OME-Zarr (NGFF 0.4) with scale, units, levels and named labels, for maps and volumes.

doi:10.1038/s41592-021-01326-w. The map itself, with its orientations and phases, lies beside the
images in the group ``ebsdml``, which other programs do not look at.
"""

from __future__ import annotations

import colorsys
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_ebsdml import __version__
from napari_ebsdml._atomic import replacing_folder
from napari_ebsdml._palette import CLASS_COLORS
from napari_ebsdml.errors import InputError, WriteError
from napari_ebsdml.io.scan_zarr import write_scan

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

ENDING = ".ome.zarr"
_NGFF = "0.4"
_SMALLEST = 256
"""Longest side of the coarsest level."""
_CHUNK = 1024
_MOST_NAMED = 20_000


def write_ome_zarr(
    path: str | os.PathLike[str],
    scans: Scan | Sequence[Scan],
    images: Mapping[str, ArrayLike] | None = None,
    labels: Mapping[str, ArrayLike] | None = None,
    names: Mapping[str, Mapping[int, str]] | None = None,
    spacing: float | None = None,
    made_with: Mapping[str, Any] | None = None,
) -> Path:
    """Write a map, or the sections of a volume, as OME-Zarr; whole or not at all.

    Parameters
    ----------
    path
        Folder NAME.ome.zarr; one of this kind is replaced.
    scans
        A map, or sections of the same shape and step.
    images
        Name -> numbers of the map's (or volume's) shape: channels of the image. Default: the
        properties of the map.
    labels
        Name -> whole numbers. The phases are among them, 1 for the first, unless `labels` has
        some.
    names
        Of labels: name -> label -> text.
    spacing
        Distance of the sections in um; default: the step.
    made_with
        Settings that made images and labels, to be kept with them.

    Raises
    ------
    InputError
        When shapes do not fit.
    WriteError
        When it cannot be written, or something else has that name.
    """
    import zarr

    sections = [scans] if not isinstance(scans, Sequence) else list(scans)
    target = Path(path)
    first = sections[0]
    shape: tuple[int, ...] = first.shape
    step: tuple[float, ...] = first.step
    if len(sections) > 1:
        shape, step = (len(sections), *shape), (spacing or step[0], *step)
    shown = {name: _fit(name, values, shape) for name, values in (images or {}).items()}
    if images is None:
        shown = {name: _stacked(sections, name, shape) for name in first.prop}
    named = {name: _fit(name, values, shape) for name, values in (labels or {}).items()}
    texts = dict(names or {})
    if "phases" not in named:
        named["phases"], texts["phases"] = _phases(sections, shape)
    if not shown:
        shown = {"indexed": np.stack([s.is_indexed for s in sections]).reshape(shape)}
    if target.exists() and not (target / ".zgroup").exists():
        raise WriteError(f"{target}: there is something else of this name.")
    axes: list[dict[str, str]] = [
        {"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"[-len(shape) :]
    ]
    try:
        with replacing_folder(target) as part:
            root = zarr.open_group(str(part), mode="w", zarr_format=2)
            data = np.stack([values.astype(np.float32) for values in shown.values()])
            levels = _pyramid(root, data, _halved)
            root.attrs.update(
                {
                    "multiscales": [
                        {
                            "version": _NGFF, "name": first.name,
                            "axes": [{"name": "c", "type": "channel"}, *axes],
                            "datasets": _datasets(levels, (1.0, *step), centred=True),
                            "type": "mean",
                        }
                    ],
                    "omero": {"version": _NGFF, "channels": _channels(shown)},
                    "ebsdml": {
                        "napari_ebsdml": __version__, "made_with": dict(made_with or {}),
                        "sources": [str(s.source.path or "") for s in sections],
                    },
                }
            )  # fmt: skip
            place = root.create_group("labels")
            place.attrs.update({"labels": list(named)})
            for name, values in named.items():
                group = place.create_group(name)
                whole = values.astype(np.int32)
                levels = _pyramid(group, whole, _thinned)
                group.attrs.update(
                    {
                        "multiscales": [
                            {
                                "version": _NGFF, "name": name, "axes": axes,
                                "datasets": _datasets(levels, step, centred=False),
                            }
                        ],
                        "image-label": _label_entry(whole, texts.get(name, {})),
                    }
                )  # fmt: skip
            own = root.create_group("ebsdml")
            for number, scan in enumerate(sections):
                write_scan(own.create_group(str(number)), scan)
    except OSError as error:
        raise WriteError(f"{target}: {error.strerror or error}.") from None
    return target


def _fit(name: str, values: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
    array = np.asarray(values)
    if array.shape != shape or array.dtype.kind not in "biuf":
        raise InputError(f"{name!r} has shape {array.shape} of {array.dtype}, not numbers {shape}.")
    return array


def _stacked(sections: Sequence[Scan], name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """A property of all sections; NaN where one lacks it."""
    empty = np.full(sections[0].shape, np.nan)
    return np.stack([s.prop.get(name, empty).astype(np.float32) for s in sections]).reshape(shape)


def _phases(
    sections: Sequence[Scan], shape: tuple[int, ...]
) -> tuple[NDArray[np.int32], dict[int, str]]:
    """Phases as labels, 1 for the first."""
    there = [(n, str(phase.name)) for n, phase in sections[0].phases if n >= 0]
    out = np.zeros((len(sections), *sections[0].shape), np.int32)
    for position, (number, _) in enumerate(there):
        for k, scan in enumerate(sections):
            out[k][scan.phase_id == number] = position + 1
    return out.reshape(shape), {n + 1: name for n, (_, name) in enumerate(there)}


def _pyramid(group: Any, data: NDArray[Any], coarser: Any) -> int:
    """Write all levels of an image; their number."""
    level = 0
    while True:
        chunks = (*(1 for _ in data.shape[:-2]), *(min(_CHUNK, n) for n in data.shape[-2:]))
        group.create_array(
            str(level), data=np.ascontiguousarray(data), chunks=chunks,
            chunk_key_encoding={"name": "v2", "separator": "/"}, fill_value=0,
        )  # fmt: skip
        level += 1
        if max(data.shape[-2:]) <= _SMALLEST:
            return level
        data = coarser(data)


def _halved(data: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of two by two pixels, NaN left out; an odd edge is repeated."""
    rows, columns = data.shape[-2:]
    pad = [(0, 0)] * (data.ndim - 2) + [(0, rows % 2), (0, columns % 2)]
    even = np.pad(data, pad, mode="edge")
    known = np.isfinite(even)
    parts = np.where(known, even, 0)
    sums = _four(parts)
    counts = _four(known.astype(np.float32))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(sums / counts, np.float32)


def _four(data: NDArray[Any]) -> NDArray[Any]:
    return data[..., ::2, ::2] + data[..., 1::2, ::2] + data[..., ::2, 1::2] + data[..., 1::2, 1::2]


def _thinned(data: NDArray[np.int32]) -> NDArray[np.int32]:
    """Every second label: means of labels are none."""
    return data[..., ::2, ::2]


def _datasets(levels: int, step: Sequence[float], centred: bool) -> list[dict[str, Any]]:
    found = []
    for level in range(levels):
        factor = 2**level
        scale = [*map(float, step[:-2]), *(float(s) * factor for s in step[-2:])]
        transforms: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        if centred and level:
            # A mean of pixels lies in the middle of them.
            shift = [0.0] * (len(step) - 2) + [(factor - 1) / 2 * float(s) for s in step[-2:]]
            transforms.append({"type": "translation", "translation": shift})
        found.append({"path": str(level), "coordinateTransformations": transforms})
    return found


def _channels(images: Mapping[str, NDArray[Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, values in images.items():
        known = np.asarray(values, np.float64)[np.isfinite(values)]
        low, high = (map(float, np.percentile(known, (1, 99)))) if known.size else (0.0, 1.0)
        least, most = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        window = {"start": low, "end": max(high, low + 1e-9), "min": least, "max": most}
        found.append({"label": name, "color": "FFFFFF", "active": len(found) == 0,
                      "window": window})  # fmt: skip
    return found


def _label_entry(values: NDArray[np.int32], names: Mapping[int, str]) -> dict[str, Any]:
    present = [int(v) for v in np.unique(values) if v > 0]
    shown = present[:_MOST_NAMED]
    colors = [{"label-value": v, "rgba": _color(v, bool(names))} for v in shown]
    entry: dict[str, Any] = {
        "version": _NGFF, "colors": colors, "source": {"image": "../../"},
    }  # fmt: skip
    if names:
        entry["properties"] = [{"label-value": int(v), "name": text} for v, text in names.items()]
    return entry


def _color(value: int, is_class: bool) -> list[int]:
    if is_class:
        text = CLASS_COLORS[(value - 1) % len(CLASS_COLORS)]
        return [*(int(text[n : n + 2], 16) for n in (1, 3, 5)), 255]
    red, green, blue = colorsys.hsv_to_rgb(value * 0.618034 % 1, 0.55, 0.95)
    return [round(255 * red), round(255 * green), round(255 * blue), 255]
