"""`ebsdml spacegroups`: space groups of the patterns of many maps."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_ebsdml.cli._app import Frame, app
from napari_ebsdml.cli._batch import BatchOptions, Files, Output, run_batch
from napari_ebsdml.cli._options import takes_settings
from napari_ebsdml.patterns.settings import ClassifySettings


@app.command()
@takes_settings()
def spacegroups(
    files: Files,
    chosen: ClassifySettings,
    how: BatchOptions,
    output: Output = Path(),
    model: Annotated[
        str, typer.Option(help="Name of a shipped model, or a model file.")
    ] = "default",
    frame: Frame = None,
) -> None:
    """Name the space groups of maps with patterns.

    Each map becomes NAME-spacegroups.npz (space_group, 0 where there is no answer; probability,
    family, is_known, known_score) and NAME-spacegroups.tif (number of the space group, 0 where it
    is unknown). spacegroups.csv counts the answers. A map that fails is told and the others go on.

    A map without orientations has them searched for, at some tens of patterns a second, and its
    pattern centre before, when the file tells no geometry. Its npz then holds orientations
    (quaternions w, x, y, z, specimen -> crystal) and fit (0..1) too, and pattern_centre (x, y, z,
    Bruker's convention) when that was found or refined. Where no camera fits, all patterns are
    unknown. What is wrong with pixels or geometry is told on the console.
    """
    step = ("spacegroups", [chosen, {"model": model}])
    run_batch(files, [step], output, how, frame, "space groups")
