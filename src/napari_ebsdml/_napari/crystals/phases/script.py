"""What the page "What is in this map?" does, as a script; no Qt here."""

from __future__ import annotations

from napari_ebsdml._napari.shell.script import call, reading, script, without_defaults
from napari_ebsdml.patterns.settings import PhasesSettings
from napari_ebsdml.scan import Scan


def phases_script(scan: Scan, settings: PhasesSettings) -> str:
    """Find the phases of a map, tell them, and write the map indexed with them.

    Raises
    ------
    InputError
        When the map is in no file.
    """
    find = call("ebsdml.find_phases", "scan", **without_defaults(settings, settings.arguments()))
    lines = [
        f"scan = {reading(scan)}",
        f"found = {find}",
        "print(found.sentence)",
        "for phase in found.clusters:",
        "    print(phase.name, phase.laue.best, phase.lattice, phase.share)",
        "if found.clusters:",
        f"    ebsdml.write({f'{scan.name}-phases.h5'!r}, found.scan)",
    ]
    return script("Phases of a map from its patterns", [], lines)
