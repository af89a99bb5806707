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
    say,
    write_arrays,
    write_image,
)
from napari_ebsdml.cli._options import takes_settings
from napari_ebsdml.patterns.settings import ClassifySettings

if TYPE_CHECKING:
    from napari_ebsdml.patterns.answers.result import SpaceGroupResult
    from napari_ebsdml.scan import Scan

FILE, SEARCHED, NONE, UNUSED = "file", "searched", "none found", "not used"


@app.command()
@takes_settings()
def spacegroups(
    files: Files,
    chosen: ClassifySettings,
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
    import napari_ebsdml as ebsdml

    classifier: Any = ebsdml.SpaceGroupClassifier.load(model)

    def work(scan: Scan, path: Path, progress: Callable[[float], None]) -> list[Row]:
        import numpy as np

        options = {"threshold": chosen.threshold} if chosen.by == "grain" else {}
        result = classifier.predict_scan(
            scan, by=chosen.by, progress=progress, refine=chosen.refine, **options
        )
        for sentence in result.warnings:
            say(f"{scan.name}: {sentence}")
        stem = path.with_name(f"{path.name}-spacegroups")
        way, found = _way(scan, result, classifier.needs_orientations)
        write_arrays(
            stem, space_group=result.space_group, probability=result.probability,
            family=result.family, is_known=result.is_known, known_score=result.known_score,
            step=np.array(scan.step), **found,
        )  # fmt: skip
        image = np.where(result.is_known, result.space_group, 0)
        write_image(stem.with_name(f"{stem.name}.tif"), image)
        return [dict(row) | way for row in result.tally if row["number"]]

    over_maps(files, output, frame, "space groups", work, "spacegroups.csv")


def _way(
    scan: Scan, result: SpaceGroupResult, in_crystal: bool
) -> tuple[dict[str, str], dict[str, Any]]:
    """How a map was answered: columns of the table, and arrays of what was searched for.

    A map whose orientations were searched for is told on the console as well.
    """
    import numpy as np

    if not in_crystal:
        return {"orientations": UNUSED, "pattern centre": UNUSED}, {}
    arrays: dict[str, Any] = {}
    where = FILE
    if result.geometry is not None:
        arrays["pattern_centre"] = np.array(result.geometry.centre)
        how = "refined" if scan.is_indexed.any() else "searched"
        where = f"{how}: {' '.join(f'{value:.4f}' for value in arrays['pattern_centre'])}"
    if scan.is_indexed.any():
        return {"orientations": FILE, "pattern centre": where}, arrays
    if result.orientations is None or result.fit is None:
        say(f"{scan.name}: {result.reason}")
        return {"orientations": NONE, "pattern centre": NONE}, {}
    from napari_ebsdml.patterns.search.orientations import FIT

    arrays |= {"orientations": result.orientations, "fit": result.fit}
    text = f"{scan.name}: orientations searched for, {100 * (result.fit >= FIT).mean():.0f} % fit"
    if result.geometry is not None:
        text += f"; pattern centre {where} (Bruker)"
    say(text)
    return {"orientations": SEARCHED, "pattern centre": where}, arrays
