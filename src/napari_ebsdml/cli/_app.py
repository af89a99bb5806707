"""What all commands share: the app, the consoles, many maps one after the other, tables."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from napari_ebsdml.errors import EbsdmlError, WriteError
from napari_ebsdml.io.frames import FRAMES

if TYPE_CHECKING:
    from napari_ebsdml.scan import Scan

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
Files = Annotated[list[Path], typer.Argument(help="Maps.")]
Output = Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")]
Row = dict[str, object]
# What shells expect of a program that Ctrl-C stopped.
_INTERRUPTED = 130
Work = Callable[["Scan", Path, Callable[[float], None]], list[Row]]


def say(text: str) -> None:
    """A line of result."""
    out.print(text, highlight=False, markup=False, soft_wrap=True)


def warn(text: str) -> None:
    """A line to be careful about."""
    err.print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)


def warn_of_steps(steps: set[float]) -> None:
    """Say that GND densities of maps with different steps do not compare."""
    if len(steps) > 1 and max(steps) > 1.05 * min(steps):
        warn(
            f"The maps have steps of {min(steps):g} to {max(steps):g} um: GND densities fall with "
            "the step, so that theirs do not compare. ebsdml gnd --common-step takes one for all."
        )


def complain(error: object) -> None:
    """A line on what went wrong."""
    err.print(str(error), style="red", highlight=False, markup=False, soft_wrap=True)


def make_folder(path: Path) -> None:
    """Make a folder for results.

    Raises
    ------
    WriteError
        When that is not possible.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{path}: {error.strerror}.") from None


def over_maps(
    files: Sequence[Path], output: Path, frame: str | None, label: str, work: Work, table: str
) -> None:
    """Do something with every map of many files; one that fails is told and the others go on.

    The table is written after every map, so that stopping (Ctrl-C, exit code 130) loses nothing
    that was done. A map that failed has its error in it.

    Parameters
    ----------
    files, frame
        As for `read_all`.
    output
        Folder for the results; is made.
    label
        For the progress bar.
    work
        Gets a scan, the path of its results without extension (no two scans have the same), and
        a callable for its progress; returns rows for the table.
    table
        Name of the CSV file with all rows.

    Raises
    ------
    typer.Exit
        With code 1 after all maps when one of them failed.
    WriteError
        When the folder or the table cannot be written.
    """
    import napari_ebsdml as ebsdml

    make_folder(output)
    rows: list[Row] = []
    failed = False
    used: Counter[str] = Counter()

    def finish(name: str, found: list[Row], error: Exception | None = None) -> None:
        """Put a map into the table, which is whole after every map."""
        nonlocal failed
        if error is not None:
            failed = True
            known = isinstance(error, EbsdmlError)
            text = str(error) if known else f"unexpected {type(error).__name__}: {error}"
            complain(text if name in text else f"{name}: {text}")
            found = [{"error": text}]
        rows.extend({"map": name, **row} for row in found)
        if rows:
            write_table(output / table, rows)

    with _bar() as bar:
        task = bar.add_task(label, total=len(files))
        try:
            for number, path in enumerate(files):
                try:
                    scans = ebsdml.read_all(path, ref_frame=frame)
                except Exception as error:  # told, and the other maps go on
                    finish(path.stem, [], error)
                    scans = []
                for at, scan in enumerate(scans):
                    name = re.sub(r"[^\w.-]+", "_", scan.name)
                    used[name] += 1
                    name += f"-{used[name]}" if used[name] > 1 else ""

                    def progress(part: float, done: float = number + at / len(scans),
                                 share: float = 1 / len(scans)) -> None:  # fmt: skip
                        bar.update(task, completed=done + share * part)

                    try:
                        found = work(scan, output / name, progress)
                    except Exception as error:
                        finish(name, [], error)
                    else:
                        finish(name, found)
                bar.update(task, completed=number + 1)
        except KeyboardInterrupt:
            bar.stop()
            warn(f"Stopped. {output} holds what was done until then: {_count(rows)} maps.")
            raise typer.Exit(_INTERRUPTED) from None
    if rows:
        say(f"{output / table}: {_count(rows)} maps")
    if failed:
        raise typer.Exit(1)


def _count(rows: Sequence[Row]) -> int:
    """Number of maps that did not fail."""
    return len({row["map"] for row in rows if "error" not in row})


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when it is whole.

    Raises
    ------
    WriteError
        When it cannot be written; what was there before stays.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise WriteError(f"{path}: {error.strerror or error}.") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def write_table(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV; a row may lack columns.

    Raises
    ------
    WriteError
        When the file cannot be written.
    """
    with replacing(path) as part, part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)


def write_arrays(path: Path, **arrays: Any) -> None:
    """Write arrays as ``path.npz``.

    Raises
    ------
    WriteError
        When the file cannot be written.
    """
    import numpy as np

    # numpy appends .npz to a name, but not to an open file.
    with replacing(path.with_name(f"{path.name}.npz")) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def write_image(path: Path, labels: Any) -> None:
    """Write labels as an image whose grey levels are the labels.

    Raises
    ------
    WriteError
        When the file cannot be written.
    """
    import numpy as np
    import tifffile  # comes with scikit-image

    # A map of three columns is no colour image.
    kind = np.uint8 if labels.max(initial=0) < 256 else np.uint16
    with replacing(path) as part:
        tifffile.imwrite(part, labels.astype(kind), photometric="minisblack")


def _bar() -> Any:
    from rich.progress import Progress

    return Progress(console=err)


def main() -> None:
    """Run the command line; the package's own errors become one line and exit code 1."""
    # What a format cannot hold is told as a Python warning, which prints lines of source otherwise.
    warnings.showwarning = lambda message, *_args, **_options: warn(str(message))
    try:
        app()
    except EbsdmlError as error:
        complain(error)
        raise SystemExit(1) from None
