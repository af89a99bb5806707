"""`ebsdml figure`: a map as a figure for a paper."""

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
def figure(
    file: Annotated[Path, typer.Argument(help="Map.")],
    layer: Annotated[
        str,
        typer.Argument(
            help="IPF-Z, KAM, GND, density, grains, GROD, GOS, phase, boundaries, or a property of "
            "the map, such as BC."
        ),
    ],
    look: FigureSettings,
    output: Annotated[Path, typer.Option("-o", "--output", help=".png, .tif, .svg or .pdf.")],
    name: Annotated[
        str | None, typer.Option("--name", help="Title in place of the layer's name.")
    ] = None,
    limits: Annotated[
        tuple[float, float] | None, typer.Option(help="Lowest and highest number of the colours.")
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="Degrees, for KAM and grains.")
    ] = MapSettings.grain_threshold,
    scan: Annotated[str | None, typer.Option(help="Which scan of the file, by name.")] = None,
    frame: Frame = None,
) -> None:
    """Draw a map with scale bar and key, at the size of a page."""
    import napari_ebsdml as ebsdml

    maps = MapSettings(kam_threshold=threshold, grain_threshold=threshold)
    found = ebsdml.read(file, scan=scan, ref_frame=frame)
    ebsdml.figure(found, layer, output, settings=look, maps=maps, title=name, limits=limits)
    say(f"{output}: {layer} of {found.name}")
