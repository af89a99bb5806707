"""`ebsdml volume`: serial sections as one volume that other programs open."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_ebsdml.cli._app import Frame, app, err, say
from napari_ebsdml.errors import InputError
from napari_ebsdml.maps.settings import GRAIN_THRESHOLD


@app.command()
def volume(
    sections: Annotated[
        list[Path], typer.Argument(help="Sections in order, or the folder that holds them.")
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="NAME.xdmf (ParaView) or NAME.ome.zarr.")
    ],
    spacing: Annotated[
        float | None, typer.Option(help="Distance of the sections in um. Default: the step.")
    ] = None,
    align: Annotated[bool, typer.Option(help="Move sections to where grains agree.")] = True,
    most_shift: Annotated[int, typer.Option(help="Pixels that a section may lie off.")] = 20,
    threshold: Annotated[
        float, typer.Option(help="Degrees at which a grain ends.")
    ] = GRAIN_THRESHOLD,
    frame: Frame = None,
) -> None:
    """Lay serial sections on each other, connect their grains, and write one volume.

    It holds the grains, phases, KAM of the sections, IPF colours and all properties.
    """
    from rich.progress import Progress

    import napari_ebsdml as ebsdml
    from napari_ebsdml.batching.files import find_maps
    from napari_ebsdml.maps import volume_of
    from napari_ebsdml.maps.export import export_volume

    if not output.name.endswith((".xdmf", ".ome.zarr")):
        raise InputError(f"{output}: a volume is written as .xdmf or .ome.zarr.")
    scans = [ebsdml.read(path, ref_frame=frame) for path in find_maps(sections)]
    with Progress(console=err) as bar:
        task = bar.add_task("volume", total=1.0)
        found = volume_of(
            scans, spacing, align, most_shift, threshold,
            lambda part: bar.update(task, completed=part),
        )  # fmt: skip
    settings = {"spacing": found.step[0], "align": align, "threshold": threshold}
    written = export_volume(output, found, settings)
    for number, (scan, shift, part) in enumerate(
        zip(found.sections, found.shifts, found.agreement, strict=True)
    ):
        like = f", {100 * part:.0f} % like the section before" if number else ""
        say(f"{scan.name}: moved by {shift[0]} rows and {shift[1]} columns{like}")
    say(f"{written}: {len(scans)} sections, {int(found.grains.max(initial=0))} grains")
