"""`ebsdml maps`: KAM, grains, boundaries and the like of many maps, with their GND density."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_ebsdml.cli._app import Frame, app
from napari_ebsdml.cli._batch import BatchOptions, Files, Output, run_batch
from napari_ebsdml.cli._options import takes_settings
from napari_ebsdml.maps.settings import MapSettings


@app.command()
@takes_settings()
def maps(
    files: Files,
    chosen: MapSettings,
    how: BatchOptions,
    output: Output = Path(),
    threshold: Annotated[
        float | None,
        typer.Option(help="Angle in degrees for KAM and grains alike, in place of both."),
    ] = None,
    gnd: Annotated[bool, typer.Option(help="GND density as well; see ebsdml gnd.")] = True,
    frame: Frame = None,
) -> None:
    """Compute KAM, grains, boundaries and GND density of many maps.

    Each map becomes NAME.npz (an array for each map that is chosen, by the name of its option:
    kam in degrees, grains ...; gnd in 1/m^2, step in um), one line of summary.csv, and one line of
    grains.csv for each grain. A map that fails is told and the others go on.
    """
    step = ("maps", [chosen, {"threshold": threshold, "gnd": gnd}])
    run_batch(files, [step], output, how, frame, "maps", compare_gnd=gnd)
