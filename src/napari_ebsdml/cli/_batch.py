"""Commands that do the same with many maps: their options, progress and exit codes."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from napari_ebsdml.cli._app import complain, err, out, say, warn
from napari_ebsdml.errors import InputError, WriteError
from napari_ebsdml.options import Option

if TYPE_CHECKING:
    from napari_ebsdml.batching.events import BatchEvent
    from napari_ebsdml.batching.run import BatchResult
    from napari_ebsdml.batching.step import StepLike

Files = Annotated[
    list[Path],
    typer.Argument(help="Maps: files, folders with all that they hold, globs in quotes."),
]
Output = Annotated[Path, typer.Option("-o", "--output", help="Folder for the results.")]
# What shells expect of a program that Ctrl-C stopped.
_INTERRUPTED = 130


@dataclass(frozen=True)
class BatchOptions:
    """Where a batch runs, and how it answers.

    Attributes
    ----------
    workers, resume
        See `napari_ebsdml.batch`.
    scheduler
        Address of a scheduler of Dask, "" for none.
    chunk
        Pixels of the bands in which larger maps are worked on; see ``band`` of the same.
    json
        Whether all rows are printed as JSON instead of sentences.
    """

    workers: Annotated[
        int, Option("Workers", "Processes on this machine; 0: this one", "", 0, 1024)
    ] = 0
    scheduler: Annotated[
        str, Option("Scheduler", "Of a Dask cluster, tcp://host:8786, in place of --workers")
    ] = ""
    resume: Annotated[
        bool, Option("Go on", "Keep what is done with the same file, settings and model")
    ] = False
    chunk: Annotated[
        int,
        Option("Bands", "Work on maps with more pixels than this in bands of so many, in bounded "
               "memory; 0: never; -1: of a million, from 8 million on", "px", -1, 1_000_000_000),
    ] = -1  # fmt: skip
    json: Annotated[bool, Option("JSON", "Print the rows of all maps as JSON at the end")] = False


def run_batch(
    files: Sequence[Path],
    steps: Sequence[StepLike],
    output: Path,
    how: BatchOptions,
    frame: str | None,
    label: str,
    compare_gnd: bool = False,
) -> None:
    """Run a batch with a progress bar, and tell what came of it.

    Parameters
    ----------
    files, steps, output
        As `napari_ebsdml.batch` takes them.
    how
    frame
        As for `io.read`.
    label
        For the progress bar.
    compare_gnd
        Whether to say when maps have different steps, so that their GND densities do not compare.

    Raises
    ------
    typer.Exit
        With code 1 when a map failed; with 130 when Ctrl-C stopped it.
    """
    from napari_ebsdml.batching.run import batch

    if how.scheduler and how.workers:
        raise InputError("Give --workers, or --scheduler for a cluster that has its own.")
    watch = _Watch(label, quiet=how.json)
    try:
        with _client(how.scheduler) as client, watch.bar:
            result = batch(
                files, steps, output, client, workers=how.workers, resume=how.resume,
                ref_frame=frame, on_event=watch, band=None if how.chunk < 0 else how.chunk,
            )  # fmt: skip
    except KeyboardInterrupt:
        warn(
            f"Stopped. {output} holds what was done until then: {watch.good} maps. "
            "Go on with --resume."
        )
        raise typer.Exit(_INTERRUPTED) from None
    except WriteError as error:
        if not watch.good:
            raise
        raise WriteError(
            f"{error} {output} holds what was done until then: {watch.good} maps. Go on with "
            "--resume."
        ) from None
    if compare_gnd:
        warn_of_steps({float(row["step_um"]) for row in result.rows if "step_um" in row})
    if how.json:
        out.print(_as_json(result), highlight=False, markup=False, soft_wrap=True)
    else:
        before = f", {result.skipped} files done before" if result.skipped else ""
        good = len(result.rows) - len(result.failed)
        failed = f", {len(result.failed)} failed" if result.failed else ""
        say(f"{output / 'summary.csv'}: {good} maps{failed}{before}")
    if result.failed:
        raise typer.Exit(1)


@contextlib.contextmanager
def _client(scheduler: str) -> Iterator[Any]:
    if not scheduler:
        yield None
        return
    from napari_ebsdml.batching.cluster import connected

    with connected(scheduler) as client:
        yield client


class _Watch:
    """Shows the events of a batch."""

    def __init__(self, label: str, quiet: bool) -> None:
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

        self.bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
            TextColumn("{task.fields[left]}"), console=err,
        )  # fmt: skip
        self.task = self.bar.add_task(label, total=1.0, left="")
        self.quiet = quiet
        self.good = 0

    def __call__(self, event: BatchEvent) -> None:
        left = f"{event.done} of {event.total}"
        if event.seconds_left is not None and event.kind != "end":
            left += f", {_lasting(event.seconds_left)} left"
        self.bar.update(self.task, completed=event.fraction, left=left)
        if event.kind == "lost":
            warn("The scheduler does not answer; looking for it again.")
        for row in event.rows:
            error = str(row["error"])
            self.good += not error
            if error:
                complain(error if str(row["map"]) in error else f"{row['map']}: {error}")
        for text in event.notes:
            warn(text)
        if not self.quiet:
            for text in event.says:
                say(text)


def warn_of_steps(steps: set[float]) -> None:
    """Say that GND densities of maps with different steps do not compare."""
    from napari_ebsdml.dislocations.averages import different_steps

    found = different_steps(*steps) if steps else ""
    if found:
        warn(f"{found} ebsdml gnd --step takes one for all.")


def _lasting(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def _as_json(result: BatchResult) -> str:
    rows = [{key: _known(value) for key, value in row.items()} for row in result.rows]
    told = {
        "output": str(result.output), "maps": rows, "failed": len(result.failed),
        "files_done_before": result.skipped, "seconds": round(result.seconds, 3),
    }  # fmt: skip
    return json.dumps(told, allow_nan=False, default=str)


def _known(value: Any) -> Any:
    """JSON has no NaN."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
