"""What the dock "Parent grains" does, as a script; no Qt here."""

from __future__ import annotations

from typing import Any

from napari_ebsdml._napari.shell.script import call, reading, script
from napari_ebsdml.grains.parents.settings import ParentSettings
from napari_ebsdml.options import changes
from napari_ebsdml.scan import Scan


def parents_script(scan: Scan, settings: ParentSettings, child: int | None) -> str:
    """Reconstruct the parents and save what was found."""
    values: dict[str, Any] = changes(settings)
    if child is not None:
        values["child_phase"] = child
    return script(
        "Parent grains",
        ["import numpy as np"],
        [
            f"scan = {reading(scan)}",
            f"parents = {call('ebsdml.parent_grains', 'scan', **values)}",
            "print(parents.sentence)",
            "np.savez_compressed(",
            '    f"{scan.name}-parents.npz", parent_id=parents.parent_id, '
            "orientations=parents.orientations,",
            "    variant=parents.variant, packet=parents.packet, confidence=parents.confidence,",
            ")",
        ],
    )
