"""`ebsdml spacegroups`: space groups of the patterns of many maps."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_ebsdml.cli._app import (
    Files,
    Frame,
    Output,
    Row,
    app,
    over_maps,
    write_arrays,
    write_image,
)
from napari_ebsdml.errors import InputError

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan


@app.command()
def spacegroups(
    files: Files,
    output: Output = Path(),
    model: Annotated[
        str, typer.Option(help="Name of a shipped model, or a model file.")
    ] = "default",
    by: Annotated[str, typer.Option(help="One answer per: pixel, grain or map.")] = "grain",
    threshold: Annotated[float, typer.Option(help="Grain boundary angle in degrees.")] = 5.0,
    frame: Frame = None,
) -> None:
    """Name the space groups of maps with patterns.

    Each map becomes NAME-spacegroups.npz (space_group, 0 where there is no answer; probability,
    family, is_known, known_score) and NAME-spacegroups.tif (number of the space group, 0 where it
    is unknown). spacegroups.csv counts the answers. A map that fails is told and the others go on.
    """
    if by not in ("pixel", "grain", "map"):
        raise InputError(f"--by must be pixel, grain or map, not {by!r}.")
    import napari_ebsdml as ebsdml

    classifier: Any = ebsdml.SpaceGroupClassifier.load(model)

    def work(scan: Scan, path: Path, progress: Callable[[float], None]) -> list[Row]:
        import numpy as np

        options = {"threshold": threshold} if by == "grain" else {}
        result = classifier.predict_scan(scan, by=by, progress=progress, **options)
        stem = path.with_name(f"{path.name}-spacegroups")
        write_arrays(
            stem, space_group=result.space_group, probability=result.probability,
            family=result.family, is_known=result.is_known, known_score=result.known_score,
            step=np.array(scan.step),
        )  # fmt: skip
        image = np.where(result.is_known, result.space_group, 0)
        write_image(stem.with_name(f"{stem.name}.tif"), image)
        return [dict(row) for row in result.tally if row["number"]]

    over_maps(files, output, frame, "space groups", work, "spacegroups.csv")
