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
        Path,
        typer.Option("-o", "--output", help="NAME.xdmf (ParaView), NAME.ome.zarr or NAME.dream3d."),
    ],
    spacing: Annotated[
        float | None, typer.Option(help="Distance of the sections in um. Default: the step.")
    ] = None,
    align: Annotated[bool, typer.Option(help="Move sections to where grains agree.")] = True,
    most_shift: Annotated[int, typer.Option(help="Pixels that a section may lie off.")] = 20,
    most_turn: Annotated[
        float, typer.Option(help="Degrees that a section may be turned; 0: none is.")
    ] = 10.0,
    model: Annotated[
        Path | None,
        typer.Option(help="Segmenter: classes, one for each grain of the volume, are added."),
    ] = None,
    threshold: Annotated[
        float, typer.Option(help="Degrees at which a grain ends.")
    ] = GRAIN_THRESHOLD,
    frame: Frame = None,
) -> None:
    """Lay serial sections on each other, connect their grains, and write one volume.

    It holds the grains, phases, KAM with neighbours in all directions, IPF colours or
    orientations, and all properties; with --model the classes of its grains.
    """
    import numpy as np
    from rich.progress import Progress

    import napari_ebsdml as ebsdml
    from napari_ebsdml.batching.files import find_maps
    from napari_ebsdml.learning.digest import model_digest
    from napari_ebsdml.maps import volume_of
    from napari_ebsdml.maps.export import VOLUMES, export_volume

    if not output.name.endswith(VOLUMES):
        raise InputError(f"{output}: a volume is written as {', '.join(VOLUMES)}.")
    segmenter = None
    if model is not None:
        from napari_ebsdml.segmentation import read_model, vote_in_volume

        segmenter = read_model(model)
    scans = [ebsdml.read(path, ref_frame=frame) for path in find_maps(sections)]
    with Progress(console=err) as bar:
        task = bar.add_task("volume", total=1.0)
        found = volume_of(
            scans, spacing, align, most_shift, threshold,
            lambda part: bar.update(task, completed=part), most_turn,
        )  # fmt: skip
    settings: dict[str, object] = {"spacing": found.step[0], "align": align, "threshold": threshold}
    more = {}
    if segmenter is not None:
        results = [segmenter.predict(scan, warn=False) for scan in found.sections]
        voted = vote_in_volume(results, found.grains)
        more["class"] = np.stack([one.labels for one in voted])
        settings["model"] = model_digest(model)
    written = export_volume(output, found, settings, more)
    for number, (scan, shift, turn, part) in enumerate(
        zip(found.sections, found.shifts, found.turns, found.agreement, strict=True)
    ):
        like = f", {100 * part:.0f} % like the section before" if number else ""
        turned = f"turned by {turn:.2f} degrees, " if turn else ""
        say(f"{scan.name}: {turned}moved by {shift[0]} rows and {shift[1]} columns{like}")
    say(f"{written}: {len(scans)} sections, {int(found.grains.max(initial=0))} grains")
