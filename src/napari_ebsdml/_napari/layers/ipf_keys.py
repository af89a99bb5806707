"""Whose crystal directions a layer's colours show; no Qt here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari_ebsdml._napari.layers.of_scans import info_of, scan_of

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Layer

    from napari_ebsdml.maps.ipf import Keys

_known: WeakKeyDictionary[Any, Keys] = WeakKeyDictionary()


def keys_of(layer: Layer, viewer: ViewerModel | None = None) -> Keys:
    """Phases of a layer of IPF colours, by the colour key that they share.

    They are the map's, but for orientations that the file does not hold: the parent grains',
    and those that were searched for among cubic crystals.
    """
    from napari_ebsdml.maps.ipf import phases_by_key

    info = info_of(layer) or {}
    if (info.get("settings") or {}).get("orientations") == "searched for":
        return _cubic()
    shown: Any = info.get("result")
    if not hasattr(shown, "as_scan"):
        shown = scan_of(layer, viewer) or info["scan"]
    # Asked at every change of a layer, and at every drawing; neither ever changes.
    if shown not in _known:
        _known[shown] = phases_by_key(shown.as_scan() if hasattr(shown, "as_scan") else shown)
    return _known[shown]


def _cubic() -> Keys:
    from orix.crystal_map import Phase

    return {("m-3m",): (Phase("cubic", point_group="m-3m"), ["cubic"])}
