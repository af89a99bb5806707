"""Answers as layers of a map, and back again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ebsdml._napari.crystals.space_groups.classify import Classified
from napari_ebsdml._napari.crystals.space_groups.display import AGREEMENT_CLASSES, UNKNOWN_CLASSES
from napari_ebsdml._napari.layers.of_scans import info_of, layers_of, result_of, show_alone
from napari_ebsdml.patterns.answers.compare import agreement
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari.components import ViewerModel

    from napari_ebsdml._napari.shell.scan_widget import ScanWidget

GROUP, CONFIDENCE, UNKNOWN, AGREEMENT, FOUND = (
    "space group", "space-group probability", "unknown patterns", "agreement",
    "IPF-Z of found orientations",
)  # fmt: skip


def results_of(viewer: ViewerModel, scan: Scan | None) -> list[Classified]:
    """Answers that layers of a map show, those that were added last at the end."""
    if scan is None:
        return []
    found = (result_of(layer, Classified) for layer in layers_of(viewer, scan))
    return [one for one in found if one is not None]


def layers_to_add(one: Classified) -> list[dict[str, Any]]:
    """Arguments of `ScanWidget.add_result` for one model's answers, bottom to top."""
    result = one.result
    named = result.space_group > 0
    common = {"settings": one.settings, "model": one.name}
    found = []
    if one.colors is not None:
        found.append(
            {
                "data": one.colors, "quantity": f"{one.name}: {FOUND}", "kind": "rgb",
                "visible": False, **common,
            }
        )  # fmt: skip
    return [
        *found,
        {
            "data": np.where(named, result.probability, np.nan).astype(np.float32),
            "quantity": f"{one.name}: {CONFIDENCE}",
            "colormap": "viridis", "contrast_limits": (0.0, 1.0), "visible": False, **common,
        },
        {
            "data": (result.asked & ~result.is_known).astype(np.int32),
            "quantity": f"{one.name}: {UNKNOWN}", "kind": "labels", "classes": UNKNOWN_CLASSES,
            "visible": False, **common,
        },
        {
            "data": one.labels, "quantity": f"{one.name}: {GROUP}", "kind": "labels",
            "classes": one.classes, "opacity": 1.0, **common,
        },
    ]  # fmt: skip


def agreement_layer(one: Classified, two: Classified) -> dict[str, Any]:
    """Arguments of `ScanWidget.add_result` for the map of agreement of two models."""
    return {
        "data": agreement(one.answers, two.answers),
        "quantity": f"{one.name} and {two.name}: {AGREEMENT}", "kind": "labels",
        "classes": AGREEMENT_CLASSES, "visible": False, "opacity": 1.0,
        "settings": {"models": [one.name, two.name]},
    }  # fmt: skip


def add(widget: ScanWidget, scan: Scan, arguments: dict[str, Any], one: Classified | None) -> Any:
    """Add or replace one layer; the label layer carries the answers that it was made of."""
    options = dict(arguments)
    data, quantity = options.pop("data"), options.pop("quantity")
    answers = one if one is not None and quantity.endswith(f": {GROUP}") else None
    layer = widget.add_result(scan, data, quantity, result=answers, **options)
    if answers is not None:
        show_alone(widget.viewer, scan, layer)
    return layer


def remove_found(viewer: ViewerModel, scan: Scan, one: Classified) -> None:
    """Remove orientations of earlier answers of a model where the new ones have none."""
    for layer in layers_of(viewer, scan):
        info = info_of(layer)
        if one.colors is None and info and info["quantity"] == f"{one.name}: {FOUND}":
            viewer.layers.remove(layer)
