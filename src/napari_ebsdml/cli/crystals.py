"""`ebsdml crystals`: what phases maps hold, told by the symmetry of their patterns."""

from __future__ import annotations

from pathlib import Path

from napari_ebsdml.cli._app import Frame, app
from napari_ebsdml.cli._batch import BatchOptions, Files, Output, run_batch
from napari_ebsdml.cli._options import takes_settings
from napari_ebsdml.patterns.settings import PhasesSettings


@app.command()
@takes_settings()
def crystals(
    files: Files,
    chosen: PhasesSettings,
    how: BatchOptions,
    output: Output = Path(),
    frame: Frame = None,
) -> None:
    """Tell what crystals maps hold, from their patterns alone.

    No phase, library, orientation or pattern centre is needed; crystals of every system count.
    Each map becomes NAME-crystals.h5 (the map indexed with the phases found), NAME-crystals.npz
    (phase_id, quaternions w, x, y, z, specimen -> crystal, fit, pattern_centre) and
    NAME-crystals.tif (number of the phase from 1, 0 where none fits). crystals.csv has a row a
    phase: Laue group, lattice, share, and the file's phases in its place. Where the patterns
    contradict the file's phase, it is said.
    """
    run_batch(files, [("crystals", chosen)], output, how, frame, "crystals")
