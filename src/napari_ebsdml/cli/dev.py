"""`ebsdml dev`: make the shipped library and models again. Hidden from the help.

The commands only join the functions of the jobs, which are imported when they run.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from napari_ebsdml.cli._app import app, say
from napari_ebsdml.errors import InputError, MissingDataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from napari_ebsdml.learning.loop import TrainingEvent
    from napari_ebsdml.scan import Scan

R = TypeVar("R")

dev = typer.Typer(help="Make the shipped library and models again.", no_args_is_help=True)
app.add_typer(dev, name="dev", hidden=True)

Out = Annotated[Path, typer.Argument(help="File to write.")]
Work = Annotated[Path, typer.Option(help="Folder of finished master patterns.")]
Start = Annotated[Path | None, typer.Option(help="Model whose weights to go on from.")]


@dev.command()
def library(
    out: Out,
    work: Work,
    prototypes: Annotated[
        list[str] | None, typer.Option(help="Of the invented crystals, simulate only these.")
    ] = None,
) -> None:
    """Simulate the master patterns that are missing in the work folder, and join them."""
    import torch

    from napari_ebsdml.patterns.crystals.library import collect, simulate_missing

    torch.set_num_threads(1)
    work.mkdir(parents=True, exist_ok=True)
    for name in simulate_missing(work, prototypes or ()):
        say(name)
    collect(work).save(out)


@dev.command()
def train_spacegroups(
    out: Out,
    work: Work,
    patterns: Annotated[int | None, typer.Option(help="Of each crystal.")] = None,
    members: Annotated[int | None, typer.Option(help="Networks.")] = None,
    epochs: int | None = None,
    networks_of: Annotated[
        str | None,
        typer.Option(help="Keep the networks of this model (a file, or default), fit the rest."),
    ] = None,
) -> None:
    """Train the crystal-frame networks on the library of the work folder."""
    import torch

    from napari_ebsdml.patterns.crystal_frame.classifier import CrystalFrameClassifier
    from napari_ebsdml.patterns.crystal_frame.known import fit_known
    from napari_ebsdml.patterns.crystal_frame.training import FITTED_STRANGERS, Recipe
    from napari_ebsdml.patterns.crystals.library import Library, collect

    torch.set_num_threads(1)
    spheres = _spheres(work, FITTED_STRANGERS)
    if networks_of is None:
        recipe = _recipe(Recipe, patterns=patterns, members=members, epochs=epochs)
        made = CrystalFrameClassifier.train(collect(work), recipe, spheres, _tell)
    else:
        model = CrystalFrameClassifier.load(networks_of).model
        known = Library.load() if networks_of == "default" else collect(work)
        score = fit_known(model.templates, known, spheres, Recipe.seed)
        made = CrystalFrameClassifier(dataclasses.replace(model, known=score))
    made.save(out)


@dev.command()
def train_lattice_size(
    out: Out,
    work: Annotated[
        Path | None, typer.Option(help="Folder of what is done so far. Default: beside OUT.")
    ] = None,
    draws: Annotated[int | None, typer.Option(help="Spheres of each crystal.")] = None,
    kinematical: Annotated[int | None, typer.Option(help="Spheres of plain bands.")] = None,
    networks: Annotated[int | None, typer.Option(help="In the ensemble.")] = None,
    epochs: int | None = None,
    seed: int | None = None,
) -> None:
    """Train the networks that tell the size of a lattice, on crystals of the shipped library."""
    import torch

    from napari_ebsdml.patterns.lattices.size_training import Recipe, train

    torch.set_num_threads(1)
    recipe = _recipe(
        Recipe, draws=draws, kinematical=kinematical, networks=networks, epochs=epochs, seed=seed
    )
    model, card = train(recipe, out.with_suffix(".work") if work is None else work, say)
    model.save(out, card)
    say(f"held out: {card['metrics']}")


@dev.command()
def train_raw(
    out: Out,
    work: Work,
    patterns: Annotated[int | None, typer.Option(help="In all.")] = None,
    start: Start = None,
    checkpoint: Annotated[
        Path | None, typer.Option(help="File to stop and start again with.")
    ] = None,
) -> None:
    """Train the raw-pattern network on a stream of patterns of the shipped library."""
    import numpy as np

    from napari_ebsdml.patterns.crystal_frame.selection import teaching
    from napari_ebsdml.patterns.crystals.library import Library
    from napari_ebsdml.patterns.raw.classifier import RawClassifier
    from napari_ebsdml.patterns.raw.simulated_training import (
        TRAINED_STRANGERS,
        StreamRecipe,
        stream_training,
    )
    from napari_ebsdml.patterns.search.templates import Templates

    spheres = np.stack(_spheres(work, TRAINED_STRANGERS))
    first = None if start is None else RawClassifier.load(start)
    known = Library.load()
    known = known.take(teaching(known, Templates.of(known).alike))
    recipe = _recipe(StreamRecipe, patterns=patterns)
    training = stream_training(known, spheres, recipe, first, 1, checkpoint)
    for event in training:
        _tell(event)
    if training.classifier is not None:
        training.classifier.save(out)


@dev.command()
def train_density(
    out: Out,
    data: str | None = None,
    rules: str | None = None,
    radius: int | None = None,
    width: int | None = None,
    classes: int | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    batch: int | None = None,
    learning_rate: float | None = None,
    seed: int | None = None,
    wrong_scale: float | None = None,
    noisy: float | None = None,
    repeats: int | None = None,
    start: Start = None,
    device: str = "auto",
    threads: int = 1,
    validation: Annotated[int, typer.Option(help="Crops to judge by.")] = 10_000,
    fresh: Annotated[bool, typer.Option(help="Ignore an old checkpoint.")] = False,
) -> None:
    """Train the network for total dislocation density on simulated lines.

    Options without a default are those of dislocations.article.train.Recipe. A checkpoint lies
    beside the output; started again, the training goes on from it.
    """
    from napari_ebsdml.dislocations.article.train import Recipe, train_lines

    recipe = _recipe(
        Recipe, data=data, rules=rules, radius=radius, width=width, classes=classes, epochs=epochs,
        steps=steps, batch=batch, learning_rate=learning_rate, seed=seed, wrong_scale=wrong_scale,
        noisy=noisy, repeats=repeats, start=None if start is None else str(start),
    )  # fmt: skip
    for event in train_lines(recipe, out, device, threads, validation, not fresh):
        _tell(event)


@dev.command()
def train_total_density(
    out: Out,
    work: Annotated[
        Path | None, typer.Option(help="Folder of what is done so far. Default: beside OUT.")
    ] = None,
    budget: Annotated[
        float | None, typer.Option(help="Minutes for simulating structures; then train.")
    ] = None,
    structures: Annotated[
        list[str] | None, typer.Option(help="VOXELS:NUMBER, for each size of the box.")
    ] = None,
    maps: Annotated[int | None, typer.Option(help="Of each structure.")] = None,
    copies: Annotated[
        int | None, typer.Option(help="Further maps of each structure beside copies of itself.")
    ] = None,
    visits: Annotated[int | None, typer.Option(help="Windows shown to each network.")] = None,
    networks: Annotated[int | None, typer.Option(help="In the ensemble.")] = None,
    seed: int | None = None,
) -> None:
    """Train the estimator of the total density from orientations, with classes left out.

    Structures, networks and settings are kept in the work folder; started again, it goes on.
    """
    import torch

    from napari_ebsdml.dislocations.total.train import Recipe, train

    torch.set_num_threads(1)
    sizes = None
    if structures:
        sizes = tuple((int(a), int(b)) for a, b in (text.split(":") for text in structures))
    recipe = _recipe(
        Recipe, structures=sizes, maps=maps, copies=copies, visits=visits, networks=networks,
        seed=seed,
    )  # fmt: skip
    said = ""

    def report(what: str, done: float) -> None:
        nonlocal said
        text = f"{what}: {10 * int(10 * done)} %"
        if text != said:
            said = text
            say(text)

    train(out, recipe, work, report, None if budget is None else 60 * budget)


@dev.command()
def train_ready(
    out: Out,
    family: Annotated[str, typer.Argument(help="martensite, recrystallised or twins.")],
    maps: Annotated[int, typer.Option(help="Random maps to train on, seeds from 0.")] = 160,
    held_out: Annotated[int, typer.Option(help="Others, seeds from 10000.")] = 40,
    pixels: Annotated[int | None, typer.Option(help="Of each map.")] = None,
    rounds: int | None = None,
    leaves: int | None = None,
    seed: int | None = None,
) -> None:
    """Train a segmentation model that needs no stroke on a stream of random synthetic maps."""
    from napari_ebsdml.samples import FAMILIES, random_map
    from napari_ebsdml.segmentation.ready import (
        CHANNELS_OF,
        READY_CHANNELS,
        ReadyRecipe,
        train_ready,
    )

    def stream(first: int, number: int) -> Iterator[tuple[Scan, NDArray[np.uint8]]]:
        for n in range(first, first + number):
            yield random_map(family, n)

    def tell(done: int) -> None:
        if done % 20 == 0:
            say(f"{done} of {maps + held_out} maps")

    if family not in FAMILIES:
        raise InputError(f"family must be one of {', '.join(FAMILIES)}, not {family!r}.")
    names = FAMILIES[family]
    about = {
        "title": f"{', '.join(names)}, without strokes", "licence": "GPL-3.0-or-later",
        "authors": ["napari-ebsdml contributors"],
        "use": "First segmentation of a map without strokes; adapt it with a few. Trained on "
        "synthetic maps alone.",
    }  # fmt: skip
    model = train_ready(
        stream(0, maps), stream(10_000, held_out), names,
        _recipe(ReadyRecipe, pixels=pixels, rounds=rounds, leaves=leaves, seed=seed),
        channels=CHANNELS_OF.get(family, READY_CHANNELS),
        record={"family": family, "seeds": [0, maps], "held_out_seeds": [10_000, held_out],
                "about": about},
        on_map=tell,
    )  # fmt: skip
    model.save(out)
    say(f"held out: {model.metrics}")


def _recipe(kind: type[R], **given: Any) -> R:
    """A recipe with the options that were given; the others are its own defaults."""
    return kind(**{name: value for name, value in given.items() if value is not None})


def _spheres(work: Path, names: tuple[str, ...]) -> list[NDArray[np.floating]]:
    """Master patterns of strangers, which `library` has left in the work folder."""
    import numpy as np

    missing = [name for name in names if not (work / f"{name}.npy").is_file()]
    if missing:
        raise MissingDataError(
            f"{work} lacks the master patterns of {', '.join(missing)}: run `ebsdml dev library`."
        )
    return [np.load(work / f"{name}.npy", allow_pickle=False) for name in names]


def _tell(event: TrainingEvent) -> None:
    if event.kind == "epoch":
        figures = {**event.losses, **event.metrics}
        text = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        say(f"epoch {event.epoch}, {100 * event.fraction:.0f} %: {text}")
