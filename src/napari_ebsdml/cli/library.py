"""`ebsdml library`: the library of crystals that space groups are told from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from napari_ebsdml.cli._app import app, say

library = typer.Typer(help="The library of crystals that space groups are told from.",
                       no_args_is_help=True)  # fmt: skip
app.add_typer(library, name="library")


@library.callback()
def _group() -> None:
    """Keeps `add` a subcommand although it is the only one."""


@library.command()
def add(
    out: Annotated[Path, typer.Argument(help="Library to write (.npz).")],
    files: Annotated[list[Path], typer.Argument(help="CIF files and master patterns.")],
    base: Annotated[
        str,
        typer.Option(
            "--library", help="Library to add to: a file, or default for the shipped one."
        ),
    ] = "default",
    energy: Annotated[
        float, typer.Option(help="Beam energy in keV, to simulate or to choose.")
    ] = 20.0,
    space_group: Annotated[
        int | None,
        typer.Option(help="Space group of the master patterns. Default: what each file says."),
    ] = None,
) -> None:
    """Add crystals of your own to a library.

    Cubic crystals (Laue group m-3m) come as CIF files, which are simulated on the spot (extra
    "simulate"), or as master patterns of EMsoft, ebsdsim or kikuchipy. Train a classifier on the
    library with SpaceGroupClassifier.train(OUT).
    """
    from napari_ebsdml.patterns.crystals.library import Library
    from napari_ebsdml.patterns.crystals.user_crystals import add_files

    groups = [None if file.suffix.lower() == ".cif" else space_group for file in files]
    old = Library.load(base)
    made = add_files(old, files, groups, energy)
    made.save(out)
    for k in range(len(old), len(made)):
        say(f"{made.names[k]}: {made.families[k]}, space group {made.space_groups[k]}")
    say(f"{out}: {len(made)} crystals")
