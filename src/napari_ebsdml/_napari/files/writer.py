"""napari's writer: layers of one scan to .ang, .ctf or .h5."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from napari_ebsdml._napari.files.map_layers import phase_labels
from napari_ebsdml._napari.shell.layers import KEY, LayerTuple
from napari_ebsdml.errors import WriteError
from napari_ebsdml.scan import Scan


def write_layers(path: str, layers: Sequence[LayerTuple]) -> list[str]:
    """Write the scan that layers show; a segmentation among them becomes its phases.

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
    if labels:
        data, attributes = labels[0]
        classes = {k: name for k, name in attributes["metadata"][KEY]["classes"].items() if k}
        write(path, scan, phase_labels=np.asarray(data).reshape(scan.shape), phase_names=classes)
    else:
        write(path, scan)
    return [path]


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
    if info is None:
        return False
    if info["kind"] == "phases":
        return not np.array_equal(np.asarray(data).reshape(scan.shape), phase_labels(scan)[0])
    # Strokes, grains and the like are phases only when the user saves nothing else.
    return info["kind"] == "segmentation" or (alone and bool(info["classes"]))
