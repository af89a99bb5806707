"""`batch`: steps on every map of many files, here or on a cluster, into one folder."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_ebsdml.batching.events import BatchEvent, Pace
from napari_ebsdml.batching.files import RUN, MapFile, as_map_files, find_maps
from napari_ebsdml.batching.large.store import FEWEST_PIXELS
from napari_ebsdml.batching.one_file import Done, Plan, do_file
from napari_ebsdml.batching.records import results_in
from napari_ebsdml.batching.step import BoundStep, StepLike, bind
from napari_ebsdml.batching.tables import Tables, rows_of, write_run
from napari_ebsdml.batching.writing import make_folder
from napari_ebsdml.errors import InputError, WriteError

if TYPE_CHECKING:
    from distributed import Client

OnEvent = Callable[[BatchEvent], None]


@dataclass(frozen=True)
class BatchResult:
    """What a batch did.

    Attributes
    ----------
    output
        Folder of the results.
    rows
        One for each map, as in summary.csv; that of a map that failed has its ``error``.
    skipped
        Number of files that were done before.
    seconds
    """

    output: Path
    rows: list[dict[str, Any]]
    skipped: int
    seconds: float

    @property
    def failed(self) -> list[dict[str, Any]]:
        """Rows of maps that failed."""
        return [row for row in self.rows if row["error"]]

    def __repr__(self) -> str:
        return (
            f"BatchResult: {len(self.rows)} maps, {len(self.failed)} failed, {self.skipped} files "
            f"done before, in {self.output}"
        )


def batch(
    files: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    steps: StepLike | Iterable[StepLike],
    output: str | os.PathLike[str],
    client: Client | None = None,
    *,
    workers: int = 0,
    resume: bool = False,
    band: int | None = None,
    ref_frame: Any = None,
    on_event: OnEvent | None = None,
) -> BatchResult:
    """Do the same with every map of many files; one that fails is a row, and the others go on.

    Parameters
    ----------
    files
        Files, folders and globs, one or several; see `find_maps`.
    steps
        What to do: "maps", "gnd", "density", "segment" ... (`steps_offered`), a function of a
        scan, a `Step`, or a list of these. With settings: ``("maps", {"kam_order": 2})``,
        ``("segment", {"model": "steel.safetensors"})``.
    output
        Folder for the results; is made. It holds NAME.npz and the like for every map, summary.csv
        with a row for each map, tables of the steps, run.json (settings, versions, hashes of
        inputs and models), contact_sheet.png and index.html to look at all maps at once.
    client
        Of ``dask.distributed``, whose workers see the files and `output` under the same paths.
        Default: this process, or `workers`.
    workers
        Processes on this machine, which share its cores; 0 for this process. A script that asks
        for any must do it under ``if __name__ == "__main__":``.
    resume
        Whether what is done and whole stays: results of the same input, settings, model and
        version.
    band
        Pixels of the bands of rows in which larger maps are worked on, so that memory stays
        bounded: reading .ctf and .ang, KAM, misorientation, IPF, boundaries, grains, GND and
        segmentation, with the results of the whole. 0: never. Default: a million, for maps from
        eight million on.
    ref_frame
        See `napari_ebsdml.read`.
    on_event
        Told where the batch is; `Cancelled`, or any other exception from it, ends the batch.

    Returns
    -------
    BatchResult

    Raises
    ------
    InputError
        When there is no map, or no such step or setting.
    ModelError
        When a model cannot be loaded; before anything is computed.
    WriteError
        When the folder or a table cannot be written.

    Notes
    -----
    Each file is written whole or not at all, and a record of it after all of them, so that a
    batch may be stopped (Ctrl-C) or killed at any time: the folder is valid, and `resume` goes on.
    A worker that is killed loses the maps that it was at, which another one does again. Models
    are loaded once; a worker has no more than one map in memory for each of its threads.
    """
    bound = bind(steps, ref_frame)
    _refuse_clashes(bound)
    if band is not None and (band < 0 or 0 < band < FEWEST_PIXELS):
        raise InputError(f"band must be 0 or {FEWEST_PIXELS} pixels and more, not {band}.")
    if workers < 0:
        raise InputError(f"workers must not be negative, but is {workers}.")
    folder = Path(output).absolute()
    found = find_maps(files, leave_out=results_in(folder))
    endings = [step.step.ending for step in bound] + [f"-{step.name}" for step in bound]
    listed = as_map_files(found, endings)
    if not listed:
        raise InputError("There is no file to work on.")
    models = [
        step.step.load(step.settings) if step.step.load is not None else None for step in bound
    ]
    make_folder(folder)
    plan = Plan(folder, bound, ref_frame, resume, uuid.uuid4().hex, band)
    books = _Books(plan, listed, on_event or _nobody)
    with books.kept(), _ways(client, workers) as way:
        for number, done in way(plan, listed, models, books):
            books.finish(number, done)
    return books.result()


def _nobody(event: BatchEvent) -> None:
    """Nobody is told."""


def _refuse_clashes(steps: Sequence[BoundStep]) -> None:
    """Two steps must not write the same files."""
    seen: dict[str, str] = {}
    for step in steps:
        if step.step.ending in seen:
            raise InputError(
                f"{seen[step.step.ending]!r} and {step.name!r} write files of the same names: "
                "give each a folder."
            )
        seen[step.step.ending] = step.name


class _Books:
    """What is known of a batch while it runs: pace, tables, run.json."""

    def __init__(self, plan: Plan, files: Sequence[MapFile], tell: OnEvent) -> None:
        self.plan, self.files, self.tell = plan, files, tell
        self.pace = Pace([one.size + 10_000.0 for one in files])
        self.tables = Tables(plan.output, plan.steps)
        self.hashes: dict[str, str] = {}
        self.begun = datetime.now(UTC)
        self.skipped = 0

    def part(self, number: int, fraction: float) -> None:
        """A file is done to this part."""
        self.pace.part(number, fraction)
        self.tell(self.pace.event("progress"))

    def lost(self) -> None:
        """The cluster is not there."""
        self.tell(self.pace.event("lost"))

    def finish(self, number: int, done: Done) -> None:
        """A file is done."""
        file = self.files[number]
        self.pace.finish(number, done.skipped)
        self.skipped += done.skipped
        self.tables.add(number, done.record)
        self.hashes[str(file.path)] = done.record.get("input", {}).get("sha256", "")
        self._write_tables()
        several = len(done.record["maps"]) > 1
        says, notes = [], []
        for one in done.record["maps"]:
            told = one["name"] if several else file.name
            if one.get("warnings"):
                notes.append(f"{told}: {' '.join(one['warnings'])}")
            for name in [step.name for step in self.plan.steps]:
                entry = one["steps"].get(name, {})
                says += [f"{told}: {text}" for text in [entry.get("says")] if text]
                notes += [f"{told}: {text}" for text in entry.get("notes", [])]
        self.tell(
            self.pace.event(
                "file", name=file.name, rows=rows_of(done.record), says=says, notes=notes,
                skipped=done.skipped,
            )
        )  # fmt: skip

    def _write_tables(self) -> None:
        """Write the tables now and then; one that another program holds is written at the end."""
        try:
            self.tables.write(at_once=False)
        except WriteError as error:
            if not isinstance(error.__context__, PermissionError):
                raise

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Leave the tables and run.json as they should be, whatever happens."""
        self._run("running")
        self.tell(self.pace.event("start"))
        try:
            yield
            self.tables.write()
        except BaseException:
            # A full disk may stop each of these: what was told first is raised.
            for leave in (self.tables.write, partial(self._run, "stopped"), self._sheet):
                with contextlib.suppress(WriteError, OSError):
                    leave()
            raise
        self._run("finished")
        self._sheet()
        self.tell(self.pace.event("end"))

    def _sheet(self) -> None:
        if self.tables.rows():
            from napari_ebsdml.batching.sheet import write_sheet

            write_sheet(self.plan.output, self.tables.records())

    def _run(self, state: str) -> None:
        rows = self.tables.rows()
        told = {
            "started": self.begun.isoformat(timespec="seconds"),
            "changed": datetime.now(UTC).isoformat(timespec="seconds"),
            "maps": len(rows), "failed": sum(bool(row["error"]) for row in rows),
            "files_done": len(self.pace.finished), "files": len(self.files),
        }  # fmt: skip
        plan = self.plan
        try:
            write_run(plan.output, plan.steps, self.files, plan.frame, state, told, self.hashes)
        except OSError as error:
            raise WriteError(f"{plan.output / RUN}: {error.strerror or error}.") from None

    def result(self) -> BatchResult:
        """What was done."""
        seconds = time.monotonic() - self.pace.started
        return BatchResult(self.plan.output, self.tables.rows(), self.skipped, seconds)


Way = Callable[[Plan, Sequence[MapFile], Sequence[Any], _Books], Iterator[tuple[int, Done]]]


@contextmanager
def _ways(client: Any, workers: int) -> Iterator[Way]:
    """How the files are worked on: here, on processes of ours, or on a cluster."""
    if client is None and workers == 0:
        yield _here
        return
    from napari_ebsdml.batching import cluster

    if client is not None:
        yield cluster.on_client(client)
        return
    with cluster.local(workers) as own:
        yield cluster.on_client(own)


def _here(
    plan: Plan, files: Sequence[MapFile], models: Sequence[Any], books: _Books
) -> Iterator[tuple[int, Done]]:
    """One file after the other in this process."""
    for number, file in enumerate(files):

        def report(fraction: float, number: int = number) -> None:
            books.part(number, fraction)

        yield number, do_file(plan, file, models, report)
