"""`ebsdml improve`: better orientations from the patterns of many maps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_ebsdml.cli._app import Frame, app
from napari_ebsdml.cli._batch import BatchOptions, Files, Output, run_batch
from napari_ebsdml.cli._options import takes_settings
from napari_ebsdml.patterns.settings import ImproveSettings


@app.command()
@takes_settings(grain_threshold="--threshold")
def improve(
    files: Files,
    chosen: ImproveSettings,
    how: BatchOptions,
    output: Output = Path(),
    pattern_centre: Annotated[
        str,
        typer.Option(
            help="x,y,z in Bruker's convention, such as 0.5,0.2,0.6; default: the file's."
        ),
    ] = "",
    frame: Frame = None,
) -> None:
    """Improve the orientations within grains of many maps from their patterns.

    Each map becomes NAME-improved.h5 (orix), which the other commands read: its orientations, and
    as properties the noise that each has left in degrees, which densities then use, and how well
    its pattern fits. summary.csv tells the noise before and after. A map that fails is told and
    the others go on.
    """
    own = {"pattern_centre": pattern_centre}
    run_batch(files, [("improve", [chosen, own])], output, how, frame, "orientations")
