"""`ebsdml grains train | predict`: classes of grains."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from napari_ebsdml.cli._app import Frame, app, say
from napari_ebsdml.cli._batch import BatchOptions, Files, Output, run_batch
from napari_ebsdml.cli._labels import assignments, pairs_of, read_labels
from napari_ebsdml.cli._options import takes_settings
from napari_ebsdml.errors import InputError

grains = typer.Typer(help="Name a few grains, and classify the rest.", no_args_is_help=True)
app.add_typer(grains, name="grains")

Threshold = Annotated[
    float, typer.Option(min=0.1, max=180, help="Misorientation at which a grain ends, in degrees.")
]
MinPixels = Annotated[int, typer.Option(min=1, help="Smaller grains are none.")]


@grains.command()
def train(
    pairs: Annotated[
        list[Path],
        typer.Argument(
            metavar="MAP STROKES [MAP STROKES ...]",
            help="Each map, then strokes on some of its grains: .npy, .npz or an image (0: none).",
        ),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write (.json).")],
    name: Annotated[
        list[str] | None, typer.Option("--class", help="Name of a label: 1=ferrite. Repeatable.")
    ] = None,
    method: Annotated[str, typer.Option(help="lda, or forest for dozens of grains.")] = "lda",
    grain_threshold: Threshold = 3.0,
    min_pixels: MinPixels = 4,
    frame: Frame = None,
) -> None:
    """Learn from grains that strokes name."""
    import napari_ebsdml as ebsdml

    if method not in ("lda", "forest"):
        raise InputError(f"--method must be lda or forest, not {method!r}.")
    items: list[tuple[Any, Any, Any]] = []
    for path, labels in pairs_of(pairs):
        scan = ebsdml.read(path, ref_frame=frame)
        found = ebsdml.segment_grains(scan, grain_threshold, min_pixels)
        items.append((scan, found, read_labels(labels, scan)))
    made = ebsdml.GrainClassifier.train(items, assignments(name or [], "--class") or None, method)  # type: ignore[arg-type]
    made.save(output)
    text = f"{output}: {', '.join(made.names.values())} from {len(made.classes)} grains"
    if made.n_held_out:
        text += f"; {100 * made.held_out:.0f} % right of {made.n_held_out} grains left out"
    say(text)


@grains.command()
@takes_settings()
def predict(
    model: Annotated[Path, typer.Argument(help="File of `grains train` or of the dock (.json).")],
    files: Files,
    how: BatchOptions,
    output: Output = Path(),
    grain_threshold: Threshold = 3.0,
    min_pixels: MinPixels = 4,
    frame: Frame = None,
) -> None:
    """Give every grain of many maps a class.

    Each map becomes NAME-grain-classes.npz (grains, class and probability of each pixel) and .tif,
    one line of summary.csv with the part of each class, and one line of grain_classes.csv for each
    grain with its features. A map that fails is told and the others go on.
    """
    own = {"model": str(model), "threshold": grain_threshold, "min_pixels": min_pixels}
    run_batch(files, [("grain-classes", [own])], output, how, frame, "classifying grains")
