"""`ebsdml report`: what is known of a map on one page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_ebsdml.cli._app import Frame, app, say
from napari_ebsdml.cli._options import takes_settings
from napari_ebsdml.figures.settings import FigureSettings
from napari_ebsdml.maps.settings import MapSettings


@app.command()
@takes_settings()
def report(
    file: Annotated[Path, typer.Argument(help="Map.")],
    look: FigureSettings,
    output: Annotated[Path, typer.Option("-o", "--output", help=".html or .pdf.")],
    layer: Annotated[
        list[str] | None,
        typer.Option(
            "--layer",
            help="What to draw, as for `ebsdml figure`. Repeatable. Default: quality, IPF-Z, "
            "phases, KAM, boundaries.",
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="Degrees, for KAM and grains.")
    ] = MapSettings.grain_threshold,
    scan: Annotated[str | None, typer.Option(help="Which scan of the file, by name.")] = None,
    frame: Frame = None,
) -> None:
    """Write a page on a map: where it comes from, phases, figures with keys, grains, boundaries."""
    import napari_ebsdml as ebsdml

    maps = MapSettings(kam_threshold=threshold, grain_threshold=threshold)
    found = ebsdml.read(file, scan=scan, ref_frame=frame)
    ebsdml.report(found, output, layer or None, settings=look, maps=maps)
    say(f"{output}: report on {found.name}")
