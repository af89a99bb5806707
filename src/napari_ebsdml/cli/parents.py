"""`ebsdml parents`: parent grains of many maps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_ebsdml.cli._app import Frame, app
from napari_ebsdml.cli._batch import BatchOptions, Files, Output, run_batch
from napari_ebsdml.cli._options import takes_settings
from napari_ebsdml.grains.parents.settings import ParentSettings


@app.command()
@takes_settings()
def parents(
    files: Files,
    chosen: ParentSettings,
    how: BatchOptions,
    output: Output = Path(),
    child_phase: Annotated[
        str | None, typer.Option(help="Name or number of the child phase; default: found.")
    ] = None,
    parent_phase: Annotated[
        str | None, typer.Option(help="Name or number of the retained parent phase.")
    ] = None,
    frame: Frame = None,
) -> None:
    """Reconstruct prior austenite, or beta titanium, in many maps.

    Each map becomes NAME-parents.npz (parent_id, orientations of the parents, variant, packet,
    bain_group, block, misfit in degrees, confidence), one line of summary.csv, and one line of
    parents.csv for each parent. A map that fails is told and the others go on.
    """
    phases = {"child_phase": child_phase, "parent_phase": parent_phase}
    run_batch(files, [("parents", [chosen, phases])], output, how, frame, "parents")
