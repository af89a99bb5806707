"""What all commands share: the app and its consoles."""

from __future__ import annotations

import os
import warnings
from typing import Annotated

import typer
from rich.console import Console

from napari_ebsdml.errors import EbsdmlError
from napari_ebsdml.io.frames import FRAMES

app = typer.Typer(
    help="EBSD maps from any vendor's file, and what machine learning makes of them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console()
err = Console(stderr=True)

Frame = Annotated[
    str | None,
    typer.Option(
        help=f"Frame of the Euler angles instead of the vendor's: {', '.join(FRAMES)}.",
        show_default="the vendor's",
    ),
]


def say(text: str) -> None:
    """A line of result."""
    out.print(text, highlight=False, markup=False, soft_wrap=True)


def warn(text: str) -> None:
    """A line to be careful about."""
    err.print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)


def complain(error: object) -> None:
    """A line on what went wrong."""
    err.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)


def main() -> None:
    """Run the command line; the package's own errors become one line and exit code 1."""
    # What a format cannot hold is told as a Python warning, which prints lines of source otherwise.
    warnings.showwarning = lambda message, *_args, **_options: warn(str(message))
    if os.environ.get("RANK", "0") != "0":
        # Of the processes that torchrun starts, the first one speaks for all.
        out.quiet = err.quiet = True
    try:
        app()
    except EbsdmlError as error:
        complain(error)
        raise SystemExit(1) from None
