"""What the dock "GND density" does, as a script; no Qt here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from napari_ebsdml._napari.shell.script import call, reading, script, without_defaults
from napari_ebsdml.dislocations.settings import GndSettings
from napari_ebsdml.scan import Scan


def gnd_script(scan: Scan, settings: GndSettings) -> str:
    """Compute the GND density, tell its averages and save it."""
    imports, lines = gnd_lines(scan, settings)
    return script(
        "GND density",
        [
            "import numpy as np",
            *imports,
            "from napari_ebsdml.dislocations.averages import gnd_averages",
        ],
        [
            *lines,
            "print(gnd, gnd.noise_sentence)",
            'for column, values in gnd_averages(gnd, "phase").items():',
            "    print(column, values)",
            'np.save(f"{scan.name}-gnd.npy", gnd.total)',
        ],
    )


def gnd_lines(scan: Scan, settings: GndSettings) -> tuple[list[str], list[str]]:
    """Imports, and lines that read the scan and compute its GND density."""
    chosen = without_defaults(settings, settings.arguments())
    chosen["slip_systems"] = _systems(settings.slip_systems)
    if chosen["slip_systems"] == "auto":
        del chosen["slip_systems"]
    imports = ["from napari_ebsdml.dislocations import Denoise"] if "denoise" in chosen else []
    return imports, [
        f"scan = {reading(scan)}",
        f"gnd = {call('ebsdml.gnd_density', 'scan', **chosen)}",
    ]


def _systems(chosen: Any) -> Any:
    if isinstance(chosen, Mapping) and set(chosen.values()) <= {"auto"}:
        return "auto"
    return chosen
