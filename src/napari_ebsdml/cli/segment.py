"""`ebsdml segment train | predict | evaluate`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_ebsdml.batching.writing import make_folder, write_table
from napari_ebsdml.cli._app import Frame, app, err, say, warn
from napari_ebsdml.cli._batch import BatchOptions, Files, Output, run_batch
from napari_ebsdml.cli._labels import PHASES, assignments, pairs_of, phase_names, read_labels
from napari_ebsdml.cli._options import given, takes_settings
from napari_ebsdml.errors import InputError
from napari_ebsdml.segmentation.settings import PredictSettings, TrainingSettings

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan
    from napari_ebsdml.segmentation import ForestSegmenter, SegmentationResult, Segmenter

segment = typer.Typer(help="Train a U-Net from strokes, and segment maps.", no_args_is_help=True)
app.add_typer(segment, name="segment")

Pairs = Annotated[
    list[Path],
    typer.Argument(
        metavar="MAP LABELS [MAP LABELS ...]",
        help="Each map, then its labels: .npy, .npz or an image (0: unlabelled), or the word "
        "'phases' for the phases of the map itself.",
    ),
]
Model = Annotated[
    Path,
    typer.Argument(
        help="Model file (.safetensors), or martensite, recrystallised, twins: shipped models "
        "that need no strokes."
    ),
]
LeaveOut = Annotated[bool, typer.Option("--leave-out", help="Short for --not-indexed leave_out.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda ...")]


@segment.command()
@takes_settings()
def train(
    context: typer.Context,
    pairs: Pairs,
    chosen: TrainingSettings,
    output: Annotated[Path, typer.Option("-o", "--output", help="Model file to write.")],
    channels: Annotated[
        str | None, typer.Option(help="Input channels, for example BC,KAM. Default: what suits.")
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option("--class", help="Name of a label: 1=ferrite. Repeatable.")
    ] = None,
    start: Annotated[
        Path | None, typer.Option("--from", help="Model to train on; its channels are kept.")
    ] = None,
    depth: Annotated[int | None, typer.Option(help="Steps of the U-Net.")] = None,
    device: Device = "auto",
    frame: Frame = None,
) -> None:
    """Train a U-Net on maps with labels.

    Writes NAME.safetensors and the model card NAME.json. Ctrl-C ends the training early and keeps
    the best model so far.
    """
    import napari_ebsdml as ebsdml
    from napari_ebsdml.segmentation import UNetSettings

    items: list[tuple[Scan, Any]] = []
    names: dict[int, str] = {}
    for path, labels in pairs_of(pairs):
        scan = ebsdml.read(path, ref_frame=frame)
        items.append((scan, read_labels(labels, scan)))
        if str(labels) == PHASES:
            names |= phase_names(scan)
    names |= assignments(name or [], "--class")
    # A model that is trained on has defaults of its own.
    settings = given(context, TrainingSettings)
    if start is not None:
        if channels is not None or depth is not None or names:
            raise InputError("--from keeps channels, depth and classes: leave those options out.")
        model = ebsdml.Segmenter.load(start)
        training = model.more_training(items, device=device, **settings)
    else:
        if depth is not None:
            settings["network"] = UNetSettings(depth=depth)
        wanted = None if channels is None else [c for c in channels.split(",") if c.strip()]
        training = ebsdml.Segmenter.training(
            items, wanted, classes=names or None, device=device, **settings
        )
    _follow(training)
    trained = training.segmenter
    if trained is None:
        raise InputError("The training was ended before its first epoch: there is no model.")
    trained.save(output)
    say(f"{output.with_suffix('.safetensors')}: {_in_short(trained)}")


def _follow(training: Any) -> None:
    """Show the progress of a training until it ends or the user ends it."""
    from rich.progress import Progress

    with Progress(console=err) as bar:
        task = bar.add_task("preparing channels", total=1.0)
        try:
            for event in training:
                text = f"epoch {event.epoch} of {event.epochs}"
                if event.losses:
                    text += f", loss {event.losses['loss']:.3f}"
                if "accuracy" in event.metrics:
                    text += f", held-out accuracy {100 * event.metrics['accuracy']:.1f} %"
                if event.kind != "step":
                    bar.update(task, completed=event.fraction, description=text)
                else:
                    bar.update(task, completed=event.fraction)
        except KeyboardInterrupt:
            warn("Ended early: the best model so far is kept.")
        finally:
            training.close()


@segment.command()
@takes_settings(grain_threshold="--threshold")
def predict(
    model: Model,
    files: Files,
    options: PredictSettings,
    how: BatchOptions,
    output: Output = Path(),
    leave_out: LeaveOut = False,
    probability: Annotated[bool, typer.Option("--probability", help="Save it, too.")] = False,
    phases: Annotated[
        str | None,
        typer.Option(help="Also write each map with its classes as phases: ang, ctf or h5."),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(help="Also write a page on each map: html, pdf, or its numbers as csv."),
    ] = None,
    device: Device = "auto",
    frame: Frame = None,
) -> None:
    """Segment many maps with a model.

    Each map becomes NAME-segmentation.tif (label values) and NAME-segmentation.npz (labels,
    uncertainty, values, names, step in um); fractions.csv has the phase fractions with 95 %
    intervals. A map that fails is told and the others go on.
    """
    own = {
        "model": str(model), "probability": probability, "phases": phases, "report": report,
        "device": device,
    }  # fmt: skip
    step = ("segment", [_arguments(options, leave_out), own])
    run_batch(files, [step], output, how, frame, "segmenting")


@segment.command()
@takes_settings(grain_threshold="--threshold")
def evaluate(
    model: Model,
    pairs: Pairs,
    options: PredictSettings,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder for tables and pictures.")
    ] = None,
    value: Annotated[
        list[str] | None,
        typer.Option(help="What a label of the truth means: 10=ferrite. Repeatable."),
    ] = None,
    leave_out: LeaveOut = False,
    device: Device = "auto",
    frame: Frame = None,
) -> None:
    """Compare what a model says about maps with the truth.

    Prints a table for each map. With -o, NAME-evaluation.csv, NAME-confusion.png and, over all
    maps, evaluation.csv are written.
    """
    import numpy as np

    import napari_ebsdml as ebsdml
    from napari_ebsdml.segmentation import evaluate as compare
    from napari_ebsdml.segmentation import read_model
    from napari_ebsdml.segmentation.results.confusion_picture import save_confusion

    loaded = read_model(model)
    classes = dict(zip(loaded.classes.values, loaded.classes.names, strict=True))
    meaning = {
        v: _class_value(text, classes) for v, text in assignments(value or [], "--value").items()
    }
    if output is not None:
        make_folder(output)
    rows: list[dict[str, object]] = []
    for path, truth in pairs_of(pairs):
        scan = ebsdml.read(path, ref_frame=frame)
        labels = read_labels(truth, scan)
        if meaning:
            labels = np.select([labels == v for v in meaning], list(meaning.values()), 0)
        elif str(truth) == PHASES:
            labels = _by_name(labels, phase_names(scan), classes)
        strange = sorted(set(np.unique(labels).tolist()) - {0} - set(classes))
        if strange:
            raise InputError(
                f"{truth}: label {strange[0]} is no class of the model "
                f"({', '.join(f'{v}={n}' for v, n in classes.items())}). Say what it means with "
                f"--value {strange[0]}=CLASS."
            )
        result = _predict(
            loaded, scan, **_arguments(options, leave_out), device=device
        )  # fmt: skip
        found = compare(result.labels, labels, classes)
        say(f"{scan.name}\n{found.table()}")
        rows += [{"map": scan.name, "accuracy": found.accuracy, **row} for row in found.rows()]
        if output is not None:
            found.to_csv(output / f"{scan.name}-evaluation.csv")
            save_confusion(found, output / f"{scan.name}-confusion.png")
    if output is not None:
        write_table(output / "evaluation.csv", rows)


def _class_value(text: str, classes: dict[int, str]) -> int:
    """Value of a class given by name or number."""
    for number, own in classes.items():
        if text.casefold() in (own.casefold(), str(number)):
            return number
    raise InputError(f"The model has no class {text!r}; it has {', '.join(classes.values())}.")


def _by_name(labels: Any, names: dict[int, str], classes: dict[int, str]) -> Any:
    """Labels of phases as those of the classes of the same names; where there are none, as is."""
    import numpy as np

    own = {name.casefold(): number for number, name in classes.items()}
    if not any(name.casefold() in own for name in names.values()):
        return labels
    out = np.zeros_like(labels)
    for number, name in names.items():
        out[labels == number] = own.get(name.casefold(), 0)
    return out


def _arguments(options: PredictSettings, leave_out: bool) -> dict[str, Any]:
    """Keyword arguments of `Segmenter.predict`."""
    arguments = dataclasses.asdict(options)
    return arguments | {"not_indexed": "leave_out"} if leave_out else arguments


def _predict(model: Segmenter | ForestSegmenter, scan: Scan, **options: Any) -> SegmentationResult:
    result = model.predict(scan, warn=False, **options)
    for text in result.warnings:
        warn(f"{scan.name}: {text}")
    return result


def _in_short(model: Segmenter) -> str:
    text = f"{', '.join(model.classes.names)} from {', '.join(model.channels)}"
    if model.metrics:
        pixels = model.metrics["pixels"]
        text += f"; {100 * model.metrics['accuracy']:.1f} % right of {pixels} held-out pixels"
    return "\n".join(filter(None, (text, model.answer, *model.notes)))
