"""`ebsdml models`: what models there are, what they are for, and whether they are whole."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from napari_ebsdml.cli._app import app, complain, out, say
from napari_ebsdml.errors import EbsdmlError, InputError

models = typer.Typer(help="Models: list, show, fetch, check.", no_args_is_help=True)
app.add_typer(models, name="models")

Registry = Annotated[
    str | None,
    typer.Option(
        "--registry", envvar="EBSDML_MODELS", help="File or URL that lists models of others."
    ),
]


@models.command("list")
def list_models(registry: Registry = None) -> None:
    """List the models that are shipped, and those of a registry."""
    from napari_ebsdml.learning import hub

    table = Table("name", "job", "title", "licence", "where")
    for entry in hub.shipped().values():
        table.add_row(entry.name, entry.kind, entry.title, entry.licence, "shipped")
    for entry in hub.registry(registry).values():
        here = any((hub.cache() / entry.name).glob("*.safetensors"))
        table.add_row(entry.name, entry.kind, entry.title, entry.licence,
                      "fetched" if here else "to fetch")  # fmt: skip
    out.print(table)


@models.command()
def show(
    model: Annotated[str, typer.Argument(help="Name, or a model file.")],
    registry: Registry = None,
    as_json: Annotated[bool, typer.Option("--json", help="The whole card as JSON.")] = False,
) -> None:
    """Show the card of a model: what it is for, how it was trained, figures on held-out data."""
    from napari_ebsdml.learning import hub
    from napari_ebsdml.learning.model_card import read_card

    card = read_card(hub.resolve(model, registry))
    if as_json:
        out.print(json.dumps(dataclasses.asdict(card)), highlight=False, markup=False,
                  soft_wrap=True)  # fmt: skip
        return
    about = card.about
    for name, value in (
        ("title", about.get("title", "")), ("job", card.kind), ("use", about.get("use", "")),
        ("licence", about.get("licence", "not told")),
        ("authors", ", ".join(map(str, about.get("authors", [])))), ("DOI", about.get("doi", "")),
        ("references", ", ".join(map(str, about.get("references", [])))),
        ("network", card.network), ("inputs", ", ".join(card.inputs)),
        ("classes", ", ".join(card.classes)),
        ("step", "" if card.step is None else f"{card.step[0]:g} to {card.step[1]:g} um"),
        ("held out", json.dumps(card.metrics) if card.metrics else ""),
        ("made with", f"napari-ebsdml {card.package_version}"), ("weights", card.weights_sha256),
    ):  # fmt: skip
        if value:
            say(f"{name}: {value}")


@models.command()
def describe(
    model: Annotated[Path, typer.Argument(help="Model file of yours.")],
    title: Annotated[str | None, typer.Option(help="What it is, in a line.")] = None,
    licence: Annotated[str | None, typer.Option(help="Such as CC-BY-4.0.")] = None,
    author: Annotated[list[str] | None, typer.Option(help="Repeatable.")] = None,
    doi: Annotated[str | None, typer.Option(help="Of the model, as Zenodo gives it.")] = None,
    use: Annotated[str | None, typer.Option(help="What it is meant for, and what not.")] = None,
    reference: Annotated[
        list[str] | None, typer.Option(help="DOI of an article about it. Repeatable.")
    ] = None,
) -> None:
    """Write licence, authors, DOI and use into the card of a model, before others get it."""
    from napari_ebsdml.learning.model_card import describe as write

    given = {
        "title": title, "licence": licence, "authors": author, "doi": doi, "use": use,
        "references": reference,
    }  # fmt: skip
    about = {name: value for name, value in given.items() if value is not None}
    if not about:
        raise InputError("Say what to write: --title, --licence, --author, --doi, --use.")
    card = write(model, about)
    say(f"{model}: {', '.join(card.about)}")


@models.command()
def fetch(
    name: Annotated[str, typer.Argument(help="Name in the registry.")], registry: Registry = None
) -> None:
    """Fetch a model of a registry into the cache, and check it."""
    from napari_ebsdml.learning import hub

    path = hub.fetch(name, registry)
    hub.check(path)
    say(str(path))


@models.command()
def check(
    files: Annotated[list[str], typer.Argument(help="Names, or model files.")],
    registry: Registry = None,
) -> None:
    """Read models whole: weights, hashes, cards. Exit code 1 when one is not as it should be."""
    from napari_ebsdml.learning import hub

    failed = False
    for one in files:
        try:
            card = hub.check(hub.resolve(one, registry))
        except EbsdmlError as error:
            complain(error)
            failed = True
        else:
            say(f"{one}: whole, {card.kind}")
    if failed:
        raise typer.Exit(1)
