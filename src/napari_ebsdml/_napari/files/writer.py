"""napari's writer: layers of one scan to .ang, .ctf or .h5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_ebsdml._napari.files.map_layers import phase_labels
from napari_ebsdml._napari.layers.of_scans import KEY, LABEL_KINDS, LayerTuple
from napari_ebsdml.errors import WriteError
from napari_ebsdml.scan import Scan

# Of a property; a number may follow.
_LONGEST_NAME = 90


def write_layers(path: str, layers: Sequence[LayerTuple]) -> list[str]:
    """Write the scan that layers show, with everything that they show of it.

    Results become properties of the map under the name of their quantity, with its unit; a
    segmentation becomes its phases as well. What a map cannot hold is told: colours, points,
    shapes, and images of another size.

    Parameters
    ----------
    path
        The extension chooses the format: .ang, .ctf or .h5.
    layers
        Data, attributes and type of each layer, as napari hands them over.

    Returns
    -------
    list of str
        The file written.

    Raises
    ------
    WriteError
        When the layers show no scan, several scans, or more than one segmentation.
    """
    from napari.utils.notifications import show_warning

    from napari_ebsdml import write

    scan = _only_scan(path, layers)
    labels = [
        (data, attributes)
        for data, attributes, kind in layers
        if kind == "labels" and _says_phases(data, attributes, scan, alone=len(layers) == 1)
    ]
    if len(labels) > 1:
        names = ", ".join(str(attributes.get("name")) for _, attributes in labels)
        raise WriteError(
            f"{path}: several layers could be written as phases ({names}); select one of them."
        )
    written, lost = _with_results(scan, layers)
    made = {"results": [_made(attributes) for _, attributes, _ in layers]}
    if labels:
        data, attributes = labels[0]
        classes = {k: name for k, name in attributes["metadata"][KEY]["classes"].items() if k}
        phases = np.asarray(data).reshape(scan.shape)
        write(path, written, phase_labels=phases, phase_names=classes, made_with=made)
    else:
        write(path, written, made_with=made)
    if lost:
        show_warning(
            f"{Path(path).name}: a map holds one number for each pixel, so "
            f"{', '.join(lost)} {'was' if len(lost) == 1 else 'were'} not written."
        )
    return [path]


def _made(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """What a layer shows, and what it was computed with."""
    info = _info(attributes) or {}
    told = {"layer": str(attributes.get("name") or ""), "quantity": info.get("quantity")}
    for key in ("unit", "settings", "model"):
        if info.get(key):
            told[key] = info[key]
    return told


def _with_results(scan: Scan, layers: Sequence[LayerTuple]) -> tuple[Scan, list[str]]:
    """The scan with what the layers show as properties, and the names of layers left out."""
    lost = []
    added: set[str] = set()
    for data, attributes, kind in layers:
        info = _info(attributes) or {}
        name = str(info.get("quantity") or attributes.get("name") or kind)
        name = " ".join(name.split())[:_LONGEST_NAME]
        if info.get("kind") == "phases":
            continue
        if info.get("kind") == "lines":
            data, kind = info["pixels"], "labels"
        is_numbers = kind in ("image", "labels") and not attributes.get("rgb")
        values = _on_map(data, scan) if is_numbers else None
        if values is None:
            lost.append(str(attributes.get("name") or name))
            continue
        own = scan.prop.get(name)
        if own is not None and name not in added and _same(values, own):
            added.add(name)
            continue
        # Two results of one quantity differ in their settings: both stay.
        title, number = name, 1
        while title.casefold() in {other.casefold() for other in added}:
            number += 1
            title = f"{name} ({number})"
        added.add(title)
        scan = scan.with_property(title, values, str(info.get("unit") or ""))
    return scan, lost


def _on_map(data: Any, scan: Scan) -> NDArray[Any] | None:
    """Values of a layer on the pixels of the map, None when it has others."""
    # A pyramid is a list of ever smaller images.
    values = np.asarray(data[0] if isinstance(data, list | tuple) else data)
    if values.shape[-2:] != scan.shape or values.size != scan.phase_id.size:
        return None
    return values.reshape(scan.shape) if values.dtype.kind in "biuf" else None


def _same(values: NDArray[Any], own: NDArray[Any]) -> bool:
    if own.dtype == np.bool_:
        own = own.view(np.uint8)
    return np.array_equal(values, own, equal_nan=values.dtype.kind == "f")


def _info(attributes: Mapping[str, Any]) -> Mapping[str, Any] | None:
    info = (attributes.get("metadata") or {}).get(KEY)
    return info if isinstance(info, Mapping) and isinstance(info.get("scan"), Scan) else None


def _only_scan(path: str, layers: Sequence[LayerTuple]) -> Scan:
    scans: dict[Scan, None] = {}
    for _, attributes, _ in layers:
        info = _info(attributes)
        if info is not None:
            scans.update(dict.fromkeys(info["scans"]))
    if not scans:
        raise WriteError(
            f"{path}: none of the layers shows an EBSD map; select a layer that was opened or "
            "computed by napari-ebsdml."
        )
    if len(scans) > 1:
        names = ", ".join(scan.name for scan in scans)
        raise WriteError(
            f"{path}: the layers show several maps ({names}); a file holds one, so select layers "
            "of one map."
        )
    return next(iter(scans))


def _says_phases(data: Any, attributes: Mapping[str, Any], scan: Scan, alone: bool) -> bool:
    """Whether a Labels layer holds phases other than those that the scan has anyway."""
    info = _info(attributes)
    if info is None or info["kind"] not in LABEL_KINDS:
        return False
    if info["kind"] == "phases":
        return not np.array_equal(np.asarray(data).reshape(scan.shape), phase_labels(scan)[0])
    # Strokes, grains and the like are phases only when the user saves nothing else.
    return info["kind"] == "segmentation" or (alone and bool(info["classes"]))
