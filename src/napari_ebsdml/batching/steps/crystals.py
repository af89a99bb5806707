"""Step "crystals": what phases a map holds, told by the symmetry of its patterns."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import napari_ebsdml as ebsdml
from napari_ebsdml.batching.pictures import of_labels
from napari_ebsdml.batching.step import Outcome, Step, Work
from napari_ebsdml.batching.writing import Row, write_image
from napari_ebsdml.patterns.settings import PhasesSettings

if TYPE_CHECKING:
    from napari_ebsdml.patterns.phases.find import FoundPhase
    from napari_ebsdml.scan import Scan

TABLE = "crystals.csv"
ENDING = "-crystals"


def run(work: Work) -> Outcome:
    """Phases of a map, and the map indexed with them."""
    chosen = work.of(PhasesSettings)
    found = ebsdml.find_phases(work.scan, progress=work.progress, **chosen.arguments())
    if not found.clusters:
        return Outcome({"phases": 0}, notes=[found.sentence])
    scan = found.scan
    arrays: dict[str, Any] = {
        "phase_id": scan.phase_id, "quaternions": scan.quaternions, "fit": scan.get("fit"),
        "step": np.array(scan.step), "pattern_centre": np.array(found.camera.centre),
    }  # fmt: skip
    labels = scan.phase_id + 1
    row: Row = {"phases": len(found.clusters), "systems": _joined(found.clusters)}
    return Outcome(
        row, arrays,
        {
            f"{ENDING}.tif": partial(write_image, labels=labels),
            f"{ENDING}.h5": partial(_save, scan=scan),
        },
        {TABLE: [_row(phase) for phase in found.clusters]},
        [phase.contradiction for phase in found.clusters if phase.contradiction],
        found.sentence, of_labels("phases found", labels),
    )  # fmt: skip


def _joined(clusters: tuple[FoundPhase, ...]) -> str:
    return ", ".join(str(phase.laue.system) for phase in clusters)


def _row(phase: FoundPhase) -> Row:
    laue, lattice = phase.laue, phase.lattice
    return {
        "phase": phase.name, "percent": round(100 * phase.share, 2), "system": laue.system,
        "Laue group": laue.best, "probability": round(laue.probability, 3),
        "not excluded": " ".join(sorted(laue.group)),
        "lattice": "" if lattice is None else lattice.bravais,
        "a (A)": "" if lattice is None else round(lattice.a, 3),
        "b (A)": "" if lattice is None else round(lattice.b, 3),
        "c (A)": "" if lattice is None else round(lattice.c, 3),
        "space groups": "" if not phase.space_groups else " ".join(
            str(n) for n in phase.space_groups[0].numbers
        ),
        "in file": ", ".join(phase.in_file),
        "element counts (%)": ", ".join(
            f"{line} {100 * share:.1f}" for line, share in phase.elements.items()
        ),
    }  # fmt: skip


def _save(path: Path, scan: Scan) -> None:
    ebsdml.write(path, scan)


STEP = Step("crystals", run, ENDING, (PhasesSettings,), table=TABLE)
