"""Parent grains as layers and a table; no Qt here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_ebsdml._napari.layers.of_scans import Level
from napari_ebsdml.scan import Scan

if TYPE_CHECKING:
    from napari_ebsdml._parallel import Progress
    from napari_ebsdml.grains import ParentGrains, ParentSettings

_TITLES = {
    "id": "parent", "grain": "grain", "area": "area [µm²]", "variants": "variants",
    "misfit": "misfit [°]", "confidence": "confidence", "retained": "retained [px]",
}  # fmt: skip


def parents_found(
    scan: Scan, settings: ParentSettings, child: int | None, progress: Progress = None
) -> tuple[ParentGrains, list[tuple[Any, dict[str, Any]]]]:
    """`parent_grains` with what the dock says, and its layers: colours are a worker's task."""
    from napari_ebsdml.grains import parent_grains

    found = parent_grains(scan, **settings.arguments(), child_phase=child, progress=progress)
    return found, list(layers_of_parents(found)) if found.count else []


def layers_of_parents(found: ParentGrains) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Data and arguments of `add_result` for each layer, those to lie on top last."""
    from napari_ebsdml.maps import ipf_colors

    made = {"settings": dict(found.settings), "result": found}
    inside = found.parent_id > 0
    confidence = np.where(inside, found.confidence, np.nan)
    yield confidence, {
        "quantity": "parent confidence", "colormap": "viridis", "contrast_limits": (0.0, 1.0),
        "visible": False, **made,
    }  # fmt: skip
    yield np.where(inside, found.misfit, np.nan), {
        "quantity": "parent misfit", "unit": "°", "colormap": "inferno",
        "contrast_limits": (0.0, 10.0), "visible": False, **made,
    }  # fmt: skip
    yield ipf_colors(found.as_scan()), {"quantity": "parent IPF-Z", "kind": "rgb", **made}
    labels = {"kind": "labels", "visible": False, **made}
    yield found.variant, {"quantity": "variant", **labels}
    yield found.packet, {"quantity": "packet", **labels}
    yield found.block, {"quantity": "block", **labels}
    yield found.parent_id, {
        "quantity": "parent grains", "kind": "labels", "level": Level.LINES,
        "features": _features(found), **made,
    }  # fmt: skip


def parent_table(found: ParentGrains) -> dict[str, Any]:
    """What is shown of each parent, the largest first."""
    order = np.argsort(-found.table["area"])
    return {
        title: np.round(found.table[name][order], 3 if name == "confidence" else 2)
        for name, title in _TITLES.items()
    }


def _features(found: ParentGrains) -> dict[str, Any]:
    """What the status bar tells of the parent under the cursor."""
    table = found.table
    features: dict[str, Any] = {"index": [0, *table["id"].tolist()]}
    for name, title in _TITLES.items():
        if name != "id":
            features[title] = np.concatenate(([np.nan], table[name]))
    return features
