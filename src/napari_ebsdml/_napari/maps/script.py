"""What the dock "EBSD maps" does, as a script; no Qt here."""

from __future__ import annotations

from napari_ebsdml._napari.shell.script import reading, script, written
from napari_ebsdml.maps.settings import MapSettings
from napari_ebsdml.scan import Scan


def maps_script(scan: Scan, settings: MapSettings) -> str:
    """Compute the chosen maps and save them."""
    return script(
        "Maps",
        ["import numpy as np", "from napari_ebsdml.maps import MapSettings, compute_maps"],
        [
            f"scan = {reading(scan)}",
            f"settings = {written(settings)}",
            "maps = {}",
            "for found in compute_maps(scan, settings):",
            "    if not isinstance(found, str):  # texts say what it is at",
            "        maps[found.name] = found.data",
            'np.savez_compressed(f"{scan.name}-maps.npz", **maps)',
        ],
    )
