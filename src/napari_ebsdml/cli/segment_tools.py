"""`ebsdml segment truth | explain`: make a ground truth, and see what a model looks at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_ebsdml.batching.writing import replacing, write_image, write_table
from napari_ebsdml.cli._app import Frame, say
from napari_ebsdml.cli._labels import read_labels
from napari_ebsdml.cli._options import takes_settings
from napari_ebsdml.cli.segment import Device, Model, segment
from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation.truth.recipe import TruthSettings

Map = Annotated[Path, typer.Argument(metavar="MAP", help="Map to label.")]


@segment.command()
@takes_settings()
def truth(
    file: Map,
    how: TruthSettings,
    output: Annotated[Path, typer.Option("-o", "--output", help="Label image: .npy, .png, .tif.")],
    model: Annotated[
        Path | None, typer.Option(help="Model that labels first: a file, or a ready one's name.")
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Labels to refine: .npy, .png, .tif.")] = None,
    below: Annotated[
        str | None,
        typer.Option(help="CHANNEL=VALUE: label 2 at or below it, 1 above. For example BS=120."),
    ] = None,
    frame: Frame = None,
) -> None:
    """Make a ground truth: label first, vote per grain, clean up.

    Begins with a model, a threshold or labels of your own; correct the result by hand where it
    is wrong.
    """
    import numpy as np

    import napari_ebsdml as ebsdml
    from napari_ebsdml.segmentation.truth import (
        label_by_threshold,
        make_truth,
        refined_truth,
    )

    if sum(x is not None for x in (model, labels, below)) != 1:
        raise InputError("Give one of --model, --labels and --below to begin with.")
    scan = ebsdml.read(file, ref_frame=frame)
    if model is not None:
        made: Any = make_truth(scan, str(model), how)
    else:
        if labels is not None:
            first: Any = read_labels(labels, scan)
        else:
            channel, _, value = str(below).partition("=")
            try:
                limit = float(value)
            except ValueError:
                raise InputError(f"--below is CHANNEL=VALUE, not {below!r}.") from None
            first = label_by_threshold(scan, channel, limit)
        made = refined_truth(scan, first, how)
    made = made.astype(np.uint8 if made.max(initial=0) < 256 else np.uint16)
    if output.suffix == ".npy":
        with replacing(output) as part, part.open("wb") as stream:
            np.save(stream, made)
    else:
        write_image(output, made)
    parts = np.bincount(made.ravel()) / made.size
    say(", ".join(f"label {k}: {100 * p:.1f} %" for k, p in enumerate(parts) if p))


@segment.command()
def explain(
    model: Model,
    file: Map,
    at: Annotated[
        str | None, typer.Option(help="ROW,COLUMN: explain the answer for the grain there.")
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Known labels of the map, or the word phases.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Table (.csv) or picture (.png, .pdf).")
    ] = None,
    device: Device = "auto",
    frame: Frame = None,
) -> None:
    """Tell what a model looks at: hide one channel after the other, and see what changes."""
    import napari_ebsdml as ebsdml
    from napari_ebsdml.segmentation import Segmenter, read_model
    from napari_ebsdml.segmentation import explain as explained

    loaded = read_model(model)
    if not isinstance(loaded, Segmenter):
        raise InputError("Forests cannot be explained this way; train a segmenter.")
    scan = ebsdml.read(file, ref_frame=frame)
    where = None
    if at is not None:
        try:
            row, column = (int(x) for x in at.split(","))
        except ValueError:
            raise InputError(f"--at is ROW,COLUMN, not {at!r}.") from None
        where = (row, column)
    known = None if truth is None else read_labels(truth, scan)
    found = explained(loaded, scan, where, known, device=device)
    say(found.sentence)
    say(found.table())
    if output is not None and output.suffix == ".csv":
        write_table(output, [
            {"hidden": r.what, "changed": r.changed, "chance lost": r.lost,
             **({} if r.right is None else {"right": r.right})}
            for r in found.rows
        ])  # fmt: skip
    elif output is not None:
        found.save(output)
